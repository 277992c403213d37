"""What one would keep rows in otherwise: zarr, Parquet, Lance, datasets; each as its own documents advise.

Owns how each writes the same rows, reads all of them, and finds some by key. All write without compression:
the numbers are random, and none could make them smaller. Where a library has no look-up by key, or a slower
one, positions are held in a dict, made beforehand at no cost to it. Refuses to know what is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Opened:
    """A library's rows, open.

    Attributes
    ----------
    name : str
        With its version.
    how : str
        The way that it keeps and finds rows.
    everything : callable
        The library's keys, and all values: float32 (n, d), in memory.
    some : callable
        Values of keys in hexadecimal, in their order.
    all_bound, some_bound : str
        What keeps each from being faster, by its profile.
    """

    name: str
    how: str
    everything: Callable[[], tuple[Any, Values]]
    some: Callable[[Sequence[str]], Values]
    all_bound: str
    some_bound: str


def zarr(folder: Path, keys: Keys, values: Values, places: dict[str, int]) -> Opened:
    import zarr

    path = folder / "rows.zarr"
    for name, array in (("key", keys), ("value", values)):
        kept = zarr.create_array(
            path / name, shape=array.shape, dtype=array.dtype, chunks=(1000, array.shape[1]), compressors=None
        )
        kept[:] = array
    key, value = (zarr.open_array(path / name, mode="r") for name in ("key", "value"))

    def some(wanted: Sequence[str]) -> Values:
        found = np.array([places[one] for one in wanted])
        order = np.argsort(found)  # each chunk is read once
        rows = np.empty((len(found), value.shape[1]), np.float32)
        rows[order] = value.oindex[found[order]]
        return rows

    how = "chunks of 1,000 rows, positions from a dict, oindex"
    return Opened(
        f"zarr {zarr.__version__}", how, lambda: (key[:], value[:]), some,
        "two copies, file to chunk and chunk to array", "all chunks, each read whole for ten rows",
    )  # fmt: skip


def parquet(folder: Path, keys: Keys, values: Values, places: dict[str, int]) -> Opened:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = folder / "rows.parquet"
    pq.write_table(
        _table(keys, values), path, compression="none", use_dictionary=False, row_group_size=10_000
    )

    def everything() -> tuple[Any, Values]:
        table = pq.read_table(path, memory_map=True)
        return table["key"], _matrix(table["value"])

    def some(wanted: Sequence[str]) -> Values:
        packed = pa.array([bytes.fromhex(one) for one in wanted], pa.binary(32))
        table = pq.read_table(path, memory_map=True, filters=pc.field("key").isin(packed))
        return _matrix(table["value"].combine_chunks().take(pc.index_in(packed, table["key"])))

    return Opened(
        f"Parquet, pyarrow {pa.__version__}", "groups of 10,000 rows, a filter on key", everything, some,
        "decoding pages of lists", "decoding all row groups: sha256 keys are in each",
    )  # fmt: skip


def lance(folder: Path, keys: Keys, values: Values, places: dict[str, int]) -> Opened:
    import lance

    path = str(folder / "rows.lance")
    lance.write_dataset(_table(keys, values), path)
    data = lance.dataset(path)

    def everything() -> tuple[Any, Values]:
        table = data.to_table()
        return table["key"], _matrix(table["value"])

    def some(wanted: Sequence[str]) -> Values:
        return _matrix(data.take([places[one] for one in wanted], columns=["value"])["value"])

    return Opened(
        f"Lance {lance.__version__}", "positions from a dict, take", everything, some,
        "page faults of small pages, and putting batches together", "one read of 3 KB for each row",
    )  # fmt: skip


def datasets(folder: Path, keys: Keys, values: Values, places: dict[str, int]) -> Opened:
    import datasets

    datasets.disable_progress_bars()
    path = str(folder / "rows.datasets")
    datasets.Dataset(datasets.table.InMemoryTable(_table(keys, values))).save_to_disk(path)
    data = datasets.load_from_disk(path).with_format("arrow")

    def everything() -> tuple[Any, Values]:
        table = data[:]
        return table["key"], _matrix(table["value"]).copy()  # it is mapped from the file

    def some(wanted: Sequence[str]) -> Values:
        return _matrix(data[[places[one] for one in wanted]]["value"])

    return Opened(
        f"datasets {datasets.__version__}", "positions from a dict, rows as Arrow", everything, some,
        "the copy out of the mapped file", "one slice of a table for each row, and putting them together",
    )  # fmt: skip


#: Name of the package that is imported -> what opens its rows.
LIBRARIES: dict[str, Callable[[Path, Keys, Values, dict[str, int]], Opened]] = {
    "zarr": zarr,
    "pyarrow": parquet,
    "lance": lance,
    "datasets": datasets,
}


def _table(keys: Keys, values: Values) -> Any:
    import pyarrow as pa

    n, d = values.shape
    key = pa.FixedSizeBinaryArray.from_buffers(pa.binary(keys.shape[1]), n, [None, pa.py_buffer(keys)])
    value = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), d)
    return pa.table({"key": key, "value": value})


def _matrix(column: Any) -> Values:
    """A column of lists as (n, d): what is in one piece already is not copied."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    found: Values = column.flatten().to_numpy().reshape(len(column), -1)
    return found
