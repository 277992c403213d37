"""The best of several heads, without fooling oneself.

Owns two corrections for having picked: which heads cannot be told from the best, all pairs at once, and
what the winner would score had it not been picked (bootstrap bias-corrected cross-validation). Both work on
stored predictions and fit nothing. Refuses to know heads and files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.intervals import group_draws
from classifiers.metrics import Judged, measure

__all__ = ["LEVEL", "Corrected", "corrected_winner", "told_from_best"]

Floats = npt.NDArray[np.float64]

#: A head is told from the best where this likely or less by chance.
LEVEL = 0.05

#: Fewer defined draws than this say nothing.
_MIN_DRAWS = 50

#: Differences below this are none.
_NOTHING = 1e-12

#: Weights held at once (draws x rows).
_CHUNK = 1 << 21


@dataclass(frozen=True)
class Corrected:
    """What the winner of a comparison scores once its luck is taken off.

    Attributes
    ----------
    score, low, high : float
        Mean, 2.5 and 97.5 percentile over the draws.
    optimism : float
        The winner's own score minus ``score``.
    n_heads : int
        How many it was picked from.
    """

    score: float
    low: float
    high: float
    optimism: float
    n_heads: int


def told_from_best(
    scores: Floats,
    draws: Floats,
    competing: npt.NDArray[np.bool_],
    *,
    n_groups: int,
    factor: float = 1.0,
    seed: int = 0,
) -> Floats:
    """How likely each head would stand so far behind the best if all were equally good.

    The statistic of head h is the largest (score_j - score_h) / se_jh over the competing heads j, se_jh the
    standard deviation of the difference over draws of groups. It is held against the largest of all such
    distances, of any competing head behind any other, under centred draws: a range statistic by bootstrap,
    as Tukey's (1953) is for independent means. What does not compete is compared with the best by itself.

    The draws are joint, so that nothing needs to be assumed of how alike the heads are; the maximum over
    pairs pays for the pick of the best and for the number of heads, so that at the level `LEVEL` the table
    calls *any* equally good head worse that often. Few groups make standard errors uncertain: each draw is
    divided by the root of a chi-square over its degrees of freedom, which turns the bootstrap's normal into
    Student's t.

    Parameters
    ----------
    scores : ndarray of float64, shape (m,)
        Higher is better.
    draws : ndarray of float64, shape (b, m)
        The same scores under the same draws of groups; rows with NaN are left out.
    competing : ndarray of bool, shape (m,)
        Which of them could be the best.
    n_groups : int
        That were drawn.
    factor : float
        `classifiers.intervals.widening`: how much wider scores scatter than the draws say.
    seed : int
        Of the chi-squares.

    Returns
    -------
    ndarray of float64, shape (m,)
        P-values: 1 for the best, small for a head that is told from it; NaN without enough draws.
    """
    draws = draws[~np.isnan(draws).any(axis=1)]
    if len(draws) < _MIN_DRAWS or n_groups < 2:
        return np.full(len(scores), np.nan)
    rng = np.random.default_rng((seed, n_groups))
    spread = np.sqrt((n_groups - 1) / rng.chisquare(n_groups - 1, size=len(draws)))
    centred = factor * np.sqrt(n_groups / (n_groups - 1)) * (draws - draws.mean(axis=0))
    observed, null = np.zeros(len(scores)), np.zeros((len(scores), len(draws)))
    for h in range(len(scores)):
        gaps, noise = (scores - scores[h])[competing], (centred - centred[:, [h]])[:, competing]
        se = noise.std(axis=0, ddof=1)
        told = se > _NOTHING
        observed[h] = np.max(gaps[told] / se[told], initial=0.0)
        if np.any(gaps[~told] > _NOTHING):
            observed[h] = np.inf  # better in every draw by the same amount
        null[h] = spread * np.max(noise[:, told] / se[told], axis=1, initial=0.0)
    null[competing] = null[competing].max(axis=0)
    return np.asarray((1 + (null >= observed[:, None] - _NOTHING).sum(axis=1)) / (1 + len(draws)))


def corrected_winner(
    judged: Mapping[str, Judged],
    groups: npt.NDArray[Any],
    drawn: Mapping[str, Floats],
    scores: Mapping[str, float],
    *,
    measured: str,
    seed: int,
) -> Corrected | None:
    """Bootstrap bias-corrected cross-validation (Tsamardinos, Greasidou & Borboudakis 2018).

    Over and over, whole groups are drawn, the best head on these is picked, and scored on the groups that
    were not drawn. The mean of that is what picking the best of these heads really earns.

    Parameters
    ----------
    judged : mapping of str to Judged
        Out-of-fold predictions of each competing head, of the same rows in the same order.
    groups : ndarray, shape (n,)
        Of these rows.
    drawn : mapping of str to ndarray of float64, shape (draws,)
        Each head's measure under `classifiers.intervals.group_draws` of ``seed``.
    scores : mapping of str to float
        Each head's measure.
    measured : str
        Which of `classifiers.metrics.MEASURES`; higher is better.
    seed : int
        That the draws were made with.

    Returns
    -------
    Corrected or None
        None where too few draws leave the measure defined.
    """
    names = list(judged)
    inside = np.column_stack([drawn[name] for name in names])
    times, code = group_draws(groups, len(inside), np.random.default_rng(seed))
    fine = np.flatnonzero(~np.isnan(inside).any(axis=1))
    winner = inside[fine].argmax(axis=1)
    outside = np.full(len(fine), np.nan)
    for i, name in enumerate(names):
        won, step = np.flatnonzero(winner == i), max(1, _CHUNK // len(groups))
        for some in (won[at : at + step] for at in range(0, len(won), step)):
            left_out = (times[fine[some]] == 0)[:, code].astype(float)
            outside[some] = measure(judged[name], left_out)[measured]
    outside = outside[~np.isnan(outside)]
    if len(outside) < _MIN_DRAWS:
        return None
    low, high = np.percentile(outside, (2.5, 97.5))
    mean = float(outside.mean())
    return Corrected(mean, float(low), float(high), max(scores.values()) - mean, len(names))
