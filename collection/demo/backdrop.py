"""What is behind and over the figure: backdrop, aura, tint, vignette, crest and frame.

Owns: the rim of the picture. Refuses to know the figure.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collection.demo.colour import BLACK, WHITE, Colour
from collection.demo.look import Look
from collection.demo.shapes import MIDDLE, Vertex, ellipse, group, outline, path, turned

__all__ = ["aura", "backdrop", "flames", "overlay"]


def backdrop(look: Look) -> str:
    """Ground of the picture, as the series paints it."""
    return _GROUNDS[look.style.backdrop](look, look.palette.ground, look.palette.ground.light(0.35))


def _stops(*stops: tuple[float, str, float]) -> str:
    """Stops of a gradient: offset, colour, opacity."""
    return "".join(f'<stop offset="{at}" stop-color="{c}" stop-opacity="{o:.2f}"/>' for at, c, o in stops)


def _rect(fill: str, extra: str = "", *, size: tuple[int, int] = (256, 256)) -> str:
    return f'<rect x="-4" y="-4" width="{size[0] + 8}" height="{size[1] + 8}" fill="{fill}" {extra}/>'


def _plain(look: Look, ground: Colour, light: Colour) -> str:
    return _rect(ground.hex())


def _gradient(look: Look, ground: Colour, light: Colour) -> str:
    stops = _stops((0, ground.shade(0.18).hex(), 1), (1, light.hex(), 1))
    return f'<linearGradient id="ground" x1="0" y1="0" x2="0" y2="1">{stops}</linearGradient>' + _rect(
        "url(#ground)"
    )


def _radial(look: Look, ground: Colour, light: Colour) -> str:
    stops = _stops((0, light.hex(), 1), (1, ground.shade(0.22).hex(), 1))
    return f'<radialGradient id="ground" cx="0.5" cy="0.45" r="0.75">{stops}</radialGradient>' + _rect(
        "url(#ground)"
    )


def _rays(look: Look, ground: Colour, light: Colour) -> str:
    count = 14
    data = ""
    for i in range(count):
        a, b = (turned(MIDDLE, 118, 220, 360 * (i + d) / count) for d in (0.0, 0.5))
        data += f"M{MIDDLE} 118L{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}Z"
    return _rect(ground.hex()) + path(data, light.hex(), 'opacity="0.6"')


def _halftone(look: Look, ground: Colour, light: Colour) -> str:
    dots = "".join(
        ellipse(x + (8 if row % 2 else 0), y, r, r, light.hex())
        for row, y in enumerate(range(4, 260, 14))
        if (r := 6.2 * (1 - y / 270)) > 0.6
        for x in range(0, 264, 16)
    )
    return _rect(ground.hex()) + dots


def _stripes(look: Look, ground: Colour, light: Colour) -> str:
    data = "".join(f"M{x} -4h16l-90 264h-16Z" for x in range(0, 380, 36))
    return _rect(ground.hex()) + path(data, light.hex(), 'opacity="0.55"')


def _bokeh(look: Look, ground: Colour, light: Colour) -> str:
    rng = look.chance("bokeh")
    spots = "".join(
        ellipse(
            float(rng.uniform(0, 256)),
            float(rng.uniform(0, 200)),
            r,
            r,
            light.hex(),
            f'opacity="{rng.uniform(0.25, 0.6):.2f}"',
        )
        for r in rng.uniform(4, 22, 16)
    )
    return _rect(ground.shade(0.06).hex()) + spots


def _panel(look: Look, ground: Colour, light: Colour) -> str:
    disc = ellipse(MIDDLE, 122, 104, 104, light.hex())
    ring = ellipse(MIDDLE, 122, 114, 114, "none", f'stroke="{light.hex()}" stroke-width="3" opacity="0.7"')
    return _rect(ground.hex()) + ring + disc


def _sky(look: Look, ground: Colour, light: Colour) -> str:
    rng = look.chance("sky")
    clouds = ""
    for _ in range(5):
        x, y, w = float(rng.uniform(0, 256)), float(rng.uniform(20, 210)), float(rng.uniform(22, 44))
        puffs = ((-0.6, 0.2, 0.45), (-0.1, -0.1, 0.6), (0.5, 0.15, 0.5), (0.0, 0.3, 0.7))
        clouds += "".join(
            ellipse(x + dx * w, y + dy * w, r * w, r * w * 0.62, light.light(0.3).hex(), 'opacity="0.75"')
            for dx, dy, r in puffs
        )
    return _gradient(look, ground, light) + clouds


_GROUNDS: dict[str, Callable[[Look, Colour, Colour], str]] = {
    "plain": _plain,
    "gradient": _gradient,
    "radial": _radial,
    "rays": _rays,
    "halftone": _halftone,
    "stripes": _stripes,
    "bokeh": _bokeh,
    "panel": _panel,
    "sky": _sky,
}


def aura(look: Look) -> str:
    """Flames of a dark aura, or sparks of a radiant one, behind the figure."""
    rng, pull = look.chance("aura"), look.aura
    jitter = rng.uniform(-1, 1, (2, 24))
    if pull > 0:
        inner, outer = _flames(look, jitter[0], pull), _flames(look, jitter[1], pull * 0.7)
        tone = look.palette.accent.shade(0.45)
        opacity = min(1.0, 1.4 * pull)
        return path(inner, tone.hex(), f'opacity="{0.55 * opacity:.2f}"') + path(
            outer, BLACK.hex(), f'opacity="{0.85 * opacity:.2f}"'
        )
    sparks = ""
    for i in range(12):
        x, y = turned(MIDDLE, 124, 104 + 16 * jitter[0, i], 30 * i + 14 * jitter[0, i + 12] - 20)
        size = (2 + 3 * (jitter[1, i] + 1)) * min(1.0, -1.3 * pull)
        star = [(*turned(x, y, size * (1 if k % 2 == 0 else 0.3), 45 * k), 0.0) for k in range(8)]
        sparks += path(outline(star), WHITE.hex(), f'opacity="{min(1.0, -1.5 * pull):.2f}"')
    return sparks


def _flames(look: Look, jitter: np.ndarray, pull: float) -> str:
    """Ring of flames around head and shoulders."""
    vertices: list[Vertex] = []
    for i in range(24):
        angle = -40 + 260 * i / 23
        length = 88 + (14 + 34 * pull + 10 * float(jitter[i]) if i % 2 else 2.0)
        x, y = turned(MIDDLE, 132, length, angle)
        vertices.append((x, y - (8 if i % 2 else 0), 0.15 if i % 2 else 0.9))
    return outline([*vertices, (10, 262, 0), (246, 262, 0)])


def flames(look: Look, feet_y: float) -> str:
    """The aura drawn out to the feet of a figure at full length."""
    top, bottom = 2.0, 262.0
    tall = (feet_y + 30 - top) / (bottom - top)
    wide = 1.25 if look.aura > 0 else 1.5
    moved = f"translate({MIDDLE * (1 - wide):.1f} {top * (1 - tall) - 30:.1f}) scale({wide} {tall:.3f})"
    return group(aura(look), f'transform="{moved}"')


def overlay(look: Look, width: int = 256, height: int = 256) -> str:
    """Tint of the series' light, vignette, crest and frame."""
    hue, strength = look.style.tint
    size = (width, height)
    tint = _rect(Colour(0.7, 0.13, hue).hex(), f'opacity="{strength:.2f}"', size=size)
    dark = min(0.9, 0.55 * look.level["shadow_density"] ** 1.5 + 0.5 * look.style.vignette)
    stops = _stops((0.62, "#0a0612", 0), (1, "#0a0612", dark))
    vignette = f'<radialGradient id="vignette" cx="0.5" cy="0.5" r="0.72">{stops}</radialGradient>' + _rect(
        "url(#vignette)", size=size
    )
    return tint + vignette + _grain(look, size) + _crest(look, size) + _frame(look, size)


def _grain(look: Look, size: tuple[int, int]) -> str:
    """Texture that a series lies over every picture: scan lines, dots or hatching."""
    kind, strength = look.style.grain
    if kind == 0:
        return ""
    tile, data = {
        1: (4, "M0 1H4"),
        2: (5, "M2 2h1.2v1.2h-1.2Z"),
        3: (6, "M-1 7L7 -1"),
    }[kind]
    ink = f'stroke="#1a1024" stroke-width="1.1" opacity="{1.6 * strength:.2f}"'
    units = f'width="{tile}" height="{tile}" patternUnits="userSpaceOnUse"'
    return f'<pattern id="grain" {units}>{path(data, "none", ink)}</pattern>' + _rect(
        "url(#grain)", size=size
    )


def _crest(look: Look, size: tuple[int, int]) -> str:
    """Small sign of the series in the lower corner."""
    kind, x, y = look.style.crest, size[0] - 20.0 if look.style.light < 0 else 20.0, size[1] - 20.0
    if kind == 0:
        return ""
    colour = Colour(0.93, 0.06, look.style.tint[0]).hex()
    points = {1: 4, 2: 5, 3: 6, 4: 3}[kind]
    shape = [(*turned(x, y, 11 if k % 2 == 0 else 5, 90 + 180 * k / points), 0.0) for k in range(2 * points)]
    return path(outline(shape), colour, 'stroke="#201828" stroke-width="1.5" opacity="0.9"')


def _frame(look: Look, size: tuple[int, int]) -> str:
    width = look.style.frame
    if width == 0:
        return ""
    own = look.style.ground
    colour = Colour(0.82 + own[1], 0.11, look.style.tint[0]).hex()
    near, right, foot = width / 2, size[0] - width / 2, size[1] - width / 2
    return path(f"M{near} {near}H{right}V{foot}H{near}Z", "none", f'stroke="{colour}" stroke-width="{width}"')
