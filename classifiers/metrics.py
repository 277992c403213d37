"""Measures of a prediction, and how far they can be trusted.

Owns twelve measures on weighted images and the group bootstrap around them. Refuses to know heads,
files and folds: arrays in, values out.

Every measure takes a matrix of weights, one row a draw of the bootstrap, so that a thousand draws
are a few matrix products and one sort. With weights of one they are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "MEASURES",
    "MIN_GROUPS",
    "Estimate",
    "Judged",
    "Scores",
    "bootstrap",
    "bounds",
    "decided",
    "difference",
    "group_draws",
    "measure",
    "rankings",
    "score",
    "squared_errors",
    "widening",
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

#: Below this many groups a percentile interval says more than the data do.
MIN_GROUPS = 10

#: A measure that is undefined in more than this share of the draws gets no interval.
_MAX_UNDEFINED = 0.05

#: Weights held at once (draws x images); 16 MiB of float64.
_CHUNK = 1 << 21

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


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


@dataclass(frozen=True)
class Estimate:
    """One measure.

    Attributes
    ----------
    score : float or None
        None where it is undefined (AUC of one class).
    low, high : float or None
        Ends of the 95% interval; None where there is none.
    majority : float or None
        The same measure for always answering the most frequent class of the fitted rows.
    """

    score: float | None
    low: float | None
    high: float | None
    majority: float | None


@dataclass(frozen=True)
class Scores:
    """All measures of one set of predictions.

    Attributes
    ----------
    estimates : mapping of str to Estimate
        By the names and in the order of `MEASURES`.
    n_images, n_groups : int
    notes : tuple of str
        Why intervals or scores are missing; empty if none is.
    draws : mapping of str to ndarray of float64, shape (draws,)
        Each measure under every draw of groups; empty where there are too few groups.
    """

    estimates: Mapping[str, Estimate]
    n_images: int
    n_groups: int
    notes: tuple[str, ...] = ()
    draws: Mapping[str, Floats] = field(default_factory=dict, compare=False, repr=False)


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


def _ranking(rank: Floats, is_class: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """Sums behind AUC-ROC and average precision of one class against the rest, shape (4, draws).

    One sort serves all draws: hits and false alarms are cumulated down the ranking and read where a
    run of equal scores ends. AUC by trapezoids; average precision as the sum of precision over the
    steps of recall, without interpolation.

    Returns
    -------
    ndarray
        Pairs ranked rightly, all pairs, precision summed over hits, all hits.
    """
    order = np.argsort(-rank, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(rank[order])), len(rank) - 1)
    ranked = weights[:, order]
    hits = np.cumsum(ranked * is_class[order], axis=1)[:, ends]
    alarms = np.cumsum(ranked * ~is_class[order], axis=1)[:, ends]
    start = np.zeros((len(weights), 1))
    hit_steps = np.diff(hits, axis=1, prepend=start)
    alarm_steps = np.diff(alarms, axis=1, prepend=start)
    area = (alarm_steps * (hits - hit_steps / 2)).sum(1)
    precision = (hit_steps * _share(hits, hits + alarms, 0.0)).sum(1)
    return np.stack([area, hits[:, -1] * alarms[:, -1], precision, hits[:, -1]])


def _ranking_within_folds(judged: Judged, class_code: int, weights: Floats) -> tuple[Floats, Floats]:
    """AUC-ROC and average precision, each (draws,), of images against others of their fold.

    Heads of different folds put their scores at different levels, and the level falls as the share
    of a class among the scored rows rises, so that ranking across folds drags AUC below its true
    value (Parker, Guenter & Bedo 2007). Pairs within a fold are free of it: the folds' AUC weighted
    by their pairs, average precision weighted by their hits. A fold of one class adds no pairs.
    NaN where there are none at all.
    """
    rank, is_class = judged.proba[:, class_code], judged.truth == class_code
    fold = np.zeros(len(rank), dtype=np.intp) if judged.fold is None else judged.fold
    sums = np.zeros((4, len(weights)))
    for code in np.unique(fold):
        at = fold == code
        sums += _ranking(rank[at], is_class[at], weights[:, at])
    right, pairs, precision, hits = sums
    return _share(right, pairs, np.nan), _share(precision, hits, np.nan)


def rankings(judged: Judged, weights: Floats) -> dict[str, Floats]:
    """AUC-ROC and average precision under every row of weights, as `measure` has them."""
    n_classes = judged.proba.shape[1]
    codes = [judged.positive] if n_classes == 2 else range(n_classes)
    found = np.array([_ranking_within_folds(judged, code, weights) for code in codes])
    return {"auc": _mean_of_defined(found[:, 0].T), "average_precision": _mean_of_defined(found[:, 1].T)}


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
    n_classes = judged.proba.shape[1]
    cell = np.eye(n_classes * n_classes)[judged.truth * n_classes + judged.predicted]
    out = decided((weights @ cell).reshape(-1, n_classes, n_classes), judged.positive)
    out |= rankings(judged, weights)
    out["brier"] = _share(weights @ squared_errors(judged), weights.sum(1), np.nan)
    return {name: out[name] for name in MEASURES}


def group_draws(
    groups: npt.NDArray[Any], draws: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], Codes]:
    """How often each group stands in each draw of whole groups with replacement.

    Pictures of one series are alike, so drawing single pictures would count the same evidence
    several times and make intervals too narrow (Field & Welsh 2007, the cluster bootstrap).

    Returns
    -------
    times : ndarray of int64, shape (draws, n_groups)
    code : ndarray of intp, shape (n,)
        Group of each image: ``times[:, code]`` are the images' weights.

    Examples
    --------
    >>> times, code = group_draws(np.array(["a", "a", "b"]), 50, np.random.default_rng(0))
    >>> code.tolist(), bool((times.sum(1) == 2).all())
    ([0, 0, 1], True)
    """
    _, code = np.unique(groups, return_inverse=True)
    n_groups = int(code.max()) + 1
    return rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=draws), code


def bounds(name: str, n_classes: int) -> tuple[float, float]:
    """What a measure can be: mcc goes down to -1, the Brier score of three classes or more up to 2.

    Examples
    --------
    >>> bounds("mcc", 2), bounds("brier", 3)
    ((-1.0, 1.0), (0.0, 2.0))
    """
    return -1.0 if name == "mcc" else 0.0, 2.0 if name == "brier" and n_classes > 2 else 1.0


def bootstrap(
    judged: Judged, groups: npt.NDArray[Any], draws: int, rng: np.random.Generator
) -> dict[str, Floats]:
    """Every measure under draws of whole groups; NaN where a draw leaves one undefined.

    Returns
    -------
    dict of str to ndarray of float64, shape (draws,)
    """
    times, code = group_draws(groups, draws, rng)
    step = max(1, _CHUNK // len(groups))
    chunks = [measure(judged, times[i : i + step, code].astype(float)) for i in range(0, draws, step)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in MEASURES}


def widening(folds: int) -> float:
    """How much wider a cross-validated score scatters than draws of the scored groups say.

    Heads of several folds are fitted on overlapping rows, so that their scores err together. Nadeau &
    Bengio (2003) put the variance of a mean over k folds at s² (1/k + scored/fitted rows) instead of s²/k:
    1 + k/(k - 1) times as much. It is Bouckaert & Frank's (2004) correction once the repeats are
    averaged. A single head (``folds`` 1) is judged as it is.

    Examples
    --------
    >>> widening(5), widening(1)
    (1.5, 1.0)
    """
    return float(np.sqrt(1 + folds / (folds - 1))) if folds > 1 else 1.0


def _ends(middle: float, defined: Floats, folds: int) -> Floats:
    """Ends of a 95% interval: percentiles of the draws, their distance from the middle widened."""
    ends: Floats = middle + widening(folds) * (np.percentile(defined, (2.5, 97.5)) - middle)
    return ends


def difference(one: Scores, other: Scores, name: str, *, folds: int) -> Estimate:
    """How much more one set of predictions scores than another, draw by draw.

    Parameters
    ----------
    one, other : Scores
        Under the same draws of groups (equal groups, seed and number of draws).
    name : str
        One of `MEASURES`.
    folds : int
        Heads of one repeat, as `Judged.folds`: the interval is widened as `widening` says.

    Returns
    -------
    Estimate
        No majority; no ends where a score has none, no score where one is undefined.
    """
    first, second = one.estimates[name], other.estimates[name]
    if first.score is None or second.score is None:
        return Estimate(None, None, None, None)
    middle = first.score - second.score
    if first.low is None or second.low is None:
        return Estimate(middle, None, None, None)
    drawn = one.draws[name] - other.draws[name]
    low, high = _ends(middle, drawn[~np.isnan(drawn)], folds)
    return Estimate(middle, float(low), float(high), None)


def _intervals(
    judged: Judged, plain: Mapping[str, Floats], drawn: Mapping[str, Floats]
) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Percentiles of the draws, their distance from the score widened as `widening` says."""
    found: dict[str, tuple[float, float]] = {}
    notes: list[str] = []
    for name, values in drawn.items():
        defined = values[~np.isnan(values)]
        if len(defined) < (1 - _MAX_UNDEFINED) * len(values):
            undefined = len(values) - len(defined)
            notes.append(f"{name}: no interval, {undefined} of {len(values)} draws of groups lack a class")
            continue
        ends = _ends(float(plain[name][0]), defined, judged.folds)
        low, high = np.clip(ends, *bounds(name, judged.proba.shape[1]))
        found[name] = (float(low), float(high))
    return found, notes


def _plain(values: Floats) -> float | None:
    value = float(values[0])
    return None if np.isnan(value) else value


def score(
    judged: Judged,
    groups: npt.NDArray[Any],
    *,
    class_shares: Floats,
    draws: int,
    rng: np.random.Generator,
) -> Scores:
    """All measures, their 95% intervals and the majority's scores.

    The interval of a single head says how its score moves with *which groups* were scored. That of
    cross-validated heads is wider (`widening`): with other groups they would be other heads.

    Parameters
    ----------
    groups : ndarray, shape (n,)
        What is drawn as a whole.
    class_shares : ndarray of float64, shape (k,)
        Shares of the classes among the fitted rows: the majority answers the largest (the first of
        equals) and gives every image these probabilities.
    """
    n_rows, n_groups = len(groups), len(np.unique(groups))
    constant = np.full(n_rows, int(np.argmax(class_shares)), dtype=np.intp)
    proba = np.tile(class_shares, (n_rows, 1))
    same = replace(judged, predicted=constant, proba=proba)
    ones = np.ones((1, n_rows))
    scores, majority = measure(judged, ones), measure(same, ones)
    if n_groups < MIN_GROUPS:
        drawn: dict[str, Floats] = {}
        intervals: dict[str, tuple[float, float]] = {}
        notes = [f"no intervals: {n_groups} groups, and fewer than {MIN_GROUPS} say too little of others"]
    else:
        drawn = bootstrap(judged, groups, draws, rng)
        intervals, notes = _intervals(judged, scores, drawn)
    if len(np.unique(judged.truth)) == 1:
        notes.append("auc: undefined, all images scored are of one class")
    estimates = {}
    for name in MEASURES:
        low, high = intervals.get(name, (None, None))
        estimates[name] = Estimate(_plain(scores[name]), low, high, _plain(majority[name]))
    return Scores(estimates, n_rows // judged.repeats, n_groups, tuple(notes), drawn)
