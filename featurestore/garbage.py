"""What of the row cache nobody needs: by age, and by the fingerprints that are still named somewhere.

Owns the decision and nothing else but the deleting of what it decided on. Refuses to know git and params.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from featurestore.cache import DAMAGED_SUFFIX, RowCache, segments_in
from featurestore.files import is_finished, remove

__all__ = ["Garbage", "find_garbage", "find_leftovers", "remove_garbage"]

#: A write that did not finish, and what was set aside, are nobody's after a day.
_LEFTOVER_S: Final = 86_400.0


@dataclass(frozen=True)
class Garbage:
    """One file that nobody needs.

    Attributes
    ----------
    path : Path
    n_bytes : int
    why : str
        ``"not named"``, ``"old"``, ``"damaged"`` or ``"unfinished"``.
    """

    path: Path
    n_bytes: int
    why: str


def find_garbage(
    cache: RowCache, *, named: Collection[str] | None, older_than_s: float, now: float
) -> Iterator[Garbage]:
    """Files of the row cache that nobody needs; nothing is deleted.

    Parameters
    ----------
    named : collection of str, or None
        Fingerprints whose segments stay, however old; None = age alone decides.
    older_than_s : float
        Seconds since a segment was last written or read (a day's grain); younger ones stay, so
        that a run that is under way keeps its rows.
    now : float
        Seconds since 1970.
    """
    yield from find_leftovers(cache.folders(), now=now)
    for folder in cache.folders():
        if named is not None and folder.name in named:
            continue
        for segment in segments_in(folder):
            age_s, size = _age_and_size(segment, now)
            if age_s >= older_than_s:
                yield Garbage(segment, size, "old" if named is None else "not named")


def find_leftovers(folders: Iterable[Path], *, now: float) -> Iterator[Garbage]:
    """Writes that did not finish and files that were set aside, older than a day, in some folders."""
    for folder in folders:
        for file in sorted(folder.glob("*")) if folder.is_dir() else ():
            kind = "damaged" if is_finished(file) else "unfinished"
            if file.is_file() and (kind == "unfinished" or file.name.endswith(DAMAGED_SUFFIX)):
                age_s, size = _age_and_size(file, now)
                if age_s > _LEFTOVER_S:
                    yield Garbage(file, size, kind)


def _age_and_size(file: Path, now: float) -> tuple[float, int]:
    """Seconds since a file was written or used, and its bytes; no age if another process removed it."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return -1.0, 0
    return now - status.st_mtime, status.st_size


def remove_garbage(found: Collection[Garbage]) -> None:
    """Delete files; folders stay, for a run may be about to write there."""
    remove(*(one.path for one in found))
