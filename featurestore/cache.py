"""The row cache: immutable, content-addressed segments; a grow-only set of rows.

``<root>/<extractor>/<fingerprint>/<sha256 of the file>.h5``. A row is a pure function of its key
and the fingerprint, so any number of writers on any number of machines need no lock and no
manifest: each adds files under names nobody else can mean otherwise. A damaged segment is set
aside and its rows are computed again.

Refuses to know how rows are computed and which of them a data set needs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import KyaraError, StoreError, StoreVersionError
from featurestore.files import TEMPORARY_PREFIX, publish, sha256_of, sync, temporary_file
from featurestore.hdf5 import write_to
from featurestore.rows import StoreRows, concatenate, find_keys
from featurestore.spec import FeatureSpec
from featurestore.store import Reader

if TYPE_CHECKING:
    from featurestore.rows import Keys

__all__ = ["RowCache", "default_cache_root"]

log = logging.getLogger(__name__)

_SUFFIX = ".h5"
_DAMAGED_SUFFIX = ".damaged"


def default_cache_root() -> Path:
    """The user's cache directory for kyara (``KYARA_CACHE`` overrides it, in the commands)."""
    import platformdirs

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

    def folder(self, spec: FeatureSpec) -> Path:
        """Where the segments of one fingerprint lie."""
        return self.root / spec.name / spec.fingerprint

    def segments(self, spec: FeatureSpec) -> list[Path]:
        """Finished segments of one fingerprint, by name."""
        files = self.folder(spec).glob(f"*{_SUFFIX}")
        return sorted(f for f in files if not f.name.startswith(TEMPORARY_PREFIX))

    def commit(self, spec: FeatureSpec, rows: StoreRows) -> Path:
        """Add rows as one segment; when this returns they survive a crash.

        Parameters
        ----------
        rows : StoreRows
            Unique keys, any order.

        Returns
        -------
        Path
            The segment; the same rows give the same name.
        """
        with temporary_file(self.folder(spec)) as (temporary, stream):
            write_to(stream, spec, rows.sorted())
            sync(stream)
            name = sha256_of(temporary)
            final = self.folder(spec) / f"{name}{_SUFFIX}"
            publish(temporary, final)
        return final

    def find(self, spec: FeatureSpec, keys: Keys) -> StoreRows:
        """Those of ``keys`` that the cache holds, verified, in no particular order.

        Parameters
        ----------
        keys : ndarray of uint8, shape (n, 32)
            Unique.
        """
        wanted, parts = keys, []
        for segment, reader in self._open(spec):
            places = find_keys(reader.keys, wanted)
            hit = places >= 0
            if not hit.any():
                continue
            try:
                rows = reader.verify()
            except StoreError as error:
                self._set_aside(segment, error)
                continue
            parts.append(StoreRows(wanted[hit], rows.values[places[hit]], rows.status[places[hit]]))
            wanted = wanted[~hit]
            if not len(wanted):
                break
        return concatenate(parts, spec)

    def _open(self, spec: FeatureSpec) -> Iterator[tuple[Path, Reader]]:
        for segment in self.segments(spec):
            try:
                reader = Reader(segment)
            except StoreVersionError:
                continue  # of another kyara, which may still use this cache
            except KyaraError as error:
                self._set_aside(segment, error)
                continue
            with reader:
                if reader.spec.fingerprint != spec.fingerprint:
                    self._set_aside(segment, StoreError(f"{segment}: rows of another fingerprint"))
                    continue
                yield segment, reader

    def _set_aside(self, segment: Path, error: KyaraError) -> None:
        aside = segment.with_name(segment.name + _DAMAGED_SUFFIX)
        try:
            publish(segment, aside)
        except FileNotFoundError:
            return  # another process set it aside or compacted it
        except PermissionError:
            log.warning("%s; it cannot be set aside (read-only cache), its rows are computed again", error)
            return
        log.warning("%s; set aside as %s, its rows are computed again", error, aside.name)
