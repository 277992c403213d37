"""params.yaml as frozen, validated values.

Owns every key and its range. Refuses to know what the values do. Only a ``__main__`` loads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from featurestore import plugins
from featurestore.errors import MissingData, ParamsError
from featurestore.schema import check_keywords, from_mapping

__all__ = [
    "HEAD_CONTEXT",
    "DataParams",
    "EvaluationParams",
    "Params",
    "RuntimeParams",
    "SplitParams",
    "load_params",
    "parse_params",
]

#: What every head's ``build`` is given besides its params.
HEAD_CONTEXT = ("seed", "n_classes", "positive")

_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class DataParams:
    """``data:`` where the images are and what counts as one thing.

    Attributes
    ----------
    root : str
        Folder with ``images/`` and, perhaps, ``metadata/``.
    group : {"series", "character", "none"}
        What must never stand on both sides of a split.
    group_from : str or None
        Regular expression searched in the path below ``images/``; its first group is the series.
    near_duplicate_distance : int or None
        Bits of 64 by which two perceptual hashes may differ and still be one picture; None = off.
    quarantine_limit : float
        Share of the files that may be unusable.
    max_pixels : int
        Cap on width x height, checked before decoding.
    """

    root: str = "data"
    group: Literal["series", "character", "none"] = "series"
    group_from: str | None = None
    near_duplicate_distance: int | None = 4
    quarantine_limit: float = 0.05
    max_pixels: int = 50_000_000


@dataclass(frozen=True)
class SplitParams:
    """``split:`` shares of train, val and test, which sum to 1."""

    method: Literal["stratified", "hash"] = "stratified"
    train: float = 0.6
    val: float = 0.2
    test: float = 0.2


@dataclass(frozen=True)
class EvaluationParams:
    """``evaluation:`` the positive class, the folds, the draws of the bootstrap."""

    positive: str = "villain"
    folds: int = 5
    bootstrap: int = 1000


@dataclass(frozen=True)
class RuntimeParams:
    """``runtime:`` what moves no result; no stage and no fingerprint depends on it."""

    engine: str = "local"
    workers: int = 0
    batch_size: int = 16
    commit_rows: int = 256
    commit_seconds: float = 10.0


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml.

    Attributes
    ----------
    extractors, heads : mapping of str to mapping
        Keyword arguments of each plugin's ``build``, defaults filled in.
    """

    features: tuple[str, ...]
    model: str
    seed: int = 42
    data: DataParams = field(default_factory=DataParams)
    split: SplitParams = field(default_factory=SplitParams)
    extractors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    heads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    evaluation: EvaluationParams = field(default_factory=EvaluationParams)
    runtime: RuntimeParams = field(default_factory=RuntimeParams)


def _require(condition: bool, key: str, value: Any, rule: str) -> None:
    if not condition:
        raise ParamsError(f"{key}: {value!r} is out of range; {rule}")


def _check_ranges(params: Params) -> None:
    data, split, evaluation, runtime = params.data, params.split, params.evaluation, params.runtime
    _require(params.seed >= 0, "seed", params.seed, "0 or more")
    _require(params.seed < 2**32, "seed", params.seed, "below 2**32")
    for name in ("train", "val", "test"):
        _require(0 < getattr(split, name) < 1, f"split.{name}", getattr(split, name), "between 0 and 1")
    total = split.train + split.val + split.test
    if abs(total - 1) > 1e-9:
        raise ParamsError(f"split: train + val + test is {total:g}; it must be 1")
    distance = data.near_duplicate_distance
    _require(
        distance is None or 0 <= distance <= 16, "data.near_duplicate_distance", distance, "0 to 16, or null"
    )
    limit = data.quarantine_limit
    _require(0 <= limit <= 1, "data.quarantine_limit", limit, "a share from 0 to 1")
    _require(data.max_pixels >= 1, "data.max_pixels", data.max_pixels, "1 or more")
    _require(evaluation.folds >= 2, "evaluation.folds", evaluation.folds, "2 or more")
    _require(evaluation.bootstrap >= 100, "evaluation.bootstrap", evaluation.bootstrap, "100 or more")
    _require(runtime.workers >= 0, "runtime.workers", runtime.workers, "0 (all cores) or more")
    _require(runtime.batch_size >= 1, "runtime.batch_size", runtime.batch_size, "1 or more")
    _require(runtime.commit_rows >= 1, "runtime.commit_rows", runtime.commit_rows, "1 or more")
    _require(runtime.commit_seconds > 0, "runtime.commit_seconds", runtime.commit_seconds, "above 0")
    if data.group_from is not None:
        try:
            groups = re.compile(data.group_from).groups
        except re.error as error:
            raise ParamsError(f"data.group_from: no regular expression: {error}") from None
        _require(groups >= 1, "data.group_from", data.group_from, "it needs one (group) that is the series")


def _check_names(params: Params) -> None:
    if not params.features:
        raise ParamsError(f"features: empty; any of: {', '.join(plugins.listing('extractors.zoo'))}")
    for i, name in enumerate(params.features):
        if name in params.features[:i]:
            raise ParamsError(f"features: {name!r} stands twice")
    known = {
        "extractors": plugins.listing("extractors.zoo"),
        "heads": plugins.listing("classifiers.heads"),
        "engines": plugins.listing("extractors.engines"),
    }
    named = [("features", name, known["extractors"]) for name in params.features]
    named += [("extractors", name, known["extractors"]) for name in params.extractors]
    named += [("heads", name, known["heads"]) for name in params.heads]
    named += [("model", params.model, known["heads"])]
    named += [("runtime.engine", params.runtime.engine, known["engines"])]
    for key, name, names in named:
        if name not in names:
            raise ParamsError(f"{key}: no {name!r}; one of: {', '.join(names)}")


def _plugin_blocks(package: str, key: str, raw: Mapping[str, Any], given: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: check_keywords(
            plugins.load(package, name, key=key).build, raw.get(name), f"{key}.{name}", given=given
        )
        for name in plugins.listing(package)
    }


def parse_params(raw: Any) -> Params:
    """Validate a parsed params.yaml.

    Parameters
    ----------
    raw : mapping
        What a YAML parser returned.

    Raises
    ------
    ParamsError
        One line: the key, what is wrong, what is allowed.
    """
    if isinstance(raw, Mapping):
        for block in ("extractors", "heads"):
            for name, value in dict(raw.get(block) or {}).items():
                if value is not None and not isinstance(value, Mapping):
                    raise ParamsError(f"{block}.{name}: {value!r} is not a block of keys")
        raw = {
            **raw,
            **{b: {k: v or {} for k, v in dict(raw.get(b) or {}).items()} for b in ("extractors", "heads")},
        }
    params = from_mapping(Params, raw, "")
    _check_names(params)
    _check_ranges(params)
    extractors = _plugin_blocks("extractors.zoo", "extractors", params.extractors, ())
    heads = _plugin_blocks("classifiers.heads", "heads", params.heads, HEAD_CONTEXT)
    return Params(**{**vars(params), "extractors": extractors, "heads": heads})


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and validate params.yaml.

    Raises
    ------
    MissingData
        If there is no such file.
    ParamsError
        If it is not YAML, larger than 1 MiB, or invalid.
    """
    import yaml

    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise MissingData(f"no {path} here; run kyara's commands in the root of its repository") from None
    if len(text) > _MAX_BYTES:
        raise ParamsError(f"{path}: larger than {_MAX_BYTES} bytes")
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise ParamsError(f"{path}: not YAML: {said}") from None
    return parse_params(raw)
