"""How the ladder and the identity meter read: tables, sentences, one figure.

Owns the values that both parts come out as. Refuses to know heads, folds and how anything was measured.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from classifiers.intervals import Estimate, Scores
from classifiers.leakage.identity import Kin
from classifiers.plots import CYCLE, GREY
from classifiers.tables import aligned, csv_text, interval, markdown, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MEASURES", "Leakage", "Recognition", "Step", "draw"]

#: Of each rung.
MEASURES: Final = ("auc", "accuracy", "balanced_accuracy")

_NOTHING: Final = Estimate(None, None, None, None)


@dataclass(frozen=True)
class Step:
    """What the head scores on one rung.

    Attributes
    ----------
    rung : str
    n_groups : int
        That were kept whole.
    scores : Scores or None
        None where ``note`` says why.
    flattery : mapping of str to Estimate
        By measure: how much more than the coarsest rung that has scores; empty for that one.
    note : str
    """

    rung: str
    n_groups: int
    scores: Scores | None
    flattery: Mapping[str, Estimate]
    note: str

    def estimate(self, name: str) -> Estimate:
        """One measure; all None where there are no scores."""
        return self.scores.estimates[name] if self.scores else _NOTHING


@dataclass(frozen=True)
class Recognition:
    """What recognising groups earns on some pictures.

    Attributes
    ----------
    kin : Kin
    true : Estimate
        AUC of the true labels, image by image.
    permuted : tuple of float, or None
        Mean, 2.5 and 97.5 percentile of the AUC over exchanges of labels.
    left : float or None
        Mean AUC that the true labels, as a score, have on the exchanged ones: what is left of design.
    share : float or None
        ``(permuted mean - 0.5) / (true - 0.5)``.
    note : str
        Why something is missing.
    """

    kin: Kin
    true: Estimate = _NOTHING
    permuted: tuple[float, float, float] | None = None
    left: float | None = None
    share: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Leakage:
    """Both parts.

    Attributes
    ----------
    caption : str
        Head, pictures, folds.
    level : str
        What the coarsest groups are: ``"series"``, ``"character"``, ``"near-duplicate"``, ``"image"``.
    steps : tuple of Step
        Finest first.
    recognitions : tuple of Recognition
        Mixed groups, groups of one role, both.
    reason : str
        Why there is nothing to show; empty otherwise.
    """

    caption: str
    level: str
    steps: tuple[Step, ...] = field(default=())
    recognitions: tuple[Recognition, ...] = field(default=())
    reason: str = ""

    def sentences(self) -> tuple[str, ...]:
        """The answers in words."""
        if self.reason:
            return (self.reason,)
        return (_ladder_sentence(self.steps), _meter_sentence(self.recognitions, self.level))

    def csv(self) -> str:
        """Both parts, one row a rung or kind of groups."""
        rows = [{"part": "none", "note": self.reason}] if self.reason else []
        rows += [{"part": "ladder", **_step_cells(step)} for step in self.steps]
        rows += [{"part": "identity", **_recognition_cells(one)} for one in self.recognitions]
        return csv_text(_COLUMNS, [[row.get(name) for name in _COLUMNS] for row in rows])

    def text(self) -> str:
        """For a terminal."""
        return "\n".join([self.caption, *self._parts(aligned)])

    def markdown(self) -> str:
        """The same for a page."""
        return "\n".join([f"{self.caption}.", *self._parts(markdown)]) + "\n"

    def _parts(self, table: Callable[[Sequence[str], Sequence[Sequence[str]]], str]) -> list[str]:
        if self.reason:
            return ["", f"{self.reason}."]
        between = "95% interval"
        steps = [
            [step.rung, str(step.n_groups), *_cells(step.estimate("auc")), *_cells(step.estimate("accuracy")),
             *_cells(step.flattery.get("auc", _NOTHING))]
            for step in self.steps
        ]  # fmt: skip
        header = ["split", "groups", "AUC", between, "accuracy", between, "flattery (AUC)", between]
        met = [
            [_said(one), str(one.kin.n_groups), str(int(one.kin.member.sum())), *_cells(one.true),
             *_range(one), number(one.left), number(one.share)]
            for one in self.recognitions
        ]  # fmt: skip
        met_header = [
            "groups of",
            "n",
            "images",
            "AUC",
            between,
            "exchanged",
            "range",
            "design left",
            "share",
        ]
        first, second = self.sentences()
        return ["", table(header, steps), "", *_noted((s.rung, s.note) for s in self.steps), f"{first}.",
                "", table(met_header, met), "",
                *_KEY, "", *_noted((_said(r), r.note) for r in self.recognitions),
                f"{second}."]  # fmt: skip


#: What the columns of the meter are.
_KEY: Final = (
    "(exchanged: labels that follow the group and no longer design; design left: the AUC of the true labels",
    "on these; share: how much of what the head has above chance it earns from the exchanged labels)",
)

_COLUMNS: Final = (
    "part", "what", "groups", "n",
    *(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")),
    *(f"flattery{of}{end}" for of in ("", *(f"_{m}" for m in MEASURES[1:])) for end in ("", "_low", "_high")),
    "permuted", "permuted_low", "permuted_high", "design_left", "share", "note",
)  # fmt: skip


def _ends(name: str, e: Estimate) -> dict[str, float | None]:
    return {name: e.score, f"{name}_low": e.low, f"{name}_high": e.high}


def _step_cells(step: Step) -> dict[str, Any]:
    cells: dict[str, Any] = {"what": step.rung, "groups": step.n_groups, "note": step.note}
    cells["n"] = step.scores.n_images if step.scores else None
    for name in MEASURES:
        cells |= _ends(name, step.estimate(name))
        of = "flattery" if name == "auc" else f"flattery_{name}"
        cells |= _ends(of, step.flattery.get(name, _NOTHING))
    return cells


def _recognition_cells(one: Recognition) -> dict[str, Any]:
    mean, low, high = one.permuted or (None, None, None)
    return {
        "what": one.kin.what,
        "groups": one.kin.n_groups,
        "n": int(one.kin.member.sum()),
        **_ends("auc", one.true),
        **_ends("permuted", Estimate(mean, low, high, None)),
        "design_left": one.left,
        "share": one.share,
        "note": one.note,
    }


def _cells(e: Estimate) -> list[str]:
    return [number(e.score), interval(e.low, e.high)]


def _range(one: Recognition) -> list[str]:
    return ["-", "-"] if one.permuted is None else [number(one.permuted[0]), interval(*one.permuted[1:])]


def _said(one: Recognition) -> str:
    """Which groups, in words."""
    return {"mixed": "several roles", "one role": "one role", "both": "both"}[one.kin.what]


def _noted(notes: Any) -> list[str]:
    said = [f"({what}: {note})" for what, note in notes if note]
    return [*said, ""] if said else []


def _ladder_sentence(steps: Sequence[Step]) -> str:
    scored = [step for step in steps if step.scores]
    if not scored:
        return "No split could be scored"
    if len(scored) == 1:
        return f"Only the {scored[0].rung} split could be scored: how much it flatters is not known"
    first, last = scored[0], scored[-1]
    e, one, other = first.flattery["auc"], first.estimate("auc"), last.estimate("auc")
    said = f"AUC {number(one.score)} {first.rung}, {number(other.score)} {last.rung}"
    if e.low is None:
        return f"{said}: a difference of {number(e.score)}, whose interval is not known"
    ends = f"{number(e.score)} {interval(e.low, e.high)}"
    if e.low > 0:
        return f"{said}: the {first.rung} split flatters by {ends}"
    return f"{said}: the difference, {ends}, cannot be told from none"


def _meter_sentence(recognitions: Sequence[Recognition], level: str) -> str:
    one = recognitions[-1]
    if one.permuted is None or one.share is None:
        why = one.note.removeprefix("not estimable: ").removeprefix("no share: ")
        return f"What recognising the {level} earns is not estimable: {why}"
    above = (one.true.score or 0.5) - 0.5
    shares = [min(max((value - 0.5) / above, 0.0), 1.0) for value in one.permuted]
    mean, low, high = map(number, one.permuted)
    n_images = int(one.kin.member.sum())
    return (
        f"Recognising the {level} alone earns an AUC of {mean} ({low} to {high}): about {shares[0]:.0%} "
        f"({shares[1]:.0%} to {shares[2]:.0%}) of what the head has above chance, "
        f"{number(one.true.score)} image-wise on these {n_images} images"
    )


def draw(figure: Figure, report: Leakage) -> None:
    """The ladder and, beside it, the meter; a sentence where there is neither."""
    title = textwrap.fill(report.caption, 110)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
    if report.reason:
        axes = figure.add_subplot()
        axes.set_axis_off()
        text = textwrap.fill(report.reason, 60)
        axes.text(0.5, 0.5, text, ha="center", va="center", color=GREY, fontsize=14)
        return
    left = figure.add_subplot(1, 2, 1)
    right = figure.add_subplot(1, 2, 2, sharey=left)
    _draw_ladder(left, report.steps)
    _draw_meter(right, report)
    for axes, sentence in zip((left, right), report.sentences(), strict=True):
        axes.set_xlabel(textwrap.fill(sentence, 66), fontsize=10, labelpad=8)


def _frame(axes: Axes, title: str, names: Sequence[str]) -> None:
    axes.set_title(title, loc="left", fontsize=11, pad=24)
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1.2, label="chance")
    axes.set_xticks(range(len(names)), names, fontsize=9)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.grid(axis="y", color="#e0e0e0", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)


def _absent(axes: Axes, x: float, note: str) -> None:
    """Why a column is empty, written where its score would be."""
    text = textwrap.fill(note.partition(";")[0], 19)
    style: dict[str, Any] = {"color": GREY, "fontsize": 8, "ha": "center", "va": "center"}
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(x, 0.5, text, bbox=box, transform=axes.get_xaxis_transform(), **style)


def _point(axes: Axes, x: float, e: Estimate, colour: str) -> None:
    if e.score is None:
        return
    if e.low is not None and e.high is not None:
        axes.vlines(x, e.low, e.high, color=colour, alpha=0.35, linewidth=7)
    axes.plot([x], [e.score], "o", color=colour, markersize=7)
    axes.annotate(number(e.score), (x, e.score), xytext=(8, 4), textcoords="offset points", fontsize=9)


def _draw_ladder(axes: Axes, steps: Sequence[Step]) -> None:
    names = [step.rung.replace("-wise", "-\nwise").replace("near-dup", "near-\ndup") for step in steps]
    _frame(axes, "The ladder: what the folds keep together", names)
    known = [(float(x), step.estimate("auc").score) for x, step in enumerate(steps) if step.scores]
    if known:  # a rung that is not scored joins what the one before it joins: the line falls behind it
        xs = [known[0][0] - 0.3, *(x - 0.5 for x, _ in known[1:]), known[-1][0] + 0.3]
        axes.stairs(
            [float(y or 0) for _, y in known], xs, baseline=None, color=CYCLE[0], linewidth=1.5, alpha=0.8
        )
    for x, step in enumerate(steps):
        _point(axes, x, step.estimate("auc"), CYCLE[0])
        if not step.scores:
            _absent(axes, x, step.note)
    axes.set_ylabel("AUC")


def _draw_meter(axes: Axes, report: Leakage) -> None:
    names = []
    for one in report.recognitions:
        n_groups, n_images = one.kin.n_groups, int(one.kin.member.sum())
        names.append(f"{_said(one)}\n{n_groups} group{'s' * (n_groups != 1)},\n{n_images} images")
    _frame(axes, f"The identity meter: groups ({report.level}) of ...", names)
    for x, one in enumerate(report.recognitions):
        if one.permuted is None or one.left is None:
            _absent(axes, x, one.note)
            continue
        _point(axes, x - 0.15, one.true, CYCLE[0])
        _point(axes, x + 0.15, Estimate(*one.permuted, None), CYCLE[1])
        axes.plot([x + 0.15], [one.left], "_", color="black", markersize=16, markeredgewidth=1.6)
    for marker, colour, label in (
        ("o", CYCLE[0], "true labels"),
        ("o", CYCLE[1], "exchanged labels"),
        ("_", "black", "design left in these"),
    ):
        axes.plot([], [], marker, color=colour, label=label)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=4, frameon=False, fontsize=8.5,
                handletextpad=0.3, columnspacing=0.9)  # fmt: skip
