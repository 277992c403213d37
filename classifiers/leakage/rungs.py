"""Ways to keep pictures together, each coarser than the one before.

Owns the rungs of the ladder: single pictures, near-duplicates, characters, series, and what is said where the
data do not know one. Refuses to know heads, folds and scores.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from featurestore.duplicates import UnionFind

__all__ = ["RUNGS", "Rung", "rungs"]

Codes = npt.NDArray[np.intp]

#: Finest first.
RUNGS: Final = ("image-wise", "near-duplicate-wise", "character-wise", "series-wise")


@dataclass(frozen=True)
class Rung:
    """One way to keep pictures together.

    Attributes
    ----------
    name : str
        One of `RUNGS`.
    groups : ndarray of intp, shape (n,)
        Of all rows of the study; -1 where a row takes no part.
    reason : str
        Why it is no rung of its own; empty if it is one.
    note : str
        Of how many pictures nothing is known.
    """

    name: str
    groups: Codes
    reason: str = ""
    note: str = ""

    @property
    def what(self) -> str:
        """What a group of this rung is."""
        return self.name.removesuffix("-wise")


def _owners(study: Study, rows: Codes) -> dict[str, list[Hashable]]:
    """Near-duplicate cluster, character and series of each row; an empty text where it is not known."""
    series, character, cluster = (
        study.index[name].to_numpy()[rows].tolist() for name in ("series", "character", "cluster")
    )
    named: list[Hashable] = [c and (s, c) for s, c in zip(series, character, strict=True)]
    return {RUNGS[1]: cluster, RUNGS[2]: named, RUNGS[3]: series}


def rungs(study: Study, rows: Codes) -> list[Rung]:
    """The four rungs, finest first, each joining what the one before joins.

    Where the study was split by series (or character), its own groups are joined on that rung: copies of one
    picture in two series make one group of both.

    Parameters
    ----------
    rows : ndarray of intp
        Which take part.
    """
    sets = UnionFind(len(rows))
    below, before = RUNGS[0], len(rows)
    found = [Rung(below, _placed(study, rows, sets))]
    for name, owners in _owners(study, rows).items():
        what = name.removesuffix("-wise")
        own = study.groups[rows].tolist() if study.split_kind.startswith(f"split by {what}") else []
        for tag, names in (("owner", owners), ("group", own)):
            first: dict[Hashable, int] = {}
            for i, one in enumerate(names):
                if one:
                    sets.join(first.setdefault((tag, one), i), i)
        n_sets, n_known = len(set(sets.roots())), sum(map(bool, owners))
        reason = note = ""
        if n_sets == before:
            reason = f"{_no_more(what, n_known, alone=n_sets == len(rows))}: same as {below}"
        elif n_known < len(rows) and what != "near-duplicate":
            note = f"{len(rows) - n_known} images have no {what}"
        found.append(Rung(name, _placed(study, rows, sets), reason, note))
        below, before = (below if reason else name), n_sets
    return found


def _no_more(what: str, n_known: int, *, alone: bool) -> str:
    """Why a rung joins nothing that the one before does not."""
    if what == "near-duplicate":
        return "no near-duplicates"
    if not n_known:
        return f"no {what} is known"
    return f"no {what} has two pictures" if alone else f"no {what} keeps more together"


def _placed(study: Study, rows: Codes, sets: UnionFind) -> Codes:
    """Groups of all rows; numbered as the study's own are where they are the same, so that folds are too."""
    groups = np.full(len(study.keys), -1, dtype=np.intp)
    roots = np.array(sets.roots())
    _, own = np.unique(study.groups[rows], return_inverse=True)
    n_both = len(np.unique(np.stack([roots, own], axis=1), axis=0))
    same = n_both == len(np.unique(roots)) == int(own.max()) + 1
    groups[rows] = own if same else roots
    return groups
