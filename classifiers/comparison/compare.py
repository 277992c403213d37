"""Every head on the same rows: the leaderboard.

Owns ``results/leaderboard.csv`` and ``.md``, ``shortcuts.csv`` and ``oof.parquet``. Refuses to read the
test split and the saved model. The heads are ordered by `PRIMARY`, then by name; all are scored on the same
folds and the same draws of groups. An extractor that learned from train is left out of cross-validation,
whose folds would score pictures that it saw; a second table has heads that were fitted on train, all
columns, scored on val, and the networks' own decisions among them.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifiers.comparison.board import PRIMARY, Entry, Leaderboard, Table
from classifiers.comparison.panel import Panel, panel
from classifiers.comparison.selection import corrected_winner, told_from_best
from classifiers.comparison.shortcuts import Shortcut, wide_study
from classifiers.comparison.shortcuts import makers as shortcut_makers
from classifiers.evaluate import judge, score_rows
from classifiers.fitting import Answer, Classifier
from classifiers.intervals import Scores, widening
from classifiers.networks import Softmax, read_softmaxes
from classifiers.predictions import Predictions, cross_validate, cv_folds, held_out
from classifiers.registry import max_rows
from classifiers.scoring import Scoring
from classifiers.splits import check_classes, repeated_folds
from classifiers.tables import number
from featurestore.files import write_bytes_atomic, write_text_atomic

if TYPE_CHECKING:
    from classifiers.data import Study

__all__ = ["BASELINES", "Compared", "compare", "oof_parquet", "too_large"]

log = logging.getLogger(__name__)

#: Heads that others stand beside; they never compete.
BASELINES = ("convention", "dummy")

_RANKED = f"{PRIMARY} ranks each image against the others of its fold"


@dataclass(frozen=True)
class Compared:
    """What came of it.

    Attributes
    ----------
    board : Leaderboard
    answers : list of Answer
        Every fit, with its times.
    """

    board: Leaderboard
    answers: list[Answer]


def too_large(names: Sequence[str], n_rows: int) -> dict[str, str]:
    """Heads that declare fewer rows than there are, and what to say of each.

    Examples
    --------
    >>> too_large(["logreg", "svm"], 30_000)
    {'svm': 'svm is left out: 30,000 rows, and it takes 20,000 at most'}
    """
    limits = {name: max_rows(name) for name in names}
    return {
        name: f"{name} is left out: {n_rows:,} rows, and it takes {limit:,} at most"
        for name, limit in limits.items()
        if limit is not None and n_rows > limit
    }


def _competing(kinds: Mapping[str, str], names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([kinds[name] in ("head", "network") for name in names])


def _order(scores: Scores, name: str) -> tuple[float, str]:
    best = scores.estimates[PRIMARY].score
    return (float("inf") if best is None else -round(best, 6), name)


def _entries(
    found: Mapping[str, Scores], kinds: Mapping[str, str], factor: float, seed: int
) -> tuple[Entry, ...]:
    """Rows in order, each with its rank and with how likely it is as good as the best."""
    names = sorted(found, key=lambda name: _order(found[name], name))
    values = np.array([found[name].estimates[PRIMARY].score for name in names], dtype=float)
    p = np.full(len(names), np.nan)
    competing = _competing(kinds, names)
    if competing.any() and not np.isnan(values).any() and all(found[name].draws for name in names):
        draws = np.column_stack([found[name].draws[PRIMARY] for name in names])
        n_groups = found[names[0]].n_groups
        p = told_from_best(values, draws, competing, n_groups=n_groups, factor=factor, seed=seed)
    rank, entries = 0, []
    for i, name in enumerate(names):
        rank += bool(competing[i])
        own = None if np.isnan(p[i]) else float(p[i])
        entries.append(Entry(name, kinds[name], found[name], rank if competing[i] else None, own))
    return tuple(entries)


def _table(
    study: Study,
    parts: Mapping[str, Predictions],
    kinds: Mapping[str, str],
    how: Scoring,
    *,
    fusion: str,
    notes: Sequence[str],
) -> Table:
    """Scores, ranks and corrections of predictions on the same rows."""
    found = {name: score_rows(study, part, **how.measured) for name, part in parts.items()}
    some = next(iter(parts.values()))
    entries = _entries(found, kinds, widening(some.folds), how.seed)
    heads = [e for e in entries if e.rank is not None]
    winner = None
    if len(heads) > 1 and all(e.p is not None for e in heads):
        winner = corrected_winner(
            {e.name: judge(study, parts[e.name], how.positive) for e in heads},
            study.groups[some.rows],
            {e.name: e.scores.draws[PRIMARY] for e in heads},
            {e.name: float(e.scores.estimates[PRIMARY].score or 0) for e in heads},
            measured=PRIMARY,
            seed=how.seed,
        )
    said = dict.fromkeys(note for scores in found.values() for note in scores.notes)
    caption = _caption(study, some, next(iter(found.values())), how, fusion)
    return Table(entries, some.name, study.split_kind, caption, winner, (*notes, *said))


def _caption(study: Study, part: Predictions, scores: Scores, how: Scoring, fusion: str) -> str:
    rows, folds = "val, fitted on train", ""
    if part.name == "cv":
        times = f", drawn {part.repeats} times" if part.repeats > 1 else ""
        rows, folds = "train and val", f", {how.folds} grouped folds{times}"
    return (
        f"Heads by {PRIMARY}, then name: {part.name} on {scores.n_images} images of {rows} in "
        f"{scores.n_groups} groups{folds}; {study.split_kind}{f'; {fusion}' * bool(fusion)}; "
        f"accuracy of the majority {number(scores.estimates['accuracy'].majority)}"
    )


def _softmax_notes(networks: Mapping[str, Softmax]) -> list[str]:
    return [
        f"{name} softmax: the network's own decision, no head"
        + ("" if one.design is None else "; it learned the design labels and is scored against the true ones")
        for name, one in networks.items()
    ]


def _cv_table(
    study: Study,
    heads: Mapping[str, Callable[[], Classifier]],
    shortcuts: Sequence[Shortcut],
    how: Scoring,
    fusion: str,
    notes: Sequence[str],
    timed: list[Answer],
) -> tuple[Table, Panel, dict[str, Predictions]]:
    """Heads and shortcuts on the same folds, and the panel of the latter."""
    folds = cv_folds(study, **how.folded)
    log.info("%d heads, %d folds each ...", len(heads), len(folds))
    parts = cross_validate(study, heads, folds, workers=how.workers, log=timed)
    kinds = {name: "baseline" if name in BASELINES else "head" for name in heads}
    wide = wide_study(study, shortcuts)
    given = shortcut_makers(shortcuts, seed=how.seed, n_classes=len(study.classes), positive=how.positive)
    log.info("%d shortcuts ...", len(given))
    told = cross_validate(wide, given, folds, workers=how.workers)
    kinds |= dict.fromkeys(told, "shortcut")
    table = _table(study, {**parts, **told}, kinds, how, fusion=fusion, notes=notes)
    loose = cross_validate(wide, given, _image_wise(study, how), workers=how.workers)
    scores = {e.name: e.scores for e in table.entries}
    shown = panel(
        study,
        shortcuts,
        {name: scores[name] for name in told},
        {name: score_rows(study, part, **how.measured) for name, part in loose.items()},
        {e.name: e.scores for e in table.entries if e.rank is not None},
        how.positive,
    )
    return table, shown, {**parts, **told}


def _image_wise(study: Study, how: Scoring) -> Any:
    """Folds that keep nothing together, drawn once."""
    rows = study.rows_of("train", "val")
    return repeated_folds(study.labels, study.keys, rows, folds=how.folds, repeats=1, seed=how.seed)


def _val_table(
    study: Study,
    heads: Mapping[str, Callable[[], Classifier]],
    networks: Mapping[str, Softmax],
    how: Scoring,
    fusion: str,
    timed: list[Answer],
) -> tuple[Table, dict[str, Predictions]]:
    """Heads fitted on train and networks' own decisions, on val."""
    parts = held_out(study, heads, workers=how.workers, log=timed)
    kinds = {name: "baseline" if name in BASELINES else "head" for name in heads}
    own = {f"{name} softmax": one.predictions for name, one in networks.items()}
    kinds |= dict.fromkeys(own, "network")
    notes = _softmax_notes(networks)
    return _table(study, {**parts, **own}, kinds, how, fusion=fusion, notes=notes), {**parts, **own}


def oof_parquet(study: Study, parts: Sequence[tuple[str, Predictions]]) -> bytes:
    """Predictions of every head as Parquet: one row a head, image and repeat.

    Columns: head, key, group, split (``cv`` or ``val``), repeat, fold (counted through all repeats; null on
    val), label, predicted, and ``p_<label>`` for each class.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = np.asarray(study.classes)
    tables = []
    for head, part in parts:
        fold = None if part.fold is None else part.fold.astype(np.int32)
        columns: dict[str, Any] = {
            "head": np.full(len(part.rows), head),
            "key": study.keys[part.rows],
            "group": study.groups[part.rows],
            "split": np.full(len(part.rows), "cv" if part.fold is not None else "val"),
            "repeat": part.repeat.astype(np.int32),
            "fold": pa.array(fold, pa.int32()) if fold is not None else pa.nulls(len(part.rows), pa.int32()),
            "label": study.labels[part.rows],
            "predicted": names[part.predicted],
        }
        columns |= {f"p_{name}": part.proba[:, i] for i, name in enumerate(study.classes)}
        tables.append(
            pa.table({k: pa.array(v) if isinstance(v, np.ndarray) else v for k, v in columns.items()})
        )
    stream = io.BytesIO()
    pq.write_table(pa.concat_tables(tables), stream, compression="zstd")
    return stream.getvalue()


def compare(
    study: Study,
    heads: Mapping[str, Callable[[], Classifier]],
    shortcuts: Sequence[Shortcut],
    how: Scoring,
    *,
    results: Path,
    learned: Path,
    fusion: str = "",
    notes: Sequence[str] = (),
) -> Compared:
    """Score every head on the same rows and write the leaderboard.

    Parameters
    ----------
    heads : mapping of str to callable
        Name of a head to a maker of new, unfitted ones.
    shortcuts : sequence of Shortcut
        From `shortcuts.gather`.
    learned : Path
        Folder in which `classifiers.networks` finds what networks that learned left.
    fusion : str
        `classifiers.tables.fusion_said`.
    notes : sequence of str
        What to say of heads below all tables.

    Raises
    ------
    KyaraError
        If a head fails; the message names it.
    """
    check_classes(study.labels[study.rows_of("train")], study.classes, where="the train split")
    networks = read_softmaxes(study, learned)
    timed: list[Answer] = []
    tables: list[Table] = []
    parts: list[tuple[str, Predictions]] = []
    shown, seen, learned_by = None, study.without_learned(), ", ".join(sorted(study.fitted_on))
    if seen is not None:
        gone = [f"{learned_by} learned from train and is left out here"] * bool(learned_by)
        table, shown, said = _cv_table(seen, heads, shortcuts, how, fusion, [_RANKED, *gone], timed)
        tables.append(table)
        parts += said.items()
    if study.fitted_on:
        table, said = _val_table(study, heads, networks, how, fusion, timed)
        tables.append(table)
        parts += said.items()
    said_below = list(notes)
    if seen is None:
        said_below.append(f"no cv: {learned_by} learned from the train split")
    board = Leaderboard(tuple(tables), shown, tuple(said_below))
    write_text_atomic(results / "leaderboard.csv", board.csv())
    write_text_atomic(results / "leaderboard.md", board.markdown())
    write_text_atomic(results / "shortcuts.csv", (shown or Panel(())).csv())
    write_bytes_atomic(results / "oof.parquet", oof_parquet(study, parts))
    return Compared(board, timed)
