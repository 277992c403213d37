"""A classifier that remembers which rows it was given: what is tuned inside a fold must see no other."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression


class Spy(ClassifierMixin, BaseEstimator):
    """Remembers the rows of every fit and of every question; a row's first column is its number."""

    #: Of all its clones: rows of each fit; rows that were fitted and asked about, of each question.
    fits: ClassVar[list[list[int]]] = []
    asked: ClassVar[list[tuple[list[int], list[int]]]] = []

    def fit(self, X: Any, y: Any) -> Spy:
        self.classes_ = np.unique(y)
        self.rows_ = np.asarray(X)[:, 0].astype(int).tolist()
        self.model_ = LogisticRegression().fit(np.asarray(X)[:, 1:], y)
        Spy.fits.append(self.rows_)
        return self

    def predict_proba(self, X: Any) -> Any:
        Spy.asked.append((self.rows_, np.asarray(X)[:, 0].astype(int).tolist()))
        return self.model_.predict_proba(np.asarray(X)[:, 1:])


def numbered(n: int = 120, n_classes: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows whose first column is their number, their codes, and groups of four."""
    rng = np.random.default_rng(0)
    codes = np.arange(n) % n_classes
    X = np.column_stack([np.arange(n), rng.normal(size=(n, 3)) + codes[:, None] * 0.7])
    return X, codes, np.array([f"g{i // 4:03d}" for i in range(n)])
