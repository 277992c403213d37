"""Do networks trained on faces transfer, and do the design features keep up with networks?

Owns which extractors stand against which, on the same folds, with the same head and the same draws of
groups. Refuses to know where a control's rows come from (`embedding`), and which verdict follows.

A face network that ranks roles well shows no transfer by that: a network of random numbers does so too, since
its answers still tell light from dark. What training on faces brings is the difference to the same kind of
network *untrained*; that it was faces, to one trained on something else (`IMAGENET`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifiers.data import Study
from classifiers.evaluate import score_rows
from classifiers.fitting import Classifier
from classifiers.intervals import Estimate, Scores, difference, widening
from classifiers.predictions import cross_validate, cv_folds, held_out
from classifiers.scoring import Scoring
from featurestore.errors import KyaraError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FACES", "IMAGENET", "UNTRAINED", "Arena", "Duel", "controls_of", "faces_of", "only"]

#: Extractors that were trained on photographs of faces.
FACES: Final = ("vggface2", "arcface", "dlib")

#: The controls: what they are called, and the extractor that they are made of.
UNTRAINED: Final = "untrained vggface2"
IMAGENET: Final = "resnet18 of ImageNet"

#: Of the face network's params, those that a control shares.
_SHARED: Final = ("fit", "align")

_MEASURED: Final = "auc"
_CHANCE: Final = 0.5

_UNKNOWN: Final = Estimate(None, None, None, None)


@dataclass(frozen=True)
class Duel:
    """How much better a head ranks by one extractor's rows than by another's.

    Attributes
    ----------
    one, other : str
    difference : Estimate
        Of AUC, one less the other.
    p : float or None
        Two-sided, from the spread of the difference under draws of groups, widened as its interval.
    scored_on : {"cv", "val"}
    n_images, n_groups : int
    informed : bool
        Whether one of the two ranks better than chance, by its interval.
    reason : str
        Why there is no difference; empty if there is one.
    """

    one: str
    other: str
    difference: Estimate = _UNKNOWN
    p: float | None = None
    scored_on: str = "cv"
    n_images: int = 0
    n_groups: int = 0
    informed: bool = False
    reason: str = ""


def faces_of(blocks: Sequence[str], params: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Extractors of a study that are face networks as they were trained.

    Parameters
    ----------
    blocks : sequence of str
        The study's.
    params : mapping of str to mapping
        Extractor -> its params.

    Examples
    --------
    >>> faces_of(["design", "dlib", "vggface2"], {"vggface2": {"weights": "none"}})
    ('dlib',)
    """
    learned = {name for name in blocks if params.get(name, {}).get("finetune")}
    random = {name for name in blocks if params.get(name, {}).get("weights") == "none"}
    return tuple(name for name in blocks if name in FACES and name not in learned | random)


def controls_of(
    faces: Sequence[str], params: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Controls that face networks stand against: name -> extractor and its params; none without faces.

    They see the pictures as the first of the face networks does: the same fit, the same face.
    """
    if not faces:
        return {}
    shown = {key: value for key, value in params.get(faces[0], {}).items() if key in _SHARED}
    own = {"file": None, "sha256": None, "finetune": False, "design_labels": False}
    network = {**params["vggface2"], **shown, **own, "weights": "none"}
    shown.pop("align", None)
    return {
        UNTRAINED: ("vggface2", network),
        IMAGENET: ("resnet18", {**params["resnet18"], **shown, **own, "weights": "imagenet"}),
    }


def only(study: Study, name: str, rows: pd.DataFrame | None = None) -> Study:
    """The study with one extractor's columns.

    Parameters
    ----------
    name : str
        One of the study's blocks, or a name for ``rows``.
    rows : DataFrame of float, shape (n, d), optional
        Of an extractor that the study does not have.
    """
    import pandas as pd

    if rows is not None:
        table = pd.DataFrame(rows.to_numpy(dtype=np.float64), columns=[f"{name}/{c}" for c in rows.columns])
        status = np.zeros((len(study.keys), 1), dtype=np.uint8)
        return replace(study, features=table, status=status, blocks=(name,), fitted_on={})
    own = [column for column in study.features.columns if str(column).partition("/")[0] == name]
    return replace(
        study,
        features=study.features[own],
        status=study.status[:, [study.blocks.index(name)]],
        blocks=(name,),
        fitted_on={key: value for key, value in study.fitted_on.items() if key == name},
    )


class Arena:
    """Where extractors meet: one head, the same folds and draws, each extractor scored once.

    Parameters
    ----------
    study : Study
    make : callable
        New, unfitted heads.
    how : Scoring
        ``positive`` is a code of this study's classes.
    given : mapping of str to DataFrame
        Rows of extractors that the study does not have, or that stand in place of its own.
    """

    def __init__(
        self, study: Study, make: Callable[[], Classifier], how: Scoring, given: Mapping[str, pd.DataFrame]
    ) -> None:
        self._study, self._make, self._how, self._given = study, make, how, given
        self._found: dict[tuple[str, str], Scores | str] = {}

    def _scores(self, name: str, scored_on: str) -> Scores | str:
        """Scores of a head on one extractor, or why there are none."""
        key = (name, scored_on)
        if key not in self._found:
            try:
                self._found[key] = self._scored(only(self._study, name, self._given.get(name)), scored_on)
            except KyaraError as error:
                self._found[key] = str(error)
        return self._found[key]

    def _scored(self, study: Study, scored_on: str) -> Scores:
        makers, workers = {"head": self._make}, self._how.workers
        if scored_on == "val":
            part = held_out(study, makers, workers=workers)["head"]
        else:
            folds = cv_folds(study, **self._how.folded)
            part = cross_validate(study, makers, folds, workers=workers)["head"]
        return score_rows(study, part, **self._how.measured)

    def duel(self, one: str, other: str) -> Duel:
        """AUC of one extractor less that of another.

        Where one of them learned from train, both heads are fitted on train and asked about val.
        """
        learned = {one, other} & set(self._study.fitted_on) - set(self._given)
        on = "val" if learned else "cv"
        first, second = self._scores(one, on), self._scores(other, on)
        for name, scores in ((one, first), (other, second)):
            if isinstance(scores, str):
                return Duel(one, other, scored_on=on, reason=f"{name}: {scores}")
        assert isinstance(first, Scores)
        assert isinstance(second, Scores)
        folds = 1 if on == "val" else self._how.folds
        found = difference(first, second, _MEASURED, folds=folds)
        reason = ""
        if found.low is None:
            reason = next(iter(first.notes or second.notes), "the AUC is undefined")
        p = None if found.low is None else _p_value(found, first, second, widening(folds))
        lows = [scores.estimates[_MEASURED].low for scores in (first, second)]
        informed = any(low is not None and low > _CHANCE for low in lows)
        return Duel(one, other, found, p, on, first.n_images, first.n_groups, informed, reason)


def _p_value(found: Estimate, one: Scores, other: Scores, factor: float) -> float:
    """By the normal distribution; 1 where the two never differ."""
    from scipy.stats import norm

    error = factor * float(np.nanstd(one.draws[_MEASURED] - other.draws[_MEASURED]))
    if error == 0:
        return 1.0
    return float(2 * norm.sf(abs(found.score or 0.0) / error))
