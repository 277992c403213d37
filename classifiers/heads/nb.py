"""Gaussian naive Bayes with uniform priors."""

from __future__ import annotations

from typing import Annotated

from classifiers.heads._pipeline import Classifier, pipeline
from featurestore.schema import AtLeast

__all__ = ["build"]


def build(
    *, seed: int, n_classes: int, positive: int, var_smoothing: Annotated[float, AtLeast(0)] = 1e-9
) -> Classifier:
    """Gaussian naive Bayes on scaled columns; nothing in it is random.

    Parameters
    ----------
    var_smoothing : float
        Share of the largest variance that is added to every variance.
    """
    from sklearn.naive_bayes import GaussianNB

    from classifiers.heads._balanced import UniformPriors

    return pipeline(UniformPriors(GaussianNB(var_smoothing=var_smoothing)), scale=True)
