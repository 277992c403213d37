"""PERMDISP: a class that is wider is found, one that merely lies elsewhere is not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from scipy import optimize, stats

from classifiers.findings.dispersion import KEPT, Spread, directions, spatial_medians, spread
from classifiers.findings.mixed import exchanges

Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

SCENARIOS: dict[str, dict[str, Any]] = {
    "alike": {},
    "alike, 3 sd apart": {"shift": 3.0},
    "alike, styles strong": {"icc": 0.6},
    "alike, every series of one role": {"lean": "pure"},
    "alike, 12 series": {"n_series": 12},
    "alike, a fifth are villains": {"lean": "few", "icc": 0.5},
    "villains 1.1 times as wide": {"scale": 1.1},
    "villains 1.2 times as wide": {"scale": 1.2},
}


def drawn(
    rng: np.random.Generator,
    *,
    n_series: int = 45,
    d: int = 10,
    icc: float = 0.3,
    scale: float = 1.0,
    shift: float = 0.8,
    lean: str = "demo",
) -> tuple[Floats, Mask, np.ndarray[Any, Any]]:
    """Images in d columns, whether each is a villain, and its series."""
    series = np.repeat(np.arange(n_series), rng.integers(3, 9, n_series))
    share = {
        "demo": rng.choice([0.95, 0.05, 0.5], n_series, p=[0.35, 0.35, 0.3]),
        "pure": (rng.random(n_series) < 0.5).astype(float),
        "few": rng.beta(0.2, 0.8, n_series),
    }[lean]
    role = rng.random(len(series)) < share[series]
    values = np.sqrt(icc) * rng.normal(size=(n_series, d))[series]
    values = values + np.sqrt(1 - icc) * rng.normal(size=(len(series), d))
    values *= np.where(role, scale, 1.0)[:, None]
    values[:, 0] += shift * role
    return values, role, series


def compared(rng: np.random.Generator, draws: int = 199, **options: Any) -> Spread:
    values, role, series = drawn(rng, **options)
    return spread(values, exchanges(role, [series], draws=draws, rng=rng))


def trials(options: dict[str, Any], n: int, seed: int = 5) -> tuple[float, float]:
    """Shares of simulations that are called a difference, and that the interval covers."""
    rng = np.random.default_rng(seed)
    found = [one for one in (compared(rng, **options) for _ in range(n)) if not one.reason]
    truth = options.get("scale", 1.0)
    covers = [one.low is not None and one.high is not None and one.low <= truth <= one.high for one in found]
    return float(np.mean([(one.p or 1.0) <= 0.05 for one in found])), float(np.mean(covers))


def bounds(n: int, share: float) -> tuple[float, float]:
    """Ends of the binomial's 99% interval, as shares."""
    low, high = stats.binom.interval(0.99, n, share)
    return float(low) / n, float(high) / n


def test_a_wider_class_is_found_and_its_width_lies_in_the_interval() -> None:
    found = compared(np.random.default_rng(0), scale=1.4)
    assert found.p is not None
    assert found.low is not None
    assert found.high is not None
    assert found.p <= 0.01
    assert 1.0 < found.low < 1.4 < found.high


def test_a_narrower_class_is_found_too() -> None:
    found = compared(np.random.default_rng(0), scale=0.7)
    assert found.p is not None
    assert found.high is not None
    assert found.p <= 0.01
    assert found.high < 1.0


def test_a_class_that_lies_elsewhere_is_not_wider() -> None:
    rate, _ = trials({"shift": 5.0}, 100)
    low, high = bounds(100, 0.05)
    assert low <= rate <= high


def test_the_units_of_columns_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    values, role, series = drawn(rng, scale=1.3)
    made = exchanges(role, [series], draws=99, rng=rng)
    plain, scaled = spread(values, made), spread(values * 10.0 ** np.arange(10) + 5, made)
    assert scaled.ratio == pytest.approx(plain.ratio)
    assert scaled.p == plain.p


def test_columns_that_repeat_each_other_count_once() -> None:
    rng = np.random.default_rng(1)
    values, role, series = drawn(rng, scale=1.3)
    made = exchanges(role, [series], draws=99, rng=rng)
    again = np.column_stack([values, *(values[:, [0]] * k for k in range(2, 12)), np.ones(len(values))])
    plain, repeated = spread(values, made), spread(again, made)
    assert (plain.n_columns, repeated.n_columns) == (10, 20)
    assert repeated.n_directions <= 10
    assert repeated.ratio == pytest.approx(plain.ratio, abs=0.05)


def test_directions_hold_what_varies_within_a_class_each_as_much() -> None:
    rng = np.random.default_rng(2)
    values, role, _ = drawn(
        rng, shift=50.0
    )  # the classes lie far apart, along no direction that is kept for it
    points, n_columns = directions(values, role)
    inner = points - np.where(role[:, None], points[role].mean(0), points[~role].mean(0))
    assert n_columns == 10
    assert np.cov(inner.T, ddof=0) == pytest.approx(np.eye(points.shape[1]), abs=1e-9)
    assert points.shape[1] < 10  # the last directions are beyond what is kept
    assert KEPT < 1


def test_few_images_have_few_directions() -> None:
    rng = np.random.default_rng(2)
    role = np.arange(60) % 2 == 0
    points, _ = directions(rng.normal(size=(60, 40)), role)
    assert points.shape == (60, 6)


def test_the_spatial_median_is_the_point_of_least_mean_distance() -> None:
    rng = np.random.default_rng(3)
    points = np.vstack([rng.normal(size=(40, 3)), rng.normal(size=(5, 3)) + 30])
    middle, far = spatial_medians(points, np.ones((1, 45)))
    best = optimize.minimize(lambda m: np.linalg.norm(points - m, axis=1).mean(), points.mean(0), tol=1e-10)
    assert middle[0] == pytest.approx(best.x, abs=1e-3)
    assert far[0] == pytest.approx(np.linalg.norm(points - middle[0], axis=1))
    assert np.abs(middle[0]).max() < 1  # where the many are, not the mean, which lies at 3


def test_what_cannot_be_compared_says_why() -> None:
    rng = np.random.default_rng(0)
    series = np.arange(120) // 4
    role = rng.random(120) < 0.5
    made = exchanges(role, [series], draws=99, rng=rng)
    assert spread(np.ones((120, 4)), made).reason == "no column varies within a class"
    assert spread(np.empty((120, 0)), made).reason == "no column varies within a class"
    few = exchanges(np.isin(np.arange(120), [0, 10, 20]), [series], draws=99, rng=rng)
    assert "a class has 3 images" in spread(rng.normal(size=(120, 4)), few).reason
    small = exchanges(role, [np.arange(120) // 24], draws=99, rng=rng)
    found = spread(rng.normal(size=(120, 4)), small)
    assert found.ratio is not None
    assert (found.p, found.low) == (None, None)
    assert "5 groups, and fewer than 10" in found.reason


def test_the_same_draws_give_the_same_numbers() -> None:
    assert compared(np.random.default_rng(4)) == compared(np.random.default_rng(4))


def published() -> dict[str, list[float]]:
    """Rows of the table of simulations in docs/findings.md, as shares."""
    rows = re.findall(
        r"^\| ([^|]+) \|((?: *\d+(?:\.\d+)? *\|){2})$", (ROOT / "docs/findings.md").read_text(), re.M
    )
    return {name.strip(): [float(cell) / 100 for cell in cells.split("|")[:-1]] for name, cells in rows}


def test_the_page_has_every_simulation_and_alike_is_called_wider_as_rarely_as_it_says() -> None:
    found = published()
    assert set(SCENARIOS) <= set(found)
    low, high = bounds(1000, 0.05)
    for name in SCENARIOS:
        if name.startswith("alike"):
            assert low <= found[name][0] <= high, name


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_table_of_simulations_is_what_comes_out(name: str) -> None:
    assert np.abs(np.subtract(trials(SCENARIOS[name], 1000), published()[name])).max() <= 0.006
