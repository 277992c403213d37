"""Which rows are missing -> decode -> extract -> commit -> the canonical store.

Rows come, in this order, from the row cache, from the store file of an earlier run, and from the
extractor. What was computed is committed every so many rows or seconds, and before any error is
raised. Refuses to know which extractor it runs.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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

__all__ = ["Report", "extract"]

log = logging.getLogger(__name__)

Item = tuple[str, Path]


@dataclass(frozen=True)
class Report:
    """Where the rows of a store came from.

    Attributes
    ----------
    extracted, from_cache, from_store, not_ok : int
        Rows.
    """

    extracted: int
    from_cache: int
    from_store: int
    not_ok: int

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


def _load(item: Item, root: Path, max_pixels: int) -> RGB:
    """Pixels of one image, if its bytes are still those of its key."""
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


def _compute(
    extractor: Extractor,
    items: Sequence[Item],
    load: Callable[[Item], RGB],
    cache: RowCache,
    runtime: RuntimeParams,
) -> Iterator[StoreRows]:
    """Compute rows batch by batch; each part that is yielded is committed."""
    from tqdm import tqdm

    engine = plugins.load("extractors.engines", runtime.engine, key="runtime.engine")
    step = runtime.batch_size
    batches = (items[i : i + step] for i in range(0, len(items), step))
    pending: list[StoreRows] = []
    last = time.monotonic()

    def commit() -> Iterator[StoreRows]:
        nonlocal pending, last
        if pending:
            part = concatenate(pending, extractor.spec)
            cache.commit(extractor.spec, part)
            pending, last = [], time.monotonic()
            yield part

    bar = tqdm(total=len(items), desc=extractor.spec.name, unit="image", disable=not sys.stderr.isatty())
    with bar:
        try:
            for batch, rows in engine.run(extractor, batches, load, workers=runtime.workers):
                _check_finite(batch, rows, extractor.spec)
                keys = pack_keys([key for key, _ in batch])
                pending.append(StoreRows(keys, rows.values, rows.status[:, None]))
                bar.update(len(batch))
                due = sum(map(len, pending)) >= runtime.commit_rows
                if due or time.monotonic() - last >= runtime.commit_seconds:
                    yield from commit()
        except BaseException:
            list(commit())  # nothing already computed is lost
            raise
        yield from commit()


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
    spec = extractor.spec
    keys = pack_keys(list(images))
    cached = cache.find(spec, keys)
    rest = without(keys, cached.keys)
    previous = _previous(store, spec, rest)
    items = [(key, images[key]) for key in unpack_keys(without(rest, previous.keys))]
    parts = [cached, previous]
    parts += _compute(extractor, items, lambda item: _load(item, root, max_pixels), cache, runtime)
    rows = concatenate(parts, spec)
    write_store(store, spec, rows)
    return Report(
        extracted=len(items),
        from_cache=len(cached),
        from_store=len(previous),
        not_ok=int((rows.status != Status.OK).any(axis=1).sum()),
    )
