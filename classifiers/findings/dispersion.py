"""Is one role drawn more variously than the other? A test of dispersion.

Owns the space in which images are compared, the middle of each role, and the test (PERMDISP, Anderson 2006).
Refuses to know files, and what the columns are: arrays in, values out.

Each image's distance is taken from the *spatial median* of its role, the point whose mean distance is least
(which extreme images move little, and of which the mean distance does not depend to first order). Roles that
lie apart and vary alike have equal distances: a shift is no dispersion. Under the null the residuals, images
less their role's median, are exchangeable where images are; they are exchanged as
`mixed` exchanges roles, medians taken anew each time. The statistic is the log of the ratio of
mean distances, divided by an error that takes each group's images together.

The space is fixed beforehand: columns standardised, turned onto the main directions of what varies *within*
roles, each direction scaled to 1. A dozen columns that all measure lightness are then one direction, and
count once. Directions beyond `KEPT` of the variance are noise that scaling would blow up, and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.findings.mixed import Exchanges, judged, why_not

__all__ = ["KEPT", "Spread", "directions", "spatial_medians", "spread"]

#: Share of the variance within roles that the directions hold.
KEPT: Final = 0.9

#: At least so many images a direction: of fewer, scaling fits chance.
_IMAGES_A_DIRECTION: Final = 10

#: Fewer images of a role have no dispersion to speak of.
_MIN_IMAGES: Final = 5

_STEPS: Final = 100
_CLOSE: Final = 1e-5

#: Values held at once (exchanges x images); 16 MiB of float64.
_CHUNK: Final = 1 << 21

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Spread:
    """How much further from their middle the images of the positive class lie.

    Attributes
    ----------
    ratio, low, high : float or None
        Of mean distances, positive class over the rest: 1 = alike; with the ends of the 95% interval.
    p : float or None
        Two-sided.
    n_columns, n_directions : int
        That varied, and that they were turned onto.
    reason : str
        Why there is no p-value; empty if there is one.
    """

    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n_columns: int = 0
    n_directions: int = 0
    reason: str = ""


def directions(values: Floats, role: Mask) -> tuple[Floats, int]:
    """Images in the space described above, and how many columns vary.

    Parameters
    ----------
    values : ndarray of float64, shape (n, d)
        Finite.
    role : ndarray of bool, shape (n,)

    Returns
    -------
    points : ndarray of float64, shape (n, k)
    n_columns : int
    """
    deviation = values.std(axis=0)
    varies = deviation > 1e-9 * np.maximum(1.0, np.abs(values).max(axis=0, initial=0.0))
    table = (values[:, varies] - values[:, varies].mean(axis=0)) / deviation[varies]
    inner = table.copy()
    for one in (role, ~role):
        inner[one] -= inner[one].mean(axis=0)
    _, lengths, axes = np.linalg.svd(inner, full_matrices=False)
    held = np.cumsum(lengths**2) / max(float((lengths**2).sum()), 1e-300)
    k = min(int(np.searchsorted(held, KEPT)) + 1, max(1, len(values) // _IMAGES_A_DIRECTION))
    k = min(k, int((lengths > 1e-9 * lengths.max(initial=0.0)).sum()))
    return table @ axes[:k].T / lengths[:k] * np.sqrt(len(values)), int(varies.sum())


def spatial_medians(points: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Points of least mean distance, and the distances from them.

    By Weiszfeld's (1937) steps, for all rows of weights at once.

    Parameters
    ----------
    points : ndarray of float64, shape (n, k)
    weights : ndarray of float64, shape (m, n)
        0 where an image takes no part.

    Returns
    -------
    medians : ndarray of float64, shape (m, k)
    distances : ndarray of float64, shape (m, n)

    Examples
    --------
    >>> middle, _ = spatial_medians(np.array([[0.0], [1.0], [9.0]]), np.ones((1, 3)))
    >>> middle.round(2).tolist()
    [[1.0]]
    """
    length = (points**2).sum(axis=1)

    def distances(middle: Floats) -> Floats:
        squares = length - 2 * middle @ points.T + (middle**2).sum(axis=1, keepdims=True)
        found: Floats = np.sqrt(np.maximum(squares, 0.0))
        return found

    middle: Floats = weights @ points / weights.sum(axis=1, keepdims=True)
    for _ in range(_STEPS):
        pull = weights / np.maximum(distances(middle), 1e-6)
        moved = pull @ points / pull.sum(axis=1, keepdims=True)
        far = float(np.abs(moved - middle).max())
        middle = moved
        if far < _CLOSE:
            break
    return middle, distances(middle)


def _log_ratios(points: Floats, roles: Mask, group: Codes) -> tuple[Floats, Floats]:
    """Log of the ratio of mean distances and its error, both of shape (draws,)."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    ratios, errors = [], []
    step = max(1, _CHUNK // len(points))
    for i in range(0, len(roles), step):
        parts, means = [], []
        for one in (roles[i : i + step], ~roles[i : i + step]):
            member = one.astype(float)
            _, far = spatial_medians(points, member)
            mean = (member * far).sum(axis=1, keepdims=True) / member.sum(axis=1, keepdims=True)
            parts.append(member * (far / mean - 1) / member.sum(axis=1, keepdims=True))
            means.append(mean[:, 0])
        pull = np.add.reduceat((parts[0] - parts[1])[:, order], starts, axis=1)
        ratios.append(np.log(means[0] / means[1]))
        errors.append(np.sqrt((pull**2).sum(axis=1) * len(starts) / (len(starts) - 1)))
    return np.concatenate(ratios), np.maximum(np.concatenate(errors), 1e-12)


def spread(values: Floats, made: Exchanges) -> Spread:
    """Compare how far images lie from the middle of their role.

    Parameters
    ----------
    values : ndarray of float64, shape (n, d)
        Finite.
    made : Exchanges
        Of these images.
    """
    role = made.roles[0]
    n_least = int(min(role.sum(), (~role).sum()))
    reason = why_not(made)
    if n_least < _MIN_IMAGES:
        return Spread(reason=reason or f"a class has {n_least} images, fewer than {_MIN_IMAGES}")
    points, n_columns = directions(values, role)
    if not points.shape[1]:
        return Spread(reason="no column varies within a class")
    sizes = (n_columns, points.shape[1])
    (ratio,), (error,) = _log_ratios(points, role[None], made.group)
    if reason:
        return Spread(float(np.exp(ratio)), None, None, None, *sizes, reason)
    residuals = points.copy()
    for one in (role, ~role):
        middle, _ = spatial_medians(points, one[None].astype(float))
        residuals[one] -= middle[0]
    ratios, errors = _log_ratios(residuals, made.roles[1:], made.group)
    p, reach = judged(np.concatenate([[ratio / error], ratios / errors]))
    low, high = np.exp([ratio - reach * error, ratio + reach * error])
    return Spread(float(np.exp(ratio)), float(low), float(high), p, *sizes)
