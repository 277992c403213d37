"""What the score is made of: splits, recognition, shortcuts, and whether more pictures would help.

Owns how `leakage.csv`, `shortcuts.csv` and the learning curve are shown. Refuses to measure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from classifiers.report.evidence import Evidence
from classifiers.report.figures import Mark, axis, band, forest, literal, points
from classifiers.report.parts import Figure, Section, Table, View, ends, known, plain, score
from featurestore.text import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["recognised", "rising", "section"]

_GROUPS_OF: Final = {"mixed": "several roles", "one role": "one role", "both": "both"}
#: A gain that still matters: docs/leakage.md.
_GAIN: Final = 0.01
_BETWEEN: Final = "95% interval"


def _ends(row: Any, name: str) -> str:
    return ends(row[f"{name}_low"], row[f"{name}_high"])


def _said(row: Any, name: str = "auc") -> str:
    return f"AUC {score(row[name])} {_ends(row, name)}"


def _mark(label: str, row: Any, name: str, kind: str, says: str = "") -> Mark:
    return Mark(label, row[name], row[f"{name}_low"], row[f"{name}_high"], kind, says or _said(row, name))


def _part(evidence: Evidence, name: str) -> pd.DataFrame:
    return evidence.leakage[evidence.leakage["part"] == name]


def _ladder(evidence: Evidence) -> Figure | None:
    own = _part(evidence, "ladder")
    if not own["auc"].notna().any():
        return None
    rows, table = [], []
    for _, row in own.iterrows():
        why = str(row["note"]).removeprefix("not estimable: ")
        rows.append(_mark(str(row["what"]), row, "auc", "AUC", why))
        cells = [str(row["what"]), plain(row["groups"]), score(row["auc"]), _ends(row, "auc")]
        cells += [score(row["accuracy"]), score(row["flattery"]), _ends(row, "flattery"), str(row["note"])]
        table.append(tuple(cells))
    traces, layout, height = forest(rows, {"AUC": ("@c0", "circle")}, title="AUC", at=0.5)
    header = (
        "never on both sides",
        "groups",
        "AUC",
        _BETWEEN,
        "accuracy",
        "flattery (AUC)",
        _BETWEEN,
        "note",
    )
    return Figure(
        "ladder",
        "The ladder: what folds keep together",
        "The same head and pictures; each row keeps more together. A fall is what the looser split flatters.",
        (View("all", traces, layout),),
        Table("The ladder", header, tuple(table), "tnnnnnnw"),
        height,
    )


def _meter_rows(own: pd.DataFrame) -> list[Mark]:
    rows = []
    for _, row in own.iterrows():
        label = f"{_GROUPS_OF.get(row['what'], row['what'])}, {counted(int(row['groups']), 'group')}"
        left = f"the true labels on exchanged ones: {score(row['design_left'])}"
        rows += [
            _mark(label, row, "auc", "true labels", f"{_said(row)}, image by image"),
            _mark(
                label, row, "permuted", "exchanged labels", f"{_said(row, 'permuted')}, on exchanged labels"
            ),
            Mark(label, row["design_left"], None, None, "design left in these", left),
        ]
    return rows


def _meter_table(own: pd.DataFrame) -> Table:
    table = []
    for _, row in own.iterrows():
        cells = [_GROUPS_OF.get(row["what"], str(row["what"])), plain(row["groups"]), plain(row["n"])]
        cells += [
            score(row["auc"]),
            score(row["permuted"]),
            _ends(row, "permuted"),
            score(row["design_left"]),
        ]
        cells += [f"{row['share']:.0%}" if known(row["share"]) else "–", str(row["note"])]
        table.append(tuple(cells))
    header = ("groups of", "n", "images", "AUC", "exchanged", "range", "design left", "share", "note")
    return Table("The identity meter", header, tuple(table), "tnnnnnnnw")


def _meter(evidence: Evidence) -> Figure | None:
    own = _part(evidence, "identity")
    seen = own[own["permuted"].notna()]
    if not len(seen):
        return None
    styles = {
        "true labels": ("@c0", "circle"),
        "exchanged labels": ("@c1", "diamond"),
        "design left in these": ("@ink", "line-ns-open"),
    }
    offset = {"true labels": -0.16, "exchanged labels": 0.16, "design left in these": 0.16}
    traces, layout, height = forest(_meter_rows(seen), styles, title="AUC", at=0.5, offset=offset)
    for trace in traces:
        if trace["name"] == "design left in these":
            trace["marker"] |= {"size": 16, "line": {"width": 2.5, "color": "@ink"}}
    return Figure(
        "identity",
        "The identity meter: what recognising a group earns",
        "Exchanged labels follow the group and no longer its design: what the head earns from them beyond "
        "the black tick is recognition of the group.",
        (View("all", traces, layout),),
        _meter_table(own),
        height + 40,
    )


def _panel_table(own: pd.DataFrame) -> Table:
    table = []
    for _, row in own.iterrows():
        near = str(row["within_interval_of"]).replace(" ", ", ") or str(row["reason"]) or "no head"
        cells = [str(row["shortcut"]), plain(row["columns"]), score(row["auc"]), _ends(row, "auc")]
        cells += [score(row["image_wise_auc"]), str(row["leading_column"] or "–")]
        table.append((*cells, score(row["leading_column_auc"]), near))
    header = ("shortcut", "columns", "AUC", _BETWEEN, "image by image", "leading column", "its AUC")
    return Table("Shortcuts", (*header, "within the interval of"), tuple(table), "tnnnntnw")


def _panel(evidence: Evidence) -> Figure | None:
    own = evidence.shortcuts
    seen = own[own["auc"].notna()]
    if not len(seen):
        return None
    rows = []
    for _, row in seen.iterrows():
        name, near = str(row["shortcut"]), str(row["within_interval_of"])
        said = f"{_said(row)}{f'; reaches {near}' if near else ''}"
        rows.append(_mark(name, row, "auc", "on the study's folds", said))
        if known(row["image_wise_auc"]):
            loose = f"AUC {score(row['image_wise_auc'])} where folds keep nothing together"
            rows.append(Mark(name, row["image_wise_auc"], None, None, "image by image", loose))
    chosen = evidence.measure("auc")
    said = f"AUC {score(chosen['score'])} {ends(chosen['low'], chosen['high'])}"
    rows.append(
        Mark(f"{evidence.head} (chosen)", chosen["score"], chosen["low"], chosen["high"], "head", said)
    )
    styles = {
        "on the study's folds": ("@c1", "diamond"),
        "image by image": ("@muted", "circle-open"),
        "head": ("@c0", "circle"),
    }
    traces, layout, height = forest(rows, styles, title="AUC", at=0.5)
    return Figure(
        "shortcuts",
        "Shortcuts: how far one gets without the character",
        "Each shortcut knows something about the file or its edge, and nothing of the character.",
        (View("all", traces, layout),),
        _panel_table(own),
        height,
    )


def recognised(evidence: Evidence) -> tuple[float | None, str]:
    """Share of the score image by image that recognition explains; where it is not known, why."""
    for _, row in evidence.leakage.iterrows():
        if row["part"] == "identity" and row["what"] == "both":
            return (float(row["share"]) if known(row["share"]) else None), str(row["note"])
    return None, ""


def rising(evidence: Evidence) -> str:
    """What the last doubling of pictures brought, in words; empty where there is no curve."""
    curve = evidence.learning_curve
    last = curve.iloc[-1] if len(curve) else None
    if last is None or not known(last.get("gain_auc")):
        return ""
    low, high = last["gain_auc_low"], last["gain_auc_high"]
    if known(low) and low > 0:
        said = "more pictures of further groups would probably help"
    elif known(high) and high < _GAIN:
        said = "no sign that more pictures would help"
    else:
        said = "nobody can tell whether more pictures would help"
    gain = f"{score(last['gain_auc'])} {ends(low, high)}"
    return f"The last doubling of the pictures raised the AUC by {gain}: {said}."


def _curve_traces(curve: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    traces: list[dict[str, Any]] = []
    for name, colour, symbol, said in (
        ("auc", "@c0", "circle", "AUC"),
        ("accuracy", "@c1", "diamond", "accuracy"),
    ):
        low, high = curve[f"{name}_low"], curve[f"{name}_high"]
        if low.notna().all():
            traces.append(band(curve["images"].tolist(), low.tolist(), high.tolist(), colour=colour))
        hover = [
            literal(f"{plain(round(row['images']))} pictures: {said} {score(row[name])} {_ends(row, name)}")
            for _, row in curve.iterrows()
        ]
        x, y = curve["images"], curve[name]
        traces.append(points(x, y, name=said, colour=colour, symbol=symbol, joined=True, hover=hover))
    return tuple(traces)


def _curve(evidence: Evidence) -> Figure | None:
    curve: pd.DataFrame = evidence.learning_curve
    seen = curve[curve["auc"].notna()]
    if not len(seen):
        return None
    ticks = [round(float(v), 2) for v in seen["images"]]
    layout = {
        "xaxis": axis("pictures fitted on", type="log", tickvals=ticks, ticktext=[f"{v:.0f}" for v in ticks]),
        "yaxis": axis(f"score, {_BETWEEN}"),
        "hovermode": "closest",
        "showlegend": True,
    }
    table = []
    for _, row in curve.iterrows():
        cells = [
            f"{row['share']:.3g}",
            plain(round(row["images"])),
            plain(round(row["groups"])),
            score(row["auc"]),
        ]
        cells += [_ends(row, "auc"), score(row["accuracy"]), score(row["gain_auc"]), _ends(row, "gain_auc")]
        table.append((*cells, str(row["note"])))
    header = ("share", "images", "groups", "AUC", _BETWEEN, "accuracy", "gain", _BETWEEN, "note")
    return Figure(
        "learning-curve",
        f"{evidence.head} fitted on fewer pictures",
        rising(evidence),
        (View("all", _curve_traces(seen), layout),),
        Table("The learning curve", header, tuple(table), "nnnnnnnnw"),
    )


def section(evidence: Evidence) -> Section:
    """Ladder, meter, shortcuts, learning curve."""
    reasons = [str(note) for note in _part(evidence, "none")["note"] if note]
    figures = [_ladder(evidence), _meter(evidence), _panel(evidence), _curve(evidence)]
    own = _part(evidence, "identity")
    own = own[own["note"] != ""]
    values = {
        "figures": [figure for figure in figures if figure],
        "reason": reasons[0] if reasons else "",
        "notes": [
            f"Groups of {_GROUPS_OF.get(row['what'], row['what'])}: {row['note']}"
            for _, row in own.iterrows()
        ],
        "warnings": evidence.warnings,
    }
    aid = "A good score may come from recognising a series, or from the frame; this is where that would show."
    return Section("leakage", "What the score is made of", "Leakage", aid, values)
