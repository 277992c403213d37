"""The study's rows: features beside labels, groups and splits, checked before any head sees them.

Owns reading ``features.h5`` and ``dataset.csv`` together, every byte and every row of them checked
(``validator``). Refuses to know heads and scores.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.validator import check_groups, check_rows, check_table
from featurestore.columns import parts
from featurestore.dataset import read_dataset, rows_digest
from featurestore.errors import DataError, MissingData, ParamsError
from featurestore.index import IMAGE_WISE, split_kind
from featurestore.spec import FeatureSpec, Status, canonical_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Study", "check_model", "check_positive", "read_study"]

Texts = npt.NDArray[Any]
Rows = npt.NDArray[np.intp]

#: Rows that are hashed together.
_ROWS: Final = 4096


@dataclass(frozen=True)
class Study:
    """One row an image, in the order of the keys.

    Attributes
    ----------
    features : DataFrame of float64, shape (n, d)
        NaN where a row's block could not be computed. Of float32, and mapped into memory, where values are
        `classifiers.blocks.rows.many`.
    keys, paths, labels, groups, splits : ndarray of str, shape (n,)
    status : ndarray of uint8, shape (n, b)
        `featurestore.spec.Status` of each block of columns.
    blocks : tuple of str
        The extractors.
    fitted_on : mapping of str to str
        Digest of the rows that an extractor learned from; empty if none learns.
    fingerprint : str
        Of the store.
    split_kind : str
        ``"split by series"`` or `IMAGE_WISE`.
    index : DataFrame of str, n rows
        ``dataset.csv`` as it is, in the order of the keys: series, character, cluster, technical columns.
    """

    features: pd.DataFrame
    keys: Texts
    paths: Texts
    labels: Texts
    groups: Texts
    splits: Texts
    status: npt.NDArray[np.uint8]
    blocks: tuple[str, ...]
    fitted_on: Mapping[str, str]
    fingerprint: str
    split_kind: str
    index: pd.DataFrame

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels of the whole data set, sorted."""
        return tuple(np.unique(self.labels).tolist())

    def codes(self, labels: Texts) -> Rows:
        """Labels as positions in `classes`."""
        return np.searchsorted(np.asarray(self.classes), labels)

    def rows_of(self, *splits: str) -> Rows:
        """Positions of the rows of some splits, ascending."""
        return np.flatnonzero(np.isin(self.splits, splits))

    def class_shares(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Share of each class among some rows, shape (k,)."""
        counts = np.bincount(self.codes(self.labels[rows]), minlength=len(self.classes))
        shares: npt.NDArray[np.float64] = counts / max(1, len(rows))
        return shares

    def digest(self, rows: Rows) -> str:
        """`featurestore.dataset.rows_digest` of some rows."""
        return rows_digest(self.keys[rows].tolist(), self.labels[rows].tolist())

    def features_digest(self, rows: Rows) -> str:
        """Sha256 (hex) of the columns' names and values of some rows.

        The fingerprint of a fused store knows names and not the extractors' params, so that an
        unchanged re-extraction stops there; only the values tell crop from pad.
        """
        values = self.features.to_numpy()
        found = hashlib.sha256(canonical_json(list(self.features.columns)).encode())
        for part in parts(len(rows), _ROWS):
            found.update(np.ascontiguousarray(values[rows[part]], dtype="<f8").data)
        return found.hexdigest()

    def without_learned(self) -> Study | None:
        """The study without the extractors that learned from train; None if nothing is left."""
        if not self.fitted_on:
            return self
        kept = [i for i, block in enumerate(self.blocks) if block not in self.fitted_on]
        if not kept:
            return None
        names = {self.blocks[i] for i in kept}
        columns = [name for name in self.features.columns if str(name).partition("/")[0] in names]
        return replace(
            self,
            features=self.features[columns],
            status=self.status[:, kept],
            blocks=tuple(self.blocks[i] for i in kept),
            fitted_on={},
        )

    def coverage(self) -> dict[str, dict[str, float]]:
        """Share of the rows that could be computed, for each extractor and class."""
        return {
            block: {
                name: float((self.status[self.labels == name, i] == Status.OK).mean())
                for name in self.classes
            }
            for i, block in enumerate(self.blocks)
        }


def check_positive(positive: str, classes: tuple[str, ...]) -> int:
    """Position of ``evaluation.positive`` among the classes.

    Raises
    ------
    ParamsError
        If it is none of them; the message names those there are.
    """
    if positive not in classes:
        raise ParamsError(
            f"evaluation.positive: no {positive!r} among the labels of dataset.csv; "
            f"one of: {', '.join(classes)}"
        )
    return classes.index(positive)


def check_model(card: Mapping[str, Any], study: Study, *, where: str = "model/") -> None:
    """Refuse a saved model that was fitted on other features or other pictures than the study's.

    Raises
    ------
    DataError
    """
    train = study.rows_of("train")
    now = (study.features_digest(train), study.digest(train))
    if (card.get("features_digest"), card.get("train_digest")) != now:
        raise DataError(
            f"{where} was fitted on other features or pictures than features.h5 and dataset.csv hold now; "
            "run: dvc repro"
        )


def _fitted_on(spec: FeatureSpec) -> dict[str, str]:
    """Extractors that learned -> digest of what they saw, of a joined store or a single one."""
    own = {spec.name: spec.fitted_on} if spec.fitted_on else {}
    return {**dict(spec.params.get("fitted_on") or {}), **own}


def _check_learned(study: Study) -> None:
    """What an extractor learned from must be the train split of now: else it may have seen val."""
    now = study.digest(study.rows_of("train"))
    for name, digest in study.fitted_on.items():
        if digest != now:
            raise DataError(
                f"{name} learned from other pictures or labels than the train split holds now; run: dvc repro"
            )


def _read(
    features: Path, keys: list[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], FeatureSpec, tuple[str, ...]]:
    """Values and statuses of the keys, the spec and the blocks; every byte is checked first.

    Where all of many rows are asked for they are mapped into memory, so that processes share them.
    """
    from classifiers.blocks.rows import many
    from featurestore.store import FeatureStore

    with FeatureStore(features, check=True) as store:
        every = many(store.values) and np.array_equal(store.positions(keys), np.arange(len(store)))
        values = store.values if every else store.matrix(keys)
        return values, store.statuses(keys), store.spec, store.blocks


def _table(values: npt.NDArray[np.float32], columns: Sequence[str]) -> pd.DataFrame:
    """The values as float64; as they are where there are many."""
    import pandas as pd

    from classifiers.blocks.rows import many

    if many(values):
        return pd.DataFrame(values, columns=list(columns), copy=False)
    return pd.DataFrame(values.astype(np.float64), columns=list(columns))


def read_study(features: Path, dataset: Path, *, group_by: str) -> Study:
    """Join a feature store with the data set's index.

    Parameters
    ----------
    features : Path
        ``features.h5``, or any store.
    dataset : Path
        ``dataset.csv``.
    group_by : {"series", "character", "none"}
        What the groups were made from.

    Raises
    ------
    MissingData
        A file that an earlier stage makes is not there.
    MissingRows
        The store lacks rows of the data set.
    StoreDamaged
        A byte of the store is not what was written.
    NonFiniteRow
        NaN in a row whose status is ok, or infinity anywhere.
    SplitError
        A group stands in two splits.
    DataError
        The data set is empty or has a key twice; a row has no label, a split that is none, or zeros for
        features; nothing varies; or an extractor learned from other pictures or labels than train's.
    """
    for path, stage in ((dataset, "index"), (features, "fuse")):
        if not path.is_file():
            raise MissingData(f"no {path} here; run: dvc repro {stage}")
    index = read_dataset(dataset).sort_values("key", kind="stable", ignore_index=True)
    if not len(index):
        raise DataError(f"{dataset} has no rows; put pictures into data/images/<label>/ and run: dvc repro")
    text = {name: np.asarray(index[name].tolist(), dtype=str) for name in index.columns if name in _TEXT}
    keys = text["key"].tolist()
    values, status, spec, blocks = _read(features, keys)
    check_table(text, dataset)
    check_groups(text["group"], text["split"], dataset)
    check_rows(values, status, spec.columns, blocks, paths=text["path"], where=features)
    alone = len(np.unique(text["group"])) == len(keys)
    owned = text[group_by].tolist() if group_by in text else []
    study = Study(
        features=_table(values, spec.columns),
        keys=text["key"],
        paths=text["path"],
        labels=text["label"],
        groups=text["group"],
        splits=text["split"],
        status=status,
        blocks=blocks,
        fitted_on=_fitted_on(spec),
        fingerprint=spec.fingerprint,
        split_kind=IMAGE_WISE if alone else split_kind(group_by, len(owned), sum(not name for name in owned)),
        index=index,
    )
    _check_learned(study)
    return study


_TEXT = frozenset({"key", "path", "label", "group", "split", "series", "character"})
