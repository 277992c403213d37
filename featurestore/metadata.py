"""What stands beside the images: characters.csv, labels.csv, folders, patterns.

Owns reading them and saying which row is wrong. Every path is relative to the data folder, with
``/``. Refuses to know pixels and splits.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.errors import MetadataError

__all__ = ["Facts", "escape_path", "facts_of", "read_table", "unescape_path"]

_MAX_BYTES = 64 << 20
CHARACTERS = "metadata/characters.csv"
LABELS = "metadata/labels.csv"


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


def read_table(path: Path, required: Collection[str]) -> list[dict[str, str]]:
    """Rows of a CSV file as text, without surrounding blanks.

    Raises
    ------
    MetadataError
        If the file is too large, no UTF-8 CSV, or lacks a required column.
    """
    data = path.read_bytes()
    if len(data) > _MAX_BYTES:
        raise MetadataError(f"{path}: {len(data)} bytes; at most {_MAX_BYTES}")
    try:
        reader = csv.DictReader(
            io.StringIO(data.decode("utf-8-sig"), newline=""), restkey="", restval="", strict=True
        )
        rows = [_clean(path, reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MetadataError(f"{path}: no UTF-8 CSV with one header line ({error})") from None
    rows = [row for row in rows if any(row.values())]  # spreadsheets leave empty lines behind
    lacking = sorted(set(required) - {(name or "").strip() for name in reader.fieldnames or ()})
    if lacking:
        raise MetadataError(
            f"{path}: lacks the column {', '.join(lacking)}; it must be named in the first line"
        )
    return rows


def _clean(path: Path, line: int, row: dict[str, Any]) -> dict[str, str]:
    """One row as NFC text without surrounding blanks, so that equal names are equal."""
    if row.pop("", None):
        raise MetadataError(
            f"{path}, line {line}: more fields than the header; put texts with a comma in quotes"
        )
    return {key.strip(): unicodedata.normalize("NFC", value.strip()) for key, value in row.items()}


def _by_file(path: Path, required: Collection[str], files: Collection[str]) -> dict[str, dict[str, str]]:
    """Rows of a metadata table by the image they speak of."""
    if not path.exists():
        return {}
    by_text = {unicodedata.normalize("NFC", file): file for file in files}
    known: dict[str, dict[str, str]] = {}
    for number, row in enumerate(read_table(path, required), start=1):
        file = by_text.get(row["file"]) or by_text.get(f"images/{row['file']}")
        if file is None:
            raise MetadataError(
                f"{path}, row {number}: no file {row['file']!r} under the data folder;"
                " correct or delete the row (paths look like images/hero/a.png)"
            )
        if file in known:
            raise MetadataError(f"{path}, row {number}: a second row for {row['file']!r}; delete one")
        known[file] = row
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
        found = pattern.search(file.removeprefix("images/")) if pattern else None
        inner = file.split("/")[2:-1]
        by_path = (found.group(1) or "") if found else "".join(inner[:1])
        series = row.get("series", "") or unicodedata.normalize("NFC", escape_path(by_path))
        facts[file] = Facts(label, row.get("character", ""), series)
    return facts
