"""Every picture below data/images or of a manifest, read once: hashed, decoded, measured, or turned away.

Owns what counts as an image of the study and the quarantine. Refuses to know groups and splits.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featurestore.columns import Texts, pieces
from featurestore.dataset import QuarantineRow, write_table
from featurestore.duplicates import perceptual_hash, quick_hash
from featurestore.elsewhere import Place, Reader
from featurestore.errors import DataError, ImageRejected, MissingData, Reason
from featurestore.facts import FactColumns
from featurestore.images import EXTENSIONS, decode
from featurestore.known import stamped
from featurestore.manifest import MANIFEST, read_manifest
from featurestore.metadata import (
    FORMULA_LABEL,
    escape_path,
    facts_of,
    is_formula,
    labels_by_key,
    printable,
)
from featurestore.rejections import read_rejections
from featurestore.rows import find_keys, pack_keys
from featurestore.seen import Seen, Sightings

__all__ = [
    "IndexOptions",
    "Scan",
    "check_label",
    "check_quarantine",
    "find_files",
    "scan",
    "write_quarantine",
]

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from featurestore.known import Known

    LookHash = Callable[[npt.NDArray[np.uint8]], int]

log = logging.getLogger(__name__)

#: Pictures that a thread takes at a time.
_PART: Final = 16
#: Pictures from which on the quicker hash makes up for what it imports.
_MANY: Final = 4000
#: So much reading may be lost where it is killed.
_KEEP_EVERY_S: Final = 30.0


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
        check_label(name)
    return folders


def check_label(name: str) -> None:
    """Whether the name of a class folder can stand in a table.

    Raises
    ------
    DataError
        Saying what is wrong with it.
    """
    if escape_path(name) != name.replace("%", "%25"):
        raise DataError(f"class folder {escape_path(name)!r}: no printable UTF-8; rename it")
    if name != name.strip():
        raise DataError(f"class folder {name!r}: a blank before or behind the name; rename it")
    if is_formula(name):
        raise DataError(f"class folder {name!r}: {FORMULA_LABEL}")


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
        f"no {root / 'images'}/<label>/ here; run: dvc pull -r demo data.dvc  (the demo cast; pictures that a"
        " study shares: dvc pull data.dvc; your own: python -m collection import DIR --replace)"
    )


def _look(reader: Reader, file: str, place: Place, options: IndexOptions, look_hash: LookHash | None) -> Seen:
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
        phash=look_hash(picture.pixels) if look_hash else 0,
        size=(picture.width, picture.height),
        format=picture.format,
        n_bytes=len(data),
        jpeg_quality=picture.jpeg_quality,
    )


def _look_at_all(
    files: Texts, place: Callable[[str], Place], reader: Reader, options: IndexOptions, known: Known | None
) -> Sightings:
    """What each picture shows: as it is known, or read now.

    What was read is kept every now and then, and where reading is cut off: it need not be read again.
    """
    import numpy as np

    seen = Sightings(files)
    if known is None:
        for _ in _read(np.arange(len(files)), seen, place, reader, options):
            pass
        return seen
    before = stamped(files, lambda file: reader.stamp(place(file)))
    new = known.fill(seen, before)
    keep_at = time.monotonic() + _KEEP_EVERY_S
    try:
        for _ in _read(new, seen, place, reader, options):
            if time.monotonic() > keep_at:
                known.keep(seen, before)
                keep_at = time.monotonic() + _KEEP_EVERY_S
    finally:
        known.keep(seen, before)
    return seen


def _read(
    todo: npt.NDArray[np.intp],
    seen: Sightings,
    place: Callable[[str], Place],
    reader: Reader,
    options: IndexOptions,
) -> Iterator[int]:
    """Read some files in a pool of threads; how many, after each few thousand."""
    look_hash = None
    if options.near_duplicate_distance is not None:
        look_hash = quick_hash if len(todo) >= _MANY else perceptual_hash

    def look(part: Sequence[int]) -> list[Seen]:
        names = ((file, place(file)) for file in map(seen.files.__getitem__, part))
        return [_look(reader, file, where, options, look_hash) for file, where in names]

    with ThreadPoolExecutor(options.workers or os.cpu_count()) as pool:
        for some in pieces(len(todo)):  # a future for each of millions would be as many objects
            places = todo[some].tolist()
            # in parts: a future for each picture would cost more than many a picture
            parts = [places[i : i + _PART] for i in range(0, len(places), _PART)]
            for part, found in zip(parts, pool.map(look, parts), strict=True):
                for i, one in zip(part, found, strict=True):
                    seen.put(i, one)
            yield len(places)


def _reject(seen: Sightings, rejections: Mapping[str, str]) -> None:
    """Turn away what a curator turned away."""
    for i, key in _with_keys(seen, rejections):
        seen.reject(i, Reason.REJECTED, rejections[key] or "no reason given")


def _with_keys(seen: Sightings, keys: Collection[str]) -> list[tuple[int, str]]:
    """Place and key of each file that has one of some keys."""
    import numpy as np

    if not keys:
        return []
    wanted = sorted(keys)
    found = find_keys(pack_keys(wanted), seen.keys)
    return [(i, wanted[found[i]]) for i in np.flatnonzero(found >= 0).tolist()]


@dataclass(frozen=True)
class Scan:
    """What reading every file showed, before groups and splits.

    Attributes
    ----------
    facts : FactColumns
    seen : Sightings
        Of the same files, in the same order: that of their paths, or of the manifest.
    """

    facts: FactColumns
    seen: Sightings

    @property
    def quarantine(self) -> list[QuarantineRow]:
        """Files that are no images of the study, in their order."""
        import numpy as np

        rejected = (self.seen[i] for i in np.flatnonzero(self.seen.rejected).tolist())
        return [
            QuarantineRow(
                escape_path(s.file), s.sha256, s.rejected.reason.value, printable(s.rejected.detail)
            )
            for s in rejected
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
        files, facts = _pictures_below(root, options.group_from)
        seen = _look_at_all(files, root.joinpath, reader, options, known)
    else:
        if manifest is None and (root / "images").exists():
            raise DataError(f"{root} holds images/ and {MANIFEST}; remove one of them")
        files, facts = read_manifest(listed)
        _check_labels(listed, facts.label.values)
        seen = _look_at_all(files, str, reader, options, known)
        labels = labels_by_key(root)
        others = _with_keys(seen, labels)
        if others:
            facts = facts.relabelled([i for i, _ in others], [labels[key] for _, key in others])
    _reject(seen, rejections)
    return Scan(facts, seen)


def _pictures_below(root: Path, group_from: str | None) -> tuple[Texts, FactColumns]:
    """The pictures of a data folder, and what is known of them."""
    labels = find_files(root)
    facts = FactColumns.of(facts_of(labels, root, group_from=group_from).values())
    _check_classes(root, labels, set(facts.label.values))
    return Texts(labels), facts


def _check_classes(root: Path, files: Mapping[str, str], labels: set[str]) -> None:
    """Whether every folder of a class holds an image, and there are two classes or more."""
    for folder in sorted(set(_class_folders(root / "images")) - set(files.values()) - labels):
        raise DataError(
            f"class {folder!r}: no image in {root / 'images' / folder}; add some or remove the folder"
        )
    _check_labels(root / "images", labels)


def _check_labels(where: Path, labels: Collection[str]) -> None:
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
