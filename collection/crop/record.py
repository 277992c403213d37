"""What a folder of mugshots says of itself: ``crops.csv``, a row for each picture, and how all were cut.

Owns the two files, and reading them again. Refuses to know what else stands beside them (``carrying``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from collection.crop.files import Cropped
from collection.crop.squares import box_text
from featurestore.dataset import cell, uncelled
from featurestore.documents import read_json
from featurestore.errors import DataError
from featurestore.files import sha256_of, write_text_atomic
from featurestore.metadata import escape_path, path_below
from featurestore.tables import read_table, table_text

__all__ = [
    "COLUMNS",
    "CROPS",
    "CUTS",
    "SEARCHED",
    "cuts_in",
    "join_cuts",
    "place_in",
    "read_crops",
    "write_crops",
    "write_cuts",
]

#: A row for each picture, relative to the folder.
CROPS: Final = "metadata/crops.csv"

#: How pictures were cut: a list, an entry for each way.
CUTS: Final = "metadata/crop.json"

#: How the pictures of the last search were chosen and cut.
SEARCHED: Final = "metadata/search.json"

COLUMNS: Final = (
    "key", "file", "source", "original", "method", "box", "face", "n_faces", "padded", "reason", "character",
    "series", "role",
)  # fmt: skip


def write_crops(
    out: Path, root: Path, records: Iterable[Cropped], notes: Iterable[Mapping[str, str]]
) -> None:
    """Write `CROPS`.

    Parameters
    ----------
    out, root : Path
        The folder of mugshots, and that of the pictures.
    records : iterable of Cropped
    notes : iterable of mapping
        What ``characters.csv`` says of each picture.
    """
    rows = [_row(one, out, root) | _names(one, note) for one, note in zip(records, notes, strict=True)]
    write_text_atomic(out / CROPS, table_text(rows, COLUMNS))


def _row(one: Cropped, out: Path, root: Path) -> dict[str, str]:
    """Boxes are left, top, width, height in pixels of the source."""
    told = {
        "key": one.sha256,
        "file": place_in(out, one.path) if one.path else "",
        "source": place_in(root, one.source.path),
        "original": one.original,
        "method": one.method,
        "box": "" if one.box is None else box_text(one.box),
        "face": "" if one.face is None else box_text(one.face),
        "n_faces": one.n_faces,
        "padded": "" if not one.method else "yes" if one.padded else "no",
        "reason": one.reason,
    }
    return {name: cell(value) for name, value in told.items()}


def _names(one: Cropped, note: Mapping[str, str]) -> dict[str, str]:
    """Who it is, as its table has it; the series may be told by the folder alone."""
    told = {name: note.get(name, "") for name in ("character", "series", "role")}
    return told | {"series": told["series"] or cell(one.source.series)}


def place_in(root: Path, path: Path) -> str:
    """A path below a folder, as tables have it."""
    return escape_path(path.relative_to(root).as_posix())


def read_crops(root: Path) -> list[dict[str, str]]:
    """Rows of a folder's `CROPS` with all of `COLUMNS`; none if it has none.

    A table of an older version has no keys: those of the files that it names take their place.

    Raises
    ------
    MetadataError
        If it cannot be read.
    """
    path = root / CROPS
    if not path.is_file():
        return []
    rows = []
    for row in read_table(path, ["file", "source", "reason"]):
        told = {name: uncelled(row.get(name, "")) for name in COLUMNS}
        file = path_below(root, told["file"])
        if file is not None and not told["key"] and file.is_file():
            told["key"] = sha256_of(file)
        rows.append(told)
    return rows


def write_cuts(root: Path, cuts: Sequence[Mapping[str, object]]) -> None:
    """Write `CUTS`."""
    write_text_atomic(root / CUTS, json.dumps([dict(one) for one in cuts], indent=1) + "\n")


def join_cuts(root: Path, other: Path) -> None:
    """Write into a folder how the pictures of another were cut, beside how its own were."""
    own, new = _read_cuts(root / CUTS), _read_cuts(other / CUTS)
    if new:
        write_cuts(root, [*own, *(one for one in new if one not in own)])
    if (other / SEARCHED).is_file() and not (root / SEARCHED).exists():
        write_text_atomic(root / SEARCHED, (other / SEARCHED).read_text(encoding="utf-8"))


def cuts_in(root: Path) -> list[str]:
    """How the pictures of a folder were cut, in words, each way once."""
    told = [*_read_cuts(root / SEARCHED), *_read_cuts(root / CUTS)]
    return list(dict.fromkeys(str(one["cut"]) for one in told if one.get("cut")))


def _read_cuts(path: Path) -> list[dict[str, Any]]:
    """Objects of a file of one or of a list of them; none if there is no file."""
    if not path.is_file():
        return []
    try:
        read = read_json(path)
        return [dict(one) for one in (read if isinstance(read, list) else [read])]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: does not say how pictures were cut ({error}); mend or delete it") from None
