"""Which rows are missing -> decode -> extract -> commit -> the canonical store.

Rows come, in this order, from the row cache, from the store file of an earlier run, from other runs that
compute the same rows at this moment, and from the extractor. A worker commits each batch before it begins
the next, so that a kill costs one batch a worker. Refuses to know which extractor it runs.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extractors.base import Staged
from extractors.batches import Batches, Item
from extractors.devices import n_threads
from featurestore import plugins
from featurestore.cache import RowCache
from featurestore.compaction import compact
from featurestore.errors import DataError, ImageRejected, KyaraError, NonFiniteRow
from featurestore.images import decode, read_image_file
from featurestore.rows import (
    KeyIndex,
    StoreRows,
    concatenate,
    empty_rows,
    not_finite,
    ordered,
    pack_keys,
    unpack_keys,
    without,
)
from featurestore.spec import FeatureSpec, Status
from featurestore.store import FeatureStore, write_store

if TYPE_CHECKING:
    from extractors.base import RGB, Extractor, Rows
    from featurestore.params import RuntimeParams
    from featurestore.rows import Keys

__all__ = ["Report", "compute_rows", "extract", "load_image"]

log = logging.getLogger(__name__)

#: Images at a time, where neither params nor the extractor say.
_BATCH: Final = 32
#: More segments than this are merged at the end of a run.
_MANY_SEGMENTS: Final = 64


@dataclass(frozen=True)
class Report:
    """Where the rows of a store came from.

    Attributes
    ----------
    extracted, from_cache, from_store, from_others, not_ok : int
        Rows; ``from_others`` were committed by other runs while this one ran.
    seconds : float
        What extracting took.
    batch_size : int
        Images at a time, at the end: memory may have halved it, a slow disk doubled it.
    device : str
        Where it was computed.
    """

    extracted: int
    from_cache: int
    from_store: int
    not_ok: int
    from_others: int = 0
    seconds: float = field(default=0.0, compare=False)
    batch_size: int = field(default=0, compare=False)
    device: str = field(default="cpu", compare=False)

    @property
    def reused(self) -> int:
        """Rows that were not computed again."""
        return self.from_cache + self.from_store + self.from_others

    @property
    def hit_rate(self) -> float:
        """Share of the rows that the row cache had, before or meanwhile; 1 where there are none."""
        n = self.extracted + self.reused
        return (self.from_cache + self.from_others) / n if n else 1.0


def _previous(store: Path, spec: FeatureSpec, keys: Keys) -> StoreRows:
    """Those of ``keys`` that an earlier store file of the same fingerprint holds, if it can be trusted."""
    if not len(keys) or not store.exists():
        return empty_rows(spec)
    try:
        with FeatureStore(store) as reader:
            if reader.fingerprint != spec.fingerprint:
                return empty_rows(spec)
        with FeatureStore(store, check=True) as reader:
            rows = reader.rows()
    except KyaraError as error:
        log.warning("%s; its rows are looked for elsewhere", error)
        return empty_rows(spec)
    places = KeyIndex(rows.keys).find(keys)
    return rows.taken(places[places >= 0])


def load_image(item: Item, root: Path, max_pixels: int) -> RGB:
    """Pixels of one image, if its bytes are still those of its key.

    Raises
    ------
    DataError
        If the file changed since it was indexed, or cannot be read any more.
    """
    key, path = item
    try:
        data = read_image_file(path, root=root)
        if hashlib.sha256(data).hexdigest() != key:
            raise DataError(f"{path}: changed since it was indexed; run: dvc repro")
        return decode(data, max_pixels=max_pixels).pixels
    except ImageRejected as rejected:
        raise DataError(f"{path}: {rejected}; it was fine when indexed; run: dvc repro") from None


def _refused(batch: Sequence[Item], rows: Rows, spec: FeatureSpec) -> tuple[NonFiniteRow | None, set[int]]:
    """What is wrong with the rows of a batch, and with which of them."""
    broken = not_finite(rows.values, rows.status == Status.OK)
    if not broken:
        return None, set()
    row, column = broken[0]
    error = NonFiniteRow(
        f"{batch[row][1]}: the row of {spec.name} is not finite in {spec.columns[column]}"
        " and says it is ok; remove the picture or mend the extractor"
    )
    return error, {row for row, _ in broken}


class _Rows:
    """The rows of one run as they come in: each part is in the row cache before it is here."""

    def __init__(self, cache: RowCache, spec: FeatureSpec, keys: Keys) -> None:
        self.cache, self.spec = cache, spec
        self.parts: list[StoreRows] = []
        self._seen: set[str] = set()
        self._keys = keys
        self._wanted = KeyIndex(ordered(keys))

    def find(self) -> StoreRows:
        """What the cache holds."""
        found = self.cache.find(self.spec, self._keys, seen=self._seen)
        self.parts.append(found)
        return found

    def commit(self, rows: StoreRows) -> None:
        """Make rows durable, then take them; in any thread."""
        if len(rows):
            self.cache.commit(self.spec, rows, seen=self._seen)
            self.parts.append(rows)

    def others(self) -> Iterable[str]:
        """Keys that other runs have committed since this was last called."""
        for rows in self.cache.news(self.spec, self._seen):
            rows = rows.taken(self._wanted.find(rows.keys) >= 0)
            self.parts.append(rows)
            yield from unpack_keys(rows.keys)

    def all(self) -> StoreRows:
        """Every row once."""
        return concatenate(self.parts, self.spec).unique()


def _compute(
    extractor: Extractor,
    items: Sequence[Item],
    load: Callable[[Item], RGB],
    rows: _Rows,
    runtime: RuntimeParams,
    batch_size: int,
) -> tuple[int, int]:
    """Compute rows batch by batch; how many images were computed, and how large batches were at the end."""
    from tqdm import tqdm

    engine = plugins.load("extractors.engines", runtime.engine, key="runtime.engine")
    batches = Batches(
        items,
        batch_size,
        n_threads(runtime.workers) if extractor.thread_safe else 1,
        grows=runtime.batch_size is None and not isinstance(extractor, Staged),
        others=rows.others,
    )

    def keep(batch: Sequence[Item], computed: Rows) -> None:
        error, refused = _refused(batch, computed, extractor.spec)
        sound = [i for i in range(len(batch)) if i not in refused]
        keys = pack_keys([batch[i][0] for i in sound])
        start = time.monotonic()
        rows.commit(StoreRows(keys, computed.values[sound], computed.status[sound, None]))
        batches.kept(time.monotonic() - start)
        if error is not None:
            raise error

    bar = tqdm(total=len(items), desc=extractor.spec.name, unit="image", disable=not sys.stderr.isatty())
    n = 0
    with bar:
        for batch, _ in engine.run(extractor, batches, load, keep, workers=runtime.workers):
            n += len(batch)
            bar.update(len(batch))
    return n, batches.size


def _batch_size(extractor: Extractor, runtime: RuntimeParams, n_images: int) -> int:
    """As given, else as the extractor finds good; not tried out where there is nothing to do."""
    if runtime.batch_size:
        return runtime.batch_size
    return extractor.batch_size() if n_images and isinstance(extractor, Staged) else _BATCH


def compute_rows(
    extractor: Extractor,
    images: Mapping[str, Path],
    cache: RowCache,
    store: Path | None = None,
    *,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
) -> tuple[StoreRows, Report]:
    """The rows of some images, out of the cache and an earlier store where they are there; see `extract`."""
    spec = extractor.spec
    keys = pack_keys(list(images))
    rows = _Rows(cache, spec, keys)
    cached = rows.find()
    rest = without(keys, cached.keys)
    previous = empty_rows(spec) if store is None else _previous(store, spec, rest)
    rows.commit(previous)  # the next change of params would take them away
    items = [(key, images[key]) for key in unpack_keys(without(rest, previous.keys))]
    start = time.monotonic()
    n, batch_size = _compute(
        extractor,
        items,
        lambda item: load_image(item, root, max_pixels),
        rows,
        runtime,
        _batch_size(extractor, runtime, len(items)),
    )
    found = rows.all()
    if len(cache.segments(spec)) > _MANY_SEGMENTS:
        compact(cache, cache.folder(spec))
    return found, Report(
        extracted=n,
        from_cache=len(cached),
        from_store=len(previous),
        from_others=len(items) - n,
        not_ok=int((found.status != Status.OK).any(axis=1).sum()),
        seconds=time.monotonic() - start,
        batch_size=min(batch_size, getattr(extractor, "largest", None) or batch_size),
        device=getattr(extractor, "device", "cpu"),
    )


def extract(
    extractor: Extractor,
    images: Mapping[str, Path],
    cache: RowCache,
    store: Path,
    *,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
) -> Report:
    """Bring one store up to date.

    Parameters
    ----------
    extractor : Extractor
    images : mapping of str to Path
        Key (hex) -> file.
    cache : RowCache
    store : Path
        ``features/<extractor>.h5``; replaced when all rows are there, untouched on an error.
    root : Path
        The data folder; a link out of it is refused.
    max_pixels : int
        Cap on width x height, checked before decoding.
    runtime : RuntimeParams
        How the work is done; nothing of it moves a value.

    Returns
    -------
    Report

    Raises
    ------
    NonFiniteRow, DataError
        After all finished rows were committed.
    """
    rows, report = compute_rows(
        extractor, images, cache, store, root=root, max_pixels=max_pixels, runtime=runtime
    )
    write_store(store, extractor.spec, rows)
    return report
