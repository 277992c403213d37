"""features/*.h5 -> features.h5: the selected stores joined by key.

Owns the join and the fused spec. Its bytes depend on rows alone: the stores' params and
fingerprints stay behind, so an extraction that gave the same rows stops the pipeline here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from featurestore.rows import StoreRows, pack_keys
from featurestore.spec import FeatureSpec
from featurestore.store import Reader, write_store

__all__ = ["fuse"]


def fuse(keys: Sequence[str], names: Sequence[str], folder: Path, target: Path) -> tuple[int, int]:
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
        spec = FeatureSpec(
            name="fused",
            version=1,
            params={"fitted_on": {s.spec.name: s.spec.fitted_on for s in stores if s.spec.fitted_on}},
            columns=tuple(f"{store.spec.name}/{column}" for store in stores for column in store.columns),
        )
    write_store(target, spec, rows, blocks=tuple(names))
    return len(rows), len(spec.columns)
