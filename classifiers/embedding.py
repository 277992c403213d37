"""Extractors built as the study's were, or as a control asks; and rows by them that are in no store.

Owns asking `extractors` for them; the row cache keeps the rows, so that each is computed once. features.h5 is
refused where extractors would make others than it holds. Refuses to know what rows are for, and to download
anything.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from featurestore import plugins
from featurestore.documents import read_json
from featurestore.errors import DataError, StoreDamaged

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd

    from extractors.base import Context, Extractor, Loaded
    from extractors.learning import Surroundings
    from extractors.weights import WeightsFile
    from featurestore.cache import RowCache
    from featurestore.elsewhere import Place
    from featurestore.params import RuntimeParams

__all__ = [
    "Control",
    "build_extractors",
    "check_extractors",
    "control_rows",
    "rows_by",
    "rows_with",
    "stored_fingerprints",
]

log = logging.getLogger(__name__)

_ZOO: Final = "extractors.zoo"


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


def build_extractors(
    names: Sequence[str],
    params: Mapping[str, Mapping[str, Any]],
    *,
    imported: Sequence[str],
    weights: Path,
    folders: Sequence[Path],
    device: str,
) -> dict[str, Extractor]:
    """The extractors of a study, built as ``python -m extractors run`` builds them.

    Parameters
    ----------
    names : sequence of str
        The blocks of features.h5.
    params : mapping of str to mapping
        ``extractors:`` of params.yaml.
    imported : sequence of str
        Blocks that came from other tools.
    weights : Path
        Folder with a folder for each extractor; not read for one that needs no weights.
    folders : sequence of Path
        Where published weights are searched.
    device : str
        ``runtime.device``.

    Raises
    ------
    DataError
        If rows of a block cannot be computed here, as they were imported.
    MissingData, MissingExtra, MissingWeights, WeightsDamaged, MissingDevice
    """
    from extractors.prepare import check_modules

    known = plugins.listing(_ZOO)
    for name in names:
        if name in imported or name not in known:
            raise DataError(
                f"the rows of {name} were imported, and nothing here makes one of a new picture; use kyara's"
                " own extractors: leave imported: empty in params.yaml, then run: dvc repro"
            )
    found = {}
    for name in names:
        module = plugins.load(_ZOO, name, key="features")
        check_modules(name, module)
        found[name] = _built(name, module, params[name], weights / name, folders, device)
    return found


def _built(
    name: str,
    module: ModuleType,
    params: Mapping[str, Any],
    weights: Path,
    folders: Sequence[Path],
    device: str,
) -> Extractor:
    from extractors.base import Context
    from extractors.devices import pick_device
    from extractors.prepare import context_of, makes, needed

    where = pick_device(device) if "torch" in module.CARD.modules else "cpu"  # asking costs torch's import
    context = Context(device=where)
    if needed(module, params) or makes(module, params):
        context = context_of(weights, name, module, params, folders=folders, device=where)
    extractor: Extractor = module.build(context=context, **params)
    return extractor


def stored_fingerprints(path: Path) -> dict[str, str]:
    """Extractor -> fingerprint of the rows that were joined, by results/stores.json; empty if it is gone.

    Raises
    ------
    StoreDamaged
        If it is no such file.
    """
    try:
        return {str(one["extractor"]): str(one["fingerprint"]) for one in read_json(path)["stores"]}
    except FileNotFoundError:
        return {}
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(f"{path}: no list of stores ({str(error)[:200]}); run: dvc repro fuse") from error


def check_extractors(
    extractors: Mapping[str, Extractor], columns: Sequence[str], fingerprints: Mapping[str, str]
) -> None:
    """Refuse extractors that would make other rows than features.h5 holds.

    Parameters
    ----------
    columns : sequence of str
        Of features.h5.
    fingerprints : mapping of str to str
        From `stored_fingerprints`; an extractor that is not there is known by its columns alone.

    Raises
    ------
    DataError
    """
    made = [f"{name}/{column}" for name, one in extractors.items() for column in one.spec.columns]
    other = [
        name
        for name, one in extractors.items()
        if fingerprints.get(name, one.spec.fingerprint) != one.spec.fingerprint
    ]
    if other or made != list(columns):
        raise DataError(
            f"features.h5 was made by another {', '.join(other or extractors)} than params.yaml, weights/ and"
            " the code ask for now; run: dvc repro"
        )


def rows_with(
    extractor: Extractor,
    images: Mapping[str, Place],
    cache: RowCache,
    *,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
) -> pd.DataFrame:
    """Rows of some pictures.

    Parameters
    ----------
    images : mapping of str to Path
        Key (hex) -> file.

    Returns
    -------
    DataFrame of float32, shape (n, d)
        In the order of ``images``; NaN where a row could not be computed.

    Raises
    ------
    DataError
        If a picture changed since it was indexed.
    """
    import pandas as pd

    from extractors.run import compute_rows
    from featurestore.rows import KeyIndex, pack_keys

    rows, _ = compute_rows(extractor, images, cache, root=root, max_pixels=max_pixels, runtime=runtime)
    places = KeyIndex(rows.keys).find(pack_keys(list(images)))
    return pd.DataFrame(rows.values[places], columns=list(extractor.spec.columns))


def rows_by(
    name: str,
    params: Mapping[str, Any],
    images: Mapping[str, Place],
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
    extractor = plugins.load(_ZOO, name, key="extractors").build(**params)
    rows = rows_with(extractor, images, cache, root=root, max_pixels=max_pixels, runtime=runtime)
    return rows, extractor.spec.fingerprint


def control_rows(
    name: str,
    params: Mapping[str, Any],
    images: Mapping[str, Place],
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

    module = plugins.load(_ZOO, name, key="extractors")
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
    return Control(rows_with(extractor, images, cache, root=root, max_pixels=max_pixels, runtime=runtime))


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
    from featurestore.errors import MissingData

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
