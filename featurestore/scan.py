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
from featurestore.errors import DataError, ImageRejected, MissingData
from featurestore.images import EXTENSIONS, decode, read_image_file
from featurestore.metadata import Facts, escape_path, facts_of

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
    """Names of the folders of classes, ascending; hidden ones are none."""
    return sorted(e.name for e in os.scandir(images) if e.is_dir() and not e.name.startswith("."))


def find_files(root: Path) -> dict[str, str]:
    """Image files under ``root/images`` and their folder's label, ascending by path.

    Hidden files and other endings are left out, with a line that counts them.

    Returns
    -------
    dict of str to str
        Path relative to ``root`` with ``/`` -> name of the first folder below ``images/``.

    Raises
    ------
    MissingData
        If there is no ``images`` folder.
    DataError
        If a class folder's name cannot be written down.
    """
    images = root / "images"
    if not images.is_dir():
        left = sorted(path.name for path in root.absolute().parent.glob(f".{root.name}-old-*"))
        if left:
            raise MissingData(f"no {images}, but {left[0]}: an import was cut off; rename it to {root.name}")
        raise MissingData(
            f"no {images}/<label>/ here; run: dvc pull -r demo data.dvc  (or: python -m collection import DIR"
            " --replace)"
        )
    labels = _class_folders(images)
    for label in labels:
        if escape_path(label) != label.replace("%", "%25"):
            raise DataError(f"class folder {escape_path(label)!r}: no printable UTF-8; rename it")
    files: dict[str, str] = {}
    others = 0
    for label in labels:
        for folder, subfolders, names in os.walk(images / label):
            subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
            for name in sorted(names):
                if name.startswith(".") or not name.lower().endswith(EXTENSIONS):
                    others += not name.startswith(".")
                    continue
                files[Path(folder, name).relative_to(root).as_posix()] = label
    if others:
        log.warning("%d files left out: not %s", others, ", ".join(EXTENSIONS))
    return dict(sorted(files.items()))


def _look(root: Path, file: str, options: IndexOptions) -> Seen:
    sha256 = ""
    try:
        data = read_image_file(root / file, root=root)
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
            QuarantineRow(escape_path(s.file), s.sha256, s.rejected.reason.value, s.rejected.detail)
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
    with ThreadPoolExecutor(options.workers or os.cpu_count()) as pool:
        return Scan(files, facts, list(pool.map(lambda file: _look(root, file, options), files)))


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
    """Whether few enough files were unusable.

    Raises
    ------
    DataError
        If their share is above ``limit``.
    """
    if len(rows) > limit * n_files:
        raise DataError(
            f"{len(rows)} of {n_files} files are no usable images, the first {rows[0].path}"
            f" ({rows[0].reason}); data.quarantine_limit is {limit:g}; mend or delete those that"
            " results/quarantine.csv lists, or raise the limit"
        )
