from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from classifiers.head import Head
from classifiers.registry import head_names, make_head, max_rows
from classifiers.testing import (
    CHECKS,
    EXPECTED_FAILED_CHECKS,
    check_one_and_many_columns,
    rows,
    small_head,
    small_heads,
)
from extractors.conventions import HYPOTHESES, convention_scores
from extractors.zoo import design
from featurestore import plugins
from featurestore.errors import ParamsError
from featurestore.params import HEAD_CONTEXT
from featurestore.schema import check_keywords

ROOT = Path(__file__).parents[1]
HEADS = small_heads()
LEARNERS = sorted(set(head_names()) - {"convention", "dummy"})


def _expected_to_fail(head: Head) -> dict[str, str]:
    name = next(name for name, known in HEADS.items() if known is head)
    return EXPECTED_FAILED_CHECKS.get(name, {})


@parametrize_with_checks(list(HEADS.values()), expected_failed_checks=_expected_to_fail, xfail_strict=True)
def test_every_head_is_a_scikit_learn_classifier(estimator: Head, check: Callable[[Head], None]) -> None:
    check(estimator)


def test_the_list_of_failing_checks_names_heads_that_exist() -> None:
    assert set(EXPECTED_FAILED_CHECKS) <= set(head_names())


#: Head and check that take most of a minute: 5,000 columns have a covariance of 25 million.
SLOW = {("lda", check_one_and_many_columns)}


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param(
            name,
            check,
            id=f"{name}-{check.__name__}",
            marks=[pytest.mark.slow] if (name, check) in SLOW else [],
        )
        for name in head_names()
        for check in CHECKS
    ],
)
def test_every_head_conforms(name: str, check: Callable[..., None]) -> None:
    check(name)


def test_the_slow_one_takes_many_columns_too() -> None:
    check_one_and_many_columns("lda", many=1000)


def test_the_twelve_heads_are_found() -> None:
    assert set(head_names()) >= {
        "convention", "dummy", "extratrees", "hgb", "knn", "lda", "logreg", "mlp", "nb", "rf", "svm", "xgb",
    }  # fmt: skip


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_beats_chance(name: str) -> None:
    X, codes = make_classification(300, 63, n_informative=12, n_redundant=10, class_sep=1.0, random_state=0)
    y = np.array(["hero", "villain"], dtype=object)[codes]
    head = make_head(name, {}, seed=0, n_classes=2, positive=1).fit(X[:200], y[:200])
    assert roc_auc_score(y[200:] == "villain", head.predict_proba(X[200:])[:, 1]) > 0.65


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_finds_the_rare_class(name: str) -> None:
    rng = np.random.default_rng(0)
    y = np.where(np.arange(600) % 10 == 0, "villain", "hero").astype(object)
    X = rng.normal(size=(600, 8))
    X[:, :4] += np.where(y == "villain", 0.5, -0.5)[:, None]
    fitted = small_head(name).fit(X[:300], y[:300])
    assert (fitted.predict(X[300:])[y[300:] == "villain"] == "villain").mean() > 0.5


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
def test_logreg_knows_three_penalties(penalty: str) -> None:
    X, y = rows(d=40)
    head = make_head("logreg", {"penalty": penalty, "C": 0.05}, seed=0, n_classes=2, positive=1).fit(X, y)
    zeros = np.mean(head.pipeline_[-1].coef_ == 0)
    assert (zeros == 0) == (penalty == "l2")


def test_the_mlp_keeps_its_loss_curve() -> None:
    X, y = rows()
    head = small_head("mlp").fit(X, y)
    assert [row["epoch"] for row in head.loss_curve_] == list(range(1, len(head.loss_curve_) + 1))
    assert {"epoch", "loss", "validation_score"} == set(head.loss_curve_[0])
    assert len(head.pipeline_[-1].estimator_.coefs_) == 4  # three hidden layers
    assert not hasattr(small_head("logreg").fit(X, y), "loss_curve_")


def test_one_class_is_an_error_that_names_it() -> None:
    X, _ = rows(20)
    with pytest.raises(ValueError, match="one class: 'hero'"):
        small_head("logreg").fit(X, np.full(20, "hero", dtype=object))


def test_infinity_is_refused_and_nan_is_not() -> None:
    X, y = rows()
    X.iloc[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        small_head("logreg").fit(X, y)


def test_a_head_leaves_its_pipeline_unfitted() -> None:
    X, y = rows()
    head = small_head("logreg").fit(X, y)
    assert not hasattr(head.pipeline[-1], "coef_")


# The rule


def test_every_column_of_the_rule_is_a_design_column() -> None:
    named = {column for signs in HYPOTHESES.values() for column in signs}
    assert named <= set(design.COLUMNS)
    assert {sign for signs in HYPOTHESES.values() for sign in signs.values()} == {-1, 1}


def _design_rows(n: int = 80) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(3)
    columns = [f"design/{column}" for column in design.COLUMNS]
    y = np.array(["hero", "villain"], dtype=object)[rng.integers(2, size=n)]
    return pd.DataFrame(rng.normal(size=(n, len(columns))), columns=columns), y


def test_the_parts_of_the_rule_add_up_to_its_probability() -> None:
    X, y = _design_rows()
    head = small_head("convention").fit(X, y)
    parts = head.parts(X)
    assert parts.columns.tolist() == list(HYPOTHESES) == head.pipeline_[-1].parts_
    logit = parts.to_numpy().sum(axis=1) / 0.4
    np.testing.assert_allclose(head.predict_proba(X)[:, 1], 1 / (1 + np.exp(-logit)), rtol=1e-12)


def test_the_rule_and_the_design_labels_have_one_formula() -> None:
    X, y = _design_rows()
    X.iloc[::7] = np.nan
    X["design/cool_share"] = 0.25
    X["design/scar_likelihood"] = np.nan
    train = np.arange(len(X)) % 3 > 0
    head = small_head("convention").fit(X[train], y[train])
    scores = convention_scores(X.to_numpy(np.float32), design.COLUMNS, train)
    np.testing.assert_allclose(scores, head.parts(X).to_numpy().sum(axis=1), rtol=0, atol=1e-6)
    exact = convention_scores(X.to_numpy(), design.COLUMNS, np.flatnonzero(train))
    np.testing.assert_allclose(exact, head.parts(X).to_numpy().sum(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(exact > 0, head.predict(X) == "villain")


def test_conventions_without_a_column_are_an_error() -> None:
    with pytest.raises(ValueError, match="no column that a design convention speaks of"):
        convention_scores(np.zeros((3, 1)), ["hue_mean"], np.arange(3))


def test_the_rule_learns_nothing_from_which_row_has_which_label() -> None:
    X, y = _design_rows()
    first = small_head("convention").fit(X, y).predict_proba(X)
    second = small_head("convention").fit(X, y[::-1]).predict_proba(X)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("column", "sign"), [(c, s) for signs in HYPOTHESES.values() for c, s in signs.items()]
)
def test_more_of_a_column_moves_the_rule_by_its_sign(column: str, sign: int) -> None:
    X, y = _design_rows()
    head = small_head("convention").fit(X, y)
    moved = X.assign(**{f"design/{column}": X[f"design/{column}"] + 1})
    assert np.all(sign * (head.predict_proba(moved) - head.predict_proba(X))[:, 1] > 0)


def test_the_rule_speaks_for_the_positive_class_and_leaves_the_rest_by_share() -> None:
    X, y = rows(n_classes=3)
    head = small_head("convention", n_classes=3, positive=2).fit(X, y)
    proba = head.predict_proba(X)
    shares = [np.mean(y == label) for label in head.classes_]
    np.testing.assert_allclose(proba[:, 0] / proba[:, 1], shares[0] / shares[1])


def test_without_a_known_column_the_rule_gives_the_shares() -> None:
    X, y = rows()
    head = small_head("convention").fit(X.to_numpy(), y)
    assert head.pipeline_[-1].parts_ == []
    assert head.parts(X.to_numpy()).shape == (len(X), 0)
    np.testing.assert_allclose(head.predict_proba(X.to_numpy())[:, 1], np.mean(y == "hero"))


def test_only_the_rule_has_parts() -> None:
    assert not hasattr(small_head("logreg"), "parts")
    assert hasattr(small_head("convention"), "parts")


# Names and params


def test_an_unknown_head_is_an_error_that_lists_them() -> None:
    with pytest.raises(ParamsError, match=r"model: no 'nosuch'; one of: convention, dummy, "):
        make_head("nosuch", {}, seed=0, n_classes=2, positive=1)


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("logreg", {"C": -1.0}, "-1.0 is out of range; above 0"),
        ("svm", {"C": 0.0}, "0.0 is out of range; above 0"),
        ("mlp", {"hidden": (8, 0)}, "hidden"),
        ("mlp", {"hidden": ()}, "hidden"),
        ("rf", {"n_estimators": 0}, "0 is out of range; 1 or more"),
        ("xgb", {"subsample": 2.0}, "subsample"),
        ("convention", {"temperature": 0.0}, "temperature"),
        ("lda", {"shrinkage": 2.0}, "2.0 is out of range; from 0 to 1"),
        ("rf", {"nosuch": 1}, "nosuch"),
    ],
)
def test_a_value_out_of_range_is_an_error_before_anything_is_fitted(
    name: str, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(ParamsError, match=rf"heads\.{name}[.:].*{said}"):
        make_head(name, params, seed=0, n_classes=2, positive=1)


@pytest.mark.parametrize("name", head_names())
def test_params_yaml_holds_every_param_at_its_default(name: str) -> None:
    block = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["heads"][name]
    build = plugins.load("classifiers.heads", name, key="model").build
    keywords = [k for k in inspect.signature(build).parameters if k not in HEAD_CONTEXT]
    assert list(block) == keywords
    given = check_keywords(build, block, f"heads.{name}", given=HEAD_CONTEXT)
    assert given == check_keywords(build, None, f"heads.{name}", given=HEAD_CONTEXT)


@pytest.mark.parametrize("name", head_names())
def test_the_documentation_names_every_head_and_param(name: str) -> None:
    text = (ROOT / "docs" / "heads.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    build = plugins.load("classifiers.heads", name, key="model").build
    for keyword in inspect.signature(build).parameters:
        assert keyword in HEAD_CONTEXT or f"`{keyword}`" in line


def test_heads_whose_cost_outgrows_their_rows_say_how_many_they_take() -> None:
    limits = {name: max_rows(name) for name in head_names()}
    assert {name: limit for name, limit in limits.items() if limit is not None} == {
        "knn": 100_000,
        "svm": 20_000,
    }
    with pytest.raises(ParamsError, match="no 'nosuch'"):
        max_rows("nosuch")


@pytest.mark.parametrize("name", head_names())
def test_the_documentation_says_how_many_rows_a_head_takes(name: str) -> None:
    text = (ROOT / "docs" / "heads.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    limit = max_rows(name)
    assert line.endswith(f"| {limit:,} |" if limit else "| |")


def test_listing_and_reading_schemas_imports_nothing_heavy() -> None:
    code = (
        "import sys, typing\n"
        "from classifiers.registry import head_names\n"
        "from featurestore import plugins\n"
        "for name in head_names():\n"
        "    typing.get_type_hints(plugins.load('classifiers.heads', name, key='model').build)\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'sklearn', 'xgboost', 'skops'} & set(sys.modules)\n"
        "print(*sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
