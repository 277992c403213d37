"""A fitted head as bytes that repeat, and back, with no code from the file ever run.

Owns the skops dump in canonical form (ids and names of parts counted in order of appearance,
padding zeroed) and the fixed list of types that such a dump may hold, each with the way in which it
may be made. Refuses to know folders, zip files (``archive``) and XGBoost.

skops checks a part's type before it is made. Its own default list takes every estimator of
scikit-learn and lets a file choose among all of its ways to make a thing; the list here holds what
kyara's heads are made of, and no function.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any, Final

import numpy as np

from classifiers.persistence.archive import SCHEMA, pack, unpack
from featurestore.errors import StoreDamaged


class _NoTorch(MetaPathFinder):
    """As if torch were not installed, unless it is imported already.

    skops imports every package of scikit-learn to list its estimators, and so the one that is for torch:
    seconds, and no head is made of it.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "torch":
            raise ModuleNotFoundError(f"{name} is not looked for here", name=name)


@contextmanager
def _without_torch() -> Iterator[None]:
    finder = _NoTorch()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


with _without_torch():
    import skops.io
    from skops.io._protocol import PROTOCOL

__all__ = ["TRUSTED_TYPES", "dumps", "loads"]

#: How a part of a dump may be made (skops' name for it) -> what may be made so. The way counts as much
#: as the type: called with arguments of a file's choice, a harmless type need not be. A new head may need
#: a line here.
TRUSTED_TYPES: Final[dict[str, frozenset[str]]] = {
    "DTypeNode": frozenset({"numpy.dtype"}),
    "DictNode": frozenset({"builtins.dict"}),
    "JsonNode": frozenset({"builtins.str"}),
    "ListNode": frozenset({"builtins.list"}),
    "LossNode": frozenset(
        {"sklearn._loss._loss.CyHalfBinomialLoss", "sklearn._loss._loss.CyHalfMultinomialLoss"}
    ),
    "NdArrayNode": frozenset({"numpy.float64", "numpy.int64", "numpy.ndarray", "numpy.uint64"}),
    "RandomGeneratorNode": frozenset({"numpy.random._generator.Generator"}),
    "RandomStateNode": frozenset({"numpy.random.mtrand.RandomState"}),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "TypeNode": frozenset({"builtins.str"}),
    "ObjectNode": frozenset(
        {
            "classifiers.fusion.BlockScaler",
            "classifiers.fusion.Late",
            "classifiers.head.Head",
            "classifiers.heads._balanced.Balanced",
            "classifiers.heads._balanced.BalancedVotes",
            "classifiers.heads._balanced.Calibrated",
            "classifiers.heads._balanced.EarlyStopped",
            "classifiers.heads._balanced.UniformPriors",
            "classifiers.heads._rule.Rule",
            "sklearn._loss.link.Interval",
            "sklearn._loss.link.LogitLink",
            "sklearn._loss.link.MultinomialLogit",
            "sklearn._loss.loss.HalfBinomialLoss",
            "sklearn._loss.loss.HalfMultinomialLoss",
            "sklearn.calibration.CalibratedClassifierCV",
            "sklearn.calibration._CalibratedClassifier",
            "sklearn.calibration._SigmoidCalibration",
            "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
            "sklearn.dummy.DummyClassifier",
            "sklearn.ensemble._forest.ExtraTreesClassifier",
            "sklearn.ensemble._forest.RandomForestClassifier",
            "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
            "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
            "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
            "sklearn.impute._base.SimpleImputer",
            "sklearn.linear_model._logistic.LogisticRegression",
            "sklearn.model_selection._split.StratifiedKFold",
            "sklearn.naive_bayes.GaussianNB",
            "sklearn.neighbors._classification.KNeighborsClassifier",
            "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
            "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
            "sklearn.pipeline.Pipeline",
            "sklearn.preprocessing._data.StandardScaler",
            "sklearn.preprocessing._label.LabelBinarizer",
            "sklearn.preprocessing._label.LabelEncoder",
            "sklearn.svm._classes.SVC",
            "sklearn.tree._classes.DecisionTreeClassifier",
            "sklearn.tree._classes.ExtraTreeClassifier",
            "xgboost.sklearn.XGBClassifier",
        }
    ),
}

_TYPES: Final = sorted(frozenset().union(*TRUSTED_TYPES.values()))

#: Of numpy's random generators. Its cost grows with the square of it.
_POOL_SIZE: Final = "4"

#: Values that cannot change: whether two places share one of them is an accident of the interpreter.
_IMMUTABLE = ("JsonNode", "TypeNode", "TupleNode", "DTypeNode")


def dumps(value: Any) -> bytes:
    """A fitted head as a skops archive whose bytes depend on its state alone.

    Raises
    ------
    TypeError
        If it holds a type that `loads` would refuse.
    ValueError
        If it is larger than `loads` would take.
    """
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(value))) as raw:
        schema = json.loads(raw.read(SCHEMA))
        strangers = _strangers(schema)
        if strangers:
            raise TypeError(
                f"a head may not hold {', '.join(strangers)}; add it to TRUSTED_TYPES after review"
            )
        names: dict[str, str] = {}
        schema = _counted(schema, {}, names)
        parts = {new: _without_padding(raw.read(old)) for old, new in names.items()}
    parts[SCHEMA] = json.dumps(schema, separators=(",", ":")).encode()
    return pack(parts)


def loads(data: bytes, *, where: str) -> Any:
    """Inverse of `dumps`, for bytes that anybody may have written.

    Parameters
    ----------
    data : bytes
    where : str
        What the bytes are called in an error.

    Raises
    ------
    StoreDamaged
        If they are no such archive, or name a type that is not in `TRUSTED_TYPES`, or a known type made in
        another way; nothing of the file has been made by then.
    """
    try:
        schema = json.loads(unpack(data)[SCHEMA])
        strangers = _strangers(schema)
        if strangers:
            said = ", ".join(strangers[:3])[:300] + (" ..." if len(strangers) > 3 else "")
            raise StoreDamaged(
                f"{where}: refused: it holds {said}, which no head is made of; "
                "do not use this file; run: dvc repro train"
            )
        if type(schema["protocol"]) is not int or schema["protocol"] != PROTOCOL:
            raise ValueError("written by another skops")  # whose old ways of making things are not ours
        _check_shared(schema)
        return skops.io.loads(data, trusted=_TYPES)
    except StoreDamaged:
        raise
    except Exception as error:  # a crafted archive may fail anywhere in skops
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise StoreDamaged(f"{where}: no readable head ({said}); run: dvc repro train") from error


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Everything in a schema that skops might make something of, wherever it stands."""
    if isinstance(node, dict):
        if any(key in node for key in ("__class__", "__module__", "__loader__", "__id__")):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _nodes(child)


def _strangers(schema: Any) -> list[str]:
    """What a schema names that is not in `TRUSTED_TYPES`, sorted."""
    found = set()
    for node in _nodes(schema):
        name, loader = f"{node.get('__module__')}.{node.get('__class__')}", node.get("__loader__")
        if not isinstance(loader, str) or name not in TRUSTED_TYPES.get(loader, ()):
            found.add(name if name not in _TYPES else f"{name} by {loader}")
    return sorted(found)


def _check_shared(schema: Any) -> None:
    """Refuse a schema that stands for more than it says: what is said once may be used many times.

    skops takes a second thing of one id for the first, whatever it says, and goes through it again;
    and it reads a part again for each thing that names it.
    """
    things: dict[Any, Any] = {}
    owners: dict[Any, Any] = {}
    for node in _nodes(schema):
        own = node.get("__id__")
        first = node if own is None else things.setdefault(own, node)
        if first is not node and _bare(first) != _bare(node):
            raise ValueError("two things have one id")
        if "file" in node and (own is None or owners.setdefault(node["file"], own) != own):
            raise ValueError("two arrays share one part")
        if node["__loader__"] == "RandomGeneratorNode":
            size = node["content"]["seed_seq"]["content"]["pool_size"]["content"]
            if size != _POOL_SIZE:
                raise ValueError("a random generator of another pool size than numpy's own")


def _bare(node: Any) -> Any:
    """A part of a schema without ids and names of parts: the state of one object, asked for twice."""
    if isinstance(node, dict):
        return {key: _bare(child) for key, child in node.items() if key not in ("__id__", "file")}
    return [_bare(child) for child in node] if isinstance(node, list) else node


def _counted(node: Any, ids: dict[Any, int], names: dict[str, str]) -> Any:
    """The schema with ids and names of parts counted in order of appearance."""
    if isinstance(node, list):
        return [_counted(child, ids, names) for child in node]
    if not isinstance(node, dict):
        return node
    out: dict[str, Any] = {}
    for key, child in node.items():
        if key == "__id__" and isinstance(child, int):
            if node.get("__loader__") not in _IMMUTABLE:
                out[key] = ids.setdefault(child, len(ids) + 1)
        elif key == "file" and isinstance(child, str) and "__loader__" in node:
            out[key] = names.setdefault(child, f"{len(names):06d}.{child.rpartition('.')[2]}")
        else:
            out[key] = _counted(child, ids, names)
    return out


def _without_padding(part: bytes) -> bytes:
    """A structured array (the nodes of a tree) with the bytes between its fields set to zero."""
    if not part.startswith(b"\x93NUMPY"):
        return part
    values = np.load(io.BytesIO(part), allow_pickle=False)
    if values.dtype.names is None:
        return part
    clean = np.zeros(values.shape, dtype=values.dtype)
    for name in values.dtype.names:
        clean[name] = values[name]
    buffer = io.BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()
