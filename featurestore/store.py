"""One extractor's canonical HDF5 file: `write_store` and `Reader`.

The bytes depend on the spec, the keys, the statuses and the values alone. ``docs/store-format.md``
is the format's specification. Refuses to know extractors, caches and data sets.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from featurestore.errors import (
    MissingData,
    MissingRows,
    NonFiniteRow,
    StoreDamaged,
    StoreError,
    StoreVersionError,
)
from featurestore.files import atomic_file
from featurestore.spec import FeatureSpec, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Keys = npt.NDArray[np.uint8]
    Values = npt.NDArray[np.float32]
    Statuses = npt.NDArray[np.uint8]

__all__ = ["FORMAT_VERSION", "Reader", "StoreRows", "pack_keys", "unpack_keys", "write_store"]

#: Moves when a reader of this version could not read the file, or would misread it.
FORMAT_VERSION = 1
_MAGIC = "kyara-store"
_KEY_BYTES = 32
# dataset name -> (dtype, number of dimensions)
_DATASETS = {
    "key": ("|u1", 2),
    "status": ("|u1", 2),
    "value": ("<f4", 2),
    "spec": ("|u1", 1),
    "block": ("|u1", 1),
}


def pack_keys(keys: Sequence[str]) -> Keys:
    """Hexadecimal sha256 keys as uint8 (n, 32).

    Examples
    --------
    >>> pack_keys(["00" * 31 + "ff"])[0, -1]
    np.uint8(255)
    """
    import numpy as np

    packed = bytes.fromhex("".join(keys))
    if len(packed) != len(keys) * _KEY_BYTES:
        raise ValueError("each key must be 64 hexadecimal digits")
    return np.frombuffer(packed, dtype=np.uint8).reshape(len(keys), _KEY_BYTES)


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

    def sorted(self) -> StoreRows:
        """The same rows in the order of their keys."""
        import numpy as np

        order = np.lexsort(self.keys.T[::-1])
        return StoreRows(self.keys[order], self.values[order], self.status[order])


def _check_rows(rows: StoreRows, spec: FeatureSpec, n_blocks: int, where: str) -> None:
    import numpy as np

    n = len(rows.keys)
    if rows.values.shape != (n, len(spec.columns)) or rows.status.shape != (n, n_blocks):
        raise ValueError(f"{where}: shapes of keys, values and status do not match the spec")
    if n > 1 and not np.all(_ascending(rows.keys)):
        raise StoreError(f"{where}: keys are not unique and ascending")
    fine = np.all(rows.status == Status.OK, axis=1)
    broken = fine & ~np.isfinite(rows.values).all(axis=1)
    if broken.any():
        first = int(np.flatnonzero(broken)[0])
        column = spec.columns[int(np.flatnonzero(~np.isfinite(rows.values[first]))[0])]
        raise NonFiniteRow(
            f"{where}: row {rows.keys[first].tobytes().hex()[:12]} says ok and is not finite in {column}"
            f" ({int(broken.sum())} such rows)"
        )


def _ascending(keys: Keys) -> npt.NDArray[np.bool_]:
    """Whether each key is above the one before, shape (n - 1,)."""
    words = keys.view(">u8").reshape(len(keys), 4)
    above = words[1:, 3] > words[:-1, 3]
    for i in (2, 1, 0):
        above = (words[1:, i] > words[:-1, i]) | ((words[1:, i] == words[:-1, i]) & above)
    return above


def _digests(spec_json: bytes, blocks: bytes, rows: StoreRows) -> tuple[str, str]:
    """Layout-independent sha256 of everything; fast xxh3 of the rows."""
    import xxhash

    arrays: tuple[npt.NDArray[Any], ...] = (rows.keys, rows.status, rows.values)
    parts = [a.reshape(-1).view("u1").data for a in arrays if a.size]
    strong = hashlib.sha256(f"{_MAGIC} {FORMAT_VERSION} {rows.values.shape} {rows.status.shape}\n".encode())
    fast = xxhash.xxh3_128()
    for text in (spec_json, blocks):
        strong.update(len(text).to_bytes(8, "little") + text)
    for part in parts:
        strong.update(part)
        fast.update(part)
    return strong.hexdigest(), fast.hexdigest()


def write_to(stream: BinaryIO, spec: FeatureSpec, rows: StoreRows, blocks: Sequence[str] = ()) -> None:
    """Write a store into an open binary stream.

    Parameters
    ----------
    rows : StoreRows
        Ascending by key; see `StoreRows.sorted`.
    blocks : sequence of str
        Names of the blocks that ``status`` has a column for; default: the spec's name.

    Raises
    ------
    NonFiniteRow
        NaN or infinity in a row whose status is ok.
    StoreError
        Keys that are not unique and ascending.
    """
    import h5py
    import numpy as np

    blocks = tuple(blocks) or (spec.name,)
    rows = StoreRows(
        np.ascontiguousarray(rows.keys, dtype=np.uint8),
        np.ascontiguousarray(rows.values, dtype="<f4"),
        np.ascontiguousarray(rows.status, dtype=np.uint8),
    )
    _check_rows(rows, spec, len(blocks), spec.name)
    spec_json, block_text = spec.to_json().encode(), "\n".join(blocks).encode()
    digest, fast = _digests(spec_json, block_text, rows)
    arrays: dict[str, npt.NDArray[Any]] = {
        "key": rows.keys,
        "status": rows.status,
        "value": rows.values,
        "spec": np.frombuffer(spec_json, dtype=np.uint8),
        "block": np.frombuffer(block_text, dtype=np.uint8),
    }
    with h5py.File(stream, "w", libver=("v108", "v108"), locking=False, track_order=False) as file:
        for name, array in arrays.items():
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_layout(h5py.h5d.CONTIGUOUS)
            plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            plist.set_obj_track_times(False)
            space = h5py.h5s.create_simple(array.shape)
            kind = h5py.h5t.py_create(array.dtype)
            dataset = h5py.h5d.create(file.id, name.encode(), kind, space, plist)
            if array.size:
                dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
        attributes: dict[str, str | int] = {
            "magic": _MAGIC, "format_version": FORMAT_VERSION, "fingerprint": spec.fingerprint,
            "digest": digest, "xxh3": fast,
        }  # fmt: skip
        for name, value in attributes.items():
            file.attrs[name] = np.bytes_(value) if isinstance(value, str) else np.int64(value)


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
            attributes, self._layout = _structure(self._stream, size, str(self.path))
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            said = " ".join(str(error).split())[:160]
            raise StoreDamaged(
                f"{self.path}: not a readable store ({said}); delete it and run: dvc repro"
            ) from None
        shapes = {name: shape for name, (shape, _, _) in self._layout.items()}
        n = shapes["key"][0]
        if shapes["key"] != (n, _KEY_BYTES) or shapes["value"][0] != n or shapes["status"][0] != n:
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
        if n > 1 and not np.all(_ascending(self.keys)):
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
        view, position = array.reshape(-1).view("u1").data, offset
        while view:
            count = os.preadv(self._stream.fileno(), [view], position)
            if count == 0:
                raise StoreDamaged(f"{self.path}: ends early")
            view, position = view[count:], position + count
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
        digest, fast = _digests(self._read("spec").tobytes(), self._read("block").tobytes(), rows)
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
    import numpy as np

    if not len(sorted_keys) or not len(wanted):
        return np.full(len(wanted), -1, dtype=np.intp)
    sorted_keys, wanted = np.ascontiguousarray(sorted_keys), np.ascontiguousarray(wanted)
    first = sorted_keys.view(">u8").reshape(-1, 4)[:, 0].astype(np.uint64)
    if np.any(first[1:] == first[:-1]):  # two keys share 64 bits: no sha256 is known to, but a test may
        table = {row.tobytes(): i for i, row in enumerate(sorted_keys)}
        return np.array([table.get(row.tobytes(), -1) for row in wanted], dtype=np.intp)
    places = np.searchsorted(first, wanted.view(">u8").reshape(-1, 4)[:, 0].astype(np.uint64))
    places = np.minimum(places, len(first) - 1)
    return np.where((sorted_keys[places] == wanted).all(axis=1), places, -1)


def _structure(
    stream: BinaryIO, size: int, where: str
) -> tuple[dict[str, Any], dict[str, tuple[tuple[int, ...], Any, int]]]:
    """Attributes and, per dataset, (shape, dtype, offset in the file); refuses what is not canonical."""
    import h5py
    import numpy as np

    with h5py.File(stream, "r", locking=False) as file:
        magic = file.attrs.get("magic")
        if not isinstance(magic, bytes | np.bytes_) or bytes(magic).decode("ascii", "replace") != _MAGIC:
            raise StoreError(f"{where}: an HDF5 file, but no kyara store")
        version = int(file.attrs["format_version"])
        if version != FORMAT_VERSION:
            raise StoreVersionError(
                f"{where}: format version {version}, this kyara reads {FORMAT_VERSION};"
                " delete it and run: dvc repro"
            )
        lacking = [name for name in ("fingerprint", "digest", "xxh3") if name not in file.attrs]
        if lacking:
            raise StoreDamaged(f"{where}: lacks its {', '.join(lacking)}; delete it and run: dvc repro")
        if set(file) != set(_DATASETS):
            raise StoreError(f"{where}: holds {sorted(file)}, a store holds {sorted(_DATASETS)}")
        attributes = {k: v.decode("ascii") if isinstance(v, bytes) else v for k, v in file.attrs.items()}
        layout = {}
        for name, (dtype, ndim) in _DATASETS.items():
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise StoreError(f"{where}: {name} is a link; links are refused")
            dataset = file[name]
            if not isinstance(dataset, h5py.Dataset):
                raise StoreError(f"{where}: {name} is no dataset")
            plist = dataset.id.get_create_plist()
            if (
                plist.get_layout() != h5py.h5d.CONTIGUOUS
                or plist.get_external_count()
                or plist.get_nfilters()
            ):
                raise StoreError(f"{where}: {name} is not plain contiguous data")
            if dataset.dtype.str != dtype or dataset.ndim != ndim:
                raise StoreError(f"{where}: {name} is {dataset.dtype} with {dataset.ndim} axes")
            offset = dataset.id.get_offset()
            n_bytes = dataset.size * dataset.dtype.itemsize
            if dataset.size and (offset is None or offset + n_bytes > size):
                raise StoreDamaged(f"{where}: {name} declares more than the file has")
            layout[name] = (tuple(dataset.shape), dataset.dtype, offset or 0)
        return attributes, layout
