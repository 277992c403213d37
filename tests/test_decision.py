from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from spies import Spy, numbered
from studies import study

from classifiers.decision import THRESHOLDS, LogOdds, calibrated, log_odds, telling_folds
from classifiers.head import Head
from classifiers.persistence import canonical
from classifiers.persistence.artifact import load_model, save_model
from classifiers.registry import head_names, make_head
from classifiers.splits import inner_folds
from classifiers.testing import rows, small_head
from classifiers.train import fit_on_train, model_card
from featurestore.errors import ParamsError, StoreDamaged
from featurestore.params import DecisionParams, FusionParams

TUNED, CALIBRATED = DecisionParams("f1"), DecisionParams(calibration="sigmoid")
BOTH = DecisionParams("f1", "sigmoid")


@pytest.fixture
def spy() -> type[Spy]:
    Spy.fits, Spy.asked = [], []
    return Spy


def rare(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One row in ten is a villain."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < 0.1, "villain", "hero").astype(object)
    return rng.normal(size=(n, 6)) + 0.6 * (y == "villain")[:, None], y


# Every estimator of scikit-learn's kind


def _expected_to_fail(head: Head) -> dict[str, str]:
    """It asks that the likeliest class be answered, which is what a threshold is for."""
    return {"check_classifiers_train": "a threshold was tuned"} if head.threshold != "default" else {}


@parametrize_with_checks(
    [
        small_head("logreg", decision=TUNED),
        small_head("logreg", decision=CALIBRATED),
        small_head("lda", decision=BOTH),
    ],
    expected_failed_checks=_expected_to_fail,
    xfail_strict=True,
)
def test_a_tuned_head_is_a_scikit_learn_classifier(estimator: Head, check: Callable[[Head], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("name", head_names())
def test_the_defaults_change_no_bit(name: str) -> None:
    X, y = rows()
    head = small_head(name).fit(X, y, groups=np.arange(len(y)) // 4)
    alone = clone(head.pipeline).fit(X.astype(np.float64), (y == "hero").astype(int))
    proba = np.asarray(alone.predict_proba(X.astype(np.float64)), dtype=np.float64)
    assert head.predict_proba(X).tobytes() == (proba / proba.sum(axis=1, keepdims=True)).tobytes()
    assert not {"threshold_", "sigmoid_", "searched_"} & set(vars(head))


def test_a_head_that_is_fitted_again_forgets_what_was_tuned() -> None:
    X, y = rows()
    head = small_head("nb", decision=BOTH).fit(X, y)
    again = head.set_params(threshold="default", calibration="none").fit(X, y)
    assert not {"threshold_", "sigmoid_"} & set(vars(again))
    assert again.predict_proba(X).tobytes() == small_head("nb").fit(X, y).predict_proba(X).tobytes()


# Inside the rows, groups whole


@pytest.mark.parametrize("decision", [TUNED, CALIBRATED, BOTH], ids=str)
def test_no_inner_fold_splits_a_group(decision: DecisionParams, spy: type[Spy]) -> None:
    X, codes, groups = numbered()
    head = Head(make_pipeline(spy()), threshold=decision.threshold, calibration=decision.calibration)
    head.fit(X, codes, groups=groups)
    inner = [one for one in spy.asked if len(one[0]) < len(X)]
    assert len(inner) >= 5
    for fitted, scored in inner:
        assert not set(groups[fitted]) & set(groups[scored])
    assert spy.fits.count(list(range(len(X)))) == 1


def test_without_groups_they_are_split(spy: type[Spy]) -> None:
    X, codes, groups = numbered()
    Head(make_pipeline(spy()), calibration="sigmoid").fit(X, codes)
    assert any(set(groups[fitted]) & set(groups[scored]) for fitted, scored in spy.asked)


def test_both_take_one_fit_a_fold_of_a_fold(spy: type[Spy]) -> None:
    X, codes, groups = numbered()
    Head(make_pipeline(spy()), threshold="f1", calibration="sigmoid").fit(X, codes, groups=groups)
    assert len(spy.fits) == 6 * 6


def test_nothing_but_the_fitted_rows_is_ever_seen(spy: type[Spy]) -> None:
    X, codes, groups = numbered()
    train = np.arange(len(X)) % 3 > 0
    head = Head(make_pipeline(spy()), threshold="balanced_accuracy", calibration="sigmoid")
    head.fit(X[train], codes[train], groups=groups[train])
    seen = {row for fitted, scored in spy.asked for row in fitted + scored} | {
        row for rows in spy.fits for row in rows
    }
    assert seen == set(np.flatnonzero(train))


def test_groups_that_are_not_one_a_row_are_refused() -> None:
    X, y = rows()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small_head("nb", decision=TUNED).fit(X, y, groups=np.arange(3))


def test_a_class_of_one_row_is_an_error_that_says_so() -> None:
    X, y = rows(20)
    y[:] = "hero"
    y[0] = "villain"
    with pytest.raises(ValueError, match="a class has one row"):
        small_head("dummy", decision=CALIBRATED).fit(X, y)


def test_folds_that_score_one_class_alone_tell_nothing() -> None:
    groups = np.repeat(np.arange(12), 5)
    codes = (groups < 2).astype(int)  # two of twelve groups are positive
    for fitted, scored in telling_folds(codes, groups, seed=0):
        assert set(codes[fitted]) == set(codes[scored]) == {0, 1}


# Thresholds


@pytest.mark.parametrize("threshold", ["f1", "balanced_accuracy"])
def test_what_is_tuned_is_what_scikit_learn_measures(threshold: str) -> None:
    rng = np.random.default_rng(0)
    known: Any = {"f1": f1_score, "balanced_accuracy": balanced_accuracy_score}[threshold]
    for positive in (0, 1):
        y, said = np.append(rng.integers(2, size=40), [0, 1]), np.append(rng.integers(2, size=40), [0, 1])
        more = {"pos_label": positive} if threshold == "f1" else {}
        assert THRESHOLDS[threshold](y, said, positive) == pytest.approx(known(y, said, **more), abs=1e-15)


@pytest.mark.parametrize("decision", [TUNED, BOTH], ids=str)
def test_a_tuned_threshold_finds_a_rare_class_better_on_new_rows(decision: DecisionParams) -> None:
    X, y = rare(600, seed=0)
    new, truth = rare(4000, seed=1)
    plain, tuned = (small_head("logreg", decision=d).fit(X, y) for d in (DecisionParams(), decision))
    before, after = (f1_score(truth, h.predict(new), pos_label="villain") for h in (plain, tuned))
    assert after > before + 0.03


@pytest.mark.parametrize(("positive", "label"), [(0, "hero"), (1, "villain")])
def test_the_threshold_is_of_the_positive_class(positive: int, label: str) -> None:
    X, y = rare(400, seed=0)
    head = small_head("nb", positive=positive, decision=TUNED).fit(X, y)
    reached = head.predict_proba(X)[:, positive] >= head.threshold_
    assert ((head.predict(X) == label) == reached).all()


def test_a_threshold_moves_no_probability() -> None:
    X, y = rows()
    plain, tuned = (small_head("rf", decision=d).fit(X, y) for d in (DecisionParams(), TUNED))
    assert plain.predict_proba(X).tobytes() == tuned.predict_proba(X).tobytes()


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_taken() -> None:
    y = np.tile(["hero", "villain"], 40).astype(object)
    X = np.where(y == "villain", 3.0, -3.0)[:, None]
    assert small_head("logreg", decision=TUNED).fit(X, y).threshold_ == 0.5


@pytest.mark.parametrize("threshold", ["f1", "balanced_accuracy"])
@pytest.mark.parametrize("calibration", ["none", "sigmoid"])
@pytest.mark.parametrize("strategy", ["prior", "most_frequent"])
def test_a_constant_head_has_a_threshold_too(threshold: Any, calibration: Any, strategy: str) -> None:
    X, y = rows()
    decision = DecisionParams(threshold, calibration)
    head = make_head("dummy", {"strategy": strategy}, seed=0, n_classes=2, positive=1, decision=decision)
    said = head.fit(X, y, groups=np.arange(len(y)) // 4).predict(X)
    assert len(set(said)) == 1
    assert len(np.unique(head.predict_proba(X), axis=0)) == 1


def test_more_than_two_classes_have_no_threshold() -> None:
    with pytest.raises(
        ParamsError, match=r"^threshold: f1 tunes .* two classes, .* 3; set threshold: default$"
    ):
        small_head("logreg", n_classes=3, decision=TUNED)
    X, y = rows(n_classes=3)
    with pytest.raises(ValueError, match="Only binary classification"):
        Head(small_head("nb").pipeline, threshold="f1").fit(X, y)


@pytest.mark.parametrize(
    "wrong", [{"threshold": "f2"}, {"calibration": "isotonic"}, {"threshold": "f1", "positive": 2}]
)
def test_what_no_head_can_do_is_refused_at_fit(wrong: dict[str, Any]) -> None:
    X, y = rows()
    with pytest.raises(ValueError, match=r"f2|isotonic|positive: 2"):
        Head(small_head("nb").pipeline, **wrong).fit(X, y)


# Calibration


@pytest.mark.parametrize("fusion", [FusionParams(), FusionParams("late")], ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", ["logreg", "rf", "xgb", "convention"])
def test_calibrated_probabilities_are_scikit_learns(name: str, n_classes: int, fusion: FusionParams) -> None:
    X, y = rows(n_classes=n_classes)
    X, groups = X.astype(np.float64), np.arange(len(y)) // 3
    head = small_head(name, n_classes=n_classes, fusion=fusion, decision=CALIBRATED).fit(X, y, groups=groups)
    codes = np.searchsorted(head.classes_, y)
    folds = inner_folds(codes, groups, seed=0)
    known = CalibratedClassifierCV(LogOdds(head.pipeline), method="sigmoid", cv=folds, ensemble=False)
    said = known.fit(X, codes).predict_proba(X)
    np.testing.assert_allclose(head.predict_proba(X), said, rtol=0, atol=1e-12)


def test_a_sigmoid_of_minus_one_and_nought_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    for k in (2, 3, 5):
        proba = rng.dirichlet(np.ones(k), size=50)
        same = np.tile([-1.0, 0.0], (1 if k == 2 else k, 1))
        np.testing.assert_allclose(calibrated(proba, same), proba, rtol=0, atol=2e-6)


def test_no_probability_is_too_small_to_be_calibrated() -> None:
    proba = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert np.isfinite(log_odds(proba)).all()
    nowhere = np.tile([0.0, 800.0], (3, 1))  # every class gets 0
    np.testing.assert_allclose(calibrated(np.eye(3), nowhere), np.full((3, 3), 1 / 3))


def test_an_overconfident_head_is_better_calibrated_on_new_rows() -> None:
    def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        y = np.array(["hero", "villain"], dtype=object)[rng.integers(2, size=n)]
        shared = rng.normal(size=(n, 1)) + 0.5 * (y == "villain")[:, None]
        return shared + 0.1 * rng.normal(size=(n, 12)), y  # one column, twelve times: nb takes each for new

    (X, y), (new, truth) = drawn(400, 0), drawn(4000, 1)
    plain, mapped = (small_head("nb", decision=d).fit(X, y) for d in (DecisionParams(), CALIBRATED))
    before, after = (
        brier_score_loss(truth == "villain", h.predict_proba(new)[:, 1]) for h in (plain, mapped)
    )
    assert after < before - 0.05


def test_a_head_that_is_calibrated_stays_nearly_itself() -> None:
    rng = np.random.default_rng(0)
    y = np.array(["hero", "villain"], dtype=object)[np.arange(4000) % 2]
    X = rng.normal(size=(4000, 3)) + 0.5 * (y == "villain")[:, None]
    head = small_head("lda", decision=CALIBRATED).fit(X, y)
    np.testing.assert_allclose(head.sigmoid_, [[-1.0, 0.0]], atol=0.05)


def test_calibrated_probabilities_are_shares_of_the_fitted_rows() -> None:
    X, y = rare(2000, seed=0)
    plain, mapped = (small_head("logreg", decision=d).fit(X, y) for d in (DecisionParams(), CALIBRATED))
    assert plain.predict_proba(X)[:, 1].mean() > 0.25  # classes weighted alike
    assert mapped.predict_proba(X)[:, 1].mean() == pytest.approx(np.mean(y == "villain"), abs=0.01)


def test_a_rule_keeps_its_parts_and_its_named_columns() -> None:
    X, y = rows()
    head = small_head("convention", decision=BOTH).fit(X, y)
    assert len(head.pipeline_[-1].parts_) > 0
    assert isinstance(head.parts(X), pd.DataFrame)
    with pytest.raises(ValueError, match="feature names"):
        head.predict(X.rename(columns={X.columns[0]: "design/other"}))


def test_the_mlp_keeps_its_loss_curve_when_it_is_calibrated() -> None:
    X, y = rows(60)
    assert small_head("mlp", decision=CALIBRATED).fit(X, y).loss_curve_


@pytest.mark.parametrize("name", ["logreg", "svm", "dummy", "convention", "xgb"])
def test_both_at_once_repeat_to_the_bit(name: str) -> None:
    X, y = rows(60)
    groups = np.arange(60) // 2
    first, second = (small_head(name, decision=BOTH, seed=5).fit(X, y, groups=groups) for _ in range(2))
    assert first.threshold_ == second.threshold_
    assert first.sigmoid_.tobytes() == second.sigmoid_.tobytes()
    assert first.predict_proba(X).tobytes() == second.predict_proba(X).tobytes()


# On disk


def test_the_card_says_how_it_decides(tmp_path: Path) -> None:
    s = study()
    context: dict[str, Any] = {"seed": 0, "positive": "villain"}
    assert not {"decision", "search"} & set(model_card(s, "nb", {}, **context))
    head = fit_on_train(s, small_head("nb", decision=BOTH))
    card = model_card(s, "nb", {}, **context, decision=BOTH, fitted=head)
    assert card["decision"] == {"threshold": "f1", "calibration": "sigmoid", "tuned": head.threshold_}
    save_model(tmp_path, head, card)
    assert load_model(tmp_path)[1]["decision"] == card["decision"]
    assert model_card(s, "nb", {}, **context, decision=CALIBRATED)["decision"]["threshold"] == "default"


def test_what_is_tuned_adds_no_type_to_the_file() -> None:
    X, y = rows()
    data = canonical.dumps(small_head("nb", decision=BOTH).fit(X, y))
    assert canonical.loads(data, where="here").threshold_ <= 1


def _spoiled(folder: Path, decision: DecisionParams, n_classes: int, **changed: Any) -> Path:
    """A saved head with attributes that no fit leaves."""
    X, y = rows(n_classes=n_classes)
    head = small_head("nb", n_classes=n_classes, decision=decision).fit(X, y)
    for name, value in changed.items():
        if value is ...:
            delattr(head, name)
        else:
            setattr(head, name, value)
    save_model(folder, head, {})
    return folder


@pytest.mark.parametrize(
    "changed",
    [
        {"threshold_": float("nan")},
        {"threshold_": float("inf")},
        {"threshold_": 1.5},
        {"threshold_": -0.1},
        {"threshold_": 1},
        {"threshold_": "0.5"},
        {"threshold_": None},
        {"threshold_": ...},
        {"threshold": "default"},
        {"positive": 2},
        {"positive": -1},
        {"positive": True},
        {"sigmoid_": np.array([[-1.0, np.nan]])},
        {"sigmoid_": np.array([[-1.0, np.inf]])},
        {"sigmoid_": np.array([[-1.0, 0.0]], dtype=np.float32)},
        {"sigmoid_": np.array([-1.0, 0.0])},
        {"sigmoid_": np.zeros((2, 2))},
        {"sigmoid_": np.array([["a", "b"]], dtype=object)},
        {"sigmoid_": [[-1.0, 0.0]]},
        {"sigmoid_": ...},
        {"calibration": "none"},
        {"classes_": np.array(["a", "b", "c"], dtype=object)},
        {"classes_": 3},
    ],
    ids=repr,
)
def test_a_threshold_or_sigmoid_that_no_fit_leaves_is_refused(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(StoreDamaged, match=r"damaged: .*; run: dvc repro train"):
        load_model(_spoiled(tmp_path, BOTH, 2, **changed))


def test_of_three_classes_each_has_its_sigmoid(tmp_path: Path) -> None:
    load_model(_spoiled(tmp_path, CALIBRATED, 3))
    with pytest.raises(StoreDamaged, match="slope and intercept of each class"):
        load_model(_spoiled(tmp_path, CALIBRATED, 3, sigmoid_=np.zeros((1, 2))))
    with pytest.raises(StoreDamaged, match="was not asked for"):
        load_model(_spoiled(tmp_path, CALIBRATED, 3, threshold_=0.5))


def test_the_archive_of_a_tuned_head_is_hardly_larger(tmp_path: Path) -> None:
    X, y = rows()
    sizes = []
    for decision in (DecisionParams(), BOTH):
        save_model(tmp_path, small_head("rf", decision=decision).fit(X, y), {})
        sizes.append((tmp_path / "pipeline.skops").stat().st_size)
    assert sizes[1] < sizes[0] + 2000
