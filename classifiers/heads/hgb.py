"""Gradient-boosted trees on binned columns (scikit-learn's HistGradientBoosting)."""

from __future__ import annotations

from classifiers.heads._pipeline import Classifier, pipeline

__all__ = ["build"]


def build(
    *,
    seed: int,
    n_classes: int,
    positive: int,
    learning_rate: float = 0.06,
    max_iter: int = 200,
    max_leaf_nodes: int = 8,
    min_samples_leaf: int = 10,
    l2_regularization: float = 1.0,
    max_features: float = 0.5,
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
