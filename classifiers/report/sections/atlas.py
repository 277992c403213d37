"""The map: images that measure alike lie together.

Owns the colours and cards of the map's points. Refuses to project (``explanation.atlas``). Images of the locked
test split are not on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from classifiers.explanation.atlas import Atlas
from classifiers.report.evidence import Evidence
from classifiers.report.figures import axis, class_style, points
from classifiers.report.opinions import Opinions
from classifiers.report.parts import Figure, Section, Table, View, score
from classifiers.report.thumbnails import Sheet
from featurestore.text import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["section"]

_MOST_ROWS = 400
_UNSCORED = "not scored"
#: The view in which each point is its picture.
_PICTURES = "pictures"


def _view(
    label: str,
    of: npt.NDArray[Any],
    styles: dict[str, tuple[str, str]],
    atlas: Atlas,
    opacity: Sequence[float] | None = None,
) -> View:
    traces = []
    for name, (colour, symbol) in styles.items():
        member = np.flatnonzero(of == name)
        if len(member):
            trace = points(
                atlas.xy[member, 0], atlas.xy[member, 1], name=name, colour=colour, symbol=symbol, size=9,
                hoverinfo="none", customdata=member.tolist(),
            )  # fmt: skip
            trace["marker"] |= {"line": {"width": 0.8, "color": "@paper"}}
            if opacity is not None:
                trace["marker"]["opacity"] = [round(opacity[i], 3) for i in member.tolist()]
            traces.append(trace)
    return View(label, tuple(traces))


def _cards(
    evidence: Evidence, atlas: Atlas, rows: pd.DataFrame, opinions: Opinions, sheet: Sheet
) -> dict[str, Any]:
    """What is said of each point, beside its picture."""
    said = []
    for key in atlas.keys:
        row = rows.loc[key]
        lines = [str(row["path"]).rpartition("/")[2], f"{row['label']}, {row['split']}"]
        if key in opinions.table.index:
            one = opinions.table.loc[key]
            lines.append(f"P({evidence.positive}) {score(one['p'])}: {one['predicted']}")
        if row["series"] or row["character"]:
            lines.append(" · ".join(filter(None, (str(row["character"]), str(row["series"])))))
        said.append(lines)
    return {"lines": said, "columns": sheet.columns, "side": sheet.side_px, "pictures": _PICTURES}


def _table(atlas: Atlas, rows: pd.DataFrame, opinions: Opinions, positive: str) -> Table:
    cells = []
    for key, (x, y) in list(zip(atlas.keys, atlas.xy, strict=True))[:_MOST_ROWS]:
        row = rows.loc[key]
        p = score(opinions.table.loc[key]["p"]) if key in opinions.table.index else "–"
        cells.append((str(row["path"]), str(row["label"]), str(row["split"]), p, f"{x:.2f}", f"{y:.2f}"))
    more = f", the first {_MOST_ROWS}" if len(atlas.keys) > _MOST_ROWS else ""
    header = ("image", "class", "split", f"P({positive})", "across", "up")
    return Table(f"Images on the map{more}", header, tuple(cells), "tttnnn")


def _views(evidence: Evidence, atlas: Atlas, rows: pd.DataFrame, opinions: Opinions) -> tuple[View, ...]:
    """By class, as pictures, by what is said of each, by split."""
    keys = list(atlas.keys)
    styles = class_style(evidence.classes, evidence.positive)
    label = rows.loc[keys]["label"].to_numpy(dtype=str)
    split = rows.loc[keys]["split"].to_numpy(dtype=str)
    said = opinions.table["predicted"].reindex(keys).fillna(_UNSCORED).to_numpy(dtype=str)
    lead = opinions.table["lead"].reindex(keys).fillna(1.0).to_numpy(dtype=np.float64)
    pale = (0.35 + 0.65 * np.clip(lead, 0, 1)).tolist()
    return (
        _view("class", label, styles, atlas),
        _view(_PICTURES, label, {name: (colour, "square") for name, (colour, _) in styles.items()}, atlas),
        _view("predicted", said, {**styles, _UNSCORED: ("@muted", "circle-open")}, atlas, pale),
        _view("split", split, {"train": ("@c0", "circle"), "val": ("@c4", "diamond")}, atlas),
    )


def _figure(evidence: Evidence, atlas: Atlas, opinions: Opinions, sheet: Sheet) -> Figure:
    rows = evidence.dataset.set_index("key")
    bare = {"showticklabels": False, "ticks": "", "zeroline": False, "showgrid": False, "showline": False}
    wide, high = (np.abs(atlas.xy).max(axis=0) * 1.06 + 0.01).tolist()
    layout = {
        "xaxis": {**axis(), **bare, "fixedrange": False, "range": [-wide, wide]},
        "yaxis": {**axis(), **bare, "fixedrange": False, "range": [-high, high]},
        "hovermode": "closest",
        "dragmode": "@drag",
        "showlegend": True,
    }
    return Figure(
        "map",
        "Map of the images",
        "Point at an image to see it; drag to look closer, double-click to go back.",
        _views(evidence, atlas, rows, opinions),
        _table(atlas, rows, opinions, evidence.positive),
        620,
        0.9,
        layout,
        "show",
        cards=_cards(evidence, atlas, rows, opinions, sheet),
    )


def section(evidence: Evidence, opinions: Opinions, sheet: Sheet | None) -> Section:
    """The map in four views.

    Parameters
    ----------
    sheet : Sheet
        Thumbnails in the order of the map's keys.
    """
    values: dict[str, Any] = {"figure": None, "method": "", "left_out": 0, "sheet": "", "learned": ""}
    atlas = evidence.atlas
    if atlas is not None and sheet is not None and len(atlas.keys):
        values = {
            "figure": _figure(evidence, atlas, opinions, sheet),
            "method": f"{atlas.method}; {counted(len(atlas.keys), 'image')} of train and val",
            "left_out": atlas.left_out,
            "sheet": sheet.uri,
            "learned": evidence.metrics["cv"].get("reason", ""),
        }
    aid = "Images whose measurements are alike lie near each other; labels had no part in placing them."
    return Section("map", "A map of the pictures", "Map", aid, values)
