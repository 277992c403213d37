"""The corrections for having picked, held against simulations in which the truth is known.

60 groups of 5 images; what makes a group easy is easy for all heads (``shared``) or for one of them. The
simulations are seeded: they come out the same each time. `slow` runs more of them. docs/selection.md has the
numbers that they log (`pytest -rP --log-level=INFO`).
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from classifiers.comparison.selection import LEVEL, Corrected, corrected_winner, told_from_best
from classifiers.intervals import group_draws, widening
from classifiers.metrics import Judged, measure, rankings

log = logging.getLogger(__name__)

GROUPS, SIZE = 60, 5

#: Of a head whose AUC is 0.82, and of one whose AUC is 15 points less.
GOOD, WORSE = 0.75, 0.36


@dataclass(frozen=True)
class Simulated:
    """Heads on one sample of groups: predictions, measure, and measure under draws of groups."""

    judged: list[Judged]
    scores: np.ndarray
    draws: np.ndarray
    groups: np.ndarray
    seed: int

    def told(self, factor: float = 1.0) -> np.ndarray:
        every = np.ones(len(self.scores), dtype=bool)
        n_groups = len(np.unique(self.groups))
        return told_from_best(self.scores, self.draws, every, n_groups=n_groups, factor=factor)

    def corrected(self) -> Corrected | None:
        names = [f"head {i}" for i in range(len(self.scores))]
        return corrected_winner(
            dict(zip(names, self.judged, strict=True)),
            self.groups,
            dict(zip(names, self.draws.T, strict=True)),
            dict(zip(names, self.scores.tolist(), strict=True)),
            measured="auc",
            seed=self.seed,
        )


def simulated(
    seed: int, skills: list[float], *, draws: int = 100, measured: str = "auc", n_groups: int = GROUPS
) -> Simulated:
    rng = np.random.default_rng(seed)
    groups = np.arange(n_groups * SIZE) // SIZE
    n, k = len(groups), len(skills)
    truth = rng.integers(0, 2, n)
    shared = rng.normal(0, 0.5, n_groups)[groups] + rng.normal(0, 0.6, n)
    own = rng.normal(0, 0.5, (k, n_groups))[:, groups] + rng.normal(0, 0.7, (k, n))
    margins = np.array(skills)[:, None] * (2 * truth - 1) + shared + own
    proba = 1 / (1 + np.exp(-margins))
    heads = [Judged(truth, (p > 0.5).astype(np.intp), np.column_stack([1 - p, p]), 1) for p in proba]
    times, code = group_draws(groups, draws, np.random.default_rng(seed))
    weights = np.vstack([np.ones((1, n)), times[:, code]])
    if measured == "auc":
        found = np.column_stack([rankings(head, weights)["auc"] for head in heads])
    else:  # accuracy, which is quick
        right = np.array([head.predicted == head.truth for head in heads], dtype=float)
        found = weights @ right.T / weights.sum(axis=1)[:, None]
    return Simulated(heads, found[0], found[1:], groups, seed)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


# told from the best


@pytest.mark.parametrize(
    ("trials", "measured", "n_groups", "at_most"),
    [
        (400, "accuracy", GROUPS, 0.07),
        pytest.param(400, "auc", GROUPS, 0.07, marks=pytest.mark.slow),
        pytest.param(400, "accuracy", 12, 0.12, marks=pytest.mark.slow),
    ],
)
def test_any_of_ten_equal_heads_is_called_worse_in_about_one_study_of_twenty(
    trials: int, measured: str, n_groups: int, at_most: float
) -> None:
    studies = (
        simulated(s, [GOOD] * 10, draws=300, measured=measured, n_groups=n_groups) for s in range(trials)
    )
    told = np.array([one.told() for one in studies]) <= LEVEL
    log.info("%s, %d groups: one %.3f, any %.3f", measured, n_groups, told.mean(), told.any(1).mean())
    assert told.any(axis=1).sum() <= stats.binom.ppf(0.99, trials, at_most)


@pytest.mark.parametrize("trials", [25, pytest.param(200, marks=pytest.mark.slow)])
def test_a_head_fifteen_points_worse_is_told_nearly_always(trials: int) -> None:
    done = [simulated(s, [GOOD] * 9 + [WORSE]) for s in range(trials)]
    scores = np.array([one.scores for one in done])
    assert scores[:, :9].mean() - scores[:, 9].mean() == pytest.approx(0.15, abs=0.02)
    told = np.array([one.told()[9] <= LEVEL for one in done])
    assert told.mean() >= 0.95, told.mean()


def test_the_best_has_a_p_of_one_and_p_falls_with_the_score() -> None:
    one = simulated(3, [GOOD, 0.9 * GOOD, WORSE, 0.0], draws=300)
    p = one.told()
    assert p[one.scores.argmax()] == 1
    assert (np.diff(p[np.argsort(-one.scores)]) <= 0).all()
    assert p[2] <= LEVEL
    assert p[3] == pytest.approx(1 / 301)


def test_identical_predictions_cannot_be_told_apart() -> None:
    one = simulated(0, [GOOD])
    twins = told_from_best(
        one.scores.repeat(3), one.draws.repeat(3, axis=1), np.ones(3, dtype=bool), n_groups=GROUPS
    )
    assert twins.tolist() == [1, 1, 1]
    other = simulated(1, [GOOD] * 3)
    same = np.array([0, 0, 1, 2])  # an identical twin changes nothing for the others
    p = told_from_best(other.scores[same], other.draws[:, same], np.ones(4, dtype=bool), n_groups=GROUPS)
    assert p[0] == p[1]
    assert p[1:] == pytest.approx(other.told())


def test_a_head_that_is_worse_by_the_same_amount_in_every_draw_is_told() -> None:
    one = simulated(0, [GOOD])
    pair = np.column_stack([one.draws, one.draws - 0.01])
    p = told_from_best(
        np.array([one.scores[0], one.scores[0] - 0.01]), pair, np.ones(2, dtype=bool), n_groups=GROUPS
    )
    assert p.tolist() == [1, 1 / 101]


def test_what_does_not_compete_is_never_the_best_that_others_are_compared_with() -> None:
    one = simulated(2, [0.0, GOOD, 0.8 * GOOD, 2.0])  # the last one is best by far
    competing = np.array([False, True, True, False])
    p = told_from_best(one.scores, one.draws, competing, n_groups=GROUPS)
    alone = told_from_best(one.scores[1:3], one.draws[:, 1:3], np.ones(2, dtype=bool), n_groups=GROUPS)
    assert p[1:3].tolist() == alone.tolist()
    assert p[0] <= LEVEL
    assert p[3] == 1


def test_scores_that_scatter_wider_tell_less() -> None:
    for seed in range(10):
        one = simulated(seed, [GOOD, GOOD, WORSE])
        assert np.all(one.told(factor=widening(5)) >= one.told())


def test_too_few_defined_draws_tell_nothing() -> None:
    one = simulated(0, [GOOD, GOOD])
    draws = one.draws.copy()
    draws[: len(draws) - 49, 1] = np.nan
    assert np.isnan(told_from_best(one.scores, draws, np.ones(2, dtype=bool), n_groups=GROUPS)).all()
    draws[: len(draws) - 50, 1], draws[len(draws) - 50 :, 1] = np.nan, one.draws[-50:, 1]
    assert told_from_best(one.scores, draws, np.ones(2, dtype=bool), n_groups=GROUPS).max() == 1


# the winner


def luck(trials: int, skill: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Winner's own score, its corrected one, and what all twelve score on average, which is the truth."""
    raw, corrected, truth = [], [], []
    for seed in range(trials):
        one = simulated(seed, [skill] * 12)
        found = one.corrected()
        assert found is not None
        assert found.optimism == pytest.approx(one.scores.max() - found.score)
        raw.append(one.scores.max())
        corrected.append(found.score)
        truth.append(one.scores.mean())
    return np.array(raw), np.array(corrected), np.array(truth)


@pytest.mark.parametrize("trials", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_the_winner_of_equals_is_optimistic_and_the_corrected_one_is_not(trials: int) -> None:
    raw, corrected, truth = luck(trials, GOOD)
    (gain, gain_error), (bias, bias_error) = mean_and_error(raw - truth), mean_and_error(corrected - truth)
    log.info("raw %+.4f ± %.4f, corrected %+.4f ± %.4f", gain, gain_error, bias, bias_error)
    assert gain > 0.02
    assert gain > 10 * gain_error
    assert abs(bias) <= 2 * bias_error


@pytest.mark.parametrize("trials", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_on_pure_noise_the_corrected_winner_is_worth_a_half(trials: int) -> None:
    raw, corrected, _ = luck(trials, 0.0)
    (own, own_error), (mean, error) = mean_and_error(raw), mean_and_error(corrected)
    log.info("raw %.4f ± %.4f, corrected %.4f ± %.4f", own, own_error, mean, error)
    assert own - 4 * own_error > 0.5
    assert abs(mean - 0.5) <= 2 * error


def test_the_corrected_score_is_what_winners_score_on_the_groups_not_drawn() -> None:
    one = simulated(5, [GOOD, GOOD, WORSE])
    times, code = group_draws(one.groups, len(one.draws), np.random.default_rng(5))
    outside = [
        measure(one.judged[int(drawn.argmax())], (count == 0)[code].astype(float)[None])["auc"][0]
        for drawn, count in zip(one.draws, times, strict=True)
    ]
    found = one.corrected()
    assert found is not None
    assert found.score == pytest.approx(np.mean(outside))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(outside, (2.5, 97.5))))
    assert found.n_heads == 3


def test_a_head_that_wins_always_loses_nothing_but_noise() -> None:
    gaps = []
    for seed in range(20):
        found = simulated(seed, [GOOD, 0.0]).corrected()
        assert found is not None
        gaps.append(found.optimism)
    mean, error = mean_and_error(np.array(gaps))
    assert abs(mean) <= 3 * error + 0.001


def test_repeats_of_the_same_predictions_correct_alike() -> None:
    one = simulated(4, [GOOD, GOOD])
    tiled = [
        dataclasses.replace(
            head,
            truth=np.tile(head.truth, 2),
            predicted=np.tile(head.predicted, 2),
            proba=np.tile(head.proba, (2, 1)),
            repeats=2,
        )
        for head in one.judged
    ]
    found = corrected_winner(
        {"a": tiled[0], "b": tiled[1]},
        np.tile(one.groups, 2),
        {"a": one.draws[:, 0], "b": one.draws[:, 1]},
        {"a": float(one.scores[0]), "b": float(one.scores[1])},
        measured="auc",
        seed=4,
    )
    alone = one.corrected()
    assert found is not None
    assert alone is not None
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(alone))


def test_too_few_defined_draws_correct_nothing() -> None:
    one = simulated(0, [GOOD, GOOD], draws=60)
    one.draws[:11, 0] = np.nan
    assert one.corrected() is None
