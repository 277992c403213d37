"""Each measure of two sets of predictions, under draws and under swaps of whole groups.

Owns whose answers are counted how often. Refuses to know what follows from it (`paired`).

Pictures of one group are alike, and a head takes them alike. What is drawn, and what is swapped, is therefore
a whole group, in all its repeats at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.intervals import group_draws
from classifiers.metrics import MEASURES, Judged, decided, rankings, squared_errors

__all__ = ["RANKED", "Pair", "differences_drawn", "differences_swapped", "plain_scores"]

#: Measures that look at the order of the scores alone.
RANKED = ("auc", "average_precision")

#: Repeats that are laid side by side at most, where the two sides have different numbers.
_MAX_REPEATS = 100

#: Weights held at once (draws x rows); 16 MiB of float64.
_CHUNK = 1 << 21

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Measured = dict[str, Floats]


@dataclass(frozen=True)
class Pair:
    """What two heads, or two sets of heads, say of the same images.

    Attributes
    ----------
    before, after : Judged
        Rows are stacked repeat by repeat, the n images in one order in each repeat and on both sides.
    groups : ndarray of intp, shape (n,)
        Codes of the groups, 0 to g - 1.
    """

    before: Judged
    after: Judged
    groups: Codes

    def __post_init__(self) -> None:
        first = self.before.truth[: len(self.groups)]
        for side in (self.before, self.after):
            if not np.array_equal(side.truth, np.tile(first, side.repeats)):
                raise ValueError("the repeats of both sides must hold the same images in the same order")


@dataclass(frozen=True)
class _Side:
    """One side's evidence, summed over the images of each group and averaged over its repeats.

    Attributes
    ----------
    ranks : Judged
        `proba` as mid-ranks within the fold.
    confusion : ndarray of float64, shape (g, k * k)
    errors, sizes : ndarray of float64, shape (g,)
        Squared errors, and images.
    """

    ranks: Judged
    confusion: Floats
    errors: Floats
    sizes: Floats


def _mid_ranks(judged: Judged) -> Judged:
    """Scores as (mid-rank - 1/2) / m among the m rows of their fold: the order stays, the scale goes."""
    from scipy.stats import rankdata

    fold = np.zeros(len(judged.truth), dtype=np.intp) if judged.fold is None else judged.fold
    ranks = np.empty_like(judged.proba)
    for code in np.unique(fold):
        at = fold == code
        ranks[at] = (rankdata(judged.proba[at], axis=0) - 0.5) / at.sum()
    return replace(judged, proba=ranks, fold=fold)


def _side(judged: Judged, groups: Codes) -> _Side:
    n_classes, n_groups = judged.proba.shape[1], int(groups.max()) + 1
    group = np.tile(groups, judged.repeats)
    cell = (group * n_classes + judged.truth) * n_classes + judged.predicted
    confusion = np.bincount(cell, minlength=n_groups * n_classes**2).reshape(n_groups, -1)
    errors = np.bincount(group, squared_errors(judged), minlength=n_groups)
    sizes = np.bincount(groups, minlength=n_groups).astype(float)
    return _Side(_mid_ranks(judged), confusion / judged.repeats, errors / judged.repeats, sizes)


def _repeated(judged: Judged, repeats: int) -> Judged:
    """As many repeats as asked for: those that are there in turn, each a fold of its own."""
    if repeats == judged.repeats:
        return judged
    assert judged.fold is not None
    n = len(judged.truth) // judged.repeats
    copy, turn = np.divmod(np.arange(repeats), judged.repeats)
    rows = (turn[:, None] * n + np.arange(n)).ravel()
    fold = judged.fold[rows] + np.repeat(copy, n) * (judged.fold.max() + 1)
    return replace(
        judged,
        truth=judged.truth[rows],
        predicted=judged.predicted[rows],
        proba=judged.proba[rows],
        fold=fold,
        repeats=repeats,
    )


def _with_other(own: Judged, other: Judged) -> Judged:
    """Own rows, and below them the other's answers to the same images in the same folds."""
    return replace(
        own,
        truth=np.concatenate([own.truth, other.truth]),
        predicted=np.concatenate([own.predicted, other.predicted]),
        proba=np.concatenate([own.proba, other.proba]),
        fold=None if own.fold is None else np.concatenate([own.fold, own.fold]),
    )


def _measured(
    confusion: Floats, errors: Floats, sizes: Floats, ranks: Judged, weights: Sequence[Floats], groups: Codes
) -> Measured:
    """Every measure; ``weights`` are of groups, (draws, g), one array for each set of rows of ``ranks``."""
    n_classes = ranks.proba.shape[1]
    found = decided(confusion.reshape(-1, n_classes, n_classes), ranks.positive)
    of_rows = np.hstack([np.tile(one[:, groups], ranks.repeats) for one in weights])
    return {**found, "brier": errors / sizes, **rankings(ranks, of_rows)}


def _drawn(side: _Side, groups: Codes, times: Floats) -> Measured:
    """Each measure of one side with the groups taken so often; ``times`` is (draws, g)."""
    return _measured(
        times @ side.confusion, times @ side.errors, times @ side.sizes, side.ranks, [times], groups
    )


def _swapped(own: _Side, other: _Side, both: Judged, groups: Codes, swap: Floats) -> Measured:
    """Each measure of one side, the groups of each row of ``swap`` taken from the other, (patterns, g).

    An image keeps the fold in which its side scored it, and takes the other side's rank in it.
    """
    keep = 1 - swap
    return _measured(
        keep @ own.confusion + swap @ other.confusion,
        keep @ own.errors + swap @ other.errors,
        np.full(len(swap), own.sizes.sum()),
        both,
        [keep, swap],
        groups,
    )


def _in_chunks(
    of: Callable[[Floats], Measured], taken: npt.NDArray[np.integer[Any]], n_rows: int
) -> Measured:
    """What a function says of all rows of ``taken``, a few at a time, so that memory stays bounded."""
    step = max(1, _CHUNK // n_rows)
    parts = [of(taken[i : i + step].astype(float)) for i in range(0, len(taken), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in MEASURES}


def _patterns(n_groups: int, permutations: int, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """Which groups are swapped, (patterns, g), none of them first: all that there are, or some at random."""
    if 2**n_groups <= permutations:
        return (np.arange(2**n_groups)[:, None] >> np.arange(n_groups) & 1).astype(np.int8)
    drawn = rng.integers(0, 2, size=(permutations, n_groups), dtype=np.int8)
    return np.vstack([np.zeros((1, n_groups), dtype=np.int8), drawn])


def _sides(pair: Pair) -> tuple[_Side, _Side]:
    return _side(pair.before, pair.groups), _side(pair.after, pair.groups)


def plain_scores(pair: Pair) -> dict[str, tuple[float, float]]:
    """Each measure of both sides as they are; NaN where undefined."""
    every = np.ones((1, int(pair.groups.max()) + 1))
    first, second = (_drawn(side, pair.groups, every) for side in _sides(pair))
    return {name: (float(first[name][0]), float(second[name][0])) for name in MEASURES}


def differences_drawn(pair: Pair, draws: int, rng: np.random.Generator) -> Measured:
    """Second less first under each draw of groups, the same for both; each of shape (draws,)."""
    times, _ = group_draws(np.unique(pair.groups), draws, rng)
    first, second = (
        _in_chunks(partial(_drawn, side, pair.groups), times, len(side.ranks.truth)) for side in _sides(pair)
    )
    return {name: second[name] - first[name] for name in MEASURES}


def differences_swapped(pair: Pair, permutations: int, rng: np.random.Generator) -> Measured:
    """Second less first under each pattern of swaps, the first of which swaps nothing.

    Each of shape (permutations + 1,), or (2**g,) where these are no more than the permutations. Of sides
    with different numbers of repeats, as many are laid side by side as both numbers divide.
    """
    a, b = _sides(pair)
    swap = _patterns(len(a.sizes), permutations, rng)
    repeats = min(math.lcm(a.ranks.repeats, b.ranks.repeats), _MAX_REPEATS)
    one, two = _repeated(a.ranks, repeats), _repeated(b.ranks, repeats)
    first, second = (
        _in_chunks(partial(_swapped, own, other, both, pair.groups), swap, len(both.truth))
        for own, other, both in ((a, b, _with_other(one, two)), (b, a, _with_other(two, one)))
    )
    return {name: second[name] - first[name] for name in MEASURES}
