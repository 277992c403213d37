"""Figures at full length as files: PNGs by class, and the table of the true face boxes.

Owns: ``metadata/faces.csv``. Refuses to know how a figure is drawn.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from collection.demo.cast import Character
from collection.demo.figure import face_box, figure
from collection.demo.render import paint_all, replaced, write_metadata
from featurestore.files import write_text_atomic

__all__ = ["FACES", "write_figures"]

#: Where the true face boxes stand, relative to the folder.
FACES = "metadata/faces.csv"


def write_figures(cast: Sequence[Character], out: Path, *, workers: int = 1, force: bool = False) -> int:
    """Draw every character at full length and write a data folder, with the true face boxes.

    The rows of ``metadata/faces.csv`` (file, x, y, width, height) are in pixels from the top left corner.

    Parameters
    ----------
    workers : int
        Processes; the bytes do not depend on it.
    force : bool
        Replace ``images/`` and ``metadata/`` in a folder that is not empty.

    Returns
    -------
    int
        Bytes of all pictures.

    Raises
    ------
    UsageError
        If the folder holds anything and ``force`` is not given.
    """
    with replaced(out, force=force) as scratch:
        n_bytes = paint_all(_paint_one, cast, scratch, workers)
        write_metadata(cast, scratch, place=_place)
        write_text_atomic(scratch / FACES, _table(cast))
    return n_bytes


def _place(character: Character) -> str:
    return f"images/{character.label}/c{character.number:03d}.png"


def _paint_one(root: Path, character: Character) -> int:
    buffer = io.BytesIO()
    Image.fromarray(figure(character)[0]).save(buffer, "PNG")
    return (root / _place(character)).write_bytes(buffer.getvalue())


def _table(cast: Sequence[Character]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["file", "x", "y", "width", "height"])
    for one in cast:
        face = face_box(one)
        sides = (face.x, face.y, face.width, face.height)
        writer.writerow([_place(one), *(f"{side:.1f}" for side in sides)])
    return buffer.getvalue()
