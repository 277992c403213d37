"""What stands beside the images: characters.csv, labels.csv, folders, patterns.

Owns reading them and saying which row is wrong. Every path is relative to the data folder, with
``/``. Refuses to know pixels and splits.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
import unicodedata
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.errors import MetadataError

__all__ = [
    "Facts",
    "escape_path",
    "facts_of",
    "is_formula",
    "notes_of",
    "printable",
    "read_table",
    "unescape_path",
]

_MAX_BYTES = 64 << 20
CHARACTERS = "metadata/characters.csv"
LABELS = "metadata/labels.csv"

#: What is wrong with a label that `is_formula`.
FORMULA_LABEL = "a spreadsheet would compute it, for it begins with a formula's sign; rename it"
# Full-width signs too: spreadsheets of some languages take them for the others.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_BREAKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Facts:
    """What is known of one image file besides its bytes; empty text = not known."""

    label: str
    character: str = ""
    series: str = ""


def escape_path(path: str) -> str:
    r"""A path as printable UTF-8: control characters, ``%`` and bytes that are no UTF-8 become %XX.

    Examples
    --------
    >>> escape_path("images/hero/a\nb.png")
    'images/hero/a%0Ab.png'
    >>> unescape_path(escape_path("100%.png"))
    '100%.png'
    """

    def one(character: str) -> str:
        if character == "%" or not character.isprintable():
            return "".join(f"%{byte:02X}" for byte in os.fsencode(character))
        return character

    return "".join(one(c) for c in path)


def unescape_path(text: str) -> str:
    """Inverse of `escape_path`."""
    return os.fsdecode(urllib.parse.unquote_to_bytes(text.encode("utf-8", "surrogateescape")))


def printable(text: str) -> str:
    r"""Any text as one line without control characters and terminal escapes.

    Examples
    --------
    >>> printable("red: \x1b[31m\nalert")
    'red: \\x1b[31m\\nalert'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would compute a cell of this text instead of showing it.

    Examples
    --------
    >>> is_formula("=1+1"), is_formula("-5"), is_formula("Sky - High")
    (True, False, False)
    """
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None


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
    try:
        reader = csv.DictReader(io.StringIO(_text_of(path), newline=""), restval="", strict=True)
        rows = [_clean(path, reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise MetadataError(f"{path}: no CSV with one header line ({error})") from None
    rows = [row for row in rows if any(row.values())]  # spreadsheets leave empty lines behind
    lacking = sorted(set(required) - {(name or "").strip() for name in reader.fieldnames or ()})
    if lacking:
        raise MetadataError(
            f"{path}: lacks the column {', '.join(lacking)}; it must be named in the first line"
        )
    return rows


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


class _Names:
    """Finds the image file that a row of a table speaks of."""

    def __init__(self, files: Collection[str]) -> None:
        self._exact: dict[str, set[str]] = {}
        self._alike: dict[str, set[str]] = {}
        for file in files:
            for name in (file, escape_path(file)):
                self._exact.setdefault(name, set()).add(file)
                self._alike.setdefault(unicodedata.normalize("NFC", name), set()).add(file)

    def find(self, text: str) -> set[str]:
        """Files of just this name, on disk or as dataset.csv has it; else those that look the same."""
        names = (text, f"images/{text}")
        forms = [unicodedata.normalize("NFC", name) for name in names]
        found = [self._exact.get(name) for name in names] + [self._alike.get(form) for form in forms]
        return next((files for files in found if files), set())


def _by_file(path: Path, required: Collection[str], files: Collection[str]) -> dict[str, dict[str, str]]:
    """Rows of a metadata table by the image they speak of."""
    if not os.path.lexists(path):  # a link to nothing is a mistake, not the absence of a table
        return {}
    names = _Names(files)
    known: dict[str, dict[str, str]] = {}
    for number, row in enumerate(read_table(path, required), start=1):
        found = sorted(names.find(row["file"]))
        if not found:
            raise MetadataError(
                f"{path}, row {number}: no file {row['file']!r} under the data folder;"
                " correct or delete the row (paths look like images/hero/a.png)"
            )
        if len(found) > 1:
            raise MetadataError(
                f"{path}, row {number}: {row['file']!a} may mean {' or '.join(map(ascii, found))};"
                " rename one of them"
            )
        if found[0] in known:
            raise MetadataError(f"{path}, row {number}: a second row for {row['file']!r}; delete one")
        known[found[0]] = row
    return known


def facts_of(files: Mapping[str, str], root: Path, *, group_from: str | None) -> dict[str, Facts]:
    """Label, character and series of every image file.

    The series is, in this order: ``characters.csv``, the first group of ``group_from`` searched in
    the path below ``images/``, the folder between label and file.

    Parameters
    ----------
    files : mapping of str to str
        Path relative to ``root`` -> label by folder.
    root : Path
        The data folder.
    group_from : str or None
        A regular expression.

    Raises
    ------
    MetadataError
        Naming the file and line.
    """
    characters = _by_file(root / CHARACTERS, ["file"], files)
    labels = _by_file(root / LABELS, ["file", "label"], files)
    pattern = re.compile(group_from) if group_from else None
    facts = {}
    for file, folder_label in files.items():
        row = characters.get(file, {})
        label = labels[file]["label"] if file in labels else unicodedata.normalize("NFC", folder_label)
        if not label:
            raise MetadataError(f"{root / LABELS}: an empty label for {file!r}")
        if is_formula(label):
            raise MetadataError(f"{root / LABELS}: the label {label!r}: {FORMULA_LABEL}")
        found = pattern.search(file.removeprefix("images/")) if pattern else None
        inner = file.split("/")[2:-1]
        by_path = (found.group(1) or "") if found else "".join(inner[:1])
        series = row.get("series", "") or unicodedata.normalize("NFC", escape_path(by_path))
        facts[file] = Facts(label, row.get("character", ""), series)
    return facts


def notes_of(paths: Sequence[str], root: Path) -> list[dict[str, str]]:
    """All that ``characters.csv`` says of some images, whatever its columns.

    `facts_of` has checked the table when the images were indexed; a row of an image that is not asked for
    (it may be in quarantine) is left out.

    Parameters
    ----------
    paths : sequence of str
        As dataset.csv has them.
    root : Path
        The data folder.

    Returns
    -------
    list of dict of str to str
        One an image; empty where the table, or a row, is not there.

    Raises
    ------
    MetadataError
        If the file cannot be read.
    """
    table = root / CHARACTERS
    if not os.path.lexists(table):
        return [{} for _ in paths]
    files = [unescape_path(path) for path in paths]
    names = _Names(files)
    known = {file: row for row in read_table(table, ["file"]) for file in names.find(row["file"])}
    return [known.get(file, {}) for file in files]
