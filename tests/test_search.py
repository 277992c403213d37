from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from spies import Spy, numbered
from studies import study

from classifiers.decision import telling_folds
from classifiers.head import Head
from classifiers.persistence.artifact import load_model, save_model
from classifiers.registry import make_head
from classifiers.search import MAX_CANDIDATES, best, drawn
from classifiers.testing import rows, small_head
from classifiers.train import fit_on_train, model_card
from featurestore.errors import ParamsError
from featurestore.params import DecisionParams, FusionParams, SearchParams

GOOD_AND_BAD = SearchParams({"C": [1e-6, 1.0]})


@pytest.fixture
def spy() -> type[Spy]:
    Spy.fits, Spy.asked = [], []
    return Spy


def many(over: dict[str, Any], trials: int = 200, seed: int = 0) -> list[dict[str, Any]]:
    return drawn(SearchParams(over, "random", trials), "heads.x.search", seed=seed)


def noisy(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of one say little, of many much."""
    rng = np.random.default_rng(seed)
    y = np.array(["hero", "villain"], dtype=object)[np.arange(n) % 2]
    return rng.normal(size=(n, 4)) + 0.8 * (y == "villain")[:, None], y


# What is tried


def test_a_grid_has_all_combinations_in_the_order_of_the_file() -> None:
    search = SearchParams({"C": [10.0, 0.1], "gamma": ["auto", "scale", 0.5]})
    found = drawn(search, "heads.svm.search", seed=0)
    assert [(one["C"], one["gamma"]) for one in found] == [
        (10.0, "auto"), (10.0, "scale"), (10.0, 0.5), (0.1, "auto"), (0.1, "scale"), (0.1, 0.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        ({"low": 0.5, "high": 4.0}, float),
        ({"low": 0.001, "high": 100, "log": True}, float),
        ({"low": 3, "high": 6}, int),
        ({"low": 1, "high": 1000, "log": True}, int),
    ],
)
def test_a_range_is_drawn_from_within_it(limits: dict[str, Any], kind: type) -> None:
    values = [one["x"] for one in many({"x": limits})]
    assert all(type(value) is kind and limits["low"] <= value <= limits["high"] for value in values)
    assert len(set(values)) > 3
    if kind is int and not limits.get("log"):
        assert set(values) == {3, 4, 5, 6}  # both ends too
    if limits.get("log"):
        middle = np.sqrt(limits["low"] * limits["high"])
        assert 0.3 < np.mean([value < middle for value in values]) < 0.7


def test_one_seed_draws_the_same_and_another_does_not() -> None:
    over = {"C": {"low": 0.1, "high": 10.0, "log": True}, "penalty": ["l1", "l2"]}
    assert many(over, 20) == many(over, 20)
    assert many(over, 20) != many(over, 20, seed=1)


def test_lists_that_are_drawn_from_are_never_drawn_twice() -> None:
    found = many({"a": [1, 2], "b": [3, 4, 5]}, trials=50)
    assert len(found) == len({tuple(one.items()) for one in found}) == 6


def test_a_list_may_be_a_value() -> None:
    search = SearchParams({"hidden": [[8], [8, 8]]})
    head = make_head("mlp", {"max_iter": 5}, seed=0, n_classes=2, positive=1, search=search)
    assert [params for params, _ in head.candidates] == [{"hidden": [8]}, {"hidden": [8, 8]}]
    X, y = rows(60)
    assert head.fit(X, y).searched_["params"]["hidden"] in ([8], [8, 8])


# What wins


@pytest.mark.parametrize("values", [[1, 40], [40, 1]])
def test_the_better_of_two_values_is_taken(values: list[int]) -> None:
    X, y = noisy()
    search = SearchParams({"n_neighbors": values})
    head = make_head("knn", {"weights": "uniform"}, seed=0, n_classes=2, positive=1, search=search).fit(X, y)
    assert head.searched_["params"] == {"n_neighbors": 40}
    assert head.searched_["tried"] == 2
    alone = make_head("knn", {"weights": "uniform", "n_neighbors": 40}, seed=0, n_classes=2, positive=1)
    assert head.predict_proba(X).tobytes() == alone.fit(X, y).predict_proba(X).tobytes()


def test_of_equals_the_first_is_taken() -> None:
    X, y = noisy()
    search = SearchParams({"max_iter": [300, 200, 100]})  # it stops long before
    head = make_head("logreg", {}, seed=0, n_classes=2, positive=1, search=search).fit(X, y)
    assert head.searched_["params"] == {"max_iter": 300}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_score_is_the_mean_auc_of_the_inner_folds(n_classes: int) -> None:
    X, y = rows(n_classes=n_classes)
    X, groups = X.astype(np.float64), np.arange(len(y)) // 3
    head = small_head("logreg", n_classes=n_classes, search=GOOD_AND_BAD).fit(X, y, groups=groups)
    codes = np.searchsorted(head.classes_, y)
    scoring = "roc_auc" if n_classes == 2 else "roc_auc_ovr"
    folds = telling_folds(codes, groups, seed=0)
    scores = [
        cross_val_score(pipeline, X, codes, cv=folds, scoring=scoring).mean()
        for _, pipeline in head.candidates
    ]
    assert head.searched_["score"] == pytest.approx(max(scores), abs=1e-12)


def test_a_search_comes_before_calibration_and_threshold() -> None:
    X, y = noisy()
    decision = DecisionParams("f1", "sigmoid")
    search = SearchParams({"n_neighbors": [1, 40]})
    searched = small_head("knn", search=search, decision=decision).fit(X, y)
    alone = make_head("knn", {"n_neighbors": 40}, seed=0, n_classes=2, positive=1, decision=decision).fit(
        X, y
    )
    assert searched.threshold_ == alone.threshold_
    assert searched.predict_proba(X).tobytes() == alone.predict_proba(X).tobytes()


def test_a_search_works_under_late_fusion() -> None:
    X, y = rows()
    head = small_head("logreg", fusion=FusionParams("late"), search=GOOD_AND_BAD).fit(X, y)
    assert set(head.pipeline_.pipelines_) == {"design", "fake"}


def test_a_search_splits_no_group_and_sees_no_row_but_the_fitted(spy: type[Spy]) -> None:
    X, codes, groups = numbered()
    train = np.arange(len(X)) % 3 > 0
    candidates = [({"a": 1}, make_pipeline(spy())), ({"a": 2}, make_pipeline(spy()))]
    Head(make_pipeline(spy()), candidates=candidates).fit(X[train], codes[train], groups=groups[train])
    assert len(spy.fits) == 2 * 5 + 1
    for fitted, scored in spy.asked:
        assert not set(groups[fitted]) & set(groups[scored])
        assert set(fitted) | set(scored) <= set(np.flatnonzero(train))


def test_a_candidate_that_fails_is_named(spy: type[Spy]) -> None:
    X, codes, _ = numbered()
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match=r'search: \{"a": 1\} failed: ValueError: Input X contains NaN'):
        best([({"a": 1}, make_pipeline(spy()))], X, codes, None, seed=0)


def test_a_searched_head_can_be_cloned_and_leaves_its_candidates_unfitted() -> None:
    X, y = rows()
    head = small_head("logreg", search=GOOD_AND_BAD).fit(X, y)
    assert clone(head).fit(X, y).searched_ == head.searched_
    assert not any(hasattr(pipeline[-1], "coef_") for _, pipeline in head.candidates)


# What cannot be tried


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (SearchParams({"C": [0.1, -1.0]}), r"heads\.logreg\.search\.over\.C: -1.0 is out of range; above 0"),
        (SearchParams({"nosuch": [1]}), r"heads\.logreg\.search\.over\.nosuch: unknown key"),
        (SearchParams({"C": {"low": 0.1, "high": 1.0}}), r"heads\.logreg\.search\.over: "),
        (SearchParams({"C": 3}), r"heads\.logreg\.search\.over: "),
        (
            SearchParams({"C": [0.1] * 101, "l1_ratio": [0.5] * 100}),
            r"10100 combinations; take method: random",
        ),
        (
            SearchParams({"C": {"low": 0.0, "high": 1.0, "log": True}}, "random"),
            r"heads\.logreg\.search\.over: ",
        ),
        (SearchParams({"C": {"lo": 0.1}}, "random"), r"heads\.logreg\.search\.over\.C\.lo: unknown key"),
    ],
)
def test_a_search_that_cannot_be_built_names_its_key(search: SearchParams, said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        small_head("logreg", search=search)
    assert MAX_CANDIDATES == 10_000


def test_what_only_the_heads_own_build_refuses_names_the_search() -> None:
    with pytest.raises(ParamsError, match=r"heads\.mlp\.search\.over: hidden"):
        small_head("mlp", search=SearchParams({"hidden": [[8], []]}))


# On disk


def test_what_was_chosen_among_is_not_saved(tmp_path: Path) -> None:
    X, y = rows()
    search = SearchParams({"n_estimators": list(range(1, 200))})
    plain = small_head("xgb").fit(X, y)
    head = Head(plain.pipeline, candidates=small_head("xgb", search=search).candidates[:2]).fit(X, y)
    head.candidates = small_head("xgb", search=search).candidates
    sizes = {}
    for name, one in (("plain", plain), ("searched", head)):
        save_model(tmp_path / name, one, {})
        with zipfile.ZipFile(tmp_path / name / "pipeline.skops") as archive:
            sizes[name] = len(archive.read("schema.json"))
    assert sizes["searched"] < sizes["plain"] + 3000
    assert len(head.candidates) == 199
    loaded, _ = load_model(tmp_path / "searched")
    assert loaded.candidates is None
    assert loaded.searched_ == head.searched_


def test_the_card_says_what_was_chosen() -> None:
    s = study()
    head = fit_on_train(s, small_head("logreg", search=GOOD_AND_BAD))
    card = model_card(s, "logreg", {"C": 0.1}, seed=0, positive="villain", fitted=head)
    assert card["search"] == head.searched_
    assert set(card["search"]) == {"params", "score", "tried"}
    assert json.loads(json.dumps(card["search"])) == card["search"]
