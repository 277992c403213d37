"""What a score owes to pictures that belong together: the ladder and the identity meter.

Owns ``results/leakage.csv`` and ``leakage.png``. Refuses to read the test split and the saved model. Who
may exchange labels is `identity`'s, what is kept together `rungs`', how both parts read `leakage_report`'s.

The **ladder** scores one head on the same pictures, folds and repeats under ways to keep pictures
together, each coarser than the one before. A rung whose groups the data do not know has the reason instead
of a score. All rungs stand under the same draws of the coarsest groups, so that their differences are paired:
``flattery`` is how much more a rung scores than the coarsest one that could be scored.

The **identity meter** fits the head anew, image by image, on labels that no longer follow design and
still follow the group. What is left above chance is what recognising the group earns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.evaluate import judge
from classifiers.fitting import Answer, Classifier, Job, answers
from classifiers.intervals import Scores, difference, score
from classifiers.leakage.identity import Kin, exchanged_labels, kin
from classifiers.leakage.leakage_report import MEASURES, Leakage, Recognition, Step, draw
from classifiers.leakage.rungs import RUNGS, Rung, rungs
from classifiers.metrics import Judged, measure
from classifiers.plots import png
from classifiers.predictions import gathered, why_no_cv
from classifiers.scoring import Scoring
from classifiers.splits import Fold, check_classes, repeated_folds
from featurestore.errors import SplitError
from featurestore.files import write_bytes_atomic, write_text_atomic

__all__ = ["leakage"]

Codes = npt.NDArray[np.intp]

_CHANCE: Final = 0.5


def _folds(
    study: Study, rung: Rung, rows: Codes, *, folds: int, repeats: int, seed: int
) -> tuple[list[Fold], str]:
    """Folds of a rung, or why there are none."""
    if rung.reason:
        return [], f"not estimable: {rung.reason}"
    try:
        found = repeated_folds(study.labels, rung.groups, rows, folds=folds, repeats=repeats, seed=seed)
    except SplitError as error:
        return [], f"not estimable: {error}"
    return found, rung.note


def _some(judged: Judged, member: npt.NDArray[np.bool_]) -> Judged:
    """The predictions of some rows; every repeat has the same ones."""
    assert judged.fold is not None
    return replace(
        judged,
        truth=judged.truth[member],
        predicted=judged.predicted[member],
        proba=judged.proba[member],
        fold=judged.fold[member],
    )


@dataclass(frozen=True)
class _Scorer:
    """How every score here is taken: the same draws of the same groups."""

    study: Study
    positive: int
    groups: Codes
    draws: int
    seed: int

    def judged(self, plan: Sequence[Fold], said: Sequence[Answer]) -> tuple[Judged, Codes]:
        """Predictions beside the truth, and the row of each."""
        predictions = gathered(plan, said)
        return judge(self.study, predictions, self.positive), predictions.rows

    def scores(self, judged: Judged, rows: Codes) -> Scores:
        """Measures with intervals."""
        return score(
            judged,
            self.groups[rows],
            class_shares=self.study.class_shares(rows),
            draws=self.draws,
            rng=np.random.default_rng(self.seed),
        )


def _steps(
    ladder: Sequence[Rung],
    plans: Sequence[tuple[list[Fold], str]],
    said: Sequence[Sequence[Answer]],
    scorer: _Scorer,
) -> tuple[Step, ...]:
    """Scores of each rung, and how far they lie above the last one that has some."""
    scores = [
        scorer.scores(*scorer.judged(plan, one)) if plan else None
        for (plan, _), one in zip(plans, said, strict=True)
    ]
    last = max((i for i, one in enumerate(scores) if one), default=0)
    steps = []
    for i, (rung, one) in enumerate(zip(ladder, scores, strict=True)):
        reference, n_folds = scores[last], max((fold.number for fold in plans[i][0]), default=0) + 1
        flattery = {}
        if one is not None and reference is not None and i != last:
            flattery = {name: difference(one, reference, name, folds=n_folds) for name in MEASURES}
        notes = [plans[i][1], *(one.notes if one else ())]
        n_groups = len(np.unique(rung.groups[rung.groups >= 0]))
        steps.append(Step(rung.name, n_groups, one, flattery, "; ".join(note for note in notes if note)))
    return tuple(steps)


def _auc(judged: Judged) -> float:
    return float(measure(judged, np.ones((1, len(judged.truth))))["auc"][0])


def _recognised(
    one: Kin,
    true: Scores,
    aucs: Sequence[float],
    left: Sequence[float],
) -> Recognition:
    """One row of the meter; a share only where the true score is surely above chance."""
    estimate = true.estimates["auc"]
    if not len(aucs) or np.isnan(aucs).all():
        return Recognition(one, estimate, note="not estimable: classes too small to exchange labels")
    mean, (low, high) = float(np.nanmean(aucs)), np.nanpercentile(aucs, (2.5, 97.5))
    permuted = (mean, float(low), float(high))
    note, share = "", None
    if estimate.score is None or estimate.low is None:
        note = f"no share: {'; '.join(true.notes) or 'the true score is undefined'}"
    elif estimate.low <= _CHANCE:
        note = "no share: the true score cannot be told from chance"
    else:
        share = (mean - _CHANCE) / (estimate.score - _CHANCE)
    return Recognition(one, estimate, permuted, float(np.nanmean(left)), share, note)


@dataclass(frozen=True)
class _Meter:
    """The plan of the identity meter.

    Attributes
    ----------
    kin : list of Kin
        Over the rows that take part.
    labels : list of ndarray of str, shape (n,)
        Exchanged labels of all rows of the study.
    plans : list of list of Fold
        One drawing of image-wise folds for each.
    """

    kin: list[Kin]
    labels: list[npt.NDArray[Any]]
    plans: list[list[Fold]]


def _meter(
    study: Study, known: Sequence[Rung], rows: Codes, *, folds: int, permutations: int, seed: int
) -> _Meter:
    """Exchange labels and draw folds; nothing is drawn where nothing could be said."""
    truth, levels = study.codes(study.labels[rows]), [rung.groups[rows] for rung in reversed(known)]
    found = kin(truth, levels[0], study.classes)
    if all(one.reason for one in found):
        return _Meter(found, [], [])
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    drawn = exchanged_labels(truth, levels[:-1], n=permutations, min_images=folds + 2, rng=rng)
    labels, plans = [], []
    for codes, one in zip(drawn, rng.integers(2**31, size=permutations).tolist(), strict=False):
        changed = study.labels.copy()
        changed[rows] = np.asarray(study.classes)[codes]
        labels.append(changed)
        alone = np.arange(len(study.keys))
        plans.append(repeated_folds(changed, alone, rows, folds=folds, repeats=1, seed=one))
    return _Meter(found, labels, plans)


def _recognitions(
    meter: _Meter,
    plan: Sequence[Fold],
    said: Sequence[Sequence[Answer]],
    scorer: _Scorer,
    rows: Codes,
) -> tuple[Recognition, ...]:
    """Scores of the true labels (``plan`` and the first of ``said``) and of the exchanged ones."""
    if not plan:
        why = "not estimable: no folds image by image"
        return tuple(Recognition(one, note=why) for one in meter.kin)
    judged, of_row = scorer.judged(plan, said[0])
    permuted = [
        replace(scorer, study=replace(scorer.study, labels=labels)).judged(drawn, one)
        for labels, drawn, one in zip(meter.labels, meter.plans, said[len(RUNGS) :], strict=True)
    ]
    truth = scorer.study.codes(scorer.study.labels)
    found = []
    for one in meter.kin:
        if one.reason:
            found.append(Recognition(one, note=f"not estimable: {one.reason}"))
            continue
        members = rows[one.member]
        parts = [(_some(j, np.isin(r, members)), truth[r[np.isin(r, members)]]) for j, r in permuted]
        aucs = [_auc(part) for part, _ in parts]
        left = [_auc(replace(part, proba=np.eye(part.proba.shape[1])[known])) for part, known in parts]
        at = np.isin(of_row, members)
        found.append(_recognised(one, scorer.scores(_some(judged, at), of_row[at]), aucs, left))
    return tuple(found)


def leakage(
    study: Study,
    make: Callable[[], Classifier],
    how: Scoring,
    *,
    name: str,
    permutations: int,
    results: Path,
) -> Leakage:
    """Climb the ladder, read the meter, write ``leakage.csv`` and ``leakage.png``.

    Where an extractor learned from train, both files say that there are no folds to compare.

    Parameters
    ----------
    make : callable
        New, unfitted heads.
    name : str
        The head's name.
    how : Scoring
        Folds and repeats are those of every rung; the coarsest groups are drawn.
    permutations : int
        Exchanges of labels; each costs ``how.folds`` fits.

    Raises
    ------
    SplitError
        If a class has fewer than two pictures.
    KyaraError
        If the head fails.
    """
    rows = study.rows_of("train", "val")
    check_classes(study.labels[rows], study.classes, where="train and val")
    caption = f"What the score of {name} is made of: {len(rows)} images of train and val, {how.folds_said}"
    report = Leakage(caption, "", reason=why_no_cv(study))
    if not report.reason:
        ladder = rungs(study, rows)
        known = [rung for rung in ladder if not rung.reason]
        plans = [_folds(study, one, rows, **how.folded) for one in ladder]
        meter = _meter(study, known, rows, folds=how.folds, permutations=permutations, seed=how.seed)
        alone = ladder[0].groups
        jobs = [
            [Job(name, fold, groups=rung.groups) for fold in plan]
            for rung, (plan, _) in zip(ladder, plans, strict=True)
        ] + [
            [Job(name, fold, labels, alone) for fold in plan]
            for labels, plan in zip(meter.labels, meter.plans, strict=True)
        ]
        done = iter(answers(study, {name: make}, [job for part in jobs for job in part], workers=how.workers))
        said = [[next(done) for _ in part] for part in jobs]
        scorer = _Scorer(study, how.positive, known[-1].groups, how.draws, how.seed)
        report = Leakage(
            f"{caption}; intervals draw {known[-1].what} groups",
            known[-1].what,
            _steps(ladder, plans, said[: len(RUNGS)], scorer),
            _recognitions(meter, plans[0][0], said, scorer, rows),
        )
    write_text_atomic(results / "leakage.csv", report.csv())
    write_bytes_atomic(results / "leakage.png", png(lambda figure: draw(figure, report), (11.0, 5.2)))
    return report
