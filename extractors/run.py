"""Which rows are missing -> decode -> extract -> commit -> the canonical store.

Rows come, in this order, from the row cache, from the store file of an earlier run, from other runs that
compute the same rows at this moment, and from the extractor. A worker commits each batch before it begins
the next, so that a kill costs one batch a worker. Refuses to know which extractor it runs.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extractors.base import Staged
from extractors.batches import Batches, Item, Stopped
from extractors.devices import n_threads
from extractors.engines import Work
from extractors.keeping import Keeper, Loader
from extractors.timing import Spent
from featurestore import plugins
from featurestore.cache import RowCache
from featurestore.columns import Made
from featurestore.compaction import compact
from featurestore.console import finishing, give_memory_back
from featurestore.dataset import Images
from featurestore.elsewhere import Place, Reader
from featurestore.errors import KyaraError
from featurestore.rows import Gathered, StoreRows, ordered, pack_keys, unpack_keys
from featurestore.spec import FeatureSpec, Status
from featurestore.store import FeatureStore, write_store

if TYPE_CHECKING:
    from extractors.base import Extractor
    from extractors.recipe import Recipe
    from featurestore.params import RuntimeParams
    from featurestore.rows import Keys, Statuses

__all__ = ["Report", "compute_rows", "extract"]

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
    spent : str
        Where the time went; see `extractors.timing.Spent.text`.
    """

    extracted: int
    from_cache: int
    from_store: int
    not_ok: int
    from_others: int = 0
    seconds: float = field(default=0.0, compare=False)
    batch_size: int = field(default=0, compare=False)
    device: str = field(default="cpu", compare=False)
    spent: str = field(default="", compare=False)

    @property
    def reused(self) -> int:
        """Rows that were not computed again."""
        return self.from_cache + self.from_store + self.from_others

    @property
    def hit_rate(self) -> float:
        """Share of the rows that the row cache had, before or meanwhile; 1 where there are none."""
        n = self.extracted + self.reused
        return (self.from_cache + self.from_others) / n if n else 1.0


def _previous(store: Path, spec: FeatureSpec) -> Iterator[StoreRows]:
    """What an earlier store file of the same fingerprint holds, if it can be trusted; some rows at a time."""
    if not store.exists():
        return
    try:
        with FeatureStore(store) as reader:
            if reader.fingerprint != spec.fingerprint:
                return
        with FeatureStore(store, check=True, keep=False) as reader:
            yield from reader.blocks_of_rows()
    except KyaraError as error:
        log.warning("%s; its rows are looked for elsewhere", error)


class _Rows:
    """The rows of one run as they come in: each part is in the row cache before it counts."""

    def __init__(self, cache: RowCache, spec: FeatureSpec, keys: Keys) -> None:
        self.cache, self.spec = cache, spec
        self.found = Gathered(keys, spec)
        self.seen: set[str] = set()

    def from_cache(self) -> None:
        """Take what the cache holds."""
        self.cache.gather(self.spec, self.found, seen=self.seen)

    def from_store(self, store: Path) -> None:
        """Take what an earlier store holds, and keep it: the next change of params would take it away."""
        lacking = self.found.lacking()
        if not len(lacking):
            return
        n = sum(len(self.found.add(rows)) for rows in _previous(store, self.spec))
        if n:
            self.cache.commit(self.spec, self.found.rows_of(lacking), seen=self.seen)

    def keeper(self, spent: Spent, told: Callable[[float], None]) -> Keeper:
        """Commits batches and takes their rows; in any thread."""
        return Keeper(self.cache, self.spec, spent, seen=self.seen, then=self.found.add, told=told)

    def others(self) -> Iterable[str]:
        """Keys that other runs have committed since this was last called."""
        for rows in self.cache.news(self.spec, self.seen):
            yield from unpack_keys(rows.keys[self.found.add(rows)])


class _Items(Made[Item]):
    """Keys and their places, made when they are asked for."""

    def __init__(self, keys: Keys, places: Mapping[str, Place]) -> None:
        self._keys, self._places = keys, places

    def __len__(self) -> int:
        return len(self._keys)

    def item(self, i: int) -> Item:
        """The one at a place."""
        key = self._keys[i].tobytes().hex()
        return key, self._places[key]


def _compute(
    extractor: Extractor,
    recipe: Recipe | None,
    items: Sequence[Item],
    reader: Reader,
    max_pixels: int,
    rows: _Rows,
    runtime: RuntimeParams,
) -> tuple[int, int, Spent]:
    """Compute rows batch by batch; images that were computed, the size of a batch at the end, the time."""
    from tqdm import tqdm

    n_workers, name = n_threads(runtime.workers), runtime.engine if recipe else "local"
    engine = plugins.load("extractors.engines", name, key="runtime.engine")
    place = getattr(extractor, "device", "cpu")
    spent = Spent(n_workers, device=not extractor.thread_safe, place=place)
    n, total = 0, len(items)
    with finishing() as asked:
        batches = Batches(
            items,
            _batch_size(extractor, runtime, total),
            n_workers if extractor.thread_safe else 1,
            grows=runtime.batch_size is None and not isinstance(extractor, Staged),
            others=rows.others,
            stops=asked,
        )
        load, keep = Loader(reader, max_pixels, spent), rows.keeper(spent, batches.kept)
        work = Work(extractor, recipe, batches, load, keep, runtime, spent)
        bar = tqdm(total=total, desc=extractor.spec.name, unit="image", disable=not sys.stderr.isatty())
        try:
            with bar:
                for done in engine.compute(work):
                    n += done
                    bar.update(done)
        except Stopped:
            said = "%s: asked to end: %d of %d rows were computed and kept; the same command goes on"
            log.warning(said, extractor.spec.name, n, total)
    return n, batches.size, spent


def _batch_size(extractor: Extractor, runtime: RuntimeParams, n_images: int) -> int:
    """As given, else as the extractor finds good; not tried out where there is nothing to do."""
    if runtime.batch_size:
        return runtime.batch_size
    return extractor.batch_size() if n_images and isinstance(extractor, Staged) else _BATCH


def compute_rows(
    extractor: Extractor,
    images: Mapping[str, Place],
    cache: RowCache,
    store: Path | None = None,
    *,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
    recipe: Recipe | None = None,
    tidy: bool = True,
) -> tuple[StoreRows, Report]:
    """The rows of some images, out of the cache and an earlier store where they are there; see `extract`.

    ``tidy`` merges many small segments of the cache at the end; who is one of many runs over one cache leaves
    that to the last.
    """
    spec = extractor.spec
    rows = _Rows(cache, spec, _keys(images))
    rows.from_cache()
    n_lacking = len(rows.found.lacking())
    if store is not None:
        rows.from_store(store)
    items = _Items(rows.found.lacking(), images)
    start = time.monotonic()
    n, batch_size, spent = _compute(extractor, recipe, items, Reader(root), max_pixels, rows, runtime)
    said = spent.text()
    for _ in rows.others():  # what an engine's other processes have committed, and other runs
        pass
    found = rows.found.rows()
    if tidy:
        _tidy(cache, spec)
    return found, Report(
        extracted=n,
        from_cache=len(images) - n_lacking,
        from_store=n_lacking - len(items),
        from_others=len(items) - n,
        not_ok=_n_not_ok(found.status),
        seconds=time.monotonic() - start,
        batch_size=min(batch_size, getattr(extractor, "largest", None) or batch_size),
        device=spent.place,
        spent=said,
    )


def _tidy(cache: RowCache, spec: FeatureSpec) -> None:
    """Merge segments where they are many."""
    if len(cache.segments(spec)) > _MANY_SEGMENTS:
        give_memory_back()  # of pictures, and of rows that are written: merging takes as much once more
        compact(cache, cache.folder(spec))


def _keys(images: Mapping[str, Place]) -> Keys:
    """Ascending."""
    return ordered(images.packed if isinstance(images, Images) else pack_keys(list(images)))


def _n_not_ok(status: Statuses) -> int:
    return int((status != Status.OK).any(axis=1).sum())


def _is_current(store: Path, spec: FeatureSpec, keys: Keys, cache: RowCache) -> Report | None:
    """What to report where there is nothing to do: a sound store has these rows and no others, and so has
    the cache; None where there is something.
    """
    import numpy as np

    if not store.exists():
        return None
    try:
        with FeatureStore(store) as reader:
            if reader.fingerprint != spec.fingerprint or not np.array_equal(reader.keys, keys):
                return None
        with FeatureStore(store, check=True, keep=False) as reader:
            n_not_ok = _n_not_ok(reader.status)
    except KyaraError:
        return None  # whoever computes says what is wrong with it
    if not cache.covers(spec, keys):
        return None
    return Report(extracted=0, from_cache=len(keys), from_store=0, not_ok=n_not_ok)


def extract(
    extractor: Extractor,
    images: Mapping[str, Place],
    cache: RowCache,
    store: Path,
    *,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
    recipe: Recipe | None = None,
) -> Report:
    """Bring one store up to date.

    Parameters
    ----------
    extractor : Extractor
    images : mapping of str to Path or str
        Key (hex) -> file below the data folder, or URI (`featurestore.elsewhere`).
    cache : RowCache
    store : Path
        ``features/<extractor>.h5``; replaced when all rows are there, untouched on an error, and where it
        has these rows already.
    root : Path
        The data folder; a link out of it is refused.
    max_pixels : int
        Cap on width x height, checked before decoding.
    runtime : RuntimeParams
        How the work is done; nothing of it moves a value.
    recipe : Recipe or None
        How another process builds the extractor; without one it computes here, whatever the engine.

    Returns
    -------
    Report

    Raises
    ------
    NonFiniteRow, DataError
        After all finished rows were committed.
    """
    current = _is_current(store, extractor.spec, _keys(images), cache)
    if current is not None:
        return current
    rows, report = compute_rows(
        extractor, images, cache, store, root=root, max_pixels=max_pixels, runtime=runtime, recipe=recipe,
        tidy=False,
    )  # fmt: skip
    write_store(store, extractor.spec, rows)
    del rows
    _tidy(cache, extractor.spec)
    return report
