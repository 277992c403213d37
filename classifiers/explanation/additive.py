"""Classifiers whose log-odds are a sum over columns, and the sum.

Log-odds of one among several classes are against the geometric mean of the others: log p less the mean of
their log p; of two classes that is log(p / (1 - p)). So those of a softmax over linear scores are linear.

Owns what logistic regression, discriminant analysis, naive Bayes and the convention's rule have in common.
Refuses to know pipelines and backgrounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Sum", "additive", "against"]

Floats = npt.NDArray[np.float64]

#: What each column adds, rows (n, d) to (n, d); and what stands beside it.
Sum = tuple[Callable[[Floats], Floats], float]

_LINEAR: Final = frozenset({"LogisticRegression", "LinearDiscriminantAnalysis"})


def against(scores: Floats, positive: int) -> Floats:
    """Of scores of classes along the first axis, the positive's less the mean of the others'.

    Examples
    --------
    >>> float(against(np.array([1.0, 2.0, 6.0]), 1))
    -1.5
    """
    return np.asarray(scores[positive] - np.delete(scores, positive, axis=0).mean(axis=0))


def additive(model: Any, names: Sequence[str], positive: int) -> Sum | None:
    """A fitted classifier's log-odds of one class as a sum over columns; None if they are none.

    Parameters
    ----------
    model : classifier
        Without pipeline and wrapper.
    names : sequence of str
        Of its columns; only a rule asks.
    positive : int
        Code of the class.
    """
    kind = type(model).__name__
    if kind in _LINEAR:
        return _linear(model, positive)
    if kind == "GaussianNB":
        return _naive(model, positive)
    return _rule(model, list(names), positive) if kind == "Rule" else None


def _linear(model: Any, positive: int) -> Sum:
    slopes, intercepts = model.coef_, model.intercept_
    if len(slopes) == 1:  # of the second of two classes
        slopes, intercepts = np.vstack([0 * slopes, slopes]), np.array([0.0, *intercepts])
    slope = against(slopes, positive)
    return lambda z: z * slope, float(against(intercepts, positive))


def _naive(model: Any, positive: int) -> Sum:
    """Columns are independent given the class, so their log-likelihoods add up."""
    mean, variance = model.theta_[:, None, :], model.var_[:, None, :]
    beside = np.log(model.class_prior_) - 0.5 * np.log(2 * np.pi * model.var_).sum(axis=1)
    return (
        lambda z: against(-0.5 * (z - mean) ** 2 / variance, positive),
        float(against(beside, positive)),
    )


def _rule(model: Any, names: list[str], positive: int) -> Sum:
    """The convention's score over its temperature; between the other classes only their shares tell."""
    weight, beside = np.zeros(len(names)), 0.0
    for signs in model.weights_.values():
        for name, sign in signs.items():
            slope = sign / model.scale_[name] / model.temperature
            weight[names.index(name)] += slope
            beside -= slope * model.mean_[name]
    others = np.delete(model.share_, model.positive)
    shares = np.insert(np.log(others / others.sum()), model.positive, 0.0)
    # log p is s - log(1 + e^s) of the rule's own class, and its share's log - log(1 + e^s) of another
    side = 1.0 if positive == model.positive else -1.0 / len(others)
    return lambda z: side * weight * z, float(side * beside + against(shares, positive))
