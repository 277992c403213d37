from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from studies import change, study, write_house, write_index

from classifiers.blocks import rows as blocks
from classifiers.blocks.boosting import fit_histograms
from classifiers.blocks.logistic import fit_logistic
from classifiers.data import read_study
from classifiers.head import Head
from classifiers.registry import head_names, make_head
from classifiers.testing import CHECKS, check_one_and_many_columns, rows, small_head
from featurestore.params import FusionParams

BY_BLOCKS = ("hgb", "logreg", "xgb")


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows count as many, in blocks of some dozen values."""
    monkeypatch.setattr(blocks, "MANY", 1)
    monkeypatch.setattr(blocks, "_BLOCK", 1000)


def _apart(monkeypatch: pytest.MonkeyPatch, head: Head, X: Any, y: Any) -> tuple[Head, Head]:
    """A head fitted at once, and one that was fitted in blocks."""
    at_once = clone(head).fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "MANY", 1)
        patch.setattr(blocks, "_BLOCK", 1000)
        return at_once, clone(head).fit(X, y)


# The rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_holes_are_filled_as_scikit_learn_fills_them(dtype: Any, order: Any) -> None:
    rng = np.random.default_rng(0)
    X = np.array(rng.normal(size=(101, 21)), dtype=dtype, order=order)
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:, 4] = np.nan
    imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(X.astype(np.float64))
    filled, before = imputer.transform(X.astype(np.float64)), X.copy()
    made = blocks.imputed(X)
    np.testing.assert_array_equal(made.filled, imputer.statistics_)
    for part, block in made.blocks(7):
        np.testing.assert_array_equal(block, filled[part])
    for part, block in made.blocks(7, np.float32):
        assert block.dtype == np.float32
        np.testing.assert_array_equal(block, filled[part].astype(np.float32))
    for part, columns in made.columns():
        np.testing.assert_array_equal(columns, filled[:, part])
    np.testing.assert_array_equal(X, before)


def test_rows_without_holes_are_handed_out_as_they_are() -> None:
    X = np.zeros((10, 3), dtype=np.float32)
    assert all(np.shares_memory(block, X) for _, block in blocks.imputed(X).blocks(4, np.float32))


def test_rows_are_many_by_their_values_and_a_list_never_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MANY", 11)
    X = np.zeros((4, 3))
    assert blocks.many(X)
    assert blocks.many(pd.DataFrame(X))
    assert not blocks.many(X[:, :2])
    assert not blocks.many(X.tolist())


@pytest.mark.parametrize("n_lacking", [0, 3])
def test_the_rows_of_a_large_study_are_mapped_and_are_the_same(
    n_lacking: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = study(n=120)
    write_house(tmp_path, whole)
    some = np.arange(n_lacking, 120)
    index = {k: getattr(whole, k)[some] for k in ("keys", "paths", "labels", "groups", "splits", "status")}
    write_index(tmp_path / "dataset.csv", change(whole, features=whole.features.iloc[some], **index))
    small = read_study(tmp_path / "features.h5", tmp_path / "dataset.csv", group_by="series")
    monkeypatch.setattr(blocks, "MANY", 1)
    large = read_study(tmp_path / "features.h5", tmp_path / "dataset.csv", group_by="series")
    values = large.features.to_numpy()
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, small.features.to_numpy())
    every = np.arange(120 - n_lacking)
    assert large.features_digest(every[::2]) == small.features_digest(every[::2])
    while isinstance(values, np.ndarray) and not isinstance(values, np.memmap):
        values = values.base
    assert isinstance(values, np.memmap) == (n_lacking == 0)


# The heads


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("name", [*BY_BLOCKS, "convention", "nb"])
@pytest.mark.parametrize("check", [check for check in CHECKS if check is not check_one_and_many_columns])
def test_heads_conform_in_blocks(name: str, check: Callable[..., None]) -> None:
    check(name)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("name", BY_BLOCKS)
def test_one_column_and_many_will_do_in_blocks(name: str) -> None:
    check_one_and_many_columns(name, many=500)


@pytest.mark.parametrize("fusion", [FusionParams(), FusionParams(block_scaling=True), FusionParams("late")])
@pytest.mark.parametrize("name", sorted(set(head_names()) - {"hgb", "knn", "xgb"}))
def test_in_blocks_a_head_says_the_same(
    name: str, fusion: FusionParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows(400, 20, n_classes=3)
    at_once, in_blocks = _apart(monkeypatch, small_head(name, n_classes=3, fusion=fusion), X, y)
    np.testing.assert_allclose(in_blocks.predict_proba(X), at_once.predict_proba(X), atol=2e-6)
    assert vars(in_blocks).keys() == vars(at_once).keys()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", BY_BLOCKS)
def test_in_blocks_a_head_is_made_of_the_same_parts(
    name: str, n_classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows(400, 20, n_classes=n_classes)
    fitted = _apart(monkeypatch, small_head(name, n_classes=n_classes), X, y)
    for first, second in zip(*([step for _, step in head.pipeline_.steps] for head in fitted), strict=True):
        for one, other in ((first, second), (_inner(first), _inner(second))):
            assert type(one) is type(other)
            assert {k: type(v) for k, v in vars(one).items()} == {k: type(v) for k, v in vars(other).items()}
            arrays = {k for k, v in vars(one).items() if isinstance(v, np.ndarray)}
            assert all(getattr(one, k).dtype == getattr(other, k).dtype for k in arrays)


def _inner(step: Any) -> Any:
    return getattr(step, "estimator_", step)


@pytest.mark.parametrize("name", ["hgb", "xgb"])
def test_in_blocks_trees_find_what_they_find_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows(3000, 12, seed=1)
    X = X + np.random.default_rng(0).normal(scale=3, size=X.shape)
    at_once, in_blocks = _apart(
        monkeypatch, make_head(name, {}, seed=0, n_classes=2, positive=1), X[::2], y[::2]
    )
    first, second = (
        roc_auc_score(y[1::2] == "hero", head.predict_proba(X[1::2])[:, 1]) for head in (at_once, in_blocks)
    )
    assert first > 0.6
    assert abs(first - second) < 0.02


@pytest.mark.usefixtures("many")
def test_infinity_is_refused_in_blocks_too() -> None:
    X, y = rows()
    X.iloc[-1, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        small_head("logreg").fit(X, y)


@pytest.mark.usefixtures("many")
def test_xgboost_leaves_no_file_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    X, y = rows(400)
    small_head("xgb").fit(X, y)
    assert list(tmp_path.iterdir()) == []


# Their optimum, and their trees


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_the_optimum_is_that_of_scikit_learn(l1_ratio: float, n_classes: int) -> None:
    X, y = rows(500, 15, n_classes=n_classes, missing=0)
    X = X.to_numpy() * np.linspace(0.1, 5, 15, dtype=np.float32) + np.linspace(-9, 9, 15, dtype=np.float32)
    codes = np.unique(y, return_inverse=True)[1]
    scaler = StandardScaler().fit(X.astype(np.float64))
    how = {"C": 0.05, "l1_ratio": l1_ratio, "class_weight": "balanced", "max_iter": 100_000, "tol": 1e-9}
    exact = LogisticRegression(solver="saga" if l1_ratio else "lbfgs", **how)
    exact.fit(scaler.transform(X.astype(np.float64)), codes)
    model = LogisticRegression(**how)
    fit_logistic(model, blocks.imputed(X), codes, scaler.mean_, scaler.scale_)
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=2e-5)
    shift = 0 if n_classes == 2 else model.intercept_.mean() - exact.intercept_.mean()  # is not penalised
    np.testing.assert_allclose(model.intercept_ - shift, exact.intercept_, atol=1e-4)
    if l1_ratio:
        np.testing.assert_array_equal(model.coef_ == 0, exact.coef_ == 0)
        assert (model.coef_ == 0).any()


def test_beyond_200000_rows_the_trees_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    codes = (rng.random(200_100) < 0.3).astype(np.intp)
    X = (rng.normal(size=(len(codes), 9)) + codes[:, None] * 0.3).astype(np.float32)
    how = {"max_iter": 3, "class_weight": "balanced", "early_stopping": False, "random_state": 3}
    plain, model = (HistGradientBoostingClassifier(**how) for _ in range(2))
    plain.fit(X, codes)
    fit_histograms(model, blocks.imputed(X), codes)
    assert model.predict_proba(X).tobytes() == plain.predict_proba(X).tobytes()
    assert type(model) is HistGradientBoostingClassifier


def test_a_solver_that_ends_early_says_so() -> None:
    X, y = rows(missing=0)
    codes = np.unique(y, return_inverse=True)[1]
    with pytest.warns(UserWarning, match="did not converge"):
        fit_logistic(
            LogisticRegression(max_iter=1, C=10), blocks.imputed(X), codes, np.zeros(12), np.ones(12)
        )
