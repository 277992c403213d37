"""What stands beside pictures -> what stands beside their mugshots: facts, decisions, where they are from.

Owns writing each row of the tables of one folder for the mugshot in another. Refuses to cut, and to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from collection.carryover import DECIDED
from collection.crop.files import Cropped
from collection.crop.record import place_in
from collection.crop.squares import box_text
from collection.curation.decisions import Row, read_decisions
from collection.provenance import SOURCES, Source, read_sources, write_sources
from featurestore.dataset import cell
from featurestore.files import remove, write_text_atomic
from featurestore.metadata import CHARACTERS, LABELS, Names
from featurestore.rejections import REJECTED
from featurestore.tables import table_text

__all__ = ["carry_tables"]


def carry_tables(
    root: Path,
    out: Path,
    records: Sequence[Cropped],
    names: Sequence[str],
    notes: Sequence[Mapping[str, str]],
) -> None:
    """Write ``characters.csv``, the tables of decisions and ``sources.csv``, each where there is something.

    A picture without a mugshot has no row but, where ``root`` has a record, the one that says why.

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
    tables = {CHARACTERS: _characters(out, records, notes), **_decisions(root, out, records, names)}
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


def _characters(out: Path, records: Sequence[Cropped], notes: Sequence[Mapping[str, str]]) -> list[Row]:
    """Every column that there is; the series may be told by the folder alone."""
    return [
        {**note, "series": note.get("series", "") or cell(one.source.series), "file": place_in(out, one.path)}
        for one, note in zip(records, notes, strict=True)
        if one.path and (any(note.values()) or one.source.series)
    ]


def _decisions(
    root: Path, out: Path, records: Sequence[Cropped], names: Sequence[str]
) -> dict[str, list[Row]]:
    """What was decided of a picture is decided of its mugshot."""
    known = read_decisions(root)
    named = Names(names)
    labels: dict[str, Row] = {row["key"]: row for row in known.labels if row.get("key")}
    by_name = {name: row for row in known.labels if not row.get("key") for name in named.find(row["file"])}
    judged: dict[str, dict[str, Row]] = {name: {} for name in DECIDED if name != LABELS}
    labelled: list[Row] = []
    for one, name in zip(records, names, strict=True):
        if not one.path:
            continue
        new = {"key": one.sha256, "file": place_in(out, one.path)}
        label = labels.get(one.original) or by_name.get(name)
        if label:
            labelled.append({**label, **new})
        for table, rows in judged.items():
            row = (known.rejected if table == REJECTED else known.accepted).get(one.original)
            if row:
                rows.setdefault(one.sha256, {**row, **new})
    return {LABELS: labelled} | {table: list(rows.values()) for table, rows in judged.items()}


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
