"""A small neural network: three hidden layers, early stopping, its loss curve kept."""

from __future__ import annotations

from classifiers.heads._pipeline import Classifier, pipeline

__all__ = ["build"]


def build(
    *,
    seed: int,
    n_classes: int,
    positive: int,
    hidden: tuple[int, ...] = (64, 32, 16),
    alpha: float = 0.01,
    learning_rate_init: float = 0.001,
    batch_size: int = 32,
    max_iter: int = 300,
    patience: int = 30,
    validation_fraction: float = 0.15,
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
        If there is no layer, or one without units.
    """
    if not hidden or min(hidden) < 1:
        raise ValueError(f"hidden must be one or more layers of at least 1 unit, not {list(hidden)}")

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
