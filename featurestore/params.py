"""params.yaml as frozen, validated values.

Owns reading the file and what several keys decide together; the blocks are `settings`. Refuses to know
what the values do. Only a ``__main__`` loads it.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from featurestore import plugins
from featurestore.documents import named, read_capped, shown, yaml_values
from featurestore.errors import MissingData, ParamsError
from featurestore.schema import Between, check_keywords, from_mapping
from featurestore.settings import (
    CvParams,
    DataParams,
    DecisionParams,
    EvaluationParams,
    ExplanationParams,
    FusionParams,
    RuntimeParams,
    SearchParams,
    SearchRange,
    SplitParams,
)

__all__ = [
    "EXTRACTOR_CONTEXT",
    "HEAD_CONTEXT",
    "CvParams",
    "DataParams",
    "DecisionParams",
    "EvaluationParams",
    "ExplanationParams",
    "FusionParams",
    "Params",
    "RuntimeParams",
    "SearchParams",
    "SearchRange",
    "SplitParams",
    "check_foreign_name",
    "load_params",
    "parse_params",
]

#: What every head's ``build`` is given besides its params.
HEAD_CONTEXT = ("seed", "n_classes", "positive")

#: What every extractor's ``build`` is given besides its params.
EXTRACTOR_CONTEXT = ("context",)

_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml.

    Attributes
    ----------
    extractors, heads : mapping of str to mapping
        Keyword arguments of each plugin's ``build``, defaults filled in.
    searches : mapping of str to SearchParams
        By head, of those that have a ``search``; no key of the file.
    imported : tuple of str
        Stores of other tools, joined behind those of `features`.
    """

    seed: Annotated[int, Between(0, 2**32 - 1)]
    features: tuple[str, ...]
    model: str
    data: DataParams = field(default_factory=DataParams)
    split: SplitParams = field(default_factory=SplitParams)
    extractors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    heads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    imported: tuple[str, ...] = ()
    fusion: FusionParams = field(default_factory=FusionParams)
    cv: CvParams = field(default_factory=CvParams)
    threshold: Literal["default", "f1", "balanced_accuracy"] = "default"
    calibration: Literal["none", "sigmoid"] = "none"
    evaluation: EvaluationParams = field(default_factory=EvaluationParams)
    explanation: ExplanationParams = field(default_factory=ExplanationParams)
    runtime: RuntimeParams = field(default_factory=RuntimeParams)
    searches: Mapping[str, SearchParams] = field(default_factory=dict, metadata={"derived": True})

    @property
    def decision(self) -> DecisionParams:
        """``threshold`` and ``calibration`` as one value."""
        return DecisionParams(self.threshold, self.calibration)


def _check_ranges(params: Params) -> None:
    """What more than one key decides, or a type cannot say."""
    split, pattern = params.split, params.data.group_from
    total = split.train + split.val + split.test
    if abs(total - 1) > 1e-9:
        raise ParamsError(f"split: train + val + test is {total:g}; it must be 1")
    if pattern is None:
        return
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise ParamsError(f"data.group_from: no regular expression: {error}") from None
    if not groups:
        raise ParamsError(f"data.group_from: {shown(pattern)} needs one (group) that is the series")


def check_foreign_name(name: str) -> None:
    """Whether rows of another tool may be called so.

    Raises
    ------
    ParamsError
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) or name == "fused":
        raise ParamsError(
            f"imported: {shown(name)}: a name is made of a-z, 0-9 and _, and begins with a letter"
        )
    if name in plugins.listing("extractors.zoo"):
        raise ParamsError(f"imported: {name!r} is one of kyara's own extractors; take another name")


def _check_names(params: Params) -> None:
    if not params.features and not params.imported:
        raise ParamsError(f"features: empty; any of: {', '.join(plugins.listing('extractors.zoo'))}")
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
            raise ParamsError(f"{key}: no {shown(name)}; one of: {', '.join(names)}")
    for key, chosen in (("features", params.features), ("imported", params.imported)):
        for name, times in Counter(chosen).items():
            if key == "imported":
                check_foreign_name(name)  # it names a file
            if times > 1:
                raise ParamsError(f"{key}: {name!r} stands twice")


def _search(build: types.FunctionType, raw: Any, key: str) -> SearchParams:
    """A head's ``search``, every value that it may try checked like one of params.yaml.

    Raises
    ------
    ParamsError
        Naming the param and the value.
    """
    search = from_mapping(SearchParams, raw, key)
    if not search.over:
        raise ParamsError(f"{key}.over: nothing to choose from; param: [value, value]")
    for name, values in search.over.items():
        where = f"{key}.over.{named(name)}"
        if isinstance(values, Mapping):
            if search.method != "random":
                raise ParamsError(f"{where}: a range goes with method: random; a grid takes a list of values")
            limits = from_mapping(SearchRange, values, where)
            if not limits.low < limits.high or (limits.log and limits.low <= 0):
                raise ParamsError(f"{where}: low must be below high, and above 0 where log is true")
            values = [limits.kind(limits.low), limits.kind(limits.high)]
        if not isinstance(values, list | tuple) or not values:
            raise ParamsError(f"{where}: {shown(values)} is not a list of values")
        for value in values:
            check_keywords(build, {name: value}, f"{key}.over", given=HEAD_CONTEXT)
    return search


def _plugin_blocks(package: str, key: str, raw: Mapping[str, Any], given: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: check_keywords(
            plugins.load(package, name, key=key).build, raw.get(name), f"{key}.{name}", given=given
        )
        for name in plugins.listing(package)
    }


def _without_searches(raw: Any) -> tuple[Any, dict[str, Any]]:
    """The raw params without ``heads.<name>.search``, and these by head."""
    if not isinstance(raw, Mapping) or not raw.get("heads"):
        return raw, {}
    heads = {name: dict(block) for name, block in raw["heads"].items()}
    searches = {name: block.pop("search", None) for name, block in heads.items()}
    return {**raw, "heads": heads}, {name: one for name, one in searches.items() if one is not None}


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
            if not isinstance(raw.get(block) or {}, Mapping):
                raise ParamsError(f"{block}: {shown(raw[block])} is not a block of keys")
            for name, value in dict(raw.get(block) or {}).items():
                if value is not None and not isinstance(value, Mapping):
                    raise ParamsError(f"{block}.{named(name)}: {shown(value)} is not a block of keys")
        raw = {
            **raw,
            **{b: {k: v or {} for k, v in dict(raw.get(b) or {}).items()} for b in ("extractors", "heads")},
        }
    raw, searches = _without_searches(raw)
    params = from_mapping(Params, raw, "")
    _check_names(params)
    _check_ranges(params)
    extractors = _plugin_blocks("extractors.zoo", "extractors", params.extractors, EXTRACTOR_CONTEXT)
    heads = _plugin_blocks("classifiers.heads", "heads", params.heads, HEAD_CONTEXT)
    chosen = {
        name: _search(plugins.load("classifiers.heads", name, key="heads").build, raw, f"heads.{name}.search")
        for name, raw in searches.items()
    }
    return dataclasses.replace(params, extractors=extractors, heads=heads, searches=chosen)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and validate params.yaml.

    Raises
    ------
    MissingData
        If there is no such file.
    ParamsError
        If it is not YAML, larger than 1 MiB, says more than params could, or is invalid. Nothing in it
        is ever run.
    """
    try:
        raw = yaml_values(read_capped(path, _MAX_BYTES))
    except FileNotFoundError:
        raise MissingData(f"no {path} here; run kyara's commands in the root of its repository") from None
    except ValueError as error:
        raise ParamsError(f"{path}: {error}") from None
    return parse_params(raw)
