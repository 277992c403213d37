"""Image files put together byte by byte, so that what is read was not written by the same library."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

#: A JPEG of 24x20 pixels: what any decoder of this version must make of these bytes.
GOLDEN_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdB"
    "RkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09P"
    "T09PT09PT09PT09PT0//wAARCAAUABgDASIAAhEBAxEB/8QAGAABAQEBAQAAAAAAAAAAAAAAAAUCBAP/xAAjEAABAwQCAQUA"
    "AAAAAAAAAAABAAIDBAUREiFREwYUFSIl/8QAFwEBAAMAAAAAAAAAAAAAAAAABAAFBv/EACURAAEDAgUEAwAAAAAAAAAAAAIA"
    "AQMEEQUSEzFRFCEiM0Fhsf/aAAwDAQACEQMRAD8Aq2+3R+n2O3kH2XjVVbK3Z2wGq47w/wCUljaybUZ55Wa61+0p2+ObYuHO"
    "CpTnql1F/N9/tFcKcpNQzzC3xbZcj7++kcWwxGTHSLFB+c5xfD5tuxlEqSMpizjHdub2SpYmqi1YmuLqVbZpCSS4q7SSPkBD"
    "3E47REer7BHZCFmzKvbYo3k7tBREWax0yGuJmfj8Vzh/oZf/2Q=="
)
#: Of its pixels.
GOLDEN_SHA256 = "bd0527ae53f095da26460d0012fb20a21dad3b5147073c3998eb9589a020e6c9"

_ORIENTATION = 0x0112
#: How a picture of each EXIF orientation is turned upright.
TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(
    size: tuple[int, int], depth: int, colour: int, packed: bytes, *, extra: bytes = b"", after: bytes = b""
) -> bytes:
    """A PNG of a stream that is compressed already."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body + after


def png(
    samples: np.ndarray,
    *,
    depth: int = 8,
    colour: int | None = None,
    level: int = 6,
    extra: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG of (height, width) or (height, width, channels); of colour 3 they are indices."""
    height, width, channels = np.atleast_3d(samples).shape
    if colour is None:
        colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    if depth == 1:
        rows = np.packbits(samples.astype(bool), axis=1)
    else:
        rows = samples.astype({8: np.uint8, 16: ">u2"}[depth])
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    return png_of((width, height), depth, colour, zlib.compress(raw, level), extra=extra, after=after)


def repeated(block: bytes, times: int) -> bytes:
    """A zlib stream of one block many times over: it is packed once."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    one = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 1
    for _ in range(times):
        check = zlib.adler32(block, check)
    return b"\x78\x9c" + one * times + b"\x03\x00" + check.to_bytes(4, "big")


def claim(width: int, height: int) -> bytes:
    """A PNG whose header declares a size and whose pixels are not there."""
    return png_of((width, height), 8, 2, b"")


def exif(orientation: int) -> bytes:
    """A TIFF block of one tag."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, _ORIENTATION, 3, 1, orientation, 0, 0)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_with(segments: bytes) -> bytes:
    return GOLDEN_JPEG[:2] + segments + GOLDEN_JPEG[2:]


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
