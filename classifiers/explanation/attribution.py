"""What each column adds to what a head says of a row: one question to every head, answered in three ways.

Contributions are Shapley values against a background (`shapley`). So those of two heads can be
compared, a row's add up to its answer, and a column that a head ignores has none.

=====================================  ===========  ===============================================
head                                   unit         how
=====================================  ===========  ===============================================
logreg, lda, nb, convention            log-odds     closed form: the answer is a sum over columns
hgb, xgb                               log-odds     exact, trees
rf, extratrees                         probability  exact, trees
svm, mlp                               log-odds     sampled
knn, and any other                     probability  sampled
dummy                                  probability  closed form: nothing
late fusion                            probability  an average: exact of forests, sampled of others
=====================================  ===========  ===============================================

Log-odds of one among several classes are against the geometric mean of the others: log p less the mean of
their log p; of two classes that is log(p / (1 - p)).

Owns contributions to one head's answers. Refuses to know importance, folds and pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from classifiers.explanation.additive import additive, against
from classifiers.explanation.shapley import Answer, drawn, of_sum, of_trees, sampled

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.head import Head

__all__ = ["DRAWS", "Attribution", "attribute"]

Floats = npt.NDArray[np.float64]
Method = Literal["closed form", "exact, trees", "sampled"]
Unit = Literal["log-odds", "probability"]

#: Rows of the background at most, where it is not used whole.
DRAWS: Final = 50

_FORESTS: Final = frozenset({"RandomForestClassifier", "ExtraTreesClassifier"})
_BOOSTED: Final = frozenset({"HistGradientBoostingClassifier", "XGBClassifier"})
#: Sampled ones whose probabilities are never 0 or 1, so that log-odds can be averaged.
_SMOOTH: Final = frozenset({"Calibrated", "EarlyStopped"})
#: Wrappers that weight the classes and leave the answer to what they hold.
_WRAPPERS: Final = frozenset({"Balanced", "UniformPriors"})

#: Sampled log-odds are of probabilities kept this far from 0.
_CLIP: Final = 1e-12


@dataclass(frozen=True)
class Attribution:
    """Contributions to what a head says of the positive class.

    Attributes
    ----------
    values : ndarray of float64, shape (n, d), or (n, groups)
        What each column, or group of columns, adds to each row's answer, in `unit`.
    base : ndarray of float64, shape (n,)
        The mean answer over the background.
    method : {"closed form", "exact, trees", "sampled"}
        Sampled ones add up like the others; how the sum is shared out has an error.
    unit : {"log-odds", "probability"}
        Of the answers.
    """

    values: Floats
    base: Floats
    method: Method
    unit: Unit

    @property
    def margin(self) -> Floats:
        """The head's answers, shape (n,)."""
        return np.asarray(self.base + self.values.sum(axis=1))


def attribute(
    head: Head,
    rows: pd.DataFrame,
    background: pd.DataFrame,
    *,
    positive: int,
    seed: int,
    groups: Sequence[Sequence[int]] | None = None,
    draws: int = DRAWS,
) -> Attribution:
    """What each column contributes to each row's answer.

    NaN rows are imputed as the head does it, in ``rows`` and ``background`` alike. A sigmoid that was fitted
    to the log-odds of two classes is linear in them, and is applied to what they are made of; the log-odds
    that the head would clip at a millionth are not clipped here. Other calibrated answers are probabilities,
    and sampled.

    Parameters
    ----------
    head : Head
        Fitted.
    rows : DataFrame, shape (n, d)
        To explain; columns as the head was fitted on.
    background : DataFrame, shape (m, d)
        What they are held against: rows that the head was fitted on. Closed forms use them all.
    positive : int
        Code of the class whose answers are explained.
    seed : int
        Of the rows drawn from the background, and of the sampled orders.
    groups : sequence of sequence of int, optional
        Positions of columns that are attributed together as one, such as those of an embedding; every column
        stands in one of them. In closed forms and trees a group's contribution is the sum of its columns'.
    draws : int
        Rows of the background at most, where it is not used whole. What is sampled costs 2 x ``draws``
        x (players - 1) answers of the head a row.

    Returns
    -------
    Attribution

    Raises
    ------
    ValueError
        If the background is empty, the head knows no such class, or the groups do not hold every column once.
    """
    from classifiers.fusion import Late

    if not len(background):
        raise ValueError("a background needs one row or more")
    if not 0 <= positive < len(head.classes_):
        raise ValueError(f"positive: {positive!r} is the code of none of {len(head.classes_)} classes")
    how = _How(positive, seed, _players(groups, rows.shape[1]), draws)
    x, b = head._checked(rows), head._checked(background)
    model, sigmoid = head.pipeline_, getattr(head, "sigmoid_", None)
    if isinstance(model, Late):
        if sigmoid is None:
            return _late(model, x, b, how)
        return _late_calibrated(model, x, b, how, sigmoid)
    found = _of_pipeline(model, x, b, how)
    if sigmoid is None:
        return found
    if len(head.classes_) == 2 and found.unit == "log-odds":
        slope, intercept = sigmoid[0]
        side = 1.0 if positive == 1 else -1.0  # it is fitted to the second class
        return replace(found, values=-slope * found.values, base=-slope * found.base - side * intercept)
    ask = _calibrated(_asked(model), sigmoid, positive)
    return how.sampled(ask, _transformed(model, x), _transformed(model, b), "probability")


@dataclass(frozen=True)
class _How:
    """What is the same for all rows: the class, the seed, to which player each column belongs, the draws."""

    positive: int
    seed: int
    players: npt.NDArray[np.intp]
    draws: int

    @property
    def n_players(self) -> int:
        return int(self.players.max()) + 1

    def summed(self, values: Floats) -> Floats:
        """Contributions (n, d) of columns as those of players (n, p)."""
        out = np.zeros((self.n_players, len(values)))
        np.add.at(out, self.players, values.T)
        return out.T

    def drawn(self, background: Floats) -> Floats:
        return drawn(background, self.draws, seed=self.seed)

    def sampled(self, ask: Answer, z: Floats, b: Floats, unit: Unit) -> Attribution:
        values, base = sampled(ask, z, self.drawn(b), self.players, seed=self.seed)
        return Attribution(values, np.full(len(z), base), "sampled", unit)


def _players(groups: Sequence[Sequence[int]] | None, n_columns: int) -> npt.NDArray[np.intp]:
    if groups is None:
        return np.arange(n_columns)
    players = np.full(n_columns, -1)
    for player, columns in enumerate(groups):
        players[list(columns)] = player
    if sum(map(len, groups)) != n_columns or (players < 0).any() or not all(map(len, groups)):
        raise ValueError("groups: each column stands in one group, and no group is empty")
    return players


def _transformed(pipeline: Any, rows: Any) -> Floats:
    """What the classifier is given, imputed and scaled column by column."""
    return np.asarray(pipeline[:-1].transform(rows), dtype=np.float64)


def _asked(pipeline: Any) -> Answer:
    """The classifier's probabilities (n, k) of transformed rows (n, d)."""
    import pandas as pd

    classifier = pipeline[-1]
    names = getattr(classifier, "feature_names_in_", None)
    return lambda z: np.asarray(
        classifier.predict_proba(z if names is None else pd.DataFrame(z, columns=names)), dtype=np.float64
    )


def _of_pipeline(pipeline: Any, rows: Any, background: Any, how: _How, *, late: bool = False) -> Attribution:
    """One pipeline's contributions; under late fusion all are wanted in probability."""
    wrapper = pipeline[-1]
    model = wrapper.estimator_ if type(wrapper).__name__ in _WRAPPERS else wrapper
    kind = type(model).__name__
    z, b = _transformed(pipeline, rows), _transformed(pipeline, background)
    if kind == "DummyClassifier" or (kind == "Rule" and not model.parts_):
        usual = model.predict_proba(b[:1])[0, how.positive]
        return Attribution(
            np.zeros((len(z), how.n_players)), np.full(len(z), usual), "closed form", "probability"
        )
    if kind in _FORESTS or (kind in _BOOSTED and not late):
        return _of_trees(model, z, b, how, "probability" if kind in _FORESTS else "log-odds")
    sum_of = None if late else additive(model, list(getattr(rows, "columns", ())), how.positive)
    if sum_of is not None:
        values, base = of_sum(*sum_of, z, b)
        return Attribution(how.summed(values), np.full(len(z), base), "closed form", "log-odds")
    smooth = type(wrapper).__name__ in _SMOOTH and not late
    ask = (_log_odds if smooth else _probability)(_asked(pipeline), how.positive)
    return how.sampled(ask, z, b, "log-odds" if smooth else "probability")


def _of_trees(model: Any, z: Floats, b: Floats, how: _How, unit: Unit) -> Attribution:
    values, base = of_trees(model, z, how.drawn(b))
    of_classes = np.moveaxis(values, -1, 0)
    if unit == "probability":
        mine, usual = of_classes[how.positive], base[how.positive]
    else:
        mine, usual = against(of_classes, how.positive), against(base, how.positive)
    return Attribution(how.summed(mine), np.full(len(z), usual), "exact, trees", unit)


def _probability(proba: Answer, positive: int) -> Answer:
    return lambda z: np.asarray(proba(z)[:, positive])


def _log_odds(proba: Answer, positive: int) -> Answer:
    return lambda z: against(np.log(np.maximum(proba(z), _CLIP)).T, positive)


def _calibrated(proba: Answer, sigmoid: Floats, positive: int) -> Answer:
    from classifiers.decision import calibrated

    return _probability(lambda z: calibrated(proba(z), sigmoid), positive)


def _heard(late: Any, x: Any) -> npt.NDArray[np.bool_]:
    """Which extractors each row's average is over, shape (n, extractors); see `Late.predict_proba`."""
    missing = np.isnan(np.asarray(x, dtype=np.float64))
    heard = np.array([~missing[:, columns].all(axis=1) for columns in late.columns_.values()]).T
    heard[~heard.any(axis=1)] = True
    return heard


def _late(late: Any, x: Any, b: Any, how: _How) -> Attribution:
    """Each extractor's contributions to its own probability, averaged as these are.

    A row's average is over the extractors that could compute it, and the background is asked about the same
    ones: `base` may differ between rows.
    """
    heard, taken = _heard(late, x), _taker(x)
    values, base, exact = np.zeros((len(x), how.n_players)), np.zeros(len(x)), True
    for part, (name, columns) in zip(heard.T, late.columns_.items(), strict=True):
        rows, everything = np.flatnonzero(part), np.arange(len(b))
        if not len(rows):
            continue
        own, players = np.unique(how.players[columns], return_inverse=True)
        found = _of_pipeline(
            late.pipelines_[name],
            taken(x, rows, columns),
            taken(b, everything, columns),
            replace(how, players=players),
            late=True,
        )
        share = 1 / heard[rows].sum(axis=1)
        values[np.ix_(rows, own)] += share[:, None] * found.values
        base[rows] += share * found.base
        exact &= found.method != "sampled"
    return Attribution(values, base, "exact, trees" if exact else "sampled", "probability")


def _taker(x: Any) -> Callable[[Any, Any, Any], Any]:
    if hasattr(x, "iloc"):
        return lambda x, rows, columns: x.iloc[rows, columns]
    return lambda x, rows, columns: x[np.ix_(rows, columns)]


def _late_calibrated(late: Any, x: Any, b: Any, how: _How, sigmoid: Floats) -> Attribution:
    """Where the average goes through a sigmoid it is no sum any more: sampled as a whole."""
    heard, z, bz = _heard(late, x), _filled(late, x), _filled(late, b)
    values, base = np.empty((len(z), how.n_players)), np.empty(len(z))
    said = [(_asked(late.pipelines_[name]), columns) for name, columns in late.columns_.items()]
    for pattern in np.unique(heard, axis=0):
        rows = np.flatnonzero((heard == pattern).all(axis=1))
        members = [said[i] for i in np.flatnonzero(pattern)]

        def average(z: Floats, members: list[tuple[Answer, Any]] = members) -> Floats:
            return np.asarray(np.mean([proba(z[:, columns]) for proba, columns in members], axis=0))

        found = how.sampled(_calibrated(average, sigmoid, how.positive), z[rows], bz, "probability")
        values[rows], base[rows] = found.values, found.base
    return Attribution(values, base, "sampled", "probability")


def _filled(late: Any, x: Any) -> Floats:
    """Rows as the extractors' classifiers are given them, columns in their old places."""
    z, taken = np.zeros(x.shape), _taker(x)
    for name, columns in late.columns_.items():
        z[:, columns] = _transformed(late.pipelines_[name], taken(x, np.arange(len(x)), columns))
    return z
