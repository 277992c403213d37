"""Nearest neighbours, each class's votes divided by its share of the train rows."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from classifiers.heads._pipeline import Classifier, pipeline
from featurestore.schema import AtLeast

__all__ = ["MAX_ROWS", "build"]

#: Every row that is asked about is held against every row that was fitted on.
MAX_ROWS: Final = 100_000


def build(
    *,
    seed: int,
    n_classes: int,
    positive: int,
    n_neighbors: Annotated[int, AtLeast(1)] = 15,
    weights: Literal["uniform", "distance"] = "distance",
    metric: Literal["euclidean", "cosine"] = "euclidean",
) -> Classifier:
    """The k nearest neighbours on scaled columns, by brute force: nothing in it is random.

    Parameters
    ----------
    n_neighbors : int
        Neighbours that vote (never more than there are train rows).
    weights : {"uniform", "distance"}
        Whether near neighbours count for more.
    metric : {"euclidean", "cosine"}
        ``cosine`` suits long embeddings.
    """
    from sklearn.neighbors import KNeighborsClassifier

    from classifiers.heads._balanced import BalancedVotes

    return pipeline(
        BalancedVotes(
            KNeighborsClassifier(
                n_neighbors=n_neighbors, weights=weights, metric=metric, algorithm="brute", n_jobs=1
            )
        ),
        scale=True,
    )
