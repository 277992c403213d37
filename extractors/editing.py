"""Rows of edited pictures: which are edited, and every selected extractor asked about each again.

Owns the stage ``edit``. Refuses to know heads, how pixels are edited (``edits``) and how rows are written
(``edited``). Only pictures of train and val take part.

A picture is brought to the square on which ``design`` measures before it is edited (where ``design`` pads:
to the rectangle that shows it). So ``design`` sees each edit exactly, a blur is as wide in a large picture as
in a small one, and a picture's cost does not depend on its size. Every extractor is asked about this version,
edited or not, and fits it to its own input as always. The rows are in no row cache, which knows files alone.
"""

from __future__ import annotations

import csv
import functools
import logging
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extractors.devices import n_threads
from extractors.edited import NONE, Shown, plan, write_edits
from extractors.edits import DOSES, EDITS, rms, sham, sham_rng
from featurestore.dataset import image_places
from featurestore.elsewhere import Place, Reader
from featurestore.errors import NonFiniteRow

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from extractors.base import RGB, Extractor, Rows
    from extractors.fitting import Fit
    from featurestore.cache import RowCache
    from featurestore.params import RuntimeParams

__all__ = ["Source", "edit", "pick", "working"]

log = logging.getLogger(__name__)

#: Percentiles of the real images' values of a dial: how far an edit may go and still look like one.
_USUAL: Final = (2.5, 97.5)
_BATCH: Final = 32
_ON_STRIP: Final = 3
#: After so long it is said how long the rest will take, if it will take long.
_SURE_S, _LONG_S = 10.0, 60.0


@dataclass(frozen=True)
class Source:
    """Where pictures come from, and how the work is done.

    Attributes
    ----------
    dataset, root : Path
        ``dataset.csv`` and the data folder.
    max_pixels : int
        Cap on width x height, checked before decoding.
    cache : RowCache
        Of real images' design rows.
    runtime : RuntimeParams
    """

    dataset: Path
    root: Path
    max_pixels: int
    cache: RowCache
    runtime: RuntimeParams


def pick(table: Sequence[Mapping[str, str]], n: int, seed: int) -> list[str]:
    """Keys of the pictures to edit: spread over classes, and in each over groups.

    Parameters
    ----------
    table : sequence of mapping
        ``key``, ``label``, ``group`` and ``split`` of every picture; rows of test are never taken.
    n : int
        At most.

    Returns
    -------
    list of str
        A class after the other in turn, each group's first picture before any group's second.
    """
    import numpy as np

    rng = np.random.default_rng([seed, 18])
    rows = sorted((row for row in table if row["split"] in ("train", "val")), key=lambda row: row["key"])
    queues = []
    for label in sorted({row["label"] for row in rows}):
        of_group: dict[str, list[str]] = {}
        for row in rows:
            if row["label"] == label:
                of_group.setdefault(row["group"], []).append(row["key"])
        shuffled = [rng.permutation(np.array(keys)).tolist() for _, keys in sorted(of_group.items())]
        order = rng.permutation(len(shuffled)).tolist()
        most = max(map(len, shuffled))
        queues.append([shuffled[g][i] for i in range(most) for g in order if i < len(shuffled[g])])
    longest = max(map(len, queues), default=0)
    turns: list[str] = [queue[i] for i in range(longest) for queue in queues if i < len(queue)]
    return turns[:n]


def working(image: RGB, how: Fit) -> RGB:
    """The version of a picture that is edited: as ``design`` fits it, without padding.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
    how : {"crop", "pad", "squash"}
        Fitting it again in the same way changes nothing.
    """
    from extractors.fitting import fit
    from extractors.zoo.design import SIZE_PX

    square, box = fit(image, size_px=SIZE_PX, how=how)
    return square[box.y0 : box.y1, box.x0 : box.x1]


class _Pictures:
    """Pixels of what is shown; the last few are kept, as a picture's rows follow each other.

    Attributes
    ----------
    rms : dict of Shown to float
        Of the change, for every one that was asked for.
    """

    def __init__(self, original: Callable[[str], RGB], seed: int) -> None:
        self.rms: dict[Shown, float] = {}
        self._seed = seed
        self._original = functools.lru_cache(64)(original)
        self._edited = functools.lru_cache(64)(self._edit)

    def _edit(self, key: str, name: str, dose: float) -> RGB:
        return EDITS[name].apply(self._original(key), dose)

    def __call__(self, one: Shown) -> RGB:
        image: RGB = self._original(one.key)
        if one.edit == NONE:
            self.rms[one] = 0.0
            return image
        changed: RGB = self._edited(one.key, one.edit, one.dose)
        if one.kind == "sham":
            changed = sham(image, changed, sham_rng(self._seed, one.key, one.edit, one.dose))
        self.rms[one] = rms(image, changed)
        return changed


def _extract(
    extractor: Extractor, shown: Sequence[Shown], load: Callable[[Shown], RGB], runtime: RuntimeParams
) -> npt.NDArray[np.float32]:
    """Rows of what is shown, float32 (n, d); NaN where one could not be computed."""
    import numpy as np
    from tqdm import tqdm

    from extractors.base import Staged
    from extractors.engines import local

    name = extractor.spec.name
    size = runtime.batch_size or (extractor.batch_size() if isinstance(extractor, Staged) else _BATCH)
    batches = [range(i, min(i + size, len(shown))) for i in range(0, len(shown), size)]
    values = np.full((len(shown), len(extractor.spec.columns)), np.nan, np.float32)
    start, done, first, told = time.monotonic(), 0, 0, False
    bar = tqdm(total=len(shown), desc=f"{name}, edited", unit="image", disable=not sys.stderr.isatty())
    with bar:
        for batch, rows in local.run(
            extractor, batches, lambda i: load(shown[i]), lambda *_: None, workers=runtime.workers
        ):
            _check(rows, [shown[i] for i in batch], name)
            values[batch[0] : batch[-1] + 1] = rows.values
            bar.update(len(batch))
            done += len(batch)
            if not first:  # what compiles or loads with the first batch says nothing of the others
                first, start = done, time.monotonic()
            passed = time.monotonic() - start
            if passed > _SURE_S and not told:
                told, left = True, passed / (done - first) * (len(shown) - done)
                if left > _LONG_S:
                    said = "%s: about %d minutes for %d more rows; explanation.edited makes them fewer"
                    log.info(said, name, math.ceil(left / 60), len(shown) - done)
    return values


def _check(rows: Rows, shown: Sequence[Shown], name: str) -> None:
    from featurestore.rows import not_finite
    from featurestore.spec import Status

    for row, _ in not_finite(rows.values, rows.status == Status.OK):
        one = shown[row]
        raise NonFiniteRow(
            f"{one.key}: under {one.kind} {one.edit} {one.dose:+g} the row of {name} is not finite and says"
            " it is ok; remove the picture or mend the extractor"
        )


def _usual(design: Extractor, images: Mapping[str, Place], source: Source) -> dict[str, dict[str, float]]:
    """Of each dial over the real images: low and high end of what is usual, and the standard deviation."""
    import numpy as np

    from extractors.run import compute_rows

    rows, _ = compute_rows(
        design, images, source.cache, root=source.root, max_pixels=source.max_pixels, runtime=source.runtime
    )
    found = {}
    for one in EDITS.values():
        x = rows.values[:, design.spec.columns.index(one.dial)].astype(np.float64)
        low, high = np.percentile(x, _USUAL)
        found[one.dial] = {"low": float(low), "high": float(high), "sd": float(x.std())}
    return found


def edit(
    extractors: Mapping[str, Callable[[], Extractor]],
    design: Callable[[], Extractor],
    source: Source,
    *,
    n_images: int,
    imported: Sequence[str],
    fit: Fit,
    seed: int,
    out: Path,
    strips: Path,
) -> str:
    """Edit some pictures, extract them again, write the table and a strip for each edit.

    Parameters
    ----------
    extractors : mapping of str to callable
        The selected ones' builders, by name; one is built at a time.
    design : callable
        Builds ``design``, which measures the edits whether it is selected or not.
    n_images : int
        Pictures to edit, at most.
    imported : sequence of str
        Stores of other tools: they cannot be asked again, so that nothing is edited if there is one.
    fit
        As ``design`` fits; see `working`.
    out, strips : Path
        ``edits.parquet`` (`extractors.edited`; ``dial/<column>`` where ``design`` is not selected), and the
        folder of ``<edit>.jpg``.

    Returns
    -------
    str
        What was done, in a line.

    Raises
    ------
    MissingData, DataError
        If there is no data set, or an image changed.
    """
    from extractors.keeping import Loader
    from extractors.strips import write_strips

    reason = _reason(imported, n_images)
    if reason:
        write_edits(out, [], {}, {}, dials={}, reason=reason)
        write_strips(strips, (), lambda _: (), DOSES)
        return f"edit: nothing: {reason} -> {out}"
    paths = image_places(source.dataset, source.root)
    table = _rows(source.dataset)
    keys = pick(table, n_images, seed)
    load = Loader(Reader(source.root), source.max_pixels)
    pictures = _Pictures(lambda key: working(load((key, paths[key])), fit), seed)
    start = time.monotonic()
    columns = _columns(extractors, design(), plan(keys), pictures, source.runtime)
    real = {row["key"]: paths[row["key"]] for row in table if row["split"] in ("train", "val")}
    write_edits(out, plan(keys), pictures.rms, columns, dials=_usual(design(), real, source))
    write_strips(
        strips,
        EDITS,
        lambda name: _tiles(pictures, keys[:_ON_STRIP], name),
        DOSES,
        workers=n_threads(source.runtime.workers),
    )
    said = f"{len(plan(keys))} rows of {', '.join(extractors)} in {time.monotonic() - start:.1f} s"
    return f"edit: {len(keys)} of {len(real)} pictures of train and val, {said} -> {out}"


def _reason(imported: Sequence[str], n_images: int) -> str:
    """Why nothing is edited; empty if something is."""
    if imported:
        return f"rows of {', '.join(imported)} were imported: edited pictures have none"
    return "" if n_images else "explanation.edited is 0"


def _rows(dataset: Path) -> list[dict[str, str]]:
    with dataset.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _columns(
    extractors: Mapping[str, Callable[[], Extractor]],
    design: Extractor,
    shown: Sequence[Shown],
    pictures: _Pictures,
    runtime: RuntimeParams,
) -> dict[str, npt.NDArray[np.float32]]:
    """All columns of the selected extractors; of ``design``, where it is none of them, the dials alone."""
    log.info(
        "edit: %d rows by each of %s: pictures as they are, and %d edits at %d strengths, real and sham",
        len(shown),
        ", ".join(extractors),
        len(EDITS),
        len(DOSES),
    )
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for name, build in extractors.items():
        extractor = build()
        values = _extract(extractor, shown, pictures, runtime)
        columns |= {f"{name}/{column}": values[:, i] for i, column in enumerate(extractor.spec.columns)}
        del extractor  # before the next one's weights are read
    if "design" not in extractors:
        values = _extract(design, shown, pictures, runtime)
        for one in EDITS.values():
            columns[f"dial/{one.dial}"] = values[:, design.spec.columns.index(one.dial)]
    return columns


def _tiles(pictures: _Pictures, keys: Sequence[str], name: str) -> list[list[RGB]]:
    """Of each picture a row of one edit and a row of its sham, by strength, the picture itself between."""
    below = sum(dose < 0 for dose in DOSES)
    rows = []
    for key in keys:
        for kind in ("edit", "sham"):
            row = [pictures(Shown(key, name, kind, dose)) for dose in DOSES]
            rows.append([*row[:below], pictures(Shown(key)), *row[below:]])
    return rows
