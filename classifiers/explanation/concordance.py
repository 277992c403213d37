"""How much of what an embedding tells a head can be said in named features.

Owns ``concordance.json`` and ``concordance.csv`` in ``results/explanation``. Refuses to read the test split,
the saved model and pictures.

The head is fitted on one extractor's columns alone. Its out-of-fold log-odds (probabilities kept `CLIP` from
0 and 1) are then predicted from the columns of ``design`` on the same folds, so that no group is on both
sides of either fit. R2 is 1 less the share of the log-odds' variance that is left: about 0 where design says
nothing of what the head saw, 1 where it says everything.

Ridge regression, its penalty chosen by grouped folds inside each fold: chosen before any result was seen,
since 63 correlated columns and a few hundred images call for a penalty, and since a sum over named columns is
an explanation that can be read. What bends is not seen by it, so that R2 is a lower bound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.explanation.concordance_report import Concordance, Explained
from classifiers.intervals import MIN_GROUPS, ends, group_draws, widening
from classifiers.predictions import Predictions, cross_validate, held_out
from classifiers.scoring import Scoring
from classifiers.splits import Fold, check_classes, repeated_folds
from featurestore.errors import SplitError
from featurestore.files import write_text_atomic
from featurestore.spec import Status

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CLIP", "TOGETHER", "concordance"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

#: Probabilities are kept this far from 0 and 1 before log-odds are taken.
CLIP: Final = 1e-3

#: Name of the row of all extractors but design.
TOGETHER: Final = "together"

_DESIGN: Final = "design"

_PENALTIES: Final = tuple(float(10.0**k) for k in range(-1, 6))


def _ridge(design: Floats, margin: Floats, groups: npt.NDArray[Any]) -> Any:
    """Fitted: imputed, scaled, ridge; the penalty by grouped folds inside."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    n_folds = min(5, len(np.unique(groups)))
    inner = list(GroupKFold(n_folds).split(design, margin, groups)) if n_folds > 1 else None
    impute = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(impute, StandardScaler(), RidgeCV(_PENALTIES, cv=inner)).fit(design, margin)


def _explained(
    study: Study, design: Floats, margins: Floats, folds: Sequence[Fold], repeat: int, rows: Rows
) -> Floats:
    """What design makes of the margins of one repeat, out of fold; NaN where no fold asks, shape (n,)."""
    said = np.full(len(study.keys), np.nan)
    for fold in folds:
        if fold.repeat != repeat:
            continue
        fitted, scored = (part[np.isin(part, rows)] for part in (fold.fitted, fold.scored))
        if len(fitted) and len(scored):
            model = _ridge(design[fitted], margins[fitted], study.groups[fitted])
            said[scored] = model.predict(design[scored])
    return said


def _r2(margins: Floats, said: Floats, weights: Floats) -> Floats:
    """R2 under each row of weights, over all repeats; margins and said (repeats, n), weights (draws, n)."""
    left, whole = np.zeros(len(weights)), np.zeros(len(weights))
    total = weights.sum(axis=1)
    for margin, one in zip(margins, said, strict=True):
        middle = weights @ margin / total
        whole += np.maximum(weights @ margin**2 - total * middle**2, 0.0)
        left += weights @ (margin - one) ** 2
    found: Floats = 1 - np.divide(left, whole, out=np.full(len(left), np.nan), where=whole > 1e-9)
    return found


def _measure(
    study: Study, design: Floats, part: Predictions, folds: Sequence[Fold], how: Scoring, name: str
) -> Explained | None:
    """One extractor; None where no log-odds vary."""
    p = np.clip(part.proba[:, how.positive], CLIP, 1 - CLIP)
    logs = np.log(p / (1 - p))
    whole = np.unique(part.rows)
    margins, said = [], []
    for repeat in range(part.repeats):
        own = np.full(len(study.keys), np.nan)
        here = part.repeat == repeat
        own[part.rows[here]] = logs[here]
        margins.append(own)
        said.append(_explained(study, design, own, folds, repeat, whole))
    m, s = np.array(margins)[:, whole], np.array(said)[:, whole]
    known = ~np.isnan(s).any(axis=0)
    rows, m, s = whole[known], m[:, known], s[:, known]
    score = _r2(m, s, np.ones((1, len(rows))))[0] if len(rows) else np.nan
    if np.isnan(score):
        return None
    n_groups, bounds = len(np.unique(study.groups[rows])), None
    if n_groups >= MIN_GROUPS:
        times, code = group_draws(study.groups[rows], how.draws, np.random.default_rng(how.seed))
        drawn = _r2(m, s, times[:, code].astype(float))
        factor = widening(max(fold.number for fold in folds) + 1)
        bounds = ends(drawn, float(score), factor=factor, within=(-np.inf, 1.0))
    low, high = bounds or (None, None)
    return Explained(name, rows, m.mean(axis=0), s.mean(axis=0), float(score), low, high, n_groups)


def _alone(study: Study, extractors: Sequence[str]) -> Study:
    """The study with the columns of some extractors."""
    kept = [study.blocks.index(one) for one in extractors]
    owner = [str(name).partition("/")[0] for name in study.features.columns]
    columns = [name for name, own in zip(study.features.columns, owner, strict=True) if own in extractors]
    return replace(
        study,
        features=study.features[columns],
        status=study.status[:, kept],
        blocks=tuple(extractors),
        fitted_on={one: digest for one, digest in study.fitted_on.items() if one in extractors},
    )


def _known(study: Study, design: Floats, rows: Rows) -> Rows:
    """Rows that every extractor and design could compute."""
    ok = (study.status[rows] == Status.OK).all(axis=1) & ~np.isnan(design[rows]).all(axis=1)
    return np.asarray(rows[ok])


def _plan(study: Study, rows: Rows, how: Scoring) -> tuple[Rows, list[Fold]]:
    """Rows whose log-odds are taken, and the folds that ridge is asked on.

    Raises
    ------
    SplitError
        If no row is left, or too few of a class.
    """
    if study.fitted_on:
        rows = np.intersect1d(rows, study.rows_of("val"))
    if not len(rows):
        raise SplitError("no picture has both its row and that of design")
    if study.fitted_on:
        return rows, repeated_folds(study.labels, study.groups, rows, **{**how.folded, "repeats": 1})
    check_classes(study.labels[rows], study.classes, where="what it and design could both compute")
    return rows, repeated_folds(study.labels, study.groups, rows, **how.folded)


def _one(
    study: Study,
    make: Callable[[], Any],
    design: Floats,
    rows: Rows,
    how: Scoring,
    *,
    name: str,
    label: str,
) -> tuple[Explained | None, str]:
    """One extractor, or why it has no answer."""
    try:
        rows, folds = _plan(study, _known(study, design, rows), how)
    except SplitError as error:
        return None, f"{label}: {error}"
    if study.fitted_on:
        whole = held_out(study, {name: make}, workers=how.workers)[name]
        here = np.isin(whole.rows, rows)
        part = Predictions("val", whole.rows[here], whole.predicted[here], whole.proba[here], whole.fitted)
    else:
        part = cross_validate(study, {name: make}, folds, workers=how.workers)[name]
    found = _measure(study, design, part, folds, how, label)
    return found, "" if found else f"{label}: {name} says the same of every image"


def _design_rows(study: Study, design: pd.DataFrame | None) -> Floats | None:
    """The columns of design of every image; the study's own where none are given."""
    if design is None and _DESIGN in study.blocks:
        design = _alone(study, [_DESIGN]).features
    return None if design is None else design.to_numpy(dtype=np.float64)


def _why_not(study: Study, design: Floats | None) -> str:
    if all(one == _DESIGN for one in study.blocks):
        return "design is the only extractor; select an embedding beside it, e.g. features: [design, clip]"
    return "no rows of design to explain the embedding by" if design is None else ""


def concordance(
    study: Study,
    make: Callable[[], Any],
    how: Scoring,
    *,
    name: str,
    design: pd.DataFrame | None,
    rows: Rows,
    results: Path,
) -> Concordance:
    """Ask of every extractor but design, and of all of them together; write both files.

    An extractor that learned from train is asked on val alone: the head fitted on train, ridge on grouped
    folds of val.

    Parameters
    ----------
    make : callable
        New, unfitted heads.
    name : str
        The head's.
    design : DataFrame of float64, shape (n, 63), optional
        In the order of the study's keys; None = the study's own columns of ``design``, if it has some.
    rows : ndarray of intp
        That take part.

    Raises
    ------
    KyaraError
        If the head fails.
    """
    values = _design_rows(study, design)
    reason = _why_not(study, values)
    if reason or values is None:
        report = Concordance(reason=reason)
    else:
        others = [one for one in study.blocks if one != _DESIGN]
        asked: Mapping[str, list[str]] = {one: [one] for one in others}
        if len(others) > 1:
            asked = {**asked, TOGETHER: others}
        done = [
            _one(_alone(study, own), make, values, rows, how, name=name, label=label)
            for label, own in asked.items()
        ]
        caption = (
            f"Concordance with design: how much of the log-odds of {name}, fitted on an extractor alone, "
            f"ridge regression on {values.shape[1]} design columns explains, out of fold"
        )
        parts = tuple(found for found, _ in done if found is not None)
        report = Concordance(parts, caption, "; ".join(why for _, why in done if why))
    folder = results / "explanation"
    text = json.dumps(report.document(study), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text_atomic(folder / "concordance.json", text + "\n")
    write_text_atomic(folder / "concordance.csv", report.csv(study))
    return report
