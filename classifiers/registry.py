"""Heads by name: a module of ``classifiers.heads`` is a head.

Listing and `keywords` import no scikit-learn. Refuses to know params.yaml: values come checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featurestore import plugins
from featurestore.errors import ParamsError
from featurestore.params import HEAD_CONTEXT, FusionParams
from featurestore.schema import check_keywords

if TYPE_CHECKING:
    from classifiers.head import Head

__all__ = ["EARLY", "PACKAGE", "head_names", "make_head"]

PACKAGE = "classifiers.heads"

#: The default: one head on all columns as they are.
EARLY = FusionParams()


def head_names() -> tuple[str, ...]:
    """Names of the heads there are, sorted.

    Examples
    --------
    >>> "logreg" in head_names()
    True
    """
    return plugins.listing(PACKAGE)


def make_head(
    name: str,
    params: Mapping[str, Any],
    *,
    seed: int,
    n_classes: int,
    positive: int,
    fusion: FusionParams = EARLY,
) -> Head:
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
    fusion : FusionParams
        How the columns of several extractors meet.

    Raises
    ------
    ParamsError
        If there is no such head, or a param is unknown, of another type or out of range.
    """
    from classifiers.fusion import fused
    from classifiers.head import Head

    module = plugins.load(PACKAGE, name, key="model")
    checked = check_keywords(module.build, params, f"heads.{name}", given=HEAD_CONTEXT)
    try:
        built = module.build(seed=seed, n_classes=n_classes, positive=positive, **checked)
    except ValueError as error:
        raise ParamsError(f"heads.{name}: {error}") from error
    return Head(fused(built, fusion))
