"""Heads asked about rows that are no pictures of the study, each of which belongs to one of its pictures.

Owns which fitted head is asked about which row (one that saw no picture of the group of the row's picture),
and means of the answers with their intervals. Refuses to know what the rows are: edited or redrawn pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.fitting import Classifier, Job, answers
from classifiers.intervals import MIN_GROUPS, ends, group_draws, widening
from classifiers.predictions import cv_folds, why_no_cv
from classifiers.scoring import Scoring
from classifiers.splits import Fold

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Asker", "Resampled", "asker"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Asker:
    """The folds by which rows are asked about.

    Attributes
    ----------
    folds : tuple of Fold
        Of grouped cross-validation over train and val; where an extractor learned from train a single one,
        fitted on train and asked about val.
    n_folds : int
        Of one repeat: what intervals are widened by (`classifiers.intervals.widening`).
    said : str
        In words.
    """

    study: Study
    folds: tuple[Fold, ...]
    n_folds: int
    said: str

    @property
    def rows(self) -> Rows:
        """Pictures whose rows can be asked about, ascending."""
        return np.unique(np.concatenate([fold.scored for fold in self.folds]))

    def ask(
        self,
        makers: Mapping[str, Callable[[], Classifier]],
        table: pd.DataFrame,
        owner: Rows,
        how: Scoring,
    ) -> dict[str, Floats]:
        """Probability of the positive class that each head gives each row.

        Parameters
        ----------
        makers : mapping of str to callable
            Name of a head to a maker of new, unfitted ones.
        table : DataFrame, shape (m, d)
            The study's columns, in their order; NaN where a row could not be computed.
        owner : ndarray of intp, shape (m,)
            The row of the study that each belongs to, one of `rows`.

        Returns
        -------
        dict of str to ndarray of float64, shape (repeats, m)

        Raises
        ------
        KyaraError
            If a head fails; the message names it.
        """
        import pandas as pd

        study, n = self.study, len(self.study.keys)
        longer = replace(
            study,
            features=pd.concat([study.features, table], ignore_index=True),
            labels=np.concatenate([study.labels, study.labels[owner]]),
            groups=np.concatenate([study.groups, study.groups[owner]]),
        )
        own = [np.flatnonzero(np.isin(owner, fold.scored)) for fold in self.folds]
        folds = [
            replace(fold, scored=n + rows) for fold, rows in zip(self.folds, own, strict=True) if len(rows)
        ]
        jobs = [Job(name, fold) for fold in folds for name in makers]
        repeats = max(fold.repeat for fold in self.folds) + 1
        found = {name: np.full((repeats, len(owner)), np.nan) for name in makers}
        for one in answers(longer, makers, jobs, workers=how.workers):
            fold = one.job.fold
            found[one.job.head][fold.repeat, fold.scored - n] = one.proba[:, how.positive]
        return found


def asker(study: Study, how: Scoring, *, repeats: int) -> Asker:
    """The folds of a study.

    Parameters
    ----------
    repeats : int
        How often the folds are drawn, in place of ``how.repeats``.

    Raises
    ------
    SplitError
        If the classes or groups are too few for the folds.
    """
    if why_no_cv(study):
        fold = Fold(0, 0, study.rows_of("train"), study.rows_of("val"))
        learned = ", ".join(sorted(study.fitted_on))
        return Asker(
            study, (fold,), 1, f"heads fitted on train and asked about val ({learned} learned from train)"
        )
    folds = cv_folds(study, folds=how.folds, repeats=repeats, seed=how.seed)
    drawn = f", drawn {repeats} times" if repeats > 1 else ""
    return Asker(study, tuple(folds), how.folds, f"{how.folds} grouped folds{drawn}")


class Resampled:
    """Means over pictures, and the same under draws of whole groups.

    Parameters
    ----------
    groups : ndarray, shape (n,)
        Of the pictures.
    draws, seed : int
    n_folds : int
        See `Asker`.
    """

    def __init__(self, groups: npt.NDArray[np.generic], *, draws: int, seed: int, n_folds: int) -> None:
        self.times, self._code = group_draws(groups, draws, np.random.default_rng(seed))
        self._factor = widening(n_folds)

    def n_groups(self, used: npt.NDArray[np.bool_]) -> int:
        """Groups that some pictures are of."""
        return len(np.unique(self._code[used]))

    def mean(
        self, values: Floats, weights: Floats, *, within: tuple[float, float] = (-np.inf, np.inf)
    ) -> tuple[float, float | None, float | None]:
        """Weighted mean and its 95% interval, widened as the house does.

        Parameters
        ----------
        values, weights : ndarray of float64, shape (n,)
            A picture of weight 0 takes no part. What is shown is ``sum(weights * values) / sum(weights)``.
        within : tuple of float
            What can be.

        Returns
        -------
        mean : float
        low, high : float or None
            None below ten groups, or where too many draws have no picture.
        """
        middle = float(weights @ values / weights.sum())
        return self._ended(middle, self._drawn(values, weights), weights > 0, within)

    def difference(
        self, values: Floats, hit: npt.NDArray[np.bool_]
    ) -> tuple[float, float | None, float | None]:
        """Mean of some pictures less that of the others, and its 95% interval."""
        middle = float(values[hit].mean() - values[~hit].mean())
        drawn = self._drawn(values, hit.astype(float)) - self._drawn(values, (~hit).astype(float))
        return self._ended(middle, drawn, np.ones_like(hit), (-np.inf, np.inf))

    def _drawn(self, values: Floats, weights: Floats) -> Floats:
        """Weighted mean under each draw; NaN where a draw has no picture."""
        n = self.times.shape[1]
        above = self.times @ np.bincount(self._code, weights * values, n)
        below = self.times @ np.bincount(self._code, weights, n)
        drawn: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
        return drawn

    def _ended(
        self, middle: float, drawn: Floats, used: npt.NDArray[np.bool_], within: tuple[float, float]
    ) -> tuple[float, float | None, float | None]:
        if self.n_groups(used) < MIN_GROUPS:
            return middle, None, None
        low, high = ends(drawn, middle, factor=self._factor, within=within) or (None, None)
        return middle, low, high
