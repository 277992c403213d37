"""Contact sheets with numbers, and a table to decide in, for those who review on paper or without a browser.

Owns the layout. Refuses to know what a decision means: the filled table goes to `Session.apply`.
"""

from __future__ import annotations

import csv
import io
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from collection.curation.captions import font_of, has_font, lines_of
from collection.curation.cards import Card
from collection.curation.session import Session
from collection.progress import told
from featurestore.dataset import cell
from featurestore.errors import DataError, UsageError
from featurestore.files import write_bytes_atomic, write_text_atomic

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

__all__ = ["TABLE", "check_folder", "write_sheets"]

log = logging.getLogger(__name__)

TABLE: Final = "decisions.csv"

_COLUMNS: Final = 6
_ROWS: Final = 6
_TILE_PX, _GAP_PX, _TEXT_PX = 176, 8, 78
_NUMBER_PX, _SMALL_PX, _LINE_PX = 16, 11, 14
_Colour = tuple[int, int, int]
_PAPER, _EMPTY = (251, 250, 248), (226, 221, 213)
_INK, _FAINT, _WARN = (29, 28, 26), (88, 84, 78), (138, 67, 0)


def check_folder(folder: Path, *, root: Path) -> None:
    """Whether sheets of a data folder may be written to a folder.

    Raises
    ------
    UsageError
        If it holds something, or lies among the pictures, where its name would be a class.
    """
    if folder.resolve().is_relative_to((root / "images").resolve()):
        raise UsageError(f"{folder} lies among the pictures of {root}; name a folder elsewhere")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; name a new folder for the sheets")


def write_sheets(session: Session, folder: Path) -> list[Path]:
    """Write every picture on numbered sheets, and a table with a row for each.

    Parameters
    ----------
    session : Session
    folder : Path
        Is made; must be empty, so that no sheet of another review stands among these.

    Returns
    -------
    list of Path
        The sheets, ``sheet-001.jpg`` and on; the table is `TABLE` beside them.

    Raises
    ------
    UsageError
        As `check_folder` does.
    """
    check_folder(folder, root=session.root)
    cards = session.cards()
    coming = told(cards, len(cards), name="sheets", where=folder)
    written: list[Path] = []
    while some := list(itertools.islice(coming, _COLUMNS * _ROWS)):
        stream = io.BytesIO()
        _sheet(session, some).save(stream, "JPEG", quality=88)
        written.append(folder / f"sheet-{len(written) + 1:03d}.jpg")
        write_bytes_atomic(written[-1], stream.getvalue())
    write_text_atomic(folder / TABLE, _table(cards))
    if not all(has_font(text) for card in cards for text in (_standing(card), _name(card), card.series)):
        log.warning(
            "sheets: no installed font has every letter of the names; install one, e.g. Noto Sans CJK,"
            " or read them in %s",
            folder / TABLE,
        )
    return written


def _sheet(session: Session, cards: Sequence[Card]) -> Image.Image:
    from PIL import Image, ImageDraw

    step = _TILE_PX + _GAP_PX
    n_rows = -(-len(cards) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * step + _GAP_PX, n_rows * (step + _TEXT_PX) + _GAP_PX), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, card in enumerate(cards):
        x = _GAP_PX + i % _COLUMNS * step
        y = _GAP_PX + i // _COLUMNS * (step + _TEXT_PX)
        sheet.paste(_tile(session, card), (x, y))
        _caption(pen, x, y + _TILE_PX, card)
    return sheet


def _caption(pen: ImageDraw.ImageDraw, x: int, y: int, card: Card) -> None:
    """Number and standing; below them character, series and flags on four lines, the last for flags alone."""
    number = str(card.number)
    large = font_of(number, _NUMBER_PX)
    pen.text((x, y), number, fill=_INK, font=large)
    indent = max(50, round(large.getlength(number)) + 8)
    _text(pen, x + indent, y + 5, _standing(card), _INK, width_px=_TILE_PX - indent, n_lines=1)
    n = 0
    for text, ink, last in ((_name(card), _INK, 2), (card.series, _FAINT, 3), (_flags(card), _WARN, 4)):
        n += _text(pen, x, y + 21 + n * _LINE_PX, text, ink, width_px=_TILE_PX, n_lines=last - n)


def _text(
    pen: ImageDraw.ImageDraw, x: int, y: int, text: str, ink: _Colour, *, width_px: int, n_lines: int
) -> int:
    """Write a text; returns the number of its lines."""
    font = font_of(text, _SMALL_PX)
    lines = lines_of(text, font, width_px=width_px, n_lines=n_lines)
    for i, line in enumerate(lines):
        pen.text((x, y + i * _LINE_PX), line, fill=ink, font=font)
    return len(lines)


def _tile(session: Session, card: Card) -> Image.Image:
    """A picture in its square; what cannot be decoded is an empty one."""
    from PIL import Image

    tile = Image.new("RGB", (_TILE_PX, _TILE_PX), _EMPTY)
    try:
        shown = Image.open(io.BytesIO(session.image(card.key)))
    except DataError:
        return tile
    shown.thumbnail((_TILE_PX, _TILE_PX), Image.Resampling.LANCZOS)
    tile.paste(shown, ((_TILE_PX - shown.width) // 2, (_TILE_PX - shown.height) // 2))
    return tile


def _standing(card: Card) -> str:
    """The decision and the label."""
    return " ".join(filter(None, [card.verdict, card.label or card.folder]))


def _name(card: Card) -> str:
    """The character, or what the page shows in its place."""
    return card.character or (card.files[0].rpartition("/")[2] if card.files else "no name")


def _flags(card: Card) -> str:
    """Flags that nothing has settled."""
    return ", ".join(dict.fromkeys(hint.name for hint in card.hints if not hint.settled))


def _table(cards: Sequence[Card]) -> str:
    """A row a picture, to be filled in under decision, label and reason."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["number", "key", "character", "series", "file", "flags", "standing", "decision", "label", "reason"]
    )
    for card in cards:
        names = cell(card.character), cell(card.series), card.files[0] if card.files else ""
        writer.writerow([card.number, card.key, *names, _flags(card), cell(card.verdict), "", "", ""])
    return buffer.getvalue()
