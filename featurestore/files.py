"""The one seam through which kyara's bytes reach the disk.

Owns atomic writes: a temporary in the same directory, fsync, rename, fsync of the directory. A
reader sees the old file or the new one, never half of either; a name that exists is complete.
Refuses to know what is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "TEMPORARY_PREFIX",
    "atomic_file",
    "publish",
    "remove",
    "sha256_of",
    "sync",
    "temporary_file",
    "write_all",
    "write_bytes_atomic",
    "write_text_atomic",
]

#: Files of this prefix are never read: they are writes that did not finish.
TEMPORARY_PREFIX = ".tmp-"


class _SeamFile(io.FileIO):
    """A raw file; HDF5 writes through it too (h5py's ``fileobj`` driver)."""


def _open_temporary(path: Path) -> BinaryIO:
    return _SeamFile(path, "x+")


def fsync_directory(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, final: Path) -> None:
    """Give a finished, synced file its name and make the name durable."""
    temporary.replace(final)
    fsync_directory(final.parent)


def remove(path: Path) -> None:
    """Delete one file, if it is there, and make that durable."""
    if path.exists():
        path.unlink()
        fsync_directory(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each name durable."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        fsync_directory(new.parent)


def sync(stream: BinaryIO) -> None:
    """Make what was written durable; before a file gets its name."""
    stream.flush()
    os.fsync(stream.fileno())


def write_all(stream: BinaryIO, data: bytes) -> None:
    """Write every byte: a raw write may take less than it was given."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


@contextlib.contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """An open temporary in ``folder``, removed at the end unless it was renamed."""
    make_folder(folder)
    path = folder / f"{TEMPORARY_PREFIX}{os.getpid()}-{uuid.uuid4().hex}"
    stream = _open_temporary(path)
    try:
        with stream:
            yield path, stream
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary stream whose bytes become ``path`` when the block ends without an error.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomic_file(target) as stream:
    ...     _ = stream.write(b"whole")
    >>> target.read_bytes()
    b'whole'
    """
    with temporary_file(path.parent) as (temporary, stream):
        yield stream
        sync(stream)
        publish(temporary, path)


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``, all or nothing."""
    with atomic_file(path) as stream:
        write_all(stream, data)


def write_text_atomic(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in UTF-8 with LF line ends, all or nothing."""
    write_bytes_atomic(path, text.encode("utf-8"))


def sha256_of(path: Path) -> str:
    """Sha256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
