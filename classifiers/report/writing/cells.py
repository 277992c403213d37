"""Cells of the tables that several documents have.

Owns which columns a table has and how its cells read. Refuses to know what stands around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from classifiers.report.writing.facts import has_intervals
from classifiers.report.writing.words import DASH, Safe, chance, code, measured, number, row_of

if TYPE_CHECKING:
    from classifiers.report.evidence import Evidence

__all__ = ["board_cells", "chosen_cells", "digest_cells", "digits_said", "shortcut_cells", "split_cells"]

_MEASURES: Final = ("auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "mcc", "brier")

_NAMES: Final = {"auc": "AUC", "f1": "F1", "mcc": "MCC", "brier": "Brier score (less is better)"}


def digits_said(evidence: Evidence) -> Safe:
    """What stands in brackets, if anything does."""
    if has_intervals(evidence):
        return Safe("Numbers in brackets are the ends of 95% intervals.")
    return Safe("There are too few groups for intervals.")


def digest_cells(evidence: Evidence) -> list[list[object]]:
    """What the results stand on."""
    return [[name, code(digest)] for name, digest in sorted(evidence.digests.items())]


def split_cells(counts: Sequence[dict[str, Any]]) -> list[list[object]]:
    """Images by label and split, and their sums."""
    names = ("train", "val", "test", "all")
    rows: list[list[object]] = [[row["label"], *(f"{row[name]:,}" for name in names)] for row in counts]
    return [*rows, ["all", *(f"{sum(row[name] for row in counts):,}" for name in names)]]


def board_cells(row: dict[str, Any]) -> list[object]:
    """One row of the leaderboard."""
    name = str(row["head"]) + ("" if row["kind"] in ("head", "network") else f" ({row['kind']})")
    verdict = str(row["against_best"] or "")
    return [
        name,
        number(row["rank"], 0),
        *(measured(row[m], row[f"{m}_low"], row[f"{m}_high"]) for m in ("auc", "accuracy")),
        Safe(f"worse, {chance(row['p'])}") if verdict == "worse" else verdict or DASH,
    ]


def chosen_cells(evidence: Evidence) -> tuple[list[str], list[list[object]]]:
    """Measures of the chosen head down, splits (and networks' own decisions) across."""
    parts = {"cv": evidence.metrics["cv"], "val": evidence.metrics["val"]}
    parts |= {
        f"{name}, its own decision on val": one for name, one in evidence.metrics.get("softmax", {}).items()
    }
    shown = {name: {r["measure"]: r for r in one["table"]} for name, one in parts.items() if "table" in one}
    rows: list[list[object]] = []
    for measure in _MEASURES:
        cells = [one[measure] for one in shown.values()]
        said = _NAMES.get(measure, measure.replace("_", " "))
        rows.append([said, *(measured(c["score"], c["low"], c["high"]) for c in cells)])
    return ["measure", *shown], rows


def shortcut_cells(evidence: Evidence) -> list[list[object]]:
    """Scores of the shortcuts that were tried."""
    return [
        [
            row["shortcut"],
            measured(row["auc"], row["auc_low"], row["auc_high"]),
            number(row["image_wise_auc"]),
            code(row["leading_column"]) if row["leading_column"] else DASH,
        ]
        for row in row_of(evidence.shortcuts)
        if not row["reason"]
    ]
