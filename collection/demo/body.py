"""The body below the shoulders: how a figure stands, its arms, hands and legs as outlines, cel painting.

Owns: proportions and poses. Refuses to know what is worn.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from collection.demo.colour import Colour
from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, group, outline, path

__all__ = ["Joint", "Stance", "arm", "below", "cel", "hand", "leg", "limb", "mirrored", "solid", "stance_of"]

#: x and y of a joint, and half the width of the limb there; x of the right side, see `mirrored`.
Joint = tuple[float, float, float]

#: Elbow and wrist of an arm: x beyond the shoulder, y.
_ARMS = {
    "hanging": ((2.0, 345.0), (0.0, 438.0)),
    "apart": ((20.0, 338.0), (36.0, 424.0)),
    "on the hip": ((40.0, 352.0), (-34.0, 404.0)),
    "raised": ((44.0, 300.0), (58.0, 206.0)),
    "behind": ((18.0, 350.0), (-34.0, 430.0)),
}
_ARM_CHANCES = (0.36, 0.24, 0.18, 0.1, 0.12)

#: Unit of the head: from the crown to the chin.
_HEAD, _CROWN = 155.0, 40.0


@dataclass(frozen=True)
class Stance:
    """Proportions and pose, in units of the drawing; chance alone gives them.

    Attributes
    ----------
    waist, hips : float
        Half widths.
    waist_y, hips_y, knee_y, feet_y : float
        Heights.
    arms : tuple of str
        Poses of the arm on the picture's left and of the other; of `_ARMS`.
    feet, knees : float
        Distance of each from the middle.
    shift : float
        How far the feet stand to one side.
    lean : float
        Degrees that the whole figure leans by.
    """

    waist: float
    hips: float
    waist_y: float
    hips_y: float
    knee_y: float
    feet_y: float
    arms: tuple[str, str]
    feet: float
    knees: float
    shift: float
    lean: float


def stance_of(look: Look) -> Stance:
    """Draw proportions and a pose; neither role nor factors move them."""
    rng = look.chance("stance")
    heads, wide = float(rng.uniform(5.7, 6.7)), look.build.shoulder
    feet_y = _CROWN + heads * _HEAD
    hips_y = 452 + 10 * (heads - 5.7)
    left, right = (str(rng.choice(list(_ARMS), p=_ARM_CHANCES)) for _ in range(2))
    feet = float(rng.uniform(24, 54))
    return Stance(
        waist=wide * 0.5 + float(rng.uniform(5, 13)),
        hips=wide * 0.5 + float(rng.uniform(18, 27)),
        waist_y=hips_y - float(rng.uniform(62, 74)),
        hips_y=hips_y,
        knee_y=hips_y + 0.46 * (feet_y - hips_y),
        feet_y=feet_y,
        arms=(left, right),
        feet=feet,
        knees=0.4 * feet + 18,
        shift=float(rng.normal(0, 5)),
        lean=float(rng.normal(0, 1.6)),
    )


def mirrored(joints: Sequence[Joint], side: int) -> list[Joint]:
    """Joints of the right side as they are (side 1), or on the left (side -1)."""
    return [(x if side > 0 else 2 * MIDDLE - x, y, half) for x, y, half in joints]


def limb(joints: Sequence[Joint], rounding: float = 0.8, *, ends: float = 0.3) -> list[Vertex]:
    """Outline of a limb along its joints: down one side and up the other."""
    near: list[Vertex] = []
    far: list[Vertex] = []
    for i, (x, y, half) in enumerate(joints):
        before, after = joints[max(0, i - 1)], joints[min(len(joints) - 1, i + 1)]
        angle = math.atan2(after[1] - before[1], after[0] - before[0]) + math.pi / 2
        dx, dy = half * math.cos(angle), half * math.sin(angle)
        bend = ends if i in (0, len(joints) - 1) else rounding
        near.append((x + dx, y + dy, bend))
        far.append((x - dx, y - dy, bend))
    return near + far[::-1]


def below(joints: Sequence[Joint], y: float) -> list[Joint]:
    """The part of a limb that lies below a height."""
    for i, (first, second) in enumerate(itertools.pairwise(joints)):
        if first[1] <= y < second[1]:
            share = (y - first[1]) / (second[1] - first[1])
            x, _, half = (a + share * (b - a) for a, b in zip(first, second, strict=True))
            return [(x, y, half), *joints[i + 1 :]]
    return list(joints)


def arm(look: Look, stance: Stance, side: int) -> list[Joint]:
    """Shoulder, elbow and wrist of one arm."""
    wide = MIDDLE + look.build.shoulder
    elbow, wrist = _ARMS[stance.arms[side > 0]]
    shoulder = (wide - 9, 247.0, 23.0)
    upper = ((shoulder[0] + wide + elbow[0]) / 2 + 2, (247 + elbow[1]) / 2, 21.0)
    return mirrored(
        [shoulder, upper, (wide + elbow[0], elbow[1], 17.5), (wide + wrist[0], wrist[1], 13)], side
    )


def leg(stance: Stance, side: int) -> list[Joint]:
    """Hip, knee, calf and ankle of one leg."""
    ankle_y, top = stance.feet_y - 30, stance.hips_y
    calf_y = stance.knee_y + 0.3 * (ankle_y - stance.knee_y)
    joints = mirrored(
        [
            (MIDDLE + stance.hips * 0.5, top, stance.hips * 0.5),
            (MIDDLE + stance.hips * 0.53, top + 62, stance.hips * 0.47),
            (MIDDLE + stance.knees, stance.knee_y, 21),
            (MIDDLE + stance.knees + 0.3 * (stance.feet - stance.knees) + 3, calf_y, 21.5),
            (MIDDLE + stance.feet, ankle_y, 12),
        ],
        side,
    )
    span = ankle_y - top
    return [(x + stance.shift * (y - top) / span, y, half) for x, y, half in joints]


def hand(look: Look, joints: Sequence[Joint], side: int, colour: Colour) -> str:
    """A hand beyond a wrist: palm, fingers together, a thumb towards the body."""
    (ex, ey, _), (x, y, _) = joints[-2], joints[-1]
    turn = math.degrees(math.atan2(y - ey, x - ex)) - 90
    soft = look.rounding(0.5, 1.0)
    palm: list[Vertex] = [
        (-11, -8, 0.2),
        (-14, 10, soft),
        (-12, 30, soft),
        (-4, 42, soft),
        (8, 40, soft),
        (13, 24, soft),
        (12, -8, 0.2),
    ]
    thumb: list[Vertex] = [(-9, 2, 0.6), (-19, 14, soft), (-20, 28, soft), (-14, 28, soft), (-8, 16, 0.6)]
    lines = "".join(f"M{dx} 22l{0.4 * dx:.1f} 13" for dx in (-4, 3))
    ink = look.contour(colour, 0.9)
    content = (
        path(outline(thumb), colour.hex(), ink)
        + path(outline(palm), colour.hex(), ink)
        + path(lines, "none", look.line(colour, 0.45, 0.6))
    )
    return group(content, f'transform="translate({x:.1f} {y:.1f}) rotate({turn:.1f}) scale({side} 1)"')


def cel(look: Look, shape: str, colour: Colour, name: str, *, reach: float = 1.0) -> str:
    """A shape (path data) in cel shadow, lit from the series' side; ``name`` is unique in the document."""
    light = look.style.light
    lit = group(
        path(shape, colour.hex()),
        f'transform="translate({light * reach * (4 + 13 * look.reach):.1f} {-1 - look.reach:.1f})"',
    )
    shade = path(shape, colour.shade(look.depth * 0.8).hex())
    return f'<clipPath id="{name}">{path(shape, "#000")}</clipPath>' + group(
        shade + lit, f'clip-path="url(#{name})"'
    )


def solid(look: Look, shapes: Sequence[str], colour: Colour, name: str, *, reach: float = 1.0) -> str:
    """Shapes of one stuff, with a contour around all of them and none where they meet."""
    # the fills cover the inner half of every stroke, so that shapes that overlap grow together
    ink = look.contour(colour, 1.9)
    strokes = "".join(path(shape, colour.shade(look.depth * 0.8).hex(), ink) for shape in shapes)
    return strokes + "".join(
        cel(look, shape, colour, f"{name}{i}", reach=reach) for i, shape in enumerate(shapes)
    )
