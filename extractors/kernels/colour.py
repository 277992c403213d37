"""One pass over the RGB pixels: colour, palette and the masks that need colour.

Owns the conversion to OpenCV's uint8 HSV and grey, and leaves the grey plane and the flags plane for
the kernels that follow. Images are uint8 RGB; a box (y0, y1, x0, x1) holds the valid pixels.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit
from numpy import float32 as f32
from numpy import int32 as i32
from numpy import uint8 as u8
from numpy import uint16 as u16
from numpy import uint32 as u32
from numpy import uint64 as u64

__all__ = ["FLAG_GLOW", "FLAG_SKIN", "NAMES", "convert", "scan"]

#: What `scan` writes into ``out``, in order.
NAMES: Final = (
    "red_mean", "green_mean", "blue_mean", "red_std", "green_std", "blue_std", "hue_mean", "hue_resultant",
    "saturation_mean", "saturation_std", "value_mean", "value_std", "warm_share", "cool_share",
    "vivid_share", "muted_share", "red_mark_share", "skin_share", "highlight_share", "palette_red",
    "palette_orange", "palette_lime", "palette_green", "palette_cyan", "palette_blue", "palette_violet",
    "palette_pink", "colourfulness",
)  # fmt: skip

CHROMATIC_MIN_S: Final = 26
CHROMATIC_MIN_V: Final = 26
WARM_BELOW_H: Final = 30
WARM_FROM_H: Final = 150
COOL_FROM_H: Final = 75
COOL_BELOW_H: Final = 135
VIVID_ABOVE_S: Final = 178
MUTED_BELOW_S: Final = 51
SKIN_MAX_H: Final = 25
SKIN_MIN_S: Final = 38
SKIN_MAX_S: Final = 173
SKIN_MIN_V: Final = 89
RED_BELOW_H: Final = 8
RED_FROM_H: Final = 172
RED_MIN_S: Final = 128
RED_MIN_V: Final = 77
HIGHLIGHT_MIN_V: Final = 240
HIGHLIGHT_MAX_S: Final = 25
GLOW_MIN_V: Final = 204
GLOW_MIN_S: Final = 102
FLAG_SKIN: Final = 1
FLAG_GLOW: Final = 2

# Rows of the image that are taken at once: long loops cost less, and the planes still fit the nearest cache.
_ROWS: Final = 8
# Planes of the scratch buffer. One buffer with fixed offsets, so that LLVM sees that they never overlap; a
# whole buffer and an unsigned offset, as a slice is counted by an atomic and a signed one may be negative.
_STRIDE: Final = _ROWS * 256 + 64
_R: Final = u64(0)
_G: Final = u64(_STRIDE)
_B: Final = u64(2 * _STRIDE)
_H: Final = u64(3 * _STRIDE)
_S: Final = u64(4 * _STRIDE)
_V: Final = u64(5 * _STRIDE)
_HUE: Final = u64(6 * _STRIDE)
_PLANES: Final = 7
# Sums a hue take turns, so that equal neighbours need not wait for each other; none of them lie 4 KiB apart.
_TURNS: Final = 8
_ROOM: Final = 264
_NO_HUE: Final = 255

_COUNT: Final = np.int64(1 << 32)
_ANGLE = np.arange(180) * (math.pi / 90.0)
_COS = np.cos(_ANGLE)
_SIN = np.sin(_ANGLE)
U8: TypeAlias = npt.NDArray[np.uint8]
I64: TypeAlias = npt.NDArray[np.int64]
F64: TypeAlias = npt.NDArray[np.float64]
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "cache": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_OPTIONS)
def _split_row(pixels: U8, start: u64, n: int, rows: U8, at: u64) -> None:
    """Interleaved RGB from ``start`` on to three planes, from ``at`` on."""
    for x in range(n):
        first = start + u64(3) * u64(x)
        rows[_R + at + u64(x)] = pixels[first]
        rows[_G + at + u64(x)] = pixels[first + u64(1)]
        rows[_B + at + u64(x)] = pixels[first + u64(2)]


@njit(**_OPTIONS)
def _grey_row(rows: U8, at: u64, n: int, grey: U8, start: u64) -> None:
    """Grey = (9798 R + 19235 G + 3735 B + 2^14) >> 15, as OpenCV's."""
    for x in range(n):
        r = i32(rows[_R + at + u64(x)])
        g = i32(rows[_G + at + u64(x)])
        b = i32(rows[_B + at + u64(x)])
        grey[start + u64(x)] = i32(i32(r * 9798 + g * 19235 + b * 3735 + 16384) >> i32(15))


@njit(**_OPTIONS)
def _fill_hsv(rows: U8, n: int) -> None:
    """Fill the H, S, V planes from the R, G, B planes, exactly as OpenCV does.

    V = max; S = (d [255·2^12 / V] + 2^11) >> 12; H = (e [30·2^12 / d] + 2^11) >> 12, plus 180 if
    negative; d = max - min; e = G-B, B-R+2d or R-G+4d for the first of R, G, B that is the maximum;
    [·] rounds to the nearest integer. No quotient lies within 4e-7 of a half, so float32 with one division
    for both rounds to the same integers (tested on every colour).
    """
    for x in range(n):
        r = i32(rows[_R + u64(x)])
        g = i32(rows[_G + u64(x)])
        b = i32(rows[_B + u64(x)])
        v = max(max(r, g), b)
        d = i32(v - min(min(r, g), b))
        fv = f32(max(v, i32(1)))
        fd = f32(max(d, i32(1)))
        share = f32(1) / (fv * fd)
        per_v = i32(fd * share * f32(255 << 12) + f32(0.5))
        per_d = i32(fv * share * f32(30 << 12) + f32(0.5))
        e = i32(i32(r - g) + i32(4 * d))
        e = i32(i32(b - r) + i32(2 * d)) if v == g else e
        e = i32(g - b) if v == r else e
        h = i32(i32(i32(e * per_d) + i32(2048)) >> i32(12))
        rows[_H + u64(x)] = min(u32(h), u32(i32(h + 180)))
        rows[_S + u64(x)] = i32(i32(i32(d * per_v) + i32(2048)) >> i32(12))
        rows[_V + u64(x)] = v


@njit(**_OPTIONS)
def convert(line: U8) -> U8:
    """Hue, saturation, value and grey of up to 256 pixels.

    Parameters
    ----------
    line : ndarray of uint8, shape (3 n,)
        Interleaved RGB, n <= 256.

    Returns
    -------
    ndarray of uint8, shape (4, n)
    """
    n = line.size // 3
    rows = np.empty(_PLANES * _STRIDE, np.uint8)
    result = np.empty((4, n), np.uint8)
    _split_row(line, u64(0), n, rows, u64(0))
    _fill_hsv(rows, n)
    _grey_row(rows, u64(0), n, result[3], u64(0))
    for x in range(n):
        result[0, x] = rows[_H + u64(x)]
        result[1, x] = rows[_S + u64(x)]
        result[2, x] = rows[_V + u64(x)]
    return result


@njit(**_OPTIONS)
def _add_rgb(rows: U8, n: int, sums: I64) -> None:
    """Add to ``sums``: R, G, B, their squares, R G and B (R + G)."""
    r1 = g1 = b1 = r2 = g2 = b2 = rg = rgb = i32(0)
    for x in range(n):
        r = i32(rows[_R + u64(x)])
        g = i32(rows[_G + u64(x)])
        b = i32(rows[_B + u64(x)])
        r1 = i32(r1 + r)
        g1 = i32(g1 + g)
        b1 = i32(b1 + b)
        r2 = i32(r2 + i32(r * r))
        g2 = i32(g2 + i32(g * g))
        b2 = i32(b2 + i32(b * b))
        rg = i32(rg + i32(r * g))
        rgb = i32(rgb + i32(b * (r + g)))
    sums[0] += r1
    sums[1] += g1
    sums[2] += b1
    sums[3] += r2
    sums[4] += g2
    sums[5] += b2
    sums[6] += rg
    sums[7] += rgb


@njit(**_OPTIONS)
def _add_sv(rows: U8, n: int, sums: I64) -> None:
    """Add to ``sums[8:]``: S, V, their squares; counts of vivid, muted, highlight."""
    s1 = v1 = s2 = v2 = i32(0)
    for x in range(n):
        s = i32(rows[_S + u64(x)])
        v = i32(rows[_V + u64(x)])
        s1 = i32(s1 + s)
        v1 = i32(v1 + v)
        s2 = i32(s2 + i32(s * s))
        v2 = i32(v2 + i32(v * v))
    vivid = muted = high = u16(0)
    for x in range(n):
        s = rows[_S + u64(x)]
        bright = rows[_V + u64(x)] >= u8(HIGHLIGHT_MIN_V)
        vivid = u16(vivid + u16(s > u8(VIVID_ABOVE_S)))
        muted = u16(muted + u16(s < u8(MUTED_BELOW_S)))
        high = u16(high + u16(bright & (s <= u8(HIGHLIGHT_MAX_S))))
    sums[8] += s1
    sums[9] += v1
    sums[10] += s2
    sums[11] += v2
    sums[12] += vivid
    sums[13] += muted
    sums[14] += high


@njit(**_OPTIONS)
def _fill_flags(rows: U8, n: int, flags: U8, start: u64) -> np.int64:
    """Flag skin and glow; returns the pixels of skin."""
    for x in range(n):
        h = rows[_H + u64(x)]
        s = rows[_S + u64(x)]
        v = rows[_V + u64(x)]
        skin = (h <= SKIN_MAX_H) & (s >= SKIN_MIN_S) & (s <= SKIN_MAX_S) & (v >= SKIN_MIN_V)
        glow = (v >= GLOW_MIN_V) & (s >= GLOW_MIN_S)
        flags[start + u64(x)] = u8(u8(skin) * u8(FLAG_SKIN) + u8(glow) * u8(FLAG_GLOW))
    count = u16(0)
    for x in range(n):
        count = u16(count + u16(flags[start + u64(x)] & u8(FLAG_SKIN)))
    return np.int64(count)


@njit(**_OPTIONS)
def _count_red(rows: U8, at: u64, n: int) -> np.int64:
    """Pixels of strong red among n from ``at`` on."""
    red = u16(0)
    for x in range(n):
        h = rows[_H + at + u64(x)]
        hue = (h < RED_BELOW_H) | (h >= RED_FROM_H)
        strong = (rows[_S + at + u64(x)] >= RED_MIN_S) & (rows[_V + at + u64(x)] >= RED_MIN_V)
        red = u16(red + u16(hue & strong))
    return np.int64(red)


@njit(**_OPTIONS)
def _add_hues(rows: U8, n: int, hues: I64) -> None:
    """Add 2^32 + S to the hue of each chromatic pixel; the others go where none looks."""
    for x in range(n):
        s, v = rows[_S + u64(x)], rows[_V + u64(x)]
        pale = u8((s < u8(CHROMATIC_MIN_S)) | (v < u8(CHROMATIC_MIN_V)))
        rows[_HUE + u64(x)] = u8(rows[_H + u64(x)] | u8(-pale))  # or 255, `_NO_HUE`
    for x in range(n, n + _TURNS - 1):
        rows[_HUE + u64(x)] = _NO_HUE
    for turn in range((n + _TURNS - 1) // _TURNS):
        hue = _HUE + u64(turn) * u64(_TURNS)
        s = _S + u64(turn) * u64(_TURNS)
        hues[rows[hue]] += _COUNT + rows[s]
        hues[_ROOM + rows[hue + u64(1)]] += _COUNT + rows[s + u64(1)]
        hues[2 * _ROOM + rows[hue + u64(2)]] += _COUNT + rows[s + u64(2)]
        hues[3 * _ROOM + rows[hue + u64(3)]] += _COUNT + rows[s + u64(3)]
        hues[4 * _ROOM + rows[hue + u64(4)]] += _COUNT + rows[s + u64(4)]
        hues[5 * _ROOM + rows[hue + u64(5)]] += _COUNT + rows[s + u64(5)]
        hues[6 * _ROOM + rows[hue + u64(6)]] += _COUNT + rows[s + u64(6)]
        hues[7 * _ROOM + rows[hue + u64(7)]] += _COUNT + rows[s + u64(7)]


@njit(**_OPTIONS)
def _std(total: int, squares: int, n: int) -> float:
    """Population standard deviation from exact sums: sqrt(n Σx² - (Σx)²) / n."""
    return math.sqrt(float(n * squares - total * total)) / n


@njit(**_OPTIONS)
def _write_hues(hues: I64, n: int, out: F64) -> None:
    """Circular mean and resultant, warm and cool share, palette; from counts and S per hue.

    C = Σ cos(πH/90), D = Σ sin(πH/90) over the m chromatic pixels; mean atan2(D, C), resultant
    sqrt(C² + D²)/m (Mardia & Jupp 2000); 0 where they are not defined.
    """
    count = warm = cool = weight = np.int64(0)
    c = d = 0.0
    bins = np.zeros(8, np.int64)
    for h in range(180):
        packed = np.int64(0)
        for turn in range(_TURNS):
            packed += hues[turn * _ROOM + h]
        k = packed >> 32
        s = packed & 0xFFFFFFFF
        count += k
        c += k * _COS[h]
        d += k * _SIN[h]
        if h < WARM_BELOW_H or h >= WARM_FROM_H:
            warm += k
        if COOL_FROM_H <= h < COOL_BELOW_H:
            cool += k
        bins[((16 * h + 180) // 360) % 8] += s
        weight += s
    length = math.sqrt(c * c + d * d) / max(count, np.int64(1))
    defined = length > 1e-9
    out[6] = math.atan2(d, c) if defined else 0.0
    out[7] = min(length, 1.0) if defined else 0.0
    out[12] = warm / n
    out[13] = cool / n
    for b in range(8):
        out[19 + b] = bins[b] / weight if weight > 0 else 0.0


@njit(**_OPTIONS)
def _write_sums(sums: I64, skin: int, red: int, n: int, n_centre: int, out: F64) -> None:
    """Means, deviations, shares and colourfulness (Hasler & Süsstrunk 2003) from the exact sums."""
    for k in range(3):
        out[k] = sums[k] / n
        out[3 + k] = _std(sums[k], sums[3 + k], n)
    for k in range(2):
        out[8 + 2 * k] = sums[8 + k] / n
        out[9 + 2 * k] = _std(sums[8 + k], sums[10 + k], n)
    out[14] = sums[12] / n
    out[15] = sums[13] / n
    out[16] = red / n_centre
    out[17] = skin / n
    out[18] = sums[14] / n
    rg = sums[0] - sums[1]
    yb = sums[0] + sums[1] - 2 * sums[2]
    rg_std = _std(rg, sums[3] + sums[4] - 2 * sums[6], n)
    yb_std = _std(yb, sums[3] + sums[4] + 4 * sums[5] + 2 * sums[6] - 4 * sums[7], n) / 2.0
    rg_mean = rg / n
    yb_mean = yb / (2.0 * n)
    spread = math.sqrt(rg_std * rg_std + yb_std * yb_std)
    out[27] = spread + 0.3 * math.sqrt(rg_mean * rg_mean + yb_mean * yb_mean)


@njit(**_OPTIONS)
def scan(image: U8, y0: int, y1: int, x0: int, x1: int, grey: U8, flags: U8, out: F64) -> None:
    """Colour features of a box, and its grey and flags planes.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3), C order
    y0, y1, x0, x1 : int
        The box, at most 256 wide and high, not empty.
    grey : ndarray of uint8, shape (p,), written
        Plane with rows of w + 4 for a border of 2, which is left unwritten.
    flags : ndarray of uint8, shape (h * w,), written
        ``FLAG_SKIN``, ``FLAG_GLOW``.
    out : ndarray of float64, shape (28,), written
        `NAMES`.
    """
    h = y1 - y0
    w = x1 - x0
    width = image.shape[1]
    pixels = image.reshape(image.size)
    rows = np.zeros(_PLANES * _STRIDE, np.uint8)
    sums = np.zeros(16, np.int64)
    hues = np.zeros(_TURNS * _ROOM, np.int64)
    top, bottom = h // 4, max(3 * h // 4, h // 4 + 1)
    left, right = w // 4, max(3 * w // 4, w // 4 + 1)
    skin = red = np.int64(0)
    for y in range(0, h, _ROWS):
        n_rows = min(_ROWS, h - y)
        for j in range(n_rows):
            at = u64(j * w)
            _split_row(pixels, u64(((y0 + y + j) * width + x0) * 3), w, rows, at)
            _grey_row(rows, at, w, grey, u64((y + j + 2) * (w + 4) + 2))
        n = n_rows * w
        _fill_hsv(rows, n)
        _add_rgb(rows, n, sums)
        _add_sv(rows, n, sums)
        skin += _fill_flags(rows, n, flags, u64(y * w))
        for j in range(max(top - y, 0), min(bottom - y, n_rows)):
            red += _count_red(rows, u64(j * w + left), right - left)
        _add_hues(rows, n, hues)
    _write_hues(hues, h * w, out)
    _write_sums(sums, skin, red, h * w, (bottom - top) * (right - left), out)
