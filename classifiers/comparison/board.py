"""How the leaderboard reads: on a terminal, as a page, as CSV.

Owns the order of its parts and the words for what may be concluded. Refuses to know heads and folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from classifiers.comparison.panel import Panel
from classifiers.comparison.selection import LEVEL, Corrected
from classifiers.intervals import Scores
from classifiers.metrics import MEASURES
from classifiers.tables import aligned, csv_text, interval, markdown, number

__all__ = ["PRIMARY", "Entry", "Leaderboard", "Table"]

#: The measure that orders the heads.
PRIMARY = "auc"

_SHOWN = ("auc", "accuracy", "balanced_accuracy", "f1", "mcc", "brier")
_WITH_INTERVAL = ("auc", "accuracy")


@dataclass(frozen=True)
class Entry:
    """One row.

    Attributes
    ----------
    name : str
    kind : {"head", "baseline", "shortcut", "network"}
        Only heads and networks compete for the first rank.
    rank : int or None
        Among those that compete, from 1.
    p : float or None
        How likely by chance it would stand so far behind the best (`selection`); None where
        there are too few groups to say.
    """

    name: str
    kind: str
    scores: Scores
    rank: int | None
    p: float | None

    @property
    def verdict(self) -> str:
        """``best``, ``cannot tell`` or ``worse``; empty where nobody can say."""
        if self.rank == 1:
            return "best"
        return "" if self.p is None else "worse" if self.p <= LEVEL else "cannot tell"


@dataclass(frozen=True)
class Table:
    """Heads that were scored on the same rows, best first.

    Attributes
    ----------
    scored_on : {"cv", "val"}
    caption : str
        Rows, groups, kind of split, the majority.
    winner : Corrected or None
        What picking the best of the heads really earns.
    notes : tuple of str
    """

    entries: tuple[Entry, ...]
    scored_on: str
    split_kind: str
    caption: str
    winner: Corrected | None
    notes: tuple[str, ...]

    @property
    def best(self) -> tuple[str, ...]:
        """The best head and those that cannot be told from it."""
        return tuple(e.name for e in self.entries if e.rank is not None and e.verdict != "worse")

    def conclusion(self) -> list[str]:
        """Sentences: who is best, who may be as good, what the winner scores once its luck is off."""
        first = next((e for e in self.entries if e.rank == 1), None)
        if first is None:
            return []
        if first.p is None:
            said = [f"{first.name} ranks first; there are too few groups to tell it from the others"]
        elif len(self.best) > 1:
            said = [f"{first.name} ranks first and cannot be told from {', '.join(self.best[1:])}"]
        else:
            said = [f"{first.name} is best and can be told from all others"]
        if self.winner is not None and self.winner.n_heads > 1:
            w = self.winner
            said.append(
                f"Picked as the best of {w.n_heads}, it is worth an {PRIMARY} of {number(w.score)} "
                f"{interval(w.low, w.high)}: {number(w.optimism)} less than it scored"
            )
        return said

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows, as text."""
        header, rows = ["head", "rank", "against the best"], []
        for name in _SHOWN:
            header += [name.replace("_", " ")] + ["95% interval"] * (name in _WITH_INTERVAL)
        for entry in self.entries:
            shown = entry.verdict + (f" (p {entry.p:.3f})" if entry.verdict == "worse" and entry.p else "")
            row = [_title(entry), "-" if entry.rank is None else str(entry.rank), shown or "-"]
            for name in _SHOWN:
                e = entry.scores.estimates[name]
                row += [number(e.score)] + [interval(e.low, e.high)] * (name in _WITH_INTERVAL)
            rows.append(row)
        return header, rows


def _title(entry: Entry) -> str:
    return entry.name if entry.kind in ("head", "network") else f"{entry.name} ({entry.kind})"


@dataclass(frozen=True)
class Leaderboard:
    """Every head, baseline and shortcut that was scored.

    Attributes
    ----------
    tables : tuple of Table
        Cross-validated heads first; then those on val, where an extractor learned.
    panel : Panel or None
        The shortcuts; None where nothing was cross-validated.
    notes : tuple of str
        What holds for all tables.
    """

    tables: tuple[Table, ...]
    panel: Panel | None
    notes: tuple[str, ...]

    def warnings(self) -> list[str]:
        """What a reader must know before anything else."""
        return [] if self.panel is None else self.panel.warnings(self.tables[0].best)

    def text(self) -> str:
        """For a terminal."""
        parts = list(self.warnings())
        for table in self.tables:
            lines = [table.caption, "", aligned(*table.cells()), ""]
            parts.append("\n".join([*lines, *(f"{said}." for said in table.conclusion())]))
            parts.append("\n".join(f"({note})" for note in table.notes))
        if self.panel is not None:
            parts.append(
                "Shortcuts: what tells the classes apart without the character\n\n"
                + aligned(*self.panel.cells())
            )
        parts.append("\n".join(f"({note})" for note in self.notes))
        return "\n\n".join(part for part in parts if part)

    def markdown(self) -> str:
        """The same for a page."""
        parts = [f"**{warning}.**" for warning in self.warnings()]
        for table in self.tables:
            parts += [f"{table.caption}.", markdown(*table.cells())]
            parts += [" ".join(f"{said}." for said in table.conclusion())]
            parts += [f"{note}." for note in table.notes]
        if self.panel is not None:
            parts += [
                "Shortcuts: what tells the classes apart without the character.",
                markdown(*self.panel.cells()),
            ]
        parts += [f"{note}." for note in self.notes]
        return "\n\n".join(part for part in parts if part) + "\n"

    def csv(self) -> str:
        """Every measure with its interval, one row a head and table."""
        header = ["head", "kind", "scored_on", "rank", "against_best", "p", "split", "n", "groups"]
        header += [f"{PRIMARY}_corrected", f"{PRIMARY}_corrected_low", f"{PRIMARY}_corrected_high"]
        header += [column for name in MEASURES for column in (name, f"{name}_low", f"{name}_high")]
        rows = [_csv_row(table, entry) for table in self.tables for entry in table.entries]
        return csv_text(header, rows)


def _csv_row(table: Table, entry: Entry) -> Sequence[object]:
    scores, winner = entry.scores, table.winner if entry.rank == 1 else None
    row: list[object] = [entry.name, entry.kind, table.scored_on, entry.rank, entry.verdict, entry.p]
    row += [table.split_kind, scores.n_images, scores.n_groups]
    row += [None] * 3 if winner is None else [winner.score, winner.low, winner.high]
    for name in MEASURES:
        e = scores.estimates[name]
        row += [e.score, e.low, e.high]
    return row
