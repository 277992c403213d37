"""What heads say of edited pictures: asked by those that did not see them, within range, beside the sham."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from classifiers.data import Study
from classifiers.explanation.asking import asker
from classifiers.explanation.counterfactual import HEADS, counterfactuals, heads_asked
from classifiers.explanation.counterfactual_report import Counterfactuals
from classifiers.plots import write_pngs
from classifiers.registry import head_names, make_head
from classifiers.scoring import Scoring
from extractors.edits import DOSES, EDITS
from featurestore.errors import DataError
from featurestore.params import DecisionParams, FusionParams
from tests.studies import Centroid, change, study

HOW = Scoring(positive=1, folds=4, repeats=3, draws=200, seed=0)
NAMES = ("warmth", "shadow")
WIDE = {"low": -100.0, "high": 100.0, "sd": 1.0}


def table(
    of: Study,
    rows: Sequence[int],
    *,
    moves: Mapping[str, float] | None = None,
    fake: Mapping[str, float] | None = None,
    noise: float = 0.0,
    dials: Mapping[str, Mapping[str, float]] | None = None,
    names: Sequence[str] = NAMES,
) -> pd.DataFrame:
    """edits.parquet of some pictures: each edit adds dose * move to the first column, its sham dose * fake."""
    rng = np.random.default_rng(5)
    found = []
    for row in rows:
        features = of.features.iloc[row].to_numpy(float)
        for name in ("none", *names):
            for kind in ("none",) if name == "none" else ("edit", "sham"):
                for dose in (0.0,) if name == "none" else DOSES:
                    x = features.copy()
                    move = (
                        0.0 if name == "none" else ((moves if kind == "edit" else fake) or {}).get(name, 0.0)
                    )
                    x[0] += dose * move + noise * rng.normal()
                    said = {EDITS[one].dial: dose if kind == "edit" and one == name else 0.0 for one in names}
                    found.append([of.keys[row], name, kind, dose, 5.0 * abs(dose), *x, *said.values()])
    columns = ["key", "edit", "kind", "dose", "rms", *of.features.columns]
    frame = pd.DataFrame(found, columns=[*columns, *(f"dial/{EDITS[one].dial}" for one in names)])
    frame.attrs.update({"reason": "", "dials": {EDITS[one].dial: WIDE for one in names} | dict(dials or {})})
    return frame


def makers(*names: str) -> dict[str, Callable[[], Any]]:
    return dict.fromkeys(names or ("near",), Centroid)


def ask(of: Study, edits: pd.DataFrame, tmp_path: Path, **options: Any) -> Counterfactuals:
    heads = options.pop("heads", makers())
    return counterfactuals(of, heads, edits, options.pop("how", HOW), results=tmp_path)


def every_other(of: Study) -> list[int]:
    return of.rows_of("train", "val").tolist()[::2]


# --- what is said


def test_a_head_that_goes_by_what_an_edit_moves_rises_or_falls_with_it(tmp_path: Path) -> None:
    one = study()
    edits = table(one, every_other(one), moves={"warmth": -0.5, "shadow": 0.5}, noise=0.05)
    report = ask(one, edits, tmp_path)
    warmth, shadow = report.verdict("warmth", "near"), report.verdict("shadow", "near")
    assert (warmth.verdict, shadow.verdict) == ("falls", "rises")
    assert (warmth.convention, shadow.convention) == ("as convention says", "as convention says")
    assert shadow.real is not None
    assert shadow.real.low is not None
    assert shadow.real.high is not None
    assert shadow.real.low < shadow.real.value < shadow.real.high


def test_a_head_that_answers_to_the_sham_as_to_the_edit_is_said_to(tmp_path: Path) -> None:
    one = study()
    edits = table(one, every_other(one), moves={"shadow": 0.5}, fake={"shadow": 0.5}, noise=0.05)
    told = ask(one, edits, tmp_path).verdict("shadow", "near")
    assert told.real is not None
    assert told.real.low is not None
    assert told.real.low > 0  # it does answer
    assert told.verdict == "like its sham"
    assert told.convention == ""


def test_conventions_may_be_contradicted(tmp_path: Path) -> None:
    one = study()
    edits = table(one, every_other(one), moves={"shadow": -0.5}, noise=0.05)
    assert ask(one, edits, tmp_path).verdict("shadow", "near").convention == "against convention"


def test_changes_are_against_the_unedited_row_of_the_same_picture(tmp_path: Path) -> None:
    one = study()
    edits = table(one, every_other(one), moves={"shadow": 1.0})
    report = ask(one, edits, tmp_path)
    point = next(p for p in report.points if (p.edit, p.kind, p.dose) == ("shadow", "edit", 1.0))
    still = next(p for p in report.points if (p.edit, p.kind, p.dose) == ("warmth", "edit", 1.0))
    assert still.change == pytest.approx(0.0, abs=1e-12)
    assert point.before == pytest.approx(still.before)
    assert 0.05 < point.change < 1 - point.before
    assert (point.images, point.rms, point.dial, point.dial_sd) == (
        len(every_other(one)),
        5.0,
        "shadow_density",
        1.0,
    )


class Memory:
    """Says 1 of rows that it was fitted on, or of those of a group that it saw; the group is the last column."""

    def fit(self, X: pd.DataFrame, y: npt.NDArray[Any], groups: Any = None) -> Memory:
        self.classes_ = np.unique(y)
        self.groups_ = set(X.iloc[:, -1])
        return self

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        known = np.array([float(group in self.groups_) for group in X.iloc[:, -1]])
        return np.column_stack([1 - known, known])

    def predict(self, X: pd.DataFrame) -> npt.NDArray[Any]:
        return self.classes_[self.predict_proba(X).argmax(1)]


def test_no_head_is_asked_about_a_picture_of_a_group_that_it_saw(tmp_path: Path) -> None:
    one = study()
    group = np.unique(one.groups, return_inverse=True)[1].astype(float)
    one = change(one, features=one.features.assign(**{"toy/c3": group}))
    report = ask(one, table(one, every_other(one)), tmp_path, heads={"memory": Memory})
    assert {point.before for point in report.points} == {0.0}
    told = asker(one, HOW, repeats=1).ask(
        {"memory": Memory}, one.features.iloc[:4], np.array(one.rows_of("train", "val")[:4]), HOW
    )
    assert told["memory"].shape == (1, 4)


def test_folds_are_drawn_once_and_test_is_never_asked_about(tmp_path: Path) -> None:
    one = study()
    asked = asker(one, HOW, repeats=1)
    assert len(asked.folds) == HOW.folds
    assert np.array_equal(asked.rows, one.rows_of("train", "val"))
    stranger = table(one, [*every_other(one), int(one.rows_of("test")[0])])
    with pytest.raises(DataError, match="not of train and val"):
        ask(one, stranger, tmp_path)


# --- the range of real images


def test_a_strength_that_leaves_the_range_is_shown_and_not_counted(tmp_path: Path) -> None:
    one = study()
    tight = {"shadow_density": {"low": -0.7, "high": 0.7, "sd": 0.5}}
    inside = table(one, every_other(one), moves={"shadow": 0.5}, dials=tight)
    report = ask(one, inside, tmp_path)
    within = {p.dose: p.within for p in report.points if p.edit == "shadow" and p.kind == "sham"}
    assert within == {-1.0: False, -0.5: True, 0.5: True, 1.0: False}
    beyond = inside.copy()
    far = (beyond["edit"] == "shadow") & (beyond["dose"].abs() == 1) & (beyond["kind"] == "edit")
    beyond.loc[far, "toy/c0"] = 0.0  # whatever happens out there
    slopes = [ask(one, t, tmp_path).verdict("shadow", "near").real for t in (inside, beyond)]
    assert slopes[0] == slopes[1]
    shown = next(p for p in report.points if (p.edit, p.kind, p.dose) == ("shadow", "edit", 1.0))
    assert shown.images == len(every_other(one))
    assert shown.dial_sd == pytest.approx(2.0)


def test_pictures_that_leave_the_range_are_left_out_of_their_strength(tmp_path: Path) -> None:
    one = study()
    rows = every_other(one)
    edits = table(one, rows, moves={"shadow": 0.5})
    gone = edits["key"].isin(one.keys[rows[:9]]) & (edits["dose"] == 1.0) & (edits["kind"] == "edit")
    edits.loc[gone & (edits["edit"] == "shadow"), "dial/shadow_density"] = 1e3
    points = [p for p in ask(one, edits, tmp_path).points if p.edit == "shadow" and p.dose == 1.0]
    assert [p.images for p in points] == [len(rows) - 9] * 2  # the sham's likewise: it is paired
    assert all(p.within for p in points)


def test_an_edit_that_is_never_within_the_range_has_no_slope(tmp_path: Path) -> None:
    one = study()
    nowhere = {"shadow_density": {"low": 5.0, "high": 6.0, "sd": 0.5}}
    report = ask(one, table(one, every_other(one), moves={"shadow": 0.5}, dials=nowhere), tmp_path)
    told = report.verdict("shadow", "near")
    assert (told.verdict, told.real) == ("out of range", None)
    assert "out of range" in report.text()


# --- studies of every kind


def test_an_extractor_that_learned_is_asked_about_val_alone(tmp_path: Path) -> None:
    one = study(fitted_on={"net": "digest"})
    val, train = one.rows_of("val").tolist(), one.rows_of("train").tolist()
    report = ask(one, table(one, [*val, *train[:5]], moves={"shadow": 0.5}), tmp_path)
    assert {p.images for p in report.points} == {len(val)}
    assert "fitted on train and asked about val (net learned from train)" in report.caption
    none = ask(one, table(one, train[:5]), tmp_path)
    assert "none of the edited pictures is of val" in none.reason
    assert none.text().endswith("net learned from train).")


def test_three_classes_and_pictures_without_groups(tmp_path: Path) -> None:
    one = study(labels=("hero", "other", "villain"))
    one = change(one, groups=one.keys, split_kind="image-wise split")
    how = Scoring(positive=2, folds=4, repeats=1, draws=200, seed=0)
    report = ask(one, table(one, every_other(one), moves={"shadow": 0.5}), tmp_path, how=how)
    assert report.positive == "villain"
    assert "image-wise" in report.caption
    assert report.verdict("shadow", "near").verdict == "rises"


def test_below_ten_groups_there_is_no_interval_and_no_verdict(tmp_path: Path) -> None:
    one = study()
    groups = one.groups[one.rows_of("train", "val")]
    few = [int(row) for row in one.rows_of("train", "val") if one.groups[row] in np.unique(groups)[:8]]
    report = ask(one, table(one, few, moves={"shadow": 0.5}), tmp_path)
    assert {p.low for p in report.points} == {None}
    assert report.verdict("shadow", "near").verdict == "too few groups"


@pytest.mark.parametrize("method", ["early", "late"])
def test_real_heads_take_several_extractors_and_rows_that_could_not_be_computed(
    tmp_path: Path, method: Any
) -> None:
    one = study()
    one = change(
        one,
        features=one.features.set_axis(["toy/c0", "toy/c1", "net/000", "net/001"], axis=1),
        blocks=("toy", "net"),
        status=np.zeros((len(one.keys), 2), np.uint8),
    )
    edits = table(one, every_other(one), moves={"shadow": 0.8})
    edits.loc[edits.index[::7], ["net/000", "net/001"]] = np.nan

    def make() -> Any:
        return make_head(
            "logreg", {"penalty": "l2", "C": 0.1, "l1_ratio": 0.5, "max_iter": 5000}, seed=0, n_classes=2, positive=1,
            fusion=FusionParams(method), decision=DecisionParams(),
        )  # fmt: skip

    assert ask(one, edits, tmp_path, heads={"logreg": make}).verdict("shadow", "logreg").verdict == "rises"


def test_a_table_without_rows_gives_the_reason_and_files_that_can_be_read(tmp_path: Path) -> None:
    one = study()
    edits = table(one, [])
    edits.attrs["reason"] = "explanation.edited is 0"
    report = ask(one, edits, tmp_path)
    assert report.reason == "no edited pictures: explanation.edited is 0"
    text = (tmp_path / "explanation/counterfactuals.csv").read_text()
    assert text.startswith("edit,kind,head,dose,")
    assert text.count("\n") == 1
    write_pngs(tmp_path, report.figures, workers=1)
    assert (tmp_path / "counterfactuals.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_of_another_run_is_refused(tmp_path: Path) -> None:
    one = study()
    rows = every_other(one)
    with pytest.raises(DataError, match="no toy/c1"):
        ask(one, table(one, rows).drop(columns="toy/c1"), tmp_path)
    strange = table(one, rows)
    strange.loc[0, "key"] = "f" * 64
    with pytest.raises(DataError, match="not of train and val"):
        ask(one, strange, tmp_path)
    with pytest.raises(DataError, match="a picture lacks a strength of shadow"):
        ask(one, table(one, rows).iloc[:-1], tmp_path)
    without = table(one, rows)
    without.attrs["dials"] = {}
    with pytest.raises(DataError, match="how far warm_share goes"):
        ask(one, without, tmp_path)


# --- how it reads


def test_the_csv_has_the_agreed_columns_and_a_row_an_edit_kind_head_and_strength(tmp_path: Path) -> None:
    one = study()
    ask(one, table(one, every_other(one), moves={"shadow": 0.5}), tmp_path, heads=makers("a", "b"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "explanation/counterfactuals.csv").read_text())))
    assert list(rows[0])[:14] == [
        "edit", "kind", "head", "dose", "dial", "dial_sd", "images", "groups", "before", "change", "low", "high",
        "rms", "within",
    ]  # fmt: skip
    assert len(rows) == 2 * 2 * 2 * 4
    assert {row["within"] for row in rows} == {"1"}
    assert {row["verdict"] for row in rows if row["kind"] == "sham"} == {""}


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    one = study()
    edits = table(one, every_other(one), moves={"shadow": 0.5}, noise=0.1)
    for name in ("one", "two"):
        mixed = edits.sample(frac=1, random_state=len(name)) if name == "two" else edits
        report = ask(one, mixed, tmp_path / name)
        write_pngs(tmp_path / name / "explanation", report.figures, workers=1)
    for file in ("counterfactuals.csv", "counterfactuals.png"):
        assert len({(tmp_path / name / "explanation" / file).read_bytes() for name in ("one", "two")}) == 1


def test_the_text_says_whose_response_it_is(tmp_path: Path) -> None:
    one = study()
    text = ask(one, table(one, every_other(one), moves={"shadow": 0.5}), tmp_path).text()
    assert text.startswith("The heads' response to edited pixels")
    assert "not a cause in the world" in text
    assert "P(villain)" in text


def test_heads_of_each_kind_are_asked_beside_the_chosen_one() -> None:
    assert set(HEADS) <= set(head_names())
    assert heads_asked("rf") == ("rf", *HEADS)
    assert heads_asked("svm")[0] == "svm"
    assert len(set(heads_asked("svm"))) == len(HEADS)
