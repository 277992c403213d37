"""A store of a million rows: time and peak memory of each step, in a process of its own."""

from __future__ import annotations

import importlib
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from processes import alone, reset_peak, resident_mib
from ratios import Ratio, ratios_of, seconds
from stored import draws, made, save, told, whole

from featurestore import FeatureStore
from featurestore.files import sha256_of
from featurestore.rows import unpack_keys
from featurestore.store import write_store

__all__ = ["million"]

N_CALLS = 25  # of what takes milliseconds, in one process


def steps(folder: Path, n: int, columns: int) -> dict[str, Callable[[], Callable[[], object]]]:
    """Each gets ready, and gives what is timed."""
    store, array, keys = folder / "million.h5", folder / "million.npy", folder / "million.keys.npy"

    def write() -> Callable[[], object]:
        spec, rows = made(n, columns)
        store.unlink(missing_ok=True)
        return lambda: write_store(store, spec, rows)

    def save_array() -> Callable[[], object]:
        rows = made(n, columns)[1]
        array.unlink(missing_ok=True)
        np.save(keys, rows.keys)
        return lambda: save(array, rows.values)

    def verify() -> Callable[[], object]:
        def verified() -> None:
            with FeatureStore(store) as opened:
                opened.verify()

        return verified

    def matrix() -> Callable[[], object]:
        opened, rng = FeatureStore(store), np.random.default_rng(3)
        texts = [unpack_keys(opened.keys[drawn]) for drawn in draws(rng, n, N_CALLS)]
        asked = iter(texts)
        return lambda: opened.matrix(next(asked))

    def gather() -> Callable[[], object]:
        mapped, rng = np.load(array, mmap_mode="r"), np.random.default_rng(3)
        places = iter(draws(rng, n, N_CALLS))
        return lambda: mapped[next(places)]

    return {
        "write": write,
        "save": save_array,
        "verify": verify,
        "sha256": lambda: lambda: sha256_of(store),
        "open": lambda: lambda: FeatureStore(store).close(),
        "load keys": lambda: lambda: np.load(keys),
        "rows": matrix,
        "gather": gather,
        "read": lambda: lambda: whole(store),
        "load": lambda: lambda: np.load(array),
    }


def step(name: str, folder: Path, n: int, columns: int, calls: int) -> tuple[float, float]:
    """The median of so many calls, in seconds, and the peak of memory, in MiB."""
    for library in ("h5py", "xxhash"):  # they would be imported, and timed, at the first use
        importlib.import_module(library)
    work = steps(folder, n, columns)[name]()
    reset_peak()
    return statistics.median(seconds(work) for _ in range(calls)), resident_mib("VmHWM")


#: What of a large store, against what; the two steps; how many calls in a process; what bounds it.
PAIRS = (
    (
        "time of writing", "np.save and fsync", "write", "save", 1,
        "sha256 in a thread beside write and fsync, which wants a second core to be free",
    ),
    ("time of verify", "sha256 of the file", "verify", "sha256", 1, "sha256; before it, reading and XXH3"),
    (
        "time of opening", "np.load of the keys", "open", "load keys", N_CALLS,
        "reading the keys, and whether they ascend",
    ),
    (
        "time of 1,000 random rows by key", "a gather from np.memmap, positions known", "rows", "gather",
        N_CALLS, "page faults; the memory is the file's, mapped",
    ),
    (
        "time of reading all rows", "np.load of the values", "read", "load", 1,
        "the copy out of the page cache into new pages, as np.load",
    ),
)  # fmt: skip


def million(folder: Path, n: int, columns: int, pairs: int) -> list[Ratio]:
    """Each step beside NumPy's, in turn."""
    ratios = []
    for what, against, ours, theirs, calls, bound in PAIRS:
        found: dict[str, list[tuple[float, float]]] = {ours: [], theirs: []}
        for i in range(pairs):
            for name in (ours, theirs) if i % 2 == 0 else (theirs, ours):
                found[name].append(alone(step, name, folder, n, columns, calls))
        mine, others = ([took for took, _ in found[name]] for name in (ours, theirs))
        peaks = [max(mib for _, mib in found[name]) for name in (ours, theirs)]
        times = told(mine, others, "ms" if calls > 1 else "s")
        said = f"{times}; peak memory {peaks[0]:,.0f} MiB beside {peaks[1]:,.0f} MiB"
        ratios.append(Ratio(f"{what}, {n:,} rows", against, "", ratios_of(mine, others), said, bound))
        print(f"{what}: done", file=sys.stderr)
    return ratios
