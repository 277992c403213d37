"""Rows of the study's pictures by an extractor that is in none of its stores.

Owns asking `extractors` for them; the row cache keeps them, so that each is computed once. Refuses to know
what they are for, and to download anything.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd

    from extractors.base import Context, Extractor, Loaded
    from extractors.learning import Surroundings
    from extractors.weights import WeightsFile
    from featurestore.cache import RowCache
    from featurestore.params import RuntimeParams

__all__ = ["Control", "control_rows", "rows_by"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Control:
    """Rows of a network that another is compared with.

    Attributes
    ----------
    rows : DataFrame of float32, shape (n, d), or None
        NaN where a row could not be computed.
    reason : str
        Why there are none, and what to do about it; empty if there are.
    """

    rows: pd.DataFrame | None
    reason: str = ""


def _computed(
    extractor: Extractor,
    images: Mapping[str, Path],
    cache: RowCache,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
) -> pd.DataFrame:
    """Rows in the order of ``images``."""
    import pandas as pd

    from extractors.run import compute_rows
    from featurestore.rows import KeyIndex, pack_keys

    rows, _ = compute_rows(extractor, images, cache, root=root, max_pixels=max_pixels, runtime=runtime)
    places = KeyIndex(rows.keys).find(pack_keys(list(images)))
    return pd.DataFrame(rows.values[places], columns=list(extractor.spec.columns))


def rows_by(
    name: str,
    params: Mapping[str, Any],
    images: Mapping[str, Path],
    cache: RowCache,
    *,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
) -> tuple[pd.DataFrame, str]:
    """Rows of some pictures by an extractor that needs no weights.

    Parameters
    ----------
    name : str
        A module of ``extractors.zoo``.
    params : mapping
        Of its ``build``.
    images : mapping of str to Path
        Key (hex) -> file.

    Returns
    -------
    rows : DataFrame of float32, shape (n, d)
        In the order of ``images``; NaN where a row could not be computed.
    fingerprint : str
        Of these rows.

    Raises
    ------
    DataError
        If a picture changed since it was indexed.
    """
    from featurestore import plugins

    extractor = plugins.load("extractors.zoo", name, key="extractors").build(**params)
    return _computed(extractor, images, cache, root, max_pixels, runtime), extractor.spec.fingerprint


def control_rows(
    name: str,
    params: Mapping[str, Any],
    images: Mapping[str, Path],
    cache: RowCache,
    *,
    weights: Sequence[Path],
    seed: int,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
) -> Control:
    """Rows of some pictures by a network whose weights are random, or lie on this machine.

    Random weights are made once and kept below the row cache, by name and seed.

    Parameters
    ----------
    name : str
        A module of ``extractors.zoo``.
    params : mapping
        Of its ``build``, all of them; ``finetune`` must be false.
    images : mapping of str to Path
        Key (hex) -> file.
    weights : sequence of Path
        Folders in which published files are searched.
    seed : int
        Of random weights.

    Raises
    ------
    WeightsDamaged
        If a published file is not the one that was published.
    DataError
        If a picture changed since it was indexed.
    """
    from extractors.prepare import missing_modules
    from extractors.weights import locate
    from featurestore import plugins

    module = plugins.load("extractors.zoo", name, key="extractors")
    lacking = missing_modules(module)
    if lacking:
        return Control(None, f"{name} needs {', '.join(lacking)}, not installed here; run: make setup-all")
    from extractors.prepare import needed

    for file in needed(module, params):
        if locate(file, weights) is None:
            mend = "make setup-all" if file.package else f"python -m extractors fetch {name}"
            return Control(None, f"{name} needs {file.name} ({file.size}), not on this machine; run: {mend}")
    context = _context(name, module, params, cache.root / "_controls", weights, seed, runtime)
    extractor = module.build(context=context, **params)
    return Control(_computed(extractor, images, cache, root, max_pixels, runtime))


def _context(
    name: str,
    module: ModuleType,
    params: Mapping[str, Any],
    folder: Path,
    weights: Sequence[Path],
    seed: int,
    runtime: RuntimeParams,
) -> Context:
    """Weights as ``prepare`` makes them ready, in a folder of their own; made once."""
    from extractors.devices import pick_device
    from extractors.prepare import context_of, makes, prepare
    from extractors.weights import load
    from featurestore.errors import DataError, MissingData

    device = pick_device(runtime.device) if "torch" in module.CARD.modules else "cpu"
    own = folder / (f"{name}-random-{seed}" if makes(module, params) else name)

    def find(wanted: WeightsFile) -> Loaded:
        return load(wanted, weights, extractor=name)

    try:
        return context_of(own, name, module, params, folders=weights, device=device)
    except (MissingData, DataError) as error:  # not made yet, or not what was made
        log.debug("%s", error)
    prepare(name, module, params, own, find=find, surroundings=lambda: _nobody(seed, own, device))
    return context_of(own, name, module, params, folders=weights, device=device)


def _nobody(seed: int, folder: Path, device: str) -> Surroundings:
    """Surroundings without a picture: random weights look at none."""
    from extractors.learning import LabelledRows, Surroundings

    none = LabelledRows((), (), ())

    def refuse(*_: object) -> Any:
        raise AssertionError("a control learns from no picture")

    return Surroundings(none, none, (), refuse, refuse, folder, seed, 1, device)
