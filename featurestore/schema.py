"""Values from YAML or the command line, checked against Python annotations.

Owns the one coercion that params.yaml, extractors and heads share: a function's keyword-only
parameters or a dataclass's fields are the schema. Refuses to know any particular key.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from featurestore.documents import named, shown
from featurestore.errors import ParamsError

__all__ = [
    "Above",
    "AtLeast",
    "Between",
    "check_keywords",
    "check_value",
    "from_mapping",
    "keywords_of",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Above:
    """A number above a limit, as in ``Annotated[float, Above(0)]``."""

    limit: float

    def allows(self, value: float) -> bool:
        """Whether a value is in range."""
        return value > self.limit

    def __str__(self) -> str:
        return f"above {self.limit:g}"


@dataclass(frozen=True)
class AtLeast:
    """A number not below a limit."""

    limit: float

    def allows(self, value: float) -> bool:
        """Whether a value is in range."""
        return value >= self.limit

    def __str__(self) -> str:
        return f"{self.limit:g} or more"


@dataclass(frozen=True)
class Between:
    """A number from ``low`` to ``high``; ``open`` leaves out ``low``, or both for ``"both"``."""

    low: float
    high: float
    open: Literal["", "low", "both"] = ""

    def allows(self, value: float) -> bool:
        """Whether a value is in range."""
        above = value > self.low if self.open else value >= self.low
        return above and (value < self.high if self.open == "both" else value <= self.high)

    def __str__(self) -> str:
        if self.open == "both":
            return f"between {self.low:g} and {self.high:g}"
        return f"{'above' if self.open else 'from'} {self.low:g} to {self.high:g}"


class _OutOfRangeError(ParamsError):
    """Of the right type; more telling than that another type would not do either."""


def _say(kind: Any) -> str:
    """How an annotation is called in an error."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _say(args[0])
    if origin is Literal:
        return "one of: " + ", ".join(str(a) for a in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_say(a) for a in args)
    if kind is type(None):
        return "null"
    if origin is tuple:
        return f"a list such as [a, b], each {_say(args[0])}"
    if origin in (Mapping, dict):
        return "a block such as {name: [value, value]}"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(kind, str(kind))


def check_value(kind: Any, value: Any, key: str) -> Any:
    """``value`` as ``kind``, or an error that names the key.

    Parameters
    ----------
    kind : annotation
        ``int``, ``float`` (finite; a whole number will do), ``str``, ``bool``, ``Literal``, ``X | None``,
        ``tuple[X, ...]``, ``Mapping``, ``Any``, a dataclass of these, or ``Annotated`` with ranges.

    Raises
    ------
    ParamsError

    Examples
    --------
    >>> check_value(float, 1, "split.train")
    1.0
    >>> check_value(Literal["crop", "pad"], "stretch", "extractors.design.fit")
    Traceback (most recent call last):
    featurestore.errors.ParamsError: extractors.design.fit: 'stretch' is not one of: crop, pad
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return from_mapping(typing.cast(type, kind), value, key)
    if origin is Annotated:
        checked = check_value(args[0], value, key)
        for rule in args[1:]:
            if not rule.allows(checked):
                raise _OutOfRangeError(f"{key}: {shown(value)} is out of range; {rule}")
        return checked
    if origin is Literal:
        for choice in args:
            if type(choice) is type(value) and choice == value:
                return value
    elif origin in (typing.Union, types.UnionType):
        for option in args:
            try:
                return check_value(option, value, key)
            except _OutOfRangeError:
                raise
            except ParamsError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        return tuple(check_value(args[0], v, f"{key}[{i}]") for i, v in enumerate(value))
    elif kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    elif kind in (int, str, bool, type(None)) and type(value) is kind:
        return value
    elif origin in (Mapping, dict) and isinstance(value, Mapping):
        return {str(k): check_value(args[1], v, f"{key}.{named(k)}") for k, v in value.items()}
    said = _say(kind)
    joint = "is not" if said.startswith(("one of", "a ", "true", "null")) else "is not a"
    raise ParamsError(f"{key}: {shown(value)} {joint} {said}")


def _check_known(given: Mapping[str, Any], known: typing.Iterable[str], key: str) -> None:
    known = list(known)
    for name in given:
        if name not in known:
            where = f"{key}.{named(name)}" if key else named(name)
            raise ParamsError(f"{where}: unknown key; known here: {', '.join(known) or 'none'}")


def _as_mapping(raw: Any, key: str) -> Mapping[str, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise ParamsError(f"{key or 'params.yaml'}: {shown(raw)} is not a block of keys")
    return raw


def from_mapping(cls: type[T], raw: Any, key: str) -> T:
    """A dataclass from a block of YAML; nested dataclasses are nested blocks.

    Raises
    ------
    ParamsError
        Naming the key that is unknown, missing or of the wrong type.
    """
    block = _as_mapping(raw, key)
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [f for f in dataclasses.fields(cls) if not f.metadata.get("derived")]  # type: ignore[arg-type]
    _check_known(block, [field.name for field in fields], key)
    values: dict[str, Any] = {}
    for field in fields:
        where = f"{key}.{field.name}" if key else field.name
        kind = hints[field.name]
        if field.name in block and not dataclasses.is_dataclass(kind):
            values[field.name] = check_value(kind, block[field.name], where)
        elif dataclasses.is_dataclass(kind):
            values[field.name] = from_mapping(typing.cast(type, kind), block.get(field.name), where)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ParamsError(f"{where}: missing; {_say(kind)}")
    return cls(**values)


def keywords_of(build: types.FunctionType, given: tuple[str, ...] = ()) -> dict[str, tuple[Any, Any]]:
    """Keyword-only parameters of a function: name -> (annotation, default).

    Parameters
    ----------
    given : tuple of str
        Parameters that are left out.
    """
    schema = {
        name: parameter
        for name, parameter in inspect.signature(build).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in given
    }
    # the return type may be known to type checkers alone, so only these are resolved
    holder = type("_Schema", (), {"__annotations__": {n: p.annotation for n, p in schema.items()}})
    hints = typing.get_type_hints(holder, globalns=build.__globals__, include_extras=True)
    return {name: (hints[name], parameter.default) for name, parameter in schema.items()}


def check_keywords(
    build: types.FunctionType, raw: Any, key: str, *, given: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The keyword arguments for a plugin's ``build``, defaults filled in.

    Parameters
    ----------
    build : function
        Its keyword-only parameters are the schema.
    raw : mapping or None
        The plugin's block of params.yaml.
    given : tuple of str
        Parameters that the caller supplies itself; they are no keys.

    Raises
    ------
    ParamsError
    """
    block = _as_mapping(raw, key)
    schema = keywords_of(build, given)
    _check_known(block, schema, key)
    values: dict[str, Any] = {}
    for name, (kind, default) in schema.items():
        if name in block:
            values[name] = check_value(kind, block[name], f"{key}.{name}")
        elif default is inspect.Parameter.empty:
            raise ParamsError(f"{key}.{name}: missing; {_say(kind)}")
        else:
            values[name] = default
    return values
