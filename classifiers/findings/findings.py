"""The study's claims, tested on the study's own rows: ``results/findings.csv`` and ``findings.md``.

Owns on which images claims are tested, and what a reader is told of how. Refuses to read the test split.
What is tested are `claims` (differences between roles) and `contests` (the other claims); how it is tested
`mixed`, `dispersion` and `transfer`; how it reads `findings_report`.

Everything is done twice where it is known who is an antihero: with all images, and without these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.comparison.shortcuts import gather
from classifiers.findings.claims import Cast, annotations_of, design_columns, hypotheses, settled
from classifiers.findings.contests import competing, distinctive, transferring
from classifiers.findings.dispersion import KEPT
from classifiers.findings.findings_report import ALL, NO_ANTIHEROES, Finding, Findings
from classifiers.findings.transfer import FACES, Arena
from classifiers.leakage.rungs import rungs
from featurestore.files import write_text_atomic

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.data import Study
    from classifiers.embedding import Control
    from classifiers.fitting import Classifier
    from classifiers.scoring import Scoring

__all__ = ["findings"]

Rows = npt.NDArray[np.intp]

#: What metadata may call one, folded and without hyphens.
_ANTIHEROES: Final = frozenset({"antihero", "antiheroine"})

_DRAWN: Final = (
    "The images were drawn from these numbers: they are the causes themselves and no measurement of an "
    "image. That roles differ in them says that the drawing code did what it was told, and nothing of anime."
)


def findings(
    study: Study,
    design: pd.DataFrame | None,
    makers: Mapping[str, Callable[[], Classifier]],
    how: Scoring,
    *,
    roles: npt.NDArray[Any] | None,
    annotations: pd.DataFrame | None,
    controls: Mapping[str, Control],
    draws: int,
    margin: float,
    results: Path,
    faces: Sequence[str] | None = None,
    drawn: bool = False,
) -> Findings:
    """Test every claim, write ``findings.csv`` and ``findings.md``.

    Parameters
    ----------
    design : DataFrame of float, n rows, or None
        Columns of ``design``, with or without prefix; None = the study's own, if it has some.
    makers : mapping of str to callable
        The first is the head that compares extractors: it must take any columns.
    how : Scoring
        Folds and draws of these comparisons, and the positive class.
    roles : ndarray of str, shape (n,), or None
        What characters.csv says of each image.
    annotations : DataFrame of float, n rows, or None
        Columns of numbers of characters.csv.
    controls : mapping of str to Control
        By the names of `transfer.controls_of`.
    draws : int
        Exchanges of roles behind each p-value, at least.
    margin : float
        AUC by which design may be worse and still be called no worse.
    faces : sequence of str, optional
        Blocks that are face networks as they were trained (`transfer.faces_of`); None = by
        their names.
    drawn : bool
        Whether the images were drawn from the annotations.
    """
    own = design_columns(design if design is not None else _block(study, "design"))
    chosen, notes = _chosen(study, roles, study.classes[how.positive])
    parts: list[tuple[list[Finding], ...]] = []
    for name, rows in chosen.items():
        cast = _cast(name, study, rows, own, annotations, how, draws)
        named = {key: replace(one, rows=_taken(one.rows, rows)) for key, one in controls.items()}
        parts.append(_found(cast, makers, how, named, margin, faces))
        if name == ALL:
            caption = _caption(cast, study)
    report = Findings(
        caption,
        tuple(one for family in zip(*parts, strict=True) for found in family for one in found),
        (*notes, *_methods(cast, draws, margin)),
        _DRAWN if drawn else "",
    )
    write_text_atomic(results / "findings.csv", report.csv())
    write_text_atomic(results / "findings.md", report.markdown())
    return report


def _taken(table: pd.DataFrame | None, rows: Rows) -> pd.DataFrame | None:
    return None if table is None else table.iloc[rows].reset_index(drop=True)


def _block(study: Study, name: str) -> pd.DataFrame | None:
    """One extractor's columns; None where the study does not have it."""
    own = [column for column in study.features.columns if str(column).startswith(f"{name}/")]
    return study.features[own] if own else None


def _restricted(study: Study, rows: Rows) -> Study:
    """Some rows of a study, as a study."""
    return replace(
        study,
        features=study.features.iloc[rows].reset_index(drop=True),
        index=study.index.iloc[rows].reset_index(drop=True),
        status=study.status[rows],
        **{name: getattr(study, name)[rows] for name in ("keys", "paths", "labels", "groups", "splits")},
    )


def _chosen(study: Study, roles: npt.NDArray[Any] | None, positive: str) -> tuple[dict[str, Rows], list[str]]:
    """Rows of each cast, and why there is no second one."""
    rows = study.rows_of("train", "val")
    known = study.labels if roles is None or not any(roles.tolist()) else roles
    plain = [str(one).strip().casefold().replace("-", "").replace(" ", "") for one in known[rows].tolist()]
    kept = rows[[one not in _ANTIHEROES for one in plain]]
    if len(kept) == len(rows):
        return {ALL: rows}, ["No image is known to be of an antihero, so that all are tested together alone"]
    hits = study.labels[kept] == positive
    if not hits.any() or hits.all():
        return {ALL: rows}, [f"Without antiheroes there is no image of {positive} left, or no other"]
    return {ALL: rows, NO_ANTIHEROES: kept}, []


def _cast(
    name: str,
    study: Study,
    rows: Rows,
    design: pd.DataFrame | None,
    numbers: pd.DataFrame | None,
    how: Scoring,
    draws: int,
) -> Cast:
    part = _restricted(study, rows)
    ladder = [one for one in rungs(part, np.arange(len(rows)))[1:] if not one.reason]
    technical = next(one for one in gather(part, None, None) if one.name == "technical")
    return Cast(
        name=name,
        study=part,
        positive=study.classes[how.positive],
        design=_taken(design, rows),
        numbers=_taken(numbers, rows),
        technical=technical.columns,
        levels=tuple(one.groups for one in reversed(ladder)),
        draws=draws,
        seed=how.seed,
    )


def _found(
    cast: Cast,
    makers: Mapping[str, Callable[[], Classifier]],
    how: Scoring,
    controls: Mapping[str, Control],
    margin: float,
    faces: Sequence[str] | None,
) -> tuple[list[Finding], ...]:
    """Findings of one cast, a list a family."""
    head, make = next(iter(makers.items()))
    given = {name: one.rows for name, one in controls.items() if one.rows is not None}
    if cast.design is not None:
        given["design"] = cast.design
    known = cast.study.classes  # a class may stand in test alone: then nothing is testable, and says so
    positive = known.index(cast.positive) if cast.positive in known else 0
    arena = Arena(cast.study, make, replace(how, positive=positive), given)
    blocks = cast.study.blocks
    learned = [name for name in blocks if name in FACES and name not in cast.study.fitted_on]
    shown = [name for name in (learned if faces is None else faces) if name in blocks]
    return (
        settled(hypotheses(cast)),
        settled(annotations_of(cast)),
        settled(
            [
                distinctive(cast),
                *transferring(cast, arena, head, shown, controls),
                *competing(cast, arena, head, margin),
            ]
        ),
    )


def _caption(cast: Cast, study: Study) -> str:
    n, n_groups = len(cast.study.keys), len(np.unique(cast.levels[0])) if cast.levels else 0
    kept = (
        f"in {n_groups} groups that are kept together" if n_groups else "with nothing that belongs together"
    )
    positive, rest = cast.sides
    return f"{n} images of train and val {kept} ({study.split_kind}): {positive} against {rest}"


def _methods(cast: Cast, draws: int, margin: float) -> list[str]:
    """How it was tested, a sentence each."""
    groups = "groups" if cast.levels else "images"
    return [
        "An effect is the difference of two classes' means in a mixed model: outcome ~ class + how the image "
        "was stored + (1 | group), by REML, in deviations within a class; OLS where groups explain nothing",
        f"Its p-value exchanges roles among {groups} at least {draws} times, as a whole where a group has "
        "one role and inside it where it has both; its interval takes its width from the same exchanges",
        "Holm's correction holds within a family and cast; what has no p-value does not count. Supported "
        "and opposite mean p below 0.05 after it",
        f"Distances are from the spatial median of a class, in the directions that hold {KEPT:.0%} of what "
        "varies within classes, each scaled to 1 (PERMDISP)",
        "Extractors are compared by one head on the same folds and draws of groups; design is no worse if "
        f"the whole interval of its difference lies above -{margin:g}, a margin that was fixed beforehand",
        "Cannot tell does not mean alike: the interval says how large a difference may have gone unseen",
        "None of this says what brings a difference about: drawings that differ in one thing differ in "
        "others",
    ]
