"""What the user's own table says of the images beyond series and character: roles, and numbers.

Owns reading ``metadata/characters.csv`` for what is tested and never learned from: the column ``role``, and
every column of numbers. Refuses to know features and heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Annotations", "read_annotations"]

#: Columns that name something.
_NAMES: Final = frozenset({"file", "character", "series", "role", ""})


@dataclass(frozen=True)
class Annotations:
    """Of n images.

    Attributes
    ----------
    roles : ndarray of str, shape (n,), or None
        Empty text where the table has none for an image; None where it has no column ``role``.
    numbers : DataFrame of float64, n rows
        One column each that holds numbers, of two values or more; NaN where a cell is empty.
    """

    roles: npt.NDArray[Any] | None
    numbers: pd.DataFrame


def _number(text: str) -> float:
    try:
        value = float(text) if text else np.nan
    except ValueError:
        return np.inf
    return value


def read_annotations(root: Path, paths: Sequence[str]) -> Annotations:
    """Roles and numbers of some images.

    A column is one of numbers if every cell of it is one, or empty. (A column of years or of ids is one too:
    what it is tested for is for its owner to read.)

    Parameters
    ----------
    root : Path
        The data folder.
    paths : sequence of str, length n
        As dataset.csv has them.

    Raises
    ------
    MetadataError
        If the table cannot be read.
    """
    import pandas as pd

    from featurestore.metadata import notes_of

    rows = notes_of(paths, root)
    names = list(dict.fromkeys(name for row in rows for name in row))
    roles = np.array([row.get("role", "") for row in rows], dtype=str) if "role" in names else None
    numbers = {}
    for name in names:
        values = np.array([_number(row.get(name, "")) for row in rows])
        if (
            name not in _NAMES
            and not np.isinf(values).any()
            and len(np.unique(values[~np.isnan(values)])) > 1
        ):
            numbers[name] = values
    return Annotations(roles, pd.DataFrame(numbers, index=range(len(rows))))
