"""Changed pictures: a colour around a grey, a change laid over a picture, and how large a change is.

Owns rounding and clipping, in one pass over the pixels. Sums of squares are whole numbers.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit
from numpy import float32 as f32

__all__ = ["lay", "recolour", "squares"]

U8: TypeAlias = npt.NDArray[np.uint8]
F32: TypeAlias = npt.NDArray[np.float32]
#: Grey as ``COLOR_RGB2GRAY`` weighs it.
RED, GREEN, BLUE = f32(0.299), f32(0.587), f32(0.114)
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "cache": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_OPTIONS)
def squares(one: U8, other: U8) -> np.int64:
    """Σ (one - other)² of two flat arrays of equal size."""
    total = np.int64(0)
    for i in range(one.size):
        step = np.int32(one[i]) - np.int32(other[i])
        total += step * step
    return total


@njit(**_OPTIONS)
def lay(base: U8, change: F32, factor: np.float32, out: U8) -> np.int64:
    """Write base + factor · change, rounded to even and clipped to 0..255; return Σ (out - base)².

    Parameters
    ----------
    base, out : ndarray of uint8, shape (n,)
    change : ndarray of float32, shape (n,)
    factor : float32
    """
    total = np.int64(0)
    for i in range(base.size):
        level = np.rint(f32(base[i]) + factor * change[i])
        level = min(max(level, f32(0)), f32(255))
        out[i] = np.uint8(level)
        step = np.int32(out[i]) - np.int32(base[i])
        total += step * step
    return total


@njit(**_OPTIONS)
def recolour(grey: F32, red: F32, blue: F32, out: U8) -> None:
    """Write the pixels of a grey, red - grey and blue - grey, paled where a channel would leave 0..255.

    Parameters
    ----------
    grey, red, blue : ndarray of float32, shape (h, w)
    out : ndarray of uint8, shape (h, w, 3)
    """
    tiny = f32(1e-6)
    for y in range(grey.shape[0]):
        for x in range(grey.shape[1]):
            g, r, b = grey[y, x], red[y, x], blue[y, x]
            m = -(RED * r + BLUE * b) / GREEN
            above, below = max(max(r, m), b), -min(min(r, m), b)
            room = min((f32(255) - g) / max(above, tiny), g / max(below, tiny))
            room = min(max(room, f32(0)), f32(1))
            out[y, x, 0] = np.uint8(min(max(np.rint(g + room * r), f32(0)), f32(255)))
            out[y, x, 1] = np.uint8(min(max(np.rint(g + room * m), f32(0)), f32(255)))
            out[y, x, 2] = np.uint8(min(max(np.rint(g + room * b), f32(0)), f32(255)))
