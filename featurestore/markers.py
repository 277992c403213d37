"""What Pillow does not ask of a file before it decodes it; a plain JPEG's header, and the quality it has.

Owns the chunks of PNG and the markers and tables of JPEG. Refuses to know pixels.
"""

from __future__ import annotations

import functools
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from featurestore.errors import ImageRejected, Reason

__all__ = [
    "MAX_EXIF_SEGMENTS",
    "MAX_SCANS",
    "MAX_TEXT_BYTES",
    "PlainHeader",
    "check_structure",
    "plain_header",
    "quality_of",
]

#: Scans of a JPEG; ten are usual. Each is a pass over all pixels and may take 75 bytes, so that a
#: small file would take hours. libjpeg-turbo's own fuzzers stop here too.
MAX_SCANS = 500
#: Segments of a JPEG that Exif is spread over; one is usual. Pillow joins them in quadratic time.
MAX_EXIF_SEGMENTS = 64
#: A text in a PNG. Pillow refuses those above 64 MiB too, but copies them four times before.
MAX_TEXT_BYTES = 65 << 20

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_SCAN, _APP1, _END = 0xDA, 0xE1, 0xD9
# Not a stuffed FF 00, and none of those that stand alone: FF 01 and the restarts FF D0 to D7. The last FF of
# several is the marker's.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_COUNTED = re.compile(rb"\xff(?:\xda|\xe1..Exif\0\0)", re.DOTALL)

_SEGMENT, _FRAME = struct.Struct(">HH"), struct.Struct(">BHHB")
_TABLES, _SCAN_STARTS, _FRAMES = 0xFFDB, 0xFFDA, (0xFFC0, 0xFFC2)  # frames: baseline, progressive
#: Huffman tables, restart interval, comment, and the APPn that mean nothing to Pillow.
_SKIPPED = frozenset((0xFFC4, 0xFFDD, 0xFFFE, *range(0xFFE3, 0xFFED), 0xFFEF))
#: APPn that do not change what Pillow gives, if they begin like this and are not shorter.
_KNOWN = {0xFFE0: (b"JFIF\0", 16), 0xFFE2: (b"ICC_PROFILE\0", 16), 0xFFEE: (b"Adobe", 14)}

# Luminance quantisation table of ITU-T T.81 Annex K.1, in the order that Pillow reports (row by row).
_K1 = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def check_structure(data: bytes) -> None:
    """Whether a PNG's pixels have the checksum that was written with them, and a file can be decoded in time.

    Raises
    ------
    ImageRejected
        ``corrupt``. Nothing is raised for bytes of other formats, or that end too soon.
    """
    if data.startswith(_PNG):
        _check_chunks(data)
    # Looking for them is fast, and may find too many (thumbnails, what follows the picture): then we walk.
    elif data.startswith(_JPEG) and len(_COUNTED.findall(data)) > min(MAX_SCANS, MAX_EXIF_SEGMENTS):
        _check_markers(data)


def _check_chunks(data: bytes) -> None:
    place, view = len(_PNG), memoryview(data)
    while place + 12 <= len(data):
        length = int.from_bytes(view[place : place + 4], "big")
        kind, end = data[place + 4 : place + 8], place + 8 + length
        if kind in (b"tEXt", b"zTXt", b"iTXt") and length > MAX_TEXT_BYTES:
            raise ImageRejected(Reason.CORRUPT, f"a text of {length} bytes; at most {MAX_TEXT_BYTES}")
        if kind == b"IEND" or end + 4 > len(data):
            return
        if kind == b"IDAT":  # whose checksum Pillow leaves out
            written = int.from_bytes(view[end : end + 4], "big")
            if zlib.crc32(view[place + 4 : end]) != written:
                raise ImageRejected(Reason.CORRUPT, "the pixels are not those that were written (checksum)")
        place = end + 4


def _check_markers(data: bytes) -> None:
    place, n_scans, n_exif = len(_JPEG), 0, 0
    while (marker := _MARKER.search(data, place)) and marker[1][0] != _END:
        place = marker.end()
        n_scans += marker[1][0] == _SCAN
        n_exif += marker[1][0] == _APP1 and data.startswith(b"Exif\0\0", place + 2)
        place += max(2, int.from_bytes(data[place : place + 2], "big"))
        if n_scans > MAX_SCANS:
            raise ImageRejected(Reason.CORRUPT, f"more than {MAX_SCANS} scans")
        if n_exif > MAX_EXIF_SEGMENTS:
            raise ImageRejected(Reason.CORRUPT, f"Exif in more than {MAX_EXIF_SEGMENTS} segments")


class PlainHeader(NamedTuple):
    """What a plain JPEG declares: pixels across and down, 1 channel or 3, quantisation tables by number."""

    width: int
    height: int
    n_channels: int
    tables: Mapping[int, bytes]


def plain_header(data: bytes) -> PlainHeader | None:
    """Of a JPEG of 8 bits, in grey or colour, without Exif, XMP or further pictures; None of any other file.

    Where there is one, Pillow would open the file with this size, mode and tables, and with nothing to turn.
    It takes several times as long to, and no other thread may run Python meanwhile.
    """
    if not data.startswith(_JPEG):
        return None
    place, frame = len(_JPEG), None
    tables: dict[int, bytes] = {}
    while place + 4 <= len(data):
        marker, length = _SEGMENT.unpack_from(data, place)
        body, place = place + _SEGMENT.size, place + 2 + length
        if length < 2 or place > len(data):
            return None
        if marker == _TABLES:
            while body < place:
                tables[data[body]] = data[body + 1 : body + 65]
                body += 65
            if body != place or max(tables, default=0) > 3:  # 16 bits an entry, or no such table
                return None
        elif marker in _FRAMES:
            if frame is not None or length < 2 + _FRAME.size:
                return None
            bits, height, width, n_channels = frame = _FRAME.unpack_from(data, body)
            if bits != 8 or n_channels not in (1, 3) or length != 2 + _FRAME.size + 3 * n_channels:
                return None
        elif marker == _SCAN_STARTS:
            return None if frame is None else PlainHeader(width, height, n_channels, tables)
        elif marker not in _SKIPPED:
            begin, least = _KNOWN.get(marker, (b"", 1 << 16))
            if length < least or not data.startswith(begin, body):
                return None
    return None


def quality_of(tables: Mapping[int, Sequence[int]] | None) -> int | None:
    """Quality whose scaled Annex-K table has the same sum as the file's luminance table.

    The scaling is that of the Independent JPEG Group's ``jpeg_quality_scaling``.

    Parameters
    ----------
    tables : mapping of int to sequence of int, or None
        The file's quantisation tables, the luminance's first; None or empty if it has none.

    Returns
    -------
    int or None
        1 to 100.
    """
    if not tables:
        return None
    return _nearest(sum(next(iter(tables.values()))))


@functools.lru_cache(256)
def _nearest(total: int) -> int:
    """Quality whose table has the sum that is nearest."""
    sums = _table_sums()
    return min(range(100, 0, -1), key=lambda quality: abs(sums[quality] - total))


@functools.cache
def _table_sums() -> tuple[int, ...]:
    """Sum of the luminance table of each quality; at 0 that of 1."""

    def table_sum(quality: int) -> int:
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        return sum(min(255, max(1, (value * scale + 50) // 100)) for value in _K1)

    return tuple(table_sum(max(quality, 1)) for quality in range(101))
