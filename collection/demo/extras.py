"""Things worn on the head: glasses, pins, bands, horns, ears of a cat.

Owns: accessories; chance alone gives them out. Refuses to know role.
"""

from __future__ import annotations

from collections.abc import Callable

from collection.demo.colour import Colour
from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, ellipse, group, mirror, outline, path, turned

__all__ = ["EXTRAS", "extras"]

_CHANCE = 0.5


def extras(look: Look) -> tuple[str, str]:
    """Return what is painted behind the hair and what on top of everything; mostly nothing."""
    rng = look.chance("extras")
    name = str(rng.choice(list(EXTRAS)))
    return EXTRAS[name](look) if rng.random() < _CHANCE else ("", "")


def _glasses(look: Look) -> tuple[str, str]:
    build, y = look.build, look.build.eye_line + 2
    frame = look.line(look.palette.accent.shade(0.4), 1.0)
    round_ = look.rounding(0.25, 1)
    parts = ""
    for s in (-1, 1):
        x = MIDDLE + s * build.eye_gap + build.turn
        lens: list[Vertex] = [
            (x - 18, y - 15, round_),
            (x + 18, y - 15, round_),
            (x + 18, y + 16, round_),
            (x - 18, y + 16, round_),
        ]
        gleam = f"M{x - 10:.1f} {y - 6:.1f}l9 -6M{x - 10:.1f} {y:.1f}l4 -3"
        parts += path(outline(lens), "#ffffff", 'fill-opacity="0.14" ' + frame)
        parts += path(gleam, "none", 'stroke="#ffffff" stroke-width="2" stroke-linecap="round" opacity="0.7"')
    bridge = path(f"M{MIDDLE - 8 + build.turn:.1f} {y - 3:.1f}q8 -4 16 0", "none", frame)
    return "", parts + bridge


def _pin(look: Look) -> tuple[str, str]:
    accent, s = look.palette.accent, look.style.light
    bars = "".join(
        path(
            f"M{MIDDLE - s * 46:.0f} {96 + d}l{s * 17} -7",
            "none",
            f'stroke="{c}" stroke-width="{w}" stroke-linecap="round"',
        )
        for d in (0, 8)
        for c, w in ((accent.shade(0.6).hex(), 6), (accent.hex(), 3.6))
    )
    return "", bars


def _flower(look: Look) -> tuple[str, str]:
    accent, x, y = look.palette.accent.light(0.3), MIDDLE - look.style.light * 48, 84.0
    petals = "".join(
        ellipse(*turned(x, y, 8, 72 * i + 18), 6.5, 6.5, accent.hex(), look.contour(accent, 0.8))
        for i in range(5)
    )
    return "", petals + ellipse(x, y, 4.5, 4.5, Colour(0.86, 0.14, 95).hex())


def _band(look: Look) -> tuple[str, str]:
    accent, w = look.palette.accent, look.build.width + 9
    left, right = MIDDLE - w, MIDDLE + w
    data = f"M{left:.0f} 104Q{MIDDLE} 62 {right:.0f} 104L{right:.0f} 92Q{MIDDLE} 48 {left:.0f} 92Z"
    return "", path(data, accent.hex(), look.contour(accent))


def _bow(look: Look) -> tuple[str, str]:
    accent, point = look.palette.accent, look.rounding(0.05, 0.9)
    wing: list[Vertex] = [(MIDDLE, 46, 0), (MIDDLE + 32, 24, point), (MIDDLE + 36, 58, point)]
    halves = "".join(path(outline(side), accent.hex(), look.contour(accent)) for side in (wing, mirror(wing)))
    knot = ellipse(MIDDLE, 46, 7, 8, accent.shade(0.15).hex(), look.contour(accent))
    return "", group(halves + knot, f'transform="rotate({look.style.light * 24} 128 112)"')


def _cat(look: Look) -> tuple[str, str]:
    hair, point = look.palette.hair, look.rounding(0.02, 0.7)
    ear: list[Vertex] = [(MIDDLE + 14, 56, 0), (MIDDLE + 50, 4, point), (MIDDLE + 64, 78, 0)]
    hollow: list[Vertex] = [(MIDDLE + 28, 54, 0), (MIDDLE + 48, 20, point), (MIDDLE + 56, 66, 0)]
    pink = Colour(0.74, 0.07, 15).hex()
    return "".join(
        path(outline(a), hair.hex(), look.contour(hair)) + path(outline(b), pink)
        for a, b in ((ear, hollow), (mirror(ear), mirror(hollow)))
    ), ""


def _horns(look: Look) -> tuple[str, str]:
    bone, bend = Colour(0.82, 0.03, 85), look.rounding(0.1, 1)
    horn: list[Vertex] = [
        (MIDDLE + 28, 60, 0),
        (MIDDLE + 40, 24, bend),
        (MIDDLE + 66, 12, 0.05),
        (MIDDLE + 56, 40, bend),
        (MIDDLE + 50, 70, 0),
    ]
    return "".join(path(outline(side), bone.hex(), look.contour(bone)) for side in (horn, mirror(horn))), ""


def _headphones(look: Look) -> tuple[str, str]:
    accent, w, y = look.palette.accent, look.build.width + 10, look.build.eye_line + 2
    arc = (
        f"M{MIDDLE - w:.0f} {y:.0f}C{MIDDLE - w - 2:.0f} 14 {MIDDLE + w + 2:.0f} 14 {MIDDLE + w:.0f} {y:.0f}"
    )
    band = path(arc, "none", f'stroke="{accent.shade(0.62).hex()}" stroke-width="10"') + path(
        arc, "none", f'stroke="{accent.hex()}" stroke-width="6"'
    )
    cups = "".join(
        ellipse(MIDDLE + s * (w + 1), y, 9, 17, accent.hex(), look.contour(accent))
        + ellipse(MIDDLE + s * (w + 2), y, 4, 9, accent.shade(0.3).hex())
        for s in (-1, 1)
    )
    return "", band + cups


def _earrings(look: Look) -> tuple[str, str]:
    accent, w, y = look.palette.accent, look.build.width + 3, look.build.eye_line + 30
    drop = "".join(
        path(
            outline(
                [
                    (MIDDLE + s * w, y - 4, 0),
                    (MIDDLE + s * w + 5, y + 8, look.rounding(0.1, 0.9)),
                    (MIDDLE + s * w, y + 16, 0.2),
                    (MIDDLE + s * w - 5, y + 8, look.rounding(0.1, 0.9)),
                ]
            ),
            accent.hex(),
            look.contour(accent, 0.8),
        )
        for s in (-1, 1)
    )
    return "", drop


EXTRAS: dict[str, Callable[[Look], tuple[str, str]]] = {
    "glasses": _glasses,
    "pin": _pin,
    "flower": _flower,
    "band": _band,
    "bow": _bow,
    "cat": _cat,
    "horns": _horns,
    "headphones": _headphones,
    "earrings": _earrings,
}
