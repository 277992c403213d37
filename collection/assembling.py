"""Pictures as they came -> mugshots in the data folder, with their record.

Owns names of files, ``characters.csv``, and putting a whole folder in place at once. Refuses to fetch and to
find faces. What was in the data folder from an earlier search is replaced; pictures that no search brought,
and what was decided, stay.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collection.carryover import SAME_AS, carry_decisions, named
from collection.crop.cutting import NO_FACE
from collection.crop.record import SEARCHED
from collection.crop.squares import box_text
from collection.demo import DEMO_MARK
from collection.fetching.rawfiles import kept
from collection.gathering import Entry
from collection.names import slug
from collection.progress import told
from collection.provenance import IMPORTED, Source, read_sources, write_sources
from collection.records import ROLES
from collection.staging import copy_folder, staged, swap
from featurestore.dataset import cell
from featurestore.errors import ImageRejected, UsageError
from featurestore.files import write_bytes_atomic, write_text_atomic
from featurestore.images import EXTENSIONS
from featurestore.metadata import CHARACTERS, path_below
from featurestore.tables import read_table, table_text
from featurestore.text import counted

if TYPE_CHECKING:
    from collection.crop import Cut

__all__ = ["Assembled", "assemble", "check_place"]

log = logging.getLogger(__name__)

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
    n_in_all : dict of str to int
        Pictures that the data folder holds now, by folder of a class.
    carried : Counter of str
        Decisions that go to new cuts of the same pictures, by table.
    """

    n_images: dict[str, int]
    methods: dict[str, dict[str, int]]
    rows: tuple[Source, ...]
    n_in_all: dict[str, int]
    carried: Counter[str]


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
    images: Path,
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
    images : Path
        Bytes as they came (`collection.fetching.rawfiles`).
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
    taken = [entry for entry in entries if not entry.reason]
    log.info("%s: %s to cut", root, counted(len(taken), "picture"))
    with ThreadPoolExecutor(workers) as pool:
        cutting = pool.map(lambda entry: _made(entry, images, cut, max_pixels), taken)
        cuts = told(cutting, len(taken), name="cut", where=root)
        made = [(_row(entry), b"") if entry.reason else next(cuts) for entry in entries]
    rows, pictures = _each_once(made)
    with staged(root) as staging:
        stay = [] if replace_all or not root.exists() else _stay(root, staging)
        for file, data in pictures.items():
            write_bytes_atomic(staging / file, data)
        _write_characters(staging, [row for row in rows if row.file])
        write_sources(staging, [*rows, *stay])
        carried = carry_decisions(root, staging)
        write_text_atomic(staging / SEARCHED, json.dumps(dict(about), indent=1, sort_keys=True) + "\n")
        n_in_all = _n_by_label(staging / "images")
        swap(staging, root)
    return _assembled(rows, n_in_all, carried)


def _each_once(made: Sequence[tuple[Source, bytes]]) -> tuple[list[Source], dict[str, bytes]]:
    """Rows, of which the first alone has a picture where several are the same; pictures by file."""
    owner: dict[str, Source] = {}
    rows: list[Source] = []
    pictures: dict[str, bytes] = {}
    for row, data in made:
        if row.key and row.key in owner:
            row = replace(row, key="", file="", reason=SAME_AS + owner[row.key].file)
        elif row.key:
            owner[row.key] = row
            pictures[row.file] = data
        rows.append(row)
    return rows, pictures


def _stay(root: Path, staging: Path) -> list[Source]:
    """Copy all but what an earlier search brought; rows of the record that stay with it."""
    copy_folder(root, staging)
    stay = []
    for row in read_sources(staging):
        if row.provider == IMPORTED:
            stay.append(row)
        elif row.key and (place := path_below(staging, row.file)) is not None:
            place.unlink(missing_ok=True)
    return stay


def _n_by_label(images: Path) -> dict[str, int]:
    """Pictures of each folder of a class."""
    files = [path.relative_to(images) for path in images.rglob("*") if path.suffix.lower() in EXTENSIONS]
    return dict(sorted(Counter(path.parts[0] for path in files if len(path.parts) > 1).items()))


def _assembled(rows: Sequence[Source], n_in_all: dict[str, int], carried: Counter[str]) -> Assembled:
    """The rows, counted."""
    kept = [row for row in rows if row.file]
    labels = {row.file: Path(row.file).parts[1] for row in kept}
    return Assembled(
        dict(sorted(Counter(labels.values()).items())),
        {
            label: dict(Counter(row.crop for row in kept if labels[row.file] == label))
            for label in sorted(set(labels.values()))
        },
        tuple(rows),
        n_in_all,
        carried,
    )


def _made(
    entry: Entry, images: Path, cut: Callable[[Any], Cut | None], max_pixels: int
) -> tuple[Source, bytes]:
    """A row of the record, and the picture's bytes; empty where there is none."""
    from featurestore.images import decode

    row = _row(entry)
    try:
        pixels = decode(kept(images, entry.fetched.sha256), max_pixels=max_pixels).pixels
    except ImageRejected as rejected:
        return replace(row, reason=str(rejected)), b""
    found = cut(pixels)
    if found is None:
        return replace(row, reason=NO_FACE, n_faces=0), b""
    data = found.png()
    key = hashlib.sha256(data).hexdigest()
    label = ROLES[entry.candidate.character.role]
    file = f"images/{label}/{slug(entry.candidate.character.name)}-{key[:12]}.png"
    n_faces = "" if found.n_faces is None else found.n_faces
    row = replace(row, key=key, file=file, crop=found.method, box=box_text(found.box), n_faces=n_faces)
    return row, data


def _row(entry: Entry) -> Source:
    candidate, fetched, who = entry.candidate, entry.fetched, entry.candidate.character
    return Source(
        character=who.name, series=who.series, role=who.role, label_source=who.label_source,
        provider=candidate.provider, query=candidate.query, rank=candidate.rank, page=candidate.page,
        url=candidate.shown or candidate.url, final_url=fetched.final_url, time=fetched.time,
        status=fetched.status, licence=candidate.licence, opt_out=fetched.opt_out.reason,
        original=fetched.sha256, reason=entry.reason,
    )  # fmt: skip


def _write_characters(staging: Path, rows: Sequence[Source]) -> None:
    """Rows of what was found, in place of those of files that are gone; others stay."""
    path = staging / CHARACTERS
    old = read_table(path, ["file"]) if path.is_file() else []
    new = [
        {name: cell(text) for name, text in zip(_CHARACTERS, told, strict=True)}
        for told in ((row.file, row.character, row.series, row.role) for row in rows)
    ]
    here = {row["file"] for row in new}
    stay = [row for row in old if row["file"] not in here and named(staging, row["file"])]
    write_text_atomic(path, table_text([*stay, *new], _CHARACTERS))
