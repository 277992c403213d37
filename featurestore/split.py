"""Train, val and test: whole groups, stratified by label, seeded.

Owns the assignment and the check that no group spans two splits. Refuses to know where groups come
from.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from featurestore.errors import SplitError

__all__ = ["SPLITS", "assign_splits", "check_splits"]

SPLITS = ("train", "val", "test")


def assign_splits(
    labels: Sequence[str], groups: Sequence[str], shares: Mapping[str, float], *, method: str, seed: int
) -> list[str]:
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
    if method == "hash":
        of_group = {g: _by_hash(g, shares, seed) for g in set(groups)}
    else:
        of_group = _stratified(labels, groups, shares, seed)
    splits = [of_group[g] for g in groups]
    check_splits(labels, groups, splits)
    return splits


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
    labels: Sequence[str], groups: Sequence[str], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Large groups first, each to the split that it brings nearest to its share of every class."""
    import numpy as np

    names, classes = sorted(set(groups)), sorted(set(labels))
    group_of = {g: i for i, g in enumerate(names)}
    class_of = {c: j for j, c in enumerate(classes)}
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, ([group_of[g] for g in groups], [class_of[c] for c in labels]), 1)
    fractions = counts / counts.sum(axis=0)
    target = np.array([shares[s] for s in SPLITS])[:, None]
    filled = np.zeros((len(SPLITS), len(classes)))
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    chosen: dict[str, str] = {}
    for i in order:
        after = np.square(filled + fractions[i] - target) - np.square(filled - target)
        best = int(np.argmin(after.sum(axis=1)))
        filled[best] += fractions[i]
        chosen[names[i]] = SPLITS[best]
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
