"""A folder of pictures -> a new one of mugshots, with the record; a stopped run goes on where it was.

Owns the order of steps, and what lies where. Refuses to know detectors and pixels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from collection.crop.carrying import carry_tables, without_twins
from collection.crop.cutting import CropParams
from collection.crop.detection import Finder, faces_in, search_of
from collection.crop.files import Cropped, Source, crop_files
from collection.crop.journal import JOURNAL, opened
from collection.crop.record import CROPS, write_crops, write_cuts
from collection.headers import check_case
from collection.layout import Layout, layout_of, pictures_in
from collection.progress import told
from featurestore.errors import MissingData, UsageError
from featurestore.files import is_finished, remove, sha256_of
from featurestore.metadata import CHARACTERS, escape_path, facts_of, notes_of, printable
from featurestore.spec import DECODER_VERSION

__all__ = ["CROPS", "JOURNAL", "crop_folder", "sources_in"]

log = logging.getLogger(__name__)

_KEY_LENGTH: Final = 12

#: Of a picture's name in that of its mugshot: with the key and the ending it fits any file system.
_MOST_STEM_BYTES: Final = 120

#: Seconds between two lines on how far a run is, for who sees no progress bar.
_LINE_S: Final = 30.0


def sources_in(layout: Layout, *, group_from: str | None = None) -> list[Source]:
    """Pictures of a folder in their classes, with what its ``metadata`` knows of them.

    Raises
    ------
    MissingData, DataError, MetadataError
    """
    files = {f"images/{path.as_posix()}": path for path in pictures_in(layout)}
    if not files:
        images = layout.images
        raise MissingData(
            f"{images} holds no pictures in folders of classes, as in {images}/<label>/<picture>"
        )
    if (layout.root / CHARACTERS).is_file():
        check_case(layout.root / CHARACTERS, ("file", "character", "series", "role"))
    labels = {file: path.parts[0] for file, path in files.items()}
    facts = facts_of(labels, layout.root, group_from=group_from, images=layout.images)
    return [
        Source(layout.images / files[file], one.label, one.character, one.series)
        for file, one in facts.items()
    ]


def crop_folder(
    source: Path, out: Path, *, params: CropParams, max_pixels: int, find: Finder = faces_in
) -> list[Cropped]:
    """Cut every picture of a folder into a new one.

    Writes ``images/<label>/<name>-<key>.png`` (name: up to 120 bytes of the picture's; key: the first 12 hex
    digits of the file's sha256), the tables of ``source`` with a row for each mugshot in place of its
    picture's (``carrying``), and the record (``record``). Until all that is written, `JOURNAL` holds what is
    done. A run that was stopped goes on from it when it is called again, and leaves the same files as one
    that was not.

    Parameters
    ----------
    source : Path
        Holds ``<label>/**`` or ``images/<label>/**``, and perhaps ``metadata/``.
    out : Path
        A new or an empty folder, or that of a run that was stopped.
    find : callable
        From image and method to all faces. Of these only `faces_in` is told from others when a run goes on.

    Raises
    ------
    UsageError
        If ``out`` holds other files or a run with other options, lies in the folder that is cropped, or
        cannot be written.
    MissingData, DataError, MetadataError, MissingExtra
    """
    layout = layout_of(source)
    _check_place(layout, source, out)
    sources = sources_in(layout)
    detector = _detector(params, find)

    def target(one: Source, sha256: str) -> Path:
        return out / "images" / one.path.relative_to(layout.images).parts[0] / _name(one, sha256)

    with opened(out / JOURNAL, _options(layout, params, max_pixels, detector), root=layout.root) as journal:
        going_on = f"going on; {journal.n_done} of them were done" if journal.n_done else "none is done yet"
        log.info("%s: %d pictures to cut; %s", out, len(sources), going_on)
        made = crop_files(
            sources, params=params, target=target, max_pixels=max_pixels, find=find, earlier=journal.find
        )
        records = []
        for one in told(made, len(sources), name="crop", where=out, every_s=_LINE_S):
            journal.add(one)
            records.append(one)
        records = without_twins(records, layout.root, out)
        _write(layout, out, records)
        write_cuts(out, [params.told(detector=detector)])
        _tidy(out, records)
        remove(out / JOURNAL)
    return records


def _check_place(layout: Layout, source: Path, out: Path) -> None:
    if out.is_file():
        raise UsageError(f"{out} is a file; name a new folder")
    there, is_whole = out.resolve(), (layout.root / "metadata").is_dir()
    root = layout.root if is_whole or there == layout.root.resolve() else source
    if there.is_relative_to(root.resolve()):
        raise UsageError(f"{out} lies in {root}, which is cropped; name a folder elsewhere")
    if (out / JOURNAL).exists():
        return
    if (out / CROPS).is_file():
        raise UsageError(
            f"{out} holds a crop that is finished; bring it in (python -m collection import {out} --replace),"
            " or name a new folder to cut again"
        )
    if out.is_dir() and (held := _shown(out)):
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        raise UsageError(f"{out} holds {', '.join(held[:3])}{more}; name a new or an empty folder")


def _shown(folder: Path) -> list[str]:
    """What a folder holds besides hidden files, as on screen."""
    try:
        return sorted(printable(path.name) for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder} cannot be listed: {error.strerror}; name another folder") from None


def _detector(params: CropParams, find: Finder) -> str:
    """What searches, with its version."""
    if params.method == "center-top":
        return ""
    return search_of(params.method) if find is faces_in else "of the caller"


def _options(layout: Layout, params: CropParams, max_pixels: int, detector: str) -> dict[str, object]:
    """All that the mugshots depend on besides the pictures, and whose they are."""
    return {
        "folder": str(layout.root.resolve()),
        **dataclasses.asdict(params),
        "max_pixels": max_pixels,
        "detector": detector,
        "decoder": DECODER_VERSION,
        "pillow": importlib.metadata.version("pillow"),
    }


def _name(source: Source, sha256: str) -> str:
    return f"{_stem(source.path.stem)}-{_key(sha256)}.png"


def _stem(name: str) -> str:
    """As much of a name, as tables have it, as fits: whole characters."""
    kept, n_bytes = [], 0
    for character in map(escape_path, name):
        n_bytes += len(character.encode())
        if n_bytes > _MOST_STEM_BYTES:
            break
        kept.append(character)
    return "".join(kept)


def _key(sha256: str) -> str:
    return sha256[:_KEY_LENGTH]


def _tidy(out: Path, records: Iterable[Cropped]) -> None:
    """Remove what killed runs left: unfinished files, and mugshots of pictures that have changed since."""
    kept = {one.path for one in records}
    for path in [*out.glob("images/*/*"), *out.glob("metadata/*")]:
        if is_finished(path) and (path in kept or not _is_mugshot(path)):
            continue
        remove(path)
        with contextlib.suppress(OSError):  # it holds others
            path.parent.rmdir()


def _is_mugshot(path: Path) -> bool:
    """Whether a file's name ends on the key of its own bytes."""
    return path.suffix == ".png" and path.is_file() and _key(sha256_of(path)) == path.stem[-_KEY_LENGTH:]


def _write(layout: Layout, out: Path, records: Sequence[Cropped]) -> None:
    """The tables beside the mugshots."""
    names = [f"images/{one.source.path.relative_to(layout.images).as_posix()}" for one in records]
    notes = notes_of([escape_path(name) for name in names], layout.root)
    carry_tables(layout.root, out, records, names, notes)
    write_crops(out, layout.root, records, notes)
