"""A data folder -> a new one of mugshots, with the record; a run that was stopped goes on where it was.

Owns the layout of both folders. Refuses to know detectors and pixels.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import importlib.metadata
import io
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from collection.crop.cutting import CropParams
from collection.crop.detection import Finder, faces_in, search_of
from collection.crop.files import Cropped, Source, crop_files
from collection.crop.journal import opened
from collection.crop.squares import box_text
from featurestore.dataset import cell
from featurestore.errors import MissingData, UsageError
from featurestore.files import is_finished, remove, sha256_of, write_text_atomic
from featurestore.metadata import CHARACTERS, escape_path, facts_of
from featurestore.scan import find_files
from featurestore.spec import DECODER_VERSION

__all__ = ["COLUMNS", "CROPS", "JOURNAL", "crop_folder", "sources_in"]

log = logging.getLogger(__name__)

#: The record, relative to the folder.
CROPS: Final = "metadata/crops.csv"

#: What is done already, while the run is not finished; relative to the folder.
JOURNAL: Final = ".crop.jsonl"

COLUMNS: Final = ("file", "source", "method", "box", "face", "n_faces", "padded", "reason")

_KEY_LENGTH: Final = 12


def sources_in(root: Path, *, group_from: str | None = None) -> list[Source]:
    """Pictures in ``root/images/<label>/**``, with what ``root/metadata`` knows of them.

    Raises
    ------
    UsageError, MissingData, DataError, MetadataError
    """
    if root.is_file():
        raise UsageError(f"{root} is a file; name the folder that holds images/<label>/")
    if not root.is_dir():
        raise MissingData(f"no folder {root}")
    files = find_files(root) if (root / "images").is_dir() else {}
    if not files:
        raise MissingData(
            f"{root} holds no pictures in images/<label>/; put them in {root / 'images'}/<label>/"
        )
    facts = facts_of(files, root, group_from=group_from)
    return [Source(root / file, one.label, one.character, one.series) for file, one in facts.items()]


def crop_folder(
    source: Path, out: Path, *, params: CropParams, max_pixels: int, find: Finder = faces_in
) -> list[Cropped]:
    """Cut every picture of a data folder into a new one.

    Writes ``images/<label>/<name>-<key>.png`` (key: the first 12 hex digits of the file's sha256),
    ``metadata/characters.csv`` where characters or series are known, and the record, `CROPS`. Until all that
    is written, `JOURNAL` holds what is done. A run that was stopped goes on from it when it is called again,
    and leaves the same files as one that was not.

    Parameters
    ----------
    source : Path
        Holds ``images/<label>/**`` and perhaps ``metadata/``.
    out : Path
        A new folder, one without ``images``, or that of a run that was stopped.
    find : callable
        From image and method to all faces. Of these only `faces_in` is told from others when a run goes on.

    Raises
    ------
    UsageError
        If ``out`` holds images or a run with other options, lies among the pictures, or cannot be written.
    MissingData, DataError, MetadataError, MissingExtra
    """
    from tqdm import tqdm

    _check_place(source, out)
    sources, options = sources_in(source), _options(source, params, max_pixels, find)

    def target(one: Source, sha256: str) -> Path:
        return out / "images" / one.path.relative_to(source / "images").parts[0] / _name(one, sha256)

    records = []
    with opened(out / JOURNAL, options, root=source) as journal:
        if journal.n_done:
            log.info("%s: going on; %d of %d pictures were done", out, journal.n_done, len(sources))
        made = crop_files(
            sources, params=params, target=target, max_pixels=max_pixels, find=find, earlier=journal.find
        )
        for one in tqdm(made, total=len(sources), desc="crop", unit="image", disable=not sys.stderr.isatty()):
            journal.add(one)
            records.append(one)
        _write(out, source, records)
        _tidy(out, records)
        remove(out / JOURNAL)
    return records


def _check_place(source: Path, out: Path) -> None:
    if out.is_file():
        raise UsageError(f"{out} is a file; name a new folder")
    if (out / "images").exists() and not (out / JOURNAL).exists():
        raise UsageError(f"{out} holds images; name a new folder")
    there, pictures = out.resolve(), (source / "images").resolve()
    if there == pictures.parent or there.is_relative_to(pictures):
        raise UsageError(f"{out} lies among the pictures of {source}; name a folder elsewhere")


def _options(source: Path, params: CropParams, max_pixels: int, find: Finder) -> dict[str, object]:
    """All that the mugshots depend on besides the pictures, and whose they are."""
    detector = search_of(params.method) if params.method != "center-top" and find is faces_in else None
    return {
        "folder": str(source.resolve()),
        **dataclasses.asdict(params),
        "max_pixels": max_pixels,
        "detector": detector,
        "decoder": DECODER_VERSION,
        "pillow": importlib.metadata.version("pillow"),
    }


def _name(source: Source, sha256: str) -> str:
    return f"{escape_path(source.path.stem)}-{_key(sha256)}.png"


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


def _write(out: Path, root: Path, records: Sequence[Cropped]) -> None:
    known = [one for one in records if one.path and (one.source.character or one.source.series)]
    if known:
        rows = [(_relative(one.path, out), one.source.character, one.source.series) for one in known]
        write_text_atomic(out / CHARACTERS, _table(("file", "character", "series"), rows))
    write_text_atomic(out / CROPS, _table(COLUMNS, [_row(one, out, root) for one in records]))


def _row(one: Cropped, out: Path, root: Path) -> tuple[str, ...]:
    """A line of the record; boxes are left, top, width, height in pixels of the source."""
    boxes = tuple("" if box is None else box_text(box) for box in (one.box, one.face))
    padded = "" if not one.method else "yes" if one.padded else "no"
    file, source = _relative(one.path, out), _relative(one.source.path, root)
    return (file, source, one.method, *boxes, str(one.n_faces), padded, one.reason)


def _relative(path: Path | None, root: Path) -> str:
    return "" if path is None else escape_path(path.relative_to(root).as_posix())


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(text) for text in row] for row in rows)
    return buffer.getvalue()
