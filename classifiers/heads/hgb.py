"""Gradient-boosted trees on binned columns (scikit-learn's HistGradientBoosting)."""

from __future__ import annotations

from typing import Annotated

from classifiers.heads._pipeline import Classifier, pipeline
from featurestore.schema import Above, AtLeast, Between

__all__ = ["build"]


def build(
    *,
    seed: int,
    n_classes: int,
    positive: int,
    learning_rate: Annotated[float, Above(0)] = 0.06,
    max_iter: Annotated[int, AtLeast(1)] = 200,
    max_leaf_nodes: Annotated[int, AtLeast(2)] = 8,
    min_samples_leaf: Annotated[int, AtLeast(1)] = 10,
    l2_regularization: Annotated[float, AtLeast(0)] = 1.0,
    max_features: Annotated[float, Between(0, 1, "low")] = 0.5,
) -> Classifier:
    """Boosted small trees; a fixed number of them, since folds are too small to hold rows out.

    Parameters
    ----------
    learning_rate : float
        Shrinkage of each tree.
    max_iter : int
        Trees (for each class, where there are more than two).
    max_leaf_nodes : int
        Leaves of a tree.
    min_samples_leaf : int
        Fewest rows of a leaf.
    l2_regularization : float
        Penalty on the leaves' values.
    max_features : float
        Share of the columns tried at a split.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    return pipeline(
        HistGradientBoostingClassifier(
            learning_rate=learning_rate,
            max_iter=max_iter,
            max_leaf_nodes=max_leaf_nodes,
            min_samples_leaf=min_samples_leaf,
            l2_regularization=l2_regularization,
            max_features=max_features,
            early_stopping=False,
            class_weight="balanced",
            random_state=seed,
        ),
        scale=False,
    )
