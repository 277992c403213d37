"""Which columns belong together: those that nobody can read, those that say the same, those of a hypothesis.

Owns the levels at which importance is told. Refuses to know labels, heads and scores: what belongs together
is found from names and from the columns' values alone.

==========  =====================================================================================
level       a unit is
==========  =====================================================================================
column      one column that a person can read
block       all columns of an extractor that nobody can read: ``e000``, ``e001``, ... of an embedding
cluster     columns of which each two correlate (Spearman) by `ALIKE` or more, up or down
hypothesis  the columns of one of `extractors.conventions.HYPOTHESES`
==========  =====================================================================================
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from extractors.conventions import HYPOTHESES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ALIKE", "LEVELS", "Level", "Unit", "axes", "clusters", "members", "opaque", "players", "units"]

Floats = npt.NDArray[np.float64]
Level = Literal["column", "block", "cluster", "hypothesis"]

LEVELS: Final[tuple[Level, ...]] = ("column", "block", "cluster", "hypothesis")

#: Least |Spearman| of any two columns of a cluster.
ALIKE: Final = 0.7

#: A letter or word with a number behind it names nothing, where an extractor has so many of them.
_MANY: Final = 16

_NUMBERED: Final = re.compile(r"([A-Za-z_. -]*)[0-9]+")


@dataclass(frozen=True)
class Unit:
    """Columns whose importance is told as one.

    Attributes
    ----------
    level : {"column", "block", "cluster", "hypothesis"}
    name : str
        Of the column, extractor or hypothesis; of a cluster the column that is most like the others.
    group : str
        Of ``design``: colour, texture, shape, higher or palette; else the extractor.
    columns : tuple of int
        Positions, ascending.
    signs : tuple of int
        +1 or -1 for each column: what "more of it" means. Empty where nobody can say.
    """

    level: Level
    name: str
    group: str
    columns: tuple[int, ...]
    signs: tuple[int, ...]


def opaque(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which columns have names that nobody can read, shape (d,).

    Those whose name behind the slash is a number; or a letter or word and a number, where their extractor
    has 16 or more with that word.

    Examples
    --------
    >>> opaque(["clip/000", "clip/concept: a scar", "design/red_mean"]).tolist()
    [True, False, False]
    """
    stems = []
    for name in names:
        owner, _, own = name.partition("/")
        found = _NUMBERED.fullmatch(own)
        stems.append((owner, found.group(1)) if found else None)
    counts = Counter(stems)
    return np.array([stem is not None and (stem[1] == "" or counts[stem] >= _MANY) for stem in stems])


def _ranked(values: Floats) -> Floats:
    """Columns as ranks, standardised; NaN takes the median, a constant column is 0 throughout."""
    from scipy.stats import rankdata

    ranks = rankdata(_filled(values), axis=0)
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    found: Floats = np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)
    return found


def _filled(values: Floats) -> Floats:
    """NaN replaced by the column's median; 0 where a column has no value at all."""
    nothing = np.isnan(values).all(axis=0)
    known = np.where(nothing, 0.0, values)
    filled: Floats = np.where(np.isnan(known), np.nanmedian(known, axis=0), known)
    return filled


def clusters(rho: Floats, *, alike: float = ALIKE) -> list[list[int]]:
    """Sets of columns of which each two correlate by ``alike`` or more.

    Complete linkage on 1 - abs(rho), cut at 1 - ``alike``: the distance of two clusters is that of their
    unlikest columns, so that no chain of neighbours joins two that are unlike.

    Parameters
    ----------
    rho : ndarray of float64, shape (d, d)

    Returns
    -------
    list of list of int
        Each column in one; in the order of their first columns.

    Examples
    --------
    >>> clusters(np.array([[1.0, -0.9, 0.1], [-0.9, 1.0, 0.2], [0.1, 0.2, 1.0]]))
    [[0, 1], [2]]
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(rho) < 2:
        return [[i] for i in range(len(rho))]
    far = np.clip(1 - np.abs(rho), 0.0, 1.0).round(12)
    np.fill_diagonal(far, 0.0)
    code = fcluster(linkage(squareform(far, checks=False), "complete"), 1 - alike + 1e-9, "distance")
    found: dict[int, list[int]] = {}
    for i, one in enumerate(code.tolist()):
        found.setdefault(one, []).append(i)
    return sorted(found.values())


def _group_of(name: str) -> str:
    from extractors.zoo.design import GROUPS

    owner, _, own = name.partition("/")
    if owner == "design":
        return next((group for group, columns in GROUPS.items() if own in columns), owner)
    return owner


def _clustered(features: pd.DataFrame, readable: npt.NDArray[np.intp]) -> list[Unit]:
    names = list(features.columns)
    ranks = _ranked(features.to_numpy()[:, readable])
    rho = ranks.T @ ranks
    found = []
    for part in clusters(rho):
        middle = part[int(np.argmax(np.round(np.abs(rho[np.ix_(part, part)]).mean(axis=1), 9)))]
        name = str(names[readable[middle]])
        signs = tuple(1 if rho[middle, i] >= 0 else -1 for i in part)
        found.append(Unit("cluster", name, _group_of(name), tuple(readable[part].tolist()), signs))
    return found


def units(features: pd.DataFrame) -> tuple[Unit, ...]:
    """Every unit of every level, in the order of `LEVELS` and of the columns.

    Parameters
    ----------
    features : DataFrame of float64, shape (n, d)
        Columns named ``extractor/column``; of the rows from which clusters are made.
    """
    names = [str(name) for name in features.columns]
    closed = opaque(names)
    readable = np.flatnonzero(~closed)
    found = [Unit("column", names[i], _group_of(names[i]), (i,), (1,)) for i in readable.tolist()]
    owner = np.array([name.partition("/")[0] for name in names])
    for one in dict.fromkeys(owner[closed].tolist()):
        columns = np.flatnonzero(closed & (owner == one))
        found.append(Unit("block", one, one, tuple(columns.tolist()), ()))
    if len(readable):
        found += _clustered(features, readable)
    place = {name: i for i, name in enumerate(names)}
    for hypothesis, signs in HYPOTHESES.items():
        own = {place[f"design/{c}"]: sign for c, sign in signs.items() if f"design/{c}" in place}
        if own:
            there = tuple(sorted(own))
            found.append(Unit("hypothesis", hypothesis, "design", there, tuple(own[i] for i in there)))
    return tuple(found)


def players(parts: Sequence[Unit]) -> tuple[Unit, ...]:
    """Columns and blocks: they hold every column once."""
    return tuple(one for one in parts if one.level in ("column", "block"))


def members(parts: Sequence[Unit], n_columns: int) -> Floats:
    """Which columns each unit has, shape (units, d), 0 or 1."""
    found = np.zeros((len(parts), n_columns))
    for row, one in zip(found, parts, strict=True):
        row[list(one.columns)] = 1.0
    return found


def axes(values: Floats, parts: Sequence[Unit]) -> Floats:
    """How much of each unit a row has: the signed mean of its standardised columns, shape (n, units).

    0 throughout for a unit without signs.
    """
    filled = _filled(values)
    spread = filled.std(axis=0)
    scaled = (filled - filled.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    found = np.zeros((len(values), len(parts)))
    for i, one in enumerate(parts):
        if one.signs:
            found[:, i] = scaled[:, list(one.columns)] @ np.array(one.signs) / len(one.signs)
    return found
