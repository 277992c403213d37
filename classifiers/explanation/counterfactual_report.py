"""How the heads' response to edited pixels reads: a table, sentences, CSV, curves.

Owns the values that it comes out as. Refuses to know heads, folds and how anything was measured.
"""

from __future__ import annotations

import functools
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from classifiers.plots import CYCLE, GREY, Drawing
from classifiers.tables import aligned, csv_text, interval, number
from extractors.edits import EDITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Answered", "Counterfactuals", "Point", "Slope"]

#: Heads that the figure has room for.
_CURVES: Final = 5

_WHAT: Final = "The heads' response to edited pixels (a property of the heads, not a cause in the world)"


@dataclass(frozen=True)
class Point:
    """What a head says of pictures under one edit at one strength.

    Attributes
    ----------
    kind : {"edit", "sham"}
    dose : float
        Signed strength.
    dial : str
        Column of ``design`` that measures the edit.
    dial_sd : float
        Its mean change, in standard deviations of the real images.
    images, groups : int
        That it is a mean over.
    before : float
        Mean probability of the positive class of the same pictures, unedited.
    change : float
        Mean change of it.
    low, high : float or None
        95% interval; None where there are too few groups.
    rms : float
        Mean root mean square change of the pixels, grey levels.
    within : bool
        Whether enough pictures stay within the range of real images.
    """

    edit: str
    kind: str
    head: str
    dose: float
    dial: str
    dial_sd: float
    images: int
    groups: int
    before: float
    change: float
    low: float | None
    high: float | None
    rms: float
    within: bool


@dataclass(frozen=True)
class Slope:
    """Change of the probability from strength 0 to 1, with its 95% interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Answered:
    """Whether a head answers to an edit; all None where no strength is within the range of real images.

    Attributes
    ----------
    real, fake, beyond : Slope or None
        Of the edit, of its sham, and of the difference picture by picture.
    """

    edit: str
    head: str
    real: Slope | None
    fake: Slope | None
    beyond: Slope | None

    @property
    def verdict(self) -> str:
        """``rises`` or ``falls`` beyond its sham, ``like its sham``, or why it cannot be said."""
        if self.beyond is None:
            return "out of range"
        if self.beyond.low is None or self.beyond.high is None:
            return "too few groups"
        if self.beyond.low > 0:
            return "rises"
        return "falls" if self.beyond.high < 0 else "like its sham"

    @property
    def convention(self) -> str:
        """Whether drawing convention says so of the positive class; empty where either is silent."""
        sign = {"rises": 1, "falls": -1}.get(self.verdict, 0) * EDITS[self.edit].speaks
        return {1: "as convention says", -1: "against convention"}.get(sign, "")


@dataclass(frozen=True)
class Counterfactuals:
    """The heads' response to edited pixels.

    Attributes
    ----------
    caption : str
        Pictures, groups, folds.
    positive : str
        The class whose probability it is about.
    points : tuple of Point
    answered : tuple of Answered
        One an edit and head.
    reason : str
        Why there is nothing to show; empty otherwise.
    """

    caption: str
    positive: str
    points: tuple[Point, ...] = ()
    answered: tuple[Answered, ...] = ()
    reason: str = ""

    @property
    def heads(self) -> tuple[str, ...]:
        """In the order in which they were asked."""
        return tuple(dict.fromkeys(point.head for point in self.points))

    def verdict(self, edit: str, head: str) -> Answered:
        """What a head says to an edit."""
        return next(one for one in self.answered if (one.edit, one.head) == (edit, head))

    def csv(self) -> str:
        """One row an edit, kind, head and strength; slopes, of all strengths together, stand in each."""
        header = [
            "edit", "kind", "head", "dose", "dial", "dial_sd", "images", "groups", "before", "change",
            "low", "high", "rms", "within", "slope", "slope_low", "slope_high", "beyond", "beyond_low",
            "beyond_high", "verdict",
        ]  # fmt: skip
        rows = []
        for p in self.points:
            told = self.verdict(p.edit, p.head)
            slope, beyond = (told.real, told.beyond) if p.kind == "edit" else (told.fake, None)
            rows.append([
                p.edit, p.kind, p.head, p.dose, p.dial, p.dial_sd, p.images, p.groups, p.before, p.change,
                p.low, p.high, p.rms, int(p.within), *_ends(slope), *_ends(beyond),
                told.verdict if p.kind == "edit" else None,
            ])  # fmt: skip
        return csv_text(header, rows)

    def text(self) -> str:
        """For a terminal."""
        if self.reason:
            return f"{_WHAT}: {self.reason}."
        header = ["edit", "head", "slope", "95% interval", "sham", "beyond it", "95% interval", "verdict"]
        header += ["", "strengths"]
        rows = []
        for one in self.answered:
            cells = [one.edit, one.head]
            for slope, ends in ((one.real, True), (one.fake, False), (one.beyond, True)):
                value, low, high = _ends(slope)
                cells += [number(value)] + [interval(low, high)] * ends
            rows.append([*cells, one.verdict, one.convention, _reach(self.points, one)])
        key = (
            f"(slope: change of P({self.positive}) from a picture to its edit at strength 1, over the",
            "strengths within the range of real images; sham: of changes as large without the meaning)",
        )
        return "\n".join([_WHAT, self.caption, "", aligned(header, rows), "", *key])

    @property
    def figures(self) -> dict[str, Drawing]:
        """By the name of its file: curves, or the reason why there are none."""
        size = (12.0, 2.2) if self.reason else (12.5, 8.2)
        return {"counterfactuals": Drawing(functools.partial(_draw, report=self), size)}


def _ends(slope: Slope | None) -> list[float | None]:
    return [None] * 3 if slope is None else [slope.value, slope.low, slope.high]


def _reach(points: tuple[Point, ...], one: Answered) -> str:
    """Strengths within the range of real images, in words."""
    doses = [p.dose for p in points if (p.edit, p.head, p.kind) == (one.edit, one.head, "edit") and p.within]
    return f"{min(doses):+g} to {max(doses):+g}" if doses else "none"


def _draw(figure: Figure, report: Counterfactuals) -> None:
    """A panel an edit: strength across, change of the probability up; a sentence where there is nothing."""
    if report.reason:
        axes = figure.add_subplot()
        axes.set_axis_off()
        said = textwrap.fill(report.text(), 90)
        axes.text(0.5, 0.5, said, ha="center", va="center", color=GREY, fontsize=12)
        return
    figure.suptitle(f"{_WHAT}\n", x=0.01, ha="left", fontweight="bold", fontsize=12)
    names = list(dict.fromkeys(point.edit for point in report.points))
    heads = report.heads[:_CURVES]
    columns = min(3, len(names))
    grid = figure.subplots(-(-len(names) // columns), columns, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        _panel(axes, report, name, heads)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel(f"change of P({report.positive})")
    figure.text(0.012, 0.945, report.caption, fontsize=9, color="#444444")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=len(labels), fontsize=9)


def _panel(axes: Axes, report: Counterfactuals, name: str, heads: tuple[str, ...]) -> None:
    edit = EDITS[name]
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.grid(color="#e8e8e8", linewidth=0.7)
    axes.set_axisbelow(True)
    ours = [p for p in report.points if p.edit == name]
    for i, head in enumerate(heads):
        for kind in ("sham", "edit"):
            points = [p for p in ours if (p.head, p.kind) == (head, kind)]
            label = head if kind == "edit" else "shams of all" if i == 0 else ""
            _curve(axes, points, CYCLE[i] if kind == "edit" else "#a8a8a8", label, sham=kind == "sham")
    doses = sorted({p.dose for p in ours} | {0.0})
    axes.set_xticks(doses, [f"{dose:+g}" if dose else "0" for dose in doses])
    axes.set_title(f"{name} ({ours[0].dial.replace('_', ' ')})", loc="left", fontsize=11)
    axes.set_xlabel(f"\N{LEFTWARDS ARROW} {edit.less}        {edit.more} \N{RIGHTWARDS ARROW}", fontsize=9)


def _curve(axes: Axes, points: list[Point], colour: str, label: str, *, sham: bool) -> None:
    """Through no change at 0; pale and without interval where real images do not go."""
    inside = [p for p in points if p.within]
    known = sorted([(p.dose, p.change, p.low, p.high) for p in inside] + [(0.0, 0.0, 0.0, 0.0)])
    style: dict[str, Any] = {"linewidth": 1.0 if sham else 2.0, "zorder": 2 if sham else 3}
    if all(low is not None for _, _, low, _ in known) and not sham:
        axes.fill_between(
            [d for d, *_ in known], [float(low or 0) for _, _, low, _ in known],
            [float(high or 0) for *_, high in known], color=colour, alpha=0.10, linewidth=0,
        )  # fmt: skip
    marker = "" if sham else "o"
    axes.plot([d for d, *_ in known], [c for _, c, *_ in known], color=colour, marker=marker, markersize=4,
              label=label or "_", **style)  # fmt: skip
    outside = [p for p in points if not p.within]
    if outside and not sham:
        axes.plot([p.dose for p in outside], [p.change for p in outside], "o", markerfacecolor="white",
                  color=colour, alpha=0.45, markersize=5)  # fmt: skip
