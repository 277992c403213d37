"""The majority baseline: it looks at no column, and every score stands beside its score."""

from __future__ import annotations

from typing import Literal

from classifiers.heads._pipeline import Classifier, pipeline

__all__ = ["build"]


def build(
    *, seed: int, n_classes: int, positive: int, strategy: Literal["prior", "most_frequent"] = "prior"
) -> Classifier:
    """The most frequent class for every row; the one head that is not class-weighted.

    Parameters
    ----------
    strategy : {"prior", "most_frequent"}
        Probabilities are the classes' shares of the train rows, or 1 for the largest class.
    """
    from sklearn.dummy import DummyClassifier

    return pipeline(DummyClassifier(strategy=strategy, random_state=seed), scale=False)
