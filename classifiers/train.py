"""Fitting the one head that is kept.

Owns ``model/`` (through `classifiers.artifact`) and the loss curve. Refuses to know val and test:
it is given the train split.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from classifiers.data import Study
from classifiers.plots import loss_png
from classifiers.predictions import Classifier
from classifiers.splits import check_classes
from classifiers.tables import csv_text
from featurestore.files import write_bytes_atomic, write_text_atomic

__all__ = ["fit_on_train", "model_card", "write_loss"]

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
    head.fit(study.features.iloc[train], study.labels[train])
    return head


def model_card(
    study: Study, name: str, params: Mapping[str, Any], *, seed: int, positive: str
) -> dict[str, Any]:
    """What the model is and what it was fitted on; no time, no host.

    ``features_digest`` (columns and values) and ``train_digest`` (keys and labels) of the train rows
    tell whether the model belongs to a store and a data set; see `classifiers.data.check_model`.
    """
    train = study.rows_of("train")
    return {
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


def write_loss(head: Classifier, name: str, plots: Path) -> None:
    """Write ``loss.csv`` (epoch, loss, validation_score) and ``loss.png``; without a curve both say so."""
    curve: list[dict[str, float]] = list(getattr(head, "loss_curve_", ()))
    header = ["epoch", "loss", "validation_score"]
    rows = [[row.get(column) for column in header] for row in curve]
    write_text_atomic(plots / "loss.csv", csv_text(header, rows))
    write_bytes_atomic(plots / "loss.png", loss_png(curve, name))
