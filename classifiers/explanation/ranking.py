"""From what each fold found to what is told: means, spread, ranks, stability, and p beside the null.

Owns these numbers. Refuses to know heads, rows, and how a table reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.explanation.grouping import LEVELS
from classifiers.explanation.importance_report import Line
from classifiers.explanation.importance_tasks import COEFFICIENTS, FOREST, METHODS, Asked, Found, Method

__all__ = ["against_null", "lines", "mean_known", "ranks"]

Floats = npt.NDArray[np.float64]

#: Of a level: stability is the share of folds in which a unit is among so many.
_TOP: Final = 10

#: A direction is told where so much more of the folds say one than the other.
_AGREED: Final = 0.6

_SCALES: Final[dict[Method, str]] = {
    "coefficient": "log-odds per sd",
    "forest": "share of impurity",
    "permutation": "AUC",
}


def mean_known(values: Floats) -> Floats:
    """Mean over the first axis of what is defined; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    found: Floats = np.divide(
        total, known.sum(axis=0), out=np.full(values.shape[1:], np.nan), where=known.any(axis=0)
    )
    return found


def against_null(compared: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean and 95th percentile of the null, and p, for each unit.

    Parameters
    ----------
    compared : ndarray of float64, shape (1 + draws, units)
        The true labels first. A draw that is undefined counts as large.
    """
    true, null = compared[0], compared[1:]
    slack = 1e-9 * np.maximum(1e-3, np.abs(true))
    large = np.isnan(null) | (null >= true - slack)
    p = np.where(np.isnan(true), np.nan, (1 + large.sum(axis=0)) / (1 + len(null)))
    high = np.full(len(true), np.nan)
    known = ~np.isnan(null).all(axis=0)
    high[known] = np.nanquantile(null[:, known], 0.95, axis=0)
    return mean_known(null), high, p


def ranks(mean: Floats, level: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Rank of each unit in its level, 1 for the largest; ties share the better one."""
    held = np.nan_to_num(mean, nan=-np.inf)
    larger = (held[None, :] > held[:, None]) & (level[None, :] == level[:, None])
    return np.asarray(1 + larger.sum(axis=1))


def _none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def lines(
    asked: Asked, every: Sequence[Found], labellings: Sequence[Sequence[Found]], scale: str
) -> tuple[Line, ...]:
    """What each method says of each unit.

    Parameters
    ----------
    every : sequence of Found
        The true labels, each fold.
    labellings : sequence of sequence of Found
        Folds of the true labels, then those of each permutation; empty where there is no null.
    scale : str
        What contributions are measured in.
    """
    found = [line for method in METHODS for line in _of_method(asked, method, every, labellings, scale)]
    order = {name: i for i, name in enumerate(LEVELS)}
    return tuple(sorted(found, key=lambda one: (order[one.unit.level], METHODS.index(one.method), one.rank)))


def _of_method(
    asked: Asked,
    method: Method,
    every: Sequence[Found],
    labellings: Sequence[Sequence[Found]],
    scale: str,
) -> list[Line]:
    told = [one for one in every if method in one.importance]
    if not told:
        return []
    level = np.array([one.level for one in asked.units])
    values = np.array([one.importance[method] for one in told])
    mean, n_known = mean_known(values), (~np.isnan(values)).sum(axis=0)
    sd = np.sqrt(mean_known((values - mean) ** 2) * n_known / np.maximum(1, n_known - 1))
    sd[n_known < 2] = np.nan
    top = np.mean([(ranks(row, level) <= _TOP) & (row > 0) for row in values], axis=0)
    null: tuple[Floats, ...] = (np.full(len(level), np.nan),) * 3
    if labellings:
        compared = [mean_known(np.array([one.importance[method] for one in part])) for part in labellings]
        null = against_null(np.array(compared))
    head = {"coefficient": COEFFICIENTS, "forest": FOREST}.get(method, asked.head)
    place, toward = ranks(mean, level), _toward(method, told, len(level))
    return [
        Line(
            unit, tuple(asked.names[c] for c in unit.columns), method, head, _SCALES.get(method, scale),
            _none(mean[i]), _none(sd[i]), int(place[i]), float(top[i]), _none(null[0][i]), _none(null[1][i]),
            _none(null[2][i]), int(toward[i]),
        )
        for i, unit in enumerate(asked.units)
    ]  # fmt: skip


def _toward(method: Method, told: Sequence[Found], n_units: int) -> Floats:
    """Direction of each unit, 0 where the folds do not agree."""
    signs = [one.direction[method] for one in told if method in one.direction]
    if not signs:
        return np.zeros(n_units)
    toward = np.mean(signs, axis=0)
    found: Floats = np.sign(toward) * (np.abs(toward) >= _AGREED)
    return found
