"""What heads say of rows they were not fitted on.

Owns who is fitted on which rows: repeated grouped folds over train and val, or train for val. Refuses
to know measures, and never asks for the test split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.fitting import Answer, Classifier, Job, answers
from classifiers.splits import Fold, check_classes, repeated_folds
from classifiers.tables import csv_text
from featurestore.errors import KyaraError

__all__ = [
    "Predictions",
    "cross_validate",
    "cv_folds",
    "gathered",
    "held_out",
    "predict_rows",
    "predictions_csv",
    "why_no_cv",
]

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Predictions:
    """What a head says of some rows.

    Attributes
    ----------
    name : str
        ``"cv"``, ``"val"`` or ``"test"``.
    rows : ndarray of intp, shape (m,)
        Positions in the study; of ``cv`` each stands there once a repeat.
    predicted : ndarray of intp, shape (m,)
        Codes of classes.
    proba : ndarray of float64, shape (m, k)
    fitted : ndarray of intp
        Rows that a head was fitted on; of all folds together for ``cv``.
    fold : ndarray of intp, shape (m,), optional
        Number of the fold whose head scored each row, counted through all repeats; None = one head for all.
    folds : int
        Folds of one repeat; 1 = one head for all.
    """

    name: str
    rows: Rows
    predicted: Rows
    proba: npt.NDArray[np.float64]
    fitted: Rows
    fold: Rows | None = None
    folds: int = 1

    @property
    def repeats(self) -> int:
        """How often each row was scored."""
        return 1 if self.fold is None else (int(self.fold.max()) + 1) // self.folds

    @property
    def repeat(self) -> Rows:
        """In which repeat each row was scored, shape (m,), from 0."""
        return np.zeros_like(self.rows) if self.fold is None else self.fold // self.folds


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
    decide = getattr(head, "decide", None)  # what it answers, without asking all trees again
    return study.codes(np.asarray(head.predict(table) if decide is None else decide(proba))), proba


def why_no_cv(study: Study) -> str:
    """The reason why features cannot be cross-validated; empty if they can."""
    learned = ", ".join(sorted(study.fitted_on))
    if not learned:
        return ""
    return f"{learned} learned from the train split: a fold would score pictures it saw; see val"


def cv_folds(study: Study, *, folds: int, repeats: int, seed: int) -> list[Fold]:
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
    check_classes(study.labels[rows], study.classes, where="train and val")
    return repeated_folds(study.labels, study.groups, rows, folds=folds, repeats=repeats, seed=seed)


def gathered(folds: Sequence[Fold], said: Sequence[Answer]) -> Predictions:
    """Answers of one head, a fold each, as predictions: repeat by repeat, rows ascending."""
    n_folds = max(fold.number for fold in folds) + 1
    code = np.concatenate([np.full(len(f.scored), f.repeat * n_folds + f.number) for f in folds])
    rows = np.concatenate([fold.scored for fold in folds])
    order = np.lexsort((rows, code // n_folds))
    return Predictions(
        "cv",
        rows[order],
        np.concatenate([one.predicted for one in said])[order],
        np.concatenate([one.proba for one in said])[order],
        np.unique(rows),
        code[order].astype(np.intp),
        n_folds,
    )


def cross_validate(
    study: Study,
    makers: Mapping[str, Callable[[], Classifier]],
    folds: Sequence[Fold],
    *,
    workers: int = 1,
    log: list[Answer] | None = None,
) -> dict[str, Predictions]:
    """Out-of-fold predictions of each head on the same folds.

    Parameters
    ----------
    makers : mapping of str to callable
        Name of a head to a maker of new, unfitted ones.
    folds : sequence of Fold
        From `cv_folds`.
    workers : int
        Processes; what comes out does not depend on it.
    log : list, optional
        Every answer is added to it, with its times.

    Raises
    ------
    KyaraError
        If a head fails; the message names it.
    """
    jobs = [Job(name, fold) for fold in folds for name in makers]
    said = answers(study, makers, jobs, workers=workers)
    if log is not None:
        log.extend(said)
    return {name: gathered(folds, [one for one in said if one.job.head == name]) for name in makers}


def held_out(
    study: Study,
    makers: Mapping[str, Callable[[], Classifier]],
    *,
    workers: int = 1,
    log: list[Answer] | None = None,
) -> dict[str, Predictions]:
    """What heads that were fitted on train say of val."""
    fold = Fold(0, 0, study.rows_of("train"), study.rows_of("val"))
    said = answers(study, makers, [Job(name, fold) for name in makers], workers=workers)
    if log is not None:
        log.extend(said)
    return {
        one.job.head: Predictions("val", fold.scored, one.predicted, one.proba, fold.fitted) for one in said
    }


def predictions_csv(study: Study, parts: Sequence[Predictions]) -> str:
    """CSV, one row an image and repeat: who was asked, what it is, and what was said.

    Columns: key, path, group, split (``cv`` or ``val``), repeat, fold, label, predicted, and ``p_<label>``
    for each class. Folds count through all repeats.
    """
    header = ["key", "path", "group", "split", "repeat", "fold", "label", "predicted"]
    rows = (row for part in parts for row in _listed(study, part))
    return csv_text([*header, *(f"p_{name}" for name in study.classes)], rows)


def _listed(study: Study, part: Predictions) -> Iterator[list[Any]]:
    """A row an image and repeat, as `predictions_csv` has them."""
    folds = [None] * len(part.rows) if part.fold is None else part.fold.tolist()
    answers = zip(
        part.rows.tolist(), part.repeat.tolist(), folds, part.predicted.tolist(), part.proba, strict=True
    )
    classes = study.classes
    for row, repeat, fold, predicted, proba in answers:
        who = [study.keys[row], study.paths[row], study.groups[row], part.name, repeat, fold]
        yield [*who, study.labels[row], classes[predicted], *proba.tolist()]
