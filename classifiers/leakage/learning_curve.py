"""Would more pictures help? The head's score when it is fitted on fewer.

Owns ``learning_curve.csv`` and ``.png`` in ``results/plots/``. Refuses to read the test split and the saved
model.

Within each fold the head is fitted on nested shares of the rows that the fold gives it, in whole groups, and
scores the fold's rows each time. So all sizes are scored on the same pictures under the same draws of groups,
and the gain of a size over the one before is paired. The last size is what ``cv`` in ``metrics.json`` is.
"""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.evaluate import score_rows
from classifiers.fitting import Classifier, Job, answers
from classifiers.intervals import Estimate, Scores, difference
from classifiers.plots import CYCLE, GREY, png
from classifiers.predictions import cv_folds, gathered, why_no_cv
from classifiers.scoring import Scoring
from classifiers.splits import Fold
from classifiers.tables import aligned, csv_text, interval, markdown, number
from featurestore.errors import KyaraError, UsageError
from featurestore.files import write_bytes_atomic, write_text_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SHARES", "WORTH", "LearningCurve", "Size", "learning_curve", "nested"]

log = logging.getLogger(__name__)

Rows = npt.NDArray[np.intp]

#: Of the rows that a fold fits on.
SHARES: Final = (Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(1))

#: A gain of AUC that would be worth the trouble: where even the upper end is less, there is no sign of one.
WORTH: Final = 0.01

_MEASURES: Final = ("auc", "accuracy")
_NOTHING: Final = Estimate(None, None, None, None)


@dataclass(frozen=True)
class Size:
    """The head fitted on one share of the rows.

    Attributes
    ----------
    share : Fraction
    n_images, n_groups : float
        That it was fitted on, means over the folds.
    scores : Scores or None
        None where ``note`` says why.
    gain : mapping of str to Estimate
        By measure: how much more than half the share; empty without one.
    note : str
    """

    share: Fraction
    n_images: float
    n_groups: float
    scores: Scores | None
    gain: dict[str, Estimate] = field(default_factory=dict)
    note: str = ""

    def estimate(self, name: str) -> Estimate:
        """One measure; all None where there are no scores."""
        return self.scores.estimates[name] if self.scores else _NOTHING


@dataclass(frozen=True)
class LearningCurve:
    """Every size, smallest first; ``reason`` says why there is none."""

    caption: str
    sizes: tuple[Size, ...] = ()
    reason: str = ""

    def sentence(self) -> str:
        """What the last doubling says of the next."""
        if self.reason:
            return self.reason
        last, before = self.sizes[-1], self.sizes[-2]
        gain = last.gain.get("auc", _NOTHING)
        if gain.score is None:
            return f"Cannot tell whether more pictures would help: half of them is not scored ({before.note})"
        moved = "rose by " if gain.score >= 0 else "changed by "
        said = (
            f"From {before.n_images:.0f} to {last.n_images:.0f} pictures the AUC {moved}{number(gain.score)}"
        )
        if gain.low is None or gain.high is None:
            return f"{said}, its interval is not known: cannot tell whether more pictures would help"
        said += f" {interval(gain.low, gain.high)}"
        if gain.low > 0:
            return f"{said}: more pictures of further groups would probably help"
        if gain.high < WORTH:
            return f"{said}: no sign that more pictures would help"
        return f"{said}: cannot tell whether more pictures would help"

    def csv(self) -> str:
        """One row a size."""
        ends = ("", "_low", "_high")
        header = ["share", "images", "groups", "n"]
        header += [f"{kind}{name}{end}" for kind in ("", "gain_") for name in _MEASURES for end in ends]
        rows: list[list[Any]] = [[None] * len(header) + [self.reason]] if self.reason else []
        for size in self.sizes:
            estimates = [size.estimate(name) for name in _MEASURES]
            estimates += [size.gain.get(name, _NOTHING) for name in _MEASURES]
            cells = [value for e in estimates for value in (e.score, e.low, e.high)]
            n = size.scores.n_images if size.scores else None
            rows.append([float(size.share), size.n_images, size.n_groups, n, *cells, size.note])
        return csv_text([*header, "note"], rows)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        between = "95% interval"
        header = ["share", "pictures", "groups", "AUC", between, "accuracy", between, "gain (AUC)", between]
        rows = []
        for size in self.sizes:
            row = [str(size.share), f"{size.n_images:.0f}", f"{size.n_groups:.0f}"]
            for e in (*(size.estimate(name) for name in _MEASURES), size.gain.get("auc", _NOTHING)):
                row += [number(e.score), interval(e.low, e.high)]
            rows.append(row)
        return header, rows

    def _notes(self) -> list[str]:
        return [f"({size.share}: {size.note})" for size in self.sizes if size.note]

    def text(self) -> str:
        """For a terminal."""
        table = [] if self.reason else [aligned(*self._cells()), ""]
        return "\n".join([self.caption, "", *table, *self._notes(), f"{self.sentence()}."])

    def markdown(self) -> str:
        """The same for a page."""
        table = [] if self.reason else [markdown(*self._cells()), ""]
        return "\n".join([f"{self.caption}.", "", *table, *self._notes(), f"{self.sentence()}."]) + "\n"


def nested(
    fold: Fold, labels: npt.NDArray[Any], groups: npt.NDArray[Any], *, shares: Sequence[Fraction], seed: int
) -> list[Rows]:
    """Rows to fit on for each share, whole groups, each set inside the next.

    The groups of each class (the one that most of a group's pictures have) are shuffled and spread evenly
    over one line, of which each share takes a beginning: the one whose number of pictures is nearest.

    Parameters
    ----------
    labels, groups : ndarray, shape (n,)
        Of all rows.
    seed : int
        Each fold's line is made of this, its repeat and its number.

    Returns
    -------
    list of ndarray of intp
        Ascending positions, as ``fold.fitted`` has them; one of ``shares`` 1 is all of these.
    """
    rng = np.random.default_rng([seed, fold.repeat, fold.number])
    _, group = np.unique(groups[fold.fitted], return_inverse=True)
    _, code = np.unique(labels[fold.fitted], return_inverse=True)
    counts = np.zeros((int(group.max()) + 1, int(code.max()) + 1))
    np.add.at(counts, (group, code), 1)
    place = np.empty(len(counts))
    for of_class in (np.flatnonzero(counts.argmax(1) == c) for c in range(counts.shape[1])):
        place[rng.permutation(of_class)] = (np.arange(len(of_class)) + 0.5) / max(1, len(of_class))
    line = np.argsort(place, kind="stable")
    filled = counts.sum(1)[line].cumsum()
    found = []
    for share in shares:
        n_groups = int(np.abs(filled - float(share) * filled[-1]).argmin()) + 1
        found.append(fold.fitted[np.isin(group, line[:n_groups])])
    return found


def _scarce(study: Study, parts: Sequence[Fold]) -> str:
    """Why a size cannot be fitted in every fold; empty if it can."""
    for fold in parts:
        counts = np.bincount(study.codes(study.labels[fold.fitted]), minlength=len(study.classes))
        if counts.min() < 2:
            what = study.classes[int(counts.argmin())]
            return f"skipped: in a fold it has {counts.min()} pictures of {what}"
    return ""


def _scored(
    study: Study,
    make: Callable[[], Classifier],
    parts: Sequence[Fold],
    how: Scoring,
    *,
    name: str,
    whole: bool,
) -> tuple[Scores | None, str]:
    """Scores of one size, or why there are none: a head may ask for more pictures than a small one has."""
    why = _scarce(study, parts)
    if why:
        return None, why
    try:
        said = answers(study, {name: make}, [Job(name, fold) for fold in parts], workers=how.workers)
    except UsageError:
        raise
    except KyaraError as error:
        if whole:
            raise
        log.debug("size skipped", exc_info=True)
        return None, f"skipped: {error}"
    scores = score_rows(study, gathered(parts, said), **how.measured)
    return scores, "; ".join(scores.notes)


def _sizes(
    study: Study,
    make: Callable[[], Classifier],
    plan: Sequence[Fold],
    how: Scoring,
    *,
    name: str,
) -> tuple[Size, ...]:
    """Every share, smallest first."""
    lines = [nested(fold, study.labels, study.groups, shares=SHARES, seed=how.seed) for fold in plan]
    sizes: list[Size] = []
    for i, share in enumerate(SHARES):
        parts = [Fold(f.repeat, f.number, line[i], f.scored) for f, line in zip(plan, lines, strict=True)]
        scores, note = _scored(study, make, parts, how, name=name, whole=share == 1)
        before = sizes[-1].scores if sizes else None
        gain = {}
        if scores and before:
            gain = {measure: difference(scores, before, measure, folds=how.folds) for measure in _MEASURES}
        n_images = float(np.mean([len(part.fitted) for part in parts]))
        n_groups = float(np.mean([len(np.unique(study.groups[part.fitted])) for part in parts]))
        sizes.append(Size(share, n_images, n_groups, scores, gain, note))
    return tuple(sizes)


def learning_curve(
    study: Study,
    make: Callable[[], Classifier],
    how: Scoring,
    *,
    name: str,
    results: Path,
) -> LearningCurve:
    """Score the head at every size; write ``learning_curve.csv`` and ``.png`` into ``results/plots``.

    Where an extractor learned from train, both files say that there are no folds.

    Parameters
    ----------
    make : callable
        New, unfitted heads.
    name : str
        The head's name.
    how : Scoring
        As for ``cv``, so that the last size is what ``cv`` is.

    Raises
    ------
    SplitError
        If the classes or groups are too few for the folds.
    KyaraError
        If the head fails on all rows of a fold; where it fails on fewer, the size has a note.
    """
    curve = LearningCurve(f"{name} fitted on fewer pictures", reason=why_no_cv(study))
    if not curve.reason:
        sizes = _sizes(study, make, cv_folds(study, **how.folded), how, name=name)
        caption = f"{curve.caption}: train and val, {how.folds_said}, {study.split_kind}"
        curve = LearningCurve(caption, sizes)
    plots = results / "plots"
    write_text_atomic(plots / "learning_curve.csv", curve.csv())
    write_bytes_atomic(plots / "learning_curve.png", png(lambda figure: _draw(figure, curve), (8.0, 5.0)))
    return curve


def _draw(figure: Figure, curve: LearningCurve) -> None:
    axes = figure.add_subplot()
    axes.set_title(f"{textwrap.fill(curve.caption, 78)}\n", loc="left", fontweight="bold", fontsize=11)
    known = [size for size in curve.sizes if size.scores]
    if not known:
        axes.set_axis_off()
        text = textwrap.fill(curve.sentence(), 60)
        axes.text(0.5, 0.5, text, ha="center", va="center", color=GREY, fontsize=14)
        return
    x = [size.n_images for size in known]
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1.2, label="AUC of chance")
    for name, colour, label in (("auc", CYCLE[0], "AUC"), ("accuracy", CYCLE[1], "accuracy")):
        found = [size.estimate(name) for size in known]
        ends = [(e.low, e.high) for e in found if e.low is not None and e.high is not None]
        if len(ends) == len(found):
            low, high = np.array(ends).T
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        heights = [np.nan if e.score is None else e.score for e in found]
        axes.plot(x, heights, "o-", color=colour, linewidth=2, markersize=6, label=label)
        for at, height in zip(x, heights, strict=True):
            axes.annotate(
                number(height), (at, height), (0, 7), textcoords="offset points", ha="center", fontsize=9
            )
    axes.set_xscale("log", base=2)
    axes.set_xticks(x, [f"{value:.0f}" for value in x])
    axes.minorticks_off()
    axes.grid(color="#e0e0e0", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_ylabel("out of fold, bands: 95% interval")
    axes.set_xlabel(f"pictures fitted on (each time twice as many)\n\n{textwrap.fill(curve.sentence(), 84)}")
    axes.set_ylim(bottom=min(0.42, axes.get_ylim()[0]))
    axes.legend(loc="lower right", frameon=False, ncols=3, fontsize=9)
