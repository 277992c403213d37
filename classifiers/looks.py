"""How much was tried, how often the test split was looked at, and what that many tries gain by luck.

Owns ``logs/looks.csv``, the count of experiments in git, and the optimism of the best of several. The log
holds times and revisions, so it is no out of any stage and git ignores it. Refuses to know heads and
predictions: a head is a name here, and predictions are a digest.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from classifiers.history import METRICS, Experiments, count_experiments
from classifiers.tables import csv_text, number, rounded
from featurestore.documents import json_values, read_capped, shown
from featurestore.errors import DataError
from featurestore.files import write_text_atomic

__all__ = [
    "LOOK_COLUMNS",
    "Looks",
    "Report",
    "expected_max",
    "log_look",
    "optimism",
    "read_looks",
    "report",
    "standard_error",
]

_FIRST_COLUMNS: Final = ("time", "revision", "head", "predictions", "n", "groups", "accuracy", "auc")
#: A log without the standard errors is one of an earlier kyara; it is read, and kept.
LOOK_COLUMNS: Final = (*_FIRST_COLUMNS, "accuracy_se", "auc_se")

_MAX_LOG_BYTES: Final = 16 << 20
_CELLS: Final = {
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "predictions": re.compile("[0-9a-f]{64}"),
    "n": re.compile("[0-9]{1,9}"),
    "groups": re.compile("[0-9]{1,9}"),
}
#: Half the width of a normal's 95% interval, in standard errors.
_HALF: Final = 1.96


@dataclass(frozen=True)
class Looks:
    """The looks at the test split, oldest first.

    Attributes
    ----------
    rows : tuple of mapping of str to str
        By `LOOK_COLUMNS`; empty cells where something is not known.
    """

    rows: tuple[Mapping[str, str], ...]

    @property
    def n(self) -> int:
        """All of them."""
        return len(self.rows)

    @property
    def n_different(self) -> int:
        """Those at different predictions: the same model scored again shows nothing new."""
        return len({row["predictions"] for row in self.rows})

    def at_the_same_pictures(self) -> tuple[Looks, int]:
        """The looks at as many images and groups as the latest one, and how many there are beside them."""
        last = self.rows[-1]
        same = tuple(row for row in self.rows if all(row[k] == last[k] for k in ("n", "groups")))
        return Looks(same), len(self.rows) - len(same)

    @property
    def auc_se(self) -> float | None:
        """Standard error of the AUC, of the latest look that has one."""
        known = [row["auc_se"] for row in self.rows if row["auc_se"]]
        return float(known[-1]) if known else None


@dataclass(frozen=True)
class Report:
    """What was tried and looked at, and what the best of that many gains by luck.

    Attributes
    ----------
    log : Path
        Where the looks were read.
    cv_se : float or None
        Standard error of the AUC on ``cv``; None where ``why`` says why.
    why : str
    """

    experiments: Experiments
    looks: Looks
    log: Path
    cv_se: float | None
    why: str = ""

    def text(self) -> str:
        """For a terminal: a line for the experiments, one for test, what is not counted, a hint."""
        gone = "removed experiments, runs that were never committed, what was tried elsewhere, and"
        if self.experiments.shallow:
            gone = f"history that this shallow clone lacks, {gone}"
        return "\n".join(
            [
                f"experiments: {self._experiments()}",
                f"test split: {self._looks()}",
                f"not counted: {gone} the heads of the leaderboard, which corrects its own winner",
                "Choose by cv, and look at test once, when everything is chosen.",
            ]
        )

    def _experiments(self) -> str:
        e = self.experiments
        if e.reason:
            return f"cannot be counted ({e.reason})"
        if not e.n:
            return "no result yet; run: dvc repro"
        said = f"{_many(e.n, 'different result')} in this repository's history ({_many(e.n_heads, 'head')})"
        if e.n_others:
            said += f", and {e.n_others} on other pictures, left out"
        return f"{said}; {_luck(e.n, self.cv_se, self.why)}"

    def _looks(self) -> str:
        if not self.looks.n:
            return f"not looked at from here ({self.log})"
        looks, n_others = self.looks.at_the_same_pictures()
        n, different = looks.n, looks.n_different
        said = f"{_many(n, 'look')} from here ({self.log})"
        if n_others:
            said += f", and {n_others} at other pictures, left out"
        if n > 1:
            said += f", {different} of them different" if different > 1 else ", all at the same predictions"
        se = looks.auc_se
        said += f"; {_luck(different, se, 'no look has a standard error')}"
        return said + (": take that off the best one's score" if different > 1 and se is not None else "")


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _luck(k: int, se: float | None, why: str) -> str:
    if k < 2:
        return "nothing was picked, so nothing is owed to luck"
    if se is None:
        return f"what the best of {k} owes to luck is not known ({why})"
    return (
        f"the best of {k} equally good ones would seem {number(optimism(k, se))} AUC better than it is,"
        " by luck alone (at most: less, the more alike they are)"
    )


def expected_max(k: int) -> float:
    r"""Mean of the largest of ``k`` independent standard normals.

    ``k ∫ x φ(x) Φ(x)^(k-1) dx`` (Tippett 1925; David & Nagaraja 2003, *Order Statistics*, chapter 3), by
    the trapezoid rule, which is exact to rounding for a density that vanishes at both ends.

    Examples
    --------
    >>> [round(expected_max(k), 4) for k in (1, 2, 3, 10)]
    [0.0, 0.5642, 0.8463, 1.5388]
    """
    from scipy.special import log_ndtr

    if k < 2:
        return 0.0
    x, step = np.linspace(-12.0, 12.0, 24_001, retstep=True)
    log_density = math.log(k) - x**2 / 2 - math.log(2 * math.pi) / 2 + (k - 1) * log_ndtr(x)
    return float(np.sum(x * np.exp(log_density)) * step)


def optimism(k: int, se: float) -> float:
    """How much better than it is the best of ``k`` equally good, unrelated models seems by luck, on average.

    `expected_max` times the standard error of one score. It bounds what the best of any ``k`` gains: models
    whose errors go together gain less (Slepian 1962), and so do models of which some are better than others.
    """
    return expected_max(k) * se


def standard_error(low: float | None, high: float | None) -> float | None:
    """Of a score, from its 95% interval: half the width over 1.96; None where there is no interval.

    Examples
    --------
    >>> standard_error(0.402, 0.598), standard_error(None, None)
    (0.05, None)
    """
    return None if low is None or high is None else rounded((high - low) / 2 / _HALF)


def _refuse(log: Path, what: str) -> NoReturn:
    raise DataError(
        f"{log}: {what}; it counts the looks at the test split and cannot be made again: put it right,"
        " or move it away and say wherever test is reported that earlier looks were lost"
    )


def _checked(log: Path, where: str, row: Mapping[str, str]) -> Mapping[str, str]:
    """A row as it is, if kyara can have written it."""
    for name, form in _CELLS.items():
        if not form.fullmatch(row[name]):
            _refuse(log, f"{where}: {shown(row[name])} is no {name}")
    for name in ("accuracy", "auc", "accuracy_se", "auc_se"):
        try:
            fine = row[name] == "" or 0 <= float(row[name]) <= 1  # so NaN is not
        except ValueError:
            fine = False
        if not fine:
            _refuse(log, f"{where}: {shown(row[name])} is no {name}")
    return row


def read_looks(log: Path) -> Looks:
    """The looks so far; none where there is no log.

    Raises
    ------
    DataError
        If kyara cannot have written the log.
    """
    try:
        text = read_capped(log, _MAX_LOG_BYTES).decode("utf-8")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except FileNotFoundError:
        return Looks(())
    except (ValueError, csv.Error) as error:  # not UTF-8 is a ValueError
        _refuse(log, f"cannot be read ({error})")
    header = tuple(lines[0]) if lines else ()
    if header not in (LOOK_COLUMNS, _FIRST_COLUMNS):
        _refuse(log, f"its first line is {shown(','.join(header))}, not {','.join(LOOK_COLUMNS)}")
    rows = []
    for i, cells in enumerate(lines[1:], start=1):
        if len(cells) != len(header):
            _refuse(log, f"row {i} has {len(cells)} cells, not {len(header)}")
        row = dict.fromkeys(LOOK_COLUMNS, "") | dict(zip(header, cells, strict=True))
        rows.append(_checked(log, f"row {i}", row))
    return Looks(tuple(rows))


def log_look(log: Path, look: Mapping[str, Any]) -> Looks:
    """Append one look, by `LOOK_COLUMNS`; returns all there are now.

    Raises
    ------
    DataError
        If the log is damaged; it is left as it is.
    """
    rows = [*read_looks(log).rows, look]
    write_text_atomic(log, csv_text(LOOK_COLUMNS, [[row.get(name) for name in LOOK_COLUMNS] for row in rows]))
    return read_looks(log)


def _cv_error(root: Path) -> tuple[float | None, str]:
    """Standard error of the AUC on ``cv``, or why there is none."""
    try:
        cv = json_values((root / METRICS).read_bytes())["cv"]
        if "table" not in cv:
            return None, f"{METRICS} has no cv"
        auc: Mapping[str, Any] = next(row for row in cv["table"] if row["measure"] == "auc")
        if auc["low"] is None or auc["high"] is None:
            return None, f"{METRICS} has no interval on cv"
        low, high = float(auc["low"]), float(auc["high"])
        if not 0 <= low <= high <= 1:
            raise ValueError("no interval")
    except OSError:
        return None, f"no {METRICS}; run: dvc repro"
    except (ValueError, LookupError, TypeError, StopIteration):
        return None, f"{METRICS} is damaged; run: dvc repro"
    return standard_error(low, high), ""


def report(root: Path, log: Path) -> Report:
    """How much was tried here, how often test was looked at, and what that brings by luck.

    Without git, or without readable results, the text says so: only a damaged log is an error.

    Parameters
    ----------
    root : Path
        Folder of the study.
    log : Path
        ``logs/looks.csv``.

    Raises
    ------
    DataError
        If the log is damaged.
    """
    looks = read_looks(log)
    cv_se, why = _cv_error(root)
    return Report(count_experiments(root), looks, log, cv_se, why)
