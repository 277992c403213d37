"""features/*.h5 -> features.h5: the selected stores joined by key; and what their learners left behind.

Owns the join, the fused spec, and ``learned/``: copies of the softmax and the history of the selected
extractors that learned. Their bytes depend on rows and selection alone: the stores' params and
fingerprints stay behind, and so do extractors that are not selected, so an extraction that gave the same
rows stops the pipeline here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from featurestore.errors import MissingData
from featurestore.files import write_bytes_atomic, write_text_atomic
from featurestore.rows import StoreRows, pack_keys
from featurestore.spec import FeatureSpec
from featurestore.store import Reader, write_store

__all__ = ["LEFT_BEHIND", "fuse", "gather_learned"]

#: What an extractor that learned leaves in its folder of weights, besides the weights.
LEFT_BEHIND = ("history.csv", "softmax.csv")


def fuse(
    keys: Sequence[str], names: Sequence[str], folder: Path, target: Path
) -> tuple[int, int, tuple[str, ...]]:
    """Join stores.

    Parameters
    ----------
    keys : sequence of str
        The rows that the result has, hexadecimal.
    names : sequence of str
        Extractors, in the order of their blocks; columns become ``extractor/column``.
    folder : Path
        Where ``<name>.h5`` lie.
    target : Path

    Returns
    -------
    n_rows, n_columns : int
    learned : tuple of str
        Those of the extractors that learned from this data set.

    Raises
    ------
    MissingData, MissingRows, StoreError
    """
    import numpy as np

    packed = pack_keys(keys)
    with ExitStack() as stack:
        stores = [stack.enter_context(Reader(folder / f"{name}.h5")) for name in names]
        rows = StoreRows(
            packed,
            np.concatenate([store.matrix(packed) for store in stores], axis=1),
            np.concatenate([store.statuses(packed) for store in stores], axis=1),
        )
        learned = {s.spec.name: s.spec.fitted_on for s in stores if s.spec.fitted_on}
        spec = FeatureSpec(
            name="fused",
            version=1,
            params={"fitted_on": learned},
            columns=tuple(f"{store.spec.name}/{column}" for store in stores for column in store.columns),
        )
    write_store(target, spec, rows, blocks=tuple(names))
    return len(rows), len(spec.columns), tuple(learned)


def gather_learned(names: Iterable[str], weights: Path, target: Path) -> None:
    """Copy what some extractors left behind into ``target/<name>/``; nothing else stays there.

    Parameters
    ----------
    names : iterable of str
        Extractors that learned.
    weights : Path
        Folder with a folder for each of them.

    Raises
    ------
    MissingData
        If one of `LEFT_BEHIND` is not there.
    """
    content = {}
    for name in sorted(names):
        for file in LEFT_BEHIND:
            path = weights / name / file
            if not path.is_file():
                raise MissingData(f"no {path}; run: dvc repro prepare@{name}")
            content[target / name / file] = path.read_bytes()
    if target.exists():
        shutil.rmtree(target)
    for path, data in content.items():
        write_bytes_atomic(path, data)
    write_text_atomic(target / "extractors.json", json.dumps(sorted(names)) + "\n")
