from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import Centroid, change, study, write_learned

from classifiers.compare import Leaderboard, compare
from classifiers.data import IMAGE_WISE, Study
from classifiers.networks import read_softmax
from featurestore.errors import KyaraError, ParamsError, SplitError


class Coin(Centroid):
    """Answers at random."""

    def predict_proba(self, X: Any) -> Any:
        p = np.random.default_rng(0).random(len(X))
        return np.column_stack([p, 1 - p])


def run(s: Study, results: Path, makers: dict[str, Any] | None = None, **more: Any) -> Leaderboard:
    makers = makers or {"coin": Coin, "twin": Centroid, "centroid": Centroid}
    weights = results.parent / "learned"
    return compare(
        s, makers, positive=1, folds=5, draws=200, seed=42, results=results, learned=weights, **more
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_heads_stand_by_auc_then_by_name(tmp_path: Path) -> None:
    run(study(), tmp_path)
    rows = table(tmp_path / "leaderboard.csv")
    assert [row["head"] for row in rows] == ["centroid", "twin", "coin"]
    assert rows[0]["auc"] == rows[1]["auc"] > rows[2]["auc"]
    for row in rows:
        assert float(row["auc_low"]) < float(row["auc"]) < float(row["auc_high"])
        assert (row["scored_on"], row["n"], row["groups"], row["split"]) == (
            "cv",
            "96",
            "24",
            "split by series",
        )


def test_the_page_and_the_terminal_say_what_was_scored(tmp_path: Path) -> None:
    text = run(study(), tmp_path).text()
    said = "cv on 96 images of train and val in 24 groups, 5 grouped folds; split by series"
    page = (tmp_path / "leaderboard.md").read_text()
    assert said in text
    assert said in page
    assert "| centroid | 0." in page
    alone = run(change(study(), split_kind=IMAGE_WISE), tmp_path).text()
    assert "image-wise split" in alone


def test_test_rows_move_nothing_and_equal_studies_give_equal_bytes(tmp_path: Path) -> None:
    s = study()
    run(s, tmp_path / "one")
    poisoned = s.features.copy()
    poisoned.iloc[s.rows_of("test")] = 1e9
    run(change(s, features=poisoned), tmp_path / "other")
    for name in ("leaderboard.csv", "leaderboard.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_learned_features_are_scored_on_val(tmp_path: Path) -> None:
    s = study(fitted_on={"resnet18": "ab"})
    write_learned(tmp_path / "learned", s)
    board = run(s, tmp_path / "results")
    assert {row["scored_on"] for row in table(tmp_path / "results/leaderboard.csv")} == {"val"}
    assert "no cv: resnet18 learned from the train split" in board.text()


def test_a_networks_own_decision_stands_among_the_heads_and_is_said_to_be_one(tmp_path: Path) -> None:
    s = study(n=240, n_groups=60, fitted_on={"resnet18": "ab", "vggface2": "ab"})
    design = s.labels[s.rows_of("val")][::-1].tolist()
    write_learned(tmp_path / "learned", s, "resnet18")
    write_learned(tmp_path / "learned", s, "vggface2", design=design)
    board = run(s, tmp_path / "results")
    rows = {row["head"]: row for row in table(tmp_path / "results/leaderboard.csv")}
    assert set(rows) == {"centroid", "coin", "twin", "resnet18 softmax", "vggface2 softmax"}
    one = rows["resnet18 softmax"]
    assert (float(one["accuracy"]), one["n"]) == (pytest.approx(5 / 6, abs=1e-6), "48")
    assert float(one["auc_low"]) < float(one["auc"]) < float(one["auc_high"])
    own = "resnet18 softmax: the network's own decision, no head"
    taught = "vggface2 softmax: the network's own decision, no head; it learned the design labels"
    for text in (board.text(), (tmp_path / "results/leaderboard.md").read_text()):
        assert own in text
        assert taught in text


def test_a_networks_own_decision_is_scored_on_the_draws_of_the_heads(tmp_path: Path) -> None:
    s = study(n=240, n_groups=60, fitted_on={"resnet18": "ab"})
    write_learned(tmp_path / "learned", s)
    softmax = read_softmax(s, "resnet18", tmp_path / "learned").predictions

    class Parrot(Centroid):
        def predict_proba(self, X: Any) -> Any:
            proba = np.zeros((len(s.keys), 2))
            proba[softmax.rows] = softmax.proba
            return proba[X.index]

    board = run(s, tmp_path / "results", {"parrot": Parrot})
    assert board.scores["parrot"] == board.scores["resnet18 softmax"]


def test_the_caption_says_how_extractors_were_joined(tmp_path: Path) -> None:
    assert "split by series; late fusion; accuracy" in run(study(), tmp_path, fusion="late fusion").text()
    assert "fusion" not in run(study(), tmp_path).text()


def test_a_head_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(KyaraError) as error:
        run(study(), tmp_path, {"bad": partial(Centroid, "singular matrix")})
    assert str(error.value) == "head bad failed: RuntimeError: singular matrix; its params: heads.bad"
    assert not (tmp_path / "leaderboard.csv").exists()


def test_a_head_with_impossible_params_exits_as_params_do(tmp_path: Path) -> None:
    def make() -> Centroid:
        raise ParamsError("heads.svm.C: -1 is out of range")

    with pytest.raises(ParamsError, match=r"heads\.svm\.C") as error:
        run(study(), tmp_path, {"svm": make})
    assert error.value.exit_code == 2


def test_too_few_pictures_are_no_heads_fault(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"^class 'hero' has"):
        run(study(n=12, n_groups=4), tmp_path)
