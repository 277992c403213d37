from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from classifiers import canonical
from classifiers.artifact import BOOSTER, CARD, PIPELINE, load_model, save_model
from classifiers.registry import EARLY, head_names
from classifiers.testing import rows, small_head
from featurestore.errors import MissingData, StoreDamaged, StoreVersionError
from featurestore.params import FusionParams

ROOT = Path(__file__).parents[1]

# skops imports every package of scikit-learn, the one for torch too: seconds that say nothing here.
_SAVE_ALL = """
import hashlib, json, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoTorch())
from pathlib import Path
from classifiers.artifact import save_model
from classifiers.registry import head_names
from classifiers.testing import rows, small_head
from featurestore.params import FusionParams
X, y = rows(n_classes=3)
digests = {}
for name in [*head_names(), "late xgb", "late svm"]:
    how = FusionParams("late" if name.startswith("late ") else "early")
    folder = Path(sys.argv[1], name)
    head = small_head(name.removeprefix("late "), n_classes=3, fusion=how)
    save_model(folder, head.fit(X, y), {"head": name})
    digests[name] = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
print(json.dumps(digests))
"""


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, str]]]:
    def run(hash_seed: str) -> dict[str, dict[str, str]]:
        folder = tmp_path_factory.mktemp(f"saved-{hash_seed}")
        done = subprocess.run(
            [sys.executable, "-c", _SAVE_ALL, str(folder)],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, dict[str, str]] = json.loads(done.stdout)
        return found

    return [run("1"), run("2")]


@pytest.mark.parametrize("name", [*head_names(), "late xgb", "late svm"])
def test_two_processes_write_the_same_bytes(name: str, digests: list[dict[str, dict[str, str]]]) -> None:
    first, second = (found[name] for found in digests)
    assert first == second
    boosters = {"xgb": {BOOSTER}, "late xgb": {"booster-0.json", "booster-1.json"}}
    assert set(first) == {PIPELINE, CARD} | boosters.get(name, set())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    X, y = rows()
    save_model(tmp_path / "model", small_head("xgb").fit(X, y), {"head": "xgb", "labels": ["é", "b"]})
    return tmp_path / "model"


@pytest.fixture
def late(tmp_path: Path) -> Path:
    return _tree_model(tmp_path, "xgb", FusionParams("late"))


def _tree_model(tmp_path: Path, name: str, fusion: FusionParams = EARLY) -> Path:
    X, y = rows()
    save_model(tmp_path / name, small_head(name, fusion=fusion).fit(X, y), {"head": name})
    return tmp_path / name


def _sign(folder: Path) -> None:
    """Make the card agree with the files, as whoever plants a file would."""
    card = json.loads((folder / CARD).read_bytes())
    for name in card["files"]:
        card["files"][name]["sha256"] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / CARD).write_text(json.dumps(card))


def _edit(folder: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Change the parts of the archive and sign it."""
    with zipfile.ZipFile(folder / PIPELINE) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(folder / PIPELINE, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    _sign(folder)


def test_the_card_is_canonical_and_comes_back(model: Path) -> None:
    text = (model / CARD).read_text(encoding="utf-8")
    _, card = load_model(model)
    assert text == json.dumps(card, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert card["head"] == "xgb"
    assert card["labels"] == ["é", "b"]
    assert set(card["files"]) == {PIPELINE, BOOSTER}


def test_another_head_in_the_same_folder_leaves_no_booster(model: Path) -> None:
    X, y = rows()
    save_model(model, small_head("nb").fit(X, y), {})
    assert sorted(path.name for path in model.iterdir()) == [CARD, PIPELINE]
    load_model(model)


@pytest.mark.parametrize("name", [PIPELINE, BOOSTER])
def test_a_file_that_is_not_the_cards_is_refused(model: Path, name: str) -> None:
    (model / name).write_bytes((model / name).read_bytes() + b" ")
    with pytest.raises(StoreDamaged, match=name):
        load_model(model)


@pytest.mark.parametrize("name", [PIPELINE, BOOSTER, CARD])
def test_a_missing_file_says_how_to_make_it(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(MissingData, match=rf"{name}: not there; run: dvc repro train"):
        load_model(model)


def test_a_card_of_another_format_is_refused(model: Path) -> None:
    (model / CARD).write_text((model / CARD).read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(StoreVersionError, match="format 2"):
        load_model(model)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"format": 1, "files": {"../x": {}}}'])
def test_a_broken_card_is_refused(model: Path, text: str) -> None:
    (model / CARD).write_text(text)
    with pytest.raises(StoreDamaged, match=CARD):
        load_model(model)


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_a_truncated_pipeline_is_refused(model: Path, keep: int) -> None:
    (model / PIPELINE).write_bytes((model / PIPELINE).read_bytes()[:keep])
    _sign(model)
    with pytest.raises(StoreDamaged, match=PIPELINE):
        load_model(model)


@pytest.mark.parametrize(
    ("module", "name", "loader"),
    [
        ("os", "system", "FunctionNode"),
        ("subprocess", "Popen", "ConstructorFromReduceNode"),
        ("builtins", "eval", "TypeNode"),
        ("sklearn.preprocessing._function_transformer", "FunctionTransformer", "ObjectNode"),
    ],
)
def test_a_planted_payload_is_refused_and_not_run(
    model: Path, tmp_path: Path, module: str, name: str, loader: str
) -> None:
    mark = tmp_path / "run"

    def plant(parts: dict[str, bytes]) -> None:
        schema = json.loads(parts["schema.json"])
        word = {
            "__class__": "str",
            "__module__": "builtins",
            "__loader__": "JsonNode",
            "content": json.dumps(f"touch {mark}"),
        }
        arguments = {
            "__class__": "tuple",
            "__module__": "builtins",
            "__loader__": "TupleNode",
            "content": [word],
        }
        schema["content"]["content"]["planted"] = {
            "__class__": name,
            "__module__": module,
            "__loader__": loader,
            "content": arguments,
        }
        parts["schema.json"] = json.dumps(schema).encode()

    _edit(model, plant)
    with pytest.raises(StoreDamaged, match=rf"refused: it holds {module}\.{name}"):
        load_model(model)
    assert not mark.exists()


def test_a_dump_of_a_type_that_could_not_be_loaded_is_never_written() -> None:
    X, y = rows()
    head = small_head("nb").fit(X, y)
    head.pipeline_.steps.insert(0, ("planted", FunctionTransformer()))
    with pytest.raises(TypeError, match="FunctionTransformer"):
        canonical.dumps(head)


def test_no_type_is_trusted_that_no_head_needs(tmp_path: Path) -> None:
    named: set[str] = set()
    for n_classes in (2, 3):
        X, y = rows(n_classes=n_classes)
        for name in head_names():
            fusions = [EARLY]
            if name == "logreg":  # late or scaled, the types are the same for every head
                fusions += [FusionParams("late"), FusionParams("early", block_scaling=True)]
            for fusion in fusions:
                head = small_head(name, n_classes=n_classes, fusion=fusion).fit(X, y)
                save_model(tmp_path, head, {})
                with zipfile.ZipFile(tmp_path / PIPELINE) as archive:
                    schema = archive.read("schema.json").decode()
                pairs = re.findall(r'"__class__":"([^"]+)","__module__":"([^"]+)"', schema)
                named |= {f"{module}.{kind}" for kind, module in pairs}
    assert named == canonical.TRUSTED_TYPES


def test_an_archive_that_is_no_head_is_refused(model: Path) -> None:
    (model / PIPELINE).write_bytes(skops.io.dumps({"a": 1}))
    _sign(model)
    with pytest.raises(StoreDamaged, match="no fitted head"):
        load_model(model)


def test_a_compressed_archive_is_refused(model: Path) -> None:
    (model / PIPELINE).write_bytes(skops.io.dumps({"a": 1}, compression=zipfile.ZIP_DEFLATED))
    _sign(model)
    with pytest.raises(StoreDamaged, match="compressed"):
        load_model(model)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("rf", "left_child", 10_000),
        ("rf", "right_child", 0),
        ("extratrees", "feature", 99),
        ("hgb", "left", 10_000),
        ("hgb", "feature_idx", 99),
        ("hgb", "is_categorical", 1),
    ],
)
@pytest.mark.parametrize("method", ["early", "late"])
def test_a_tree_that_points_outside_itself_is_refused(
    tmp_path: Path, name: str, field: str, value: Any, method: Any
) -> None:
    folder = _tree_model(tmp_path, name, FusionParams(method))

    def change(parts: dict[str, bytes]) -> None:
        for part, data in parts.items():
            if part.endswith(".npy"):
                nodes = np.load(io.BytesIO(data), allow_pickle=False)
                if nodes.dtype.names and field in nodes.dtype.names:
                    nodes[field][0] = value
                    buffer = io.BytesIO()
                    np.save(buffer, nodes, allow_pickle=False)
                    parts[part] = buffer.getvalue()

    _edit(folder, change)
    with pytest.raises(StoreDamaged, match="damaged: a "):
        load_model(folder)


@pytest.mark.parametrize(("field", "value"), [("left_children", 10_000), ("split_indices", 99)])
def test_a_booster_that_points_outside_itself_is_refused(model: Path, field: str, value: int) -> None:
    booster = json.loads((model / BOOSTER).read_bytes())
    booster["learner"]["gradient_booster"]["model"]["trees"][0][field][0] = value
    (model / BOOSTER).write_text(json.dumps(booster))
    _sign(model)
    with pytest.raises(StoreDamaged, match="damaged: a node"):
        load_model(model)


@pytest.mark.parametrize("name", ["booster-0.json", "booster-1.json"])
def test_every_booster_of_late_fusion_is_checked(late: Path, name: str) -> None:
    booster = json.loads((late / name).read_bytes())
    booster["learner"]["gradient_booster"]["model"]["trees"][0]["split_indices"][0] = 11  # of all 12 columns
    (late / name).write_text(json.dumps(booster))
    _sign(late)
    with pytest.raises(StoreDamaged, match="damaged: a node of a tree asks for a column"):
        load_model(late)


def test_a_booster_too_few_or_too_many_is_refused(late: Path) -> None:
    card = json.loads((late / CARD).read_bytes())
    entry = card["files"].pop("booster-1.json")
    (late / CARD).write_text(json.dumps(card))
    with pytest.raises(StoreDamaged, match="one for each"):
        load_model(late)
    (late / "booster-2.json").write_bytes((late / "booster-1.json").read_bytes())
    card["files"] |= {"booster-1.json": entry, "booster-2.json": entry}
    (late / CARD).write_text(json.dumps(card))
    with pytest.raises(StoreDamaged, match="one for each"):
        load_model(late)


def test_another_fusion_in_the_same_folder_leaves_no_booster(late: Path) -> None:
    X, y = rows()
    save_model(late, small_head("xgb").fit(X, y), {})
    assert sorted(path.name for path in late.iterdir()) == [BOOSTER, CARD, PIPELINE]
    save_model(late, small_head("nb", fusion=FusionParams("late")).fit(X, y), {})
    assert sorted(path.name for path in late.iterdir()) == [CARD, PIPELINE]


@pytest.mark.parametrize("place", [-1, 12, 10**9])
def test_an_extractor_of_late_fusion_that_asks_for_a_column_that_is_not_there_is_refused(
    tmp_path: Path, place: int
) -> None:
    folder = _tree_model(tmp_path, "rf", FusionParams("late"))

    def change(parts: dict[str, bytes]) -> None:
        for part, data in parts.items():
            if part.endswith(".npy"):
                places = np.load(io.BytesIO(data), allow_pickle=False)
                if places.dtype == np.int64 and places.tolist() == [0, 1, 2, 3]:  # of design
                    places[0] = place
                    buffer = io.BytesIO()
                    np.save(buffer, places, allow_pickle=False)
                    parts[part] = buffer.getvalue()

    _edit(folder, change)
    with pytest.raises(StoreDamaged, match="damaged: an extractor of late fusion asks for a column"):
        load_model(folder)


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"learner": 1}'])
def test_a_booster_that_is_none_is_refused(model: Path, text: str) -> None:
    (model / BOOSTER).write_text(text)
    _sign(model)
    with pytest.raises(StoreDamaged, match="damaged"):
        load_model(model)
