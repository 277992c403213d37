"""dataset.csv: one row an image, ascending by key; and the summary beside it.

Owns the columns, reading and writing. Refuses to know how they come about (``index``).
"""

from __future__ import annotations

import bisect
import csv
import hashlib
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featurestore.columns import Texts
from featurestore.elsewhere import Place, is_uri
from featurestore.errors import DataError, MissingData
from featurestore.files import atomic_file, write_all
from featurestore.metadata import is_formula, unescape_path
from featurestore.rows import KEY_BYTES, ascending
from featurestore.spec import canonical_json

if TYPE_CHECKING:
    import pandas as pd

    from featurestore.rows import Keys

__all__ = [
    "COLUMNS",
    "DatasetRow",
    "Images",
    "QuarantineRow",
    "cell",
    "csv_text",
    "image_places",
    "place_of",
    "read_dataset",
    "rows_digest",
    "write_cells",
    "write_table",
]


#: Rows that are read or written together.
_PIECE: Final = 1024


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One image.

    Attributes
    ----------
    key : str
        Sha256 (hex) of the file's bytes.
    path : str
        Relative to the data folder, or a URI; escaped (`featurestore.metadata.escape_path`).
    label, character, series : str
        Empty = not known. What a spreadsheet would compute has an apostrophe before it in the file.
    group : str
        What must not span two splits: the union of near-duplicates and ``data.group``.
    cluster : str
        Name of the near-duplicate cluster; empty if it has no near-duplicate.
    split : str
        ``train``, ``val`` or ``test``.
    width, height : int
        Pixels, upright.
    format : str
        What the bytes are.
    bytes_per_pixel : float
        File size over width x height.
    jpeg_quality : int or None
    """

    key: str
    path: str
    label: str
    group: str
    character: str
    series: str
    cluster: str
    split: str
    width: int
    height: int
    format: str
    bytes_per_pixel: float
    jpeg_quality: int | None


@dataclass(frozen=True)
class QuarantineRow:
    """One file that is no image of the study; ``reason`` is a `featurestore.errors.Reason`."""

    path: str
    sha256: str
    reason: str
    detail: str
    stage: str = "index"


COLUMNS = tuple(f.name for f in fields(DatasetRow))


def cell(value: object) -> str:
    """One field: floats with six decimals, None empty.

    A text that a spreadsheet would compute gets an apostrophe before it, and so does one that
    looks as if it had: different texts stay different.
    """
    if isinstance(value, float):
        return f"{value:.6f}"
    text = "" if value is None else str(value)
    return f"'{text}" if is_formula(text.lstrip("'")) else text


def uncelled(text: str) -> str:
    """Inverse of `cell` for texts.

    Examples
    --------
    >>> uncelled(cell("=1+1")), uncelled(cell("'=1+1")), uncelled("'tis")
    ('=1+1', "'=1+1", "'tis")
    """
    return text[1:] if text.startswith("'") and is_formula(text.lstrip("'")) else text


def csv_text(rows: Iterable[DatasetRow | QuarantineRow], columns: Iterable[str]) -> str:
    """RFC 4180 fields with LF line ends, none of which a spreadsheet computes.

    Examples
    --------
    >>> print(csv_text([QuarantineRow("a.png", "", "empty", "=1+1")], ["path", "detail"]), end="")
    path,detail
    a.png,,empty,'=1+1,index
    """
    return "".join(_pieces(_cells(rows), columns))


def _cells(rows: Iterable[DatasetRow | QuarantineRow]) -> Iterator[Sequence[object]]:
    names: tuple[str, ...] = ()
    for row in rows:
        names = names or tuple(field.name for field in fields(row))
        yield [cell(getattr(row, name)) for name in names]


def _pieces(cells: Iterable[Sequence[object]], columns: Iterable[str]) -> Iterator[str]:
    """The text, some rows at a time."""
    todo = iter(cells)
    some: Iterable[Sequence[object]] = [tuple(columns)]
    while some:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="\n").writerows(some)
        yield buffer.getvalue()
        some = list(itertools.islice(todo, _PIECE))


def write_table(path: Path, rows: Iterable[DatasetRow | QuarantineRow], kind: type) -> None:
    """Write rows of one of this module's dataclasses, all or nothing."""
    write_cells(path, (f.name for f in fields(kind)), _cells(rows))


def write_cells(path: Path, columns: Iterable[str], cells: Iterable[Sequence[object]]) -> None:
    """Write rows of which each cell is as `cell` has it, or a whole number, all or nothing.

    The text is never there as a whole.
    """
    with atomic_file(path) as stream:
        for piece in _pieces(cells, columns):
            write_all(stream, piece.encode("utf-8"))


def read_dataset(path: Path = Path("dataset.csv")) -> pd.DataFrame:
    """The data set as text columns, one row an image, ascending by key.

    Raises
    ------
    MissingData
        If ``index`` was not run.
    DataError
        If columns are missing or keys are not unique.
    """
    import pandas as pd

    if not path.exists():
        raise MissingData(f"no {path}; run: dvc repro index")
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    if tuple(table.columns) != COLUMNS or table["key"].duplicated().any():
        raise DataError(f"{path}: not a data set of this kyara; run: dvc repro --force index")
    return table


def place_of(path: str, root: Path) -> Place:
    """Where a picture lies, of the column ``path``."""
    text = unescape_path(path) if "%" in path else path
    return text if is_uri(text) else root / text


class Images(Mapping[str, Place]):
    """Key (hex) -> place: kept packed, for most keys are never asked for.

    Parameters
    ----------
    rows : iterable of (key, path)
        As dataset.csv has them, ascending by key.
    root : Path
        The data folder.

    Attributes
    ----------
    packed : ndarray of uint8, shape (n, 32)
        The keys.
    """

    def __init__(self, rows: Iterable[tuple[str, str]], root: Path) -> None:
        import numpy as np

        self._root = root
        self._keys, self._paths = bytearray(), Texts()
        rest = iter(rows)
        while piece := list(itertools.islice(rest, _PIECE)):
            self._keys += bytes.fromhex("".join([key for key, _ in piece]))
            self._paths.extend(path for _, path in piece)
        if len(self._keys) != len(self) * KEY_BYTES:
            raise ValueError("each key must be 64 hexadecimal digits")
        self.packed: Keys = np.frombuffer(self._keys, dtype=np.uint8).reshape(len(self), KEY_BYTES)

    def __getitem__(self, key: str) -> Place:
        try:
            wanted = bytes.fromhex(key)
        except ValueError:
            raise KeyError(key) from None
        i = bisect.bisect_left(range(len(self)), wanted, key=self._key)
        if i == len(self) or self._key(i) != wanted:
            raise KeyError(key)
        return place_of(self.path(i), self._root)

    def __iter__(self) -> Iterator[str]:
        return (self._key(i).hex() for i in range(len(self)))

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, i: int) -> str:
        """As it stands in the i-th row."""
        return self._paths[i]

    def _key(self, i: int) -> bytes:
        return bytes(self._keys[KEY_BYTES * i : KEY_BYTES * (i + 1)])


def image_places(path: Path, root: Path) -> Images:
    """Key (hex) -> file below the data folder or URI, ascending by key, from dataset.csv; needs no pandas.

    Raises
    ------
    MissingData
        If ``index`` was not run.
    """
    if not path.exists():
        raise MissingData(f"no {path}; run: dvc repro index")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        header = next(rows)
        key, place = header.index("key"), header.index("path")
        images = Images(((row[key], row[place]) for row in rows), root)
    if not ascending(images.packed).all():  # somebody edited it; the last row of a key counts
        paths = {one: images.path(i) for i, one in enumerate(images)}
        images = Images(sorted(paths.items()), root)
    return images


def rows_digest(keys: Sequence[str], labels: Sequence[str]) -> str:
    """Sha256 (hex) of keys and labels, whatever their order.

    Examples
    --------
    >>> rows_digest(["a", "b"], ["x", "y"]) == rows_digest(["b", "a"], ["y", "x"])
    True
    """
    return hashlib.sha256(canonical_json(sorted(zip(keys, labels, strict=True))).encode()).hexdigest()
