"""A list of pictures that stay where they are: ``manifest.parquet`` in place of ``images/``.

Owns reading it. A row is a picture: ``uri`` and ``label``; perhaps ``series``, ``character``, ``group`` (what
must not stand on both sides of a split, where there is no ``series``); other columns are left alone. Refuses
to read a picture.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from featurestore.elsewhere import checked_uri
from featurestore.errors import MetadataError, MissingData, UsageError
from featurestore.metadata import FORMULA_LABEL, Facts, is_formula, printable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MANIFEST", "read_manifest", "resolved"]

#: Its name in a data folder.
MANIFEST: Final = "manifest.parquet"

_REQUIRED: Final = ("uri", "label")
_TEXTS: Final = (*_REQUIRED, "series", "group", "character")


def read_manifest(path: Path) -> dict[str, Facts]:
    """What a manifest says of each picture, in its order.

    Returns
    -------
    dict of str to Facts
        URI, checked and absolute (`featurestore.elsewhere.checked_uri`) -> label, character and series.

    Raises
    ------
    MissingData
        If there is no such file.
    MetadataError
        Naming the file and the row, from 1.
    """
    columns = _columns(path, _table(path))
    series = columns.get("series") or columns.get("group") or [""] * len(columns["uri"])
    character = columns.get("character") or [""] * len(series)
    folder, found = str(path.parent.absolute()), dict[str, Facts]()
    shared: dict[str, str] = {}  # a million rows have few labels and series
    rows = zip(columns["uri"], columns["label"], character, series, strict=True)
    for number, (uri, label, who, whence) in enumerate(rows, start=1):
        where = f"{path}, row {number}"
        try:
            place = checked_uri(uri, folder)
        except UsageError as error:
            raise MetadataError(f"{where}: {error}") from None
        if place in found:
            raise MetadataError(f"{where}: a second row for {uri!r}; delete one")
        if not label:
            raise MetadataError(f"{where}: no label for {uri!r}; fill it in, or delete the row")
        if label not in shared and is_formula(label):
            raise MetadataError(f"{where}: the label {label!r}: {FORMULA_LABEL}")
        found[place] = Facts(*(shared.setdefault(text, text) for text in (label, who, whence)))
    return found


def resolved(path: Path) -> pa.Table:
    """The manifest as it can be put elsewhere: every URI checked and absolute.

    Raises
    ------
    MissingData, MetadataError
        As `read_manifest`.
    """
    import pyarrow as pa

    table, found = _table(path), read_manifest(path)
    return table.set_column(table.column_names.index("uri"), "uri", pa.array(list(found), pa.string()))


def _table(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file():
        raise MissingData(f"no manifest {path}; name a Parquet file with the columns {', '.join(_REQUIRED)}")
    try:
        return parquet.ParquetFile(path).read()  # read_table would import pandas
    except (pa.ArrowException, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:160]
        raise MetadataError(f"{path}: no Parquet file ({said}); write it anew") from None


def _columns(path: Path, table: pa.Table) -> dict[str, list[str]]:
    """The columns that count, as texts in Unicode's NFC; nothing is empty text."""
    lacking = [name for name in _REQUIRED if name not in table.column_names]
    if lacking:
        raise MetadataError(f"{path}: lacks the column {', '.join(lacking)}; it has {table.column_names}")
    if not len(table):
        raise MetadataError(f"{path}: no row; write one a picture")
    columns = {}
    for name in table.column_names:
        if name in _TEXTS:
            values = table.column(name).to_pylist()
            columns[name] = [_text(path, name, i, value) for i, value in enumerate(values, start=1)]
    return columns


def _text(path: Path, name: str, number: int, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MetadataError(f"{path}, row {number}: {name} is {value!r}; it must be text")
    text = value.strip() if name == "uri" else unicodedata.normalize("NFC", value.strip())
    if printable(text) != text:
        raise MetadataError(f"{path}, row {number}: {name} {text!a} holds what cannot be printed; mend it")
    return text
