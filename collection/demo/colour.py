"""Colours as the drawing thinks of them: lightness, chroma and hue of OKLCh.

Owns: the colour and its conversion to sRGB. Refuses to know what is painted with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

__all__ = ["BLACK", "WHITE", "Colour", "mix"]

#: The hue (degrees) towards which cel shadows lean: violet, as on painted cels.
_SHADOW_HUE = 295.0


@dataclass(frozen=True)
class Colour:
    """A colour of OKLCh (Ottosson 2020, "A perceptual color space for image processing").

    Attributes
    ----------
    lightness : float
        0 black to 1 white.
    chroma : float
        0 grey to about 0.3; what sRGB cannot show is reduced.
    hue : float
        Degrees: red 29, orange 60, yellow 105, green 145, blue 260, magenta 340.
    """

    lightness: float
    chroma: float
    hue: float

    def hex(self) -> str:
        """Colour as ``#rrggbb``."""
        chroma = self.chroma
        for _ in range(24):
            red, green, blue = _linear(self.lightness, chroma, self.hue)
            if min(red, green, blue) >= -1e-4 and max(red, green, blue) <= 1.0001:
                break
            chroma *= 0.9
        return "#" + "".join(f"{round(255 * _gamma(value)):02x}" for value in (red, green, blue))

    def shade(self, depth: float) -> Colour:
        """Cel shadow of the colour; depth 0 is the colour itself, 1 nearly black."""
        hue = self.hue + 0.35 * min(1.0, 1.6 * depth) * _turn(self.hue, _SHADOW_HUE)
        return Colour(
            self.lightness * (1 - 0.85 * depth), self.chroma * (1 - 0.15 * depth) + 0.02 * depth, hue
        )

    def light(self, amount: float) -> Colour:
        """Lit version of the colour; amount 1 is white."""
        return replace(
            self,
            lightness=self.lightness + (1 - self.lightness) * amount,
            chroma=self.chroma * (1 - 0.6 * amount),
        )


def _turn(start: float, end: float) -> float:
    """Shorter way from one hue to another, in degrees."""
    return (end - start + 180) % 360 - 180


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Colour between two; share 0 is the first, 1 the second."""
    hue = first.hue + share * _turn(first.hue, second.hue)
    lightness = first.lightness + share * (second.lightness - first.lightness)
    return Colour(lightness, first.chroma + share * (second.chroma - first.chroma), hue)


def _linear(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """Linear sRGB of an OKLCh colour; may leave [0, 1]."""
    a = chroma * math.cos(math.radians(hue))
    b = chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma(value: float) -> float:
    """SRGB transfer function, clipped to [0, 1]."""
    value = min(1.0, max(0.0, value))
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


BLACK = Colour(0.16, 0.015, 290.0)
WHITE = Colour(0.985, 0.004, 90.0)
