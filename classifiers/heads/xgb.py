"""Gradient-boosted trees by XGBoost, with rows and columns sampled for each tree."""

from __future__ import annotations

from typing import Annotated

from classifiers.heads._pipeline import Classifier, pipeline
from featurestore.schema import AtLeast, Between

__all__ = ["build"]


def build(
    *,
    seed: int,
    n_classes: int,
    positive: int,
    n_estimators: Annotated[int, AtLeast(1)] = 200,
    max_depth: Annotated[int, Between(1, 64)] = 3,
    learning_rate: Annotated[float, Between(0, 1, "low")] = 0.06,
    subsample: Annotated[float, Between(0, 1, "low")] = 0.8,
    colsample_bytree: Annotated[float, Between(0, 1, "low")] = 0.5,
    min_child_weight: Annotated[float, AtLeast(0)] = 1.0,
    reg_lambda: Annotated[float, AtLeast(0)] = 1.0,
) -> Classifier:
    """Boosted shallow trees on the CPU, one thread.

    Parameters
    ----------
    n_estimators : int
        Trees (for each class, where there are more than two).
    max_depth : int
        Depth of a tree.
    learning_rate : float
        Shrinkage of each tree.
    subsample, colsample_bytree : float
        Share of the rows and of the columns that each tree sees.
    min_child_weight : float
        Least sum of second derivatives in a leaf.
    reg_lambda : float
        L2 penalty on the leaves' values.
    """
    from xgboost import XGBClassifier

    from classifiers.heads._balanced import Balanced

    return pipeline(
        Balanced(
            XGBClassifier(
                n_estimators=n_estimators,
                max_depth=max_depth,
                learning_rate=learning_rate,
                subsample=subsample,
                colsample_bytree=colsample_bytree,
                min_child_weight=min_child_weight,
                reg_lambda=reg_lambda,
                tree_method="hist",
                device="cpu",
                n_jobs=1,
                random_state=seed,
            )
        ),
        scale=False,
    )
