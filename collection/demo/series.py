"""Series: the style in which all of their pictures are painted, and their share of heroes.

Owns: the styles and the sizes of series. Refuses to know factors and characters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["BACKDROPS", "Series", "draw_series", "series_sizes"]

BACKDROPS = ("plain", "gradient", "radial", "rays", "halftone", "stripes", "bokeh", "panel", "sky")

#: Least and most pictures of a series, and how many a series has on average.
_SIZES = (3, 8)
_MEAN_SIZE = 4.9

#: Share of heroes in a series that leans to them.
_LEANING = 0.95


@dataclass(frozen=True)
class Series:
    """A series and its style.

    Attributes
    ----------
    name : str
    hero_share : float
        Share of heroes that the series leans to.
    line_weight, chroma, eye_size, face_width : float
        Multiples of the usual.
    hue : float
        Degrees that its palette is turned by.
    brightness : float
        Added to lightness (OKLCh).
    softness : float
        Blur of the painting, in pixels.
    tint : tuple of float
        Hue in degrees and strength in [0, 1] of the light that lies over every picture.
    backdrop : str
        One of `BACKDROPS`.
    ground : tuple of float
        Hue in degrees, added lightness, and share of its own in the colour of backdrops.
    grain : tuple of (int, float)
        Kind of texture over the picture (0 none, 1 scan lines, 2 dots, 3 hatching) and its strength.
    zoom : float
        Size of its figures.
    vignette : float
        Darkness of the corners, in [0, 1].
    light : int
        Side the light comes from: -1 left, 1 right.
    crest : int
        Shape of the crest in the corner; 0 for none.
    frame : float
        Width of the frame in pixels; 0 for none.
    ways : tuple of bool
        For hair, irises, clothes, trim and ground: from cool to warm by violet rather than by green.
    tones : tuple of int
        Its favourites among the tones of hair and of skin.
    uniform : tuple of (bool, int, float, float)
        Whether all wear the same, and then the collar's number, hue (degrees) and lightness.
    height : float
        Pixels that its figures stand lower.
    iris, gloss, blush : int
        How it draws irises, the gloss on hair, and cheeks.
    """

    name: str
    hero_share: float
    line_weight: float
    chroma: float
    eye_size: float
    face_width: float
    hue: float
    brightness: float
    softness: float
    tint: tuple[float, float]
    backdrop: str
    ground: tuple[float, float, float]
    grain: tuple[int, float]
    zoom: float
    vignette: float
    light: int
    crest: int
    frame: float
    ways: tuple[bool, ...]
    tones: tuple[int, int]
    uniform: tuple[bool, int, float, float]
    height: float
    iris: int
    gloss: int
    blush: int


def series_sizes(rng: np.random.Generator, n: int) -> list[int]:
    """Sizes of series, each within `_SIZES`, that sum to n."""
    low, high = _SIZES
    sizes = [low] * round(n / _MEAN_SIZE)
    while sum(sizes) < n:
        # long series grow: sizes spread over the whole range
        weight = np.array([(size - 2.0) ** 2 * (size < high) for size in sizes])
        sizes[int(rng.choice(len(sizes), p=weight / weight.sum()))] += 1
    return sizes


def draw_series(rng: np.random.Generator, name: str) -> Series:
    """Draw a style; it does not depend on the series' share of heroes."""
    lean = rng.random()
    centre = _LEANING if lean < 0.35 else 1 - _LEANING if lean < 0.7 else 0.5
    return Series(
        name=name,
        hero_share=float(np.clip(centre + rng.normal(0, 0.05), 0.03, 0.97)),
        line_weight=float(rng.uniform(0.75, 1.35)),
        chroma=float(rng.uniform(0.78, 1.25)),
        eye_size=float(rng.uniform(0.9, 1.12)),
        face_width=float(rng.uniform(0.94, 1.06)),
        hue=float(rng.uniform(-22, 22)),
        brightness=float(rng.uniform(-0.06, 0.06)),
        softness=float(rng.uniform(0.0, 0.35)),
        tint=(float(rng.uniform(0, 360)), float(rng.uniform(0.0, 0.16))),
        backdrop=str(rng.choice(BACKDROPS)),
        ground=(float(rng.uniform(0, 360)), float(rng.uniform(-0.16, 0.12)), float(rng.uniform(0.3, 0.7))),
        grain=(int(rng.choice((0, 0, 0, 1, 2, 3))), float(rng.uniform(0.03, 0.09))),
        zoom=float(rng.uniform(1.06, 1.28)),
        vignette=float(rng.uniform(0.0, 0.5)),
        light=int(rng.choice((-1, 1))),
        crest=int(rng.choice((0, 0, 1, 2, 3, 4))),
        frame=float(rng.choice((0, 0, 0, 0, 6, 9))),
        ways=tuple(bool(way) for way in rng.random(5) < 0.6),
        tones=(int(rng.integers(4)), int(rng.integers(5))),
        uniform=(
            bool(rng.random() < 0.5),
            int(rng.integers(100)),
            float(rng.uniform(0, 360)),
            float(rng.uniform(0.3, 0.8)),
        ),
        height=float(rng.uniform(-8, 8)),
        iris=int(rng.integers(4)),
        gloss=int(rng.integers(3)),
        blush=int(rng.integers(3)),
    )
