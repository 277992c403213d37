"""Whether every byte of the stores and segments is the one that was written; and what to do where not.

Owns the verdict on each file, and setting the damaged aside. Refuses to know how rows are computed again:
that is the next run's.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from featurestore.cache import DAMAGED_SUFFIX, RowCache, segments_in, set_aside
from featurestore.errors import KyaraError, StoreDamaged, StoreVersionError
from featurestore.files import publish, sha256_of
from featurestore.hdf5 import MEND
from featurestore.store import FeatureStore

__all__ = ["Repair", "State", "Verdict", "repair", "verify", "verify_stores"]


class State(enum.StrEnum):
    """What `verify` found."""

    SOUND = "sound"
    DAMAGED = "damaged"
    OTHER_VERSION = "other version"  # a segment of another kyara, whole
    UNREADABLE = "unreadable"  # permission denied: nothing can be said of its bytes


@dataclass(frozen=True)
class Verdict:
    """On one file.

    Attributes
    ----------
    path : Path
    is_segment : bool
        Of the row cache; else a store.
    state : State
    n_bytes : int
    error : KyaraError or None
        What is wrong.
    """

    path: Path
    is_segment: bool
    state: State
    n_bytes: int
    error: KyaraError | None = None

    @property
    def said(self) -> str:
        """What is wrong, in words, without what to do about it."""
        return str(self.error or "").removesuffix(f"; {MEND}")


def _judge(path: Path, *, is_segment: bool, named: Path | None = None) -> Verdict:
    """On a file, as if it were called ``named``."""
    named = named or path
    n_bytes = path.stat().st_size
    state, error = State.SOUND, cast("KyaraError | None", None)
    try:
        if is_segment and sha256_of(path) != named.stem:
            raise StoreDamaged(f"{path}: its sha256 is not its name")
        with FeatureStore(path, check=True) as store:
            store.verify()
            if is_segment and (store.spec.name, store.fingerprint) != named.parts[-3:-1]:
                raise StoreDamaged(f"{path}: rows of {store.spec.name} {store.fingerprint[:16]}")
    except StoreVersionError as found:
        state, error = State.OTHER_VERSION if is_segment else State.DAMAGED, found
    except FileNotFoundError:
        raise
    except PermissionError:
        state, error = State.UNREADABLE, KyaraError(f"{path}: permission denied")
    except KyaraError as found:
        state, error = State.DAMAGED, found
    except OSError as found:
        state, error = State.DAMAGED, StoreDamaged(f"{path}: cannot be read ({found.strerror})")
    return Verdict(path, is_segment, state, n_bytes, error)


def _is_sound(path: Path, *, is_segment: bool, named: Path) -> bool:
    return _judge(path, is_segment=is_segment, named=named).state is State.SOUND


def verify_stores(stores: Iterable[Path]) -> Iterator[Verdict]:
    """Read every byte of some stores."""
    for store in stores:
        yield _judge(store, is_segment=False)


def verify(cache: RowCache, stores: Iterable[Path]) -> Iterator[Verdict]:
    """Read every byte of every store and segment.

    A segment must have the sha256 that it is named by, and lie in the folder of its fingerprint. A
    segment that another process compacts away meanwhile is passed over.

    Parameters
    ----------
    cache : RowCache
    stores : iterable of Path
        Files that are there.

    Yields
    ------
    Verdict
        Stores first, then segments by name.
    """
    yield from verify_stores(stores)
    for folder in cache.folders():
        for segment in segments_in(folder):
            with contextlib.suppress(FileNotFoundError):
                yield _judge(segment, is_segment=True)


@dataclass(frozen=True)
class Repair:
    """What `repair` did.

    Attributes
    ----------
    aside : list of Path
        The new names of what was damaged.
    stuck : list of Verdict
        What could not be read, or not be renamed.
    n_restored : int
        Rows of damaged segments that a sound store still had, committed anew.
    """

    aside: list[Path]
    stuck: list[Verdict]
    n_restored: int


def repair(cache: RowCache, stores: Iterable[Path]) -> Repair:
    """Set the damaged aside, so that the next run computes those rows again, and only those.

    Rows that a sound store holds are committed to the cache again, where it lost them. A segment that was
    set aside and is sound, because a process was killed while it looked, gets its name back.
    """
    aside: list[Path] = []
    for folder in cache.folders():
        for file in sorted(folder.glob(f"*{DAMAGED_SUFFIX}")):
            name = file.with_name(file.name.removesuffix(DAMAGED_SUFFIX))
            if not name.exists() and _is_sound(file, is_segment=True, named=name):
                publish(file, name)
    stuck, sound, lost = [], [], set()
    for verdict in verify(cache, stores):
        if verdict.state is State.SOUND and not verdict.is_segment:
            sound.append(verdict.path)
        if verdict.state is State.UNREADABLE:
            stuck.append(verdict)
        if verdict.state is not State.DAMAGED:
            continue
        if verdict.is_segment:
            lost.add(verdict.path.parent)
        try:
            renamed = set_aside(
                verdict.path, partial(_is_sound, is_segment=verdict.is_segment, named=verdict.path)
            )
        except PermissionError:
            stuck.append(verdict)
            continue
        aside += [renamed] if renamed is not None else []
    n_restored = 0
    for path in sound:
        with FeatureStore(path, check=True) as store:
            if cache.folder(store.spec) in lost:
                n_restored += cache.add(store.spec, store.rows())
    return Repair(aside, stuck, n_restored)
