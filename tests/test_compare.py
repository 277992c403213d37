from __future__ import annotations

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import Centroid, change, study, write_learned

from classifiers.comparison.board import Leaderboard
from classifiers.comparison.compare import compare
from classifiers.comparison.shortcuts import gather
from classifiers.data import IMAGE_WISE, Study
from classifiers.networks import read_softmax
from classifiers.scoring import Scoring
from classifiers.testing import small_head
from featurestore.errors import KyaraError, ParamsError, SplitError


class Coin(Centroid):
    """Answers at random."""

    def predict_proba(self, X: Any) -> Any:
        p = np.random.default_rng(0).random(len(X))
        return np.column_stack([p, 1 - p])


class Noise(Centroid):
    """Answers at random, each of these otherwise."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def predict_proba(self, X: Any) -> Any:
        p = np.random.default_rng(self.seed).random(10_000)[X.index]
        return np.column_stack([p, 1 - p])


def run(s: Study, results: Path, makers: dict[str, Any] | None = None, **more: Any) -> Leaderboard:
    makers = makers or {"coin": Coin, "twin": Centroid, "centroid": Centroid}
    how = Scoring(positive=1, folds=5, repeats=more.pop("repeats", 2), draws=200, seed=42)
    shortcuts = gather(s, more.pop("ring", None), None)
    done = compare(s, makers, shortcuts, how, results=results, learned=results.parent / "learned", **more)
    return done.board


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_heads_stand_by_auc_then_by_name(tmp_path: Path) -> None:
    run(study(), tmp_path)
    rows = [row for row in table(tmp_path / "leaderboard.csv") if row["kind"] == "head"]
    assert [row["head"] for row in rows] == ["centroid", "twin", "coin"]
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
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
    said = "cv on 96 images of train and val in 24 groups, 5 grouped folds, drawn 2 times; split by series"
    page = (tmp_path / "leaderboard.md").read_text()
    assert said in text
    assert said in page
    assert "| centroid | 1 | best | 0." in page
    alone = run(change(study(), split_kind=IMAGE_WISE), tmp_path).text()
    assert "image-wise split" in alone


def test_test_rows_move_nothing_and_equal_studies_give_equal_bytes(tmp_path: Path) -> None:
    s = study()
    run(s, tmp_path / "one")
    poisoned = s.features.copy()
    poisoned.iloc[s.rows_of("test")] = 1e9
    run(change(s, features=poisoned), tmp_path / "other")
    for name in ("leaderboard.csv", "leaderboard.md", "shortcuts.csv", "oof.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_what_learned_is_left_out_of_the_folds_and_scored_on_val_beside_them(tmp_path: Path) -> None:
    s = study(n=240, n_groups=60)
    other = s.features.rename(columns=lambda name: f"resnet18/{name[-2:]}")
    both = pd.concat([s.features, other], axis=1)
    learned = change(
        s,
        features=both,
        blocks=("toy", "resnet18"),
        status=np.zeros((240, 2), dtype=np.uint8),
        fitted_on={"resnet18": "ab"},
    )
    write_learned(tmp_path / "learned", learned)
    board = run(learned, tmp_path / "results")
    cv, val = board.tables
    assert (cv.scored_on, val.scored_on) == ("cv", "val")
    assert "resnet18 learned from train and is left out here" in cv.notes
    assert [e.name for e in val.entries if e.kind == "network"] == ["resnet18 softmax"]
    alone = run(s, tmp_path / "alone")
    assert alone.tables[0].entries == cv.entries
    rows = table(tmp_path / "results/leaderboard.csv")
    assert {row["scored_on"] for row in rows} == {"cv", "val"}


def test_the_best_head_stands_beside_those_that_cannot_be_told_from_it(tmp_path: Path) -> None:
    board = run(study(n=600, n_groups=120), tmp_path)
    verdicts = {row["head"]: row["against_best"] for row in table(tmp_path / "leaderboard.csv")}
    assert (verdicts["centroid"], verdicts["twin"], verdicts["coin"]) == ("best", "cannot tell", "worse")
    assert board.tables[0].best == ("centroid", "twin")
    said = "centroid ranks first and cannot be told from twin."
    assert said in board.text()
    assert said in (tmp_path / "leaderboard.md").read_text()


def test_the_winner_is_corrected_for_having_been_picked(tmp_path: Path) -> None:
    board = run(study(), tmp_path, {f"coin{i}": partial(Noise, i) for i in range(8)})
    winner = board.tables[0].winner
    first = table(tmp_path / "leaderboard.csv")[0]
    assert winner is not None
    assert winner.n_heads == 8
    assert float(first["auc_corrected"]) == pytest.approx(winner.score, abs=1e-6)
    assert float(first["auc"]) > 0.53 > winner.score
    assert "Picked as the best of 8" in board.text()


def test_baselines_never_compete(tmp_path: Path) -> None:
    board = run(study(), tmp_path, {"dummy": Centroid, "coin": Coin})
    kinds = {e.name: (e.kind, e.rank) for e in board.tables[0].entries}
    assert kinds["dummy"] == ("baseline", None)
    assert kinds["coin"] == ("head", 1)


def test_out_of_fold_predictions_of_every_head_are_kept(tmp_path: Path) -> None:
    s = study()
    run(s, tmp_path)
    kept = pd.read_parquet(tmp_path / "oof.parquet")
    rows = s.rows_of("train", "val")
    assert set(kept["head"]) == {"centroid", "twin", "coin", "series prior"}
    one = kept[(kept["head"] == "twin") & (kept["repeat"] == 1)]
    assert one["key"].tolist() == s.keys[rows].tolist()
    assert one["label"].tolist() == s.labels[rows].tolist()
    assert np.allclose(one[["p_hero", "p_villain"]].sum(axis=1), 1)
    assert sorted(kept["fold"].unique()) == list(range(10))


@pytest.mark.usefixtures("at_once")
def test_the_number_of_processes_moves_nothing(tmp_path: Path) -> None:
    makers = {name: partial(small_head, name) for name in ("logreg", "xgb")}
    s = study()
    how = Scoring(positive=1, folds=3, repeats=2, draws=100, seed=42)
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        compare(s, makers, [], replace(how, workers=workers), results=folder, learned=tmp_path)
    for name in ("leaderboard.csv", "oof.parquet"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_what_was_skipped_is_said(tmp_path: Path) -> None:
    board = run(study(), tmp_path, notes=("svm: 30,000 rows, and it takes 20,000",))
    assert "svm: 30,000 rows" in board.text()
    assert "svm: 30,000 rows" in (tmp_path / "leaderboard.md").read_text()


def test_learned_features_are_scored_on_val(tmp_path: Path) -> None:
    s = study(fitted_on={"resnet18": "ab"})
    write_learned(tmp_path / "learned", s)
    board = run(s, tmp_path / "results")
    assert {row["scored_on"] for row in table(tmp_path / "results/leaderboard.csv")} == {"val"}
    assert "no cv: resnet18 learned from the train split" in board.text()
    assert board.panel is None


def test_a_networks_own_decision_stands_among_the_heads_and_is_said_to_be_one(tmp_path: Path) -> None:
    s = study(n=240, n_groups=60, fitted_on={"resnet18": "ab", "vggface2": "ab"})
    design = s.labels[s.rows_of("val")][::-1].tolist()
    write_learned(tmp_path / "learned", s, "resnet18")
    write_learned(tmp_path / "learned", s, "vggface2", design=design)
    board = run(s, tmp_path / "results")
    rows = {row["head"]: row for row in table(tmp_path / "results/leaderboard.csv")}
    assert {row["scored_on"] for row in rows.values()} == {"val"}
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
    scores = {entry.name: entry.scores for entry in board.tables[0].entries}
    assert scores["parrot"] == scores["resnet18 softmax"]


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
