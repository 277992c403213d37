"""One extractor's canonical HDF5 file: `write_store` and `Reader`.

The bytes depend on the spec, the keys, the statuses and the values alone (``hdf5``). Refuses to know
extractors, caches and data sets.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from featurestore.errors import MissingData, MissingRows, StoreDamaged, StoreError
from featurestore.files import atomic_file
from featurestore.hdf5 import digests, structure, write_to
from featurestore.rows import KEY_BYTES, StoreRows, ascending, find_keys, pack_keys
from featurestore.spec import FeatureSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from featurestore.rows import Keys, Statuses, Values

__all__ = ["Reader", "write_store"]


def write_store(path: Path, spec: FeatureSpec, rows: StoreRows, blocks: Sequence[str] = ()) -> None:
    """Write the canonical store, all or nothing; see `write_to`."""
    with atomic_file(path) as stream:
        write_to(stream, spec, rows.sorted(), blocks)


class Reader:
    """A store, read-only.

    Opening checks the structure, not every byte: `verify` does that. A file from elsewhere is
    refused if it holds links, virtual or external datasets, filters, other types or shapes, or
    declares more than the file has.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    spec : FeatureSpec
    columns : tuple of str
    blocks : tuple of str
        What the columns of ``status`` belong to.
    keys : ndarray of uint8, shape (n, 32)
        Ascending.

    Raises
    ------
    MissingData, StoreError, StoreVersionError, StoreDamaged

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from featurestore.rows import StoreRows, pack_keys
    >>> spec = FeatureSpec("toy", 1, {}, ("a", "b"))
    >>> keys = ["11" * 32, "22" * 32]
    >>> rows = StoreRows(pack_keys(keys), np.ones((2, 2), np.float32), np.zeros((2, 1), np.uint8))
    >>> path = Path(tempfile.mkdtemp()) / "toy.h5"
    >>> write_store(path, spec, rows)
    >>> with Reader(path) as store:
    ...     store.matrix(keys[:1])
    array([[1., 1.]], dtype=float32)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._stream = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise MissingData(f"{path}: no such store; run: dvc repro") from None
        except IsADirectoryError:
            raise StoreError(f"{path}: a folder, not a store") from None
        try:
            self._open()
        except BaseException:
            self._stream.close()
            raise

    def _open(self) -> None:
        import numpy as np

        size = os.fstat(self._stream.fileno()).st_size
        try:
            attributes, self._layout = structure(self._stream, size, str(self.path))
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            said = " ".join(str(error).split())[:160]
            raise StoreDamaged(
                f"{self.path}: not a readable store ({said}); delete it and run: dvc repro"
            ) from None
        shapes = {name: shape for name, (shape, _, _) in self._layout.items()}
        n = shapes["key"][0]
        if shapes["key"] != (n, KEY_BYTES) or shapes["value"][0] != n or shapes["status"][0] != n:
            raise StoreDamaged(f"{self.path}: key, value and status disagree in length")
        try:
            self.spec = FeatureSpec.from_json(self._read("spec").tobytes().decode())
            self.blocks = tuple(self._read("block").tobytes().decode().split("\n"))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(f"{self.path}: its spec cannot be read ({error})") from None
        self.fingerprint, self.digest, self.xxh3 = (
            str(attributes[k]) for k in ("fingerprint", "digest", "xxh3")
        )
        if shapes["value"][1] != len(self.spec.columns) or shapes["status"][1] != len(self.blocks):
            raise StoreDamaged(f"{self.path}: columns or blocks disagree with the spec")
        self.keys: Keys = self._read("key")
        if n > 1 and not np.all(ascending(self.keys)):
            raise StoreDamaged(f"{self.path}: keys are not unique and ascending")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the d columns."""
        return self.spec.columns

    def __len__(self) -> int:
        return len(self.keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()

    def _read(self, name: str) -> npt.NDArray[Any]:
        """One whole dataset, in one large read after another into one buffer."""
        import numpy as np

        shape, dtype, offset = self._layout[name]
        array = np.empty(shape, dtype=dtype)
        if not array.size:
            return array
        view = array.reshape(-1).view("u1").data
        self._stream.seek(offset)
        while view:  # one call takes it all, but for the 2 GiB that an operating system may stop at
            count = self._stream.readinto(view)
            if not count:
                raise StoreDamaged(f"{self.path}: ends early")
            view = view[count:]
        return array

    def rows(self) -> StoreRows:
        """Every row, in the order of the keys."""
        return StoreRows(self.keys, self._read("value"), self._read("status"))

    def verify(self) -> StoreRows:
        """Every row, after each byte of them was checked.

        Raises
        ------
        StoreDamaged
            If any byte of spec, keys, statuses or values is not what was written.
        """
        rows = self.rows()
        digest, fast = digests(self._read("spec").tobytes(), self._read("block").tobytes(), rows)
        if (digest, fast) != (self.digest, self.xxh3) or self.spec.fingerprint != self.fingerprint:
            raise StoreDamaged(
                f"{self.path}: its bytes are not those that were written; delete it and run: dvc repro"
            )
        return rows

    def positions(self, keys: Sequence[str] | Keys) -> npt.NDArray[np.intp]:
        """Where keys stand in the store, shape (n,).

        Raises
        ------
        MissingRows
            If any of them does not.
        """
        import numpy as np

        wanted = keys if isinstance(keys, np.ndarray) else pack_keys(keys)
        places = find_keys(self.keys, wanted)
        missing = int((places < 0).sum())
        if missing:
            raise MissingRows(f"{missing} of {len(wanted)} images have no row in {self.path}; run: dvc repro")
        return places

    def matrix(self, keys: Sequence[str] | Keys) -> Values:
        """Values of the given keys, in their order: float32 (n, d), NaN where not ok."""
        values: Values = self._take("value", self.positions(keys))
        return values

    def statuses(self, keys: Sequence[str] | Keys) -> Statuses:
        """Statuses of the given keys, in their order: uint8 (n, b)."""
        status: Statuses = self._take("status", self.positions(keys))
        return status

    def _take(self, name: str, places: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        """Some rows: from the memory map if they are few, else from one large read."""
        import numpy as np

        shape, dtype, offset = self._layout[name]
        if not len(places) or len(places) * 8 > shape[0]:
            return self._read(name)[places]
        mapped = np.memmap(self.path, dtype=dtype, mode="r", offset=offset, shape=shape)
        return np.array(mapped[places])
