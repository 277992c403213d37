"""A head's pipeline fitted on many rows: each step a block at a time, no second copy of the rows.

Owns how imputer and scaler are fitted so, and which classifiers can be (`logistic`, `boosting`). What comes
out is the pipeline that scikit-learn would have fitted: of the same types, asked and saved in the same way.
Refuses to know heads by name, folds and files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from classifiers.blocks.rows import imputed, in_double, many, row_blocks

__all__ = ["fitted"]

Codes = npt.NDArray[np.intp]


def fitted(pipeline: Any, X: Any, codes: Codes) -> Any:
    """A pipeline, fitted: at once as ever, or in blocks where rows are `classifiers.blocks.rows.many`.

    Logistic regression finds the optimum that scikit-learn's does, to the solver's tolerance; boosted trees
    are grown on bins whose bounds are quantiles of 200,000 rows at most. Any other classifier is given the
    imputed and scaled rows as a matrix of float64.

    Parameters
    ----------
    pipeline : Pipeline or classifiers.fusion.Late
        Unfitted; changed. A `Late` fits its own pipelines through this.
    X : DataFrame or ndarray, shape (n, d)
    codes : ndarray of intp, shape (n,)

    Returns
    -------
    Pipeline or Late
    """
    if not hasattr(pipeline, "steps"):
        return pipeline.fit(X, codes)
    if not many(X):
        return pipeline.fit(in_double(X), codes)
    from classifiers.blocks.boosting import fit_histograms, fit_xgboost
    from classifiers.blocks.logistic import fit_logistic

    (_, impute), *between, (_, classifier) = pipeline.steps
    rows = imputed(X)
    impute.fit(in_double(next(row_blocks(X))))
    impute.statistics_ = rows.filled
    before = [impute]
    for _, step in between:
        _fit_step(step, before, X)
        before.append(step)
    kind = type(getattr(classifier, "estimator", classifier)).__name__
    if kind == "LogisticRegression":
        fit_logistic(classifier, rows, codes, *_affine(before, rows.shape[1]))
    elif kind == "XGBClassifier":
        fit_xgboost(classifier, rows, codes)
    elif kind == "HistGradientBoostingClassifier":
        fit_histograms(classifier, rows, codes)
    else:
        classifier.fit(_whole(before, X), codes)
    return pipeline


def _through(steps: Sequence[Any], block: Any) -> Any:
    """A block behind some fitted steps."""
    block = in_double(block)
    for step in steps:
        block = step.transform(block)
    return block


def _fit_step(step: Any, before: Sequence[Any], X: Any) -> None:
    """Fit a step: what can learn bit by bit on all rows, what looks at the columns' names alone on some."""
    for block in row_blocks(X):
        if not hasattr(step, "partial_fit"):
            step.fit(_through(before, block))
            return
        step.partial_fit(_through(before, block))


def _affine(steps: Sequence[Any], d: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centre and scale of each column behind some fitted steps."""
    centre, scale = np.zeros(d), np.ones(d)
    for step in steps:
        if hasattr(step, "mean_"):
            centre, scale = step.mean_, step.scale_
        if hasattr(step, "factor_"):
            scale = scale / step.factor_
    return centre, scale


def _whole(steps: Sequence[Any], X: Any) -> Any:
    """All rows behind some fitted steps; a table where they give tables."""
    whole, at = np.empty(X.shape), 0
    for block in row_blocks(X):
        made = _through(steps, block)
        whole[at : at + len(made)] = made
        at += len(made)
    return pd.DataFrame(whole, columns=made.columns, copy=False) if isinstance(made, pd.DataFrame) else whole
