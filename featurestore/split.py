"""Train, val and test: whole groups, stratified by label, seeded.

Owns the assignment and the check that no group spans two splits. Refuses to know where groups come
from.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from featurestore.columns import Codes
from featurestore.errors import SplitError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["SPLITS", "assign_splits", "check_splits"]

SPLITS = ("train", "val", "test")


def assign_splits(
    labels: Sequence[str], groups: Sequence[str], shares: Mapping[str, float], *, method: str, seed: int
) -> Codes:
    """Which split each image belongs to.

    Parameters
    ----------
    labels, groups : sequence of str, length n
    shares : mapping
        Share of the images for each of `SPLITS`; they sum to 1.
    method : {"stratified", "hash"}
        ``stratified`` balances labels, and adding images may move groups; ``hash`` looks at nothing
        but the group's name and the seed, so a group never moves.
    seed : int

    Raises
    ------
    SplitError
        If a split is left without a class.
    """
    names, group_of = _coded(groups).ranked()
    if method == "hash":
        of_group = [_by_hash(name, shares, seed) for name in names]
    else:
        of_group = _stratified(_coded(labels).ranked()[1], group_of, shares, seed)
    splits = Codes.of(of_group).taken(group_of)
    check_splits(labels, groups, splits)
    return splits


def _coded(column: Sequence[str]) -> Codes:
    return column if isinstance(column, Codes) else Codes.of(column)


def _by_hash(group: str, shares: Mapping[str, float], seed: int) -> str:
    digest = hashlib.sha256(f"{seed}:{group}".encode("utf-8", "surrogateescape")).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64
    edge = 0.0
    for split in SPLITS:
        edge += shares[split]
        if point < edge:
            return split
    return SPLITS[-1]


def _stratified(
    class_of: npt.NDArray[np.int32],
    group_of: npt.NDArray[np.int32],
    shares: Mapping[str, float],
    seed: int,
) -> list[str]:
    """Split of each group: large ones first, each to where it brings shares of classes nearest."""
    import numpy as np

    n_groups, n_classes = int(group_of.max()) + 1, int(class_of.max()) + 1
    counts = np.zeros((n_groups, n_classes))
    np.add.at(counts, (group_of, class_of), 1)
    fractions = counts / counts.sum(axis=0)
    target = np.array([shares[s] for s in SPLITS])[:, None]
    filled = np.zeros((len(SPLITS), n_classes))
    shuffled = np.random.default_rng(seed).permutation(n_groups)
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    chosen = [""] * n_groups
    for i in order.tolist():
        after = np.square(filled + fractions[i] - target) - np.square(filled - target)
        best = int(np.argmin(after.sum(axis=1)))
        filled[best] += fractions[i]
        chosen[i] = SPLITS[best]
    return chosen


def check_splits(labels: Sequence[str], groups: Sequence[str], splits: Sequence[str]) -> None:
    """Whether each split holds each class and no group spans two splits.

    Raises
    ------
    SplitError
    """
    home: dict[str, str] = {}
    for group, split in zip(groups, splits, strict=True):
        if home.setdefault(group, split) != split:
            raise SplitError(f"group {group!r} stands in {home[group]} and in {split}; run: dvc repro index")
    present = Counter(zip(labels, splits, strict=True))
    groups_of: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        groups_of.setdefault(label, set()).add(group)
    for label in sorted(groups_of):
        empty = [s for s in SPLITS if not present[label, s]]
        if empty:
            n_images = sum(present[label, s] for s in SPLITS)
            raise SplitError(
                f"class {label!r} ({n_images} images in {len(groups_of[label])} groups) leaves"
                f" {', '.join(empty)} without an image; add pictures or groups, or change split.*"
            )
