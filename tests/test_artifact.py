from __future__ import annotations

import copy
import functools
import hashlib
import io
import json
import operator
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

from classifiers.heads._balanced import Balanced
from classifiers.persistence import canonical
from classifiers.persistence.artifact import BOOSTER, CARD, PIPELINE, load_model, save_model
from classifiers.registry import EARLY, head_names
from classifiers.testing import rows, small_head
from featurestore.errors import MissingData, ParamsError, StoreDamaged, StoreVersionError
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
from classifiers.persistence.artifact import save_model
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


def _nodes(schema: Any) -> list[dict[str, Any]]:
    """Everything that a schema makes something of."""
    if isinstance(schema, list):
        return [node for child in schema for node in _nodes(child)]
    if not isinstance(schema, dict):
        return []
    return [schema] * ("__loader__" in schema) + _nodes(list(schema.values()))


def _plant(folder: Path, node: dict[str, Any]) -> None:
    """Put something into the attributes of the saved head."""

    def change(parts: dict[str, bytes]) -> None:
        schema = json.loads(parts["schema.json"])
        attributes = schema["content"]
        attributes["content"]["planted"] = node
        attributes["key_types"]["content"].append(_node("builtins", "str", "TypeNode"))
        parts["schema.json"] = json.dumps(schema).encode()

    _edit(folder, change)


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


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "{", "[" * 10**5, '{"format": 1, "files": {"../x": {}}}', '{"format": 1, "files": 3}',
        '{"format": 1, "files": ["pipeline.skops", 1]}', '{"format": 1, "files": {"pipeline.skops": 1}}',
    ],
)  # fmt: skip
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


# --- payloads: things whose loading runs something ------------------------------------------------


def _node(module: str, kind: str, way: str, **content: Any) -> dict[str, Any]:
    return {"__class__": kind, "__module__": module, "__loader__": way, **content}


def _json(value: Any) -> dict[str, Any]:
    return _node("builtins", "str", "JsonNode", content=json.dumps(value))


def _many(*nodes: dict[str, Any], kind: str = "tuple") -> dict[str, Any]:
    return _node("builtins", kind, f"{kind.title()}Node", content=list(nodes))


def _mapping(key_type: dict[str, Any], **values: Any) -> dict[str, Any]:
    types = _many(*[key_type] * len(values), kind="list")
    return _node("builtins", "dict", "DictNode", content=values, key_types=types)


def _called(*nodes: dict[str, Any]) -> dict[str, Any]:
    return _node("operator", "call", "OperatorFuncNode", attrs=_many(*nodes))


class Innocent:
    """Of a module that may be imported, and not of a head."""

    def __setstate__(self, state: dict[str, str]) -> None:
        Path(state["mark"]).touch()


_TEXT = _node("builtins", "str", "TypeNode")
_SYSTEM = _node("os", "system", "FunctionNode")

#: Name -> a node that creates the file ``mark`` when it is loaded, and what it is refused for.
PAYLOADS: dict[str, tuple[Callable[[str], dict[str, Any]], str]] = {
    "function_as_constructor": (
        lambda mark: _node(
            "os", "system", "ConstructorFromReduceNode", content=_many(_json(f"touch {mark}"))
        ),
        "os.system",
    ),
    "operator": (lambda mark: _called(_SYSTEM, _json(f"touch {mark}")), "operator.call"),
    "function_as_key_type": (
        lambda mark: _mapping(_node("os", "system", "TypeNode"), **{f"touch {mark}": _json(1)}),
        "os.system",
    ),
    "partial": (
        lambda mark: _called(
            _node(
                "functools",
                "partial",
                "PartialNode",
                content={
                    "func": _SYSTEM,
                    "args": _many(_json(f"touch {mark}")),
                    "kwds": _mapping(_TEXT),
                    "namespace": _json(None),
                },
            )
        ),
        "functools.partial",
    ),
    "method": (
        lambda mark: _called(
            _node(
                "pathlib",
                "Path",
                "MethodNode",
                content={
                    "func": "touch",
                    "obj": _node("pathlib", "Path", "ConstructorFromReduceNode", content=_many(_json(mark))),
                },
            )
        ),
        "operator.call, pathlib.Path",
    ),
    "object_with_a_setstate": (
        lambda mark: _node(__name__, "Innocent", "ObjectNode", content=_mapping(_TEXT, mark=_json(mark))),
        f"{__name__}.Innocent",
    ),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_runs_where_everything_is_trusted(name: str, tmp_path: Path) -> None:
    mark, buffer = tmp_path / "run", io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", json.dumps({**PAYLOADS[name][0](str(mark)), "protocol": 2}))
    data = buffer.getvalue()
    skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    assert mark.exists()


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_planted_payload_is_refused_and_not_run(name: str, model: Path, tmp_path: Path) -> None:
    made, said = PAYLOADS[name]
    mark = tmp_path / "run"
    _plant(model, made(str(mark)))
    with pytest.raises(StoreDamaged, match=rf"refused: it holds .*{re.escape(said)}") as error:
        load_model(model)
    assert not mark.exists()
    assert error.value.exit_code == 3
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "value",
    [
        functools.partial(os.system, "true"),
        operator.methodcaller("system", "true"),
        FunctionTransformer(os.system),
        FunctionTransformer(),
        "".join,
        len,
        np.sin,
        {1, 2},
        b"bytes",
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_no_head_is_made_of_is_refused_in_the_form_that_skops_gives_it(value: Any, model: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(value))) as archive:
        _plant(model, json.loads(archive.read("schema.json")))
    with pytest.raises(StoreDamaged, match="refused: it holds"):
        load_model(model)


@pytest.mark.parametrize(
    ("type_name", "way"),
    [
        ("numpy.ndarray", "ConstructorFromReduceNode"),
        ("numpy.ndarray", "ObjectNode"),
        ("sklearn.svm._classes.SVC", "DictNode"),
        ("xgboost.sklearn.XGBClassifier", "RandomStateNode"),
        ("sklearn.tree._tree.Tree", "FunctionNode"),
        ("classifiers.head.Head", "TypeNode"),
        ("builtins.dict", "CachedNode"),
    ],
)
def test_a_known_type_made_in_another_way_is_refused(type_name: str, way: str, model: Path) -> None:
    module, _, kind = type_name.rpartition(".")
    _plant(model, _node(module, kind, way, content=_many(_json([10**15]))))
    with pytest.raises(StoreDamaged, match=rf"refused: it holds {re.escape(type_name)} by {way}"):
        load_model(model)


@pytest.mark.parametrize("protocol", [0, 1, True, "2", None, 3])
def test_a_dump_in_a_form_of_another_skops_is_refused(protocol: Any, model: Path) -> None:
    def change(parts: dict[str, bytes]) -> None:
        parts["schema.json"] = json.dumps(json.loads(parts["schema.json"]) | {"protocol": protocol}).encode()

    _edit(model, change)
    with pytest.raises(StoreDamaged, match="written by another skops"):
        load_model(model)


# --- bombs: things that grow when they are read ---------------------------------------------------


def _npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def _laughs() -> dict[str, Any]:
    """Forty lists of two, each twice the next: a trillion walks through one short text."""
    node = _json(1)
    for level in range(40):
        again = {**_many(kind="list"), "__id__": 10**6 + level}
        node = _many(node, again, kind="list") | {"__id__": 10**6 + level + 1}
    return node


def _nested(depth: int) -> dict[str, Any]:
    node = _json(1)
    for _ in range(depth):
        node = _many(node, kind="list")
    return node


def _array(file: str, **more: Any) -> dict[str, Any]:
    return _node("numpy", "ndarray", "NdArrayNode", type="numpy", file=file, **more)


def _generator(pool_size: int) -> dict[str, Any]:
    X, y = rows()
    with zipfile.ZipFile(io.BytesIO(canonical.dumps(small_head("hgb").fit(X, y)))) as archive:
        nodes = _nodes(json.loads(archive.read("schema.json")))
    (made,) = (node for node in nodes if node["__loader__"] == "RandomGeneratorNode")
    made["content"]["seed_seq"]["content"]["pool_size"]["content"] = str(pool_size)
    return {**made, "__id__": 10**6}


@pytest.mark.parametrize(
    ("node", "said"),
    [
        pytest.param(_laughs(), "two things have one id", id="billion_laughs"),
        pytest.param(
            _many(_array("000000.npy"), _array("000000.npy")), "share one part", id="part_read_often"
        ),
        pytest.param(_generator(10**6), "another pool size", id="random_pool"),
        pytest.param(_json("x") | {"content": "[" * 10**5}, "no readable head", id="deep_value"),
    ],
)
def test_a_schema_that_would_grow_is_refused(node: dict[str, Any], said: str, model: Path) -> None:
    _plant(model, node)
    with pytest.raises(StoreDamaged, match=said):
        load_model(model)


@pytest.mark.parametrize(
    "schema", ["[" * 10**5, '{"a":' * 10**5, json.dumps(_nested(250)), "", "[]", "3", "null"]
)
def test_a_schema_that_is_nested_too_deeply_or_is_none_is_refused(schema: str, model: Path) -> None:
    _edit(model, lambda parts: parts.update({"schema.json": schema.encode()}))
    with pytest.raises(StoreDamaged, match=f"{PIPELINE}: ") as error:
        load_model(model)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"), id="too_short"),
        pytest.param(_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", b"x" * 9), id="too_long"),
        pytest.param(_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,-1), }", b"x" * 8), id="negative"),
        pytest.param(_npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"x" * 8), id="objects"),
        pytest.param(_npy("{'descr': '<f8'" + "," * 100), id="no_header"),
        pytest.param(b"\x93NUMPY\x09\x00" + bytes(100), id="other_version"),
        pytest.param(b"PK\x05\x06" + bytes(18), id="archive"),
        pytest.param(b"", id="empty"),
    ],
)  # fmt: skip
def test_a_part_that_is_not_the_array_it_says_it_is_is_refused(part: bytes, model: Path) -> None:
    _edit(model, lambda parts: parts.update({"000000.npy": part}))
    with pytest.raises(StoreDamaged, match="no readable head"):
        load_model(model)


def _overlapping(archive: zipfile.ZipFile, parts: dict[str, bytes]) -> None:
    """The entries of one large part say that it is a hundred."""
    archive.writestr("900000.npy", bytes(100_000))
    for i in range(100):
        twin = copy.copy(archive.filelist[-1])
        twin.filename = twin.orig_filename = f"{900_001 + i}.npy"
        archive.filelist.append(twin)


def _another_size(archive: zipfile.ZipFile, parts: dict[str, bytes]) -> None:
    archive.writestr("900000.npy", bytes(10))
    archive.filelist[-1].file_size = 10**12


def _many_parts(archive: zipfile.ZipFile, parts: dict[str, bytes]) -> None:
    archive.writestr("100000.npy", b"")
    archive.filelist += [archive.filelist[-1]] * 100_000


def _deflated(archive: zipfile.ZipFile, parts: dict[str, bytes]) -> None:
    archive.writestr("900000.npy", bytes(10**7), compress_type=zipfile.ZIP_DEFLATED)


def _twice(archive: zipfile.ZipFile, parts: dict[str, bytes]) -> None:
    archive.filelist.append(archive.filelist[0])


def _elsewhere(archive: zipfile.ZipFile, parts: dict[str, bytes]) -> None:
    archive.writestr("../../planted.npy", parts["000000.npy"])


def _large_schema(archive: zipfile.ZipFile, parts: dict[str, bytes]) -> None:
    archive.writestr("999999.npy", bytes((64 << 20) + 1))
    archive.filelist = [one for one in archive.filelist if one.filename != "schema.json"]
    archive.filelist[-1].filename = "schema.json"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        pytest.param(_deflated, "a part is compressed", id="zip_bomb"),
        pytest.param(_overlapping, "larger than all of it", id="overlapping_parts"),
        pytest.param(_another_size, "another size than it has", id="declared_size"),
        pytest.param(_many_parts, "too large", id="many_parts"),
        pytest.param(_large_schema, "too large", id="large_schema"),
        pytest.param(_twice, "two parts have one name", id="duplicate_names"),
        pytest.param(_elsewhere, r"it holds '\.\./\.\./planted", id="path_out_of_the_archive"),
    ],
)
def test_an_archive_of_another_form_is_refused_before_it_is_read(
    harm: Callable[[zipfile.ZipFile, dict[str, bytes]], None], said: str, model: Path
) -> None:
    with zipfile.ZipFile(model / PIPELINE) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(model / PIPELINE, "a") as archive:
        harm(archive, parts)
        archive._didModify = True  # what was done to the directory is written at the end
    _sign(model)
    with pytest.raises(StoreDamaged, match=said):
        load_model(model)


@pytest.mark.parametrize(("name", "limit"), [(CARD, 4 << 20), (PIPELINE, 1 << 30), (BOOSTER, 128 << 20)])
def test_a_file_above_the_limit_is_never_read(name: str, limit: int, model: Path) -> None:
    os.truncate(model / name, limit + 1)  # sparse: nothing of it is on the disk
    with pytest.raises(StoreDamaged, match=rf"{name}: .*larger than {limit} bytes.*; run: dvc repro train"):
        load_model(model)


@pytest.mark.parametrize("name", [CARD, PIPELINE, BOOSTER])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_and_waits_for_nobody(
    make: Callable[[Path], None], name: str, model: Path
) -> None:
    (model / name).unlink()
    make(model / name)
    with pytest.raises(StoreDamaged, match=rf"{name}: .*not a file"):
        load_model(model)


def test_a_head_too_large_to_be_loaded_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows()
    monkeypatch.setattr("classifiers.persistence.archive._MAX_PARTS", 20)
    with pytest.raises(ParamsError, match=r"is too large; at most 20, .*; lower .* n_estimators"):
        save_model(tmp_path / "model", small_head("rf").fit(X, y), {})
    assert list((tmp_path / "model").iterdir()) == []


def test_a_dump_of_a_type_that_could_not_be_loaded_is_never_written() -> None:
    X, y = rows()
    head = small_head("nb").fit(X, y)
    head.pipeline_.steps.insert(0, ("planted", FunctionTransformer()))
    with pytest.raises(TypeError, match="FunctionTransformer"):
        canonical.dumps(head)


def test_no_type_and_no_way_to_make_it_is_trusted_that_no_head_needs(tmp_path: Path) -> None:
    named: dict[str, set[str]] = {}
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
                    schema = json.loads(archive.read("schema.json"))
                for one in _nodes(schema):
                    type_name = f"{one['__module__']}.{one['__class__']}"
                    named.setdefault(one["__loader__"], set()).add(type_name)
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


def test_a_tree_is_checked_wherever_it_stands(tmp_path: Path) -> None:
    X, y = rows()
    head = small_head("rf").fit(X, y)
    name, forest = head.pipeline_.steps[-1]
    wrapper = Balanced(forest)
    wrapper.estimator_, wrapper.classes_ = forest, forest.classes_
    head.pipeline_.steps[-1] = (name, wrapper)
    forest.n_features_in_ = 1
    save_model(tmp_path, head, {})
    with pytest.raises(StoreDamaged, match="damaged: a node of a tree asks for a column"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("_n_support", lambda table: table + 1000),
        ("_n_support", lambda table: np.array([-5, 5 + table.sum()], dtype=table.dtype)),
        ("_dual_coef_", lambda table: table[:, :1]),
        ("_intercept_", lambda table: table[:0]),
        ("support_vectors_", lambda table: table[:, :1]),
        ("support_", lambda table: table[:1]),
        ("_probA", lambda table: np.zeros(3)),
    ],
)
def test_support_vectors_that_do_not_fit_each_other_are_refused(
    name: str, harm: Callable[[Any], Any], tmp_path: Path
) -> None:
    folder = _tree_model(tmp_path, "svm")

    def change(parts: dict[str, bytes]) -> None:
        states = [
            node["content"]["content"]
            for node in _nodes(json.loads(parts["schema.json"]))
            if node["__class__"] == "SVC"
        ]
        (part,) = {state[name]["file"] for state in states if name in state}
        buffer = io.BytesIO()
        np.save(buffer, harm(np.load(io.BytesIO(parts[part]))), allow_pickle=False)
        parts[part] = buffer.getvalue()

    _edit(folder, change)
    with pytest.raises(StoreDamaged, match="damaged: a table of a support vector machine"):
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


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"learner": 1}', "[" * 10**5])
def test_a_booster_that_is_none_is_refused(model: Path, text: str) -> None:
    (model / BOOSTER).write_text(text)
    _sign(model)
    with pytest.raises(StoreDamaged, match="damaged"):
        load_model(model)
