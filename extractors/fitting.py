"""How a picture of any size becomes the square that an extractor takes.

Owns crop, pad and squash. Refuses to know what is done with the square.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from extractors.base import RGB

__all__ = ["PAD_GREY", "Box", "Fit", "fit"]

Fit = Literal["crop", "pad", "squash"]

#: Level of the padding in all three channels.
PAD_GREY: Final = 128

# Pillow shrinks by whole steps first, down to three times the wanted size: fast, and beside Lanczos not seen.
_REDUCING_GAP: Final = 3.0


class Box(NamedTuple):
    """Rows [y0, y1) and columns [x0, x1) that show the picture and not padding."""

    y0: int
    y1: int
    x0: int
    x1: int


def fit(image: RGB, *, size_px: int, how: Fit) -> tuple[RGB, Box]:
    """Bring an image to ``size_px`` x ``size_px`` by Lanczos resampling.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
        Any size but empty; never changed. One that has the size already is returned as it is.
    size_px : int
        Side of the square.
    how : {"crop", "pad", "squash"}
        ``crop`` takes the largest centred square; ``pad`` keeps the whole picture and its proportions,
        centred over `PAD_GREY`; ``squash`` stretches each axis by itself.

    Returns
    -------
    square : ndarray of uint8, shape (size_px, size_px, 3)
        C-contiguous.
    valid : Box
        Everything, unless padded.

    Raises
    ------
    ValueError
        If the image is not uint8 of shape (height, width, 3) or is empty, or ``how`` is unknown.

    Examples
    --------
    >>> square, valid = fit(np.zeros((50, 100, 3), np.uint8), size_px=64, how="pad")
    >>> square.shape, valid
    ((64, 64, 3), Box(y0=16, y1=48, x0=0, x1=64))
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"an image is uint8 (height, width, 3), not {image.dtype} {image.shape}")
    if how not in ("crop", "pad", "squash"):
        raise ValueError(f"fit: {how!r} is none of crop, pad, squash")
    height, width = image.shape[:2]
    whole = Box(0, size_px, 0, size_px)
    if height == width == size_px:
        return np.ascontiguousarray(image), whole
    if how == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _resize(image[top : top + side, left : left + side], size_px, size_px), whole
    if how == "squash":
        return _resize(image, size_px, size_px), whole
    longest = max(height, width)
    rows = max(1, (height * size_px + longest // 2) // longest)
    columns = max(1, (width * size_px + longest // 2) // longest)
    y0, x0 = (size_px - rows) // 2, (size_px - columns) // 2
    square = np.full((size_px, size_px, 3), PAD_GREY, np.uint8)
    square[y0 : y0 + rows, x0 : x0 + columns] = _resize(image, rows, columns)
    return square, Box(y0, y0 + rows, x0, x0 + columns)


def _resize(image: RGB, rows: int, columns: int) -> RGB:
    """Resample to ``rows`` x ``columns``."""
    if image.shape[:2] == (rows, columns):
        return np.ascontiguousarray(image)
    picture = Image.fromarray(np.ascontiguousarray(image))
    resized = picture.resize((columns, rows), Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    return np.asarray(resized, dtype=np.uint8)
