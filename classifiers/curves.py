"""How training went: a head's loss, and the epochs of the extractors that learned.

Owns ``loss`` and ``training`` in ``results/plots/``, each ``.csv`` and ``.png``. Refuses to know who trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifiers.networks import Epoch
from classifiers.plots import CYCLE, GREY, png
from classifiers.tables import csv_text
from featurestore.files import write_bytes_atomic, write_text_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_loss", "write_training"]


def write_loss(curve: Sequence[Mapping[str, Any]], name: str, plots: Path) -> None:
    """Write a head's ``loss.csv`` and ``loss.png``; without a curve both say so.

    Parameters
    ----------
    curve : sequence of mapping
        ``epoch``, ``loss``, perhaps ``validation_score``, and ``extractor`` under late fusion; empty
        for a head without a curve.
    name : str
        The head.
    """
    late = any("extractor" in row for row in curve)
    header = ["extractor"] * late + ["epoch", "loss", "validation_score"]
    rows = [[row.get(column) for column in header] for row in curve]
    write_text_atomic(plots / "loss.csv", csv_text(header, rows))
    write_bytes_atomic(
        plots / "loss.png", png(lambda figure: _draw_loss(figure, curve, name, late=late), (8.0, 4.0))
    )


def write_training(histories: Mapping[str, Sequence[Epoch]], plots: Path) -> None:
    """Write ``training.csv`` and ``training.png`` of the extractors that learned; if none did both say so."""
    header = ["extractor", "epoch", "phase", "loss", "holdout_loss", "holdout_accuracy"]
    rows = [
        [name, *(getattr(e, c) for c in header[1:])] for name, epochs in histories.items() for e in epochs
    ]
    write_text_atomic(plots / "training.csv", csv_text(header, rows))
    size = (9.0, 3.7 * max(1, len(histories)) + 0.3)
    write_bytes_atomic(plots / "training.png", png(lambda figure: _draw_training(figure, histories), size))


def _nothing(figure: Figure, text: str) -> None:
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=GREY, fontsize=14)


def _panel(axes: Axes, title: str) -> None:
    axes.set(xlabel="epoch", title=title)
    axes.title.set_fontsize(10)
    axes.grid(color="#e0e0e0", linewidth=0.7)


def _draw_loss(figure: Figure, curve: Sequence[Mapping[str, Any]], name: str, *, late: bool) -> None:
    figure.suptitle(f"Training: {name}, train split", x=0.01, ha="left", fontweight="bold", fontsize=12)
    if not curve:
        _nothing(figure, f"{name} has no loss curve")
        return
    columns = {"loss": "loss (rows fitted on)"}
    if "validation_score" in curve[0]:
        columns["validation_score"] = "balanced accuracy (rows held out of train)"
    extractors = list(dict.fromkeys(row.get("extractor", "") for row in curve))
    for i, (column, title) in enumerate(columns.items()):
        axes = figure.add_subplot(1, len(columns), i + 1)
        for k, extractor in enumerate(extractors):
            rows = [row for row in curve if row.get("extractor", "") == extractor]
            axes.plot(
                [row["epoch"] for row in rows],
                [float(row.get(column, "nan")) for row in rows],
                color=CYCLE[(k if late else i) % len(CYCLE)],
                linewidth=2,
                label=extractor,
            )
        _panel(axes, title)
        if late:
            axes.legend(frameon=False, fontsize=9)


def _draw_training(figure: Figure, histories: Mapping[str, Sequence[Epoch]]) -> None:
    from matplotlib.ticker import MaxNLocator

    what = "Training of the extractors that learned, train split"
    figure.suptitle(what, x=0.01, ha="left", fontweight="bold", fontsize=12)
    if not histories:
        _nothing(figure, "no extractor learned")
        return
    for i, (name, epochs) in enumerate(histories.items()):
        count = [e.epoch for e in epochs]
        kept = next(e for e in epochs if e.best)
        left, right = (figure.add_subplot(len(histories), 2, 2 * i + column) for column in (1, 2))
        left.plot(count, [e.loss for e in epochs], color=CYCLE[0], linewidth=2, label="rows learned from")
        left.plot(count, [e.holdout_loss for e in epochs], color=CYCLE[1], linewidth=2, label="rows held out")
        _panel(left, f"{name}: loss")
        right.plot(count, [e.holdout_accuracy for e in epochs], color=CYCLE[1], linewidth=2)
        _panel(right, f"{name}: balanced accuracy (rows held out of train)")
        for axes, height in ((left, kept.holdout_loss), (right, kept.holdout_accuracy)):
            axes.plot([kept.epoch], [height], "o", color="black", markersize=7, label=f"kept: {kept.epoch}")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.margins(y=0.12)
            _mark_phases(axes, epochs)
        left.legend(frameon=False, fontsize=9)
        right.legend(frameon=False, fontsize=9)


def _mark_phases(axes: Axes, epochs: Sequence[Epoch]) -> None:
    """A line where a phase begins, its name at the top."""
    for i, epoch in enumerate(epochs):
        if i and epoch.phase == epochs[i - 1].phase:
            continue
        start = epoch.epoch - 0.5 if i else epoch.epoch
        if i:
            axes.axvline(start, color=GREY, linestyle="--", linewidth=1)
        axes.text(
            start,
            0.99,
            f" {epoch.phase}",
            transform=axes.get_xaxis_transform(),
            va="top",
            color=GREY,
            fontsize=9,
        )
