"""Fitting the one head that is kept.

Owns what a head is fitted on and what the card of ``model/`` says of it. Refuses to know val and
test: it is given the train split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import metadata
from typing import Any, TypeVar

from classifiers.data import Study
from classifiers.fitting import Classifier
from classifiers.registry import EARLY, LIKELIEST
from classifiers.splits import check_classes
from featurestore.params import DecisionParams, FusionParams

__all__ = ["fit_on_train", "model_card"]

AnyHead = TypeVar("AnyHead", bound=Classifier)

#: Libraries whose version may move a fitted head.
_LIBRARIES = ("numpy", "scikit-learn", "xgboost")


def fit_on_train(study: Study, head: AnyHead) -> AnyHead:
    """Fit ``head`` on the train split.

    Raises
    ------
    SplitError
        If a class of the data set has no picture in train.
    """
    train = study.rows_of("train")
    check_classes(study.labels[train], study.classes, where="the train split")
    head.fit(study.features.iloc[train], study.labels[train], groups=study.groups[train])
    return head


def model_card(
    study: Study,
    name: str,
    params: Mapping[str, Any],
    *,
    seed: int,
    positive: str,
    fusion: FusionParams = EARLY,
    decision: DecisionParams = LIKELIEST,
    fitted: Any = None,
) -> dict[str, Any]:
    """What the model is and what it was fitted on; no time, no host.

    ``fusion`` and ``decision`` are in it unless they are the default, ``search`` where there was one. Of the
    head itself (``fitted``) come the threshold that was tuned (``decision.tuned``) and the params that were
    chosen, which stand in place of those under ``params``.

    ``features_digest`` (columns and values) and ``train_digest`` (keys and labels) of the train rows
    tell whether the model belongs to a store and a data set; see `classifiers.data.check_model`.
    """
    train = study.rows_of("train")
    return {
        **({} if fusion == EARLY else {"fusion": dataclasses.asdict(fusion)}),
        **({} if decision == LIKELIEST else {"decision": _decision(decision, fitted)}),
        **({"search": dict(fitted.searched_)} if hasattr(fitted, "searched_") else {}),
        "head": name,
        "params": dict(params),
        "seed": seed,
        "labels": list(study.classes),
        "positive": positive,
        "trained_on": "train split",
        "n_images": len(train),
        "n_groups": len(set(study.groups[train].tolist())),
        "split": study.split_kind,
        "extractors": list(study.blocks),
        "n_columns": study.features.shape[1],
        "fingerprint": study.fingerprint,
        "features_digest": study.features_digest(train),
        "train_digest": study.digest(train),
        "versions": {library: metadata.version(library) for library in _LIBRARIES},
    }


def _decision(decision: DecisionParams, fitted: Any) -> dict[str, Any]:
    tuned = getattr(fitted, "threshold_", None)
    return {**dataclasses.asdict(decision), **({} if tuned is None else {"tuned": tuned})}
