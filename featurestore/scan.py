"""Every picture below data/images or of a manifest, read once: hashed, decoded, measured, or turned away.

Owns what counts as an image of the study and the quarantine. Refuses to know groups and splits.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featurestore.dataset import QuarantineRow, write_table
from featurestore.duplicates import perceptual_hash
from featurestore.elsewhere import Place, Reader
from featurestore.errors import DataError, ImageRejected, MissingData, Reason
from featurestore.images import EXTENSIONS, decode
from featurestore.manifest import MANIFEST, read_manifest
from featurestore.metadata import (
    FORMULA_LABEL,
    Facts,
    escape_path,
    facts_of,
    is_formula,
    labels_by_key,
    printable,
)
from featurestore.rejections import read_rejections

__all__ = ["IndexOptions", "Scan", "Seen", "check_quarantine", "find_files", "scan", "write_quarantine"]

if TYPE_CHECKING:
    from featurestore.known import Known

log = logging.getLogger(__name__)

#: Pictures that a thread takes at a time.
_PART: Final = 16


@dataclass(frozen=True)
class IndexOptions:
    """What `build_index` is to do; the attributes are those of params.yaml."""

    group: str = "series"
    group_from: str | None = None
    near_duplicate_distance: int | None = 4
    max_pixels: int = 50_000_000
    shares: Mapping[str, float] | None = None
    method: str = "stratified"
    seed: int = 42
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One file after reading: its key and either technical facts or a reason."""

    file: str
    sha256: str
    phash: int = 0
    size: tuple[int, int] = (0, 0)
    format: str = ""
    n_bytes: int = 0
    jpeg_quality: int | None = None
    rejected: ImageRejected | None = None


def _class_folders(images: Path) -> list[str]:
    """Names of the folders of classes, ascending; hidden ones are none.

    Raises
    ------
    DataError
        If one is a link, or its name cannot stand in a table.
    """
    folders = []
    for path in sorted(images.iterdir()):
        if path.name.startswith(".") or path.is_file():
            continue
        if path.is_symlink():
            raise DataError(
                f"class folder {escape_path(path.name)!r}: a link, which is not followed; copy the folder in"
            )
        if path.is_dir():
            folders.append(path.name)
    for name in folders:
        if escape_path(name) != name.replace("%", "%25"):
            raise DataError(f"class folder {escape_path(name)!r}: no printable UTF-8; rename it")
        if is_formula(name):
            raise DataError(f"class folder {name!r}: {FORMULA_LABEL}")
    return folders


def _is_picture(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _walk(folder: Path) -> tuple[list[Path], int]:
    """What a picture may be meant by below a class folder, and the number of files of other endings.

    Hidden names are left out. A folder that is a link, is named like a picture or cannot be listed
    is not looked into: it stands among the pictures, so that the quarantine tells of it.
    """
    found: list[Path] = []
    n_others = 0
    unlisted: list[OSError] = []
    for here, subfolders, names in os.walk(folder, onerror=unlisted.append):
        shown = sorted(s for s in subfolders if not s.startswith("."))
        strange = [s for s in shown if _is_picture(s) or Path(here, s).is_symlink()]
        subfolders[:] = [s for s in shown if s not in strange]
        visible = [name for name in names if not name.startswith(".")]
        pictures = [name for name in visible if _is_picture(name)]
        found += [Path(here, name) for name in (*strange, *pictures)]
        n_others += len(visible) - len(pictures)
    return found + [Path(str(error.filename)) for error in unlisted], n_others


def find_files(root: Path) -> dict[str, str]:
    """Image files under ``root/images`` and their folder's label, ascending by path.

    Hidden files and other endings are left out, with a line that counts them; so are pictures that
    stand in no class folder.

    Returns
    -------
    dict of str to str
        Path relative to ``root`` with ``/`` -> name of the first folder below ``images/``.

    Raises
    ------
    MissingData
        If there is no ``images`` folder.
    DataError
        If a class folder is a link, or its name cannot be written down.
    """
    images = root / "images"
    if not images.is_dir():
        raise _no_images(root)
    files: dict[str, str] = {}
    n_others = 0
    for label in _class_folders(images):
        found, others = _walk(images / label)
        files |= {path.relative_to(root).as_posix(): label for path in found}
        n_others += others
    if n_others:
        log.warning("%d files left out: not %s", n_others, ", ".join(EXTENSIONS))
    n_stray = sum(_is_picture(path.name) and path.is_file() for path in images.glob("[!.]*"))
    if n_stray:
        log.warning("%d pictures left out: in %s itself, in no folder of a class", n_stray, images)
    return dict(sorted(files.items()))


def _no_images(root: Path) -> MissingData:
    if (root / MANIFEST).exists():
        return MissingData(f"{root} holds {MANIFEST}, and no images/: this works on a folder of pictures")
    left = sorted(path.name for path in root.absolute().parent.glob(f".{root.name}-old-*"))
    if left:
        return MissingData(
            f"no {root / 'images'}, but {left[0]}: an import was cut off; rename it to {root.name}"
        )
    return MissingData(
        f"no {root / 'images'}/<label>/ here; run: dvc pull -r demo data.dvc  (or: python -m collection"
        " import DIR --replace)"
    )


def _look(reader: Reader, file: str, place: Place, options: IndexOptions) -> Seen:
    sha256 = ""
    try:
        data = reader.read(place)
        sha256 = hashlib.sha256(data).hexdigest()
        picture = decode(data, max_pixels=options.max_pixels)
    except ImageRejected as rejected:
        return Seen(file, sha256, rejected=rejected)
    return Seen(
        file,
        sha256,
        phash=perceptual_hash(picture.pixels) if options.near_duplicate_distance is not None else 0,
        size=(picture.width, picture.height),
        format=picture.format,
        n_bytes=len(data),
        jpeg_quality=picture.jpeg_quality,
    )


def _look_at_all(
    places: Mapping[str, Place], reader: Reader, options: IndexOptions, known: Known | None
) -> list[Seen]:
    """What each picture shows: as it is known, or read now."""
    stamps: dict[str, str] = {}
    seen: dict[str, Seen] = {}
    for file, place in places.items() if known is not None else ():
        stamps[file] = reader.stamp(place)
        found = known.find(file, stamps[file]) if known is not None else None
        if found is not None:
            seen[file] = found
    new = [file for file in places if file not in seen]
    with ThreadPoolExecutor(options.workers or os.cpu_count()) as pool:
        # in parts: a future for each picture would cost more than many a picture
        parts = [new[i : i + _PART] for i in range(0, len(new), _PART)]
        for found_now in pool.map(
            lambda part: [_look(reader, file, places[file], options) for file in part], parts
        ):
            seen.update((one.file, one) for one in found_now)
    every = [seen[file] for file in places]
    if known is not None:
        known.keep((one, stamps[one.file]) for one in every)
    return every


def _unless_rejected(one: Seen, rejections: Mapping[str, str]) -> Seen:
    """The same, or turned away by a curator."""
    if one.sha256 not in rejections:
        return one
    detail = rejections[one.sha256] or "no reason given"
    return Seen(one.file, one.sha256, rejected=ImageRejected(Reason.REJECTED, detail))


@dataclass(frozen=True)
class Scan:
    """What reading every file showed, before groups and splits."""

    files: Mapping[str, str]
    facts: Mapping[str, Facts]
    seen: Sequence[Seen]

    @property
    def quarantine(self) -> list[QuarantineRow]:
        """Files that are no images of the study, ascending by path."""
        return [
            QuarantineRow(
                escape_path(s.file), s.sha256, s.rejected.reason.value, printable(s.rejected.detail)
            )
            for s in self.seen
            if s.rejected is not None
        ]


def scan(
    root: Path, options: IndexOptions, *, known: Known | None = None, manifest: Path | None = None
) -> Scan:
    """Read every image once: hash, decode, measure.

    Parameters
    ----------
    root : Path
        The data folder, with ``images/`` or a manifest.
    options : IndexOptions
    known : Known or None
        What earlier scans showed, and where this one is kept.
    manifest : Path or None
        In place of what the data folder has.

    Raises
    ------
    MissingData, DataError, MetadataError
        A file that cannot be decoded raises nothing: it is in the scan's `quarantine`.
    """
    listed = manifest or (root / MANIFEST if (root / MANIFEST).exists() else None)
    reader, rejections = Reader(root), read_rejections(root)
    if listed is None:
        files = find_files(root)
        facts: Mapping[str, Facts] = facts_of(files, root, group_from=options.group_from)
        _check_classes(root, files, {one.label for one in facts.values()})
        places: Mapping[str, Place] = {file: root / file for file in files}
    else:
        if manifest is None and (root / "images").exists():
            raise DataError(f"{root} holds images/ and {MANIFEST}; remove one of them")
        facts = read_manifest(listed)
        files = {uri: one.label for uri, one in facts.items()}
        places = {uri: uri for uri in facts}
        _check_labels(listed, {one.label for one in facts.values()})
    seen = [_unless_rejected(one, rejections) for one in _look_at_all(places, reader, options, known)]
    if listed is not None:
        facts = _relabelled(facts, seen, labels_by_key(root))
    return Scan(files, facts, seen)


def _relabelled(
    facts: Mapping[str, Facts], seen: Sequence[Seen], labels: Mapping[str, str]
) -> Mapping[str, Facts]:
    """Under the labels that a curator gave to some pictures' bytes."""
    others = {one.file: labels[one.sha256] for one in seen if one.sha256 in labels} if labels else {}
    changed = {file: replace(facts[file], label=label) for file, label in others.items()}
    return {**facts, **changed} if changed else facts


def _check_classes(root: Path, files: Mapping[str, str], labels: set[str]) -> None:
    """Whether every folder of a class holds an image, and there are two classes or more."""
    for folder in sorted(set(_class_folders(root / "images")) - set(files.values()) - labels):
        raise DataError(
            f"class {folder!r}: no image in {root / 'images' / folder}; add some or remove the folder"
        )
    _check_labels(root / "images", labels)


def _check_labels(where: Path, labels: set[str]) -> None:
    if len(labels) < 2:
        raise DataError(f"{where}: classes: {', '.join(sorted(labels)) or 'none'}; it takes two or more")


def write_quarantine(rows: Sequence[QuarantineRow], path: Path) -> None:
    """Write the list of files that are no images of the study."""
    write_table(path, rows, QuarantineRow)


def check_quarantine(rows: Sequence[QuarantineRow], n_files: int, limit: float) -> None:
    """Whether few enough files were unusable; those that a curator rejected count on neither side.

    Raises
    ------
    DataError
        If their share is above ``limit``.
    """
    bad = [row for row in rows if row.reason != Reason.REJECTED]
    n_looked_at = n_files - (len(rows) - len(bad))
    if len(bad) > limit * n_looked_at:
        raise DataError(
            f"{len(bad)} of {n_looked_at} files are no usable images, the first {bad[0].path}"
            f" ({bad[0].reason}); data.quarantine_limit is {limit:g}; mend or delete those that"
            " results/quarantine.csv lists, or raise the limit"
        )
