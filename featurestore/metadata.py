"""What stands beside the images: characters.csv, labels.csv, folders, patterns.

Owns finding what each row speaks of, and saying which row is wrong. Every path is relative to the data
folder, with ``/``. Refuses to know pixels, splits and what a curator turned away (``rejections``).
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import unicodedata
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from featurestore.errors import ImageRejected, MetadataError
from featurestore.facts import Facts
from featurestore.images import read_image_file
from featurestore.tables import checked_key, read_table

__all__ = [
    "Names",
    "escape_path",
    "facts_of",
    "is_formula",
    "labels_by_key",
    "names_meant",
    "names_of",
    "notes_of",
    "path_below",
    "printable",
    "read_table",
    "unescape_path",
]

log = logging.getLogger(__name__)

CHARACTERS = "metadata/characters.csv"
LABELS = "metadata/labels.csv"

#: What is wrong with a label that `is_formula`.
FORMULA_LABEL = "a spreadsheet would compute it, for it begins with a formula's sign; rename it"
# Full-width signs too: spreadsheets of some languages take them for the others.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def escape_path(path: str) -> str:
    r"""A path as printable UTF-8: control characters, ``%`` and bytes that are no UTF-8 become %XX.

    Examples
    --------
    >>> escape_path("images/hero/a\nb.png")
    'images/hero/a%0Ab.png'
    >>> unescape_path(escape_path("100%.png"))
    '100%.png'
    """
    if path.isprintable() and "%" not in path:
        return path

    def one(character: str) -> str:
        if character == "%" or not character.isprintable():
            return "".join(f"%{byte:02X}" for byte in os.fsencode(character))
        return character

    return "".join(one(c) for c in path)


def unescape_path(text: str) -> str:
    """Inverse of `escape_path`."""
    return os.fsdecode(urllib.parse.unquote_to_bytes(text.encode("utf-8", "surrogateescape")))


def path_below(root: Path, text: str) -> Path | None:
    """Where the file lies that a table names; None if that is not below ``root``.

    Examples
    --------
    >>> path_below(Path("data"), "images/a%2525.png"), path_below(Path("data"), "../a.png")
    (PosixPath('data/images/a%25.png'), None)
    """
    name = Path(unescape_path(text))
    is_below = bool(name.parts) and not name.is_absolute() and ".." not in name.parts
    return root / name if is_below and "\0" not in str(name) else None


def printable(text: str) -> str:
    r"""Any text as one line without control characters and terminal escapes.

    Examples
    --------
    >>> printable("red: \x1b[31m\nalert")
    'red: \\x1b[31m\\nalert'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would compute a cell of this text instead of showing it.

    Examples
    --------
    >>> is_formula("=1+1"), is_formula("-5"), is_formula("Sky - High")
    (True, False, False)
    """
    if not text or text[0].isalnum():  # most texts, by far
        return False
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None


def names_of(file: str) -> tuple[str, str]:
    """What tables may call a file: as it is on disk, and as dataset.csv has it."""
    return file, escape_path(file)


def names_meant(text: str) -> tuple[str, str]:
    """What a table's ``file`` may mean: a name below the data folder, or below its images."""
    return text, f"images/{text}"


class Names:
    """Finds the image file that a row of a table speaks of.

    Parameters
    ----------
    files : collection of str
        Paths relative to the data folder.
    """

    def __init__(self, files: Collection[str]) -> None:
        self._exact: dict[str, set[str]] = {}
        self._alike: dict[str, set[str]] = {}
        for file in files:
            for name in names_of(file):
                self._exact.setdefault(name, set()).add(file)
                self._alike.setdefault(unicodedata.normalize("NFC", name), set()).add(file)

    def find(self, text: str) -> set[str]:
        """Files of just this name, on disk or as dataset.csv has it; else those that look the same."""
        names = names_meant(text)
        forms = [unicodedata.normalize("NFC", name) for name in names]
        found = [self._exact.get(name) for name in names] + [self._alike.get(form) for form in forms]
        return next((files for files in found if files), set())


def _by_file(
    path: Path, rows: Sequence[tuple[int, dict[str, str]]], files: Collection[str]
) -> dict[str, dict[str, str]]:
    """Numbered rows of a metadata table by the image they speak of."""
    known: dict[str, dict[str, str]] = {}
    if not rows:
        return known
    names = Names(files)
    for number, row in rows:
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


def _rows(path: Path, required: Collection[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a table that may not be there, numbered from 1."""
    if not os.path.lexists(path):  # a link to nothing is a mistake, not the absence of a table
        return []
    return list(enumerate(read_table(path, required), start=1))


def _labels(root: Path, files: Collection[str], images: Path) -> dict[str, str]:
    """Labels of labels.csv by image. A row that names a key speaks of those bytes, wherever they are now."""
    path = root / LABELS
    rows = _rows(path, ["file", "label"])
    if not rows:
        return {}
    names = Names(files)
    moved = {number: row for number, row in rows if row.get("key") and not _is_there(images, names, row)}
    known = _by_file(path, [(number, row) for number, row in rows if number not in moved], files)
    labels = {file: row["label"] for file, row in known.items()}
    if not moved:
        return labels
    new: dict[str, str] = {}
    for number, row in moved.items():
        key = checked_key(row["key"], where=f"{path}, row {number}")
        if new.setdefault(key, row["label"]) != row["label"]:
            raise MetadataError(f"{path}, row {number}: a second label for the key {key}; delete one")
    by_key = {file: _key_of(images, file) for file in files if file not in labels}
    n_gone = len(set(new) - set(by_key.values()))
    if n_gone:
        log.info("%s: labels of %d pictures that are not here now; kept for when they are", path, n_gone)
    return labels | {file: new[key] for file, key in by_key.items() if key in new}


def labels_by_key(root: Path) -> dict[str, str]:
    """Labels that ``labels.csv`` gives to keys (hex), for pictures that have no name below the data folder.

    Raises
    ------
    MetadataError
        If a row names no key, or two give a key different labels.
    """
    path, labels = root / LABELS, dict[str, str]()
    for number, row in _rows(path, ["file", "label"]):
        where = f"{path}, row {number}"
        key = checked_key(row.get("key", ""), where=where)
        if labels.setdefault(key, row["label"]) != row["label"]:
            raise MetadataError(f"{where}: a second label for the key {key}; delete one")
        if not row["label"] or is_formula(row["label"]):
            raise MetadataError(f"{where}: the label {row['label']!r} cannot be one; mend it")
    return labels


def _is_there(images: Path, names: Names, row: Mapping[str, str]) -> bool:
    """Whether the bytes that a row's key tells stand under the name that the row tells."""
    found = names.find(row["file"])
    return len(found) == 1 and _key_of(images, *found) == row["key"].lower()


def _key_of(images: Path, file: str) -> str:
    try:
        data = read_image_file(images / file.removeprefix("images/"), root=images.parent)
        return hashlib.sha256(data).hexdigest()
    except ImageRejected:
        return ""  # the quarantine tells of it


def facts_of(
    files: Mapping[str, str], root: Path, *, group_from: str | None, images: Path | None = None
) -> dict[str, Facts]:
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
    images : Path
        What ``images`` in the paths stands for; ``root/images`` if not given.

    Raises
    ------
    MetadataError
        Naming the file and line.
    """
    characters = _by_file(root / CHARACTERS, _rows(root / CHARACTERS, ["file"]), files)
    labels = _labels(root, files, images or root / "images")
    pattern = re.compile(group_from) if group_from else None
    facts = {}
    for file, folder_label in files.items():
        row = characters.get(file, {})
        label = labels[file] if file in labels else unicodedata.normalize("NFC", folder_label)
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
    names = Names(files)
    known = {file: row for row in read_table(table, ["file"]) for file in names.find(row["file"])}
    return [known.get(file, {}) for file in files]
