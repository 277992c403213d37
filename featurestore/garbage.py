"""What of the row cache nobody needs: by age, and by the fingerprints that are still named somewhere.

Owns the decision and nothing else but the deleting of what it decided on. Refuses to know git and params.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from featurestore.cache import DAMAGED_SUFFIX, SUFFIX, RowCache
from featurestore.files import is_finished, remove

__all__ = ["Garbage", "find_garbage", "remove_garbage"]

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
    for folder in cache.folders():
        for file in sorted(folder.iterdir()):
            try:
                status = file.stat()
            except FileNotFoundError:
                continue
            age = now - status.st_mtime
            if not is_finished(file) or file.name.endswith(DAMAGED_SUFFIX):
                if age > _LEFTOVER_S:
                    yield Garbage(file, status.st_size, "damaged" if is_finished(file) else "unfinished")
            elif file.name.endswith(SUFFIX) and age >= older_than_s:
                if named is None:
                    yield Garbage(file, status.st_size, "old")
                elif folder.name not in named:
                    yield Garbage(file, status.st_size, "not named")


def remove_garbage(found: Collection[Garbage]) -> None:
    """Delete files; folders stay, for a run may be about to write there."""
    for one in found:
        remove(one.path)
