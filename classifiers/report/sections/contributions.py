"""What features contributed to each image's score: the swarm, and what a feature's value does.

Owns which features and images are drawn. Refuses to attribute; the values that colour the swarm are given.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.report.evidence import Evidence
from classifiers.report.figures import axis, class_style, literal, points
from classifiers.report.parts import Figure, Table, View, score, short, signed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["contributions", "figures_of", "largest", "left_out"]

_SWARM: Final = 12
_DEPENDENCE: Final = 8
_MOST_POINTS: Final = 600

Floats = npt.NDArray[np.float64]


def contributions(evidence: Evidence) -> pd.DataFrame | None:
    """Contributions alone, by key: a column a feature or block."""
    if evidence.shap is None:
        return None
    return evidence.shap.set_index("key").drop(columns=["base", "margin"], errors="ignore")


def largest(contribution: pd.DataFrame) -> list[str]:
    """Columns by the mean size of their contributions, then by name."""
    size = contribution.abs().mean().round(6)
    return sorted(contribution.columns, key=lambda name: (-float(size[name]), name))


def _thinned(contribution: pd.DataFrame) -> pd.DataFrame:
    """At most 600 images, those whose keys' digests come first."""
    if len(contribution) <= _MOST_POINTS:
        return contribution.sort_index()
    order = sorted(contribution.index, key=lambda key: hashlib.sha256(str(key).encode()).hexdigest())
    return contribution.loc[sorted(order[:_MOST_POINTS])]


def _heights(x: Floats, width: float = 0.38, bins: int = 60) -> Floats:
    """How far each point stands from its line, so that points of one place lie beside each other."""
    span = float(np.ptp(x)) or 1.0
    place = np.floor((x - x.min()) / span * (bins - 1)).astype(int)
    height = np.zeros(len(x))
    most = max(1, int(np.bincount(place).max()))
    for one in np.unique(place):
        member = np.flatnonzero(place == one)
        steps = (np.arange(len(member)) + 1) // 2 * np.where(np.arange(len(member)) % 2, 1, -1)
        height[member] = steps / max(most / 2, 6) * width
    return height


def _ranks(values: Floats) -> list[float | None]:
    """Share of the images with a smaller value, None where there is none."""
    there = ~np.isnan(values)
    order = np.searchsorted(np.sort(values[there]), values, side="left") / max(1, there.sum() - 1)
    return [round(float(o), 3) if t else None for o, t in zip(order, there, strict=True)]


def _swarm(contribution: pd.DataFrame, features: pd.DataFrame, unit: str, positive: str) -> Figure:
    names, traces, rows = largest(contribution)[:_SWARM], [], []
    for i, name in enumerate(names):
        x = contribution[name].to_numpy(dtype=np.float64)
        colour: Any = "@muted"
        if name in features:
            colour = _ranks(features[name].reindex(contribution.index).to_numpy(dtype=np.float64))
        y = (i - _heights(x)).tolist()
        trace = points(x.tolist(), y, name=short(name), colour=colour, size=5, hoverinfo="skip")
        trace["marker"] |= {"colorscale": "@scale", "cmin": 0, "cmax": 1, "opacity": 0.85}
        traces.append(trace)
        low, high = np.quantile(x, (0.05, 0.95))
        rows.append((short(name), score(np.abs(x).mean()), signed(low), signed(high)))
    ticks: dict[str, Any] = {"tickvals": list(range(len(names)))}
    ticks |= {"ticktext": [literal(short(name), 26) for name in names], "range": [len(names) - 0.4, -0.6]}
    layout = {
        "yaxis": axis(showgrid=False, zeroline=False, **ticks),
        "xaxis": axis(f"contribution{f' ({unit})' if unit else ''}; right: towards {positive}"),
        "showlegend": False,
    }
    numbers = Table("Contributions", ("name", "mean size", "5%", "95%"), tuple(rows), "tnnn")
    says = (
        "A dot is an image: its colour the feature's value among all images, its place what that contributed."
    )
    title = "Contributions to each image's score"
    return Figure("swarm", title, says, (View("all", tuple(traces), layout),), numbers, 130 + 40 * len(names))


def _dependence(evidence: Evidence, contribution: pd.DataFrame, features: pd.DataFrame) -> Figure | None:
    names = [name for name in largest(contribution) if name in features][:_DEPENDENCE]
    if not names:
        return None
    labels = dict(zip(evidence.dataset["key"], evidence.dataset["label"], strict=True))
    label = np.array([labels.get(key, "") for key in contribution.index])
    views, rows = [], []
    for name in names:
        x = features[name].reindex(contribution.index).to_numpy(dtype=np.float64)
        y = contribution[name].to_numpy(dtype=np.float64)
        traces = tuple(
            points(x[label == one], y[label == one], name=one, colour=f"{colour}/0.75", symbol=symbol, size=7,
                   hoverinfo="x+y")
            for one, (colour, symbol) in class_style(evidence.classes, evidence.positive).items()
        )  # fmt: skip
        layout = {
            "xaxis": axis(short(name)),
            "yaxis": axis(f"contribution ({evidence.shap_unit or 'margin'})"),
        }
        views.append(View(short(name), traces, {**layout, "hovermode": "closest", "showlegend": True}))
        there = ~np.isnan(x)
        middle = np.median(x[there]) if there.any() else 0.0
        low, high = y[there & (x <= middle)], y[there & (x > middle)]
        rows.append((short(name), *(signed(part.mean() if len(part) else None) for part in (low, high))))
    header = ("feature", "mean contribution, lower half", "upper half")
    numbers = Table("Contribution by half of the feature's values", header, tuple(rows), "tnn")
    says = (
        "A straight band: the more of it, the more it speaks for one side. A cloud: it matters with others."
    )
    title = "What a feature's value contributes"
    return Figure("dependence", title, says, tuple(views), numbers, 400, choice="feature")


def left_out(evidence: Evidence) -> int:
    """Images that are too many for the figures."""
    return 0 if evidence.shap is None else max(0, len(evidence.shap) - _MOST_POINTS)


def figures_of(evidence: Evidence, features: pd.DataFrame | None) -> list[Figure]:
    """The swarm and dependence; empty where there are no contributions, or no values.

    Parameters
    ----------
    features : DataFrame or None
        Index: keys. What images' columns hold.
    """
    found = contributions(evidence)
    if found is None or features is None:
        return []
    some = _thinned(found)
    dependence = _dependence(evidence, some, features)
    swarm = _swarm(some, features, evidence.shap_unit, evidence.positive)
    return [swarm, dependence] if dependence else [swarm]
