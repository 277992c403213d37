"""Which rows are missing -> decode -> extract -> commit -> the canonical store.

Rows come, in this order, from the row cache, from the store file of an earlier run, and from the
extractor. What was computed is committed after every batch, or, where batches are shorter than ten
commits, as soon as ten commits' time is over; and before any error is raised. Refuses to know which
extractor it runs.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extractors.base import Staged
from extractors.devices import n_threads
from featurestore import plugins
from featurestore.cache import RowCache
from featurestore.errors import DataError, ImageRejected, KyaraError, NonFiniteRow
from featurestore.images import decode, read_image_file
from featurestore.rows import (
    StoreRows,
    concatenate,
    empty_rows,
    find_keys,
    not_finite,
    pack_keys,
    unpack_keys,
    without,
)
from featurestore.spec import FeatureSpec, Status
from featurestore.store import Reader, write_store

if TYPE_CHECKING:
    from extractors.base import RGB, Extractor, Rows
    from featurestore.params import RuntimeParams
    from featurestore.rows import Keys

__all__ = ["Report", "compute_rows", "extract", "load_image"]

log = logging.getLogger(__name__)

Item = tuple[str, Path]

#: Images at a time, where neither params nor the extractor say.
_BATCH: Final = 16

#: Share of the time that may go into committing: a slow extractor commits every batch, a fast one seldom.
_COMMIT_SHARE: Final = 0.1
#: Wait no longer than this, however slow the disk.
_COMMIT_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Report:
    """Where the rows of a store came from.

    Attributes
    ----------
    extracted, from_cache, from_store, not_ok : int
        Rows.
    seconds : float
        What extracting took.
    batch_size : int
        Images at a time, at the end: memory may have halved it.
    device : str
        Where it was computed.
    """

    extracted: int
    from_cache: int
    from_store: int
    not_ok: int
    seconds: float = field(default=0.0, compare=False)
    batch_size: int = field(default=0, compare=False)
    device: str = field(default="cpu", compare=False)

    @property
    def reused(self) -> int:
        """Rows that were not computed again."""
        return self.from_cache + self.from_store


def _previous(store: Path, spec: FeatureSpec, keys: Keys) -> StoreRows:
    """Those of ``keys`` that an earlier store file of the same fingerprint holds, if it can be trusted."""
    if not len(keys) or not store.exists():
        return empty_rows(spec)
    try:
        with Reader(store) as reader:
            if reader.spec.fingerprint != spec.fingerprint:
                return empty_rows(spec)
            rows = reader.verify()
    except KyaraError as error:
        log.warning("%s; its rows are looked for elsewhere", error)
        return empty_rows(spec)
    places = find_keys(rows.keys, keys)
    places = places[places >= 0]
    return StoreRows(rows.keys[places], rows.values[places], rows.status[places])


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


def _check_finite(batch: Sequence[Item], rows: Rows, spec: FeatureSpec) -> None:
    broken = not_finite(rows.values, rows.status == Status.OK)
    if broken:
        row, column = broken[0]
        raise NonFiniteRow(
            f"{batch[row][1]}: the row of {spec.name} is not finite in {spec.columns[column]}"
            " and says it is ok; remove the picture or mend the extractor"
        )


def _batches(items: Sequence[Item], size: int, n_workers: int) -> Iterator[Sequence[Item]]:
    """Even batches of ``size`` at most, as many for each worker, so that none is left alone at the end."""
    rounds = -(-len(items) // (size * n_workers))
    n = min(rounds * n_workers, len(items))
    for i in range(n):
        yield items[len(items) * i // n : len(items) * (i + 1) // n]


class _Commits:
    """Commits rows to the cache as often as costs nothing to speak of, so that a kill loses little."""

    def __init__(self, cache: RowCache, spec: FeatureSpec) -> None:
        self._cache, self._spec = cache, spec
        self._pending: list[StoreRows] = []
        self._cost = math.inf
        self._last = -math.inf  # the first batch at once
        importlib.import_module("h5py")  # or the first commit would look slow

    def add(self, rows: StoreRows) -> None:
        self._pending.append(rows)

    @property
    def due(self) -> bool:
        wait = min(self._cost / _COMMIT_SHARE, _COMMIT_SECONDS)
        return time.monotonic() - self._last >= wait

    def flush(self) -> list[StoreRows]:
        """Commit what is pending; returns it."""
        if not self._pending:
            return []
        part = concatenate(self._pending, self._spec)
        start = time.monotonic()
        self._cache.commit(self._spec, part)
        self._pending, self._last = [], time.monotonic()
        self._cost = min(self._cost, self._last - start)
        return [part]


def _compute(
    extractor: Extractor,
    items: Sequence[Item],
    load: Callable[[Item], RGB],
    cache: RowCache,
    runtime: RuntimeParams,
    batch_size: int,
) -> Iterator[StoreRows]:
    """Compute rows batch by batch; each part that is yielded is committed."""
    from tqdm import tqdm

    engine = plugins.load("extractors.engines", runtime.engine, key="runtime.engine")
    n_workers = n_threads(runtime.workers) if extractor.thread_safe else 1
    batches = _batches(items, batch_size, n_workers)
    commits = _Commits(cache, extractor.spec)
    bar = tqdm(total=len(items), desc=extractor.spec.name, unit="image", disable=not sys.stderr.isatty())
    with bar:
        try:
            for batch, rows in engine.run(extractor, batches, load, workers=runtime.workers):
                _check_finite(batch, rows, extractor.spec)
                keys = pack_keys([key for key, _ in batch])
                commits.add(StoreRows(keys, rows.values, rows.status[:, None]))
                bar.update(len(batch))
                if commits.due:
                    yield from commits.flush()
        except BaseException:
            commits.flush()  # nothing already computed is lost
            raise
        yield from commits.flush()


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
    cached = cache.find(spec, keys)
    rest = without(keys, cached.keys)
    previous = empty_rows(spec) if store is None else _previous(store, spec, rest)
    items = [(key, images[key]) for key in unpack_keys(without(rest, previous.keys))]
    parts = [cached, previous]
    batch_size = _batch_size(extractor, runtime, len(items))
    start = time.monotonic()
    parts += _compute(
        extractor, items, lambda item: load_image(item, root, max_pixels), cache, runtime, batch_size
    )
    rows = concatenate(parts, spec)
    return rows, Report(
        extracted=len(items),
        from_cache=len(cached),
        from_store=len(previous),
        not_ok=int((rows.status != Status.OK).any(axis=1).sum()),
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
