"""A plugin's name is its module's file name: listing reads a folder and imports nothing.

Owns: the names under ``extractors.zoo``, ``extractors.engines`` and ``classifiers.heads``, and
importing one by name. Refuses to know what a plugin does.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

from featurestore.errors import ParamsError

__all__ = ["listing", "load"]


def listing(package: str) -> tuple[str, ...]:
    """Names of the plugins of a package, sorted.

    Parameters
    ----------
    package : str
        Dotted name, e.g. ``"extractors.zoo"``.

    Examples
    --------
    >>> "design" in listing("extractors.zoo")
    True
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"no package {package}")
    files = (f for folder in spec.submodule_search_locations for f in Path(folder).glob("*.py"))
    return tuple(sorted(f.stem for f in files if not f.stem.startswith("_")))


def load(package: str, name: str, *, key: str) -> ModuleType:
    """Import one plugin.

    Parameters
    ----------
    key : str
        The key of params.yaml (or the option) that named it, for the error.

    Raises
    ------
    ParamsError
        If there is no plugin of that name; the message lists those there are.
    """
    names = listing(package)
    if name not in names:
        raise ParamsError(f"{key}: no {name!r}; one of: {', '.join(names)}")
    return importlib.import_module(f"{package}.{name}")
