"""The grey thumbnail that `imagehash.phash` looks at, to the bit as Pillow makes it, in one kernel.

Pillow's own way there takes longer than decoding a JPEG, half of it under Python's lock. Owns the arithmetic:
integers throughout, as in Pillow. Refuses to know what the thumbnail is for. Importing it imports numba.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit
from numpy import int32 as i32
from PIL import Image

__all__ = ["SIDE", "thumbnail"]

#: Width and height of what comes out.
SIDE: Final = 32

# Pillow's fixed point: weights in 22 bits, and half of one for rounding.
_BITS: Final = 22
_HALF: Final = 1 << (_BITS - 1)
_REACH: Final = 3.0
# Rows that are made narrower together; as many as `SIDE`, for they share a buffer.
_ROWS: Final = 32

U8: TypeAlias = npt.NDArray[np.uint8]
I32: TypeAlias = npt.NDArray[np.int32]


def thumbnail(pixels: U8) -> U8:
    """What ``Image.fromarray(pixels).convert("L").resize((32, 32), LANCZOS)`` holds.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)

    Returns
    -------
    ndarray of uint8, shape (32, 32)
    """
    height, width = pixels.shape[:2]
    if height > width:  # some of these Pillow shrinks in the other order, and rounds in between
        image = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        return np.asarray(image)
    small = np.empty((SIDE, SIDE), np.uint8)
    _shrink(np.ascontiguousarray(pixels), *_weights(width), *_weights(height), small)
    return small


@functools.lru_cache(256)
def _weights(n: int) -> tuple[I32, I32, I32]:
    """Of each of the 32: where it begins among ``n``, how many it weighs, and their weights.

    Lanczos' window of three lobes, stretched so that every pixel counts (``precompute_coeffs`` and
    ``normalize_coeffs_8bpc`` in Pillow's Resample.c).
    """
    if n == SIDE:
        return np.arange(n, dtype=np.int32), np.ones(n, np.int32), np.full((n, 1), 1 << _BITS, np.int32)
    scale = n / SIDE
    stretch = max(scale, 1.0)
    support = _REACH * stretch
    begins, counts = np.zeros(SIDE, np.int32), np.zeros(SIDE, np.int32)
    weights = np.zeros((SIDE, 2 * math.ceil(support) + 1), np.int32)
    for i in range(SIDE):
        centre = (i + 0.5) * scale
        begin = max(int(centre - support + 0.5), 0)
        end = min(int(centre + support + 0.5), n)
        found = [_lanczos((j - centre + 0.5) * (1.0 / stretch)) for j in range(begin, end)]
        total = functools.reduce(operator.add, found)  # one after the other, as in C
        begins[i], counts[i] = begin, end - begin
        for k, one in enumerate(found):
            weights[i, k] = int(math.copysign(0.5, one) + one / total * (1 << _BITS))
    return begins, counts, weights


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / _REACH) if -_REACH <= x < _REACH else 0.0


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


@njit(cache=True, nogil=True)
def _shrink(
    pixels: U8, lefts: I32, n_across: I32, across: I32, tops: I32, n_down: I32, down: I32, small: U8
) -> None:
    """Grey, then narrower, then lower; rounded to 8 bits in between. Rows side by side are one vector."""
    height, width = pixels.shape[0], pixels.shape[1]
    grey, narrow = np.zeros((width, _ROWS), np.int32), np.empty((height, SIDE), np.int32)
    block = np.empty((SIDE, _ROWS), np.int32)
    for first in range(0, height, _ROWS):
        n_rows = min(_ROWS, height - first)
        for j in range(n_rows):
            for x in range(width):
                y = first + j
                red, green, blue = i32(pixels[y, x, 0]), i32(pixels[y, x, 1]), i32(pixels[y, x, 2])
                luma = i32(19595) * red + i32(38470) * green + i32(7471) * blue
                grey[x, j] = (luma + i32(32768)) >> i32(16)
        _weigh(grey, lefts, n_across, across, block)
        for i in range(SIDE):
            for j in range(n_rows):
                narrow[first + j, i] = block[i, j]
    _weigh(narrow, tops, n_down, down, block)
    small[:] = block


@njit(cache=True, nogil=True)
def _weigh(plane: I32, begins: I32, counts: I32, weights: I32, out: I32) -> None:
    """Weighted sums of some rows of a plane, of as many columns as `out` has, rounded to 8 bits."""
    for i in range(SIDE):
        sums = out[i]
        sums[:] = i32(_HALF)
        for k in range(counts[i]):
            weight = weights[i, k]
            y = begins[i] + k
            for x in range(len(sums)):
                sums[x] = i32(sums[x] + i32(plane[y, x] * weight))
        for x in range(len(sums)):
            sums[x] = min(max(sums[x] >> i32(_BITS), i32(0)), i32(255))
