"""Predictions that were written, read back: ``results/predictions.csv``, every cell checked.

Owns the refusal of a file that `classifiers.predictions.predictions_csv` cannot have written. Refuses to
know where the file comes from, and measures.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from featurestore.documents import json_values, shown
from featurestore.errors import DataError

__all__ = ["Part", "Stored", "read_stored"]

_COLUMNS = ["key", "path", "group", "split", "repeat", "fold", "label", "predicted"]
_SPLITS = ("cv", "val")
_KEY = re.compile("[0-9a-f]{64}")
#: Of a sum of probabilities that were rounded to six decimals each.
_TOLERANCE = 1e-3

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """The rows of ``cv``, or of ``val``; the images stand in the order of their keys in each repeat.

    Attributes
    ----------
    keys, groups, labels : tuple of str, length n
    predicted : ndarray of intp, shape (repeats, n)
        Codes of classes.
    proba : ndarray of float64, shape (repeats, n, k)
    fold : ndarray of intp, shape (repeats, n)
        Counted through all repeats; 0 throughout where one head scored all.
    folds : int
        Of one repeat; 1 = one head.
    """

    keys: tuple[str, ...]
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    predicted: Codes
    proba: Floats
    fold: Codes
    folds: int


@dataclass(frozen=True)
class Stored:
    """What a revision's head said.

    Attributes
    ----------
    where : str
        The revision, for a reader.
    head, positive : str
    classes : tuple of str
    parts : mapping of str to Part
        ``"cv"`` and ``"val"``, those that are there.
    digest : str
        Sha256 of the file.
    """

    where: str
    head: str
    positive: str
    classes: tuple[str, ...]
    parts: Mapping[str, Part]
    digest: str


@dataclass(frozen=True)
class _Row:
    key: str
    group: str
    split: str
    repeat: int
    fold: int | None
    label: str
    predicted: str
    proba: tuple[float, ...]


def _refuse(where: str, what: str) -> NoReturn:
    raise DataError(f"{where}: results/predictions.csv: {what}; run: dvc repro")


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"{shown(text)} is no number of a repeat or fold")
    return int(text)


def _row(cells: Sequence[str], classes: tuple[str, ...]) -> _Row:
    """One line of the file.

    Raises
    ------
    ValueError
        Saying what is wrong.
    """
    if len(cells) != len(_COLUMNS) + len(classes):
        raise ValueError("it is longer or shorter than the header")
    key, _, group, split, repeat, fold, label, predicted = cells[: len(_COLUMNS)]
    if not _KEY.fullmatch(key):
        raise ValueError(f"{shown(key)} is no key")
    if split not in _SPLITS:
        raise ValueError(f"{shown(split)} is neither cv nor val")
    if (split == "val") != (fold == ""):
        raise ValueError("a row of cv has a fold, one of val none")
    for name in (label, predicted):
        if name not in classes:
            raise ValueError(f"{shown(name)} is no class that has a column")
    proba = tuple(map(float, cells[len(_COLUMNS) :]))
    if not all(map(math.isfinite, proba)) or min(proba) < 0 or abs(sum(proba) - 1) > _TOLERANCE:
        raise ValueError("the probabilities are not finite, negative, or do not sum to 1")
    number = _number(fold) if fold else None
    return _Row(key, group, split, _number(repeat), number, label, predicted, proba)


def _table(data: bytes, where: str) -> tuple[tuple[str, ...], list[_Row]]:
    """Classes and rows."""
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        _refuse(where, f"no CSV ({error})")
    header = lines[0] if lines else []
    named = header[len(_COLUMNS) :]
    classes = tuple(name.removeprefix("p_") for name in named)
    if header[:2] == ["key", "path"] and "repeat" not in header:
        _refuse(where, "an earlier version of kyara wrote it, which knew no repeats")
    if header[: len(_COLUMNS)] != _COLUMNS or not all(name.startswith("p_") for name in named):
        _refuse(where, f"its columns are {shown(', '.join(header))}, not {', '.join(_COLUMNS)}, p_...")
    if len(set(classes)) != len(classes) or len(classes) < 2:
        _refuse(where, f"it has {len(set(classes))} classes in {len(classes)} columns")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        try:
            rows.append(_row(cells, classes))
        except ValueError as error:
            _refuse(where, f"row {number}: {error}")
    return classes, rows


def _repeats(rows: Sequence[_Row], where: str) -> list[list[_Row]]:
    """Rows of one split by repeat, by key; each repeat has the same images, and folds of its own."""
    repeats: dict[int, dict[str, _Row]] = {}
    for row in rows:
        of_repeat = repeats.setdefault(row.repeat, {})
        if row.key in of_repeat:
            _refuse(where, f"{row.key[:12]} stands twice in repeat {row.repeat} of {row.split}")
        of_repeat[row.key] = row
    first = repeats.get(0, {})
    if sorted(repeats) != list(range(len(repeats))):
        _refuse(where, f"the repeats of {rows[0].split} do not count from 0")
    for number, of_repeat in repeats.items():
        if of_repeat.keys() != first.keys():
            _refuse(where, f"repeat {number} of {rows[0].split} has other images than repeat 0")
        for key, row in of_repeat.items():
            if (row.label, row.group) != (first[key].label, first[key].group):
                _refuse(where, f"{key[:12]} has two labels or two groups")
    return [[repeats[number][key] for key in sorted(first)] for number in range(len(repeats))]


def _folds(repeats: Sequence[Sequence[_Row]], where: str) -> int:
    """How many folds a repeat has."""
    found = [{row.fold for row in rows} for rows in repeats]
    if len(set().union(*found)) != sum(map(len, found)) or len(set(map(len, found))) != 1:
        _refuse(where, "a fold is of two repeats, or the repeats have other numbers of folds")
    return len(found[0])


def _part(rows: Sequence[_Row], classes: tuple[str, ...], where: str) -> Part:
    repeats = _repeats(rows, where)
    code = {name: i for i, name in enumerate(classes)}
    return Part(
        tuple(row.key for row in repeats[0]),
        tuple(row.group for row in repeats[0]),
        tuple(row.label for row in repeats[0]),
        np.array([[code[row.predicted] for row in one] for one in repeats], dtype=np.intp),
        np.array([[row.proba for row in one] for one in repeats], dtype=np.float64),
        np.array([[row.fold or 0 for row in one] for one in repeats], dtype=np.intp),
        _folds(repeats, where),
    )


def read_stored(predictions: bytes, metrics: bytes, where: str) -> Stored:
    """The predictions of a revision, and whose they are.

    Parameters
    ----------
    predictions, metrics : bytes
        ``results/predictions.csv`` and ``results/metrics.json``.
    where : str
        The revision, for a reader and for errors.

    Raises
    ------
    DataError
        If a cell of them cannot be.
    """
    classes, rows = _table(predictions, where)
    try:
        document = json_values(metrics)
        head, positive = document["head"], document["positive"]
        if not isinstance(head, str) or positive not in classes:
            raise ValueError("head or positive is none")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{where}: results/metrics.json does not go with the predictions ({error!r}); run: dvc repro"
        ) from None
    parts = {split: [row for row in rows if row.split == split] for split in _SPLITS}
    return Stored(
        where,
        head,
        positive,
        classes,
        {split: _part(of_split, classes, where) for split, of_split in parts.items() if of_split},
        hashlib.sha256(predictions).hexdigest(),
    )
