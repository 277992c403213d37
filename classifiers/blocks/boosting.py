"""Boosted trees over columns that are binned a few at a time.

XGBoost is given blocks of rows and keeps their bins on disk; scikit-learn's histogram boosting is given bins,
a byte a value. Both have bounds of bins that are quantiles of at most 200,000 rows, drawn by class weight.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight

from classifiers.blocks.rows import Imputed

__all__ = ["fit_histograms", "fit_xgboost"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

#: Pages that XGBoost's bins are written in, some of which are in memory at a time.
_PAGES: Final = 16


def fit_histograms(model: HistGradientBoostingClassifier, rows: Imputed, codes: Codes) -> None:
    """Fit scikit-learn's histogram boosting, which would make float64 of all rows before it bins them."""
    vars(model).update(vars(_Binned(**model.get_params()).fit(rows, codes)))


def fit_xgboost(model: Any, rows: Imputed, codes: Codes) -> None:
    """Fit `classifiers.heads._balanced.Balanced` around an ``XGBClassifier``.

    XGBoost keeps two copies of the bins, half the size of a matrix of float32 together: they are written to
    a temporary folder, which is gone afterwards.
    """
    import xgboost

    weights = compute_sample_weight("balanced", codes)
    model.classes_ = np.unique(codes)
    inner = model.estimator_ = clone(model.estimator)
    inner.n_classes_ = len(model.classes_)
    if inner.n_classes_ > 2:
        inner.objective = "multi:softprob"
    params = inner.get_xgb_params() | ({"num_class": inner.n_classes_} if inner.n_classes_ > 2 else {})

    class Pages(xgboost.DataIter):
        def reset(self) -> None:
            self.blocks = rows.blocks(-(-len(rows) // _PAGES), np.float32)

        def next(self, input_data: Any) -> bool:
            for part, block in self.blocks:
                input_data(data=block, label=codes[part], weight=weights[part])
                return True
            return False

    with tempfile.TemporaryDirectory(prefix="kyara-") as folder:
        bounds = xgboost.QuantileDMatrix(_table(rows, weights, inner.random_state), nthread=inner.n_jobs)
        pages = Pages(cache_prefix=str(Path(folder) / "bins"))
        matrix = xgboost.ExtMemQuantileDMatrix(pages, ref=bounds, nthread=inner.n_jobs)
        inner._Booster = xgboost.train(params, matrix, inner.get_num_boosting_rounds())
        del matrix


def _table(rows: Imputed, weights: Floats, seed: int) -> npt.NDArray[np.float32]:
    """A matrix that XGBoost bins at the wanted bounds: these are its values, and one below the first."""
    found = []
    for _, _, mapper in _mapped(rows, weights, _BinMapper(random_state=seed)):
        for bounds in mapper.bin_thresholds_:
            below = bounds[:1] - 1 if len(bounds) else np.zeros(1)
            found.append(np.pad(np.concatenate([below, bounds]), (0, 255 - len(bounds)), mode="edge"))
    return np.column_stack(found).astype(np.float32)


def _mapped(rows: Imputed, weights: Floats, mapper: _BinMapper) -> Iterator[tuple[slice, Floats, _BinMapper]]:
    """Where some columns are, the columns, and a mapper of theirs, fitted on rows that are drawn once."""
    # of as many rows, or fewer, it would draw none, and sort each column 254 times (scikit-learn#34304)
    n_drawn = min(mapper.subsample, len(rows) - 1)
    rng = check_random_state(mapper.random_state)
    drawn = rng.choice(len(rows), n_drawn, p=weights / weights.sum(), replace=True)
    for part, columns in rows.columns():
        yield part, columns, clone(mapper).set_params(subsample=None).fit(columns[drawn])


class _Bins(np.ndarray):
    """Bins; compared with one of them, they say of each column whether it is there, shape (1, d)."""

    def __eq__(self, other: object) -> Any:
        return np.array([[bool((column == other).any()) for column in self.view(np.ndarray).T]])


class _Binned(HistGradientBoostingClassifier):
    """Histogram boosting on `Imputed` rows."""

    def _preprocess_X(self, X: Imputed, *, reset: bool) -> tuple[Imputed, None]:  # noqa: N802
        self.is_categorical_ = self._preprocessor = self._is_categorical_remapped = None
        self.n_features_in_ = X.shape[1]
        return X, None

    def _bin_data(self, X: Imputed, sample_weight: Floats, is_training_data: bool) -> _Bins:
        bins, mapper = np.empty(X.shape, dtype=np.uint8, order="F"), self._bin_mapper
        mapper.bin_thresholds_ = []
        for part, columns, fitted in _mapped(X, sample_weight, mapper):
            bins[:, part] = fitted.transform(columns)
            mapper.bin_thresholds_ += fitted.bin_thresholds_
        mapper.is_categorical_ = np.zeros(X.shape[1], dtype=np.uint8)
        mapper.missing_values_bin_idx_ = fitted.missing_values_bin_idx_
        mapper.n_bins_non_missing_ = np.array(
            [len(one) + 1 for one in mapper.bin_thresholds_], dtype=np.uint32
        )
        return bins.view(_Bins)
