"""How shortcuts score beside the heads, and what a reader must know of it.

Owns ``results/shortcuts.csv`` and the warnings. Refuses to know what a shortcut is given (``shortcuts``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from classifiers.comparison.shortcuts import Shortcut
from classifiers.intervals import Scores
from classifiers.tables import csv_text, interval, number

if TYPE_CHECKING:
    from classifiers.data import Study

__all__ = ["Line", "Panel", "panel"]


def _leading(shortcut: Shortcut, hit: npt.NDArray[np.bool_], rows: npt.NDArray[np.intp]) -> tuple[str, float]:
    """The column that ranks the positive class best by itself, either way round, and its AUC."""
    from sklearn.metrics import roc_auc_score

    best, area = "", 0.5
    for name in shortcut.columns.columns:
        values = shortcut.columns[name].to_numpy()[rows]
        known = ~np.isnan(values)
        if hit[rows][known].any() and not hit[rows][known].all():
            found = float(roc_auc_score(hit[rows][known], values[known]))
            if abs(found - 0.5) > abs(area - 0.5) + 1e-9:
                best, area = name, found
    return best, area


@dataclass(frozen=True)
class Line:
    """One shortcut of the panel.

    Attributes
    ----------
    n_columns : int
    leading : str
        The column that ranks the positive class best by itself; empty for the prior.
    leading_auc : float
        Its own AUC; below 0.5 where small values speak for the positive class.
    scores : Scores or None
        On the study's folds; None where there is nothing to look at.
    image_wise : Scores or None
        On folds that keep nothing together.
    near : tuple of str
        Heads whose interval its AUC comes within.
    reason : str
        Why there is nothing to look at.
    fingerprint : str
        See `Shortcut`.
    """

    name: str
    n_columns: int
    leading: str
    leading_auc: float
    scores: Scores | None
    image_wise: Scores | None
    near: tuple[str, ...]
    reason: str
    fingerprint: str = ""

    def cells(self) -> list[str]:
        """As text; see `Panel.cells`."""
        if self.scores is None:
            return [self.name, "0", "-", "-", "-", "-", self.reason]
        auc = self.scores.estimates["auc"]
        loose = self.image_wise.estimates["auc"].score if self.image_wise else None
        leading = f"{self.leading} ({number(self.leading_auc)})" if self.leading else "-"
        ends = interval(auc.low, auc.high)
        low = auc.low
        near = ", ".join(self.near) or (
            "no head" if low is not None and low > 0.5 else "not told from chance"
        )
        return [self.name, str(self.n_columns), number(auc.score), ends, number(loose), leading, near]

    def row(self) -> list[object]:
        """For CSV."""
        ends: list[float | None] = []
        for measured in ("auc", "accuracy"):
            e = self.scores.estimates[measured] if self.scores else None
            ends += [e.score, e.low, e.high] if e else [None] * 3
        loose = self.image_wise.estimates["auc"].score if self.image_wise else None
        alone = self.leading_auc if self.leading else None
        near = " ".join(self.near)
        return [
            self.name,
            self.n_columns,
            *ends,
            loose,
            self.leading,
            alone,
            near,
            self.reason,
            self.fingerprint,
        ]


@dataclass(frozen=True)
class Panel:
    """What the shortcuts score, and which heads they come near.

    Attributes
    ----------
    lines : tuple of Line
        Empty where nothing was cross-validated.
    """

    lines: tuple[Line, ...]

    def warnings(self, best: Sequence[str]) -> list[str]:
        """A sentence for each shortcut that comes within the interval of one of the best heads."""
        said = []
        for line in self.lines:
            reached = [head for head in line.near if head in best]
            if line.scores is not None and reached:
                auc = line.scores.estimates["auc"]
                by = f", by {line.leading} above all," if line.leading else ""
                said.append(
                    f"SHORTCUT: {line.name}{by} has an auc of {number(auc.score)} "
                    f"{interval(auc.low, auc.high)} without a look at the character, within the interval of "
                    f"{', '.join(reached)}: what these heads score may be that"
                )
        return said

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows, as text."""
        header = ["shortcut", "columns", "auc", "95% interval", "image by image", "leading column"]
        return [*header, "within the interval of"], [line.cells() for line in self.lines]

    def csv(self) -> str:
        """One row a shortcut."""
        header = [
            "shortcut", "columns", "auc", "auc_low", "auc_high", "accuracy", "accuracy_low", "accuracy_high",
            "image_wise_auc", "leading_column", "leading_column_auc", "within_interval_of", "reason",
            "fingerprint",
        ]  # fmt: skip
        return csv_text(header, [line.row() for line in self.lines])


def panel(
    study: Study,
    shortcuts: Sequence[Shortcut],
    scores: Mapping[str, Scores],
    image_wise: Mapping[str, Scores],
    heads: Mapping[str, Scores],
    positive: int,
) -> Panel:
    """The scores of shortcuts beside those of heads, on the same folds.

    Parameters
    ----------
    scores, image_wise : mapping of str to Scores
        By shortcut: on the study's folds, and on folds that keep nothing together.
    heads : mapping of str to Scores
        Those that a shortcut may come near.
    """
    hit, rows = study.labels == study.classes[positive], study.rows_of("train", "val")
    lines = []
    for one in shortcuts:
        nothing = bool(one.reason) or one.name == "series prior"
        leading, area = ("", 0.5) if nothing else _leading(one, hit, rows)
        own = scores.get(one.name)
        near = () if own is None else _within(own, heads)
        loose = image_wise.get(one.name)
        n_columns = one.columns.shape[1]
        lines.append(Line(one.name, n_columns, leading, area, own, loose, near, one.reason, one.fingerprint))
    return Panel(tuple(lines))


def _within(own: Scores, heads: Mapping[str, Scores]) -> tuple[str, ...]:
    """Heads whose interval a shortcut's score reaches, if it is better than chance itself."""
    e = own.estimates["auc"]
    if e.score is None or e.low is None or e.low <= 0.5:
        return ()
    lows = {name: scores.estimates["auc"].low for name, scores in heads.items()}
    return tuple(name for name, low in lows.items() if low is not None and e.score >= low)
