from __future__ import annotations

import numpy as np
import pytest
from studies import Centroid, change, study

from classifiers.predictions import cross_validate, cv_folds
from classifiers.splits import check_classes, grouped_folds, inner_folds
from featurestore.errors import SplitError


@pytest.mark.parametrize("seed", range(5))
def test_folds_never_split_a_group_and_never_hold_test(seed: int) -> None:
    s = study(seed=seed)
    folds = cv_folds(s, folds=5, repeats=2, seed=seed)
    for repeat in (0, 1):
        scored = np.concatenate([fold.scored for fold in folds if fold.repeat == repeat])
        assert sorted(scored) == s.rows_of("train", "val").tolist()
    for fitted, rows in ((fold.fitted, fold.scored) for fold in folds):
        assert not set(s.groups[fitted]) & set(s.groups[rows])
        assert not set(s.splits[np.concatenate([fitted, rows])]) & {"test"}
        assert set(s.labels[fitted]) == set(s.classes)


def test_folds_keep_the_shares_of_the_classes() -> None:
    s = study(n=300, n_groups=60)
    for fold in cv_folds(s, folds=5, repeats=2, seed=42):
        assert (s.labels[fold.scored] == "hero").mean() == pytest.approx(0.6, abs=0.15)


def test_equal_seeds_give_equal_folds_and_others_do_not() -> None:
    s = study()
    one, same, other = (cv_folds(s, folds=5, repeats=2, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.scored, b.scored) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a.scored, b.scored) for a, b in zip(one, other, strict=True))


def test_every_repeat_is_another_drawing() -> None:
    folds = cv_folds(study(), folds=5, repeats=3, seed=0)
    assert [(fold.repeat, fold.number) for fold in folds] == [(r, n) for r in range(3) for n in range(5)]
    assert len({tuple(fold.scored.tolist()) for fold in folds}) == 15


def test_more_repeats_leave_the_first_ones_as_they_are() -> None:
    few, many = (cv_folds(study(), folds=5, repeats=r, seed=0) for r in (1, 4))
    assert all(np.array_equal(a.scored, b.scored) for a, b in zip(few, many[:5], strict=True))


def test_each_fold_is_scored_by_a_head_that_never_saw_its_groups() -> None:
    s, heads = study(), []

    def make() -> Centroid:
        heads.append(Centroid())
        return heads[-1]

    folds = cv_folds(s, folds=5, repeats=2, seed=0)
    found = cross_validate(s, {"centroid": make}, folds)["centroid"]
    assert len(heads) == 10
    assert found.rows.tolist() == s.rows_of("train", "val").tolist() * 2
    for head, fold in zip(heads, folds, strict=True):
        assert head.seen_.tolist() == fold.fitted.tolist()
        assert not set(s.groups[head.seen_]) & set(s.groups[fold.scored])


def test_predictions_know_their_repeat_and_their_fold() -> None:
    s = study()
    folds = cv_folds(s, folds=4, repeats=3, seed=0)
    found = cross_validate(s, {"centroid": Centroid}, folds)["centroid"]
    assert (found.folds, found.repeats) == (4, 3)
    for code, fold in enumerate(folds):
        assert found.rows[found.fold == code].tolist() == fold.scored.tolist()
    assert found.repeat.tolist() == np.repeat([0, 1, 2], len(s.rows_of("train", "val"))).tolist()


def test_inner_folds_keep_groups_whole_and_know_every_class() -> None:
    codes, groups = np.arange(60) % 3, np.arange(60) // 6
    folds = inner_folds(codes, groups, seed=0)
    assert len(folds) == 5
    for fitted, scored in folds:
        assert not set(groups[fitted]) & set(groups[scored])
        assert set(codes[fitted]) == {0, 1, 2}


def test_inner_folds_are_fewer_where_a_class_has_few_groups_and_plain_where_it_has_one() -> None:
    codes = np.repeat([0, 1], 20)
    few = inner_folds(codes, np.concatenate([np.arange(20), np.arange(20) % 3 + 50]), seed=0)
    assert len(few) == 3
    alone = inner_folds(codes, np.concatenate([np.arange(20), np.full(20, 50)]), seed=0)
    assert len(alone) == 5
    assert len(inner_folds(np.array([0, 0, 1, 1, 1]), None, seed=0)) == 2
    with pytest.raises(ValueError, match="a class has one row"):
        inner_folds(np.array([0, 1, 1]), None, seed=0)


def test_a_class_with_fewer_images_than_folds_is_named() -> None:
    labels = np.array(["hero"] * 3 + ["villain"] * 20)
    with pytest.raises(SplitError) as error:
        grouped_folds(labels, np.arange(23).astype(str), folds=5, seed=0)
    assert error.value.exit_code == 3
    assert str(error.value) == (
        "class 'hero' has 3 images in 3 groups in train and val, fewer than cv.folds = 5; "
        "lower cv.folds or add pictures of further groups"
    )


def test_a_class_with_fewer_groups_than_folds_is_named() -> None:
    labels = np.array(["hero"] * 20 + ["villain"] * 20)
    groups = np.array(["one series"] * 20 + [f"series {i}" for i in range(20)])
    with pytest.raises(SplitError, match=r"class 'hero' has 20 images in 1 groups .* cv.folds = 5"):
        grouped_folds(labels, groups, folds=5, seed=0)


def test_one_class_only_is_refused_with_the_next_step() -> None:
    s = study(labels=("hero",))
    with pytest.raises(SplitError, match=r"only one class \(hero\) .* data/images/<label>/") as error:
        cv_folds(s, folds=5, repeats=1, seed=0)
    assert error.value.exit_code == 3


def test_a_class_that_is_missing_in_train_is_named() -> None:
    s = study()
    s = change(s, splits=np.where(s.labels == "villain", "test", "train"))
    train = s.rows_of("train")
    with pytest.raises(SplitError, match="the train split has no picture of class villain") as error:
        check_classes(s.labels[train], s.classes, where="the train split")
    assert error.value.exit_code == 3


def test_features_that_were_learned_from_train_have_no_folds() -> None:
    with pytest.raises(ValueError, match="resnet18 learned from the train split"):
        cv_folds(study(fitted_on={"resnet18": "ab"}), folds=5, repeats=1, seed=0)
