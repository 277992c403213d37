"""The chosen head, class by class, role by role, and by kinds of groups, with intervals.

Owns these shares of stored predictions. Refuses to fit a head, and to know how a table is laid out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from classifiers.report.writing.facts import folds_of, setting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from classifiers.report.evidence import Evidence

    Mask = npt.NDArray[np.floating[Any]]

__all__ = ["Share", "by_class", "by_kind", "by_role"]

#: Draws of groups, where params.yaml does not say.
_DRAWS = 1000


@dataclass(frozen=True)
class Share:
    """One share of some images.

    Attributes
    ----------
    name, measure : str
        Of what, and which.
    n_images, n_groups : int
        That the share is of.
    score, low, high : float or None
        None where it is undefined; no ends where groups are fewer than ten.
    """

    name: str
    measure: str
    n_images: int
    n_groups: int
    score: float | None
    low: float | None
    high: float | None


def _rows(evidence: Evidence, part: str) -> pd.DataFrame:
    return evidence.predictions[evidence.predictions["split"] == part].reset_index(drop=True)


def _shares(evidence: Evidence, part: str, asked: Sequence[tuple[str, str, Mask, Mask]]) -> list[Share]:
    """Ratios of sums over images, under the draws of groups that the measures of metrics.json have.

    Parameters
    ----------
    asked : sequence of (name, measure, numerator, denominator)
        Arrays of one value a row of predictions.
    """
    import numpy as np

    from classifiers.intervals import MIN_GROUPS, ends, group_draws, widening

    rows, folds = _rows(evidence, part), folds_of(evidence)
    groups = rows["group"].to_numpy().astype(str)
    draws = int(setting(evidence.params, "evaluation", "bootstrap", otherwise=_DRAWS))
    seed = int(setting(evidence.params, "seed", otherwise=0))
    times, code = group_draws(groups, draws, np.random.default_rng(seed))
    factor = widening(folds.folds) if part == "cv" else 1.0
    found = []
    for name, measure, above, below in asked:
        inside = below > 0
        n_groups, n_images = len(np.unique(code[inside])), rows["key"][inside].nunique()
        if not inside.any():
            found.append(Share(name, measure, 0, 0, None, None, None))
            continue
        score = float(above.sum() / below.sum())
        tops, bottoms = (np.bincount(code, weights=one, minlength=times.shape[1]) for one in (above, below))
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = (times @ tops) / (times @ bottoms)
        low, high = (None, None)
        if n_groups >= MIN_GROUPS:
            low, high = ends(drawn, score, factor=factor, within=(0.0, 1.0)) or (None, None)
        found.append(Share(name, measure, n_images, n_groups, score, low, high))
    return found


def by_class(evidence: Evidence, part: str) -> list[Share]:
    """Recall, precision and F1 of every class.

    Parameters
    ----------
    part : {"cv", "val"}
    """
    rows = _rows(evidence, part)
    truth, said = rows["label"].to_numpy(), rows["predicted"].to_numpy()
    asked = []
    for name in evidence.classes:
        is_class, is_said = (truth == name).astype(float), (said == name).astype(float)
        hit = is_class * is_said
        asked += [
            (name, "recall", hit, is_class),
            (name, "precision", hit, is_said),
            (name, "F1", 2 * hit, is_class + is_said),
        ]
    return _shares(evidence, part, asked)


def by_role(evidence: Evidence, part: str, roles: Mapping[str, str]) -> list[Share]:
    """How many images of each role were answered rightly.

    Parameters
    ----------
    roles : mapping of str to str
        Key -> role; an image without one is left out.
    """
    rows = _rows(evidence, part)
    role = rows["key"].map(lambda key: roles.get(str(key), "")).to_numpy()
    return _right(evidence, part, rows, role)


def by_kind(evidence: Evidence, part: str) -> list[Share]:
    """How many images were answered rightly in groups of one label, and in groups of several.

    What a group is made of is counted over the whole data set.
    """
    labels: dict[str, set[str]] = {}
    for group, label in zip(evidence.dataset["group"], evidence.dataset["label"], strict=True):
        labels.setdefault(str(group), set()).add(str(label))
    rows = _rows(evidence, part)
    kind = rows["group"].map(
        lambda group: (
            "groups of one label" if len(labels.get(str(group), ())) < 2 else "groups of several labels"
        )
    )
    return _right(evidence, part, rows, kind.to_numpy())


def _right(evidence: Evidence, part: str, rows: pd.DataFrame, kinds: Any) -> list[Share]:
    right = (rows["label"] == rows["predicted"]).to_numpy().astype(float)
    names = sorted({str(kind) for kind in kinds} - {""})
    masks = [(name, (kinds == name).astype(float)) for name in names]
    return _shares(evidence, part, [(name, "answered rightly", right * mask, mask) for name, mask in masks])
