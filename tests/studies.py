"""Small studies for the tests: in memory, and as the files that the stages read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from classifiers.data import Study
from featurestore.dataset import DatasetRow, write_table
from featurestore.rows import StoreRows, pack_keys
from featurestore.spec import FeatureSpec
from featurestore.store import write_store


def study(
    *,
    n: int = 120,
    n_groups: int = 30,
    labels: Sequence[str] = ("hero", "villain"),
    effect: float = 1.5,
    seed: int = 0,
    fitted_on: Mapping[str, str] | None = None,
) -> Study:
    """Images in groups; the first column follows the label by ``effect`` standard deviations."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) % n_groups
    code = np.arange(n) // n_groups % len(labels)
    values = rng.normal(size=(n, 4)) + rng.normal(size=(n_groups, 4))[group] * 0.5
    values[:, 0] += effect * code
    splits = np.array(["train", "val", "train", "test", "train"])[group % 5]
    return Study(
        features=pd.DataFrame(values, columns=[f"toy/c{i}" for i in range(4)]),
        keys=np.array([f"{i:064x}" for i in range(n)]),
        paths=np.array([f"images/{labels[c]}/{i}.png" for i, c in enumerate(code)]),
        labels=np.array(labels)[code],
        groups=np.array([f"series {g:02d}" for g in group]),
        splits=splits,
        status=np.zeros((n, 1), dtype=np.uint8),
        blocks=("toy",),
        fitted_on=dict(fitted_on or {}),
        fingerprint="f" * 64,
        split_kind="split by series",
    )


def change(study: Study, **values: Any) -> Study:
    return dataclasses.replace(study, **values)


def write_house(
    folder: Path,
    study: Study,
    *,
    values: npt.NDArray[Any] | None = None,
    params: Mapping[str, Any] | None = None,
) -> None:
    """features.h5 and dataset.csv of a study."""
    spec = FeatureSpec("features", 1, dict(params or {}), tuple(study.features.columns))
    shown = study.features.to_numpy() if values is None else values
    rows = StoreRows(pack_keys(study.keys.tolist()), shown.astype(np.float32), study.status)
    write_store(folder / "features.h5", spec, rows, study.blocks)
    write_index(folder / "dataset.csv", study)


def write_index(path: Path, study: Study, **columns: Sequence[str]) -> None:
    rows = [
        DatasetRow(
            key=str(study.keys[i]),
            path=str(study.paths[i]),
            label=str(study.labels[i]),
            group=str(study.groups[i]),
            character="",
            series=str(study.groups[i]),
            cluster="",
            split=str(study.splits[i]),
            width=8,
            height=8,
            format="png",
            bytes_per_pixel=1.0,
            jpeg_quality=None,
        )
        for i in range(len(study.keys))
    ]
    rows = [dataclasses.replace(row, **{k: v[i] for k, v in columns.items()}) for i, row in enumerate(rows)]
    write_table(path, rows, DatasetRow)


class Centroid:
    """A head without a library: the nearer class mean of the first column."""

    def __init__(self, fail: str = "") -> None:
        self.fail = fail

    def fit(self, X: pd.DataFrame, y: npt.NDArray[Any]) -> Centroid:
        if self.fail:
            raise RuntimeError(self.fail)
        self.classes_ = np.unique(y)
        first = X.iloc[:, 0].to_numpy()
        self.means_ = np.array([first[y == name].mean() for name in self.classes_])
        self.seen_ = X.index.to_numpy()
        return self

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        distance = np.abs(X.iloc[:, 0].to_numpy()[:, None] - self.means_)
        likely = np.exp(-distance)
        return likely / likely.sum(1, keepdims=True)

    def predict(self, X: pd.DataFrame) -> npt.NDArray[Any]:
        return self.classes_[self.predict_proba(X).argmax(1)]
