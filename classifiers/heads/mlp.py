"""A small neural network: three hidden layers, early stopping, its loss curve kept."""

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
    hidden: tuple[Annotated[int, AtLeast(1)], ...] = (64, 32, 16),
    alpha: Annotated[float, AtLeast(0)] = 0.01,
    learning_rate_init: Annotated[float, Above(0)] = 0.001,
    batch_size: Annotated[int, AtLeast(1)] = 32,
    max_iter: Annotated[int, AtLeast(1)] = 300,
    patience: Annotated[int, AtLeast(1)] = 30,
    validation_fraction: Annotated[float, Between(0, 1, "both")] = 0.15,
) -> Classifier:
    """Multilayer perceptron (ReLU, Adam) on scaled columns.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    alpha : float
        L2 penalty on the weights.
    learning_rate_init : float
        Adam's step.
    batch_size : int
        Rows of a step.
    max_iter : int
        Most epochs.
    patience : int
        Epochs without a better validation score before it stops; the best epoch's weights stay.
    validation_fraction : float
        Share of the train rows that are held out to stop by.

    Raises
    ------
    ValueError
        If there is no layer.
    """
    if not hidden:
        raise ValueError("hidden: a list of one or more layers")

    from sklearn.neural_network import MLPClassifier

    from classifiers.heads._balanced import EarlyStopped

    return pipeline(
        EarlyStopped(
            MLPClassifier(
                hidden_layer_sizes=hidden,
                alpha=alpha,
                learning_rate_init=learning_rate_init,
                batch_size=batch_size,
                max_iter=max_iter,
                n_iter_no_change=patience,
                validation_fraction=validation_fraction,
                random_state=seed,
            )
        ),
        scale=True,
    )
