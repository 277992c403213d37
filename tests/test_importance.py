"""What a head goes by is found, beside what exchanged labels give."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import studies

from classifiers.data import Study
from classifiers.explain import Importances, explain, importances
from classifiers.labellings import plan, sampled_groups
from classifiers.registry import head_names, make_head
from classifiers.scoring import Scoring
from featurestore.params import FusionParams

HOW = Scoring(1, 3, 2, 100, 7)
QUICK = {
    "rf": {"n_estimators": 12}, "extratrees": {"n_estimators": 12}, "xgb": {"n_estimators": 10},
    "hgb": {"max_iter": 10}, "mlp": {"max_iter": 10, "hidden": [8]},
}  # fmt: skip


def toy(names: list[str] | None = None, *, effect: float = 2.0, seed: int = 0, **options: Any) -> Study:
    """Six columns of images in 40 groups of one class each: the first follows the class, the second is its twin."""
    n_groups, n = 40, 160
    rng = np.random.default_rng(seed)
    made = studies.study(n=n, n_groups=n_groups, seed=seed, **options)
    group = np.arange(n) % n_groups
    code = group // 5 % len(made.classes)
    values = rng.normal(size=(n, 6)) + 0.3 * rng.normal(size=(n_groups, 6))[group]
    values[:, 0] += effect * code
    values[:, 1] = values[:, 0] + 0.1 * rng.normal(size=n)
    columns = names or [f"toy/{name}" for name in ("signal", "twin", "n1", "n2", "n3", "n4")]
    labels = np.array(made.classes)[code]
    return studies.change(
        made, features=pd.DataFrame(values, columns=columns), labels=labels,
        blocks=tuple(dict.fromkeys(name.partition("/")[0] for name in columns)),
        status=np.zeros((n, len({name.partition("/")[0] for name in columns})), dtype=np.uint8),
    )  # fmt: skip


def makers(n_classes: int = 2, **fusion: Any) -> dict[str, Callable[[], Any]]:
    return {
        name: partial(
            make_head, name, QUICK.get(name, {}), seed=7, n_classes=n_classes, positive=1,
            fusion=FusionParams(**fusion),
        )
        for name in head_names()
    }  # fmt: skip


def measure(study: Study, name: str = "logreg", *, permutations: int = 20, **changes: Any) -> Importances:
    options = {"images": 2000, **changes}
    heads = options.pop("heads", makers(len(study.classes)))
    return importances(
        study, heads, options.pop("how", HOW), name=name, permutations=permutations, images=options["images"]
    )


def of(found: Importances, level: str, method: str) -> dict[str, Any]:
    return {one.unit.name: one for one in found.lines if one.unit.level == level and one.method == method}


@pytest.mark.parametrize("method", ["coefficient", "forest", "shap"])
def test_a_planted_column_is_first_and_at_the_least_p(method: str) -> None:
    lines = of(measure(toy()), "column", method)
    ranked = sorted(lines, key=lambda name: -lines[name].mean)
    assert set(ranked[:2]) == {"toy/signal", "toy/twin"}
    assert min(lines["toy/signal"].p, lines["toy/twin"].p) == pytest.approx(1 / 21)
    assert min(lines[f"toy/n{i}"].p for i in (1, 2, 3, 4)) > 1 / 21
    assert lines[ranked[0]].mean > lines[ranked[0]].null_high


def test_more_of_it_speaks_for_or_against_the_positive_class() -> None:
    study = toy()
    lines = of(measure(study), "column", "coefficient")
    assert lines["toy/signal"].direction == 1
    turned = study.features.assign(**{"toy/signal": -study.features["toy/signal"]})
    lines = of(measure(studies.change(study, features=turned)), "column", "coefficient")
    assert lines["toy/signal"].direction == -1


def test_twins_hide_each_other_and_their_cluster_does_not() -> None:
    found = measure(toy(), "rf")
    alone, together = of(found, "column", "permutation"), of(found, "cluster", "permutation")
    (cluster,) = [one for one in together.values() if len(one.unit.columns) == 2]
    assert set(cluster.unit.columns) == {0, 1}
    assert cluster.mean > 0.3, "without both the head knows nothing"
    assert alone["toy/signal"].mean < 0.6 * cluster.mean
    assert cluster.p == pytest.approx(1 / 21)


def test_a_dominant_column_is_in_the_top_of_every_fold() -> None:
    names = [f"toy/{name}" for name in ("signal", "twin")]
    study = toy()
    rng = np.random.default_rng(3)
    noise = pd.DataFrame(
        rng.normal(size=(160, 14)), columns=[f"toy/noise {'abcdefghijklmn'[i]}" for i in range(14)]
    )
    wide = pd.concat([study.features[names], noise], axis=1)
    lines = of(measure(studies.change(study, features=wide)), "column", "shap")
    assert lines["toy/signal"].top_ten == 1.0
    assert sum(one.top_ten for one in lines.values()) == pytest.approx(10)
    assert min(one.top_ten for one in lines.values()) < 1


def test_p_is_spread_evenly_where_no_column_knows_anything() -> None:
    """Of 60 columns in ten studies; the least p is 1/21, and p <= 5/21 comes in about a quarter."""
    once = Scoring(1, 3, 1, 100, 7)
    studies_found = [measure(toy(effect=0.0, seed=seed), how=once) for seed in range(10)]
    for method in ("coefficient", "shap"):
        p = np.array([one.p for found in studies_found for one in of(found, "column", method).values()])
        assert 4 <= (p <= 5 / 21).sum() <= 27, "14 are expected; columns of one study go together"
        assert 0.3 < p.mean() < 0.75


def test_an_embedding_is_one_row_and_a_concept_a_column() -> None:
    names = ["clip/000", "clip/001", "clip/002", "clip/003", "clip/concept: a scar", "toy/size"]
    found = measure(toy(names))
    assert set(of(found, "block", "shap")) == {"clip"}
    assert set(of(found, "column", "shap")) == {"clip/concept: a scar", "toy/size"}
    block = of(found, "block", "shap")["clip"]
    assert block.direction == 0, "nobody can say what more of it means"
    assert block.mean > of(found, "column", "shap")["toy/size"].mean


@pytest.mark.parametrize("name", head_names())
def test_every_head_can_be_asked(name: str) -> None:
    """Contributions and base add up to the margin; a head that looks at nothing goes by nothing."""
    found = measure(toy(), name, permutations=20, how=Scoring(1, 3, 1, 100, 7))
    shap = of(found, "column", "shap")
    assert len(shap) == 6
    told = found.contributions
    np.testing.assert_allclose(told.base + told.values.sum(axis=1), told.margin, atol=1e-6)
    if name in ("dummy", "convention"):  # no column here is one of design
        assert all(one.mean == 0 for one in shap.values())
    else:
        assert max(shap, key=lambda one: shap[one].mean) in {"toy/signal", "toy/twin"}


def test_a_method_without_its_head_is_left_out() -> None:
    heads = {"knn": makers()["knn"]}
    assert {one.method for one in measure(toy(), "knn", heads=heads).lines} == {"permutation", "shap"}


def test_late_fusion_and_missing_rows_are_asked_too() -> None:
    names = ["one/a", "one/b", "two/a", "two/b", "two/c", "two/d"]
    study = toy(names)
    study.features.iloc[::7, 2:] = np.nan
    found = measure(study, heads=makers(method="late"))
    shap = of(found, "column", "shap")
    assert max(shap, key=lambda one: shap[one].mean) in {"one/a", "one/b"}
    assert np.isfinite([one.mean for one in shap.values()]).all()


def test_of_three_classes_the_positive_one_is_told_from_the_rest() -> None:
    found = measure(toy(labels=("a", "b", "c")), "logreg")
    assert of(found, "column", "coefficient")["toy/signal"].mean > 0
    assert found.contributions.hit.mean() == pytest.approx(1 / 3, abs=0.15)


def test_what_learned_is_asked_of_val_alone_and_has_no_null() -> None:
    study = studies.change(toy(), fitted_on={"toy": "0" * 64})
    found = measure(study)
    assert len(found.plan.folds) == 1
    assert set(found.contributions.rows.tolist()) <= set(study.rows_of("val").tolist())
    assert all(one.p is None for one in found.lines)
    assert any("fitted on train" in note for note in found.notes)


def test_test_is_never_asked() -> None:
    study = toy()
    changed = study.features.copy()
    changed.iloc[study.rows_of("test")] = 1e6
    one, other = measure(study), measure(studies.change(study, features=changed))
    assert [line.row() for line in one.lines] == [line.row() for line in other.lines]


def test_beyond_the_limit_whole_groups_are_drawn_and_it_is_said() -> None:
    study = toy()
    found = measure(study, images=80)
    rows = found.plan.rows
    assert len(rows) <= 80
    inside = np.isin(study.groups, study.groups[rows]) & np.isin(study.splits, ("train", "val"))
    assert np.flatnonzero(inside).tolist() == rows.tolist(), "no group is cut"
    assert any("a sample in whole groups" in note for note in found.notes)
    assert sampled_groups(study.labels, study.groups, 1000, 0).tolist() == list(range(160))


def test_labels_move_as_whole_groups() -> None:
    study = toy()
    chosen = plan(study, HOW, permutations=20, images=2000)
    assert len(chosen.drawn) == 20
    moved = 0
    for one in chosen.drawn:
        for group in np.unique(study.groups):
            assert len(set(one.labels[study.groups == group])) == 1
        kept = study.rows_of("train", "val")
        assert sorted(one.labels[kept]) == sorted(study.labels[kept])
        moved += int((one.labels != study.labels).sum())
    assert moved > 0


def files_of(folder: Path, workers: int) -> dict[str, bytes]:
    how = Scoring(1, 3, 2, 100, 7, workers)
    explain(toy(), makers(), how, name="svm", permutations=20, images=2000, design=None, results=folder)
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_the_files_are_the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    one, two = files_of(tmp_path / "one", 1), files_of(tmp_path / "two", 2)
    assert one == two
    folder = "results/explanation/".removeprefix("results/")
    assert {
        f"{folder}importance.csv", f"{folder}shap.parquet", f"{folder}importance.png",
        f"{folder}beeswarm.png", f"{folder}dependence.png", "plots/importance.csv",
    } <= one.keys()  # fmt: skip
    for name, data in one.items():
        if name.endswith(".png"):
            assert data.startswith(b"\x89PNG")
            assert b"202" not in data[:200], "no date"
    table = pq.read_table(tmp_path / "one" / folder / "shap.parquet")
    values = table.to_pandas()
    parts = values.drop(columns=["key", "margin"]).sum(axis=1)
    np.testing.assert_allclose(parts, values["margin"], atol=1e-5)
    assert table.schema.metadata[b"unit"] in (b"log-odds", b"probability")
