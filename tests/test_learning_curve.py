from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable
from fractions import Fraction
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
from classifiers.intervals import Estimate, Scores
from classifiers.leakage.learning_curve import SHARES, LearningCurve, Size, learning_curve, nested
from classifiers.predictions import cross_validate, cv_folds
from classifiers.registry import make_head
from classifiers.scoring import Scoring
from featurestore.errors import KyaraError


def hungry(n: int = 480, n_groups: int = 80, width: int = 200, seed: int = 0) -> Study:
    """A little of the role in each of many columns: a head that weighs them needs many pictures."""
    rng = np.random.default_rng(seed)
    group, code = np.arange(n) % n_groups, np.arange(n) // n_groups % 2
    values = rng.normal(size=(n, width)) + 0.15 * code[:, None] * rng.choice([-1, 1], width)
    splits = np.array(["train", "val", "train", "test", "train"])[group % 5]
    return change(
        study(n=n, n_groups=n_groups),
        features=pd.DataFrame(values, columns=[f"toy/c{i}" for i in range(width)]),
        labels=np.array(["hero", "villain"])[code],
        splits=splits,
        index=index_table(n, group, splits, code, ("hero", "villain")),
    )


def run(
    data: Study, make: Callable[[], Classifier], results: Path, *, workers: int = 1, repeats: int = 2
) -> LearningCurve:
    how = Scoring(positive=1, folds=5, repeats=repeats, draws=300, seed=3, workers=workers)
    return learning_curve(data, make, how, name="toy", results=results)


def head(name: str, **params: Any) -> Callable[[], Classifier]:
    return partial(make_head, name, params, seed=0, n_classes=2, positive=1)


def test_a_head_that_needs_more_pictures_is_told_so(tmp_path: Path) -> None:
    curve = run(hungry(), head("logreg"), tmp_path)
    scores = [size.estimate("auc").score or 0 for size in curve.sizes]
    assert scores == sorted(scores)
    gain = curve.sizes[-1].gain["auc"]
    assert gain.low is not None
    assert gain.low > 0
    assert curve.sentence().endswith("more pictures of further groups would probably help")
    assert curve.sentence().startswith("From 151 to 307 pictures the AUC rose by 0.")


def test_a_head_that_learned_all_there_is_shows_no_sign(tmp_path: Path) -> None:
    curve = run(study(n=600, n_groups=100, effect=2.5), Centroid, tmp_path)
    assert curve.sentence().endswith(": no sign that more pictures would help")


def test_noise_can_tell_nothing(tmp_path: Path) -> None:
    curve = run(study(effect=0.0), head("lda"), tmp_path)
    assert curve.sentence().endswith(": cannot tell whether more pictures would help")


def test_the_last_size_is_the_score_by_cross_validation(tmp_path: Path) -> None:
    data = study()
    said = cross_validate(data, {"toy": Centroid}, cv_folds(data, folds=5, repeats=2, seed=3))["toy"]
    last = run(data, Centroid, tmp_path).sizes[-1]
    assert last.scores == score_rows(data, said, positive=1, draws=300, seed=3)
    row = list(csv.DictReader(io.StringIO((tmp_path / "plots" / "learning_curve.csv").read_text())))[-1]
    assert float(row["auc"]) == pytest.approx(last.estimate("auc").score, abs=1e-6)
    assert (row["share"], row["n"]) == ("1.0", "96")


@pytest.mark.parametrize("labels", [("hero", "villain"), ("antihero", "hero", "villain")])
def test_shares_are_nested_whole_groups_with_every_class(labels: tuple[str, ...]) -> None:
    data = study(n=240, n_groups=40, labels=labels)
    for fold in cv_folds(data, folds=5, repeats=2, seed=3):
        sets = nested(fold, data.labels, data.groups, shares=SHARES, seed=1)
        assert sets[-1].tolist() == fold.fitted.tolist()
        for rows, share in zip(sets, SHARES, strict=True):
            assert len(rows) == pytest.approx(float(share) * len(fold.fitted), abs=3)
            assert set(data.labels[rows]) == set(labels)
            outside = np.setdiff1d(fold.fitted, rows)
            assert not set(data.groups[rows]) & set(data.groups[outside])
        for small, large in itertools.pairwise(sets):
            assert set(small) <= set(large)


def test_groups_of_one_role_are_balanced_at_every_size() -> None:
    data = study(n=240, n_groups=40)
    code = np.arange(240) % 40 % 4 == 0  # a quarter of the series are villains'
    data = change(data, labels=np.where(code, "villain", "hero"))
    for fold in cv_folds(data, folds=5, repeats=2, seed=3):
        for rows in nested(fold, data.labels, data.groups, shares=SHARES, seed=1)[1:]:
            assert (data.labels[rows] == "villain").mean() == pytest.approx(0.25, abs=0.1)


def test_another_seed_draws_other_groups() -> None:
    data = study()
    fold = cv_folds(data, folds=5, repeats=1, seed=3)[0]
    half = [Fraction(1, 2)]
    first, second = (nested(fold, data.labels, data.groups, shares=half, seed=s)[0] for s in (1, 2))
    assert first.tolist() != second.tolist()


def test_a_size_that_would_lack_a_class_is_left_out_with_a_note(tmp_path: Path) -> None:
    data = study(n=80, n_groups=80)
    scarce = np.arange(80) % 10 == 1
    data = change(data, labels=np.where(scarce, "villain", "hero"), splits=np.full(80, "train"))
    curve = run(data, Centroid, tmp_path)
    assert curve.sizes[0].scores is None
    assert curve.sizes[0].note.startswith("skipped: in a fold it has ")
    assert curve.sizes[-1].scores is not None
    assert "(1/8: skipped" in curve.text()
    assert "(1/8: skipped" in curve.markdown()


class Choosy(Centroid):
    def fit(self, X: Any, y: Any, groups: Any = None) -> Centroid:
        if len(X) < 40:
            raise ValueError("too few pictures for me")
        return super().fit(X, y, groups)


def test_a_size_at_which_the_head_fails_has_a_note(tmp_path: Path) -> None:
    curve = run(study(n=240, n_groups=40), Choosy, tmp_path)
    assert [size.scores is None for size in curve.sizes] == [True, True, False, False]
    assert "too few pictures for me" in curve.sizes[0].note
    assert curve.sizes[2].gain == {}
    with pytest.raises(KyaraError, match="head toy failed"):
        run(study(n=40, n_groups=20), Choosy, tmp_path)


def test_too_few_groups_leave_no_interval_and_no_verdict(tmp_path: Path) -> None:
    curve = run(study(n=96, n_groups=8), Centroid, tmp_path)
    assert curve.sizes[-1].estimate("auc").low is None
    assert "its interval is not known: cannot tell" in curve.sentence()


def scored(auc: float) -> Scores:
    return Scores({"auc": Estimate(auc, 0.5, 1.0, None)}, 10, 10)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (
            (0.03, 0.01, 0.05),
            "rose by 0.030 [0.010, 0.050]: more pictures of further groups would probably help",
        ),
        ((0.01, -0.02, 0.04), "rose by 0.010 [-0.020, 0.040]: cannot tell whether more pictures would help"),
        ((0.001, -0.004, 0.006), "rose by 0.001 [-0.004, 0.006]: no sign that more pictures would help"),
        ((-0.03, -0.05, -0.01), "changed by -0.030 [-0.050, -0.010]: no sign that more pictures would help"),
    ],
)
def test_the_verdict_is_that_of_the_last_doubling(gain: tuple[float, float, float], said: str) -> None:
    half = Size(Fraction(1, 2), 95.0, 18.0, scored(0.8))
    whole = Size(Fraction(1), 190.0, 36.0, scored(0.8 + gain[0]), {"auc": Estimate(*gain, None)})
    assert LearningCurve("", (half, whole)).sentence() == f"From 95 to 190 pictures the AUC {said}"


def test_the_test_split_is_never_touched_and_equal_studies_give_equal_bytes(tmp_path: Path) -> None:
    data = study()
    test = data.rows_of("test")
    features, labels, groups = data.features.copy(), data.labels.copy(), data.groups.copy()
    features.iloc[test] = np.inf
    labels[test], groups[test] = "hero", "series 00"
    run(data, head("lda"), tmp_path / "a")
    run(change(data, features=features, labels=labels, groups=groups), head("lda"), tmp_path / "b")
    for name in ("learning_curve.csv", "learning_curve.png"):
        assert (tmp_path / "a" / "plots" / name).read_bytes() == (
            tmp_path / "b" / "plots" / name
        ).read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("at_once")
def test_the_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    for workers in (1, 2):
        run(study(), head("logreg"), tmp_path / str(workers), workers=workers, repeats=5)
    for name in ("learning_curve.csv", "learning_curve.png"):
        assert (tmp_path / "1" / "plots" / name).read_bytes() == (
            tmp_path / "2" / "plots" / name
        ).read_bytes()


def test_features_that_learned_from_train_have_files_that_say_so(tmp_path: Path) -> None:
    curve = run(study(fitted_on={"resnet18": "0" * 64}), Centroid, tmp_path)
    assert "resnet18 learned from the train split" in curve.sentence()
    text = (tmp_path / "plots" / "learning_curve.csv").read_text()
    assert "resnet18 learned from the train split" in text
    assert len(text.splitlines()) == 2
    assert (tmp_path / "plots" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
