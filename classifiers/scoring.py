"""How heads are scored: the folds, the draws, the seed.

Owns the values that every score shares, so that scores of one study can be compared. Refuses to know
heads and rows.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Scoring"]


@dataclass(frozen=True)
class Scoring:
    """Of one study.

    Attributes
    ----------
    positive : int
        Code of the class that precision, recall, F1 and, of two classes, the ranking speak of.
    folds, repeats : int
        Of cross-validation.
    draws : int
        Of groups, behind each interval.
    seed : int
        Of folds and draws.
    workers : int
        Processes; no score depends on it. 0 = one a core.
    """

    positive: int
    folds: int
    repeats: int
    draws: int
    seed: int
    workers: int = 1

    @property
    def measured(self) -> dict[str, int]:
        """What `classifiers.evaluate.score_rows` takes."""
        return {"positive": self.positive, "draws": self.draws, "seed": self.seed}

    @property
    def folded(self) -> dict[str, int]:
        """What `classifiers.predictions.cv_folds` takes."""
        return {"folds": self.folds, "repeats": self.repeats, "seed": self.seed}

    @property
    def folds_said(self) -> str:
        """In words.

        Examples
        --------
        >>> Scoring(1, 5, 3, 1000, 42).folds_said
        '5 folds x 3'
        """
        return f"{self.folds} folds" + f" x {self.repeats}" * (self.repeats > 1)
