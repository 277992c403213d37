"""What the chosen head says of each image, averaged over the repeats.

Owns the mean of the out-of-fold probabilities, and which images they are wrong or uncertain about. Refuses to
know the test split: `predictions.csv` has none of it, and a row that says so is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classifiers.report.evidence import Evidence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Opinions", "opinions"]


@dataclass(frozen=True)
class Opinions:
    """Of n images that the head was not fitted on.

    Attributes
    ----------
    table : DataFrame, n rows, ascending by key
        Index: key. path, group, label, predicted (the likeliest class), ``own`` (probability of the image's
        own class), ``lead`` (by how much the likeliest class leads the next), ``p`` (of the positive class),
        ``spread`` (standard deviation of ``p`` over the repeats).
    repeats : int
    part : str
        ``cv`` or ``val``.
    """

    table: pd.DataFrame
    repeats: int
    part: str

    def wrong(self, most: int) -> list[str]:
        """Keys of images that are called something else, least probability of their own class first."""
        own = self.table[self.table["label"] != self.table["predicted"]]
        return [str(key) for key in own.sort_values(["own"], kind="stable").index[:most]]

    def uncertain(self, most: int) -> list[str]:
        """Keys of the images at which the two likeliest classes are nearest to each other."""
        return [str(key) for key in self.table.sort_values(["lead"], kind="stable").index[:most]]


def opinions(evidence: Evidence) -> Opinions:
    """Mean probabilities of the part that the scores are of."""
    part = evidence.scored_on
    rows = evidence.predictions[evidence.predictions["split"] == part]
    columns = [f"p_{name}" for name in evidence.classes]
    grouped = rows.groupby("key", sort=True)
    table = grouped[["path", "group", "label"]].first()
    mean = grouped[columns].mean()
    proba = mean.to_numpy(dtype=np.float64).round(6)
    names = np.asarray(evidence.classes)
    ordered = np.sort(proba, axis=1)
    place = {name: i for i, name in enumerate(evidence.classes)}
    own = np.array([place[name] for name in table["label"]], dtype=np.intp)
    positive = f"p_{evidence.positive}"
    table = table.assign(
        predicted=names[proba.argmax(1)] if len(proba) else [],
        own=proba[np.arange(len(proba)), own],
        lead=ordered[:, -1] - ordered[:, -2] if len(proba) else [],
        p=mean[positive].round(6),
        spread=grouped[positive].std(ddof=0).round(6),
    )
    repeats = int(rows["repeat"].max()) + 1 if len(rows) else 0
    return Opinions(table, repeats, part)
