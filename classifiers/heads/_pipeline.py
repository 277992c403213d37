"""The steps that every head shares: imputing, and scaling where distances or weights need it.

Refuses to know the classifier behind them. Importing it costs nothing: scikit-learn comes with the
first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Classifier", "pipeline"]


class Classifier(Protocol):
    """What a head's ``build`` returns: an unfitted scikit-learn Pipeline."""

    steps: list[tuple[str, Any]]

    def fit(self, X: Any, y: Any) -> Any:
        """Learn from rows ``X`` (n, d) and codes ``y`` (n,)."""
        ...

    def predict_proba(self, X: Any) -> npt.NDArray[np.floating[Any]]:
        """Probabilities (n, k), columns in the order of the codes."""
        ...


def pipeline(classifier: Any, *, scale: bool, named: bool = False) -> Classifier:
    """Impute, perhaps scale, classify.

    A row that could not be computed is NaN throughout; it gets each column's median over the rows
    that the head was fitted on. A column that is NaN in all of those becomes 0.

    Parameters
    ----------
    classifier : estimator
        The last step.
    scale : bool
        Whether columns are brought to mean 0 and standard deviation 1 first.
    named : bool
        Whether the classifier is handed a DataFrame with the columns' names.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    impute = SimpleImputer(strategy="median", keep_empty_features=True)
    if named:
        impute.set_output(transform="pandas")
    steps: list[tuple[str, Any]] = [("impute", impute)]
    if scale:
        steps.append(("scale", StandardScaler()))
    made: Classifier = Pipeline([*steps, ("classify", classifier)])
    return made
