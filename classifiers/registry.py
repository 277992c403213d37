"""Heads by name: a module of ``classifiers.heads`` is a head.

Listing and `keywords` import no scikit-learn. Refuses to know params.yaml: values come checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featurestore import plugins
from featurestore.errors import ParamsError

if TYPE_CHECKING:
    from classifiers.head import Head

__all__ = ["PACKAGE", "head_names", "make_head"]

PACKAGE = "classifiers.heads"


def head_names() -> tuple[str, ...]:
    """Names of the heads there are, sorted.

    Examples
    --------
    >>> "logreg" in head_names()
    True
    """
    return plugins.listing(PACKAGE)


def make_head(name: str, params: Mapping[str, Any], *, seed: int, n_classes: int, positive: int) -> Head:
    """An unfitted head.

    Parameters
    ----------
    name : str
        One of `head_names`.
    params : mapping
        Values for its ``build``; those left out have their defaults.
    seed : int
        Of everything in it that is random.
    n_classes : int
        Classes of the study.
    positive : int
        Index of the positive class among the sorted labels.

    Raises
    ------
    ParamsError
        If there is no such head, or a value is out of the range that its classifier takes.
    """
    from sklearn.base import BaseEstimator

    from classifiers.head import Head

    module = plugins.load(PACKAGE, name, key="model")
    try:
        pipeline = module.build(seed=seed, n_classes=n_classes, positive=positive, **params)
        for _, step in pipeline.steps:
            for part in (step, getattr(step, "estimator", None)):
                if isinstance(part, BaseEstimator) and hasattr(type(part), "_parameter_constraints"):
                    part._validate_params()
    except (TypeError, ValueError) as error:
        raise ParamsError(f"heads.{name}: {error}") from error
    return Head(pipeline)
