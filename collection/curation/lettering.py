"""How much of a picture looks like text: small marks of one ink and one height, in rows or columns.

Owns one measure and its constants. It reads nothing and knows no script: hair, teeth and fences may look like
text to it, and large or connected letters may not. Refuses to say how much is too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["text_share"]

#: The longer side is brought to this, so that a letter's height is a share of the picture.
_SIDE_PX: Final = 384
#: Marks are what a closing by this square fills, so strokes are thinner than it.
_STROKE_PX: Final = 17
#: Grey levels between a mark and what is around it, and between the inks of neighbours.
_CONTRAST: Final = 60
_INK: Final = 25
_LEAST_PX, _MOST_PX = 6, 40
_FILL: Final = (0.15, 0.95)
#: A row has this many marks or more, or chance makes it.
_ROW: Final = 6
#: Marks that are looked at of each ink; a picture with more is a texture.
_MOST_MARKS: Final = 1500


@dataclass(frozen=True, order=True)
class _Mark:
    """A connected component: along the row, across it, extents and mean grey."""

    x: int
    y: int
    width: int
    height: int
    ink: float

    @property
    def turned(self) -> _Mark:
        return _Mark(self.y, self.x, self.height, self.width, self.ink)


def text_share(grey: npt.NDArray[np.uint8]) -> float:
    """Share of the area that lies under rows, or columns, of letter-like marks.

    Dark marks on light and light marks on dark are found apart: what a black-hat transform (a closing less
    the picture) lifts by 60 levels, in connected components of 6 to 40 of 384 pixels. Six or more make
    a row if each next one is near, of like height and ink and on one line.

    Parameters
    ----------
    grey : ndarray of uint8, shape (height, width)

    Returns
    -------
    float
        0 to 1: the greater of that of rows and that of columns.
    """
    import cv2
    import numpy as np

    scale = _SIDE_PX / max(grey.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    width, height = (max(1, round(side * scale)) for side in reversed(grey.shape))
    sized = np.asarray(cv2.resize(grey, (width, height), interpolation=how), np.uint8)
    covered = np.zeros((2, *sized.shape), bool)
    for picture in (sized, 255 - sized):
        marks = _marks(picture)
        for row in _rows(marks):
            covered[0][_extent(row)] = True
        for column in _rows([mark.turned for mark in marks]):
            covered[1][_extent([mark.turned for mark in column])] = True
    return float(covered.mean(axis=(1, 2)).max())


def _marks(grey: npt.NDArray[np.uint8]) -> list[_Mark]:
    """Dark marks of a letter's size."""
    import cv2
    import numpy as np

    lifted = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((_STROKE_PX, _STROKE_PX), np.uint8))
    n, labels, boxes, _ = cv2.connectedComponentsWithStats((lifted > _CONTRAST).astype(np.uint8))
    x, y, width, height, area = boxes.T
    ink = np.bincount(labels.ravel(), weights=grey.ravel(), minlength=n) / np.maximum(area, 1)
    fill = area / (width * height)
    longer, shorter = np.maximum(width, height), np.minimum(width, height)
    fits = (longer >= _LEAST_PX) & (longer <= _MOST_PX) & (shorter >= 2)
    fits &= (fill >= _FILL[0]) & (fill <= _FILL[1])
    fits[0] = False  # the ground
    chosen = np.flatnonzero(fits)[:_MOST_MARKS]
    return [_Mark(int(x[i]), int(y[i]), int(width[i]), int(height[i]), float(ink[i])) for i in chosen]


def _rows(marks: Sequence[_Mark]) -> list[list[_Mark]]:
    """Rows of marks, each mark in one at most."""
    left = sorted(mark for mark in marks if mark.height >= _LEAST_PX and mark.width <= 2 * mark.height)
    rows = []
    while left:
        row, rest = left[:1], []
        for i, mark in enumerate(left[1:], start=1):
            if mark.x > row[-1].x + row[-1].width + _MOST_PX:  # neither this one nor any further
                rest += left[i:]
                break
            if _follows(row[-1], mark):
                row.append(mark)
            else:
                rest.append(mark)
        if _is_line(row):
            rows.append(row)
            left = rest
        else:
            left = left[1:]
    return rows


def _follows(one: _Mark, other: _Mark) -> bool:
    """Whether a mark may be the next letter after another."""
    gap = other.x - (one.x + one.width)
    shared = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return (
        -0.5 * one.width <= gap <= max(one.height, other.height)
        and shared > 0.6 * min(one.height, other.height)
        and 0.5 <= other.height / one.height <= 2
        and abs(other.ink - one.ink) < _INK
    )


def _is_line(row: Sequence[_Mark]) -> bool:
    """Whether marks are many, and most of them stand on one line."""
    if len(row) < _ROW:
        return False
    feet = sorted(mark.y + mark.height for mark in row)
    height = sorted(mark.height for mark in row)[len(row) // 2]
    middle = feet[len(row) // 2]
    return sum(abs(foot - middle) <= 0.35 * height for foot in feet) >= 0.6 * len(row)


def _extent(row: Sequence[_Mark]) -> tuple[slice, slice]:
    """Rows and columns of pixels that marks span."""
    bottom = max(mark.y + mark.height for mark in row)
    right = max(mark.x + mark.width for mark in row)
    return slice(min(mark.y for mark in row), bottom), slice(min(mark.x for mark in row), right)
