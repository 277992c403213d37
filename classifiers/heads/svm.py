"""Support vector machine with an RBF kernel, its margin turned into probabilities by folds."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from classifiers.heads._pipeline import Classifier, pipeline
from featurestore.schema import Above

__all__ = ["MAX_ROWS", "build"]

#: The kernel has rows x rows values, and each fit goes through it several times.
MAX_ROWS: Final = 20_000


def build(
    *,
    seed: int,
    n_classes: int,
    positive: int,
    C: Annotated[float, Above(0)] = 1.0,
    gamma: Literal["scale", "auto"] | Annotated[float, Above(0)] = "scale",
) -> Classifier:
    """RBF support vector classifier on scaled columns.

    Parameters
    ----------
    C : float
        Inverse of the regularisation.
    gamma : {"scale", "auto"} or float
        Width of the kernel; ``scale`` is 1 / (d x variance), ``auto`` 1 / d.
    """
    from sklearn.svm import SVC

    from classifiers.heads._balanced import Calibrated

    return pipeline(Calibrated(SVC(C=C, kernel="rbf", gamma=gamma, random_state=seed)), scale=True)
