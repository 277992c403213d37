"""Extremely randomised trees: a forest whose thresholds are drawn too (Geurts et al. 2006)."""

from __future__ import annotations

from typing import Annotated, Literal

from classifiers.heads._pipeline import Classifier, pipeline
from featurestore.schema import AtLeast, Between

__all__ = ["build"]


def build(
    *,
    seed: int,
    n_classes: int,
    positive: int,
    n_estimators: Annotated[int, AtLeast(1)] = 300,
    max_depth: Annotated[int, AtLeast(1)] | None = None,
    min_samples_leaf: Annotated[int, AtLeast(1)] = 2,
    max_features: Literal["sqrt", "log2"] | Annotated[float, Between(0, 1, "low")] = "sqrt",
) -> Classifier:
    """Extremely randomised trees; they need no scaling.

    Parameters
    ----------
    n_estimators : int
        Trees.
    max_depth : int or None
        Depth of a tree; None lets the leaves decide.
    min_samples_leaf : int
        Fewest rows of a leaf.
    max_features : {"sqrt", "log2"} or float
        Columns tried at a split: their root, their logarithm, or a share of them.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    return pipeline(
        ExtraTreesClassifier(
            n_estimators=n_estimators,
            max_depth=max_depth,
            min_samples_leaf=min_samples_leaf,
            max_features=max_features,
            class_weight="balanced",
            n_jobs=1,
            random_state=seed,
        ),
        scale=False,
    )
