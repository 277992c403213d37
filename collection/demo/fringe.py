"""The fringe: eight cuts of the hair over the forehead, and the locks at the temples.

Owns: the lower edge of the front hair. Refuses to know how hair is painted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, bow

__all__ = ["CUTS", "fringe"]

#: A lock: x of its tip, y of its tip (relative to the eyes), y of the cut to its right.
_Lock = tuple[float, float, float]


def fringe(look: Look) -> list[Vertex]:
    """Lower edge of the front hair, from the right temple to the left one."""
    rng = look.chance("fringe")
    cut = str(rng.choice(list(CUTS)))
    side = float(rng.choice((-1, 1)))
    locks = CUTS[cut](rng)
    if side < 0:
        locks = _flipped(locks)
    temples = rng.choice(4, p=(0.25, 0.35, 0.25, 0.15))
    drop = (4.0, 30.0, 52.0, 80.0)[temples]
    angular, eyes = look.level["angularity"], look.build.eye_line
    half = look.build.width
    tip, valley = look.rounding(0.0, 0.6), look.rounding(0.0, 0.7)
    deeper = 0.75 + 0.5 * angular
    edge: list[Vertex] = _temple(look, -1, drop)
    last = edge[-1]
    for x, y, gap in locks:
        point = (MIDDLE + x * half, eyes + y * (0.96 + 0.1 * angular), tip)
        edge += [bow(last, point, 0.16 * (1 - angular)), point]
        last = point
        if gap < 0:
            notch = (MIDDLE + (x + 0.1) * half, eyes + y + (gap - y) * deeper * 0.9, valley)
            edge += [bow(point, notch, 0.1 * (1 - angular)), notch]
            last = notch
    right = _temple(look, 1, drop)[::-1]
    edge += [bow(last, right[0], 0.1 * (1 - angular)), *right]
    return edge[::-1]


def _temple(look: Look, side: int, drop: float) -> list[Vertex]:
    """Lock beside the cheek, from the temple to the fringe."""
    half, eyes = look.build.width, look.build.eye_line
    tip = look.rounding(0.0, 0.6)
    return [
        (MIDDLE + side * (half + 8), eyes + 2, 0.6),
        (MIDDLE + side * (half + 4), eyes + 0.6 * drop, 0.9),
        (MIDDLE + side * (half - 2), eyes + drop, tip),
        (MIDDLE + side * (half - 10), eyes + 0.45 * drop - 6, 0.8),
        (MIDDLE + side * (half - 11), eyes - 22, look.rounding(0.0, 0.6)),
    ]


def _flipped(locks: list[_Lock]) -> list[_Lock]:
    """Mirror image of the locks; the cut to the right of one becomes that of its neighbour."""
    gaps = [*(gap for _, _, gap in reversed(locks[:-1])), 0.0]
    return [(-x, y, gap) for (x, y, _), gap in zip(locks[::-1], gaps, strict=True)]


def _blunt(rng: np.random.Generator) -> list[_Lock]:
    y = float(rng.uniform(-22, -14))
    locks: list[_Lock] = []
    for left, right in ((-0.72, -0.4), (-0.36, 0.1), (0.14, 0.42), (0.46, 0.72)):
        end = y + float(rng.uniform(-2, 2))
        locks += [(left, end - 1, 0.0), (right, end + 1, y - float(rng.uniform(8, 22)))]
    return locks


def _spiked(rng: np.random.Generator) -> list[_Lock]:
    return [
        (x + float(rng.uniform(-0.05, 0.05)), float(rng.uniform(-18, -4)), -44.0)
        for x in (-0.6, -0.28, 0.04, 0.34, 0.62)
    ]


def _parted(rng: np.random.Generator) -> list[_Lock]:
    part = float(rng.uniform(-0.06, 0.06))
    return [
        (-0.66, -10, -30),
        (-0.42, -22, -60 + 30 * part),
        (0.02 + part, -62, -62),
        (0.36, -24, -34),
        (0.64, -10, 0),
    ]


def _swept(rng: np.random.Generator) -> list[_Lock]:
    low = float(rng.uniform(-12, -4))
    return [(-0.58, -30, -52), (-0.2, -30, -46), (0.14, -24, -40), (0.42, low - 6, -32), (0.7, low, 0)]


def _curtain(rng: np.random.Generator) -> list[_Lock]:
    dip = float(rng.uniform(-12, 4))
    return [(-0.68, -6, -40), (-0.34, -26, -48), (0.0, dip, -48), (0.34, -26, -40), (0.68, -6, 0)]


def _veil(rng: np.random.Generator) -> list[_Lock]:
    """One eye is half hidden."""
    low = float(rng.uniform(8, 22))
    return [(-0.62, -28, -58), (-0.3, -40, -50), (0.1, -22, -36), (0.36, low - 8, -14), (0.62, low, 0)]


def _combed(rng: np.random.Generator) -> list[_Lock]:
    """Combed back from the forehead, with a widow's peak and one loose lock."""
    loose = float(rng.uniform(-34, -18))
    return [(-0.6, -42, -58), (-0.2, -62, -66), (0.04, -54, -66), (0.3, loose, -64), (0.62, -42, 0)]


def _short(rng: np.random.Generator) -> list[_Lock]:
    return [(x, -40.0 + float(rng.uniform(-4, 8)), -60.0) for x in (-0.6, -0.24, 0.08, 0.3, 0.62)]


CUTS: dict[str, Callable[[np.random.Generator], list[_Lock]]] = {
    "blunt": _blunt,
    "spiked": _spiked,
    "parted": _parted,
    "swept": _swept,
    "curtain": _curtain,
    "veil": _veil,
    "combed": _combed,
    "short": _short,
}
