"""Shapley values of a function of columns, against a background: three ways to the same numbers.

The value of some columns of a row is the mean answer over the background's rows with those columns put in
from the row; a column's contribution is what it adds to that, averaged over every order in which the columns
can come (Strumbelj & Kononenko 2014; Lundberg & Lee 2017). Columns are put in whether or not such a picture
could exist: what is told is what the function makes of a column, and not what usually comes with it (Janzing
et al. 2020).

Owns sums, trees and sampled orders. Knows arrays alone, and refuses to know heads and pictures.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Answer", "drawn", "of_sum", "of_trees", "sampled"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

#: Rows (n, d) to answers (n,).
Answer = Callable[[Floats], Floats]

#: Values of the made rows that are held in memory at once.
_CHUNK: Final = 4 << 20


def drawn(background: Floats, most: int, *, seed: int) -> Floats:
    """At most so many rows of a background, in their order; always the same ones of as many."""
    if len(background) <= most:
        return background
    rng = np.random.default_rng(seed)
    return background[np.sort(rng.choice(len(background), most, replace=False))]


def of_sum(part: Callable[[Floats], Floats], beside: float, z: Floats, b: Floats) -> tuple[Floats, float]:
    """Values of a function that is a sum over columns, in closed form.

    phi_j = f_j(z_j) - mean over the background of f_j(b_j). For linear f_j(z) = w_j z that is
    w_j (z_j - mean of b_j): Strumbelj & Kononenko 2014; Lundberg & Lee 2017, corollary 1.

    Parameters
    ----------
    part : callable
        Rows (n, d) to what each column adds, (n, d).
    beside : float
        What stands beside the sum.
    z, b : ndarray of float64, shapes (n, d) and (m, d)
        Rows and background.

    Returns
    -------
    values : ndarray of float64, shape (n, d)
    base : float
        Mean answer over the background.
    """
    usual = part(b).mean(axis=0)
    return np.asarray(part(z) - usual), float(beside + usual.sum())


def of_trees(model: Any, z: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Exact values of a forest or of boosted trees (Lundberg et al. 2020), by ``shap``.

    Against the background's rows, and not by the shares of train rows at each node
    (``tree_path_dependent``): that is quicker, but it is another question than other models are asked, and
    gives a column credit by how the trees were grown.

    Parameters
    ----------
    model : classifier
        scikit-learn's forests and HistGradientBoosting, or XGBoost's.
    z, b : ndarray of float64, shapes (n, d) and (m, d)

    Returns
    -------
    values : ndarray of float64, shape (n, d, k)
        Of each class's probability (forests) or score, the log of a probability but for a constant (boosted
        trees; of two classes the first has score 0).
    base : ndarray of float64, shape (k,)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what its import does to matplotlib
        import shap

    explainer = shap.TreeExplainer(model, b, feature_perturbation="interventional", model_output="raw")
    values = np.asarray(explainer.shap_values(z, check_additivity=False), dtype=np.float64)
    base = np.atleast_1d(np.asarray(explainer.expected_value, dtype=np.float64))
    if values.ndim == 2:
        return np.stack([np.zeros_like(values), values], axis=-1), np.array([0.0, *base])
    return values, base


def sampled(ask: Answer, z: Floats, b: Floats, players: Places, *, seed: int) -> tuple[Floats, float]:
    """Values by sampled orders (Strumbelj & Kononenko 2014).

    Against every row of the background players come in one random order and in its reverse (Mitchell et al.
    2022: the pair cancels much of the error). An order's steps add up to the row's answer less that of the
    background's row, and so do their means: only how the sum is shared out has an error.

    A row costs 2 m (p - 1) + 1 answers. Its values depend on itself, the background and the seed, and not on
    the other rows.

    Parameters
    ----------
    ask : callable
    z, b : ndarray of float64, shapes (n, d) and (m, d)
    players : ndarray of intp, shape (d,)
        To which of p players each column belongs, 0 to p - 1.
    seed : int

    Returns
    -------
    values : ndarray of float64, shape (n, p)
    base : float
    """
    usual = ask(b)
    values = np.empty((len(z), int(players.max()) + 1))
    for i, row in enumerate(z):
        values[i] = _steps(ask, row, b, usual, players, _rng(seed, row)).mean(axis=0)
    return values, float(usual.mean())


def _rng(seed: int, row: Floats) -> np.random.Generator:
    digest = hashlib.sha256(np.ascontiguousarray(row).tobytes()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def _steps(
    ask: Answer, row: Floats, b: Floats, usual: Floats, players: Places, rng: np.random.Generator
) -> Floats:
    """What each player adds as it comes, in each order; shape (2 m, p)."""
    p = int(players.max()) + 1
    came = rng.permuted(np.tile(np.arange(p), (len(b), 1)), axis=1)
    came = np.concatenate([came, p - 1 - came])  # when each player comes, in each order and its reverse
    against = np.tile(np.arange(len(b)), 2)
    said = np.empty((len(came), p + 1))
    said[:, 0], said[:, p] = usual[against], ask(row[None])[0]
    size = max(1, _CHUNK // max(1, (p - 1) * len(row)))
    for at in range(0, len(came) if p > 1 else 0, size):
        part = slice(at, at + size)
        there = came[part, None, :] < np.arange(1, p)[None, :, None]
        made = np.where(there[..., players], row, b[against[part], None, :])
        said[part, 1:p] = ask(made.reshape(-1, len(row))).reshape(len(made), p - 1)
    added: Floats = np.take_along_axis(np.diff(said, axis=1), came, axis=1)
    return added
