"""The data set as a learner sees it: train, val, pictures by key, and the labels that conventions give.

Owns what leaves dataset.csv for a learner. Refuses to hand out a row of the test split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from extractors.conventions import convention_scores
from extractors.devices import n_threads
from extractors.keeping import Loader
from extractors.learning import LabelledRows, Surroundings
from extractors.run import compute_rows
from featurestore.dataset import image_places, read_dataset
from featurestore.elsewhere import Place, Reader
from featurestore.errors import ParamsError, SplitError
from featurestore.rows import unpack_keys

if TYPE_CHECKING:
    from extractors.base import RGB, Extractor
    from featurestore.cache import RowCache
    from featurestore.params import RuntimeParams

__all__ = ["surroundings_of"]


def surroundings_of(
    dataset: Path,
    root: Path,
    cache: RowCache,
    *,
    max_pixels: int,
    positive: str,
    seed: int,
    device: str,
    runtime: RuntimeParams,
    design: Callable[[], Extractor],
) -> Surroundings:
    """What `extractors.learning` needs, from a data set.

    Parameters
    ----------
    dataset : Path
        ``dataset.csv``.
    root : Path
        The data folder.
    positive : str
        Label that the design conventions speak for.
    design : callable
        Makes the extractor of the design features; called if their labels are asked for.

    Raises
    ------
    SplitError
        If train or val is empty, or train lacks a class.
    """
    table = read_dataset(dataset).sort_values("key", kind="stable", ignore_index=True)
    paths = image_places(dataset, root)
    classes = tuple(sorted(set(table["label"])))

    def rows(split: str) -> LabelledRows:
        part = table[table["split"] == split]
        if not len(part):
            raise SplitError(f"{dataset}: {split} is empty; raise split.{split}, then run: dvc repro")
        return LabelledRows(tuple(part["key"]), tuple(part["label"]), tuple(part["group"]))

    train, val = rows("train"), rows("val")
    lacking = [label for label in classes if label not in set(train.labels)]
    if lacking:
        raise SplitError(
            f"{dataset}: train has no picture of class {', '.join(lacking)}; add pictures in further groups,"
            " then run: dvc repro"
        )

    load = Loader(Reader(root), max_pixels)

    def image(key: str) -> RGB:
        return load((key, paths[key]))

    def design_labels() -> Mapping[str, str]:
        seen = {key: paths[key] for key in (*train.keys, *val.keys)}
        return _design_labels(
            design(), seen, set(train.keys), classes, positive, cache, root, max_pixels, runtime
        )

    return Surroundings(
        train=train,
        val=val,
        classes=classes,
        image=image,
        design_labels=design_labels,
        kept=cache.root / "_learned",
        seed=seed,
        workers=n_threads(runtime.workers),
        device=device,
    )


def _design_labels(
    extractor: Extractor,
    images: Mapping[str, Place],
    train: set[str],
    classes: tuple[str, ...],
    positive: str,
    cache: RowCache,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
) -> dict[str, str]:
    """Key -> the positive class where the conventions' score is above 0, else the other one."""
    import numpy as np

    if len(classes) != 2 or positive not in classes:
        raise ParamsError(
            f"design_labels: the conventions tell two classes apart, evaluation.positive and another;"
            f" dataset.csv has {', '.join(classes)}, and evaluation.positive is {positive!r}"
        )
    other = next(label for label in classes if label != positive)
    rows, _ = compute_rows(extractor, images, cache, root=root, max_pixels=max_pixels, runtime=runtime)
    keys = unpack_keys(rows.keys)
    seen = np.array([key in train for key in keys])
    scores = convention_scores(rows.values, extractor.spec.columns, seen)
    return {key: positive if score > 0 else other for key, score in zip(keys, scores, strict=True)}
