"""What was decided of pictures stays decided when other pictures take their place.

Owns carrying ``labels.csv``, ``rejected.csv`` and ``accepted.csv`` from a data folder into the one that
replaces it. Refuses to bring pictures, and to decide.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from collection.curation.decisions import ACCEPTED, Decisions, Row, read_decisions
from collection.provenance import Source, read_sources
from featurestore.files import sha256_of, write_text_atomic
from featurestore.metadata import LABELS, unescape_path
from featurestore.rejections import REJECTED
from featurestore.tables import table_text
from featurestore.text import counted

__all__ = [
    "DECIDED",
    "carried_text",
    "carry_decisions",
    "carry_to_new_cuts",
    "keep_decisions",
    "named",
]

#: The tables of decisions, with the columns that each must have.
DECIDED: Final = {LABELS: ("file", "label"), REJECTED: ("key",), ACCEPTED: ("key",)}

#: What a row of each table is called.
_CALLED: Final = {REJECTED: "rejection", ACCEPTED: "acceptance", LABELS: "label"}


def named(root: Path, text: str) -> Path | None:
    """The file of a data folder that a table's ``file`` names; None if there is none."""
    name = unescape_path(text)
    return next((path for path in (root / name, root / "images" / name) if path.is_file()), None)


def keep_decisions(root: Path, staging: Path) -> None:
    """Keep decisions that are known by key, where nothing else is kept.

    Raises
    ------
    MetadataError
        If a table of ``root`` cannot be read.
    """
    for name, rows in _tables(read_decisions(root)).items():
        kept = [row for row in rows if row.get("key")]
        if kept:
            write_text_atomic(staging / name, table_text(kept, DECIDED[name]))


def carry_decisions(root: Path, staging: Path) -> Counter[str]:
    """Carry all decisions into the folder that takes the place of another; how many go to new cuts, by table.

    What was decided of a picture is decided of a new cut of the same original, unless that one has a
    decision of its own. A label that was given to a name is given to the key once the name is gone.

    Parameters
    ----------
    root : Path
        The data folder as it is, with its record.
    staging : Path
        As it will be: pictures and their record.

    Raises
    ------
    MetadataError
        If a table of ``root`` cannot be read.
    """
    tables = _tables(read_decisions(root))
    keyed = {name: [_keyed(row, root, staging) for row in rows] for name, rows in tables.items()}
    new = _cut_anew(keyed, read_sources(root), read_sources(staging))
    for name, rows in tables.items():
        carried = [*keyed[name], *new[name]]
        if carried != rows:
            write_text_atomic(staging / name, table_text(carried, DECIDED[name]))
        elif rows:
            shutil.copyfile(root / name, staging / name)
    return Counter({name: len(rows) for name, rows in new.items() if rows})


def carry_to_new_cuts(root: Path, staging: Path) -> Counter[str]:
    """Carry what is decided in ``staging`` of cuts that ``root`` has to new cuts of the same originals.

    Parameters
    ----------
    root, staging : Path
        As for `carry_decisions`; ``staging`` has its own tables by now.

    Returns
    -------
    Counter of str
        How many, by table.
    """
    tables = _tables(read_decisions(staging))
    new = _cut_anew(tables, read_sources(root), read_sources(staging))
    for name, rows in new.items():
        if rows:
            write_text_atomic(staging / name, table_text([*tables[name], *rows], DECIDED[name]))
    return Counter({name: len(rows) for name, rows in new.items() if rows})


def carried_text(carried: Mapping[str, int]) -> str:
    """How many decisions were carried, in words; empty if none.

    Examples
    --------
    >>> carried_text({REJECTED: 1, LABELS: 2})
    'decisions carried to new cuts of the same pictures: 1 rejection, 2 labels'
    """
    told = [counted(carried[name], called) for name, called in _CALLED.items() if carried.get(name)]
    return f"decisions carried to new cuts of the same pictures: {', '.join(told)}" if told else ""


def _tables(known: Decisions) -> dict[str, list[Row]]:
    return {
        LABELS: list(known.labels),
        REJECTED: list(known.rejected.values()),
        ACCEPTED: list(known.accepted.values()),
    }


def _keyed(row: Row, root: Path, staging: Path) -> Row:
    """A row that names a file by its name alone, with the key of the bytes if they go."""
    if row.get("key") or named(staging, row["file"]):
        return row
    gone = named(root, row["file"])
    return {**row, "key": sha256_of(gone)} if gone else row


def _cut_anew(
    tables: Mapping[str, Sequence[Row]], before: Sequence[Source], now: Sequence[Source]
) -> dict[str, list[Row]]:
    """The same decisions, for cuts of the same originals that were not there before."""
    originals = {one.key: one.original for one in before if one.key and one.original}
    decided = {name: {row.get("key", "") for row in rows} for name, rows in tables.items()}
    decided[REJECTED] = decided[ACCEPTED] = decided[REJECTED] | decided[ACCEPTED]
    new: dict[str, list[Row]] = {}
    for name, rows in tables.items():
        known = {originals[row["key"]]: row for row in rows if row.get("key") in originals}
        new[name] = [
            {**known[one.original], "key": one.key, "file": one.file}
            for one in now
            if one.key and one.key not in originals and one.original in known and one.key not in decided[name]
        ]
    return new
