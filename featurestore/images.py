"""Bytes to RGB uint8, or a reason why not: the only decoder in the house.

Conventions: EXIF orientation is applied; transparency lies over neutral grey (128); 16-bit grey is
scaled to 8; CMYK, palette and grey become RGB; of an animation the first frame counts; colour
profiles are ignored. Byte and pixel caps are checked before a pixel is decoded.

Refuses to know where an image is used. Change what it gives for the same bytes and
`featurestore.spec.DECODER_VERSION` must move.
"""

from __future__ import annotations

import functools
import io
import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import ImageRejected, Reason

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

__all__ = ["EXTENSIONS", "MAX_BYTES", "MAX_PIXELS", "MIN_SIDE_PX", "Picture", "decode", "read_image_file"]

#: File name endings that are taken for images, lower case.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
#: Files above this are never read.
MAX_BYTES = 256 << 20
#: The largest pixel cap there can be: Pillow refuses more by itself.
MAX_PIXELS = 178_956_970
#: Design conventions cannot be seen in less.
MIN_SIDE_PX = 16

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_NEUTRAL_GREY = 128
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError)
_DAMAGE += (struct.error, zlib.error, OverflowError, MemoryError)  # type: ignore[assignment]


@dataclass(frozen=True)
class Picture:
    """A decoded image and what its file tells beside the pixels.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        RGB, upright.
    width, height : int
        In pixels, as shown (after EXIF orientation).
    format : str
        ``jpeg``, ``png``, ``webp``, ``gif`` or ``bmp``: what the bytes are, not what the name says.
    jpeg_quality : int or None
        Quality 1 to 100 of the nearest standard luminance table; None if it is no JPEG.
    """

    pixels: npt.NDArray[np.uint8]
    width: int
    height: int
    format: str
    jpeg_quality: int | None


def read_image_file(path: Path, *, root: Path) -> bytes:
    """Bytes of a regular file below ``root``.

    Raises
    ------
    ImageRejected
        ``not_a_file`` (directory, fifo, dangling link, a link that leaves ``root``), ``unreadable``,
        ``empty`` or ``too_many_bytes``.
    """
    try:
        resolved = path.resolve(strict=True)
        status = resolved.stat()
    except (FileNotFoundError, RuntimeError):
        raise ImageRejected(Reason.NOT_A_FILE, "a link to nothing, or gone") from None
    except OSError as error:
        raise ImageRejected(Reason.UNREADABLE, error.strerror or "cannot be opened") from None
    if not resolved.is_relative_to(root.resolve()):
        raise ImageRejected(
            Reason.NOT_A_FILE, "a link out of the data folder; copy the file in (dvc config cache.type copy)"
        )
    if not stat.S_ISREG(status.st_mode):
        raise ImageRejected(Reason.NOT_A_FILE, "not a regular file")
    if status.st_size == 0:
        raise ImageRejected(Reason.EMPTY, "zero bytes")
    if status.st_size > MAX_BYTES:
        raise ImageRejected(Reason.TOO_MANY_BYTES, f"{status.st_size} bytes; at most {MAX_BYTES}")
    try:
        return resolved.read_bytes()
    except OSError as error:
        raise ImageRejected(Reason.UNREADABLE, error.strerror or "cannot be read") from None


def decode(data: bytes, *, max_pixels: int) -> Picture:
    """Decode one image.

    Parameters
    ----------
    data : bytes
        A whole file.
    max_pixels : int
        Cap on width x height as the header declares them.

    Raises
    ------
    ImageRejected
        With the reason; nothing else is ever raised for bad bytes.
    """
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ImageRejected(Reason.EMPTY, "zero bytes")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected(Reason.TOO_MANY_PIXELS, _short(error)) from None
    except UnidentifiedImageError:
        raise ImageRejected(Reason.NOT_AN_IMAGE, "no JPEG, PNG, WebP, GIF or BMP") from None
    except _DAMAGE as error:
        raise ImageRejected(Reason.CORRUPT, _short(error)) from None
    return _decode_opened(image, max_pixels)


def _decode_opened(image: Image.Image, max_pixels: int) -> Picture:
    import numpy as np
    from PIL import Image

    width, height = image.size
    if width * height > max_pixels:
        raise ImageRejected(Reason.TOO_MANY_PIXELS, f"{width}x{height} px; at most {max_pixels} px in all")
    if min(width, height) < MIN_SIDE_PX:
        raise ImageRejected(Reason.TOO_SMALL, f"{width}x{height} px; each side needs {MIN_SIDE_PX}")
    quality = _jpeg_quality(image)
    kind = str(image.format).lower()
    try:
        image.load()
        rgb = _to_rgb(_upright(image))
    except ImageRejected:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected(Reason.TOO_MANY_PIXELS, _short(error)) from None
    except _DAMAGE as error:
        raise ImageRejected(Reason.CORRUPT, _short(error)) from None
    pixels = np.array(rgb, dtype=np.uint8)
    return Picture(pixels, rgb.width, rgb.height, "jpeg" if kind == "mpo" else kind, quality)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; metadata that cannot be read change nothing."""
    from PIL import ImageOps

    try:
        turned = ImageOps.exif_transpose(image)
    except _DAMAGE:
        return image  # a damaged EXIF block says nothing about the pixels
    return image if turned is None else turned


def _to_rgb(image: Image.Image) -> Image.Image:
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16-bit grey and wider
        values = np.asarray(image).astype(np.float64)
        grey = np.clip(np.rint(values / 257.0), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        alpha = layer.getchannel("A")
        if alpha.getextrema()[1] == 0:
            raise ImageRejected(Reason.TRANSPARENT, "every pixel is fully transparent")
        ground = Image.new("RGB", layer.size, (_NEUTRAL_GREY,) * 3)
        ground.paste(layer.convert("RGB"), mask=alpha)
        return ground
    return image.convert("RGB")


# Luminance quantisation table of ITU-T T.81 Annex K.1, in the order that Pillow reports (row by row).
_K1 = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def _jpeg_quality(image: Image.Image) -> int | None:
    """Quality whose scaled Annex-K table has the same sum as the file's luminance table.

    The scaling is that of the Independent JPEG Group's ``jpeg_quality_scaling``.
    """
    tables = getattr(image, "quantization", None)
    if not tables:
        return None
    total = sum(next(iter(tables.values())))
    sums = _table_sums()
    return min(range(100, 0, -1), key=lambda quality: abs(sums[quality] - total))


@functools.cache
def _table_sums() -> tuple[int, ...]:
    """Sum of the luminance table of each quality; at 0 that of 1."""

    def table_sum(quality: int) -> int:
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        return sum(min(255, max(1, (value * scale + 50) // 100)) for value in _K1)

    return tuple(table_sum(max(quality, 1)) for quality in range(101))
