"""What a head goes by is found, beside what exchanged labels give."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import studies
from PIL import Image

from classifiers.data import Study
from classifiers.explanation.explain import Importances, explain, importances, shap_parquet
from classifiers.explanation.labellings import plan, sampled_groups
from classifiers.explanation.ranking import against_null
from classifiers.plots import write_pngs
from classifiers.registry import head_names, make_head
from classifiers.scoring import Scoring
from featurestore.errors import KyaraError, SplitError
from featurestore.params import FusionParams

HOW = Scoring(1, 3, 2, 100, 7)
ONCE = Scoring(1, 3, 1, 100, 7)
QUICK = {
    "rf": {"n_estimators": 12}, "extratrees": {"n_estimators": 12}, "xgb": {"n_estimators": 10},
    "hgb": {"max_iter": 10}, "mlp": {"max_iter": 10, "hidden": [8]},
}  # fmt: skip


def toy(
    names: list[str] | None = None,
    *,
    effect: float = 2.0,
    n_groups: int = 40,
    alike: float = 0.3,
    seed: int = 0,
    **options: Any,
) -> Study:
    """Six columns of images in groups of one class: the first follows the class, the second is its twin.

    Images of a group resemble each other by ``alike`` in every column, whatever their class.
    """
    n = 160
    rng = np.random.default_rng(seed)
    made = studies.study(n=n, n_groups=n_groups, seed=seed, **options)
    group = np.arange(n) % n_groups
    code = group // 5 % len(made.classes)
    values = rng.normal(size=(n, 6)) + alike * rng.normal(size=(n_groups, 6))[group]
    values[:, 0] += effect * code
    values[:, 1] = values[:, 0] + 0.1 * rng.normal(size=n)
    columns = names or [f"toy/{name}" for name in ("signal", "twin", "n1", "n2", "n3", "n4")]
    labels = np.array(made.classes)[code]
    return with_features(studies.change(made, labels=labels), pd.DataFrame(values, columns=columns))


def with_features(study: Study, features: pd.DataFrame) -> Study:
    blocks = tuple(dict.fromkeys(str(name).partition("/")[0] for name in features.columns))
    status = np.zeros((len(features), len(blocks)), dtype=np.uint8)
    return studies.change(study, features=features, blocks=blocks, status=status)


def makers(*names: str, n_classes: int = 2, positive: int = 1, **fusion: Any) -> dict[str, Callable[[], Any]]:
    return {
        name: partial(
            make_head, name, QUICK.get(name, {}), seed=7, n_classes=n_classes, positive=positive,
            fusion=FusionParams(**fusion),
        )
        for name in names
    }  # fmt: skip


def measure(
    study: Study,
    name: str = "logreg",
    *,
    permutations: int = 20,
    images: int = 2000,
    how: Scoring = HOW,
    heads: dict[str, Callable[[], Any]] | None = None,
) -> Importances:
    """Of the named head alone, unless others are given."""
    heads = heads or makers(name, n_classes=len(study.classes), positive=how.positive)
    return importances(study, heads, how, name=name, permutations=permutations, images=images)


def of(found: Importances, level: str, method: str) -> dict[str, Any]:
    return {one.unit.name: one for one in found.lines if one.unit.level == level and one.method == method}


def largest(lines: dict[str, Any]) -> str:
    return max(lines, key=lambda name: lines[name].mean)


@pytest.fixture(scope="module")
def planted() -> Importances:
    return measure(toy(), heads=makers("logreg", "rf"))


@pytest.mark.parametrize("method", ["coefficient", "forest", "shap"])
def test_a_planted_column_is_first_and_at_the_least_p(planted: Importances, method: str) -> None:
    lines = of(planted, "column", method)
    ranked = sorted(lines, key=lambda name: lines[name].rank)
    assert set(ranked[:2]) == {"toy/signal", "toy/twin"}
    assert min(lines["toy/signal"].p, lines["toy/twin"].p) == pytest.approx(1 / 21)
    assert min(lines[f"toy/n{i}"].p for i in (1, 2, 3, 4)) > 1 / 21
    assert lines[ranked[0]].mean > lines[ranked[0]].null_high > lines[ranked[0]].null_mean


def test_more_of_it_speaks_for_or_against_the_positive_class(planted: Importances) -> None:
    study = toy()
    turned = study.features.assign(**{"toy/signal": -study.features["toy/signal"]})
    other = measure(studies.change(study, features=turned), permutations=0)
    for method in ("coefficient", "permutation", "shap"):
        assert of(planted, "column", method)["toy/signal"].direction == 1
        assert of(other, "column", method)["toy/signal"].direction == -1
    assert {one.direction for one in of(planted, "column", "forest").values()} == {0}, "impurity has no sign"


def test_twins_hide_each_other_and_their_cluster_does_not() -> None:
    found = measure(toy(), "rf")
    alone, together = of(found, "column", "permutation"), of(found, "cluster", "permutation")
    (cluster,) = [one for one in together.values() if len(one.unit.columns) == 2]
    assert set(cluster.unit.columns) == {0, 1}
    assert cluster.mean > 0.3, "without both the head knows nothing"
    assert max(alone["toy/signal"].mean, alone["toy/twin"].mean) < 0.6 * cluster.mean
    assert cluster.p == pytest.approx(1 / 21)


def test_a_dominant_column_is_in_the_top_of_every_fold() -> None:
    study = toy()
    rng = np.random.default_rng(3)
    noise = pd.DataFrame(
        rng.normal(size=(160, 14)), columns=[f"toy/noise {'abcdefghijklmn'[i]}" for i in range(14)]
    )
    wide = pd.concat([study.features[["toy/signal", "toy/twin"]], noise], axis=1)
    lines = of(measure(with_features(study, wide), permutations=0), "column", "shap")
    assert lines["toy/signal"].top_ten == 1.0
    assert sum(one.top_ten for one in lines.values()) == pytest.approx(10)
    assert min(one.top_ten for one in lines.values()) < 1


def test_p_is_spread_evenly_where_no_column_knows_anything() -> None:
    """In 40 studies whose images resemble those of their group, p <= 0.3 of one column: 12 are expected.

    A count leaves the bounds once in a thousand such tests. Labels exchanged image by image give 35 by `shap`.
    """
    from scipy.stats import binom

    low, high = binom.ppf([0.0005, 0.9995], 40, 0.3)
    found = [
        measure(toy(effect=0.0, n_groups=16, alike=2.0, seed=seed), permutations=9, how=ONCE)
        for seed in range(40)
    ]
    for method in ("coefficient", "permutation", "shap"):
        p = np.array([of(one, "column", method)["toy/n1"].p for one in found])
        assert low <= (p <= 0.3 + 1e-9).sum() <= high, method
        assert p.min() >= 0.1 - 1e-9


def test_p_is_the_share_at_or_above_the_true_one_itself_included() -> None:
    true, null = (
        [3.0, 3.0, 9.0, np.nan],
        [[1.0, 3.0, 1.0, 1.0], [3.0, 4.0, 2.0, 1.0], [2.0, np.nan, 3.0, 1.0]],
    )
    mean, high, p = against_null(np.array([true, *null]))
    np.testing.assert_allclose(p, [2 / 4, 4 / 4, 1 / 4, np.nan])
    np.testing.assert_allclose(mean, [2.0, 3.5, 2.0, 1.0])
    np.testing.assert_allclose(high[0], np.quantile([1, 3, 2], 0.95))


def test_what_p_does_not_say_stands_beside_it(planted: Importances) -> None:
    (how, limit) = [note for note in planted.notes if note.startswith("p")]
    assert "20 exchanges" in how
    assert "asked in 2 folds" in how
    assert "the least it can be is 0.048, and of 6 features that know nothing 0.3 have that" in how
    assert "against no feature knowing anything" in limit
    assert not [note for note in measure(toy(), permutations=0).notes if note.startswith("p")]


def test_an_embedding_is_one_row_and_a_concept_a_column() -> None:
    names = ["clip/000", "clip/001", "clip/002", "clip/003", "clip/concept: a scar", "toy/size"]
    found = measure(toy(names), permutations=0)
    assert set(of(found, "block", "shap")) == {"clip"}
    assert set(of(found, "column", "shap")) == {"clip/concept: a scar", "toy/size"}
    block = of(found, "block", "shap")["clip"]
    assert block.direction == 0, "nobody can say what more of it means"
    assert block.mean > of(found, "column", "shap")["toy/size"].mean
    assert block.row()[-2] == "clip/000 clip/001 clip/002 clip/003"
    assert of(found, "column", "shap")["clip/concept: a scar"].row()[-2] == "clip/concept:%20a%20scar"


def answers(study: Study, make: Callable[[], Any], found: Importances, repeat: int = 0) -> Any:
    """What heads fitted on the other folds say of each image, in the unit of the contributions."""
    said = np.full(len(study.keys), np.nan)
    for fold in (one for one in found.plan.folds if one.repeat == repeat):
        head = make().fit(
            study.features.iloc[fold.fitted], study.labels[fold.fitted], groups=study.groups[fold.fitted]
        )
        said[fold.scored] = head.predict_proba(study.features.iloc[fold.scored])[:, 1]
    said = said[found.contributions.rows]
    return np.log(said / (1 - said)) if found.contributions.unit == "log-odds" else said


@pytest.mark.parametrize("name", head_names())
def test_every_head_can_be_asked_and_its_contributions_add_up_to_its_answer(name: str) -> None:
    """A head that looks at nothing goes by nothing."""
    study, heads = toy(), makers(name)
    found = measure(study, name, permutations=2, how=ONCE, heads=heads)
    shap = of(found, "column", "shap")
    assert len(shap) == 6
    np.testing.assert_allclose(found.contributions.margin, answers(study, heads[name], found), atol=1e-5)
    told = pq.read_table(io.BytesIO(shap_parquet(study, found.contributions))).to_pandas()
    parts = told.drop(columns=["key", "margin"]).sum(axis=1)
    np.testing.assert_allclose(parts, told["margin"], atol=1e-4)
    assert told["key"].is_monotonic_increasing
    if name in ("dummy", "convention"):  # no column here is one of design
        assert all(one.mean == 0 and one.p == 1 for one in shap.values())
        assert any("learns nothing from labels" in note for note in found.notes)
    else:
        assert largest(shap) in {"toy/signal", "toy/twin"}


def test_contributions_that_are_dear_are_of_the_first_drawing_and_others_of_all() -> None:
    study, heads = toy(), makers("logreg", "knn")
    cheap, dear = (measure(study, name, permutations=0, heads={name: heads[name]}) for name in heads)
    of_all = np.mean([answers(study, heads["logreg"], cheap, repeat) for repeat in (0, 1)], axis=0)
    np.testing.assert_allclose(cheap.contributions.margin, of_all, atol=1e-5)
    np.testing.assert_allclose(dear.contributions.margin, answers(study, heads["knn"], dear), atol=1e-5)
    assert "contributions: closed form" in cheap.notes
    assert "contributions: sampled, of the first drawing of the folds" in dear.notes


def test_a_method_without_its_head_is_left_out_and_it_is_said() -> None:
    found = measure(toy(), "knn", permutations=0)
    assert {one.method for one in found.lines} == {"permutation", "shap"}
    assert {"not measured: logreg is not among the heads", "not measured: rf is not among the heads"} <= set(
        found.notes
    )


@pytest.mark.parametrize("name", ["svm", "rf"])
def test_a_head_that_fails_is_named(name: str) -> None:
    class Failing:
        def __init__(self) -> None:
            self.head = makers("rf")["rf"]()
            self.pipeline, self.candidates = self.head.pipeline, None

        def fit(self, *_: Any, **__: Any) -> None:
            raise ValueError("boom")

    heads = {**makers("logreg"), name: Failing}
    with pytest.raises(KyaraError, match=f"head {name} failed: ValueError: boom; its params: heads.{name}"):
        measure(toy(), "svm" if name == "svm" else "logreg", heads=heads)


def test_late_fusion_and_missing_rows_are_asked_too() -> None:
    names = ["one/a", "one/b", "two/a", "two/b", "two/c", "two/d"]
    study = toy(names)
    study.features.iloc[::7, 2:] = np.nan
    found = measure(study, permutations=2, how=ONCE, heads=makers("logreg", method="late"))
    shap = of(found, "column", "shap")
    assert largest(shap) in {"one/a", "one/b"}
    assert np.isfinite([one.mean for one in shap.values()]).all()
    assert found.contributions.unit == "probability"


def test_of_three_classes_the_positive_one_is_told_from_the_rest() -> None:
    study = toy(labels=("a", "b", "c"))
    rng = np.random.default_rng(5)
    values = rng.normal(size=(160, 4))
    for i in (0, 1, 2):
        values[:, i] += 2.0 * (study.codes(study.labels) == i)
    columns = pd.DataFrame(values, columns=["toy/of a", "toy/of b", "toy/of c", "toy/noise"])
    for positive, name in ((1, "toy/of b"), (2, "toy/of c")):
        found = measure(with_features(study, columns), how=Scoring(positive, 3, 1, 100, 7))
        for method in ("coefficient", "permutation", "shap"):
            lines = of(found, "column", method)
            assert largest(lines) == name
            assert lines[name].p == pytest.approx(1 / 21)
            assert lines[name].direction == 1
        own = study.labels[found.contributions.rows] == study.classes[positive]
        assert (found.contributions.hit == own).all()


def test_what_learned_is_asked_of_val_alone_and_has_no_null() -> None:
    study = studies.change(toy(), fitted_on={"toy": "0" * 64})
    found = measure(study)
    assert len(found.plan.folds) == 1
    assert set(found.contributions.rows.tolist()) == set(study.rows_of("val").tolist())
    assert all(one.p is None and one.sd is None and one.null_high is None for one in found.lines)
    assert any("fitted on train" in note for note in found.notes)
    trained = studies.change(study, splits=np.where(study.splits == "val", "train", study.splits))
    with pytest.raises(SplitError, match=r"no picture; raise split\.val"):
        measure(trained)


def test_what_learned_is_left_out_beside_what_did_not() -> None:
    names = ["one/a", "one/b", "two/a", "two/b", "two/c", "two/d"]
    found = measure(studies.change(toy(names), fitted_on={"two": "0" * 64}), permutations=2)
    assert set(of(found, "column", "shap")) == {"one/a", "one/b"}
    assert "left out, having learned from train: two" in found.notes


def test_test_is_never_asked() -> None:
    study = toy()
    changed = study.features.copy()
    changed.iloc[study.rows_of("test")] = 1e6
    one, other = (measure(x, permutations=3) for x in (study, studies.change(study, features=changed)))
    assert [line.row() for line in one.lines] == [line.row() for line in other.lines]


def test_beyond_the_limit_whole_groups_are_drawn_and_it_is_said() -> None:
    study = toy()
    chosen = plan(study, HOW, permutations=1, images=80)
    assert 60 < len(chosen.rows) <= 80
    inside = np.isin(study.groups, study.groups[chosen.rows]) & np.isin(study.splits, ("train", "val"))
    assert np.flatnonzero(inside).tolist() == chosen.rows.tolist(), "no group is cut"
    assert chosen.notes == (
        f"a sample in whole groups: {len(chosen.rows)} of 128 images; explanation.images is 80",
    )
    assert sampled_groups(study.labels, study.groups, 1000, 0).tolist() == list(range(160))


def test_a_group_larger_than_the_sample_does_not_end_it() -> None:
    study = toy()
    groups = np.where(np.arange(160) < 100, "giant", study.groups)
    for seed in range(6):
        assert 50 < len(sampled_groups(study.labels, groups, 60, seed)) <= 60


def test_a_sample_that_would_lose_a_class_is_not_taken() -> None:
    study = toy(labels=("a", "b", "c"))
    image = np.arange(160)
    labels = np.where(np.isin(image, [4, 44, 85, 120]), "c", np.where(image % 2, "a", "b"))
    alone = studies.change(study, labels=labels, groups=image.astype(str), split_kind="image-wise split")
    chosen = plan(alone, HOW, permutations=1, images=12)
    assert len(chosen.rows) == 128
    assert chosen.notes == ("all 128 images: a sample of 12 leaves no 3 folds of whole groups",)


def test_labels_move_as_whole_groups() -> None:
    study = toy()
    chosen = plan(study, HOW, permutations=20, images=2000)
    assert len(chosen.drawn) == 20
    kept = study.rows_of("train", "val")
    moved = 0
    for one in chosen.drawn:
        for group in np.unique(study.groups):
            assert len(set(one.labels[study.groups == group])) == 1
        assert sorted(one.labels[kept]) == sorted(study.labels[kept])
        assert len(one.folds) == 2
        moved += int((one.labels != study.labels).sum())
    assert moved > 0


def test_inside_a_group_of_several_classes_its_pictures_exchange_theirs() -> None:
    study = studies.study(n=120, n_groups=30)  # each group has both classes
    groups = [study.groups == name for name in np.unique(study.groups[study.rows_of("train", "val")])]
    drawn = plan(study, HOW, permutations=5, images=2000).drawn
    assert len(drawn) == 5
    for one in drawn:
        assert (one.labels != study.labels).any()
        for own in groups:
            assert sorted(one.labels[own]) == sorted(study.labels[own])


def files_of(folder: Path, workers: int) -> dict[str, bytes]:
    how = Scoring(1, 3, 1, 100, 7, workers)
    heads = makers("logreg", "rf", "svm")
    told = explain(toy(), heads, how, name="svm", permutations=2, images=2000, design=None, results=folder)
    write_pngs(folder / "explanation", told.figures, workers=workers)
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.mark.usefixtures("at_once")
def test_the_files_are_the_same_with_any_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    class Counted(joblib.Parallel):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            begun.append(1)
            super().__init__(*args, **options)

    monkeypatch.setattr(joblib, "Parallel", Counted)
    one = files_of(tmp_path / "one", 1)
    assert not begun
    two = files_of(tmp_path / "two", 2)
    assert begun, "nothing was done by two"
    assert one == two
    assert set(one) == {
        "explanation/importance.csv", "explanation/shap.parquet", "explanation/importance.png",
        "explanation/beeswarm.png", "explanation/dependence.png", "explanation/concordance.json",
        "explanation/concordance.csv", "plots/importance.csv",
    }  # fmt: skip
    for name in ("importance", "beeswarm", "dependence"):
        with Image.open(tmp_path / "one" / "explanation" / f"{name}.png") as figure:
            figure.load()
            assert min(figure.size) > 300
            assert len(figure.convert("L").getcolors(256) or ()) > 16, "something is drawn"
            said = {key for key, value in figure.info.items() if isinstance(value, str)}
        assert not said, "no date, no version"
    about = pq.read_schema(tmp_path / "one" / "explanation" / "shap.parquet").metadata
    assert (about[b"unit"], about[b"method"], about[b"head"]) == (b"log-odds", b"sampled", b"svm")
    table = pd.read_csv(tmp_path / "one" / "explanation" / "importance.csv")
    assert set(table["method"]) == {"coefficient", "forest", "permutation", "shap"}
    assert set(table["level"]) == {"column", "cluster"}


def test_columns_without_a_value_and_embeddings_are_drawn_too(tmp_path: Path) -> None:
    study = toy()
    rng = np.random.default_rng(0)
    blocks = pd.DataFrame(rng.normal(size=(160, 8)), columns=[f"clip/{i:03d}" for i in range(8)])
    few = study.features[["toy/signal"]].assign(**{"toy/nothing": np.nan, "toy/same": 3.0})
    wide = with_features(study, pd.concat([blocks, few], axis=1))
    report = explain(
        wide,
        makers("logreg"),
        ONCE,
        name="logreg",
        permutations=2,
        images=2000,
        design=None,
        results=tmp_path,
    )
    assert {one.unit.name: one.mean for one in report.of("shap", "column")}["toy/nothing"] == 0
    write_pngs(tmp_path, report.figures, workers=1)
    assert (tmp_path / "dependence.png").stat().st_size > 5000
    assert "clip (+7)" in report.text()
