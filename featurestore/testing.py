"""Conformance of a store file: what every reader may rely on. Shipped, so that other writers can use it.

Refuses to know who wrote the store.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from featurestore.errors import MissingRows
from featurestore.files import sha256_of
from featurestore.spec import Status
from featurestore.store import FeatureStore, write_store

__all__ = ["check_store"]


def check_store(path: Path) -> None:
    """Raise an AssertionError, or the reader's own error, if a store breaks the format's promises.

    Checked: every byte verifies; columns are unique; where there is one block, rows that are ok are
    finite and others NaN throughout; rows are found by key in any order; an unknown key is an error;
    writing the same rows again gives the same bytes (the file is canonical).
    """
    import numpy as np

    with FeatureStore(path) as store:
        rows = store.verify()
        assert len(set(store.columns)) == len(store.columns), "columns are not unique"
        assert rows.values.dtype == np.float32, "values are not float32"
        assert set(np.unique(rows.status)) <= set(Status), "a status that has no name"
        if len(store.blocks) == 1:
            fine = rows.status[:, 0] == Status.OK
            assert np.isfinite(rows.values[fine]).all(), "a row that is ok is not finite"
            assert np.isnan(rows.values[~fine]).all(), "a row that is not ok is not NaN"
        backwards = rows.keys[::-1]
        same = np.array_equal(store.matrix(backwards), rows.values[::-1], equal_nan=True)
        assert same, "rows do not follow their keys"
        unknown = np.zeros((1, 32), np.uint8)
        if not (len(rows) and np.array_equal(rows.keys[:1], unknown)):
            try:
                store.matrix(unknown)
            except MissingRows:
                pass
            else:
                raise AssertionError("an unknown key is no error")
        with tempfile.TemporaryDirectory() as folder:
            again = Path(folder) / path.name
            write_store(again, store.spec, rows, store.blocks)
            assert sha256_of(again) == sha256_of(path), "the file is not canonical"
