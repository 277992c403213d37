"""Hair as a whole: twelve styles, and the painting of what is on the head.

Owns: the styles, the crown and the gloss. Refuses to know the fringe's cuts (``fringe``) and what falls
behind (``backhair``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collection.demo.backhair import BACKS
from collection.demo.fringe import fringe
from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, bow, group, outline, path

__all__ = ["STYLES", "Hair", "hair"]


@dataclass(frozen=True)
class Hair:
    """Hair ready to be put together.

    Attributes
    ----------
    behind, front, over : str
        What is painted behind the figure, on the head, and over the clothes.
    shape : str
        Path data of the front hair, for the shadow on the forehead.
    """

    behind: str
    front: str
    over: str
    shape: str


@dataclass(frozen=True)
class _Style:
    crown: str
    back: str


STYLES: dict[str, _Style] = {
    "crop": _Style("tufted", "nape"),
    "spikes": _Style("spiky", "nape"),
    "bob": _Style("smooth", "bob"),
    "long": _Style("smooth", "long"),
    "waves": _Style("smooth", "waves"),
    "ponytail": _Style("tufted", "tail"),
    "twin tails": _Style("smooth", "twins"),
    "buns": _Style("smooth", "buns"),
    "mane": _Style("swept", "mane"),
    "curls": _Style("curly", "cloud"),
    "braid": _Style("smooth", "braid"),
    "layers": _Style("tufted", "layers"),
}

#: Spikes of a crown: how many, how high at the least and at the most, how much they lean (degrees).
_CROWNS = {
    "smooth": (6, 0.0, 14.0, 0.0),
    "tufted": (7, 2.0, 22.0, 6.0),
    "spiky": (8, 8.0, 40.0, 4.0),
    "swept": (8, 7.0, 34.0, 22.0),
    "curly": (9, 9.0, 14.0, 0.0),
}


def hair(look: Look) -> Hair:
    """Choose a style and paint it."""
    rng = look.chance("hair")
    style = STYLES[str(rng.choice(list(STYLES)))]
    lean = float(rng.choice((-1, 1)))
    crown = _crown(look, style.crown, lean, float(rng.uniform(-3, 4)))
    front = outline(crown + fringe(look))
    colour = look.palette.hair
    shift = look.style.light * (1.5 + 7.0 * look.reach)
    lit = group(path(front, colour.hex()), f'transform="translate({shift:.1f} {-1 - 3 * look.reach:.1f})"')
    content = path(front, colour.shade(look.depth * 0.7).hex()) + lit + _gloss(look) + _strands(look)
    painted = (
        f'<clipPath id="hair">{path(front, "#000")}</clipPath>'
        + group(content, 'clip-path="url(#hair)"')
        + path(front, "none", look.contour(colour))
        + (_loose_strand(look, lean) if rng.random() < 0.3 else "")
    )
    behind, over = BACKS[style.back](look, rng, lean)
    return Hair(behind, painted, over, front)


def _crown(look: Look, kind: str, lean: float, volume: float) -> list[Vertex]:
    """Vertices from the left temple over the top to the right one."""
    count, least, most, leaning = _CROWNS[kind]
    height = least + (most - least) * look.level["angularity"]
    tip, valley = look.rounding(0.05, 0.95), look.rounding(0.05, 0.8)
    if kind == "curly":
        tip, valley = look.rounding(0.35, 1.0), 0.1
    rx, ry = look.build.width + 9 + volume, 71 + volume
    vertices: list[Vertex] = []
    steps = 2 * count + 1
    for i in range(steps):
        angle = np.radians(197 - 214 * i / (steps - 1))
        outer = i % 2 == 1
        # spikes are highest on top and lean the way the hair is combed
        grown = height * (0.55 + 0.45 * max(0.0, float(np.sin(angle)))) if outer else 0.0
        turned = angle - np.radians(lean * leaning) if outer else angle
        x = MIDDLE + (rx + grown) * float(np.cos(turned))
        y = 112 - (ry + grown) * float(np.sin(turned))
        vertices.append((x, y, tip if outer else valley))
    return vertices


def _gloss(look: Look) -> str:
    """Gloss on the hair: a zigzag band, a smooth arc, or streaks; as the series draws it."""
    kind, colour, light = look.style.gloss, look.palette.hair, look.style.light
    bright = colour.light(0.42).hex()
    soft = look.rounding(0.0, 0.9)
    if kind == 0:
        xs = np.linspace(-50, 50, 13)
        upper = [(MIDDLE + x, 77 + 0.0075 * x * x + (4.5 if i % 2 else -2.5), soft) for i, x in enumerate(xs)]
        low = [(MIDDLE + x, 83 + 0.009 * x * x + (9 if i % 2 else -2), soft) for i, x in enumerate(xs)]
        return path(outline(upper + low[::-1]), bright, 'opacity="0.85"')
    if kind == 1:
        peak = MIDDLE + light * 4
        arc = f"M{MIDDLE - 48} 94Q{peak} 58 {MIDDLE + 48} 94Q{peak} 72 {MIDDLE - 48} 94Z"
        return path(arc, bright, 'opacity="0.7"')
    streaks = "".join(
        outline(
            [
                (MIDDLE + light * x, 62 + d, 0),
                (MIDDLE + light * (x + 9), 72 + d, soft),
                (MIDDLE + light * (x + 7), 99 + d, 0),
                (MIDDLE + light * (x + 3), 76 + d, soft),
            ]
        )
        for x, d in ((8, -4), (20, -2), (31, 4), (-22, 0))
    )
    return path(streaks, bright, 'opacity="0.8"')


def _strands(look: Look) -> str:
    """Lines from the crown down along the locks."""
    rng = look.chance("strands")
    crown = (MIDDLE + float(rng.uniform(-14, 14)), 46.0)
    ends = MIDDLE + np.array((-44.0, -20.0, 17.0, 40.0)) + rng.uniform(-7, 7, 4)
    lines = ""
    for x in ends:
        y = 108 - abs(x - MIDDLE) * 0.15 + float(rng.uniform(-8, 6))
        start = (crown[0] + (x - crown[0]) * 0.35, crown[1] + 16, 0.0)
        end = (float(x), y, 0.0)
        bend = bow(start, end, 0.0012 * (float(x) - crown[0]) * 2.6)
        lines += outline([start, bend, end], closed=False)
    return path(lines, "none", look.line(look.palette.hair, 0.55, 0.6))


def _loose_strand(look: Look, lean: float) -> str:
    """One strand that stands up from the crown."""
    colour = look.palette.hair
    sharp = look.rounding(0.0, 1.0)
    strand: list[Vertex] = [
        (MIDDLE - 3, 46, 0),
        (MIDDLE + lean * 2, 22, sharp),
        (MIDDLE + lean * 30, 16, 0.1),
        (MIDDLE + lean * 12, 27, sharp),
        (MIDDLE + 5, 46, 0),
    ]
    return path(outline(strand, closed=False), colour.hex(), look.contour(colour, 0.9))
