"""What a page is made of: tables, figures with several views, sections.

Owns the values that stand between what was found and how it is set, and how a number becomes text in a page.
Refuses to know files and HTML.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from classifiers.tables import interval, number

__all__ = [
    "Figure",
    "Section",
    "Table",
    "View",
    "ends",
    "known",
    "listed",
    "plain",
    "score",
    "short",
    "signed",
    "value",
]


@dataclass(frozen=True)
class Table:
    """Rows of text under a header.

    Attributes
    ----------
    caption : str
        What the rows are; also what a screen reader says.
    kinds : str
        A letter a column: ``t`` text, ``n`` number, ``w`` text that may run over lines.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: str

    def __post_init__(self) -> None:
        if {len(self.header), *map(len, self.rows)} != {len(self.kinds)}:
            raise ValueError(f"{self.caption}: {len(self.kinds)} kinds for rows of another length")


@dataclass(frozen=True)
class View:
    """One way to look at a figure; a figure of several has a row of buttons.

    Attributes
    ----------
    label : str
    traces : tuple of mapping
        Plotly's, with colours as names of the page's (``"@c0"``, ``"@ink"``; ``"@c0/0.3"`` is translucent).
    layout : mapping
        What differs from the figure's.
    """

    label: str
    traces: tuple[Mapping[str, Any], ...]
    layout: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A plot, and the same in words and numbers.

    Attributes
    ----------
    id : str
        Of the element; unique in the page.
    title : str
        The accessible name, and the caption's first words.
    says : str
        How to read it, in one or two sentences.
    views : tuple of View
    table : Table or None
        The same numbers as text.
    height : int
        Pixels.
    ratio : float
        Of height to width on a screen that is too narrow for the height; 0 = the height is kept.
    layout : mapping
        Of all views.
    choice : str
        What the views differ in: ``"head"``.
    linked : str
        Figures of one name change their view together.
    cards : mapping
        What the page's script shows of a point: see `atlas`.
    wide : bool
        Whether it takes the whole width of the page.
    """

    id: str
    title: str
    says: str
    views: tuple[View, ...]
    table: Table | None = None
    height: int = 360
    ratio: float = 0.0
    layout: Mapping[str, Any] = field(default_factory=dict)
    choice: str = ""
    linked: str = ""
    cards: Mapping[str, Any] = field(default_factory=dict)
    wide: bool = True

    def spec(self) -> dict[str, Any]:
        """What the page's script draws it from."""
        views = [
            {"label": view.label, "traces": list(view.traces), "layout": dict(view.layout)}
            for view in self.views
        ]
        return {
            "height": self.height,
            "ratio": self.ratio,
            "layout": dict(self.layout),
            "linked": self.linked,
            "views": views,
            **({"cards": dict(self.cards)} if self.cards else {}),
        }


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    id : str
        Of the element, and the name of its template.
    title : str
    short : str
        For the contents.
    aid : str
        One sentence: what to look at, or why it stands here.
    values : mapping
        What its template asks for.
    """

    id: str
    title: str
    short: str
    aid: str
    values: Mapping[str, Any]


_DASH: Final = "–"


def known(number_or_nan: Any) -> bool:
    """Whether a cell holds a number.

    Examples
    --------
    >>> known(0.0), known(float("nan")), known(None), known("")
    (True, False, False, False)
    """
    return isinstance(number_or_nan, numbers.Real) and math.isfinite(number_or_nan)


def value(number_or_nan: Any) -> float | None:
    """A cell's number; None where there is none."""
    return float(number_or_nan) if known(number_or_nan) else None


def score(number_or_nan: Any) -> str:
    """Three decimals, or a dash.

    Examples
    --------
    >>> score(-0.25), score(float("nan"))
    ('−0.250', '–')
    """
    found = value(number_or_nan)
    return _DASH if found is None else _minus(number(found))


def _minus(text: str) -> str:
    """A minus where a hyphen stood for one."""
    return text.replace("-", "−")


def signed(number_or_nan: Any, places: int = 3) -> str:
    """With its sign.

    Examples
    --------
    >>> signed(-0.25), signed(0.5), signed(None)
    ('−0.250', '+0.500', '–')
    """
    found = value(number_or_nan)
    return _DASH if found is None else _minus(f"{found + 0.0:+.{places}f}")


def plain(number_or_nan: Any) -> str:
    """A count, or a number with few decimals, or a dash.

    Examples
    --------
    >>> plain(239.0), plain(4.4), plain(12345), plain(None)
    ('239', '4.4', '12,345', '–')
    """
    found = value(number_or_nan)
    if found is None:
        return _DASH
    return f"{found:,.0f}" if found == round(found) else f"{found:,.3g}"


def ends(low: Any, high: Any) -> str:
    """An interval, or a dash."""
    if value(low) is None or value(high) is None:
        return _DASH
    return _minus(interval(value(low), value(high)))


def listed(names: Iterable[str], most: int = 0) -> str:
    """Names in a sentence; beyond ``most`` (0 = no limit) the rest is counted.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], 2)
    ('a', 'a, b and c', 'a, b and 2 more')
    """
    found: Sequence[str] = list(names)
    if most and len(found) > most:
        return f"{', '.join(found[:most])} and {len(found) - most} more"
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def short(name: str) -> str:
    """A column without ``design/``; of other extractors the whole name.

    Examples
    --------
    >>> short("design/roundness"), short("clip/concept: a scar")
    ('roundness', 'clip/concept: a scar')
    """
    return name.removeprefix("design/")
