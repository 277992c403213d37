"""One's own folder -> data/.

Owns copying labelled folders and their metadata, and never mixing them with the demo cast in
silence. Refuses to judge images: ``index`` does, and says what it left out.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from collection.carryover import DECIDED, keep_decisions, named
from collection.demo import DEMO_MARK
from collection.provenance import Source, read_sources, write_sources
from featurestore.dataset import cell
from featurestore.errors import DataError, MissingData, UsageError
from featurestore.files import sha256_of, write_text_atomic
from featurestore.images import EXTENSIONS
from featurestore.metadata import CHARACTERS, LABELS, escape_path, facts_of, notes_of
from featurestore.scan import find_files
from featurestore.tables import read_table, table_text

__all__ = [
    "IMPORTED",
    "Imported",
    "check_positive",
    "import_folder",
    "set_positive",
    "swap",
    "write_template",
]

#: The provider that the record names where a folder has no record of its own.
IMPORTED: Final = "import"


@dataclass(frozen=True)
class Imported:
    """What was copied.

    Attributes
    ----------
    n_images : dict of str to int
        New pictures by label.
    metadata : tuple of str
        Metadata files that came with them.
    """

    n_images: dict[str, int]
    metadata: tuple[str, ...]


def _images_folder(source: Path) -> Path:
    """``source/images`` if it holds folders, else ``source`` itself."""
    if source.is_file():
        raise UsageError(f"{source} is a file; name the folder that holds one folder per class")
    if not source.is_dir():
        raise MissingData(f"no folder {source}")
    images = source / "images"
    return images if images.is_dir() and any(f.is_dir() for f in images.iterdir()) else source


def _find(source: Path, *, n_classes: int = 2) -> list[Path]:
    """Images in ``<label>/**``, relative to the images folder, ascending."""
    images = _images_folder(source)
    found = []
    for label in sorted(images.iterdir()):
        if not label.is_dir() or label.name.startswith(".") or label.name == "metadata":
            continue
        for folder, subfolders, names in os.walk(label):
            subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
            names_kept = (n for n in sorted(names) if not n.startswith("."))
            found += [
                Path(folder, n).relative_to(images) for n in names_kept if n.lower().endswith(EXTENSIONS)
            ]
    lost = [path for path in found if not (images / path).is_file()]
    if lost:
        raise DataError(f"{images / lost[0]}: a link to nothing ({len(lost)} such files); delete or mend it")
    labels = sorted({path.parts[0] for path in found})
    if not found or (len(labels) < n_classes and not (source / LABELS).exists()):
        raise DataError(
            f"{images}: classes with pictures: {', '.join(labels) or 'none'};"
            f" it takes two or more, as in {images}/<label>/<picture>"
        )
    return found


def _copy(images: Path, files: Sequence[Path], target: Path, root: Path) -> None:
    """Copy below ``target/images``; a name that is taken by other bytes is an error."""
    clashes = [f for f in files if _differs(images / f, target / "images" / f)]
    if clashes:
        raise DataError(
            f"{root} already holds other pictures under {len(clashes)} of these names,"
            f" the first images/{clashes[0].as_posix()}; rename them, or use --replace"
        )
    for file in files:
        destination = target / "images" / file
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(images / file, destination)


def _differs(new: Path, old: Path) -> bool:
    return old.exists() and new.read_bytes() != old.read_bytes()


def _merged_table(
    name: str, required: Sequence[str], old: Path, new: Path, of: Callable[[dict[str, str]], Hashable]
) -> str | None:
    """Both tables under the union of their columns, one row for each thing that rows speak of.

    None if there is no new table.

    Where both say something the new one is right; an empty cell says nothing.
    """
    if not (new / name).exists():
        return None
    merged: dict[Hashable, dict[str, str]] = {}
    for root in (old, new):
        for row in read_table(root / name, required) if (root / name).exists() else ():
            known = merged.setdefault(of(row), {})
            known |= {column: text for column, text in row.items() if text or column not in known}
    return table_text(list(merged.values()))


def import_folder(source: Path, root: Path, *, replace: bool, keep_demo: bool = False) -> Imported:
    """Bring a folder of labelled images, and its ``metadata/``, into the data folder.

    Parameters
    ----------
    source : Path
        Holds ``<label>/**`` or ``images/<label>/**``, and perhaps ``metadata/*.csv``.
    root : Path
        The data folder.
    replace : bool
        True: what was in ``root`` goes, once everything new is in place, but for decisions that are known
        by key. False: it stays.
    keep_demo : bool
        Allow adding to the demo cast.

    Raises
    ------
    MissingData, DataError, UsageError
        Nothing in ``root`` was changed then.
    """
    files, images = _find(source, n_classes=2 if replace else 1), _images_folder(source)
    if source.resolve() == root.resolve() or root.resolve() in source.resolve().parents:
        raise UsageError(f"{source} is the data folder itself")
    if not replace and (root / DEMO_MARK).exists() and not keep_demo:
        raise UsageError(
            f"{root} holds the demo cast; use --replace, or --add --keep-demo to mix them on purpose"
        )
    staging = root.with_name(f".{root.name}-{uuid.uuid4().hex}")
    try:
        if not replace and root.exists():
            shutil.copytree(root, staging)
        staging.mkdir(parents=True, exist_ok=True)
        _copy(images, files, staging, root)
        if replace:
            keep_decisions(root, staging)
        tables = _metadata(source, staging, files)
        facts_of(find_files(staging), staging, group_from=None)  # a bad table is told before anything changes
        n_images = Counter(f.parts[0] for f in files if replace or not (root / "images" / f).exists())
        swap(staging, root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Imported({label: n_images[label] for label in sorted({f.parts[0] for f in files})}, tables)


def _metadata(source: Path, staging: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """Join the tables that ``source`` brings, and where pictures are from, to ``staging``'s; their names."""

    def file(row: dict[str, str]) -> str:
        return row["file"].removeprefix("images/")

    def picture(row: dict[str, str]) -> tuple[str, str]:
        path = None if row.get("key") else named(staging, row["file"])
        return row.get("key", "").lower() or (sha256_of(path) if path else ""), file(row)

    def key(row: dict[str, str]) -> str:
        return row["key"].lower()

    written = []
    for name, required in {CHARACTERS: ("file",), **DECIDED}.items():
        of = {CHARACTERS: file, LABELS: picture}.get(name, key)
        text = _merged_table(name, required, staging, source, of)
        if text is not None:
            write_text_atomic(staging / name, text)
            written.append(name)
    _record(source, staging, files)
    return tuple(written)


def _record(source: Path, staging: Path, files: Sequence[Path]) -> None:
    """A row of the record for each picture: the source's own where it has one, else what is known here."""
    told = {row.key: row for row in read_sources(source) if row.key}
    before = read_sources(staging)
    rows = {row.key: row for row in before if row.key}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    names = [escape_path(file.as_posix()) for file in files]
    notes = notes_of([f"images/{name}" for name in names], staging)
    for file, name, facts in zip(files, names, notes, strict=True):
        key = sha256_of(staging / "images" / file)
        known = told.get(key) or rows.get(key)
        if known is not None:
            rows[key] = replace(known, file=f"images/{name}")
            continue
        rows[key] = Source(
            key=key,
            file=f"images/{name}",
            character=facts.get("character", ""),
            series=facts.get("series", ""),
            role=facts.get("role", ""),
            label_source="name of the folder",
            provider=IMPORTED,
            url=name,
            time=now,
            licence=facts.get("licence", ""),
            original=key,
        )
    write_sources(staging, [*(row for row in before if not row.key), *rows.values()])


def swap(staging: Path, root: Path) -> None:
    """Put ``staging`` in the place of ``root``; what was there goes last."""
    old = root.with_name(f".{root.name}-old-{uuid.uuid4().hex}")
    if root.exists():
        root.rename(old)
    staging.rename(root)
    shutil.rmtree(old, ignore_errors=True)


def check_positive(source: Path, root: Path, positive: str, *, replace: bool) -> None:
    """Whether the positive class will be there after the import.

    Raises
    ------
    UsageError
        Listing the classes there will be.
    """
    labels = {path.parts[0] for path in _find(source, n_classes=2 if replace else 1)}
    if (source / LABELS).exists():
        labels |= {row["label"] for row in read_table(source / LABELS, ["file", "label"])}
    if not replace and (root / "images").is_dir():
        labels |= {folder.name for folder in (root / "images").iterdir() if folder.is_dir()}
    if positive not in labels:
        raise UsageError(
            f"the positive class is {positive!r}, and no folder is called so;"
            f" add --positive LABEL (make study: POSITIVE=LABEL), one of: {', '.join(sorted(labels))}"
        )


def set_positive(params: Path, label: str) -> None:
    """Write ``evaluation.positive`` into params.yaml; every other character stays.

    Raises
    ------
    UsageError
        If the file has no line for it.
    """
    text = params.read_text(encoding="utf-8")
    line = re.compile(r"(?m)^( +positive:[ \t]*)(\"[^\"\n]*\"|'[^'\n]*'|[^#\n]*?)([ \t]*(?:#.*)?)$")
    changed, n = line.subn(lambda found: found[1] + json.dumps(label, ensure_ascii=False) + found[3], text)
    if n != 1:
        raise UsageError(
            f"{params}: no line that says positive: under evaluation:; set it to {label!r} by hand"
        )
    write_text_atomic(params, changed)


def write_template(source: Path) -> Path:
    """Write ``metadata/characters.csv`` with a line per image, to be filled in.

    Raises
    ------
    UsageError
        If there is one already.
    """
    files = _find(source, n_classes=1)
    target = source / CHARACTERS
    if target.exists():
        raise UsageError(f"{target} exists; fill it in, or move it away first")
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["file", "character", "series"])
    writer.writerows(
        [
            f"images/{escape_path(file.as_posix())}",
            "",
            cell(escape_path(file.parts[1]) if len(file.parts) > 2 else ""),
        ]
        for file in files
    )
    write_text_atomic(target, buffer.getvalue())
    return target
