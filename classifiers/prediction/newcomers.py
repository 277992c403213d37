"""Pictures that are in no store, made rows by the extractors that made the study's.

A row is what ``python -m extractors run`` would have stored: the same decoder, limits, weights and code
(`classifiers.embedding` builds them). Owns decoding and asking. Refuses to know heads and folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.prediction.inbox import Unusable
from featurestore.errors import ImageRejected
from featurestore.images import decode, read_image_file

if TYPE_CHECKING:
    from extractors.base import RGB, Extractor

__all__ = ["Newcomers", "rows_of"]

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
