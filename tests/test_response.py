"""What heads say of redrawn pictures: which factor was moved, how far, and what it really does."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from classifiers.data import Study
from classifiers.explanation.response import response
from classifiers.explanation.response_report import MAPPED_SD, Response
from classifiers.scoring import Scoring
from extractors.zoo.design import COLUMNS
from featurestore.errors import MissingData
from tests.studies import change, study

HOW = Scoring(positive=1, folds=4, repeats=2, draws=200, seed=0)
FACTORS = ("height", "width", "depth")


class Linear:
    """Log-odds are known coefficients of the first columns; nothing is learned."""

    coefficients = (0.8, -0.4, 0.0)

    def fit(self, X: pd.DataFrame, y: npt.NDArray[Any], groups: Any = None) -> Linear:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        margin = X.to_numpy()[:, : len(self.coefficients)] @ np.array(self.coefficients)
        p = 1 / (1 + np.exp(-margin))
        return np.column_stack([1 - p, p])

    def predict(self, X: pd.DataFrame) -> npt.NDArray[Any]:
        return self.classes_[self.predict_proba(X).argmax(1)]


class World:
    """Pictures that are drawn by three factors: a study, data folders, and the rows of any picture.

    The design columns are the 63, of which the first three are the factors (the last of them seen faintly). A
    picture's file holds its factors.
    """

    def __init__(self, root: Path, *, seen: tuple[float, ...] = (1.0, 1.0, 0.05), **options: Any) -> None:
        one, rng = study(effect=0.0, **options), np.random.default_rng(3)
        hit = one.labels == "villain"
        self.factors = rng.normal(size=(len(one.keys), 3)) + np.outer(hit, (1.5, -0.9, 0.9))
        self.seen, self.root = np.array(seen), root
        self.hidden = rng.normal(size=(len(one.keys), len(COLUMNS)))
        rows = pd.DataFrame([self.row(i, f) for i, f in enumerate(self.factors)], columns=list(COLUMNS))
        self.study: Study = change(
            one, features=rows.add_prefix("design/"), blocks=tuple(one.fitted_on) or ("design",)
        )
        self.draw(root / "data", {})

    def row(self, i: int, factors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        found = self.hidden[i].copy()
        found[:3] = self.seen * factors + (1 - self.seen) * found[:3]
        return found

    def draw(
        self, folder: Path, moves: Mapping[str, float], *, only: int | None = None, says: bool = True
    ) -> Path:
        """A data folder in which every picture's factors are moved; of the first pictures only."""
        moved = self.factors + np.array([moves.get(name, 0.0) for name in FACTORS])
        lines = [",".join(("file", "character", *FACTORS))]
        for i, path in enumerate(self.study.paths[:only].tolist()):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{i} " + " ".join(map(repr, moved[i].tolist())))
            told = moved[i] if says else self.factors[i]
            lines.append(",".join((path, f"somebody {i}", *map(repr, told.tolist()))))
        (folder / "metadata").mkdir()
        (folder / "metadata/characters.csv").write_text("\n".join(lines) + "\n")
        return folder

    def rows(self, name: str, images: Mapping[str, Path], root: Path) -> pd.DataFrame:
        assert name in ("design", "net")
        found = []
        for file in images.values():
            assert file.is_relative_to(root)
            number, *factors = file.read_text().split()
            found.append(self.row(int(number), np.array(factors, float)))
        return pd.DataFrame(found, columns=list(COLUMNS)).astype(np.float32)

    def ask(self, *folders: Path, heads: Mapping[str, Callable[[], Any]] | None = None) -> Response:
        return response(
            self.study, heads or {"linear": Linear}, folders, HOW, root=self.root / "data", rows=self.rows
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_moved_factor_is_found_with_its_size_and_its_true_effect(world: World, tmp_path: Path) -> None:
    (moved,) = world.ask(world.draw(tmp_path / "tall", {"height": 0.5})).moved
    asked = world.study.rows_of("train", "val")
    height, hit = world.factors[asked, 0], world.study.labels[asked] == "villain"
    sd = np.sqrt((np.var(height[hit]) * hit.sum() + np.var(height[~hit]) * (~hit).sum()) / len(hit))
    assert moved.factor == "height"
    assert moved.sd == pytest.approx(sd)
    assert moved.by == pytest.approx(0.5 / sd)
    assert moved.effect is not None
    assert moved.effect.value == pytest.approx((height[hit].mean() - height[~hit].mean()) / sd)
    assert moved.images == len(asked)
    assert moved.real


def test_a_response_is_the_heads_log_odds_a_standard_deviation_of_the_factor(
    world: World, tmp_path: Path
) -> None:
    up, down = (world.draw(tmp_path / name, {"height": by}) for name, by in (("up", 0.5), ("down", -0.5)))
    report = world.ask(up, down)
    for one in report.moved:
        assert one.sd is not None
        reply = report.reply(one.folder, "linear")
        assert reply.margin.value == pytest.approx(0.8 * one.sd, rel=1e-5)  # whichever way it was moved
        assert reply.change.value * (1 if one.folder.endswith("up") else -1) > 0
        assert report.agrees(one, "linear") is True


def test_a_sign_that_differs_from_the_truth_is_said(world: World, tmp_path: Path) -> None:
    class Wrong(Linear):
        coefficients = (-0.8, -0.4, 0.0)

    report = world.ask(world.draw(tmp_path / "tall", {"height": 0.5}), heads={"wrong": Wrong})
    assert report.agrees(report.moved[0], "wrong") is False
    assert "differs" in report.text()


def test_where_the_classes_do_not_differ_there_is_no_sign_to_agree_with(world: World, tmp_path: Path) -> None:
    world.factors[:, 0] -= 1.5 * (world.study.labels == "villain")
    (tmp_path / "data/metadata/characters.csv").unlink()
    (tmp_path / "data/metadata").rmdir()
    world.draw(tmp_path / "data", {})
    report = world.ask(world.draw(tmp_path / "tall", {"height": 0.5}))
    assert not report.moved[0].real
    assert report.agrees(report.moved[0], "linear") is None


def test_a_factor_is_mapped_if_a_design_column_sees_it(world: World, tmp_path: Path) -> None:
    folders = [world.draw(tmp_path / name, {name: 0.5}) for name in FACTORS]
    height, width, depth = world.ask(*folders).moved
    assert height.seen == (COLUMNS[0],)
    assert height.mapped
    assert width.columns[0][0] == COLUMNS[1]
    assert not depth.mapped
    assert abs(depth.columns[0][1]) < MAPPED_SD
    assert "none" in world.ask(folders[2]).text()


def test_sizes_are_ranked_over_mapped_factors_if_there_are_three(tmp_path: Path) -> None:
    class Three(Linear):
        coefficients = (0.8, -0.4, 0.5)

    faint, clear = World(tmp_path / "faint"), World(tmp_path / "clear", seen=(1.0, 1.0, 1.0))
    for world, expected in ((faint, None), (clear, 1.0)):
        folders = [world.draw(world.root / name, {name: 0.5}) for name in FACTORS]
        report = world.ask(*folders, heads={"three": Three})
        sizes = [abs(one.effect.value) for one in report.moved if one.effect is not None]
        assert np.argsort(sizes).tolist() == [1, 2, 0]  # so that the ranks of the truth are those of the head
        assert report.rank_correlation("three") == expected


def test_what_was_moved_must_be_one_factor(world: World, tmp_path: Path) -> None:
    both = world.draw(tmp_path / "both", {"height": 0.5, "width": 0.5})
    silent = world.draw(tmp_path / "silent", {"height": 0.5}, says=False)
    report = world.ask(both, silent)
    assert [one.note for one in report.moved] == [
        "several factors were moved",
        "the metadata do not say what was moved",
    ]
    assert report.moved[0].factor == "height, width"
    assert report.reply(str(silent), "linear").margin.value == pytest.approx(
        0.4, rel=1e-5
    )  # of the whole move
    assert "several factors were moved" in report.text()


def test_some_of_the_pictures_are_enough_and_none_are_not(world: World, tmp_path: Path) -> None:
    report = world.ask(world.draw(tmp_path / "some", {"height": 0.5}, only=40))
    n = int((world.study.rows_of("train", "val") < 40).sum())
    assert 0 < report.moved[0].images == n < 40
    with pytest.raises(MissingData, match="none of the pictures of dataset"):
        world.ask(tmp_path / "nowhere")


def test_an_extractor_that_learned_is_asked_about_val_alone(tmp_path: Path) -> None:
    world = World(tmp_path, fitted_on={"net": "digest"})
    names = [name.replace("design/", "net/") for name in world.study.features.columns]
    world.study = change(world.study, features=world.study.features.set_axis(names, axis=1))
    report = world.ask(world.draw(tmp_path / "tall", {"height": 0.5}))
    assert report.moved[0].images == len(world.study.rows_of("val"))
    assert "asked about val" in report.caption
    assert report.moved[0].seen == (COLUMNS[0],)  # design measures it all the same


def test_the_csv_has_a_row_a_folder_and_head(world: World, tmp_path: Path) -> None:
    folders = [world.draw(tmp_path / name, {name: 0.5}) for name in FACTORS[:2]]
    report = world.ask(*folders, heads={"one": Linear, "two": Linear})
    rows = list(csv.DictReader(io.StringIO(report.csv())))
    assert [(row["factor"], row["head"]) for row in rows] == [
        ("height", "one"), ("height", "two"), ("width", "one"), ("width", "two"),
    ]  # fmt: skip
    assert {row["agrees"] for row in rows} == {"1"}
    assert report.csv() == world.ask(*folders, heads={"one": Linear, "two": Linear}).csv()
