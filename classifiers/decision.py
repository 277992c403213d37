"""How a head's probabilities become a decision: calibration and the positive class's threshold.

Owns what is tuned inside the rows that a head is fitted on: the sigmoid that maps its probabilities to
shares of those rows, and the threshold. Folds keep groups whole. Refuses to know which classifier is
inside, and any row but those it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.utils.validation import check_is_fitted

from classifiers.blocks.fit import fitted
from classifiers.blocks.rows import in_double, row_blocks
from classifiers.splits import inner_folds

__all__ = [
    "CALIBRATIONS",
    "THRESHOLDS",
    "Decided",
    "LogOdds",
    "calibrated",
    "check_decided",
    "decide",
    "log_odds",
    "probabilities",
    "telling_folds",
]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

#: Probabilities are kept this far from 0 and 1 before their logarithm is taken.
_CLIP: Final = 1e-6

#: Log-odds of the thresholds that are tried: 281, evenly spaced, 0.5 in the middle.
_GRID: Final = np.linspace(-14.0, 14.0, 281)


def _counts(y: Rows, said: Rows, pos_label: int) -> tuple[int, int, int, int]:
    """True and false positives, false and true negatives."""
    true, positive = y == pos_label, said == pos_label
    hits, n_true, n_positive = int((true & positive).sum()), int(true.sum()), int(positive.sum())
    return hits, n_positive - hits, n_true - hits, len(y) - n_true - n_positive + hits


def _f1(y: Rows, said: Rows, pos_label: int) -> float:
    """scikit-learn's ``f1_score``, in a hundredth of its time."""
    tp, fp, fn, _ = _counts(y, said, pos_label)
    return 2 * tp / (2 * tp + fp + fn)


def _balanced_accuracy(y: Rows, said: Rows, pos_label: int) -> float:
    """scikit-learn's ``balanced_accuracy_score`` for two classes, in a hundredth of its time."""
    tp, fp, fn, tn = _counts(y, said, pos_label)
    return (tp / (tp + fn) + tn / (tn + fp)) / 2


#: ``threshold:`` -> what the best threshold is best by; both classes are among the rows.
THRESHOLDS: Final[dict[str, Callable[[Rows, Rows, int], float]]] = {
    "f1": _f1,
    "balanced_accuracy": _balanced_accuracy,
}

CALIBRATIONS: Final = ("none", "sigmoid")


def probabilities(model: Any, X: Any) -> Floats:
    """What a fitted pipeline says, as float64 rows that sum to 1; shape (n, k)."""
    proba = np.vstack(
        [np.asarray(model.predict_proba(in_double(some)), dtype=np.float64) for some in row_blocks(X)]
    )
    return np.asarray(proba / proba.sum(axis=1, keepdims=True))


def log_odds(proba: Floats) -> Floats:
    """log(p / (1 - p)) of each class, shape (n, k); of two classes the second alone, shape (n, 1)."""
    clipped = np.clip(proba[:, 1:] if proba.shape[1] == 2 else proba, _CLIP, 1 - _CLIP)
    return np.asarray(np.log(clipped / (1 - clipped)))


def calibrated(proba: Floats, sigmoid: Floats) -> Floats:
    """Probabilities mapped by fitted sigmoids (Platt 1999), each row summing to 1.

    Parameters
    ----------
    proba : ndarray of float64, shape (n, k)
    sigmoid : ndarray of float64, shape (k, 2), or (1, 2) for two classes
        Slope a and intercept b of each class against the rest: p = 1 / (1 + exp(a z + b)), z its log-odds.
    """
    said = expit(-(log_odds(proba) * sigmoid[:, 0] + sigmoid[:, 1]))
    if proba.shape[1] == 2:
        return np.column_stack([1 - said[:, 0], said[:, 0]])
    total = said.sum(axis=1, keepdims=True)
    even = np.full_like(said, 1 / said.shape[1])
    return np.asarray(np.divide(said, total, out=even, where=total != 0))


class LogOdds(ClassifierMixin, BaseEstimator):
    """A pipeline whose decision function is the log-odds of its probabilities.

    So a sigmoid of slope -1 and intercept 0 changes nothing, and a calibrated pipeline stays as it is.

    Parameters
    ----------
    estimator : Pipeline or classifiers.fusion.Late
        Unfitted.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
    estimator_ : Pipeline or Late
        The fitted clone.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Rows) -> LogOdds:
        """Fit a clone on ``X`` (n, d) and codes ``y`` (n,)."""
        self.classes_ = np.unique(y)
        self.estimator_ = fitted(clone(self.estimator), X, y)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Log-odds, shape (n, k), or (n,) for two classes."""
        check_is_fitted(self)
        odds = log_odds(probabilities(self.estimator_, X))
        return odds[:, 0] if odds.shape[1] == 1 else odds

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likeliest class of each row; scikit-learn asks that it be there."""
        check_is_fitted(self)
        likeliest: npt.NDArray[Any] = self.classes_[probabilities(self.estimator_, X).argmax(axis=1)]
        return likeliest


def telling_folds(codes: Rows, groups: npt.NDArray[Any] | None, *, seed: int) -> list[tuple[Rows, Rows]]:
    """`inner_folds` whose scored rows hold every class: only these can say which choice is better.

    Returns
    -------
    list of (fitted, scored)
        Positions. Where groups leave no such fold, folds by class alone.
    """
    n_classes = len(np.unique(codes))

    def telling(groups: npt.NDArray[Any] | None) -> list[tuple[Rows, Rows]]:
        folds = inner_folds(codes, groups, seed=seed)
        return [fold for fold in folds if len(np.unique(codes[fold[1]])) == n_classes]

    return telling(groups) or telling(None)


@dataclass(frozen=True)
class Decided:
    """A fitted pipeline and what was tuned beside it.

    Attributes
    ----------
    pipeline : Pipeline or classifiers.fusion.Late
        Fitted on all rows.
    sigmoid : ndarray of float64, or None
        As `calibrated` takes it; None = not calibrated.
    threshold : float or None
        Of the positive class's probability; None = the likeliest class.
    """

    pipeline: Any
    sigmoid: Floats | None
    threshold: float | None


class _Positions(ClassifierMixin, BaseEstimator):
    """A head's pipeline that is handed positions of rows, so that its groups go along through any fold.

    scikit-learn's threshold tuner knows rows and labels alone. Clones share the table.
    """

    def __init__(
        self, pipeline: Any, X: Any, groups: npt.NDArray[Any] | None, calibration: str, seed: int
    ) -> None:
        self.pipeline = pipeline
        self.X = X
        self.groups = groups
        self.calibration = calibration
        self.seed = seed

    def __sklearn_clone__(self) -> _Positions:
        return _Positions(self.pipeline, self.X, self.groups, self.calibration, self.seed)

    def fit(self, positions: Rows, codes: Rows) -> _Positions:
        self.classes_ = np.unique(codes)
        X = self._taken(positions)
        self.sigmoid_ = None
        if self.calibration == "none":
            self.pipeline_ = fitted(clone(self.pipeline), X, codes)
        else:
            groups = None if self.groups is None else self.groups[positions]
            self.pipeline_, self.sigmoid_ = _calibrate(self.pipeline, X, codes, groups, self.seed)
        return self

    def predict_proba(self, positions: Rows) -> Floats:
        proba = probabilities(self.pipeline_, self._taken(positions))
        return proba if self.sigmoid_ is None else calibrated(proba, self.sigmoid_)

    def _taken(self, positions: Rows) -> Any:
        if np.array_equal(positions, np.arange(len(self.X))):
            return self.X
        return self.X.iloc[positions] if hasattr(self.X, "iloc") else self.X[positions]


def _calibrate(
    pipeline: Any, X: Any, codes: Rows, groups: npt.NDArray[Any] | None, seed: int
) -> tuple[Any, Floats]:
    """The pipeline fitted on all rows, and sigmoids fitted on what its likes say of rows they did not see."""
    folds = inner_folds(codes, groups, seed=seed)
    found = CalibratedClassifierCV(LogOdds(pipeline), method="sigmoid", cv=folds, ensemble=False)
    (whole,) = found.fit(X, codes).calibrated_classifiers_
    sigmoid = np.array([[one.a_, one.b_] for one in whole.calibrators], dtype=np.float64)
    return whole.estimator.estimator_, sigmoid


def decide(
    pipeline: Any,
    X: Any,
    codes: Rows,
    groups: npt.NDArray[Any] | None,
    *,
    threshold: str,
    calibration: str,
    positive: int,
    seed: int,
) -> Decided:
    """Fit a clone of a pipeline, and tune beside it what is asked for.

    With both, the threshold is tuned on calibrated probabilities, each fold calibrated inside itself. Of
    equally good thresholds the one nearest to 0.5 is taken.

    Parameters
    ----------
    pipeline : Pipeline or classifiers.fusion.Late
        Unfitted.
    X : DataFrame or ndarray, shape (n, d)
    codes : ndarray of intp, shape (n,)
    groups : ndarray, shape (n,), or None
        Stay whole in every fold.
    threshold : str
        ``default`` or a key of `THRESHOLDS`.
    calibration : str
        One of `CALIBRATIONS`.
    positive : int
        Code of the class whose threshold is tuned.
    seed : int
        Of the folds.

    Raises
    ------
    ValueError
        If a value is none of these, a threshold is asked for of more than two classes, or a class has a
        single row.
    """
    if calibration not in CALIBRATIONS or threshold not in ("default", *THRESHOLDS):
        raise ValueError(f"no decision by threshold {threshold!r} and calibration {calibration!r}")
    model, positions = _Positions(pipeline, X, groups, calibration, seed), np.arange(len(codes))
    if threshold == "default":
        model.fit(positions, codes)
        return Decided(model.pipeline_, model.sigmoid_, None)
    tuned = TunedThresholdClassifierCV(
        model,
        scoring=make_scorer(THRESHOLDS[threshold], pos_label=positive),
        response_method="predict_proba",
        thresholds=expit(_GRID),  # given, so that folds share them and a constant answer is no error
        cv=telling_folds(codes, groups, seed=seed),
        store_cv_results=True,
    ).fit(positions, codes)
    scores = tuned.cv_results_["scores"]
    best = np.where(scores >= scores.max() - 1e-12, np.abs(_GRID), np.inf).argmin()
    return Decided(tuned.estimator_.pipeline_, tuned.estimator_.sigmoid_, float(expit(_GRID[best])))


def check_decided(head: Any) -> None:
    """Whether a loaded head's threshold and sigmoid are what `decide` could have left.

    Raises
    ------
    AttributeError, TypeError, ValueError
    """
    state, k = vars(head), len(head.classes_)
    tuned, mapped = state.get("threshold", "default") != "default", state.get("calibration", "none") != "none"
    if tuned != ("threshold_" in state) or mapped != ("sigmoid_" in state):
        raise ValueError("a threshold or a calibration is missing, or was not asked for")
    if tuned:
        at, positive = state["threshold_"], state["positive"]
        if type(at) is not float or not 0 <= at <= 1:
            raise ValueError("threshold_ is no number from 0 to 1")
        if k != 2 or type(positive) is not int or positive not in (0, 1):
            raise ValueError("a threshold is for two classes, one of them positive")
    if mapped:
        sigmoid, shape = state["sigmoid_"], (1 if k == 2 else k, 2)
        sound = isinstance(sigmoid, np.ndarray) and (sigmoid.dtype, sigmoid.shape) == (np.float64, shape)
        if not sound or not np.isfinite(sigmoid).all():
            raise ValueError("sigmoid_ is no slope and intercept of each class")
