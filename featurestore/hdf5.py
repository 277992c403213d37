"""The store format's bytes: what is written, and what a reader refuses.

``docs/store-format.md`` is the specification. Owns the HDF5 calls, the preamble and the digests. Refuses
to know paths and how a store is used.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from featurestore.errors import NonFiniteRow, StoreDamaged, StoreError, StoreVersionError
from featurestore.rows import StoreRows, ascending, block_columns, not_finite
from featurestore.skeleton import Layout
from featurestore.spec import FeatureSpec, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Piece = tuple[int, memoryview]  # an offset in the file, and the bytes from there on

__all__ = [
    "FORMAT_VERSION",
    "LARGE_BYTES",
    "MEND",
    "PREAMBLE_BYTES",
    "Structure",
    "check_preamble",
    "digest_of",
    "pieces_of",
    "preamble",
    "structure",
]

#: Moves when a reader of this version could not read the file, or would misread it.
FORMAT_VERSION = 2
#: HDF5's user block: bytes in front of the file that HDF5 leaves alone.
PREAMBLE_BYTES = 512
_MAGIC = "kyara-store"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Rows can be mapped into memory as they lie: every dataset begins at a multiple of this.
_ALIGNMENT = 64
#: Values of fewer bytes are hashed before another thread has begun to.
LARGE_BYTES = 1 << 20
#: What to do about a damaged file, for the errors.
MEND = "run: python -m featurestore repair, then: dvc repro"
# dataset name -> (dtype, number of dimensions)
_DATASETS = {
    "key": ("|u1", 2),
    "status": ("|u1", 2),
    "value": ("<f4", 2),
    "spec": ("|u1", 1),
    "block": ("|u1", 1),
}
_ATTRIBUTES = ("digest", "fingerprint", "format_version", "magic")
#: Longest text of an attribute: a sha256 in hexadecimal.
_TEXT_BYTES = 64


@dataclass(frozen=True)
class Structure:
    """What a store's HDF5 part declares.

    Attributes
    ----------
    fingerprint, digest : str
    layout : mapping of str to (shape, dtype, offset)
        Of each dataset; the offset counts from the beginning of the file.
    """

    fingerprint: str
    digest: str
    layout: dict[str, tuple[tuple[int, ...], np.dtype[Any], int]]


def preamble(xxh3: str) -> bytes:
    r"""The first bytes of a store: what it is, and the hash of all that follows.

    Examples
    --------
    >>> preamble("00" * 16)[:20]
    b'kyara-store 2\nxxh3-1'
    """
    return f"{_MAGIC} {FORMAT_VERSION}\nxxh3-128 {xxh3}\n".encode().ljust(PREAMBLE_BYTES, b"\0")


def _as_stored(rows: StoreRows) -> StoreRows:
    """The rows as their bytes are written: contiguous, every NaN the same."""
    import numpy as np

    keys = np.ascontiguousarray(rows.keys, dtype=np.uint8)
    values = np.ascontiguousarray(rows.values, dtype="<f4")
    status = np.ascontiguousarray(rows.status, dtype=np.uint8)
    if status.any():  # a NaN has 2^23 forms; bytes must not depend on where it came from
        empty, one = np.isnan(values), np.float32(np.nan)
        if np.any(values.view("<u4")[empty] != one.view("<u4")):
            values = np.where(empty, one, values)
    return StoreRows(keys, values, status)


def _check_rows(rows: StoreRows, spec: FeatureSpec, blocks: Sequence[str]) -> None:
    """Refuse what no store may hold."""
    import numpy as np

    keys, values, status = rows.keys, rows.values, rows.status
    n, where = len(keys), spec.name
    if values.shape != (n, len(spec.columns)) or status.shape != (n, len(blocks)):
        raise ValueError(f"{where}: shapes of keys, values and status do not match the spec")
    if n > 1 and not np.all(ascending(keys)):
        raise StoreError(f"{where}: keys are not unique and ascending")
    if status.size and status.max() > max(Status):
        raise StoreError(f"{where}: a status of {int(status.max())}, which has no name")
    for i, mask in enumerate(block_columns(spec.columns, blocks)):
        fine, part = status[:, i] == Status.OK, values if mask.all() else values[:, mask]
        broken = not_finite(part, fine)
        if broken:
            row, column = broken[0]
            raise NonFiniteRow(
                f"{where}: row {keys[row].tobytes().hex()[:12]} says ok and is not finite in"
                f" {np.array(spec.columns)[mask][column]} ({len(broken)} such rows)"
            )
        empty = np.flatnonzero(~fine)
        filled = empty[~np.isnan(part[empty]).all(axis=1)]
        if len(filled):
            row = int(filled[0])
            said = Status(int(status[row, i])).name.lower()
            raise StoreError(
                f"{where}: row {keys[row].tobytes().hex()[:12]} says {said} and holds numbers; it must be NaN"
            )


def digest_of(spec_json: bytes, blocks: bytes, rows: StoreRows) -> str:
    """Sha256 (hex) of everything a store says, whatever its layout."""
    strong = hashlib.sha256(f"{_MAGIC} {rows.values.shape} {rows.status.shape}\n".encode())
    for text in (spec_json, blocks):
        strong.update(len(text).to_bytes(8, "little") + text)
    arrays: tuple[npt.NDArray[Any], ...] = (rows.keys, rows.status, rows.values)
    for array in arrays:
        if array.size:
            strong.update(array.reshape(-1).view("u1").data)
    return strong.hexdigest()


def pieces_of(
    spec: FeatureSpec, rows: StoreRows, blocks: Sequence[str] = ()
) -> tuple[list[Piece], Callable[[], list[Piece]]]:
    """A store's bytes: the data, and what waits for the rest; nothing large is copied.

    While the data are written, a thread computes their hashes, which are the longer work. The rest is what
    HDF5 wrote around room for data that it never sees, so that no write can fail inside it, and last the
    preamble, without which no file is a store.

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
        Keys that are not unique and ascending; numbers in a row that is not ok.
    """
    import numpy as np

    blocks = tuple(blocks) or (spec.name,)
    rows = _as_stored(rows)
    arrays: dict[str, npt.NDArray[Any]] = {
        "key": rows.keys,
        "status": rows.status,
        "value": rows.values,
        "spec": np.frombuffer(spec.to_json().encode(), dtype=np.uint8),
        "block": np.frombuffer("\n".join(blocks).encode(), dtype=np.uint8),
    }
    layout = Layout(arrays, user_block=PREAMBLE_BYTES, alignment=_ALIGNMENT)
    names = sorted(layout.offsets, key=layout.offsets.__getitem__)
    data = [(layout.offsets[name], arrays[name].reshape(-1).view("u1").data.toreadonly()) for name in names]

    def rest() -> list[Piece]:
        digest = digest_of(arrays["spec"].tobytes(), arrays["block"].tobytes(), rows)
        return _around(data, layout, spec.fingerprint, digest)

    waited = _in_background(rest) if rows.values.nbytes >= LARGE_BYTES else rest
    _check_rows(rows, spec, blocks)
    return data, waited


def _around(data: Sequence[Piece], layout: Layout, fingerprint: str, digest: str) -> list[Piece]:
    """What HDF5 wrote around the data, and the preamble."""
    import xxhash

    skeleton = layout.finished(
        {"magic": _MAGIC, "format_version": FORMAT_VERSION, "fingerprint": fingerprint, "digest": digest}
    )
    pieces, hasher, position = [], xxhash.xxh3_128(), PREAMBLE_BYTES
    for offset, piece in [*data, (max(data[-1][0] + len(data[-1][1]), skeleton.size), memoryview(b""))]:
        pieces.append((position, memoryview(skeleton.part(position, offset))))
        hasher.update(pieces[-1][1])
        hasher.update(piece)
        position = offset + len(piece)
    return [*pieces, (0, memoryview(preamble(hasher.hexdigest())))]


def _in_background(work: Callable[[], list[Piece]]) -> Callable[[], list[Piece]]:
    """Begin it in a thread; what is returned waits for what comes of it."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future.result


def check_preamble(head: bytes, where: str) -> str:
    """The hash that a store's first bytes name.

    Raises
    ------
    StoreVersionError, StoreDamaged, StoreError
    """
    lines = head.split(b"\n")
    magic, _, version = lines[0].partition(b" ")
    if magic != _MAGIC.encode():
        if not head.startswith(_HDF5_SIGNATURE):
            raise StoreDamaged(f"{where}: not a kyara store, or its beginning is damaged; {MEND}")
        raise StoreVersionError(
            f"{where}: an HDF5 file, but no kyara store of format {FORMAT_VERSION};"
            " if an older kyara wrote it, delete it and run: dvc repro"
        )
    if version != str(FORMAT_VERSION).encode() and version.isdigit() and len(version) < 10:
        raise StoreVersionError(
            f"{where}: format version {int(version)}, this kyara reads {FORMAT_VERSION};"
            " delete it and run: dvc repro"
        )
    said = lines[1].removeprefix(b"xxh3-128 ").decode("ascii", "replace") if len(lines) > 1 else ""
    if head != preamble(said):
        raise StoreDamaged(f"{where}: its preamble is damaged; {MEND}")
    return said


def _attribute(file: Any, name: str, where: str) -> Any:
    """A small scalar attribute, its type checked before a byte of it is read."""
    import h5py
    import numpy as np

    attribute = h5py.h5a.open(file.id, name.encode())
    kind = attribute.get_type()
    plain = attribute.get_space().get_simple_extent_type() == h5py.h5s.SCALAR
    if isinstance(kind, h5py.h5t.TypeStringID):
        plain &= not kind.is_variable_str() and kind.get_size() <= _TEXT_BYTES
    else:
        plain &= isinstance(kind, h5py.h5t.TypeIntegerID)
    if not plain:
        raise StoreError(f"{where}: its attribute {name} is no short text or number")
    value = np.empty((), attribute.dtype)
    attribute.read(value)
    found = value.item()
    return found.decode("ascii") if isinstance(found, bytes) else found


def structure(stream: BinaryIO, size: int, where: str) -> Structure:
    """What a store's HDF5 part declares; refuses what is not canonical, and follows nothing out of the file.

    Raises
    ------
    StoreError, StoreVersionError, StoreDamaged
        And what h5py raises for a file that is broken: OSError, RuntimeError, KeyError, ValueError.
    """
    import h5py

    with h5py.File(stream, "r", locking=False) as file:
        if sorted(file.attrs) != sorted(_ATTRIBUTES):
            raise StoreError(f"{where}: not the attributes of a kyara store")
        attributes = {name: _attribute(file, name, where) for name in _ATTRIBUTES}
        if attributes["magic"] != _MAGIC or attributes["format_version"] != FORMAT_VERSION:
            raise StoreError(f"{where}: its HDF5 part says it is another file than its preamble")
        if len(file) != len(_DATASETS) or set(file) != set(_DATASETS):
            raise StoreError(f"{where}: holds {len(file)} things, a store holds {', '.join(_DATASETS)}")
        layout = {name: _dataset(file, name, size, where) for name in _DATASETS}
        return Structure(str(attributes["fingerprint"]), str(attributes["digest"]), layout)


def _dataset(file: Any, name: str, size: int, where: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    import h5py

    dtype, ndim = _DATASETS[name]
    if file.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise StoreError(f"{where}: {name} is a link; links are refused")
    dataset = h5py.h5o.open(file.id, name.encode())
    if not isinstance(dataset, h5py.h5d.DatasetID):
        raise StoreError(f"{where}: {name} is no dataset")
    plist = dataset.get_create_plist()
    if plist.get_layout() != h5py.h5d.CONTIGUOUS or plist.get_external_count() or plist.get_nfilters():
        raise StoreError(f"{where}: {name} is not plain contiguous data")
    if dataset.dtype.str != dtype or dataset.rank != ndim:
        raise StoreError(f"{where}: {name} is {dataset.dtype} with {dataset.rank} axes")
    shape, offset = tuple(dataset.shape), dataset.get_offset()
    n_bytes = math.prod(shape) * dataset.dtype.itemsize
    if n_bytes and (offset is None or offset + n_bytes > size):
        raise StoreDamaged(f"{where}: {name} declares more than the file has")
    return shape, dataset.dtype, offset or 0
