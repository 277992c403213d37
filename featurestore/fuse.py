"""features/*.h5 -> features.h5: the selected stores joined by key; and what their learners left behind.

Owns the join, the fused spec, and ``learned/``: copies of the softmax and the history of the selected
extractors that learned. Their bytes depend on rows and selection alone: the stores' params and
fingerprints stay behind, and so do extractors that are not selected, so an extraction that gave the same
rows stops the pipeline here. The fingerprints go to ``results/stores.json``, which no stage reads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.errors import MissingData
from featurestore.files import write_bytes_atomic, write_text_atomic
from featurestore.rows import StoreRows, pack_keys
from featurestore.spec import FeatureSpec, Status
from featurestore.store import FeatureStore, write_store

__all__ = ["LEFT_BEHIND", "Fused", "fuse", "gather_learned", "write_stores"]

#: What an extractor that learned leaves in its folder of weights, besides the weights.
LEFT_BEHIND = ("history.csv", "softmax.csv")


@dataclass(frozen=True)
class Fused:
    """What came of joining.

    Attributes
    ----------
    n_rows, n_columns : int
    learned : tuple of str
        Those of the extractors that learned from this data set.
    stores : list of dict
        Of each store its extractor, fingerprint, digest, rows, columns, and rows that are not ok.
    """

    n_rows: int
    n_columns: int
    learned: tuple[str, ...]
    stores: list[dict[str, Any]]


def fuse(keys: Sequence[str], stores: Mapping[str, Path], target: Path) -> Fused:
    """Join stores, after checking every byte of them.

    Parameters
    ----------
    keys : sequence of str
        The rows that the result has, hexadecimal.
    stores : mapping of str to Path
        Extractor -> its store, in the order of their blocks; columns become ``extractor/column``.
    target : Path

    Raises
    ------
    MissingData, MissingRows, StoreError
    """
    import numpy as np

    packed = pack_keys(keys)
    with ExitStack() as stack:
        opened = {n: stack.enter_context(FeatureStore(path, check=True)) for n, path in stores.items()}
        status = np.concatenate([store.statuses(packed) for store in opened.values()], axis=1)
        rows = StoreRows(
            packed, np.concatenate([store.matrix(packed) for store in opened.values()], axis=1), status
        )
        learned = {name: store.spec.fitted_on for name, store in opened.items() if store.spec.fitted_on}
        spec = FeatureSpec(
            name="fused",
            version=1,
            params={"fitted_on": learned},
            columns=tuple(f"{name}/{column}" for name, store in opened.items() for column in store.columns),
        )
        listed = [
            {
                "extractor": name, "fingerprint": store.fingerprint, "digest": store.digest,
                "rows": len(store), "columns": len(store.columns),
                "not_ok": int((status[:, i] != Status.OK).sum()),
            }
            for i, (name, store) in enumerate(opened.items())
        ]  # fmt: skip
    write_store(target, spec, rows, blocks=tuple(stores))
    return Fused(len(rows), len(spec.columns), tuple(learned), listed)


def write_stores(fused: Fused, path: Path) -> None:
    """Write ``results/stores.json``: in git, it says which rows a revision's results stand on."""
    write_text_atomic(path, json.dumps({"stores": fused.stores}, indent=2, sort_keys=True) + "\n")


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
