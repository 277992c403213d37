"""The first line of a table that somebody wrote: columns by their names, letter by letter.

Owns telling a column that is there under another spelling. Refuses to know what rows mean.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from featurestore.errors import MetadataError, MissingData
from featurestore.tables import numbered_rows

__all__ = ["check_case", "header_of", "rows_of"]


def rows_of(
    path: Path, required: Collection[str], *, optional: Collection[str] = (), what: str
) -> list[tuple[int, dict[str, str]]]:
    """Rows of a table, each with the number of its last line, as `numbered_rows`.

    Parameters
    ----------
    required, optional : collection of str
        Columns.
    what : str
        What the table is, for the error.

    Raises
    ------
    MissingData
        If there is no such file.
    MetadataError
        If it cannot be read, lacks a column, or has one in capitals.
    """
    if not path.exists():
        raise MissingData(f"no {what} {path}; name a CSV file with the columns {','.join(required)}")
    check_case(path, [*required, *optional])
    return numbered_rows(path, required)


def check_case(path: Path, columns: Collection[str]) -> None:
    """Refuse a column that is one of these but for capitals: it would be read as another, or not at all.

    Raises
    ------
    MetadataError
        Naming both spellings; or if the table cannot be read.
    """
    numbered_rows(path, ())  # whether it can be read at all
    header = header_of(path)
    for name in header:
        meant = name.casefold()
        if name not in columns and meant in columns and meant not in header:
            raise MetadataError(f"{path}, line 1: the column {name!r} must be written {meant!r}")


def header_of(path: Path) -> list[str]:
    """Names in the first line of a table that can be read, without blanks around them."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return [name.strip() for name in next(csv.reader(stream, strict=True), [])]
