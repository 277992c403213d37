"""What importance is asked of one fold, and what comes back.

Owns these values. Refuses to know how anything is measured.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from classifiers.explanation.grouping import Unit, members, players
from classifiers.splits import Fold

__all__ = [
    "COEFFICIENTS",
    "FOREST",
    "METHODS",
    "Asked",
    "Effort",
    "Found",
    "Method",
    "Task",
    "learns",
    "needs_names",
]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Method = Literal["coefficient", "forest", "permutation", "shap"]

METHODS: Final[tuple[Method, ...]] = ("coefficient", "forest", "permutation", "shap")

#: Heads that two of the methods speak of, whichever is chosen.
COEFFICIENTS, FOREST = "logreg", "rf"


@dataclass(frozen=True)
class Effort:
    """What is spent on one fold.

    Attributes
    ----------
    shuffles : int
        Of each unit.
    rows : int or None
        Held-out rows whose contributions are taken at most; None = all, 0 = none.
    draws : int
        Rows of the background, where contributions are no closed form.
    trees : int
        Of the forest, if it has as many.
    """

    shuffles: int
    rows: int | None
    draws: int
    trees: int


@dataclass(frozen=True)
class Task:
    """One fold, asked by every method.

    Attributes
    ----------
    labels : ndarray of str, shape (n,)
        Of all rows of the study: the true ones, or permuted.
    """

    fold: Fold
    labels: npt.NDArray[Any]
    effort: Effort


@dataclass(frozen=True)
class Asked:
    """What is the same for every task.

    Attributes
    ----------
    values : ndarray of float64, shape (n, d)
    names : tuple of str
        Columns.
    axes : ndarray of float64, shape (n, units)
        `grouping.axes`.
    groups : ndarray, shape (n,)
    classes : tuple of str
    positive : int
    units : tuple of Unit
    makers : mapping of str to callable
    head : str
        The chosen one.
    closed : bool
        Whether its contributions are a closed form.
    named : bool
        Whether heads need the columns' names. Tables cost more time than these fits do.
    seed : int
    """

    values: Floats
    names: tuple[str, ...]
    axes: Floats
    groups: npt.NDArray[Any]
    classes: tuple[str, ...]
    positive: int
    units: tuple[Unit, ...]
    makers: Mapping[str, Callable[[], Any]]
    head: str
    closed: bool
    named: bool
    seed: int

    def table(self, rows: Rows) -> Any:
        """Some rows as heads take them."""
        return self.as_table(self.values[rows])

    def as_table(self, values: Floats) -> Any:
        """Values (m, d) as heads take them: a DataFrame where they need names."""
        if not self.named:
            return values
        import pandas as pd

        return pd.DataFrame(values, columns=list(self.names), copy=False)

    @functools.cached_property
    def columns(self) -> Floats:
        """Which columns each unit has, shape (units, d)."""
        return members(self.units, len(self.names))

    @functools.cached_property
    def players(self) -> tuple[Unit, ...]:
        """The units that contributions are taken of: columns and blocks."""
        return players(self.units)

    @functools.cached_property
    def of_players(self) -> Floats:
        """Which players each unit has, shape (units, players)."""
        first = np.array([one.columns[0] for one in self.players], dtype=np.intp)
        return np.ascontiguousarray(self.columns[:, first])


@dataclass(frozen=True)
class Found:
    """What one task found.

    Attributes
    ----------
    importance : mapping of str to ndarray of float64, shape (units,)
        By method; one whose head is not there is left out.
    direction : mapping of str to ndarray of float64, shape (units,)
        +1 where more of a unit speaks for the positive class, -1 against it, 0 where it says neither.
    rows : ndarray of intp, shape (m,)
        Held-out rows whose contributions these are.
    contributions : ndarray of float64, shape (m, players)
    base : ndarray of float64, shape (m,)
    unit, method : str
        Of the contributions; see `attribution.Attribution`.
    """

    importance: Mapping[Method, Floats]
    direction: Mapping[Method, Floats]
    rows: Rows
    contributions: Floats
    base: Floats
    unit: str = ""
    method: str = ""


def needs_names(head: Any) -> bool:
    """Whether an unfitted head reads the columns' names: a rule, blocks that are scaled, late fusion."""
    from classifiers.fusion import Late

    names = {name for name, _ in getattr(head.pipeline, "steps", ())}
    return isinstance(head.pipeline, Late) or "blocks" in names or hasattr(head.pipeline[-1], "parts")


def learns(head: Any) -> bool:
    """Whether what an unfitted head will answer depends on which row has which label."""
    from classifiers.fusion import template

    classifier = template(head.pipeline)[-1]
    return not (hasattr(classifier, "parts") or type(classifier).__name__ == "DummyClassifier")
