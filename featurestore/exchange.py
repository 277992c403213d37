"""Rows out of a store for other tools, and rows of other tools into one.

Owns npy and parquet, and how rows of elsewhere are matched with pictures. Refuses to guess: a row
without a key, or a number that is not finite among others that are, is an error.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from featurestore.errors import DataError, MissingData, NonFiniteRow, UsageError
from featurestore.files import atomic_file, write_text_atomic
from featurestore.metadata import escape_path
from featurestore.rows import StoreRows, pack_keys, unpack_keys
from featurestore.spec import FeatureSpec, Status
from featurestore.store import FeatureStore, write_store

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

__all__ = ["FORMATS", "Foreign", "export_store", "import_rows", "read_foreign"]

FORMATS: Final = ("npy", "parquet")
#: Columns of dataset.csv that go with every exported row.
_FACTS: Final = ("path", "label", "group", "split")
_BATCH: Final = 8192
_KEY: Final = re.compile(r"[0-9a-f]{64}")


def _facts(store: FeatureStore, dataset: pd.DataFrame) -> pd.DataFrame:
    """Key, path, label, group, split and status of every row, in the order of the store."""
    import numpy as np
    import pandas as pd

    keys = unpack_keys(store.keys)
    facts = dataset.set_index("key").reindex(keys)[list(_FACTS)].fillna("")
    facts.insert(0, "key", keys)
    names = np.array([status.name.lower() for status in Status])
    codes = store.statuses(store.keys)
    for i, block in enumerate(store.blocks):
        facts["status" if len(store.blocks) == 1 else f"status/{block}"] = names[codes[:, i]]
    return pd.DataFrame(facts.reset_index(drop=True))


def export_store(store: FeatureStore, dataset: pd.DataFrame, target: Path, *, to: str) -> list[Path]:
    """Write a store for other tools; it is never in memory whole.

    Parameters
    ----------
    dataset : DataFrame
        What `featurestore.dataset.read_dataset` gives; rows of other pictures have empty facts.
    target : Path
        The file; for ``npy`` two others beside it take its name, ending in ``.rows.csv`` (key, path, label,
        group, split and status, in the order of the array) and ``.columns.csv``.
    to : {"npy", "parquet"}
        float32, NaN where a row could not be computed.

    Returns
    -------
    list of Path
        What was written.
    """
    facts = _facts(store, dataset)
    if to == "parquet":
        _write_parquet(store, facts, target)
        return [target]
    rows, columns = target.with_suffix(".rows.csv"), target.with_suffix(".columns.csv")
    _write_npy(store, target)
    write_text_atomic(rows, facts.to_csv(index=False, lineterminator="\n"))
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([["column"], *([c] for c in store.columns)])
    write_text_atomic(columns, buffer.getvalue())
    return [target, rows, columns]


@contextlib.contextmanager
def _whole_writes(target: Path) -> Iterator[BinaryIO]:
    """`atomic_file` for writers that do not look at how much of their bytes was taken."""
    with atomic_file(target) as stream:
        buffered = io.BufferedWriter(cast("io.RawIOBase", stream))
        yield buffered
        buffered.detach()  # writes the rest, and leaves the file open to be synced


def _write_npy(store: FeatureStore, target: Path) -> None:
    from numpy.lib import format as npy

    header = {"descr": "<f4", "fortran_order": False, "shape": (len(store), len(store.columns))}
    with _whole_writes(target) as stream:
        npy.write_array_header_1_0(stream, header)
        for batch in store.iter_batches(_BATCH):
            stream.write(batch.values.tobytes())


def _write_parquet(store: FeatureStore, facts: pd.DataFrame, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = {"kyara.fingerprint": store.fingerprint, "kyara.digest": store.digest}
    names = [*facts.columns, *store.columns]
    kinds = [pa.string()] * len(facts.columns) + [pa.float32()] * len(store.columns)
    schema = pa.schema(list(zip(names, kinds, strict=True)), metadata=about)
    with _whole_writes(target) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        start = 0
        for batch in store.iter_batches(_BATCH):
            part = facts.iloc[start : start + len(batch)]
            start += len(batch)
            arrays = [pa.array(part[name], pa.string()) for name in facts.columns]
            arrays += [pa.array(column, pa.float32()) for column in batch.values.T.copy()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


@dataclass(frozen=True)
class Foreign:
    """Rows of another tool.

    Attributes
    ----------
    names : list of str
        Of each row, a key or a path.
    by : {"key", "path"}
        Which of them.
    values : ndarray of float, shape (n, d)
    columns : tuple of str
    """

    names: list[str]
    by: str
    values: npt.NDArray[Any]
    columns: tuple[str, ...]


def read_foreign(source: Path, keys: Path | None, columns: Path | None) -> Foreign:
    """Read an array of another tool.

    Parameters
    ----------
    source : Path
        ``.npy``, an array (n, d); or ``.parquet``, a table with a column ``key`` or ``path``, whose columns
        of numbers are taken.
    keys : Path or None
        With ``.npy``: a CSV file with a column ``key`` (sha256 of each picture's file) or ``path``, a line
        a row.
    columns : Path or None
        With ``.npy``: a CSV file with a column ``column``; None = ``c0``, ``c1``, ...

    Raises
    ------
    UsageError, MissingData, DataError
    """
    for file in filter(None, (source, keys, columns)):
        if not file.is_file():
            raise MissingData(f"{file}: no such file")
    if source.suffix == ".parquet":
        if keys is not None or columns is not None:
            raise UsageError("a parquet file has its keys and columns itself; leave out --keys and --columns")
        return _from_parquet(source)
    if source.suffix != ".npy":
        raise UsageError(f"{source}: neither .npy nor .parquet")
    if keys is None:
        raise UsageError("an .npy file has no keys; give --keys FILE.csv, with a column key or path")
    return _from_npy(source, keys, columns)


def _from_npy(source: Path, keys: Path, columns: Path | None) -> Foreign:
    import numpy as np

    from featurestore.metadata import read_table

    try:
        values = np.load(source, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{source}: no readable .npy array ({' '.join(str(error).split())[:160]})") from None
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise DataError(f"{source}: {values.dtype} of shape {values.shape}; it takes numbers (n, d)")
    table = read_table(keys, [])
    by = _by(set(table[0]) if table else set(), keys)
    names = [row[by] for row in table]
    if columns is None:
        titles = tuple(f"c{i}" for i in range(values.shape[1]))
    else:
        titles = tuple(row["column"] for row in read_table(columns, ["column"]))
    for what, n, n_wanted in ((keys, len(names), values.shape[0]), (columns, len(titles), values.shape[1])):
        if n != n_wanted:
            raise DataError(f"{what} has {n} lines, {source} has shape {values.shape}")
    return Foreign(names, by, values, titles)


def _from_parquet(source: Path) -> Foreign:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(source)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{source}: no readable parquet file ({' '.join(str(error).split())[:160]})"
        ) from None
    by = _by(set(table.column_names), source)
    kinds = pa.types.is_floating, pa.types.is_integer
    titles = tuple(f.name for f in table.schema if any(is_kind(f.type) for is_kind in kinds))
    if not titles:
        raise DataError(f"{source}: no column of numbers")
    values = np.column_stack([table[name].to_numpy() for name in titles])
    return Foreign([str(name) for name in table[by].to_pylist()], by, values, titles)


def _by(columns: set[str], where: Path) -> str:
    for by in ("key", "path"):
        if by in columns:
            return by
    raise DataError(f"{where}: neither a column key (sha256 of each picture's file) nor a column path")


def _keys_of(rows: Foreign, paths: Mapping[str, str]) -> Iterator[str]:
    """Each row's key; a path may begin at the data folder, at images/ or below it."""
    for number, name in enumerate(rows.names, start=1):
        if rows.by == "key":
            if not _KEY.fullmatch(name):
                raise DataError(f"row {number}: key {name!r} is not 64 digits 0-9a-f")
            yield name
            continue
        below = name.rpartition("images/")[2]  # of data/images/..., or of a path from the root
        forms = (name, f"images/{name}", f"images/{below}")
        key = next((paths[escape_path(form)] for form in forms if escape_path(form) in paths), None)
        if key is None:
            raise DataError(
                f"row {number}: no picture {name!r} in dataset.csv; paths look like images/hero/a.png"
            )
        yield key


def import_rows(name: str, rows: Foreign, paths: Mapping[str, str], target: Path) -> FeatureSpec:
    """Make a store of another tool's rows; a row that is NaN throughout says that the tool has none.

    Parameters
    ----------
    name : str
        What the extractor is called.
    paths : mapping of str to str
        Path (as dataset.csv has it) -> key.
    target : Path

    Raises
    ------
    DataError
        A path or key that is none, a key that stands twice, a name that stands twice.
    NonFiniteRow
        A row that is NaN in part, infinite, or beyond float32.
    """
    import numpy as np

    if not rows.columns or not rows.names:
        raise DataError(f"{len(rows.names)} rows x {len(rows.columns)} columns: nothing to import")
    keys = list(_keys_of(rows, paths))
    if paths and not set(keys) & set(paths.values()):
        raise DataError(f"none of the {len(keys)} keys is a picture of dataset.csv, the first {keys[0][:12]}")
    _check_unique(keys, "key")
    _check_unique(rows.columns, "column")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(rows.values, dtype=np.float32)
    bad = ~np.isfinite(values)
    absent = np.isnan(values).all(axis=1)
    broken = np.flatnonzero(bad.any(axis=1) & ~absent)
    if len(broken):
        row = int(broken[0])
        column = int(np.argmax(bad[row]))
        raise NonFiniteRow(
            f"row {row + 1} ({rows.names[row]}): {rows.values[row, column]} in {rows.columns[column]}"
            f" is not finite in float32 ({len(broken)} such rows); a missing row must be NaN throughout"
        )
    status = np.where(absent, Status.NOT_GIVEN, Status.OK).astype(np.uint8)[:, None]
    packed = StoreRows(pack_keys(keys), values, status).sorted()
    content = hashlib.sha256(packed.keys.tobytes() + packed.values.tobytes()).hexdigest()
    spec = FeatureSpec(name, 1, {"imported": content}, rows.columns)
    write_store(target, spec, packed)
    return spec


def _check_unique(names: Sequence[str], what: str) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if name in seen:
            raise DataError(f"row {number}: {what} {name!r} stands twice")
        seen.add(name)
