"""A character as SVG documents: the parts, put together from back to front.

Owns: the order of painting. Refuses to know what a part looks like and how SVG becomes pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from collection.demo.backdrop import aura, backdrop, overlay
from collection.demo.cast import Character
from collection.demo.clothes import clothes
from collection.demo.extras import extras
from collection.demo.eyes import brows, eyes
from collection.demo.face import ears, features, head, marks, neck
from collection.demo.hair import hair
from collection.demo.look import Look, look_of
from collection.demo.shapes import group

__all__ = ["SIZE_PX", "Drawing", "draw", "with_head"]

#: Width and height of a picture in pixels.
SIZE_PX = 256


@dataclass(frozen=True)
class Drawing:
    """A character as three SVG documents, and what joins them.

    Attributes
    ----------
    ground, figure, overlay : str
        SVG documents, `SIZE_PX` to a side, to be laid over each other; the figure is transparent
        around its outline, the overlay nearly everywhere.
    halo : float
        Aura around the figure's outline: -1 a light glow, 0 none, 1 a dark ring.
    blur_px : float
        Standard deviation of the blur of ground and figure.
    """

    ground: str
    figure: str
    overlay: str
    halo: float
    blur_px: float


def draw(character: Character) -> Drawing:
    """Draw a character."""
    look = look_of(character)
    return Drawing(
        ground=_document(backdrop(look) + aura(look)),
        figure=_document(_figure(look)),
        overlay=_document(overlay(look)),
        halo=look.aura,
        blur_px=look.blur_px,
    )


def _document(content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE_PX}" height="{SIZE_PX}" '
        f'viewBox="0 0 256 256">{content}</svg>'
    )


def with_head(look: Look, body: str) -> str:
    """A body, with the head on it and the hair behind it; the head is tilted about (128, 190)."""
    locks = hair(look)
    worn_behind, worn = extras(look)
    tilted = f'transform="rotate({look.build.tilt:.2f} 128 190)"'
    face = head(look, locks.shape) + features(look) + marks(look) + eyes(look)
    return (
        group(locks.behind + worn_behind, tilted)
        + body
        + group(ears(look) + face + locks.front + brows(look) + worn, tilted)
        + locks.over
    )


def _figure(look: Look) -> str:
    build = look.build
    figure = with_head(look, neck(look) + clothes(look))
    # about the middle of the face, and a little down: the shoulders leave the picture, not the head
    place = (
        f"translate({128 + build.x:.2f} {136 + build.y:.2f}) scale({build.scale:.3f}) translate(-128 -128)"
    )
    return group(figure, f'transform="{place}"')
