"""What heads say of rows they were not fitted on.

Owns who is fitted on which rows: grouped folds over train and val. Refuses to know measures, and
never asks for the test split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.splits import check_classes, grouped_folds
from classifiers.tables import csv_text
from featurestore.errors import KyaraError

__all__ = [
    "Classifier",
    "Predictions",
    "cross_validate",
    "cv_folds",
    "predict_rows",
    "predictions_csv",
    "why_no_cv",
]

Rows = npt.NDArray[np.intp]


class Classifier(Protocol):
    """What is asked of a head."""

    classes_: npt.NDArray[Any]

    def fit(self, X: Any, y: Any) -> Any:
        """Learn from features (n, d) and labels (n,)."""

    def predict(self, X: Any) -> Any:
        """Labels, shape (n,)."""

    def predict_proba(self, X: Any) -> Any:
        """Probabilities, shape (n, k), columns as ``classes_``."""


@dataclass(frozen=True)
class Predictions:
    """What a head says of some rows.

    Attributes
    ----------
    name : str
        ``"cv"``, ``"val"`` or ``"test"``.
    rows : ndarray of intp, shape (m,)
        Positions in the study.
    predicted : ndarray of intp, shape (m,)
        Codes of classes.
    proba : ndarray of float64, shape (m, k)
    fitted : ndarray of intp
        Rows that a head was fitted on; of all folds together for ``cv``.
    fold : ndarray of intp, shape (m,), optional
        Number of the fold whose head scored each row; None = one head for all.
    """

    name: str
    rows: Rows
    predicted: Rows
    proba: npt.NDArray[np.float64]
    fitted: Rows
    fold: Rows | None = None


def predict_rows(head: Classifier, study: Study, rows: Rows) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Codes and probabilities of some rows.

    Raises
    ------
    KyaraError
        If the head knows other classes than the study or answers with something not finite.
    """
    if tuple(head.classes_) != study.classes:
        known = ", ".join(map(str, head.classes_))
        raise KyaraError(f"the head knows the classes {known}; dataset.csv has {', '.join(study.classes)}")
    table = study.features.iloc[rows]
    proba = np.asarray(head.predict_proba(table), dtype=np.float64)
    if proba.shape != (len(rows), len(study.classes)) or not np.isfinite(proba).all():
        raise KyaraError("predict_proba gave probabilities of a wrong shape or not finite")
    return study.codes(np.asarray(head.predict(table))), proba


def why_no_cv(study: Study) -> str:
    """The reason why features cannot be cross-validated; empty if they can."""
    learned = ", ".join(sorted(study.fitted_on))
    if not learned:
        return ""
    return f"{learned} learned from the train split: a fold would score pictures it saw; see val"


def cv_folds(study: Study, *, folds: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Rows to fit on and rows to score, for each fold over train and val.

    Raises
    ------
    SplitError
        If the classes or groups are too few for the folds.
    ValueError
        If an extractor learned from train (see `why_no_cv`).
    """
    if why_no_cv(study):
        raise ValueError(why_no_cv(study))
    rows = study.rows_of("train", "val")
    labels = study.labels[rows]
    check_classes(labels, study.classes, where="train and val")
    found = grouped_folds(labels, study.groups[rows], folds=folds, seed=seed)
    return [(rows[fitted], rows[scored]) for fitted, scored in found]


def cross_validate(
    study: Study, make: Callable[[], Classifier], folds: Sequence[tuple[Rows, Rows]]
) -> Predictions:
    """Out-of-fold predictions, in the order of the rows.

    Parameters
    ----------
    make : callable
        A new, unfitted head for each fold.
    folds : sequence of (fitted, scored)
        From `cv_folds`.
    """
    fold, predicted = (np.full(len(study.labels), -1, dtype=np.intp) for _ in range(2))
    proba = np.zeros((len(study.labels), len(study.classes)))
    for number, (fitted, scored) in enumerate(folds):
        head = make()
        head.fit(study.features.iloc[fitted], study.labels[fitted])
        predicted[scored], proba[scored] = predict_rows(head, study, scored)
        fold[scored] = number
    rows = np.flatnonzero(predicted >= 0)
    return Predictions("cv", rows, predicted[rows], proba[rows], rows, fold[rows])


def predictions_csv(study: Study, parts: Sequence[Predictions]) -> str:
    """CSV: key, path, split (``cv`` or ``val``), label, predicted, ``p_<label>`` for each class."""
    header = ["key", "path", "split", "label", "predicted", *(f"p_{name}" for name in study.classes)]
    rows = [
        [
            study.keys[row],
            study.paths[row],
            part.name,
            study.labels[row],
            study.classes[part.predicted[i]],
            *part.proba[i].tolist(),
        ]
        for part in parts
        for i, row in enumerate(part.rows.tolist())
    ]
    return csv_text(header, rows)
