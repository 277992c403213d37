"""How the response to redrawn pictures reads: a table beside the truth, CSV.

Owns the values that it comes out as, and which factors the design columns can see. Refuses to know heads and
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from classifiers.explanation.counterfactual_report import Slope
from classifiers.tables import aligned, csv_text, interval, number

__all__ = ["MAPPED_SD", "Moved", "Reply", "Response"]

#: A factor is mapped if a design column moves by so many of its standard deviations per standard deviation of
#: the factor. Of one that is not, no head of design columns can be expected to know anything.
MAPPED_SD: Final = 0.25

#: Below this many mapped factors a rank correlation says nothing.
_LEAST: Final = 3


@dataclass(frozen=True)
class Moved:
    """What was moved in one folder.

    Attributes
    ----------
    folder, factor : str
        The factor's column in ``metadata/characters.csv``; several, or empty, where `note` says so.
    by : float or None
        Mean move, in standard deviations of the factor within the classes.
    sd : float or None
        That standard deviation, in the column's unit.
    effect : Slope or None
        The true effect: mean of the positive class less that of the rest, in the study's metadata, in `sd`.
    columns : tuple of (str, float)
        Columns of ``design`` by how far they move: standard deviations (over real images) a standard
        deviation of the factor, or under the whole move where `by` is None; largest first.
    images, groups : int
        That were redrawn.
    note : str
        Why `by`, `sd` and `effect` are None; empty otherwise.
    """

    folder: str
    factor: str
    by: float | None
    sd: float | None
    effect: Slope | None
    columns: tuple[tuple[str, float], ...]
    images: int
    groups: int
    note: str = ""

    @property
    def seen(self) -> tuple[str, ...]:
        """Columns of ``design`` that move by `MAPPED_SD` or more."""
        return tuple(name for name, shift in self.columns if abs(shift) >= MAPPED_SD)

    @property
    def mapped(self) -> bool:
        """Whether the design columns see the factor at all."""
        return self.by is not None and bool(self.seen)

    @property
    def real(self) -> bool:
        """Whether the classes differ in the factor: the effect's interval leaves out 0."""
        e = self.effect
        return e is not None and e.low is not None and e.high is not None and (e.low > 0 or e.high < 0)


@dataclass(frozen=True)
class Reply:
    """What a head says of the pictures of one folder.

    Attributes
    ----------
    change : Slope
        Of the probability of the positive class, under the whole move.
    margin : Slope
        Of its log-odds, a standard deviation of the factor (under the whole move where `Moved.by` is None).
    """

    folder: str
    head: str
    change: Slope
    margin: Slope


@dataclass(frozen=True)
class Response:
    """The heads' response to redrawn pictures.

    Attributes
    ----------
    caption : str
        Pictures, groups, folds.
    positive : str
    moved : tuple of Moved
        One a folder.
    replies : tuple of Reply
        One a folder and head.
    """

    caption: str
    positive: str
    moved: tuple[Moved, ...]
    replies: tuple[Reply, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """In the order in which they were asked."""
        return tuple(dict.fromkeys(one.head for one in self.replies))

    def reply(self, folder: str, head: str) -> Reply:
        """What a head says of a folder."""
        return next(one for one in self.replies if (one.folder, one.head) == (folder, head))

    def agrees(self, one: Moved, head: str) -> bool | None:
        """Whether a response has the sign of the true effect; None where there is none to agree with."""
        if one.effect is None or not one.real:
            return None
        return self.reply(one.folder, head).margin.value * one.effect.value > 0

    def rank_correlation(self, head: str) -> float | None:
        """Spearman's, of sizes of true effects and of responses over the mapped factors; None below three."""
        from scipy.stats import spearmanr

        pairs = [
            (abs(one.effect.value), abs(self.reply(one.folder, head).margin.value))
            for one in self.moved
            if one.mapped and one.effect is not None
        ]
        if len({effect for effect, _ in pairs}) < _LEAST:
            return None
        return float(spearmanr(*zip(*pairs, strict=True)).statistic)

    def csv(self) -> str:
        """One row a folder and head."""
        header = [
            "folder", "factor", "moved_sd", "sd", "effect", "effect_low", "effect_high", "mapped", "column",
            "column_sd", "images", "groups", "head", "change", "change_low", "change_high", "margin",
            "margin_low", "margin_high", "agrees", "rank_correlation", "note",
        ]  # fmt: skip
        rows = []
        for one in self.moved:
            for head in self.heads:
                reply, agrees = self.reply(one.folder, head), self.agrees(one, head)
                rows.append([
                    one.folder, one.factor, one.by, one.sd, *_ends(one.effect), int(one.mapped),
                    *one.columns[0], one.images, one.groups, head, *_ends(reply.change),
                    *_ends(reply.margin), None if agrees is None else int(agrees),
                    self.rank_correlation(head), one.note,
                ])  # fmt: skip
        return csv_text(header, rows)

    def text(self) -> str:
        """For a terminal."""
        header = ["factor", "moved", "true effect", "95% interval", "head", "response", "95% interval"]
        header += [f"P({self.positive})", "sign", "seen by"]
        rows = [self._row(one, head) for one in self.moved for head in self.heads]
        lines = ["The heads' response to redrawn pictures", self.caption, "", aligned(header, rows), ""]
        lines += [
            "(moved, effect: standard deviations of the factor; response: change of the log-odds for one of",
            "them, P: of the probability under the whole move; seen by: design columns that move by",
            f"{MAPPED_SD:g} sd a sd of the factor; a factor that none sees is not mapped)",
        ]
        lines += [f"({one.folder}: {one.note})" for one in self.moved if one.note]
        n = sum(one.mapped for one in self.moved)
        for head in self.heads:
            rank = self.rank_correlation(head)
            if rank is not None:
                said = f"sizes of true effects and of responses over {n} mapped factors"
                lines.append(f"{head}: rank correlation {number(rank)} ({said})")
        return "\n".join(lines)

    def _row(self, one: Moved, head: str) -> list[str]:
        reply, agrees = self.reply(one.folder, head), self.agrees(one, head)
        effect, low, high = _ends(one.effect)
        return [
            one.factor or one.folder,
            number(one.by),
            number(effect),
            interval(low, high),
            head,
            number(reply.margin.value),
            interval(reply.margin.low, reply.margin.high),
            number(reply.change.value),
            {True: "agrees", False: "differs", None: "-"}[agrees],
            _said(one.seen) if one.mapped else "none",
        ]


def _ends(slope: Slope | None) -> list[float | None]:
    return [None] * 3 if slope is None else [slope.value, slope.low, slope.high]


def _said(names: Sequence[str]) -> str:
    """The first two, and how many more."""
    more = f" + {len(names) - 2}" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more
