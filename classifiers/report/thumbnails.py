"""Small pictures for a page: each by itself, or many on one sheet.

Owns reading the images of the data folder, squares of them, and their bytes as data URIs. Refuses to know
where they are shown. The same pictures give the same bytes, whatever the number of threads.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from featurestore.dataset import place_of
from featurestore.elsewhere import Place, Reader
from featurestore.errors import ImageRejected
from featurestore.images import MAX_PIXELS, decode

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Sheet", "data_uri", "large", "sheet", "squares", "strip"]

log = logging.getLogger(__name__)

_LARGE_PX: Final = 128
_QUALITY: Final = 80
_STRIP_QUALITY: Final = 62
_GREY: Final = (128, 128, 128)


@dataclass(frozen=True)
class Sheet:
    """Many squares in one picture, row by row.

    Attributes
    ----------
    uri : str
    columns : int
    side_px : int
        Of a square.
    """

    uri: str
    columns: int
    side_px: int


def data_uri(data: bytes) -> str:
    """A JPEG as the address of itself."""
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def _square(place: Place, reader: Reader, side: int, max_pixels: int) -> Image.Image | ImageRejected:
    """The largest centred square, resampled; where the picture is gone or damaged, what is wrong with it."""
    from PIL import Image, ImageOps

    try:
        picture = decode(reader.read(place), max_pixels=max_pixels)
    except ImageRejected as rejected:
        return rejected
    return ImageOps.fit(Image.fromarray(picture.pixels), (side, side), Image.Resampling.BICUBIC)


def squares(
    paths: Mapping[str, str],
    root: Path,
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int = 0,
    side_px: int = _LARGE_PX,
) -> dict[str, Image.Image | None]:
    """Squares of some images of the data set.

    Parameters
    ----------
    paths : mapping of str to str
        Key -> path as ``dataset.csv`` has it.
    root : Path
        The data folder.
    workers : int
        Threads; 0 = one a core.
    """
    import os

    reader = Reader(root)

    def read(path: str) -> Image.Image | ImageRejected:
        return _square(place_of(path, root), reader, side_px, max_pixels)

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        made = dict(zip(paths, pool.map(read, paths.values()), strict=True))
    gone = {key: one for key, one in made.items() if isinstance(one, ImageRejected)}
    if gone:
        key, why = next(iter(gone.items()))
        more = f", and {len(gone) - 1} more" if len(gone) > 1 else ""
        log.warning("no thumbnail of %s: %s%s", place_of(paths[key], root), why, more)
    return {key: None if isinstance(one, ImageRejected) else one for key, one in made.items()}


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue()


def strip(data: bytes) -> str:
    """A JPEG that a stage wrote, packed tighter, as the address of itself."""
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        image.convert("RGB").save(stream, "JPEG", quality=_STRIP_QUALITY, optimize=True, progressive=True)
    return data_uri(min(stream.getvalue(), data, key=len))


def large(found: Mapping[str, Any], keys: Sequence[str]) -> dict[str, str]:
    """Key -> data URI of those that there is a picture of."""
    return {key: data_uri(_jpeg(found[key])) for key in keys if found.get(key) is not None}


def sheet(
    found: Mapping[str, Any], keys: Sequence[str], *, columns: int = 25, most_px: int = 2_600_000
) -> Sheet:
    """All of them on one sheet, in the order of the keys; grey where a picture is gone.

    The side of a square shrinks, from 72 px, until the sheet has no more than ``most_px`` pixels.
    """
    from PIL import Image

    side = max(24, min(72, int((most_px / max(1, len(keys))) ** 0.5) // 8 * 8))
    columns = max(1, min(columns, len(keys)))
    whole = Image.new("RGB", (columns * side, max(1, -(-len(keys) // columns)) * side), _GREY)
    for i, key in enumerate(keys):
        one = found.get(key)
        if one is not None:
            small = one.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
            whole.paste(small, (i % columns * side, i // columns * side))
    return Sheet(data_uri(_jpeg(whole)), columns, side)
