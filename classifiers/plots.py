"""What the predictions look like: data for DVC's plots, and the same as PNG.

Owns the plots of predictions in ``results/plots/``, and how every figure is drawn. Refuses to know
heads and stores. Figures are drawn without pyplot and without anybody's matplotlibrc, in colours that
the colour-blind tell apart (Okabe & Ito 2008), and hold no date and no version: equal predictions
give equal bytes.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from classifiers.intervals import Scores, group_draws, widening
from classifiers.metrics import Judged
from classifiers.pool import run
from classifiers.tables import csv_text, interval, number
from featurestore.files import write_bytes_atomic, write_text_atomic
from featurestore.text import WIDER_FONTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CYCLE", "GREY", "Drawing", "Shown", "calibration_bins", "png", "write_plots", "write_pngs"]

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]

_BLUE, _ORANGE, GREY = "#0072B2", "#D55E00", "#767676"
CYCLE = (_BLUE, _ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_DPI = 110


@dataclass(frozen=True)
class Shown:
    """What every plot of one evaluation shares.

    Attributes
    ----------
    title : str
        Head and rows: ``"logreg, cv"``.
    subtitle : str
        Images, groups, kind of split.
    """

    judged: Judged
    groups: npt.NDArray[Any]
    classes: tuple[str, ...]
    scores: Scores
    title: str
    subtitle: str

    @property
    def positive(self) -> str:
        """Name of the positive class."""
        return self.classes[self.judged.positive]

    def curves(self) -> dict[str, tuple[Floats, npt.NDArray[np.bool_]]]:
        """Score and truth for each class that gets a curve: of two classes only the positive."""
        codes = range(len(self.classes))
        if len(self.classes) == 2 or len(self.classes) > len(CYCLE):
            codes = range(self.judged.positive, self.judged.positive + 1)
        return {self.classes[c]: (self.judged.proba[:, c], self.judged.truth == c) for c in codes}


def _roc(rank: Floats, hit: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """False and true positive rates down the ranking; empty if a side is."""
    from sklearn.metrics import roc_curve

    if hit.all() or not hit.any():
        return np.empty(0), np.empty(0)
    fpr, tpr, _ = roc_curve(hit, rank)
    return fpr, tpr


def _pr(rank: Floats, hit: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Recall and precision, recall ascending; empty without a hit."""
    from sklearn.metrics import precision_recall_curve

    if not hit.any():
        return np.empty(0), np.empty(0)
    precision, recall, _ = precision_recall_curve(hit, rank)
    return recall[::-1], precision[::-1]


def calibration_bins(shown: Shown, *, draws: int, rng: np.random.Generator, n_bins: int = 10) -> Floats:
    """Probability of ``positive`` against how often it is true, in bins of equal counts.

    Returns
    -------
    ndarray of float64, shape (bins, 5)
        Mean predicted, share positive, low, high, n (images; of several repeats the mean). The ends
        are the 95% group bootstrap, widened as `classifiers.intervals.widening` says, NaN below ten groups.
    """
    repeats = shown.judged.repeats
    proba = shown.judged.proba[:, shown.judged.positive]
    hit = shown.judged.truth == shown.judged.positive
    edges = np.unique(
        np.quantile(proba, np.linspace(0, 1, min(n_bins, max(1, len(proba) // repeats // 10)) + 1))
    )
    code = np.searchsorted(edges[1:-1], proba, side="left")
    _, code = np.unique(code, return_inverse=True)
    count, hits = np.bincount(code), np.bincount(code, hit)
    ends = np.full((2, len(count)), np.nan)
    if shown.scores.estimates["accuracy"].low is not None:
        times, group = group_draws(shown.groups, draws, rng)
        shape, cell = (times.shape[1], len(count)), group * len(count) + code
        whole, part = (
            times.astype(float) @ np.bincount(cell, weights, minlength=shape[0] * shape[1]).reshape(shape)
            for weights in (None, hit)
        )
        share = np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
        middle = hits / count
        ends = middle + widening(shown.judged.folds) * (np.nanpercentile(share, (2.5, 97.5), axis=0) - middle)
        ends = np.clip(ends, 0.0, 1.0)
    mean = np.bincount(code, proba) / count
    return np.column_stack([mean, hits / count, *ends, count / repeats])


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn.

    Attributes
    ----------
    draw : callable
        Draws into an empty figure.
    size : tuple of float
        Width and height in inches.
    """

    draw: Callable[[Figure], None]
    size: tuple[float, float] = (6.0, 5.4)


def png(draw: Callable[[Figure], None], size: tuple[float, float] = (6.0, 5.4)) -> bytes:
    """A figure's bytes, the same whatever the user's style."""
    return _pngs([Drawing(draw, size)], workers=1)[0]


def write_pngs(folder: Path, drawings: Mapping[str, Drawing], *, workers: int) -> None:
    """Write ``<name>.png`` for each, as `png`.

    Parameters
    ----------
    workers : int
        Processes at most; 0 = one a core. Nothing depends on it.
    """
    for name, data in zip(drawings, _pngs(list(drawings.values()), workers=workers), strict=True):
        write_bytes_atomic(folder / f"{name}.png", data)


def _pngs(drawings: Sequence[Drawing], *, workers: int) -> list[bytes]:
    drawn = run(_drawn, drawings, workers=workers)
    if any(lacking for _, lacking in drawn):
        log.warning(
            "plots: no installed font has every letter of the labels; install one, e.g. Noto Sans CJK"
        )
    return [data for data, _ in drawn]


def _drawn(drawing: Drawing) -> tuple[bytes, bool]:
    """Bytes, and whether a letter was missing in every font."""
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.figure import Figure

    installed = {font.name for font in font_manager.fontManager.ttflist}
    stream = io.BytesIO()
    with matplotlib.rc_context(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        matplotlib.rcdefaults()
        matplotlib.rcParams["font.family"] = ["DejaVu Sans", *(n for n in WIDER_FONTS if n in installed)]
        matplotlib.rcParams["text.parse_math"] = False  # a label may hold a dollar
        matplotlib.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
        figure = Figure(figsize=drawing.size, dpi=_DPI, layout="constrained")
        drawing.draw(figure)
        figure.savefig(stream, format="png", metadata={"Software": None})
    for one in said:
        if "Glyph" not in str(one.message):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return stream.getvalue(), any("Glyph" in str(one.message) for one in said)


def _titled(figure: Figure, shown: Shown, what: str) -> Axes:
    axes = figure.add_subplot()
    axes.set_title(f"{what}: {shown.title}\n\n", loc="left", fontweight="bold", fontsize=12)
    axes.text(0, 1.02, shown.subtitle, transform=axes.transAxes, fontsize=9, color="#444444")
    return axes


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y, aspect="equal")
    axes.grid(color="#e0e0e0", linewidth=0.7)
    axes.set_axisbelow(True)


def _draw_confusion(figure: Figure, shown: Shown) -> None:
    k = len(shown.classes)
    cell = shown.judged.truth * k + shown.judged.predicted
    counts = np.bincount(cell, minlength=k * k).reshape(k, k) / shown.judged.repeats
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    places = 0 if shown.judged.repeats == 1 else 1  # means over the repeats are no whole numbers
    axes = _titled(figure, shown, "Confusion")
    drawn = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(k, k):
        colour = "white" if share[i, j] > 0.65 else "black"
        text = f"{counts[i, j]:.{places}f}\n{share[i, j]:.0%}" if k <= 6 else f"{counts[i, j]:.0f}"
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=14 if k <= 4 else 9)
    names = [
        f"{name}\n({n})" for name, n in zip(shown.classes, counts.sum(1).round().astype(int), strict=True)
    ]
    axes.set_xticks(range(k), list(shown.classes), rotation=0 if k <= 4 else 45)
    axes.set_yticks(range(k), names)
    axes.set(xlabel="predicted", ylabel="actual (images)")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(drawn, ax=axes, shrink=0.8, label="share of the actual class")


def _summary(shown: Shown, measure: str) -> str:
    e = shown.scores.estimates[measure]
    within = measure in ("auc", "average_precision") and shown.judged.fold is not None
    parts = (number(e.score), interval(e.low, e.high) if e.low is not None else "", "within folds" * within)
    return " ".join(part for part in parts if part)


def _curve_label(shown: Shown, name: str, short: str, measure: str) -> str:
    return f"{name}: {short} {_summary(shown, measure)}" if len(shown.classes) == 2 else name


def _macro(shown: Shown, axes: Axes, short: str, measure: str) -> None:
    """With more than two classes the number is a mean over them; it has no curve of its own."""
    if len(shown.classes) > 2:
        axes.plot([], [], " ", label=f"mean {short} {_summary(shown, measure)}")


def _draw_roc(figure: Figure, shown: Shown) -> None:
    axes = _titled(figure, shown, "ROC")
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1.2, label="majority: AUC 0.500")
    for (name, (rank, hit)), colour in zip(shown.curves().items(), CYCLE, strict=False):
        axes.plot(
            *_roc(rank, hit), color=colour, linewidth=2.2, label=_curve_label(shown, name, "AUC", "auc")
        )
    _macro(shown, axes, "AUC", "auc")
    what = shown.positive if len(shown.classes) == 2 else "the class"
    _unit_square(
        axes, f"false positives: share of the others called {what}", f"true positives: share of {what} found"
    )
    axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")


def _draw_pr(figure: Figure, shown: Shown) -> None:
    axes = _titled(figure, shown, "Precision and recall")
    prevalence = float((shown.judged.truth == shown.judged.positive).mean())
    axes.axhline(
        prevalence,
        linestyle="--",
        color=GREY,
        linewidth=1.2,
        label=f"share of {shown.positive}: {number(prevalence)}",
    )
    for (name, (rank, hit)), colour in zip(shown.curves().items(), CYCLE, strict=False):
        label = _curve_label(shown, name, "average precision", "average_precision")
        axes.plot(*_pr(rank, hit), color=colour, linewidth=2.2, drawstyle="steps-pre", label=label)
    _macro(shown, axes, "average precision", "average_precision")
    what = shown.positive if len(shown.classes) == 2 else "the class"
    _unit_square(axes, f"recall: share of {what} found", f"precision: share of those called {what} that are")
    axes.legend(loc="lower left", frameon=True, framealpha=0.9, edgecolor="none")


def _draw_calibration(figure: Figure, shown: Shown, bins: Floats) -> None:
    axes = _titled(figure, shown, "Calibration")
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1.2, label="what is said is what happens")
    x, y, low, high, n = bins.T
    if not np.isnan(low).all():
        axes.vlines(x, low, high, color=_BLUE, alpha=0.35, linewidth=5, label="95% interval (groups drawn)")
    least, most = round(n.min()), round(n.max())
    each = f"{least}" if least == most else f"{least} to {most}"
    label = f"mean of {each} images; Brier {_summary(shown, 'brier')}"
    axes.plot(x, y, "o-", color=_BLUE, markersize=6, label=label)
    _unit_square(axes, f"predicted probability of {shown.positive}", f"share that are {shown.positive}")
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=1)


def _positive_curves(shown: Shown) -> tuple[Sequence[Any], Sequence[Any]]:
    rank, hit = shown.judged.proba[:, shown.judged.positive], shown.judged.truth == shown.judged.positive
    roc, pr = _roc(rank, hit), _pr(rank, hit)
    return np.column_stack(roc).tolist(), np.column_stack(pr).tolist()


def write_plots(folder: Path, shown: Shown, *, draws: int, seed: int) -> None:
    """Write ``confusion``, ``roc``, ``pr`` and ``calibration``, each ``.csv`` and ``.png``.

    The CSV files are about ``positive`` against the rest, as DVC's templates take them; the PNG
    have a curve for each class where there are three to eight.
    """
    bins = calibration_bins(shown, draws=draws, rng=np.random.default_rng(seed))
    roc, pr = _positive_curves(shown)
    names = np.asarray(shown.classes)
    pairs = zip(names[shown.judged.truth].tolist(), names[shown.judged.predicted].tolist(), strict=True)
    rows = [
        [*map(float, row[:2]), *(None if np.isnan(v) else float(v) for v in row[2:4]), round(row[4])]
        for row in bins
    ]
    tables: dict[str, tuple[list[str], Any]] = {
        "confusion": (["actual", "predicted"], pairs),
        "roc": (["fpr", "tpr"], roc),
        "pr": (["recall", "precision"], pr),
        "calibration": (["mean_predicted", "share_positive", "low", "high", "n"], rows),
    }
    figures = {
        "confusion": Drawing(lambda figure: _draw_confusion(figure, shown)),
        "roc": Drawing(lambda figure: _draw_roc(figure, shown)),
        "pr": Drawing(lambda figure: _draw_pr(figure, shown)),
        "calibration": Drawing(lambda figure: _draw_calibration(figure, shown, bins)),
    }
    for name, (header, table) in tables.items():
        write_text_atomic(folder / f"{name}.csv", csv_text(header, table))
    write_pngs(folder, figures, workers=1)
