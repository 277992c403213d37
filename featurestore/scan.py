"""Every file below data/images, read once: hashed, decoded, measured, or turned away with a reason.

Owns what counts as an image of the study and the quarantine. Refuses to know groups and splits.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from featurestore.dataset import QuarantineRow, write_table
from featurestore.duplicates import perceptual_hash
from featurestore.errors import DataError, ImageRejected, MissingData, Reason
from featurestore.images import EXTENSIONS, decode, read_image_file
from featurestore.metadata import FORMULA_LABEL, Facts, escape_path, facts_of, is_formula, printable
from featurestore.rejections import read_rejections

__all__ = ["IndexOptions", "Scan", "Seen", "check_quarantine", "find_files", "scan", "write_quarantine"]

log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
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
    left = sorted(path.name for path in root.absolute().parent.glob(f".{root.name}-old-*"))
    if left:
        return MissingData(
            f"no {root / 'images'}, but {left[0]}: an import was cut off; rename it to {root.name}"
        )
    return MissingData(
        f"no {root / 'images'}/<label>/ here; run: dvc pull -r demo data.dvc  (or: python -m collection"
        " import DIR --replace)"
    )


def _look(root: Path, file: str, options: IndexOptions, rejections: Mapping[str, str]) -> Seen:
    sha256 = ""
    try:
        data = read_image_file(root / file, root=root)
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 in rejections:
            raise ImageRejected(Reason.REJECTED, rejections[sha256] or "no reason given")
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


def scan(root: Path, options: IndexOptions) -> Scan:
    """Read every image below ``root/images`` once: hash, decode, measure.

    Raises
    ------
    MissingData, DataError, MetadataError
        A file that cannot be decoded raises nothing: it is in the scan's `quarantine`.
    """
    files = find_files(root)
    facts = facts_of(files, root, group_from=options.group_from)
    _check_classes(root, files, {one.label for one in facts.values()})
    rejections = read_rejections(root)
    with ThreadPoolExecutor(options.workers or os.cpu_count()) as pool:
        return Scan(files, facts, list(pool.map(lambda file: _look(root, file, options, rejections), files)))


def _check_classes(root: Path, files: Mapping[str, str], labels: set[str]) -> None:
    """Whether every folder of a class holds an image, and there are two classes or more."""
    for folder in sorted(set(_class_folders(root / "images")) - set(files.values()) - labels):
        raise DataError(
            f"class {folder!r}: no image in {root / 'images' / folder}; add some or remove the folder"
        )
    if len(labels) < 2:
        raise DataError(
            f"{root / 'images'}: classes: {', '.join(sorted(labels)) or 'none'}; it takes two or more"
        )


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
