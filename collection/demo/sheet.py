"""Sheets: the cast at a glance, and one character with one factor moved at a time.

Owns: the layout. Refuses to know how a character is painted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from collection.demo.cast import Character
from collection.demo.factors import FACTORS
from collection.demo.render import paint
from featurestore.errors import UsageError

__all__ = ["contact_sheet", "factor_sheet", "plainest", "require_suffix", "save_sheet"]

_PAPER, _INK = (250, 248, 244), (96, 90, 100)
_TILE_PX, _GAP_PX, _HEAD_PX = 128, 4, 22


def contact_sheet(cast: Sequence[Character], *, columns: int = 8, rows: int = 5) -> Image.Image:
    """Heroes on the left, villains and antiheroes on the right; the first of each series, then the rest."""
    half = columns // 2
    heroes = _varied([one for one in cast if one.label == "hero"])[: half * rows]
    others = _varied([one for one in cast if one.label != "hero"])[: half * rows]
    wide, step = columns * (_TILE_PX + _GAP_PX) + 5 * _GAP_PX, _TILE_PX + _GAP_PX
    sheet = Image.new("RGB", (wide, rows * step + _HEAD_PX + _GAP_PX), _PAPER)
    for block, (title, people) in enumerate(
        (("heroes", heroes), ("villains and antiheroes (marked *)", others))
    ):
        left = _GAP_PX + block * (half * step + 3 * _GAP_PX)
        _write(sheet, (left + 2, 5), title)
        for i, one in enumerate(people):
            x, y = left + i % half * step, _HEAD_PX + i // half * step
            sheet.paste(_tile(one), (x, y))
            if one.role == "antihero":
                _write(sheet, (x + _TILE_PX - 9, y + 2), "*", ink=(255, 255, 255), edge=2)
    return sheet


def factor_sheet(character: Character, *, steps: Sequence[float] = (-2, -1, 0, 1, 2)) -> Image.Image:
    """One character with each factor in turn set to a number of standard deviations, the others to 0."""
    step, margin = _TILE_PX + _GAP_PX, 112
    sheet = Image.new("RGB", (margin + len(steps) * step, _HEAD_PX + len(FACTORS) * step), _PAPER)
    neutral = dict.fromkeys(FACTORS, 0.0)
    for column, value in enumerate(steps):
        _write(sheet, (margin + column * step + 52, 5), f"{value:+g} sd")
        for row, name in enumerate(FACTORS):
            sheet.paste(
                _tile(replace(character, factors=neutral | {name: float(value)})),
                (margin + column * step, _HEAD_PX + row * step),
            )
    for row, name in enumerate(FACTORS):
        _write(sheet, (6, _HEAD_PX + row * step + 56), name.replace("_", " "))
    return sheet


def _varied(people: Sequence[Character]) -> list[Character]:
    """Order people so that no series comes twice before every series came once."""
    first = {one.series.name: one for one in reversed(people)}
    return sorted(people, key=lambda one: (first[one.series.name] is not one, one.number))


def plainest(cast: Sequence[Character]) -> Character:
    """Return the first character whose series adds neither frame nor texture, to show factors on."""
    plain = (one for one in cast if one.series.frame == 0 and one.series.grain[0] == 0)
    return next(plain, cast[0])


def _tile(character: Character) -> Image.Image:
    return paint(character).resize((_TILE_PX, _TILE_PX), Image.Resampling.LANCZOS)


def _write(
    sheet: Image.Image, place: tuple[int, int], text: str, *, ink: tuple[int, int, int] = _INK, edge: int = 0
) -> None:
    font = ImageFont.load_default(12)
    ImageDraw.Draw(sheet).text(place, text, fill=ink, font=font, stroke_width=edge, stroke_fill=(40, 30, 50))


def require_suffix(path: Path) -> None:
    """Refuse a path that is neither JPEG nor PNG.

    Raises
    ------
    UsageError
        For another suffix.
    """
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise UsageError(f"{path}: a sheet is written as .jpg, .jpeg or .png")


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a sheet as JPEG or PNG, by the suffix; atomically.

    Raises
    ------
    UsageError
        For another suffix.
    """
    require_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.tmp")
    with scratch.open("wb") as file:
        sheet.save(file, "PNG" if path.suffix.lower() == ".png" else "JPEG", quality=84, optimize=True)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
