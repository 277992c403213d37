"""What importance looks like: bars beside chance, a swarm of contributions, contribution against value.

Owns the figures ``importance``, ``beeswarm`` and ``dependence`` of ``results/explanation``. Refuses to know
heads and folds. A block of columns that nobody can read has no value to be drawn by: its points are coloured,
and its panel is parted, by class.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.explanation.grouping import Unit
from classifiers.explanation.importance_report import Explanation, Line, short
from classifiers.explanation.importance_tasks import METHODS
from classifiers.intervals import MIN_GROUPS, ends, group_draws, widening
from classifiers.plots import CYCLE, GREY, Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Contributions", "figures"]

Floats = npt.NDArray[np.float64]

#: Bars of a panel, rows of the swarm, panels of dependence.
_BARS: Final = 15
_SWARM: Final = 15
_PANELS: Final = 6

#: Bins of equal counts in a panel of dependence.
_BINS: Final = 8

_LOW, _HIGH = CYCLE[0], CYCLE[1]


@dataclass(frozen=True)
class Contributions:
    """What columns and blocks add to what a head says of images that it was not fitted on.

    Attributes
    ----------
    units : tuple of Unit
        Columns and blocks.
    rows : ndarray of intp, shape (n,)
        Positions in the study, ascending.
    values : ndarray of float64, shape (n, units)
        Averaged over the repeats.
    base : ndarray of float64, shape (n,)
    features : ndarray of float64, shape (n, units)
        The columns' values; NaN for blocks, and where a row could not be computed.
    hit : ndarray of bool, shape (n,)
        Whether a row is of the positive class.
    groups : ndarray, shape (n,)
    folds : int
        Of one drawing; 1 where a single head was asked about val.
    unit : {"log-odds", "probability"}
    method : str
    """

    units: tuple[Unit, ...]
    rows: npt.NDArray[np.intp]
    values: Floats
    base: Floats
    features: Floats
    hit: npt.NDArray[np.bool_]
    groups: npt.NDArray[Any]
    folds: int
    unit: str
    method: str

    @property
    def margin(self) -> Floats:
        """Base and contributions summed, shape (n,)."""
        found: Floats = self.base + self.values.sum(axis=1)
        return found


def figures(report: Explanation, told: Contributions, *, draws: int, seed: int) -> dict[str, Drawing]:
    """Three, by the names of their files; ``draws`` of groups are behind the bands of dependence."""
    place = {one.name: i for i, one in enumerate(told.units)}
    largest = [place[line.unit.name] for line in report.of("shap", "column", "block")]
    n_rows = min(_SWARM, len(largest))
    return {
        "importance": Drawing(lambda figure: _draw_importance(figure, report), (13.0, 10.6)),
        "beeswarm": Drawing(
            lambda figure: _draw_swarm(figure, report, told, largest[:n_rows]), (9.0, 2.6 + 0.36 * n_rows)
        ),
        "dependence": Drawing(
            lambda figure: _draw_dependence(figure, report, told, largest[:_PANELS], draws, seed),
            (12.0, 7.4 if len(largest) > 3 else 4.2),
        ),
    }


def _heading(figure: Figure, what: str, caption: str, width: int) -> None:
    whole = re.sub(
        r"(\d+) folds x (\d+)", "\\1\N{NO-BREAK SPACE}folds\N{NO-BREAK SPACE}x\N{NO-BREAK SPACE}\\2", caption
    )
    text = f"{what}\n{textwrap.fill(whole, width)}"
    figure.suptitle(text, x=0.01, ha="left", fontsize=11)


def _colours(report: Explanation) -> dict[str, str]:
    """Of each group of features, in the order in which they first stand in the features."""
    lines = [one for one in report.lines if one.unit.level in ("column", "block")]
    groups = dict.fromkeys(one.unit.group for one in sorted(lines, key=lambda one: one.unit.columns))
    return {group: CYCLE[i % len(CYCLE)] for i, group in enumerate(groups)}


def _name(unit: Unit, report: Explanation, width: int = 30) -> str:
    name = short(unit.name, len(report.blocks) == 1)
    if unit.level == "block":
        name = f"{unit.name} ({len(unit.columns)} columns)"
    return "\n".join(textwrap.wrap(name, width, max_lines=2, placeholder="..."))


def _draw_importance(figure: Figure, report: Explanation) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    _heading(figure, "Importance of features, beside what permuted labels give", report.caption, 130)
    colours = _colours(report)
    for axes, method in zip(figure.subplots(2, 2).flat, METHODS, strict=True):
        lines = report.of(method, "column", "block")[:_BARS]
        if not lines:
            axes.set_axis_off()
            axes.text(0.5, 0.5, f"{method}: not measured", ha="center", color=GREY)
            continue
        axes.set_title(f"{method}\n", loc="left", fontweight="bold", fontsize=11)
        axes.text(0, 1.015, report.title(method), transform=axes.transAxes, fontsize=9, color="#444444")
        _bars(axes, report, lines, colours)
    marks: list[Any] = [Patch(color=colour, label=group) for group, colour in colours.items()]
    marks.append(Line2D([], [], color="#222222", linewidth=1.2, label="sd over folds"))
    if any(one.null_high is not None for one in report.lines):
        marks.append(
            Line2D([], [], color="black", marker="|", markersize=11, markeredgewidth=2.2, linestyle="",
                   label="95% of permuted labels")
        )  # fmt: skip
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, fontsize=9)


def _bars(axes: Axes, report: Explanation, lines: list[Line], colours: dict[str, str]) -> None:
    y = np.arange(len(lines))
    mean = np.array([one.mean or 0.0 for one in lines])
    spread = np.array([one.sd or 0.0 for one in lines])
    axes.barh(y, mean, color=[colours[one.unit.group] for one in lines], alpha=0.85, height=0.72)
    axes.hlines(y, mean - spread, mean + spread, color="#222222", linewidth=1.2)
    high = np.array([np.nan if one.null_high is None else one.null_high for one in lines])
    axes.plot(high, y, "|", color="black", markersize=13, markeredgewidth=2.2)
    names = [
        _name(one.unit, report) + {1: "  +", -1: "  \N{MINUS SIGN}"}.get(one.direction, "   ")
        for one in lines
    ]
    axes.set_yticks(y, names, fontsize=8.5)
    axes.set_ylim(max(len(lines), 6) - 0.4, -0.6)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.grid(axis="x", color="#e0e0e0", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def _swarm(x: Floats, bins: int = 60) -> Floats:
    """Offsets that keep points of one place apart, from -1 to 1, shape (n,)."""
    if not len(x) or np.ptp(x) == 0:
        return np.linspace(-1, 1, len(x))
    code = np.minimum(((x - x.min()) / np.ptp(x) * bins).astype(np.intp), bins - 1)
    counts = np.bincount(code)
    offset = np.zeros(len(x))
    for one in np.flatnonzero(counts):
        own = np.flatnonzero(code == one)
        place = np.arange(len(own))
        offset[own] = np.where(place % 2, 1, -1) * ((place + 1) // 2)
    found: Floats = offset / max(1.0, float(counts.max()) / 2)
    return found


def _shade(values: Floats) -> Floats:
    """Rank of each value, 0 to 1; NaN where there is none."""
    from scipy.stats import rankdata

    known = ~np.isnan(values)
    found = np.full(len(values), np.nan)
    found[known] = (rankdata(values[known]) - 0.5) / max(1, known.sum())
    return found


def _draw_swarm(figure: Figure, report: Explanation, told: Contributions, largest: list[int]) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.lines import Line2D

    what = f"What each feature adds to {report.positive}, image by image, out of fold"
    _heading(figure, what, report.caption, 116)
    axes = figure.add_subplot()
    shades = LinearSegmentedColormap.from_list("value", [_LOW, "#b8b8c8", _HIGH])
    drawn: Any = None
    for y, i in enumerate(largest):
        x = told.values[:, i]
        heights = y + 0.38 * _swarm(x)
        if told.units[i].level == "block":
            colours = np.where(told.hit, CYCLE[3], "#000000")
            axes.scatter(x, heights, s=9, c=colours, alpha=0.6, linewidths=0)
            continue
        shade = _shade(told.features[:, i])
        unknown = np.isnan(shade)
        axes.scatter(x[unknown], heights[unknown], s=9, color="#d0d0d0", linewidths=0)
        known = ~unknown
        drawn = axes.scatter(
            x[known], heights[known], s=9, c=shade[known], cmap=shades, vmin=0, vmax=1, linewidths=0
        )
    axes.set_yticks(range(len(largest)), [_name(told.units[i], report) for i in largest], fontsize=9)
    axes.set_ylim(len(largest) - 0.4, -0.6)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.grid(color="#e8e8e8", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"contribution ({told.unit}); above 0 speaks for {report.positive}")
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=30, pad=0.02, ticks=[0, 1])
        bar.ax.set_yticklabels(["low", "high"], fontsize=9)
        bar.set_label("the feature's value, by rank", fontsize=9)
        bar.outline.set_visible(False)
    if any(told.units[i].level == "block" for i in largest):
        marks = [
            Line2D([], [], marker="o", linestyle="", color=colour, markersize=5, label=label)
            for colour, label in ((CYCLE[3], report.positive), ("#000000", report.others))
        ]
        figure.legend(handles=marks, loc="outside lower center", ncols=2, frameon=False, fontsize=9)


def _draw_dependence(
    figure: Figure, report: Explanation, told: Contributions, largest: list[int], draws: int, seed: int
) -> None:
    from matplotlib.lines import Line2D

    _heading(figure, "Contribution against value, out of fold", report.caption, 120)
    n_rows = 2 if len(largest) > 3 else 1
    n_columns = max(1, -(-len(largest) // n_rows))
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=False).flat
    for axes in panels:
        axes.set_axis_off()
    for axes, i in zip(figure.axes, largest, strict=False):
        axes.set_axis_on()
        axes.set_title(_name(told.units[i], report), loc="left", fontsize=10, fontweight="bold")
        axes.grid(color="#e8e8e8", linewidth=0.7)
        axes.set_axisbelow(True)
        if told.units[i].level == "block":
            _parted(axes, told, i)
        else:
            _dependence(axes, told, i, draws, seed)
    marks: list[Any] = [
        Line2D([], [], marker="o", linestyle="", color=colour, markersize=5, label=label)
        for colour, label in ((_HIGH, report.positive), (_LOW, report.others))
    ]
    if any(told.units[i].level != "block" for i in largest):
        band = ", its 95% band of draws of groups" * (len(np.unique(told.groups)) >= MIN_GROUPS)
        marks.append(Line2D([], [], color="black", marker="o", markersize=3, label=f"mean of a bin{band}"))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, fontsize=9)


def _parted(axes: Axes, told: Contributions, i: int) -> None:
    """How a block's contributions lie in both classes."""
    x = told.values[:, i]
    edges = np.linspace(x.min(), x.max() if np.ptp(x) else x.min() + 1, 21)
    for member, colour in ((told.hit, _HIGH), (~told.hit, _LOW)):
        axes.hist(x[member], edges.tolist(), color=colour, alpha=0.55)
    axes.set_xlabel(f"contribution ({told.unit})", fontsize=9)
    axes.set_ylabel("images", fontsize=9)
    axes.tick_params(labelsize=9)


def _dependence(axes: Axes, told: Contributions, i: int, draws: int, seed: int) -> None:
    """Points of both classes, and the mean in bins of equal counts with its 95% band (groups drawn)."""
    known = ~np.isnan(told.features[:, i])
    if not known.any():
        axes.text(0.5, 0.5, "no image has a value", ha="center", color=GREY, transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    x, y, hit, groups = told.features[known, i], told.values[known, i], told.hit[known], told.groups[known]
    axes.axhline(0, color=GREY, linewidth=0.8)
    for member, colour in ((hit, _HIGH), (~hit, _LOW)):
        axes.scatter(x[member], y[member], s=10, color=colour, alpha=0.45, linewidths=0)
    middle, mean, band = _binned(x, y, groups, draws, seed, widening(told.folds))
    if band is not None:
        low, high = band
        axes.fill_between(middle, low, high, color="black", alpha=0.18, linewidth=0)
    axes.plot(middle, mean, color="black", linewidth=1.5, marker="o", markersize=3)
    axes.set_xlabel("value", fontsize=9)
    axes.set_ylabel(f"contribution ({told.unit})", fontsize=9)
    axes.tick_params(labelsize=9)


def _binned(
    x: Floats, y: Floats, groups: npt.NDArray[Any], draws: int, seed: int, factor: float
) -> tuple[Floats, Floats, Floats | None]:
    """Mean value and mean contribution of each bin, and the ends of the latter under draws of groups.

    The ends, shape (2, bins), are NaN where too many draws have no image in a bin, and None below ten groups.
    """
    edges = np.unique(np.quantile(x, np.linspace(0, 1, _BINS + 1)))
    _, code = np.unique(np.searchsorted(edges[1:-1], x, side="left"), return_inverse=True)
    member = np.eye(int(code.max()) + 1)[code]
    count = member.sum(axis=0)
    mean = y @ member / count
    if len(np.unique(groups)) < MIN_GROUPS:
        return x @ member / count, mean, None
    times, group = group_draws(groups, draws, np.random.default_rng(seed))
    of_group = np.eye(times.shape[1])[group].T
    whole, part = times @ (of_group @ member), times @ (of_group @ (member * y[:, None]))
    drawn = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    found = [
        ends(own, float(middle), factor=factor, within=(-np.inf, np.inf)) or (np.nan, np.nan)
        for own, middle in zip(drawn.T, mean, strict=True)
    ]
    return x @ member / count, mean, np.array(found).T
