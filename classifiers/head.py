"""The thin estimator around a head's Pipeline.

Owns what every head must do alike: check rows, encode labels, keep the columns' names, give
probabilities of float64 that sum to 1. Refuses to know which classifier is inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from classifiers.fusion import Late, members, template

__all__ = ["Head"]

Floats = npt.NDArray[np.float64]


def _classifier_has(name: str) -> Any:
    def check(head: Head) -> bool:
        fitted = getattr(head, "pipeline_", None)
        return hasattr(template(head.pipeline if fitted is None else fitted)[-1], name)

    return check


class Head(ClassifierMixin, BaseEstimator):
    """A classifier of feature rows; made by `classifiers.registry.make_head`.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline or classifiers.fusion.Late
        Unfitted; it imputes for itself and gives ``predict_proba``. Never changed: `fit` clones it.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
        Labels, sorted.
    pipeline_ : Pipeline or Late
        The fitted clone; it knows labels as codes 0 to k - 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of object, shape (d,)
        Where `fit` was given a DataFrame.
    """

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        inner = get_tags(template(self.pipeline)[-1]).classifier_tags
        tags.classifier_tags.poor_score = inner is not None and inner.poor_score
        return tags

    def fit(self, X: Any, y: Any) -> Head:
        """Fit a clone of the pipeline.

        Parameters
        ----------
        X : DataFrame or array-like, shape (n, d)
            Rows; NaN where a row could not be computed.
        y : array-like, shape (n,)
            Labels of two or more classes.

        Raises
        ------
        ValueError
            If a value is infinite, ``X`` and ``y`` do not match, or ``y`` holds one class only.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"a head needs rows of 2 or more classes; here is one class: {classes[0]!r}")
        self.classes_ = classes
        self.pipeline_ = clone(self.pipeline).fit(self._named(X), codes)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities of the classes.

        Parameters
        ----------
        X : DataFrame or array-like, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n, k)
            Columns in the order of ``classes_``; each row sums to 1.
        """
        rows = self._checked(X)
        proba = np.asarray(self.pipeline_.predict_proba(rows), dtype=np.float64)
        return np.asarray(proba / proba.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likeliest label of each row, shape (n,); the first of those that are equally likely."""
        proba = self.predict_proba(X)
        labels: npt.NDArray[Any] = self.classes_[proba.argmax(axis=1)]
        return labels

    @available_if(_classifier_has("parts"))  # type: ignore[untyped-decorator]
    def parts(self, X: Any) -> pd.DataFrame:
        """What each part of a rule adds to each row's score (``convention`` only).

        Returns
        -------
        DataFrame, shape (n, parts)
            One column a hypothesis; a row's sum is its score.
        """
        rows = self._checked(X)
        imputed = self.pipeline_[:-1].transform(rows)
        parts: pd.DataFrame = self.pipeline_[-1].parts(imputed)
        return parts

    @property
    def loss_curve_(self) -> list[dict[str, Any]]:
        """Epoch, loss and validation score of each epoch (``mlp`` only).

        Under late fusion one curve an extractor, one after the other, each row with its ``extractor``.
        """
        curves = {
            name: getattr(pipeline[-1], "loss_curve_", None)
            for name, pipeline in members(self.pipeline_).items()
        }
        if None in curves.values():
            raise AttributeError("this head keeps no loss curve")
        late = isinstance(self.pipeline_, Late)
        return [
            {"extractor": name, **row} if late else row
            for name, curve in curves.items()
            for row in curve or ()
        ]

    def _checked(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._named(
            validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        )

    def _named(self, X: Floats) -> Any:
        names = getattr(self, "feature_names_in_", None)
        return X if names is None else pd.DataFrame(X, columns=names, copy=False)
