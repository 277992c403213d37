"""Hair behind the figure: eleven ways it falls, is tied up or stands off.

Owns: everything of the hair that the head covers, and braids. Refuses to know the crown and the fringe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, ellipse, group, mirror, outline, path

__all__ = ["BACKS"]


def _mass(look: Look, vertices: Sequence[Vertex], name: str) -> str:
    """Hair behind the figure: in its own shadow, lit at one rim."""
    colour = look.palette.hair
    data = outline(vertices)
    shift = look.style.light * (14 - 3 * look.reach)
    rim = group(
        path(data, colour.shade(look.depth * 0.75 + 0.08).hex()), f'transform="translate({-shift:.1f} 8)"'
    )
    return (
        f'<clipPath id="{name}">{path(data, "#000")}</clipPath>'
        + path(data, colour.shade(look.depth * 0.25).hex())
        + group(rim, f'clip-path="url(#{name})"')
        + path(data, "none", look.contour(colour))
    )


def _hem(look: Look, left: float, right: float, y: float, count: int, depth: float) -> list[Vertex]:
    """Lower edge of hair from right to left, in locks; deeper cuts for angular characters."""
    depth *= 0.25 + 1.7 * look.level["angularity"]
    xs = np.linspace(right, left, 2 * count + 1)
    return [
        (float(x), y + (depth if i % 2 else -0.3 * depth), look.rounding(0.0, 0.9)) for i, x in enumerate(xs)
    ]


def _fall(look: Look, half: float, y: float, count: int, depth: float) -> list[Vertex]:
    """Hair that falls at both sides of the head and ends in locks."""
    top = look.build.width + 6
    side: list[Vertex] = [(MIDDLE + 30, 52, 1), (MIDDLE + top, 84, 1), (MIDDLE + half, (84 + y) / 2 + 14, 1)]
    return side + _hem(look, MIDDLE - half * 0.94, MIDDLE + half * 0.94, y, count, depth) + mirror(side)


def _nape(look: Look) -> str:
    return _mass(look, _fall(look, look.build.width + 5, 176, 5, 9), "back")


def _nape_only(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    return _nape(look), ""


def _bob(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    return _mass(
        look, _fall(look, float(rng.uniform(72, 82)), float(rng.uniform(186, 206)), 6, 12), "back"
    ), ""


def _long(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    return _mass(
        look, _fall(look, float(rng.uniform(72, 90)), float(rng.uniform(232, 262)), 8, 16), "back"
    ), ""


def _layers(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    low = _mass(look, _fall(look, float(rng.uniform(64, 72)), float(rng.uniform(212, 232)), 6, 18), "back")
    return low + _mass(look, _fall(look, float(rng.uniform(76, 86)), 184, 5, 16), "back2"), ""


def _waves(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    wave = float(rng.uniform(6, 10))
    soft = look.rounding(0.05, 1.0)
    side: list[Vertex] = [(MIDDLE + 30, 50, 1), (MIDDLE + look.build.width + 8, 82, 1)]
    side += [
        (MIDDLE + 76 + 0.12 * (y - 100) + (wave if i % 2 else -wave), y, soft)
        for i, y in enumerate(range(110, 262, 19))
    ]
    return _mass(look, side + mirror(side), "back"), ""


def _tail(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    s, soft = lean, look.rounding(0.05, 1.0)
    end = float(rng.uniform(186, 232))
    tail: list[Vertex] = [
        (MIDDLE + s * 30, 62, 0.5),
        (MIDDLE + s * 66, 34, soft),
        (MIDDLE + s * 108, 70, soft),
        (MIDDLE + s * 112, 150, soft),
        (MIDDLE + s * 90, end, 0.05),
        (MIDDLE + s * 92, end - 34, look.rounding(0, 0.8)),
        (MIDDLE + s * 72, end - 14, 0.05),
        (MIDDLE + s * 80, 120, soft),
        (MIDDLE + s * 62, 88, 0.6),
    ]
    band = ellipse(
        MIDDLE + s * 50,
        64,
        8,
        12,
        look.palette.accent.hex(),
        look.contour(look.palette.accent) + f' transform="rotate({s * 40:.0f} {MIDDLE + s * 50:.0f} 64)"',
    )
    return _mass(look, tail, "tail") + _nape(look) + band, ""


def _twins(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    soft, end, wide = look.rounding(0.05, 1.0), float(rng.uniform(206, 250)), float(rng.uniform(96, 112))
    tail: list[Vertex] = [
        (MIDDLE + 50, 74, 0.4),
        (MIDDLE + wide - 14, 62, soft),
        (MIDDLE + wide + 6, 120, soft),
        (MIDDLE + wide - 4, 190, soft),
        (MIDDLE + wide - 16, end, 0.05),
        (MIDDLE + wide - 22, end - 30, look.rounding(0, 0.8)),
        (MIDDLE + wide - 36, end - 12, 0.05),
        (MIDDLE + wide - 28, 140, soft),
        (MIDDLE + 56, 96, 0.4),
    ]
    accent = look.palette.accent
    bands = "".join(ellipse(MIDDLE + s * 60, 84, 6, 10, accent.hex(), look.contour(accent)) for s in (-1, 1))
    return _mass(look, tail, "tail") + _mass(look, mirror(tail), "tail2") + _nape(look) + bands, ""


def _buns(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    colour = look.palette.hair
    size = float(rng.uniform(17, 23))
    places = ((-1, 48.0, 50.0), (1, 48.0, 50.0)) if rng.random() < 0.6 else ((1, 0.0, 34.0),)
    balls = ""
    for s, dx, y in places:
        x = MIDDLE + s * dx
        angles = np.radians(np.arange(0, 360, 36))
        ring = [
            (
                x + size * float(np.cos(a)) * (1.06 if i % 2 else 1),
                y + size * float(np.sin(a)),
                look.rounding(0.1, 1),
            )
            for i, a in enumerate(angles)
        ]
        swirl = f"M{x - size * 0.6:.1f} {y:.1f}q{size * 0.5:.1f} {-size * 0.9:.1f} {size * 1.2:.1f} 0"
        balls += path(outline(ring), colour.shade(look.depth * 0.25).hex(), look.contour(colour)) + path(
            swirl, "none", look.line(colour, 0.6, 0.6)
        )
    return balls + _nape(look), ""


def _mane(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    spike = 12 + 34 * look.level["angularity"]
    side: list[Vertex] = [(MIDDLE + 34, 48, 1)]
    for i, y in enumerate(range(76, 236, 20)):
        outer = i % 2
        out = 68 + (spike if outer else 0) + 6 * np.sin(y / 30)
        side.append((MIDDLE + float(out), y + (14 if outer else 0), look.rounding(0, 0.85)))
    return _mass(look, side + mirror(side), "back"), ""


def _cloud(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    size = float(rng.uniform(76, 92))
    angles = np.radians(np.linspace(-62, 242, 27))
    ring: list[Vertex] = [
        (
            MIDDLE + (size + (9 if i % 2 else -2)) * float(np.cos(a)),
            118 - (size + (9 if i % 2 else -2)) * float(np.sin(a)),
            look.rounding(0.3, 1) if i % 2 else 0.1,
        )
        for i, a in enumerate(angles)
    ]
    return _mass(look, ring, "back"), ""


def _braid(look: Look, rng: np.random.Generator, lean: float) -> tuple[str, str]:
    colour, links = look.palette.hair, ""
    for i in range(5):
        x, y = MIDDLE + lean * (62 - 2.5 * i), 168 + 17 * i
        w = 15 - 1.2 * i
        link: list[Vertex] = [
            (x - w, y - 6, look.rounding(0.2, 1)),
            (x, y + 3, 0.2),
            (x + w, y - 6, look.rounding(0.2, 1)),
            (x + w * 0.7, y + 12, 1),
            (x, y + 18, 0.3),
            (x - w * 0.7, y + 12, 1),
        ]
        tone = colour if i % 2 else colour.shade(look.depth * 0.3)
        links = path(outline(link), tone.hex(), look.contour(colour)) + links
    accent = look.palette.accent
    tie = ellipse(MIDDLE + lean * 51, 252, 9, 5, accent.hex(), look.contour(accent))
    return _nape(look), links + tie


#: Painter of each way: what is behind the figure, and what lies over the clothes.
BACKS: dict[str, Callable[[Look, np.random.Generator, float], tuple[str, str]]] = {
    "nape": _nape_only,
    "bob": _bob,
    "long": _long,
    "layers": _layers,
    "waves": _waves,
    "tail": _tail,
    "twins": _twins,
    "buns": _buns,
    "mane": _mane,
    "cloud": _cloud,
    "braid": _braid,
}
