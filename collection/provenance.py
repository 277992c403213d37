"""Where each picture comes from: the record that a reviewer, or a lawyer, reads.

Owns ``metadata/sources.csv``: a row for every offer that was tried, taken or not, in an order that depends on
nothing but the lists. Refuses to judge rights: it says what was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from featurestore.dataset import cell, uncelled
from featurestore.files import write_text_atomic
from featurestore.metadata import printable
from featurestore.tables import read_table, table_text

__all__ = ["IMPORTED", "SOURCES", "Source", "read_sources", "write_sources"]

SOURCES: Final = "metadata/sources.csv"

#: The provider that is named for a folder that was imported and has no record of its own.
IMPORTED: Final = "import"


@dataclass(frozen=True)
class Source:
    """A row.

    Attributes
    ----------
    key : str
        Sha256 of the image file in ``data/images``; empty where no picture was taken.
    file : str
        Its path below the data folder, as ``characters.csv`` has it; empty likewise.
    character, series, role, label_source : str
    provider, query : str
        Who offered it, ``import`` for a folder that was imported without a record; what was asked.
    rank : int or ""
        Place in the provider's answer, from 0.
    page, url, final_url : str
        The page that shows it, the address of the image, and where redirects led.
    time : str
        UTC, when it was fetched or imported.
    status : int or ""
        HTTP status; 0 where there was no answer.
    licence : str
        What the provider or the table says of rights; empty where nothing is known.
    opt_out : str
        ``none found``, or what asked not to take it.
    original : str
        Sha256 of the bytes as they came, before they were cut.
    crop, box : str
        Method that cut it (empty if it is as it came), and left, top, width, height in pixels of the
        original.
    n_faces : int or ""
        How many faces were found in the original; empty where none was looked for.
    reason : str
        Why no picture was taken; empty if one was.
    """

    key: str = ""
    file: str = ""
    character: str = ""
    series: str = ""
    role: str = ""
    label_source: str = ""
    provider: str = ""
    query: str = ""
    rank: int | str = ""
    page: str = ""
    url: str = ""
    final_url: str = ""
    time: str = ""
    status: int | str = ""
    licence: str = ""
    opt_out: str = ""
    original: str = ""
    crop: str = ""
    box: str = ""
    n_faces: int | str = ""
    reason: str = ""


COLUMNS: Final = tuple(field.name for field in fields(Source))


def write_sources(root: Path, rows: Iterable[Source]) -> None:
    """Write the record of a data folder; what others wrote into it is printable, and on one line."""
    cells = [{name: cell(printable(str(getattr(row, name)))) for name in COLUMNS} for row in rows]
    write_text_atomic(root / SOURCES, table_text(cells, COLUMNS))


def read_sources(root: Path) -> list[Source]:
    """The record of a data folder; empty if it has none.

    Raises
    ------
    MetadataError
        If it cannot be read.
    """
    path = root / SOURCES
    if not path.is_file():
        return []
    rows = read_table(path, ["key"])
    return [Source(**{name: uncelled(row[name]) for name in COLUMNS if name in row}) for row in rows]
