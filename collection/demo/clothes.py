"""Clothes: shoulders and nine kinds of collar.

Owns: everything worn below the chin. Refuses to know the neck it surrounds.
"""

from __future__ import annotations

from collections.abc import Callable

from collection.demo.colour import Colour
from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, ellipse, group, mirror, outline, path

__all__ = ["COLLARS", "clothes", "collar_of", "shoulder_line"]


def collar_of(look: Look) -> str:
    """Which of `COLLARS` a character wears: the series' own where it has a uniform, else any."""
    uniform, number, _, _ = look.style.uniform
    own = int(look.chance("clothes").integers(len(COLLARS)))
    return list(COLLARS)[number % len(COLLARS) if uniform else own]


def clothes(look: Look) -> str:
    """Shoulders in cloth with cel shadows, and a collar."""
    cloth = look.palette.cloth
    data = outline(_shoulders(look))
    s = look.style.light
    shade = cloth.shade(look.depth * 0.8).hex()
    lit = group(
        path(data, cloth.hex()),
        f'transform="translate({s * (6 + 22 * look.reach):.1f} {1 + 3 * look.reach:.1f})"',
    )
    folds = "".join(
        path(
            f"M{MIDDLE - k * 62:.0f} {244 - 4 * d:.0f}q{k * 10:.0f} 6 {k * 13:.0f} 16",
            "none",
            look.line(cloth, 0.6, 0.6),
        )
        for k, d in ((1, 0), (-1, 1))
    )
    body = (
        f'<clipPath id="body">{path(data, "#000")}</clipPath>'
        + group(path(data, shade) + lit, 'clip-path="url(#body)"')
        + path(data, "none", look.contour(cloth))
        + folds
    )
    return body + COLLARS[collar_of(look)](look)


def shoulder_line(look: Look) -> list[Vertex]:
    """From the neck's opening out to the point of the right shoulder."""
    angular, build = look.level["angularity"], look.build
    soft = look.rounding(0.0, 1.0)
    return [
        (MIDDLE + build.neck + 9, 207, 0.3),
        (MIDDLE + build.shoulder * 0.66, 216 - 4 * angular, soft),
        (MIDDLE + build.shoulder + 16 * angular, 226 - 12 * angular, soft),
    ]


def _shoulders(look: Look) -> list[Vertex]:
    """Round slope to a padded, pointed shoulder; the neck's opening is left free."""
    build, soft = look.build, look.rounding(0.0, 1.0)
    half: list[Vertex] = [
        *shoulder_line(look),
        (MIDDLE + build.shoulder + 14, 246, soft),
        (MIDDLE + build.shoulder + 16, 268, 0),
    ]
    throat = [(MIDDLE, 232.0, 0.9)]
    return throat + half + mirror(half)


def _pair(look: Look, half: list[Vertex], colour: Colour, *, shaded: bool = True) -> str:
    """Both halves of a collar, the one away from the light in shadow."""
    dark = colour.shade(look.depth * 0.55) if shaded else colour
    left, right = (colour, dark) if look.style.light < 0 else (dark, colour)
    return path(outline(half), right.hex(), look.contour(colour)) + path(
        outline(mirror(half)), left.hex(), look.contour(colour)
    )


def _stand(look: Look) -> str:
    """High closed collar of a uniform, with buttons."""
    w, cloth = look.build.neck, look.palette.cloth
    high = 192 - 8 * look.level["angularity"]
    half: list[Vertex] = [
        (MIDDLE, 214, 0),
        (MIDDLE + w + 8, high, look.rounding(0, 0.7)),
        (MIDDLE + w + 13, 218, 0.4),
        (MIDDLE, 236, 0),
    ]
    trim = look.palette.trim
    buttons = "".join(ellipse(MIDDLE, y, 3.2, 3.2, trim.hex(), look.contour(trim, 0.6)) for y in (243, 254))
    seam = path(f"M{MIDDLE} 236V262", "none", look.line(cloth, 0.7))
    return _pair(look, half, cloth) + seam + buttons


def _sailor(look: Look) -> str:
    """Sailor collar with a stripe and a bow."""
    w, trim, accent = look.build.neck, look.palette.trim, look.palette.accent
    point = look.rounding(0, 0.8)
    half: list[Vertex] = [
        (MIDDLE + w + 4, 206, 0.2),
        (MIDDLE + w + 50, 219, point),
        (MIDDLE + w + 44, 238, point),
        (MIDDLE + 3, 252, 0.1),
    ]
    inner: list[Vertex] = [(MIDDLE + w + 42, 221, 0), (MIDDLE + w + 37, 234, point), (MIDDLE + 8, 246, 0)]
    stripe = path(
        outline(inner, closed=False) + outline(mirror(inner), closed=False),
        "none",
        f'stroke="{accent.hex()}" stroke-width="2.4"',
    )
    wing: list[Vertex] = [(MIDDLE, 246, 0), (MIDDLE + 20, 236, point), (MIDDLE + 22, 254, point)]
    return (
        _pair(look, half, trim)
        + stripe
        + _pair(look, wing, accent)
        + ellipse(MIDDLE, 246, 4.5, 5, accent.hex(), look.contour(accent))
    )


def _shirt(look: Look) -> str:
    """Shirt collar with a tie."""
    w, trim, accent = look.build.neck, look.palette.trim.light(0.5), look.palette.accent
    reach = 24 + 8 * look.level["angularity"]
    half: list[Vertex] = [
        (MIDDLE + w + 2, 198, 0.3),
        (MIDDLE + w + 11, 212, 0.2),
        (MIDDLE + reach, 237, look.rounding(0, 0.7)),
        (MIDDLE + 1, 226, 0.1),
    ]
    knot: list[Vertex] = [
        (MIDDLE - 6, 225, 0.3),
        (MIDDLE + 6, 225, 0.3),
        (MIDDLE + 4, 236, 0.2),
        (MIDDLE + 9, 262, 0),
        (MIDDLE - 9, 262, 0),
        (MIDDLE - 4, 236, 0.2),
    ]
    return path(outline(knot), accent.hex(), look.contour(accent)) + _pair(look, half, trim)


def _jacket(look: Look) -> str:
    """Open jacket with lapels over a shirt."""
    w, cloth, trim = look.build.neck, look.palette.cloth, look.palette.trim
    point = look.rounding(0, 0.7)
    front: list[Vertex] = [
        (MIDDLE - w - 6, 212, 0),
        (MIDDLE, 226, 0.9),
        (MIDDLE + w + 6, 212, 0),
        (MIDDLE + 20, 262, 0),
        (MIDDLE - 20, 262, 0),
    ]
    half: list[Vertex] = [
        (MIDDLE + w + 3, 200, 0.2),
        (MIDDLE + w + 13, 204, 0.4),
        (MIDDLE + w + 26, 226, point),
        (MIDDLE + w + 16, 230, point),
        (MIDDLE + w + 20, 240, point),
        (MIDDLE + 13, 266, 0),
    ]
    return path(outline(front), trim.hex(), look.contour(trim)) + _pair(look, half, cloth.shade(0.12))


def _hood(look: Look) -> str:
    """Hood lying on the shoulders, with cords."""
    w, cloth = look.build.neck, look.palette.cloth
    soft = look.rounding(0.1, 1)
    half: list[Vertex] = [
        (MIDDLE, 240, 0.6),
        (MIDDLE + w + 2, 214, 0.6),
        (MIDDLE + w + 10, 196, soft),
        (MIDDLE + w + 34, 204, soft),
        (MIDDLE + w + 28, 226, soft),
        (MIDDLE, 254, 0.5),
    ]
    cords = "".join(
        path(
            f"M{MIDDLE + s * 12} 244v16",
            "none",
            f'stroke="{look.palette.trim.hex()}" stroke-width="3" stroke-linecap="round"',
        )
        for s in (-1, 1)
    )
    return _pair(look, half, cloth.light(0.12)) + cords


def _cloak(look: Look) -> str:
    """Cloak with a high collar that stands up beside the jaw."""
    w, cloth, accent = look.build.neck, look.palette.cloth.shade(0.15), look.palette.accent
    high = 192 - 22 * look.level["angularity"]
    point = look.rounding(0, 1)
    inside: list[Vertex] = [
        (MIDDLE, 244, 0),
        (MIDDLE + w + 2, 212, 0.6),
        (MIDDLE + w + 26, high + 4, point),
        (MIDDLE + w + 30, 216, 0.5),
    ]
    half: list[Vertex] = [
        (MIDDLE, 248, 0),
        (MIDDLE + w + 20, 220, 0.5),
        (MIDDLE + w + 32, high, point),
        (MIDDLE + w + 44, 218, 0.6),
        (MIDDLE + 18, 262, 0),
    ]
    clasp = ellipse(MIDDLE, 247, 6, 6, accent.hex(), look.contour(accent))
    return _pair(look, inside, look.palette.trim) + _pair(look, half, cloth) + clasp


def _kimono(look: Look) -> str:
    """Crossed collar."""
    w, trim, accent = look.build.neck, look.palette.trim, look.palette.accent
    under: list[Vertex] = [
        (MIDDLE - w - 4, 204, 0),
        (MIDDLE - w - 16, 210, 0),
        (MIDDLE + 8, 264, 0),
        (MIDDLE + 24, 258, 0),
    ]
    over = mirror([(x - 2, y, k) for x, y, k in under])
    thin = [(x - 5, y - 1, k) for x, y, k in over]
    return (
        path(outline(under), trim.hex(), look.contour(trim))
        + path(outline(thin), accent.hex())
        + path(outline(over), trim.hex(), look.contour(trim))
    )


def _turtleneck(look: Look) -> str:
    """Rolled collar up to the chin."""
    w, trim = look.build.neck, look.palette.cloth.light(0.1)
    soft = look.rounding(0.15, 1)
    roll: list[Vertex] = [(MIDDLE + w + 5, 196, soft), (MIDDLE + w + 9, 216, soft), (MIDDLE, 226, 1)]
    shape = [(MIDDLE, 208.0, 1.0), *roll, *mirror(roll[:-1])]
    ribs = "".join(f"M{MIDDLE + x:.0f} {210 + 4 - abs(x) * 0.3:.0f}v9" for x in (-18, -9, 0, 9, 18))
    return path(outline(shape), trim.hex(), look.contour(trim)) + path(
        ribs, "none", look.line(trim, 0.5, 0.5)
    )


def _scarf(look: Look) -> str:
    """Scarf wound around the neck, its end over a shoulder."""
    w, accent = look.build.neck, look.palette.accent
    soft, s = look.rounding(0.1, 1), look.style.light
    end: list[Vertex] = [
        (MIDDLE - s * 20, 216, 0.5),
        (MIDDLE - s * 44, 224, soft),
        (MIDDLE - s * 50, 264, 0),
        (MIDDLE - s * 24, 264, 0),
    ]
    wrap: list[Vertex] = [
        (MIDDLE + w + 13, 196, soft),
        (MIDDLE + w + 23, 212, soft),
        (MIDDLE + w, 232, soft),
        (MIDDLE, 238, 0.8),
    ]
    shape = [(MIDDLE, 213.0, 1.0), *wrap, *mirror(wrap[:-1])]
    crease = path(
        f"M{MIDDLE - s * (w + 14):.0f} 206Q{MIDDLE:.0f} 232 {MIDDLE + s * (w + 10):.0f} 216",
        "none",
        look.line(accent, 0.6, 0.6),
    )
    return (
        path(outline(end), accent.shade(look.depth * 0.4).hex(), look.contour(accent))
        + path(outline(shape), accent.hex(), look.contour(accent))
        + crease
    )


COLLARS: dict[str, Callable[[Look], str]] = {
    "stand": _stand,
    "sailor": _sailor,
    "shirt": _shirt,
    "jacket": _jacket,
    "hood": _hood,
    "cloak": _cloak,
    "kimono": _kimono,
    "turtleneck": _turtleneck,
    "scarf": _scarf,
}
