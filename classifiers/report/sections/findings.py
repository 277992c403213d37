"""The study's hypotheses, what was annotated, and its other claims: verdicts with intervals.

Owns how `findings.csv` is set. Refuses to test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from classifiers.report.evidence import Evidence
from classifiers.report.figures import Mark, forest
from classifiers.report.parts import Figure, Section, Table, View, ends, known, score, signed
from classifiers.report.sections.answer import tallied
from featurestore.text import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["section"]

_FAMILIES: Final = {
    "hypotheses": (
        "What drawing convention says",
        "Directions were fixed before any look at the labels; a positive effect is the expected one.",
    ),
    "annotations": (
        "What was drawn",
        "Numbers of the user's own table beside the roles: what went into the pictures, not what was "
        "measured in them. No head sees them, and no direction was expected: a positive effect is more of it.",
    ),
    "study": (
        "The study's other claims",
        "Each has a measure of its own, so that effects cannot be compared.",
    ),
}
_STYLES: Final = {
    "supported": ("@c2", "circle"),
    "opposite": ("@c1", "diamond"),
    "differs": ("@c0", "circle"),
    "cannot tell": ("@muted", "circle-open"),
}


def _title(row: Any) -> str:
    return str(row["finding"]).replace("_", " ")


def _says(row: Any) -> str:
    p = f"; p {score(row['p'])}, {score(row['p_holm'])} after Holm" if known(row["p"]) else ""
    return f"{row['what']}: {signed(row['effect'])} {ends(row['low'], row['high'])}{p}; {row['verdict']}"


def _figure(own: pd.DataFrame, family: str, place: int, title: str) -> Figure | None:
    """Effects with intervals; only where they share a unit, and there is something to see."""
    seen = own[own["effect"].notna() & own["verdict"].isin(list(_STYLES))]
    if seen["finding"].nunique() < 2 or seen["what"].nunique() > 1:
        return None
    views = []
    for cast in dict.fromkeys(seen["cast"]):
        part = seen[seen["cast"] == cast]
        rows = [
            Mark(_title(row), row["effect"], row["low"], row["high"], row["verdict"], _says(row))
            for _, row in part.iterrows()
        ]  # fmt: skip
        what = str(seen["what"].iloc[0])
        what += ", in the direction that convention expects" if family == "hypotheses" else ""
        traces, layout, height = forest(rows, _STYLES, title=what, at=0.0)
        views.append(View("the whole cast" if cast == "all" else str(cast), traces, layout))
    says = "A line that crosses the dashed one at 0 cannot be told from no effect by its interval alone."
    return Figure(f"effects-{place}", f"{title}: effects", says, tuple(views), height=height, choice="cast")


def _again(row: Any, others: pd.DataFrame) -> str:
    """The same finding on another cast, in a cell."""
    same = others[others["finding"] == row["finding"]]
    if not len(same):
        return "–"
    one = same.iloc[0]
    if not known(one["effect"]):
        return str(one["verdict"])
    return f"{signed(one['effect'])} {ends(one['low'], one['high'])}, {one['verdict']}"


def _table(own: pd.DataFrame, title: str) -> Table:
    """A row a finding; what it is without antiheroes in the last column but one."""
    whole, others = own[own["cast"] == "all"], own[own["cast"] != "all"]
    cast = str(others["cast"].iloc[0]) if len(others) else ""
    rows = []
    for _, row in whole.iterrows():
        cells = [_title(row), str(row["verdict"]), signed(row["effect"]), ends(row["low"], row["high"])]
        cells += [score(row["p"]), score(row["p_holm"])]
        rows.append((*cells, *([_again(row, others)] if cast else []), str(row["what"])))
    header = ["finding", "verdict", "effect", "95% interval", "p", "p (Holm)"]
    header += [*([cast] if cast else []), "measured"]
    return Table(title, tuple(header), tuple(rows), "ttnnnn" + "w" * (1 + bool(cast)))


def _family(own: pd.DataFrame, family: str, place: int) -> dict[str, Any]:
    title, note = _FAMILIES.get(family, (family, ""))
    table, what = _table(own, title), own["what"].unique()
    if len(what) == 1 and what[0]:  # said once, above the table
        table = Table(title, table.header[:-1], tuple(row[:-1] for row in table.rows), table.kinds[:-1])
        note = f"{note} Measured: {what[0]}; {_asked_of(own)}."
    said = [
        {"cast": "In words" if cast == "all" else f"In words, {cast}", "open": cast == "all",
         "texts": [str(text) for text in own[own["cast"] == cast]["sentence"] if text]}
        for cast in dict.fromkeys(own["cast"])
    ]  # fmt: skip
    return {
        "title": title, "note": note, "said": said, "table": table, "figure": _figure(own, family, place, title),
        "annotations": family == "annotations",
    }  # fmt: skip


def _asked_of(own: pd.DataFrame) -> str:
    """How many images and groups, by cast."""
    parts = []
    for cast in dict.fromkeys(own["cast"]):
        most = own[own["cast"] == cast][["images", "groups"]].max()
        if known(most["images"]) and most["images"]:
            name = "" if cast == "all" else f"{cast} "
            n_groups = counted(int(most["groups"]), "group") if known(most["groups"]) else "no groups"
            parts.append(f"{name}{counted(int(most['images']), 'image')} in {n_groups}")
    return ", ".join(parts) or "no images"


def section(evidence: Evidence) -> Section:
    """A part a family, each with table, figure and sentences."""
    found, families = evidence.findings, []
    if found is not None:
        names = [*_FAMILIES, *(f for f in dict.fromkeys(found["family"]) if f not in _FAMILIES)]
        for place, family in enumerate(names, start=1):
            own = found[found["family"] == family]
            if len(own):
                families.append(_family(own, family, place))
    values = {
        "families": families,
        "tally": tallied(evidence),
        "drawn": bool(evidence.demo),
        "casts": found is not None and found["cast"].nunique() > 1,
        "reason": evidence.missing.get("findings", ""),
        "draws": (evidence.params.get("explanation") or {}).get("draws"),
    }
    aid = (
        "A verdict needs a small p after correcting for the number of questions, and the expected direction."
    )
    return Section("findings", "What was asked, and what became of it", "Findings", aid, values)
