"""What an extractor's rows stand on, made ready: weights found and checked, or made.

Owns ``weights/<extractor>/`` as a whole and its manifest. Refuses to know how weights are made
(`extractors.learning`) and fetched (`extractors.download`).
"""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from extractors.base import MADE, Context, Loaded
from extractors.weights import Manifest, WeightsFile, load, locate, read_manifest, write_manifest
from featurestore.errors import DataError, MissingExtra, WeightsDamaged

if TYPE_CHECKING:
    from extractors.learning import Surroundings

__all__ = ["check_modules", "context_of", "makes", "missing_modules", "needed", "prepare"]

log = logging.getLogger(__name__)


def missing_modules(module: ModuleType) -> list[str]:
    """Packages that an extractor needs and that are not installed; nothing is imported."""
    return [package for package in module.CARD.modules if importlib.util.find_spec(package) is None]


def check_modules(name: str, module: ModuleType) -> None:
    """Refuse an extractor whose packages are not installed; nothing is imported.

    Raises
    ------
    MissingExtra
    """
    lacking = missing_modules(module)
    if lacking:
        raise MissingExtra(
            f"{name} needs {', '.join(lacking)}, not installed here; run: make setup-all (or: pip install"
            f" 'kyara[{module.CARD.extra}]')"
        )


def needed(module: ModuleType, params: Mapping[str, Any]) -> tuple[WeightsFile, ...]:
    """The published files that an extractor asks for with these params."""
    wanted: tuple[WeightsFile, ...] = module.weights(**params) if hasattr(module, "weights") else ()
    return wanted


def makes(module: ModuleType, params: Mapping[str, Any]) -> bool:
    """Whether these params ask for weights that are made here: learned, or random."""
    return hasattr(module, "learner") and (params["finetune"] or params["weights"] == "none")


def prepare(
    name: str,
    module: ModuleType,
    params: Mapping[str, Any],
    folder: Path,
    *,
    find: Callable[[WeightsFile], Loaded],
    surroundings: Callable[[], Surroundings],
) -> str:
    """Fill ``folder`` with all that the extractor's rows stand on.

    Parameters
    ----------
    name : str
    module : module
        Of the zoo.
    params : mapping
        Its checked params.
    folder : Path
        ``weights/<name>``.
    find : callable
        A published file, found or fetched, its bytes checked.
    surroundings : callable
        Called if there are weights to be made.

    Returns
    -------
    str
        What was done, in a line.

    Raises
    ------
    MissingWeights, WeightsDamaged, DataError
    """
    wanted = needed(module, params)
    loaded = {file.name: find(file) for file in wanted}
    _check_locked(folder, name, wanted, loaded)
    entries = {file.name: _entry(file, loaded[file.name]) for file in wanted}
    if makes(module, params):
        from extractors.learning import make_weights

        made, fitted_on, said = make_weights(name, module, params, loaded, folder, surroundings())
        detectors = {file.name: entries[file.name] for file in wanted if file.package}
        write_manifest(folder, Manifest(name, {MADE: made, **detectors}, entries, fitted_on))
        return f"{name}: {said}"
    clear(folder)
    path = write_manifest(folder, Manifest(name, entries))
    said = ", ".join(f"{file} ({entry['licence']})" for file, entry in entries.items())
    return f"{name}: {said or 'needs no weights'}; see {path}"


def clear(folder: Path) -> None:
    """Remove what an earlier run made here and these params do not ask for."""
    from extractors.learning import HISTORY, SOFTMAX
    from featurestore.files import remove

    for stale in (MADE, HISTORY, SOFTMAX):
        remove(folder / stale)


def _entry(file: WeightsFile, loaded: Loaded) -> dict[str, Any]:
    return {
        "sha256": loaded.sha256,
        "bytes": loaded.path.stat().st_size,
        "source": file.source,
        "licence": file.licence,
    }


def _check_locked(
    folder: Path, name: str, wanted: Sequence[WeightsFile], loaded: Mapping[str, Loaded]
) -> None:
    """A file without a published sha256 is the one that was used first, until params say another."""
    if not (folder / "manifest.json").exists():
        return
    try:
        before = read_manifest(folder, name)
    except DataError as error:
        log.warning("%s; it is written anew", error)
        return
    for file in wanted:
        old = before.made_from.get(file.name) or before.files.get(file.name)
        now = loaded[file.name].sha256
        if file.sha256 or old is None or old["sha256"] == now or old["source"] != file.source:
            continue
        raise WeightsDamaged(
            f"{loaded[file.name].path}: sha256 {now[:16]}... is not the {old['sha256'][:16]}... that"
            f" {folder} is locked to; if you mean this file, set extractors.{name}.sha256: {now}"
        )


def context_of(
    folder: Path,
    name: str,
    module: ModuleType,
    params: Mapping[str, Any],
    *,
    folders: Sequence[Path],
    device: str,
) -> Context:
    """What ``build`` is given: every file that the manifest names, checked against it.

    Parameters
    ----------
    folder : Path
        ``weights/<name>``.
    folders : sequence of Path
        Where published files are searched.

    Raises
    ------
    MissingData, MissingWeights
        If ``prepare`` was not run, or a file is gone.
    WeightsDamaged
        If a file is not the one that ``prepare`` saw.
    """
    manifest = read_manifest(folder, name)
    published = {file.name: file for file in needed(module, params)}
    published[MADE] = WeightsFile(MADE, path=str(folder / MADE))
    asked = {MADE} if makes(module, params) else set()
    asked |= {n for n, file in published.items() if n != MADE and (file.package or not asked)}
    if set(manifest.files) != asked:
        raise DataError(f"{folder}/manifest.json is of other params; run: dvc repro prepare@{name}")
    loaded = {}
    for file, entry in manifest.files.items():
        wanted = dataclasses.replace(published[file], sha256=entry["sha256"])
        try:
            loaded[file] = load(wanted, folders, extractor=name)
        except WeightsDamaged as error:
            if published[file].sha256:
                raise
            mend = f"run: dvc repro -f -s prepare@{name}"
            if file != MADE:
                mend = (
                    f"if you mean this file, set extractors.{name}.sha256 to its digest, then run: dvc repro"
                )
            raise WeightsDamaged(
                f"{locate(wanted, folders)} changed since it was prepared; put it back, or {mend}"
            ) from error
    return Context(loaded, manifest.fitted_on, device)
