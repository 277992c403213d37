"""The head: face, ears, neck, nose, mouth, cheeks, scars and marks.

Owns: everything on skin but the eyes. Refuses to know hair and clothes.
"""

from __future__ import annotations

import numpy as np

from collection.demo.colour import WHITE, Colour
from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, ellipse, group, mirror, outline, path

__all__ = ["ears", "face_outline", "features", "head", "marks", "neck"]

_RED = Colour(0.5, 0.17, 25.0)


def face_outline(look: Look) -> list[Vertex]:
    """Outline of the face, clockwise from the top: round cheeks to an angular jaw."""
    build, angular = look.build, look.level["angularity"]
    w, chin, eyes = build.width, build.chin, build.eye_line
    jaw = chin - 20 - 7 * angular
    soft = look.rounding(0.12, 1.0)
    half = [
        (MIDDLE + 0.62 * w, 58.0, 1.0),
        (MIDDLE + 1.0 * w, 92.0, 1.0),
        (MIDDLE + w * (0.99 + 0.02 * angular), eyes + 6, 0.9),
        (MIDDLE + w * (1.03 - 0.09 * angular), eyes + 0.45 * (jaw - eyes), soft),
        (MIDDLE + w * (0.88 - 0.14 * angular), jaw, soft),
        (MIDDLE + w * (0.42 - 0.2 * angular), chin - 1 + 2 * angular, soft),
    ]
    left = mirror(half)
    chin_tip = [(MIDDLE + look.build.turn * 0.5, chin + 2 + 5 * angular, look.rounding(0.35, 1.0))]
    return half + chin_tip + left


def head(look: Look, fringe: str) -> str:
    """Face with its cel shadows.

    Parameters
    ----------
    fringe : str
        Path data of the front hair, which throws its shadow on the forehead.
    """
    skin, reach, light = look.palette.skin, look.reach, look.style.light
    data = outline(face_outline(look))
    shade, lit = skin.shade(look.depth * 0.62).hex(), skin.hex()
    shift = light * (3 + 17 * (reach - 0.25) / 1.5)
    lit_shape = group(path(data, lit), f'transform="translate({shift:.1f} {-2 - 5 * reach:.1f})"')
    under_fringe = group(path(fringe, shade), f'transform="translate({-light * 3:.1f} {2 + 9 * reach:.1f})"')
    inside = path(data, shade) + lit_shape + under_fringe
    return (
        f'<clipPath id="face">{path(data, "#000")}</clipPath>'
        + group(inside, 'clip-path="url(#face)"')
        + path(data, "none", look.contour(skin))
    )


def neck(look: Look) -> str:
    """Neck and collarbones, in the shadow of the chin."""
    build, skin = look.build, look.palette.skin
    w, chin = build.neck, build.chin
    sides: list[Vertex] = [
        (MIDDLE + w, chin - 30, 0),
        (MIDDLE + w * 0.97, chin + 12, 0.8),
        (MIDDLE + w + 14, 224, 0.8),
        (MIDDLE + 60, 262, 0),
    ]
    data = outline(sides + mirror(sides))
    drop = 10 + 13 * look.reach
    shadow = [(x, y + drop, k) for x, y, k in face_outline(look)]
    shade = skin.shade(look.depth * 0.78).hex()
    bones = "".join(
        path(
            f"M{MIDDLE + s * 5:.0f} 236Q{MIDDLE + s * 20:.0f} 229 {MIDDLE + s * 36:.0f} 232",
            "none",
            look.line(skin, 0.6, 0.5),
        )
        for s in (-1, 1)
    )
    return (
        f'<clipPath id="neck">{path(data, "#000")}</clipPath>'
        + path(data, skin.hex(), look.contour(skin))
        + group(path(outline(shadow), shade), 'clip-path="url(#neck)"')
        + bones
    )


def ears(look: Look) -> str:
    """Two ears, now and then pointed."""
    rng, skin, build = look.chance("ears"), look.palette.skin, look.build
    pointed = rng.random() < 0.13
    y, w = build.eye_line + 6, build.width
    tip = (
        MIDDLE + w + (30 if pointed else 9),
        y - (30 if pointed else 15),
        look.rounding(0.1, 0.5) if pointed else 0.9,
    )
    right: list[Vertex] = [
        (MIDDLE + w - 6, y - 10, 0.5),
        tip,
        (MIDDLE + w + 9, y + 4, 0.9),
        (MIDDLE + w + 2, y + 19, 0.9),
        (MIDDLE + w - 8, y + 16, 0.5),
    ]
    shade = skin.shade(look.depth * 0.6).hex()
    inner = [(MIDDLE + w - 6 + (x - MIDDLE - w + 6) * 0.6, y + (v - y) * 0.6, k) for x, v, k in right]
    return "".join(
        path(outline(side), skin.hex(), look.contour(skin, 0.9)) + path(outline(hollow), shade)
        for side, hollow in ((right, inner), (mirror(right), mirror(inner)))
    )


def features(look: Look) -> str:
    """Cheeks, nose and mouth, shifted as the head is turned."""
    rng = look.chance("features")
    content = _cheeks(look) + _nose(look, int(rng.integers(5))) + _mouth(look, int(rng.integers(9)), rng)
    return group(content, f'transform="translate({look.build.turn:.1f} 0)"')


def _cheeks(look: Look) -> str:
    kind, build = look.style.blush, look.build
    if kind == 0:
        return ""
    y = build.eye_line + 25
    pink = Colour(0.72, 0.1, 18.0).hex()
    spots = []
    for side in (-1, 1):
        x = MIDDLE + side * (build.eye_gap + 9)
        if kind == 1:
            spots.append(ellipse(x, y, 9, 4.5, pink, 'opacity="0.4"'))
        else:
            strokes = "".join(
                f"M{x + d - 1.5:.1f} {y + 3:.1f}L{x + d + 1.5:.1f} {y - 3:.1f}" for d in (-5, 0, 5)
            )
            spots.append(
                path(
                    strokes,
                    "none",
                    f'stroke="{pink}" stroke-width="1.6" stroke-linecap="round" opacity="0.75"',
                )
            )
    return "".join(spots)


def _nose(look: Look, kind: int) -> str:
    skin, build = look.palette.skin, look.build
    y = build.eye_line + 0.46 * (build.chin - build.eye_line)
    s = -look.style.light
    if kind == 0:
        tip = [(MIDDLE, y - 8, 0.3), (MIDDLE + s * 6, y + 1, 0.3), (MIDDLE - s * 1, y + 2, 0.3)]
        return path(outline(tip), skin.shade(look.depth * 0.7 + 0.06).hex())
    if kind == 1:
        return path(
            f"M{MIDDLE - 2.5:.1f} {y:.1f}Q{MIDDLE:.1f} {y + 3:.1f} {MIDDLE + 2.5:.1f} {y:.1f}",
            "none",
            look.line(skin, 0.7, 0.8),
        )
    if kind == 2:
        bridge: list[Vertex] = [
            (MIDDLE + s, y - 14, 0),
            (MIDDLE + s * 5, y, look.rounding(0, 1)),
            (MIDDLE - s, y + 1.5, 0),
        ]
        return path(outline(bridge, closed=False), "none", look.line(skin, 0.7, 0.75))
    if kind == 3:
        return ellipse(MIDDLE, y, 1.4, 1.1, skin.shade(0.42).hex())
    wing = "".join(
        f"M{MIDDLE + side * 4:.1f} {y - 1:.1f}q{side * 1.5:.1f} 2 {-side * 1.5:.1f} 2.6" for side in (-1, 1)
    )
    gleam = ellipse(MIDDLE - s * 1.5, y - 6, 1.5, 3.2, skin.light(0.55).hex())
    return gleam + path(wing, "none", look.line(skin, 0.6, 0.75))


def _mouth(look: Look, kind: int, rng: np.random.Generator) -> str:
    skin, build = look.palette.skin, look.build
    y = build.eye_line + 0.72 * (build.chin - build.eye_line)
    w = float(rng.uniform(8, 13))
    side = float(rng.choice((-1, 1)))
    line = look.line(skin, 0.9)
    left, right = MIDDLE - w, MIDDLE + w
    far, tip = MIDDLE - side * w, MIDDLE + side * w
    lobe = f"{MIDDLE - w / 2:.1f} {y + 6:.1f} {MIDDLE} {y:.1f}Q{MIDDLE + w / 2:.1f} {y + 6:.1f}"
    closed = {
        0: f"M{left:.1f} {y - 1:.1f}Q{MIDDLE} {y + 5:.1f} {right:.1f} {y - 1:.1f}",  # smile
        1: f"M{left:.1f} {y:.1f}L{right:.1f} {y:.1f}",  # straight
        2: f"M{far:.1f} {y + 2:.1f}Q{MIDDLE} {y + 3:.1f} {tip:.1f} {y - 4:.1f}l{side * 2} -2",  # smirk
        3: f"M{left:.1f} {y + 3:.1f}Q{MIDDLE} {y - 3:.1f} {right:.1f} {y + 3:.1f}",  # frown
        4: f"M{left:.1f} {y - 1:.1f}Q{lobe} {right:.1f} {y - 1:.1f}",  # cat's
    }
    lip = path(f"M{MIDDLE - 4:.1f} {y + 7:.1f}q4 1.6 8 0", "none", look.line(skin, 0.5, 0.4))
    if kind in closed:
        return path(closed[kind], "none", line) + lip
    inside = Colour(0.36, 0.1, 20.0).hex()
    if kind == 8:
        return ellipse(MIDDLE, y + 1, 4.2, 5.2, inside, look.contour(skin, 0.8))
    deep = float(rng.uniform(8, 12))
    shape = outline(
        [
            (left, y - 3, 0.35),
            (MIDDLE, y - 1.5, 1),
            (right, y - 3, 0.35),
            (right - 4, y + deep * 0.7, 1),
            (left + 4, y + deep * 0.7, 1),
        ]
    )
    content = path(shape, inside)
    if kind == 5:
        content += ellipse(MIDDLE, y + deep * 0.8, w * 0.6, deep * 0.5, Colour(0.68, 0.13, 20.0).hex())
    content += path(
        f"M{left:.1f} {y - 6:.1f}H{right:.1f}V{y + (3.4 if kind == 7 else 0.6):.1f}H{left:.1f}Z", WHITE.hex()
    )
    if kind == 7:
        content += path(f"M{left:.1f} {y - 6:.1f}H{right:.1f}V{y + 20:.1f}H{left:.1f}Z", WHITE.hex())
        content += path(f"M{left:.1f} {y + 1.6:.1f}H{right:.1f}", "none", look.line(skin, 0.5, 0.7))
    return (
        f'<clipPath id="mouth">{path(shape, "#000")}</clipPath>'
        + group(content, 'clip-path="url(#mouth)"')
        + path(shape, "none", look.contour(skin, 0.9))
    )


def marks(look: Look) -> str:
    """Scars and face marks: four places, each with a threshold of its own on the factor."""
    rng, build = look.chance("marks"), look.build
    value = look.character.factors["scars"]
    thresholds = np.array((-0.3, 0.45, 1.1, 1.8)) + rng.normal(0, 0.3, 4)
    kinds = rng.permutation(6)[:4]
    sides = rng.choice((-1, 1), 4)
    parts = [
        _mark(look, int(kind), int(side))
        for kind, side, t in zip(kinds, sides, thresholds, strict=True)
        if value > t
    ]
    return group("".join(parts), f'transform="translate({build.turn:.1f} 0)"')


def _mark(look: Look, kind: int, side: int) -> str:
    build, skin = look.build, look.palette.skin
    x, y = MIDDLE + side * build.eye_gap, build.eye_line
    tone = Colour(min(0.54, skin.lightness - 0.15), 0.185, 27.0).hex()
    if kind == 4:  # painted fangs below the eye
        fangs = "".join(
            f"M{x + d - 3.5:.1f} {y + 18:.1f}h7l{-3.5 + side:.1f} {h}Z" for d, h in ((-5, 15), (5, 20))
        )
        return path(fangs, tone)
    if kind == 5:  # two bars on the cheek
        bars = "".join(f"M{x + side * 2:.1f} {y + 24 + d:.1f}l{side * 17:.1f} -3" for d in (0, 8))
        return path(bars, "none", f'stroke="{tone}" stroke-width="4.6" stroke-linecap="butt"')
    start, end, ticks = (
        ((x - side * 3, y - 25), (x + side * 5, y + 33), 0),  # over the eye
        ((MIDDLE - 17, y + 17), (MIDDLE + 18, y + 13), 4),  # across the nose
        ((x + side * 13, y + 16), (x - side * 5, y + 38), 3),  # on the cheek
        ((MIDDLE + side * 13, y + 38), (MIDDLE + side * 4, y + 58), 2),  # at the mouth
    )[kind]
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = float(np.hypot(dx, dy))
    nx, ny = -dy / length, dx / length
    blade: list[Vertex] = [
        (start[0], start[1], 0),
        (start[0] + dx / 2 + nx * 3.6, start[1] + dy / 2 + ny * 3.6, 0.9),
        (end[0], end[1], 0),
        (start[0] + dx / 2 - nx * 2.2, start[1] + dy / 2 - ny * 2.2, 0.9),
    ]
    stitches = "".join(
        f"M{start[0] + dx * t + nx * 4:.1f} {start[1] + dy * t + ny * 4:.1f}l{-nx * 8:.1f} {-ny * 8:.1f}"
        for t in (np.arange(ticks) + 1) / (ticks + 1)
    )
    stroke = f'stroke="{tone}" stroke-width="2.3" stroke-linecap="round"'
    return path(outline(blade), tone, stroke) + (path(stitches, "none", stroke) if stitches else "")
