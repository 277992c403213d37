"""What the head goes by: importances by several methods, each beside chance.

Owns which columns are shown and how. Refuses to measure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from classifiers.report.evidence import Evidence
from classifiers.report.figures import axis, literal, points
from classifiers.report.parts import Figure, Section, Table, View, known, plain, score, short
from classifiers.report.sections.contributions import figures_of, left_out

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["section"]

_BARS: Final = 20

_METHODS: Final = {
    "coefficient": "coefficients",
    "forest": "random forest",
    "permutation": "permutation",
    "shap": "SHAP",
}
_GROUPS: Final = ("colour", "texture", "shape", "higher", "palette")
_LEVELS: Final = {"cluster": "Clusters", "hypothesis": "Hypotheses"}


def _group_styles(names: list[str]) -> dict[str, str]:
    """Group -> colour; of design its own five, then the other extractors."""
    order = [g for g in _GROUPS if g in names] + sorted(set(names) - set(_GROUPS))
    return {name: f"@c{i % 8}" for i, name in enumerate(order)}


def _label(row: Any) -> str:
    """The name; of a cluster also how many others are in it."""
    others = len(str(row["members"]).split()) - 1
    if row["level"] == "hypothesis":
        return str(row["name"]).replace("_", " ")
    return short(str(row["name"])) + (f" +{others}" if row["level"] == "cluster" and others > 0 else "")


def _says(row: Any) -> str:
    parts = [f"{score(row['mean'])} ± {score(row['sd'])} over folds"]
    if known(row["null_high"]):
        parts.append(f"shuffled labels: {score(row['null_mean'])}, 95% below {score(row['null_high'])}")
    if known(row["p"]):
        parts.append(f"p {score(row['p'])}")
    if known(row["top_ten"]):
        parts.append(f"among the ten largest in {row['top_ten']:.0%} of folds")
    if row["members"] and row["members"] != row["name"]:
        parts.append(", ".join(short(name) for name in str(row["members"]).split()[:8]))
    return "<br>".join([literal(_label(row)), *(literal(part, 52) for part in parts)])


def _direction(row: Any, positive: str) -> str:
    if not known(row["direction"]) or not row["direction"]:
        return "–"
    return f"{'more' if row['direction'] > 0 else 'less'} of it: {positive}"


def _bars(own: pd.DataFrame, colours: dict[str, str]) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Bars by rank, coloured by group, with a tick where shuffled labels end."""
    own = own.sort_values(["rank", "name"], kind="stable").head(_BARS).reset_index(drop=True)
    traces: list[dict[str, Any]] = []
    for name, colour in colours.items():
        rows = own[own["group"] == name]
        if len(rows):
            bar = {"type": "data", "array": [round(v, 5) if known(v) else 0 for v in rows["sd"]]}
            traces.append(
                {
                    "type": "bar", "orientation": "h", "name": literal(name), "marker": {"color": colour},
                    "x": [round(float(v), 5) for v in rows["mean"]], "y": rows.index.tolist(),
                    "hovertext": [_says(row) for _, row in rows.iterrows()], "hoverinfo": "text",
                    "error_x": {**bar, "color": "@ink", "thickness": 1.2, "width": 0}, "width": 0.68,
                }
            )  # fmt: skip
    chance = own[own["null_high"].notna()]
    if len(chance):
        traces.append(
            points(chance["null_high"], chance.index, name="shuffled labels, 95%", colour="@ink",
                   symbol="line-ns-open", size=13, hover=[_says(row) for _, row in chance.iterrows()])
        )  # fmt: skip
        traces[-1]["marker"]["line"] = {"width": 2, "color": "@ink"}
    labels = [literal(_label(row), 26) for _, row in own.iterrows()]
    layout = {
        "barmode": "overlay",
        "yaxis": axis(
            tickvals=own.index.tolist(), ticktext=labels, range=[len(own) - 0.4, -0.6], showgrid=False
        ),
        "xaxis": axis("importance", rangemode="tozero"),
        "showlegend": True,
    }
    return tuple(traces), layout


def _numbers(own: pd.DataFrame, title: str, positive: str) -> Table:
    rows = tuple(
        (
            _label(row), str(row["group"]), _METHODS.get(row["method"], row["method"]), plain(row["rank"]),
            score(row["mean"]), score(row["sd"]), score(row["null_high"]), score(row["p"]),
            f"{row['top_ten']:.0%}" if known(row["top_ten"]) else "–", _direction(row, positive),
        )
        for _, row in own.sort_values(["method", "rank", "name"], kind="stable").iterrows()
    )  # fmt: skip
    header = (
        "name", "group", "method", "rank", "mean", "sd", "95% of null", "p", "in the top ten", "direction",
    )  # fmt: skip
    return Table(title, header, rows, "tttnnnnnnt")


def _of_another(own: pd.DataFrame, method: str, chosen: str) -> bool:
    """Whether a method speaks of another head than the chosen one."""
    heads = set(own[own["method"] == method]["head"]) - {""}
    return bool(heads) and chosen not in heads


def _figure(found: pd.DataFrame, level: str, title: str, positive: str, chosen: str) -> Figure | None:
    own = found[found["level"].isin(["column", "block"]) if level == "column" else found["level"] == level]
    if not len(own):
        return None
    colours = _group_styles(own["group"].tolist())
    views, most = [], 0
    for method, said in sorted(_METHODS.items(), key=lambda one: _of_another(own, one[0], chosen)):
        rows = own[own["method"] == method]
        if len(rows):
            head = next((h for h in rows["head"] if h), "")
            unit = next((u for u in rows["unit"] if u), "") if "unit" in rows else ""
            traces, layout = _bars(rows, colours)
            named = f"{said}{f' of {head}' if head else ''}{f' ({unit})' if unit else ''}, ± sd over folds"
            layout["xaxis"] = axis(named, rangemode="tozero")
            views.append(View(said, traces, layout))
            most = max(most, min(_BARS, len(rows)))
    says = (
        "A bar is the mean over folds; the upright tick is what shuffled labels reach in 95 of 100 cases. "
        "A bar that ends before its tick says nothing."
    )
    numbers = _numbers(own, title, positive)
    return Figure(
        f"importance-{level}", title, says, tuple(views), numbers, 130 + 26 * most, choice="method",
        linked="importance",
    )  # fmt: skip


def section(evidence: Evidence, features: pd.DataFrame | None) -> Section:
    """Importances, the swarm and dependence.

    Parameters
    ----------
    features : DataFrame or None
        Index: keys. What images' columns hold.
    """
    figures: list[Figure] = []
    positive = evidence.positive
    if evidence.importance is not None:
        levels = {"column": "Importance of columns", **{k: f"{v}, together" for k, v in _LEVELS.items()}}
        made = (
            _figure(evidence.importance, level, title, positive, evidence.head)
            for level, title in levels.items()
        )
        figures = [figure for figure in made if figure]
    values = {
        "figures": figures,
        "swarm": figures_of(evidence, features),
        "reason": evidence.missing.get("importance", ""),
        "swarm_reason": evidence.missing.get("shap", ""),
        "note": evidence.shap_about.get("note", ""),
        "thinned": left_out(evidence),
    }
    aid = "Trust what several methods put first, in most folds, and beyond what shuffled labels reach."
    return Section("importance", "What the head goes by", "Importance", aid, values)
