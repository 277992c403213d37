"""Which images importance is asked of, in which folds, and under which labels.

Owns the rows, the folds over train and val, and labels permuted so that groups stay what they are. Refuses to
know heads and importance.

Labels move as `classifiers.leakage.identity.Exchange` moves them, each draw taken as it comes: groups of
one class exchange classes as wholes; a group of several is opened, and its characters, near-duplicates or
pictures exchange labels inside it. So a draw keeps what tells a group from another as good as it was, and
cuts which group has which class, and which pictures of a mixed group have which. If columns know nothing of
a label beyond that, the true labels are one of these draws, and no more likely to stand out than any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.leakage.identity import Exchange, exchange
from classifiers.leakage.rungs import RUNGS, rungs
from classifiers.predictions import why_no_cv
from classifiers.scoring import Scoring
from classifiers.splits import Fold, check_classes, repeated_folds
from featurestore.errors import SplitError

__all__ = ["DRAWN_FOLDS", "Labelling", "Plan", "plan", "sampled_groups"]

Rows = npt.NDArray[np.intp]

#: Folds of each permuted labelling that are fitted.
DRAWN_FOLDS: Final = 2

#: Labellings drawn for one that can be split into folds.
_TRIES: Final = 20


@dataclass(frozen=True)
class Labelling:
    """Labels, and the folds that they are asked in.

    Attributes
    ----------
    labels : ndarray of str, shape (n,)
        Of all rows of the study.
    folds : list of Fold
        The first `DRAWN_FOLDS` of one drawing.
    """

    labels: npt.NDArray[Any]
    folds: list[Fold]


@dataclass(frozen=True)
class Plan:
    """Rows, folds and labellings.

    Attributes
    ----------
    study : Study
        Without extractors that learned, if any other is left.
    rows : ndarray of intp
    folds : list of Fold
        Of the true labels.
    drawn : list of Labelling
        Permuted ones; empty where there is no null.
    notes : tuple of str
    """

    study: Study
    rows: Rows
    folds: list[Fold]
    drawn: list[Labelling]
    notes: tuple[str, ...]


def sampled_groups(labels: npt.NDArray[Any], groups: npt.NDArray[Any], most: int, seed: int) -> Rows:
    """Positions of at most so many rows, whole groups; all rows where they are no more.

    Groups of each class (the one that most of their rows have) are shuffled and spread evenly over one line;
    along it each is taken that still fits.
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    _, group = np.unique(groups, return_inverse=True)
    _, code = np.unique(labels, return_inverse=True)
    counts = np.zeros((int(group.max()) + 1, int(code.max()) + 1))
    np.add.at(counts, (group, code), 1)
    rng, place = np.random.default_rng([seed, 3]), np.empty(len(counts))
    for one in range(counts.shape[1]):
        own = np.flatnonzero(counts.argmax(axis=1) == one)
        place[rng.permutation(own)] = (np.arange(len(own)) + 0.5) / max(1, len(own))
    size, kept, left = counts.sum(axis=1), [], most
    for one in np.argsort(place, kind="stable").tolist():
        if size[one] <= left:
            kept.append(one)
            left -= size[one]
    return np.flatnonzero(np.isin(group, kept))


def _exchange(study: Study, rows: Rows) -> Exchange:
    """Who may take whose label: whole groups, and inside these what is known to belong together."""
    own = np.unique(study.groups[rows], return_inverse=True)[1]
    levels = [own]
    for rung in reversed(rungs(study, rows)):
        finer = rung.groups[rows]
        nested = len(np.unique(np.stack([finer, own]), axis=1).T) == len(np.unique(finer))
        if nested and not rung.reason and rung.name != RUNGS[0]:
            levels.append(finer)
    return exchange(study.codes(study.labels[rows]), levels)


def _arrangements(made: Exchange) -> float:
    """In how many ways labels can be exchanged, as a logarithm."""
    found = 0.0
    for pool in np.unique(made.pool):
        counts = np.bincount(made.label[made.pool == pool])
        found += math.lgamma(counts.sum() + 1) - sum(math.lgamma(n + 1) for n in counts.tolist())
    return found


def _labellings(study: Study, rows: Rows, how: Scoring, permutations: int) -> tuple[list[Labelling], str]:
    """Permuted labels with the folds of each, and what a reader must know of them."""
    made = _exchange(study, rows)
    ways = _arrangements(made)
    if ways <= 0:
        return [], "no null: no two groups could exchange their classes"
    rng = np.random.default_rng(np.random.SeedSequence([how.seed, 2]))
    names, found = np.asarray(study.classes), []
    for _ in range(permutations):
        for _ in range(_TRIES):
            labels = study.labels.copy()
            labels[rows] = names[made.draw(rng)]
            try:
                folds = repeated_folds(labels, study.groups, rows, folds=how.folds, repeats=1, seed=how.seed)
            except SplitError:
                continue
            found.append(Labelling(labels, folds[:DRAWN_FOLDS]))
            break
        else:
            return [], f"no null: labels exchanged between groups leave no {how.folds} folds"
    few = ways < math.log(1 + permutations)
    note = f"labels can be exchanged in {round(math.exp(ways))} ways only: p says little" if few else ""
    return found, note


def plan(study: Study, how: Scoring, *, permutations: int, images: int) -> Plan:
    """Folds over train and val; or train asked about val, where every extractor learned from train."""
    left = study.without_learned()
    if left is None:
        train, val = study.rows_of("train"), study.rows_of("val")
        check_classes(study.labels[train], study.classes, where="the train split")
        if not len(val):
            raise SplitError(
                f"{why_no_cv(study)}, and that split has no picture; raise split.val in params.yaml or "
                "select an extractor that does not learn, then run: dvc repro"
            )
        why = (
            f"{why_no_cv(study)}; one head, fitted on train, was asked about val: no spread over folds, and "
            "no null, since these features were made from the true labels of train"
        )
        return Plan(study, np.concatenate([train, val]), [Fold(0, 0, train, val)], [], (why,))
    notes = []
    if left is not study:
        notes.append(f"left out, having learned from train: {', '.join(sorted(study.fitted_on))}")
    rows, folds, note = _folds(left, how, images)
    drawn, why = _labellings(left, rows, how, permutations)
    return Plan(left, rows, folds, drawn, (*notes, *filter(None, [note, why])))


def _folds(study: Study, how: Scoring, images: int) -> tuple[Rows, list[Fold], str]:
    """Rows and their folds; a sample where there are too many and it can be split."""
    rows = study.rows_of("train", "val")
    check_classes(study.labels[rows], study.classes, where="train and val")
    kept = rows[sampled_groups(study.labels[rows], study.groups[rows], images, how.seed)]
    note = f"a sample in whole groups: {len(kept)} of {len(rows)} images; explanation.images is {images}"
    try:
        check_classes(study.labels[kept], study.classes, where="the sample")
        folds = repeated_folds(study.labels, study.groups, kept, **how.folded)
        return kept, folds, note * (len(kept) < len(rows))
    except SplitError:
        if len(kept) == len(rows):
            raise
    note = f"all {len(rows)} images: a sample of {images} leaves no {how.folds} folds of whole groups"
    return rows, repeated_folds(study.labels, study.groups, rows, **how.folded), note
