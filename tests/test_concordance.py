"""How much of an embedding's answer design explains."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import studies

from classifiers.data import Study
from classifiers.explanation.concordance import TOGETHER, concordance
from classifiers.explanation.concordance_report import Concordance
from classifiers.registry import make_head
from classifiers.scoring import Scoring
from featurestore.spec import Status

N, GROUPS, DESIGN, WIDTH = 300, 50, 5, 8
MAKE = partial(make_head, "logreg", {}, seed=0, n_classes=2, positive=1)


def both(kind: str, *, seed: int = 0, n_groups: int = GROUPS) -> tuple[Study, pd.DataFrame]:
    """A study of one embedding that follows the label, and the rows of design beside it."""
    rng = np.random.default_rng(seed)
    made = studies.study(n=N, n_groups=n_groups, seed=seed)
    code = made.codes(made.labels)
    design = rng.normal(size=(N, DESIGN)) + 0.8 * code[:, None]
    if kind == "linear":
        values = design @ rng.normal(size=(DESIGN, WIDTH)) + 0.01 * rng.normal(size=(N, WIDTH))
    else:  # follows the label, and nothing else that design knows
        values = rng.normal(size=(N, WIDTH)) + (0.0 if kind == "noise" else 0.8) * code[:, None]
    columns = [f"net/{i:03d}" for i in range(WIDTH)]
    study = studies.change(made, features=pd.DataFrame(values, columns=columns), blocks=("net",))
    return study, pd.DataFrame(design, columns=[f"design/c{i}" for i in range(DESIGN)])


def ask(study: Study, design: pd.DataFrame | None, results: Path, **changes: Any) -> Concordance:
    rows = changes.pop("rows", study.rows_of("train", "val"))
    return concordance(
        study, MAKE, Scoring(1, 3, 2, 200, 0), name="logreg", design=design, rows=rows, results=results
    )


def document(results: Path) -> Any:
    return json.loads((results / "explanation" / "concordance.json").read_text())


def test_a_map_of_design_is_explained_and_noise_is_not(tmp_path: Path) -> None:
    (linear,) = ask(*both("linear"), tmp_path / "a").parts
    assert linear.r2 > 0.9
    assert linear.low is not None
    assert linear.low < linear.r2 <= 1
    (noise,) = ask(*both("noise"), tmp_path / "b").parts
    assert noise.r2 < 0.1
    (label,) = ask(*both("label"), tmp_path / "c").parts
    assert 0.05 < label.r2 < 0.8, "both follow the label, which is all that they share"
    assert set(document(tmp_path / "a")["extractors"]) == {"net"}


def test_images_that_design_cannot_explain_are_named(tmp_path: Path) -> None:
    study, design = both("linear")
    (plain,) = ask(study, design, tmp_path).parts
    odd = plain.rows[np.argsort(-np.abs(plain.margin))[:3]]  # of the others the head says too little
    design.iloc[odd] = -design.iloc[odd].to_numpy() * 3
    (found,) = ask(study, design, tmp_path).parts
    said = document(tmp_path)["extractors"]["net"]["unexplained"]
    assert set(said[:3]) == set(study.paths[odd])
    assert len(said) == 12
    table = pd.read_csv(tmp_path / "explanation" / "concordance.csv")
    np.testing.assert_allclose(table["margin"] - table["explained"], table["residual"], atol=2e-6)
    assert len(table) == len(found.rows)


def test_design_alone_has_nothing_to_explain(tmp_path: Path) -> None:
    study, design = both("linear")
    alone = studies.change(study, features=design, blocks=("design",))
    found = ask(alone, None, tmp_path)
    assert found.parts == ()
    assert "design is the only extractor" in document(tmp_path)["reason"]
    assert "no rows of design" in ask(study, None, tmp_path).reason


def test_an_extractor_that_learned_is_asked_on_val(tmp_path: Path) -> None:
    study, design = both("linear")
    learned = studies.change(study, fitted_on={"net": "0" * 64})
    (found,) = ask(learned, design, tmp_path).parts
    assert set(found.rows.tolist()) <= set(study.rows_of("val").tolist())


def test_few_groups_have_no_interval(tmp_path: Path) -> None:
    (found,) = ask(*both("linear", n_groups=10), tmp_path).parts
    assert (found.low, found.high) == (None, None)


def test_test_and_the_order_of_work_move_nothing(tmp_path: Path) -> None:
    study, design = both("linear")
    ask(study, design, tmp_path / "a")
    other = design.copy()
    other.iloc[study.rows_of("test")] = 1e6
    ask(study, other, tmp_path / "b")
    for name in ("concordance.json", "concordance.csv"):
        one, two = (tmp_path / folder / "explanation" / name for folder in "ab")
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("kind", ["linear", "noise"])
def test_missing_rows_are_filled_or_left_out(tmp_path: Path, kind: str) -> None:
    study, design = both(kind)
    study.features.iloc[::9] = np.nan
    design.iloc[::11] = np.nan
    for one in ask(study, design, tmp_path).parts:
        assert np.isfinite(one.r2)


def test_no_row_and_a_single_class_are_reasons_and_no_crash(tmp_path: Path) -> None:
    study, design = both("linear")
    failed = studies.change(study, status=np.full_like(study.status, Status.NO_FACE))
    assert ask(failed, design, tmp_path).reason == "net: no picture has both its row and that of design"
    assert ask(study, design * np.nan, tmp_path).parts == ()
    status = study.status.copy()
    status[study.labels == "hero"] = Status.NO_FACE
    found = ask(studies.change(study, status=status), design, tmp_path)
    assert found.parts == ()
    assert "no picture of class hero" in document(tmp_path)["reason"]


def test_several_extractors_are_asked_alone_and_together(tmp_path: Path) -> None:
    study, design = both("linear")
    other = both("noise", seed=1)[0].features.rename(columns=lambda name: name.replace("net", "more"))
    status = np.zeros((N, 2), dtype=np.uint8)
    whole = pd.concat([study.features, other], axis=1)
    both_of = studies.change(study, features=whole, blocks=("net", "more"), status=status)
    found = {one.extractor: one.r2 for one in ask(both_of, design, tmp_path).parts}
    assert list(found) == ["net", "more", TOGETHER]
    assert found["net"] > 0.9
    assert found["more"] < 0.1
    assert found["more"] < found[TOGETHER] < found["net"]
