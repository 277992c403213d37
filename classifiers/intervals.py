"""How far a score can be trusted: the group bootstrap.

Owns draws of whole groups, the intervals made of them, and how much wider those of cross-validated heads
are. Refuses to know heads and files, and how a measure is taken (``metrics``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.metrics import MEASURES, Judged, bounds, measure, measurer

__all__ = [
    "MIN_GROUPS",
    "Estimate",
    "Scores",
    "bootstrap",
    "difference",
    "ends",
    "group_draws",
    "score",
    "widening",
]

#: Below this many groups a percentile interval says more than the data do.
MIN_GROUPS = 10

#: A measure that is undefined in more than this share of the draws gets no interval.
_MAX_UNDEFINED = 0.05

#: Weights held at once (draws x images); 16 MiB of float64.
_CHUNK = 1 << 21

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


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


def bootstrap(
    judged: Judged, groups: npt.NDArray[Any], draws: int, rng: np.random.Generator
) -> dict[str, Floats]:
    """Every measure under draws of whole groups; NaN where a draw leaves one undefined.

    Returns
    -------
    dict of str to ndarray of float64, shape (draws,)
    """
    times, code = group_draws(groups, draws, rng)
    step, at = max(1, _CHUNK // len(groups)), measurer(judged, code)
    chunks = [at(times[i : i + step].astype(float)) for i in range(0, draws, step)]
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


def ends(
    drawn: Floats, middle: float, *, factor: float, within: tuple[float, float]
) -> tuple[float, float] | None:
    """Ends of a 95% interval: percentiles of the draws, their distance from the middle widened.

    Parameters
    ----------
    drawn : ndarray of float64, shape (draws,)
        NaN where a draw leaves it undefined.
    factor : float
        `widening`.
    within : tuple of float
        What can be; the ends are clipped to it.

    Returns
    -------
    tuple of float or None
        None where too many draws leave it undefined.
    """
    if np.isnan(drawn).mean() > _MAX_UNDEFINED:
        return None
    found = middle + factor * (np.nanpercentile(drawn, (2.5, 97.5)) - middle)
    low, high = np.clip(found, *within)
    return float(low), float(high)


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
    low, high = ends(drawn, middle, factor=widening(folds), within=(-np.inf, np.inf)) or (None, None)
    return Estimate(middle, low, high, None)


def _intervals(
    judged: Judged, plain: Mapping[str, Floats], drawn: Mapping[str, Floats]
) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Percentiles of the draws, their distance from the score widened as `widening` says."""
    found: dict[str, tuple[float, float]] = {}
    notes: list[str] = []
    factor, n_classes = widening(judged.folds), judged.proba.shape[1]
    for name, values in drawn.items():
        one = ends(values, float(plain[name][0]), factor=factor, within=bounds(name, n_classes))
        if one is None:
            undefined = np.isnan(values).sum()
            notes.append(f"{name}: no interval, {undefined} of {len(values)} draws of groups lack a class")
        else:
            found[name] = one
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
