"""Few large segments out of many small ones.

Owns which segments are merged, and that no row is lost on the way. Refuses to know when it is time for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from featurestore.cache import RowCache, n_bytes, segments_in
from featurestore.errors import KyaraError
from featurestore.files import remove
from featurestore.rows import StoreRows, concatenate
from featurestore.store import FeatureStore

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
    parts: dict[Path, StoreRows] = {}
    newest, spec = 0.0, None
    for segment in segments:
        try:
            newest = max(newest, segment.stat().st_mtime)
            with FeatureStore(segment, check=True) as store:
                if (store.spec.name, store.fingerprint) != segment.parts[-3:-1]:
                    continue  # not where it belongs: repair's to judge
                spec, parts[segment] = store.spec, store.rows()
        except (KyaraError, OSError) as error:
            log.debug("%s is left out of compaction", segment, exc_info=error)
    if spec is None or len(parts) < 2:
        return
    final = cache.commit(spec, concatenate(list(parts.values()), spec).unique(), written_at=newest)
    for part in parts:
        if part != final:
            remove(part)


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
