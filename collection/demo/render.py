"""From a drawing to files: pixels by resvg, bytes in mixed formats, the folder and its metadata.

Owns: ``images/<label>/<file>`` and ``metadata/characters.csv``. Refuses to know how it is drawn.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import resvg_py
from PIL import Image, ImageFilter

from collection.demo import DEMO_MARK
from collection.demo.cast import Character
from collection.demo.drawing import Drawing, draw
from collection.demo.factors import FACTORS, ROLES
from featurestore.errors import UsageError
from featurestore.files import write_text_atomic

__all__ = [
    "COLUMNS",
    "composed",
    "encode",
    "file_name",
    "paint",
    "paint_all",
    "replaced",
    "require_empty",
    "write_cast",
    "write_metadata",
]

#: Columns of metadata/characters.csv.
COLUMNS: tuple[str, ...] = ("file", "character", "series", "role", *FACTORS)

_FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
_SHARES = (0.58, 0.12, 0.30)


def paint(character: Character) -> Image.Image:
    """Pixels of a character: an RGB image, `SIZE_PX` to a side."""
    return composed(draw(character))


def composed(drawing: Drawing) -> Image.Image:
    """Pixels of a drawing: its layers over each other, the halo between them, the blur below the overlay."""
    picture, figure = _pixels(drawing.ground), _pixels(drawing.figure)
    picture.alpha_composite(_halo(figure, drawing.halo))
    picture.alpha_composite(figure)
    picture = picture.convert("RGB").filter(ImageFilter.GaussianBlur(drawing.blur_px)).convert("RGBA")
    picture.alpha_composite(_pixels(drawing.overlay))
    return picture.convert("RGB")


def _pixels(svg: str) -> Image.Image:
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    with Image.open(io.BytesIO(bytes(png))) as image:
        return image.convert("RGBA")


def _halo(figure: Image.Image, strength: float) -> Image.Image:
    """Glow (strength below 0) or dark ring (above 0) around the outline of a figure."""
    size = abs(strength) ** 0.8
    spread = figure.getchannel("A").filter(ImageFilter.GaussianBlur(3 + 10 * size))
    alpha = spread.point([min(255, round(2.9 * value * size)) for value in range(256)])
    halo = Image.new("RGBA", figure.size, "#140c1e" if strength > 0 else "#fffdf2")
    halo.putalpha(alpha)
    return halo


def file_name(character: Character) -> str:
    """Name of a character's file; its format comes from a stream that knows no role."""
    suffix = str(character.stream("format").choice(list(_FORMATS), p=_SHARES))
    return f"c{character.number:03d}.{suffix}"


def encode(character: Character, image: Image.Image) -> bytes:
    """Bytes of a picture in the character's format, at a quality drawn apart from role."""
    suffix = file_name(character).rpartition(".")[2]
    quality = int(character.stream("quality").integers(76, 93))
    buffer = io.BytesIO()
    if suffix == "png":
        image.save(buffer, "PNG", optimize=True)
    elif suffix == "webp":
        image.save(buffer, "WEBP", quality=quality, method=4)
    else:
        image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def require_empty(out: Path, *, force: bool = False) -> None:
    """Refuse a folder that holds anything.

    Raises
    ------
    UsageError
        If it is no folder, or is not empty and ``force`` is not given.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: a file, not a folder")
    if out.is_dir() and not force and any(out.iterdir()):
        raise UsageError(
            f"--out {out}: not empty; name an empty folder, or give --force to replace images/ and metadata/"
        )


def write_cast(cast: Sequence[Character], out: Path, *, workers: int = 1, force: bool = False) -> int:
    """Paint a cast and write it as a data folder.

    Parameters
    ----------
    cast : sequence of Character
    out : Path
        The data folder.
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
    return n_bytes


@contextlib.contextmanager
def replaced(out: Path, *, force: bool) -> Iterator[Path]:
    """A folder whose ``images/`` and ``metadata/`` become those of ``out`` at the end.

    Raises
    ------
    UsageError
        If ``out`` holds anything and ``force`` is not given.
    """
    require_empty(out, force=force)
    out.mkdir(parents=True, exist_ok=True)
    # everything is painted beside the old before the old goes, so that a killed run loses nothing
    with tempfile.TemporaryDirectory(dir=out, prefix=".demo-") as scratch:
        yield Path(scratch)
        for name in ("images", "metadata"):
            if (out / name).exists():
                shutil.rmtree(out / name)
            (Path(scratch) / name).rename(out / name)


def _place(character: Character) -> str:
    """Path of a picture relative to the data folder, in POSIX form."""
    return f"images/{character.label}/{file_name(character)}"


def paint_all(
    paint_one: Callable[[Path, Character], int], cast: Sequence[Character], root: Path, workers: int
) -> int:
    """Let a function of a module write a picture of each; returns the sum of their bytes."""
    for label in sorted(set(ROLES.values())):
        (root / "images" / label).mkdir(parents=True)
    paint = functools.partial(paint_one, root)
    if workers == 1:
        return sum(map(paint, cast))
    # resvg keeps the interpreter's lock while it renders: threads would gain nothing
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(paint, cast, chunksize=8))


def _paint_one(root: Path, character: Character) -> int:
    return (root / _place(character)).write_bytes(encode(character, paint(character)))


def write_metadata(cast: Sequence[Character], root: Path, *, place: Callable[[Character], str]) -> None:
    """Write ``characters.csv`` and the demo cast's mark; ``place`` names a character's file."""
    (root / "metadata").mkdir()
    with (root / "metadata" / "characters.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in cast:
            values = [f"{one.factors[name]:.4f}" for name in FACTORS]
            writer.writerow([place(one), one.name, one.series.name, one.role, *values])
        file.flush()
        os.fsync(file.fileno())
    _write_mark(cast, root / DEMO_MARK)


def _write_mark(cast: Sequence[Character], path: Path) -> None:
    content = {
        "what": "the demo cast: drawings that kyara's own code made, not anime",
        "pictures": len(cast),
        "series": len({one.series.name for one in cast}),
    }
    write_text_atomic(path, json.dumps(content, indent=2, sort_keys=True) + "\n")
