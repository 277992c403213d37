"""Two revisions' predictions side by side: which measure is better, and by how much more than chance.

Owns where predictions come from, and how the answer reads. Refuses to know which rows belong together
(`matching`), how a difference is reckoned (`paired`) and what a file looks like (`stored`); changes nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifiers.comparison.board import PRIMARY
from classifiers.comparison.matching import match
from classifiers.comparison.paired import ALPHA, Difference, compare_paired
from classifiers.comparison.stored import Stored, read_stored
from classifiers.intervals import MIN_GROUPS, widening
from classifiers.resampling import Pair
from classifiers.tables import aligned, interval, number
from featurestore.errors import MissingData, UsageError
from featurestore.revisions import commit_of, file_at

__all__ = ["WORKSPACE", "Report", "difference", "report"]

#: What the working tree is called, as in ``dvc metrics diff``.
WORKSPACE = "workspace"

_PREDICTIONS, _METRICS = "results/predictions.csv", "results/metrics.json"
_HOW = {"cv": "train and val, out of fold", "val": "by the head fitted on train"}


@dataclass(frozen=True)
class Report:
    """What `difference` found.

    Attributes
    ----------
    title, rows : str
        Which two, and on which images.
    differences : mapping of str to Difference
        By the names and in the order of `classifiers.metrics.MEASURES`.
    notes : tuple of str
    """

    title: str
    rows: str
    differences: Mapping[str, Difference]
    notes: tuple[str, ...]

    def text(self) -> str:
        """For a terminal."""
        header = ["measure", "before", "after", "difference", "95% interval", "p", "verdict"]
        table = [
            [
                name.replace("_", " "),
                number(one.before),
                number(one.after),
                "-" if one.difference is None else f"{round(one.difference, 3) + 0.0:+.3f}",
                interval(one.low, one.high),
                _p(one.p),
                one.verdict,
            ]
            for name, one in self.differences.items()
        ]
        first = self.differences[PRIMARY]
        said = f"By {PRIMARY}, the measure that orders the heads: {_said(first)}."
        parts = [self.title, self.rows, "", aligned(header, table), "", said]
        return "\n".join([*parts, *(f"({note})" for note in self.notes)])


def _p(p: float | None) -> str:
    return "<0.001" if p is not None and p < 0.001 else number(p)


def _said(one: Difference) -> str:
    if one.p is None:
        return one.verdict
    return f"{one.verdict} (p {'< 0.001' if one.p < 0.001 else f'= {_p(one.p)}'})"


def _where(root: Path, revision: str) -> str:
    """The revision for a reader: as it was called, and which commit that is."""
    if revision == WORKSPACE:
        return WORKSPACE
    commit = commit_of(root, revision)[:7]
    return revision if commit.startswith(revision[:7]) else f"{revision}, {commit}"


def _read(root: Path, revision: str) -> Stored:
    """Predictions of a revision, an experiment or the working tree."""
    if revision == WORKSPACE:
        try:
            files = [(root / name).read_bytes() for name in (_PREDICTIONS, _METRICS)]
        except FileNotFoundError as error:
            raise MissingData(f"no {error.filename}; run: dvc repro") from None
        return read_stored(files[0], files[1], WORKSPACE)
    with tempfile.TemporaryDirectory() as folder:
        files = [
            file_at(root, revision, name, Path(folder) / Path(name).name).read_bytes()
            for name in (_PREDICTIONS, _METRICS)
        ]
    return read_stored(files[0], files[1], _where(root, revision))


def _rows_said(split: str, pair: Pair, stored: Sequence[Stored]) -> str:
    n_groups = int(pair.groups.max()) + 1
    said = f"{split} ({_HOW[split]}): {len(pair.groups)} images in {n_groups} groups"
    folds = [f"{side.repeats} repeats of {side.folds} folds" for side in (pair.before, pair.after)]
    if split == "cv":
        said += f", {folds[0]}" + (f" before and {folds[1]} after" if folds[0] != folds[1] else "")
    return f"{said}; positive class {stored[1].positive!r}"


def _on_the_data(pair: Pair, stored: Sequence[Stored], found: Mapping[str, Difference]) -> list[str]:
    """What is unusual about these predictions."""
    notes = []
    if stored[0].digest == stored[1].digest:
        notes.append("both sides have the same predictions, byte for byte")
    if stored[0].positive != stored[1].positive:
        notes.append(
            f"the positive class was {stored[0].positive!r} before; both are scored by the one after"
        )
    n_groups = int(pair.groups.max()) + 1
    if n_groups < MIN_GROUPS:
        notes.append(f"no intervals and no p: {n_groups} groups, and fewer than {MIN_GROUPS} tell too little")
    else:
        notes += [f"{name.replace('_', ' ')}: {one.reason}" for name, one in found.items() if one.reason]
    return notes


def _on_the_method(pair: Pair, found: Mapping[str, Difference], permutations: int) -> list[str]:
    """How far the answer goes."""
    if all(one.p is None for one in found.values()):
        return []
    notes = [
        f"p: whole groups swap sides, {permutations} times, or in all ways where these are fewer; "
        f"p < {ALPHA:g} is called a difference",
        "about 1 measure in 20 is called one where there is none: a comparison that was planned beforehand "
        f"is judged by {PRIMARY} alone",
    ]
    decides = any(one.verdict != "cannot tell" for one in found.values())
    if found[PRIMARY].difference == 0 and decides:
        notes.append(
            f"both sides rank alike, so that {PRIMARY} cannot tell them apart: judge their decisions by the "
            "measure that was tuned"
        )
    factor = max(widening(side.folds) for side in (pair.before, pair.after))
    if factor == 1:
        return notes
    notes.append(
        "p speaks of these heads, fitted on these images. The interval is "
        f"{factor:.2g} times as wide, to speak of heads fitted on others too"
    )
    called = {name: one for name, one in found.items() if one.verdict != "cannot tell"}
    unsure = [
        name.replace("_", " ")
        for name, one in called.items()
        if one.low is not None and one.high is not None and one.low <= 0 <= one.high
    ]
    if unsure:
        notes.append(
            f"fitted on other images it might turn out otherwise, by the interval: {', '.join(unsure)}"
        )
    return notes


def report(
    before: Stored,
    after: Stored,
    *,
    common: bool = False,
    on: str | None = None,
    draws: int = 1000,
    permutations: int = 1999,
    seed: int = 0,
) -> Report:
    """`difference` of predictions that were read.

    Raises
    ------
    DataError
        If the two cannot be compared.
    UsageError
        If a side has no rows ``on`` that split.
    """
    stored, matched = (before, after), match(before, after, common=common, on=on)
    pair = matched.pair
    found = compare_paired(pair, draws=draws, permutations=permutations, rng=np.random.default_rng(seed))
    notes = [*matched.notes, *_on_the_data(pair, stored, found), *_on_the_method(pair, found, permutations)]
    title = " -> ".join(f"{one.head} ({one.where})" for one in stored)
    return Report(title, _rows_said(matched.split, pair, stored), found, tuple(notes))


def difference(
    root: Path,
    before: str,
    after: str | None = None,
    *,
    common: bool = False,
    on: str | None = None,
    draws: int = 1000,
    permutations: int = 1999,
    seed: int = 0,
) -> Report:
    """How the chosen head of one revision differs from that of another, on the images that both scored.

    Parameters
    ----------
    root : Path
        Of the repository.
    before, after : str
        A revision of git's, an experiment of DVC's, or `WORKSPACE`, which is the default of ``after``.
    common : bool
        Whether to compare the images that both have where they have others too.
    on : {"cv", "val"}, optional
        Default: cv where both have it, else val.
    draws, permutations, seed : int
        See `paired.compare_paired`.

    Raises
    ------
    UsageError
        If both are the working tree, or there is no such revision.
    MissingData
        If a side has no predictions, or DVC has them no longer.
    DataError
        If a file is damaged, or the two cannot be compared.
    """
    after = WORKSPACE if after is None else after
    if before == after == WORKSPACE:
        raise UsageError("diff: the working tree is compared with a revision: diff REV1 [REV2]")
    return report(
        _read(root, before),
        _read(root, after),
        common=common,
        on=on,
        draws=draws,
        permutations=permutations,
        seed=seed,
    )
