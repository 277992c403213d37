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
    blocks = tuple(fitted_on or ("toy",))
    return Study(
        features=pd.DataFrame(values, columns=[f"{blocks[i % len(blocks)]}/c{i}" for i in range(4)]),
        keys=np.array([f"{i:064x}" for i in range(n)]),
        paths=np.array([f"images/{labels[c]}/{i}.png" for i, c in enumerate(code)]),
        labels=np.array(labels)[code],
        groups=np.array([f"series {g:02d}" for g in group]),
        splits=splits,
        status=np.zeros((n, len(blocks)), dtype=np.uint8),
        blocks=blocks,
        fitted_on=dict(fitted_on or {}),
        fingerprint="f" * 64,
        split_kind="split by series",
        index=index_table(n, group, splits, code, labels),
    )


def index_table(n: int, group: Any, splits: Any, code: Any, labels: Sequence[str]) -> pd.DataFrame:
    """dataset.csv of a study: every picture a character of its own, all of one size and format."""
    return pd.DataFrame(
        {
            "key": [f"{i:064x}" for i in range(n)],
            "path": [f"images/{labels[c]}/{i}.png" for i, c in enumerate(code)],
            "label": [labels[c] for c in code],
            "group": [f"series {g:02d}" for g in group],
            "character": [f"character {i}" for i in range(n)],
            "series": [f"series {g:02d}" for g in group],
            "cluster": "",
            "split": splits,
            "width": "8",
            "height": "8",
            "format": "png",
            "bytes_per_pixel": "1.000000",
            "jpeg_quality": "",
        },
        dtype=str,
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


def two_extractors(
    *, n: int = 160, widths: tuple[int, int] = (3, 40), seed: int = 0
) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
    """Rows of ``few`` columns that know the label and ``many`` that do not, and their labels."""
    rng = np.random.default_rng(seed)
    y = np.array(["hero", "villain"], dtype=object)[np.arange(n) % 2]
    few = rng.normal(size=(n, widths[0])) + np.where(y == "villain", 0.8, -0.8)[:, None]
    many = rng.normal(size=(n, widths[1]))
    names = [f"few/c{i}" for i in range(widths[0])] + [f"many/c{i}" for i in range(widths[1])]
    return pd.DataFrame(np.hstack([few, many]), columns=names), y


def write_learned(
    weights: Path, study: Study, name: str = "resnet18", *, design: Sequence[str] | None = None
) -> Path:
    """What an extractor that learned leaves in its folder; its softmax is right in five cases of six."""
    folder = weights / name
    folder.mkdir(parents=True)
    val = study.rows_of("val")
    truth = study.codes(study.labels[val])
    said = np.where(np.arange(len(val)) % 6 == 0, (truth + 1) % len(study.classes), truth)
    proba = np.full((len(val), len(study.classes)), 0.2 / (len(study.classes) - 1))
    proba[np.arange(len(val)), said] = 0.8
    lines = [",".join(["key", "split", "design_label", *(f"p_{label}" for label in study.classes)])]
    for i in reversed(range(len(val))):  # in any order
        label = "" if design is None else design[i]
        lines.append(",".join([study.keys[val[i]], "val", label, *(f"{p:.6f}" for p in proba[i])]))
    (folder / "softmax.csv").write_text("\n".join(lines) + "\n")
    (folder / "history.csv").write_text(
        "epoch,phase,loss,holdout_loss,holdout_accuracy,best\n"
        "1,probe,0.700000,0.690000,0.500000,False\n"
        "2,probe,0.600000,0.650000,0.625000,False\n"
        "3,tune,0.500000,0.600000,0.750000,True\n"
        "4,tune,0.400000,0.620000,0.700000,False\n"
    )
    return folder


class Centroid:
    """A head without a library: the nearer class mean of the first column."""

    def __init__(self, fail: str = "") -> None:
        self.fail = fail

    def fit(self, X: pd.DataFrame, y: npt.NDArray[Any], groups: Any = None) -> Centroid:
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
