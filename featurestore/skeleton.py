"""HDF5's part of a store, laid out in memory around room for data that HDF5 never sees.

Owns the calls that create a file, and nothing of what is in it. Refuses to know what a store means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Layout", "Skeleton"]


class Skeleton:
    """A file in memory that holds what HDF5 writes around the data, not the room that it leaves for them."""

    _PAGE: Final = 4096

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._position = 0
        self.size = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset, as files do."""
        self._position = offset + (0, self._position, self.size)[whence]
        return self._position

    def tell(self) -> int:
        """Where it stands."""
        return self._position

    def write(self, data: Any) -> int:
        """Keep bytes where it stands."""
        view = memoryview(data).cast("B")
        for i, page, start, stop in self._spans(self._position, len(view)):
            whole = self._pages.setdefault(page, bytearray(self._PAGE))
            whole[start:stop] = view[i : i + stop - start]
        self._position += len(view)
        self.size = max(self.size, self._position)
        return len(view)

    def read(self, n: int) -> bytes:
        """Bytes from where it stands; zero where nothing was written."""
        self._position += n
        return bytes(self.part(self._position - n, self._position))

    def readinto(self, target: Any) -> int:
        """Like `read`, into a buffer."""
        view = memoryview(target).cast("B")
        view[:] = self.part(self._position, self._position + len(view))
        self._position += len(view)
        return len(view)

    def truncate(self, size: int) -> int:
        """Remember how long HDF5 means the file to be."""
        self.size = size
        return size

    def flush(self) -> None:
        """There is nothing behind it."""

    def part(self, start: int, stop: int) -> bytearray:
        """The bytes from ``start`` to ``stop``, zero where nothing was written."""
        found = bytearray(stop - start)
        for i, page, first, last in self._spans(start, stop - start):
            if page in self._pages:
                found[i : i + last - first] = self._pages[page][first:last]
        return found

    def _spans(self, start: int, n: int) -> Iterator[tuple[int, int, int, int]]:
        """Of a range: where each piece of it begins, its page, and its bounds in the page."""
        i = 0
        while i < n:
            page, first = divmod(start + i, self._PAGE)
            last = min(self._PAGE, first + n - i)
            yield i, page, first, last
            i += last - first


class Layout:
    """A file of contiguous datasets, laid out around room for them; its attributes may be told later.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Shape and dtype count; the values are never looked at.
    user_block : int
        Bytes that HDF5 leaves alone at the beginning: 512 times a power of 2.
    alignment : int
        What every offset is a multiple of.

    Attributes
    ----------
    offsets : dict of str to int
        Of each array that is not empty.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]], *, user_block: int, alignment: int) -> None:
        import h5py

        self.offsets: dict[str, int] = {}
        self._skeleton = Skeleton()
        self._file = h5py.File(
            self._skeleton, "w", libver=("v108", "v108"), locking=False, track_order=False,
            userblock_size=user_block, alignment_threshold=1, alignment_interval=alignment,
        )  # fmt: skip
        for name, array in arrays.items():
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_layout(h5py.h5d.CONTIGUOUS)
            plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            plist.set_obj_track_times(False)
            space = h5py.h5s.create_simple(array.shape)
            kind = h5py.h5t.py_create(array.dtype)
            dataset = h5py.h5d.create(self._file.id, name.encode(), kind, space, plist)
            if array.size:
                self.offsets[name] = dataset.get_offset()

    def finished(self, attributes: Mapping[str, str | int]) -> Skeleton:
        """What HDF5 writes around the data, with these attributes of the root; once."""
        import numpy as np

        with self._file as file:
            for name, value in attributes.items():
                file.attrs[name] = np.bytes_(value) if isinstance(value, str) else np.int64(value)
        return self._skeleton
