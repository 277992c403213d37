"""What a collar goes on as, down the front: buttons, a tie, lapels, a sash, the ends of a scarf.

Owns: the front of the top. Refuses to know collars' shapes above it and what is worn below.
"""

from __future__ import annotations

from collections.abc import Callable

from collection.demo.body import Stance
from collection.demo.colour import Colour
from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, ellipse, mirror, outline, path

__all__ = ["FRONTS", "front"]


def front(look: Look, stance: Stance, collar: str) -> str:
    """The front that belongs to a collar, and a belt where the top ends at the waist."""
    return FRONTS[collar](look, stance)


def _open(look: Look, colour: Colour, vertices: list[Vertex], *, weight: float = 1.0) -> str:
    """Stuff that goes on from above: filled, with a contour at its sides and its end alone."""
    return path(outline(vertices), colour.hex()) + path(
        outline(vertices, closed=False), "none", look.contour(colour, weight)
    )


def _buttons(look: Look, top: float, end: float, *, n: int, x: float = MIDDLE) -> str:
    trim = look.palette.trim
    return "".join(
        ellipse(x, top + (end - top) * i / (n - 1), 3.4, 3.4, trim.hex(), look.contour(trim, 0.6))
        for i in range(n)
    )


def _belt(look: Look, stance: Stance, colour: Colour, *, tall: float, y: float) -> str:
    half = stance.waist + 5 + 0.12 * abs(y - stance.waist_y)
    band: list[Vertex] = [
        (MIDDLE + half, y, 0.1),
        (MIDDLE + half, y + tall, 0.1),
        (MIDDLE, y + tall + 5, 1),
        (MIDDLE - half, y + tall, 0.1),
        (MIDDLE - half, y, 0.1),
        (MIDDLE, y + 5, 1),
    ]
    return path(outline(band), colour.hex(), look.contour(colour))


def _buckled(look: Look, stance: Stance) -> str:
    leather, metal = look.palette.accent.shade(0.45), look.palette.trim
    y = stance.waist_y + 8
    plate: list[Vertex] = [(MIDDLE + x, y + 10 + dy, 0.2) for x, dy in ((-9, -8), (9, -8), (9, 9), (-9, 9))]
    return _belt(look, stance, leather, tall=13, y=y) + path(
        outline(plate), metal.hex(), look.contour(metal, 0.8)
    )


def _uniform(look: Look, stance: Stance) -> str:
    cloth, y = look.palette.cloth, stance.waist_y
    seam = path(f"M{MIDDLE} 252V{stance.hips_y + 6:.0f}", "none", look.line(cloth, 0.7))
    return seam + _buttons(look, 276, y - 12, n=4) + _buckled(look, stance)


def _sailor(look: Look, stance: Stance) -> str:
    accent, y = look.palette.accent, stance.waist_y + 14
    tails = "".join(
        path(
            outline(
                [
                    (MIDDLE + s * 2, 250, 0),
                    (MIDDLE + s * 20, 292, 0.3),
                    (MIDDLE + s * 9, 300, look.rounding(0, 0.6)),
                ]
            ),
            accent.hex(),
            look.contour(accent),
        )
        for s in (-1, 1)
    )
    knot = ellipse(MIDDLE, 248, 5, 5.5, accent.hex(), look.contour(accent))
    return tails + knot + _belt(look, stance, look.palette.trim, tall=6, y=y)


def _tie(look: Look, stance: Stance) -> str:
    accent, end = look.palette.accent, stance.waist_y - 26
    tie: list[Vertex] = [
        (MIDDLE - 8, 256, 0),
        (MIDDLE - 14, end - 14, 0.1),
        (MIDDLE, end + 4, look.rounding(0, 0.5)),
        (MIDDLE + 14, end - 14, 0.1),
        (MIDDLE + 8, 256, 0),
    ]
    bars = "".join(f"M{MIDDLE - 12} {y}l24 -9" for y in range(290, int(end) - 16, 26))
    light = look.palette.trim.light(0.4)
    stripes = path(bars, "none", f'stroke="{light.hex()}" stroke-width="4"')
    placket = path(
        f"M{MIDDLE} {end:.0f}V{stance.hips_y + 8:.0f}", "none", look.line(look.palette.cloth, 0.6, 0.7)
    )
    return placket + _open(look, accent, tie) + stripes + _buckled(look, stance)


def _lapels(look: Look, stance: Stance) -> str:
    cloth, trim, end = look.palette.cloth, look.palette.trim, stance.waist_y - 22
    shirt: list[Vertex] = [(MIDDLE - 19, 258, 0), (MIDDLE, end, 0.1), (MIDDLE + 19, 258, 0)]
    lapel: list[Vertex] = [
        (MIDDLE + 14, 262, 0),
        (MIDDLE + 21, 262, 0),
        (MIDDLE + 20, 300, 0.6),
        (MIDDLE, end + 4, 0),
    ]
    dark = cloth.shade(0.12)
    lapels = "".join(
        path(outline(half), dark.hex(), look.contour(cloth, 0.9)) for half in (lapel, mirror(lapel))
    )
    seam = path(
        f"M{MIDDLE} {end:.0f}V{stance.hips_y - 4:.0f}q0 12 14 22"
        f"M{MIDDLE} {stance.hips_y - 4:.0f}q0 12 -14 22",
        "none",
        look.line(cloth, 0.8),
    )
    pocket = path(f"M{MIDDLE + 34} 302l24 -4", "none", look.line(cloth, 0.9))
    return _open(look, trim, shirt) + lapels + seam + pocket + _buttons(look, end + 14, end + 42, n=2)


def _hooded(look: Look, stance: Stance) -> str:
    cloth, trim, y = look.palette.cloth, look.palette.trim, stance.waist_y
    pocket: list[Vertex] = [
        (MIDDLE - 26, y - 16, 0.2),
        (MIDDLE + 26, y - 16, 0.2),
        (MIDDLE + 44, y + 40, 0.3),
        (MIDDLE - 44, y + 40, 0.3),
    ]
    cords = path(
        f"M{MIDDLE - 12} 258v26M{MIDDLE + 12} 258v30",
        "none",
        f'stroke="{trim.hex()}" stroke-width="3.4" stroke-linecap="round"',
    )
    band = path(
        f"M{MIDDLE - stance.hips - 3:.0f} {stance.hips_y + 2:.0f}Q{MIDDLE} {stance.hips_y + 10:.0f}"
        f" {MIDDLE + stance.hips + 3:.0f} {stance.hips_y + 2:.0f}",
        "none",
        look.line(cloth, 0.7, 0.8),
    )
    return path(outline(pocket), cloth.light(0.08).hex(), look.contour(cloth, 0.9)) + cords + band


def _caped(look: Look, stance: Stance) -> str:
    trim, accent = look.palette.trim, look.palette.accent
    chest: list[Vertex] = [
        (MIDDLE, 292, 0),
        (MIDDLE + 22, 316, 0.2),
        (MIDDLE, 346, 0),
        (MIDDLE - 22, 316, 0.2),
    ]
    return (
        path(outline(chest), trim.hex(), look.contour(trim))
        + ellipse(MIDDLE, 318, 8, 9, accent.hex(), look.contour(accent))
        + _buckled(look, stance)
    )


def _crossed(look: Look, stance: Stance) -> str:
    """The collar's bands go on down to a broad sash."""
    trim, accent, y = look.palette.trim, look.palette.accent, stance.waist_y
    over: list[Vertex] = [
        (MIDDLE - 6, 260, 0),
        (MIDDLE - 40, y, 0),
        (MIDDLE - 60, y, 0),
        (MIDDLE - 22, 254, 0),
    ]
    sash = _belt(look, stance, accent, tall=46, y=y - 20)
    cord = _belt(look, stance, trim, tall=7, y=y)
    return path(outline(over), trim.hex(), look.contour(trim)) + sash + cord


def _knitted(look: Look, stance: Stance) -> str:
    cloth, y = look.palette.cloth, stance.hips_y
    ribs = "".join(f"M{MIDDLE + x:.0f} {y + 1 - 0.04 * abs(x):.0f}v12" for x in range(-48, 49, 12))
    bars = "".join(
        path(
            f"M{MIDDLE - 62:.0f} {312 + d}Q{MIDDLE} {322 + d} {MIDDLE + 62:.0f} {312 + d}",
            "none",
            f'stroke="{look.palette.trim.hex()}" stroke-width="7"',
        )
        for d in (0, 18)
    )
    return bars + path(ribs, "none", look.line(cloth, 0.5, 0.5))


def _scarved(look: Look, stance: Stance) -> str:
    accent, s = look.palette.accent, look.style.light
    colour = accent.shade(look.depth * 0.4)
    x, end = MIDDLE - s * 38, 352.0
    tail: list[Vertex] = [
        (x - 12.5, 260, 0),
        (x - 17 - s * 3, end, 0.05),
        (x + 14 - s * 3, end + 4, 0.05),
        (x + 12.5, 260, 0),
    ]
    fringe = "".join(f"M{x - 14 + 6 * i - s * 3:.1f} {end + i * 0.8:.1f}v9" for i in range(5))
    return _open(look, colour, tail) + path(fringe, "none", look.line(accent, 0.9)) + _buckled(look, stance)


FRONTS: dict[str, Callable[[Look, Stance], str]] = {
    "stand": _uniform,
    "sailor": _sailor,
    "shirt": _tie,
    "jacket": _lapels,
    "hood": _hooded,
    "cloak": _caped,
    "kimono": _crossed,
    "turtleneck": _knitted,
    "scarf": _scarved,
}
