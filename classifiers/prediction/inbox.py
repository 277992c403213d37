"""Files that a command line names: as they are, below folders, or listed on stdin.

Owns which files are meant, and how a file that cannot be used is told. Refuses to know what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from featurestore.images import EXTENSIONS
from featurestore.metadata import printable

__all__ = ["STDIN", "Unusable", "expanded", "find_files"]

#: Stands on a command line for paths on stdin.
STDIN: Final = "-"


@dataclass(frozen=True)
class Unusable:
    """A file or folder that there is no answer for, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{printable(str(self.path))}: {printable(self.reason)}"


def expanded(arguments: Iterable[str], stdin: Iterable[bytes]) -> list[Path]:
    """Arguments as paths, ``-`` as the paths that stand on stdin, one a line.

    Examples
    --------
    >>> [str(path) for path in expanded(["a.png", "-"], [b"b c.png", b"", b"d"])]
    ['a.png', 'b c.png', 'd']
    """
    found: list[Path] = []
    for argument in arguments:
        if argument == STDIN:
            lines = (os.fsdecode(line.rstrip(b"\r\n")) for line in stdin)
            found += [Path(line) for line in lines if line]
        else:
            found.append(Path(argument))
    return found


def find_files(paths: Sequence[Path]) -> tuple[list[Path], list[Unusable]]:
    """Files as they are; of folders the pictures below them, ascending, nothing that is hidden.

    Links to folders are not followed. A file that is named twice is taken once.
    """
    files: dict[Path, None] = {}
    unusable: list[Unusable] = []
    for path in paths:
        try:
            is_folder, there = path.is_dir(), os.path.lexists(path)
        except (OSError, ValueError):  # a name that is too long, or has a NUL
            is_folder, there = False, False
        if is_folder:
            found = list(_below(path, unusable))
            files |= dict.fromkeys(found)
            if not found:
                unusable.append(Unusable(path, f"no picture below this folder ({', '.join(EXTENSIONS)})"))
        elif there:
            files[path] = None
        else:
            unusable.append(Unusable(path, "no such file or folder"))
    return list(files), unusable


def _below(folder: Path, unusable: list[Unusable]) -> Iterator[Path]:
    def unlisted(error: OSError) -> None:
        unusable.append(Unusable(Path(error.filename), f"not listed: {error.strerror}"))

    for here, subfolders, names in os.walk(folder, onerror=unlisted):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(EXTENSIONS):
                yield Path(here, name)
