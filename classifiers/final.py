"""The locked test split: scored once, and every look is counted.

Owns ``results/test.json``. The look is logged (`classifiers.looks`) before the scores are written: one that
was had is counted even if nothing came of it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from classifiers.data import Study, check_model
from classifiers.evaluate import score_rows, scores_block
from classifiers.fitting import Classifier
from classifiers.intervals import Scores
from classifiers.looks import Looks, log_look, standard_error
from classifiers.predictions import Predictions, predict_rows
from classifiers.tables import rounded
from featurestore.documents import read_json
from featurestore.errors import SplitError
from featurestore.files import write_text_atomic

__all__ = ["FITTED_ON", "Final", "final", "git_revision", "stale_test"]


#: What a model's card says of the rows it was fitted on; ``test.json`` repeats it.
FITTED_ON = ("features_digest", "train_digest")


def stale_test(results: Path, card: Mapping[str, Any]) -> str:
    """What to say where ``test.json`` is of another model or other pictures than the card's; else empty."""
    try:
        found = read_json(results / "test.json")
        fitted_on = found["fitted_on"]
        head = found["head"]
    except FileNotFoundError:
        return ""
    except (KeyError, TypeError, ValueError):
        fitted_on, head = None, None
    if (head, fitted_on) == (card.get("head"), {key: card.get(key) for key in FITTED_ON}):
        return ""
    return (
        f"{results / 'test.json'} is of another model or other pictures than those of now; keep it with the "
        "commit that it belongs to, or delete it"
    )


@dataclass(frozen=True)
class Final:
    """The outcome of a look.

    Attributes
    ----------
    document : mapping
        What ``results/test.json`` holds: no time and no count, so that the same look gives the same bytes.
    looks : Looks
        All at test so far, this one included.
    """

    document: Mapping[str, Any]
    looks: Looks

    @property
    def n_looks(self) -> int:
        """How often test was scored so far, this look included."""
        return self.looks.n


def git_revision() -> str:
    """The commit that is checked out, ``+`` behind it if files differ; empty without git."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--match=", "--dirty=+"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.stdout.strip()


def _digest(study: Study, predictions: Predictions) -> str:
    """Sha256 of who was given which probabilities: the same model and pictures give the same."""
    rows = zip(study.keys[predictions.rows].tolist(), predictions.proba.round(6).tolist(), strict=True)
    return hashlib.sha256(json.dumps(list(rows)).encode()).hexdigest()


def _look(study: Study, name: str, predictions: Predictions, scores: Scores, revision: str) -> dict[str, Any]:
    accuracy, auc = scores.estimates["accuracy"], scores.estimates["auc"]
    return {
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "revision": revision,
        "head": name,
        "predictions": _digest(study, predictions),
        "n": scores.n_images,
        "groups": scores.n_groups,
        "accuracy": rounded(accuracy.score),
        "auc": rounded(auc.score),
        "accuracy_se": standard_error(accuracy.low, accuracy.high),
        "auc_se": standard_error(auc.low, auc.high),
    }


def final(
    study: Study,
    model: Classifier,
    card: Mapping[str, Any],
    *,
    positive: int,
    draws: int,
    seed: int,
    results: Path,
    log: Path,
) -> Final:
    """Score the saved model on the test split, count the look, write ``test.json``.

    Parameters
    ----------
    model, card
        From `classifiers.persistence.artifact.load_model`.
    log : Path
        ``logs/looks.csv``.

    Raises
    ------
    DataError
        If the model was fitted on other features or pictures, or the log is damaged; no look is counted then.
    SplitError
        If the test split is empty.
    """
    check_model(card, study)
    rows = study.rows_of("test")
    if not len(rows):
        raise SplitError("the test split is empty; raise split.test in params.yaml, then run: dvc repro")
    predictions = Predictions("test", rows, *predict_rows(model, study, rows), study.rows_of("train"))
    scores = score_rows(study, predictions, positive=positive, draws=draws, seed=seed)
    name = str(card["head"])
    looks = log_look(log, _look(study, name, predictions, scores, git_revision()))
    document = {
        "head": name,
        "split": study.split_kind,
        "fitted_on": {key: card.get(key) for key in FITTED_ON},
        "test": scores_block(scores),
    }
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text_atomic(results / "test.json", text + "\n")
    return Final(document, looks)
