"""Small texts that kyara reads back, with a limit on everything that a file could blow up.

Owns reading a regular file of a limited size, the values of a YAML or JSON text, and how a value is
shown in an error. Refuses to know keys.
"""

from __future__ import annotations

import json
import reprlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import yaml

__all__ = ["MAX_JSON_BYTES", "json_values", "named", "read_capped", "read_json", "shown", "yaml_values"]

#: Of a JSON file that kyara wrote itself.
MAX_JSON_BYTES: Final = 4 << 20

#: Of a YAML text, every alias counted as all that it stands for.
_MAX_NODES: Final = 100_000
_MAX_DEPTH: Final = 50
#: Longer than any text of use, too short for a number with more digits than Python agrees to print.
_MAX_SCALAR: Final = 3_000
_MAX_SHOWN: Final = 200


def _made_repr() -> reprlib.Repr:
    made = reprlib.Repr()
    made.maxlevel, made.maxstring, made.maxother, made.maxlong = 3, 80, 80, 60
    return made


_REPR: Final = _made_repr()


def shown(value: object) -> str:
    """A value as an error may quote it: its ``repr``, cut to a length that a line can hold.

    Examples
    --------
    >>> shown(["crop", 3])
    "['crop', 3]"
    >>> len(shown("x" * 10**6))
    80
    """
    text = _REPR.repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def named(key: object) -> str:
    """A key as an error may name it: itself, unless it is long or no text."""
    return key if isinstance(key, str) and len(key) <= _REPR.maxstring else shown(key)


def read_capped(path: Path, limit: int) -> bytes:
    """The bytes of a regular file; anything else and anything larger is refused before it is read.

    Raises
    ------
    FileNotFoundError
    ValueError
        Saying in one line what is wrong, without the path.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # a fifo would wait for ever
        raise ValueError("not a file")
    if found.st_size <= limit:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)  # it may have grown meanwhile
        if len(data) <= limit:
            return data
    raise ValueError(f"larger than {limit} bytes")


def json_values(data: bytes) -> Any:
    """What a JSON text in UTF-8 says.

    Raises
    ------
    ValueError
        If it is none, or nested too deeply to be read.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: Path, limit: int = MAX_JSON_BYTES) -> Any:
    """`json_values` of `read_capped`."""
    return json_values(read_capped(path, limit))


def yaml_values(data: bytes) -> Any:
    """What a YAML text says: mappings, lists, texts, numbers, dates; no tag makes anything else.

    Aliases are counted before a value is made: what they stand for may be large beyond measure.

    Raises
    ------
    ValueError
        One line: if it is no YAML, is nested too deeply, or says too much.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        n_nodes = 0

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            self.n_nodes += 1
            if self.n_nodes > _MAX_NODES:  # rather than after seconds of reading
                raise _TooMuch(f"more than {_MAX_NODES} values")
            return super().compose_node(parent, index)

    try:
        loader = Loader(data)
        root = loader.get_single_node()
        if root is None:
            return None
        _weigh(root, {})
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = " ".join(str(getattr(error, "problem", None) or error).split())[:_MAX_SHOWN]
        raise ValueError(f"not YAML: {said}" + (f" (line {mark.line + 1})" if mark else "")) from None
    except RecursionError:
        raise ValueError(f"nested deeper than {_MAX_DEPTH}") from None
    except _TooMuch:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # PyYAML's own code fails on a date of month 13, `!!bool perhaps` and the like
        said = f" ({error})"[:_MAX_SHOWN] if type(error) is ValueError else ""
        raise ValueError(f"a value is not what its form or tag says it is{said}") from None


class _TooMuch(ValueError):
    """A YAML text that says too much."""


def _weigh(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Nodes and levels of a node, every alias counted as what it stands for."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = (1, _MAX_DEPTH)  # what holds itself has no end
    if isinstance(node.value, str):
        if len(node.value) > _MAX_SCALAR:
            raise _TooMuch(f"a text or number of more than {_MAX_SCALAR} characters{_line(node)}")
        below = []
    else:
        parts = (part for one in node.value for part in (one if isinstance(one, tuple) else (one,)))
        below = [_weigh(part, known) for part in parts]
    size = 1 + sum(size for size, _ in below)
    levels = 1 + max((levels for _, levels in below), default=0)
    if size > _MAX_NODES:
        raise _TooMuch(f"more than {_MAX_NODES} values, aliases written out{_line(node)}")
    if levels > _MAX_DEPTH:
        raise _TooMuch(f"nested deeper than {_MAX_DEPTH}{_line(node)}")
    known[id(node)] = (size, levels)
    return size, levels


def _line(node: yaml.Node) -> str:
    return f" (line {node.start_mark.line + 1})" if node.start_mark else ""
