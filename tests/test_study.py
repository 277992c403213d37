"""What a learner is given of the data set: train and val, and never the test split."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import encoded, picture

from extractors.base import Rows
from extractors.learning import Surroundings
from extractors.study import surroundings_of
from featurestore.cache import RowCache
from featurestore.dataset import DatasetRow, write_table
from featurestore.errors import DataError, ParamsError, SplitError
from featurestore.params import RuntimeParams
from featurestore.spec import FeatureSpec


class Shadow:
    """A design extractor with one column; it writes down what it is shown."""

    spec = FeatureSpec("design", 1, {}, ("shadow_density",))
    thread_safe = True

    def __init__(self) -> None:
        self.seen: list[float] = []

    def __call__(self, images: Sequence[np.ndarray]) -> Rows:
        means = [float(image.mean()) for image in images]
        self.seen += means
        return Rows(np.array(means, np.float32)[:, None], np.zeros(len(images), np.uint8))


class Study:
    def __init__(self, root: Path, n: int = 20) -> None:
        self.root = root
        self.rows: list[DatasetRow] = []
        self.shadow = Shadow()
        (root / "data" / "images").mkdir(parents=True)
        for i in range(n):
            split = ("train", "train", "train", "val", "test")[i % 5]
            self.add(picture(i), f"{i}.png", ("hero", "villain")[i % 2], split)

    def add(self, pixels: np.ndarray, name: str, label: str, split: str) -> str:
        data = encoded(pixels)
        (self.root / "data" / "images" / name).write_bytes(data)
        key = hashlib.sha256(data).hexdigest()
        self.rows.append(
            DatasetRow(key, f"images/{name}", label, name, "", "", "", split, 40, 40, "png", 1.0, None)
        )
        return key

    def open(self, positive: str = "villain") -> Surroundings:
        write_table(self.root / "dataset.csv", sorted(self.rows, key=lambda r: r.key), DatasetRow)
        return surroundings_of(
            self.root / "dataset.csv", self.root / "data", RowCache(self.root / "cache"),
            max_pixels=10**6, positive=positive, seed=1, device="cpu",
            runtime=RuntimeParams(workers=2), design=lambda: self.shadow,
        )  # fmt: skip

    def of(self, split: str) -> set[str]:
        return {row.key for row in self.rows if row.split == split}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def test_train_and_val_are_handed_out_and_nothing_of_test(study: Study) -> None:
    around = study.open()
    assert set(around.train.keys) == study.of("train")
    assert set(around.val.keys) == study.of("val")
    assert list(around.train.keys) == sorted(around.train.keys)
    label = {row.key: row.label for row in study.rows}
    assert [label[key] for key in around.train.keys] == list(around.train.labels)
    assert around.classes == ("hero", "villain")
    handed = {f.name: getattr(around, f.name) for f in dataclasses.fields(around)}
    for key in study.of("test"):
        assert key not in repr(handed)


def test_design_features_are_computed_of_train_and_val_alone(study: Study) -> None:
    labels = study.open().design_labels()
    assert set(labels) == study.of("train") | study.of("val")
    means = {row.key: float(picture(i).mean()) for i, row in enumerate(study.rows)}
    assert sorted(study.shadow.seen) == pytest.approx(sorted(means[key] for key in labels))


def test_the_labels_that_conventions_give_do_not_depend_on_val(study: Study) -> None:
    before = study.open().design_labels()
    study.add(np.full((40, 40, 3), 255, np.uint8), "bright.png", "hero", "val")
    study.add(np.full((40, 40, 3), 254, np.uint8), "bright too.png", "hero", "val")
    after = study.open().design_labels()
    assert {key: after[key] for key in before} == before
    study.add(np.full((40, 40, 3), 253, np.uint8), "bright in train.png", "hero", "train")
    moved = study.open().design_labels()
    assert {key: moved[key] for key in before} != before


def test_the_positive_class_is_the_one_that_conventions_speak_for(study: Study) -> None:
    shadows, hero = study.open("villain").design_labels(), study.open("hero").design_labels()
    other = {"hero": "villain", "villain": "hero"}
    assert hero == {key: other[label] for key, label in shadows.items()}


def test_a_picture_is_read_by_its_key_and_must_be_the_one_that_was_indexed(study: Study) -> None:
    around = study.open()
    key = around.train.keys[0]
    i = next(i for i, row in enumerate(study.rows) if row.key == key)
    assert np.array_equal(around.image(key), picture(i))
    (study.root / "data" / "images" / f"{i}.png").write_bytes(encoded(picture(999)))
    with pytest.raises(DataError, match="changed since it was indexed"):
        around.image(key)


def test_a_split_that_is_empty_or_lacks_a_class_is_an_error(study: Study) -> None:
    whole = list(study.rows)
    study.rows = [row for row in whole if row.split != "val"]
    with pytest.raises(SplitError, match=r"val is empty; raise split\.val"):
        study.open()
    study.rows = [row for row in whole if row.split != "train" or row.label == "hero"]
    with pytest.raises(SplitError, match="train has no picture of class villain"):
        study.open()


def test_conventions_tell_two_classes_apart(study: Study) -> None:
    with pytest.raises(ParamsError, match=r"evaluation\.positive is 'rogue'"):
        study.open("rogue").design_labels()
    study.add(picture(500), "third.png", "rogue", "train")
    with pytest.raises(ParamsError, match=r"dataset\.csv has hero, rogue, villain"):
        study.open("rogue").design_labels()
