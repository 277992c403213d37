"""Stores, segments and rows in words, for ``ls`` and ``show``. Refuses to know how they are printed."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from featurestore.cache import DAMAGED_SUFFIX, RowCache, n_bytes, segments_in
from featurestore.dataset import read_dataset
from featurestore.errors import MissingRows, UsageError
from featurestore.metadata import escape_path
from featurestore.spec import Status
from featurestore.store import FeatureStore
from featurestore.text import readable_size

__all__ = ["describe", "describe_cache", "fingerprints_of", "naming", "show"]


def describe(file: Path) -> str:
    """One line: name, rows, columns, rows that are not ok, fingerprint."""
    with FeatureStore(file) as store:
        n_bad = int((store.statuses(store.keys) != Status.OK).any(axis=1).sum())
        counts = f"{len(store):>8} {len(store.columns):>8} {n_bad:>7}"
        return f"{file.as_posix():28} {counts}  {store.spec.fingerprint[:16]}"


def fingerprints_of(stores: Iterable[Path]) -> set[str]:
    """Fingerprints of some stores.

    Raises
    ------
    StoreError
        If one cannot be read: nobody knows which rows it stands on.
    """
    found = set()
    for file in stores:
        with FeatureStore(file) as store:
            found.add(store.fingerprint)
    return found


def describe_cache(cache: RowCache, used: Collection[str]) -> Iterator[str]:
    """The row cache: a line each extractor and fingerprint, and the sum.

    Parameters
    ----------
    used : collection of str
        Fingerprints that the results here stand on.
    """
    yield f"{'row cache':12} {'fingerprint':16} {'segments':>8} {'size':>10} {'last used':>10}"
    total, n_segments, n_damaged = 0, 0, 0
    for folder in cache.folders():
        segments = segments_in(folder)
        n_damaged += sum(1 for _ in folder.glob(f"*{DAMAGED_SUFFIX}"))
        if not segments:
            continue
        size = sum(map(n_bytes, segments))
        last = datetime.date.fromtimestamp(max(s.stat().st_mtime for s in segments))
        here = "  here" if folder.name in used else ""
        yield (
            f"{folder.parent.name:12} {folder.name[:16]} {len(segments):>8} {readable_size(size):>10}"
            f" {last.isoformat():>10}{here}"
        )
        total, n_segments = total + size, n_segments + len(segments)
    aside = f", {n_damaged} damaged set aside" if n_damaged else ""
    yield f"{cache.root}: {n_segments} segments, {readable_size(total)}{aside}"


def naming(dataset: Path) -> Callable[[str], str]:
    """What to call a key: its first digits and the path that dataset.csv has for it, if there is one."""
    table = read_dataset(dataset) if dataset.exists() else None
    paths = {} if table is None else dict(zip(table["key"], table["path"], strict=True))
    return lambda key: f"{key[:12]} {paths.get(key, '')}".rstrip()


def _below(what: str, root: Path) -> str:
    """A path as dataset.csv has it: relative to the data folder, escaped."""
    given, base = Path(what), root
    if given.is_absolute():
        base = root.absolute()
    return escape_path((given.relative_to(base) if given.is_relative_to(base) else given).as_posix())


def show(what: str, features: Path, dataset: Path, root: Path) -> Iterator[str]:
    """A store's spec, or every feature of one image.

    Parameters
    ----------
    what : str
        Path of a ``.h5`` file; or an image's path; or a key or at least its first six digits.

    Raises
    ------
    UsageError
        If nothing, or more than one image, is meant.
    """
    if what.endswith(".h5"):
        with FeatureStore(Path(what)) as store:
            yield f"{what}: {len(store)} rows x {len(store.columns)} columns"
            yield f"blocks      {', '.join(store.blocks)}"
            yield f"fingerprint {store.spec.fingerprint}"
            yield f"digest      {store.digest}"
            yield f"spec        {store.spec.to_json()}"
        return
    table = read_dataset(dataset)
    path = _below(what, root)
    by_key = table["key"].str.startswith(what) if len(what) >= 6 else table["key"] == what
    found = table[by_key | (table["path"] == path)]
    if not len(found):
        raise UsageError(
            f"{what!r}: no image of {dataset}; give a path such as {table['path'].iloc[0]}, or a key, or its"
            " first six digits or more (a file that is not there may be in results/quarantine.csv)"
        )
    if len(found) > 1:
        raise UsageError(
            f"{what!r} means {len(found)} images of {dataset};"
            " give a path as it stands there, or more of a key"
        )
    row = found.iloc[0]
    for column in table.columns:
        yield f"{column:18} {row[column]}"
    files = sorted(features.glob("*.h5"))
    if not files:
        yield f"no stores in {features}; run: dvc repro"
    for file in files:
        with FeatureStore(file) as store:
            try:
                status = Status(int(store.statuses([row["key"]])[0, 0]))
            except MissingRows:
                yield f"{store.spec.name}: no row"
                continue
            yield f"{store.spec.name}: {status.name.lower()}"
            for name, value in zip(store.columns, store.matrix([row["key"]])[0], strict=True):
                yield f"  {name:32} {value:.6g}"
