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
from featurestore.metadata import LABELS, path_below
from featurestore.rejections import REJECTED
from featurestore.tables import table_text
from featurestore.text import counted

__all__ = [
    "DECIDED",
    "SAME_AS",
    "carried_text",
    "carry_decisions",
    "carry_to_new_cuts",
    "held_text",
    "holding",
    "keep_decisions",
    "named",
]

#: The tables of decisions, with the columns that each must have.
DECIDED: Final = {LABELS: ("file", "label"), REJECTED: ("key",), ACCEPTED: ("key",)}

#: Why an original was not taken that gives a cut which is there already; the cut's file follows.
SAME_AS: Final = "the same picture as "

#: What a row of each table is called.
_CALLED: Final = {REJECTED: "rejection", ACCEPTED: "acceptance", LABELS: "label"}


def named(root: Path, text: str) -> Path | None:
    """The file of a data folder that a table's ``file`` names; None if there is none."""
    places = path_below(root, text), path_below(root / "images", text)
    return next((path for path in places if path is not None and path.is_file()), None)


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


def holding(root: Path, decided: Decisions) -> Counter[str]:
    """How many of some decisions speak, by key, of pictures that are in a data folder, by table."""
    here = {row.key for row in read_sources(root) if row.file}
    tables = _tables(decided)
    return Counter({name: len({row.get("key") for row in rows} & here) for name, rows in tables.items()})


def carried_text(carried: Mapping[str, int]) -> str:
    """How many decisions were carried, in words; empty if none.

    Examples
    --------
    >>> carried_text({REJECTED: 1, LABELS: 2})
    'decisions carried to new cuts of the same pictures: 1 rejection, 2 labels'
    """
    told = _said(carried)
    return f"decisions carried to new cuts of the same pictures: {told}" if told else ""


def held_text(held: Mapping[str, int]) -> str:
    """How many decisions speak of pictures that are here, in words; empty if none.

    Examples
    --------
    >>> held_text({LABELS: 1})
    'decided before of these pictures, and still so: 1 label'
    """
    told = _said(held)
    return f"decided before of these pictures, and still so: {told}" if told else ""


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(counted(counts[name], called) for name, called in _CALLED.items() if counts.get(name))


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
    """The same decisions, for cuts of the same originals that were not there before.

    A cut that several originals give is rejected if all of them are that were there before, and accepted if
    one of them is.
    """
    old, givers = _givers(before), _givers(now)
    there = {original for originals in old.values() for original in originals}
    own = {one.key: one for one in reversed(now)}
    decided = {name: {row.get("key", "") for row in rows} for name, rows in tables.items()}
    decided[REJECTED] = decided[ACCEPTED] = decided[REJECTED] | decided[ACCEPTED]
    new: dict[str, list[Row]] = {name: [] for name in tables}
    for name, rows in tables.items():
        known = {original: row for row in rows for original in old.get(row.get("key", ""), ())}
        for key in (key for key in givers if key not in old and key not in decided[name]):
            originals = [own[key].original] if name == LABELS else givers[key]
            said = [known[original] for original in originals if original in known]
            is_open = name == REJECTED and any(o in there and o not in known for o in originals)
            if said and not is_open:
                new[name].append({**said[0], "key": key, "file": own[key].file})
    return new


def _givers(rows: Sequence[Source]) -> dict[str, list[str]]:
    """Originals of each cut, by its key: its own, then those that gave the same and were not taken."""
    keys = {SAME_AS + one.file: one.key for one in rows if one.key}
    givers: dict[str, list[str]] = {}
    for one in sorted(rows, key=lambda one: not one.key):
        key = one.key or keys.get(one.reason, "")
        if key and one.original:
            givers.setdefault(key, []).append(one.original)
    return givers
