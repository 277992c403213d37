"""What a run did not establish, and why: the paper's fifth section, the card's caveats.

Owns that list. Refuses to know how it is laid out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from classifiers.report.writing.claims import claims
from classifiers.report.writing.explained import spaced
from classifiers.report.writing.facts import board_of, cast_of, folds_of
from classifiers.report.writing.words import Safe, code, counted, escaped, known, listed, row_of

if TYPE_CHECKING:
    from classifiers.report.evidence import Evidence

__all__ = ["caveats", "open_questions"]

#: Parts that may be missing -> what is then not known.
_PARTS: Final = {
    "importance": "Which features the head goes by",
    "counterfactuals": "How heads answer to edited images",
    "concordance": "What a network sees beyond the design features",
    "findings": "The claims",
}

_ALWAYS: Final = (
    "Why a measure goes with a role. Labels and looks were observed together; edited images say what a head "
    "answers, and nothing of how characters come by their looks.",
    "What the chosen head scores on the locked test split. `python -m classifiers final` looks once, and "
    "counts the look.",
)


def open_questions(evidence: Evidence) -> list[Safe]:
    """One line each: of the data, the heads, the score, the claims, the parts that are missing."""
    missing = [
        f"{what}: {escaped(evidence.missing.get(name, 'nothing was written'))}."
        for name, what in _PARTS.items()
        if getattr(evidence, name) is None
    ]
    return [Safe(line) for line in (*_of_the_run(evidence), *_of_claims(evidence), *missing, *_ALWAYS)]


def caveats(evidence: Evidence) -> list[Safe]:
    """Those that a user of the model should know."""
    return [Safe(line) for line in (*_of_the_run(evidence), *_ALWAYS)]


def _of_the_run(evidence: Evidence) -> list[str]:
    return [*_of_the_data(evidence), *_of_the_heads(evidence), *_of_the_score(evidence)]


def _of_the_data(evidence: Evidence) -> list[str]:
    cast, lines = cast_of(evidence), []
    if evidence.demo:
        lines.append(
            "Anything about how characters are drawn elsewhere: the images are drawings that our own code "
            "made, and the differences between the roles were put there."
        )
    else:
        lines.append(
            "Whether it holds for other collections: these images were chosen and labelled by somebody, and "
            "no other collection was looked at."
        )
    if not cast.whole:
        lines.append(
            "How the scores would be on series that were never seen: it is not known which images belong "
            "together."
        )
    return lines


def _of_the_heads(evidence: Evidence) -> list[str]:
    board, folds = board_of(evidence), folds_of(evidence)
    lines = [f"What cross-validation would say: {escaped(folds.reason)}."] if folds.reason else []
    first, near = board.first, board.others("cannot tell")
    if first is not None and len(board.heads) > 1:
        if not board.told:
            lines.append("Which head is best: there are too few groups to tell them apart.")
        elif near:
            lines.append(
                f"Which head is best: {code(first['head'])} cannot be told from {counted(len(near))} "
                f"{'other' if len(near) == 1 else 'others'}."
            )
    return lines


def _of_the_score(evidence: Evidence) -> list[str]:
    rows: list[dict[str, Any]] = row_of(evidence.shortcuts)
    near = [row for row in rows if row["within_interval_of"]]
    lines = []
    if near:
        names = listed([row["shortcut"] for row in near], as_code=True)
        lines.append(f"That the best heads look at the character: {names} comes about as far without.")
    elif rows:
        lines.append("That there is no shortcut: the panel holds those that were thought of.")
    ladder = [row for row in row_of(evidence.leakage) if row["part"] == "ladder"]
    scored = [row for row in ladder if known(row["auc"]) is not None]
    if len(scored) > 1 and known(scored[0]["flattery_low"]) is not None and scored[0]["flattery_low"] <= 0:
        lines.append(
            f"Whether a split that is {escaped(scored[0]['what'])} would flatter: the difference cannot be "
            "told from none."
        )
    lines += [
        f"The score of a split that is {escaped(row['what'])} "
        f"({escaped(str(row['note']).removeprefix('not estimable: '))})."
        for row in ladder
        if known(row["auc"]) is None and row["note"]
    ]
    return lines


def _of_claims(evidence: Evidence) -> list[str]:
    rows = claims(evidence).of_claims
    unknown = [spaced(row["finding"]) for row in rows if row["verdict"] == "cannot tell"]
    lines = []
    if unknown:
        one = len(unknown) == 1
        lines.append(
            f"Whether {'this claim holds' if one else 'these claims hold'}: {listed(unknown)}. The data "
            "cannot tell, which is not to say that there is nothing."
        )
    return lines + [
        f"{escaped(str(row['sentence'] or spaced(row['finding']) + ' is not testable').rstrip('.'))}."
        for row in rows
        if row["verdict"] == "not testable"
    ]
