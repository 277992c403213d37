"""Which training rows a row is most like, and whether it is like any of them.

The distance of two rows is the root of their mean squared difference over the columns, each in standard
deviations of the training rows; where there are several extractors, the mean over them of what it is in each,
so that none counts for more because it has more columns. Two rows are held against each other in the
extractors that could compute both.

Owns distances between rows and the limit beyond which a row is far from all training rows. Refuses to know
pictures, heads and labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["N_NEAREST", "Nearest", "Space", "space_of"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

#: Neighbours that are told; the distance to the last of them says how far a row is from the training rows.
N_NEAREST: Final = 5

#: Share of the training rows whose own distance is within the limit.
_WITHIN: Final = 0.99

#: Training rows that the limit is taken from at most, evenly spaced.
_PROBES: Final = 2000

#: Rows that are held against all training rows at once.
_CHUNK: Final = 256


@dataclass(frozen=True)
class Nearest:
    """The nearest training rows of some rows.

    Attributes
    ----------
    places : ndarray of intp, shape (n, k)
        Positions among the training rows, nearest first; -1 where there is none.
    distances : ndarray of float64, shape (n, k)
        Infinity where there is none.
    """

    places: Places
    distances: Floats


@dataclass(frozen=True)
class Space:
    """The training rows, standardised.

    Attributes
    ----------
    rows : ndarray of float64, shape (m, d)
        NaN where an extractor could not compute a row.
    centre, scale : ndarray of float64, shape (d,)
        Mean and standard deviation, of a constant column 1.
    blocks : tuple of ndarray of intp
        Positions of each extractor's columns.
    limit : float
        99% of the training rows have their fifth neighbour within this distance, those of their own group
        left out; NaN where there are too few rows to say.
    """

    rows: Floats
    centre: Floats
    scale: Floats
    blocks: tuple[Places, ...]
    limit: float = np.nan

    def nearest(self, values: Floats, *, k: int = N_NEAREST, without: Sequence[int] = ()) -> Nearest:
        """The nearest training rows.

        Parameters
        ----------
        values : ndarray of float64, shape (n, d)
            Not standardised.
        k : int
            How many.
        without : sequence of int, shape (n,)
            Position of the training row that each row is itself, which is left out; -1 for none.
        """
        places = np.full((len(values), k), -1)
        distances = np.full((len(values), k), np.inf)
        for at in range(0, len(values), _CHUNK):
            part = slice(at, at + _CHUNK)
            found = self._distances((values[part] - self.centre) / self.scale)
            for i, own in enumerate(list(without)[part]):
                if own >= 0:
                    found[i, own] = np.inf
            order = np.argsort(found, axis=1, kind="stable")[:, :k]
            ranked = np.take_along_axis(found, order, axis=1)
            distances[part, : order.shape[1]] = ranked
            places[part, : order.shape[1]] = np.where(np.isinf(ranked), -1, order)
        return Nearest(places, distances)

    def _distances(self, standardised: Floats) -> Floats:
        """Of standardised rows (n, d) to each training row, shape (n, m); infinity where nothing compares."""
        from scipy.spatial.distance import cdist

        total = np.zeros((len(standardised), len(self.rows)))
        count = np.zeros_like(total)
        for columns in self.blocks:
            squares = cdist(standardised[:, columns], self.rows[:, columns], "sqeuclidean") / len(columns)
            there = ~np.isnan(squares)
            total += np.where(there, squares, 0.0)
            count += there
        return np.sqrt(np.divide(total, count, out=np.full_like(total, np.inf), where=count > 0))


def space_of(values: Floats, owners: Sequence[str], groups: npt.NDArray[np.str_]) -> Space:
    """The space of some training rows, and its limit.

    Parameters
    ----------
    values : ndarray of float64, shape (m, d)
        Training rows; NaN where an extractor could not compute one.
    owners : sequence of str, shape (d,)
        The extractor of each column.
    groups : ndarray, shape (m,)
        For the limit a row's own group is left out: a new picture has no sisters of its series here.
    """
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, values - centre, 0.0) ** 2).sum(axis=0) / count)
    scale = np.where(spread > 0, spread, 1.0)
    names = np.asarray(owners)
    blocks = tuple(np.flatnonzero(names == name) for name in dict.fromkeys(owners))
    space = Space((values - centre) / scale, centre, scale, blocks)
    return Space(space.rows, centre, scale, blocks, _limit(space, groups))


def _limit(space: Space, groups: npt.NDArray[np.str_]) -> float:
    m = len(space.rows)
    probes = np.unique(np.linspace(0, m - 1, min(m, _PROBES)).round().astype(np.intp))
    last = []
    for at in range(0, len(probes), _CHUNK):
        part = probes[at : at + _CHUNK]
        found = np.where(groups[part][:, None] == groups[None], np.inf, space._distances(space.rows[part]))
        if found.shape[1] >= N_NEAREST:
            last.append(np.partition(found, N_NEAREST - 1, axis=1)[:, N_NEAREST - 1])
    told = np.concatenate([*last, np.empty(0)])
    told = told[np.isfinite(told)]
    return float(np.quantile(told, _WITHIN)) if len(told) else np.nan
