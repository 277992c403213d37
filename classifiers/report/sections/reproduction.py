"""How to get the same page again: params, digests, commands, and how to cite kyara.

Owns what differs from the defaults. Refuses to know machine, time and revision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from classifiers.report.evidence import Evidence
from classifiers.report.parts import Section, Table
from featurestore.errors import ParamsError

__all__ = ["section"]

_BIBTEX: Final = """@software{kyara,
  title  = {kyara: what in a drawn character's looks tells its role?},
  author = {{The kyara authors}},
  year   = {2026},
  note   = {Apache-2.0}
}"""

#: How the work is done, and what only restates other keys.
_SKIPPED: Final = ("runtime", "searches")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted key -> value as text."""
    found: dict[str, str] = {}
    for key, one in values.items():
        name = f"{prefix}{key}"
        if isinstance(one, Mapping) and one:
            found |= _flat(one, f"{name}.")
        else:
            found[name] = _text(one)
    return found


def _text(one: Any) -> str:
    if isinstance(one, list | tuple):
        return "[" + ", ".join(map(_text, one)) + "]"
    if one is None or isinstance(one, bool):
        return {None: "null", True: "true", False: "false"}[one]
    return f"{one:g}" if isinstance(one, float) else str(one)


def _defaults(params: Mapping[str, Any]) -> dict[str, str]:
    """Every key as it is where params.yaml does not name it; empty where that cannot be said."""
    from featurestore.params import parse_params

    named = ("seed", "features", "imported", "model")
    try:
        made = parse_params({name: params[name] for name in named if name in params})
    except ParamsError:
        return {}
    return _flat(dataclasses.asdict(made))


def _changed(params: Mapping[str, Any]) -> tuple[Table | None, Table]:
    """Params that are no defaults, and all of them."""
    given = _flat({key: one for key, one in params.items() if key not in _SKIPPED})
    defaults = _defaults(params)
    other = tuple(
        (key, one, defaults[key]) for key, one in given.items() if key in defaults and defaults[key] != one
    )
    changed = Table("Params that are no defaults", ("param", "here", "default"), other, "tww")
    everything = Table("All params", ("param", "value"), tuple(given.items()), "tw")
    return (changed if other else None), everything


def section(evidence: Evidence) -> Section:
    """Params, digests, commands, citation."""
    changed, everything = _changed(evidence.params)
    digests = Table("What the results stand on", ("what", "digest"), tuple(evidence.digests.items()), "tw")
    data = (
        "python -m collection demo --seed 42 --n 300 --out data --force" if evidence.demo else "dvc pull data"
    )
    values = {
        "changed": changed,
        "params": everything,
        "digests": digests,
        "commands": (
            "make setup",
            "source .venv/bin/activate",
            data,
            "dvc repro",
            "git diff --stat dvc.lock",
        ),
        "bibtex": _BIBTEX,
        "seed": evidence.params.get("seed"),
    }
    aid = "Same pictures, same params, same kind of processor: the same bytes, this page's too."
    return Section("reproduce", "How to do it again", "Reproduce", aid, values)
