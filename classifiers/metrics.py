"""Measures of a prediction.

Owns twelve measures on weighted images. Refuses to know heads, files and how far a score can be trusted
(``intervals``): arrays in, values out.

Every measure takes a matrix of weights, one row a draw of the bootstrap, so that a thousand draws
are a few matrix products and one sort. With weights of one they are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "MEASURES",
    "Judged",
    "bounds",
    "decided",
    "measure",
    "measurer",
    "rankings",
    "squared_errors",
]

#: In the order of every table.
MEASURES = (
    "accuracy",
    "balanced_accuracy",
    "auc",
    "average_precision",
    "f1",
    "precision",
    "recall",
    "f1_macro",
    "precision_macro",
    "recall_macro",
    "mcc",
    "brier",
)

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Measure = Callable[[Floats], dict[str, Floats]]


@dataclass(frozen=True)
class Judged:
    """Predictions beside the truth.

    Attributes
    ----------
    truth, predicted : ndarray of intp, shape (n,)
        Codes of classes, 0 to k - 1.
    proba : ndarray of float64, shape (n, k)
        Probabilities, or whatever the head ranks by, one column a class.
    positive : int
        Code of the class that precision, recall, F1 and, of two classes, the ranking speak of.
    fold : ndarray of intp, shape (n,), optional
        Which head each image was scored by; images are ranked only against others of their fold.
        None = one head for all.
    repeats : int
        How often each image stands there, scored by as many heads. What is measured over all is what
        the repeats' averages give: the confusion, the pairs of a fold.
    folds : int
        Heads of one repeat, each fitted on the others' rows; 1 = one head that is judged as it is.
    """

    truth: Codes
    predicted: Codes
    proba: Floats
    positive: int
    fold: Codes | None = None
    repeats: int = 1
    folds: int = 1


def _share(part: Floats, whole: Floats, otherwise: float) -> Floats:
    """``part / whole``, and ``otherwise`` where the whole is nothing."""
    out = np.full(np.broadcast_shapes(part.shape, whole.shape), otherwise)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _mean_of_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN if nothing is left."""
    defined = ~np.isnan(values)
    return _share(np.where(defined, values, 0.0).sum(-1), defined.sum(-1).astype(float), np.nan)


def decided(confusion: Floats, positive: int) -> dict[str, Floats]:
    """Measures of the decisions; ``confusion`` is (draws, actual, predicted) summed weights."""
    hit = np.diagonal(confusion, axis1=1, axis2=2)
    actual, predicted, total = confusion.sum(2), confusion.sum(1), confusion.sum((1, 2))
    precision, recall = _share(hit, predicted, 0.0), _share(hit, actual, 0.0)
    f1 = _share(2 * hit, actual + predicted, 0.0)
    seen = (actual + predicted) > 0
    right = hit.sum(1)
    # Gorodkin (2004), the multiclass form; for two classes it is Matthews' (1975)
    covariance = right * total - (actual * predicted).sum(1)
    spread = (total**2 - (predicted**2).sum(1)) * (total**2 - (actual**2).sum(1))
    return {
        "accuracy": _share(right, total, np.nan),
        "balanced_accuracy": _mean_of_defined(_share(hit, actual, np.nan)),
        "f1": f1[:, positive],
        "precision": precision[:, positive],
        "recall": recall[:, positive],
        "f1_macro": _mean_of_defined(np.where(seen, f1, np.nan)),
        "precision_macro": _mean_of_defined(np.where(seen, precision, np.nan)),
        "recall_macro": _mean_of_defined(np.where(seen, recall, np.nan)),
        "mcc": _share(covariance, np.sqrt(np.maximum(spread, 0.0)), 0.0),
    }


@dataclass(frozen=True)
class _Ranking:
    """Images of one fold from the highest score of a class to the lowest.

    Attributes
    ----------
    unit : ndarray of intp, shape (m,)
        Which weight is each image's.
    is_class : ndarray of bool, shape (m,)
    ends : ndarray of intp
        Where runs of equal scores end.
    """

    unit: Codes
    is_class: npt.NDArray[np.bool_]
    ends: Codes

    def sums(self, weights: Floats) -> Floats:
        """Sums behind AUC-ROC and average precision of the class against the rest, shape (4, draws).

        One sort serves all draws: hits and false alarms are cumulated down the ranking and read where a
        run of equal scores ends. AUC by trapezoids; average precision as the sum of precision over the
        steps of recall, without interpolation.

        Returns
        -------
        ndarray
            Pairs ranked rightly, all pairs, precision summed over hits, all hits.
        """
        ranked = weights[:, self.unit]
        hits = np.cumsum(ranked * self.is_class, axis=1)[:, self.ends]
        alarms = np.cumsum(ranked * ~self.is_class, axis=1)[:, self.ends]
        start = np.zeros((len(weights), 1))
        hit_steps = np.diff(hits, axis=1, prepend=start)
        alarm_steps = np.diff(alarms, axis=1, prepend=start)
        area = (alarm_steps * (hits - hit_steps / 2)).sum(1)
        precision = (hit_steps * _share(hits, hits + alarms, 0.0)).sum(1)
        return np.stack([area, hits[:, -1] * alarms[:, -1], precision, hits[:, -1]])


def _rankings(judged: Judged, class_code: int, unit: Codes) -> list[_Ranking]:
    """One a fold."""
    fold = np.zeros(len(unit), dtype=np.intp) if judged.fold is None else judged.fold
    found = []
    for code in np.unique(fold):
        rows = np.flatnonzero(fold == code)
        rank = judged.proba[rows, class_code]
        order = np.argsort(-rank, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(rank[order])), len(rank) - 1)
        rows = rows[order]
        found.append(_Ranking(unit[rows], judged.truth[rows] == class_code, ends))
    return found


def _within_folds(rankings: Sequence[_Ranking], weights: Floats) -> tuple[Floats, Floats]:
    """AUC-ROC and average precision, each (draws,), of images against others of their fold.

    Heads of different folds put their scores at different levels, and the level falls as the share
    of a class among the scored rows rises, so that ranking across folds drags AUC below its true
    value (Parker, Guenter & Bedo 2007). Pairs within a fold are free of it: the folds' AUC weighted
    by their pairs, average precision weighted by their hits. A fold of one class adds no pairs.
    NaN where there are none at all.
    """
    sums = np.zeros((4, len(weights)))
    for one in rankings:
        sums += one.sums(weights)
    right, pairs, precision, hits = sums
    return _share(right, pairs, np.nan), _share(precision, hits, np.nan)


def _ranker(judged: Judged, unit: Codes) -> Measure:
    """AUC-ROC and average precision, sorted once."""
    n_classes = judged.proba.shape[1]
    codes = [judged.positive] if n_classes == 2 else range(n_classes)
    of_class = [_rankings(judged, code, unit) for code in codes]

    def at(weights: Floats) -> dict[str, Floats]:
        found = np.array([_within_folds(rankings, weights) for rankings in of_class])
        return {"auc": _mean_of_defined(found[:, 0].T), "average_precision": _mean_of_defined(found[:, 1].T)}

    return at


def rankings(judged: Judged, weights: Floats) -> dict[str, Floats]:
    """AUC-ROC and average precision under every row of weights, as `measure` has them."""
    return _ranker(judged, np.arange(len(judged.truth)))(weights)


def squared_errors(judged: Judged) -> Floats:
    """What Brier's score is the mean of, shape (n,)."""
    n_classes = judged.proba.shape[1]
    errors: Floats = (judged.proba - np.eye(n_classes)[judged.truth]) ** 2
    return errors[:, judged.positive] if n_classes == 2 else errors.sum(1)


def measure(judged: Judged, weights: Floats) -> dict[str, Floats]:
    """Every measure under every row of weights.

    AUC-ROC and average precision rank, within each fold, by the probability of ``positive`` where
    there are two classes, and are the plain mean over one-against-rest where there are more (over the classes
    that have weight). Brier is the mean of (p - y)² for two classes, and of its sum over the
    classes for more (Brier 1950), as `sklearn.metrics.brier_score_loss` has it.

    Parameters
    ----------
    weights : ndarray of float64, shape (draws, n)

    Returns
    -------
    dict of str to ndarray of float64, shape (draws,)
        By the names of `MEASURES`; NaN where undefined.
    """
    return measurer(judged, np.arange(len(judged.truth)))(weights)


def measurer(judged: Judged, groups: Codes) -> Measure:
    """`measure` for weights of groups, shape (draws, g): sorting and summing up is done once for all calls.

    Parameters
    ----------
    groups : ndarray of intp, shape (n,)
        Code of each image's group, 0 to g - 1.
    """
    n_classes, n_groups = judged.proba.shape[1], int(groups.max()) + 1
    cell = (groups * n_classes + judged.truth) * n_classes + judged.predicted
    confusion = np.bincount(cell, minlength=n_groups * n_classes**2).reshape(n_groups, -1).astype(float)
    errors = np.bincount(groups, squared_errors(judged), minlength=n_groups)
    sizes = np.bincount(groups, minlength=n_groups).astype(float)
    ranked = _ranker(judged, groups)

    def at(weights: Floats) -> dict[str, Floats]:
        out = decided((weights @ confusion).reshape(-1, n_classes, n_classes), judged.positive)
        out |= ranked(weights)
        off = (weights * errors).sum(1)  # a matrix product would round otherwise for each number of draws
        out["brier"] = _share(off, weights @ sizes, np.nan)
        return {name: out[name] for name in MEASURES}

    return at


def bounds(name: str, n_classes: int) -> tuple[float, float]:
    """What a measure can be: mcc goes down to -1, the Brier score of three classes or more up to 2.

    Examples
    --------
    >>> bounds("mcc", 2), bounds("brier", 3)
    ((-1.0, 1.0), (0.0, 2.0))
    """
    return -1.0 if name == "mcc" else 0.0, 2.0 if name == "brier" and n_classes > 2 else 1.0
