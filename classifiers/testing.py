"""Conformance of heads: every module of ``classifiers.heads`` is found and tested unasked.

Owns what kyara asks of a head beyond scikit-learn's own checks, params that keep the suite short,
and the list of scikit-learn's checks that a head is known to fail. That list may only shrink: a
check on it that passes is an error. A new head needs no line here unless it is slow.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from classifiers.registry import EARLY, LIKELIEST, PACKAGE, head_names, make_head
from featurestore import plugins
from featurestore.params import HEAD_CONTEXT, DecisionParams, FusionParams, SearchParams
from featurestore.schema import check_keywords

if TYPE_CHECKING:
    import numpy.typing as npt

    from classifiers.head import Head

__all__ = ["CHECKS", "EXPECTED_FAILED_CHECKS", "SMALL", "rows", "small_head", "small_heads"]

#: Params that make a head quick; all others keep their defaults.
SMALL: dict[str, dict[str, Any]] = {
    "extratrees": {"n_estimators": 10},
    "hgb": {"max_iter": 10},
    "mlp": {"hidden": (16, 8, 8), "max_iter": 60, "learning_rate_init": 0.01},
    "rf": {"n_estimators": 10},
    "xgb": {"n_estimators": 10},
}

#: For the checks in which a head is fitted a hundred times.
_TINY: dict[str, dict[str, Any]] = {
    "extratrees": {"n_estimators": 3},
    "hgb": {"max_iter": 3},
    "mlp": {"hidden": (8,), "max_iter": 10, "learning_rate_init": 0.01},
    "rf": {"n_estimators": 3},
    "xgb": {"n_estimators": 3},
}

#: Head -> check of scikit-learn -> why it fails.
EXPECTED_FAILED_CHECKS: dict[str, dict[str, str]] = {}

#: Columns that ``convention`` knows, so that its rule is at work in `rows`.
_KNOWN = ("design/warm_share", "design/cool_share", "design/shadow_density", "design/angularity")

_LABELS = ("antihero", "hero", "villain", *(f"role{i}" for i in range(7)))


def small_head(
    name: str,
    *,
    seed: int = 0,
    n_classes: int = 2,
    positive: int = 1,
    fusion: FusionParams = EARLY,
    decision: DecisionParams = LIKELIEST,
    search: SearchParams | None = None,
) -> Head:
    """One head with params that make it quick."""
    return make_head(
        name,
        SMALL.get(name, {}),
        seed=seed,
        n_classes=n_classes,
        positive=positive,
        fusion=fusion,
        decision=decision,
        search=search,
    )


def small_heads() -> dict[str, Head]:
    """Every head there is, by name."""
    return {name: small_head(name) for name in head_names()}


def rows(
    n: int = 120, d: int = 12, *, n_classes: int = 2, seed: int = 0, missing: float = 0.05
) -> tuple[pd.DataFrame, npt.NDArray[np.object_]]:
    """Rows whose first columns tell the class, some NaN throughout, and their labels.

    Parameters
    ----------
    n, d : int
        Rows and columns.
    n_classes : int
        At most 10; one class has twice the rows of the others.
    seed : int
        Of the drawing.
    missing : float
        Share of the rows that could not be computed.

    Returns
    -------
    X : DataFrame of float32, shape (n, d)
        Columns named ``extractor/column``, of two extractors where ``d`` is more than 4.
    y : ndarray of object, shape (n,)
        Labels as text.
    """
    rng = np.random.default_rng(seed)
    codes = np.maximum(np.arange(n) % (n_classes + 1) - 1, 0)
    values = rng.normal(size=(n, d))
    centres = rng.normal(scale=2.0, size=(n_classes, min(d, 6)))
    values[:, : min(d, 6)] += centres[codes]
    values[rng.random(n) < missing] = np.nan
    names = [_KNOWN[i] if i < len(_KNOWN) else f"fake/c{i}" for i in range(d)]
    labels = np.array(_LABELS[:n_classes], dtype=object)
    return pd.DataFrame(values.astype(np.float32), columns=names), labels[codes]


def _check_proba(head: Head, X: pd.DataFrame | npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    proba = head.predict_proba(X)
    assert proba.dtype == np.float64
    assert proba.shape == (len(X), len(head.classes_))
    assert np.all((proba >= 0) & (proba <= 1))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=0, atol=1e-12)
    said = proba.argmax(axis=1)
    if hasattr(head, "threshold_"):
        said = np.where(proba[:, head.positive] >= head.threshold_, head.positive, 1 - head.positive)
    np.testing.assert_array_equal(head.predict(X), head.classes_[said])
    return proba


def check_classes(name: str, fusion: FusionParams = EARLY) -> None:
    """Two, three and ten classes give probabilities, labels sorted."""
    for n_classes in (2, 3, 10):
        X, y = rows(n_classes=n_classes)
        head = small_head(name, fusion=fusion, n_classes=n_classes).fit(X, y)
        assert head.classes_.tolist() == sorted(set(y))
        _check_proba(head, X)


def check_same_seed_same_bits(name: str, fusion: FusionParams = EARLY) -> None:
    """Two fits with one seed give bitwise the same probabilities."""
    X, y = rows(n_classes=3)
    first, second = (
        small_head(name, fusion=fusion, seed=7, n_classes=3).fit(X, y).predict_proba(X) for _ in range(2)
    )
    assert first.tobytes() == second.tobytes()


def check_missing_rows(name: str, fusion: FusionParams = EARLY) -> None:
    """Rows and columns that are NaN throughout are imputed, in training and in scoring."""
    X, y = rows(missing=0.3)
    X.iloc[:, 3] = np.nan
    head = small_head(name, fusion=fusion).fit(X, y)
    nothing = pd.DataFrame(np.full((3, X.shape[1]), np.nan, dtype=np.float32), columns=X.columns)
    proba = _check_proba(head, nothing)
    assert np.all(proba == proba[0])


def check_one_and_many_columns(name: str, fusion: FusionParams = EARLY, many: int = 5000) -> None:
    """One column, and 5,000 on few rows, will do."""
    for n, d in ((60, 1), (40, many)):
        X, y = rows(n, d)
        _check_proba(small_head(name, fusion=fusion).fit(X, y), X)


def check_named_and_plain(name: str, fusion: FusionParams = EARLY) -> None:
    """An array works like a DataFrame; columns under other names are refused."""
    X, y = rows()
    plain = small_head(name, fusion=fusion).fit(X.to_numpy(), y)
    _check_proba(plain, X.to_numpy())
    assert not hasattr(plain, "feature_names_in_")
    named = small_head(name, fusion=fusion).fit(X, y)
    assert named.feature_names_in_.tolist() == X.columns.tolist()
    refused = ""
    try:
        named.predict(X.rename(columns={X.columns[0]: "fake/other"}))
    except ValueError as error:
        refused = str(error)
    assert "feature names" in refused


def check_saved_and_loaded(name: str, fusion: FusionParams = EARLY) -> None:
    """Saved, loaded and saved again: the same bytes, bitwise the same probabilities."""
    for n_classes in (2, 3):
        X, y = rows(n_classes=n_classes)
        _check_round_trip(small_head(name, fusion=fusion, n_classes=n_classes).fit(X, y), X)


def _check_round_trip(head: Head, X: pd.DataFrame) -> Head:
    """The head that comes back from the disk."""
    from classifiers.persistence.artifact import load_model, save_model

    before, said = head.predict_proba(X), head.predict(X)
    with tempfile.TemporaryDirectory() as root:
        first, second = Path(root, "first"), Path(root, "second")
        save_model(first, head, {"head": "a head"})
        loaded, card = load_model(first)
        save_model(second, loaded, card)
        files = {path.name: path.read_bytes() for path in first.iterdir()}
        assert files == {path.name: path.read_bytes() for path in second.iterdir()}
    assert loaded.predict_proba(X).tobytes() == before.tobytes()
    assert head.predict_proba(X).tobytes() == before.tobytes()
    np.testing.assert_array_equal(loaded.predict(X), said)
    return loaded


def _any_search(name: str) -> SearchParams:
    """Two candidates of a head's first param: its value, twice."""
    build = plugins.load(PACKAGE, name, key="model").build
    values = check_keywords(build, _TINY.get(name), f"heads.{name}", given=HEAD_CONTEXT)
    param, value = next(iter(values.items()))
    return SearchParams({param: [value, value]})


def _tuned_head(name: str, *, n_classes: int, fusion: FusionParams, decision: DecisionParams) -> Head:
    return make_head(
        name,
        _TINY.get(name, {}),
        seed=3,
        n_classes=n_classes,
        positive=1,
        fusion=fusion,
        decision=decision,
        search=_any_search(name) if decision.threshold != "default" else None,
    )


def check_tuned(name: str, fusion: FusionParams = EARLY) -> None:
    """Searched, and with a threshold: the same bits with one seed, and saved and loaded too."""
    X, y = rows(60)
    first, second = (
        _tuned_head(name, n_classes=2, fusion=fusion, decision=DecisionParams("f1")).fit(
            X, y, groups=np.arange(60) // 2
        )
        for _ in range(2)
    )
    assert 0 <= first.threshold_ <= 1
    assert first.searched_["tried"] == 2
    assert first.threshold_ == second.threshold_
    assert first.searched_ == second.searched_ == _check_round_trip(first, X).searched_
    assert _check_proba(first, X).tobytes() == second.predict_proba(X).tobytes()


def check_calibrated(name: str, fusion: FusionParams = EARLY) -> None:
    """Calibrated, with two classes and with three: constant where it was constant, saved and loaded."""
    for n_classes in (2, 3):
        X, y = rows(60, n_classes=n_classes)
        plain, head = (
            _tuned_head(name, n_classes=n_classes, fusion=fusion, decision=decision).fit(X, y)
            for decision in (LIKELIEST, DecisionParams(calibration="sigmoid"))
        )
        assert head.sigmoid_.shape == ({2: 1, 3: 3}[n_classes], 2)
        constant = [np.all(one == one[0]) for one in (_check_proba(h, X) for h in (plain, head))]
        assert constant[0] == constant[1]
        _check_round_trip(head, X)


#: What a head must do beyond scikit-learn's checks; each takes its name and, perhaps, another fusion.
CHECKS: tuple[Callable[..., None], ...] = (
    check_classes,
    check_same_seed_same_bits,
    check_missing_rows,
    check_one_and_many_columns,
    check_named_and_plain,
    check_saved_and_loaded,
    check_tuned,
    check_calibrated,
)
