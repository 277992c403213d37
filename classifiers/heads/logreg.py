"""Logistic regression with an L1, L2 or elastic-net penalty."""

from __future__ import annotations

from typing import Annotated, Literal

from classifiers.heads._pipeline import Classifier, pipeline
from featurestore.schema import Above, AtLeast, Between

__all__ = ["build"]


def build(
    *,
    seed: int,
    n_classes: int,
    positive: int,
    penalty: Literal["l1", "l2", "elasticnet"] = "l2",
    C: Annotated[float, Above(0)] = 0.1,
    l1_ratio: Annotated[float, Between(0, 1)] = 0.5,
    max_iter: Annotated[int, AtLeast(1)] = 5000,
) -> Classifier:
    """Multinomial logistic regression on scaled columns.

    Parameters
    ----------
    penalty : {"l1", "l2", "elasticnet"}
        ``l1`` picks columns, ``l2`` keeps them all small, ``elasticnet`` mixes the two.
    C : float
        Inverse of the penalty's strength.
    l1_ratio : float
        Share of L1 in ``elasticnet``, 0 to 1; not used by the others.
    max_iter : int
        Upper limit of the solver's passes.
    """
    from sklearn.linear_model import LogisticRegression

    return pipeline(
        LogisticRegression(
            C=C,
            l1_ratio={"l1": 1.0, "l2": 0.0, "elasticnet": l1_ratio}[penalty],
            solver="lbfgs" if penalty == "l2" else "saga",
            class_weight="balanced",
            max_iter=max_iter,
            tol=1e-4 if penalty == "l2" else 1e-3,
            random_state=seed,
        ),
        scale=True,
    )
