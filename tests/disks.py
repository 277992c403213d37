"""Disks that fail: one that writes down all it is told, and what a crash or a loss of power leaves of it; one
that is full; one that says it synced and did not.
"""

from __future__ import annotations

import errno
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from featurestore.files import Disk

#: What a `RecordingDisk` was told: the operation's name, then its arguments.
Operation = tuple[Any, ...]


class _RecordedFile(io.FileIO):
    def __init__(self, path: Path, number: int, log: Callable[..., None]) -> None:
        super().__init__(path, "x+")
        self.number, self._log = number, log

    def write(self, data: Any) -> int:
        offset, kept = self.tell(), bytes(data)
        n = super().write(data)
        self._log("write", self.number, offset, kept[:n])
        return n


class RecordingDisk(Disk):
    """Does as it is told below ``root``, and writes it down."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[Operation] = []
        self._lock = threading.Lock()
        self._n_files = 0

    def say(self, *operation: Any) -> None:
        """Write something down; ``("acknowledged", keys)`` is the caller's to say."""
        with self._lock:
            self.log.append(operation)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def create(self, path: Path) -> BinaryIO:
        self._n_files += 1
        stream = _RecordedFile(path, self._n_files, self.say)
        self.say("create", self._name(path), stream.number)
        return stream

    def sync(self, stream: BinaryIO) -> None:
        super().sync(stream)
        self.say("sync", stream.number)  # type: ignore[attr-defined]

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.say("rename", self._name(source), self._name(target))

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        if folder.is_relative_to(self.root):
            self.say("sync_folder", self._name(folder))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.say("unlink", self._name(path))

    def mkdir(self, folder: Path) -> None:
        super().mkdir(folder)
        self.say("mkdir", self._name(folder))


class LyingDisk(RecordingDisk):
    """Says that a file is synced, and forgets to."""

    def sync(self, stream: BinaryIO) -> None:
        """Nothing."""


class LyingFolders(RecordingDisk):
    """Says that the names in a folder are synced, and forgets to."""

    def sync_folder(self, folder: Path) -> None:
        """Nothing."""


class _LimitedFile(io.FileIO):
    def __init__(self, path: Path, disk: FullDisk) -> None:
        super().__init__(path, "x+")
        self._disk = disk

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        room = min(len(view), self._disk.room)
        if view and not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._disk.room -= room
        return super().write(view[:room])


class FullDisk(Disk):
    """Has room for so many bytes, and then none."""

    def __init__(self, room: int) -> None:
        self.room = room

    def create(self, path: Path) -> BinaryIO:
        return _LimitedFile(path, self)


@dataclass
class _Inode:
    """A file: what is durable of it, and the writes that are not."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list)

    def content(self, writes: Sequence[tuple[int, bytes]]) -> bytes:
        found = bytearray(self.durable)
        for offset, data in writes:
            if len(found) < offset + len(data):
                found.extend(b"\0" * (offset + len(data) - len(found)))
            found[offset : offset + len(data)] = data
        return bytes(found)


def _parent(name: str) -> str:
    return name.rpartition("/")[0] or "."


class Replay:
    """A file system in memory, told what a `RecordingDisk` was told."""

    def __init__(self) -> None:
        self.names: dict[str, _Inode | None] = {".": None}  # None = a folder
        self._durable: dict[str, _Inode | None] = {".": None}
        self._pending: dict[str, list[Operation]] = {}
        self._inodes: dict[int, _Inode] = {}

    def tell(self, operation: Operation) -> None:
        what, *arguments = operation
        getattr(self, f"_{what}", lambda *_: None)(*arguments)

    def _change(self, folder: str, *change: Any) -> None:
        self._pending.setdefault(folder, []).append(change)
        _apply(self.names, change)

    def _create(self, name: str, number: int) -> None:
        self._inodes[number] = _Inode()
        self._change(_parent(name), "link", name, self._inodes[number])

    def _mkdir(self, name: str) -> None:
        self._change(_parent(name), "link", name, None)

    def _write(self, number: int, offset: int, data: bytes) -> None:
        self._inodes[number].pending.append((offset, data))

    def _sync(self, number: int) -> None:
        inode = self._inodes[number]
        inode.durable, inode.pending = bytearray(inode.content(inode.pending)), []

    def _rename(self, source: str, target: str) -> None:
        self._change(_parent(source), "rename", source, target, self.names[source])

    def _unlink(self, name: str) -> None:
        self._change(_parent(name), "unlink", name)

    def _sync_folder(self, folder: str) -> None:
        for change in self._pending.pop(folder, []):
            _apply(self._durable, change)

    def after_a_crash(self) -> dict[str, bytes | None]:
        """All that was done is there: the operating system lives on."""
        return _files(self.names, lambda inode: inode.content(inode.pending))

    def after_a_loss_of_power(self, rng: np.random.Generator) -> dict[str, bytes | None]:
        """What was synced is there; of the rest any part may be, and a write may be torn."""
        names = dict(self._durable)
        for changes in self._pending.values():
            survives = rng.random(len(changes)) < rng.choice([0.0, 0.5, 1.0])
            for change, kept in zip(changes, survives, strict=True):
                if kept:
                    _apply(names, change)
        contents: dict[int, bytes] = {}

        def torn(inode: _Inode) -> bytes:
            if id(inode) not in contents:
                kept = rng.random(len(inode.pending)) < rng.choice([0.0, 0.5, 1.0])
                writes = [
                    (offset, data[: rng.integers(len(data) + 1)] if rng.random() < 0.3 else data)
                    for (offset, data), one in zip(inode.pending, kept, strict=True)
                    if one
                ]
                contents[id(inode)] = inode.content(writes)
            return contents[id(inode)]

        return _files(names, torn)


def _apply(names: dict[str, _Inode | None], change: Operation) -> None:
    what, name, *rest = change
    if what == "link":
        names[name] = rest[0]
    elif what == "rename":
        names.pop(name, None)
        names[rest[0]] = rest[1]
    else:
        names.pop(name, None)


def _files(names: dict[str, _Inode | None], content: Callable[[_Inode], bytes]) -> dict[str, bytes | None]:
    """Names that can be reached, with what is in them."""
    found: dict[str, bytes | None] = {}
    for name in sorted(names, key=lambda name: name.count("/")):
        if name != "." and _parent(name) not in {".", *found}:
            continue  # its folder's name was lost
        inode = names[name]
        found[name] = None if inode is None else content(inode)
    return found


def laid_out(files: dict[str, bytes | None], root: Path) -> Path:
    """Put what a disk holds into a folder."""
    root.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        if data is None:
            (root / name).mkdir(parents=True, exist_ok=True)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
    return root


def crashes(log: Sequence[Operation]) -> Iterator[tuple[int, dict[str, bytes | None]]]:
    """The disk after a crash at every operation, before it and, of a write, in the midst of it.

    Yields
    ------
    n, files
        How many operations were done, and what is on the disk.
    """
    replay = Replay()
    yield 0, replay.after_a_crash()
    for n, operation in enumerate(log):
        if operation[0] == "write" and len(operation[3]) > 1:
            _, number, offset, data = operation
            for share in (1, len(data) // 2, len(data) - 1):
                half = Replay()
                for one in log[:n]:
                    half.tell(one)
                half.tell(("write", number, offset, data[:share]))
                yield n, half.after_a_crash()
        replay.tell(operation)
        if operation[0] != "acknowledged":
            yield n + 1, replay.after_a_crash()
