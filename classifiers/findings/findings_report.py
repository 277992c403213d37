"""How findings read: one row each, sentences, tables for a terminal and for a page.

Owns the values that tests come out as and the words for them. Refuses to know data and how anything was
tested. Sentences say what was seen, with its number; none says what brought it about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from classifiers.tables import aligned, csv_text, interval, markdown, number

__all__ = [
    "ALL",
    "ALPHA",
    "ANNOTATIONS",
    "CANNOT_TELL",
    "HYPOTHESES",
    "NOT_TESTABLE",
    "NO_ANTIHEROES",
    "OPPOSITE",
    "STUDY",
    "SUPPORTED",
    "Finding",
    "Findings",
    "corrected",
    "difference_said",
    "duel_said",
    "ratio_said",
    "sentence_of",
]

ALL: Final = "all"
NO_ANTIHEROES: Final = "without antiheroes"

HYPOTHESES: Final = "hypotheses"
ANNOTATIONS: Final = "annotations"
STUDY: Final = "study"

SUPPORTED: Final = "supported"
#: Of what nobody claimed a direction.
DIFFERS: Final = "differs"
OPPOSITE: Final = "opposite"
CANNOT_TELL: Final = "cannot tell"
NOT_TESTABLE: Final = "not testable"

#: A p-value, after Holm, below it is called a difference.
ALPHA: Final = 0.05

#: How much the effect must move before a sentence says what it is without the technical columns.
_MOVED: Final = 0.1

_COLUMNS: Final = (
    "family", "finding", "cast", "what", "effect", "low", "high", "p", "p_holm", "verdict", "images",
    "groups", "sentence",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One claim and what became of it.

    Attributes
    ----------
    family : {"hypotheses", "annotations", "study"}
        P-values are corrected within a family and cast.
    finding : str
    cast : {"all", "without antiheroes"}
    what : str
        What was measured, with its unit.
    effect, low, high : float or None
        With the ends of the 95% interval.
    p, p_holm : float or None
        Two-sided, before and after Holm's correction.
    verdict : {"supported", "opposite", "differs", "cannot tell", "not testable"}
    images, groups : int
    sentence : str
    of : str
        Columns it is made of.
    bare : float or None
        The effect of a model without the technical columns.
    model : str
        Which was fitted.
    alike : float
        The effect that means no difference: 0, or 1 of a ratio.
    directed : bool
        Whether an effect above `alike` is what is claimed; else nothing is.
    """

    family: str
    finding: str
    cast: str
    what: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    verdict: str = CANNOT_TELL
    images: int = 0
    groups: int = 0
    sentence: str = ""
    of: str = ""
    bare: float | None = None
    model: str = ""
    alike: float = 0.0
    directed: bool = True


def corrected(found: Sequence[Finding]) -> list[Finding]:
    """Findings of one family and cast with Holm's (1979) p-values and the verdicts that follow.

    Those without a p-value stay as they are, and do not count.

    Examples
    --------
    >>> few = [Finding("study", name, "all", "", 0.3, p=p) for name, p in (("a", 0.03), ("b", 0.01))]
    >>> [(f.p_holm, f.verdict) for f in corrected(few)]
    [(0.03, 'supported'), (0.02, 'supported')]
    """
    tested = [i for i, one in enumerate(found) if one.p is not None]
    tested.sort(key=lambda i: (found[i].p, i))
    done, largest = list(found), 0.0
    for rank, i in enumerate(tested):
        one = found[i]
        largest = max(largest, min(1.0, (len(tested) - rank) * (one.p or 0.0)))
        verdict = CANNOT_TELL
        if largest < ALPHA and one.effect is not None and one.effect != one.alike:
            expected = SUPPORTED if one.effect > one.alike else OPPOSITE
            verdict = expected if one.directed else DIFFERS
        done[i] = replace(one, p_holm=largest, verdict=verdict)
    return done


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else number(p)


def sentence_of(one: Finding, said: str) -> str:
    """A sentence with what holds for all: the cast it is of, and how sure it is."""
    text = f"without antiheroes, {said}" if one.cast == NO_ANTIHEROES else said
    if one.p is not None and one.p_holm is not None:
        text += f"; p {_p(one.p)}, {_p(one.p_holm)} after Holm"
    n_groups = f" in {one.groups} groups" if one.groups and one.groups < one.images else ""
    if one.images:
        text += f"; {one.images} images{n_groups}"
    return f"{text[0].upper()}{text[1:]}."


def difference_said(one: Finding, more: str, less: str, topic: str, sides: tuple[str, str]) -> str:
    """A difference of means in words, without its p-value.

    Parameters
    ----------
    more, less : str
        What images have where the effect is above 0, and below: ``"a cooler palette"``.
    topic : str
        What cannot be told apart otherwise: ``"the palette"``.
    sides : tuple of str
        The positive class and the rest.
    """
    effect = one.effect or 0.0
    positive, rest = sides
    size = f"{abs(effect):.2f} sd"
    ends = "" if one.low is None or one.high is None else f" [{one.low:.2f}, {one.high:.2f}]"
    if effect < 0 and ends:
        ends = f" [{-(one.high or 0.0):.2f}, {-(one.low or 0.0):.2f}]"
    if one.verdict == CANNOT_TELL:
        towards = more if effect >= 0 else less
        text = f"images of {positive} and of {rest} cannot be told apart by {topic}: "
        text += f"{size}{ends} towards {towards}"
    else:
        text = (
            f"images of {positive} have {more if effect > 0 else less} than those of {rest}, by {size}{ends}"
        )
        if one.directed:
            text += f", {'as convention says' if effect > 0 else 'against what convention says'}"
    if one.bare is not None and abs(one.bare - effect) >= _MOVED:
        text += f" ({one.bare if effect >= 0 else -one.bare:.2f} without the technical columns)"
    return text


def ratio_said(one: Finding, sides: tuple[str, str]) -> str:
    """A ratio of distances in words, without its p-value."""
    positive, rest = sides
    ends = "" if one.low is None or one.high is None else f" [{one.low:.2f}, {one.high:.2f}]"
    if one.verdict == CANNOT_TELL:
        return (
            f"it cannot be told whether images of {positive} differ more among themselves than those of "
            f"{rest}: they lie {one.effect:.2f} times{ends} as far from their middle"
        )
    how = "more" if (one.effect or 1.0) > 1 else "less"
    return (
        f"images of {positive} differ {how} among themselves than those of {rest}: they lie {one.effect:.2f} "
        f"times{ends} as far from their middle"
    )


def duel_said(one: Finding, first: str, other: str, head: str, scored_on: str, margin: float | None) -> str:
    """Two extractors in words, without the p-value.

    Parameters
    ----------
    margin : float or None
        By which the first may be worse and still be no worse; None = the question is which is better.
    """
    effect = one.effect or 0.0
    ends = "" if one.low is None or one.high is None else f" [{one.low:+.3f}, {one.high:+.3f}]"
    size = f"the AUC of {head} differs by {effect:+.3f}{ends}"
    on = " (fitted on train, asked about val)" if scored_on == "val" else ""
    if margin is None:
        how = {SUPPORTED: "ranks better than", OPPOSITE: "ranks worse than"}
        said = how.get(one.verdict, "cannot be told from")
        return f"a head on {first} {said} one on {other}: {size}{on}"
    by = f"by more than {margin:g} of AUC"
    how = {
        SUPPORTED: f"is not worse than one on {other} {by}",
        OPPOSITE: f"is worse than one on {other} {by}",
    }
    said = how.get(one.verdict, f"can neither be called worse than one on {other} {by} nor not worse")
    return f"a head on {first} {said}: {size}{on}"


_TITLES: Final = {
    HYPOTHESES: "What convention says of a villain",
    ANNOTATIONS: "What characters.csv says",
    STUDY: "The study's other claims",
}


@dataclass(frozen=True)
class Findings:
    """All of them.

    Attributes
    ----------
    caption : str
        On what data.
    rows : tuple of Finding
        By family and cast.
    notes : tuple of str
        How it was tested, and what a reader must know.
    drawn : str
        Title and text of the annotations where they are what the images were drawn from; else empty.
    """

    caption: str
    rows: tuple[Finding, ...]
    notes: tuple[str, ...]
    drawn: str = ""

    def csv(self) -> str:
        """One row a finding and cast."""
        return csv_text(_COLUMNS, [[getattr(one, name) for name in _COLUMNS] for one in self.rows])

    def text(self) -> str:
        """For a terminal."""
        parts = [f"{self.caption}."]
        for title, note, rows in self._families():
            parts.append(f"{title}\n{note}".rstrip())
            parts.append(aligned(*_cells(rows)))
            parts.append("\n".join(f"- {one.sentence}" for one in _shown(rows)))
        parts.append("\n".join(f"({note})" for note in self.notes))
        return "\n\n".join(part for part in parts if part)

    def markdown(self) -> str:
        """The same for a page, with what each finding is made of."""
        parts = ["# Findings", f"{self.caption}."]
        for title, note, rows in self._families():
            parts += [f"## {title}", note, *(_part(rows, cast, markdown) for cast in (ALL, NO_ANTIHEROES))]
        parts += ["## How it was tested", "\n".join(f"- {note}." for note in self.notes)]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _families(self) -> Iterable[tuple[str, str, list[Finding]]]:
        """Title, a sentence and the rows of each family that there is."""
        for family, title in _TITLES.items():
            rows = [one for one in self.rows if one.family == family]
            drawn = family == ANNOTATIONS and self.drawn
            if rows:
                yield ("What was drawn" if drawn else title), (self.drawn if drawn else ""), rows


def _shown(rows: Sequence[Finding]) -> list[Finding]:
    """Whose sentence stands on the terminal too: claims, on the whole cast."""
    return [one for one in rows if one.cast == ALL and one.directed]


def _part(rows: Sequence[Finding], cast: str, table: Callable[..., str]) -> str:
    """Table and sentences of one cast; empty where there are none."""
    own = [one for one in rows if one.cast == cast]
    if not own:
        return ""
    title = "### All images" if cast == ALL else "### Without antiheroes"
    said = "\n".join(f"- **{one.finding}: {one.verdict}.** {one.sentence}" for one in own)
    return "\n\n".join([title, table(*_cells(own, wide=True)), said])


def _cells(rows: Sequence[Finding], *, wide: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and rows, as text."""
    header = ["finding", "verdict", "effect", "95% interval", "p", "p (Holm)"]
    header += ["without technical columns", "images", "groups", "model", "made of"] if wide else ["cast"]
    cells = []
    for one in rows:
        name = one.finding.replace("|", "\\|") if wide else one.finding
        row = [name, one.verdict, _signed(one.effect, one), interval(one.low, one.high), number(one.p)]
        row.append(number(one.p_holm))
        if wide:
            row += [_signed(one.bare, one), str(one.images), str(one.groups), one.model or "-", one.of or "-"]
        else:
            row.append(one.cast)
        cells.append(row)
    return header, cells


def _signed(value: float | None, one: Finding) -> str:
    """With its sign, but for a ratio."""
    if value is None:
        return "-"
    return number(value) if one.alike else f"{round(value, 3) + 0.0:+.3f}"
