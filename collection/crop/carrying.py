"""What stands beside pictures -> what stands beside their mugshots: facts, decisions, where they are from.

Owns writing each row of the tables of one folder for the mugshot in another. Refuses to cut, and to decide.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from collection.carryover import DECIDED, SAME_AS
from collection.crop.files import Cropped
from collection.crop.record import place_in
from collection.crop.squares import box_text
from collection.curation.decisions import ACCEPTED, Row, read_decisions
from collection.provenance import SOURCES, Source, read_sources, write_sources
from featurestore.dataset import cell
from featurestore.files import remove, write_text_atomic
from featurestore.metadata import CHARACTERS, LABELS, Names
from featurestore.rejections import REJECTED
from featurestore.tables import table_text

__all__ = ["carry_tables", "without_twins"]

log = logging.getLogger(__name__)

#: What rows of one mugshot may contradict each other in.
_FACTS: Final = ("character", "series", "role")


def without_twins(records: Sequence[Cropped], root: Path, out: Path) -> list[Cropped]:
    """The same, but that a rejected picture has no mugshot where one that is not rejected gives the same.

    Parameters
    ----------
    records : sequence of Cropped
    root, out : Path
        The folder of the pictures, and that of the mugshots.

    Raises
    ------
    MetadataError
        If a table of decisions cannot be read.
    """
    rejected = read_decisions(root).rejected
    kept = {one.sha256: one.path for one in reversed(records) if one.path and one.original not in rejected}

    def settled(one: Cropped) -> Cropped:
        path = kept.get(one.sha256) if one.original in rejected else None
        return replace(one, path=None, sha256="", reason=SAME_AS + place_in(out, path)) if path else one

    return [settled(one) for one in records]


def carry_tables(
    root: Path,
    out: Path,
    records: Sequence[Cropped],
    names: Sequence[str],
    notes: Sequence[Mapping[str, str]],
) -> None:
    """Write ``characters.csv``, the tables of decisions and ``sources.csv``, each where there is something.

    A picture without a mugshot has no row but, where ``root`` has a record, the one that says why. Pictures
    that give one mugshot have one row: what the first says, and where it is silent the others.

    Parameters
    ----------
    root, out : Path
        The folder of the pictures, and that of the mugshots.
    records : sequence of Cropped
    names : sequence of str
        Of each picture, as ``images/<label>/<name>``: what tables call it.
    notes : sequence of mapping
        What ``characters.csv`` says of each.

    Raises
    ------
    MetadataError
        If a table of ``root`` cannot be read.
    """
    tables = {CHARACTERS: _characters(root, out, records, notes), **_decisions(root, out, records, names)}
    for name, rows in tables.items():
        if rows:
            write_text_atomic(
                out / name, table_text(rows, DECIDED.get(name, ("file", "character", "series")))
            )
        else:
            remove(out / name)
    before = read_sources(root)
    if before:
        write_sources(out, _sources(before, out, records))
    else:
        remove(out / SOURCES)


def _characters(
    root: Path, out: Path, records: Sequence[Cropped], notes: Sequence[Mapping[str, str]]
) -> list[Row]:
    """Every column that there is; the series may be told by the folder alone."""
    told: dict[Path, tuple[Cropped, Row]] = {}
    for one, note in zip(records, notes, strict=True):
        if not one.path or not (any(note.values()) or one.source.series):
            continue
        series, file = note.get("series", "") or cell(one.source.series), place_in(out, one.path)
        row = {**note, "series": series, "file": file}
        first, known = told.setdefault(one.path, (one, row))
        others = [name for name in _FACTS if row.get(name) and known.get(name, "") not in ("", row[name])]
        if others:
            _tell_of_two(root, first, one, others)
        else:
            told[one.path] = first, {**row, **{name: text for name, text in known.items() if text}}
    return [row for _, row in told.values()]


def _tell_of_two(root: Path, kept: Cropped, other: Cropped, names: Sequence[str]) -> None:
    log.warning(
        "%s and %s give one mugshot, but differ in %s; what the first says was kept",
        *(place_in(root, one.source.path) for one in (kept, other)), " and ".join(names),
    )  # fmt: skip


def _decisions(
    root: Path, out: Path, records: Sequence[Cropped], names: Sequence[str]
) -> dict[str, list[Row]]:
    """What was decided of a picture is decided of its mugshot."""
    known = read_decisions(root)
    tables = {LABELS: _labels(root, out, records, names, list(known.labels))}
    for table, rows in ((REJECTED, known.rejected), (ACCEPTED, known.accepted)):
        judged: dict[str, Row] = {}
        for one in records:
            if one.path and one.original in rows:
                judged.setdefault(one.sha256, {**rows[one.original], **_named(out, one, one.path)})
        tables[table] = list(judged.values())
    return tables


def _labels(
    root: Path, out: Path, records: Sequence[Cropped], names: Sequence[str], known: Sequence[Row]
) -> list[Row]:
    """A row for each mugshot of a picture that was given a label."""
    named = Names(names)
    by_key: dict[str, Row] = {row["key"]: row for row in known if row.get("key")}
    by_name = {name: row for row in known if not row.get("key") for name in named.find(row["file"])}
    told: dict[Path, tuple[Cropped, Row]] = {}
    for one, name in zip(records, names, strict=True):
        row = by_key.get(one.original) or by_name.get(name)
        if one.path and row:
            told.setdefault(one.path, (one, {**row, **_named(out, one, one.path)}))
    kept = {one.path: one for one in reversed(records)} | {path: one for path, (one, _) in told.items()}
    for one in records:
        if one.path and one.source.label != kept[one.path].source.label:
            _tell_of_two(root, kept[one.path], one, ["label"])
    return [row for _, row in told.values()]


def _named(out: Path, one: Cropped, path: Path) -> dict[str, str]:
    """What a table calls a mugshot."""
    return {"key": one.sha256, "file": place_in(out, path)}


def _sources(before: Sequence[Source], out: Path, records: Sequence[Cropped]) -> Iterator[Source]:
    """The record, of mugshots in place of the pictures that they were cut from."""
    made = {one.original: one for one in records if one.original}
    for row in before:
        one = made.get(row.key) if row.key else None
        if one is None:
            yield row
        elif one.path is None or one.box is None:
            yield replace(row, key="", file="", original=row.key, crop="", box="", reason=one.reason)
        else:
            yield replace(
                row, key=one.sha256, file=place_in(out, one.path), original=row.key, crop=one.method,
                box=box_text(one.box), n_faces="" if one.n_faces is None else one.n_faces,
            )  # fmt: skip
