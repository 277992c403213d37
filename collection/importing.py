"""One's own folder -> data/.

Owns copying labelled folders and their metadata, and never mixing them with the demo cast in
silence. Refuses to judge images: ``index`` does, and says what it left out.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collection.carryover import DECIDED, carry_to_new_cuts, holding, keep_decisions, named
from collection.crop.record import join_cuts
from collection.curation.decisions import Decisions, read_decisions
from collection.demo import DEMO_MARK
from collection.headers import check_case
from collection.layout import Layout, layout_of, pictures_in
from collection.origins import write_origins
from collection.staging import copy_folder, staged, swap
from featurestore.dataset import cell
from featurestore.errors import DataError, MetadataError, UsageError
from featurestore.files import sha256_of, write_text_atomic
from featurestore.manifest import MANIFEST
from featurestore.metadata import CHARACTERS, LABELS, escape_path, facts_of
from featurestore.scan import find_files
from featurestore.tables import numbered_rows, read_table, table_text

__all__ = ["Imported", "check_positive", "import_folder", "set_positive", "write_template"]

#: Columns of ``characters.csv`` that mean something here; further ones are kept.
_FACTS: Final = ("file", "character", "series", "role", "page", "licence")


@dataclass(frozen=True)
class Imported:
    """What was copied.

    Attributes
    ----------
    n_images : dict of str to int
        New pictures by label.
    metadata : tuple of str
        Metadata files that came with them.
    left_out : Counter of str
        Pictures that the folder's record says were not taken, by reason.
    carried : Counter of str
        Decisions that go to new cuts of the same pictures, by table.
    held : Counter of str
        Decisions of what was replaced that speak of the new pictures too, by table.
    """

    n_images: dict[str, int]
    metadata: tuple[str, ...]
    left_out: Counter[str] = field(default_factory=Counter)
    carried: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)


def _pictures(layout: Layout, *, n_classes: int = 2, tell: bool = True) -> list[Path]:
    """Pictures, relative to the images folder, ascending; enough classes of them."""
    images, found = layout.images, pictures_in(layout, tell=tell)
    lost = [path for path in found if not (images / path).is_file()]
    if lost:
        raise DataError(
            f"{images / lost[0]}: a link to nothing or to a folder ({len(lost)} such); delete or mend it"
        )
    labels = sorted({path.parts[0] for path in found})
    if not found or (len(labels) < n_classes and not (layout.root / LABELS).exists()):
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

    Raises
    ------
    MetadataError
        If one of them says two things of one picture.
    """
    if not (new / name).exists():
        return None
    merged: dict[Hashable, dict[str, str]] = {}
    for root in (old, new):
        told: dict[Hashable, dict[str, str]] = {}
        for line, row in numbered_rows(root / name, required) if (root / name).exists() else ():
            this = of(row)
            if told.setdefault(this, row) != row:
                said = row.get("file") or row.get("key")
                raise MetadataError(f"{root / name}, line {line}: a second row for {said!r}; delete one")
            known = merged.setdefault(this, {})
            known |= {column: text for column, text in row.items() if text or column not in known}
    return table_text(list(merged.values()))


def import_folder(source: Path, root: Path, *, replace: bool, keep_demo: bool = False) -> Imported:
    """Bring a folder of labelled images, and its ``metadata/``, into the data folder.

    Parameters
    ----------
    source : Path
        Holds ``<label>/**`` or ``images/<label>/**``, and perhaps ``metadata/``: its tables and records.
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
    layout = layout_of(source)
    files = _pictures(layout, n_classes=2 if replace else 1)
    there = layout.root.resolve()
    if there == root.resolve() or root.resolve() in there.parents:
        raise UsageError(f"{source} is the data folder itself")
    if not replace and (root / MANIFEST).exists():
        raise UsageError(
            f"{root} holds a list of pictures, {MANIFEST}, which stands alone; use --replace, or write"
            " these pictures into the list"
        )
    if not replace and (root / DEMO_MARK).exists() and not keep_demo:
        raise UsageError(
            f"{root} holds the demo cast; use --replace, or --add --keep-demo to mix them on purpose"
        )
    if (layout.root / CHARACTERS).is_file():
        check_case(layout.root / CHARACTERS, _FACTS)
    with staged(root) as staging:
        if not replace and root.exists():
            copy_folder(root, staging)
        staging.mkdir(parents=True, exist_ok=True)
        _copy(layout.images, files, staging, root)
        decided = Decisions()
        if replace:
            keep_decisions(root, staging)
            decided = read_decisions(staging)
        tables = _metadata(layout.root, staging)
        left_out = write_origins(layout.root, staging, files)
        join_cuts(staging, layout.root)
        carried = carry_to_new_cuts(root, staging)
        _check(staging, layout.root)
        n_images = Counter(f.parts[0] for f in files if replace or not (root / "images" / f).exists())
        held = holding(staging, decided)
        swap(staging, root)
    labels = sorted({f.parts[0] for f in files})
    return Imported({label: n_images[label] for label in labels}, tables, left_out, carried, held)


def _check(staging: Path, source: Path) -> None:
    """Whether a study can read the tables, before anything changes."""
    try:
        facts_of(find_files(staging), staging, group_from=None)
    except MetadataError as error:
        raise MetadataError(f"{error}; look into {source / 'metadata'}: nothing was changed") from None


def _metadata(source: Path, staging: Path) -> tuple[str, ...]:
    """Join the tables that ``source`` brings to ``staging``'s; their names."""

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
    return tuple(written)


def check_positive(source: Path, root: Path, positive: str, *, replace: bool) -> None:
    """Whether the positive class will be there after the import.

    Raises
    ------
    UsageError
        Listing the classes there will be.
    """
    layout = layout_of(source)
    labels = {path.parts[0] for path in _pictures(layout, n_classes=2 if replace else 1, tell=False)}
    if (layout.root / LABELS).exists():
        labels |= {row["label"] for row in read_table(layout.root / LABELS, ["file", "label"])}
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
    layout = layout_of(source)
    files = _pictures(layout, n_classes=1)
    target = layout.root / CHARACTERS
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
