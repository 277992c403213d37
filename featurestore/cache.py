"""The row cache: immutable, content-addressed segments; a grow-only set of rows.

``<root>/<extractor>/<fingerprint>/<sha256 of the file>.h5``. A row is a pure function of its key
and the fingerprint, so any number of writers on any number of machines need no lock and no
manifest: each adds files under names nobody else can mean otherwise. A damaged segment is set
aside and its rows are computed again.

Refuses to know how rows are computed, which of them a data set needs, and when one is garbage.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featurestore.errors import KyaraError, MissingData, StoreError, StoreVersionError
from featurestore.files import (
    is_finished,
    make_durable,
    publish,
    sync,
    temporary_file,
    write_all,
)
from featurestore.hdf5 import pieces_of
from featurestore.rows import Gathered, KeyIndex, StoreRows, find_keys, ordered, without
from featurestore.spec import FeatureSpec
from featurestore.store import FeatureStore

if TYPE_CHECKING:
    from featurestore.rows import Keys

__all__ = ["RowCache", "cache_root", "segments_in", "set_aside"]

log = logging.getLogger(__name__)

SUFFIX: Final = ".h5"
DAMAGED_SUFFIX: Final = ".damaged"
#: A segment that is read is marked as used, not more often than this.
_USED_EVERY_S: Final = 86_400.0


def cache_root(given: str | None) -> Path:
    """Where rows are cached: what ``KYARA_CACHE`` says, else a folder of the user's cache directory."""
    import platformdirs

    if given:
        return Path(given).expanduser()
    return Path(platformdirs.user_cache_dir("kyara", appauthor=False)) / "rows"


class RowCache:
    """All segments below one folder.

    Parameters
    ----------
    root : Path
        Made when the first segment is committed.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from featurestore.rows import pack_keys
    >>> cache, spec = RowCache(Path(tempfile.mkdtemp())), FeatureSpec("toy", 1, {}, ("a",))
    >>> keys = pack_keys(["11" * 32])
    >>> _ = cache.commit(spec, StoreRows(keys, np.ones((1, 1), np.float32), np.zeros((1, 1), np.uint8)))
    >>> len(cache.find(spec, keys))
    1
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable: set[Path] = set()

    def folder(self, spec: FeatureSpec) -> Path:
        """Where the segments of one fingerprint lie."""
        return self.root / spec.name / spec.fingerprint

    def folders(self) -> list[Path]:
        """The folder of every extractor and fingerprint, by name."""
        return sorted(
            folder
            for extractor in self.root.glob("[!._]*")
            for folder in extractor.glob("[!._]*")
            if folder.is_dir()
        )

    def n_bytes(self) -> int:
        """Size of all finished segments together."""
        return sum(n_bytes(segment) for folder in self.folders() for segment in segments_in(folder))

    def segments(self, spec: FeatureSpec) -> list[Path]:
        """Finished segments of one fingerprint, by name."""
        return segments_in(self.folder(spec))

    def commit(
        self,
        spec: FeatureSpec,
        rows: StoreRows,
        *,
        seen: set[str] | None = None,
        written_at: float | None = None,
    ) -> Path:
        """Add rows as one segment; when this returns they survive a crash and a loss of power.

        May be called in several threads and processes at once.

        Parameters
        ----------
        rows : StoreRows
            Unique keys, any order.
        seen : set of str or None
            The segment's name is added to it, before anybody can see the segment; see `news`.
        written_at : float or None
            Time of the segment in seconds since 1970; None = now.

        Returns
        -------
        Path
            The segment; the same rows give the same name.
        """
        folder, hasher = self.folder(spec), hashlib.sha256()
        data, rest = pieces_of(spec, rows.sorted())
        pieces = [piece for _, piece in sorted([*data, *rest()], key=itemgetter(0))]
        for piece in pieces:
            hasher.update(piece)
        final = folder / f"{hasher.hexdigest()}{SUFFIX}"
        if seen is not None:
            seen.add(final.name)
        if folder not in self._durable:
            make_durable(folder, self.root)
            self._durable.add(folder)
        with temporary_file(folder) as (temporary, stream):
            for piece in pieces:
                write_all(stream, piece)
            if written_at is not None:
                os.utime(stream.fileno(), (written_at, written_at))
            sync(stream)
            publish(temporary, final)
        return final

    def add(self, spec: FeatureSpec, rows: StoreRows) -> int:
        """Commit those of some rows that the cache does not hold; returns how many."""
        lacking = without(rows.keys, self.find(spec, rows.keys).keys)
        if len(lacking):
            rows = rows.sorted()
            self.commit(spec, rows.taken(find_keys(rows.keys, lacking)))
        return len(lacking)

    def find(self, spec: FeatureSpec, keys: Keys, *, seen: set[str] | None = None) -> StoreRows:
        """Those of ``keys`` that the cache holds, verified, ascending by key.

        Parameters
        ----------
        keys : ndarray of uint8, shape (n, 32)
            Unique.
        seen : set of str or None
            Names of the segments that were read are added to it; see `news`.
        """
        found = Gathered(ordered(keys), spec)
        self.gather(spec, found, seen=set() if seen is None else seen)
        return found.rows()

    def gather(self, spec: FeatureSpec, found: Gathered, *, seen: set[str]) -> None:
        """Add rows that the cache holds, verified, until none is lacking; see `find`."""
        for rows in self.news(spec, seen):
            found.add(rows)
            if found.whole():
                break

    def covers(self, spec: FeatureSpec, keys: Keys) -> bool:
        """Whether segments say that they hold all of some keys; their values are not read.

        Parameters
        ----------
        keys : ndarray of uint8, shape (n, 32)
            Unique.
        """
        import numpy as np

        index, open_ = KeyIndex(ordered(keys)), np.ones(len(keys), dtype=bool)
        for segment in self.segments(spec):
            if not open_.any():
                break
            try:
                with FeatureStore(segment) as store:
                    places = index.find(store.keys)
            except KyaraError:
                continue  # whoever needs its rows says what is wrong with it
            _mark_used(segment)
            open_[places[places >= 0]] = False
        return not open_.any()

    def news(self, spec: FeatureSpec, seen: set[str]) -> Iterator[StoreRows]:
        """Rows of each segment whose name is not in ``seen``, verified, some at a time; adds the names to it.

        A segment that another process compacted away meanwhile is looked for under its new name.
        """
        while True:
            fresh = [segment for segment in self.segments(spec) if segment.name not in seen]
            seen.update(segment.name for segment in fresh)
            gone = False
            for segment in fresh:
                try:
                    yield from self._checked(segment, spec)
                except MissingData:
                    gone = True
            if not gone:
                return

    def _checked(self, segment: Path, spec: FeatureSpec) -> Iterator[StoreRows]:
        """A segment's rows; none if they cannot be used, after doing what is to be done about it."""
        try:
            with FeatureStore(segment, check=True, keep=False) as store:
                if store.fingerprint != spec.fingerprint:
                    raise StoreError(f"{segment}: rows of another fingerprint")
                _mark_used(segment)
                yield from store.blocks_of_rows()
        except StoreVersionError:
            return  # of another kyara, which may still use this cache
        except MissingData:
            raise
        except PermissionError as error:
            log.warning("%s: %s; its rows are computed again", segment, error.strerror)
        except KyaraError as error:
            try:
                aside = set_aside(segment, lambda path: _is_whole(path, spec))
            except PermissionError:
                log.warning("%s; it may not be renamed; its rows are computed again", error)
                return
            if aside is not None:  # or another process was faster
                log.warning("%s; set aside as %s; its rows are computed again", error, aside.name)


def segments_in(folder: Path) -> list[Path]:
    """Finished segments in the folder of one fingerprint, by name."""
    return sorted(file for file in folder.glob(f"*{SUFFIX}") if is_finished(file))


def n_bytes(file: Path) -> int:
    """Size of a file; 0 if another process removed it."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _is_whole(path: Path, spec: FeatureSpec) -> bool:
    try:
        with FeatureStore(path, check=True, keep=False) as store:
            return store.fingerprint == spec.fingerprint
    except KyaraError:
        return False


def set_aside(file: Path, is_sound: Callable[[Path], bool]) -> Path | None:
    """Rename a damaged segment or store, so that nobody reads it again.

    Between the look at it and the renaming another process may have written it anew, under the same name
    where it holds the same rows. So what was renamed is looked at once more, and named back if it is sound.

    Parameters
    ----------
    is_sound : callable
        Whether a file, whatever its name, is what ``file`` should be.

    Returns
    -------
    Path or None
        The new name; None if there is nothing to set aside any more.

    Raises
    ------
    PermissionError
        In a folder that cannot be written.
    """
    aside = file.with_name(file.name + DAMAGED_SUFFIX)
    try:
        publish(file, aside)
    except FileNotFoundError:
        return None  # another process set it aside or compacted it
    if is_sound(aside):
        publish(aside, file)
        return None
    return aside


def _mark_used(segment: Path) -> None:
    """Let a segment's time say when it was last of use; its bytes never change, so its time is free."""
    now = time.time()
    try:
        if now - segment.stat().st_mtime > _USED_EVERY_S:
            os.utime(segment, (now, now))
    except OSError as error:  # a read-only cache, or compacted away
        log.debug("%s cannot be marked as used", segment, exc_info=error)
