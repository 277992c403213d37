"""Eyes and brows: eight shapes of eye, four ways of painting an iris, six brows.

Owns: the eyes. Refuses to know the rest of the face.
"""

from __future__ import annotations

from dataclasses import dataclass

from collection.demo.colour import WHITE, Colour
from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, ellipse, flattened, group, outline, path

__all__ = ["EYES", "brow_top", "brows", "eyes"]


@dataclass(frozen=True)
class _Shape:
    """An eye about its centre, seen with the outer corner to the right."""

    width: float
    upper: float  # height of the upper lid above the centre
    lower: float
    inner: float  # y of the inner corner
    outer: float  # y of the outer corner
    peak: float  # x of the upper lid's highest point
    flat: float  # 0 arched to 1 flat upper lid


EYES: tuple[_Shape, ...] = (
    _Shape(27, 16, 11, 2, 1, 1, 0.3),  # round
    _Shape(30, 13, 9, 3, -1, 0, 0.4),  # almond
    _Shape(29, 14, 11, -1, 5, -3, 0.3),  # drooping
    _Shape(30, 13, 9, 6, -6, 3, 0.3),  # upturned
    _Shape(31, 9, 7, 3, -2, 1, 0.5),  # narrow
    _Shape(28, 15, 10, 5, -5, 4, 0.0),  # cat's
    _Shape(29, 18, 12, 3, 2, 0, 0.5),  # doll's
    _Shape(30, 11, 10, -2, 0, 0, 1.0),  # heavy-lidded
)


def eyes(look: Look) -> str:
    """Both eyes, the farther one a little narrower when the head is turned."""
    rng, build = look.chance("eyes"), look.build
    shape = EYES[int(rng.integers(len(EYES)))]
    gaze = (float(rng.uniform(-2, 2)), float(rng.uniform(-0.6, 1.2)))
    odd = rng.random() < 0.06  # eyes of two colours
    other = Colour(0.62, look.palette.iris.chroma, look.palette.iris.hue + 120)
    parts = []
    for side in (-1, 1):
        iris = other if odd and side < 0 else look.palette.iris
        eye = _eye(look, shape, iris, (side * gaze[0], gaze[1]), side)
        size = 1.12 * look.style.eye_size
        squeeze = size * (1 - 0.016 * max(0.0, side * build.turn))
        x = MIDDLE + side * build.eye_gap + build.turn
        parts.append(
            group(
                eye,
                f'transform="translate({x:.1f} {build.eye_line:.1f}) scale({side * squeeze:.3f} {size:.3f})"',
            )
        )
    return "".join(parts)


def _lids(look: Look, shape: _Shape) -> tuple[list[Vertex], list[Vertex]]:
    """Upper lid from the inner to the outer corner, lower lid back; openness lifts the upper one."""
    angular = look.level["angularity"]
    opened = 0.3 + 0.95 * look.level["eye_openness"]
    half, up = shape.width / 2, shape.upper * opened
    soft = look.rounding(0.3, 1.0)
    inner, outer = shape.inner, shape.outer - 7 * (angular - 0.5)
    top = min(inner, outer) * 0.35 - up
    tilt = (outer - inner) * 0.12
    upper: list[Vertex] = [
        (-half, inner, 0.3),
        (-half * (0.62 + 0.2 * shape.flat) + shape.peak * 0.4, top + 2.5 * (1 - shape.flat) - tilt, soft),
        (half * (0.5 + 0.25 * shape.flat) + shape.peak * 0.6, top + tilt, soft),
        (half, outer, 0.3),
    ]
    low = shape.lower * (0.72 + 0.28 * opened)
    lower: list[Vertex] = [(half * 0.62, low, soft), (-half * 0.45, low, soft)]
    return upper, lower


def _eye(look: Look, shape: _Shape, iris: Colour, gaze: tuple[float, float], side: int) -> str:
    upper, lower = _lids(look, shape)
    opening = outline(upper + lower)
    name = f"eye{side + 1}"
    white = WHITE.shade(0.03)
    lit = ellipse(0, 8, shape.width, 10, WHITE.hex())
    content = path(opening, white.shade(look.depth * 0.3).hex()) + lit + _iris(look, shape, iris, gaze, side)
    shadow = [(x, y + 3.2 + 2.2 * look.reach, k) for x, y, k in upper]
    brow_shadow = outline([*shadow, (shape.width, -40, 0), (-shape.width, -40, 0)])
    content += path(brow_shadow, Colour(0.25, 0.04, 290).hex(), f'opacity="{0.16 + 0.34 * look.depth:.2f}"')
    return (
        f'<clipPath id="{name}">{path(opening, "#000")}</clipPath>'
        + group(content, f'clip-path="url(#{name})"')
        + _lashes(look, upper, lower)
    )


def _iris(look: Look, shape: _Shape, iris: Colour, gaze: tuple[float, float], side: int) -> str:
    """Iris, pupil and highlights; its size does not follow openness."""
    tall = 0.5 * (shape.upper + shape.lower) * 0.98
    rx, ry = 0.8 * tall if tall > 10.5 else 0.95 * tall, tall
    rx, ry = max(rx, 8.0), max(ry, 9.0)
    x, y = gaze[0], gaze[1] + (shape.lower - shape.upper * 0.86) / 2
    name, kind = f"iris{side + 1}", look.style.iris
    tones = ((0.1, iris.shade(0.5)), (0.55, iris), (1, iris.light(0.45)))
    stops = "".join(f'<stop offset="{at}" stop-color="{tone.hex()}"/>' for at, tone in tones)
    gradient = f'<linearGradient id="{name}" x1="0" y1="0" x2="0" y2="1">{stops}</linearGradient>'
    rim = f'stroke="{iris.shade(0.62).hex()}" stroke-width="1.6"'
    parts = [gradient, ellipse(x, y, rx, ry, f"url(#{name})", rim)]
    pupil = look.ink().hex()
    if kind == 0:
        parts.append(ellipse(x, y - 0.5, rx * 0.42, ry * 0.46, pupil))
    elif kind == 1:
        parts.append(
            ellipse(x, y, rx * 0.66, ry * 0.66, iris.shade(0.3).hex())
            + ellipse(x, y, rx * 0.34, ry * 0.38, pupil)
        )
    elif kind == 2:
        parts.append(ellipse(x, y - 1, rx * 0.24, ry * 0.62, pupil))
    else:
        parts.append(ellipse(x, y + ry * 0.42, rx * 0.62, ry * 0.36, iris.light(0.5).hex(), 'opacity="0.8"'))
        parts.append(ellipse(x, y - ry * 0.2, rx * 0.5, ry * 0.42, pupil))
    s = side * look.style.light  # light falls from the same side in both eyes
    parts.append(ellipse(x + s * rx * 0.36, y - ry * 0.36, rx * 0.34, ry * 0.27, "#ffffff"))
    parts.append(ellipse(x - s * rx * 0.42, y + ry * 0.42, rx * 0.17, ry * 0.14, "#ffffff", 'opacity="0.9"'))
    return "".join(parts)


def _lashes(look: Look, upper: list[Vertex], lower: list[Vertex]) -> str:
    """Upper lash line, thicker to the outside, with a wing; a fold above; a thin lower line."""
    ink, skin = look.ink().hex(), look.palette.skin
    thick = (2.6 + 1.6 * look.build.lashes) * (0.8 + 0.4 * look.level["line_sharpness"])
    (ix, iy, _), (ax, ay, ak), (bx, by, bk), (ox, oy, _) = upper
    wing = 2 + 4 * look.build.lashes + 3 * look.level["angularity"]
    line: list[Vertex] = [
        (ix - 0.5, iy + 0.5, 0.2),
        (ax, ay, ak),
        (bx, by, bk),
        (ox, oy, 0.4),
        (ox + wing, oy - wing * 0.75, 0.1),
        (bx + 2.5, by - thick, bk),
        (ax - 0.5, ay - thick * 0.75, ak),
    ]
    parts = [path(outline(line), ink)]
    if look.build.lashes >= 0.7:
        for step in (0.0, 0.45):
            px, py = ox - step * 8, oy - step * 9
            parts.append(
                path(
                    f"M{px:.1f} {py:.1f}q4 -1 {6 - 2 * step:.1f} {-5 - 2 * step:.1f}",
                    "none",
                    f'stroke="{ink}" stroke-width="1.8" stroke-linecap="round"',
                )
            )
    fold: list[Vertex] = [
        (ax + 1, ay - thick - 3.4, 0),
        (bx, by - thick - 3.8, 1),
        (ox - 1, oy - thick - 3.5, 0),
    ]
    parts.append(path(outline(fold, closed=False), "none", look.line(skin, 0.55, 0.65)))
    (lx, ly, _), (mx, my, _) = lower
    under: list[Vertex] = [(ox - 1, oy + 3, 0), (lx, ly + 0.6, 1), (mx + 6, my + 0.6, 0)]
    parts.append(path(outline(under, closed=False), "none", look.line(skin, 0.75, 0.85)))
    return "".join(parts)


def _brow(look: Look) -> tuple[list[Vertex], float, bool]:
    """Outline of the right brow about its place, how far above the eye that is, whether it is broken."""
    rng = look.chance("brows")
    slant = float(rng.choice((-6, -4, -2, 0, 2, 4)))
    thick = float(rng.uniform(1.6, 4.6))
    height = 23.0 + float(rng.uniform(-2, 3))
    broken = bool(rng.random() < 0.08)
    bend = look.rounding(0.05, 1.0)
    half: list[Vertex] = [
        (-13, -slant, 0.3),
        (4, -5 - thick * 0.4 + slant * 0.5, bend),
        (16, -1 + slant, 0.1),
        (4, -5 + thick * 0.6 + slant * 0.5, bend),
        (-12, -slant + thick, 0.3),
    ]
    return half, height, broken


def brow_top(look: Look) -> float:
    """Height (y) of the brows' upper edge, before the head is tilted."""
    half, height, _ = _brow(look)
    return look.build.eye_line - height + min(y for _, y in flattened(half))


def brows(look: Look) -> str:
    """Brows: thickness, slant and bend by chance, the bend sharper for angular characters."""
    build = look.build
    half, height, broken = _brow(look)
    tone = look.palette.hair.shade(0.45 if look.palette.hair.lightness > 0.5 else 0.3)
    parts = []
    for side in (-1, 1):
        x = MIDDLE + side * build.eye_gap + build.turn
        data = outline(half)
        cut = path("M6 -12l4 0l-3 16l-4 0Z", look.palette.skin.hex()) if broken and side > 0 else ""
        parts.append(
            group(
                path(data, tone.hex()) + cut,
                f'transform="translate({x:.1f} {build.eye_line - height:.1f}) scale({side} 1)"',
            )
        )
    return "".join(parts)
