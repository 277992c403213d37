"""How concordance with design reads: a table and sentences for a terminal, JSON and CSV for files.

Owns the values that it comes out as. Refuses to know heads, folds and how anything was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.tables import aligned, csv_text, interval, number, rounded

__all__ = ["Concordance", "Explained"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

#: Images named that design explains least.
_NAMED: Final = 12


@dataclass(frozen=True)
class Explained:
    """One extractor.

    Attributes
    ----------
    extractor : str
    rows : ndarray of intp, shape (n,)
        Positions in the study.
    margin, said : ndarray of float64, shape (n,)
        Log-odds of the head, and what design makes of them; means over the repeats.
    r2 : float
    low, high : float or None
        Ends of the 95% interval; None below ten groups.
    groups : int
    """

    extractor: str
    rows: Rows
    margin: Floats
    said: Floats
    r2: float
    low: float | None
    high: float | None
    groups: int

    @property
    def residual(self) -> Floats:
        """What design leaves, shape (n,)."""
        return self.margin - self.said


@dataclass(frozen=True)
class Concordance:
    """Every extractor.

    Attributes
    ----------
    parts : tuple of Explained
    caption : str
    reason : str
        What could not be asked, and why; empty if all was.
    """

    parts: tuple[Explained, ...] = field(default=())
    caption: str = ""
    reason: str = ""

    def document(self, study: Study) -> dict[str, Any]:
        """``concordance.json``."""
        found = {
            one.extractor: {
                "r2": rounded(one.r2),
                "low": rounded(one.low),
                "high": rounded(one.high),
                "images": len(one.rows),
                "groups": one.groups,
                "unexplained": study.paths[one.rows[_least(one)]].tolist(),
            }
            for one in self.parts
        }
        return {"extractors": found, "reason": self.reason}

    def csv(self, study: Study) -> str:
        """``concordance.csv``: one row an extractor and image."""
        rows = [
            [study.keys[row], study.paths[row], study.labels[row], one.extractor, *map(float, numbers)]
            for one in self.parts
            for row, *numbers in zip(
                one.rows.tolist(), one.margin, one.said, one.residual, strict=True
            )
        ]  # fmt: skip
        header = ["key", "path", "label", "extractor", "margin", "explained", "residual"]
        return csv_text(header, rows)

    def text(self) -> str:
        """For a terminal."""
        if not self.parts:
            return f"Concordance with design: {self.reason}" if self.reason else ""
        rows = [
            [one.extractor, number(one.r2), interval(one.low, one.high), str(len(one.rows)), str(one.groups)]
            for one in self.parts
        ]
        table = aligned(["extractor", "R2", "95% interval", "images", "groups"], rows)
        lines = [self.caption, "", table, "", *map(_sentence, self.parts)]
        return "\n".join([*lines, *([f"({self.reason})"] if self.reason else [])])


def _least(one: Explained) -> Rows:
    """The images that design explains least, worst first."""
    order = np.argsort(-np.abs(one.residual).round(9), kind="stable")
    return order[:_NAMED]


def _sentence(one: Explained) -> str:
    r2 = number(one.r2)
    if one.low is None:
        said = f"design explains {r2} of the variance, whose interval is not known"
    elif one.low > 0:
        said = f"design explains {one.r2:.0%} {_shares(one)} of the variance of what the head sees there"
    elif one.r2 > 0:
        said = f"whether design explains any of it cannot be told (R2 {r2})"
    else:
        said = f"design explains none of it (R2 {r2})"
    return f"{one.extractor}: {said}."


def _shares(one: Explained) -> str:
    return f"[{one.low:.0%}, {one.high:.0%}]"
