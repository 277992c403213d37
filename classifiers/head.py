"""The thin estimator around a head's Pipeline.

Owns what every head must do alike: check rows, encode labels, keep the columns' names, give
probabilities of float64 that sum to 1, search, calibrate and tune before the last fit where that is
asked for. Refuses to know which classifier is inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags, assert_all_finite, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from classifiers.blocks.fit import fitted
from classifiers.blocks.rows import many, row_blocks
from classifiers.decision import calibrated, decide, probabilities
from classifiers.fusion import Late, members, template
from classifiers.search import Candidate, best

__all__ = ["Head"]

Floats = npt.NDArray[np.float64]

#: What a fit leaves only where it was asked for.
_TUNED = ("searched_", "sigmoid_", "threshold_")


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
    positive : int
        Code of the class that a threshold is tuned for.
    threshold : {"default", "f1", "balanced_accuracy"}
        ``default`` answers the likeliest class. The others tune the threshold of the positive of two
        classes.
    calibration : {"none", "sigmoid"}
        Whether probabilities are mapped to shares of the rows that are fitted on.
    candidates : sequence of (dict, pipeline), optional
        Params and the pipelines that they make: the best by inner folds takes the place of `pipeline`.
    seed : int
        Of the inner folds.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
        Labels, sorted.
    pipeline_ : Pipeline or Late
        The fitted clone; it knows labels as codes 0 to k - 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of object, shape (d,)
        Where `fit` was given a DataFrame.
    threshold_ : float
        Where one was tuned: the positive class is answered where its probability is this or more.
    sigmoid_ : ndarray of float64, shape (k, 2), or (1, 2) for two classes
        Where it is calibrated; see `classifiers.decision.calibrated`.
    searched_ : dict
        Where there are candidates; see `classifiers.search.best`.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        positive: int = 1,
        threshold: str = "default",
        calibration: str = "none",
        candidates: Sequence[Candidate] | None = None,
        seed: int = 0,
    ) -> None:
        self.pipeline = pipeline
        self.positive = positive
        self.threshold = threshold
        self.calibration = calibration
        self.candidates = candidates
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        inner = get_tags(template(self.pipeline)[-1]).classifier_tags
        tags.classifier_tags.poor_score = inner is not None and inner.poor_score
        tags.classifier_tags.multi_class = self.threshold == "default"
        return tags

    def fit(self, X: Any, y: Any, groups: Any = None) -> Head:
        """Fit a clone of the pipeline, after what is to be searched, calibrated and tuned.

        Parameters
        ----------
        X : DataFrame or array-like, shape (n, d)
            Rows; NaN where a row could not be computed.
        y : array-like, shape (n,)
            Labels of two or more classes.
        groups : array-like, shape (n,), optional
            Rows of one group stay together in the inner folds; without, folds are drawn by class alone.

        Raises
        ------
        ValueError
            If a value is infinite, ``X`` and ``y`` do not match, ``y`` holds one class only, or a class has
            too few rows for what is tuned.
        """
        X, y = self._valid(X, y)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"a head needs rows of 2 or more classes; here is one class: {classes[0]!r}")
        self._check_positive(len(classes))
        if groups is not None:
            groups = column_or_1d(groups)
            check_consistent_length(X, groups)
        self.classes_ = classes
        for name in _TUNED:  # of an earlier fit
            if name in vars(self):
                delattr(self, name)
        self._fit_pipeline(self._named(X), codes, groups)
        return self

    def _check_positive(self, n_classes: int) -> None:
        if self.threshold == "default":
            return
        if n_classes > 2:
            raise ValueError(
                "Only binary classification is supported with a tuned threshold. "
                f"The type of the target is multiclass: {n_classes} classes."
            )
        if self.positive not in (0, 1):
            raise ValueError(f"positive: {self.positive!r} is the code of none of 2 classes")

    def _fit_pipeline(self, X: Any, codes: npt.NDArray[np.intp], groups: npt.NDArray[Any] | None) -> None:
        pipeline = self.pipeline
        if self.candidates is not None:
            self.searched_, pipeline = best(self.candidates, X, codes, groups, seed=self.seed)
        if (self.threshold, self.calibration) == ("default", "none"):
            self.pipeline_ = fitted(clone(pipeline), X, codes)
            return
        decided = decide(
            pipeline,
            X,
            codes,
            groups,
            threshold=self.threshold,
            calibration=self.calibration,
            positive=self.positive,
            seed=self.seed,
        )
        self.pipeline_ = decided.pipeline
        if decided.sigmoid is not None:
            self.sigmoid_ = decided.sigmoid
        if decided.threshold is not None:
            self.threshold_ = decided.threshold

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
        proba = probabilities(self.pipeline_, rows)
        sigmoid = getattr(self, "sigmoid_", None)
        return proba if sigmoid is None else calibrated(proba, sigmoid)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The label of each row, shape (n,).

        The positive one where its probability reaches ``threshold_``; where none was tuned the likeliest,
        the first of those that are equally likely.
        """
        return self.decide(self.predict_proba(X))

    def decide(self, proba: Floats) -> npt.NDArray[Any]:
        """What `predict` answers where `predict_proba` gave ``proba`` (n, k): so that rows are asked once."""
        check_is_fitted(self)
        at = getattr(self, "threshold_", None)
        if at is None:
            codes = proba.argmax(axis=1)
        else:
            codes = np.where(proba[:, self.positive] >= at, self.positive, 1 - self.positive)
        labels: npt.NDArray[Any] = self.classes_[codes]
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
        return self._named(self._valid(X, reset=False))

    def _valid(self, *given: Any, reset: bool = True) -> Any:
        """Rows, and labels with them, as arrays: of float64, or as they are where they are many."""
        if not many(given[0]):
            return validate_data(self, *given, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        dtypes = [np.float64, np.float32]
        valid = validate_data(self, *given, reset=reset, dtype=dtypes, ensure_all_finite=False)
        for block in row_blocks(valid[0] if len(given) > 1 else valid):
            assert_all_finite(block, allow_nan=True, estimator_name="Head", input_name="X")
        return valid

    def _named(self, X: Floats) -> Any:
        names = getattr(self, "feature_names_in_", None)
        return X if names is None else pd.DataFrame(X, columns=names, copy=False)
