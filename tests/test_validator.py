"""Every kind of bad data, through real files, and what is said of it before any head sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import xxhash
from conftest import encoded
from PIL import Image, ImageEnhance
from studies import Centroid, change, study, write_house, write_index

from classifiers.data import Study, read_study
from classifiers.predictions import cv_folds
from classifiers.testing import small_head
from classifiers.train import fit_on_train
from featurestore import index as indexing
from featurestore.errors import DataError, KyaraError, LabelConflict, NonFiniteRow, SplitError
from featurestore.hdf5 import PREAMBLE_BYTES, preamble
from featurestore.rows import StoreRows, pack_keys
from featurestore.scan import IndexOptions, scan
from featurestore.spec import FeatureSpec
from featurestore.store import write_store

ROOT = Path(__file__).resolve().parent.parent

#: A number that stands nowhere else, to be found among a store's bytes.
MARK = np.float32(-123456.79)


class Refused(NamedTuple):
    """What is done, and the whole of the line that ends it."""

    doing: Callable[[], object]
    error: type[KyaraError]
    said: str


def read(folder: Path) -> Study:
    return read_study(folder / "features.h5", folder / "dataset.csv", group_by="series")


def train(folder: Path) -> Centroid:
    """Fit a head that does not want to be fitted."""
    return fit_on_train(read(folder), Centroid(fail="a head saw them"))


def folds(folder: Path, n: int) -> object:
    return cv_folds(read(folder), folds=n, repeats=1, seed=0)


def columns(n: int, block: str = "design", seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(120, n))
    return pd.DataFrame(values, columns=[f"{block}/c{i}" for i in range(n)])


def of_design(n_columns: int = 20) -> Study:
    return change(study(), features=columns(n_columns), blocks=("design",))


def with_value(folder: Path, study: Study, row: int, column: int, value: Any) -> None:
    """The study as a store of other hands, with a number that kyara would not have written."""
    values = study.features.to_numpy().astype(np.float32)
    values[row, column] = MARK
    write_house(folder, study, values=values)
    path = folder / "features.h5"
    data = path.read_bytes()
    assert data.count(MARK.tobytes()) == 1
    body = data[PREAMBLE_BYTES:].replace(MARK.tobytes(), np.float32(value).tobytes())
    path.write_bytes(preamble(xxhash.xxh3_128_hexdigest(body)) + body)


def relabelled(study: Study, label: str, rows: list[int]) -> Study:
    labels = study.labels.astype(object)
    labels[rows] = label
    return change(study, labels=labels.astype(str))


def index(folder: Path, **options: Any) -> indexing.Index:
    made = IndexOptions(**options)
    return indexing.build_index(scan(folder / "data", made), made)


def read_indexed(folder: Path, made: indexing.Index) -> Study:
    """The study of an index, with random features."""
    indexing.write_index(made, dataset=folder / "dataset.csv", summary=folder / "data.json")
    values = np.random.default_rng(0).normal(size=(len(made.rows), 4)).astype(np.float32)
    rows = StoreRows(pack_keys([row.key for row in made.rows]), values, np.zeros((len(values), 1), np.uint8))
    spec = FeatureSpec("fused", 1, {}, ("toy/a", "toy/b", "toy/c", "toy/d"))
    write_store(folder / "features.h5", spec, rows, ("toy",))
    return read(folder)


# --- refused --------------------------------------------------------------------------------------


def same_image_two_classes(folder: Path) -> Refused:
    shutil.copy(
        folder / "data/images/hero/series0/hero0.png", folder / "data/images/villain/series0/copy.png"
    )
    said = (
        "the same picture is 'hero' in images/hero/series0/hero0.png and 'villain' in "
        "images/villain/series0/copy.png; delete one of them"
    )
    return Refused(lambda: index(folder), LabelConflict, said)


def nan_row(folder: Path) -> Refused:
    s = of_design()
    with_value(folder, s, 7, 2, np.nan)
    said = (
        f"{folder}/features.h5: the row of {s.paths[7]} says ok and holds nan in design/c2 (1 such rows); "
        "run: dvc repro -sf extract@design && dvc repro"
    )
    return Refused(lambda: train(folder), NonFiniteRow, said)


def inf_row(folder: Path) -> Refused:
    s = study()  # of an extractor that is not kyara's own
    with_value(folder, s, 7, 2, -np.inf)
    said = (
        f"{folder}/features.h5: the row of {s.paths[7]} says ok and holds -inf in toy/c2 (1 such rows); "
        "mend the rows where they come from, then run: python -m featurestore import toy FILE && dvc repro"
    )
    return Refused(lambda: train(folder), NonFiniteRow, said)


def f16_overflow(folder: Path) -> Refused:
    s = of_design()
    with np.errstate(over="ignore"):
        value = np.float16(70_000.0)
    with_value(folder, s, 7, 2, value)
    said = (
        f"{folder}/features.h5: the row of {s.paths[7]} says ok and holds inf in design/c2 (1 such rows); "
        "run: dvc repro -sf extract@design && dvc repro"
    )
    return Refused(lambda: train(folder), NonFiniteRow, said)


def zero_row(folder: Path) -> Refused:
    features = pd.concat([columns(3, "toy"), columns(16, "clip")], axis=1)
    features.iloc[7, 3:], features.iloc[9, 3:] = 0.0, -0.0
    s = change(study(), features=features, blocks=("toy", "clip"), status=np.zeros((120, 2), np.uint8))
    write_house(folder, s)
    said = (
        f"{folder}/features.h5: the row of {s.paths[7]} says ok and is 0 in all 16 columns of clip "
        "(2 such rows): so some tools leave a picture that failed; "
        "run: dvc repro -sf extract@clip && dvc repro"
    )
    return Refused(lambda: train(folder), DataError, said)


def zero_variance(folder: Path) -> Refused:
    write_house(folder, change(study(), features=columns(5, "toy") * 0 + 3))
    said = (
        f"{folder}/features.h5: none of its 5 columns varies over the 120 images: there is nothing to learn; "
        "choose other features in params.yaml, then run: dvc repro"
    )
    return Refused(lambda: train(folder), DataError, said)


def single_class(folder: Path) -> Refused:
    write_house(folder, study(labels=("hero",)))
    said = (
        "only one class (hero) in dataset.csv; a head needs two: add a folder of pictures beside "
        "data/images/<label>/, then run: dvc repro"
    )
    return Refused(lambda: train(folder), SplitError, said)


def class_of_1(folder: Path) -> Refused:
    s = study()
    write_house(folder, relabelled(s, "mentor", s.rows_of("train")[:1].tolist()))
    said = (
        "the train split has a single picture of class mentor (72 pictures in all); add pictures in further "
        "groups, or set data.group: none in params.yaml, then run: dvc repro"
    )
    return Refused(lambda: train(folder), SplitError, said)


def class_below_folds(folder: Path) -> Refused:
    s = study()
    write_house(folder, relabelled(s, "mentor", s.rows_of("train")[:4].tolist()))
    said = (
        "class 'mentor' has 4 images in 4 groups in train and val, fewer than cv.folds = 5; "
        "lower cv.folds or add pictures of further groups"
    )
    return Refused(lambda: folds(folder, 5), SplitError, said)


def label_gap(folder: Path) -> Refused:
    s = study(labels=("hero", "mentor", "villain"))
    groups = np.char.add(np.char.add(s.labels, " of "), s.groups)
    splits = np.where((s.labels == "mentor") & (s.splits == "train"), "val", s.splits)
    write_house(folder, change(s, groups=groups, splits=splits))
    said = (
        "the train split has no picture of class mentor (54 pictures in all); add pictures in further "
        "groups, or set data.group: none in params.yaml, then run: dvc repro"
    )
    return Refused(lambda: train(folder), SplitError, said)


def single_class_fold(folder: Path) -> Refused:
    labels = np.array(["villain"] * 3 + ["hero"] * 5 + ["villain"] * 3)
    groups = np.array(["a"] * 3 + ["b"] * 4 + ["c"] * 4)
    s = study(n=11, n_groups=11)
    write_house(folder, change(s, labels=labels, groups=groups, splits=np.array(["train"] * 11)))
    said = (
        "fold 1 of 2 would be fitted on fewer than two pictures of class 'hero': the groups are too uneven; "
        "lower cv.folds or add pictures of further groups"
    )
    return Refused(lambda: folds(folder, 2), SplitError, said)


REFUSED = [
    same_image_two_classes,
    nan_row,
    inf_row,
    f16_overflow,
    zero_row,
    zero_variance,
    single_class,
    class_of_1,
    class_below_folds,
    label_gap,
    single_class_fold,
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
@pytest.mark.usefixtures("data")
def test_bad_data_end_in_one_line_before_any_head_sees_them(
    case: Callable[[Path], Refused], tmp_path: Path
) -> None:
    refused = case(tmp_path)
    with pytest.raises(refused.error) as caught:
        refused.doing()
    assert str(caught.value) == refused.said
    assert caught.value.exit_code == 3


# --- accepted, and known of -----------------------------------------------------------------------


def exact_dup_is_one_row(folder: Path, said: pytest.LogCaptureFixture) -> None:
    shutil.copy(folder / "data/images/hero/series0/hero0.png", folder / "data/images/hero/series0/copy.png")
    made = index(folder)
    s = read_indexed(folder, made)
    assert len(s.keys) == len(set(s.keys.tolist())) == 24
    assert made.summary["files"][0] == {"files": 25, "usable": 25, "exact_duplicates_left_out": 1}


def near_dup_stays_on_one_side(folder: Path, said: pytest.LogCaptureFixture) -> None:
    original = Image.open(folder / "data/images/hero/series0/hero0.png")
    brighter = np.asarray(ImageEnhance.Brightness(original).enhance(1.02))
    (folder / "data/images/hero/series5/again.jpg").write_bytes(encoded(brighter, "JPEG", quality=95))
    for seed in range(8):
        made = index(folder, seed=seed)
        rows = [row for row in made.rows if row.path.endswith(("hero0.png", "again.jpg"))]
        assert len(rows) == 2
        assert len({row.cluster for row in rows}) == len({row.group for row in rows}) == 1
        assert len({row.split for row in rows}) == 1
    s = read_indexed(folder, made)
    torn = np.where(s.keys == rows[0].key, "test" if rows[0].split != "test" else "val", s.splits)
    write_index(folder / "dataset.csv", s, split=torn.tolist())
    with pytest.raises(SplitError, match=r"group 'series0 \+ series5' stands in"):
        read(folder)


def f16_overflow_of_a_finite_number_is_fine(folder: Path, said: pytest.LogCaptureFixture) -> None:
    with_value(folder, of_design(), 7, 2, 1e30)
    assert read(folder).features.iloc[7, 2] == np.float32(1e30)
    assert not said.records


def zero_row_of_few_columns_is_fine(folder: Path, said: pytest.LogCaptureFixture) -> None:
    features = pd.concat([columns(15, "clip"), columns(20)], axis=1)
    features.iloc[7, :15] = 0  # too few to tell
    features.iloc[8, :] = np.nan  # a row that says why
    features.iloc[9, 16:] = 0  # all but one
    status = np.zeros((120, 2), np.uint8)
    status[8] = 1
    write_house(folder, change(study(), features=features, blocks=("clip", "design"), status=status))
    assert (read(folder).features.iloc[7, :15] == 0).all()


def zero_variance_of_some_columns_is_named(folder: Path, said: pytest.LogCaptureFixture) -> None:
    features = columns(20)
    features.iloc[:, 2] = 0
    features.iloc[:, [5, 9, 11]] = 7.5
    features.iloc[3] = np.nan
    status = np.zeros((120, 1), np.uint8)
    status[3] = 1
    write_house(folder, change(study(), features=features, blocks=("design",), status=status))
    read(folder)
    assert [record.getMessage() for record in said.records] == [
        f"{folder}/features.h5: never varies over the 120 images, and tells nothing: "
        "design/c2, design/c5, design/c9 and 1 more"
    ]
    assert said.records[0].levelname == "WARNING"


ACCEPTED = {
    "exact_dup": exact_dup_is_one_row,
    "near_dup": near_dup_stays_on_one_side,
    "f16_overflow": f16_overflow_of_a_finite_number_is_fine,
    "zero_row": zero_row_of_few_columns_is_fine,
    "zero_variance": zero_variance_of_some_columns_is_named,
}


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.usefixtures("data")
def test_data_that_only_look_bad_are_accepted_and_known_of(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ACCEPTED[name](tmp_path, caplog)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_codes_have_no_gaps_since_labels_are_names(n_classes: int, tmp_path: Path) -> None:
    labels = ("1", "10", "7")[:n_classes]
    write_house(tmp_path, study(labels=labels))
    head = fit_on_train(read(tmp_path), small_head("xgb", n_classes=n_classes))
    assert head.classes_.tolist() == sorted(labels)
    assert head.pipeline_[-1].classes_.tolist() == list(range(n_classes))  # what XGBoost was given


# --- the files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("label", "", "has the label ''"),
        ("split", "trian", "has the split 'trian'"),
        ("key", "0" * 63 + "1", "not a data set of this kyara; run: dvc repro --force index"),
    ],
)
def test_a_broken_row_of_the_index_is_refused(column: str, value: str, said: str, tmp_path: Path) -> None:
    s = study()
    write_house(tmp_path, s)
    was = {"label": s.labels, "split": s.splits, "key": s.keys}[column].tolist()
    write_index(tmp_path / "dataset.csv", s, **{column: [was[0], was[1], value, *was[3:]]})
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/dataset.csv: ")
    assert said in str(caught.value)
    if column != "key":
        assert f"{s.paths[2]} has the {column}" in str(caught.value)


def flipped(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(share * (len(data) - 1))] ^= 0x40
    path.write_bytes(data)


@pytest.mark.parametrize("share", [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99, 1])
def test_a_flipped_byte_anywhere_is_refused_before_a_value_is_used(share: float, tmp_path: Path) -> None:
    write_house(tmp_path, study())
    flipped(tmp_path / "features.h5", share)
    with pytest.raises(DataError, match=rf"^{tmp_path}/features\.h5: .*; .*run: .*dvc repro") as caught:
        read(tmp_path)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("content", [b"", b"no store at all", bytes(10_000)])
def test_what_is_no_store_is_refused(content: bytes, tmp_path: Path) -> None:
    write_house(tmp_path, study())
    (tmp_path / "features.h5").write_bytes(content)
    with pytest.raises(DataError, match=r"features\.h5: .*; .*run: .*dvc repro"):
        read(tmp_path)


def test_a_flipped_byte_ends_train_with_one_line(tmp_path: Path) -> None:
    write_house(tmp_path, study())
    shutil.copy(ROOT / "params.yaml", tmp_path)
    flipped(tmp_path / "features.h5", 0.6)
    done = subprocess.run(
        [sys.executable, "-m", "classifiers", "train"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("kyara: error: features.h5: ")
    assert "dvc repro" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "model").exists()
