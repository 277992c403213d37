"""Sentences on what was found, whatever was: one head or ten, none told apart, a part that is missing.

Owns how results are put into words for the documents that are read as text. Refuses to know templates and
files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from classifiers.report.writing.facts import Board, Cast, Folds, setting
from classifiers.report.writing.words import (
    Safe,
    amount,
    code,
    counted,
    escaped,
    known,
    listed,
    measured,
    moved,
    number,
    percent,
    row_of,
)

if TYPE_CHECKING:
    from classifiers.report.evidence import Evidence
    from classifiers.report.unknowns import Unknown

__all__ = [
    "board_caption",
    "curve_said",
    "files_said",
    "groups_said",
    "ladder_said",
    "meter_said",
    "opening",
    "seed_of",
    "shortcuts_said",
    "told",
    "unknowns_said",
]

Row = dict[str, Any]


def opening(evidence: Evidence, cast: Cast, folds: Folds) -> Safe:
    """What a reader must know before anything else."""
    said = []
    if evidence.demo:
        said.append(
            f"The images are {escaped(evidence.demo)}. What is found in them shows that the pipeline works, "
            "and nothing about how anyone draws."
        )
    said += [str(escaped(warning)) for warning in evidence.warnings]
    if not cast.whole:
        said.append(
            "Nothing says which images belong together, so that they were split one by one: read every "
            "score as an upper bound."
        )
    if folds.reason:
        said.append(f"The chosen features were not cross-validated: {escaped(folds.reason)}.")
    if not evidence.warnings:
        said.append(
            "No shortcut was tried, since nothing was cross-validated."
            if not len(evidence.shortcuts)
            else "No shortcut that was tried comes within the interval of the best heads, which does not "
            "prove that there is none."
        )
    return Safe(" ".join(said))


def files_said(cast: Cast) -> Safe:
    """How many files became images."""
    said = f"Of {amount(cast.n_files, 'file')}, {cast.n_images:,} became images of the study."
    if cast.n_files == cast.n_images:
        return Safe(f"All {amount(cast.n_files, 'file')} could be used.")
    parts = [f"{one['files']:,} could not be used ({escaped(one['reason'])})" for one in cast.unusable]
    if cast.duplicates:
        parts.append(f"{cast.duplicates:,} had the bytes of another file")
    return Safe(f"{said} Of the rest, {listed(map(Safe, parts))}." if parts else said)


def groups_said(cast: Cast, kept_together: str) -> Safe:
    """What never stands in two splits."""
    near = ""
    if cast.clusters:
        near = f" {amount(cast.clusters, 'cluster').capitalize()} of near-duplicates stay together too."
    if not cast.whole:
        return Safe(
            "It is not known which images belong together, and every image is a group of its own "
            f"({escaped(cast.split_kind)}).{near}"
        )
    return Safe(
        f"Images of one {escaped(kept_together)} are one group, since they resemble each other; so are "
        f"near-duplicates. There are {amount(cast.n_groups, 'group')}, and none stands in two splits "
        f"({escaped(cast.split_kind)}).{near}"
    )


def _others(names: list[str], n_heads: int) -> str:
    """Which of the other heads are meant."""
    if len(names) == n_heads - 1:
        return "the only other" if n_heads == 2 else f"any of the other {counted(n_heads - 1)}"
    return str(listed(names, last="or"))


def told(board: Board, *, n_classes: int) -> Safe:
    """Who ranks first, who may be as good, and what the pick is worth."""
    first, n_heads = board.first, len(board.heads)
    if first is None:
        return Safe("No head could be ranked.")
    name, auc = code(first["head"]), measured(first["auc"], first["auc_low"], first["auc_high"])
    what = "AUC" if n_classes == 2 else "AUC (the mean of each class against the rest)"
    if n_heads == 1:
        return Safe(f"The only head, {name}, has an {what} of {auc}, where chance is 0.5.")
    said = f"By {what}, {name} ranks first with {auc}, where chance is 0.5"
    near, worse = board.others("cannot tell"), board.others("worse")
    if not board.told:
        return Safe(f"{said}; there are too few groups to tell it from the others.")
    if near:
        said += f", and cannot be told from {_others(near, n_heads)}"
        said += f"; {listed(worse)} {'is' if len(worse) == 1 else 'are'} worse." if worse else "."
    else:
        said += f", and can be told from {'the other' if n_heads == 2 else 'every other head'}."
    if known(first.get("auc_corrected")) is not None:
        ends = first["auc_corrected_low"], first["auc_corrected_high"]
        said += f" Corrected for having been picked from {counted(n_heads)}, it is worth "
        said += f"{measured(first['auc_corrected'], *ends)}."
    return Safe(said)


def board_caption(board: Board, folds: Folds) -> Safe:
    """Which rows a table of the leaderboard is of."""
    some = board.rows[0]
    where = f"{amount(some['n'], 'image')} in {amount(some['groups'], 'group')}"
    if board.on == "cv":
        drawn = "" if folds.repeats == 1 else f", drawn {folds.repeats} times"
        without = f", without {listed(folds.learned, as_code=True)}" if folds.learned else ""
        return Safe(f"Out of fold{without}, on {where} of train and val{drawn}:")
    return Safe(f"Fitted on train, on {where} of val:")


def shortcuts_said(evidence: Evidence) -> Safe:
    """What is known of shortcuts."""
    rows = row_of(evidence.shortcuts)
    tried = [row for row in rows if not row["reason"]]
    if not tried:
        return Safe("No shortcut was tried, since nothing was cross-validated.")
    near = [row for row in tried if row["within_interval_of"]]
    if not near:
        said = "No shortcut comes within the interval of a head."
    else:
        said = " ".join(
            f"{code(row['shortcut'])} comes within the interval of "
            f"{amount(len(str(row['within_interval_of']).split()), 'head', words=True)}."
            for row in near
        )
        said += " That does not prove that a head uses it."
    left = [f"{escaped(row['shortcut'])} ({escaped(row['reason'])})" for row in rows if row["reason"]]
    return Safe(f"{said} Not tried: {listed(map(Safe, left))}." if left else said)


def ladder_said(evidence: Evidence) -> Safe:
    """What folds that keep less together would flatter the chosen head by."""
    rows = row_of(evidence.leakage)
    nothing = [row for row in rows if row["part"] == "none"]
    if nothing:
        return Safe(f"How much of the score is leakage was not measured: {escaped(nothing[0]['note'])}.")
    scored = [r for r in rows if r["part"] == "ladder" and known(r["auc"]) is not None]
    if not scored:
        return Safe("No split could be scored.")
    first, last = scored[0], scored[-1]
    if len(scored) == 1:
        return Safe(
            f"Only the {escaped(first['what'])} split could be scored: what it flatters by is not known."
        )
    ends = first["flattery_low"], first["flattery_high"]
    said = f"{code(evidence.head)} has an AUC of {number(first['auc'])} {escaped(first['what'])} and "
    said += (
        f"{number(last['auc'])} {escaped(last['what'])}. The difference is {moved(first['flattery'], *ends)}"
    )
    if known(ends[0]) is None:
        return Safe(f"{said}.")
    return Safe(
        f"{said}: the looser split flatters." if ends[0] > 0 else f"{said}, and cannot be told from none."
    )


def meter_said(evidence: Evidence) -> Safe:
    """What recognising groups earns."""
    rows = [row for row in row_of(evidence.leakage) if row["part"] == "identity"]
    if not rows:
        return Safe("")
    both = next((row for row in rows if row["what"] == "both"), rows[-1])
    if known(both["permuted"]) is None or known(both["share"]) is None:
        why = str(both["note"]).removeprefix("not estimable: ").removeprefix("no share: ")
        return Safe(f"What recognising the group earns is not estimable: {escaped(why)}.")
    return Safe(
        f"On labels that follow the group and no longer the design it still has {number(both['permuted'])} "
        f"({number(both['permuted_low'])} to {number(both['permuted_high'])} over exchanges), about "
        f"{percent(max(0.0, float(both['share'])))} of what it has above chance image by image."
    )


def curve_said(evidence: Evidence) -> Safe:
    """Whether more images would help."""
    rows = row_of(evidence.learning_curve)
    reason = next((row["note"] for row in rows if known(row["share"]) is None and row["note"]), "")
    scored = [row for row in rows if known(row["share"]) is not None and known(row["auc"]) is not None]
    if reason or len(scored) < 2:
        why = reason or next((row["note"] for row in rows if row["note"]), "too few sizes could be scored")
        return Safe(f"Whether more images would help cannot be said: {escaped(why)}.")
    last, before = scored[-1], scored[-2]
    if known(last["gain_auc"]) is None:
        return Safe("Whether more images would help cannot be said: half of them could not be scored.")
    low, high = known(last["gain_auc_low"]), known(last["gain_auc_high"])
    said = f"From {number(before['images'], 0)} to {number(last['images'], 0)} images that heads were "
    said += f"fitted on, the AUC moved by {moved(last['gain_auc'], low, high)}"
    if low is None or high is None:
        return Safe(f"{said}.")
    if low > 0:
        return Safe(f"{said}: more images of further groups would probably help.")
    return Safe(
        f"{said}: {'no sign that' if high < 0.01 else 'it cannot be told whether'} more images would help."
    )


def seed_of(evidence: Evidence) -> Safe:
    """The seed of folds and draws."""
    return escaped(setting(evidence.params, "seed", otherwise=evidence.card.get("seed", "unknown")))


def unknowns_said(found: Iterable[Unknown]) -> list[Safe]:
    """What was not established, a line each."""
    return [Safe(f"**{escaped(one.title)}.** {escaped(one.text)}") for one in found]
