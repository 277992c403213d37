from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from classifiers.explanation import atlas
from classifiers.report import assets, thumbnails
from classifiers.report.evidence import DEMO_MARK
from classifiers.report.figures import Mark, class_style, forest, literal, points
from classifiers.report.html import write_report
from classifiers.report.opinions import opinions
from classifiers.report.parts import Figure, Table, View, ends, listed, score, signed
from classifiers.report.sections import data, limits, reproduction
from featurestore.errors import DataError, MissingData
from tests.browser import HOSTILE, Run, small_run

SECTIONS = [
    "answer", "data", "leaderboard", "head", "importance", "findings", "edits", "leakage", "map", "errors",
    "concordance", "limits", "reproduce",
]  # fmt: skip


class Page(HTMLParser):
    """What a browser would make of a page: elements with their attributes, scripts, styles, text."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inside: list[str] = []
        self.raw: list[tuple[str, dict[str, str], str]] = []
        self.words: list[str] = []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.inside.append(tag)
        if tag in ("script", "style"):
            self.raw.append((tag, dict(self.elements[-1][1]), ""))

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] in ("script", "style"):
            tag, attributes, text = self.raw[-1]
            self.raw[-1] = (tag, attributes, text + data)
        else:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def specs(self) -> list[dict[str, Any]]:
        return [json.loads(text) for tag, how, text in self.raw if how.get("type") == "application/json"]

    @property
    def policy(self) -> str:
        found = [m["content"] for m in self.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        assert len(found) == 1
        return found[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run: Run) -> Page:
    return Page(run.report())


@pytest.fixture
def fresh(tmp_path: Path) -> Run:
    return small_run(tmp_path)


# what is read


def test_evidence_holds_what_the_stages_wrote(run: Run) -> None:
    evidence = run.evidence()
    assert (evidence.head, evidence.positive, evidence.classes) == ("logreg", "villain", ("hero", "villain"))
    assert evidence.scored_on == "cv"
    assert evidence.measure("auc")["score"] == pytest.approx(0.8)
    assert evidence.warnings == (
        "SHORTCUT: ring has an auc of 0.820, within the interval of mlp, logreg: it may be that.",
    )
    assert evidence.said == ("Heads by auc, then name.", "mlp ranks first.")
    assert evidence.shap is not None
    assert evidence.shap_unit == "log-odds"
    assert evidence.shap_about == {"unit": "log-odds", "note": "p: 40 exchanges of labels"}
    assert evidence.leaderboard["rank"].tolist()[:2] == [1.0, 2.0]
    assert evidence.missing == {}


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("dataset.csv", "index"),
        ("results/data.json", "index"),
        ("results/quarantine.csv", "index"),
        ("results/stores.json", "fuse"),
        ("model/card.json", "train"),
        ("results/plots/loss.csv", "train"),
        ("results/metrics.json", "evaluate"),
        ("results/predictions.csv", "evaluate"),
        ("results/plots/roc.csv", "evaluate"),
        ("results/plots/training.csv", "evaluate"),
        ("results/leakage.csv", "audit"),
        ("results/plots/learning_curve.csv", "audit"),
        ("results/leaderboard.csv", "compare"),
        ("results/leaderboard.md", "compare"),
        ("results/shortcuts.csv", "compare"),
        ("results/oof.parquet", "compare"),
    ],
)
def test_a_missing_file_names_the_stage_that_writes_it(fresh: Run, name: str, stage: str) -> None:
    (fresh.folder / name).unlink()
    with pytest.raises(MissingData, match=rf"{re.escape(name)}; run: dvc repro {stage}$"):
        fresh.evidence()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results/metrics.json", "{"),
        ("results/leaderboard.csv", "head,auc\nmlp,much\n"),
        ("results/oof.parquet", "no parquet"),
        ("results/findings.csv", "family,effect\nhypotheses,large\n"),
    ],
)
def test_a_damaged_file_is_refused_by_its_name(fresh: Run, name: str, text: str) -> None:
    (fresh.folder / name).write_text(text)
    with pytest.raises(DataError, match=re.escape(name)):
        fresh.evidence()


def test_what_a_stage_did_not_write_is_none_and_has_a_reason(tmp_path: Path) -> None:
    evidence = small_run(tmp_path, explained=False).evidence()
    assert evidence.importance is evidence.findings is evidence.counterfactuals is None
    assert evidence.missing["importance"].endswith("importance.csv; run: dvc repro explain")
    assert evidence.missing["findings"].endswith("findings.csv; run: dvc repro findings")


def test_an_empty_file_and_a_reason_of_its_own_are_told(fresh: Run) -> None:
    folder = fresh.results / "explanation"
    header = (folder / "counterfactuals.csv").read_text().splitlines()[0]
    (folder / "counterfactuals.csv").write_text(header + "\n")
    (folder / "concordance.json").write_text('{"extractors": {}, "reason": "design stands alone"}')
    evidence = fresh.evidence(explanation={"edited": 0})
    assert evidence.counterfactuals is None
    assert evidence.missing["counterfactuals"] == "no image was edited: explanation.edited is 0"
    assert evidence.missing["concordance"] == "design stands alone"


def test_a_class_called_na_stays_a_text(tmp_path: Path) -> None:
    evidence = small_run(tmp_path, classes=("NA", "villain")).evidence()
    assert evidence.classes == ("NA", "villain")
    assert set(evidence.predictions["label"]) == {"NA", "villain"}


def test_the_digest_of_the_data_is_the_one_that_was_locked(fresh: Run) -> None:
    lock = fresh.folder / "dvc.lock"
    lock.write_text(
        "stages:\n  index:\n    deps:\n    - {path: data, md5: abc.dir}\n    - {path: x, md5: def}\n"
    )
    from classifiers.report.evidence import read_evidence

    paths = (fresh.results, fresh.folder / "model", fresh.folder / "dataset.csv")
    found = read_evidence(*paths, {}, lock).digests
    assert found["data/ (md5, by DVC)"] == "abc.dir"
    assert found["rows of design (sha256)"] == "d" * 64
    assert "def" not in found.values()
    assert "data/ (md5, by DVC)" not in read_evidence(*paths, {}, None).digests


def test_the_mark_of_the_demo_cast_is_the_one_that_it_is_drawn_with() -> None:
    from collection import demo

    assert demo.DEMO_MARK == DEMO_MARK


# what is written


def test_every_section_is_there_in_order_with_a_heading_and_a_reading_aid(page: Page) -> None:
    assert [attributes["id"] for attributes in page.all("section")] == SECTIONS
    assert [a["href"] for a in page.all("a") if a["href"] != "#answer"][: len(SECTIONS) - 1] == [
        f"#{name}" for name in SECTIONS[1:]
    ]
    headings = [attributes.get("id", "") for attributes in page.all("h2")]
    assert headings == [f"{name}-h" for name in SECTIONS]
    assert sum(p.get("class") == "aid" for p in page.all("p")) == len(SECTIONS) - 1


def test_the_answer_says_what_must_be_known_first(page: Page) -> None:
    before = page.text.partition("The pictures")[0] + page.text
    first = before[: before.index("A group (a series")]
    assert "Drawings our own code made, not anime." in first
    assert "SHORTCUT: ring has an auc of 0.820" in first
    assert "in 80 of 100 pairs (AUC 0.800, 95% interval [0.720, 0.860])" in first
    assert "mlp ranks first of 2 heads and cannot be told from logreg" in first
    assert "1 is supported (more shadow); 1 is not told from none (angularity)" in first
    assert "The test split (9 images) is locked" in first


def test_the_same_evidence_gives_the_same_bytes_with_any_number_of_workers(fresh: Run) -> None:
    once = fresh.report(workers=1).read_bytes()
    again = fresh.report(workers=3).read_bytes()
    assert hashlib.sha256(once).hexdigest() == hashlib.sha256(again).hexdigest()


def test_the_page_knows_no_machine(page: Page, run: Run) -> None:
    own = page.source.replace(str(assets.read_assets().scripts[0].source), "")
    for word in (str(run.folder), str(Path.home()), "/tmp", "localhost"):
        assert word not in own


def test_the_page_asks_for_nothing_beside_itself(page: Page) -> None:
    outside = [
        (tag, name, value[:80])
        for tag, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data", "formaction")
        and not value.startswith(("#", "data:"))
    ]
    assert outside == []
    css = next(text for tag, _, text in page.raw if tag == "style")
    assert "url(" not in css
    assert "@import" not in css


def test_nothing_runs_but_two_scripts_that_the_policy_names(page: Page) -> None:
    names = [name for tag, attributes in page.elements for name in attributes if name.startswith("on")]
    assert names == []
    assert not any("style" in attributes for _, attributes in page.elements)
    run = [text for tag, how, text in page.raw if tag == "script" and "type" not in how]
    style = [text for tag, _, text in page.raw if tag == "style"]
    rules = dict(rule.strip().partition(" ")[::2] for rule in page.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == [assets.digest(text) for text in run]
    assert len(run) == 2
    assert rules["style-src"].split() == [*map(assets.digest, style), assets.digest("")]
    assert rules["img-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in page.policy
    assert page.source.index("Content-Security-Policy") < page.source.index("<style")


def _read(value: Any, key: str = "") -> list[str]:
    """The texts of a figure that Plotly reads."""
    if isinstance(value, dict):
        return [text for name, one in value.items() if name != "label" for text in _read(one, name)]
    if isinstance(value, list):
        return [text for one in value for text in _read(one, key)]
    return [value] if isinstance(value, str) else []


def test_hostile_texts_are_letters_and_nothing_else(tmp_path: Path, page: Page) -> None:
    label = HOSTILE["label"]
    others = {name: text for name, text in HOSTILE.items() if name != "label"}
    hostile = Page(small_run(tmp_path, classes=("hero", label), positive=label, **others).report())
    tags = {tag for tag, _ in page.elements}
    assert {tag for tag, _ in hostile.elements} <= tags
    assert "iframe" not in tags
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in hostile.all("img"))
    runs = [how for tag, how, _ in hostile.raw if tag == "script"]
    assert sum("type" not in how for how in runs) == 2
    for text in (label, others["finding"], others["edit"], others["head"]):
        assert text in hostile.text  # shown as it is
    drawn = " ".join(text for spec in hostile.specs for view in spec["views"] for text in _read(view))
    assert not re.search("<(?!br>)", drawn)  # what Plotly reads as markup is ours
    assert "&lt;img src=x onerror=alert(1)&gt;" in drawn
    assert "\u2028" not in "".join(text for _, how, text in hostile.raw if how.get("type"))
    assert "49" not in hostile.text.split()  # {{ 7 * 7 }} is no template


def test_the_locked_test_split_is_nowhere(run: Run, page: Page) -> None:
    rows = run.evidence().dataset
    locked = rows[rows["split"] == "test"]
    assert len(locked) == 9
    for name in [*locked["path"], *locked["key"], *locked["character"]]:
        assert not re.search(rf"{re.escape(name)}(?!\d)", page.source)
    seen = rows[rows["split"] == "val"]
    assert any(path in page.source for path in seen["path"])


def test_what_test_holds_changes_no_byte(fresh: Run) -> None:
    before = fresh.report().read_bytes()
    rows = fresh.evidence().dataset
    keys = set(rows[rows["split"] == "test"]["key"])
    locked = np.array([key in keys for key in fresh.features.index])
    fresh.features.loc[locked] = 1e6
    for path in rows[rows["split"] == "test"]["path"]:
        (fresh.folder / "data" / path).unlink()
    assert fresh.report().read_bytes() == before
    fresh.features.iloc[np.flatnonzero(~locked)[0]] = 3.0
    assert fresh.report().read_bytes() != before


def test_each_figure_has_a_name_and_the_same_in_numbers(page: Page) -> None:
    figures = [a["id"] for a in page.all("figure")]
    assert len(figures) == len(set(figures)) == len(page.specs) > 12
    named = [a for a in page.all("div") if a.get("role") == "img"]
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert len(named) == len(figures)
    assert all(attributes["aria-labelledby"] in ids for attributes in named)
    assert all(image.get("alt") is not None for image in page.all("img"))


def test_ids_are_unique(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert sorted(ids) == sorted(set(ids))


def test_what_is_missing_has_a_note_and_a_line_among_what_was_not_established(tmp_path: Path) -> None:
    page = Page(small_run(tmp_path, explained=False, demo=False).report())
    assert [attributes["id"] for attributes in page.all("section")] == SECTIONS
    assert "Importances are not here: no" in page.text
    assert page.text.count("run: dvc repro findings") == 2
    assert "not anime" not in page.text
    assert "Whether it holds for other collections" in page.text


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"classes": ("hero", "rival", "villain")}, "tells its role: “hero”, “rival” and “villain”?"),
        ({"image_wise": True}, "Image-wise split. It is not known which pictures belong together"),
        ({"known": False, "groups": 6}, "too few groups to compare"),
        ({"learned": True}, "No cross-validation. an extractor learned from train"),
        ({"columns": ("clip/concept: a scar", "clip/concept: <b>aura</b>")}, "clip/concept: <b>aura</b>"),
        ({"groups": 5, "each": 2}, "the first two principal components of"),
    ],
)
def test_unusual_studies_are_told_too(tmp_path: Path, how: dict[str, Any], said: str) -> None:
    page = Page(small_run(tmp_path, **how).report())
    assert [attributes["id"] for attributes in page.all("section")] == SECTIONS
    assert said in page.text


def test_rows_that_could_not_be_computed_have_a_place_on_the_map(fresh: Run) -> None:
    fresh.features.iloc[::3, :2] = np.nan
    page = Page(fresh.report())
    spec = next(spec for spec in page.specs if "cards" in spec)
    drawn = [x for trace in spec["views"][0]["traces"] for x in trace["x"]]
    assert len(drawn) == 36
    assert None not in drawn


def test_a_map_of_many_images_takes_whole_groups_and_says_so(fresh: Run) -> None:
    page = Page(fresh.report(images=20))
    spec = next(spec for spec in page.specs if "cards" in spec)
    assert sum(len(trace["x"]) for trace in spec["views"][0]["traces"]) == 18  # six groups of three
    assert "18 images are left out (explanation.images); whole groups were drawn." in page.text


def test_without_a_map_and_features_the_rest_stands(fresh: Run) -> None:
    (fresh.results / "explanation" / "map.parquet").unlink()
    evidence = fresh.evidence()
    assert evidence.missing["atlas"].endswith("map.parquet; run: dvc repro explain")
    page = Page(write_report(evidence, features=None, results=fresh.results, root=fresh.folder / "data"))
    assert "The map is not here" in page.text
    assert [attributes["id"] for attributes in page.all("section")] == SECTIONS


def test_three_hundred_images_make_less_than_eight_megabytes(tmp_path: Path) -> None:
    path = small_run(tmp_path, groups=60, each=5).report()
    assert 5_000_000 < path.stat().st_size < 8_000_000


# its parts


def test_a_picture_that_is_gone_is_grey_and_logged(fresh: Run, caplog: pytest.LogCaptureFixture) -> None:
    evidence = fresh.evidence()
    key = data.shown(evidence)["hero"][0]
    path = evidence.dataset.set_index("key").loc[key]["path"]
    (fresh.folder / "data" / path).unlink()
    with caplog.at_level(logging.WARNING):
        page = Page(fresh.report())
    assert f"no thumbnail of {fresh.folder / 'data' / path}" in caplog.text
    assert not any(path in image["alt"] for image in page.all("img") if image["alt"])


def test_a_sheet_of_many_has_smaller_squares() -> None:
    few = thumbnails.sheet({}, [str(i) for i in range(100)])
    many = thumbnails.sheet({}, [str(i) for i in range(2000)])
    assert (few.side_px, many.side_px) == (72, 32)
    assert len(many.uri) < 200_000


def test_the_contact_sheet_has_as_many_of_each_class_and_none_of_test(run: Run) -> None:
    evidence = run.evidence()
    shown = data.shown(evidence)
    assert {name: len(keys) for name, keys in shown.items()} == {"hero": 12, "villain": 12}
    split = evidence.dataset.set_index("key")["split"]
    assert "test" not in {split[key] for keys in shown.values() for key in keys}


def _clouds(n: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 12))
    values[: n // 2] += 6
    return pd.DataFrame(values, index=[f"{i:03d}" for i in range(n)])


def test_the_map_keeps_two_clouds_apart_and_is_the_same_again() -> None:
    found, again = atlas.project(_clouds(), seed=3), atlas.project(_clouds(), seed=3)
    assert np.array_equal(found.xy, again.xy)
    distance = np.linalg.norm(found.xy[:, None] - found.xy[None], axis=2) + np.eye(80) * 9
    assert (distance.argmin(1) // 40 == np.arange(80) // 40).all()
    assert found.method.startswith("t-SNE (perplexity 26) of 12 principal components of 12 columns")
    assert np.ptp(found.xy[:, 0]) == pytest.approx(1.0)
    assert np.ptp(found.xy[:, 1]) <= 1.0 + 1e-9


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_a_map_of_few_rows_does_not_fail(n: int) -> None:
    found = atlas.project(_clouds().iloc[:n], seed=0)
    assert found.xy.shape == (n, 2)
    assert np.isfinite(found.xy).all()


def test_columns_without_values_or_movement_have_no_part_in_the_map() -> None:
    plain = _clouds()
    padded = plain.assign(still=4.0, absent=np.nan)
    assert np.array_equal(atlas.project(plain, seed=0).xy, atlas.project(padded, seed=0).xy)


def test_whole_groups_are_drawn_for_the_map_and_single_images_where_a_group_is_too_large() -> None:
    groups = np.repeat(["a", "b", "c", "d"], 10)
    taken = atlas.chosen(groups, 25, seed=1)
    assert len(taken) == 20
    assert all((np.isin(np.arange(40), taken).reshape(4, 10)).all(1) == [g in groups[taken] for g in "abcd"])
    assert len(atlas.chosen(groups, 5, seed=1)) == 5
    drawn = {tuple(atlas.chosen(groups, 25, seed)) for seed in range(12)}
    assert len(drawn) > 1


def test_opinions_are_means_over_the_repeats_and_know_nothing_of_test(run: Run) -> None:
    evidence = run.evidence()
    said = opinions(evidence)
    rows = evidence.predictions
    key = said.table.index[7]
    assert said.table.loc[key]["p"] == pytest.approx(rows[rows["key"] == key]["p_villain"].mean(), abs=1e-6)
    assert said.repeats == 2
    wrong = said.table.loc[said.wrong(50)]
    assert (wrong["label"] != wrong["predicted"]).all()
    assert wrong["own"].is_monotonic_increasing
    assert said.table.loc[said.uncertain(50)]["lead"].is_monotonic_increasing
    planted = rows.assign(split="test", key="f" * 64)
    more = dataclasses.replace(evidence, predictions=pd.concat([rows, planted]))
    assert opinions(more).table.equals(said.table)


def test_limits_are_put_together_from_the_run(run: Run) -> None:
    said = dict(limits.section(run.evidence()).values["said"])
    assert "what is found in them was put there" in said["Anything about anime"]
    assert "ring comes within" in said["That heads look at the character"]
    assert said["Which head is best"].startswith("mlp and logreg cannot be told apart")
    assert "would probably help" in said["What the method could reach"]
    assert said["Whether this claim holds"].startswith("Angularity: the data cannot tell")
    assert said["Claims that could not be tested"] == "No face network."
    assert "9 images" in said["How it does on new series"]
    assert "12 groups are few" in said["Precise intervals"]


def test_params_that_are_no_defaults_are_named_beside_the_default(run: Run) -> None:
    given = {"seed": 42, "features": ["design"], "model": "logreg", "cv": {"folds": 3, "repeats": 5}}
    values = reproduction.section(dataclasses.replace(run.evidence(), params=given)).values
    assert values["changed"].rows == (("cv.folds", "3", "5"),)
    assert ("cv.repeats", "5") in values["params"].rows


def test_a_table_refuses_rows_of_another_length() -> None:
    with pytest.raises(ValueError, match="scores: 2 kinds"):
        Table("scores", ("head", "auc"), (("mlp",),), "tn")


def test_plotly_reads_no_markup_in_a_text() -> None:
    assert literal("<a href='javascript:x'>&</a>") == "&lt;a href='javascript:x'&gt;&amp;&lt;/a&gt;"
    assert literal("one\ntwo") == "one two"


def test_bars_stand_only_where_an_interval_is_known() -> None:
    trace = points([1, 2], [0.5, 0.5], name="x", low=[0.4, np.nan], high=[0.7, np.nan])
    assert trace["error_y"]["array"] == [0.2, 0.0]
    assert trace["error_y"]["arrayminus"] == [0.1, 0.0]


def test_a_row_without_a_value_says_why() -> None:
    rows = [Mark("a", 0.7, 0.6, 0.8, "k"), Mark("b", np.nan, np.nan, np.nan, "k", "no near-duplicates")]
    traces, layout, _ = forest(rows, {"k": ("@c0", "circle"), "unused": ("@c1", "square")}, title="AUC")
    assert len(traces) == 1
    assert [(one["text"], one["y"]) for one in layout["annotations"]] == [("no near-duplicates", 1)]
    assert layout["yaxis"]["ticktext"] == ["a", "b"]


def test_classes_differ_in_colour_and_in_symbol() -> None:
    styles = class_style(["a", "b", "c", "villain"], "villain")
    assert styles["villain"] == ("@c1", "diamond")
    assert (
        len({colour for colour, _ in styles.values()}) == len({symbol for _, symbol in styles.values()}) == 4
    )


def test_a_figure_holds_no_number_that_json_lacks() -> None:
    trace = points([np.nan, np.inf, np.float32(1)], [0, 1, 2], name="x")
    text = json.dumps(Figure("f", "t", "", (View("all", (trace,)),)).spec(), allow_nan=False)
    assert '"x": [null, null, 1.0]' in text


def test_numbers_are_set_with_a_minus_and_nothing_as_a_dash() -> None:
    assert (score(-0.0314159), ends(-0.1, 0.2), ends(None, 0.2)) == ("−0.031", "[−0.100, 0.200]", "–")
    assert signed(np.float32(0.25)) == "+0.250"
    assert listed([]) == ""


def test_a_script_that_could_end_its_element_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_plotly", lambda: "var x = '</script>';")
    with pytest.raises(MissingData, match=r"plotly\.min\.js cannot stand inside a page"):
        assets.read_assets()
