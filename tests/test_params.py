from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from featurestore.errors import MissingData, ParamsError
from featurestore.params import load_params, parse_params

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
        ({"features": "design"}, "features: 'design' is not a list of a text"),
        ({"extractors__nosuch": {}}, "extractors: no 'nosuch'; one of: arcface, clip, design"),
        ({"heads__nosuch": {}}, "heads: no 'nosuch'; one of: convention"),
        ({"runtime__engine": "cluster"}, "runtime.engine: no 'cluster'; one of: local"),
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
        ({"evaluation__folds": 1}, "evaluation.folds: 1 is out of range; 2 or more"),
    ],
)
def test_a_bad_key_is_one_line_that_names_it_and_what_is_allowed(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError) as caught:
        parse_params(given(**changes))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_no_params_file_is_something_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="run kyara's commands in the root"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "text", ["seed: [1", "- 1\n- 2\n", "!!python/object/apply:os.system ['true']", "\x00"]
)
def test_what_is_no_yaml_block_is_refused_and_runs_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError):
        load_params(tmp_path / "params.yaml")


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
