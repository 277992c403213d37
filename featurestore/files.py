"""The one seam through which kyara's bytes reach the disk.

Owns atomic writes: a temporary in the same directory, fsync, rename, fsync of the directory. A
reader sees the old file or the new one, never half of either; a name that exists is complete.
All of it stands on the few operations of a `Disk`, so that a test can put one in its place that
writes down what it is told, forgets what was not synced, or is full. Refuses to know what is written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "TEMPORARY_PREFIX",
    "Disk",
    "atomic_file",
    "buffered",
    "held",
    "is_finished",
    "is_running",
    "make_durable",
    "make_folder",
    "publish",
    "remove",
    "replaced_disk",
    "sha256_of",
    "sync",
    "temporary_file",
    "write_all",
    "write_bytes_atomic",
    "write_text_atomic",
]

#: Files of this prefix are never read: they are writes that did not finish.
TEMPORARY_PREFIX = ".tmp-"


def is_finished(path: Path) -> bool:
    """Whether a file's name is one that only finished writes have."""
    return not path.name.startswith(TEMPORARY_PREFIX)


def is_running(process: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # somebody else's, and alive
    return True


@contextlib.contextmanager
def held(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder: one holder at a time, of all threads and processes on this machine.

    Where another folder took its place while it was waited for, that one is held.

    Raises
    ------
    BlockingIOError
        If somebody else holds it, and is not to be waited for.
    """
    while True:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                yield
                return
        finally:
            os.close(descriptor)


class Disk:
    """The operations that change a disk; each does what its name says and no more."""

    def create(self, path: Path) -> BinaryIO:
        """A new file, unbuffered, for writing and reading."""
        return path.open("x+b", buffering=0)

    def sync(self, stream: BinaryIO) -> None:
        """Make the bytes of an open file durable."""
        os.fsync(stream.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in place of whatever has it."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def unlink(self, path: Path) -> None:
        """Take a name away."""
        path.unlink()

    def mkdir(self, folder: Path) -> None:
        """Make one folder, if it is not there."""
        folder.mkdir(exist_ok=True)


_disk = Disk()


@contextlib.contextmanager
def replaced_disk(disk: Disk) -> Iterator[None]:
    """Let every write go through another `Disk`, in all threads; for tests of what a fault leaves."""
    global _disk
    before, _disk = _disk, disk
    try:
        yield
    finally:
        _disk = before


def publish(temporary: Path, final: Path) -> None:
    """Give a finished, synced file its name and make the name durable."""
    _disk.rename(temporary, final)
    _disk.sync_folder(final.parent)


def remove(*paths: Path) -> None:
    """Delete files that are there, and make that durable: once a folder."""
    there = [path for path in paths if path.exists()]
    for path in there:
        _unlink_if_there(path)
    for folder in sorted({path.parent for path in there}):
        _disk.sync_folder(folder)


def _unlink_if_there(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        _disk.unlink(path)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each name durable."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        _disk.mkdir(new)
        _disk.sync_folder(new.parent)


def make_durable(folder: Path, root: Path) -> None:
    """Make a folder below ``root``, and every name from ``root`` down to it durable.

    Unlike `make_folder` it does not believe a folder that is there: whoever made it may have been
    killed before its name was synced.
    """
    make_folder(folder)
    while folder != root.parent:
        _disk.sync_folder(folder.parent)
        folder = folder.parent


def sync(stream: BinaryIO) -> None:
    """Make what was written durable; before a file gets its name."""
    stream.flush()
    _disk.sync(stream)


def write_all(stream: BinaryIO, data: bytes | memoryview) -> None:
    """Write every byte: a raw write may take less than it was given."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


@contextlib.contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """An open temporary in ``folder``, removed at the end unless it was renamed."""
    make_folder(folder)
    path = folder / f"{TEMPORARY_PREFIX}{os.getpid()}-{uuid.uuid4().hex}"
    stream = _disk.create(path)
    try:
        with stream:
            yield path, stream
    except OSError as error:
        if error.filename is None:  # a failed write does not say where
            error.filename = str(folder)
        raise
    finally:
        if path.exists():
            _unlink_if_there(path)


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


@contextlib.contextmanager
def buffered(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The same file for many small writes; all have reached it when the block ends without an error."""
    writer = io.BufferedWriter(stream)
    try:
        yield writer
        writer.flush()
    finally:
        with contextlib.suppress(OSError):  # told by flush already
            writer.detach()


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
