"""Which features the chosen head goes by: importance by four methods, each beside what chance gives.

Owns ``importance.csv``, ``shap.parquet`` and the concordance in ``results/explanation``, and
``results/plots/importance.csv``. Refuses to read the test split and the saved model.

What a column is worth in one fold `importance` measures; `labellings` says which folds and permuted labels,
`grouping` which columns belong together, `ranking` what the folds amount to. The null is the same statistic
under permuted labels (Altmann et al. 2010): the mean over the first folds of one drawing, taken of the true
labels and of each permutation alike, with the same shuffles, rows and trees.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifiers.data import Study
from classifiers.explanation.concordance import concordance
from classifiers.explanation.grouping import Unit, axes, units
from classifiers.explanation.importance import measured, naming
from classifiers.explanation.importance_plots import Contributions, figures
from classifiers.explanation.importance_report import Explanation, Line
from classifiers.explanation.importance_tasks import (
    COEFFICIENTS,
    FOREST,
    Asked,
    Effort,
    Found,
    Task,
    learns,
    needs_names,
)
from classifiers.explanation.labellings import DRAWN_FOLDS, Labelling, Plan, plan
from classifiers.explanation.ranking import lines
from classifiers.scoring import Scoring
from featurestore.files import write_bytes_atomic, write_text_atomic

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Importances", "explain", "importances", "shap_parquet"]


def _asked(
    chosen: Plan, makers: Mapping[str, Callable[[], Any]], how: Scoring, name: str, parts: tuple[Unit, ...]
) -> Asked:
    """What every task shares; one fit tells whether the head's contributions are a closed form."""
    from classifiers.explanation.attribution import attribute

    study, rows = chosen.study, chosen.rows
    spread = np.zeros((len(study.keys), len(parts)))
    spread[rows] = axes(study.features.to_numpy()[rows], parts)
    there = {key: make for key, make in makers.items() if key in (name, COEFFICIENTS, FOREST)}
    fitted = chosen.folds[0].fitted
    table = study.features.iloc[fitted]
    with naming(name):
        head = there[name]()
        head.fit(table, study.labels[fitted], groups=study.groups[fitted])
        probe = attribute(head, table.iloc[:1], table.iloc[:8], positive=how.positive, seed=how.seed, draws=1)
    return Asked(
        values=study.features.to_numpy(),
        names=tuple(map(str, study.features.columns)),
        axes=spread,
        groups=study.groups,
        classes=study.classes,
        positive=how.positive,
        units=parts,
        makers=there,
        head=name,
        closed=probe.method == "closed form",
        named=any(needs_names(make()) for make in there.values()),
        seed=how.seed,
    )


def _tasks(chosen: Plan, closed: bool) -> tuple[list[Task], list[Task]]:
    """The true labels in every fold; with less effort and in few folds, these and each permutation."""
    labels = chosen.study.labels
    full = Effort(5, None, 25, 12) if closed else Effort(1, None, 25, 12)
    lean = Effort(5, None, 1, 10) if closed else Effort(1, 12, 8, 10)
    bare = full if closed else replace(full, rows=0)  # contributions that are dear are taken once
    every = [Task(fold, labels, full if fold.repeat == 0 else bare) for fold in chosen.folds]
    true = [Labelling(labels, chosen.folds[:DRAWN_FOLDS])] if chosen.drawn else []
    return every, [Task(fold, one.labels, lean) for one in (*true, *chosen.drawn) for fold in one.folds]


def _labellings(found: Sequence[Found]) -> list[Sequence[Found]]:
    """What the folds of each labelling found."""
    return [found[i : i + DRAWN_FOLDS] for i in range(0, len(found), DRAWN_FOLDS)]


def _contributions(asked: Asked, chosen: Plan, every: Sequence[Found]) -> Contributions:
    """Held-out contributions of each row, averaged over the repeats that have them."""
    told = [one for one in every if len(one.rows)]
    total = np.zeros((len(chosen.study.keys), len(asked.players)))
    base, times = np.zeros(len(total)), np.zeros(len(total))
    for one in told:
        total[one.rows] += one.contributions
        base[one.rows] += one.base
        times[one.rows] += 1
    rows = np.flatnonzero(times)
    values = np.full((len(rows), len(asked.players)), np.nan)
    for i, unit in enumerate(asked.players):
        if unit.level == "column":
            values[:, i] = asked.values[rows, unit.columns[0]]
    return Contributions(
        asked.players,
        rows,
        total[rows] / times[rows, None],
        base[rows] / times[rows],
        values,
        chosen.study.labels[rows] == asked.classes[asked.positive],
        chosen.study.groups[rows],
        1 + max(fold.number for fold in chosen.folds),
        told[0].unit,
        told[0].method,
    )


def shap_parquet(study: Study, told: Contributions, **said: str) -> bytes:
    """Contributions as Parquet, float32, one row an image, keys ascending.

    Columns: key, one for each readable column and one for each extractor whose columns nobody can read, base,
    margin (base and contributions summed). The metadata say unit, method and whatever else is said.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"key": study.keys[told.rows].tolist()}
    columns |= {one.name: told.values[:, i].astype(np.float32) for i, one in enumerate(told.units)}
    columns["base"] = told.base.astype(np.float32)
    columns["margin"] = told.margin.astype(np.float32)
    table = pa.table(columns).replace_schema_metadata({"unit": told.unit, "method": told.method, **said})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


@dataclass(frozen=True)
class Importances:
    """What was measured of one head.

    Attributes
    ----------
    plan : Plan
    lines : tuple of Line
    contributions : Contributions
    notes : tuple of str
        How it was measured.
    """

    plan: Plan
    lines: tuple[Line, ...]
    contributions: Contributions
    notes: tuple[str, ...]


def importances(
    study: Study,
    makers: Mapping[str, Callable[[], Any]],
    how: Scoring,
    *,
    name: str,
    permutations: int,
    images: int,
) -> Importances:
    """Measure by all four methods, and under permuted labels; as `explain`, which also writes it."""
    chosen = plan(study, how, permutations=permutations, images=images)
    parts = units(chosen.study.features.iloc[chosen.rows])
    asked = _asked(chosen, makers, how, name, parts)
    every, compared = _tasks(chosen, asked.closed)
    found = measured(asked, [*every, *compared], workers=how.workers)
    true, drawn = found[: len(every)], _labellings(found[len(every) :])
    told = _contributions(asked, chosen, true)
    notes = (*chosen.notes, *_notes(chosen, asked, told))
    return Importances(chosen, lines(asked, true, drawn, told.unit), told, notes)


def explain(
    study: Study,
    makers: Mapping[str, Callable[[], Any]],
    how: Scoring,
    *,
    name: str,
    permutations: int,
    images: int,
    design: pd.DataFrame | None,
    results: Path,
) -> Explanation:
    """Measure what the head goes by; write ``results/explanation`` and ``results/plots/importance.csv``.

    The figures are left to `classifiers.plots.write_pngs`.

    Where every extractor learned from train, the head that was fitted on train is asked about val.

    Parameters
    ----------
    makers : mapping of str to callable
        New, unfitted heads by name: the chosen one, ``logreg`` for coefficients, ``rf`` for impurities. A
        method whose head is not there is left out.
    how : Scoring
        Folds and repeats as for ``cv``.
    name : str
        The chosen head.
    permutations : int
        Of the labels; 0 = no null.
    images : int
        Beyond so many, whole groups are sampled.
    design : DataFrame, shape (n, 63), optional
        Rows of ``design`` in the order of the study's keys, columns ``design/...``: for the concordance.
    results : Path

    Raises
    ------
    SplitError
        If the classes or groups are too few for the folds.
    KyaraError
        If a head fails; the message names it.
    """
    found = importances(study, makers, how, name=name, permutations=permutations, images=images)
    asked, rows = found.plan.study, found.plan.rows
    report = Explanation(
        _caption(found.plan, how, name),
        found.lines,
        asked.classes,
        how.positive,
        asked.blocks,
        concordance(study, makers[name], how, name=name, design=design, rows=rows, results=results),
        found.notes,
    )
    folder = results / "explanation"
    write_text_atomic(folder / "importance.csv", report.csv())
    write_text_atomic(results / "plots" / "importance.csv", report.plotted())
    said = {"head": name, "positive": report.positive, "note": "; ".join(report.notes)}
    write_bytes_atomic(folder / "shap.parquet", shap_parquet(asked, found.contributions, **said))
    return replace(report, figures=figures(report, found.contributions, draws=how.draws, seed=how.seed))


def _caption(chosen: Plan, how: Scoring, name: str) -> str:
    n_groups = len(np.unique(chosen.study.groups[chosen.rows]))
    study, rows = chosen.study, chosen.rows
    classes = study.classes
    others = "the rest" if len(classes) > 2 else classes[1 - how.positive]
    folds = how.folds_said if len(chosen.folds) > 1 else "fitted on train, asked about val"
    return (
        f"What {name} goes by, {classes[how.positive]} against {others}: {len(rows)} images of train and val "
        f"in {n_groups} groups, {folds}, {study.split_kind}"
    )


def _notes(chosen: Plan, asked: Asked, told: Contributions) -> list[str]:
    """How it was measured."""
    notes = [f"contributions: {told.method}"]
    if not asked.closed and any(fold.repeat for fold in chosen.folds):
        notes[0] += ", of the first drawing of the folds"
    if chosen.drawn:
        m, n_columns = len(chosen.drawn), len(asked.players)
        notes.append(
            f"p: {m} exchanges of labels between whole groups, and between the parts of a group of several "
            f"classes, each asked in {DRAWN_FOLDS} folds, against the same of the true labels; the least it "
            f"can be is {1 / (1 + m):.3f}, and of {n_columns} features that know nothing "
            f"{n_columns / (1 + m):.1f} have that"
        )
        notes.append(
            "p is against no feature knowing anything: beside one that knows much, those that know nothing "
            "can have a small p by contributions (under svm and lda above all)"
        )
    if chosen.drawn and not learns(asked.makers[asked.head]()):
        notes.append(f"{asked.head} learns nothing from labels, so that p of its contributions says nothing")
    lacking = [head for head in (COEFFICIENTS, FOREST) if head not in asked.makers]
    return notes + [f"not measured: {head} is not among the heads" for head in lacking]
