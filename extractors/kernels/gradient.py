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
from numpy import uint16 as u16

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
# One key holds the magnitude's bin and, from the edge threshold on, the orientation's bin too. Four
# histograms take turns, so that equal neighbours need not wait for each other; each has a bin to spare.
_KEYS: Final = _EDGE_BIN + (MAGNITUDE_BINS - _EDGE_BIN) * ORIENTATION_BINS
_ROOM: Final = _KEYS + 8
_SLOPE_1 = f32(math.tan(math.pi / 32))
_SLOPE_2 = f32(math.tan(3 * math.pi / 32))
_SLOPE_3 = f32(math.tan(5 * math.pi / 32))
_SLOPE_4 = f32(math.tan(7 * math.pi / 32))

# Rows of the scratch buffers. One buffer a type with fixed offsets, so that LLVM sees no overlap.
_STRIDE: Final = 320
_SMOOTH: Final = 0
_DIFF: Final = _STRIDE
_GX: Final = 2 * _STRIDE
_GY: Final = 3 * _STRIDE
_STRENGTH: Final = 4 * _STRIDE
_LAPLACIAN: Final = 5 * _STRIDE
_SUM: Final = 0
_SQUARE: Final = _STRIDE
_MAGNITUDE: Final = 0
_LOCAL: Final = _STRIDE
_LOCAL_2: Final = 2 * _STRIDE
U8: TypeAlias = npt.NDArray[np.uint8]
I64: TypeAlias = npt.NDArray[np.int64]
I16: TypeAlias = npt.NDArray[np.int16]
I32: TypeAlias = npt.NDArray[np.int32]
F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
U16: TypeAlias = npt.NDArray[np.uint16]
U32: TypeAlias = npt.NDArray[np.uint32]
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
    for y in range(2, h + 2):
        line = y * stride
        for k in (-2, -1, w, w + 1):
            grey[line + 2 + k] = grey[line + 2 + _mirror(k, w)]
    for k in (-2, -1, h, h + 1):
        source = (2 + _mirror(k, h)) * stride
        target = (2 + k) * stride
        for x in range(stride):
            grey[target + x] = grey[source + x]


@njit(**_OPTIONS)
def _orientation_bin(gx: int, gy: int) -> np.int32:
    """Bin of a gradient's orientation modulo π; 16 bins, bin k centred on kπ/16.

    The borders' slopes are irrational, so no integer gradient lies on one and float32 decides exactly.
    """
    ax = i32(abs(gx))
    ay = i32(abs(gy))
    long = f32(max(ax, ay))
    short = f32(min(ax, ay))
    k = i32(short > long * _SLOPE_1)
    k = i32(k + i32(short > long * _SLOPE_2))
    k = i32(k + i32(short > long * _SLOPE_3))
    k = i32(k + i32(short > long * _SLOPE_4))
    k = i32(i32(8) - k) if ay > ax else k
    return i32(i32(i32(16) - k) & i32(15)) if i32(gx ^ gy) < 0 else k


@njit(**_OPTIONS)
def orientation_bins(gx: I16, gy: I16) -> I32:
    """Orientation bins of int16 gradients of shape (n,)."""
    bins = np.empty(gx.size, np.int32)
    for x in range(gx.size):
        bins[x] = _orientation_bin(i32(gx[x]), i32(gy[x]))
    return bins


@njit(**_OPTIONS)
def _sobel_row(up: U8, mid: U8, down: U8, n: int, buf: I16) -> None:
    """Sobel: gx = [-1 0 1] of [1 2 1]ᵀ, gy = [1 2 1] of [-1 0 1]ᵀ, |gx| + |gy|, and the Laplacian.

    The rows start one left of the first pixel.
    """
    for x in range(n + 2):
        buf[_SMOOTH + x] = i16(i16(up[x]) + i16(2 * i16(mid[x])) + i16(down[x]))
        buf[_DIFF + x] = i16(i16(down[x]) - i16(up[x]))
    for x in range(n):
        gx = i16(buf[_SMOOTH + x + 2] - buf[_SMOOTH + x])
        gy = i16(buf[_DIFF + x] + i16(2 * buf[_DIFF + x + 1]) + buf[_DIFF + x + 2])
        buf[_GX + x] = gx
        buf[_GY + x] = gy
        buf[_STRENGTH + x] = i16(i16(abs(gx)) + i16(abs(gy)))
    for x in range(n):
        side = i16(i16(mid[x]) + i16(mid[x + 2]))
        buf[_LAPLACIAN + x] = i16(buf[_SMOOTH + x + 1] + side - i16(6 * i16(mid[x + 1])))


@njit(**_OPTIONS)
def _add_gradient(buf: I16, n: int, y: int, sums: I64, columns: I32) -> None:
    """Add Σ|gx|, Σgx², Σgy², Σgx gy, and Σ s, Σ y s, Σ y² s of s = |gx| + |gy|; s to its columns."""
    xx = yy = xy = ax = strength = i32(0)
    for x in range(n):
        gx = i32(buf[_GX + x])
        gy = i32(buf[_GY + x])
        xx = i32(xx + i32(gx * gx))
        yy = i32(yy + i32(gy * gy))
        xy = i32(xy + i32(gx * gy))
    for x in range(n):
        ax = i32(ax + i32(abs(buf[_GX + x])))
        strength = i32(strength + i32(buf[_STRENGTH + x]))
    for x in range(n):
        columns[x] = i32(columns[x] + i32(buf[_STRENGTH + x]))
    total = np.int64(strength)
    sums[0] += ax
    sums[1] += total - ax
    sums[2] += xx
    sums[3] += yy
    sums[4] += xy
    sums[6] += total
    sums[7] += y * total
    sums[8] += y * y * total


@njit(**_OPTIONS)
def _magnitude_row(buf: I16, n: int, roots: F32, bins: U16) -> np.int64:
    """Magnitudes and the keys of both histograms; returns 2^12 times the sum over the row's edges."""
    edges = i32(0)
    for x in range(n):
        gx = i32(buf[_GX + x])
        gy = i32(buf[_GY + x])
        m = np.sqrt(f32(i32(i32(gx * gx) + i32(gy * gy))))
        roots[_MAGNITUDE + x] = m
        k = min(i32(m * _PER_BIN), i32(MAGNITUDE_BINS - 1))
        edge = i32(
            i32(_EDGE_BIN)
            + i32(i32(i32(k - i32(_EDGE_BIN)) * i32(ORIENTATION_BINS)) + _orientation_bin(gx, gy))
        )
        bins[x] = u16(edge if k >= _EDGE_BIN else k)
        edges = i32(edges + (i32(m * f32(4096) + f32(0.5)) if k >= _EDGE_BIN else i32(0)))
    return np.int64(edges)


@njit(**_OPTIONS)
def _add_roots(roots: F32, quarter: int, pivot: float, totals: F64) -> None:
    """Add a row of roots, four quarters of it at once, to float64 totals a column.

    The local deviations, and their squares, are taken from ``pivot``: equal ones have variance 0.
    """
    q2, q3 = 2 * quarter, 3 * quarter
    for x in range(quarter):
        a = f64(roots[_MAGNITUDE + x]) + f64(roots[_MAGNITUDE + quarter + x])
        b = f64(roots[_MAGNITUDE + q2 + x]) + f64(roots[_MAGNITUDE + q3 + x])
        totals[_MAGNITUDE + x] += a + b
    for x in range(quarter):
        a = f64(roots[_LOCAL + x]) - pivot
        b = f64(roots[_LOCAL + quarter + x]) - pivot
        c = f64(roots[_LOCAL + q2 + x]) - pivot
        d = f64(roots[_LOCAL + q3 + x]) - pivot
        totals[_LOCAL + x] += (a + b) + (c + d)
        totals[_LOCAL_2 + x] += (a * a + b * b) + (c * c + d * d)


@njit(**_OPTIONS)
def _add_laplacian(lap: I16, sums: I64) -> None:
    """Add Σ|L|, ΣL, ΣL² of the Laplacian [0 1 0; 1 -4 1; 0 1 0]."""
    a = s = q = i32(0)
    for x in range(lap.size):
        v = i32(lap[x])
        a = i32(a + i32(abs(lap[x])))
        s = i32(s + v)
        q = i32(q + i32(v * v))
    sums[9] += a
    sums[10] += s
    sums[11] += q


@njit(**_OPTIONS)
def _add_scars(lap: I16, flag: U8, sums: I64) -> None:
    """Add the skin pixels of a row, and those of them with a strong Laplacian."""
    skin = scars = i32(0)
    for x in range(flag.size):
        on_skin = i32(flag[x] & 1)
        skin = i32(skin + on_skin)
        scars = i32(scars + (on_skin if abs(lap[x]) >= SCAR_MIN_LAPLACIAN else i32(0)))
    sums[12] += skin
    sums[13] += scars


@njit(**_OPTIONS)
def _slide(enter: U8, leave: U8, n: int, ints: I32) -> None:
    """Move the column sums of x and x² down by a row."""
    for x in range(n):
        a = i32(enter[x])
        b = i32(leave[x])
        ints[_SUM + x] = i32(ints[_SUM + x] + i32(a - b))
        ints[_SQUARE + x] = i32(ints[_SQUARE + x] + i32(i32(a * a) - i32(b * b)))


@njit(**_OPTIONS)
def _local_row(ints: I32, n: int, roots: F32) -> None:
    """25 times the standard deviation of each 5x5 window, sqrt(25 Σx² - (Σx)²)."""
    for x in range(n):
        s = i32(ints[_SUM + x] + ints[_SUM + x + 1] + ints[_SUM + x + 2])
        s = i32(s + ints[_SUM + x + 3] + ints[_SUM + x + 4])
        q = i32(ints[_SQUARE + x] + ints[_SQUARE + x + 1] + ints[_SQUARE + x + 2])
        q = i32(q + ints[_SQUARE + x + 3] + ints[_SQUARE + x + 4])
        roots[_LOCAL + x] = np.sqrt(f32(i32(i32(25 * q) - i32(s * s))))


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
def _write_histograms(keys: U32, out: F64) -> None:
    """Edges: their share, mean (``out[3]`` holds the sum), 1 - entropy of their orientations / 4 bits."""
    magnitude = np.zeros(MAGNITUDE_BINS, np.int64)
    turns = np.zeros(ORIENTATION_BINS, np.int64)
    for key in range(_KEYS):
        count = np.int64(keys[key]) + keys[_ROOM + key] + keys[2 * _ROOM + key] + keys[3 * _ROOM + key]
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
        x1 = x2 = np.int64(0)
        for x in range(w):
            x1 += x * np.int64(columns[x])
            x2 += x * x * np.int64(columns[x])
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
        magnitude += totals[_MAGNITUDE + x]
        local += totals[_LOCAL + x]
        local_2 += totals[_LOCAL_2 + x]
    ax, ay, xx, yy, xy = sums[0], sums[1], sums[2], sums[3], sums[4]
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
    buf = np.empty(6 * _STRIDE, np.int16)
    ints = np.zeros(2 * _STRIDE, np.int32)
    bins = np.zeros(_STRIDE, np.uint16)
    roots = np.zeros(2 * _STRIDE, np.float32)
    totals = np.zeros(3 * _STRIDE, np.float64)
    columns = np.zeros(_STRIDE, np.int32)
    keys = np.zeros(4 * _ROOM, np.uint32)
    one = np.uint32(1)
    sums = np.zeros(16, np.int64)
    blank = np.zeros(stride, np.uint8)
    top, bottom = h // 4, max(3 * h // 4, h // 4 + 1)
    left, right = w // 4, max(3 * w // 4, w // 4 + 1)
    for y in range(4):
        _slide(grey[y * stride : (y + 1) * stride], blank, stride, ints)
    leave = blank
    pivot = 0.0
    for y in range(h):
        up = grey[(y + 1) * stride + 1 : (y + 2) * stride]
        mid = grey[(y + 2) * stride + 1 : (y + 3) * stride]
        down = grey[(y + 3) * stride + 1 : (y + 4) * stride]
        _sobel_row(up, mid, down, w, buf)
        _add_gradient(buf, w, y, sums, columns)
        sums[5] += _magnitude_row(buf, w, roots, bins)
        bins[w : w + 3] = _KEYS
        for x in range(0, w, 4):
            keys[bins[x]] += one
            keys[_ROOM + bins[x + 1]] += one
            keys[2 * _ROOM + bins[x + 2]] += one
            keys[3 * _ROOM + bins[x + 3]] += one
        lap = buf[_LAPLACIAN : _LAPLACIAN + w]
        _add_laplacian(lap, sums)
        if top <= y < bottom:
            _add_scars(lap[left:right], flags[y * w + left : y * w + right], sums)
        _slide(grey[(y + 4) * stride : (y + 5) * stride], leave, stride, ints)
        leave = grey[y * stride : (y + 1) * stride]
        _local_row(ints, w, roots)
        if y == 0:
            pivot = f64(roots[_LOCAL])
            roots[_LOCAL + w : _LOCAL + w + 3] = roots[_LOCAL]
        _add_roots(roots, (w + 3) // 4, pivot, totals)
    _write_sums(sums, totals, pivot, h * w, w, out)
    _write_histograms(keys, out)
    _write_place(columns, sums, h, w, out)
