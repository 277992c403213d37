"""How much of what a head makes of an embedding can be said in design features.

Owns how agreement is shown. Refuses to fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from classifiers.report.evidence import Evidence
from classifiers.report.figures import axis, class_style, line, literal, points
from classifiers.report.parts import Figure, Section, Table, View, ends, plain, score

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST", "section", "unexplained"]

#: Pictures shown of each extractor.
MOST: Final = 8


def unexplained(evidence: Evidence) -> dict[str, list[str]]:
    """Extractor -> keys of the images that design explains least."""
    if evidence.concordance is None:
        return {}
    key = dict(zip(evidence.dataset["path"], evidence.dataset["key"], strict=True))
    return {
        str(name): [key[path] for path in one.get("unexplained", []) if path in key][:MOST]
        for name, one in evidence.concordance.items()
    }


def _table(found: Mapping[str, Any]) -> Table:
    rows = tuple(
        (str(name), score(one.get("r2")), ends(one.get("low"), one.get("high")), plain(one.get("images")),
         plain(one.get("groups")))
        for name, one in found.items()
    )  # fmt: skip
    header = ("extractor", "R²", "95% interval", "images", "groups")
    return Table("Margin of an embedding's head, explained by design", header, rows, "tnnnn")


def _figure(evidence: Evidence, rows: pd.DataFrame) -> Figure:
    views = []
    for name in dict.fromkeys(rows["extractor"]):
        own = rows[rows["extractor"] == name]
        reach = [float(min(own["margin"].min(), own["explained"].min())),
                 float(max(own["margin"].max(), own["explained"].max()))]  # fmt: skip
        traces = [line(reach, reach, name="all of it", colour="@muted", dash="dash")]
        for label, (colour, symbol) in class_style(evidence.classes, evidence.positive).items():
            part = own[own["label"] == label]
            said = [literal(str(path).rpartition("/")[2]) for path in part["path"]]
            traces.append(
                points(part["explained"], part["margin"], name=label, colour=f"{colour}/0.75", symbol=symbol,
                       size=7, hover=said)
            )  # fmt: skip
        layout = {"xaxis": axis("margin, as design explains it"), "yaxis": axis(f"margin of {name}")}
        views.append(View(str(name), tuple(traces), {**layout, "hovermode": "closest", "showlegend": True}))
    says = "On the dashed line design says all; far from it the embedding knows something else, or nothing."
    title = "Embedding against design"
    return Figure("agreement", title, says, tuple(views), height=420, choice="extractor")


def section(evidence: Evidence, pictures: Mapping[str, str]) -> Section:
    """Agreement, and the pictures it is poorest for."""
    found, rows = evidence.concordance, evidence.concordance_rows
    path = dict(zip(evidence.dataset["key"], evidence.dataset["path"], strict=True))
    left = [
        {"name": name, "images": [{"uri": pictures[k], "path": path[k]} for k in keys if k in pictures]}
        for name, keys in unexplained(evidence).items()
    ]
    values = {
        "table": None if found is None else _table(found),
        "figure": None if found is None or rows is None else _figure(evidence, rows),
        "left": [one for one in left if one["images"]],
        "reason": evidence.missing.get("concordance", ""),
    }
    aid = "If design features explain what a network goes by, it can be read; what is left over cannot."
    return Section("concordance", "Embeddings against design", "Embeddings", aid, values)
