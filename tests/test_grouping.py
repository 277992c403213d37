from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from classifiers.explanation.grouping import ALIKE, Unit, axes, clusters, members, opaque, players, units
from extractors.zoo.design import COLUMNS, GROUPS


def table(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """Two columns that say the same, one that says the opposite, two that say something else."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=n)
    return pd.DataFrame(
        {
            "toy/one": base + 0.1 * rng.normal(size=n),
            "toy/alone": rng.normal(size=n),
            "toy/two": np.exp(base) + 0.01 * rng.normal(size=n),
            "toy/opposite": -base + 0.1 * rng.normal(size=n),
            "toy/other": rng.normal(size=n),
        }
    )


def of(parts: tuple[Unit, ...], level: str) -> dict[str, Unit]:
    return {one.name: one for one in parts if one.level == level}


def test_columns_that_say_the_same_up_or_down_share_one_cluster() -> None:
    found = of(units(table()), "cluster")
    assert sorted(one.columns for one in found.values()) == [(0, 2, 3), (1,), (4,)]
    together = next(one for one in found.values() if len(one.columns) == 3)
    signs = dict(zip(together.columns, together.signs, strict=True))
    assert signs[0] == signs[2] == -signs[3]
    assert together.name in ("toy/one", "toy/two", "toy/opposite")


def test_each_two_columns_of_a_cluster_are_alike_even_along_a_chain() -> None:
    rng = np.random.default_rng(1)
    steps = [rng.normal(size=2000)]
    for _ in range(7):  # each resembles the one before, the ends do not resemble each other
        steps.append(0.85 * steps[-1] + 0.53 * rng.normal(size=2000))
    ranks = np.argsort(np.argsort(np.array(steps), axis=1), axis=1)
    rho = np.corrcoef(ranks)
    found = clusters(rho)
    assert sorted(i for part in found for i in part) == list(range(8))
    assert 1 < len(found) < 8
    for part in found:
        assert np.abs(rho[np.ix_(part, part)]).min() >= ALIKE


def test_clusters_do_not_depend_on_the_scale_or_bend_of_a_column() -> None:
    data = table()
    bent = data.assign(**{"toy/one": np.exp(3 * data["toy/one"]), "toy/alone": 1e6 * data["toy/alone"]})
    assert [one.columns for one in units(bent)] == [one.columns for one in units(data)]


def test_a_constant_column_and_one_without_a_value_are_like_no_other() -> None:
    data = table().assign(**{"toy/alone": 3.0, "toy/other": np.nan})
    assert sorted(one.columns for one in of(units(data), "cluster").values()) == [(0, 2, 3), (1,), (4,)]


def test_rows_that_could_not_be_computed_do_not_hide_what_is_alike() -> None:
    data = table()
    data.iloc[:30] = np.nan
    assert (0, 2, 3) in [one.columns for one in of(units(data), "cluster").values()]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["clip/000", "clip/767"], [True, True]),
        ([f"clip/e{i:03d}" for i in range(16)], [True] * 16),
        ([f"toy/c{i}" for i in range(15)], [False] * 15),
        ([f"toy/c{i}" for i in range(10)] + [f"other/c{i}" for i in range(10)], [False] * 20),
        (["design/red_mean", "clip/concept: a scar", "clip/concept: take 2"], [False] * 3),
    ],
)
def test_columns_are_opaque_where_a_number_is_all_their_name_says(
    names: list[str], expected: list[bool]
) -> None:
    assert opaque(names).tolist() == expected


def test_an_embedding_is_one_block_and_its_concepts_are_columns() -> None:
    rng = np.random.default_rng(0)
    names = ["design/red_mean", *(f"clip/e{i:03d}" for i in range(20)), "clip/concept: a scar"]
    found = units(pd.DataFrame(rng.normal(size=(50, 22)), columns=names))
    assert list(of(found, "column")) == ["design/red_mean", "clip/concept: a scar"]
    block = of(found, "block")["clip"]
    assert (block.columns, block.group, block.signs) == (tuple(range(1, 21)), "clip", ())
    assert all(1 not in one.columns for one in of(found, "cluster").values()), (
        "nobody can read a cluster of these"
    )
    whole = members(players(found), 22)
    assert (whole.sum(axis=0) == 1).all(), "players hold every column once"


def test_only_opaque_columns_leave_no_columns_and_no_clusters() -> None:
    rng = np.random.default_rng(0)
    names = [f"{one}/e{i:03d}" for one in ("clip", "dlib") for i in range(20)]
    found = units(pd.DataFrame(rng.normal(size=(30, 40)), columns=names))
    assert [(one.level, one.name) for one in found] == [("block", "clip"), ("block", "dlib")]


def test_design_columns_have_their_group_and_hypotheses_their_columns() -> None:
    rng = np.random.default_rng(0)
    found = units(pd.DataFrame(rng.normal(size=(90, 63)), columns=[f"design/{c}" for c in COLUMNS]))
    columns = of(found, "column")
    for group, names in GROUPS.items():
        assert {columns[f"design/{name}"].group for name in names} == {group}
    warm = of(found, "hypothesis")["warm_palette"]
    named = {COLUMNS[i]: sign for i, sign in zip(warm.columns, warm.signs, strict=True)}
    assert named == {"warm_share": -1, "cool_share": 1}
    assert len(of(found, "hypothesis")) == 6


def test_a_hypothesis_without_columns_is_left_out() -> None:
    found = units(pd.DataFrame({"design/roundness": [0.1, 0.5, 0.3], "toy/warm_share": [1.0, 2.0, 0.0]}))
    assert list(of(found, "hypothesis")) == ["angularity"]


def test_more_of_a_unit_is_the_signed_mean_of_its_standardised_columns() -> None:
    data = table()
    parts = units(data)
    amount = axes(data.to_numpy(), parts)
    together = next(i for i, one in enumerate(parts) if len(one.columns) == 3)
    rho = np.corrcoef(amount[:, together], data["toy/one"])[0, 1]
    assert abs(rho) > 0.8, "opposite columns must not cancel"
    alone = next(i for i, one in enumerate(parts) if one.name == "toy/alone")
    assert np.allclose(amount[:, alone].std(), 1)
    assert np.allclose(amount[:, alone].mean(), 0)
