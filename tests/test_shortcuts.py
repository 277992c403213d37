from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import picture
from studies import Centroid, change, study

from classifiers.comparison.compare import compare
from classifiers.comparison.shortcuts import SHORTCUTS, Shortcut, gather, makers, queries_of, wide_study
from classifiers.data import Study
from classifiers.scoring import Scoring
from extractors.zoo import ring
from featurestore.errors import MetadataError
from featurestore.spec import Status

NOTHING = {
    "technical": "every image has the same size, format and quality",
    "ring": "no rows of the ring",
    "query": "no search query is recorded in metadata/sources.csv",
    "failed extractor": "every extractor computed every image",
}


def by_name(shortcuts: list[Shortcut]) -> dict[str, Shortcut]:
    return {s.name: s for s in shortcuts}


def with_columns(s: Study, **columns: Any) -> Study:
    return change(s, index=s.index.assign(**columns))


def quality(s: Study, gap: float, seed: int = 1) -> Study:
    """JPEG quality that follows the class: villains' pictures come from elsewhere."""
    noise = np.random.default_rng(seed).normal(scale=5, size=len(s.labels))
    values = 80 + gap * (s.labels == "villain") + noise
    return with_columns(s, jpeg_quality=[str(int(v)) for v in values], format="jpeg")


def run(s: Study, results: Path, shortcuts: list[Shortcut]) -> Any:
    how = Scoring(positive=1, folds=5, repeats=2, draws=200, seed=42)
    return compare(s, {"centroid": Centroid}, shortcuts, how, results=results, learned=results / "none").board


def test_what_there_is_nothing_to_look_at_says_why() -> None:
    found = by_name(gather(study(), None, None))
    assert tuple(found) == SHORTCUTS
    assert {name: one.reason for name, one in found.items() if one.reason} == NOTHING
    assert not by_name(gather(with_columns(study(), series=""), None, None))["series prior"].columns.size


def test_a_planted_jpeg_quality_is_named_on_the_first_line(tmp_path: Path) -> None:
    s = quality(study(n=240, n_groups=60, effect=0.8), gap=12)
    board = run(s, tmp_path, gather(s, None, None))
    assert board.text().startswith("SHORTCUT: technical, by jpeg_quality above all, has an auc of 0.9")
    assert (tmp_path / "leaderboard.md").read_text().startswith("**SHORTCUT: technical, by jpeg_quality")
    with (tmp_path / "shortcuts.csv").open(newline="") as stream:
        rows = {row["shortcut"]: row for row in csv.DictReader(stream)}
    assert rows["technical"]["leading_column"] == "jpeg_quality"
    assert rows["technical"]["within_interval_of"] == "centroid"
    assert float(rows["technical"]["auc"]) > 0.9


def test_a_quality_that_knows_nothing_of_the_class_raises_no_alarm(tmp_path: Path) -> None:
    s = quality(study(n=240, n_groups=60), gap=0)
    board = run(s, tmp_path, gather(s, None, None))
    assert not board.warnings()
    assert board.panel.lines[0].near == ()
    assert board.panel.lines[0].scores.estimates["auc"].low < 0.5


def test_shortcuts_stand_in_the_leaderboard_without_a_rank(tmp_path: Path) -> None:
    s = quality(study(n=240, n_groups=60), gap=30)
    board = run(s, tmp_path, gather(s, None, None))
    entries = {e.name: e for e in board.tables[0].entries}
    assert (
        entries["technical"].scores.estimates["auc"].score > entries["centroid"].scores.estimates["auc"].score
    )
    assert (entries["technical"].kind, entries["technical"].rank) == ("shortcut", None)
    assert entries["centroid"].verdict == "best"
    assert "technical (shortcut)" in board.text()


def test_the_prior_of_a_series_is_worth_nothing_on_new_series_and_much_image_by_image(tmp_path: Path) -> None:
    s = study(n=240, n_groups=60)
    labels = np.where([int(g[-1]) % 2 == 0 for g in s.groups.tolist()], "hero", "villain")
    s = change(s, labels=labels, index=s.index.assign(label=labels))
    board = run(s, tmp_path, gather(s, None, None))
    prior = next(line for line in board.panel.lines if line.name == "series prior")
    assert prior.scores is not None
    assert prior.scores.estimates["auc"].score == pytest.approx(0.5)
    assert prior.image_wise.estimates["auc"].score > 0.95


def test_an_extractor_that_fails_on_villains_alone_is_a_shortcut(tmp_path: Path) -> None:
    s = study(n=240, n_groups=60)
    status = s.status.copy()
    status[np.flatnonzero(s.labels == "villain")[::3], 0] = Status.NO_FACE
    s = change(s, status=status)
    one = by_name(gather(s, None, None))["failed extractor"]
    assert list(one.columns.columns) == ["toy_no_face"]
    board = run(s, tmp_path, [one])
    line = board.panel.lines[0]
    assert line.leading == "toy_no_face"
    assert line.scores.estimates["auc"].score == pytest.approx(0.67, abs=0.03)


def test_words_of_the_query_count_where_several_groups_have_them() -> None:
    s = study()
    evil = np.where(s.labels == "villain", " evil", "")
    asked = [f"{group}{more} portrait" for group, more in zip(s.groups, evil, strict=True)]
    queries = pd.DataFrame({"query": asked, "provider": np.where(np.arange(len(asked)) % 2, "a", "b")})
    words = by_name(gather(s, None, queries))["query"]
    assert set(words.columns.columns) == {"word_evil", "provider_a", "provider_b"}  # "portrait" never varies
    assert (words.columns["word_evil"].to_numpy() == (s.labels == "villain")).all()


def test_queries_are_found_by_key_and_gaps_are_empty(tmp_path: Path) -> None:
    s = study()
    assert queries_of(tmp_path / "none.csv", s.keys.tolist()) is None
    path = tmp_path / "sources.csv"
    path.write_text(f"key,query,provider\n{s.keys[2]},a hero,serpapi\n")
    found = queries_of(path, s.keys.tolist())
    assert found is not None
    assert found["query"].tolist()[:4] == ["", "", "a hero", ""]
    path.write_text("key,asked\n")
    with pytest.raises(MetadataError, match="lacks the column query"):
        queries_of(path, s.keys.tolist())


def test_a_shortcut_sees_its_own_columns_alone() -> None:
    s = quality(study(), gap=10)
    shortcuts = gather(s, None, None)
    wide = wide_study(s, shortcuts)
    assert {name.partition("/")[0] for name in wide.features.columns} == {"technical", "series prior"}
    poisoned = wide.features.copy()
    poisoned.loc[:, poisoned.columns.str.startswith("series")] = 3.0
    made = makers(shortcuts, seed=0, n_classes=2, positive=1)["technical"]
    one, other = (made().fit(t, s.labels).predict_proba(t) for t in (wide.features, poisoned))
    assert (one == other).all()


def test_the_ring_sees_the_frame_and_not_the_figure() -> None:
    extractor = ring.build()
    rng = np.random.default_rng(0)
    image = np.full((100, 100, 3), 200, dtype=np.uint8)
    figure = image.copy()
    figure[20:80, 20:80] = rng.integers(0, 255, (60, 60, 3))
    rows = extractor([image, figure]).values
    assert (rows[0] == rows[1]).all()
    dark = image.copy()
    dark[:8] = 0
    assert extractor([dark]).values[0, 0] == 0.0
    assert extractor([dark]).values[0, ring.COLUMNS.index("grey_range")] > 150


def test_the_ring_takes_any_size() -> None:
    rows = ring.build(width=0.25)([picture(1, size) for size in ((1, 1), (3, 200), (64, 64))])
    assert np.isfinite(rows.values).all()
    assert rows.values.shape == (3, len(ring.COLUMNS))
