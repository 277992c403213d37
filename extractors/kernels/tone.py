"""Light and dark over regions of the grey plane, and the shape of its Otsu mask.

Owns the geometry: centre box, rim, quadrants, 8x8 cells, the aura's ring, all relative to the box.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit
from numpy import int32 as i32
from numpy import uint8 as u8
from numpy import uint16 as u16

__all__ = ["NAMES", "measure"]

#: What `measure` writes into ``out``, in order.
NAMES: Final = (
    "grey_mean", "grey_std", "grey_range", "grey_entropy", "centre_mean", "centre_minus_rim",
    "top_left_mean", "top_right_mean", "bottom_left_mean", "bottom_right_mean", "symmetry", "roundness",
    "shadow_density", "shadow_concentration", "aura_mean", "aura_dark_share", "aura_glow_share",
)  # fmt: skip

DARK_BELOW: Final = 64
GRID: Final = 8
RING_INNER_PERCENT: Final = 70
RING_OUTER_PERCENT: Final = 95
LOW_PERCENT: Final = 5
HIGH_PERCENT: Final = 95

U8: TypeAlias = npt.NDArray[np.uint8]
I64: TypeAlias = npt.NDArray[np.int64]
F64: TypeAlias = npt.NDArray[np.float64]
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "cache": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_OPTIONS)
def _sum(line: U8) -> np.int64:
    """Σ of at most 257 uint8: it fits 16 bits."""
    total = u16(0)
    for x in range(line.size):
        total = u16(total + u16(line[x]))
    return np.int64(total)


@njit(**_OPTIONS)
def _dark(line: U8) -> np.int64:
    """How many are darker than ``DARK_BELOW``."""
    total = u16(0)
    for x in range(line.size):
        total = u16(total + u16(line[x] < u8(DARK_BELOW)))
    return np.int64(total)


@njit(**_OPTIONS)
def _glow(flag: U8) -> np.int64:
    """How many have bit 1 set."""
    total = u16(0)
    for x in range(flag.size):
        total = u16(total + u16(flag[x] >> u8(1)))
    return np.int64(total)


@njit(**_OPTIONS)
def _mirrored(line: U8) -> np.int64:
    """Σ g(x) g(n-1-x)."""
    total = i32(0)
    last = np.uint64(line.size - 1)
    for x in range(line.size):
        total = i32(total + i32(i32(line[x]) * i32(line[last - np.uint64(x)])))
    return np.int64(total)


@njit(**_OPTIONS)
def _entropy(counts: I64) -> float:
    """-Σ p log2 p."""
    n = counts.sum()
    total = 0.0
    for k in range(counts.size):
        if counts[k] > 0:
            total += counts[k] * math.log2(counts[k])
    return max(math.log2(n) - total / n, 0.0) if n > 0 else 0.0


@njit(**_OPTIONS)
def _mean(grey: U8, stride: int, y0: int, y1: int, x0: int, x1: int) -> float:
    """Mean grey of a box of the plane, in pixels of the inside."""
    total = 0
    for y in range(y0, y1):
        line = (y + 2) * stride + 2
        total += _sum(grey[line + x0 : line + x1])
    return total / ((y1 - y0) * (x1 - x0))


@njit(**_OPTIONS)
def _histogram(grey: U8, h: int, w: int) -> I64:
    """Counts of the 256 grey levels."""
    parts = np.zeros(4 * 256, np.uint32)
    one = np.uint32(1)
    for y in range(h):
        line = grey[(y + 2) * (w + 4) + 2 : (y + 3) * (w + 4)]
        whole = w // 4 * 4
        for x in range(0, whole, 4):
            parts[line[x]] += one
            parts[256 + line[x + 1]] += one
            parts[512 + line[x + 2]] += one
            parts[768 + line[x + 3]] += one
        for x in range(whole, w):
            parts[line[x]] += one
    counts = np.zeros(256, np.int64)
    for k in range(256):
        counts[k] = np.int64(parts[k]) + parts[256 + k] + parts[512 + k] + parts[768 + k]
    return counts


@njit(**_OPTIONS)
def _percentile(counts: I64, n: int, percent: int) -> int:
    """Lowest level g with at least ``percent`` of the pixels at or below it."""
    seen = 0
    for k in range(256):
        seen += counts[k]
        if 100 * seen >= percent * n:
            return k
    return 255


@njit(**_OPTIONS)
def _otsu(counts: I64, n: int, total: int) -> int:
    """Otsu's threshold: the first t that maximises (n S_t - m_t S)² / (m_t (n - m_t)); -1 if one level."""
    best = 0.0
    threshold = -1
    m = 0
    s = 0
    for k in range(255):
        m += counts[k]
        s += k * counts[k]
        if m > 0 and m < n:
            d = float(n * s - m * total)
            between = d * d / (float(m) * float(n - m))
            if between > best:
                best = between
                threshold = k
    return threshold


@njit(**_OPTIONS)
def _mask_row(line: U8, threshold: int, flip: int, row: U8) -> np.int64:
    """Foreground of a row: brighter than the threshold, or not if ``flip`` is 1; returns its pixels."""
    area = u16(0)
    for x in range(line.size):
        row[x] = u8(u8(line[x] > threshold) ^ flip)
    for x in range(line.size):
        area = u16(area + u16(row[x]))
    return np.int64(area)


@njit(**_OPTIONS)
def _straight(above: U8, row: U8) -> np.int64:
    """Changes between neighbours along a row and down to it; both start one left of the first pixel."""
    n = u16(0)
    for x in range(row.size - 1):
        n = u16(n + u16(u8(row[x] ^ row[x + 1]) + u8(above[x + 1] ^ row[x + 1])))
    return np.int64(n)


@njit(**_OPTIONS)
def _diagonal(above: U8, row: U8) -> np.int64:
    """Changes between neighbours along both diagonals of a row and the one above."""
    n = u16(0)
    for x in range(row.size - 1):
        n = u16(n + u16(u8(above[x] ^ row[x + 1]) + u8(above[x + 1] ^ row[x])))
    return np.int64(n)


@njit(**_OPTIONS)
def _roundness(grey: U8, h: int, w: int, threshold: int) -> float:
    """4πA/P² of the Otsu mask; P by Crofton's formula in four directions.

    P = π/8 (T_0 + T_90 + (T_45 + T_135)/√2), T the changes between neighbours along a direction, with
    background outside the box (Legland et al. 2007). The foreground is the class that holds the smaller
    part of the box's outermost pixels, the brighter one if both are equal.
    """
    if threshold < 0:
        return 0.0
    stride = w + 4
    bright = border = 0
    for y in range(h):
        line = grey[(y + 2) * stride + 2 : (y + 3) * stride]
        step = 1 if y == 0 or y == h - 1 else max(w - 1, 1)
        for x in range(0, w, step):
            bright += line[x] > threshold
            border += 1
    flip = u8(2 * bright > border)
    above = np.zeros(w + 2, np.uint8)
    row = np.zeros(w + 2, np.uint8)
    area = straight = diagonal = 0
    for y in range(h):
        line = grey[(y + 2) * stride + 2 : (y + 2) * stride + 2 + w]
        area += _mask_row(line, u8(threshold), flip, row[1:])
        straight += _straight(above, row)
        diagonal += _diagonal(above, row)
        above, row = row, above
    row[:] = 0
    straight += _straight(above, row)
    diagonal += _diagonal(above, row)
    perimeter = math.pi / 8.0 * (straight + diagonal / math.sqrt(2.0))
    return float(4.0 * math.pi * area / (perimeter * perimeter))


@njit(**_OPTIONS)
def _inside(x: int, y: int, w: int, h: int, percent: int) -> bool:
    """Whether pixel (x, y) lies in the ellipse of ``percent`` of the box's half axes; exact."""
    dx = 2 * x + 1 - w
    dy = 2 * y + 1 - h
    return 10000 * (dx * dx * h * h + dy * dy * w * w) < percent * percent * w * w * h * h


@njit(**_OPTIONS)
def _write_ring(grey: U8, flags: U8, h: int, w: int, out: F64) -> None:
    """Mean, dark and glow share of the ring between two ellipses."""
    stride = w + 4
    half = (w + 1) // 2
    outer = inner = half
    total = dark = glow = count = 0
    for y in range(h):
        while outer > 0 and _inside(outer - 1, y, w, h, RING_OUTER_PERCENT):
            outer -= 1
        while outer < half and not _inside(outer, y, w, h, RING_OUTER_PERCENT):
            outer += 1
        while inner > 0 and _inside(inner - 1, y, w, h, RING_INNER_PERCENT):
            inner -= 1
        while inner < half and not _inside(inner, y, w, h, RING_INNER_PERCENT):
            inner += 1
        line = grey[(y + 2) * stride + 2 : (y + 3) * stride]
        flag = flags[y * w : (y + 1) * w]
        right = max(w - inner, half)
        total += _sum(line[outer:inner]) + _sum(line[right : w - outer])
        dark += _dark(line[outer:inner]) + _dark(line[right : w - outer])
        glow += _glow(flag[outer:inner]) + _glow(flag[right : w - outer])
        count += inner - outer + max(w - outer - right, 0)
    for k in range(3):
        out[14 + k] = 0.0
    if count > 0:
        out[14] = total / count
        out[15] = dark / count
        out[16] = glow / count


@njit(**_OPTIONS)
def _write_regions(grey: U8, h: int, w: int, mean: float, out: F64) -> None:
    """Means of centre box and quadrants, centre minus rim, concentration of the dark pixels."""
    stride = w + 4
    top, bottom = h // 4, max(3 * h // 4, h // 4 + 1)
    left, right = w // 4, max(3 * w // 4, w // 4 + 1)
    out[4] = _mean(grey, stride, top, bottom, left, right)
    rim_y, rim_x = h // 8, w // 8
    n_inner = (h - 2 * rim_y) * (w - 2 * rim_x)
    inner = _mean(grey, stride, rim_y, h - rim_y, rim_x, w - rim_x)
    n_rim = h * w - n_inner
    out[5] = out[4] - (mean * (h * w) - inner * n_inner) / n_rim if n_rim > 0 else 0.0
    half_y, half_x = (h + 1) // 2, (w + 1) // 2
    out[6] = _mean(grey, stride, 0, half_y, 0, half_x)
    out[7] = _mean(grey, stride, 0, half_y, w // 2, w)
    out[8] = _mean(grey, stride, h // 2, h, 0, half_x)
    out[9] = _mean(grey, stride, h // 2, h, w // 2, w)
    cells = np.zeros(GRID * GRID, np.int64)
    for j in range(GRID):
        for y in range(j * h // GRID, (j + 1) * h // GRID):
            line = grey[(y + 2) * stride + 2 : (y + 3) * stride]
            for i in range(GRID):
                cells[j * GRID + i] += _dark(line[i * w // GRID : (i + 1) * w // GRID])
    out[13] = 1.0 - _entropy(cells) / 6.0 if cells.sum() > 0 else 0.0


@njit(**_OPTIONS)
def measure(grey: U8, flags: U8, h: int, w: int, out: F64) -> None:
    """Tone, region and mask features of a box.

    Parameters
    ----------
    grey : ndarray of uint8, shape (p,)
        Plane of (h + 4) rows of (w + 4); only its inside is read.
    flags : ndarray of uint8, shape (h * w,)
        Bit 1: glow.
    h, w : int
        At most 256, at least 1.
    out : ndarray of float64, shape (17,), written
        `NAMES`.
    """
    n = h * w
    counts = _histogram(grey, h, w)
    total = squares = dark = 0
    for k in range(256):
        total += k * counts[k]
        squares += k * k * counts[k]
        dark += counts[k] if k < DARK_BELOW else 0
    mirrored = 0
    for y in range(h):
        line = (y + 2) * (w + 4) + 2
        mirrored += _mirrored(grey[line : line + w])
    spread = n * squares - total * total
    out[0] = total / n
    out[1] = math.sqrt(float(spread)) / n
    out[2] = _percentile(counts, n, HIGH_PERCENT) - _percentile(counts, n, LOW_PERCENT)
    out[3] = _entropy(counts)
    out[10] = (n * mirrored - total * total) / spread if spread > 0 else 1.0
    out[11] = _roundness(grey, h, w, _otsu(counts, n, total))
    out[12] = dark / n
    _write_regions(grey, h, w, out[0], out)
    _write_ring(grey, flags, h, w, out)
