"""Numbers as text: aligned tables for a terminal, CSV for a file, the list of heads.

Owns how results read. Refuses to know where they come from, and imports no numpy.
"""

from __future__ import annotations

import ast
import csv
import importlib.util
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from featurestore import plugins
from featurestore.params import DecisionParams, FusionParams

__all__ = [
    "aligned",
    "csv_text",
    "decision_said",
    "fusion_said",
    "head_summaries",
    "interval",
    "markdown",
    "number",
    "rounded",
    "scores_table",
]


def rounded(value: float | None) -> float | None:
    """Six decimals, as every file has them; no minus zero.

    Examples
    --------
    >>> rounded(-1e-9), rounded(1 / 3), rounded(None)
    (0.0, 0.333333, None)
    """
    return None if value is None else round(float(value), 6) + 0.0


def number(value: float | None) -> str:
    """Three decimals, a dash for none."""
    return "-" if value is None else f"{value + 0.0:.3f}"


def interval(low: float | None, high: float | None) -> str:
    """Both ends, a dash for none.

    Examples
    --------
    >>> interval(0.25, 0.5), interval(None, None)
    ('[0.250, 0.500]', '-')
    """
    return "-" if low is None or high is None else f"[{number(low)}, {number(high)}]"


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain text table: the first column to the left, the others to the right.

    Examples
    --------
    >>> print(aligned(["head", "auc"], [["rf", "0.9"], ["logreg", "0.88"]]))
    head     auc
    rf       0.9
    logreg  0.88
    """
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = (
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    )
    return "\n".join(line.rstrip() for line in lines)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(header) + " |", "|:---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    r"""CSV with LF line ends; floats to six decimals, None as an empty cell.

    Examples
    --------
    >>> csv_text(["a", "b"], [["x,y", 0.1 + 0.2], [None, 3]])
    'a,b\n"x,y",0.3\n,3\n'
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([rounded(cell) if isinstance(cell, float) else cell for cell in row] for row in rows)
    return stream.getvalue()


def fusion_said(fusion: FusionParams, n_extractors: int) -> str:
    """How a result came about, in words; empty where it could not have come otherwise, or by default.

    Examples
    --------
    >>> fusion_said(FusionParams("late"), 2), fusion_said(FusionParams("late"), 1)
    ('late fusion', '')
    """
    if n_extractors < 2:
        return ""
    if fusion.method == "late":
        return "late fusion"
    return "early fusion, blocks scaled" if fusion.block_scaling else ""


def decision_said(decision: DecisionParams, searched: Sequence[str] = ()) -> str:
    """How decisions came about, in words; empty by default.

    Parameters
    ----------
    searched : sequence of str
        Params that the head chooses for itself.

    Examples
    --------
    >>> decision_said(DecisionParams("f1", "sigmoid")), decision_said(DecisionParams())
    ('threshold by f1, calibrated by a sigmoid', '')
    >>> decision_said(DecisionParams(), ["C"])
    'C searched in every fold'
    """
    parts = [f"{', '.join(searched)} searched in every fold"] if searched else []
    if decision.threshold != "default":
        parts.append(f"threshold by {decision.threshold.replace('_', ' ')}")
    if decision.calibration != "none":
        parts.append(f"calibrated by a {decision.calibration}")
    return ", ".join(parts)


def scores_table(blocks: Mapping[str, Mapping[str, Any]]) -> str:
    """Blocks of ``metrics.json`` (cv, val or test) side by side, measures down.

    Parameters
    ----------
    blocks : mapping of str to mapping
        Block by name; one without ``table`` (it has a ``reason``) is left out.
    """
    shown = {
        name: {row["measure"]: row for row in block["table"]}
        for name, block in blocks.items()
        if "table" in block
    }
    header = ["measure"]
    for name in shown:
        header += [name, "95% interval", "majority"]
    rows = []
    for measure in next(iter(shown.values()), {}):
        row = [measure.replace("_", " ")]
        for table in shown.values():
            cell = table[measure]
            row += [number(cell["score"]), interval(cell["low"], cell["high"]), number(cell["majority"])]
        rows.append(row)
    return aligned(header, rows)


def head_summaries(package: str = "classifiers.heads") -> dict[str, str]:
    """First line of each head's docstring, by name; reads the files and imports none of them."""
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    summaries = {}
    for name in plugins.listing(package):
        file = next(
            Path(folder) / f"{name}.py" for folder in folders if (Path(folder) / f"{name}.py").is_file()
        )
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        summaries[name] = text.partition("\n")[0]
    return summaries
