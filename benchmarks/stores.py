"""The feature store, against NumPy's own files, and what one would otherwise keep rows in.

    python benchmarks/stores.py [--n 100000] [--columns 768] [--folder DIR] [--quick]
    python benchmarks/stores.py --million [--folder DIR]

Random float32 rows. Both sides of a pair take turns, have the same numbers, find the file in the page cache
(what is read was just written), and end with the rows in memory, or with the file and its name on the disk.
NumPy is the limit: ``np.load`` of the values alone, a gather from ``np.memmap`` with positions that are
known, ``np.save`` with the same fsyncs. zarr, Parquet, Lance and datasets read the same rows, keys too; see
libraries.py. One that is not installed is passed over: `make bench` installs them.

``--million``: a store of 1,000,000 rows (3 GB, and as much for np.save's file), each step in a process of its
own, with the peak of its memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from libraries import LIBRARIES, Opened  # noqa: E402
from million import million  # noqa: E402
from ratios import Ratio, keep, paired, ratios_of  # noqa: E402
from stored import N_ROWS, Values, draws, made, save, told, whole  # noqa: E402

from featurestore import FeatureStore  # noqa: E402
from featurestore.rows import StoreRows, unpack_keys  # noqa: E402
from featurestore.spec import FeatureSpec  # noqa: E402
from featurestore.store import write_store  # noqa: E402


def full_reads(store: Path, array: Path, repeats: int) -> list[Ratio]:
    ratios = []
    for check, goal, bound in (
        (False, ">= 0.95", "the copy out of the page cache into new pages, as np.load"),
        (True, ">= 0.7", "the same copy, and a second pass over it for XXH3"),
    ):
        ours, theirs = paired(lambda: whole(store, check=check), lambda: np.load(array), repeats)  # noqa: B023
        what = f"speed of reading all rows{', verified' if check else ''}"
        ratios.append(
            Ratio(what, "np.load of the values", goal, ratios_of(theirs, ours), told(ours, theirs), bound)
        )
    return ratios


def random_rows(path: Path, array: Path, keys: list[str], repeats: int) -> list[Ratio]:
    positions = draws(np.random.default_rng(1), len(keys), repeats)
    asked = [[keys[i] for i in drawn] for drawn in positions]
    ratios = []
    with FeatureStore(path) as store:
        mapped = np.load(array, mmap_mode="r")
        assert np.array_equal(store.matrix(asked[0]), mapped[positions[0]])
        next_keys, next_places = itertools.cycle(asked), itertools.cycle(positions)
        ours, theirs = paired(
            lambda: store.matrix(next(next_keys)), lambda: mapped[next(next_places)], repeats
        )
    what, against = f"time of {N_ROWS:,} random rows by key", "a gather from np.memmap, positions known"
    bound = "the search for the keys; the rest is the same gather"
    ratios.append(Ratio(what, against, "<= 2", ratios_of(ours, theirs), told(ours, theirs, "ms"), bound))

    def opened() -> Values:
        with FeatureStore(path) as store:
            return store.matrix(next(next_keys))

    ours, theirs = paired(opened, lambda: np.load(array, mmap_mode="r")[next(next_places)], repeats)
    bound = "h5py's look at the structure; beside it, page faults of a new map on both sides"
    ratios.append(
        Ratio(
            f"{what}, opening too", f"{against}, opening too", "",
            ratios_of(ours, theirs), told(ours, theirs, "ms"), bound,
        )
    )  # fmt: skip
    return ratios


def writing(folder: Path, spec: FeatureSpec, rows: StoreRows, repeats: int) -> Ratio:
    store, array = folder / "written.h5", folder / "written.npy"

    def remove() -> None:
        for file in (store, array):
            file.unlink(missing_ok=True)
        os.sync()

    ours, theirs = paired(
        lambda: write_store(store, spec, rows), lambda: save(array, rows.values), repeats, remove
    )
    remove()
    bound = "sha256 in a thread beside write and fsync, which wants a second core to be free"
    return Ratio(
        "time of writing all rows", "np.save and fsync", "<= 1.3",
        ratios_of(ours, theirs), told(ours, theirs), bound,
    )  # fmt: skip


def other_ways(folder: Path, store: Path, rows: StoreRows, repeats: int) -> Iterator[Ratio]:
    """Each library that is installed, over the store."""
    keys = unpack_keys(rows.keys)
    places = {key: i for i, key in enumerate(keys)}
    asked = [[keys[i] for i in drawn] for drawn in draws(np.random.default_rng(2), len(keys), repeats)]
    for package, opened in LIBRARIES.items():
        if importlib.util.find_spec(package) is None:
            print(f"{package}: not installed, passed over; make bench installs it")
            continue
        other = opened(folder, rows.keys, rows.values, places)
        yield from beside(other, store, rows, asked, repeats)
        shutil.rmtree(folder / f"rows.{package}", ignore_errors=True)


def beside(
    other: Opened, path: Path, rows: StoreRows, asked: list[list[str]], repeats: int
) -> Iterator[Ratio]:
    assert np.array_equal(other.everything()[1], rows.values), other.name
    ours, theirs = paired(lambda: whole(path), other.everything, repeats)
    yield Ratio(
        f"time of reading all rows, {other.name}", "the store", "",
        ratios_of(theirs, ours), told(theirs, ours), other.all_bound,
    )  # fmt: skip
    with FeatureStore(path) as store:
        assert np.array_equal(other.some(asked[0]), store.matrix(asked[0])), other.name
        mine, its = itertools.cycle(asked), itertools.cycle(asked)
        ours, theirs = paired(lambda: store.matrix(next(mine)), lambda: other.some(next(its)), repeats)
    yield Ratio(
        f"time of {N_ROWS:,} random rows by key, {other.name}", "the store", "",
        ratios_of(theirs, ours), f"{told(theirs, ours, 'ms')}; {other.how}", other.some_bound,
    )  # fmt: skip


def everything(folder: Path, n: int, columns: int, repeats: int) -> list[Ratio]:
    store, array = folder / "rows.h5", folder / "rows.npy"
    spec, rows = made(n, columns)
    write_store(store, spec, rows)
    save(array, rows.values)
    return [
        *full_reads(store, array, 2 * repeats + 1),
        *random_rows(store, array, unpack_keys(rows.keys), 8 * repeats + 1),
        writing(folder, spec, rows, 2 * repeats + 1),
        *other_ways(folder, store, rows, repeats),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, help="how many rows: 100,000, or 1,000,000")
    parser.add_argument("--columns", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=5, help="pairs with other libraries; NumPy gets more")
    parser.add_argument("--folder", type=Path, help="where files are written; default: a temporary folder")
    parser.add_argument(
        "--million", action="store_true", help="a store of 1,000,000 rows instead: 6 GB of disk"
    )
    parser.add_argument("--quick", action="store_true", help="10,000 rows, two repeats; nothing is kept")
    args = parser.parse_args()
    n = args.n or (10_000 if args.quick else 1_000_000 if args.million else 100_000)
    repeats = 2 if args.quick else args.repeats
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="stores-") as name:
        needed, free = 2.5 * n * (args.columns * 4 + 32), shutil.disk_usage(name).free
        if free < needed:
            sys.exit(f"{name}: {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed; use: --folder DIR")
        if args.million:
            ratios = million(Path(name), n, args.columns, min(repeats, 3))
        else:
            ratios = everything(Path(name), n, args.columns, repeats)
    mib = n * args.columns * 4 / 2**20
    about = f"{n:,} random rows of {args.columns} float32, {mib:,.0f} MiB; warm page cache"
    kept = not args.quick and args.n is None and args.columns == 768
    if args.million:
        keep("million", ratios, about=about, command="benchmarks/stores.py --million", whole=kept)
    else:
        keep("stores", ratios, about=about, whole=kept)


if __name__ == "__main__":
    main()
