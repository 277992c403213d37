"""Contact sheets with numbers, and a table to decide in, for those who review on paper or without a browser.

Owns the layout. Refuses to know what a decision means: the filled table goes to `Session.apply`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from collection.curation.cards import Card
from collection.curation.session import Session
from featurestore.dataset import cell
from featurestore.errors import DataError, UsageError
from featurestore.files import write_bytes_atomic, write_text_atomic

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["TABLE", "write_sheets"]

TABLE: Final = "decisions.csv"

_COLUMNS: Final = 6
_ROWS: Final = 7
_TILE_PX, _GAP_PX, _TEXT_PX = 176, 8, 44
_PAPER, _INK, _WARN, _EMPTY = (251, 250, 248), (29, 28, 26), (138, 67, 0), (226, 221, 213)
_LETTERS: Final = 27  # that fit below a picture


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
        If the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; name a new folder for the sheets")
    cards = session.cards()
    per_sheet = _COLUMNS * _ROWS
    written = []
    for n, start in enumerate(range(0, len(cards), per_sheet), start=1):
        stream = io.BytesIO()
        _sheet(session, cards[start : start + per_sheet]).save(stream, "JPEG", quality=88)
        written.append(folder / f"sheet-{n:03d}.jpg")
        write_bytes_atomic(written[-1], stream.getvalue())
    write_text_atomic(folder / TABLE, _table(cards))
    return written


def _sheet(session: Session, cards: Sequence[Card]) -> Image.Image:
    from PIL import Image, ImageDraw, ImageFont

    step = _TILE_PX + _GAP_PX
    n_rows = -(-len(cards) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * step + _GAP_PX, n_rows * (step + _TEXT_PX) + _GAP_PX), _PAPER)
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(16), ImageFont.load_default(11)
    for i, card in enumerate(cards):
        x = _GAP_PX + i % _COLUMNS * step
        y = _GAP_PX + i // _COLUMNS * (step + _TEXT_PX)
        sheet.paste(_tile(session, card), (x, y))
        pen.text((x, y + _TILE_PX + 1), str(card.number), fill=_INK, font=large)
        told = " ".join(filter(None, [card.verdict, card.label or card.folder]))
        pen.text((x + 50, y + _TILE_PX + 5), _ascii(told), fill=_INK, font=small)
        open_hints = dict.fromkeys(hint.name for hint in card.hints if not hint.settled)
        pen.text((x, y + _TILE_PX + 24), _ascii(", ".join(open_hints)), fill=_WARN, font=small)
    return sheet


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


def _ascii(text: str) -> str:
    """What the built-in font can draw, as far as there is room."""
    drawn = text.encode("ascii", "replace").decode("ascii")
    return drawn if len(drawn) <= _LETTERS else drawn[: _LETTERS - 2] + ".."


def _table(cards: Sequence[Card]) -> str:
    """A row a picture, to be filled in under decision, label and reason."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["number", "key", "file", "flags", "standing", "decision", "label", "reason"])
    for card in cards:
        flags = ", ".join(dict.fromkeys(hint.name for hint in card.hints if not hint.settled))
        file = card.files[0] if card.files else ""
        writer.writerow([card.number, card.key, file, flags, cell(card.verdict), "", "", ""])
    return buffer.getvalue()
