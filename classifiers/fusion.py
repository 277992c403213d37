"""How the columns of several extractors meet in one head: ``fusion:`` in params.yaml.

Owns which columns belong together (the part of a name before its slash), the scaling of blocks and
late fusion. Refuses to know which classifier is inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from classifiers.blocks.fit import fitted
from featurestore.params import FusionParams

__all__ = ["BlockScaler", "Late", "fused", "members", "template"]

Floats = npt.NDArray[np.float64]
Columns = npt.NDArray[np.int64]


def _blocks(X: Any) -> dict[str, Columns]:
    """Extractor -> positions of its columns; names without a slash, or no names, are one block."""
    names = [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else [""] * X.shape[1]
    owner = np.array([name.partition("/")[0] if "/" in name else "" for name in names])
    return {str(block): np.flatnonzero(owner == block) for block in dict.fromkeys(owner.tolist())}


def _take(X: Any, columns: Columns) -> Any:
    return X.iloc[:, columns] if isinstance(X, pd.DataFrame) else X[:, columns]


class BlockScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Let every extractor's columns weigh the same together, however many they are.

    Columns come standardised. Each is divided by the root of how many its block has, and multiplied
    by one number for all, sqrt(d / blocks), so that the rows' length stays what it was and a single
    block is not changed at all.

    Attributes
    ----------
    factor_ : ndarray of float64, shape (d,)
    """

    def fit(self, X: Any, y: Any = None) -> BlockScaler:
        """Learn the blocks from the columns' names; ``X`` is a DataFrame (n, d)."""
        blocks = _blocks(X)
        self.n_features_in_ = X.shape[1]
        self.factor_ = np.empty(X.shape[1])
        for columns in blocks.values():
            self.factor_[columns] = np.sqrt(X.shape[1] / (len(blocks) * len(columns)))
        return self

    def transform(self, X: Any) -> Floats:
        """``X`` (n, d) times the factors."""
        check_is_fitted(self)
        scaled: Floats = np.asarray(X, dtype=np.float64) * self.factor_
        return scaled


class Late(ClassifierMixin, BaseEstimator):
    """One pipeline an extractor, their probabilities averaged.

    A row takes the average over the extractors that could compute it; a row that none could
    compute, over what all say of imputed values. An extractor without a value in any row that was
    fitted on is left out.

    Parameters
    ----------
    pipeline : Pipeline
        Unfitted; cloned for each extractor.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
    columns_ : dict of str to ndarray of int64
        Extractor -> positions of its columns.
    pipelines_ : dict of str to Pipeline
        Extractor -> its fitted clone.
    """

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def fit(self, X: Any, y: npt.NDArray[np.intp]) -> Late:
        """Fit a clone on each block of ``X`` (n, d) and codes ``y`` (n,)."""
        blocks, missing = _blocks(X), np.isnan(np.asarray(X))
        there = {name: columns for name, columns in blocks.items() if not missing[:, columns].all()}
        self.classes_ = np.unique(y)
        self.columns_ = there or blocks
        self.pipelines_ = {
            name: fitted(clone(self.pipeline), _take(X, columns), y)
            for name, columns in self.columns_.items()
        }
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities (n, k)."""
        check_is_fitted(self)
        missing = np.isnan(np.asarray(X))
        heard = np.array([~missing[:, columns].all(axis=1) for columns in self.columns_.values()])
        heard |= ~heard.any(axis=0)
        total = np.zeros((len(X), len(self.classes_)))
        for (name, columns), ok in zip(self.columns_.items(), heard, strict=True):
            said = np.asarray(self.pipelines_[name].predict_proba(_take(X, columns)), dtype=np.float64)
            total += np.where(ok[:, None], said, 0.0)
        average: Floats = total / heard.sum(axis=0)[:, None]
        return average


def template(model: Any) -> Any:
    """The pipeline that a head's unfitted or fitted model is made of, or made of clones of."""
    return model.pipeline if isinstance(model, Late) else model


def members(model: Any) -> dict[str, Any]:
    """The fitted pipelines of a head's fitted model: by extractor under late fusion, else under ``""``."""
    return dict(model.pipelines_) if isinstance(model, Late) else {"": model}


def fused(pipeline: Any, how: FusionParams) -> Any:
    """A head's pipeline as ``fusion:`` wants it.

    Parameters
    ----------
    pipeline : Pipeline
        Unfitted, from a head's ``build``; changed in place.
    how : FusionParams
        ``block_scaling`` means nothing to late fusion, whose pipelines have one block each.

    Returns
    -------
    Pipeline or Late
        A rule is left alone: its columns are of one extractor, so there is nothing to average.
    """
    if how.method == "late":
        return pipeline if hasattr(pipeline[-1], "parts") else Late(pipeline)
    names = [name for name, _ in pipeline.steps]
    if how.block_scaling and "scale" in names:
        at = names.index("scale") + 1
        for _, step in pipeline.steps[:at]:
            step.set_output(transform="pandas")  # the scaler needs the columns' names
        pipeline.steps.insert(at, ("blocks", BlockScaler()))
    return pipeline
