from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from classifiers.explanation.attribution import Attribution, attribute
from classifiers.explanation.shapley import drawn, sampled
from classifiers.head import Head
from classifiers.registry import head_names, make_head
from classifiers.testing import rows, small_head
from featurestore.params import DecisionParams, FusionParams, SearchParams

ROOT = Path(__file__).parents[1]
CLOSED = ("convention", "dummy", "lda", "logreg", "nb")
TREES = ("extratrees", "hgb", "rf", "xgb")
SIGMOID = DecisionParams(calibration="sigmoid")


def answers(head: Head, X: pd.DataFrame, unit: str, positive: int) -> npt.NDArray[np.float64]:
    """What contributions must add up to, from the probabilities that everybody sees."""
    proba = head.predict_proba(X)
    if unit == "probability":
        return proba[:, positive]
    logs = np.log(proba)
    return logs[:, positive] - np.delete(logs, positive, axis=1).mean(axis=1)


def brute_force(ask: Any, x: Any, background: Any) -> npt.NDArray[np.float64]:
    """Shapley values by their definition: over all subsets of the columns."""
    d = len(x)

    def value(columns: tuple[int, ...]) -> float:
        made = background.copy()
        made[:, list(columns)] = x[list(columns)]
        return float(np.mean(ask(made)))

    phi = np.zeros(d)
    for j in range(d):
        others = [i for i in range(d) if i != j]
        for size in range(d):
            for part in combinations(others, size):
                phi[j] += (value((*part, j)) - value(part)) / (d * comb(d - 1, size))
    return phi


def fitted(name: str, n_classes: int = 2, d: int = 6, **how: Any) -> tuple[Head, pd.DataFrame]:
    X, y = rows(90, d, n_classes=n_classes, missing=0.1)
    X = X.astype(np.float64) / 3  # so that no probability is all but 0 or 1
    return small_head(name, n_classes=n_classes, **how).fit(X, y), X


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", head_names())
def test_contributions_and_base_add_up_to_what_every_head_says(name: str, n_classes: int) -> None:
    head, X = fitted(name, n_classes)
    assert X.isna().to_numpy().any()
    for positive in range(n_classes):
        found = attribute(head, X[:25], X, positive=positive, seed=0, draws=12)
        assert found.values.shape == (25, 6)
        assert np.isfinite(found.values).all()
        said = answers(head, X[:25], found.unit, positive)
        np.testing.assert_allclose(found.margin, said, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", head_names())
def test_the_base_is_the_mean_answer_over_the_background(name: str, n_classes: int) -> None:
    head, X = fitted(name, n_classes)
    found = attribute(head, X[:3], X[:40], positive=1, seed=0)
    usual = answers(head, X[:40], found.unit, 1).mean()
    np.testing.assert_allclose(found.base, usual, rtol=2e-5, atol=1e-5)


def test_each_head_is_explained_in_its_own_way() -> None:
    ways = {}
    for name in head_names():
        head, X = fitted(name)
        found = attribute(head, X[:2], X, positive=1, seed=0, draws=4)
        ways[name] = (found.method, found.unit)
    assert ways == {
        "convention": ("closed form", "log-odds"),
        "dummy": ("closed form", "probability"),
        "extratrees": ("exact, trees", "probability"),
        "hgb": ("exact, trees", "log-odds"),
        "knn": ("sampled", "probability"),
        "lda": ("closed form", "log-odds"),
        "logreg": ("closed form", "log-odds"),
        "mlp": ("sampled", "log-odds"),
        "nb": ("closed form", "log-odds"),
        "rf": ("exact, trees", "probability"),
        "svm": ("sampled", "log-odds"),
        "xgb": ("exact, trees", "log-odds"),
    }


def test_the_closed_form_is_that_of_shaps_linear_explainer() -> None:
    import shap

    head, X = fitted("logreg")
    z = head.pipeline_[:-1].transform(X)
    theirs = shap.LinearExplainer(head.pipeline_[-1], shap.maskers.Independent(z, max_samples=len(z)))
    found = attribute(head, X, X, positive=1, seed=0)
    np.testing.assert_allclose(found.values, theirs.shap_values(z), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.base, theirs.expected_value, rtol=1e-9)
    opposite = attribute(head, X, X, positive=0, seed=0)
    np.testing.assert_allclose(opposite.values, -found.values)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", [*CLOSED, *TREES])
def test_closed_forms_and_trees_are_the_values_of_the_definition(name: str, n_classes: int) -> None:
    head, X = fitted(name, n_classes, d=4)
    whole = X.dropna()
    found = attribute(head, whole[:3], whole[:20], positive=1, seed=0)

    def ask(values: Any) -> npt.NDArray[np.float64]:
        return answers(head, pd.DataFrame(values, columns=X.columns), found.unit, 1)

    for i in range(3):
        expected = brute_force(ask, whole.to_numpy()[i], whole.to_numpy()[:20])
        np.testing.assert_allclose(found.values[i], expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["knn", "mlp", "svm"])
def test_sampled_values_come_near_the_definition(name: str) -> None:
    head, X = fitted(name, d=4)
    whole = X.dropna()
    found = attribute(head, whole[:4], whole, positive=1, seed=0, draws=50)
    background = drawn(whole.to_numpy(), 50, seed=0)

    def ask(values: Any) -> npt.NDArray[np.float64]:
        return answers(head, pd.DataFrame(values, columns=X.columns), found.unit, 1)

    expected = np.array([brute_force(ask, whole.to_numpy()[i], background) for i in range(4)])
    assert np.abs(found.values - expected).max() < 0.15 * np.abs(expected).max()


def test_equal_players_get_equal_shares_and_an_idle_one_gets_nothing() -> None:
    rng = np.random.default_rng(0)
    background, players = rng.normal(size=(50, 4)), np.arange(4)
    background[:, 1] = background[:, 0]
    row = np.array([[1.5, 1.5, -2.0, 7.0]])

    def ask(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.tanh(z[:, 0] + z[:, 1]) * z[:, 2]  # the last column is idle

    values, base = sampled(ask, row, background, players, seed=1)
    assert values[0, 3] == 0
    many, _ = sampled(ask, row, np.tile(background, (400, 1)), players, seed=1)
    assert many[0, 0] == pytest.approx(many[0, 1], abs=0.03)
    assert many[0, 0] == pytest.approx(brute_force(ask, row[0], background)[0], abs=0.03)
    assert base + values.sum() == pytest.approx(ask(row)[0])


def test_of_a_sum_sampling_finds_every_share_exactly() -> None:
    rng = np.random.default_rng(0)
    b, z, w = rng.normal(size=(20, 5)), rng.normal(size=(3, 5)), rng.normal(size=5)
    values, _ = sampled(lambda rows: rows @ w, z, b, np.arange(5), seed=0)
    np.testing.assert_allclose(values, w * (z - b.mean(axis=0)), atol=1e-12)


def test_an_order_and_its_reverse_are_exact_where_no_more_than_two_columns_act_together() -> None:
    rng = np.random.default_rng(0)
    b, z = rng.normal(size=(6, 4)), rng.normal(size=(1, 4))

    def ask(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return rows[:, 0] * rows[:, 1] - rows[:, 2] * rows[:, 3] + rows[:, 1] * rows[:, 3]

    values, _ = sampled(ask, z, b, np.arange(4), seed=0)
    np.testing.assert_allclose(values[0], brute_force(ask, z[0], b), atol=1e-12)


def test_rows_are_sampled_in_orders_of_their_own_so_that_errors_average_out() -> None:
    rng = np.random.default_rng(0)
    b, row = rng.normal(size=(4, 6)), rng.normal(size=6)
    alike = row + 1e-9 * np.arange(100)[:, None]

    def ask(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.tanh(rows.prod(axis=1) * 5)

    values, _ = sampled(ask, alike, b, np.arange(6), seed=0)
    expected = brute_force(ask, row, b)
    error = np.abs(values - expected).mean()
    assert error > 1e-3
    assert np.abs(values.mean(axis=0) - expected).mean() < error / 3


@pytest.mark.parametrize("name", ["logreg", "convention", *TREES])
def test_a_column_that_the_head_ignores_has_no_part(name: str) -> None:
    X, y = rows(90, 6, missing=0)
    X.iloc[:, 5] = 1.0  # it never varied where the head was fitted
    head = small_head(name).fit(X, y)
    X.iloc[:, 5] = np.arange(90.0)
    found = attribute(head, X[:10], X, positive=1, seed=0)
    np.testing.assert_array_equal(found.values[:, 5], 0)
    assert np.abs(found.values[:, :5]).max() > 0


def test_a_row_that_could_not_be_computed_is_explained_as_the_median_that_it_gets() -> None:
    head, X = fitted("logreg")
    missing = pd.DataFrame(np.full((1, 6), np.nan), columns=X.columns)
    median = X.median().to_frame().T
    found, expected = (attribute(head, one, X, positive=1, seed=0).values for one in (missing, median))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["mlp", "rf", "logreg"])
def test_a_rows_contributions_repeat_and_do_not_depend_on_other_rows(name: str) -> None:
    head, X = fitted(name)
    X = X.dropna()
    whole, again = (attribute(head, X[:6], X, positive=1, seed=3, draws=10) for _ in range(2))
    assert whole.values.tobytes() == again.values.tobytes()
    alone = attribute(head, X[4:5], X, positive=1, seed=3, draws=10)
    np.testing.assert_allclose(alone.values[0], whole.values[4], rtol=1e-12, atol=1e-15)
    if name == "mlp":
        other = attribute(head, X[:6], X, positive=1, seed=4, draws=10)
        assert not np.allclose(other.values, whole.values)


# ---- groups of columns


@pytest.mark.parametrize("name", ["logreg", "rf", "mlp", "dummy"])
def test_columns_of_a_group_are_one_player(name: str) -> None:
    head, X = fitted(name)
    grouped = attribute(head, X[:8], X, positive=1, seed=0, groups=[[0, 2], [1], [3, 4, 5]])
    single = attribute(head, X[:8], X, positive=1, seed=0)
    assert grouped.values.shape == (8, 3)
    np.testing.assert_allclose(grouped.margin, single.margin, rtol=1e-9, atol=1e-9)
    if name in ("logreg", "rf"):
        np.testing.assert_allclose(grouped.values[:, 0], single.values[:, [0, 2]].sum(axis=1))
        np.testing.assert_allclose(grouped.values[:, 1], single.values[:, 1])


def test_all_columns_as_one_player_get_all_that_there_is() -> None:
    head, X = fitted("mlp")
    found = attribute(head, X[:5], X, positive=1, seed=0, groups=[range(6)])
    np.testing.assert_allclose(found.values[:, 0], found.margin - found.base)


@pytest.mark.parametrize(
    "groups", [[[0, 1, 2]], [[0, 1, 2, 3, 4, 5], [5]], [[0, 1, 2, 3, 4], [4]], [[], range(6)]]
)
def test_groups_that_do_not_hold_every_column_once_are_refused(groups: Any) -> None:
    head, X = fitted("logreg")
    with pytest.raises(ValueError, match="each column stands in one group"):
        attribute(head, X, X, positive=1, seed=0, groups=groups)


def test_other_columns_no_background_and_no_such_class_are_refused() -> None:
    head, X = fitted("logreg")
    with pytest.raises(ValueError, match="feature names"):
        attribute(head, X[X.columns[::-1]], X, positive=1, seed=0)
    with pytest.raises(ValueError, match="background"):
        attribute(head, X, X[:0], positive=1, seed=0)
    with pytest.raises(ValueError, match="code of none of 2 classes"):
        attribute(head, X, X, positive=2, seed=0)


# ---- what is wrapped around a head


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("name", ["logreg", "hgb", "svm"])
def test_a_sigmoid_is_part_of_log_odds_contributions(name: str, positive: int) -> None:
    head, X = fitted(name, decision=SIGMOID)
    found = attribute(head, X[:20], X, positive=positive, seed=0, draws=8)
    assert found.unit == "log-odds"
    np.testing.assert_allclose(
        found.margin, answers(head, X[:20], "log-odds", positive), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(("name", "n_classes"), [("rf", 2), ("knn", 2), ("logreg", 3), ("dummy", 3)])
def test_other_calibrated_answers_are_probabilities_and_sampled(name: str, n_classes: int) -> None:
    head, X = fitted(name, n_classes, decision=SIGMOID)
    found = attribute(head, X[:10], X, positive=1, seed=0, draws=8)
    assert (found.unit, found.method) == ("probability", "sampled")
    np.testing.assert_allclose(found.margin, head.predict_proba(X[:10])[:, 1], rtol=1e-9, atol=1e-9)


def test_a_searched_head_and_scaled_blocks_are_explained_like_any_other() -> None:
    X, y = rows(90, 8, missing=0.1)
    for how in ({"search": SearchParams({"C": [0.01, 1.0]})}, {"fusion": FusionParams("early", True)}):
        head = make_head("logreg", {}, seed=0, n_classes=2, positive=1, **how).fit(X, y)
        found = attribute(head, X[:20], X, positive=1, seed=0)
        assert found.method == "closed form"
        np.testing.assert_allclose(found.margin, answers(head, X[:20], "log-odds", 1), rtol=1e-6, atol=1e-6)


def late(name: str, **how: Any) -> tuple[Head, pd.DataFrame]:
    X, y = rows(90, 6, missing=0)
    X.iloc[3, :4] = np.nan  # one extractor has no row here
    X.iloc[4] = np.nan  # and neither here
    return small_head(name, fusion=FusionParams("late"), **how).fit(X, y), X


@pytest.mark.parametrize("name", ["logreg", "rf", "hgb", "knn"])
def test_late_fusion_adds_up_whichever_extractors_have_a_row(name: str) -> None:
    head, X = late(name)
    found = attribute(head, X[:10], X[10:50], positive=1, seed=0, draws=20)
    assert found.unit == "probability"
    assert found.method == ("exact, trees" if name == "rf" else "sampled")
    np.testing.assert_allclose(found.margin, head.predict_proba(X[:10])[:, 1], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found.values[3, :4], 0)  # it was not heard
    assert name == "knn" or found.base[3] != pytest.approx(found.base[0])


def test_late_fusion_of_forests_is_the_definition_and_groups_go_across_extractors() -> None:
    head, X = late("rf")
    X = X[10:]
    found = attribute(head, X[:2], X[:20], positive=1, seed=0)

    def ask(values: Any) -> npt.NDArray[np.float64]:
        return head.predict_proba(pd.DataFrame(values, columns=X.columns))[:, 1]

    expected = brute_force(ask, X.to_numpy()[0], X.to_numpy()[:20])
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-5, atol=1e-6)
    grouped = attribute(head, X[:2], X[:20], positive=1, seed=0, groups=[[0, 5], [1, 2, 3, 4]])
    np.testing.assert_allclose(grouped.values[:, 0], found.values[:, [0, 5]].sum(axis=1))


def test_late_fusion_calibrated_adds_up_too() -> None:
    head, X = late("logreg", decision=SIGMOID)
    found = attribute(head, X[:8], X[10:50], positive=1, seed=0, draws=10)
    np.testing.assert_allclose(found.margin, head.predict_proba(X[:8])[:, 1], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.values[3, :4], 0, atol=1e-15)


def test_a_background_is_drawn_the_same_each_time_and_kept_in_order() -> None:
    values = np.arange(200.0)[:, None]
    first, again = (drawn(values, 50, seed=0) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(first) == 50
    assert (np.diff(first[:, 0]) > 0).all()
    assert drawn(values, 200, seed=0) is values


def test_linear_heads_are_explained_without_shap() -> None:
    code = (
        "import sys; from classifiers.testing import rows, small_head;"
        "from classifiers.explanation.attribution import attribute;"
        "X, y = rows(40, 5); head = small_head('logreg').fit(X, y);"
        "print(attribute(head, X, X, positive=1, seed=0).method, 'shap' in sys.modules, 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["closed", "form", "False", "False"]


def test_what_is_attributed_is_a_value() -> None:
    one = Attribution(np.ones((1, 2)), np.array([0.5]), "closed form", "log-odds")
    assert one.margin.tolist() == [2.5]
