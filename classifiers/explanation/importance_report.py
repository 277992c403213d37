"""How importance reads: tables for a terminal, CSV for files.

Owns the values that importance comes out as. Refuses to know heads, folds and how anything was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from classifiers.explanation.concordance_report import Concordance
from classifiers.explanation.grouping import LEVELS, Level, Unit
from classifiers.explanation.importance_tasks import METHODS, Method
from classifiers.plots import Drawing
from classifiers.tables import aligned, csv_text, number

__all__ = ["SHOWN", "Explanation", "Line", "short"]

#: Units in a table, and in a figure's panel.
SHOWN: Final = 10

#: Rows of the plot that DVC draws.
_PLOTTED: Final = 20


@dataclass(frozen=True)
class Line:
    """What one method says of one unit.

    Attributes
    ----------
    unit : Unit
    columns : tuple of str
        Names of the unit's columns.
    method : {"coefficient", "forest", "permutation", "shap"}
    head : str
        Whose importance it is.
    scale : str
        What it is measured in.
    mean : float or None
        Over the folds; None where it is undefined in each.
    sd : float or None
        Over the folds; None of a single one.
    rank : int
        Among the units of its level, from 1; equal ones share the better rank.
    top_ten : float
        Share of the folds in which at most nine units of its level are larger, and it is above 0.
    null_mean, null_high : float or None
        Mean and 95th percentile under permuted labels.
    p : float or None
    direction : int
        +1 where more of it speaks for the positive class, -1 against it, 0 where nobody can say.
    """

    unit: Unit
    columns: tuple[str, ...]
    method: Method
    head: str
    scale: str
    mean: float | None
    sd: float | None
    rank: int
    top_ten: float
    null_mean: float | None = None
    null_high: float | None = None
    p: float | None = None
    direction: int = 0

    def row(self) -> list[Any]:
        """Cells of ``importance.csv``."""
        members = " ".join(quote(name, safe="/:,.-_()") for name in self.columns)
        return [
            self.unit.level, self.unit.name, self.unit.group, self.method, self.head, self.mean, self.sd,
            self.rank, self.top_ten, self.null_mean, self.null_high, self.p, self.direction or None, members,
            self.scale,
        ]  # fmt: skip


_COLUMNS: Final = (
    "level", "name", "group", "method", "head", "mean", "sd", "rank", "top_ten", "null_mean", "null_high",
    "p", "direction", "members", "unit",
)  # fmt: skip

_TITLES: Final[dict[Method, str]] = {
    "coefficient": "coefficient of {head} on standardised columns",
    "forest": "impurity in the trees of {head}",
    "permutation": "AUC that {head} loses on held-out images when it is shuffled",
    "shap": "mean absolute contribution to what {head} says of held-out images ({scale})",
}


def short(name: str, alone: bool) -> str:
    """A column's name without its extractor, where there is only one."""
    owner, slash, own = name.partition("/")
    return own if alone and slash else owner + slash + own


@dataclass(frozen=True)
class Explanation:
    """What a head goes by.

    Attributes
    ----------
    caption : str
        Head, classes, rows, folds.
    lines : tuple of Line
        By level, method and unit.
    classes : tuple of str
    positive_code : int
    blocks : tuple of str
        The extractors that were asked about.
    concordance : Concordance
    notes : tuple of str
        What a reader must know of how it was measured.
    figures : mapping of str to Drawing
        By the names of their files.
    """

    caption: str
    lines: tuple[Line, ...]
    classes: tuple[str, ...]
    positive_code: int
    blocks: tuple[str, ...]
    concordance: Concordance
    notes: tuple[str, ...] = field(default=())
    figures: Mapping[str, Drawing] = field(default_factory=dict, repr=False, compare=False)

    @property
    def positive(self) -> str:
        """Name of the positive class."""
        return self.classes[self.positive_code]

    @property
    def others(self) -> str:
        """Name of the other class; ``the rest`` where there are several."""
        return "the rest" if len(self.classes) > 2 else self.classes[1 - self.positive_code]

    def of(self, method: Method, *levels: Level) -> list[Line]:
        """Lines of a method, largest first."""
        found = [one for one in self.lines if one.method == method and one.unit.level in levels]
        return sorted(found, key=lambda one: (-(one.mean or 0.0), one.unit.name))

    def title(self, method: Method) -> str:
        """What a method measures, in words; empty where it measured nothing."""
        first = next(iter(self.of(method, *LEVELS)), None)
        return _TITLES[method].format(head=first.head, scale=first.scale) if first else ""

    def csv(self) -> str:
        """``importance.csv``."""
        return csv_text(_COLUMNS, [one.row() for one in self.lines])

    def plotted(self) -> str:
        """The chosen head's contributions, as DVC's bar plots take them: largest first."""
        lines = self.of("shap", "column", "block")[:_PLOTTED]
        return csv_text(["name", "importance"], [[one.unit.name, one.mean] for one in lines])

    def said(self, line: Line) -> str:
        """A unit's name for a table; of a cluster also how many columns it has beside that."""
        more = len(line.columns) - 1
        name = short(line.unit.name, len(self.blocks) == 1)
        return f"{name} (+{more})" if line.unit.level in ("cluster", "block") and more else name

    def text(self) -> str:
        """For a terminal."""
        parts = [self.caption]
        for method in METHODS:
            lines = self.of(method, "column", "block")[:SHOWN]
            if lines:
                parts.append(f"{method}: {self.title(method)}\n\n{self._table(lines)}")
        together = [one for one in self.of("permutation", "cluster") if one.rank <= SHOWN][:SHOWN]
        if any(len(one.columns) > 1 for one in together):
            parts.append(
                "permutation, columns that say the same shuffled together (+n: so many further ones)\n\n"
                + self._table(together)
            )
        hypotheses = self._hypotheses()
        if hypotheses:
            parts.append("The study's hypotheses, their columns together: importance and p\n\n" + hypotheses)
        parts.append("\n".join(f"({note})" for note in self.notes))
        parts.append(self.concordance.text())
        return "\n\n".join(part for part in parts if part)

    def _table(self, lines: Sequence[Line]) -> str:
        header = ["feature", "group", "importance", "sd", "95% of null", "p", "in top ten", "speaks"]
        rows = [
            [self.said(one), one.unit.group, number(one.mean), number(one.sd), number(one.null_high),
             number(one.p), f"{one.top_ten:.0%}", _speaks(one)]
            for one in lines
        ]  # fmt: skip
        return aligned(header, rows)

    def _hypotheses(self) -> str:
        found = {method: self.of(method, "hypothesis") for method in METHODS}
        there = [method for method in METHODS if found[method]]
        names = [one.unit.name for one in found[there[-1]]] if there else []
        header, rows = ["hypothesis"], [[name] for name in names]
        for method in there:
            header += [method, "p"]
            by_name = {one.unit.name: one for one in found[method]}
            for row, name in zip(rows, names, strict=True):
                row += [number(by_name[name].mean), number(by_name[name].p)]
        header.append("speaks")
        by_name = {one.unit.name: one for one in found[there[-1]]} if there else {}
        for row, name in zip(rows, names, strict=True):
            row.append(_speaks(by_name[name]))
        return aligned(header, rows) if rows else ""


def _speaks(line: Line) -> str:
    return {1: "for", -1: "against"}.get(line.direction, "-")
