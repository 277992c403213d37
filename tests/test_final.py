from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import Centroid, change, study

from classifiers.data import Study
from classifiers.final import Final, final, stale_test
from classifiers.looks import LOOK_COLUMNS
from classifiers.metrics import MEASURES
from classifiers.train import fit_on_train, model_card
from featurestore.errors import DataError, SplitError


def look(s: Study, folder: Path, card: dict[str, Any] | None = None) -> Final:
    head = fit_on_train(s, Centroid())
    card = card or model_card(s, "centroid", {}, seed=1, positive="villain")
    return final(
        s,
        head,
        card,
        positive=1,
        draws=200,
        seed=42,
        results=folder / "results",
        log=folder / "logs/looks.csv",
    )


def looks(folder: Path) -> list[dict[str, str]]:
    with (folder / "logs/looks.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_final_scores_test_with_the_same_measures(tmp_path: Path) -> None:
    s = study(n=300, n_groups=60)
    outcome = look(s, tmp_path)
    assert json.loads((tmp_path / "results/test.json").read_text()) == outcome.document
    block = outcome.document["test"]
    assert (block["n"], block["groups"]) == (60, 12)
    assert [row["measure"] for row in block["table"]] == list(MEASURES)
    assert all(row["low"] <= row["score"] <= row["high"] for row in block["table"])


def test_each_look_is_counted_and_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    s = study()
    assert [look(s, tmp_path).n_looks for _ in range(2)] == [1, 2]
    moved = s.features.copy()
    moved.iloc[s.rows_of("test")] += 1.0
    assert look(change(s, features=moved), tmp_path).n_looks == 3
    rows = looks(tmp_path)
    assert tuple(rows[0]) == LOOK_COLUMNS
    assert rows[0]["predictions"] == rows[1]["predictions"] != rows[2]["predictions"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", rows[0]["time"])
    assert rows[0]["revision"] == ""  # no git here
    assert rows[0]["n"] == "24"
    assert rows[0]["auc_se"] == ""  # 6 groups have no interval


def test_a_look_is_logged_with_the_standard_errors_of_its_scores(tmp_path: Path) -> None:
    outcome = look(study(n=300, n_groups=60), tmp_path)
    table = {row["measure"]: row for row in outcome.document["test"]["table"]}
    for name in ("accuracy", "auc"):
        error = (table[name]["high"] - table[name]["low"]) / 2 / 1.96
        assert float(looks(tmp_path)[0][f"{name}_se"]) == pytest.approx(error, abs=2e-6)
    assert outcome.looks.auc_se == float(looks(tmp_path)[0]["auc_se"])
    assert (outcome.n_looks, outcome.looks.n_different) == (1, 1)


def test_a_damaged_log_is_refused_before_a_score_is_written(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/looks.csv").write_text("time,revi")
    with pytest.raises(DataError, match=r"looks\.csv: its first line is 'time,revi'"):
        look(study(), tmp_path)
    assert not (tmp_path / "results").exists()


def test_results_hold_no_time_and_repeat(tmp_path: Path) -> None:
    look(study(), tmp_path)
    first = (tmp_path / "results/test.json").read_bytes()
    look(study(), tmp_path)
    assert (tmp_path / "results/test.json").read_bytes() == first


def test_a_model_of_other_features_is_refused_and_no_look_counted(tmp_path: Path) -> None:
    s = study()
    card = model_card(s, "centroid", {}, seed=1, positive="villain")
    with pytest.raises(DataError, match=r"model/ was fitted on other .*; run: dvc repro$") as error:
        look(change(s, features=s.features + 1e-9), tmp_path, card)
    assert error.value.exit_code == 3
    assert not (tmp_path / "logs").exists()


def test_a_score_that_outlived_its_model_is_noticed(tmp_path: Path) -> None:
    s = study()
    card = model_card(s, "centroid", {}, seed=1, positive="villain")
    assert stale_test(tmp_path / "results", card) == ""
    look(s, tmp_path, card)
    assert stale_test(tmp_path / "results", card) == ""
    for other in ({"head": "rf"}, {"train_digest": "0"}, {"features_digest": "0"}):
        said = stale_test(tmp_path / "results", {**card, **other})
        assert "test.json is of another model or other pictures" in said


def test_an_empty_test_split_is_refused(tmp_path: Path) -> None:
    s = study()
    empty = change(s, splits=np.where(s.splits == "test", "val", s.splits))
    with pytest.raises(SplitError, match=r"the test split is empty; raise split\.test"):
        look(empty, tmp_path)


def test_one_class_in_test_leaves_auc_undefined_and_says_so(tmp_path: Path) -> None:
    s = study()
    lone = np.where((s.splits == "test") & (s.labels == "hero"), "val", s.splits)
    groups = np.where(lone == "test", np.char.add(s.groups, " test"), s.groups)
    block = look(change(s, splits=lone, groups=groups), tmp_path).document["test"]
    assert "auc" not in block
    assert any("one class" in note for note in block["notes"])
    assert looks(tmp_path)[0]["auc"] == ""
