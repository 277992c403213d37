from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from featurestore.errors import MissingData, ParamsError
from featurestore.params import DecisionParams, SearchParams, load_params, parse_params

ROOT = Path(__file__).resolve().parent.parent


def given(**changes: Any) -> dict[str, Any]:
    """The committed params.yaml with dotted keys changed."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in changes.items():
        block = raw
        *path, last = key.split("__")
        for name in path:
            block = block[name]
        block[last] = value
    return raw


def test_the_committed_params_are_valid() -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.features == ("design",)
    assert params.extractors["design"] == {"fit": "crop"}
    assert params.heads[params.model]


def test_every_head_and_extractor_has_its_defaults_without_a_block() -> None:
    raw = given()
    del raw["heads"], raw["extractors"]
    params = parse_params(raw)
    assert set(params.heads) >= {"logreg", "svm", "rf", "xgb", "mlp"}
    assert params.heads["logreg"]["penalty"] == "l2"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sede": 1}, "sede: unknown key; known here: seed, features, model"),
        ({"split__trian": 0.6}, "split.trian: unknown key; known here: method, train, val, test"),
        ({"extractors__design__fitt": "crop"}, "extractors.design.fitt: unknown key; known here: fit"),
        ({"extractors__design__fit": "stretch"}, "'stretch' is not one of: crop, pad, squash"),
        ({"heads__logreg__C": "big"}, "heads.logreg.C: 'big' is not a number"),
        ({"heads__logreg": 3}, "heads.logreg: 3 is not a block of keys"),
        ({"seed": "42"}, "seed: '42' is not a whole number"),
        ({"seed": True}, "seed: True is not a whole number"),
        ({"seed": -1}, "seed: -1 is out of range; from 0 to 4.29497e+09"),
        ({"split__train": 0.7}, "split: train + val + test is 1.1; it must be 1"),
        ({"split__test": 0.0}, "split.test: 0.0 is out of range; between 0 and 1"),
        ({"split__method": "random"}, "split.method: 'random' is not one of: stratified, hash"),
        ({"model": "nosuch"}, "model: no 'nosuch'; one of: convention, dummy,"),
        ({"features": ["nosuch"]}, "features: no 'nosuch'; one of: arcface, clip, design"),
        ({"features": []}, "features: empty; any of: arcface, clip, design"),
        ({"features": ["design", "design"]}, "features: 'design' stands twice"),
        ({"features": "design"}, "features: 'design' is not a list such as [a, b], each a text"),
        ({"extractors__nosuch": {}}, "extractors: no 'nosuch'; one of: arcface, clip, design"),
        ({"heads__nosuch": {}}, "heads: no 'nosuch'; one of: convention"),
        ({"runtime__engine": "cluster"}, "runtime.engine: no 'cluster'; one of: local, ray"),
        ({"runtime__gpus_per_actor": 0}, "runtime.gpus_per_actor: 0 is out of range; above 0 to 1"),
        ({"data__group_from": "(["}, "data.group_from: no regular expression"),
        ({"data__group_from": "abc"}, "needs one (group) that is the series"),
        ({"data__near_duplicate_distance": 30}, "data.near_duplicate_distance: 30 is out of range"),
        ({"heads__svm__C": -1}, "heads.svm.C: -1 is out of range; above 0"),
        ({"heads__svm__C": float("nan")}, "heads.svm.C: nan is not a number"),
        ({"heads__svm__gamma": -0.5}, "heads.svm.gamma: -0.5 is out of range; above 0"),
        ({"heads__rf__n_estimators": 0}, "heads.rf.n_estimators: 0 is out of range; 1 or more"),
        ({"heads__mlp__hidden": [64, 0]}, "heads.mlp.hidden[1]: 0 is out of range; 1 or more"),
        ({"heads": "svm"}, "heads: 'svm' is not a block of keys"),
        ({"extractors": ["design"]}, "extractors: ['design'] is not a block of keys"),
        ({"imported": ["../../elsewhere"]}, "imported: '../../elsewhere': a name is made of a-z, 0-9 and _"),
        ({"imported": ["x" * 10**6]}, "imported: 'xxx"),
        ({"imported": ["clip"]}, "imported: 'clip' is one of kyara's own extractors"),
        ({"imported": ["mine", "mine"]}, "imported: 'mine' stands twice"),
        ({"cv__folds": 1}, "cv.folds: 1 is out of range; 2 or more"),
        ({"cv__repeats": 0}, "cv.repeats: 0 is out of range; from 1 to 100"),
        ({"cv__repeats": 101}, "cv.repeats: 101 is out of range; from 1 to 100"),
        ({"cv__seeds": 3}, "cv.seeds: unknown key; known here: folds, repeats"),
        (
            {"evaluation__folds": 5},
            "evaluation.folds: unknown key; known here: positive, bootstrap, permutations",
        ),
        ({"threshold": "f2"}, "threshold: 'f2' is not one of: default, f1, balanced_accuracy"),
        ({"threshold": 0.4}, "threshold: 0.4 is not one of: default, f1, balanced_accuracy"),
        ({"calibration": "isotonic"}, "calibration: 'isotonic' is not one of: none, sigmoid"),
        ({"calibration": None}, "calibration: None is not one of: none, sigmoid"),
        ({"searches": {}}, "searches: unknown key; known here: seed, features, model"),
        ({"heads__svm__search": 3}, "heads.svm.search: 3 is not a block of keys"),
        ({"heads__svm__search": {}}, "heads.svm.search.over: missing"),
        ({"heads__svm__search": {"over": {}}}, "heads.svm.search.over: nothing to choose from"),
        ({"heads__svm__search": {"over": [1]}}, "heads.svm.search.over: [1] is not"),
        (
            {"heads__svm__search": {"over": {"D": [1]}}},
            "heads.svm.search.over.D: unknown key; known here: C, gamma",
        ),
        ({"heads__svm__search": {"over": {"C": 1}}}, "heads.svm.search.over.C: 1 is not a list of values"),
        ({"heads__svm__search": {"over": {"C": []}}}, "heads.svm.search.over.C: [] is not a list of values"),
        (
            {"heads__svm__search": {"over": {"C": [1, 0]}}},
            "heads.svm.search.over.C: 0 is out of range; above 0",
        ),
        (
            {"heads__svm__search": {"over": {"C": [1]}, "method": "bayes"}},
            "heads.svm.search.method: 'bayes' is not one of: grid, random",
        ),
        (
            {"heads__svm__search": {"over": {"C": [1]}, "trials": 0}},
            "heads.svm.search.trials: 0 is out of range",
        ),
        (
            {"heads__svm__search": {"over": {"C": [1]}, "folds": 3}},
            "heads.svm.search.folds: unknown key; known here: over, method, trials",
        ),
        ({"heads__svm__search": {"over": {"C": {"low": 1, "high": 2}}}}, "a range goes with method: random"),
        (
            {"heads__svm__search": {"over": {"C": {"low": 2, "high": 1}}, "method": "random"}},
            "heads.svm.search.over.C: low must be below high",
        ),
        (
            {"heads__svm__search": {"over": {"C": {"low": 0, "high": 1, "log": True}}, "method": "random"}},
            "above 0 where log is true",
        ),
        (
            {"heads__svm__search": {"over": {"C": {"low": -1.0, "high": 1.0}}, "method": "random"}},
            "heads.svm.search.over.C: -1.0 is out of range",
        ),
        (
            {"heads__svm__search": {"over": {"C": {"low": 1.0}}, "method": "random"}},
            "heads.svm.search.over.C.high: missing",
        ),
        (
            {"heads__svm__search": {"over": {"gamma": {"low": "a", "high": 1}}, "method": "random"}},
            "heads.svm.search.over.gamma.low: 'a' is not a whole number or a number",
        ),
    ],
)
def test_a_bad_key_is_one_line_that_names_it_and_what_is_allowed(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError) as caught:
        parse_params(given(**changes))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_search_is_no_param_of_the_head() -> None:
    over = {"C": {"low": 0.01, "high": 10.0, "log": True}, "penalty": ["l1", "l2"]}
    params = parse_params(given(heads__logreg__search={"method": "random", "over": over, "trials": 5}))
    assert params.searches == {"logreg": SearchParams(over, "random", 5)}
    assert "search" not in params.heads["logreg"]
    assert parse_params(given()).searches == {}


def test_the_decision_is_two_keys_and_one_value() -> None:
    assert parse_params(given()).decision == DecisionParams()
    params = parse_params(given(threshold="f1", calibration="sigmoid", cv__repeats=2))
    assert params.decision == DecisionParams("f1", "sigmoid")
    assert (params.cv.folds, params.cv.repeats) == (5, 2)


def test_no_params_file_is_something_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="run kyara's commands in the root"):
        load_params(tmp_path / "params.yaml")


def laughs(levels: int, form: str = "[%s]", times: int = 9) -> bytes:
    """Each line holds the one before several times; ``form`` says how."""
    lines = [f"a{i}: &a{i} {form % ', '.join([f'*a{i - 1}'] * times)}" for i in range(1, levels)]
    return "\n".join(["a0: &a0 {k: v}", *lines]).encode()


def refused(folder: Path, data: bytes) -> str:
    (folder / "params.yaml").write_bytes(data)
    with pytest.raises(ParamsError) as caught:
        load_params(folder / "params.yaml")
    said = str(caught.value)
    assert caught.value.exit_code == 2
    assert "params.yaml: " in said
    assert "\n" not in said
    assert len(said) < 500
    return said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"seed: [1", "not YAML: ", id="unfinished"),
        pytest.param(b"a: b: c", "(line 1)", id="no_yaml"),
        pytest.param(b"seed: 1\n---\nseed: 2", "another document", id="two_documents"),
        pytest.param(b"seed: \x00", "unacceptable character #x0000", id="nul"),
        pytest.param(b"seed: \xff", "invalid start byte", id="no_utf8"),
        pytest.param(b"seed: \xed\xa0\x80", "invalid continuation byte", id="surrogate"),
        pytest.param(b"? [a]\n: b", "unhashable key", id="list_as_key"),
        pytest.param(b"seed: 2001-13-45", "month must be in 1..12", id="no_date"),
        pytest.param(b"seed: !!bool perhaps", "not what its form or tag says", id="no_bool"),
        pytest.param(b"seed: !!timestamp soon", "not what its form or tag says", id="no_time"),
        pytest.param(b"seed: " + b"9" * 10_000, "of more than 3000 characters (line 1)", id="huge_number"),
        pytest.param(b"seed: 1" + b":59" * 10_000, "of more than 3000 characters", id="huge_sexagesimal"),
        pytest.param(b"[" * 100_000, "nested deeper than 50", id="deep_lists"),
        pytest.param(b"- " * 100_000, "nested deeper than 50", id="deep_items"),
        pytest.param(b"{a: " * 60 + b"}" * 60, "nested deeper than 50", id="deep_blocks"),
        pytest.param(b"features: &a [*a]", "nested deeper than 50", id="in_itself"),
        pytest.param(laughs(12), "more than 100000 values, aliases written out", id="billion_laughs"),
        pytest.param(laughs(12, "{<<: [%s]}"), "aliases written out (line ", id="billion_merges"),
        pytest.param(laughs(80, times=1), "nested deeper than 50 (line 50)", id="chain_of_aliases"),
        pytest.param(b"seed: " + b" " * (1 << 20), "larger than 1048576 bytes", id="too_large"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_of_params_is_one_line(data: bytes, said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, data)


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch run']",
        "!!python/object/new:os.system ['touch run']",
        "!!python/object:pathlib.Path {}",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
        "!!python/tuple [1]",
        "!own {}",
    ],
)
def test_a_tag_makes_nothing_of_python_and_runs_nothing(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "could not determine a constructor for the tag" in refused(tmp_path, f"seed: {value}".encode())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "make"), [("fifo", os.mkfifo), ("folder", Path.mkdir)])
def test_what_is_no_file_is_refused_and_waits_for_nobody(name: str, make: Any, tmp_path: Path) -> None:
    make(tmp_path / name)
    with pytest.raises(ParamsError, match=f"{name}: not a file"):
        load_params(tmp_path / name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": "x" * 10**6}, "seed: 'xxxxx"),
        ({"seed": [[list(range(1000))] * 1000] * 1000}, "seed: [[[0, 1, 2, 3, 4, 5, ...], "),
        ({"model": "x" * 10**6}, "model: no 'xxxxx"),
        ({"x" * 10**6: 1}, "unknown key; known here: seed"),
        ({"heads": {"svm": {"x" * 10**6: 1}}}, "heads.svm.'xxxxx"),
        ({"heads": {"x" * 10**6: 1}}, "1 is not a block of keys"),
        ({"extractors": "x" * 10**6}, "extractors: 'xxxxx"),
        ({"features": ["nosuch"] * 10**5}, "features: no 'nosuch'"),
        ({"features": ["design"] * 10**5}, "features: 'design' stands twice"),
        ({"data__group_from": "(" * 10**4}, "data.group_from: no regular expression"),
        ({"data__group_from": "(x{99999999999})"}, "data.group_from: no regular expression"),
        ({"data__group_from": "x" * 10**6}, "needs one (group) that is the series"),
    ],
)
def test_a_value_of_any_size_is_one_line_of_sane_length(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError) as caught:
        parse_params(given(**changes))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 500


def test_anchors_and_merged_blocks_work(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("features: &all [design, dlib]\nseed: 1\nmodel: mlp\nheads: {mlp: {hidden: &h [8, 8]}}\n")
    assert load_params(path).features == ("design", "dlib")
    path.write_text(
        "features: [design]\nseed: &n 7\nmodel: rf\n"
        "heads:\n  rf: &trees {n_estimators: 5}\n  extratrees: {<<: *trees, n_estimators: *n}\n"
    )
    params = load_params(path)
    assert params.heads["rf"]["n_estimators"] == 5
    assert params.heads["extratrees"]["n_estimators"] == params.seed == 7


def test_an_experiment_changes_one_line_of_the_committed_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.utils.hydra import apply_overrides

    before = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(before)
    monkeypatch.chdir(tmp_path)
    apply_overrides("params.yaml", ["heads.svm.C=10"])
    after = (tmp_path / "params.yaml").read_text()
    changed = [b for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert [line.strip() for line in changed] == ["C: 10"]


def test_the_searches_of_the_documentation_are_overrides_that_dvc_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.utils.hydra import apply_overrides

    text = (ROOT / "docs" / "heads.md").read_text(encoding="utf-8")
    lines = re.findall(r"-S '(\+heads\.[^']+)'", text)
    block = text.partition("## Search\n")[2].partition("```yaml\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    found = {}
    for line in lines:
        Path("params.yaml").write_text((ROOT / "params.yaml").read_text())
        apply_overrides("params.yaml", [line])
        found |= load_params(Path("params.yaml")).searches
    assert found == {
        "logreg": SearchParams({"C": [0.01, 0.1, 1.0], "penalty": ["l1", "l2"]}),
        "svm": SearchParams({"C": {"low": 0.01, "high": 100.0, "log": True}}, "random", 20),
    }
    assert parse_params(given(**yaml.safe_load(block))).searches == {"logreg": found["logreg"]}
