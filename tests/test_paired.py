"""What `classifiers.comparison.paired` says of chance, held against simulations in which the truth is known.

The counts are compared with the 99% interval of the binomial. A simulation is seeded: it comes out the same
each time. `slow` runs 1,000 diffs where the normal run takes 200.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from classifiers import resampling
from classifiers.comparison.paired import Difference, compare_paired
from classifiers.intervals import MIN_GROUPS, widening
from classifiers.metrics import MEASURES, Judged, measure
from classifiers.resampling import RANKED, Pair

log = logging.getLogger(__name__)

TRIALS = [200, pytest.param(1000, marks=pytest.mark.slow)]
#: As many as the command takes, and a few for the normal run: (1 + hits)/201 < 0.05 comes near to one in twenty.
MANY, FEW = 1999, 200


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def bounds(trials: int, share: float) -> tuple[int, int]:
    """Ends of the binomial's 99% interval."""
    low, high = stats.binom.interval(0.99, trials, share)
    return int(low), int(high)


def judged(truth: np.ndarray, p: np.ndarray, fold: np.ndarray | None = None, folds: int = 1) -> Judged:
    """Of probabilities of the second class, one row a repeat."""
    said = p.ravel()
    return Judged(
        np.tile(truth, len(p)),
        (said > 0.5).astype(np.intp),
        np.column_stack([1 - said, said]),
        1,
        None if fold is None else fold.ravel(),
        len(p),
        folds,
    )


def alike(
    seed: int, *, groups: int = 60, size: int = 5, repeats: int = 2, folds: int = 5, same_folds: bool = True
) -> Pair:
    """Two cross-validated heads, neither of them better; each takes whole groups well or badly."""
    r, n = rng(seed), groups * size
    group = np.arange(n) // size
    truth = r.integers(0, 2, n)
    known = 1.0 + r.normal(0, 0.7, groups)[group] + r.normal(0, 0.7, n)  # easy and hard ones, for both
    drawn = [[r.permutation(np.arange(groups) % folds)[group] for _ in range(repeats)] for _ in range(2)]
    sides = []
    for i in range(2):
        fold = np.array(drawn[i * (not same_folds)]) + folds * np.arange(repeats)[:, None]
        margin = (
            known + r.normal(0, 1.2, groups)[group] + r.normal(0, 0.7, n) + r.normal(0, 0.4, (repeats, n))
        )
        level = r.normal(0, 0.2, folds * repeats)[fold]  # of the fold's head
        p = 1 / (1 + np.exp(-(np.where(truth == 1, margin, -margin) + level)))
        sides.append(judged(truth, p, fold, folds))
    return Pair(*sides, group)


def swapped(pair: Pair) -> Pair:
    return Pair(pair.after, pair.before, pair.groups)


# what is computed


def stacked(k: int, seed: int = 0) -> Pair:
    """Several classes, ties, repeats and folds that differ between the sides."""
    r, n = rng(seed), 90
    truth = np.concatenate([np.arange(k), r.integers(0, k, n - k)])
    sides = []
    for repeats, folds in ((2, 3), (3, 4)):
        proba = np.round(r.dirichlet(np.ones(k), n * repeats), 1) + 0.01
        fold = np.concatenate([i * folds + r.permutation(np.arange(n) % folds) for i in range(repeats)])
        sides.append(
            Judged(
                np.tile(truth, repeats),
                r.integers(0, k, n * repeats),
                proba / proba.sum(1, keepdims=True),
                1,
                fold,
                repeats,
                folds,
            )
        )
    return Pair(*sides, np.arange(n) // 3)


@pytest.mark.parametrize("k", [2, 3])
def test_the_scores_are_those_of_each_side_on_its_own_folds(k: int) -> None:
    pair = stacked(k)
    found = compare_paired(pair, draws=50, permutations=50, rng=rng())
    assert tuple(found) == MEASURES
    for name, one in found.items():
        for side, value in ((pair.before, one.before), (pair.after, one.after)):
            assert value == pytest.approx(measure(side, np.ones((1, len(side.truth))))[name][0]), name
        assert one.difference == pytest.approx(one.after - one.before)  # type: ignore[operator]


@pytest.mark.parametrize("k", [2, 3])
def test_the_interval_draws_the_same_groups_for_both_sides_and_is_widened(k: int) -> None:
    pair = stacked(k)
    found = compare_paired(pair, draws=300, permutations=20, rng=rng(3))
    times = rng(3).multinomial(30, np.full(30, 1 / 30), size=300)[:, pair.groups].astype(float)
    first, second = (measure(side, np.tile(times, side.repeats)) for side in (pair.before, pair.after))
    for name, one in found.items():
        middle = one.difference
        ends = middle + widening(3) * (np.percentile(second[name] - first[name], (2.5, 97.5)) - middle)
        assert (one.low, one.high) == pytest.approx(tuple(ends)), name


@pytest.mark.parametrize("k", [2, 3])
def test_a_p_value_is_that_of_rows_swapped_one_pattern_at_a_time(k: int) -> None:
    pair = stacked(k)
    pair = Pair(pair.before, dataclasses.replace(pair.before, **answers(pair.after)), pair.groups)
    found = compare_paired(pair, draws=20, permutations=60, rng=rng(4))
    r = rng(4)
    r.multinomial(30, np.full(30, 1 / 30), size=20)  # what the interval draws comes first
    patterns = resampling._patterns(30, 60, r)
    counted: Counter[str] = Counter()
    for pattern in patterns:
        at = np.tile(pattern[pair.groups], 2).astype(bool)
        for name, one in found.items():
            sides = [resampling._mid_ranks(s) if name in RANKED else s for s in (pair.before, pair.after)]
            a, b = mixed(sides[0], sides[1], at), mixed(sides[1], sides[0], at)
            ones = np.ones((1, len(at)))
            statistic = measure(b, ones)[name][0] - measure(a, ones)[name][0]
            counted[name] += abs(statistic) >= abs(one.difference or 0) - 1e-9
    assert {name: one.p for name, one in found.items()} == pytest.approx(
        {name: counted[name] / 61 for name in found}
    )


def answers(side: Judged) -> dict[str, np.ndarray]:
    """Predictions of the first two repeats."""
    return {"predicted": side.predicted[:180], "proba": side.proba[:180]}


def mixed(own: Judged, other: Judged, at: np.ndarray) -> Judged:
    return dataclasses.replace(
        own,
        predicted=np.where(at, other.predicted, own.predicted),
        proba=np.where(at[:, None], other.proba, own.proba),
    )


def test_all_patterns_are_gone_through_where_they_are_few() -> None:
    assert len(resampling._patterns(10, 1999, rng())) == 1024
    assert len(np.unique(resampling._patterns(10, 1999, rng()), axis=0)) == 1024
    assert len(resampling._patterns(11, 1999, rng())) == 2000
    for patterns in (resampling._patterns(10, 1999, rng()), resampling._patterns(11, 1999, rng())):
        assert not patterns[0].any()
    pair = alike(0, groups=10, repeats=1, folds=2)
    one, other = (compare_paired(pair, draws=0, permutations=1999, rng=rng(seed)) for seed in (1, 2))
    assert {name: d.p for name, d in one.items()} == {name: d.p for name, d in other.items()}


def test_equal_seeds_give_equal_differences_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = alike(1)
    one = compare_paired(pair, draws=100, permutations=100, rng=rng(5))
    assert compare_paired(pair, draws=100, permutations=100, rng=rng(5)) == one
    monkeypatch.setattr("classifiers.resampling._CHUNK", 7000)
    again = compare_paired(pair, draws=100, permutations=100, rng=rng(5))
    for name, d in one.items():
        assert dataclasses.astuple(again[name]) == pytest.approx(dataclasses.astuple(d)), name


# what must hold whatever the data


@pytest.mark.parametrize("same_folds", [True, False])
def test_the_other_way_round_the_difference_is_its_negative_and_p_the_same(same_folds: bool) -> None:
    pair = alike(2, same_folds=same_folds)
    pair = Pair(pair.before, dataclasses.replace(pair.after, predicted=pair.after.truth), pair.groups)
    there = compare_paired(pair, draws=200, permutations=200, rng=rng())
    back = compare_paired(swapped(pair), draws=200, permutations=200, rng=rng())
    opposite = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}
    assert there["accuracy"].verdict == "better"
    for name, one in there.items():
        other = back[name]
        assert (other.before, other.after) == (one.after, one.before)
        assert other.difference == pytest.approx(-one.difference)  # type: ignore[operator]
        assert (other.low, other.high) == pytest.approx((-one.high, -one.low))  # type: ignore[operator]
        assert other.p == one.p
        assert other.verdict == opposite[one.verdict]


def test_the_same_predictions_differ_by_nothing() -> None:
    pair = alike(3)
    for one in compare_paired(
        Pair(pair.before, pair.before, pair.groups), rng=rng(), permutations=100
    ).values():
        assert (one.difference, one.low, one.high, one.p, one.verdict) == (0, 0, 0, 1, "cannot tell")


def test_a_head_on_another_scale_ranks_the_same() -> None:
    pair = alike(4)
    p = pair.before.proba[:, 1] ** 3
    cubed = dataclasses.replace(pair.before, proba=np.column_stack([1 - p, p]))
    found = compare_paired(Pair(pair.before, cubed, pair.groups), rng=rng(), permutations=200)
    for name in RANKED:
        assert (found[name].difference, found[name].p, found[name].verdict) == (0, 1, "cannot tell")
    assert found["brier"].verdict == "worse"  # these are no probabilities any more


def test_less_is_better_of_brier_alone() -> None:
    pair = alike(5)
    right = np.eye(2)[pair.after.truth] * 0.8 + 0.1
    after = dataclasses.replace(pair.after, proba=right, predicted=pair.after.truth)
    found = compare_paired(Pair(pair.before, after, pair.groups), rng=rng(), permutations=200)
    assert {one.verdict for one in found.values()} == {"better"}
    assert found["brier"].difference is not None
    assert found["brier"].difference < 0


@pytest.mark.parametrize("repeats", [(1, 3), (2, 3), (7, 15)])
def test_the_sides_may_have_other_numbers_of_repeats(repeats: tuple[int, int]) -> None:
    first, second = (alike(6, repeats=n) for n in repeats)
    truth = first.before.truth[:300]
    sides = [
        dataclasses.replace(side, truth=np.tile(truth, side.repeats))
        for side in (first.before, second.before)
    ]
    found = compare_paired(Pair(*sides, first.groups), draws=20, permutations=20, rng=rng())
    none = resampling.differences_swapped(Pair(*sides, first.groups), 0, rng())
    for name in RANKED:  # 105 repeats side by side would be too many: 100 are
        near = 0.01 if repeats == (7, 15) else 1e-9
        assert none[name][0] == pytest.approx(found[name].difference, abs=near)


def test_too_few_groups_give_no_interval_no_p_and_the_reason() -> None:
    for groups in (MIN_GROUPS - 1, MIN_GROUPS):
        pair = alike(7, groups=groups, size=20, folds=3)
        one = compare_paired(pair, draws=100, permutations=100, rng=rng())["auc"]
        assert one.difference is not None
        assert (one.low is None, one.p is None) == (groups < MIN_GROUPS, groups < MIN_GROUPS)
        assert (one.reason, one.verdict) == ("too few groups" if groups < MIN_GROUPS else "", "cannot tell")


def test_images_of_one_class_have_no_auc_and_the_rest_stays() -> None:
    pair = alike(8)
    sides = [dataclasses.replace(s, truth=np.ones_like(s.truth)) for s in (pair.before, pair.after)]
    found = compare_paired(Pair(*sides, pair.groups), draws=50, permutations=50, rng=rng())
    assert found["auc"] == Difference(
        None, None, None, None, None, None, "cannot tell", "undefined on a side"
    )
    assert found["accuracy"].p is not None


def test_a_class_in_two_groups_alone_has_a_p_and_no_interval() -> None:
    pair = alike(9, groups=40, folds=2)
    truth = np.where(np.tile(pair.groups, 2) < 2, 1, 0)
    sides = [dataclasses.replace(s, truth=truth) for s in (pair.before, pair.after)]
    one = compare_paired(Pair(*sides, pair.groups), draws=200, permutations=50, rng=rng())["auc"]
    assert (one.low, one.high) == (None, None)
    assert one.p is not None
    assert "lack a class" in one.reason


def test_other_images_on_the_two_sides_are_a_mistake() -> None:
    pair = alike(10)
    with pytest.raises(ValueError, match="same images"):
        Pair(pair.before, dataclasses.replace(pair.after, truth=1 - pair.after.truth), pair.groups)


def test_three_hundred_images_take_about_a_second() -> None:
    pair = alike(11, repeats=5)
    compare_paired(pair, draws=10, permutations=10, rng=rng())
    start = time.process_time()
    compare_paired(pair, rng=rng())
    assert time.process_time() - start < 5  # 0.4 s on a core of 2024


# what the p-value and the interval are worth


def mcnemar(pair: Pair) -> float:
    """Exact, of each image's first answer (McNemar 1947)."""
    n = len(pair.groups)
    first, second = (side.predicted[:n] == side.truth[:n] for side in (pair.before, pair.after))
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    return float(stats.binomtest(b, b + c).pvalue)


def delong(pair: Pair) -> float:
    """Of each image's first answer (DeLong, DeLong & Clarke-Pearson 1988)."""
    n = len(pair.groups)
    truth = pair.before.truth[:n] == 1
    of_hits, of_alarms = [], []
    for side in (pair.before, pair.after):
        p = side.proba[:n, 1]
        above = (p[truth][:, None] > p[~truth]) + 0.5 * (p[truth][:, None] == p[~truth])
        of_hits.append(above.mean(1))
        of_alarms.append(above.mean(0))
    hits, alarms = of_hits[1] - of_hits[0], of_alarms[1] - of_alarms[0]
    variance = hits.var(ddof=1) / len(hits) + alarms.var(ddof=1) / len(alarms)
    return float(2 * stats.norm.sf(abs(hits.mean()) / np.sqrt(variance)))


SHOWN = ("accuracy", "auc", "brier")


def permutations(trials: int) -> int:
    return FEW if trials < 1000 else MANY


def false_alarms(trials: int, **how: object) -> Counter[str]:
    """How often each test finds a difference between two heads of which neither is better."""
    found: Counter[str] = Counter()
    for seed in range(trials):
        pair = alike(seed, **how)  # type: ignore[arg-type]
        differences = compare_paired(pair, draws=0, permutations=permutations(trials), rng=rng(seed))
        found.update(name for name in SHOWN if differences[name].verdict != "cannot tell")
        found.update(McNemar=mcnemar(pair) < 0.05, DeLong=delong(pair) < 0.05)
    log.info("of %d diffs of equally good heads, called different: %s %s", trials, dict(found), how or "")
    return found


@pytest.mark.parametrize("trials", TRIALS)
def test_one_in_twenty_diffs_of_equally_good_heads_is_called_a_difference(trials: int) -> None:
    found = false_alarms(trials)
    low, high = bounds(trials, 0.05)
    for name in SHOWN:
        assert low <= found[name] <= high, (name, found)
    # tests that take pictures of one group for independent
    assert found["McNemar"] > 1.5 * high
    assert found["DeLong"] > 2 * high


def test_other_folds_on_the_two_sides_raise_no_more_false_alarms() -> None:
    found = false_alarms(200, same_folds=False)
    low, high = bounds(200, 0.05)
    assert all(low <= found[name] <= high for name in SHOWN), found


def planted(seed: int, *, size: int) -> Pair:
    """Heads that are right in 70% and 80% of 300 images, each by itself.

    Where ``size`` is more than 1, half of the images (at random) answer as their group: the correlation of
    two of a group is then 1/4.
    """
    r, n = rng(seed), 300
    group = np.arange(n) // size
    truth = r.integers(0, 2, n)
    sides = []
    as_group = r.random(n) < 0.5 if size > 1 else np.zeros(n, dtype=bool)
    for share in (0.7, 0.8):
        right = np.where(as_group, (r.random(n // size) < share)[group], r.random(n) < share)
        sides.append(judged(truth, np.where(right, truth, 1 - truth)[None] * 0.8 + 0.1))
    return Pair(*sides, group)


def power(size: int) -> float:
    """Of a test at 5% for `planted`, by the normal approximation.

    An image's difference is -1, 0 or 1 with variance b + c - (c - b)²; without a difference it would be
    b + c. Groups of m with correlation r multiply both by 1 + (m - 1) r, the design effect (Kish 1965).
    """
    b, c = 0.7 * 0.2, 0.3 * 0.8
    effect = (1 + (size - 1) / 4) / 300
    error, error_if_alike = np.sqrt((b + c - (c - b) ** 2) * effect), np.sqrt((b + c) * effect)
    return float(stats.norm.cdf((0.1 - stats.norm.ppf(0.975) * error_if_alike) / error))


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("trials", TRIALS)
def test_ten_points_are_found_as_often_as_theory_says_and_covered_as_often_as_95_percent(
    trials: int, size: int
) -> None:
    found = covered = 0
    for seed in range(trials):
        pair = planted(seed, size=size)
        one = compare_paired(pair, draws=500, permutations=permutations(trials), rng=rng(seed))["accuracy"]
        found += one.verdict == "better"
        covered += one.low <= 0.1 <= one.high  # type: ignore[operator]
    said = f"groups of {size}: found {found} of {trials}, theory {power(size):.3f}; covered {covered}"
    log.info(said)
    low, high = bounds(trials, power(size))
    assert low <= found <= high, said
    low, high = bounds(trials, 0.95)
    assert low <= covered <= high, said


def crossing(seed: int) -> Pair:
    """Two heads of the same AUC whose ROC curves cross: positive scores scatter by 1, or by 3."""
    r, groups = rng(seed), np.arange(300) // 3
    truth = r.integers(0, 2, 300)
    shared, sides = r.normal(size=100)[groups], []
    for spread in (1.0, 3.0):
        noise = 0.5 * shared + np.sqrt(0.75) * r.normal(size=300)
        score = noise * np.where(truth == 1, spread, 1.0) + truth * np.sqrt(1 + spread**2) * 0.8
        sides.append(judged(truth, 1 / (1 + np.exp(-score))[None]))
    return Pair(*sides, groups)


def test_curves_that_cross_with_the_same_area_raise_no_more_false_alarms() -> None:
    found = sum(
        compare_paired(crossing(seed), draws=0, permutations=FEW, rng=rng(seed))["auc"].verdict
        != "cannot tell"
        for seed in range(200)
    )
    low, high = bounds(200, 0.05)
    assert low <= found <= high


def fitted(seed: int, *, columns: int = 100) -> Pair:
    """Two extractors, equally good on average, with a ridge regression in 5 folds, twice."""
    r, groups, folds, repeats = rng(seed), np.arange(300) // 5, 5, 2
    truth = r.integers(0, 2, 300)
    fold = np.array([r.permutation(np.arange(60) % folds)[groups] + i * folds for i in range(repeats)])
    sides = []
    for _ in range(2):
        X = 0.87 * r.normal(size=(300, columns)) + 0.5 * r.normal(size=(60, columns))[groups]
        X += 1.2 / columns * (2 * truth - 1)[:, None] * np.sqrt(columns) * 0.83
        X = np.column_stack([X, np.ones(300)])
        p = np.empty((repeats, 300))
        for code in range(folds * repeats):
            i, at = code // folds, fold[code // folds] == code
            gram = X[~at].T @ X[~at] + np.eye(columns + 1)
            weights = np.linalg.solve(gram, X[~at].T @ (2 * truth[~at] - 1.0))
            p[i, at] = 1 / (1 + np.exp(-3 * X[at] @ weights))
        sides.append(judged(truth, p, fold, folds))
    return Pair(*sides, groups)


@pytest.mark.slow
def test_of_heads_fitted_anew_the_widened_interval_speaks_and_the_p_value_does_not() -> None:
    """Equally good on average, one is better on these pictures: p tells that, the interval what is general."""
    called: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for seed in range(400):
        found = compare_paired(fitted(seed), draws=300, permutations=FEW, rng=rng(seed))
        for name, one in ((name, found[name]) for name in SHOWN):
            called[name] += one.verdict != "cannot tell"
            outside[name] += not one.low <= 0 <= one.high  # type: ignore[operator]
    log.info("of 400 diffs of learners, p < 0.05: %s; interval excludes 0: %s", dict(called), dict(outside))
    assert all(called[name] > bounds(400, 0.05)[1] for name in SHOWN), called
    assert all(outside[name] <= bounds(400, 0.05)[1] for name in SHOWN), outside
