"""metadata/rejected.csv: the pictures that a curator turned away, by key.

Owns the table that ``index`` obeys: a picture whose key stands there is no image of the study, under whatever
name it comes back. Refuses to know who decides, and why (``collection.curation``).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from featurestore.tables import checked_key, numbered_rows

__all__ = ["REJECTED", "keyed_rows", "read_rejections"]

REJECTED = "metadata/rejected.csv"


def keyed_rows(path: Path, required: Collection[str] = ()) -> dict[str, dict[str, str]]:
    """Rows of a table of keys, by key; the first one counts where two tables were joined by hand.

    Parameters
    ----------
    path : Path
        A CSV file with the column ``key``; a file that is not there has no rows.
    required : collection of str
        Columns beside ``key`` that must be there.

    Raises
    ------
    MetadataError
        Naming file and line.
    """
    if not os.path.lexists(path):  # a link to nothing is a mistake, not the absence of a table
        return {}
    rows: dict[str, dict[str, str]] = {}
    for line, row in numbered_rows(path, ["key", *required]):
        key = checked_key(row["key"], where=f"{path}, line {line}")
        rows.setdefault(key, row | {"key": key})
    return rows


def read_rejections(root: Path) -> dict[str, str]:
    """Reason of each rejected picture by its key; empty text where none was given.

    Parameters
    ----------
    root : Path
        The data folder.

    Raises
    ------
    MetadataError
        Naming file and line.
    """
    return {key: row.get("reason", "") for key, row in keyed_rows(root / REJECTED).items()}
