"""Where the pictures of a folder that is imported come from.

Owns joining what the folder says of itself (its record, its crops) to the record of the data folder. Refuses
to copy pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from collection.crop.record import read_crops
from collection.provenance import IMPORTED, Source, read_sources, write_sources
from collection.records import utc
from featurestore.dataset import uncelled
from featurestore.files import sha256_of
from featurestore.metadata import escape_path, notes_of

__all__ = ["write_origins"]

_FOLDER = "name of the folder"


def write_origins(source: Path, staging: Path, files: Sequence[Path]) -> Counter[str]:
    """Write a row for each picture, and for each that the folder says was not taken; those by reason.

    Parameters
    ----------
    source : Path
        The folder, with ``metadata/`` if there is any.
    staging : Path
        The data folder as it will be, with its tables and the pictures.
    files : sequence of Path
        The new pictures, below ``images``.

    Raises
    ------
    MetadataError
        If a record cannot be read.
    """
    told, before, crops = read_sources(source), read_sources(staging), read_crops(source)
    known = {row.key: row for row in told if row.key}
    rows = {row.key: row for row in before if row.key}
    cut = {row["key"]: row for row in crops if row["key"]}
    now = utc(datetime.now(UTC))
    names = [escape_path(file.as_posix()) for file in files]
    notes = notes_of([f"images/{name}" for name in names], staging)
    for file, name, note in zip(files, names, notes, strict=True):
        key = sha256_of(staging / "images" / file)
        row = _filled(known.get(key) or rows.get(key) or Source(), _source(key, name, note, now))
        rows[key] = replace(_with_crop(row, cut[key]) if key in cut else row, file=f"images/{name}")
    lost = [replace(row, file="") for row in told if not row.key]
    said = {(row.original, row.reason) for row in lost}
    lost += [
        _lost(row, now) for row in crops if not row["file"] and (row["original"], row["reason"]) not in said
    ]
    write_sources(staging, [*_not_taken(before, lost, rows.values()), *rows.values()])
    return Counter(row.reason for row in lost)


def _source(key: str, name: str, note: Mapping[str, str], now: str) -> Source:
    """A row for a picture of which no record tells."""
    facts = {column: uncelled(text) for column, text in note.items()}
    return Source(
        key=key, character=facts.get("character", ""), series=facts.get("series", ""),
        role=facts.get("role", ""), label_source=_FOLDER, provider=IMPORTED, url=name, time=now,
        page=facts.get("page", ""), licence=facts.get("licence", ""), original=key,
    )  # fmt: skip


def _filled(row: Source, told: Source) -> Source:
    """The row; where it does not say who provided the picture, with what the folder tells besides."""
    if row.provider:
        return row
    return replace(row, **{name: text for name, text in asdict(told).items() if not getattr(row, name)})


def _with_crop(row: Source, crop: Mapping[str, str]) -> Source:
    """The row, with what cut the picture out of which."""
    url = _name(crop) if row.provider == IMPORTED else row.url
    return replace(
        row, url=url, original=crop["original"], crop=crop["method"], box=crop["box"], n_faces=crop["n_faces"]
    )


def _lost(crop: Mapping[str, str], now: str) -> Source:
    """A row for a picture that has no mugshot."""
    return Source(
        character=crop["character"], series=crop["series"], role=crop["role"], label_source=_FOLDER,
        provider=IMPORTED, url=_name(crop), time=now, original=crop["original"], n_faces=crop["n_faces"],
        reason=crop["reason"],
    )  # fmt: skip


def _name(crop: Mapping[str, str]) -> str:
    return crop["source"].removeprefix("images/")


def _not_taken(before: Sequence[Source], lost: Sequence[Source], taken: Iterable[Source]) -> list[Source]:
    """Rows without a picture, each once; not of originals whose mugshot is there by now."""
    here = {row.original for row in taken if row.original}
    once: dict[tuple[object, ...], Source] = {}
    for row in (*(row for row in before if not row.key), *lost):
        if row.provider != IMPORTED or row.original not in here:
            once.setdefault(_told(row), row)
    return list(once.values())


def _told(row: Source) -> tuple[object, ...]:
    """What a row says but for the time."""
    return (row.provider, row.query, row.rank, row.url, row.original, row.character, row.series, row.reason)
