"""Few large segments out of many small ones.

Owns which segments are merged, and that no row is lost on the way. Refuses to know when it is time for it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featurestore.cache import RowCache, n_bytes, segments_in
from featurestore.errors import KyaraError
from featurestore.files import remove
from featurestore.rows import KEY_BYTES, Gathered, unique
from featurestore.store import FeatureStore

if TYPE_CHECKING:
    from featurestore.rows import Keys
    from featurestore.spec import FeatureSpec

__all__ = ["Compaction", "compact"]

log = logging.getLogger(__name__)

#: How large a merged segment is at most.
_SEGMENT_BYTES: Final = 256 << 20


@dataclass(frozen=True)
class Compaction:
    """What compacting one fingerprint did: how many segments there were, and how many are left."""

    before: int
    after: int


def compact(cache: RowCache, folder: Path, *, segment_bytes: int = _SEGMENT_BYTES) -> Compaction:
    """Merge the small segments of one fingerprint.

    A merged segment is durable before those that it holds are removed, and nothing else is, so
    that compacting may be killed, and may run beside writers, readers and other compactions.

    Parameters
    ----------
    cache : RowCache
    folder : Path
        One of `RowCache.folders`.
    segment_bytes : int
        Size that a merged segment does not pass; larger ones are left alone.
    """
    segments = segments_in(folder)
    for batch in _batches_to_merge(segments, segment_bytes):
        _merge(cache, batch)
    return Compaction(len(segments), len(segments_in(folder)))


def _merge(cache: RowCache, segments: list[Path]) -> None:
    """First the keys of all, then the rows of each: there is one copy of the values."""
    newest, spec, keys = _declared(segments)
    if spec is None:
        return
    found, merged = Gathered(keys, spec), []
    for segment in segments:
        with _left_out(segment), FeatureStore(segment, check=True, keep=False) as store:
            if _belongs(store):
                for rows in store.blocks_of_rows():
                    found.add(rows)
                merged.append(segment)
    if len(merged) < 2:
        return
    final = cache.commit(spec, found.rows(), written_at=newest)
    remove(*(segment for segment in merged if segment != final))


def _declared(segments: list[Path]) -> tuple[float, FeatureSpec | None, Keys]:
    """The newest one's time, and the spec and the keys of all, as they say."""
    import numpy as np

    keys = bytearray()
    newest, spec = 0.0, None
    for segment in segments:
        with _left_out(segment):
            newest = max(newest, segment.stat().st_mtime)
            with FeatureStore(segment) as store:
                if _belongs(store):
                    spec = store.spec
                    keys += store.keys.tobytes()
    return newest, spec, unique(np.frombuffer(keys, np.uint8).reshape(-1, KEY_BYTES))


@contextlib.contextmanager
def _left_out(segment: Path) -> Iterator[None]:
    """What cannot be read stays as it is."""
    try:
        yield
    except (KyaraError, OSError) as error:
        log.debug("%s is left out of compaction", segment, exc_info=error)


def _belongs(segment: FeatureStore) -> bool:
    """Whether it lies in the folder of its rows; else it is repair's to judge."""
    return (segment.spec.name, segment.fingerprint) == segment.path.parts[-3:-1]


def _batches_to_merge(segments: list[Path], segment_bytes: int) -> Iterator[list[Path]]:
    """Small segments, together below the limit; a batch of one is none."""
    batch: list[Path] = []
    total = 0
    for segment in segments:
        size = n_bytes(segment)
        if size > segment_bytes // 2:
            continue
        if total + size > segment_bytes:
            yield batch
            batch, total = [], 0
        batch.append(segment)
        total += size
    if len(batch) > 1:
        yield batch
