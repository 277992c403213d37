"""Linear discriminant analysis with a shrunk covariance and uniform priors."""

from __future__ import annotations

from typing import Annotated, Literal

from classifiers.heads._pipeline import Classifier, pipeline
from featurestore.schema import Between

__all__ = ["build"]


def build(
    *,
    seed: int,
    n_classes: int,
    positive: int,
    shrinkage: Literal["auto"] | Annotated[float, Between(0, 1)] = "auto",
) -> Classifier:
    """Linear discriminant analysis on scaled columns; nothing in it is random.

    Parameters
    ----------
    shrinkage : "auto" or float
        How far the covariance is drawn to its diagonal, 0 to 1; ``auto`` is Ledoit and Wolf's (2004).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from classifiers.heads._balanced import UniformPriors

    return pipeline(UniformPriors(LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)), scale=True)
