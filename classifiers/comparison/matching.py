"""Which rows of two predictions belong together.

Owns the choice of the split, of the images that are compared, and of the groups; and the refusal of two
that cannot be compared. Refuses to know files, revisions and how a difference is reckoned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.comparison.stored import Part, Stored
from classifiers.metrics import Judged
from classifiers.resampling import Pair
from featurestore.errors import DataError, UsageError

__all__ = ["Match", "match"]

Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Match:
    """Two sides, image by image.

    Attributes
    ----------
    split : {"cv", "val"}
    pair : Pair
    notes : tuple of str
        Why it is not cv, and what was left out; empty if neither.
    """

    split: str
    pair: Pair
    notes: tuple[str, ...]


def _chosen(before: Stored, after: Stored, on: str | None) -> tuple[str, str]:
    """The split to compare on, and why it is not cv; empty if it is, or was asked for."""
    both = [split for split in ("cv", "val") if split in before.parts and split in after.parts]
    if on is not None and on not in both:
        lacking = [one.where for one in (before, after) if on not in one.parts]
        raise UsageError(f"diff --on {on}: {' and '.join(lacking)} has no such predictions")
    if not both:
        raise DataError(
            f"{before.where} and {after.where}: one has cv alone, the other val; nothing to compare"
        )
    if on is not None or both[0] == "cv":
        return on or "cv", ""
    lacking = [one.where for one in (before, after) if "cv" not in one.parts]
    return "val", f"on val, since {' and '.join(lacking)} has no cv: an extractor learned from train"


def _shared(before: Part, after: Part, whose: Sequence[str], *, common: bool) -> tuple[list[str], str]:
    """Keys to compare, and what was left out; empty if nothing was.

    Raises
    ------
    DataError
        If the images are others and ``common`` is not set, if none is common, or if one has two labels.
    """
    first, second = set(before.keys), set(after.keys)
    keys = sorted(first & second)
    if not keys:
        raise DataError(
            f"{whose[0]} and {whose[1]} have no image in common, so that there is nothing to "
            "compare; commit these results first (git commit -a), and compare what comes after with them"
        )
    labels = dict(zip(before.keys, before.labels, strict=True))
    other = [k for k, label in zip(after.keys, after.labels, strict=True) if labels.get(k, label) != label]
    if other:
        raise DataError(
            f"{len(other)} images have another label in {whose[1]} than in {whose[0]}, the first "
            f"{other[0][:12]}: what is right in one is wrong in the other, they cannot be compared"
        )
    if first == second:
        return keys, ""
    said = f"{len(first - second)} images are only in {whose[0]}, {len(second - first)} only in {whose[1]}"
    if not common:
        raise DataError(
            f"{said}: other pictures, or another split; to compare the {len(keys)} that both have: --common"
        )
    return keys, f"only the {len(keys)} images that both have: {said}"


def _joined_groups(first: Sequence[str], second: Sequence[str]) -> Codes:
    """Groups of images that either side takes for one, and what hangs together by such."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, a = np.unique(np.asarray(first), return_inverse=True)
    two, b = np.unique(np.asarray(second), return_inverse=True)
    n = len(one) + len(two)
    links = coo_array((np.ones(len(a)), (a, b + len(one))), shape=(n, n))
    _, code = connected_components(links, directed=False)
    _, groups = np.unique(code[a], return_inverse=True)
    return np.asarray(groups, dtype=np.intp)


def _judged(part: Part, at: Codes, truth: Codes, positive: int) -> Judged:
    """One side's rows of some images, repeat by repeat."""
    repeats, n_classes = len(part.fold), part.proba.shape[2]
    return Judged(
        np.tile(truth, repeats),
        part.predicted[:, at].ravel(),
        part.proba[:, at].reshape(-1, n_classes),
        positive,
        part.fold[:, at].ravel(),
        repeats,
        part.folds,
    )


def _pair(stored: Sequence[Stored], parts: Sequence[Part], keys: Sequence[str]) -> Pair:
    """Both sides' rows of the keys; the positive class is the second's."""
    rows = [np.searchsorted(np.asarray(part.keys), np.asarray(keys)) for part in parts]
    classes = stored[1].classes
    truth = np.array([classes.index(parts[1].labels[i]) for i in rows[1]], dtype=np.intp)
    groups = [[part.groups[i] for i in at] for part, at in zip(parts, rows, strict=True)]
    positive = classes.index(stored[1].positive)
    before, after = (_judged(part, at, truth, positive) for part, at in zip(parts, rows, strict=True))
    return Pair(before, after, _joined_groups(*groups))


def match(before: Stored, after: Stored, *, common: bool, on: str | None) -> Match:
    """Lay two sides' answers to the same images beside each other.

    Parameters
    ----------
    common : bool
        Whether images that one side alone has may be left out.
    on : {"cv", "val"} or None
        None = cv where both have it, else val.

    Raises
    ------
    DataError
        If images, labels or classes are others.
    UsageError
        If a side has no rows ``on`` that split.
    """
    if before.classes != after.classes:
        one, other = (", ".join(side.classes) for side in (before, after))
        raise DataError(
            f"{before.where} has the classes {one}; {after.where} has {other}: they cannot be compared"
        )
    split, why = _chosen(before, after, on)
    parts = (before.parts[split], after.parts[split])
    keys, left_out = _shared(*parts, (before.where, after.where), common=common)
    return Match(split, _pair((before, after), parts, keys), tuple(filter(None, (why, left_out))))
