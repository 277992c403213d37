from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import Centroid, change, study, write_house, write_index, write_learned

from classifiers.curves import write_loss
from classifiers.data import IMAGE_WISE, Study, check_model, check_positive, read_study
from classifiers.evaluate import evaluate
from classifiers.metrics import MEASURES
from classifiers.predictions import predict_rows
from classifiers.scoring import Scoring
from classifiers.train import fit_on_train, model_card
from featurestore.dataset import rows_digest
from featurestore.errors import (
    DataError,
    KyaraError,
    MissingData,
    MissingRows,
    ParamsError,
    SplitError,
)

ROOT = Path(__file__).parents[1]
FILES = [
    "metrics.json", "plots/calibration.csv", "plots/calibration.png", "plots/confusion.csv",
    "plots/confusion.png", "plots/pr.csv", "plots/pr.png", "plots/roc.csv", "plots/roc.png",
    "plots/training.csv", "plots/training.png", "predictions.csv",
]  # fmt: skip


def run(s: Study, results: Path, *, folds: int = 5, **more: Any) -> Mapping[str, Any]:
    how = Scoring(positive=1, folds=folds, repeats=2, draws=200, seed=42)
    files = {"results": results, "learned": results.parent / "learned"}
    return evaluate(s, fit_on_train(s, Centroid()), Centroid, how, name="centroid", **files, **more)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_metrics_have_every_measure_beside_its_interval_and_the_majority(tmp_path: Path) -> None:
    document = run(study(), tmp_path)
    assert document == json.loads((tmp_path / "metrics.json").read_text())
    for part, n in (("cv", 96), ("val", 24)):
        block = document[part]
        assert block["n"] == n
        assert [row["measure"] for row in block["table"]] == list(MEASURES)
        for row in block["table"]:
            in_table_only = row["measure"] in ("precision_macro", "recall_macro")
            assert (row["measure"] in block) is not in_table_only
            assert block.get(row["measure"], row["score"]) == row["score"]
            assert row["majority"] is not None
    cv = {row["measure"]: row for row in document["cv"]["table"]}
    assert all(row["low"] < row["score"] < row["high"] for row in cv.values())
    assert cv["accuracy"]["score"] > 0.65 > cv["accuracy"]["majority"]


def test_val_has_six_groups_so_no_interval_and_says_why(tmp_path: Path) -> None:
    val = run(study(), tmp_path)["val"]
    assert val["groups"] == 6
    assert val["notes"] == ["no intervals: 6 groups, and fewer than 10 say too little of others"]
    assert all(row["low"] is None for row in val["table"])


def test_the_test_split_is_neither_predicted_nor_counted(tmp_path: Path) -> None:
    s = study()
    one, other = tmp_path / "one", tmp_path / "other"
    run(s, one)
    test = s.rows_of("test")
    poisoned = s.features.copy()
    poisoned.iloc[test] = 1e9
    run(change(s, features=poisoned), other)
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    keys = {row["key"] for row in table(one / "predictions.csv")}
    assert not keys & set(s.keys[test])


def test_predictions_are_one_row_an_image_and_split(tmp_path: Path) -> None:
    s = study()
    run(s, tmp_path)
    rows = table(tmp_path / "predictions.csv")
    said = ["key", "path", "group", "split", "repeat", "fold", "label", "predicted", "p_hero", "p_villain"]
    assert list(rows[0]) == said
    for repeat in ("0", "1"):
        cv = [row["key"] for row in rows if row["split"] == "cv" and row["repeat"] == repeat]
        assert cv == s.keys[s.rows_of("train", "val")].tolist()
    assert len(rows) == 2 * len(cv) + len(s.rows_of("val"))
    assert {row["fold"] for row in rows if row["split"] == "cv"} == {str(i) for i in range(10)}
    assert {row["fold"] for row in rows if row["split"] == "val"} == {""}
    assert all(float(row["p_hero"]) + float(row["p_villain"]) == pytest.approx(1, abs=2e-6) for row in rows)


def test_equal_studies_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        run(study(), tmp_path / folder)
    found = sorted(p.relative_to(tmp_path / "one").as_posix() for p in (tmp_path / "one").rglob("*.*"))
    assert found == FILES
    for name in FILES:
        data = (tmp_path / "one" / name).read_bytes()
        assert data == (tmp_path / "other" / name).read_bytes(), name
        assert b"\r\n" not in data or name.endswith("png")


def test_no_signal_is_no_better_than_chance(tmp_path: Path) -> None:
    auc = next(
        r
        for r in run(study(n=300, n_groups=60, effect=0.0), tmp_path)["cv"]["table"]
        if r["measure"] == "auc"
    )
    assert auc["low"] < 0.5 < auc["high"]


def test_three_classes_are_scored_and_drawn(tmp_path: Path) -> None:
    document = run(study(n=180, labels=("antihero", "hero", "villain")), tmp_path, folds=3)
    assert document["cv"]["n"] == 144
    assert 0.5 < document["cv"]["auc"] < 1
    assert {row["actual"] for row in table(tmp_path / "plots/confusion.csv")} == {
        "antihero",
        "hero",
        "villain",
    }


def test_features_learned_from_train_have_no_cv_and_val_stays(tmp_path: Path) -> None:
    s = study(fitted_on={"resnet18": "ab"})
    write_learned(tmp_path / "learned", s)
    document = run(s, tmp_path / "results")
    assert document["cv"] == {
        "reason": "resnet18 learned from the train split: a fold would score pictures it saw; see val"
    }
    assert document["val"]["n"] == 24
    assert {row["split"] for row in table(tmp_path / "results/predictions.csv")} == {"val"}


def test_coverage_is_told_for_each_extractor_and_class(tmp_path: Path) -> None:
    s = study()
    status = s.status.copy()
    status[s.labels == "hero"] = 1
    document = run(change(s, status=status), tmp_path)
    assert document["coverage"] == [
        {"extractor": "toy", "class": "hero", "ok": 0.0, "n": 60},
        {"extractor": "toy", "class": "villain", "ok": 1.0, "n": 60},
    ]


def test_a_head_without_a_loss_curve_leaves_a_header_and_a_picture(tmp_path: Path) -> None:
    write_loss([], "centroid", tmp_path)
    assert (tmp_path / "loss.csv").read_text() == "epoch,loss,validation_score\n"
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_head_that_answers_not_a_number_is_refused() -> None:
    class Broken(Centroid):
        def predict_proba(self, X: Any) -> Any:
            return super().predict_proba(X) * np.nan

    s = study()
    with pytest.raises(KyaraError, match="not finite"):
        predict_rows(fit_on_train(s, Broken()), s, s.rows_of("val"))


# --- what is read, and what is refused ------------------------------------------------------------


def read(folder: Path, group_by: str = "series") -> Study:
    return read_study(folder / "features.h5", folder / "dataset.csv", group_by=group_by)


def test_a_study_is_read_back_in_the_order_of_its_keys(tmp_path: Path) -> None:
    s = study()
    write_house(tmp_path, s)
    found = read(tmp_path)
    assert found.keys.tolist() == s.keys.tolist()
    assert np.allclose(found.features, s.features, atol=1e-6)
    assert (found.labels == s.labels).all()
    assert found.split_kind == "split by series"
    assert read(tmp_path, "none").split_kind == IMAGE_WISE
    assert read(tmp_path, "character").split_kind == IMAGE_WISE


def test_pictures_that_are_groups_of_their_own_are_an_image_wise_split(tmp_path: Path) -> None:
    s = study()
    write_house(tmp_path, change(s, groups=s.keys))
    assert read(tmp_path).split_kind == "image-wise split"
    assert run(read(tmp_path), tmp_path / "results")["split"] == "image-wise split"


@pytest.mark.parametrize(("name", "stage"), [("features.h5", "fuse"), ("dataset.csv", "index")])
def test_a_missing_file_names_the_stage_that_makes_it(tmp_path: Path, name: str, stage: str) -> None:
    write_house(tmp_path, study())
    (tmp_path / name).unlink()
    with pytest.raises(MissingData, match=rf"no .*{name} here; run: dvc repro {stage}$") as error:
        read(tmp_path)
    assert error.value.exit_code == 4


def test_nan_is_welcome_where_the_status_says_why(tmp_path: Path) -> None:
    s = study()
    values, status = s.features.to_numpy().copy(), s.status.copy()
    values[7], status[7] = np.nan, 1
    write_house(tmp_path, change(s, status=status), values=values)
    assert read(tmp_path).features.iloc[7].isna().all()


def test_an_extractor_that_learned_from_this_train_split_is_welcome(tmp_path: Path) -> None:
    s = study()
    write_house(tmp_path, s, params={"fitted_on": {"resnet18": s.digest(s.rows_of("train"))}})
    assert list(read(tmp_path).fitted_on) == ["resnet18"]


@pytest.mark.parametrize("moved", ["split", "label"])
def test_an_extractor_that_learned_from_another_train_split_is_refused(tmp_path: Path, moved: str) -> None:
    s = study()
    write_house(tmp_path, s, params={"fitted_on": {"resnet18": s.digest(s.rows_of("train"))}})
    group = s.groups == s.groups[0]  # of train
    other = {
        "split": np.where(group, "val", s.splits),
        "label": np.where(np.arange(120) == 0, "villain", s.labels),
    }[moved]
    write_index(tmp_path / "dataset.csv", s, **{moved: other.tolist()})
    with pytest.raises(DataError) as error:
        read(tmp_path)
    assert error.value.exit_code == 3
    assert str(error.value) == (
        "resnet18 learned from other pictures or labels than the train split holds now; run: dvc repro"
    )


def test_pictures_without_a_row_are_counted(tmp_path: Path) -> None:
    s = study()
    write_house(tmp_path, s)
    write_index(tmp_path / "dataset.csv", s, key=[*s.keys[:-2].tolist(), "e" * 64, "f" * 64])
    with pytest.raises(
        MissingRows, match=r"2 of 120 images have no row in .*features.h5 .*; run: dvc repro"
    ) as e:
        read(tmp_path)
    assert e.value.exit_code == 3


def test_a_group_in_two_splits_is_refused(tmp_path: Path) -> None:
    s = study()
    write_house(tmp_path, s)
    write_index(tmp_path / "dataset.csv", s, split=["test", *s.splits[1:].tolist()])
    with pytest.raises(SplitError, match="group 'series 00' stands in test and in train") as error:
        read(tmp_path)
    assert error.value.exit_code == 3


def test_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    s = study()
    write_house(tmp_path, s)
    header = (tmp_path / "dataset.csv").read_text().splitlines()[0]
    (tmp_path / "dataset.csv").write_text(header + "\n")
    with pytest.raises(DataError, match="has no rows") as error:
        read(tmp_path)
    assert error.value.exit_code == 3


def test_a_positive_class_that_is_no_label_names_the_labels() -> None:
    assert check_positive("villain", ("hero", "villain")) == 1
    with pytest.raises(ParamsError) as error:
        check_positive("vilain", ("hero", "villain"))
    assert error.value.exit_code == 2
    assert str(error.value) == (
        "evaluation.positive: no 'vilain' among the labels of dataset.csv; one of: hero, villain"
    )


def test_a_model_of_other_pictures_or_features_is_refused() -> None:
    s = study()
    card = model_card(s, "centroid", {}, seed=1, positive="villain")
    relabelled = change(s, labels=np.where(np.arange(120) == 0, "villain", s.labels))
    assert check_model(card, change(s, features=s.features + (s.splits == "test")[:, None])) is None
    for other in (change(s, features=s.features + 1e-9), relabelled):
        with pytest.raises(DataError, match="run: dvc repro") as error:
            check_model(card, other)
        assert error.value.exit_code == 3


def test_the_digest_of_rows_knows_labels_but_no_order() -> None:
    assert rows_digest(["a", "b"], ["x", "y"]) != rows_digest(["a", "b"], ["y", "x"])


# --- the commands ---------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path) -> Path:
    write_house(tmp_path, study())
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def python(house: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_train_evaluate_and_final_run_as_commands(house: Path) -> None:
    code = "import classifiers.__main__ as m; [m.main([c]) for c in ('train', 'evaluate', 'final')]"
    done = python(house, "-c", code)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "fitted on 72 images" in lines[0]
    assert next(line for line in lines if line.startswith("measure")).split()[:3] == ["measure", "cv", "95%"]
    assert any(line.startswith("balanced accuracy") for line in lines)
    assert "logreg, positive class 'villain'; split by series" in lines
    assert "test split: 1 look from here (logs/looks.csv); nothing was picked" in done.stdout


def test_what_is_tuned_beside_a_head_stands_in_its_card_and_above_its_scores(house: Path) -> None:
    text = (house / "params.yaml").read_text()
    text = text.replace("threshold: default", "threshold: balanced_accuracy")
    text = text.replace("calibration: none", "calibration: sigmoid").replace("  repeats: 5", "  repeats: 1")
    text = text.replace("    penalty: l2\n", "    penalty: l2\n    search: {over: {C: [0.01, 1.0]}}\n")
    (house / "params.yaml").write_text(text)
    code = "import classifiers.__main__ as m; [m.main([c]) for c in ('train', 'evaluate', 'final')]"
    done = python(house, "-c", code)
    assert done.returncode == 0, done.stderr
    card = json.loads((house / "model/card.json").read_text())
    assert card["search"]["tried"] == 2
    assert card["search"]["params"]["C"] in (0.01, 1.0)
    assert 0 < card["decision"]["tuned"] < 1
    said = "C searched in every fold, threshold by balanced accuracy, calibrated by a sigmoid"
    assert re.search(r"; it chose C=(0\.01|1\.0) of 2 candidates$", done.stdout, re.MULTILINE)
    assert f"split by series; {said}" in done.stdout
    assert json.loads((house / "results/metrics.json").read_text())["decision"] == said


def test_evaluate_without_a_model_says_what_makes_it(house: Path) -> None:
    done = python(house, "-m", "classifiers", "evaluate")
    assert done.returncode == 4
    assert done.stderr.startswith("kyara: error: model/card.json: not there; run: dvc repro train")
    assert done.stderr.count("\n") == 1


def test_a_bad_positive_class_exits_with_two_and_one_line(house: Path) -> None:
    params = (house / "params.yaml").read_text().replace("positive: villain", "positive: monster")
    (house / "params.yaml").write_text(params)
    done = python(house, "-m", "classifiers", "train")
    assert done.returncode == 2
    assert done.stderr == (
        "kyara: error: evaluation.positive: no 'monster' among the labels of dataset.csv; "
        "one of: hero, villain\n"
    )


@pytest.mark.parametrize("args", [["ls"], ["--help"], ["train", "--help"]])
def test_listing_and_help_import_nothing_heavy(args: list[str]) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['classifiers', *{args!r}]\n"
        "try: runpy.run_module('classifiers', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'numpy', 'pandas', 'h5py', 'sklearn', 'matplotlib', 'xgboost', 'dvc'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if args == ["ls"]:
        assert any(line.split()[0] == "logreg" for line in done.stdout.splitlines())


def test_labels_in_any_script_are_plotted_with_one_line_at_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from classifiers.plots import png

    data = png(lambda figure: figure.add_subplot().set(title="ヒーロー $x$ 英雄"))
    assert data.startswith(b"\x89PNG")
    assert len(caplog.records) <= 1
