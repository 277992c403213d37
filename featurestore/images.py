"""Bytes to RGB uint8, or a reason why not: the only decoder in the house.

Conventions: EXIF orientation is applied; transparency lies over neutral grey (128); 16-bit grey is
scaled to 8; CMYK, palette and grey become RGB; of an animation the first frame counts; colour
profiles are ignored. Byte and pixel caps are checked before a pixel is decoded.

A plain JPEG, whose header holds nothing that Pillow would take to heart, is decoded by simplejpeg, which is
faster and, being strict, decodes what has no flaw; both are libjpeg-turbo with the accurate DCT and smooth
upsampling, so that the pixels are the same. Whatever else there is, Pillow decodes, and it alone turns away.

Refuses to know where an image is used. Change what it gives for the same bytes and
`featurestore.spec.DECODER_VERSION` must move.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import ImageRejected, Reason
from featurestore.markers import check_structure, plain_header, quality_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

__all__ = [
    "EXTENSIONS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MIN_SIDE_PX",
    "Picture",
    "decode",
    "plain_bytes",
    "read_image_file",
]

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
_ORIENTATION = 0x0112
_STRIP_PIXELS = 1 << 20
_BOMB = f"more than {MAX_PIXELS} px, which is beyond any data.max_pixels"
_NOTHING = "a link to nothing, or gone"
#: Everything that Pillow was seen to raise, or says that it raises, for bytes that are damaged.
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError,
    AssertionError, RuntimeError, MemoryError, struct.error, zlib.error,
)  # fmt: skip


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
        ``not_a_file`` (folder, pipe, dangling link, a link that leaves ``root``), ``unreadable``,
        ``empty`` or ``too_many_bytes``.
    """
    try:
        resolved = path.resolve(strict=True)
        status = resolved.stat()
    except (FileNotFoundError, RuntimeError, ValueError):  # nothing; a circle; a NUL in a damaged table
        raise ImageRejected(Reason.NOT_A_FILE, _NOTHING) from None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a circle, in newer Pythons
            raise ImageRejected(Reason.NOT_A_FILE, _NOTHING) from None
        raise ImageRejected(Reason.UNREADABLE, error.strerror or "cannot be opened") from None
    if stat.S_ISDIR(status.st_mode):
        raise _folder(path)
    if not resolved.is_relative_to(root.resolve()):
        raise ImageRejected(
            Reason.NOT_A_FILE, "a link out of the data folder; copy the file in (dvc config cache.type copy)"
        )
    if not stat.S_ISREG(status.st_mode):
        raise ImageRejected(Reason.NOT_A_FILE, "a pipe, socket or device; remove it")
    if status.st_size == 0:
        raise ImageRejected(Reason.EMPTY, "zero bytes")
    if status.st_size > MAX_BYTES:
        raise ImageRejected(Reason.TOO_MANY_BYTES, f"{status.st_size} bytes; at most {MAX_BYTES}")
    try:
        return resolved.read_bytes()
    except OSError as error:
        raise ImageRejected(Reason.UNREADABLE, error.strerror or "cannot be read") from None


def plain_bytes(path: Path) -> bytes | None:
    """Bytes of a regular file that is no link; None of whatever else: `read_image_file` tells what it is.

    Four calls of the system instead of a dozen: threads that read meet at each.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= MAX_BYTES:
            return None
        data = os.read(descriptor, status.st_size + 1)
        return data if len(data) == status.st_size else None  # in parts, or being written
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _folder(path: Path) -> ImageRejected:
    """What is wrong with a folder where a picture is looked for."""
    if path.is_symlink():
        return ImageRejected(Reason.NOT_A_FILE, "a link to a folder, not followed; copy the folder in")
    if not os.access(path, os.R_OK | os.X_OK):
        return ImageRejected(Reason.UNREADABLE, "a folder that may not be listed; allow it (chmod u+rx)")
    return ImageRejected(
        Reason.NOT_A_FILE,
        "a folder named like a picture, not looked into; rename it, or take its pictures out",
    )


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
    if not data:
        raise ImageRejected(Reason.EMPTY, "zero bytes")
    check_structure(data)
    return _plain_jpeg(data, max_pixels) or _decoded(_opened(data), max_pixels)


def _plain_jpeg(data: bytes, max_pixels: int) -> Picture | None:
    """A plain JPEG without a flaw; None for any other file, and for what may be turned away."""
    header = plain_header(data)
    if header is None:
        return None
    width, height, n_channels, tables = header
    if width * height > max_pixels or min(width, height) < MIN_SIDE_PX:
        return None
    import simplejpeg

    try:  # the defaults are the accurate DCT and smooth upsampling, and no tolerance
        pixels = simplejpeg.decode_jpeg(data, "RGB" if n_channels == 3 else "GRAY")
    except ValueError:
        return None
    if pixels.shape[:2] != (height, width):
        return None
    if n_channels == 1:
        import numpy as np

        pixels = np.repeat(pixels, 3, axis=2)
    return Picture(pixels, width, height, "jpeg", quality_of(tables))


def _opened(data: bytes) -> Image.Image:
    """The header is read, and not a pixel."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageRejected(Reason.TOO_MANY_PIXELS, _BOMB) from None
    except UnidentifiedImageError:
        raise ImageRejected(Reason.NOT_AN_IMAGE, "no JPEG, PNG, WebP, GIF or BMP") from None
    except _DAMAGE as error:
        raise ImageRejected(Reason.CORRUPT, _short(error)) from None


def _decoded(image: Image.Image, max_pixels: int) -> Picture:
    from PIL import Image

    width, height = image.size
    if width * height > max_pixels:
        raise ImageRejected(Reason.TOO_MANY_PIXELS, f"{width}x{height} px; at most {max_pixels} px in all")
    if min(width, height) < MIN_SIDE_PX:
        raise ImageRejected(Reason.TOO_SMALL, f"{width}x{height} px; each side needs {MIN_SIDE_PX}")
    quality = quality_of(getattr(image, "quantization", None))
    kind = str(image.format).lower()
    try:
        image.load()
        image = _upright(image)  # nothing else holds the one that lies: its memory is given back
        pixels = _rgb(image)
    except ImageRejected:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageRejected(Reason.TOO_MANY_PIXELS, _BOMB) from None
    except _DAMAGE as error:
        raise ImageRejected(Reason.CORRUPT, _short(error)) from None
    return Picture(pixels, image.width, image.height, "jpeg" if kind == "mpo" else kind, quality)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; metadata that cannot be read change nothing."""
    from PIL import ImageOps

    try:
        if image.getexif().get(_ORIENTATION, 1) not in range(2, 9):
            return image  # exif_transpose would copy it
        return ImageOps.exif_transpose(image)
    except _DAMAGE:
        return image  # a damaged EXIF block says nothing about the pixels


def _rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    """RGB of every pixel, a strip at a time: the modes on the way would take a gigabyte at once."""
    import numpy as np

    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    n_rows = max(1, _STRIP_PIXELS // width)
    visible = False
    for top in range(0, height, n_rows):
        strip, seen = _strip_rgb(image.crop((0, top, width, min(top + n_rows, height))))
        pixels[top : top + n_rows] = strip
        visible = visible or seen
    if not visible:
        raise ImageRejected(Reason.TRANSPARENT, "every pixel is fully transparent")
    return pixels


def _strip_rgb(image: Image.Image) -> tuple[npt.NDArray[np.uint8], bool]:
    """RGB, or one channel that stands for three; and whether a pixel of it can be seen."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey and wider
        return _eight_bits(np.asarray(image))[..., None], True
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        alpha = layer.getchannel("A")
        ground = Image.new("RGB", layer.size, (_NEUTRAL_GREY,) * 3)
        ground.paste(layer.convert("RGB"), mask=alpha)
        return np.asarray(ground), alpha.getextrema() != (0, 0)
    return np.asarray(image.convert("RGB")), True


def _eight_bits(values: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Grey of 16 bits in 8: v / 257, rounded."""
    import numpy as np

    eight: npt.NDArray[np.uint8] = _eight_of_sixteen()[np.clip(values, 0, 65535)]
    return eight


@functools.cache
def _eight_of_sixteen() -> npt.NDArray[np.uint8]:
    """What each value of 16 bits becomes; 257 is odd, so that none lies half-way between two."""
    import numpy as np

    return ((np.arange(65536) + 128) // 257).astype(np.uint8)
