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
from numpy import int64 as i64
from numpy import uint8 as u8
from numpy import uint16 as u16
from numpy import uint64 as u64

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

# Eight counters of a level take turns, so that equal neighbours need not wait for each other: four side by
# side, which the processor addresses at no cost, and as many in a second half.
_TURNS: Final = 8
_HALF: Final = u64(4 * 256)
_4: Final = u64(4)
# Rows of the scratch buffers. One buffer a type with fixed offsets, so that LLVM sees no overlap; a whole
# buffer and an unsigned offset, as a slice is counted by an atomic and a signed one may be negative. Numbers
# are passed as i64(2), as a function is compiled anew for each literal.
_STRIDE: Final = 320
_AREA: Final = u64(2 * _STRIDE)
_STRAIGHT: Final = u64(3 * _STRIDE)
_DIAGONAL: Final = u64(4 * _STRIDE)
# Rows of a mask whose changes, two a pixel, are counted in 8 bits.
_ROWS_IN_8_BITS: Final = 127
_FOLD: Final = u64(0)
_DARK: Final = u64(_STRIDE)
_RING_DARK: Final = u64(2 * _STRIDE)
_RING_GLOW: Final = u64(3 * _STRIDE)
_RING_GREY: Final = u64(4 * _STRIDE)
# Bands of rows between the regions' borders, top to bottom; the last row is the ring's.
_BANDS: Final = 7
_RING: Final = u64(_BANDS * _STRIDE)
U8: TypeAlias = npt.NDArray[np.uint8]
U16: TypeAlias = npt.NDArray[np.uint16]
I64: TypeAlias = npt.NDArray[np.int64]
F64: TypeAlias = npt.NDArray[np.float64]
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "cache": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_OPTIONS)
def _mirrored(grey: U8, start: u64, n: int) -> np.int64:
    """Σ g(x) g(n-1-x) of the n pixels from ``start`` on."""
    total = i32(0)
    half = n // 2
    last = start + u64(n - 1)
    for x in range(half):
        total = i32(total + i32(i32(grey[start + u64(x)]) * i32(grey[last - u64(x)])))
    middle = i64(grey[start + u64(half)]) if n % 2 == 1 else i64(0)
    return 2 * i64(total) + middle * middle


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
def _add_levels(grey: U8, start: u64, n: int, turns: U16) -> None:
    """Count the levels of a row; none of the turns sees more than 2^14 pixels of an image."""
    one = u16(1)
    for block in range(n // _TURNS):
        first = start + u64(block) * u64(_TURNS)
        turns[_4 * u64(grey[first])] += one
        turns[_4 * u64(grey[first + u64(1)]) + u64(1)] += one
        turns[_4 * u64(grey[first + u64(2)]) + u64(2)] += one
        turns[_4 * u64(grey[first + u64(3)]) + u64(3)] += one
        turns[_4 * u64(grey[first + u64(4)]) + _HALF] += one
        turns[_4 * u64(grey[first + u64(5)]) + _HALF + u64(1)] += one
        turns[_4 * u64(grey[first + u64(6)]) + _HALF + u64(2)] += one
        turns[_4 * u64(grey[first + u64(7)]) + _HALF + u64(3)] += one
    for x in range(n // _TURNS * _TURNS, n):
        turns[_4 * u64(grey[start + u64(x)])] += one


@njit(**_OPTIONS)
def _histogram(grey: U8, h: int, w: int) -> I64:
    """Counts of the 256 grey levels."""
    turns = np.zeros(_TURNS * 256, np.uint16)
    for y in range(h):
        _add_levels(grey, u64((y + 2) * (w + 4) + 2), w, turns)
    counts = np.zeros(256, np.int64)
    for k in range(256):
        for turn in range(4):
            i = _4 * u64(k) + u64(turn)
            counts[k] += i64(turns[i]) + i64(turns[_HALF + i])
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
def _mask_row(grey: U8, start: u64, w: int, threshold: u8, flip: u8, buf: U8, row: u64) -> None:
    """Foreground of a row: brighter than the threshold, or not if ``flip`` is 1.

    The rows of the mask start one left of the first pixel and end one right of the last.
    """
    first = row + u64(1)
    for x in range(w):
        buf[first + u64(x)] = u8(u8(grey[start + u64(x)] > threshold) ^ flip)


@njit(**_OPTIONS)
def _add_changes(buf: U8, above: u64, row: u64, w: int) -> None:
    """Add to columns: foreground of a row; changes along it and down to it; changes along both diagonals."""
    for x in range(w + 1):
        a = buf[above + u64(x)]
        b = buf[above + u64(x) + u64(1)]
        c = buf[row + u64(x)]
        d = buf[row + u64(x) + u64(1)]
        buf[_AREA + u64(x)] = u8(buf[_AREA + u64(x)] + d)
        buf[_STRAIGHT + u64(x)] = u8(buf[_STRAIGHT + u64(x)] + u8(u8(c ^ d) + u8(b ^ d)))
        buf[_DIAGONAL + u64(x)] = u8(buf[_DIAGONAL + u64(x)] + u8(u8(a ^ d) + u8(b ^ c)))


@njit(**_OPTIONS)
def _flushed(buf: U8, start: u64, n: int) -> np.int64:
    """Σ of n counts from ``start`` on, which begin again at zero."""
    total = i32(0)
    for x in range(n):
        total = i32(total + i32(buf[start + u64(x)]))
        buf[start + u64(x)] = 0
    return i64(total)


@njit(**_OPTIONS)
def _is_background(grey: U8, h: int, w: int, threshold: int) -> bool:
    """Whether the brighter class holds more than half of the box's outermost pixels."""
    stride = w + 4
    bright = border = 0
    for y in range(h):
        start = u64((y + 2) * stride + 2)
        step = 1 if y == 0 or y == h - 1 else max(w - 1, 1)
        for x in range(0, w, step):
            bright += grey[start + u64(x)] > threshold
            border += 1
    return bool(2 * bright > border)


@njit(**_OPTIONS)
def _roundness(grey: U8, h: int, w: int, threshold: int) -> float:
    """4πA/P² of the Otsu mask; P by Crofton's formula in four directions.

    P = π/8 (T_0 + T_90 + (T_45 + T_135)/√2), T the changes between neighbours along a direction, with
    background outside the box (Legland et al. 2007). The foreground is the class that holds the smaller
    part of the box's outermost pixels, the brighter one if both are equal.
    """
    if threshold < 0:
        return 0.0
    flip = u8(_is_background(grey, h, w, threshold))
    buf = np.zeros(5 * _STRIDE, np.uint8)
    area = straight = diagonal = 0
    for y in range(h + 1):
        above, row = u64(y % 2 * _STRIDE), u64((y + 1) % 2 * _STRIDE)
        if y < h:
            _mask_row(grey, u64((y + 2) * (w + 4) + 2), w, u8(threshold), flip, buf, row)
        else:
            buf[row : row + u64(_STRIDE)] = 0
        _add_changes(buf, above, row, w)
        if y % _ROWS_IN_8_BITS == _ROWS_IN_8_BITS - 1 or y == h:
            area += _flushed(buf, _AREA, w + 1)
            straight += _flushed(buf, _STRAIGHT, w + 1)
            diagonal += _flushed(buf, _DIAGONAL, w + 1)
    perimeter = math.pi / 8.0 * (straight + diagonal / math.sqrt(2.0))
    return float(4.0 * math.pi * area / (perimeter * perimeter))


@njit(**_OPTIONS)
def _first_inside(x: int, y: int, w: int, h: int, percent: int) -> int:
    """Leftmost pixel of row y in the ellipse of ``percent`` of the box's half axes, or (w + 1) // 2; exact.

    ``x`` is where to begin to look.
    """
    dy = 2 * y + 1 - h
    limit = percent * percent * w * w * h * h - 10000 * dy * dy * w * w
    scale = 10000 * h * h
    while x > 0 and scale * (2 * x - 1 - w) ** 2 < limit:
        x -= 1
    while x < (w + 1) // 2 and scale * (2 * x + 1 - w) ** 2 >= limit:
        x += 1
    return x


@njit(**_OPTIONS)
def _add_row(
    grey: U8, start: u64, flags: U8, flag: u64, w: int, outer: u8, width: u8, sums: U16, band: u64, counts: U8
) -> None:
    """Add a row to its columns: grey and dark pixels; the same and glow where the ring is.

    The ring's pixels are those whose distance from the nearer side is ``outer`` or up to ``width`` more.
    """
    for x in range(w):
        sums[band + u64(x)] = u16(sums[band + u64(x)] + grey[start + u64(x)])
    for x in range(w):
        level = grey[start + u64(x)]
        dark = u8(level < u8(DARK_BELOW))
        ring = u8(u8(counts[_FOLD + u64(x)] - outer) < width)
        glow = u8(flags[flag + u64(x)] >> u8(1))
        counts[_DARK + u64(x)] = u8(counts[_DARK + u64(x)] + dark)
        counts[_RING_DARK + u64(x)] = u8(counts[_RING_DARK + u64(x)] + u8(dark & ring))
        counts[_RING_GLOW + u64(x)] = u8(counts[_RING_GLOW + u64(x)] + u8(glow & ring))
        counts[_RING_GREY + u64(x)] = level if ring else u8(0)
    for x in range(w):
        sums[_RING + u64(x)] = u16(sums[_RING + u64(x)] + counts[_RING_GREY + u64(x)])


@njit(**_OPTIONS)
def _close_cells(j: int, w: int, counts: U8, cells: I64) -> None:
    """Dark pixels of the j-th row of cells, from their columns, which begin again at zero."""
    for i in range(GRID):
        left, right = i * w // GRID, (i + 1) * w // GRID
        cells[j * GRID + i] = _flushed(counts, _DARK + u64(left), right - left)


@njit(**_OPTIONS)
def _add_rows(grey: U8, flags: U8, h: int, w: int, edges: I64, sums: U16, counts: U8, cells: I64) -> np.int64:
    """Add every row to its band between ``edges`` and to the ring; returns the ring's pixels.

    No column has more than 0.95 h of the ring, no cell more than 32 rows: counts fit 8 bits.
    """
    half = (w + 1) // 2
    outer = inner = half
    for x in range(w):
        counts[_FOLD + u64(x)] = min(x, w - 1 - x)
    n_ring = band = j = i64(0)
    for y in range(h):
        outer = _first_inside(outer, y, w, h, i64(RING_OUTER_PERCENT))
        inner = _first_inside(inner, y, w, h, i64(RING_INNER_PERCENT))
        while y >= edges[band + 1]:
            band += 1
        while y >= (j + 1) * h // GRID:
            _close_cells(j, w, counts, cells)
            j += 1
        start, flag = u64((y + 2) * (w + 4) + 2), u64(y * w)
        _add_row(grey, start, flags, flag, w, u8(outer), u8(inner - outer), sums, u64(band * _STRIDE), counts)
        n_ring += inner - outer + max(w - outer - max(w - inner, half), 0)
    _close_cells(j, w, counts, cells)
    return n_ring


@njit(**_OPTIONS)
def _mean(sums: U16, edges: I64, first: int, last: int, x0: int, x1: int) -> float:
    """Mean grey of a box of bands ``first`` to ``last`` and columns [x0, x1)."""
    total = i64(0)
    for band in range(first, last + 1):
        line = i32(0)
        start = u64(band * _STRIDE + x0)
        for x in range(x1 - x0):
            line = i32(line + i32(sums[start + u64(x)]))
        total += i64(line)
    return float(total / ((edges[last + 1] - edges[first]) * (x1 - x0)))


@njit(**_OPTIONS)
def _write_regions(grey: U8, flags: U8, h: int, w: int, mean: float, out: F64) -> None:
    """Means of centre box, quadrants and ring, centre minus rim; where the dark pixels are."""
    rim_y, rim_x = h // 8, w // 8
    half_y, half_x = (h + 1) // 2, (w + 1) // 2
    left, right = w // 4, max(3 * w // 4, w // 4 + 1)
    bottom = max(3 * h // 4, h // 4 + 1)
    edges = np.array([0, rim_y, h // 4, h // 2, half_y, bottom, h - rim_y, h])
    sums = np.zeros((_BANDS + 1) * _STRIDE, np.uint16)
    counts = np.zeros(5 * _STRIDE, np.uint8)
    cells = np.zeros(GRID * GRID, np.int64)
    n_ring = _add_rows(grey, flags, h, w, edges, sums, counts, cells)
    out[4] = _mean(sums, edges, i64(2), i64(4), left, right)
    n_inner = (h - 2 * rim_y) * (w - 2 * rim_x)
    inner = _mean(sums, edges, i64(1), i64(5), rim_x, w - rim_x)
    n_rim = h * w - n_inner
    out[5] = out[4] - (mean * (h * w) - inner * n_inner) / n_rim if n_rim > 0 else 0.0
    out[6] = _mean(sums, edges, i64(0), i64(3), i64(0), half_x)
    out[7] = _mean(sums, edges, i64(0), i64(3), w // 2, w)
    out[8] = _mean(sums, edges, i64(3), i64(6), i64(0), half_x)
    out[9] = _mean(sums, edges, i64(3), i64(6), w // 2, w)
    out[13] = 1.0 - _entropy(cells) / 6.0 if cells.sum() > 0 else 0.0
    ring = dark = glow = i64(0)
    for x in range(w):
        ring += i64(sums[_RING + u64(x)])
        dark += i64(counts[_RING_DARK + u64(x)])
        glow += i64(counts[_RING_GLOW + u64(x)])
    out[14] = ring / n_ring if n_ring > 0 else 0.0
    out[15] = dark / n_ring if n_ring > 0 else 0.0
    out[16] = glow / n_ring if n_ring > 0 else 0.0


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
    total = squares = dark = i64(0)
    for k in range(256):
        total += k * counts[k]
        squares += k * k * counts[k]
        dark += counts[k] if k < DARK_BELOW else 0
    mirrored = i64(0)
    for y in range(h):
        mirrored += _mirrored(grey, u64((y + 2) * (w + 4) + 2), w)
    spread = n * squares - total * total
    out[0] = total / n
    out[1] = math.sqrt(float(spread)) / n
    out[2] = _percentile(counts, n, i64(HIGH_PERCENT)) - _percentile(counts, n, i64(LOW_PERCENT))
    out[3] = _entropy(counts)
    out[10] = (n * mirrored - total * total) / spread if spread > 0 else 1.0
    out[11] = _roundness(grey, h, w, _otsu(counts, n, total))
    out[12] = dark / n
    _write_regions(grey, flags, h, w, out[0], out)
