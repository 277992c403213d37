"""Which rows a head is fitted on and which it is scored on.

Owns the grouped folds, drawn anew as often as wanted, and the checks in front of them. Refuses to know
features and heads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.errors import SplitError

__all__ = ["Fold", "check_classes", "check_foldable", "grouped_folds", "inner_folds", "repeated_folds"]

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Fold:
    """Rows that a head is fitted on, and rows that it is scored on.

    Attributes
    ----------
    repeat : int
        Which drawing of the folds, from 0.
    number : int
        Which fold of that drawing, from 0.
    fitted, scored : ndarray of intp
        Positions of rows; no group is in both.
    """

    repeat: int
    number: int
    fitted: Rows
    scored: Rows


def check_classes(labels: npt.NDArray[Any], classes: tuple[str, ...], *, where: str) -> None:
    """Refuse rows in which a class is missing, or has one picture: no head can learn from one.

    Parameters
    ----------
    classes : tuple of str
        The classes of the whole data set.
    where : str
        What the rows are, for the error: ``"the train split"``.

    Raises
    ------
    SplitError
    """
    if len(classes) < 2:
        raise SplitError(
            f"only one class ({', '.join(classes) or 'none'}) in dataset.csv; a head needs two: add a folder "
            "of pictures beside data/images/<label>/, then run: dvc repro"
        )
    counts = Counter(labels.tolist())
    for n, said in ((0, "no picture"), (1, "a single picture")):
        scarce = [name for name in classes if counts[name] == n]
        if scarce:
            raise SplitError(
                f"{where} has {said} of class {', '.join(scarce)} ({len(labels)} pictures in all); "
                "add pictures in further groups, or set data.group: none in params.yaml, then run: dvc repro"
            )


def check_foldable(labels: npt.NDArray[Any], groups: npt.NDArray[Any], folds: int) -> None:
    """Refuse a class that has fewer images or groups than there are folds.

    Raises
    ------
    SplitError
        Naming the class, its numbers and the next step.
    """
    for name in np.unique(labels).tolist():
        of_class = labels == name
        n_images, n_groups = int(of_class.sum()), len(np.unique(groups[of_class]))
        if min(n_images, n_groups) < folds:
            raise SplitError(
                f"class {name!r} has {n_images} images in {n_groups} groups in train and val, fewer than "
                f"cv.folds = {folds}; lower cv.folds or add pictures of further groups"
            )


def grouped_folds(
    labels: npt.NDArray[Any], groups: npt.NDArray[Any], *, folds: int, seed: int
) -> list[tuple[Rows, Rows]]:
    """Seeded stratified folds that never split a group.

    Returns
    -------
    list of (fitted, scored)
        Positions in ``labels``; every position is scored once.

    Raises
    ------
    SplitError
        If a class is too small, or groups are so uneven that a fold would be empty, or be fitted on
        fewer than two pictures of a class.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    check_foldable(labels, groups, folds)
    if len(np.unique(groups)) == len(groups):  # the same task, without its cost of rows times groups
        plain = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed)
        found = list(plain.split(labels, labels))
    else:
        whole = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
        found = list(whole.split(labels, labels, groups))
    for number, (fitted, scored) in enumerate(found, start=1):
        counts = Counter(labels[fitted].tolist())
        scarce = [name for name in np.unique(labels).tolist() if counts[name] < 2]
        if len(scored) == 0 or scarce:
            said = f"be fitted on fewer than two pictures of class {scarce[0]!r}" if scarce else "score none"
            raise SplitError(
                f"fold {number} of {folds} would {said}: the groups are too uneven; "
                "lower cv.folds or add pictures of further groups"
            )
    return found


def repeated_folds(
    labels: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    rows: Rows,
    *,
    folds: int,
    repeats: int,
    seed: int,
) -> list[Fold]:
    """`grouped_folds` of some rows, drawn ``repeats`` times.

    Parameters
    ----------
    labels, groups : ndarray, shape (n,)
        Of all rows.
    rows : ndarray of intp
        Which of them take part; the folds name positions among all.
    seed : int
        Each drawing has its own seed, made of this and its number.

    Raises
    ------
    SplitError
    """
    seeds = np.random.SeedSequence(seed).generate_state(repeats)
    return [
        Fold(repeat, number, rows[fitted], rows[scored])
        for repeat, one in enumerate(seeds.tolist())
        for number, (fitted, scored) in enumerate(
            grouped_folds(labels[rows], groups[rows], folds=folds, seed=one)
        )
    ]


def inner_folds(
    codes: npt.NDArray[Any], groups: npt.NDArray[Any] | None, *, seed: int, folds: int = 5
) -> list[tuple[Rows, Rows]]:
    """Folds inside the rows that a head is fitted on, for what it tunes there.

    Groups stay whole, as outside. Fewer folds where a class has fewer groups; where a class has one
    group only (or there are no groups) the folds are stratified by class alone, two of them at least.

    Parameters
    ----------
    codes : ndarray, shape (n,)
        Classes.
    groups : ndarray, shape (n,), or None

    Raises
    ------
    ValueError
        If a class has a single row.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    counts = [int((codes == code).sum()) for code in np.unique(codes)]
    if min(counts) < 2:
        raise ValueError("a class has one row; what is tuned by folds needs 2 of each class")
    if groups is not None:
        n_groups = min(len(np.unique(groups[codes == code])) for code in np.unique(codes))
        if n_groups >= 2:
            splitter = StratifiedGroupKFold(min(folds, n_groups), shuffle=True, random_state=seed)
            found = list(splitter.split(codes, codes, groups))
            classes = len(np.unique(codes))
            if all(len(scored) and len(np.unique(codes[fitted])) == classes for fitted, scored in found):
                return found
    plain = StratifiedKFold(min(folds, *counts), shuffle=True, random_state=seed)
    return list(plain.split(codes, codes))
