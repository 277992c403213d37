"""Picture files -> mugshot files, what became of each, and what the classes lost.

Owns reading and writing. Refuses to know folders (``folders``): who calls says where a mugshot goes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from collection.crop.bias import Bias, Outcome, bias_of
from collection.crop.cutting import NO_FACE, CropParams, Cut, cut
from collection.crop.detection import Finder, faces_in
from collection.crop.squares import Square
from extractors.faces import FaceBox
from featurestore.errors import ImageRejected
from featurestore.files import write_bytes_atomic
from featurestore.images import decode, read_image_file

__all__ = ["Cropped", "Source", "bias_of_crops", "crop_files"]


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
    n_faces : int or None
    padded : bool
        See `collection.crop.Cut`.
    reason : str
        Why there is no mugshot, one line; empty if there is one.
    original : str
        Sha256 of the picture's bytes; empty if they could not be read.
    """

    source: Source
    path: Path | None = None
    sha256: str = ""
    method: str = ""
    box: Square | None = None
    face: FaceBox | None = None
    n_faces: int | None = None
    padded: bool = False
    reason: str = ""
    original: str = ""


def crop_files(
    sources: Iterable[Source],
    *,
    params: CropParams,
    target: Callable[[Source, str], Path],
    max_pixels: int,
    find: Finder = faces_in,
    earlier: Callable[[Source, str], Cropped | None] = lambda source, original: None,
) -> Iterator[Cropped]:
    """Cut one picture after the other; each mugshot is on the disk before its record is given.

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
    earlier : callable
        From a source and the sha256 (hex) of its own bytes to its record, if it need not be cut again.

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
        original = ""
        try:
            data = read_image_file(source.path, root=source.path.parent)
            original = hashlib.sha256(data).hexdigest()
            if (known := earlier(source, original)) is not None:
                yield known
                continue
            made = cut(decode(data, max_pixels=max_pixels).pixels, params, find=find)
        except ImageRejected as rejected:
            yield Cropped(source, reason=str(rejected), original=original)
            continue
        if made is None:
            yield Cropped(source, reason=NO_FACE, n_faces=0, original=original)
        else:
            yield _written(source, original, made, target)


def _written(source: Source, original: str, made: Cut, target: Callable[[Source, str], Path]) -> Cropped:
    data = made.png()
    sha256 = hashlib.sha256(data).hexdigest()
    path = target(source, sha256)
    write_bytes_atomic(path, data)
    return Cropped(
        source, path, sha256, method=made.method, box=made.box, face=made.face, n_faces=made.n_faces,
        padded=made.padded, original=original,
    )  # fmt: skip


def bias_of_crops(records: Iterable[Cropped], params: CropParams) -> Bias | None:
    """Whether the classes lose alike; None where no face was looked for or no picture could be read."""
    if params.method == "center-top":
        return None
    seen = [one for one in records if one.method or one.reason == NO_FACE]
    outcomes = [Outcome(one.source.label, one.face is not None, one.source.series) for one in seen]
    return bias_of(outcomes, method=params.method, fallback=params.fallback)
