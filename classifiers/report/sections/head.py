"""The chosen head: what it decides, how it ranks, and whether its probabilities mean what they say.

Owns how the files in ``results/plots`` are shown. Refuses to score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from classifiers.report.evidence import Evidence
from classifiers.report.figures import axis, line, literal, points
from classifiers.report.parts import Figure, Section, Table, View, ends, known, plain, score
from featurestore.text import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["section", "thinned"]

_MOST_POINTS = 400


def thinned(table: pd.DataFrame, most: int = _MOST_POINTS) -> pd.DataFrame:
    """At most so many rows, evenly, the first and the last among them."""
    import numpy as np

    if len(table) <= most:
        return table
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, most).round().astype(int))]


def _measures(evidence: Evidence) -> Table:
    """All measures, of cv and val where there are both."""
    parts = [part for part in ("cv", "val") if "table" in evidence.metrics.get(part, {})]
    header, rows = ["measure"], []
    for part in parts:
        header += [part, "95% interval"]
    for own in evidence.metrics[parts[0]]["table"]:
        name, cells = own["measure"], [own["measure"].replace("_", " ")]
        for part in parts:
            found = evidence.measure(name, part)
            cells += [score(found["score"]), ends(found["low"], found["high"])]
        rows.append((*cells, score(own["majority"])))
    n = ", ".join(
        f"{part} {counted(int(evidence.metrics[part]['n']), 'image')} in "
        f"{counted(int(evidence.metrics[part]['groups']), 'group')}"
        for part in parts
    )
    return Table(f"Every measure: {n}", (*header, "majority"), tuple(rows), "t" + "n" * len(header))


def _confusion(evidence: Evidence) -> dict[str, Any]:
    """Shares of each actual class, and images (the mean over repeats)."""
    found, names = evidence.confusion, evidence.classes
    part = evidence.metrics[evidence.scored_on]
    repeats = max(1, round(len(found) / max(1, int(part["n"]))))
    rows = []
    for actual in names:
        own = found[found["actual"] == actual]["predicted"]
        counts = [int((own == name).sum()) for name in names]
        whole = max(1, sum(counts))
        cells = [
            {"share": f"{c / whole:.0%}", "n": plain(round(c / repeats, 1)), "step": round(9 * c / whole),
             "right": name == actual}
            for name, c in zip(names, counts, strict=True)
        ]  # fmt: skip
        rows.append({"name": actual, "n": plain(round(sum(counts) / repeats)), "cells": cells})
    return {"names": names, "rows": rows, "repeats": repeats}


def _square(x: str, y: str, **more: Any) -> dict[str, Any]:
    return {
        "xaxis": axis(x, range=[-0.02, 1.02], tickvals=[0, 0.25, 0.5, 0.75, 1]),
        "yaxis": axis(y, range=[-0.02, 1.02], tickvals=[0, 0.25, 0.5, 0.75, 1]),
        "hovermode": "closest",
        **more,
    }


def _curve(evidence: Evidence, name: str) -> Figure | None:
    """ROC, or precision and recall."""
    roc = name == "roc"
    table = thinned(evidence.roc if roc else evidence.pr)
    if not len(table):
        return None
    x, y = ("fpr", "tpr") if roc else ("recall", "precision")
    positive = evidence.positive
    own = evidence.measure("auc" if roc else "average_precision")
    label = f"{'AUC' if roc else 'average precision'} {score(own['score'])} {ends(own['low'], own['high'])}"
    drawn = line(table[x], table[y], name=label, shape="linear" if roc else "vh")
    majority = evidence.measure("average_precision")["majority"] or 0.0
    chance = line([0, 1], [0, 1] if roc else [majority] * 2, name="chance", colour="@muted", dash="dash")
    layout = (
        _square(f"false positives: share of the others called {positive}", f"share of {positive} found")
        if roc
        else _square(f"recall: share of {positive} found", f"precision: share called {positive} that are")
    )
    steps = (0.05, 0.1, 0.2, 0.3, 0.5) if roc else (0.25, 0.5, 0.75, 0.9)
    rows = []
    for at in steps:
        near = table[table[x] <= at] if roc else table[table[x] >= at]
        if len(near):
            rows.append((f"{at:.2f}", score(near.iloc[-1][y] if roc else near[y].max())))
    header = ("false positives", "found") if roc else ("recall", "precision, at best")
    title = f"ROC of {evidence.head}" if roc else f"Precision and recall of {evidence.head}"
    says = (
        "Up and left is better."
        if roc
        else "Up and right is better; the dashed line is the share of the class."
    )
    numbers = Table(f"{title}, at some points", header, tuple(rows), "nn")
    return Figure(name, title, says, (View("all", (chance, drawn), layout),), numbers, 380, 0.95, wide=False)


def _calibration(evidence: Evidence) -> Figure | None:
    table = evidence.calibration
    if not len(table):
        return None
    says = [
        literal(
            f"said {row['mean_predicted']:.0%}, were {row['share_positive']:.0%} "
            f"{ends(row['low'], row['high'])}; {plain(row['n'])} images"
        )
        for _, row in table.iterrows()
    ]
    right = line([0, 1], [0, 1], name="what is said is what happens", colour="@muted", dash="dash")
    drawn = points(
        table["mean_predicted"], table["share_positive"], name=evidence.head, low=table["low"],
        high=table["high"], hover=says, joined=True,
    )  # fmt: skip
    layout = _square(f"predicted probability of {evidence.positive}", f"share that are {evidence.positive}")
    rows = tuple(
        (score(r["mean_predicted"]), score(r["share_positive"]), ends(r["low"], r["high"]), plain(r["n"]))
        for _, r in table.iterrows()
    )
    numbers = Table("Calibration", ("said", "were", "95% interval", "images"), rows, "nnnn")
    return Figure(
        "calibrated",
        f"Calibration of {evidence.head}",
        "On the dashed line a probability is what happens; above it the head says too little.",
        (View("all", (right, drawn), layout),),
        numbers,
        380,
        0.95,
        wide=False,
    )


def _epochs(table: pd.DataFrame, id: str, title: str, columns: dict[str, str], names: str) -> Figure | None:
    """Curves over epochs; of several learners a view each."""
    if not len(table):
        return None
    views, rows = [], []
    for name in dict.fromkeys(table[names]) if names in table else [""]:
        own = table[table[names] == name] if name else table
        traces = tuple(
            line(own["epoch"], own[column], name=said, colour=f"@c{i}")
            for i, (column, said) in enumerate(columns.items())
            if column in own and any(map(known, own[column]))
        )
        views.append(View(str(name) or "all", traces, {"yaxis": axis("loss"), "xaxis": axis("epoch")}))
        rows += [
            (str(name), plain(r["epoch"]), *(score(r.get(c)) for c in columns))
            for _, r in thinned(own, 40).iterrows()
        ]
    header = (names, "epoch", *columns.values())
    numbers = Table(title, header, tuple(rows), "t" + "n" * (len(columns) + 1))
    says = "Where the second line turns up while the first goes on down, it learns by heart."
    return Figure(id, title, says, tuple(views), numbers, 340, choice=names)


def section(evidence: Evidence) -> Section:
    """Decisions, curves and all measures."""
    losses = {"loss": "loss", "holdout_loss": "loss on groups held out"}
    trained = _epochs(evidence.training, "training", "Training of an extractor", losses, "extractor")
    own = {"loss": "loss", "validation_score": "score on rows held out"}
    fitted = _epochs(evidence.loss, "loss", f"Training of {evidence.head}", own, "head")
    figures = [_curve(evidence, "roc"), _curve(evidence, "pr"), _calibration(evidence)]
    metrics = evidence.metrics
    values = {
        "head": evidence.head,
        "how": [metrics[k] for k in ("fusion", "decision") if metrics.get(k)],
        "part": evidence.scored_on,
        "no_cv": metrics["cv"].get("reason", ""),
        "notes": metrics[evidence.scored_on].get("notes", []),
        "confusion": _confusion(evidence),
        "figures": [figure for figure in figures if figure],
        "training": [figure for figure in (trained, fitted) if figure],
        "measures": _measures(evidence),
        "many": len(evidence.classes) > 2,
        "positive": evidence.positive,
    }
    aid = "What the head that params.yaml names gets right and wrong, on images that it was not fitted on."
    return Section("head", f"The chosen head: {evidence.head}", "The chosen head", aid, values)
