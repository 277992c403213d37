"""Where heads are fitted and asked: each job a function of its rows, labels and seed.

Refuses to know what the jobs are for, and where they run (`pool`).
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from classifiers.pool import run
from classifiers.splits import Fold
from classifiers.tables import csv_text
from featurestore.errors import KyaraError, UsageError
from featurestore.files import write_text_atomic

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.data import Study

__all__ = ["Answer", "Classifier", "Job", "answers", "write_times"]

log = logging.getLogger(__name__)

Rows = npt.NDArray[np.intp]


class Classifier(Protocol):
    """What is asked of a head."""

    classes_: npt.NDArray[Any]

    def fit(self, X: Any, y: Any, groups: Any = None) -> Any:
        """Learn from features (n, d) and labels (n,); groups (n,) stay whole in what it tunes."""

    def predict(self, X: Any) -> Any:
        """Labels, shape (n,)."""

    def predict_proba(self, X: Any) -> Any:
        """Probabilities, shape (n, k), columns as ``classes_``."""


@dataclass(frozen=True)
class Job:
    """One head, fitted on some rows and asked about others.

    Attributes
    ----------
    head : str
        Name of its maker.
    fold : Fold
    labels : ndarray of str, shape (n,), optional
        Of all rows, where they are others than the study's.
    groups : ndarray, shape (n,), optional
        Of all rows, likewise: what stays whole in what the head tunes.
    """

    head: str
    fold: Fold
    labels: npt.NDArray[Any] | None = None
    groups: npt.NDArray[Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What a head said.

    Attributes
    ----------
    predicted : ndarray of intp, shape (m,)
        Codes of the study's classes.
    proba : ndarray of float64, shape (m, k)
    fit_s, predict_s : float
        Seconds; they are no result.
    """

    job: Job
    predicted: Rows
    proba: npt.NDArray[np.float64]
    fit_s: float
    predict_s: float


def answers(
    study: Study,
    makers: Mapping[str, Callable[[], Classifier]],
    jobs: Sequence[Job],
    *,
    workers: int = 1,
) -> list[Answer]:
    """Do every job; in the order of the jobs.

    Parameters
    ----------
    makers : mapping of str to callable
        Name of a head to a maker of new, unfitted ones.
    workers : int
        Processes at most; few short jobs are done here. 0 = one a core.

    Raises
    ------
    KyaraError
        If a head fails; the message names it. A `UsageError` comes as it is.
    """
    values, names = study.features.to_numpy(), list(study.features.columns)
    work = functools.partial(
        _do, makers, values, names, study.labels, study.groups, np.asarray(study.classes)
    )
    return run(work, jobs, workers=workers)


def write_times(log: Path, said: Sequence[Answer]) -> None:
    """Write how long each fit and prediction took: a log, and no result.

    Columns: head, repeat, fold, rows fitted, rows scored, and seconds of each.
    """
    header = ["head", "repeat", "fold", "fitted", "scored", "fit_s", "predict_s"]
    rows = [
        [one.job.head, fold.repeat, fold.number, len(fold.fitted), len(fold.scored), one.fit_s, one.predict_s]
        for one in said
        for fold in (one.job.fold,)
    ]
    write_text_atomic(log, csv_text(header, rows))


def _table(values: npt.NDArray[np.float64], names: list[str], rows: Rows) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(values[rows], columns=names, index=rows, copy=False)


def _do(
    makers: Mapping[str, Callable[[], Classifier]],
    values: npt.NDArray[np.float64],
    names: list[str],
    labels: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    classes: npt.NDArray[Any],
    job: Job,
) -> Answer:
    """One job; a failure names the head."""
    fold = job.fold
    given = labels if job.labels is None else job.labels
    whole = groups if job.groups is None else job.groups
    try:
        start = time.perf_counter()
        head = makers[job.head]()
        head.fit(_table(values, names, fold.fitted), given[fold.fitted], groups=whole[fold.fitted])
        fitted = time.perf_counter()
        table = _table(values, names, fold.scored)
        proba = np.asarray(head.predict_proba(table), dtype=np.float64)
        decide = getattr(head, "decide", None)  # what it answers, without asking all trees again
        said = np.asarray(head.predict(table) if decide is None else decide(proba))
        end = time.perf_counter()
        if tuple(head.classes_) != tuple(classes):
            known = ", ".join(map(str, head.classes_))
            raise KyaraError(f"it knows the classes {known}; dataset.csv has {', '.join(classes)}")
        if proba.shape != (len(fold.scored), len(classes)) or not np.isfinite(proba).all():
            raise KyaraError("predict_proba gave probabilities of a wrong shape or not finite")
    except UsageError:
        raise
    except Exception as error:
        log.debug("head %s", job.head, exc_info=True)
        kind = "" if isinstance(error, KyaraError) else f"{type(error).__name__}: "
        text = " ".join(str(error).split())
        raise KyaraError(f"head {job.head} failed: {kind}{text}; its params: heads.{job.head}") from error
    return Answer(job, np.searchsorted(classes, said), proba, fitted - start, end - fitted)
