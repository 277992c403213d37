"""The zip archive that a fitted head is kept in, and nothing of it believed.

Owns the archive's form: a schema and arrays under counted names, nothing compressed, fixed times; and
the refusal of every archive of another form, or of one that would grow when it is read. Refuses to
know what the parts mean.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Final

from numpy.lib import format as npy

__all__ = ["MAX_BYTES", "SCHEMA", "pack", "unpack"]

SCHEMA: Final = "schema.json"

#: Of an archive: a forest of 10,000 deep trees is a tenth of that.
MAX_BYTES: Final = 1 << 30
_MAX_SCHEMA_BYTES: Final = 64 << 20
_MAX_PARTS: Final = 100_000

_NAME: Final = re.compile(r"\d{6}\.npy", re.ASCII)
_ENTRY: Final = b"PK\x01\x02"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_HEADERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def pack(parts: Mapping[str, bytes]) -> bytes:
    """An archive whose bytes depend on its parts alone.

    Raises
    ------
    ValueError
        If `unpack` would refuse it for its size.
    """
    _check_size(len(parts), len(parts[SCHEMA]), sum(map(len, parts.values())))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(parts):
            archive.writestr(zipfile.ZipInfo(name, date_time=_EPOCH), parts[name])
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Inverse of `pack`, for bytes that anybody may have written.

    Raises
    ------
    ValueError, zipfile.BadZipFile, RuntimeError
        If the archive is broken, or of another form than `pack` gives it; by then no more memory was
        taken than a small multiple of its size.
    """
    _check_size(data.count(_ENTRY), 0, len(data))  # before zipfile makes an object of each entry
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        _check_entries(entries, len(data))
        parts = {entry.filename: archive.read(entry) for entry in entries}
    for name, part in parts.items():
        if name != SCHEMA:
            _check_array(name, part)
    return parts


def _check_size(n_parts: int, schema_bytes: int, n_bytes: int) -> None:
    said = f"a head of {n_parts} parts, {n_bytes} bytes and a schema of {schema_bytes}"
    if n_parts > _MAX_PARTS or schema_bytes > _MAX_SCHEMA_BYTES or n_bytes > MAX_BYTES:
        raise ValueError(f"{said} is too large; at most {_MAX_PARTS}, {MAX_BYTES} and {_MAX_SCHEMA_BYTES}")


def _check_entries(entries: list[zipfile.ZipInfo], n_bytes: int) -> None:
    """What the archive's directory says; nothing was read yet."""
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError("two parts have one name")
    strange = [name for name in names if name != SCHEMA and not _NAME.fullmatch(name)]
    if strange or SCHEMA not in names:
        raise ValueError(f"it holds {strange[0][:80]!r}" if strange else f"it holds no {SCHEMA}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("a part is compressed; kyara writes none")
    if any(entry.file_size != entry.compress_size for entry in entries):
        raise ValueError("a part says another size than it has")
    if sum(entry.file_size for entry in entries) > n_bytes:  # parts that lie on top of each other
        raise ValueError("its parts say that they are larger than all of it")
    _check_size(len(entries), entries[names.index(SCHEMA)].file_size, n_bytes)


def _check_array(name: str, part: bytes) -> None:
    """Refuse an array that says it is larger than its bytes: numpy makes room for what it says."""
    stream = io.BytesIO(part)
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"{name} is an array of format {version}")
    shape, _, dtype = _HEADERS[version](stream)
    fits = min(shape, default=0) >= 0 and stream.tell() + math.prod(shape) * dtype.itemsize == len(part)
    if dtype.hasobject or not fits:
        raise ValueError(f"{name} is not the array it says it is")
