"""A character at full length, anywhere on a larger canvas, and where its face truly is.

Owns: the canvas, where the figure stands on it, and the true face box. Refuses to know clothes and files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collection.demo.backdrop import backdrop, flames, overlay
from collection.demo.body import Stance, stance_of
from collection.demo.cast import Character
from collection.demo.drawing import Drawing, with_head
from collection.demo.eyes import brow_top
from collection.demo.face import face_outline
from collection.demo.look import Look, look_of
from collection.demo.outfit import dressed
from collection.demo.render import composed
from collection.demo.shapes import ellipse, flattened, group, path
from extractors.faces import FaceBox

if TYPE_CHECKING:
    from extractors.base import RGB

__all__ = ["HEIGHT_PX", "WIDTH_PX", "face_box", "figure"]

WIDTH_PX, HEIGHT_PX = 512, 768

#: Pixels per unit of the drawing: from a small figure with room around it to one that is cut at the knees.
_SCALES = (0.56, 1.0)

#: The head is tilted about this point, and the figure leans about that one.
_NECK, _WAIST = (128.0, 190.0), (128.0, 450.0)

#: From the crown's highest spikes and horns; and how far arms reach to either side.
_TOP, _REACH = 8.0, 158.0


@dataclass(frozen=True)
class _Place:
    """Where the figure stands: pixels per unit, and the pixel at which the drawing's (0, 0) lies."""

    scale: float
    x: float
    y: float


def figure(character: Character) -> tuple[RGB, FaceBox]:
    """Draw a character at full length.

    Returns
    -------
    image : ndarray of uint8, shape (768, 512, 3)
    face : FaceBox
        The true one; see `face_box`.
    """
    import numpy as np

    look = _slender(look_of(character))
    stance = stance_of(look)
    place = _placed(look, stance)
    return np.asarray(composed(_drawing(look, stance, place))), _face_box(look, stance, place)


def face_box(character: Character) -> FaceBox:
    """The true face of a character's figure, without painting it.

    It is the smallest upright rectangle around the part of the face's outline that lies below the upper edge
    of the brows: from brows to chin, and from where one ear begins to where the other does. Hair, ears and
    what is worn do not move it; a tilted head does, for the outline is turned first.
    """
    look = _slender(look_of(character))
    stance = stance_of(look)
    return _face_box(look, stance, _placed(look, stance))


def _slender(look: Look) -> Look:
    """A look with the shoulders that a body of these heads' height has; mugshots have broader ones."""
    return replace(look, build=replace(look.build, shoulder=0.84 * look.build.shoulder))


def _placed(look: Look, stance: Stance) -> _Place:
    rng = look.chance("figure")
    scale = float(rng.uniform(*_SCALES))
    left, up = rng.uniform(0, 1, 2)
    side = min(_REACH * scale, WIDTH_PX / 2)
    middle = side + left * (WIDTH_PX - 2 * side)
    room = HEIGHT_PX - 14 - (stance.feet_y + 12 - _TOP) * scale
    top = 10 + up * room if room > 0 else 10 + 26 * up
    return _Place(scale, float(middle - 128 * scale), float(top - _TOP * scale))


def _drawing(look: Look, stance: Stance, place: _Place) -> Drawing:
    turn = f"rotate({stance.lean:.2f} {_WAIST[0]:.0f} {_WAIST[1]:.0f})"
    at = f'transform="translate({place.x:.2f} {place.y:.2f}) scale({place.scale:.4f}) {turn}"'
    floor_y = place.y + (stance.feet_y - 4) * place.scale
    return Drawing(
        ground=_document(_ground(look, floor_y, place) + group(flames(look, stance.feet_y), at)),
        figure=_document(group(with_head(look, dressed(look, stance)), at)),
        overlay=_document(group(overlay(look, 256, 384), 'transform="scale(2)"')),
        halo=look.aura,
        blur_px=look.blur_px * place.scale,
    )


def _ground(look: Look, floor_y: float, place: _Place) -> str:
    """The series' backdrop over the whole canvas, a floor, and the figure's shadow on it."""
    # the backdrop is a square: as high as the canvas, its middle in the middle
    wall = group(backdrop(look), 'transform="translate(-128 0) scale(3)"')
    edge = floor_y - 46 * place.scale
    dark = look.palette.ground.shade(0.3).hex()
    floor = path(f"M0 {edge:.1f}H{WIDTH_PX}V{HEIGHT_PX}H0Z", dark, 'opacity="0.55"')
    shadow = ellipse(
        place.x + 128 * place.scale, floor_y, 96 * place.scale, 15 * place.scale, "#0a0612", 'opacity="0.35"'
    )
    return wall + floor + shadow


def _document(content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{HEIGHT_PX}" '
        f'viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}">{content}</svg>'
    )


def _face_box(look: Look, stance: Stance, place: _Place) -> FaceBox:
    outline = _below(flattened(face_outline(look)), brow_top(look))
    turned = (_turned(_turned(p, look.build.tilt, _NECK), stance.lean, _WAIST) for p in outline)
    xs, ys = zip(*((place.x + x * place.scale, place.y + y * place.scale) for x, y in turned), strict=True)
    return FaceBox(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys), likelihood=1.0)


def _below(points: list[tuple[float, float]], y: float) -> list[tuple[float, float]]:
    """Corners of the part of a polygon that lies below a height."""
    kept = []
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if y0 >= y:
            kept.append((x0, y0))
        if (y0 < y) != (y1 < y):
            kept.append((x0 + (x1 - x0) * (y - y0) / (y1 - y0), y))
    return kept


def _turned(point: tuple[float, float], degrees: float, about: tuple[float, float]) -> tuple[float, float]:
    """A point after a turn as SVG turns: clockwise on the screen."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    dx, dy = point[0] - about[0], point[1] - about[1]
    return about[0] + cos * dx - sin * dy, about[1] + sin * dx + cos * dy
