"""Many rows, a block of them or some columns at a time, without a copy of the whole.

Owns when rows are many, and what stands in their holes. Refuses to know what is fitted on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from featurestore.columns import parts

__all__ = ["MANY", "Imputed", "imputed", "in_double", "many", "row_blocks"]

Floats = npt.NDArray[np.float64]

#: Values from which on rows are worked through in blocks: 256 MiB of float64. Up to it everything is done
#: at once, and to the bit as scikit-learn does it.
MANY: Final = 1 << 25

#: Values of a block, 4 MiB of float64.
_BLOCK: Final = 1 << 19

#: Columns that are taken together: more would be so many float64 beside the rows.
_COLUMNS: Final = 4


def many(X: Any) -> bool:
    """Whether an array or a table is worked through in blocks."""
    return isinstance(X, np.ndarray | pd.DataFrame) and X.size > MANY


def row_blocks(X: Any) -> Iterator[Any]:
    """An array or table, some rows after the others where they are `many`; views."""
    n, d = X.shape
    if not many(X):
        yield X
        return
    for part in parts(n, max(1, _BLOCK // d)):
        yield X.iloc[part] if isinstance(X, pd.DataFrame) else X[part]


def in_double(X: Any) -> Any:
    """An array or table as float64; itself if it is."""
    values = X.to_numpy() if isinstance(X, pd.DataFrame) else X
    return X if values.dtype == np.float64 else X.astype(np.float64)


@dataclass(frozen=True)
class Imputed:
    """Rows whose holes are filled as they are taken.

    Attributes
    ----------
    values : ndarray of float32 or float64, shape (n, d)
        NaN where a value is missing; never changed.
    filled : ndarray of float64, shape (d,)
        What stands there instead.
    holed : ndarray of bool, shape (n,)
        Whether a row has a hole.
    """

    values: npt.NDArray[np.floating[Any]]
    filled: Floats
    holed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        n, d = self.values.shape
        return n, d

    def blocks(self, size: int, dtype: Any = np.float64) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
        """Blocks of at most ``size`` rows, and where they are; each is good until the next one is taken."""
        room = np.empty((min(size, len(self)), self.shape[1]), dtype)
        for part in parts(len(self), size):
            taken, holed = self.values[part], self.holed[part].any()
            if holed or taken.dtype != dtype or not taken.flags.c_contiguous:
                block = room[: len(taken)]
                np.copyto(block, taken, casting="same_kind")
                if holed:
                    np.copyto(block, self.filled.astype(dtype), where=np.isnan(block))
                taken = block
            yield part, taken

    def columns(self) -> Iterator[tuple[slice, Floats]]:
        """A few columns at a time, float64 (n, few), and where they are; good until the next are taken."""
        for part, taken in _columns(self.values):
            for column, filled in zip(taken.T, self.filled[part], strict=True):
                column[np.isnan(column)] = filled
            yield part, taken


def _columns(values: npt.NDArray[Any]) -> Iterator[tuple[slice, Floats]]:
    """A few columns at a time, each contiguous, and where they are; good until the next are taken."""
    n, d = values.shape
    room = np.empty((n, min(d, _COLUMNS)), order="F")
    for part in parts(d, _COLUMNS):
        taken = room[:, : part.stop - part.start]
        np.copyto(taken, values[:, part])
        yield part, taken


def imputed(X: Any) -> Imputed:
    """Rows, with the median of each column over those that have it; 0 where none has.

    Parameters
    ----------
    X : DataFrame or ndarray, shape (n, d)
    """
    values = X.to_numpy() if isinstance(X, pd.DataFrame) else X
    n, d = values.shape
    filled, holed = np.zeros(d), np.zeros(n, dtype=bool)
    for part, taken in _columns(values):
        for j, column in enumerate(taken.T, start=part.start):
            missing = np.isnan(column)
            holed |= missing
            there = column[~missing] if missing.any() else column
            if len(there):
                filled[j] = np.median(there)
    return Imputed(values, filled, holed)
