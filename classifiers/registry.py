"""Heads by name: a module of ``classifiers.heads`` is a head.

Listing and `keywords` import no scikit-learn. Refuses to know params.yaml: values come checked.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featurestore import plugins
from featurestore.errors import ParamsError
from featurestore.params import HEAD_CONTEXT, DecisionParams, FusionParams, SearchParams
from featurestore.schema import check_keywords

if TYPE_CHECKING:
    from classifiers.head import Head
    from classifiers.search import Candidate

__all__ = ["EARLY", "LIKELIEST", "PACKAGE", "head_names", "make_head", "max_rows"]

PACKAGE = "classifiers.heads"

#: The default: one head on all columns as they are.
EARLY = FusionParams()

#: The default: the likeliest class, by probabilities as the head gives them.
LIKELIEST = DecisionParams()


def head_names() -> tuple[str, ...]:
    """Names of the heads there are, sorted.

    Examples
    --------
    >>> "logreg" in head_names()
    True
    """
    return plugins.listing(PACKAGE)


def max_rows(name: str) -> int | None:
    """Most rows that a head is fitted on in reasonable time; None = its cost grows no faster than they do.

    Raises
    ------
    ParamsError
        If there is no such head.

    Examples
    --------
    >>> max_rows("svm"), max_rows("logreg")
    (20000, None)
    """
    limit: int | None = getattr(plugins.load(PACKAGE, name, key="model"), "MAX_ROWS", None)
    return limit


def make_head(
    name: str,
    params: Mapping[str, Any],
    *,
    seed: int,
    n_classes: int,
    positive: int,
    fusion: FusionParams = EARLY,
    decision: DecisionParams = LIKELIEST,
    search: SearchParams | None = None,
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
    decision : DecisionParams
        What is tuned of its decision, inside the rows that it is fitted on.
    search : SearchParams or None
        Params that are chosen inside those rows too; they stand in place of ``params``.

    Raises
    ------
    ParamsError
        If there is no such head, a param is unknown, of another type or out of range, or a threshold is
        to be tuned with more than two classes.
    """
    from classifiers.head import Head

    module = plugins.load(PACKAGE, name, key="model")
    if decision.threshold != "default" and n_classes > 2:
        raise ParamsError(
            f"threshold: {decision.threshold} tunes the positive of two classes, and here are {n_classes}; "
            "set threshold: default"
        )
    context = {"seed": seed, "n_classes": n_classes, "positive": positive}
    _, pipeline = _built(module, params, f"heads.{name}", context, fusion)
    candidates = None if search is None else _candidates(module, params, search, name, context, fusion)
    return Head(
        pipeline,
        positive=positive,
        threshold=decision.threshold,
        calibration=decision.calibration,
        candidates=candidates,
        seed=seed,
    )


def _built(
    module: types.ModuleType,
    params: Mapping[str, Any],
    key: str,
    context: Mapping[str, int],
    fusion: FusionParams,
) -> Candidate:
    """A head's params, defaults filled in, and the pipeline that they make."""
    from classifiers.fusion import fused

    checked = check_keywords(module.build, params, key, given=HEAD_CONTEXT)
    try:
        return checked, fused(module.build(**context, **checked), fusion)
    except ValueError as error:
        raise ParamsError(f"{key}: {error}") from error


def _candidates(
    module: types.ModuleType,
    params: Mapping[str, Any],
    search: SearchParams,
    name: str,
    context: Mapping[str, int],
    fusion: FusionParams,
) -> tuple[Candidate, ...]:
    """What a head's search tries: the searched params alone, and the pipeline of all."""
    from classifiers.search import drawn, plain

    key = f"heads.{name}.search"
    found = []
    for values in drawn(search, key, seed=context["seed"]):
        checked, pipeline = _built(module, {**params, **values}, f"{key}.over", context, fusion)
        found.append((plain({param: checked[param] for param in values}), pipeline))
    return tuple(found)
