"""What became of each picture of a run that is not finished: lines that are only ever added.

Owns one file of JSON objects, one a line. The first holds the options; each other one what became of a
picture, known by its path and the sha256 of its bytes, and is on the disk before the next picture is begun. A
line that a killed run left unfinished is cut off. Refuses to know what the options mean.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from collection.crop.cutting import CropParams
from collection.crop.detection import face_of
from collection.crop.files import Cropped, Source
from collection.crop.squares import Square
from featurestore.errors import DataError, UsageError
from featurestore.files import make_folder, sha256_of

__all__ = ["JOURNAL", "Journal", "command_of", "opened"]

#: What is done already, while a run is not finished; relative to the folder that mugshots go to.
JOURNAL: Final = ".crop.jsonl"

_FORMAT: Final = 2
#: What an option of the command is where it is not given.
_DEFAULTS: Final = {name: getattr(CropParams(), name) for name in ("method", "choice", "margin", "fallback")}
_FIELDS: Final = {field.name for field in dataclasses.fields(Cropped)}


@contextlib.contextmanager
def opened(path: Path, options: Mapping[str, object], *, root: Path) -> Iterator[Journal]:
    """A journal, for one run at a time.

    Parameters
    ----------
    path : Path
        In the folder that mugshots go to, which is made if it is not there.
    options : mapping of str to JSON values
        All that the mugshots' bytes depend on besides the pictures.
    root : Path
        The pictures' folder.

    Raises
    ------
    UsageError
        If it cannot be written, another run writes it, or it has lines of a run with other options.
    DataError
        If a finished line is no record.
    """
    try:
        make_folder(path.parent)
        stream = path.open("a+b")
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be written: {error.strerror}; name another folder") from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another run is writing to {path.parent}; wait for its end") from None
        yield Journal(stream, path, {"format": _FORMAT, **options}, root)


def command_of(path: Path) -> str:
    """The command that goes on with the run of a journal, as far as its first line tells."""
    with path.open("rb") as stream:
        try:
            options = dict(json.loads(stream.readline()))
        except (ValueError, TypeError):
            options = {}
    said = [
        "python",
        "-m",
        "collection",
        "crop",
        str(options.get("folder", "DIR")),
        "--out",
        str(path.parent),
    ]
    for name, default in _DEFAULTS.items():
        if options.get(name, default) != default:
            said += [f"--{name}", str(options[name])]
    return shlex.join(said)


class Journal:
    """The lines of an open file; see `opened`.

    Attributes
    ----------
    n_done : int
        How many pictures it knew when it was opened.
    """

    def __init__(self, stream: BinaryIO, path: Path, options: Mapping[str, object], root: Path) -> None:
        self._stream, self._path, self._root = stream, path, root
        self._done: dict[tuple[Path, str], Cropped] = {}
        stream.seek(0)
        data = stream.read()
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].splitlines()
        for number, line in enumerate(lines[1:], start=2):
            one = self._read(number, line)
            self._done[one.source.path, one.original] = one
        self.n_done = len(self._done)
        if self._done:
            self._check(lines[0], options)
            stream.truncate(whole)
        else:
            stream.truncate(0)
            self._append(options)

    def find(self, source: Source, original: str) -> Cropped | None:
        """What became of a picture with these bytes; None if not known or its mugshot is not there."""
        known = self._done.get((source.path, original))
        if known is None or (known.path and not _holds(known.path, known.sha256)):
            return None
        self._done[source.path, original] = found = dataclasses.replace(known, source=source)
        return found

    def add(self, one: Cropped) -> None:
        """Keep a record, unless it is there or the picture could not be read."""
        key = one.source.path, one.original
        if not one.original or self._done.get(key) == one:
            return
        file = one.path and one.path.relative_to(self._path.parent).as_posix()
        source = one.source.path.relative_to(self._root).as_posix()
        self._append({**dataclasses.asdict(one), "path": file, "source": source})
        self._done[key] = one

    def _append(self, values: Mapping[str, object]) -> None:
        self._stream.write(json.dumps(values).encode() + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _read(self, number: int, line: bytes) -> Cropped:
        try:
            values = json.loads(line)
            if set(values) != _FIELDS:
                raise KeyError(", ".join(sorted(set(values) ^ _FIELDS)))
            path, box, face = values["path"], values["box"], values["face"]
            values |= {
                "source": Source(self._root / values["source"], label=""),
                "path": None if path is None else self._path.parent / path,
                "box": None if box is None else Square(**box),
                "face": None if face is None else face_of(face),
            }
            return Cropped(**values)
        except (ValueError, TypeError, KeyError) as error:
            said = f"{self._path}, line {number}: no record ({error}); delete the line and run it again"
            raise DataError(said) from None

    def _check(self, line: bytes, options: Mapping[str, object]) -> None:
        try:
            begun = dict(json.loads(line))
        except (ValueError, TypeError):
            begun = {}
        others = [name for name in {**begun, **options} if begun.get(name) != options.get(name)]
        if others:
            said = ", ".join(f"{name} {_text(begun, name)}, now {_text(options, name)}" for name in others)
            raise UsageError(
                f"{self._path.parent} holds an unfinished run with other options ({said});"
                " give the same ones to go on, or name a new folder"
            )


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _text(options: Mapping[str, object], name: str) -> str:
    value = options.get(name)
    return "none" if value is None else str(value)
