"""Which rows a head is fitted on and which it is scored on.

Owns the grouped folds and the checks in front of them. Refuses to know features and heads.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.errors import SplitError

__all__ = ["check_classes", "check_foldable", "grouped_folds"]

Rows = npt.NDArray[np.intp]


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
                f"evaluation.folds = {folds}; lower evaluation.folds or add pictures of further groups"
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
    from sklearn.model_selection import StratifiedGroupKFold

    check_foldable(labels, groups, folds)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    found = [(fitted, scored) for fitted, scored in splitter.split(labels, labels, groups)]
    for number, (fitted, scored) in enumerate(found, start=1):
        counts = Counter(labels[fitted].tolist())
        scarce = [name for name in np.unique(labels).tolist() if counts[name] < 2]
        if len(scored) == 0 or scarce:
            said = f"be fitted on fewer than two pictures of class {scarce[0]!r}" if scarce else "score none"
            raise SplitError(
                f"fold {number} of {folds} would {said}: the groups are too uneven; "
                "lower evaluation.folds or add pictures of further groups"
            )
    return found
