"""What a figure wears below its top: trousers, shorts, skirt, robe, coat and cape, stockings and shoes.

Owns: the cuts. Refuses to know who wears what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from collection.demo.body import Joint, Stance, below, leg, limb, solid
from collection.demo.colour import BLACK, Colour, mix
from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, mirror, outline, path

__all__ = ["CUTS", "Wear", "cape"]


@dataclass(frozen=True)
class Wear:
    """What a character wears; the series' uniform or chance.

    Attributes
    ----------
    cut : str
        One of `CUTS`.
    collar : str
    lower, shoe : Colour
        Of trousers or skirt; of shoes and gloves.
    stocking : Colour or None
    boots : float
        0 shoes to 1 up to the knee.
    short_sleeves, gloves : bool
    """

    cut: str
    collar: str
    lower: Colour
    stocking: Colour | None
    shoe: Colour
    boots: float
    short_sleeves: bool
    gloves: bool


def _legs(look: Look, stance: Stance, wear: Wear, *, bare: bool) -> str:
    """Legs in skin and stockings or in trousers, and what is on the feet."""
    skin, parts = look.palette.skin, ""
    for side in (-1, 1):
        joints, name = leg(stance, side), f"leg{side + 1}"
        if bare:
            parts += solid(look, [outline(limb(joints, 0.9))], skin, name, reach=0.45)
            if wear.stocking is not None:
                sock = below(joints, stance.hips_y + 0.62 * (stance.knee_y - stance.hips_y))
                sock = [(x, y, half + 1) for x, y, half in sock]
                parts += solid(look, [outline(limb(sock, 0.9))], wear.stocking, name + "k", reach=0.45)
        parts += _shoe(look, stance, wear, joints, side)
    return parts


def _shoe(look: Look, stance: Stance, wear: Wear, joints: list[Joint], side: int) -> str:
    x, y, shoe, point = joints[-1][0], stance.feet_y, wear.shoe, look.rounding(0.3, 0.9)
    toe = side * 7
    foot: list[Vertex] = [
        (x - 15, y - 36, 0.2),
        (x + 15, y - 36, 0.2),
        (x + 19 + toe, y - 10, point),
        (x + 19 + toe, y, 0.5),
        (x - 19 + toe, y, 0.5),
        (x - 19 + toe, y - 10, point),
    ]
    shapes = [outline(foot)]
    if wear.boots:
        top = stance.feet_y - 36 - wear.boots * (stance.feet_y - 60 - stance.knee_y)
        shapes.append(outline(limb([(a, b, half + 4) for a, b, half in below(joints, top)], 0.9)))
    sole = path(f"M{x - 19 + toe:.1f} {y - 3:.1f}H{x + 19 + toe:.1f}", "none", look.line(shoe, 0.8, 0.8))
    return solid(look, shapes, shoe, f"shoe{side + 1}", reach=0.4) + sole


def _trousers(look: Look, stance: Stance, wear: Wear) -> str:
    """Trousers, over the boots unless those are high."""
    flare = 7.0 if wear.boots == 0 else 3.0
    legs, seams = [], ""
    for side in (-1, 1):
        joints = leg(stance, side)
        wide = [(x, y, half + 4) for x, y, half in joints[:-1]]
        x, y, half = joints[-1]
        legs.append(outline(limb([*wide, (x, y + 4, half + flare)], 0.9, ends=0.1)))
        seams += f"M{joints[2][0] - side * 12:.1f} {joints[2][1] - 6:.1f}q{side * 10} 8 {side * 20} 4"
    cloth = solid(look, legs, wear.lower, "trousers", reach=0.55)
    cloth += path(seams, "none", look.line(wear.lower, 0.55, 0.6))
    shoes = _legs(look, stance, wear, bare=False)
    return cloth + shoes if wear.boots else shoes + cloth


def _shorts(look: Look, stance: Stance, wear: Wear) -> str:
    end = stance.hips_y + 0.55 * (stance.knee_y - stance.hips_y)
    legs = []
    for side in (-1, 1):
        joints = leg(stance, side)
        x, y, half = below(joints, end)[0]
        legs.append(
            outline(limb([(a, b, h + 5) for a, b, h in joints[:2]] + [(x, y, half + 7)], 0.9, ends=0.1))
        )
    return _legs(look, stance, wear, bare=True) + solid(look, legs, wear.lower, "shorts", reach=0.55)


def _fall(
    stance: Stance, *, top: float, end: float, at_top: float, at_end: float, folds: int
) -> list[Vertex]:
    """Outline of stuff that falls from the waist: an even top, a hem in waves."""
    count = 2 * folds
    hem: list[Vertex] = []
    for i in range(count + 1):
        x = MIDDLE + at_end * (1 - 2 * i / count) + stance.shift * 0.5
        hem.append((x, end + (0 if i % 2 else 7) - 5 * abs(1 - 2 * i / count), 0.8))
    side: list[Vertex] = [
        (MIDDLE + at_top, top, 0.1),
        (MIDDLE + 0.35 * at_top + 0.65 * at_end, top + 0.4 * (end - top), 0.9),
    ]
    return [*side, *hem, *mirror(side)]


def _pleats(
    look: Look, colour: Colour, *, top: float, end: float, at_top: float, at_end: float, n: int
) -> str:
    lines = "".join(
        f"M{MIDDLE + at_top * k:.1f} {top + 14:.1f}L{MIDDLE + at_end * k:.1f} {end - 2:.1f}"
        for k in ((2 * i + 1) / n - 1 for i in range(n))
    )
    return path(lines, "none", look.line(colour, 0.55, 0.55))


def _skirt(look: Look, stance: Stance, wear: Wear) -> str:
    top, end = stance.waist_y + 8, stance.hips_y + 0.66 * (stance.knee_y - stance.hips_y)
    sizes = {"top": top, "end": end, "at_top": stance.waist + 1, "at_end": stance.hips + 44}
    shape = outline(_fall(stance, folds=6, **sizes))
    return (
        _legs(look, stance, wear, bare=True)
        + solid(look, [shape], wear.lower, "skirt", reach=1.2)
        + _pleats(look, wear.lower, n=7, **sizes)
    )


def _robe(look: Look, stance: Stance, wear: Wear) -> str:
    """Down to the ankles, of the top's cloth, crossed in front."""
    cloth, top, end = look.palette.cloth, stance.waist_y, stance.feet_y - 34
    shape = outline(
        _fall(stance, top=top, end=end, at_top=stance.waist + 2, at_end=stance.hips + 34, folds=3)
    )
    edge = path(
        f"M{MIDDLE + 10} {top + 20:.0f}Q{MIDDLE + 26} {(top + end) / 2:.0f}"
        f" {MIDDLE + 6 + stance.shift:.0f} {end:.0f}",
        "none",
        look.line(cloth, 0.9),
    )
    return _legs(look, stance, wear, bare=True) + solid(look, [shape], cloth, "robe", reach=1.3) + edge


def _coat(look: Look, stance: Stance, wear: Wear) -> str:
    """Two tails of the top's cloth beside the trousers."""
    cloth, end = look.palette.cloth.shade(0.06), stance.knee_y + 0.35 * (stance.feet_y - stance.knee_y)
    point = look.rounding(0.0, 0.8)
    tail: list[Vertex] = [
        (MIDDLE + 4, stance.waist_y, 0),
        (MIDDLE + stance.waist, stance.waist_y, 0.2),
        (MIDDLE + stance.hips + 14, stance.hips_y + 20, 0.9),
        (MIDDLE + stance.hips + 40, end, point),
        (MIDDLE + stance.hips - 6, end + 12, point),
        (MIDDLE + 26, stance.hips_y + 60, 0.9),
    ]
    inner = mix(look.palette.trim, BLACK, 0.35)
    lining: list[Vertex] = [(MIDDLE + 60, stance.hips_y, 0), (MIDDLE + stance.hips + 36, end - 4, 0.2)]
    inside = outline(lining + mirror(lining))
    return (
        path(inside, inner.shade(0.2).hex(), look.contour(inner))
        + _trousers(look, stance, wear)
        + solid(look, [outline(tail), outline(mirror(tail))], cloth, "tails", reach=0.7)
    )


def cape(look: Look, stance: Stance) -> str:
    """A cape behind everything, from the shoulders to the calves."""
    cloth, wide = look.palette.cloth.shade(0.15), look.build.shoulder
    end = stance.knee_y + 0.55 * (stance.feet_y - stance.knee_y)
    sizes = {"top": 226.0, "end": end, "at_top": wide - 6, "at_end": wide + 62}
    shape = outline(_fall(stance, folds=4, **sizes))
    return solid(look, [shape], cloth, "cape", reach=1.6) + _pleats(look, cloth, n=5, **sizes)


#: Cuts of what is worn below.
CUTS: dict[str, Callable[[Look, Stance, Wear], str]] = {
    "trousers": _trousers,
    "skirt": _skirt,
    "shorts": _shorts,
    "coat": _coat,
    "robe": _robe,
}
