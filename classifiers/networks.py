"""What a network that learned left behind: its own decision on val, and how its training went.

Owns reading ``learned/<extractor>/softmax.csv`` and ``history.csv``, and the refusal of any that do not
belong to the study. Refuses to know heads, and how a network is trained.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.predictions import Predictions
from featurestore.errors import DataError, MissingData

__all__ = ["Epoch", "Softmax", "read_histories", "read_history", "read_softmax", "read_softmaxes"]

_HISTORY = ["epoch", "phase", "loss", "holdout_loss", "holdout_accuracy", "best"]
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Softmax:
    """A network's own decision, without a head.

    Attributes
    ----------
    predictions : Predictions
        Of val, by the network that learned from train.
    design : ndarray of intp, shape (m,), or None
        Codes of the labels that the design conventions give val; None if it learned from the true ones.
    """

    predictions: Predictions
    design: npt.NDArray[np.intp] | None


@dataclass(frozen=True)
class Epoch:
    """One line of ``history.csv``.

    Attributes
    ----------
    epoch : int
        From 1, over all phases.
    phase : str
    loss, holdout_loss, holdout_accuracy : float
        Over the rows learned from, and over the rows of train that were held out.
    best : bool
        Whether it is the epoch that is kept.
    """

    epoch: int
    phase: str
    loss: float
    holdout_loss: float
    holdout_accuracy: float
    best: bool


def read_softmaxes(study: Study, learned: Path) -> dict[str, Softmax]:
    """`read_softmax` of every extractor that learned, by name."""
    return {name: read_softmax(study, name, learned) for name in sorted(study.fitted_on)}


def read_histories(names: Iterable[str], learned: Path) -> dict[str, list[Epoch]]:
    """`read_history` of every extractor that learned, by name."""
    return {name: read_history(name, learned) for name in sorted(names)}


def read_softmax(study: Study, name: str, learned: Path) -> Softmax:
    """What a network says of val.

    Parameters
    ----------
    name : str
        The extractor.
    learned : Path
        Folder with a folder for each extractor.

    Raises
    ------
    MissingData
        If there is no ``softmax.csv``.
    DataError
        If it has other columns, pictures or classes than the study, or no probabilities.
    """
    path = learned / name / "softmax.csv"
    header, rows = _table(path, name)
    expected = ["key", "split", "design_label", *(f"p_{label}" for label in study.classes)]
    if header != expected:
        raise _damaged(path, name, f"its columns are {', '.join(header)}, not {', '.join(expected)}")
    val = study.rows_of("val")
    by_key = {row["key"]: row for row in rows}
    if len(by_key) != len(rows) or set(by_key) != set(study.keys[val].tolist()):
        raise _damaged(path, name, f"its {len(rows)} rows are not the {len(val)} pictures of val")
    if any(row["split"] != "val" for row in rows):
        raise _damaged(path, name, "a row is of another split than val")
    ordered = [by_key[key] for key in study.keys[val].tolist()]
    proba = _probabilities([[row[column] for column in expected[3:]] for row in ordered], path, name)
    predictions = Predictions("softmax", val, proba.argmax(axis=1), proba, study.rows_of("train"))
    return Softmax(predictions, _design([row["design_label"] for row in ordered], study, path, name))


def read_history(name: str, learned: Path) -> list[Epoch]:
    """How a network's training went, epoch by epoch.

    Raises
    ------
    MissingData
        If there is no ``history.csv``.
    DataError
        If it is damaged.
    """
    path = learned / name / "history.csv"
    header, rows = _table(path, name)
    if header != _HISTORY:
        raise _damaged(path, name, f"its columns are {', '.join(header)}, not {', '.join(_HISTORY)}")
    try:
        epochs = [
            Epoch(
                epoch=int(row["epoch"]),
                phase=row["phase"],
                loss=_finite(row["loss"]),
                holdout_loss=_finite(row["holdout_loss"]),
                holdout_accuracy=_finite(row["holdout_accuracy"]),
                best={"True": True, "False": False}[row["best"]],
            )
            for row in rows
        ]
    except (KeyError, ValueError) as error:
        raise _damaged(path, name, f"a cell cannot be read ({error})") from None
    if [one.epoch for one in epochs] != list(range(1, len(epochs) + 1)) or sum(e.best for e in epochs) != 1:
        raise _damaged(path, name, "its epochs do not count from 1, or not one of them is best")
    return epochs


def _damaged(path: Path, name: str, what: str) -> DataError:
    return DataError(f"{path}: {what}; run: dvc repro")


def _table(path: Path, name: str) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows of a CSV in which every row has every column."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            header, rows = list(reader.fieldnames or ()), list(reader)
    except FileNotFoundError:
        raise MissingData(f"no {path}; run: dvc repro") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise _damaged(path, name, f"no CSV ({error})") from None
    if any(None in row or None in row.values() for row in rows):
        raise _damaged(path, name, "a row is longer or shorter than the header")
    return header, rows


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not finite")
    return value


def _probabilities(cells: list[list[str]], path: Path, name: str) -> npt.NDArray[np.float64]:
    """Rows that sum to 1, of cells that do so but for rounding."""
    try:
        proba = np.array([[_finite(cell) for cell in row] for row in cells], dtype=np.float64)
    except ValueError as error:
        raise _damaged(path, name, f"a probability cannot be read ({error})") from None
    total = proba.sum(axis=1, keepdims=True)
    if (proba < 0).any() or (np.abs(total - 1) > _TOLERANCE).any():
        raise _damaged(path, name, "the probabilities of a row are negative or do not sum to 1")
    return np.asarray(proba / total)


def _design(labels: list[str], study: Study, path: Path, name: str) -> npt.NDArray[np.intp] | None:
    """Codes of the design labels; None where there are none."""
    if not any(labels):
        return None
    if not set(labels) <= set(study.classes):
        raise _damaged(path, name, "a design label is missing, or no class of dataset.csv")
    return study.codes(np.asarray(labels))
