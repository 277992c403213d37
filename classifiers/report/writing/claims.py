"""Sentences on claims: each finding as a line, and how many came out how.

Owns these words and the families' titles. Refuses to know how a claim was tested.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from classifiers.report.writing.explained import spaced
from classifiers.report.writing.words import Safe, counted, escaped, known, listed, moved, row_of

if TYPE_CHECKING:
    from classifiers.report.evidence import Evidence

__all__ = ["Claims", "claims"]

Row = dict[str, Any]

_FAMILIES: Final = {
    "hypotheses": "What convention says of the role:",
    "annotations": "What the data's own table (characters.csv) says of the images:",
    "study": "The original study's other claims:",
}

_DRAWN: Final = "What was drawn, as characters.csv has it (no claim, but what there is to find):"

#: Verdict -> what is said of one such claim, and of several.
_VERDICTS: Final = (
    ("supported", "is supported", "are supported"),
    ("opposite", "goes the opposite way", "go the opposite way"),
    ("cannot tell", "cannot be told either way", "cannot be told either way"),
    ("not testable", "cannot be tested here", "cannot be tested here"),
)

#: Verdicts that say something; the claims are named.
_TOLD: Final = ("supported", "opposite")

#: The cast of all images.
_WHOLE: Final = "all"


@dataclass(frozen=True)
class Claims:
    """What came of the claims.

    Attributes
    ----------
    counted : Safe
        In one sentence; the reason where none was tested.
    families : list of (title, lines)
    rows : list of Row
        As findings.csv has them.
    """

    counted: Safe
    families: list[tuple[Safe, list[Safe]]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def of_claims(self) -> list[Row]:
        """Those on the whole cast that claim something; what was drawn claims nothing."""
        return [row for row in self.rows if row["cast"] == _WHOLE and row["family"] != "annotations"]

    def of(self, family: str, *, cast: str = _WHOLE) -> list[Row]:
        """Rows of one family."""
        return [row for row in self.rows if row["family"] == family and row["cast"] == cast]


def claims(evidence: Evidence) -> Claims:
    """Every finding, by family."""
    if evidence.findings is None:
        return Claims(Safe(f"No claim was tested: {escaped(evidence.missing.get('findings', 'no file'))}."))
    rows = row_of(evidence.findings)
    titles = {**_FAMILIES, **({"annotations": _DRAWN} if evidence.demo else {})}
    families = []
    for name in dict.fromkeys(str(row["family"]) for row in rows):
        own = [row for row in rows if row["family"] == name]
        whole = [row for row in own if row["cast"] == _WHOLE]
        families.append((Safe(titles.get(name) or f"{escaped(name)}:"), [_line(row) for row in whole]))
        for cast in dict.fromkeys(str(row["cast"]) for row in own if row["cast"] != _WHOLE):
            part = [row for row in own if row["cast"] == cast]
            families.append((_again(cast, part, whole), [_line(row) for row in part]))
    made = Claims(Safe(""), [(title, lines) for title, lines in families if lines], rows)
    return replace(made, counted=_counted(made.of_claims))


def _again(cast: str, part: list[Row], whole: list[Row]) -> Safe:
    """Title of the same claims on a part of the images, and which verdicts are others there."""
    before = {row["finding"]: row["verdict"] for row in whole}
    other = [
        Safe(f"{escaped(spaced(row['finding']))} ({escaped(row['verdict'])})")
        for row in part
        if before.get(row["finding"], row["verdict"]) != row["verdict"]
    ]
    title = escaped(f"{cast[:1].upper()}{cast[1:]}")
    if not other:
        return Safe(f"{title}, where every verdict is the same:")
    return Safe(
        f"{title}, where {counted(len(other))} {'is another' if len(other) == 1 else 'are others'}, "
        f"{listed(other)}:"
    )


def _line(row: Row) -> Safe:
    """One finding: what it is, the verdict, the sentence."""
    sentence = str(row["sentence"] or "").strip()
    if not sentence:
        size = "" if known(row["effect"]) is None else f", {moved(row['effect'], row['low'], row['high'])}"
        said = f"{escaped(row['what'])}{size}."
    else:
        said = f"{escaped(sentence)}{'' if sentence.endswith(('.', '!', '?')) else '.'}"
    title = escaped(f"{spaced(row['finding'])}: {row['verdict']}.")
    return Safe(f"**{title}** {said}")


def _counted(rows: list[Row]) -> Safe:
    """How many claims came out how."""
    if not rows:
        return Safe("No claim was tested.")
    parts = []
    for verdict, one, many in _VERDICTS:
        names = [spaced(row["finding"]) for row in rows if row["verdict"] == verdict]
        if names:
            which = f" ({listed(names)})" if verdict in _TOLD else ""
            parts.append(Safe(f"{counted(len(names))} {one if len(names) == 1 else many}{which}"))
    if len(rows) == 1:
        return Safe(f"The only claim {str(parts[0]).partition(' ')[2]}.")
    return Safe(f"Of {counted(len(rows))} claims, {listed(parts)}.")
