"""A fitted head as bytes that repeat, and back, with no code from the file ever run.

Owns the skops dump in canonical form (ids and names of parts counted in order of appearance, zip
times fixed, padding zeroed, nothing compressed) and the fixed list of types that such a dump may
hold. Refuses to know folders and XGBoost.

skops checks a part's type before it is made. Its own default list takes every estimator of
scikit-learn; the list here holds what kyara's heads are made of, and no function.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import skops.io

from featurestore.errors import StoreDamaged

__all__ = ["TRUSTED_TYPES", "dumps", "loads"]

#: Every type that a dump of a head may name. A new head may need a line here.
TRUSTED_TYPES: frozenset[str] = frozenset(
    {
        "builtins.dict",
        "builtins.list",
        "builtins.str",
        "builtins.tuple",
        "classifiers.fusion.BlockScaler",
        "classifiers.fusion.Late",
        "classifiers.head.Head",
        "classifiers.heads._balanced.Balanced",
        "classifiers.heads._balanced.BalancedVotes",
        "classifiers.heads._balanced.Calibrated",
        "classifiers.heads._balanced.EarlyStopped",
        "classifiers.heads._balanced.UniformPriors",
        "classifiers.heads._rule.Rule",
        "numpy.dtype",
        "numpy.float64",
        "numpy.int64",
        "numpy.ndarray",
        "numpy.random._generator.Generator",
        "numpy.random.mtrand.RandomState",
        "numpy.uint64",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
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
        "sklearn.tree._tree.Tree",
        "xgboost.sklearn.XGBClassifier",
    }
)

_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)

#: Values that cannot change: whether two places share one of them is an accident of the interpreter.
_IMMUTABLE = ("JsonNode", "TypeNode", "TupleNode", "DTypeNode")


def dumps(value: Any) -> bytes:
    """A fitted head as a skops archive whose bytes depend on its state alone.

    Raises
    ------
    TypeError
        If it holds a type that `loads` would refuse.
    """
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(value))) as raw:
        schema = json.loads(raw.read(_SCHEMA))
        strangers = sorted(set(_types(schema)) - TRUSTED_TYPES)
        if strangers:
            raise TypeError(
                f"a head may not hold {', '.join(strangers)}; add it to TRUSTED_TYPES after review"
            )
        names: dict[str, str] = {}
        schema = _counted(schema, {}, names)
        parts = {new: _without_padding(raw.read(old)) for old, new in names.items()}
    parts[_SCHEMA] = json.dumps(schema, separators=(",", ":")).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(parts):
            archive.writestr(zipfile.ZipInfo(name, date_time=_EPOCH), parts[name])
    return buffer.getvalue()


def loads(data: bytes, *, where: str) -> Any:
    """Inverse of `dumps`.

    Parameters
    ----------
    data : bytes
    where : str
        What the bytes are called in an error.

    Raises
    ------
    StoreDamaged
        If they are no such archive, or name a type that is not in `TRUSTED_TYPES`; nothing of the
        file has been made by then.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise StoreDamaged(f"{where}: a part is compressed; kyara writes none; run: dvc repro train")
            strangers = sorted(set(_types(json.loads(archive.read(_SCHEMA)))) - TRUSTED_TYPES)
        if strangers:
            raise StoreDamaged(
                f"{where}: refused: it holds {', '.join(strangers)}, which no head is made of; "
                "do not use this file; run: dvc repro train"
            )
        return skops.io.loads(data, trusted=sorted(TRUSTED_TYPES))
    except StoreDamaged:
        raise
    except Exception as error:  # a crafted archive may fail anywhere in skops
        raise StoreDamaged(f"{where}: no readable head ({error}); run: dvc repro train") from error


def _types(node: Any) -> Iterator[str]:
    """Every ``module.class`` that a schema names, wherever it stands."""
    children: list[Any] = node if isinstance(node, list) else []
    if isinstance(node, dict):
        if isinstance(node.get("__class__"), str):
            yield f"{node.get('__module__')}.{node['__class__']}"
        children = list(node.values())
    for child in children:
        yield from _types(child)


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
