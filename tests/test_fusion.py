from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from studies import change, study, two_extractors

from classifiers.fusion import BlockScaler
from classifiers.head import Head
from classifiers.predictions import cross_validate, cv_folds
from classifiers.registry import EARLY, head_names, make_head
from classifiers.tables import fusion_said
from classifiers.testing import CHECKS, check_one_and_many_columns, rows, small_head
from classifiers.train import model_card
from featurestore.errors import ParamsError
from featurestore.params import FusionParams, parse_params

LATE, SCALED = FusionParams("late"), FusionParams("early", block_scaling=True)

#: Heads whose answer depends on how columns compare in size, with their default params.
MOVED = ["knn", "logreg", "mlp", "svm"]
LEARNERS = sorted(set(head_names()) - {"convention", "dummy"})

#: The width of the rows is early fusion's matter, and its check is slow.
FUSED_CHECKS = [check for check in CHECKS if check is not check_one_and_many_columns]


def one_block(X: pd.DataFrame) -> pd.DataFrame:
    return X.rename(columns=lambda name: "all/" + name.replace("/", "-"))


# Every head, whatever the fusion


@parametrize_with_checks([small_head("knn", fusion=LATE), small_head("logreg", fusion=SCALED)])
def test_a_fused_head_is_a_scikit_learn_classifier(estimator: Head, check: Callable[[Head], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("check", FUSED_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", head_names())
def test_every_head_conforms_under_late_fusion(name: str, check: Callable[..., None]) -> None:
    check(name, LATE)


@pytest.mark.parametrize("check", FUSED_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["lda", "logreg", "rf", "svm"])
def test_a_head_conforms_with_its_blocks_scaled(name: str, check: Callable[..., None]) -> None:
    check(name, SCALED)


@pytest.mark.parametrize("fusion", [LATE, SCALED])
@pytest.mark.parametrize("name", head_names())
def test_with_one_extractor_every_fusion_is_early_bit_for_bit(name: str, fusion: FusionParams) -> None:
    X, y = rows(n_classes=3, missing=0.2)
    for table in (one_block(X), X.to_numpy()):
        early, other = (
            small_head(name, n_classes=3, fusion=how).fit(table, y).predict_proba(table)
            for how in (EARLY, fusion)
        )
        assert early.tobytes() == other.tobytes()


def test_one_extractor_named_design_gives_the_rule_the_same_bits() -> None:
    X, y = rows(d=4)
    early, late = (small_head("convention", fusion=how).fit(X, y) for how in (EARLY, LATE))
    assert early.predict_proba(X).tobytes() == late.predict_proba(X).tobytes()
    pd.testing.assert_frame_equal(early.parts(X), late.parts(X))


# Early, blocks scaled


def test_every_block_weighs_the_same_and_the_rows_keep_their_length() -> None:
    X, _ = two_extractors(widths=(3, 48))
    scaled = BlockScaler().fit_transform((X - X.mean()) / X.std(ddof=0))
    few, many = np.square(scaled[:, :3]).sum(axis=1).mean(), np.square(scaled[:, 3:]).sum(axis=1).mean()
    assert few == pytest.approx(many)
    assert few + many == pytest.approx(51)


def test_columns_without_a_slash_are_one_block() -> None:
    names = ["a", "b", "c", "few/x", "d"]
    factor = BlockScaler().fit(pd.DataFrame(np.zeros((2, 5)), columns=names)).factor_
    np.testing.assert_allclose(factor, np.sqrt([5 / 8, 5 / 8, 5 / 8, 5 / 2, 5 / 8]))
    assert (BlockScaler().fit(np.zeros((2, 5))).factor_ == 1.0).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_scaling_blocks_moves_the_heads_that_the_documentation_names(name: str) -> None:
    X, y = two_extractors()
    early, scaled = (
        small_head(name, fusion=how).fit(X[:100], y[:100]).predict_proba(X[100:]) for how in (EARLY, SCALED)
    )
    assert (np.abs(early - scaled).max() > 0.01) == (name in MOVED)


def test_lda_is_moved_where_its_shrinkage_is_a_number() -> None:
    X, y = two_extractors()
    params = {"shrinkage": 0.5}
    early, scaled = (
        make_head("lda", params, seed=0, n_classes=2, positive=1, fusion=how).fit(X, y).predict_proba(X)
        for how in (EARLY, SCALED)
    )
    assert np.abs(early - scaled).max() > 0.01


def test_few_columns_are_heard_beside_many() -> None:
    X, y = two_extractors(widths=(3, 400), n=300)
    auc = {
        how: roc_auc_score(
            y[200:], small_head("knn", fusion=how).fit(X[:200], y[:200]).predict_proba(X[200:])[:, 1]
        )
        for how in (EARLY, SCALED, LATE)
    }
    assert auc[EARLY] + 0.1 < auc[SCALED]
    assert auc[EARLY] + 0.1 < auc[LATE]


# Late


def test_late_fusion_is_the_average_of_one_head_an_extractor() -> None:
    X, y = two_extractors()
    late = small_head("logreg", fusion=LATE).fit(X, y)
    alone = [
        small_head("logreg").fit(X.filter(like=b), y).predict_proba(X.filter(like=b))
        for b in ("few/", "many/")
    ]
    np.testing.assert_allclose(late.predict_proba(X), np.mean(alone, axis=0), rtol=1e-12)
    assert list(late.pipeline_.pipelines_) == ["few", "many"]


def test_an_extractor_without_a_row_takes_no_part_in_its_average() -> None:
    X, y = two_extractors()
    late = small_head("logreg", fusion=LATE).fit(X, y)
    alone = small_head("logreg").fit(X.filter(like="few/"), y)
    gone = X.copy()
    gone.loc[5, X.columns.str.startswith("many/")] = np.nan
    proba = late.predict_proba(gone)
    np.testing.assert_allclose(proba[5], alone.predict_proba(X.filter(like="few/"))[5], rtol=1e-12)
    np.testing.assert_array_equal(np.delete(proba, 5, 0), np.delete(late.predict_proba(X), 5, 0))
    gone.loc[5, "many/c0"] = 1.0  # one value is a row
    assert not np.allclose(late.predict_proba(gone)[5], proba[5], atol=1e-3)


def test_a_row_that_no_extractor_has_is_the_average_of_what_all_say_of_medians() -> None:
    X, y = two_extractors()
    late = small_head("logreg", fusion=LATE).fit(X, y)
    nothing, medians = (
        pd.DataFrame([row], columns=X.columns) for row in (np.full(X.shape[1], np.nan), X.median())
    )
    np.testing.assert_allclose(late.predict_proba(nothing), late.predict_proba(medians), rtol=1e-12)


@pytest.mark.parametrize("name", head_names())
def test_an_extractor_without_any_train_row_is_left_out(name: str) -> None:
    X, y = two_extractors()
    gone = X.copy()
    gone.loc[:99, X.columns.str.startswith("many/")] = np.nan
    late = small_head(name, fusion=LATE).fit(gone[:100], y[:100])
    alone = small_head(name).fit(X.filter(like="few/")[:100], y[:100])
    expected = alone.predict_proba(X.filter(like="few/")[100:])
    if name != "convention":
        assert list(late.pipeline_.pipelines_) == ["few"]
    assert late.predict_proba(gone[100:]).tobytes() == expected.tobytes()


def test_where_nothing_could_be_computed_late_fusion_still_answers() -> None:
    X, y = two_extractors()
    late = small_head("logreg", fusion=LATE).fit(X * np.nan, y)
    np.testing.assert_allclose(late.predict_proba(X * np.nan), 0.5, atol=1e-6)


def test_the_rule_is_the_same_whatever_the_fusion() -> None:
    X, y = rows()
    early, late = (small_head("convention", fusion=how).fit(X, y) for how in (EARLY, LATE))
    assert early.predict_proba(X).tobytes() == late.predict_proba(X).tobytes()
    assert late.parts(X).shape[1] == len(late.pipeline_[-1].parts_) > 0
    assert not hasattr(small_head("logreg", fusion=LATE), "parts")


def test_the_mlp_keeps_one_loss_curve_an_extractor() -> None:
    X, y = rows()
    curve = small_head("mlp", fusion=LATE).fit(X, y).loss_curve_
    of = {name: [row["epoch"] for row in curve if row["extractor"] == name] for name in ("design", "fake")}
    assert all(epochs == list(range(1, len(epochs) + 1)) for epochs in of.values())
    assert sum(map(len, of.values())) == len(curve)
    assert not hasattr(small_head("rf", fusion=LATE).fit(X, y), "loss_curve_")


def test_everything_is_fitted_inside_the_fold() -> None:
    s = study()
    X = s.features.rename(columns={"toy/c2": "other/c2", "toy/c3": "other/c3"})
    s = change(s, features=X)
    folds = cv_folds(s, folds=3, repeats=1, seed=0)
    poisoned = s.features.copy()
    poisoned.iloc[folds[0].scored] *= 100.0
    for fusion in (LATE, SCALED):
        heads: list[Any] = []
        for table in (s.features, poisoned):
            found: list[Head] = []

            def make(found: list[Head] = found, fusion: FusionParams = fusion) -> Head:
                found.append(small_head("logreg", fusion=fusion))
                return found[-1]

            cross_validate(change(s, features=table), {"logreg": make}, folds)
            heads.append(found[0].predict_proba(s.features))
        assert heads[0].tobytes() == heads[1].tobytes()


# Params, card, words


def test_the_card_tells_a_fusion_that_is_not_the_default() -> None:
    s = study()
    plain = model_card(s, "rf", {}, seed=1, positive="villain")
    assert "fusion" not in plain
    late = model_card(s, "rf", {}, seed=1, positive="villain", fusion=LATE)
    assert late == {**plain, "fusion": {"method": "late", "block_scaling": False}}


def test_a_fusion_that_can_move_nothing_is_not_told() -> None:
    assert [fusion_said(how, 2) for how in (EARLY, SCALED, LATE)] == [
        "",
        "early fusion, blocks scaled",
        "late fusion",
    ]
    assert not any(fusion_said(how, 1) for how in (EARLY, SCALED, LATE))


def test_fusion_is_a_block_of_params() -> None:
    raw = {"seed": 1, "features": ["design"], "model": "rf"}
    assert parse_params(raw).fusion == EARLY
    assert parse_params({**raw, "fusion": {"method": "late"}}).fusion == LATE
    for wrong, said in (
        ({"method": "mid"}, "fusion.method: 'mid' is not one of: early, late"),
        ({"block_scaling": 1}, "fusion.block_scaling: 1 is not"),
        ({"blocks": True}, "fusion.blocks: unknown key"),
    ):
        with pytest.raises(ParamsError, match=said):
            parse_params({**raw, "fusion": wrong})
