from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from studies import Centroid, change, study, write_house, write_learned

from classifiers import __main__ as commands
from classifiers.curves import write_training
from classifiers.data import Study
from classifiers.evaluate import evaluate
from classifiers.networks import read_history, read_softmax
from classifiers.scoring import Scoring
from classifiers.train import fit_on_train
from featurestore.errors import DataError, MissingData

ROOT = Path(__file__).parents[1]


@pytest.fixture
def learned() -> Study:
    return study(n=240, n_groups=60, fitted_on={"resnet18": "ab"})


def run(s: Study, folder: Path) -> dict[str, Any]:
    found = evaluate(
        s,
        fit_on_train(s, Centroid()),
        Centroid,
        Scoring(positive=1, folds=5, repeats=1, draws=200, seed=42),
        name="centroid",
        results=folder / "results",
        learned=folder / "learned",
    )
    assert json.loads((folder / "results/metrics.json").read_text()) == found
    return dict(found)


def test_a_networks_own_decision_is_scored_on_val_beside_the_head(learned: Study, tmp_path: Path) -> None:
    write_learned(tmp_path / "learned", learned)
    document = run(learned, tmp_path)
    block = document["softmax"]["resnet18"]
    assert (block["n"], block["groups"]) == (48, 12)
    assert block["accuracy"] == pytest.approx(5 / 6, abs=1e-6)
    rows = {row["measure"]: row for row in block["table"]}
    assert rows["accuracy"]["low"] < rows["accuracy"]["score"] < rows["accuracy"]["high"]
    val = {row["measure"]: row["majority"] for row in document["val"]["table"]}
    assert {name: row["majority"] for name, row in rows.items()} == val
    assert "softmax_against_design_labels" not in document


def test_a_network_that_learned_design_labels_is_scored_against_both(learned: Study, tmp_path: Path) -> None:
    said = learned.labels[learned.rows_of("val")]
    wrong = np.where(np.arange(len(said)) % 6 == 0, np.where(said == "hero", "villain", "hero"), said)
    write_learned(tmp_path / "learned", learned, design=wrong.tolist())
    document = run(learned, tmp_path)
    assert document["softmax"]["resnet18"]["accuracy"] == pytest.approx(5 / 6, abs=1e-6)
    against = document["softmax_against_design_labels"]["resnet18"]
    assert (against["accuracy"], against["auc"], against["n"]) == (1.0, 1.0, 48)


def test_nothing_of_networks_is_told_where_none_learned(tmp_path: Path) -> None:
    document = run(study(), tmp_path)
    assert not {"softmax", "softmax_against_design_labels", "fusion"} & set(document)
    header = "extractor,epoch,phase,loss,holdout_loss,holdout_accuracy\n"
    assert (tmp_path / "results/plots/training.csv").read_text() == header
    assert (tmp_path / "results/plots/training.png").read_bytes().startswith(b"\x89PNG")


def test_the_curves_of_training_are_told_and_drawn(learned: Study, tmp_path: Path) -> None:
    folder = write_learned(tmp_path / "learned", learned)
    run(learned, tmp_path)
    lines = (tmp_path / "results/plots/training.csv").read_text().splitlines()
    assert lines[1] == "resnet18,1,probe,0.7,0.69,0.5"
    assert len(lines) == 5
    drawn = (tmp_path / "results/plots/training.png").read_bytes()
    text = (folder / "history.csv").read_text()
    (folder / "history.csv").write_text(
        text.replace("0.750000,True", "0.750000,False").replace("0.700000,False", "0.700000,True")
    )
    write_training({"resnet18": read_history("resnet18", tmp_path / "learned")}, tmp_path)
    assert (tmp_path / "training.png").read_bytes() != drawn  # the epoch that is kept is marked


def test_a_softmax_is_read_in_the_order_of_the_study_and_sums_to_one(learned: Study, tmp_path: Path) -> None:
    folder = write_learned(tmp_path / "learned", learned)
    text = (folder / "softmax.csv").read_text()
    (folder / "softmax.csv").write_text(text.replace("0.800000", "0.800600"))
    found = read_softmax(learned, "resnet18", tmp_path / "learned")
    assert found.design is None
    assert found.predictions.rows.tolist() == learned.rows_of("val").tolist()
    np.testing.assert_allclose(found.predictions.proba.sum(axis=1), 1, rtol=0, atol=1e-12)
    right = found.predictions.predicted == learned.codes(learned.labels[found.predictions.rows])
    assert right.tolist() == [i % 6 != 0 for i in range(48)]


Change = Callable[[str], str]


def _without_last_line(text: str) -> str:
    return text[: text.rstrip("\n").rindex("\n") + 1]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_without_last_line, "its 47 rows are not the 48 pictures of val"),
        (lambda t: t + t.splitlines()[-1] + "\n", "its 49 rows are not the 48 pictures of val"),
        (lambda t: t.replace("000", "00f", 1), "its 48 rows are not the 48 pictures of val"),
        (lambda t: t.replace("p_villain", "p_antihero"), "its columns are key, split, design_label, p_hero, p_antihero"),
        (lambda t: t.replace("p_hero,p_villain", "p_villain,p_hero"), "its columns are"),
        (lambda t: t.replace("0.800000", "0.802000", 1), "negative or do not sum to 1"),
        (lambda t: t.replace("0.800000", "-0.20000", 1).replace("0.200000", "1.200000", 1), "negative or"),
        (lambda t: t.replace("0.800000", "nan", 1), "'nan' is not finite"),
        (lambda t: t.replace("0.800000", "much", 1), "could not convert string to float: 'much'"),
        (lambda t: t.replace(",val,", ",test,", 1), "a row is of another split than val"),
        (lambda t: t.replace(",val,,", ",val,hero,", 1), "a design label is missing"),
        (lambda t: t.replace(",val,,", ",val,monster,"), "no class of dataset.csv"),
        (lambda t: t.replace(",0.200000\n", "\n", 1), "a row is longer or shorter than the header"),
        (lambda _: "", "its columns are"),
        (lambda t: t.replace("val", '"val', 1), "no CSV"),
    ],
)  # fmt: skip
def test_a_damaged_softmax_names_the_file_and_the_stage(
    learned: Study, tmp_path: Path, damage: Change, said: str
) -> None:
    path = write_learned(tmp_path / "learned", learned) / "softmax.csv"
    damaged = damage(path.read_text())
    assert damaged != path.read_text()
    path.write_text(damaged)
    with pytest.raises(DataError) as error:
        read_softmax(learned, "resnet18", tmp_path / "learned")
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert str(error.value).endswith("; run: dvc repro")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda t: t.replace("best", "kept"), "its columns are epoch, phase"),
        (lambda t: t.replace("True", "False"), "not one of them is best"),
        (lambda t: t.replace("4,tune", "3,tune"), "do not count from 1"),
        (lambda t: t.replace("0.400000", "nan"), "'nan' is not finite"),
        (lambda t: t.replace("True", "yes"), "'yes'"),
    ],
)
def test_a_damaged_history_names_the_file_and_the_stage(
    learned: Study, tmp_path: Path, damage: Change, said: str
) -> None:
    path = write_learned(tmp_path / "learned", learned) / "history.csv"
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError) as error:
        read_history("resnet18", tmp_path / "learned")
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert str(error.value).endswith("; run: dvc repro")


@pytest.mark.parametrize("name", ["softmax.csv", "history.csv"])
def test_a_missing_file_is_told_before_anything_is_written(learned: Study, tmp_path: Path, name: str) -> None:
    path = write_learned(tmp_path / "learned", learned) / name
    path.unlink()
    with pytest.raises(MissingData) as error:
        run(learned, tmp_path)
    assert error.value.exit_code == 4
    assert str(error.value) == f"no {path}; run: dvc repro"
    assert not (tmp_path / "results").exists()


def test_three_classes_have_a_softmax_too(tmp_path: Path) -> None:
    s = study(n=180, labels=("antihero", "hero", "villain"), fitted_on={"resnet18": "ab"})
    write_learned(tmp_path / "learned", s)
    assert run(s, tmp_path)["softmax"]["resnet18"]["accuracy"] == pytest.approx(5 / 6, abs=0.01)


def test_the_commands_say_what_each_column_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    s = study()
    values = np.hstack([s.features.to_numpy(), s.features.to_numpy()[:, ::-1]])
    names = [f"{block}/c{i}" for block in ("design", "resnet18") for i in range(4)]
    s = change(
        s,
        features=type(s.features)(values, columns=names),
        blocks=("design", "resnet18"),
        status=np.zeros((120, 2), dtype=np.uint8),
    )
    write_house(tmp_path, s, params={"fitted_on": {"resnet18": s.digest(s.rows_of("train"))}})
    write_learned(tmp_path / "learned", s, design=s.labels[s.rows_of("val")].tolist())
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["fusion"] = {"method": "late"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    assert [commands.main([c]) for c in ("train", "evaluate")] == [0, 0]
    said = capsys.readouterr().out
    assert "logreg, positive class 'villain'; split by series; late fusion\n" in said
    assert (
        "  resnet18 softmax: 24 images of val, the network's own decision without a head, in 6 groups" in said
    )
    assert "against the labels that the design conventions give" in said
    assert json.loads(Path("model/card.json").read_text())["fusion"] == {
        "method": "late",
        "block_scaling": False,
    }
    metrics = json.loads(Path("results/metrics.json").read_text())
    assert metrics["fusion"] == "late fusion"
    assert set(metrics["softmax"]) == {"resnet18"}
