"""Honest scores of one head: ``cv`` over grouped folds, ``val`` by the saved model.

Owns ``results/metrics.json`` and ``predictions.csv``. Refuses to read the test split; that is
`classifiers.final`.

``cv`` covers train and val: in each repeat each image is scored once, by a head that was fitted on the
other folds (imputing and scaling included). The decisions of all folds and repeats are pooled before a
measure is taken, which gives the bootstrap one set of groups. AUC and average precision rank images within
their fold alone, since the heads of two folds need not agree in level. ``val`` scores the model that was
fitted on train.

The shape of ``metrics.json``::

    {"head": "logreg", "positive": "villain", "split": "split by series",
     "cv": {"accuracy": 0.81, ..., "brier": 0.14, "n": 240, "groups": 49,
            "notes": ["why an interval is missing"],
            "table": [{"measure": "accuracy", "score": .., "low": .., "high": .., "majority": ..}, ..]},
     "val": {the same},
     "fusion": "late fusion",
     "decision": "threshold by f1",
     "softmax": {"resnet18": {the same, of the network's own decision on val}, ..},
     "softmax_against_design_labels": {the same for networks that learned design labels, against these},
     "coverage": [{"extractor": "design", "class": "hero", "ok": 1.0, "n": 150}, ..]}

DVC shows numbers and texts of nested blocks and drops lists: ``dvc metrics diff`` compares
``cv.accuracy`` and its like, and intervals and the majority stay in the file. Where an extractor
learned from train, ``cv`` is ``{"reason": ".."}``, and ``softmax`` is there. ``fusion`` and ``decision`` are
there where they could move a score and are not the default.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.curves import write_training
from classifiers.data import Study
from classifiers.fitting import Classifier
from classifiers.intervals import Scores, score
from classifiers.metrics import Judged
from classifiers.networks import Softmax, read_histories, read_softmaxes
from classifiers.predictions import (
    Predictions,
    cross_validate,
    cv_folds,
    predict_rows,
    predictions_csv,
    why_no_cv,
)
from classifiers.scoring import Scoring
from classifiers.splits import check_classes
from classifiers.tables import rounded
from featurestore.files import write_text_atomic

__all__ = ["evaluate", "judge", "score_rows", "scores_block"]


#: Measures that DVC's tables are better read without; `metrics.json` has them in ``table``.
_TABLE_ONLY = ("precision_macro", "recall_macro")


def judge(study: Study, predictions: Predictions, positive: int) -> Judged:
    """Predictions beside the truth."""
    truth = study.codes(study.labels[predictions.rows])
    return Judged(
        truth,
        predictions.predicted,
        predictions.proba,
        positive,
        predictions.fold,
        predictions.repeats,
        predictions.folds,
    )


def score_rows(study: Study, predictions: Predictions, *, positive: int, draws: int, seed: int) -> Scores:
    """Measures with intervals; equal groups and seed give equal draws, so that heads are paired."""
    return score(
        judge(study, predictions, positive),
        study.groups[predictions.rows],
        class_shares=study.class_shares(predictions.fitted),
        draws=draws,
        rng=np.random.default_rng(seed),
    )


def scores_block(scores: Scores) -> dict[str, Any]:
    """Scores as a block of ``metrics.json``; an undefined measure is left out of the flat part."""
    table: list[dict[str, Any]] = [
        {
            "measure": name,
            "score": rounded(e.score),
            "low": rounded(e.low),
            "high": rounded(e.high),
            "majority": rounded(e.majority),
        }
        for name, e in scores.estimates.items()
    ]
    flat: dict[str, Any] = {
        row["measure"]: row["score"]
        for row in table
        if row["score"] is not None and row["measure"] not in _TABLE_ONLY
    }
    return {
        **flat,
        "n": scores.n_images,
        "groups": scores.n_groups,
        "notes": list(scores.notes),
        "table": table,
    }


def _design_block(study: Study, softmax: Softmax, *, positive: int, draws: int, seed: int) -> dict[str, Any]:
    """A network's decision against the design labels of val; the majority is that of these labels."""
    said, truth = softmax.predictions, softmax.design
    assert truth is not None
    shares = np.bincount(truth, minlength=len(study.classes)) / len(truth)
    scores = score(
        Judged(truth, said.predicted, said.proba, positive),
        study.groups[said.rows],
        class_shares=shares,
        draws=draws,
        rng=np.random.default_rng(seed),
    )
    return scores_block(scores)


def _softmax_blocks(study: Study, networks: Mapping[str, Softmax], **how: int) -> dict[str, Any]:
    """The blocks of networks' own decisions; empty if nothing learned."""
    if not networks:
        return {}
    against_truth = {
        name: scores_block(score_rows(study, one.predictions, **how)) for name, one in networks.items()
    }
    against_design = {
        name: _design_block(study, one, **how) for name, one in networks.items() if one.design is not None
    }
    return {
        "softmax": against_truth,
        **({"softmax_against_design_labels": against_design} if against_design else {}),
    }


def _coverage(study: Study) -> list[dict[str, Any]]:
    return [
        {"extractor": block, "class": name, "ok": rounded(share), "n": int((study.labels == name).sum())}
        for block, shares in study.coverage().items()
        for name, share in shares.items()
    ]


def _plot(
    study: Study,
    name: str,
    part: Predictions,
    scores: Scores,
    how: Scoring,
    folder: Path,
) -> None:
    """Plots of the first part there is: cv, or val where there is none."""
    from classifiers.plots import Shown, write_plots

    rows = "val, fitted on train"
    if part.name == "cv":
        rows = f"train and val, out of fold{f', {part.repeats} times' * (part.repeats > 1)}"
    subtitle = f"{scores.n_images} images ({rows}) in {scores.n_groups} groups\n{study.split_kind}"
    judged, groups = judge(study, part, how.positive), study.groups[part.rows]
    shown = Shown(judged, groups, study.classes, scores, f"{name}, {part.name}", subtitle)
    write_plots(folder, shown, draws=how.draws, seed=how.seed)


def evaluate(
    study: Study,
    model: Classifier,
    make: Callable[[], Classifier],
    how: Scoring,
    *,
    name: str,
    results: Path,
    learned: Path,
    fusion: str = "",
    decision: str = "",
) -> Mapping[str, Any]:
    """Score one head, write ``metrics.json``, ``predictions.csv`` and ``plots/`` under ``results``.

    Networks that learned are scored on val by their own decision too.

    Parameters
    ----------
    model : Classifier
        Fitted on train; it is scored on val.
    make : callable
        New heads of the same kind, for cv.
    name : str
        The head's name.
    learned : Path
        Folder in which `classifiers.networks` finds what networks that learned left.
    fusion, decision : str
        `classifiers.tables.fusion_said`, `classifiers.tables.decision_said`.

    Returns
    -------
    mapping
        What was written to ``metrics.json``.
    """
    networks = read_softmaxes(study, learned)
    histories = read_histories(study.fitted_on, learned)
    val, train = study.rows_of("val"), study.rows_of("train")
    check_classes(study.labels[train], study.classes, where="the train split")
    parts = []
    if not why_no_cv(study):
        folds = cv_folds(study, **how.folded)
        parts.append(cross_validate(study, {name: make}, folds, workers=how.workers)[name])
    parts.append(Predictions("val", val, *predict_rows(model, study, val), train))
    scores = {part.name: score_rows(study, part, **how.measured) for part in parts}
    document = {
        "head": name,
        "positive": study.classes[how.positive],
        "split": study.split_kind,
        "cv": {"reason": why_no_cv(study)},
        **({"fusion": fusion} if fusion else {}),
        **({"decision": decision} if decision else {}),
        **{part: scores_block(one) for part, one in scores.items()},
        **_softmax_blocks(study, networks, **how.measured),
        "coverage": _coverage(study),
    }
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text_atomic(results / "metrics.json", text + "\n")
    write_text_atomic(results / "predictions.csv", predictions_csv(study, parts))
    _plot(study, name, parts[0], scores[parts[0].name], how, results / "plots")
    write_training(histories, results / "plots")
    return document
