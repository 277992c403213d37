"""The store format's bytes: what is written, and what a reader refuses.

``docs/store-format.md`` is the specification. Owns the HDF5 calls and the digests. Refuses to know
paths and how a store is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from featurestore.errors import NonFiniteRow, StoreDamaged, StoreError, StoreVersionError
from featurestore.rows import StoreRows, ascending, not_finite
from featurestore.spec import FeatureSpec, Status

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FORMAT_VERSION", "digests", "structure", "write_to"]

#: Moves when a reader of this version could not read the file, or would misread it.
FORMAT_VERSION = 1
_MAGIC = "kyara-store"
# dataset name -> (dtype, number of dimensions)
_DATASETS = {
    "key": ("|u1", 2),
    "status": ("|u1", 2),
    "value": ("<f4", 2),
    "spec": ("|u1", 1),
    "block": ("|u1", 1),
}


def _check_rows(rows: StoreRows, spec: FeatureSpec, n_blocks: int, where: str) -> None:
    import numpy as np

    n = len(rows.keys)
    if rows.values.shape != (n, len(spec.columns)) or rows.status.shape != (n, n_blocks):
        raise ValueError(f"{where}: shapes of keys, values and status do not match the spec")
    if n > 1 and not np.all(ascending(rows.keys)):
        raise StoreError(f"{where}: keys are not unique and ascending")
    broken = not_finite(rows.values, np.all(rows.status == Status.OK, axis=1))
    if broken:
        row, column = broken[0]
        raise NonFiniteRow(
            f"{where}: row {rows.keys[row].tobytes().hex()[:12]} says ok and is not finite in"
            f" {spec.columns[column]} ({len(broken)} such rows)"
        )


def digests(spec_json: bytes, blocks: bytes, rows: StoreRows) -> tuple[str, str]:
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
    digest, fast = digests(spec_json, block_text, rows)
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


def structure(
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
