"""How heads answer to edited pixels: what each says of a picture, and of the same with one thing moved.

Owns ``counterfactuals.csv`` in ``results/explanation``: who is asked, what counts as within the
range of real images, and what is compared with the sham. Refuses to know pixels and how they are edited. What
is measured is the *head's* response. That an edit moves a head says nothing of why anyone draws so.

Folds are grouped and drawn once: the head that is asked about a picture's edits saw no picture of its group.
A strength counts for a picture as far as real images go: while the column that measures the edit (its dial)
stays within the 2.5 to 97.5 percentile of the real images of train and val. A strength at which fewer than
half of the pictures are left is outside; it is shown over all pictures, and no slope is made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.explanation.asking import Asker, Resampled, asker
from classifiers.explanation.counterfactual_report import Answered, Counterfactuals, Point, Slope
from classifiers.fitting import Classifier
from classifiers.scoring import Scoring
from extractors.edits import EDITS
from featurestore.errors import DataError
from featurestore.files import write_text_atomic

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HEADS", "counterfactuals", "heads_asked"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

#: Asked beside the chosen head: one of each kind, none of them slow.
HEADS: Final = ("logreg", "svm", "extratrees", "hgb", "knn")

#: Share of the pictures that must be within the range of real images for a strength to count.
_LEAST: Final = 0.5

_KINDS: Final = ("edit", "sham")


def heads_asked(chosen: str) -> tuple[str, ...]:
    """The chosen head, then those of `HEADS` that are others.

    Examples
    --------
    >>> heads_asked("hgb")
    ('hgb', 'logreg', 'svm', 'extratrees', 'knn')
    """
    return (chosen, *(name for name in HEADS if name != chosen))


@dataclass(frozen=True)
class _Edited:
    """One edit of n pictures at d strengths.

    Attributes
    ----------
    doses : ndarray of float64, shape (d,)
    place : dict of str to ndarray of intp, shape (n, d)
        Of each kind: rows of the table.
    moved : dict of str to ndarray of float64, shape (n, d)
        Of each kind: change of the dial, in standard deviations of the real images.
    kept : ndarray of bool, shape (n, d)
        Whether the edited picture's dial is within the range of real images.
    rms : dict of str to ndarray of float64, shape (n, d)
    """

    name: str
    dial: str
    doses: Floats
    place: dict[str, Rows]
    moved: dict[str, Floats]
    kept: npt.NDArray[np.bool_]
    rms: dict[str, Floats]

    @property
    def within(self) -> npt.NDArray[np.bool_]:
        """Strengths at which enough pictures are within the range, shape (d,)."""
        found: npt.NDArray[np.bool_] = self.kept.mean(axis=0) >= _LEAST
        return found

    @property
    def used(self) -> npt.NDArray[np.bool_]:
        """Pictures that a strength is judged by, shape (n, d): those within, or all where it is outside."""
        return self.kept | ~self.within


def _edited(table: pd.DataFrame, plain: Rows, name: str) -> _Edited:
    """An edit's rows, pictures in the order of ``plain``.

    Raises
    ------
    DataError
        If a picture lacks a strength, or nothing says how far the dial goes.
    """
    said, dial = table.attrs.get("dials", {}), EDITS[name].dial
    column = next((c for c in (f"design/{dial}", f"dial/{dial}") if c in table.columns), None)
    if dial not in said or column is None:
        raise DataError(f"edits.parquet does not say how far {dial} goes; run: dvc repro --force edit")
    usual, values = said[dial], table[column].to_numpy(np.float64)
    ours = table[table["edit"] == name]
    doses = np.unique(ours["dose"].to_numpy(np.float64))
    key_of = table["key"].to_numpy()
    place: dict[str, Rows] = {}
    for kind in _KINDS:
        rows = ours[(ours["kind"] == kind) & ours["key"].isin(key_of[plain])]
        order = rows.sort_values(["key", "dose"], kind="stable").index.to_numpy(np.intp)
        wanted = [key for key in sorted(key_of[plain]) for _ in doses]
        if key_of[order].tolist() != wanted:
            raise DataError(
                f"edits.parquet: a picture lacks a strength of {name} ({kind}); run: dvc repro --force edit"
            )
        ranks = np.argsort(np.argsort(key_of[plain], kind="stable"), kind="stable")
        place[kind] = order.reshape(len(plain), len(doses))[ranks]
    scale = usual["sd"] or 1.0
    now = values[place["edit"]]
    return _Edited(
        name,
        dial,
        doses,
        place,
        {kind: (values[place[kind]] - values[plain][:, None]) / scale for kind in _KINDS},
        (now >= usual["low"]) & (now <= usual["high"]),
        {kind: table["rms"].to_numpy(np.float64)[place[kind]] for kind in _KINDS},
    )


def _points(
    edit: _Edited, head: str, before: Floats, change: Mapping[str, Floats], over: Resampled
) -> list[Point]:
    """A head's mean change at each strength, real and sham."""
    found = []
    for kind in _KINDS:
        for i, dose in enumerate(edit.doses.tolist()):
            used = edit.used[:, i]
            mean, low, high = over.mean(change[kind][:, i], used.astype(float), within=(-1, 1))
            found.append(
                Point(
                    edit=edit.name,
                    kind=kind,
                    head=head,
                    dose=dose,
                    dial=edit.dial,
                    dial_sd=float(edit.moved[kind][used, i].mean()),
                    images=int(used.sum()),
                    groups=over.n_groups(used),
                    before=float(before[used].mean()),
                    change=mean,
                    low=low,
                    high=high,
                    rms=float(edit.rms[kind][used, i].mean()),
                    within=bool(edit.within[i]),
                )
            )
    return found


def _answered(edit: _Edited, head: str, change: Mapping[str, Floats], over: Resampled) -> Answered:
    """Change a unit of strength, of the edit and beyond its sham: least squares through no change at 0.

    Of one picture ``sum(dose change) / sum(dose^2)`` over the strengths that count for it; of all, the same
    with sums over all, so that a picture that goes further weighs more.
    """
    counts = (edit.kept & edit.within).astype(float)
    weight = (counts * edit.doses**2).sum(axis=1)
    if not weight.any():
        return Answered(edit.name, head, None, None, None)

    def slope(values: Floats) -> Slope:
        own = np.divide(
            (counts * edit.doses * values).sum(axis=1), weight, where=weight > 0, out=np.zeros_like(weight)
        )
        return Slope(*over.mean(own, weight))

    real, fake = change["edit"], change["sham"]
    return Answered(edit.name, head, slope(real), slope(fake), slope(real - fake))


def counterfactuals(
    study: Study,
    makers: Mapping[str, Callable[[], Classifier]],
    edits: pd.DataFrame,
    how: Scoring,
    *,
    results: Path,
) -> Counterfactuals:
    """Ask heads about edited pictures; write ``results/explanation/counterfactuals.csv``.

    The figure is left to `classifiers.plots.write_pngs`.

    Parameters
    ----------
    makers : mapping of str to callable
        Name of a head (`heads_asked`) to a maker of new, unfitted ones; the figure has the first five.
    edits : DataFrame
        From `extractors.edited.read_edits`, whose ``attrs`` are used.
    how : Scoring
        The folds are drawn once, whatever ``how.repeats`` says.
    results : Path
        The folder ``results/``.

    Raises
    ------
    DataError
        If the table is of other pictures or columns than the study.
    KyaraError
        If a head fails; the message names it.
    """
    report = _measured(study, makers, edits, how)
    write_text_atomic(results / "explanation" / "counterfactuals.csv", report.csv())
    return report


def _measured(
    study: Study, makers: Mapping[str, Callable[[], Classifier]], edits: pd.DataFrame, how: Scoring
) -> Counterfactuals:
    positive = study.classes[how.positive]
    if not len(edits):
        reason = edits.attrs.get("reason") or "edits.parquet has no rows"
        return Counterfactuals("", positive, reason=f"no edited pictures: {reason}")
    table, owner = _table(study, edits)
    asked = asker(study, how, repeats=1)
    plain = np.flatnonzero((table["edit"] == "none") & np.isin(owner, asked.rows))
    if not len(plain):
        return Counterfactuals("", positive, reason=f"none of the edited pictures is of val: {asked.said}")
    names = [name for name in EDITS if (table["edit"] == name).any()]
    found = [_edited(table, plain, name) for name in names]
    proba = _asked(asked, makers, table, owner, how)
    over = Resampled(study.groups[owner[plain]], draws=how.draws, seed=how.seed, n_folds=asked.n_folds)
    points, answered = [], []
    for edit in found:
        for head, said in proba.items():
            before = said[plain]
            change = {kind: said[edit.place[kind]] - before[:, None] for kind in _KINDS}
            points += _points(edit, head, before, change, over)
            answered.append(_answered(edit, head, change, over))
    n_groups = len(np.unique(study.groups[owner[plain]]))
    caption = f"{len(plain)} pictures of {n_groups} groups, {asked.said}; {study.split_kind}"
    return Counterfactuals(caption, positive, tuple(points), tuple(answered))


def _table(study: Study, edits: pd.DataFrame) -> tuple[pd.DataFrame, Rows]:
    """Rows of edited pictures, and the study's row that each is of.

    Raises
    ------
    DataError
    """
    missing = [name for name in study.features.columns if name not in edits.columns]
    if missing:
        raise DataError(f"edits.parquet has no {missing[0]}, which features.h5 has; run: dvc repro edit")
    places = {key: i for i, key in enumerate(study.keys.tolist())}
    owner = np.array([places.get(key, -1) for key in edits["key"]], dtype=np.intp)
    if (owner < 0).any() or not np.isin(study.splits[owner], ("train", "val")).all():
        raise DataError("edits.parquet has pictures that are not of train and val; run: dvc repro edit")
    table = edits.reset_index(drop=True)
    table.attrs.update(edits.attrs)
    return table, owner


def _asked(
    asked: Asker,
    makers: Mapping[str, Callable[[], Classifier]],
    table: pd.DataFrame,
    owner: Rows,
    how: Scoring,
) -> dict[str, Floats]:
    """Head -> probability of the positive class, shape (m,); NaN for rows that nobody is asked about."""
    mine = np.flatnonzero(np.isin(owner, asked.rows))
    features = table.loc[mine, list(asked.study.features.columns)].astype(np.float64)
    found = {}
    for head, said in asked.ask(makers, features, owner[mine], how).items():
        found[head] = np.full(len(table), np.nan)
        found[head][mine] = said[0]
    return found
