"""Labels exchanged so that their link with design is cut and their link with the group is kept.

Owns who may take whose label, the draws of exchanged labels, and which pictures tell something of
recognition. Refuses to know features, heads and scores.

Groups are nested: series hold characters, characters hold near-duplicates, these hold pictures. Labels
move among siblings that hold one role each, and each sibling keeps one role:

- series of one role exchange roles with each other (those of a single picture among themselves);
- a series of several roles is opened: inside it characters of one role exchange roles, a character of
  several roles is opened in turn, and so down to single pictures.

**Kept**: whatever tells a group tells as much of the label as before. A group of one role has one role; the
characters of a mixed series have one role where they had one, and the series keeps its roles (exactly,
where what is exchanged is of one size). **Cut**: which of the groups of one role have which role, and which
pictures of a mixed series have which. **Not cut**: that mixed series hold different shares of the roles. If
they look their share, that stays, and counts as recognition.

A draw that happens to resemble the true labels would count design as recognition, and with twenty groups
most draws do so a little, in one direction or the other. So each draw is the one of `CANDIDATES` whose
roles depend least on the true ones (rerandomisation, Morgan & Rubin 2012). What comes out measures a level;
it is no null distribution, and no p-value may be read from it (Southworth, Kim & Owen 2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["CANDIDATES", "MIN_KIN", "Exchange", "Kin", "exchange", "exchanged_labels", "kin"]

Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

#: Exchanges drawn for each that is kept.
CANDIDATES: Final = 40

#: Below this many groups of a kind nothing is said of it.
MIN_KIN: Final = 5


@dataclass(frozen=True)
class Exchange:
    """Who may take whose label.

    Attributes
    ----------
    unit : ndarray of intp, shape (n,)
        What each picture moves with.
    pool : ndarray of intp, shape (n_units,)
        Units of one pool exchange labels.
    label : ndarray of intp, shape (n_units,)
        Code of the label that a unit holds.
    """

    unit: Codes
    pool: Codes
    label: Codes

    def draw(self, rng: np.random.Generator) -> Codes:
        """Codes of labels after one exchange, shape (n,)."""
        taken = np.empty_like(self.label)
        to = np.lexsort((rng.random(len(self.pool)), self.pool))
        taken[to] = self.label[np.argsort(self.pool, kind="stable")]
        return taken[self.unit]


@dataclass(frozen=True)
class Kin:
    """Pictures that something can be said of.

    Attributes
    ----------
    what : {"mixed", "one role", "both"}
    member : ndarray of bool, shape (n,)
    n_groups : int
    reason : str
        Why nothing can be said of them; empty if it can.
    """

    what: str
    member: Mask
    n_groups: int
    reason: str


def _codes(values: npt.NDArray[Any]) -> Codes:
    return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)


def _of_one_role(truth: Codes, group: Codes) -> Mask:
    """Whether each picture's group holds one role, shape (n,)."""
    low = np.full(int(group.max()) + 1, np.iinfo(np.intp).max)
    high = np.zeros_like(low)
    np.minimum.at(low, group, truth)
    np.maximum.at(high, group, truth)
    alike: Mask = (low == high)[group]
    return alike


def exchange(truth: Codes, levels: Sequence[npt.NDArray[Any]]) -> Exchange:
    """Units and pools of nested groups.

    Parameters
    ----------
    truth : ndarray of intp, shape (n,)
    levels : sequence of ndarray, shape (n,)
        Groups, coarsest first, each nested in the one before; pictures follow of themselves.

    Examples
    --------
    >>> series = np.array(["a", "a", "b", "b", "c", "c", "c"])
    >>> made = exchange(np.array([0, 0, 1, 1, 0, 1, 1]), [series])
    >>> made.unit.tolist(), made.pool.tolist(), made.label.tolist()
    ([0, 0, 1, 1, 2, 3, 4], [0, 0, 1, 1, 1], [0, 1, 0, 1, 1])
    """
    n = len(truth)
    names = np.zeros((n, 4), dtype=np.intp)  # depth, unit; depth and parent of the pool
    still = np.ones(n, dtype=bool)
    parent = np.zeros(n, dtype=np.intp)
    for depth, level in enumerate([*levels, np.arange(n)]):
        group = _codes(level)
        settled = still & _of_one_role(truth, group)
        if depth == 0:  # the kinds of groups that are judged apart stay apart
            parent = (np.bincount(group)[group] == 1).astype(np.intp)
        for column, value in enumerate((np.full(n, depth), group, np.full(n, depth), parent)):
            names[settled, column] = value[settled]
        still &= ~settled
        parent = group
    unit = _codes(names)
    first = np.unique(unit, return_index=True)[1]
    return Exchange(unit, _codes(names[first, 2:]), truth[first])


def _table(truth: Codes, kind: Codes, holds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share of each kind's pictures by true and drawn label.

    ``holds``, shape (n, k), has the drawn labels as rows of 0 and 1, or their chances.
    """
    row = kind * holds.shape[1] + truth
    table = np.stack([np.bincount(row, weights=column) for column in holds.T])
    size = np.bincount(kind).repeat(holds.shape[1])[: table.shape[1]]
    shares: npt.NDArray[np.float64] = table / np.maximum(1, size)
    return shares


def exchanged_labels(
    truth: Codes,
    levels: Sequence[npt.NDArray[Any]],
    *,
    n: int,
    min_images: int,
    rng: np.random.Generator,
) -> list[Codes]:
    """Draws of exchanged labels, each as free of the true ones as the best of `CANDIDATES`.

    Parameters
    ----------
    truth, levels
        As for `exchange`.
    n : int
        Draws wanted.
    min_images : int
        Each class keeps at least so many pictures (groups that change roles differ in size).

    Returns
    -------
    list of ndarray of intp, shape (n,)
        Empty where the classes are too small.
    """
    made, one_hot = exchange(truth, levels), np.eye(int(truth.max()) + 1)
    top = _codes(levels[0]) if levels else np.arange(len(truth))
    kind = _of_one_role(truth, top) + (np.bincount(top)[top] == 1).astype(np.intp)
    held = np.array([np.bincount(made.pool, weights=column) for column in one_hot[made.label].T]).T
    chances = (held / held.sum(1, keepdims=True)).astype(np.float64)
    usual = _table(truth, kind, chances[made.pool[made.unit]])
    kept = []
    for _ in range(n):
        drawn = [made.draw(rng) for _ in range(CANDIDATES)]
        fit = [one for one in drawn if np.bincount(one, minlength=len(one_hot)).min() >= min_images]
        if not fit:
            return []
        apart = [float(((_table(truth, kind, one_hot[one]) - usual) ** 2).sum()) for one in fit]
        kept.append(fit[int(np.argmin(np.round(apart, 12)))])
    return kept


def kin(truth: Codes, group: npt.NDArray[Any], classes: Sequence[str]) -> list[Kin]:
    """Pictures of groups of several roles, of one role and two pictures or more, and both.

    A group of one picture cannot be recognised and belongs to neither.

    Parameters
    ----------
    group : ndarray, shape (n,)
        The coarsest groups.
    """
    code = _codes(group)
    alone = np.bincount(code)[code] == 1
    alike = _of_one_role(truth, code)
    mixed, pure = ~alike, alike & ~alone
    absent = {
        "mixed": "no group holds two roles",
        "one role": "no group of one role has two pictures",
        "both": "no group has two pictures",
    }
    found = []
    for what, member in (("mixed", mixed), ("one role", pure), ("both", mixed | pure)):
        n_groups, roles = len(np.unique(code[member])), np.unique(truth[member])
        reason = ""
        if n_groups == 0:
            reason = absent[what]
        elif len(roles) == 1:
            reason = f"all these groups are {classes[roles[0]]}"
        elif n_groups < MIN_KIN:
            reason = f"{n_groups} such group{'s' * (n_groups != 1)}, fewer than {MIN_KIN}"
        found.append(Kin(what, member, n_groups, reason))
    return found
