"""Picture files -> mugshot files, a record of each, and what the classes lost.

Owns reading, writing and the record. Refuses to name characters: who calls says where a mugshot goes.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collection.crop.bias import Bias, Outcome, bias_of
from collection.crop.cutting import NO_FACE, CropParams, Cut, cut
from collection.crop.detection import Finder, faces_in
from collection.crop.squares import Square, box_text
from extractors.faces import FaceBox
from featurestore.dataset import cell
from featurestore.errors import ImageRejected, UsageError
from featurestore.files import write_bytes_atomic, write_text_atomic
from featurestore.images import decode, read_image_file
from featurestore.metadata import CHARACTERS, escape_path, facts_of
from featurestore.scan import find_files

__all__ = [
    "COLUMNS",
    "CROPS",
    "Cropped",
    "Source",
    "bias_of_crops",
    "crop_files",
    "crop_folder",
    "sources_in",
]

#: Where `crop_folder` writes its record, relative to the folder.
CROPS: Final = "metadata/crops.csv"

COLUMNS: Final = ("file", "source", "method", "box", "face", "n_faces", "padded", "reason")


@dataclass(frozen=True)
class Source:
    """A picture to cut.

    Attributes
    ----------
    path : Path
    label : str
        Its class.
    character, series : str
        Empty if unknown.
    """

    path: Path
    label: str
    character: str = ""
    series: str = ""


@dataclass(frozen=True)
class Cropped:
    """What became of one picture.

    Attributes
    ----------
    source : Source
    path : Path or None
        The mugshot; None if there is none.
    sha256 : str
        Of the mugshot's bytes.
    method : str
        What really cut it; empty if nothing did.
    box : Square or None
        What was cut out, in pixels of the picture.
    face : FaceBox or None
    n_faces : int
    padded : bool
        See `collection.crop.Cut`.
    reason : str
        Why there is no mugshot, one line; empty if there is one.
    """

    source: Source
    path: Path | None = None
    sha256: str = ""
    method: str = ""
    box: Square | None = None
    face: FaceBox | None = None
    n_faces: int = 0
    padded: bool = False
    reason: str = ""


def crop_files(
    sources: Iterable[Source],
    *,
    params: CropParams,
    target: Callable[[Source, str], Path],
    max_pixels: int,
    find: Finder = faces_in,
) -> Iterator[Cropped]:
    """Cut one picture after the other; each mugshot is written before its record is given.

    Parameters
    ----------
    sources : iterable of Source
    params : CropParams
    target : callable
        From a source and the sha256 (hex) of its mugshot's bytes to where the mugshot goes. A file that is
        there already is replaced by the same bytes.
    max_pixels : int
        Cap on width x height, checked before decoding.
    find : callable
        From image and method to all faces.

    Yields
    ------
    Cropped
        In the sources' order; a picture that cannot be read has a reason and stops nothing.

    Raises
    ------
    MissingExtra
        If the detector's package is not installed or does not work here.
    """
    for source in sources:
        try:
            data = read_image_file(source.path, root=source.path.parent)
            made = cut(decode(data, max_pixels=max_pixels).pixels, params, find=find)
        except ImageRejected as rejected:
            yield Cropped(source, reason=str(rejected))
            continue
        yield Cropped(source, reason=NO_FACE) if made is None else _written(source, made, target)


def _written(source: Source, made: Cut, target: Callable[[Source, str], Path]) -> Cropped:
    data = made.png()
    sha256 = hashlib.sha256(data).hexdigest()
    path = target(source, sha256)
    write_bytes_atomic(path, data)
    return Cropped(
        source, path, sha256, method=made.method, box=made.box, face=made.face, n_faces=made.n_faces,
        padded=made.padded,
    )  # fmt: skip


def bias_of_crops(records: Iterable[Cropped], params: CropParams) -> Bias | None:
    """Whether the classes lose alike; None where no face was looked for or no picture could be read."""
    if params.method == "center-top":
        return None
    seen = [one for one in records if one.method or one.reason == NO_FACE]
    outcomes = [Outcome(one.source.label, one.face is not None, one.source.series) for one in seen]
    return bias_of(outcomes, method=params.method, fallback=params.fallback)


def sources_in(root: Path, *, group_from: str | None = None) -> list[Source]:
    """Pictures in ``root/images/<label>/**``, with what ``root/metadata`` knows of them.

    Raises
    ------
    MissingData, DataError, MetadataError
    """
    facts = facts_of(find_files(root), root, group_from=group_from)
    return [Source(root / file, one.label, one.character, one.series) for file, one in facts.items()]


def crop_folder(
    source: Path, out: Path, *, params: CropParams, max_pixels: int, find: Finder = faces_in
) -> list[Cropped]:
    """Cut every picture of a data folder into a new one.

    Writes ``images/<label>/<name>-<key>.png`` (key: the first 12 hex digits of the file's sha256),
    ``metadata/characters.csv`` where characters or series are known, and the record, `CROPS`.

    Parameters
    ----------
    source : Path
        Holds ``images/<label>/**`` and perhaps ``metadata/``.
    out : Path
        A new folder, or one without ``images``.

    Raises
    ------
    UsageError
        If ``out`` holds images.
    MissingData, DataError, MetadataError, MissingExtra
    """
    if (out / "images").exists():
        raise UsageError(f"{out} holds images; name a new folder")
    sources = sources_in(source)

    def target(one: Source, sha256: str) -> Path:
        return out / "images" / one.path.relative_to(source / "images").parts[0] / _name(one, sha256)

    made = crop_files(sources, params=params, target=target, max_pixels=max_pixels, find=find)
    records = list(made)
    _write(out, source, records)
    return records


def _name(source: Source, sha256: str) -> str:
    return f"{escape_path(source.path.stem)}-{sha256[:12]}.png"


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
