"""Two sets of predictions of the same images: is one better, or may chance have done it?

Owns the difference of each measure, its interval, its p-value and the verdict. Refuses to know how groups
are drawn and swapped (`resampling`), files, revisions and heads: arrays in, values out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifiers.intervals import MIN_GROUPS, ends, widening
from classifiers.metrics import MEASURES, bounds
from classifiers.resampling import Floats, Pair, differences_drawn, differences_swapped, plain_scores

__all__ = ["ALPHA", "Difference", "compare_paired"]

#: A p-value below it is called a difference.
ALPHA = 0.05

#: The only measure of which less is better.
_LESS_IS_BETTER = ("brier",)

#: Equal differences may differ in the last bits, by the order in which they were summed.
_TIE = 1e-9


@dataclass(frozen=True)
class Difference:
    """One measure before and after.

    Attributes
    ----------
    before, after, difference : float or None
        ``difference`` is after - before; None where a side is undefined.
    low, high : float or None
        Ends of the 95% interval of the difference; None where there is none.
    p : float or None
        Two-sided, of the hypothesis that both sides are alike; None where there is none.
    verdict : {"better", "worse", "cannot tell"}
    reason : str
        Why an interval or p is missing; empty if none is.
    """

    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    verdict: str
    reason: str = ""


def _p_value(statistic: Floats) -> float:
    """Share of the patterns that are as far from nothing as the first, itself included.

    Never 0, and a valid p-value for any number of patterns (Phipson & Smyth 2010).
    """
    return float(np.mean(np.abs(statistic) >= abs(statistic[0]) - _TIE))


def _verdict(name: str, difference: float, p: float | None) -> str:
    if p is None or p >= ALPHA or difference == 0:
        return "cannot tell"
    return "better" if (difference > 0) != (name in _LESS_IS_BETTER) else "worse"


def _most(name: str, n_classes: int) -> float:
    """The largest difference that can be."""
    low, high = bounds(name, n_classes)
    return high - low


def _judge(
    name: str,
    scores: Sequence[float],
    drawn: Floats | None,
    swapped: Floats | None,
    factor: float,
    most: float,
) -> Difference:
    """One measure; without ``swapped`` there are too few groups, and nothing can be told."""
    if np.isnan(scores).any():
        before, after = (None if np.isnan(value) else value for value in scores)
        return Difference(before, after, None, None, None, None, "cannot tell", "undefined on a side")
    before, after = scores
    difference = after - before
    if swapped is None:
        return Difference(before, after, difference, None, None, None, "cannot tell", "too few groups")
    low, high, reason = None, None, ""
    if drawn is not None:
        found = ends(drawn, difference, factor=factor, within=(-most, most))
        low, high = found or (None, None)
        reason = "" if found else "no interval, too many draws of groups lack a class"
    p = _p_value(swapped)
    return Difference(before, after, difference, low, high, p, _verdict(name, difference, p), reason)


def compare_paired(
    pair: Pair,
    *,
    draws: int = 1000,
    permutations: int = 1999,
    rng: np.random.Generator,
) -> dict[str, Difference]:
    """How much more the second set of predictions scores than the first, and whether chance may do that.

    The interval draws the same groups for both sides; where heads are cross-validated its distance from
    the difference is widened (`classifiers.intervals.widening`).

    The p-value swaps whole groups between the sides, at random: were both alike, it would make no
    difference whose answer is whose. All patterns of swaps are gone through where they are no more than
    ``permutations``. Two heads score on scales of their own, so that for AUC and average precision the
    ranks within the fold are swapped (Venkatraman & Begg 1996; with the area as the statistic, Bandos,
    Rockette & Gur 2005).

    With fewer than `MIN_GROUPS` groups there is neither interval nor p-value.

    Parameters
    ----------
    draws : int
        Of the bootstrap; 0 = no interval is wanted.
    permutations : int

    Returns
    -------
    dict of str to Difference
        By the names and in the order of `classifiers.metrics.MEASURES`.
    """
    n_groups = int(pair.groups.max()) + 1
    enough = n_groups >= MIN_GROUPS
    scores = plain_scores(pair)
    drawn = differences_drawn(pair, draws, rng) if enough and draws else {}
    swapped = differences_swapped(pair, permutations, rng) if enough else {}
    factor = max(widening(side.folds) for side in (pair.before, pair.after))
    n_classes = pair.before.proba.shape[1]
    return {
        name: _judge(name, scores[name], drawn.get(name), swapped.get(name), factor, _most(name, n_classes))
        for name in MEASURES
    }
