"""Columns of text that take little more memory than their letters: tables may have millions of rows.

Owns `Texts` (paths and URIs) and `Codes` (few different ones): sequences of str, each made when it is asked
for. Refuses to know what the texts say.
"""

from __future__ import annotations

import abc
import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Codes", "Made", "Texts", "parts", "pieces"]

T = TypeVar("T")

#: Rows of which Python objects are made at a time.
_PIECE: Final = 2048
#: What stands between a member and its archive.
_ARCHIVE: Final = "::"
#: So many different shared parts there may be, and beyond these one for so many texts.
_SHARED: Final = 256
_TEXTS_A_PART: Final = 16


def parts(n: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most ``size`` among ``n``.

    Examples
    --------
    >>> list(parts(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return (slice(start, min(n, start + size)) for start in range(0, n, size))


def pieces(n: int) -> Iterator[slice]:
    """Parts of ``n`` rows of which each may be had as Python objects at once."""
    return parts(n, _PIECE)


class Made(Sequence[T]):
    """A sequence whose items are made when they are asked for, by `item`; a slice is a list of them."""

    @abc.abstractmethod
    def item(self, i: int) -> T:
        """The one at a place."""

    @overload
    def __getitem__(self, i: int) -> T: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[T]: ...
    def __getitem__(self, i: int | slice) -> T | Sequence[T]:
        if isinstance(i, slice):
            return [self.item(j) for j in range(*i.indices(len(self)))]
        return self.item(i)


class Texts(Made[str]):
    """Paths and URIs, one after another in UTF-8 (surrogates as they are).

    What many share, the folder of a file or the archive of a member (``member::archive``), is there once.

    Parameters
    ----------
    texts : iterable of str

    Examples
    --------
    >>> texts = Texts(["a/b.png", "", "tar://c.png::/d.tar", "キャラ"])
    >>> len(texts), texts[2], list(texts)
    (4, 'tar://c.png::/d.tar', ['a/b.png', '', 'tar://c.png::/d.tar', 'キャラ'])
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._own, self._ends = bytearray(), array("q", [0])
        self._shared, self._which = [(b"", b"")], array("i")  # what stands before and after a text's own
        self._codes: dict[tuple[str, str], int] = {("", ""): 0}
        self.extend(texts)

    def extend(self, texts: Iterable[str]) -> None:
        """Add some at the end."""
        todo = iter(texts)
        while piece := list(itertools.islice(todo, _PIECE)):
            own, which = zip(*map(self._divided, piece), strict=True)
            self._ends.extend(
                itertools.islice(itertools.accumulate(map(len, own), initial=self._ends[-1]), 1, None)
            )
            self._own += b"".join(own)
            self._which.extend(which)

    def _divided(self, text: str) -> tuple[bytes, int]:
        """What is a text's own, and the number of what others may share."""
        if _ARCHIVE in text:
            own, mark, shared = text.partition(_ARCHIVE)
        else:
            shared, mark, own = text.rpartition("/")
        code = self._codes.get((mark, shared))
        if code is None:
            if len(self._shared) > _SHARED + len(self) // _TEXTS_A_PART:  # they take more than they save
                return _encoded(text), 0
            code = self._codes[mark, shared] = len(self._shared)
            sides = ("", mark + shared) if mark == _ARCHIVE else (shared + mark, "")
            self._shared.append((_encoded(sides[0]), _encoded(sides[1])))
        return _encoded(own), code

    def _whole(self, i: int) -> bytes:
        before, after = self._shared[self._which[i]]
        return before + self._own[self._ends[i] : self._ends[i + 1]] + after

    def __len__(self) -> int:
        return len(self._which)

    def item(self, i: int) -> str:
        """The one at a place."""
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return self._whole(i % len(self)).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def first_repeated(self) -> int | None:
        """The first place of a text that stands further up too.

        Examples
        --------
        >>> Texts(["a", "b", "c", "b", "a"]).first_repeated()
        3
        """
        import numpy as np
        import xxhash

        spans = map(self._whole, range(len(self)))
        hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, spans), np.uint64, len(self))
        order = np.argsort(hashes, kind="stable")
        alike = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        twice = ((order[i], order[i + 1]) for i in alike.tolist())  # but for a chance in many millions
        return min((int(j) for i, j in twice if self[i] == self[j]), default=None)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class Codes(Made[str]):
    """Texts of which few are different: a number for each row.

    Attributes
    ----------
    values : list of str
        The different ones, in the order in which they came.
    codes : ndarray of int32, shape (n,)
        Position of each row's text among them.

    Examples
    --------
    >>> column = Codes.of(["hero", "villain", "hero"])
    >>> column.values, column.codes.tolist(), column[2]
    (['hero', 'villain'], [0, 1, 0], 'hero')
    """

    def __init__(self, values: list[str], codes: npt.NDArray[np.int32]) -> None:
        self.values, self.codes = values, codes

    @classmethod
    def of(cls, texts: Iterable[str]) -> Codes:
        """A column of these."""
        import numpy as np

        known: dict[str, int] = {}
        codes = array("i", (known.setdefault(text, len(known)) for text in texts))
        return cls(list(known), np.array(codes, np.int32))

    def taken(self, places: npt.NDArray[Any]) -> Codes:
        """Some of the rows, by position or by mask; all values stay."""
        return Codes(self.values, self.codes[places])

    def code(self, text: str) -> int:
        """The number that stands for a text; -1, which is no row's, if it is not there."""
        return self.values.index(text) if text in self.values else -1

    def ranked(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        """The different texts that a row has, ascending, and the place of each row's among them.

        Examples
        --------
        >>> names, ranks = Codes.of("bab").ranked()
        >>> names, ranks.tolist()
        (['a', 'b'], [1, 0, 1])
        """
        import numpy as np

        used = sorted(np.unique(self.codes).tolist(), key=self.values.__getitem__)
        ranks = np.zeros(len(self.values), np.int32)
        ranks[used] = np.arange(len(used))
        return [self.values[code] for code in used], ranks[self.codes]

    def __len__(self) -> int:
        return len(self.codes)

    def item(self, i: int) -> str:
        """The one at a place."""
        return self.values[int(self.codes[i])]

    def __iter__(self) -> Iterator[str]:
        codes = itertools.chain.from_iterable(self.codes[part].tolist() for part in pieces(len(self)))
        return map(self.values.__getitem__, codes)
