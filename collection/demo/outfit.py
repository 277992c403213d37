"""A figure's clothes as a whole: who wears what, the top and its sleeves, what lies over what.

Owns: the choice, the top, and the order of painting. Refuses to know the head and the picture.
"""

from __future__ import annotations

from collection.demo.body import Joint, Stance, arm, cel, hand, limb, solid
from collection.demo.clothes import COLLARS, collar_of, shoulder_line
from collection.demo.colour import BLACK, Colour, mix
from collection.demo.face import neck
from collection.demo.fronts import front
from collection.demo.look import Look
from collection.demo.lower import CUTS, Wear, cape
from collection.demo.shapes import MIDDLE, Vertex, mirror, outline, path

__all__ = ["dressed"]


def _wear_of(look: Look) -> Wear:
    rng, colours = look.chance("outfit"), look.palette
    uniform, number, _, _ = look.style.uniform
    collar = collar_of(look)
    own = int(rng.integers(len(CUTS)))
    cut = list(CUTS)[number // len(COLLARS) % len(CUTS) if uniform else own]
    if collar == "kimono":
        cut = "robe"
    dark = mix(colours.cloth.shade(0.5), BLACK, 0.35)
    lowers = (
        dark,
        colours.cloth.shade(0.32),
        mix(colours.trim, colours.cloth, 0.3),
        colours.accent.shade(0.3),
    )
    stockings = (None, None, dark, colours.trim.light(0.4))
    return Wear(
        cut=cut,
        collar=collar,
        lower=lowers[int(rng.choice(4, p=(0.4, 0.2, 0.25, 0.15)))],
        stocking=stockings[int(rng.integers(4))],
        shoe=(dark, colours.accent.shade(0.45), Colour(0.42, 0.06, 55.0))[int(rng.integers(3))],
        boots=float(rng.choice((0.0, 0.0, 0.5, 0.85))),
        short_sleeves=bool(rng.random() < 0.25),
        gloves=bool(rng.random() < 0.2),
    )


def dressed(look: Look, stance: Stance) -> str:
    """The body in its clothes, from back to front, all but the head."""
    wear = _wear_of(look)
    arms = {side: _arm(look, stance, wear, side) for side in (-1, 1)}
    # an arm that is behind the back, and one that only hangs there, end behind the body
    hidden = "".join(arms[side] for side in (-1, 1) if stance.arms[side > 0] == "behind")
    seen = "".join(arms[side] for side in (-1, 1) if stance.arms[side > 0] != "behind")
    return (
        (cape(look, stance) if wear.collar == "cloak" else "")
        + hidden
        + CUTS[wear.cut](look, stance, wear)
        + neck(look)
        + _torso(look, stance, wear)
        + COLLARS[wear.collar](look)
        + front(look, stance, wear.collar)
        + seen
    )


def _torso(look: Look, stance: Stance, wear: Wear) -> str:
    """The top, and the upper arms' sleeves grown together with it."""
    tucked = wear.cut in ("skirt", "robe")
    hem_y = stance.waist_y + 22 if tucked else stance.hips_y + 16
    hem = stance.waist + 3 if tucked else stance.hips + 5
    wide, soft = look.build.shoulder, look.rounding(0.0, 1.0)
    half: list[Vertex] = [
        *shoulder_line(look),
        (MIDDLE + wide + 10, 248, soft),
        (MIDDLE + wide * 0.76, 306, 0.7),
        (MIDDLE + stance.waist, stance.waist_y, 0.95),
        (MIDDLE + hem, hem_y, 0.15),
    ]
    body = outline([(MIDDLE, 232.0, 0.9), *half, (MIDDLE, hem_y + 4, 1.0), *mirror(half)])
    upper = [outline(limb(arm(look, stance, side)[:3], 0.9, ends=0.9)) for side in (-1, 1)]
    cloth = look.palette.cloth
    folds = "".join(
        path(
            f"M{MIDDLE + s * (stance.waist - 2):.0f} {stance.waist_y - 14 + 9 * i:.0f}"
            f"q{-s * 12} {3 + 2 * i} {-s * (20 - 5 * i)} {1 + 5 * i}",
            "none",
            look.line(cloth, 0.55, 0.6),
        )
        for s in (-1, 1)
        for i in range(2)
    )
    return solid(look, [*upper, body], cloth, "torso", reach=1.4) + folds


def _arm(look: Look, stance: Stance, wear: Wear, side: int) -> str:
    """One arm: the hand, skin, the sleeve over it."""
    joints, name = arm(look, stance, side), f"arm{side + 1}"
    skin = look.palette.skin
    held = hand(look, joints, side, wear.shoe if wear.gloves else skin)
    if wear.short_sleeves:
        forearm = solid(look, [outline(limb(_slim(joints), 0.9))], skin, name, reach=0.35)
        x, y, half = joints[1]
        short = [joints[0], (x, y, half + 4)]
        loose = [_between(short[0], short[1], 0.55), short[1]]
        return held + forearm + _sleeve(look, short, loose, name)
    cuff = [_between(joints[-1], joints[-2], 0.14), joints[-1]]
    band = outline(limb([(x, y, half + 2.5) for x, y, half in cuff], ends=0.15))
    trim = look.palette.trim
    return held + _sleeve(look, joints, joints[1:], name) + path(band, trim.hex(), look.contour(trim, 0.9))


def _sleeve(look: Look, joints: list[Joint], loose: list[Joint], name: str) -> str:
    """A sleeve that grows out of the top: only its loose part has a contour."""
    cloth = look.palette.cloth
    contour = path(outline(limb(loose, 0.9, ends=0.4)), "none", look.contour(cloth, 1.9))
    return contour + cel(look, outline(limb(joints, 0.9, ends=0.6)), cloth, name + "s", reach=0.4)


def _between(first: Joint, second: Joint, share: float) -> Joint:
    """The joint at a share of the way from one to another."""
    x, y, half = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return x, y, half


def _slim(joints: list[Joint]) -> list[Joint]:
    """A limb without the stuff around it."""
    return [(x, y, half * 0.82) for x, y, half in joints]
