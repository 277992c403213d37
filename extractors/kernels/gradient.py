"""Passes over the grey plane with a neighbourhood: edges, texture and where they lie.

Owns the Sobel, Laplacian and local-variance windows. Outside the box the plane is mirrored without
repeating the border pixel (OpenCV's default, BORDER_REFLECT_101).
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit
from numpy import float32 as f32
from numpy import float64 as f64
from numpy import int16 as i16
from numpy import int32 as i32
from numpy import int64 as i64
from numpy import uint16 as u16
from numpy import uint64 as u64

__all__ = ["NAMES", "measure", "orientation_bins"]

#: What `measure` writes into ``out``, in order.
NAMES: Final = (
    "sobel_mean", "sobel_std", "edge_density", "edge_strength", "gx_mean", "gy_mean", "axis_balance",
    "coherence", "orientation", "laplacian_mean", "laplacian_variance", "local_variance_mean",
    "local_std_std", "gradient_entropy", "centroid_offset", "radial_spread", "angularity",
    "scar_likelihood",
)  # fmt: skip

EDGE_MIN_MAGNITUDE: Final = 96
SCAR_MIN_LAPLACIAN: Final = 64
MAGNITUDE_BINS: Final = 128
MAGNITUDE_BIN_WIDTH: Final = 8
ORIENTATION_BINS: Final = 16

_EDGE_MIN_SQUARE: Final = EDGE_MIN_MAGNITUDE**2
_EDGE_BIN: Final = EDGE_MIN_MAGNITUDE // MAGNITUDE_BIN_WIDTH
_PER_BIN = f32(1.0 / MAGNITUDE_BIN_WIDTH)
# One key holds the magnitude's bin and, from the edge threshold on, the orientation's bin too. Eight counters
# of a key take turns, so that equal neighbours need not wait for each other: four side by side, which the
# processor addresses at no cost, and as many in a second half. A key is to spare.
_KEYS: Final = _EDGE_BIN + (MAGNITUDE_BINS - _EDGE_BIN) * ORIENTATION_BINS
_TURNS: Final = 8
_HALF: Final = u64(4 * (_KEYS + 1))
_SLOPE_1 = f32(math.tan(math.pi / 32))
_SLOPE_2 = f32(math.tan(3 * math.pi / 32))
_SLOPE_3 = f32(math.tan(5 * math.pi / 32))
_SLOPE_4 = f32(math.tan(7 * math.pi / 32))

# Rows of the scratch buffers. One buffer a type with fixed offsets, so that LLVM sees no overlap; a whole
# buffer and an unsigned offset, as a slice is counted by an atomic and a signed one may be negative.
_STRIDE: Final = 320
_SMOOTH: Final = u64(0)
_DIFF: Final = u64(_STRIDE)
_GX: Final = u64(2 * _STRIDE)
_GY: Final = u64(3 * _STRIDE)
_STRENGTH: Final = u64(4 * _STRIDE)
_LAPLACIAN: Final = u64(5 * _STRIDE)
# Sums of a few rows, a column each; they fit 16 bits without a sign.
_GX_SUM: Final = u64(6 * _STRIDE)
_STRENGTH_SUM: Final = u64(7 * _STRIDE)
_N_SHORTS: Final = 8 * _STRIDE
_ROWS_IN_16_BITS: Final = 32
# Rows of the plane that are at hand at once: those of a window, and the one that just left it.
_N_LINES: Final = 6
_SUM: Final = u64(0)
_SQUARE: Final = u64(_STRIDE)
_MAGNITUDE: Final = u64(0)
_LOCAL: Final = u64(_STRIDE)
_LOCAL_2: Final = u64(2 * _STRIDE)
_1: Final = u64(1)
_2: Final = u64(2)
_3: Final = u64(3)
_4: Final = u64(4)
_5: Final = u64(5)
_6: Final = u64(6)
_7: Final = u64(7)
U8: TypeAlias = npt.NDArray[np.uint8]
I64: TypeAlias = npt.NDArray[np.int64]
I16: TypeAlias = npt.NDArray[np.int16]
I32: TypeAlias = npt.NDArray[np.int32]
F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
U16: TypeAlias = npt.NDArray[np.uint16]
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "cache": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_OPTIONS)
def _mirror(i: int, n: int) -> int:
    """Index of the pixel that a mirrored border shows at ``i``."""
    if n == 1:
        return 0
    while i < 0 or i >= n:
        i = -i if i < 0 else 2 * n - 2 - i
    return i


@njit(**_OPTIONS)
def _fill_border(grey: U8, h: int, w: int) -> None:
    """Mirror the inside of the plane into its border of 2."""
    stride = w + 4
    a, b, c, d = (
        u64(_mirror(i64(-2), w)),
        u64(_mirror(i64(-1), w)),
        u64(_mirror(w, w)),
        u64(_mirror(w + 1, w)),
    )
    for y in range(2, h + 2):
        line = u64(y * stride)
        inside = line + _2
        grey[line] = grey[inside + a]
        grey[line + _1] = grey[inside + b]
        grey[inside + u64(w)] = grey[inside + c]
        grey[inside + u64(w + 1)] = grey[inside + d]
    for k in (-2, -1, h, h + 1):
        source = u64((2 + _mirror(k, h)) * stride)
        target = u64((2 + k) * stride)
        for x in range(stride):
            grey[target + u64(x)] = grey[source + u64(x)]


@njit(**_OPTIONS)
def _orientation_bin(gx: np.float32, gy: np.float32) -> np.int32:
    """Bin of a gradient's orientation modulo π; 16 bins, bin k centred on kπ/16.

    The borders' slopes are irrational, so no integer gradient lies on one and float32 decides exactly.
    """
    ax = abs(gx)
    ay = abs(gy)
    long = ax if ax > ay else ay
    short = ax if ax < ay else ay
    k = i32(short > long * _SLOPE_1)
    k = i32(k + i32(short > long * _SLOPE_2))
    k = i32(k + i32(short > long * _SLOPE_3))
    k = i32(k + i32(short > long * _SLOPE_4))
    k = i32(i32(8) - k) if ay > ax else k
    return i32(i32(i32(16) - k) & i32(15)) if gx * gy < f32(0) else k


@njit(**_OPTIONS)
def orientation_bins(gx: I16, gy: I16) -> I32:
    """Orientation bins of int16 gradients of shape (n,)."""
    bins = np.empty(gx.size, np.int32)
    for x in range(gx.size):
        bins[x] = _orientation_bin(f32(gx[x]), f32(gy[x]))
    return bins


@njit(**_OPTIONS)
def _slot(row: int) -> u64:
    """Where a row of the plane is among the lines."""
    return u64(row % _N_LINES * _STRIDE)


@njit(**_OPTIONS)
def _take_line(grey: U8, start: u64, n: int, lines: I16, slot: u64) -> None:
    """Take a row of the plane as x - 128, whose square fits 16 bits; no derivative or variance sees the 128.

    Kept in 16 bits, as LLVM computes what it widens itself in 64.
    """
    for x in range(n):
        lines[slot + u64(x)] = i16(i16(grey[start + u64(x)]) - i16(128))


@njit(**_OPTIONS)
def _sobel_row(lines: I16, up: u64, mid: u64, down: u64, n: int, buf: I16) -> None:
    """Sobel: gx = [-1 0 1] of [1 2 1]ᵀ, gy = [1 2 1] of [-1 0 1]ᵀ, s = |gx| + |gy|, and the Laplacian.

    The lines begin one left of the first pixel.
    """
    for x in range(n + 2):
        sides = i16(lines[up + u64(x)] + lines[down + u64(x)])
        buf[_SMOOTH + u64(x)] = i16(sides + i16(2 * lines[mid + u64(x)]))
        buf[_DIFF + u64(x)] = i16(lines[down + u64(x)] - lines[up + u64(x)])
    for x in range(n):
        gx = i16(buf[_SMOOTH + u64(x) + _2] - buf[_SMOOTH + u64(x)])
        sides = i16(buf[_DIFF + u64(x)] + buf[_DIFF + u64(x) + _2])
        gy = i16(sides + i16(2 * buf[_DIFF + u64(x) + _1]))
        buf[_GX + u64(x)] = gx
        buf[_GY + u64(x)] = gy
        ax = i16(abs(gx))
        strength = i16(ax + i16(abs(gy)))
        buf[_STRENGTH + u64(x)] = strength
        buf[_GX_SUM + u64(x)] = i16(buf[_GX_SUM + u64(x)] + ax)
        buf[_STRENGTH_SUM + u64(x)] = i16(buf[_STRENGTH_SUM + u64(x)] + strength)
        cross = i16(i16(lines[mid + u64(x)] + lines[mid + u64(x) + _2]) + buf[_SMOOTH + u64(x) + _1])
        buf[_LAPLACIAN + u64(x)] = i16(cross - i16(6 * lines[mid + u64(x) + _1]))


@njit(**_OPTIONS)
def _magnitude_row(buf: I16, n: int, sums: I64, roots: F32, bins: U16) -> None:
    """Magnitudes and the keys of both histograms; adds Σgx², Σgy², Σgx gy and 2^12 times the sum over edges.

    All products of gradients are whole numbers below 2^24: float32 holds them exactly.
    """
    xx = yy = xy = edges = i32(0)
    for x in range(n):
        gx = f32(buf[_GX + u64(x)])
        gy = f32(buf[_GY + u64(x)])
        gx2 = gx * gx
        gy2 = gy * gy
        xx = i32(xx + i32(gx2))
        yy = i32(yy + i32(gy2))
        xy = i32(xy + i32(gx * gy))
        m = np.sqrt(gx2 + gy2)
        roots[_MAGNITUDE + u64(x)] = m
        k = min(i32(m * _PER_BIN), i32(MAGNITUDE_BINS - 1))
        edge = i32(
            i32(_EDGE_BIN)
            + i32(i32(i32(k - i32(_EDGE_BIN)) * i32(ORIENTATION_BINS)) + _orientation_bin(gx, gy))
        )
        bins[x] = u16(edge if k >= _EDGE_BIN else k)
        edges = i32(edges + (i32(m * f32(4096) + f32(0.5)) if k >= _EDGE_BIN else i32(0)))
    sums[2] += xx
    sums[3] += yy
    sums[4] += xy
    sums[5] += edges


@njit(**_OPTIONS)
def _add_strength(buf: I16, n: int, y: int, sums: I64) -> None:
    """Add Σ s, Σ y s, Σ y² s of a row."""
    strength = i32(0)
    for x in range(n):
        strength = i32(strength + i32(buf[_STRENGTH + u64(x)]))
    total = i64(strength)
    sums[6] += total
    sums[7] += y * total
    sums[8] += y * y * total


@njit(**_OPTIONS)
def _close_columns(buf: I16, n: int, sums: I64, columns: I32) -> None:
    """Add Σ|gx|, and s to its columns, from the sums of a few rows, which begin again at zero."""
    ax = i32(0)
    for x in range(n):
        ax = i32(ax + i32(u16(buf[_GX_SUM + u64(x)])))
        columns[x] = i32(columns[x] + i32(u16(buf[_STRENGTH_SUM + u64(x)])))
        buf[_GX_SUM + u64(x)] = 0
        buf[_STRENGTH_SUM + u64(x)] = 0
    sums[0] += ax


@njit(**_OPTIONS)
def _add_keys(bins: U16, n: int, keys: U16) -> None:
    """Count the keys of a row; none of the turns sees more than 2^13 pixels of an image."""
    for x in range(n, n + _TURNS - 1):
        bins[x] = _KEYS
    one = u16(1)
    for block in range((n + _TURNS - 1) // _TURNS):
        first = u64(block) * u64(_TURNS)
        keys[_4 * u64(bins[first])] += one
        keys[_4 * u64(bins[first + _1]) + _1] += one
        keys[_4 * u64(bins[first + _2]) + _2] += one
        keys[_4 * u64(bins[first + _3]) + _3] += one
        keys[_4 * u64(bins[first + _4]) + _HALF] += one
        keys[_4 * u64(bins[first + _5]) + _HALF + _1] += one
        keys[_4 * u64(bins[first + _6]) + _HALF + _2] += one
        keys[_4 * u64(bins[first + _7]) + _HALF + _3] += one


@njit(**_OPTIONS)
def _add_roots(roots: F32, n: int, pivot: float, totals: F64) -> None:
    """Add a row of roots, four quarters of it at once, to float64 totals a column.

    The local deviations, and their squares, are taken from ``pivot``: equal ones have variance 0.
    """
    quarter = (n + 3) // 4
    q1, q2, q3 = u64(quarter), u64(2 * quarter), u64(3 * quarter)
    for x in range(quarter):
        first = _MAGNITUDE + u64(x)
        a = f64(roots[first]) + f64(roots[first + q1])
        b = f64(roots[first + q2]) + f64(roots[first + q3])
        totals[_MAGNITUDE + u64(x)] += a + b
    for x in range(quarter):
        first = _LOCAL + u64(x)
        a = f64(roots[first]) - pivot
        b = f64(roots[first + q1]) - pivot
        c = f64(roots[first + q2]) - pivot
        d = f64(roots[first + q3]) - pivot
        totals[_LOCAL + u64(x)] += (a + b) + (c + d)
        totals[_LOCAL_2 + u64(x)] += (a * a + b * b) + (c * c + d * d)


@njit(**_OPTIONS)
def _add_laplacian(buf: I16, n: int, sums: I64) -> None:
    """Add Σ|L|, ΣL, ΣL² of the Laplacian [0 1 0; 1 -4 1; 0 1 0]."""
    a = s = q = i32(0)
    for x in range(n):
        v = i32(buf[_LAPLACIAN + u64(x)])
        a = i32(a + i32(abs(buf[_LAPLACIAN + u64(x)])))
        s = i32(s + v)
        q = i32(q + i32(v * v))
    sums[9] += a
    sums[10] += s
    sums[11] += q


@njit(**_OPTIONS)
def _add_scars(buf: I16, left: u64, flags: U8, flag: u64, n: int, sums: I64) -> None:
    """Add the skin among n pixels of a row from ``left`` on, and those of them with a strong Laplacian."""
    skin = scars = i32(0)
    for x in range(n):
        on_skin = i32(flags[flag + u64(x)] & 1)
        skin = i32(skin + on_skin)
        strong = abs(buf[_LAPLACIAN + left + u64(x)]) >= SCAR_MIN_LAPLACIAN
        scars = i32(scars + (on_skin if strong else i32(0)))
    sums[12] += skin
    sums[13] += scars


@njit(**_OPTIONS)
def _slide(lines: I16, enter: u64, leave: u64, n: int, ints: I32) -> None:
    """Move the column sums of x and x² down by a row; a² - b² = (a - b)(a + b)."""
    for x in range(n):
        a = lines[enter + u64(x)]
        b = lines[leave + u64(x)]
        step = i16(a - b)
        ints[_SUM + u64(x)] = i32(ints[_SUM + u64(x)] + i32(step))
        ints[_SQUARE + u64(x)] = i32(ints[_SQUARE + u64(x)] + i32(i16(step * i16(a + b))))


@njit(**_OPTIONS)
def _local_row(ints: I32, n: int, roots: F32) -> None:
    """25 times the standard deviation of each 5x5 window, sqrt(25 Σx² - (Σx)²), the same for x - 128."""
    for x in range(n):
        i, j = _SUM + u64(x), _SQUARE + u64(x)
        s = i32(ints[i] + ints[i + _1] + ints[i + _2])
        s = i32(s + ints[i + _3] + ints[i + _4])
        q = i32(ints[j] + ints[j + _1] + ints[j + _2])
        q = i32(q + ints[j + _3] + ints[j + _4])
        roots[_LOCAL + u64(x)] = np.sqrt(f32(i32(i32(25 * q) - i32(s * s))))


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
def _write_histograms(keys: U16, out: F64) -> None:
    """Edges: their share, mean (``out[3]`` holds the sum), 1 - entropy of their orientations / 4 bits."""
    magnitude = np.zeros(MAGNITUDE_BINS, np.int64)
    turns = np.zeros(ORIENTATION_BINS, np.int64)
    for key in range(_KEYS):
        count = i64(0)
        for turn in range(4):
            i = _4 * u64(key) + u64(turn)
            count += i64(keys[i]) + i64(keys[_HALF + i])
        if key < _EDGE_BIN:
            magnitude[key] += count
        else:
            magnitude[_EDGE_BIN + (key - _EDGE_BIN) // ORIENTATION_BINS] += count
            turns[(key - _EDGE_BIN) % ORIENTATION_BINS] += count
    edges = turns.sum()
    out[2] = edges / magnitude.sum()
    out[3] = out[3] / edges if edges > 0 else 0.0
    out[13] = _entropy(magnitude)
    out[16] = 1.0 - _entropy(turns) / 4.0 if edges > 0 else 0.0


@njit(**_OPTIONS)
def _write_place(columns: I32, sums: I64, h: int, w: int, out: F64) -> None:
    """Centroid's distance from the centre and spread about it, of s = |gx| + |gy|, in half diagonals."""
    total = float(sums[6])
    half = 0.5 * math.sqrt(float(h * h + w * w))
    out[14] = out[15] = 0.0
    if total > 0.0:
        x1 = x2 = i64(0)
        for x in range(w):
            x1 += x * i64(columns[x])
            x2 += x * x * i64(columns[x])
        cx = x1 / total
        cy = sums[7] / total
        spread = x2 / total - cx * cx + sums[8] / total - cy * cy
        dx = cx - 0.5 * (w - 1)
        dy = cy - 0.5 * (h - 1)
        out[14] = math.sqrt(dx * dx + dy * dy) / half
        out[15] = math.sqrt(max(spread, 0.0)) / half


@njit(**_OPTIONS)
def _write_sums(sums: I64, totals: F64, pivot: float, n: int, w: int, out: F64) -> None:
    """The statistics of Sobel, structure tensor, Laplacian and local variance from the exact sums."""
    magnitude = local = local_2 = 0.0
    for x in range((w + 3) // 4):
        magnitude += totals[_MAGNITUDE + u64(x)]
        local += totals[_LOCAL + u64(x)]
        local_2 += totals[_LOCAL_2 + u64(x)]
    ax, ay, xx, yy, xy = sums[0], sums[6] - sums[0], sums[2], sums[3], sums[4]
    mean = magnitude / n
    out[0] = mean
    out[1] = math.sqrt(max((xx + yy) / n - mean * mean, 0.0))
    out[3] = sums[5] / 4096.0
    out[4] = ax / n
    out[5] = ay / n
    out[6] = (ax - ay) / (ax + ay) if ax + ay > 0 else 0.0
    p = float(xx - yy)
    q = 2.0 * xy
    out[7] = math.sqrt(p * p + q * q) / (xx + yy) if xx + yy > 0 else 0.0
    turn = 0.5 * math.atan2(q, p)
    out[8] = turn + math.pi if turn <= -0.25 * math.pi else turn
    out[9] = sums[9] / n
    out[10] = (sums[11] - sums[10] * (sums[10] / n)) / n
    shift = local / n
    variance = max(local_2 / n - shift * shift, 0.0)
    out[11] = (variance + (pivot + shift) ** 2) / 625.0
    out[12] = math.sqrt(variance) / 25.0
    out[17] = sums[13] / sums[12] if sums[12] > 0 else 0.0


@njit(**_OPTIONS)
def measure(grey: U8, flags: U8, h: int, w: int, out: F64) -> None:
    """Texture, edge and scar features of a box.

    Parameters
    ----------
    grey : ndarray of uint8, shape (p,)
        Plane of (h + 4) rows of (w + 4); its border of 2 is filled here.
    flags : ndarray of uint8, shape (h * w,)
        Bit 0: skin.
    h, w : int
        At most 256, at least 1.
    out : ndarray of float64, shape (18,), written
        `NAMES`.
    """
    stride = w + 4
    _fill_border(grey, h, w)
    buf = np.zeros(_N_SHORTS, np.int16)
    lines = np.zeros(_N_LINES * _STRIDE, np.int16)
    ints = np.zeros(2 * _STRIDE, np.int32)
    bins = np.zeros(_STRIDE, np.uint16)
    roots = np.zeros(2 * _STRIDE, np.float32)
    totals = np.zeros(3 * _STRIDE, np.float64)
    columns = np.zeros(_STRIDE, np.int32)
    keys = np.zeros(_TURNS * (_KEYS + 1), np.uint16)
    sums = np.zeros(16, np.int64)
    top, bottom = h // 4, max(3 * h // 4, h // 4 + 1)
    left, right = w // 4, max(3 * w // 4, w // 4 + 1)
    for y in range(4):
        _take_line(grey, u64(y * stride), stride, lines, _slot(y))
        _slide(lines, _slot(y), _slot(-1), stride, ints)
    pivot = 0.0
    for y in range(h):
        _take_line(grey, u64((y + 4) * stride), stride, lines, _slot(y + 4))
        _slide(lines, _slot(y + 4), _slot(y - 1), stride, ints)
        _sobel_row(lines, _slot(y + 1) + _1, _slot(y + 2) + _1, _slot(y + 3) + _1, w, buf)
        _magnitude_row(buf, w, sums, roots, bins)
        _add_strength(buf, w, y, sums)
        if y % _ROWS_IN_16_BITS == _ROWS_IN_16_BITS - 1 or y == h - 1:
            _close_columns(buf, w, sums, columns)
        _add_keys(bins, w, keys)
        _add_laplacian(buf, w, sums)
        if top <= y < bottom:
            _add_scars(buf, u64(left), flags, u64(y * w + left), right - left, sums)
        _local_row(ints, w, roots)
        if y == 0:
            pivot = f64(roots[_LOCAL])
            for x in range(w, w + 3):
                roots[_LOCAL + u64(x)] = roots[_LOCAL]
        _add_roots(roots, w, pivot, totals)
    _write_sums(sums, totals, pivot, h * w, w, out)
    _write_histograms(keys, out)
    _write_place(columns, sums, h, w, out)
