"""Outlines: polygons whose corners are rounded by a known share, as SVG path data.

Owns: the geometry of lines. Refuses to know what a line is part of. Lengths are in units of the
drawing, 256 to a side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = [
    "MIDDLE",
    "Vertex",
    "bow",
    "ellipse",
    "flattened",
    "group",
    "mirror",
    "outline",
    "path",
    "turned",
]

#: x, y and rounding: 0 keeps the corner, 1 makes it a smooth curve from midpoint to midpoint.
Vertex = tuple[float, float, float]

#: x of the line that a face is symmetric about.
MIDDLE = 128.0


def outline(vertices: Sequence[Vertex], *, closed: bool = True) -> str:
    """Path data of a polygon with rounded corners.

    A corner is cut at half its rounding along both edges and bridged by a quadratic curve, so that
    angularity is one number everywhere: 1 - rounding.

    Parameters
    ----------
    vertices : sequence of (x, y, rounding)
    closed : bool
        Whether the last vertex joins the first; an open line keeps its two ends.
    """
    count = len(vertices)
    steps: list[str] = []
    if not closed:
        steps.append(f"M{vertices[0][0]:.1f} {vertices[0][1]:.1f}")
    for i in range(count) if closed else range(1, count - 1):
        (px, py, _), (x, y, rounding), (nx, ny, _) = vertices[i - 1], vertices[i], vertices[(i + 1) % count]
        cut = 0.5 * min(1.0, max(0.0, rounding))
        ax, ay = x + (px - x) * cut, y + (py - y) * cut
        bx, by = x + (nx - x) * cut, y + (ny - y) * cut
        steps.append(f"{'L' if steps else 'M'}{ax:.1f} {ay:.1f}Q{x:.1f} {y:.1f} {bx:.1f} {by:.1f}")
    steps.append("Z" if closed else f"L{vertices[-1][0]:.1f} {vertices[-1][1]:.1f}")
    return "".join(steps)


def flattened(vertices: Sequence[Vertex], *, steps: int = 8) -> list[tuple[float, float]]:
    """Points along the closed `outline` of a polygon, ``steps`` to each rounded corner."""
    points = []
    for i, (x, y, rounding) in enumerate(vertices):
        (px, py, _), (nx, ny, _) = vertices[i - 1], vertices[(i + 1) % len(vertices)]
        cut = 0.5 * min(1.0, max(0.0, rounding))
        ax, ay, bx, by = x + (px - x) * cut, y + (py - y) * cut, x + (nx - x) * cut, y + (ny - y) * cut
        for t in (step / steps for step in range(steps + 1)):
            near, middle, far = (1 - t) ** 2, 2 * t * (1 - t), t**2
            points.append((near * ax + middle * x + far * bx, near * ay + middle * y + far * by))
    return points


def mirror(vertices: Sequence[Vertex]) -> list[Vertex]:
    """Mirror image about the middle, in reverse order (so that halves can be joined)."""
    return [(2 * MIDDLE - x, y, rounding) for x, y, rounding in reversed(vertices)]


def bow(start: Vertex, end: Vertex, amount: float) -> Vertex:
    """Vertex that bows an edge: the midpoint moved sideways by ``amount`` of the edge's length."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    return ((start[0] + end[0]) / 2 - dy * amount, (start[1] + end[1]) / 2 + dx * amount, 1.0)


def turned(x: float, y: float, length: float, angle: float) -> tuple[float, float]:
    """Point at a distance and an angle (degrees, 0 to the right, 90 up) from another."""
    return x + length * math.cos(math.radians(angle)), y - length * math.sin(math.radians(angle))


def path(data: str, fill: str = "none", extra: str = "") -> str:
    """Return a ``<path>`` element."""
    return f'<path d="{data}" fill="{fill}" {extra}/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, extra: str = "") -> str:
    """Return an ``<ellipse>`` element."""
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.2f}" ry="{ry:.2f}" fill="{fill}" {extra}/>'


def group(content: str, attributes: str) -> str:
    """Return a ``<g>`` element."""
    return f"<g {attributes}>{content}</g>"
