"""How figures are drawn: traces and axes as plain values, for Plotly in the page.

Owns what the plots of all sections share: colours by name, symbols, rows with intervals, and texts that
Plotly must not read as markup. Refuses to know what is drawn, and imports no plotting library: the page has
one.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from classifiers.report.parts import known

__all__ = [
    "SYMBOLS",
    "Mark",
    "axis",
    "band",
    "class_style",
    "forest",
    "level",
    "line",
    "literal",
    "marks",
    "points",
]

#: Told apart without colour.
SYMBOLS: Final = (
    "circle", "diamond", "square", "triangle-up", "cross", "x", "star", "triangle-down",
)  # fmt: skip

#: Decimals of what is drawn: below what a screen shows.
_PLACES: Final = 5
_ROW_PX: Final = 30


def literal(text: object, width: int = 0) -> str:
    """A text that Plotly shows letter by letter; it reads a little HTML.

    The page writes no other markup than ``<br>``: bold letters would be a style attribute, which the policy
    refuses.

    Parameters
    ----------
    width : int
        Letters of a line; 0 = one line.

    Examples
    --------
    >>> literal("<b>R&D</b>"), literal("warm palette", 8)
    ('&lt;b&gt;R&amp;D&lt;/b&gt;', 'warm<br>palette')
    """
    lines = textwrap.wrap(str(text), width) if width else [" ".join(str(text).split())]
    safe = [line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in lines]
    return "<br>".join(safe)


def level(values: Iterable[Any]) -> list[float | None]:
    """Numbers as a page holds them: five decimals, None for none."""
    return [round(float(v), _PLACES) + 0.0 if known(v) else None for v in values]


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis that does not zoom, with a title."""
    return {"title": {"text": literal(title)}, "fixedrange": True, **more}


def class_style(classes: Sequence[str], positive: str) -> dict[str, tuple[str, str]]:
    """Class -> colour and symbol; the positive class has the second of both.

    Examples
    --------
    >>> class_style(["hero", "rival", "villain"], "villain")["rival"]
    ('@c2', 'square')
    """
    others = [name for name in classes if name != positive]
    places = {positive: 1, **{name: i + (i > 0) for i, name in enumerate(others)}}
    return {name: (f"@c{places[name] % 8}", SYMBOLS[places[name] % 8]) for name in classes}


def points(
    x: Iterable[Any],
    y: Iterable[Any],
    *,
    name: str,
    colour: Any = "@c0",
    symbol: Any = "circle",
    size: int = 9,
    hover: Sequence[str] = (),
    low: Iterable[Any] | None = None,
    high: Iterable[Any] | None = None,
    across: bool = False,
    joined: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Points, with the ends of an interval each where they are given.

    Parameters
    ----------
    low, high : iterable of float, optional
        Ends along y, or along x where ``across``; a point that lacks one has no bar.
    hover : sequence of str
        What is said of each, already `literal`.
    joined : bool
        Whether a line joins them.
    """
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers" if joined else "markers",
        "x": level(x),
        "y": level(y),
        "name": literal(name),
        "marker": {"color": colour, "symbol": symbol, "size": size, "line": {"width": 0}},
        **more,
    }
    if joined:
        trace["line"] = {"color": colour, "width": 2}
    if len(hover):
        trace |= {"hovertext": list(hover), "hoverinfo": "text"}
    if low is not None and high is not None:
        middle = x if across else y
        up = [h - m if known(h) and known(m) else 0 for m, h in zip(middle, high, strict=True)]
        down = [m - w if known(w) and known(m) else 0 for m, w in zip(middle, low, strict=True)]
        bar = {"type": "data", "symmetric": False, "array": level(up), "arrayminus": level(down)}
        bar |= {"color": colour if isinstance(colour, str) else "@muted", "thickness": 1.6, "width": 0}
        trace["error_x" if across else "error_y"] = bar
    return trace


def line(
    x: Iterable[Any], y: Iterable[Any], *, name: str, colour: str = "@c0", dash: str = "solid", **more: Any
) -> dict[str, Any]:
    """A line; of a step curve give ``shape``."""
    drawn = {"color": colour, "width": 2, "dash": dash, "shape": more.pop("shape", "linear")}
    return {
        "type": "scatter",
        "mode": "lines",
        "x": level(x),
        "y": level(y),
        "name": literal(name),
        "line": drawn,
        **more,
    }


def band(
    x: Sequence[Any], low: Sequence[Any], high: Sequence[Any], *, colour: str, name: str = ""
) -> dict[str, Any]:
    """An area between two lines."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": level([*x, *reversed(x)]),
        "y": level([*high, *reversed(low)]),
        "fill": "toself",
        "fillcolor": f"{colour}/0.15",
        "line": {"width": 0, "color": colour},
        "hoverinfo": "skip",
        "name": literal(name),
        "showlegend": bool(name),
    }


@dataclass(frozen=True)
class Mark:
    """A row of a forest plot.

    Attributes
    ----------
    label : str
    value, low, high : float
        NaN = not known.
    kind : str
        Rows of one kind have a colour, a symbol and a place in the legend.
    says : str
        Shown beside the pointer.
    """

    label: str
    value: Any
    low: Any
    high: Any
    kind: str
    says: str = ""


def marks(rows: Sequence[Mark]) -> list[str]:
    """What is said of each row."""
    return [f"{literal(row.label)}<br>{literal(row.says, 52)}" for row in rows]


def _rows_of(
    rows: Sequence[Mark], kind: str, style: tuple[str, str], place: Mapping[str, int], offset: float
) -> dict[str, Any]:
    """The rows of one kind, as points with intervals along x."""
    own = [row for row in rows if row.kind == kind]
    return points(
        [row.value for row in own],
        [place[row.label] + offset for row in own],
        name=kind,
        colour=style[0],
        symbol=style[1],
        size=10,
        low=[row.low for row in own],
        high=[row.high for row in own],
        hover=marks(own),
        across=True,
    )


def forest(
    rows: Sequence[Mark],
    styles: Mapping[str, tuple[str, str]],
    *,
    title: str,
    at: float | None = None,
    offset: Mapping[str, float] | None = None,
    wrap: int = 24,
) -> tuple[tuple[dict[str, Any], ...], dict[str, Any], int]:
    """Rows with intervals, first at the top; a row without a value says why.

    Parameters
    ----------
    styles : mapping of str to (colour, symbol)
        By kind, in the order of the legend.
    title : str
        Of the horizontal axis.
    at : float or None
        Where an upright line stands: chance, or none.
    offset : mapping of str to float
        By kind, how far its rows stand from the label's line; rows of one label share a line.

    Returns
    -------
    traces, layout, height in pixels
    """
    place = {label: i for i, label in enumerate(dict.fromkeys(row.label for row in rows))}
    kinds = {row.kind for row in rows}
    traces = tuple(
        _rows_of(rows, kind, style, place, (offset or {}).get(kind, 0.0))
        for kind, style in styles.items()
        if kind in kinds
    )
    ticks: dict[str, Any] = {
        "tickvals": list(place.values()),
        "ticktext": [literal(label, wrap) for label in place],
    }
    layout: dict[str, Any] = {
        "yaxis": axis(range=[len(place) - 0.4, -0.6], showgrid=False, zeroline=False, **ticks),
        "xaxis": axis(title, zeroline=False),
        "showlegend": len(traces) > 1,
        "hovermode": "closest",
        "shapes": [] if at is None else [upright(at)],
        "annotations": [_absent(r.says, place[r.label]) for r in rows if not known(r.value) and r.says],
    }
    return traces, layout, 110 + _ROW_PX * len(place)


def _absent(why: str, y: float) -> dict[str, Any]:
    """Where a row's point would be, why there is none."""
    return {
        "text": literal(why, 60), "x": 0.02, "xref": "paper", "xanchor": "left", "y": y, "showarrow": False,
        "align": "left", "font": {"color": "@muted", "size": 11.5},
    }  # fmt: skip


def upright(x: float) -> dict[str, Any]:
    """A dashed line across the plot, at a value of x."""
    style = {"color": "@muted", "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": style}
