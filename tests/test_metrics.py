from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from classifiers.intervals import MIN_GROUPS, group_draws, score
from classifiers.metrics import MEASURES, Judged, measure


def judged(n: int, k: int, seed: int = 0) -> Judged:
    """Random answers, with ties in the ranking."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    proba = np.round(rng.dirichlet(np.ones(k), n), 1) + 0.01
    proba /= proba.sum(1, keepdims=True)
    return Judged(truth, rng.integers(0, k, n), proba, positive=1)


def by_sklearn(j: Judged, w: np.ndarray) -> dict[str, float]:
    k = j.proba.shape[1]
    y, p, q = j.truth, j.predicted, j.proba
    options = {"sample_weight": w, "zero_division": 0}
    one = {"labels": [j.positive], "average": "macro", **options}
    hits = np.eye(k)[y]
    ranked = [j.positive] if k == 2 else range(k)
    return {
        "accuracy": reference.accuracy_score(y, p, sample_weight=w),
        "balanced_accuracy": reference.balanced_accuracy_score(y, p, sample_weight=w),
        "auc": float(
            np.mean([reference.roc_auc_score(hits[:, c], q[:, c], sample_weight=w) for c in ranked])
        ),
        "average_precision": float(
            np.mean([reference.average_precision_score(hits[:, c], q[:, c], sample_weight=w) for c in ranked])
        ),
        "f1": reference.f1_score(y, p, **one),
        "precision": reference.precision_score(y, p, **one),
        "recall": reference.recall_score(y, p, **one),
        "f1_macro": reference.f1_score(y, p, average="macro", **options),
        "precision_macro": reference.precision_score(y, p, average="macro", **options),
        "recall_macro": reference.recall_score(y, p, average="macro", **options),
        "mcc": reference.matthews_corrcoef(y, p, sample_weight=w),
        "brier": reference.brier_score_loss(y, q[:, 1] if k == 2 else q, sample_weight=w),
    }


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_every_measure_is_scikit_learns(k: int, seed: int) -> None:
    j = judged(60, k, seed)
    rng = np.random.default_rng(seed)
    weights = np.vstack([np.ones(60), rng.integers(1, 4, 60), rng.random(60) + 0.1])
    found = measure(j, weights)
    assert tuple(found) == MEASURES
    for draw, w in enumerate(weights):
        for name, value in by_sklearn(j, w).items():
            assert found[name][draw] == pytest.approx(value, abs=1e-12), name


def test_a_weight_of_two_is_the_image_twice() -> None:
    j = judged(40, 3)
    times = np.random.default_rng(1).integers(0, 3, 40)
    twice = np.repeat(np.arange(40), times)
    repeated = Judged(j.truth[twice], j.predicted[twice], j.proba[twice], j.positive)
    one, other = measure(j, times[None].astype(float)), measure(repeated, np.ones((1, len(twice))))
    for name in MEASURES:
        assert one[name] == pytest.approx(other[name], abs=1e-12, nan_ok=True), name


def test_one_class_has_no_auc_and_the_rest_stays() -> None:
    j = judged(30, 2)
    alone = Judged(np.ones(30, dtype=np.intp), j.predicted, j.proba, 1)
    scores = score(
        alone, np.arange(30), class_shares=np.array([0.4, 0.6]), draws=200, rng=np.random.default_rng(0)
    )
    assert scores.estimates["auc"].score is None
    assert scores.estimates["auc"].low is None
    assert scores.estimates["accuracy"].score is not None
    assert any("one class" in note for note in scores.notes)


def test_the_majority_answers_one_class_and_ranks_nothing() -> None:
    j = judged(50, 2)
    scores = score(
        j, np.arange(50), class_shares=np.array([0.7, 0.3]), draws=100, rng=np.random.default_rng(0)
    )
    majority = {name: e.majority for name, e in scores.estimates.items()}
    assert majority["accuracy"] == pytest.approx((j.truth == 0).mean())
    assert (majority["auc"], majority["mcc"], majority["recall"]) == (0.5, 0.0, 0.0)
    assert majority["average_precision"] == pytest.approx((j.truth == 1).mean())


def test_too_few_groups_give_no_interval_and_the_reason() -> None:
    j = judged(60, 2)
    shares, rng = np.array([0.5, 0.5]), np.random.default_rng(0)
    few = score(j, np.arange(60) % (MIN_GROUPS - 1), class_shares=shares, draws=100, rng=rng)
    enough = score(j, np.arange(60) % MIN_GROUPS, class_shares=shares, draws=100, rng=rng)
    assert all(e.low is None and e.high is None for e in few.estimates.values())
    assert few.notes == ("no intervals: 9 groups, and fewer than 10 say too little of others",)
    assert all(e.low is not None for e in enough.estimates.values())
    assert enough.notes == ()


def test_groups_are_drawn_whole_and_as_many_as_there_are() -> None:
    groups = np.array(list("aabbbc"))
    drawn, code = group_draws(groups, 500, np.random.default_rng(3))
    times = drawn[:, code]
    assert (times[:, 0] == times[:, 1]).all()
    assert (times[:, 2] == times[:, 4]).all()
    assert (times[:, [0, 2, 5]].sum(1) == 3).all()
    assert times[:, 5].mean() == pytest.approx(1.0, abs=0.1)


def test_groups_of_one_outcome_make_the_interval_wider_than_images_do() -> None:
    rng = np.random.default_rng(0)
    group = np.arange(300) % 30
    truth = (group % 2).astype(np.intp)
    right = (rng.random(30) < 0.7)[group]
    predicted = np.where(right, truth, 1 - truth)
    j = Judged(truth, predicted, np.eye(2)[predicted], 1)
    shares = np.array([0.5, 0.5])
    width = {}
    for name, groups in (("group", group), ("image", np.arange(300))):
        e = score(j, groups, class_shares=shares, draws=1000, rng=np.random.default_rng(0)).estimates[
            "accuracy"
        ]
        assert e.low is not None
        assert e.high is not None
        width[name] = e.high - e.low
    # ten images a group that stand or fall together: sqrt(10) in theory
    assert width["group"] > 2.5 * width["image"]


def test_intervals_of_data_without_signal_cover_one_half_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth, group = rng.integers(0, 2, 120), rng.integers(0, 40, 120)
        proba = rng.random(120)
        j = Judged(truth, (proba > 0.5).astype(np.intp), np.column_stack([1 - proba, proba]), 1)
        auc = score(j, group, class_shares=np.array([0.5, 0.5]), draws=200, rng=rng).estimates["auc"]
        assert auc.low is not None
        assert auc.high is not None
        covered += auc.low <= 0.5 <= auc.high
    assert 178 <= covered <= 199


def test_equal_seeds_give_equal_draws_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    j, groups, shares = judged(50, 2), np.arange(50) // 2, np.array([0.5, 0.5])
    whole = score(j, groups, class_shares=shares, draws=300, rng=np.random.default_rng(7))
    monkeypatch.setattr("classifiers.intervals._CHUNK", 333)
    assert score(j, groups, class_shares=shares, draws=300, rng=np.random.default_rng(7)) == whole


def test_ranking_within_folds_does_not_punish_heads_whose_level_moves_with_the_fold() -> None:
    rng = np.random.default_rng(5)
    fold = np.repeat(np.arange(5), 40)
    truth = (rng.random(200) < np.array([0.2, 0.4, 0.5, 0.6, 0.8])[fold]).astype(np.intp)
    share = np.array([truth[fold != f].mean() for f in range(5)])[fold]  # what a majority head learns
    proba = np.column_stack([1 - share, share])
    predicted = (share > 0.5).astype(np.intp)
    ones = np.ones((1, 200))
    assert measure(Judged(truth, predicted, proba, 1), ones)["auc"][0] < 0.4
    assert measure(Judged(truth, predicted, proba, 1, fold), ones)["auc"][0] == pytest.approx(0.5)


def test_the_auc_within_folds_is_the_mean_of_theirs_by_pairs() -> None:
    rng = np.random.default_rng(6)
    fold, truth, p = rng.integers(0, 4, 120), rng.integers(0, 2, 120), rng.random(120)
    fold[truth == 1] = np.maximum(fold[truth == 1], 1)  # fold 0 holds one class
    j = Judged(truth, (p > 0.5).astype(np.intp), np.column_stack([1 - p, p]), 1, fold)
    auc, pairs = [], []
    for f in range(1, 4):
        at = fold == f
        auc.append(reference.roc_auc_score(truth[at], p[at]))
        pairs.append(truth[at].sum() * (1 - truth[at]).sum())
    assert measure(j, np.ones((1, 120)))["auc"][0] == pytest.approx(np.average(auc, weights=pairs))
