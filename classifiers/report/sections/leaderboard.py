"""Every head beside the baselines and the shortcuts.

Owns how ranks, intervals and verdicts are set. Refuses to rank: the order is the file's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from classifiers.report.evidence import Evidence
from classifiers.report.figures import Mark, forest
from classifiers.report.parts import Figure, Section, View, ends, known, score
from featurestore.text import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["first_table", "section"]

_HEADER: Final = (
    "head", "rank", "AUC", "95% interval", "accuracy", "95% interval", "F1", "MCC", "Brier",
    "against the best",
)  # fmt: skip

_STYLES: Final = {
    "head": ("@c0", "circle"),
    "network": ("@c2", "square"),
    "baseline": ("@muted", "triangle-up"),
    "shortcut": ("@c1", "diamond"),
}


def first_table(evidence: Evidence) -> pd.DataFrame:
    """The table that decides: cross-validated heads, or those of val where there are none."""
    board = evidence.leaderboard
    return board[board["scored_on"] == board["scored_on"].iloc[0]] if len(board) else board


def _verdict(row: Any) -> str:
    worse = row["against_best"] == "worse" and known(row["p"])
    return f"worse, p {row['p']:.3f}" if worse else str(row["against_best"] or "–")


def _cells(row: Any) -> tuple[str, ...]:
    return (
        str(row["head"]),
        f"{row['rank']:.0f}" if known(row["rank"]) else "–",
        score(row["auc"]),
        ends(row["auc_low"], row["auc_high"]),
        score(row["accuracy"]),
        ends(row["accuracy_low"], row["accuracy_high"]),
        score(row["f1"]),
        score(row["mcc"]),
        score(row["brier"]),
        _verdict(row),
    )


def _bodies(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows in blocks: as good as the best, behind it, and what never competes."""
    competes = table["rank"].notna()
    alike = competes & table["against_best"].isin(["best", "cannot tell"])
    tie = "cannot be told from the best" if alike.sum() > 1 else "the best"
    blocks = [
        (tie, alike, True),
        ("behind the best", competes & (table["against_best"] == "worse"), False),
        ("too few groups to compare", competes & (table["against_best"] == ""), False),
        ("baselines: never compete", table["kind"] == "baseline", False),
        ("shortcuts: what tells the classes apart without the character", table["kind"] == "shortcut", False),
    ]
    return [
        {"name": name, "tie": tied, "rows": [_cells(row) for _, row in table[rows].iterrows()]}
        for name, rows, tied in blocks
        if rows.any()
    ]


def _says(row: Any) -> str:
    ranked = f"rank {row['rank']:.0f}; " if known(row["rank"]) else ""
    auc = f"AUC {score(row['auc'])} {ends(row['auc_low'], row['auc_high'])}"
    return (
        f"{row['kind']}; {ranked}{auc}; accuracy {score(row['accuracy'])}; against the best: {_verdict(row)}"
    )


def _figure(table: pd.DataFrame, part: str) -> Figure:
    rows = [
        Mark(str(row["head"]), row["auc"], row["auc_low"], row["auc_high"], str(row["kind"]), _says(row))
        for _, row in table.iterrows()
    ]
    traces, layout, height = forest(rows, _STYLES, title="AUC, with the 95% interval over groups", at=0.5)
    leader = table[table["rank"] == 1]
    if len(leader) and known(leader.iloc[0]["auc_low"]):
        one = leader.iloc[0]
        shade = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
        shade |= {"x0": one["auc_low"], "x1": one["auc_high"], "fillcolor": "@c0/0.08", "line": {"width": 0}}
        layout["shapes"] = [*layout["shapes"], shade]
    return Figure(
        f"board-{part}",
        f"AUC of every head, baseline and shortcut ({part})",
        "A point is a score, its line the 95% interval; the dashed line is chance, the shaded band the "
        "interval of the best head.",
        (View("all", traces, layout),),
        height=height,
    )


def section(evidence: Evidence) -> Section:
    """Every table of the leaderboard, each with its figure."""
    board = evidence.leaderboard
    tables = []
    for part in dict.fromkeys(board["scored_on"]):
        own = board[board["scored_on"] == part]
        n, groups = int(own["n"].iloc[0]), int(own["groups"].iloc[0])
        drawn = "out of fold" if part == "cv" else "fitted on train"
        caption = f"Scores on {counted(n, 'image')} in {counted(groups, 'group')}, {part}, {drawn}"
        tables.append(
            {"caption": caption, "bodies": _bodies(own), "figure": _figure(own, str(part)), "header": _HEADER}
        )
    said = [text for text in evidence.said if not text.startswith("Shortcuts:")]
    return Section(
        "leaderboard",
        "Which head is best, and which may be as good",
        "Leaderboard",
        "Read the intervals before the ranks: where they overlap widely, the order may be luck.",
        {"tables": tables, "said": said},
    )
