"""Stores and rows in words, for ``ls`` and ``show``. Refuses to know how they are printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from featurestore.dataset import read_dataset
from featurestore.errors import MissingRows, UsageError
from featurestore.metadata import escape_path
from featurestore.spec import Status
from featurestore.store import Reader

__all__ = ["describe", "show"]


def describe(file: Path) -> str:
    """One line: name, rows, columns, rows that are not ok, fingerprint."""
    with Reader(file) as store:
        n_bad = int((store.rows().status != Status.OK).any(axis=1).sum())
        counts = f"{len(store):>8} {len(store.columns):>8} {n_bad:>7}"
        return f"{file.as_posix():28} {counts}  {store.spec.fingerprint[:16]}"


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
        with Reader(Path(what)) as store:
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
        raise UsageError(f"{what!r}: no image of {dataset}; see there, and results/quarantine.csv")
    if len(found) > 1:
        raise UsageError(
            f"{what!r} means {len(found)} images of {dataset};"
            " give a path as it stands there, or more of a key"
        )
    row = found.iloc[0]
    for column in table.columns:
        yield f"{column:18} {row[column]}"
    for file in sorted(features.glob("*.h5")):
        with Reader(file) as store:
            try:
                status = Status(int(store.statuses([row["key"]])[0, 0]))
            except MissingRows:
                yield f"{store.spec.name}: no row"
                continue
            yield f"{store.spec.name}: {status.name.lower()}"
            for name, value in zip(store.columns, store.matrix([row["key"]])[0], strict=True):
                yield f"  {name:32} {value:.6g}"
