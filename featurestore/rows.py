"""Keys and rows in memory: packing, looking up, sorting, joining.

Owns `StoreRows` and what can be asked of ascending keys. Refuses to know files.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from featurestore.spec import FeatureSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Keys = npt.NDArray[np.uint8]
    Values = npt.NDArray[np.float32]
    Statuses = npt.NDArray[np.uint8]

__all__ = [
    "KEY_BYTES",
    "Gathered",
    "KeyIndex",
    "StoreRows",
    "ascending",
    "block_columns",
    "find_keys",
    "not_finite",
    "order_of",
    "ordered",
    "pack_keys",
    "runs",
    "unique",
    "unpack_keys",
    "without",
]

#: Length of a key.
KEY_BYTES = 32
#: Keys that are looked up together: what that takes besides stays small.
_AT_ONCE: Final = 1 << 16


def pack_keys(keys: Sequence[str]) -> Keys:
    """Hexadecimal sha256 keys as uint8 (n, 32).

    Examples
    --------
    >>> pack_keys(["00" * 31 + "ff"])[0, -1]
    np.uint8(255)
    """
    import numpy as np

    packed = bytes.fromhex("".join(keys))
    if len(packed) != len(keys) * KEY_BYTES:
        raise ValueError("each key must be 64 hexadecimal digits")
    return np.frombuffer(packed, dtype=np.uint8).reshape(len(keys), KEY_BYTES)


def unpack_keys(keys: Keys) -> list[str]:
    """Inverse of `pack_keys`."""
    return [row.tobytes().hex() for row in keys]


@dataclass(frozen=True)
class StoreRows:
    """Rows with their keys.

    Attributes
    ----------
    keys : ndarray of uint8, shape (n, 32)
    values : ndarray of float32, shape (n, d)
    status : ndarray of uint8, shape (n, b)
        `featurestore.spec.Status` of each row, for each of the b blocks of columns.
    """

    keys: Keys
    values: Values
    status: Statuses

    def __len__(self) -> int:
        return len(self.keys)

    def taken(self, places: npt.NDArray[Any]) -> StoreRows:
        """Some of the rows, by position or by mask."""
        return StoreRows(self.keys[places], self.values[places], self.status[places])

    def sorted(self) -> StoreRows:
        """The same rows in the order of their keys."""
        if len(self) < 2 or ascending(self.keys).all():
            return self
        return self.taken(order_of(self.keys))


def ascending(keys: Keys) -> npt.NDArray[np.bool_]:
    """Whether each key is above the one before, shape (n - 1,)."""
    first = _leading(keys)
    above = first[1:] > first[:-1]
    if above.all():
        return above
    words = _words(keys)
    above = words[1:, 3] > words[:-1, 3]
    for i in (2, 1, 0):
        above = (words[1:, i] > words[:-1, i]) | ((words[1:, i] == words[:-1, i]) & above)
    return above


def _words(keys: Keys) -> npt.NDArray[np.uint64]:
    """Each key as four numbers, the first of which counts most."""
    import numpy as np

    return np.ascontiguousarray(keys).view(">u8").reshape(-1, 4)


def _leading(keys: Keys) -> npt.NDArray[np.uint64]:
    """The first 64 bits of each key, which order as the keys do: no two sha256 are known to share them."""
    import numpy as np

    return np.ascontiguousarray(keys[:, :8]).view(">u8").ravel().astype(np.uint64)


def order_of(keys: Keys) -> npt.NDArray[np.intp]:
    """Positions that put keys in ascending order; equal ones stay as they are."""
    import numpy as np

    first = _leading(keys)
    order = np.argsort(first)
    if np.any(first[order[1:]] == first[order[:-1]]):  # a key that is there twice
        return np.lexsort(_words(keys).astype(np.uint64).T[::-1])
    return order


def runs(keys: Keys) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Equal keys side by side.

    Returns
    -------
    ndarray of intp, shape (n,)
        Positions that put the keys in ascending order; equal ones stay as they are.
    ndarray of bool, shape (n,)
        Of the keys in this order, whether each is another one than that before it.

    Examples
    --------
    >>> order, is_first = runs(pack_keys(["cc" * 32, "aa" * 32, "cc" * 32]))
    >>> order.tolist(), is_first.tolist()
    ([1, 0, 2], [True, True, False])
    """
    import numpy as np

    first = _leading(keys)
    order = np.argsort(first, kind="stable")
    is_first = np.ones(len(keys), dtype=bool)
    is_first[1:] = first[order[1:]] != first[order[:-1]]
    again = np.flatnonzero(~is_first)
    if (keys[order[again]] != keys[order[again - 1]]).any():  # alike in 64 bits, and yet not equal
        order = order_of(keys)
        is_first[1:] = ascending(keys[order])
    return order, is_first


class KeyIndex:
    """Ascending unique keys, ready to be searched more than once.

    Parameters
    ----------
    keys : ndarray of uint8, shape (n, 32)
    """

    def __init__(self, keys: Keys) -> None:
        import numpy as np

        self._keys = np.ascontiguousarray(keys)
        self._first = _leading(keys)
        #: if two keys share 64 bits all the same: a test's may
        self._table: dict[bytes, int] = {}
        if np.any(self._first[1:] == self._first[:-1]):
            self._table = {row.tobytes(): i for i, row in enumerate(self._keys)}

    def find(self, wanted: Keys) -> npt.NDArray[np.intp]:
        """Position of each wanted key, shape (m,); -1 where it is not there."""
        import numpy as np

        found = np.full(len(wanted), -1, dtype=np.intp)
        for start in range(0, len(wanted) if len(self._keys) else 0, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found[part] = self._find(np.ascontiguousarray(wanted[part]))
        return found

    def _find(self, wanted: Keys) -> npt.NDArray[np.intp]:
        import numpy as np

        if self._table:
            return np.array([self._table.get(row.tobytes(), -1) for row in wanted], dtype=np.intp)
        first = _leading(wanted)
        order = np.argsort(first)  # in order they are found in half the time: the search goes on where it is
        places = np.empty(len(wanted), dtype=np.intp)
        places[order] = np.searchsorted(self._first, first[order])
        found = self._keys.take(places, axis=0, mode="clip")
        return np.where((found.view(np.uint64) == wanted.view(np.uint64)).all(axis=1), places, -1)


class Gathered:
    """Rows of some keys as they come in, from any thread; there is one copy of the values, in their order.

    Of a key that comes twice the first row counts.

    Parameters
    ----------
    keys : ndarray of uint8, shape (n, 32)
        Unique, ascending.
    spec : FeatureSpec
    """

    def __init__(self, keys: Keys, spec: FeatureSpec) -> None:
        import numpy as np

        self._index = KeyIndex(keys)
        self._rows = StoreRows(
            keys, np.empty((len(keys), len(spec.columns)), np.float32), np.empty((len(keys), 1), np.uint8)
        )
        self._lacks = np.ones(len(keys), dtype=bool)
        self._lock = threading.Lock()

    def add(self, rows: StoreRows) -> npt.NDArray[np.intp]:
        """Take rows; positions, among those that are given, of the ones that were wanted and lacking."""
        import numpy as np

        places = self._index.find(rows.keys)
        with self._lock:
            taken = np.flatnonzero(places >= 0)
            taken = taken[self._lacks[places[taken]]]
            places = places[taken]
            self._rows.values[places] = rows.values[taken]
            self._rows.status[places] = rows.status[taken]
            self._lacks[places] = False
        return taken

    def lacking(self) -> Keys:
        """Keys whose rows have not come yet, ascending; no copy where that is all."""
        return self._rows.keys if self._lacks.all() else self._rows.keys[self._lacks]

    def whole(self) -> bool:
        """Whether every row has come."""
        return not self._lacks.any()

    def rows(self) -> StoreRows:
        """What has come, ascending by key; no copy where that is all."""
        return self._rows if self.whole() else self._rows.taken(~self._lacks)

    def rows_of(self, keys: Keys) -> StoreRows:
        """What has come of some of the keys; no copy where that is all."""
        if len(keys) == len(self._rows) and self.whole():
            return self._rows
        places = self._index.find(keys)
        return self._rows.taken(places[~self._lacks[places]])


def ordered(keys: Keys) -> Keys:
    """Keys, ascending; no copy where they are."""
    return keys if ascending(keys).all() else keys[order_of(keys)]


def unique(keys: Keys) -> Keys:
    """Every key once, ascending; no copy where they are."""
    import numpy as np

    keys = ordered(keys)
    above = ascending(keys)
    return keys if above.all() else keys[np.r_[True, above]]


def find_keys(sorted_keys: Keys, wanted: Keys) -> npt.NDArray[np.intp]:
    """Position of each wanted key among ascending unique keys, -1 where it is not there.

    Parameters
    ----------
    sorted_keys : ndarray of uint8, shape (n, 32)
    wanted : ndarray of uint8, shape (m, 32)

    Returns
    -------
    ndarray of intp, shape (m,)
    """
    return KeyIndex(sorted_keys).find(wanted)


def without(keys: Keys, known: Keys) -> Keys:
    """Those of ``keys`` that are not among ``known`` (unique, any order), in their order."""
    return keys[find_keys(ordered(known), keys) < 0]


def block_columns(columns: Sequence[str], blocks: Sequence[str]) -> list[npt.NDArray[np.bool_]]:
    """Which columns belong to each block, a mask (d,) a block; a store that was not joined is one block."""
    import numpy as np

    if len(blocks) == 1:
        return [np.ones(len(columns), dtype=bool)]
    owner = np.array([column.split("/", 1)[0] for column in columns])
    return [owner == block for block in blocks]


def not_finite(values: Values, fine: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Of each row that is ``fine`` and yet holds NaN or infinity: its position and the first such column.

    Parameters
    ----------
    values : ndarray of float32, shape (n, d)
    fine : ndarray of bool, shape (n,)
    """
    import numpy as np

    with np.errstate(all="ignore"):  # no sum with one of them is finite; that of large numbers need not be
        suspects = np.flatnonzero(fine & ~np.isfinite(values.sum(axis=1)))
    bad = ~np.isfinite(values[suspects])
    return [(int(row), int(np.argmax(line))) for row, line in zip(suspects, bad, strict=True) if line.any()]
