"""Random rows, NumPy's own files of them, and a store read whole: what stores.py and million.py share."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import numpy as np
import numpy.typing as npt

from featurestore import FeatureStore
from featurestore.rows import StoreRows, ordered
from featurestore.spec import FeatureSpec

Values = npt.NDArray[np.float32]

N_ROWS = 1000  # asked for by key


def made(n: int, columns: int) -> tuple[FeatureSpec, StoreRows]:
    rng = np.random.default_rng(0)
    keys = ordered(rng.integers(0, 256, (n, 32), dtype=np.uint8))
    values = rng.standard_normal((n, columns), dtype=np.float32)
    spec = FeatureSpec("random", 1, {}, tuple(f"column_{i}" for i in range(columns)))
    return spec, StoreRows(keys, values, np.zeros((n, 1), np.uint8))


def save(path: Path, values: Values) -> None:
    """``np.save``, and what it takes for file and name to survive a loss of power."""
    with path.open("wb") as stream:
        np.save(stream, values)
        stream.flush()
        os.fsync(stream.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def told(ours: list[float], theirs: list[float], unit: str = "s") -> str:
    """The medians of both."""
    scale, form = (1e3, ".2f") if unit == "ms" else (1.0, ".3f")
    mine, others = (statistics.median(found) * scale for found in (ours, theirs))
    return f"{mine:{form}} {unit} beside {others:{form}} {unit}"


def whole(path: Path, *, check: bool = False) -> StoreRows:
    with FeatureStore(path, check=check) as store:
        return store.rows()


def draws(rng: np.random.Generator, n: int, repeats: int) -> list[np.ndarray]:
    """Positions to ask for, others in each pair."""
    return [rng.choice(n, N_ROWS, replace=False) for _ in range(repeats)]
