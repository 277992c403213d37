"""A list of pictures that stay where they are: ``manifest.parquet`` in place of ``images/``.

Owns reading it. A row is a picture: ``uri`` and ``label``; perhaps ``series``, ``character``, ``group`` (what
must not stand on both sides of a split, where there is no ``series``); other columns are left alone. Refuses
to read a picture.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featurestore.columns import Codes, Texts
from featurestore.elsewhere import checked_uri
from featurestore.errors import MetadataError, MissingData, UsageError
from featurestore.facts import FactColumns
from featurestore.metadata import FORMULA_LABEL, is_formula

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

__all__ = ["MANIFEST", "read_manifest", "resolved"]

#: Its name in a data folder.
MANIFEST: Final = "manifest.parquet"

_REQUIRED: Final = ("uri", "label")
#: Rows that are read at a time.
_PIECE: Final = 2048
_BUFFER_BYTES: Final = 1 << 16


def read_manifest(path: Path) -> tuple[Texts, FactColumns]:
    """What a manifest says of each picture, in its order.

    Returns
    -------
    Texts
        URIs, checked and absolute (`featurestore.elsewhere.checked_uri`).
    FactColumns
        Label, character and series of each.

    Raises
    ------
    MissingData
        If there is no such file.
    MetadataError
        Naming the file and the row, from 1.
    """
    file = _opened(path)
    names = file.schema_arrow.names
    lacking = [name for name in _REQUIRED if name not in names]
    if lacking:
        raise MetadataError(f"{path}: lacks the column {', '.join(lacking)}; it has {names}")
    n = file.metadata.num_rows
    if not n:
        raise MetadataError(f"{path}: no row; write one a picture")
    uris = Texts(_places(path, file))
    label = Codes.of(_texts(path, file, "label"))
    _check(path, uris, label)

    def known(*choice: str) -> Codes:
        name = next((name for name in choice if name in names), None)
        return Codes.of(_texts(path, file, name) if name else [""] * n)

    return uris, FactColumns(label, known("character"), known("series", "group"))


def resolved(path: Path) -> pa.Table:
    """The manifest as it can be put elsewhere: every URI checked and absolute.

    Raises
    ------
    MissingData, MetadataError
        As `read_manifest`.
    """
    import pyarrow as pa

    uris, _ = read_manifest(path)
    table = _opened(path).read()  # read_table would import pandas
    return table.set_column(table.column_names.index("uri"), "uri", pa.array(uris, pa.string()))


def _opened(path: Path) -> parquet.ParquetFile:
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file():
        raise MissingData(f"no manifest {path}; name a Parquet file with the columns {', '.join(_REQUIRED)}")
    try:
        return parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _no_parquet(path, error) from None


def _no_parquet(path: Path, error: Exception) -> MetadataError:
    said = " ".join(str(error).split())[:160]
    return MetadataError(f"{path}: no Parquet file ({said}); write it anew")


def _texts(path: Path, file: parquet.ParquetFile, name: str) -> Iterator[str]:
    """A column as texts in Unicode's NFC, URIs as they are; nothing is empty text."""
    import pyarrow as pa

    number = 0
    batches = file.iter_batches(_PIECE, columns=[name])
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise _no_parquet(path, error) from None
        if batch is None:
            return
        for value in batch.column(0).to_pylist():
            number += 1
            if value is not None and not isinstance(value, str):
                raise MetadataError(f"{path}, row {number}: {name} is {value!r}; it must be text")
            text = (value or "").strip()
            if name != "uri":
                text = _composed(text)
            if not text.isprintable():
                raise MetadataError(
                    f"{path}, row {number}: {name} {text!a} holds what cannot be printed; mend it"
                )
            yield text


@functools.lru_cache(_PIECE)
def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _places(path: Path, file: parquet.ParquetFile) -> Iterator[str]:
    folder = str(path.parent.absolute())
    for number, uri in enumerate(_texts(path, file, "uri"), start=1):
        try:
            yield checked_uri(uri, folder)
        except UsageError as error:
            raise MetadataError(f"{path}, row {number}: {error}") from None


def _check(path: Path, uris: Texts, label: Codes) -> None:
    """Whether no picture stands there twice, and each has a label that can be one.

    Raises
    ------
    MetadataError
    """
    twice = uris.first_repeated()
    if twice is not None:
        raise MetadataError(f"{path}, row {twice + 1}: a second row for {uris[twice]!r}; delete one")
    for code, value in enumerate(label.values):
        if value and not is_formula(value):
            continue
        i = label.codes.tolist().index(code)
        if value:
            raise MetadataError(f"{path}, row {i + 1}: the label {value!r}: {FORMULA_LABEL}")
        raise MetadataError(f"{path}, row {i + 1}: no label for {uris[i]!r}; fill it in, or delete the row")
