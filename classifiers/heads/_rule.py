"""The classifier behind ``convention``: a fixed rule over named columns.

Of the labels it takes only each class's share, to divide what the positive class leaves among the
others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from extractors.conventions import weights_of

__all__ = ["Rule"]

#: What a joined store puts before the names of the columns that the conventions speak of.
_PREFIX = "design/"


class Rule(ClassifierMixin, BaseEstimator):
    """P(positive) = sigmoid(score / temperature), the score a sum of signed parts.

    The score is that of `extractors.conventions.convention_scores` over the rows it was fitted on;
    where no column of a hypothesis is there, every row gets the classes' shares.

    Parameters
    ----------
    positive : int
        Code of the class that the signs speak for.
    temperature : float
        Divides the score.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
    parts_ : list of str
        Hypotheses with at least one column; empty if the rule knows no column of ``X``.
    weights_ : dict of str to dict of str to float
        Hypothesis -> column -> weight of the standardised column in the score.
    mean_, scale_ : dict of str to float
        By column, over the train rows; a constant column has scale 1.
    """

    def __init__(self, positive: int = 1, temperature: float = 0.4) -> None:
        self.positive = positive
        self.temperature = temperature

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # it learns nothing, so it may be wrong
        return tags

    def fit(self, X: Any, y: npt.NDArray[np.intp]) -> Rule:
        """Take the columns' means and scales from ``X`` (n, d), the classes' shares from ``y``."""
        self.classes_, counts = np.unique(y, return_counts=True)
        if not 0 <= self.positive < len(self.classes_):
            raise ValueError(f"class {self.positive} is the positive one and has no row")
        self.share_ = counts / counts.sum()
        names = [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else []
        weights = weights_of([name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX)])
        self.parts_ = list(weights)
        self.weights_ = {
            hypothesis: {_PREFIX + column: weight for column, weight in signs.items()}
            for hypothesis, signs in weights.items()
        }
        self.mean_: dict[str, float] = {}
        self.scale_: dict[str, float] = {}
        for name in (name for weights in self.weights_.values() for name in weights):
            column = np.asarray(X[name], dtype=np.float64)
            self.mean_[name] = float(column.mean())
            self.scale_[name] = float(column.std()) or 1.0
        return self

    def parts(self, X: pd.DataFrame) -> pd.DataFrame:
        """What each hypothesis adds to each row's score; the rows' sums are the scores.

        Parameters
        ----------
        X : DataFrame, shape (n, d)
            Imputed rows.

        Returns
        -------
        DataFrame, shape (n, len(parts_))
        """
        check_is_fitted(self)
        out = pd.DataFrame(index=X.index)
        for hypothesis, weights in self.weights_.items():
            out[hypothesis] = sum(
                weight * (X[name].astype(np.float64) - self.mean_[name]) / self.scale_[name]
                for name, weight in weights.items()
            )
        return out

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probabilities (n, k)."""
        check_is_fitted(self)
        if not self.parts_:
            return np.tile(self.share_, (len(X), 1))
        score = self.parts(X).to_numpy().sum(axis=1)
        others = np.delete(self.share_, self.positive)
        p = expit(score / self.temperature)
        proba = np.outer(1 - p, np.insert(others / others.sum(), self.positive, 0.0))
        proba[:, self.positive] = p
        return proba

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likeliest class of each row."""
        likeliest: npt.NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest
