"""One extractor's canonical HDF5 file: `write_store` and `FeatureStore`.

The bytes depend on the spec, the keys, the statuses and the values alone (``hdf5``). Refuses to know
extractors, caches and data sets.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self, cast

from featurestore.errors import MissingData, MissingRows, StoreDamaged, StoreError
from featurestore.files import atomic_file, sync, write_all
from featurestore.hdf5 import (
    LARGE_BYTES,
    MEND,
    PREAMBLE_BYTES,
    Structure,
    check_preamble,
    digest_of,
    pieces_of,
    structure,
)
from featurestore.rows import KEY_BYTES, KeyIndex, StoreRows, ascending, pack_keys, unpack_keys
from featurestore.spec import FeatureSpec, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from featurestore.rows import Keys, Statuses, Values

__all__ = ["FeatureStore", "write_store"]

#: Bytes of a large file that are read together.
_BLOCK_BYTES: Final = 1 << 20


def write_store(path: Path, spec: FeatureSpec, rows: StoreRows, blocks: Sequence[str] = ()) -> None:
    """Write the canonical store, all or nothing; see `featurestore.hdf5.pieces_of`."""
    data, rest = pieces_of(spec, rows.sorted(), blocks)
    with atomic_file(path) as stream:
        for offset, piece in data:
            stream.seek(offset)
            write_all(stream, piece)
        if rows.values.nbytes >= LARGE_BYTES:
            sync(stream)  # the disk works while they are hashed
        for offset, piece in rest():
            stream.seek(offset)
            write_all(stream, piece)


class FeatureStore:
    """A store, read-only: features by the sha256 of the pictures' files.

    Opening reads the structure, the spec and the keys, not the rows. A file from elsewhere is refused
    if it holds links, virtual or external datasets, filters, other types or shapes, or declares more
    than the file has. With ``check`` every byte is hashed before any of it is believed.

    Parameters
    ----------
    path : Path or str
    check : bool
        Read the whole file and compare its hash first, at the speed of memory; the rows that are
        asked for later come out of what was read.
    keep : bool
        False: what was read for the check is not kept in memory, and rows are read once more.

    Attributes
    ----------
    spec : FeatureSpec
    blocks : tuple of str
        What the columns of ``status`` belong to: one name, or, in a joined store, one an extractor.
    keys : ndarray of uint8, shape (n, 32)
        Ascending; `featurestore.rows.unpack_keys` makes texts of them.
    fingerprint, digest : str
        Sha256 of the spec, and of everything.

    Raises
    ------
    MissingData, StoreError, StoreVersionError, StoreDamaged

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from featurestore.rows import StoreRows, pack_keys
    >>> keys = ["11" * 32, "22" * 32]
    >>> values = np.array([[1, 2], [3, 4]], np.float32)
    >>> path = Path(tempfile.mkdtemp()) / "toy.h5"
    >>> write_store(
    ...     path,
    ...     FeatureSpec("toy", 1, {}, ("width", "height")),
    ...     StoreRows(pack_keys(keys), values, np.zeros((2, 1), np.uint8)),
    ... )

    >>> store = FeatureStore(path)
    >>> len(store), store.columns
    (2, ('width', 'height'))

    Rows come in the order in which they are asked for; a key that is not there is an error.

    >>> store.matrix(["22" * 32, "11" * 32])
    array([[3., 4.],
           [1., 2.]], dtype=float32)
    >>> store.matrix(["33" * 32])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    featurestore.errors.MissingRows: 1 of 1 images have no row in ...toy.h5 (the first: 333333333333); ...

    As a table:

    >>> store.frame()["height"].tolist()
    [2.0, 4.0]

    Bit by bit, or mapped into memory: neither loads the file whole.

    >>> [batch.values.shape for batch in store.iter_batches(1)]
    [(1, 2), (1, 2)]
    >>> type(store.values).__name__, float(store.values[1, 0])
    ('memmap', 3.0)
    >>> store.close()
    """

    def __init__(self, path: Path | str, *, check: bool = False, keep: bool = True) -> None:
        self.path = Path(path)
        self._whole: npt.NDArray[np.uint8] | None = None
        self._maps: dict[str, npt.NDArray[Any]] = {}
        try:
            self._stream = cast("BinaryIO", self.path.open("rb", buffering=0))
        except FileNotFoundError:
            raise MissingData(f"{path}: no such store; run: dvc repro") from None
        except IsADirectoryError:
            raise StoreError(f"{path}: a folder, not a store") from None
        try:
            self._open(check, keep)
        except BaseException:
            self._stream.close()
            raise

    def _open(self, check: bool, keep: bool) -> None:
        self._hash = check_preamble(self._stream.read(PREAMBLE_BYTES), str(self.path))
        if check:
            self._check(keep)
        try:
            found = structure(self._stream, self._n_bytes(), str(self.path))
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
            text = " ".join(str(error).split())[:160]
            raise StoreDamaged(f"{self.path}: not a readable store ({text}); {MEND}") from None
        self._layout, self.fingerprint, self.digest = found.layout, found.fingerprint, found.digest
        self._check_declared(found)

    def _n_bytes(self) -> int:
        return os.fstat(self._stream.fileno()).st_size

    def _check(self, keep: bool = True) -> None:
        """Read every byte, into one buffer or block by block, and compare their hash with the preamble's."""
        import numpy as np
        import xxhash

        size = self._n_bytes()
        buffer = np.empty(size if keep else min(size, _BLOCK_BYTES), dtype=np.uint8)
        hasher = xxhash.xxh3_128()
        self._stream.seek(0)
        for start in range(0, size, max(1, len(buffer))):
            block = buffer[: size - start]
            self._fill(block)
            hasher.update(block[max(0, PREAMBLE_BYTES - start) :].data)
        if hasher.hexdigest() != self._hash:
            raise StoreDamaged(f"{self.path}: its bytes are not those that were written; {MEND}")
        self._whole = buffer if len(buffer) == size else None

    def _check_declared(self, found: Structure) -> None:
        """Whether spec, blocks, keys and shapes agree with each other."""
        import numpy as np

        shapes = {name: shape for name, (shape, _, _) in found.layout.items()}
        n = shapes["key"][0]
        if shapes["key"] != (n, KEY_BYTES) or shapes["value"][0] != n or shapes["status"][0] != n:
            raise StoreDamaged(f"{self.path}: key, value and status disagree in length")
        spec_json = self._read("spec").tobytes()
        try:
            self.spec = FeatureSpec.from_json(spec_json.decode())
            self.blocks = tuple(self._read("block").tobytes().decode().split("\n"))
            canonical = self.spec.to_json().encode() == spec_json
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StoreDamaged(f"{self.path}: its spec cannot be read ({error}); {MEND}") from None
        if not canonical or hashlib.sha256(spec_json).hexdigest() != self.fingerprint:
            raise StoreDamaged(f"{self.path}: its spec is not that of its fingerprint; {MEND}")
        if shapes["value"][1] != len(self.spec.columns) or shapes["status"][1] != len(self.blocks):
            raise StoreDamaged(f"{self.path}: columns or blocks disagree with the spec; {MEND}")
        self.keys: Keys = self._read("key")
        if n > 1 and not np.all(ascending(self.keys)):
            raise StoreDamaged(f"{self.path}: keys are not unique and ascending; {MEND}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the d columns."""
        return self.spec.columns

    @property
    def coverage(self) -> Mapping[str, float]:
        """Per block, the share of its rows that could be computed; 1 where there are none."""
        fine = self._read("status") == Status.OK
        return {name: float(fine[:, i].mean()) if len(fine) else 1.0 for i, name in enumerate(self.blocks)}

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
        self._maps.clear()
        self._stream.close()

    def _fill(self, array: npt.NDArray[Any]) -> None:
        """Fill an array from where the stream stands: one call takes it all, up to what the system allows."""
        view = array.reshape(-1).view("u1").data
        while view:
            try:
                count = self._stream.readinto(view)  # type: ignore[attr-defined]
            except OSError as error:
                if error.errno == errno.ESTALE:  # removed by another machine
                    raise MissingData(f"{self.path}: no such store any more; run: dvc repro") from None
                raise StoreDamaged(f"{self.path}: cannot be read ({error.strerror}); {MEND}") from None
            if not count:
                raise StoreDamaged(f"{self.path}: ends early; {MEND}")
            view = view[count:]

    def _read(self, name: str, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """One dataset, or some of its rows."""
        import numpy as np

        shape, dtype, offset = self._layout[name]
        if self._whole is not None:
            n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            return self._whole[offset : offset + n_bytes].view(dtype).reshape(shape)[start:stop]
        first, last, _ = slice(start, stop).indices(shape[0])
        array = np.empty((last - first, *shape[1:]), dtype=dtype)
        if array.size:
            self._stream.seek(offset + first * array[0].nbytes)
            self._fill(array)
        return array

    def _mapped(self, name: str) -> npt.NDArray[Any]:
        """One dataset of the file that was opened, whatever its name means now; mapped, read-only."""
        import numpy as np

        shape, dtype, offset = self._layout[name]
        if not all(shape):
            return np.empty(shape, dtype)
        if name not in self._maps:  # a page that was looked at once costs nothing the next time
            self._maps[name] = np.memmap(self._stream, dtype=dtype, mode="r", offset=offset, shape=shape)
        return self._maps[name]

    @property
    def values(self) -> Values:
        """All rows in the order of `keys`, mapped into memory, read-only: float32 (n, d)."""
        values: Values = self._mapped("value")
        return values

    @property
    def status(self) -> Statuses:
        """Of all rows in the order of `keys`: uint8 (n, b)."""
        status: Statuses = self._read("status")
        return status

    def rows(self) -> StoreRows:
        """Every row, in the order of the keys, in memory."""
        return StoreRows(self.keys, self._read("value"), self._read("status"))

    def verify(self) -> StoreRows:
        """Every row, after each byte of the file was checked, and the sha256 of all it says.

        Raises
        ------
        StoreDamaged
        """
        if self._whole is None:
            self._check()
        rows = self.rows()
        if digest_of(self._read("spec").tobytes(), self._read("block").tobytes(), rows) != self.digest:
            raise StoreDamaged(f"{self.path}: its rows are not those of its digest; {MEND}")
        return rows

    @cached_property
    def _index(self) -> KeyIndex:
        return KeyIndex(self.keys)

    def positions(self, keys: Sequence[str] | Keys) -> npt.NDArray[np.intp]:
        """Where keys stand in the store, shape (n,).

        Raises
        ------
        MissingRows
            If any of them does not.
        """
        import numpy as np

        wanted = keys if isinstance(keys, np.ndarray) else pack_keys(keys)
        places = self._index.find(wanted)
        missing = int((places < 0).sum())
        if missing:
            first = wanted[int(np.argmax(places < 0))].tobytes().hex()[:12]
            foreign = "imported" in self.spec.params
            mend = "import it again with rows for them" if foreign else "run: dvc repro"
            raise MissingRows(
                f"{missing} of {len(wanted)} images have no row in {self.path} (the first: {first}); {mend}"
            )
        return places

    def matrix(self, keys: Sequence[str] | Keys) -> Values:
        """Values of the given keys, in their order: float32 (n, d), NaN where not ok.

        Raises
        ------
        MissingRows
        """
        values: Values = self._take("value", self.positions(keys))
        return values

    def statuses(self, keys: Sequence[str] | Keys) -> Statuses:
        """Statuses of the given keys, in their order: uint8 (n, b).

        Raises
        ------
        MissingRows
        """
        status: Statuses = self._take("status", self.positions(keys))
        return status

    def frame(self, keys: Sequence[str] | Keys | None = None) -> pd.DataFrame:
        """A table of float32 with the columns' names, indexed by key in hexadecimal.

        Parameters
        ----------
        keys : sequence of str, or ndarray of uint8 (n, 32), or None
            None = every row.

        Raises
        ------
        MissingRows
        """
        import numpy as np
        import pandas as pd

        if keys is None:
            keys = self.keys
        texts = unpack_keys(keys) if isinstance(keys, np.ndarray) else list(keys)
        index = pd.Index(texts, name="key", dtype=object)
        return pd.DataFrame(self.matrix(keys), index=index, columns=list(self.columns))

    def iter_batches(self, size: int) -> Iterator[StoreRows]:
        """Rows in the order of the keys, at most ``size`` at a time; the file is never loaded whole.

        Raises
        ------
        ValueError
            If ``size`` is not above 0.
        """
        if size < 1:
            raise ValueError(f"size: {size}; it must be above 0")
        for start in range(0, len(self), size):
            part = start, start + size
            yield StoreRows(self.keys[slice(*part)], self._read("value", *part), self._read("status", *part))

    def blocks_of_rows(self) -> Iterator[StoreRows]:
        """`iter_batches` of what one block of memory holds."""
        return self.iter_batches(max(1, _BLOCK_BYTES // (4 * max(1, len(self.columns)))))

    def _take(self, name: str, places: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        """Some rows: from memory if they are there, the memory map if they are few, else one large read."""
        import numpy as np

        if self._whole is None and len(places) and len(places) * 8 <= self._layout[name][0][0]:
            return np.asarray(self._mapped(name)).take(places, axis=0)
        return self._read(name).take(places, axis=0)
