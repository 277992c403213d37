"""Class weighting for classifiers that have no ``class_weight``.

Each wrapper makes every class count the same, whatever its share of the train rows, by the means
that its estimator offers: sample weights, uniform priors, or votes divided by the class's share.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.class_weight import compute_sample_weight

__all__ = ["Balanced", "BalancedVotes", "Calibrated", "EarlyStopped", "UniformPriors"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


class Balanced(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Weight every row by n / (k x rows of its class).

    Parameters
    ----------
    estimator : classifier
        Its ``fit`` takes ``sample_weight``.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
    estimator_ : classifier
        The fitted clone.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Floats, y: Codes) -> Balanced:
        """Fit a clone on ``X`` (n, d) and codes ``y`` (n,)."""
        self.classes_, counts = np.unique(y, return_counts=True)
        self.estimator_ = self._fitted(clone(self.estimator), X, y, counts)
        return self

    def _fitted(self, estimator: Any, X: Floats, y: Codes, counts: npt.NDArray[np.intp]) -> Any:
        return estimator.fit(X, y, sample_weight=compute_sample_weight("balanced", y))

    def predict_proba(self, X: Floats) -> Floats:
        """Probabilities (n, k)."""
        return np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)

    def predict(self, X: Floats) -> npt.NDArray[Any]:
        """The likeliest class of each row."""
        likeliest: npt.NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest


class UniformPriors(Balanced):
    """Give every class the prior 1 / k: for generative models that take ``priors``."""

    def _fitted(self, estimator: Any, X: Floats, y: Codes, counts: npt.NDArray[np.intp]) -> Any:
        return estimator.set_params(priors=np.full(len(counts), 1 / len(counts))).fit(X, y)


class BalancedVotes(Balanced):
    """Divide the neighbours' votes by the class's share of the train rows.

    The same as a weight on every neighbour, which `KNeighborsClassifier` does not offer. Never asks
    for more neighbours than there are rows.
    """

    def _fitted(self, estimator: Any, X: Floats, y: Codes, counts: npt.NDArray[np.intp]) -> Any:
        self.share_ = counts / counts.sum()
        return estimator.set_params(n_neighbors=min(estimator.n_neighbors, len(y))).fit(X, y)

    def predict_proba(self, X: Floats) -> Floats:
        """Probabilities (n, k)."""
        votes = super().predict_proba(X) / self.share_
        return np.asarray(votes / votes.sum(axis=1, keepdims=True))


class Calibrated(Balanced):
    """Turn a decision function into probabilities by a cross-validated sigmoid (Platt 1999).

    The folds lie inside the train rows: five, or as many as the smallest class has rows. Both the
    estimator and the sigmoid are weighted.
    """

    def _fitted(self, estimator: Any, X: Floats, y: Codes, counts: npt.NDArray[np.intp]) -> Any:
        if counts.min() < 2:
            scarce = self.classes_[counts.argmin()]
            raise ValueError(f"class {scarce} has one row; calibration by folds needs 2 of each class")
        folds = StratifiedKFold(
            n_splits=min(5, int(counts.min())), shuffle=True, random_state=estimator.random_state
        )
        calibrated = CalibratedClassifierCV(estimator, method="sigmoid", cv=folds, ensemble=False)
        return super()._fitted(calibrated, X, y, counts)


class EarlyStopped(Balanced):
    """Train a `MLPClassifier` until its score on held-out train rows stops rising.

    Where a class has too few rows to hold some out, it trains until the loss stops falling.

    Attributes
    ----------
    loss_curve_ : list of dict
        For each epoch ``epoch`` (from 1), ``loss`` (train) and, with early stopping,
        ``validation_score`` (accuracy on the rows held out, classes weighted the same).
    """

    def _fitted(self, estimator: Any, X: Floats, y: Codes, counts: npt.NDArray[np.intp]) -> Any:
        n_held_out = int(np.ceil(estimator.validation_fraction * len(y)))
        enough = counts.min() >= 2 and min(n_held_out, len(y) - n_held_out) >= len(counts)
        n_train = len(y) - n_held_out if enough else len(y)
        estimator.set_params(early_stopping=bool(enough), batch_size=min(estimator.batch_size, n_train))
        with warnings.catch_warnings():
            # The number of epochs is a budget: to spend it is no fault.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = super()._fitted(estimator, X, y, counts)
        scores = fitted.validation_scores_ or []
        self.loss_curve_ = [
            {"epoch": epoch, "loss": float(loss)} for epoch, loss in enumerate(fitted.loss_curve_, start=1)
        ]
        for row, score in zip(self.loss_curve_, scores, strict=False):
            row["validation_score"] = float(score)
        return fitted
