"""What no head should be given, refused before any head sees it.

Forests and boosted trees take NaN, constants and single classes in silence, so every head stands
behind the same checks. Owns those of rows and of the table beside them. Refuses to know heads, folds
(``splits``) and how files are read (``data``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from featurestore import plugins
from featurestore.columns import parts
from featurestore.errors import DataError, NonFiniteRow, SplitError
from featurestore.rows import block_columns
from featurestore.spec import Status
from featurestore.split import SPLITS

if TYPE_CHECKING:
    from featurestore.rows import Statuses, Values

__all__ = ["check_groups", "check_rows", "check_table"]

log = logging.getLogger(__name__)

Texts = npt.NDArray[Any]

#: From so many columns on, a row of nothing but zeros is no measurement.
_ZERO_COLUMNS: Final = 16

#: Rows that are looked at together.
_ROWS: Final = 4096


def check_table(text: Mapping[str, Texts], where: Path) -> None:
    """Refuse an index whose rows have no label, or a split that nobody would look at.

    Parameters
    ----------
    text : mapping of str to ndarray of str, shape (n,)
        ``label``, ``split`` and ``path``, among others.
    where : Path
        The file, for errors.

    Raises
    ------
    DataError
        Naming the picture.
    """
    for name, fine in (("label", text["label"] != ""), ("split", np.isin(text["split"], SPLITS))):
        if not fine.all():
            row = int(np.argmin(fine))
            raise DataError(
                f"{where}: {text['path'][row]} has the {name} {str(text[name][row])!r} "
                f"({int((~fine).sum())} such rows); run: dvc repro -sf index && dvc repro"
            )


def check_groups(groups: Texts, splits: Texts, where: Path) -> None:
    """What was seen in training must not come back in val or test as another picture of its group.

    Raises
    ------
    SplitError
        Naming the group.
    """
    order = np.lexsort((splits, groups))
    group, split = groups[order], splits[order]
    torn = (group[1:] == group[:-1]) & (split[1:] != split[:-1])
    if torn.any():
        first = int(np.flatnonzero(torn)[0])
        raise SplitError(
            f"{where}: group {str(group[first])!r} stands in {split[first]} and in {split[first + 1]}; "
            "run: dvc repro -sf index && dvc repro"
        )


def check_rows(
    values: Values,
    status: Statuses,
    columns: Sequence[str],
    blocks: Sequence[str],
    *,
    paths: Texts,
    where: Path,
) -> None:
    """Refuse rows that say they are ok and are not, and columns of which no head could learn.

    Columns that never vary are named in a warning.

    Parameters
    ----------
    values : ndarray of float32, shape (n, d)
    status : ndarray of uint8, shape (n, b)
    columns : sequence of str
        Names of the d columns.
    blocks : sequence of str
        Names of the b extractors.
    paths : ndarray of str, shape (n,)
        Of the pictures, for errors.
    where : Path
        The store, for errors.

    Raises
    ------
    NonFiniteRow
        NaN in a row whose status is ok, or infinity anywhere.
    DataError
        A row that is ok and 0 in every column of an extractor of many; or no column varies.
    """
    masks = block_columns(columns, blocks)
    _check_finite(values, status, columns, blocks, masks, paths, where)
    for i, (block, mask) in enumerate(zip(blocks, masks, strict=True)):
        if mask.sum() >= _ZERO_COLUMNS:
            part = values if mask.all() else values[:, mask]
            _check_zeros(part, status[:, i] == Status.OK, block, paths, where)
    _check_varying(values, columns, where)


def _mend(block: str) -> str:
    """The next step where an extractor's rows are wrong."""
    if block in plugins.listing("extractors.zoo"):
        return f"run: dvc repro -sf extract@{block} && dvc repro"
    said = "mend the rows where they come from, then run"
    return f"{said}: python -m featurestore import {block} FILE && dvc repro"


def _check_finite(
    values: Values,
    status: Statuses,
    columns: Sequence[str],
    blocks: Sequence[str],
    masks: Sequence[npt.NDArray[np.bool_]],
    paths: Texts,
    where: Path,
) -> None:
    """Infinity is nowhere right; NaN is the sign of a row that is not ok."""
    found: list[tuple[int, int]] = []
    for part in parts(len(values), _ROWS):
        some = values[part]
        bad = ~np.isfinite(some)
        if not bad.any():
            continue
        for i, mask in enumerate(masks):
            fine = status[part, i] == Status.OK
            bad &= np.isinf(some) | ~mask | fine[:, None]
        rows = np.flatnonzero(bad.any(axis=1))
        found += zip((rows + part.start).tolist(), bad[rows].argmax(axis=1).tolist(), strict=True)
    if found:
        row, column = found[0]
        owner = next(block for block, mask in zip(blocks, masks, strict=True) if mask[column])
        raise NonFiniteRow(
            f"{where}: the row of {paths[row]} says ok and holds {values[row, column]} in {columns[column]} "
            f"({len(found)} such rows); {_mend(owner)}"
        )


def _check_zeros(values: Values, fine: npt.NDArray[np.bool_], block: str, paths: Texts, where: Path) -> None:
    zero = fine & ~values.any(axis=1)
    if zero.any():
        raise DataError(
            f"{where}: the row of {paths[np.argmax(zero)]} says ok and is 0 in all {values.shape[1]} columns "
            f"of {block} ({zero.sum()} such rows): so some tools leave a picture that failed; {_mend(block)}"
        )


def _check_varying(values: Values, columns: Sequence[str], where: Path) -> None:
    varies = np.fmin.reduce(values, axis=0) < np.fmax.reduce(values, axis=0)  # NaN aside; all NaN: not
    if not varies.any():
        raise DataError(
            f"{where}: none of its {len(columns)} columns varies over the {len(values)} images: "
            "there is nothing to learn; choose other features in params.yaml, then run: dvc repro"
        )
    constant = [columns[i] for i in np.flatnonzero(~varies).tolist()]
    if constant:
        more = f" and {len(constant) - 3} more" if len(constant) > 3 else ""
        named = ", ".join(constant[:3]) + more
        log.warning("%s: never varies over the %d images, and tells nothing: %s", where, len(values), named)
