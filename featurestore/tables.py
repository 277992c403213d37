"""CSV files that people and spreadsheets wrote: rows of text, or what is wrong with them and where.

Owns reading them (size, encoding, header, blanks, forms of Unicode), and rows as such a file again. Refuses
to know what a row speaks of.
"""

from __future__ import annotations

import csv
import io
import re
import stat
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from featurestore.errors import MetadataError

__all__ = ["checked_key", "numbered_rows", "read_table", "table_text"]

_MAX_BYTES = 64 << 20
_BREAKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_KEY = re.compile(r"[0-9a-f]{64}")


def _text_of(path: Path) -> str:
    """A file's text; whatever stands there, neither waited for nor read beyond the cap."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise MetadataError(f"{path}: a folder, pipe or device; put a CSV file there, or remove it")
        if status.st_size > _MAX_BYTES:
            raise MetadataError(f"{path}: {status.st_size} bytes; at most {_MAX_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise MetadataError(f"{path}: {error.strerror or error}; mend or remove it") from None
    if b"\0" in data:  # Python's csv would read on
        raise MetadataError(f"{path}: holds NUL bytes; save it as CSV in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetadataError(f"{path}: no UTF-8 ({error}); save it as CSV in UTF-8") from None


def read_table(path: Path, required: Collection[str]) -> list[dict[str, str]]:
    """Rows of a CSV file as text, without surrounding blanks and line breaks, in Unicode's NFC.

    The column ``file`` alone is left as it is: two files' names may differ in nothing but their form.

    Raises
    ------
    MetadataError
        If the file is too large, no UTF-8 CSV, or lacks a required column.
    """
    return [row for _, row in numbered_rows(path, required)]


def numbered_rows(path: Path, required: Collection[str]) -> list[tuple[int, dict[str, str]]]:
    """`read_table` with the number of the line that each row ends on; the header is line 1."""
    try:
        reader = csv.DictReader(io.StringIO(_text_of(path), newline=""), restval="", strict=True)
        _check_header(path, [name.strip() for name in reader.fieldnames or ()], required)
        rows = [(reader.line_num, _clean(path, reader.line_num, row)) for row in reader]
    except csv.Error as error:
        raise MetadataError(f"{path}: no CSV with one header line ({error})") from None
    return [(line, row) for line, row in rows if any(row.values())]  # spreadsheets leave empty lines behind


def _check_header(path: Path, header: Sequence[str], required: Collection[str]) -> None:
    lacking = sorted(set(required) - set(header))
    if lacking:
        split = ";" in "".join(header)
        mend = "save it with commas, not semicolons" if split else "it must be named in the first line"
        raise MetadataError(f"{path}: lacks the column {', '.join(lacking)}; {mend}")
    twice = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
    if twice:
        raise MetadataError(f"{path}, line 1: a second column {twice[0]!r}; rename or delete one")


def table_text(rows: Sequence[Mapping[str, str]], columns: Iterable[str] = ()) -> str:
    """Rows as CSV, as they stand: the columns named, then whatever further ones the rows have."""
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def checked_key(text: str, *, where: str) -> str:
    """The key that a row of a table names, in lower case.

    Parameters
    ----------
    text : str
    where : str
        File and line, for the error.

    Raises
    ------
    MetadataError
        If it is no sha256 in hex.
    """
    key = text.lower()
    if _KEY.fullmatch(key) is None:
        raise MetadataError(
            f"{where}: the key {text!r} is no sha256 of a file (64 digits, 0-9 and a-f);"
            " correct it (sha256sum FILE) or delete the row"
        )
    return key


def _clean(path: Path, line: int, row: dict[Any, Any]) -> dict[str, str]:
    """One row without surrounding blanks, its texts in one form, so that equal names are equal."""
    if row.pop(None, None):
        raise MetadataError(
            f"{path}, line {line}: more fields than the header; put texts with a comma in quotes"
        )
    cells = {}
    for key, value in row.items():
        column, text = key.strip(), value.strip()
        if column != "file":
            text = unicodedata.normalize("NFC", _BREAKS.sub(" ", text))
            if _CONTROL.search(text):
                raise MetadataError(f"{path}, line {line}: a control character in {text!r}; delete it")
        cells[column] = text
    return cells
