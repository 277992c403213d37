"""Pictures as they came -> mugshots in the data folder, with their record.

Owns names of files, ``characters.csv``, and putting a whole folder in place at once. Refuses to fetch and to
find faces. What was in the data folder from an earlier search is replaced; pictures that no search brought,
``labels.csv`` and ``rejected.csv`` stay.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collection.demo import DEMO_MARK
from collection.gathering import Entry
from collection.importing import BY_KEY, swap
from collection.names import slug
from collection.provenance import Source, read_sources, write_sources
from collection.records import ROLES
from featurestore.dataset import cell
from featurestore.errors import ImageRejected, UsageError
from featurestore.files import write_bytes_atomic, write_text_atomic
from featurestore.metadata import CHARACTERS, read_table

if TYPE_CHECKING:
    from collection.crop import Cut

__all__ = ["NO_FACE", "SEARCHED", "Assembled", "assemble", "check_place", "raw_file"]

log = logging.getLogger(__name__)

#: How the pictures of the last search were chosen and cut.
SEARCHED: Final = "metadata/search.json"
NO_FACE: Final = "no face was found"

_CHARACTERS: Final = ("file", "character", "series", "role")


@dataclass(frozen=True)
class Assembled:
    """What was written.

    Attributes
    ----------
    n_images : dict of str to int
        By label.
    methods : dict of str to dict of str to int
        Label -> method that cut -> pictures.
    rows : tuple of Source
    """

    n_images: dict[str, int]
    methods: dict[str, dict[str, int]]
    rows: tuple[Source, ...]


def raw_file(raw: Path, sha256: str) -> Path:
    """Where bytes lie as they came."""
    return raw / "images" / sha256[:2] / sha256


def check_place(root: Path, *, replace_all: bool) -> None:
    """Refuse to mix with the demo cast in silence.

    Raises
    ------
    UsageError
    """
    if (root / DEMO_MARK).exists() and not replace_all:
        raise UsageError(f"{root} holds the demo cast; add --replace to put what is found in its place")


def assemble(
    entries: Sequence[Entry],
    raw: Path,
    root: Path,
    cut: Callable[[Any], Cut | None],
    *,
    replace_all: bool = False,
    workers: int = 1,
    max_pixels: int,
    about: Mapping[str, object],
) -> Assembled:
    """Cut what was taken, and put it into the data folder.

    Parameters
    ----------
    entries : sequence of Entry
        Taken or not; all stand in the record.
    raw : Path
        Holds ``images/``.
    root : Path
        The data folder.
    cut : callable
        Of uint8 (h, w, 3): the mugshot; None where it has no face and is to be left out.
    replace_all : bool
        Whether everything else in ``root`` goes.
    workers : int
        Threads.
    max_pixels : int
        Cap on width x height, checked before decoding.
    about : mapping
        Goes into `SEARCHED`.
    """
    check_place(root, replace_all=replace_all)

    def one(entry: Entry) -> tuple[Source, bytes]:
        return _made(entry, raw, cut, max_pixels)

    with ThreadPoolExecutor(workers) as pool:
        made = list(pool.map(one, entries))
    owner: dict[str, Source] = {}
    rows: list[Source] = []
    pictures: dict[str, bytes] = {}
    for row, data in made:
        if row.key and row.key in owner:
            row = replace(row, key="", file="", reason=f"the same picture as {owner[row.key].file}")
        elif row.key:
            owner[row.key] = row
            pictures[row.file] = data
        rows.append(row)
    staging = root.with_name(f".{root.name}-{uuid.uuid4().hex}")
    try:
        if replace_all:
            for name in BY_KEY:
                if (root / name).is_file():
                    (staging / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(root / name, staging / name)
        elif root.exists():
            shutil.copytree(root, staging)
            for old in read_sources(staging):
                if old.file:
                    (staging / old.file).unlink(missing_ok=True)
        for file, data in pictures.items():
            (staging / file).parent.mkdir(parents=True, exist_ok=True)
            write_bytes_atomic(staging / file, data)
        (staging / "metadata").mkdir(parents=True, exist_ok=True)
        _write_characters(staging, [row for row in rows if row.file])
        write_sources(staging, rows)
        _carry_rejections(staging, read_sources(root), rows)
        write_text_atomic(staging / SEARCHED, json.dumps(dict(about), indent=1, sort_keys=True) + "\n")
        swap(staging, root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    kept = [row for row in rows if row.file]
    labels = {row.file: Path(row.file).parts[1] for row in kept}
    return Assembled(
        dict(sorted(Counter(labels.values()).items())),
        {
            label: dict(Counter(row.crop for row in kept if labels[row.file] == label))
            for label in sorted(set(labels.values()))
        },
        tuple(rows),
    )


def _made(entry: Entry, raw: Path, cut: Callable[[Any], Cut | None], max_pixels: int) -> tuple[Source, bytes]:
    """A row of the record, and the picture's bytes; empty where there is none."""
    from featurestore.images import decode

    row = _row(entry)
    if row.reason:
        return row, b""
    try:
        pixels = decode(raw_file(raw, entry.fetched.sha256).read_bytes(), max_pixels=max_pixels).pixels
    except ImageRejected as rejected:
        return replace(row, reason=str(rejected)), b""
    found = cut(pixels)
    if found is None:
        return replace(row, reason=NO_FACE), b""
    data = found.png()
    key = hashlib.sha256(data).hexdigest()
    label = ROLES[entry.candidate.character.role]
    file = f"images/{label}/{slug(entry.candidate.character.name)}-{key[:12]}.png"
    box = " ".join(str(round(v)) for v in (found.box.x, found.box.y, found.box.width, found.box.height))
    return replace(row, key=key, file=file, crop=found.method, box=box), data


def _row(entry: Entry) -> Source:
    candidate, fetched, who = entry.candidate, entry.fetched, entry.candidate.character
    own = candidate.provider == "folder"  # nobody was asked, and where it lay here is nobody's business
    url = "/".join(Path(candidate.url).parts[-2:]) if own else candidate.url
    opt_out = "" if own else fetched.opt_out.reason
    return Source(
        key="", file="", character=who.name, series=who.series, role=who.role, label_source=who.label_source,
        provider=candidate.provider, query=candidate.query, rank=candidate.rank, page=candidate.page,
        url=url, final_url=fetched.final_url, time=fetched.time, status=fetched.status,
        licence=candidate.licence, opt_out=opt_out, original=fetched.sha256, crop="", box="",
        reason=entry.reason,
    )  # fmt: skip


def _write_characters(staging: Path, rows: Sequence[Source]) -> None:
    """Rows of what was found, in place of those of files that are gone; others stay."""
    path = staging / CHARACTERS
    old = read_table(path, ["file"]) if path.is_file() else []
    new = [
        {"file": row.file, "character": row.character, "series": row.series, "role": row.role} for row in rows
    ]
    here = {row["file"] for row in new}
    stay = [row for row in old if row["file"] not in here and _there(staging, row["file"])]
    columns = list(dict.fromkeys([*_CHARACTERS, *(column for row in stay for column in row)]))
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in (*stay, *new):
        writer.writerow({name: cell(text) for name, text in row.items()})
    write_text_atomic(path, buffer.getvalue())


def _carry_rejections(staging: Path, before: Sequence[Source], rows: Sequence[Source]) -> None:
    """What was rejected stays so when it is cut anew: another file, the same original."""
    path = staging / BY_KEY[0]
    if not path.is_file():
        return
    table = {row["key"]: row for row in read_table(path, ["key"])}
    original = {row.original: table[row.key] for row in before if row.key in table and row.original}
    new = [
        {**original[row.original], "key": row.key, "file": row.file}
        for row in rows
        if row.file and row.original in original and row.key not in table
    ]
    if not new:
        return
    columns = list(dict.fromkeys(column for row in (*table.values(), *new) for column in row))
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for one in (*table.values(), *new):
        writer.writerow({name: cell(text) for name, text in one.items()})
    write_text_atomic(path, buffer.getvalue())


def _there(staging: Path, file: str) -> bool:
    from featurestore.metadata import unescape_path

    name = unescape_path(file)
    return (staging / name).is_file() or (staging / "images" / name).is_file()
