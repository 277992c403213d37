"""Logistic regression over blocks of rows.

The objective of scikit-learn's ``LogisticRegression`` on standardised rows, without these rows being made: a
coefficient of a standardised column is one of the plain column, divided by its scale, and the intercept takes
up the mean.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_sample_weight

from classifiers.blocks.rows import Imputed

__all__ = ["fit_logistic"]

Floats = npt.NDArray[np.float64]
Objective = Callable[[Floats], tuple[float, Floats]]

#: Values of a block, 3 MiB of float64: it stays in the processor's cache from one product to the next.
_CACHED: Final = 3 << 17


def fit_logistic(
    model: Any, rows: Imputed, codes: npt.NDArray[np.intp], centre: Floats, scale: Floats
) -> None:
    """Fit scikit-learn's ``LogisticRegression`` by L-BFGS-B, with the stopping rules of its lbfgs.

    A penalty with an L1 part is minimised over u - v with u, v >= 0, in which it is smooth: so that a
    coefficient is exactly 0 where it should be.

    Parameters
    ----------
    model : LogisticRegression
        Unfitted; its ``coef_`` are of standardised columns, as ever.
    rows : Imputed
        n rows of d columns, not standardised.
    codes : ndarray of intp, shape (n,)
        Classes, 0 to k - 1.
    centre, scale : ndarray of float64, shape (d,)
        What standardises a column.
    """
    classes = np.unique(codes)
    k = 1 if len(classes) == 2 else len(classes)
    weights = compute_sample_weight(model.class_weight, codes)
    strength = 1 / (model.C * weights.sum())
    smooth = _penalised(
        _loss(rows, codes, weights / weights.sum(), centre, scale, k), strength * (1 - model.l1_ratio)
    )
    start, bounds, tol = np.zeros((k, rows.shape[1] + 1)), None, model.tol
    if model.l1_ratio > 0:
        smooth = _split(smooth, strength * model.l1_ratio)
        start = np.zeros((2, *start.shape))
        free = np.zeros(start.shape, dtype=bool)
        free[..., -1] = True  # an intercept needs no split; its second half stays 0
        bounds = [(None if one else 0, None) for one in free.ravel()]
        tol = min(tol, strength * model.l1_ratio)
    found = minimize(
        lambda at: _ravelled(smooth(at.reshape(start.shape))),
        start.ravel(),
        method="L-BFGS-B",
        jac=True,
        bounds=bounds,
        options={"maxiter": model.max_iter, "maxls": 50, "gtol": tol, "ftol": 64 * np.finfo(float).eps},
    )
    if found.status == 1:
        warnings.warn(f"lbfgs did not converge in {found.nit} passes", ConvergenceWarning, stacklevel=2)
    at = found.x.reshape(start.shape)
    at = at[0] - at[1] if at.ndim == 3 else at
    model.classes_, model.n_features_in_ = classes, rows.shape[1]
    model.coef_, model.intercept_ = at[:, :-1].copy(), at[:, -1].copy()
    model.n_iter_ = np.array([found.nit], dtype=np.int32)


def _ravelled(said: tuple[float, Floats]) -> tuple[float, Floats]:
    return said[0], said[1].ravel()


def _loss(
    rows: Imputed, codes: npt.NDArray[np.intp], weights: Floats, centre: Floats, scale: Floats, k: int
) -> Objective:
    """Weighted mean of -log p and its gradient, at coefficients and intercepts (k, d + 1).

    Of two classes the second alone has coefficients; the first is at 0.
    """
    n_classes = max(2, k)
    size = max(1, _CACHED // rows.shape[1])

    def at(coef: Floats) -> tuple[float, Floats]:
        plain = coef[:, :-1] / scale
        offset = coef[:, -1] - plain @ centre
        loss, slope, level = 0.0, np.zeros_like(plain), np.zeros(k)
        for part, block in rows.blocks(size):
            raw = np.zeros((len(block), n_classes))
            raw[:, -k:] = block @ plain.T + offset
            chosen, weight = codes[part], weights[part]
            own = np.arange(len(block)), chosen
            log_p = raw - logsumexp(raw, axis=1, keepdims=True)
            loss -= float(weight @ log_p[own])
            residual = np.exp(log_p)
            residual[own] -= 1
            residual = residual[:, -k:] * weight[:, None]
            slope += residual.T @ block
            level += residual.sum(axis=0)
        slope = (slope - level[:, None] * centre) / scale
        return loss, np.column_stack([slope, level])

    return at


def _penalised(loss: Objective, strength: float) -> Objective:
    """With an L2 penalty on the coefficients, and none on the intercepts."""

    def at(coef: Floats) -> tuple[float, Floats]:
        value, slope = loss(coef)
        slope[:, :-1] += strength * coef[:, :-1]
        return value + strength / 2 * float((coef[:, :-1] ** 2).sum()), slope

    return at


def _split(smooth: Objective, strength: float) -> Objective:
    """With an L1 penalty, at the positive and the negative part (2, k, d + 1)."""

    def at(both: Floats) -> tuple[float, Floats]:
        value, slope = smooth(both[0] - both[1])
        slopes = np.stack([slope, -slope])
        slopes[..., :-1] += strength
        slopes[1, :, -1] = 0
        return value + strength * float(both[..., :-1].sum()), slopes

    return at
