"""How a character's factors and series become colours, lines and proportions.

Owns: the mapping from factors (standard deviations) to what the parts paint with; every mapping is
monotone. Refuses to know the parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from collection.demo.cast import Character
from collection.demo.colour import BLACK, Colour, mix
from collection.demo.series import Series

__all__ = ["Build", "Look", "Palette", "look_of"]

_COOL, _WARM = 255.0, 52.0


@dataclass(frozen=True)
class Palette:
    """The colours of a picture."""

    skin: Colour
    hair: Colour
    iris: Colour
    cloth: Colour
    trim: Colour
    ground: Colour
    accent: Colour


@dataclass(frozen=True)
class Build:
    """Proportions, in units of the drawing; chance alone moves them.

    Attributes
    ----------
    width : float
        Half the width of the face at the cheekbones.
    chin, eye_line : float
        Heights (y) of chin and eyes.
    eye_gap : float
        Distance of an eye's centre from the middle.
    neck, shoulder : float
        Half widths.
    turn : float
        Sideways shift of the features, as if the head were turned.
    tilt : float
        Degrees that the head is tilted by.
    scale, x, y : float
        Size and place of the figure.
    lashes : float
        0 plain to 1 long.
    """

    width: float
    chin: float
    eye_line: float
    eye_gap: float
    neck: float
    shoulder: float
    turn: float
    tilt: float
    scale: float
    x: float
    y: float
    lashes: float


@dataclass(frozen=True)
class Look:
    """Everything the parts need to paint one character.

    Attributes
    ----------
    character : Character
    level : mapping of str to float
        The factors squeezed into (0, 1): 0.5 is the middle of the cast.
    palette : Palette
    build : Build
    """

    character: Character
    level: Mapping[str, float]
    palette: Palette
    build: Build

    @property
    def style(self) -> Series:
        """Style of the series."""
        return self.character.series

    @property
    def depth(self) -> float:
        """Depth of cel shadows, for `Colour.shade`."""
        return 0.05 + 0.62 * self.level["shadow_density"]

    @property
    def reach(self) -> float:
        """How far cel shadows reach in from the dark side, 0.3 to 1.7 of the usual."""
        return 0.25 + 1.5 * self.level["shadow_density"]

    @property
    def aura(self) -> float:
        """Aura from -1 (radiant) through 0 (none) to 1 (dark)."""
        return 2 * self.level["aura"] - 1

    def rounding(self, least: float = 0.0, most: float = 1.0) -> float:
        """Rounding of corners: ``most`` for the roundest, ``least`` for the most angular."""
        return most + (least - most) * self.level["angularity"]

    def contour(self, fill: Colour, weight: float = 1.0) -> str:
        """Stroke attributes of a contour around a fill: soft and thin to crisp and black."""
        sharp = self.level["line_sharpness"]
        colour = mix(fill.shade(0.45), BLACK, math.pow(sharp, 0.8))
        width = (0.7 + 2.3 * sharp) * weight * self.style.line_weight
        return (
            f'stroke="{colour.hex()}" stroke-width="{width:.2f}" stroke-opacity="{0.4 + 0.6 * sharp:.2f}" '
            'stroke-linejoin="round" stroke-linecap="round"'
        )

    def line(self, fill: Colour, weight: float = 1.0, opacity: float = 1.0) -> str:
        """Attributes of a line of fixed ink, for features that must read at any sharpness."""
        sharp = self.level["line_sharpness"]
        colour = mix(fill.shade(0.6), BLACK, 0.35 + 0.65 * sharp)
        width = (1.3 + 1.3 * sharp) * weight * self.style.line_weight
        return (
            f'stroke="{colour.hex()}" stroke-width="{width:.2f}" stroke-opacity="{opacity:.2f}" '
            'stroke-linejoin="round" stroke-linecap="round"'
        )

    def ink(self) -> Colour:
        """Colour of solid black parts: lashes, pupils."""
        return mix(self.palette.hair.shade(0.72), BLACK, 0.4 + 0.6 * self.level["line_sharpness"])

    @property
    def blur_px(self) -> float:
        """Blur of the whole painting, a standard deviation in pixels."""
        soft = 1 - self.level["line_sharpness"]
        return self.style.softness + 0.95 * math.pow(soft, 1.3)

    def chance(self, part: str) -> np.random.Generator:
        """Return the stream of chance of a part."""
        return self.character.stream(part)


def look_of(character: Character) -> Look:
    """Resolve a character's factors and series into what the parts paint with."""
    level = {name: 1 / (1 + math.exp(-1.15 * value)) for name, value in character.factors.items()}
    return Look(character, level, _palette(character, level), _build(character))


def _hue(warmth: float, through_violet: bool) -> float:
    """Hue from cool to warm, the way round by violet and red, or by green and yellow."""
    warmth = min(1.0, max(0.0, warmth))
    end = _WARM + 360 if through_violet else _WARM + 22
    return _COOL + (end - _COOL) * warmth


def _palette(character: Character, level: Mapping[str, float]) -> Palette:
    rng, style = character.stream("palette"), character.series
    warmth, shadow = level["palette_warmth"], level["shadow_density"]
    vivid = (0.2 + 1.55 * level["saturation"]) * style.chroma
    jitters = rng.normal(0, 0.05, 5)
    hues = [_hue(warmth + float(j), way) + style.hue for j, way in zip(jitters, style.ways, strict=True)]
    usual = rng.random(2) < 0.75
    own = (int(rng.choice(4, p=(0.3, 0.3, 0.25, 0.15))), int(rng.integers(5)))
    tone, skin_tone = (
        one if same else other for one, same, other in zip(style.tones, usual, own, strict=True)
    )
    hair_lightness = (0.36, 0.54, 0.7, 0.86)[tone] + float(rng.uniform(-0.05, 0.05))
    hair_chroma = (0.075, 0.12, 0.12, 0.05)[tone]
    skin_lightness = (0.9, 0.88, 0.84, 0.74, 0.6)[skin_tone]
    skin_hue = 52 + 14 * (warmth - 0.5) + float(rng.uniform(-5, 8))
    cloth_lightness = float(rng.uniform(0.34, 0.74))
    opposite = bool(rng.random() < 0.3)
    bright = style.brightness
    uniform, _, uniform_hue, uniform_lightness = style.uniform
    cloth = Colour(cloth_lightness + bright - 0.12 * (shadow - 0.5), 0.115 * vivid, hues[2])
    if uniform:
        cloth = mix(cloth, Colour(uniform_lightness, cloth.chroma, uniform_hue), 0.75)
    ground = Colour(0.88 + bright - 0.5 * shadow, 0.095 * vivid, hues[4])
    return Palette(
        skin=Colour(
            skin_lightness + bright * 0.5,
            (0.048 + 0.025 * (skin_lightness < 0.8)) * (0.55 + 0.55 * vivid),
            skin_hue,
        ),
        hair=Colour(hair_lightness + bright, hair_chroma * vivid, hues[0]),
        iris=Colour(0.56 + float(rng.uniform(-0.08, 0.1)), 0.15 * vivid, hues[1] + (150 if opposite else 0)),
        cloth=cloth,
        trim=Colour(0.9 - 0.45 * (cloth_lightness > 0.55), 0.08 * vivid, hues[3] + (60 if opposite else 15)),
        ground=mix(
            ground,
            Colour(ground.lightness + style.ground[1], ground.chroma, style.ground[0]),
            style.ground[2],
        ),
        accent=Colour(0.68, 0.16 * vivid, hues[3] + (180 if opposite else 0)),
    )


def _build(character: Character) -> Build:
    rng, style = character.stream("build"), character.series
    mature = float(rng.uniform(0, 1))
    return Build(
        width=(54.0 - 3.0 * mature) * style.face_width,
        chin=190.0 + 11.0 * mature,
        eye_line=142.0 - 5.0 * mature + float(rng.uniform(-2, 2)),
        eye_gap=(25.5 + float(rng.uniform(-1.2, 1.2))) * style.face_width,
        neck=float(rng.uniform(17, 25)),
        shoulder=float(rng.uniform(74, 98)),
        turn=float(rng.uniform(-1, 1)) * 6.0,
        tilt=float(rng.normal(0, 3.0)),
        scale=style.zoom + float(rng.uniform(-0.03, 0.03)),
        x=float(rng.uniform(-4, 4)),
        y=style.height + float(rng.uniform(-3, 4)),
        lashes=float(rng.choice((0.0, 0.35, 0.7, 1.0))),
    )
