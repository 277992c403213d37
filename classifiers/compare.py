"""Every head on the same rows: the leaderboard.

Owns ``results/leaderboard.csv`` and ``.md``. Refuses to read the test split and the saved model.
The heads are ordered by `PRIMARY`, then by name; all are scored on the same draws of groups. Where the
board is scored on val, networks that learned stand among them by their own decision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifiers.data import Study
from classifiers.evaluate import score_rows
from classifiers.metrics import MEASURES, Scores
from classifiers.networks import Softmax, read_softmaxes
from classifiers.predictions import (
    Classifier,
    Predictions,
    Rows,
    cross_validate,
    cv_folds,
    predict_rows,
    why_no_cv,
)
from classifiers.splits import check_classes
from classifiers.tables import aligned, csv_text, interval, markdown, number
from featurestore.errors import KyaraError, UsageError
from featurestore.files import write_text_atomic

__all__ = ["PRIMARY", "Leaderboard", "compare"]

log = logging.getLogger(__name__)

#: The measure that orders the heads.
PRIMARY = "auc"

_RANKED = "auc ranks each image against the others of its fold"
_SHOWN = ("auc", "accuracy", "balanced_accuracy", "f1", "mcc", "brier")
_WITH_INTERVAL = ("auc", "accuracy")


@dataclass(frozen=True)
class Leaderboard:
    """Scores of every head and of networks' own decisions, best first.

    Attributes
    ----------
    scores : mapping of str to Scores
    scored_on : {"cv", "val"}
    caption : str
        Rows, groups, kind of split, the majority.
    notes : tuple of str
    """

    scores: Mapping[str, Scores]
    scored_on: str
    split_kind: str
    caption: str
    notes: tuple[str, ...]

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header, rows = ["head"], []
        for name in _SHOWN:
            header += [name.replace("_", " ")] + ["95% interval"] * (name in _WITH_INTERVAL)
        for head, scores in self.scores.items():
            row = [head]
            for name in _SHOWN:
                e = scores.estimates[name]
                row += [number(e.score)] + [interval(e.low, e.high)] * (name in _WITH_INTERVAL)
            rows.append(row)
        return header, rows

    def text(self) -> str:
        """For a terminal."""
        return "\n".join([self.caption, "", aligned(*self._cells()), *(f"({note})" for note in self.notes)])

    def markdown(self) -> str:
        """The same for a page."""
        notes = [f"\n{note}." for note in self.notes]
        return "\n".join([f"{self.caption}.", "", markdown(*self._cells()), *notes]) + "\n"

    def csv(self) -> str:
        """Every measure with its interval, one row a head."""
        header = ["head", "scored_on", "split", "n", "groups"]
        header += [column for name in MEASURES for column in (name, f"{name}_low", f"{name}_high")]
        rows = []
        for head, scores in self.scores.items():
            row: list[object] = [head, self.scored_on, self.split_kind, scores.n_images, scores.n_groups]
            for name in MEASURES:
                e = scores.estimates[name]
                row += [e.score, e.low, e.high]
            rows.append(row)
        return csv_text(header, rows)


def _predict(
    study: Study, name: str, make: Callable[[], Classifier], folds: Sequence[tuple[Rows, Rows]]
) -> Predictions:
    """Out of fold, or on val where there are no folds; a failure names the head."""
    try:
        if folds:
            return cross_validate(study, make, folds)
        train, val = study.rows_of("train"), study.rows_of("val")
        head = make()
        head.fit(study.features.iloc[train], study.labels[train])
        return Predictions("val", val, *predict_rows(head, study, val), train)
    except UsageError:
        raise
    except Exception as error:
        log.debug("head %s", name, exc_info=True)
        kind = "" if isinstance(error, KyaraError) else f"{type(error).__name__}: "
        said = " ".join(str(error).split())
        raise KyaraError(f"head {name} failed: {kind}{said}; its params: heads.{name}") from error


def _order(item: tuple[str, Scores]) -> tuple[float, str]:
    best = item[1].estimates[PRIMARY].score
    return (float("inf") if best is None else -round(best, 6), item[0])


def _row(name: str) -> str:
    """What the row of a network's own decision is called."""
    return f"{name} softmax"


def _softmax_notes(networks: Mapping[str, Softmax]) -> list[str]:
    return [
        f"{_row(name)}: the network's own decision, no head"
        + ("" if one.design is None else "; it learned the design labels and is scored against the true ones")
        for name, one in networks.items()
    ]


def _caption(study: Study, scored_on: str, folds: int, scores: Scores, fusion: str) -> str:
    rows = "train and val" if scored_on == "cv" else "val, fitted on train"
    how = f", {folds} grouped folds" if scored_on == "cv" else ""
    majority = number(scores.estimates["accuracy"].majority)
    return (
        f"Heads by {PRIMARY}, then name: {scored_on} on {scores.n_images} images of {rows} in "
        f"{scores.n_groups} groups{how}; {study.split_kind}{f'; {fusion}' * bool(fusion)}; "
        f"accuracy of the majority {majority}"
    )


def compare(
    study: Study,
    makers: Mapping[str, Callable[[], Classifier]],
    *,
    positive: int,
    folds: int,
    draws: int,
    seed: int,
    results: Path,
    learned: Path,
    fusion: str = "",
) -> Leaderboard:
    """Score every head on the same folds and write the leaderboard.

    Where an extractor learned from train, the heads are fitted on train and scored on val, beside the
    network's own decision.

    Parameters
    ----------
    makers : mapping of str to callable
        Name of a head to a maker of new, unfitted ones.
    learned : Path
        Folder in which `classifiers.networks` finds what networks that learned left.
    fusion : str
        `classifiers.tables.fusion_said`.

    Raises
    ------
    KyaraError
        If a head fails; the message names it.
    """
    reason = why_no_cv(study)
    check_classes(study.labels[study.rows_of("train")], study.classes, where="the train split")
    parts = [] if reason else cv_folds(study, folds=folds, seed=seed)
    networks = read_softmaxes(study, learned)
    found = {
        _row(name): score_rows(study, one.predictions, positive=positive, draws=draws, seed=seed)
        for name, one in networks.items()
    }
    for name, make in makers.items():
        log.info("%s ...", name)
        part = _predict(study, name, make, parts)
        found[name] = score_rows(study, part, positive=positive, draws=draws, seed=seed)
    scores = dict(sorted(found.items(), key=_order))
    scored_on = "val" if reason else "cv"
    first = next(iter(scores.values()))
    notes = dict.fromkeys(note for one in scores.values() for note in one.notes)
    board = Leaderboard(
        scores,
        scored_on,
        study.split_kind,
        _caption(study, scored_on, folds, first, fusion),
        (f"no cv: {reason}" if reason else _RANKED, *_softmax_notes(networks), *notes),
    )
    write_text_atomic(results / "leaderboard.csv", board.csv())
    write_text_atomic(results / "leaderboard.md", board.markdown())
    return board
