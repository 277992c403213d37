"""Pictures that are in no store, made rows by the extractors that made the study's.

A row is what ``python -m extractors run`` would have stored: the same decoder, limits, weights and code; and
features.h5 is refused where it was made by others. Owns building the extractors and asking them. Refuses to
know heads and folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.inbox import Unusable
from featurestore import plugins
from featurestore.documents import read_json
from featurestore.errors import DataError, ImageRejected, StoreDamaged
from featurestore.images import decode, read_image_file

if TYPE_CHECKING:
    from types import ModuleType

    from extractors.base import RGB, Extractor

__all__ = [
    "Newcomers",
    "build_extractors",
    "check_extractors",
    "rows_of",
    "stored_fingerprints",
]

_ZOO: Final = "extractors.zoo"

#: Pictures, and pixels, that are held at once.
_BATCH: Final = 32
_BATCH_PIXELS: Final = 100_000_000


@dataclass(frozen=True)
class Newcomers:
    """Pictures and their rows.

    Attributes
    ----------
    paths : tuple of Path, length n
    keys : tuple of str, length n
        Sha256 (hex) of the files' bytes.
    values : ndarray of float64, shape (n, d)
        As in features.h5: NaN where an extractor could not compute a row.
    status : ndarray of uint8, shape (n, b)
        `featurestore.spec.Status` by extractor.
    unusable : tuple of Unusable
    """

    paths: tuple[Path, ...]
    keys: tuple[str, ...]
    values: npt.NDArray[np.float64]
    status: npt.NDArray[np.uint8]
    unusable: tuple[Unusable, ...]


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


def rows_of(files: Sequence[Path], extractors: Mapping[str, Extractor], *, max_pixels: int) -> Newcomers:
    """Decode files and make rows of them, a batch at a time.

    A file that cannot be used, or whose row is not finite, is among the unusable.
    """
    paths: list[Path] = []
    keys: list[str] = []
    parts: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]] = []
    unusable: list[Unusable] = []
    for batch in _batches(files, max_pixels, unusable):
        values, status = _rows(extractors, [pixels for _, _, pixels in batch])
        sound = np.ones(len(batch), dtype=bool)
        for i, (path, _, _) in enumerate(batch):
            broken = _not_finite(extractors, values[i], status[i])
            if broken:
                sound[i] = False
                unusable.append(Unusable(path, f"the row of {broken} is not finite"))
        parts.append((values[sound], status[sound]))
        paths += [path for (path, _, _), ok in zip(batch, sound, strict=True) if ok]
        keys += [key for (_, key, _), ok in zip(batch, sound, strict=True) if ok]
    n_columns = sum(len(one.spec.columns) for one in extractors.values())
    empty = (np.empty((0, n_columns)), np.empty((0, len(extractors)), np.uint8))
    return Newcomers(
        tuple(paths),
        tuple(keys),
        np.concatenate([empty[0], *(values for values, _ in parts)]),
        np.concatenate([empty[1], *(status for _, status in parts)]),
        tuple(unusable),
    )


def _batches(
    files: Sequence[Path], max_pixels: int, unusable: list[Unusable]
) -> Iterator[list[tuple[Path, str, RGB]]]:
    batch: list[tuple[Path, str, RGB]] = []
    for path in files:
        try:
            data = read_image_file(path, root=Path(path.absolute().anchor))
            batch.append((path, hashlib.sha256(data).hexdigest(), decode(data, max_pixels=max_pixels).pixels))
        except ImageRejected as rejected:
            unusable.append(Unusable(path, str(rejected)))
            continue
        if len(batch) == _BATCH or sum(pixels.size for _, _, pixels in batch) > 3 * _BATCH_PIXELS:
            yield batch
            batch = []
    if batch:
        yield batch


def _rows(
    extractors: Mapping[str, Extractor], images: Sequence[RGB]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    found = [extractor(images) for extractor in extractors.values()]
    values = np.concatenate([np.asarray(rows.values, dtype=np.float32) for rows in found], axis=1)
    return values.astype(np.float64), np.stack([rows.status for rows in found], axis=1)


def _not_finite(extractors: Mapping[str, Extractor], values: Any, status: Any) -> str:
    """The extractor whose row says that it is ok and is not finite; empty if all are."""
    at = 0
    for name, state in zip(extractors, status, strict=True):
        width = len(extractors[name].spec.columns)
        if state == 0 and not np.isfinite(values[at : at + width]).all():
            return name
        at += width
    return ""
