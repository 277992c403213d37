"""Names below pictures: in a font that has their letters, and no wider than a picture.

Owns the choice of fonts and the breaking of lines. Refuses to know what a caption says.
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featurestore.metadata import printable
from featurestore.text import WIDER_FONTS

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["font_of", "has_font", "lines_of"]

#: A file, and the font's place in it.
_Font = tuple[str, int]

#: Of a text: more than fits below any picture.
_MOST_CHARACTERS: Final = 300


def font_of(text: str, size_px: int) -> FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib; where it lacks letters of a text, the font that lacks fewest.

    A letter that this one lacks too is drawn as a box.

    Parameters
    ----------
    text : str
    size_px : int
    """
    return _loaded(_best_font(text), size_px)


def has_font(text: str) -> bool:
    """Whether one font has every letter of a text."""
    return not _lacking(text, _best_font(text))


def lines_of(text: str, font: FreeTypeFont, *, width_px: int, n_lines: int) -> list[str]:
    """A text in lines that fit, broken at blanks where there are any; what is left out is told by ``..``.

    Parameters
    ----------
    text : str
    font : FreeTypeFont
    width_px : int
        Width of a line.
    n_lines : int
        At most.
    """
    lines: list[str] = []
    rest = printable(text[:_MOST_CHARACTERS]).strip()
    while rest and len(lines) < n_lines:
        if font.getlength(rest) <= width_px:
            return [*lines, rest]
        if len(lines) == n_lines - 1:
            return [*lines, rest[: _n_fitting(rest, font, width_px, "..")].rstrip() + ".."]
        n = _n_fitting(rest, font, width_px)
        blank = rest.rfind(" ", 0, n + 1)
        n = blank if blank > 0 else n
        lines.append(rest[:n].rstrip())
        rest = rest[n:].lstrip()
    return lines


def _n_fitting(text: str, font: FreeTypeFont, width_px: int, end: str = "") -> int:
    """How many characters of a text, with an end behind them, are no wider than a line; at least one."""
    n = bisect_right(range(1, len(text) + 1), float(width_px), key=lambda n: font.getlength(text[:n] + end))
    return max(1, n)


def _best_font(text: str) -> _Font:
    plain = _plain_font()
    if not _lacking(text, plain):
        return plain
    return min([plain, *_wider_fonts()], key=lambda font: len(_lacking(text, font)))


@functools.cache
def _plain_font() -> _Font:
    import matplotlib

    return str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), 0


@functools.cache
def _wider_fonts() -> list[_Font]:
    from matplotlib import font_manager

    regular = {
        font.name: (font.fname, getattr(font, "index", 0))
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and font.weight in (400, "normal", "regular")
    }
    return [regular[name] for name in WIDER_FONTS if name in regular]


def _lacking(text: str, font: _Font) -> set[str]:
    """Letters of a text that a font lacks."""
    has = _letters(font)
    return {letter for letter in printable(text[:_MOST_CHARACTERS]) if ord(letter) not in has}


@functools.cache
def _letters(font: _Font) -> frozenset[int]:
    """Code points that a font draws."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(font[0]).get_charmap())


@functools.cache
def _loaded(font: _Font, size_px: int) -> FreeTypeFont:
    from PIL import ImageFont

    path, index = font
    return ImageFont.truetype(path, size_px, index=index)
