from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import Centroid, change, index_table, study

from classifiers.data import Study
from classifiers.evaluate import score_rows
from classifiers.fitting import Classifier
from classifiers.leakage.identity import MIN_KIN, exchange, exchanged_labels, kin
from classifiers.leakage.leakage import leakage
from classifiers.leakage.leakage_report import Leakage, Recognition
from classifiers.leakage.rungs import RUNGS, rungs
from classifiers.predictions import cross_validate, cv_folds
from classifiers.registry import make_head
from classifiers.scoring import Scoring
from featurestore.errors import SplitError

ROLES = ("hero", "villain")


def planted(
    *,
    identity: bool = False,
    design: bool = False,
    mixed: bool = False,
    n_series: int = 40,
    size: int = 6,
    width: int = 10,
    roles: tuple[str, ...] = ROLES,
    seed: int = 0,
) -> Study:
    """Series whose looks tell who they are (``identity``), or which role a picture has (``design``).

    Mixed series hold both roles: one picture in ``size`` is the odd one out where looks tell the series,
    half of them where they tell the role.
    """
    rng = np.random.default_rng(seed)
    n, k = n_series * size, len(roles)
    series = np.arange(n) // size
    code = series % k
    if mixed:
        odd = 1 if identity else size // 2
        place = np.concatenate([rng.permutation(size) for _ in range(n_series)])
        code = np.where(place < odd, (code + 1) % k, code)
    values = rng.normal(size=(n, width)) * (1.0 if design else 0.15)
    if identity:
        values += rng.normal(size=(n_series, width))[series]
    if design:
        values += 0.8 * rng.normal(size=(k, width))[code] if k > 2 else 0.7 * code[:, None]
    splits = np.array(["train", "train", "train", "val", "test"])[series // k % 5]
    return change(
        study(n=n, n_groups=n_series, labels=roles),
        features=pd.DataFrame(values, columns=[f"toy/d{i}" for i in range(width)]),
        labels=np.array(roles)[code],
        groups=np.array([f"series {g:02d}" for g in series]),
        splits=splits,
        index=index_table(n, series, splits, code, roles),
    )


def maker(head: str, n_classes: int = 2, **params: Any) -> Callable[[], Classifier]:
    return partial(make_head, head, params, seed=0, n_classes=n_classes, positive=1)


KNN = maker("knn", n_neighbors=5)


def run(data: Study, make: Callable[[], Classifier], results: Path, **options: Any) -> Leakage:
    permutations = options.pop("permutations", 12)
    how = Scoring(**{"positive": 1, "folds": 5, "repeats": 2, "draws": 300, "seed": 3, **options})
    return leakage(data, make, how, name="toy", permutations=permutations, results=results)


def table(results: Path) -> dict[str, dict[str, str]]:
    rows = csv.DictReader(io.StringIO((results / "leakage.csv").read_text()))
    return {row["what"]: row for row in rows}


def both(report: Leakage) -> Recognition:
    return report.recognitions[-1]


@pytest.mark.parametrize("mixed", [True, False], ids=["mixed series", "series of one role"])
@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_looks_that_tell_the_series_alone_read_as_leakage(mixed: bool, seed: int, tmp_path: Path) -> None:
    report = run(planted(identity=True, mixed=mixed, seed=seed, n_series=60), KNN, tmp_path)
    image_wise, series_wise = report.steps[0].estimate("auc"), report.steps[-1].estimate("auc")
    assert image_wise.low is not None
    assert image_wise.low > 0.6
    assert series_wise.low is not None
    assert series_wise.high is not None
    assert series_wise.low <= 0.5 <= series_wise.high
    flattery = report.steps[0].flattery["auc"]
    assert flattery.low is not None
    assert flattery.low > 0
    assert "flatters by" in report.sentences()[0]
    assert both(report).share == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("mixed", [True, False], ids=["mixed series", "series of one role"])
@pytest.mark.parametrize("head", ["lda", pytest.param("knn", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_looks_that_tell_the_role_alone_read_as_clean(
    mixed: bool, head: str, seed: int, tmp_path: Path
) -> None:
    report = run(planted(design=True, mixed=mixed, seed=seed), maker(head), tmp_path)
    assert (report.steps[-1].estimate("auc").low or 0) > 0.7
    flattery = report.steps[0].flattery["auc"]
    assert flattery.low is not None
    assert flattery.high is not None
    assert flattery.low <= 0 <= flattery.high
    share = both(report).share
    assert share is not None
    assert share < 0.12


def test_recognition_and_design_are_told_apart_on_each_kind_of_series(tmp_path: Path) -> None:
    leaking = run(planted(identity=True, n_series=60), KNN, tmp_path)
    assert [one.note for one in leaking.recognitions] == ["not estimable: no group holds two roles", "", ""]
    mixed = run(planted(identity=True, mixed=True, n_series=60), KNN, tmp_path)
    notes = [one.note for one in mixed.recognitions]
    assert notes == ["", "not estimable: no group of one role has two pictures", ""]
    assert mixed.recognitions[0].kin.n_groups == mixed.recognitions[2].kin.n_groups == 48


def test_characters_that_are_recognised_inside_mixed_series_count_as_recognition(tmp_path: Path) -> None:
    """Four pictures of each character of one role; series hold two heroes' and two villains' pictures each."""
    n, size = 480, 4
    character = np.arange(n) // size
    series, code = character // 4, character % 2
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n // size, 10))[character] + 0.1 * rng.normal(size=(n, 10))
    index = index_table(n, series, ["train"] * n, code, ROLES)
    index["character"] = [f"c{c % 4}" for c in character]  # a name is one character only within its series
    data = change(
        study(n=n, n_groups=30),
        features=pd.DataFrame(values, columns=[f"toy/d{i}" for i in range(10)]),
        labels=np.array(ROLES)[code],
        groups=np.array([f"series {g:02d}" for g in series]),
        splits=np.full(n, "train"),
        index=index,
    )
    report = run(data, maker("knn", n_neighbors=3), tmp_path)
    scores = {step.rung: step.estimate("auc").score for step in report.steps}
    assert report.steps[2].n_groups == 120
    assert scores["image-wise"] == pytest.approx(1, abs=0.01)
    assert scores["character-wise"] == pytest.approx(0.5, abs=0.15)
    assert scores["near-duplicate-wise"] is None
    assert both(report).share == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_more_than_two_roles_are_measured_alike(tmp_path: Path) -> None:
    roles = ("antihero", "hero", "villain")
    leaking = run(planted(identity=True, roles=roles, n_series=60), maker("knn", 3, n_neighbors=5), tmp_path)
    assert both(leaking).share == pytest.approx(1, abs=0.1)
    clean = run(planted(design=True, roles=roles, n_series=60), maker("lda", 3), tmp_path)
    assert abs(both(clean).share or 1) < 0.12


def test_the_coarsest_rung_is_the_score_by_cross_validation(tmp_path: Path) -> None:
    data = planted(design=True, mixed=True)
    report = run(data, maker("lda"), tmp_path)
    said = cross_validate(data, {"lda": maker("lda")}, cv_folds(data, folds=5, repeats=2, seed=3))["lda"]
    assert report.steps[-1].scores == score_rows(data, said, positive=1, draws=300, seed=3)


def test_every_rung_joins_what_the_finer_one_joins() -> None:
    data = study(n=12, n_groups=6)
    index = data.index.assign(cluster="", character="", series=["a"] * 4 + ["b"] * 4 + ["c"] * 3 + [""])
    index.loc[[3, 4], "cluster"] = "cluster x"  # across two series: it makes one of both
    index.loc[[0, 1, 8, 9], "character"] = "Rei"  # of a and of c: two characters
    data = change(data, index=index, split_kind="image-wise split", splits=np.full(12, "train"))
    found = rungs(data, np.arange(12))
    assert [rung.name for rung in found] == list(RUNGS)
    members = [
        sorted(np.flatnonzero(rung.groups == g).tolist() for g in np.unique(rung.groups)) for rung in found
    ]
    assert members[1] == [[0], [1], [2], [3, 4], [5], [6], [7], [8], [9], [10], [11]]
    assert members[2] == [[0, 1], [2], [3, 4], [5], [6], [7], [8, 9], [10], [11]]
    assert members[3] == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10], [11]]
    assert [rung.note for rung in found] == ["", "", "8 images have no character", "1 images have no series"]


def test_a_rung_that_the_data_do_not_know_has_its_reason_and_no_score(tmp_path: Path) -> None:
    data = planted(design=True)
    report = run(data, Centroid, tmp_path)
    assert [step.note for step in report.steps] == [
        "",
        "not estimable: no near-duplicates: same as image-wise",
        "not estimable: no character has two pictures: same as image-wise",
        "",
    ]
    rows = table(tmp_path)
    assert rows["character-wise"]["auc"] == rows["character-wise"]["flattery"] == ""
    assert "no character has two pictures" in report.text()
    assert "no character has two pictures" in report.markdown()
    unknown = change(data, index=data.index.assign(character=""))
    assert run(unknown, Centroid, tmp_path).steps[2].note == (
        "not estimable: no character is known: same as image-wise"
    )


def test_pictures_of_which_nothing_is_known_have_no_ladder_and_no_meter(tmp_path: Path) -> None:
    data = planted(design=True)
    alone = change(
        data,
        index=data.index.assign(series="", character=""),
        groups=np.array([f"image {key}" for key in data.keys]),
        split_kind="image-wise split",
    )
    report = run(alone, Centroid, tmp_path)
    assert [step.scores is None for step in report.steps] == [False, True, True, True]
    assert [one.note for one in report.recognitions] == [
        "not estimable: no group holds two roles",
        "not estimable: no group of one role has two pictures",
        "not estimable: no group has two pictures",
    ]
    assert report.sentences() == (
        "Only the image-wise split could be scored: how much it flatters is not known",
        "What recognising the image earns is not estimable: no group has two pictures",
    )


def test_too_few_series_for_the_folds_are_a_reason_and_no_error(tmp_path: Path) -> None:
    report = run(planted(design=True, n_series=10, size=20), Centroid, tmp_path)
    assert report.steps[-1].scores is None
    assert "fewer than cv.folds" in report.steps[-1].note
    assert report.steps[0].scores is not None
    assert report.steps[0].estimate("auc").low is None  # eight groups are too few for an interval
    assert "no intervals" in report.steps[0].note
    assert both(report).permuted is not None
    assert both(report).share is None
    assert both(report).note.startswith("no share: no intervals: 8 groups")


def test_a_score_that_cannot_be_told_from_chance_has_no_share(tmp_path: Path) -> None:
    report = run(planted(mixed=True), KNN, tmp_path)
    assert both(report).note == "no share: the true score cannot be told from chance"
    assert both(report).permuted is not None
    assert table(tmp_path)["both"]["share"] == ""
    assert "cannot be told from chance" in report.sentences()[1]


def test_few_groups_or_one_role_among_them_are_said_nothing_of() -> None:
    group = np.repeat(np.arange(12), 2)
    truth = np.where(group < 8, 0, 1)
    truth[-6::2] = 0  # three mixed groups
    found = {one.what: one for one in kin(truth, group, ROLES)}
    assert found["mixed"].reason == f"3 such groups, fewer than {MIN_KIN}"
    assert found["one role"].reason == ""
    truth[np.isin(group, (8,))] = 0
    assert {one.what: one.reason for one in kin(truth, group, ROLES)}[
        "one role"
    ] == "all these groups are hero"


def test_labels_are_exchanged_among_siblings_of_one_role_and_no_others() -> None:
    rng = np.random.default_rng(0)
    series = np.repeat(["a", "b", "c", "d"], [4, 4, 8, 1])
    character = np.array([*"aaaa", *"bbbb", *"ppqqrrrs", "d"])
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0])
    made = exchange(truth, [series, character])
    seen = {tuple(made.draw(rng).tolist()) for _ in range(400)}
    for drawn in (np.array(one) for one in seen):
        assert {tuple(drawn[:4]), tuple(drawn[4:8])} == {
            (0, 0, 0, 0),
            (1, 1, 1, 1),
        }  # whole series of one role
        assert drawn[8] == drawn[9]  # whole characters of one role in a mixed series
        assert drawn[10] == drawn[11]
        assert sorted(drawn[[8, 10, 15]]) == [0, 1, 1]
        assert sorted(drawn[12:15]) == [0, 0, 1]  # pictures of a mixed character
        assert drawn[16] == 0  # a single picture exchanges with single pictures
    assert len(seen) == 2 * 3 * 3


def test_exchanged_labels_know_nothing_of_the_true_ones() -> None:
    group = np.repeat(np.arange(24), 5)
    truth = group % 2
    rng = np.random.default_rng(0)
    drawn = exchanged_labels(truth, [group], n=30, min_images=5, rng=rng)
    apart = [abs(np.corrcoef(truth, one)[0, 1]) for one in drawn]
    assert len(drawn) == 30
    assert max(apart) < 0.01
    assert all(len(set(one[group == g])) == 1 for one in drawn for g in range(24))


def test_the_test_split_is_never_touched(tmp_path: Path) -> None:
    data = planted(identity=True, mixed=True)
    run(data, KNN, tmp_path / "a")
    test = data.rows_of("test")
    features, labels, groups, index = (
        data.features.copy(),
        data.labels.copy(),
        data.groups.copy(),
        data.index.copy(),
    )
    features.iloc[test] = np.inf
    labels[test], groups[test] = "hero", "series 00"
    index.loc[test, ["series", "cluster"]] = "series 00"
    run(change(data, features=features, labels=labels, groups=groups, index=index), KNN, tmp_path / "b")
    for name in ("leakage.csv", "leakage.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_equal_studies_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(planted(design=True, mixed=True), Centroid, tmp_path / name)
    for name in ("leakage.csv", "leakage.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("at_once")
def test_the_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    for workers in (1, 2):
        run(planted(design=True, mixed=True), maker("logreg"), tmp_path / str(workers), workers=workers)
    for name in ("leakage.csv", "leakage.png"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_features_that_learned_from_train_have_files_that_say_so(tmp_path: Path) -> None:
    report = run(study(fitted_on={"resnet18": "0" * 64}), Centroid, tmp_path)
    assert report.steps == ()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "leakage.csv").read_text())))
    assert [row["part"] for row in rows] == ["none"]
    assert "resnet18 learned from the train split" in rows[0]["note"]
    assert "resnet18 learned from the train split" in report.text()
    assert (tmp_path / "leakage.png").read_bytes().startswith(b"\x89PNG")


def test_a_class_of_one_picture_is_an_error_that_names_it(tmp_path: Path) -> None:
    data = study()
    labels = np.where(np.arange(len(data.keys)) == 0, "villain", "hero")
    with pytest.raises(SplitError, match="a single picture of class villain"):
        run(change(data, labels=labels), Centroid, tmp_path)
