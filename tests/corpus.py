"""Hostile, broken and odd image files, each by its name; all of them are made here.

`REJECTED` says which `Reason` turns a file away, `ACCEPTED` which pixels a file must give, worked
out from what was drawn and not by the decoder. `LARGE` holds what is just small enough.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from conftest import encoded, picture
from handmade import (
    GOLDEN_JPEG,
    TURNED,
    chunk,
    claim,
    exif,
    jpeg_with,
    png,
    png_of,
    repeated,
    saved,
    segment,
)
from PIL import Image

from featurestore.errors import Reason
from featurestore.markers import MAX_EXIF_SEGMENTS, MAX_SCANS, MAX_TEXT_BYTES

# --- what is turned away


@dataclass(frozen=True)
class Bad:
    """A file that is turned away: its bytes, or how to put something worse in its place."""

    ending: str
    reason: Reason
    data: Callable[[], bytes] | None = None
    place: Callable[[Path], None] | None = None

    def make(self, path: Path) -> None:
        if self.data is not None:
            path.write_bytes(self.data())
        if self.place is not None:
            self.place(path)


DRAWN = picture(70_001, (24, 20))
PLAIN = png(DRAWN)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def many_scans() -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = saved(Image.fromarray(DRAWN), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * MAX_SCANS + data[-2:]


def many_exif_segments() -> bytes:
    return jpeg_with(segment(0xE1, b"Exif\0\0" + bytes(60_000)) * (MAX_EXIF_SEGMENTS + 1))


def _folder_with_a_picture(path: Path) -> None:
    path.mkdir()
    (path / "inside.png").write_bytes(png(picture(70_002)))


def _link_out(path: Path) -> None:
    """To a picture beside the data folder."""
    outside = path.parents[3] / "outside.png"
    outside.write_bytes(png(picture(70_003)))
    path.symlink_to(outside)


def _forbidden(path: Path) -> None:
    path.write_bytes(png(picture(70_004)))
    path.chmod(0)


def _forbidden_folder(path: Path) -> None:
    _folder_with_a_picture(path)
    path.chmod(0)


HTML = b"<!doctype html><html><body><h1>404 Not Found</h1></body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40"/></svg>'
XXE = b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + SVG.replace(
    b"<rect", b"<text>&x;</text><rect"
)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n(/etc/passwd) (r) file\n%%EOF\n"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n%%EOF\n"
SCANS = b"\xff\xdaExif\0\0" * (MAX_SCANS + 1)
HUGE_BMP = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, *[0] * 6)
HUGE_WEBP = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6
HUGE_JPEG = GOLDEN_JPEG.replace(struct.pack(">HH", 20, 24), struct.pack(">HH", 65_500, 65_500), 1)

EMPTY, CORRUPT, NOT_AN_IMAGE, NOT_A_FILE = (
    Reason.EMPTY,
    Reason.CORRUPT,
    Reason.NOT_AN_IMAGE,
    Reason.NOT_A_FILE,
)
TOO_MANY = Reason.TOO_MANY_PIXELS

REJECTED: dict[str, Bad] = {
    "zero": Bad(".png", EMPTY, lambda: b""),
    "one_byte": Bad(".jpg", NOT_AN_IMAGE, lambda: b"\xff"),
    "nulls": Bad(".jpg", NOT_AN_IMAGE, lambda: b"\0" * 4096),
    "trunc50": Bad(".jpg", CORRUPT, lambda: GOLDEN_JPEG[: len(GOLDEN_JPEG) // 2]),
    "trunc99": Bad(".jpg", CORRUPT, lambda: GOLDEN_JPEG[: len(GOLDEN_JPEG) * 99 // 100]),
    "trunc_header": Bad(".jpg", CORRUPT, lambda: GOLDEN_JPEG[:30]),
    "png_trunc": Bad(".png", CORRUPT, lambda: PLAIN[: len(PLAIN) // 2]),
    "png_trunc_header": Bad(".png", CORRUPT, lambda: PLAIN[:20]),
    # the last byte of the checksum of the pixels, which are as they were
    "png_badcrc": Bad(".png", CORRUPT, lambda: flipped(PLAIN, PLAIN.index(b"IEND") - 5)),
    # a byte of a pixel that is not packed: nothing but checksums can tell
    "png_bad_pixel": Bad(".png", CORRUPT, lambda: flipped(png(DRAWN, level=0), 400)),
    "png_without_pixels": Bad(".png", CORRUPT, lambda: claim(40, 40)),
    "bomb_1bit_20000": Bad(
        ".png", TOO_MANY, lambda: png_of((20_000,) * 2, 1, 0, repeated(bytes(250_100), 200))
    ),
    "rgb_12000": Bad(".png", TOO_MANY, lambda: png_of((12_000,) * 2, 8, 2, repeated(bytes(3_600_100), 120))),
    "claim_65500": Bad(".png", TOO_MANY, lambda: claim(65_500, 65_500)),
    "claim_2e31": Bad(".png", TOO_MANY, lambda: claim(2**31, 2**31)),
    "jpeg_claim_65500": Bad(".jpg", TOO_MANY, lambda: HUGE_JPEG),
    "bmp_claim_2e31": Bad(".bmp", TOO_MANY, lambda: HUGE_BMP),
    "webp_claim_2e24": Bad(".webp", TOO_MANY, lambda: HUGE_WEBP),
    "width0": Bad(".png", NOT_AN_IMAGE, lambda: claim(0, 40)),
    "ztxt_bomb": Bad(
        ".png",
        CORRUPT,
        lambda: png(DRAWN, extra=chunk(b"zTXt", b"Comment\0\0" + repeated(bytes(1 << 20), 400))),
    ),
    "iccp_bomb": Bad(
        ".png", CORRUPT, lambda: png(DRAWN, extra=chunk(b"iCCP", b"icc\0\0" + repeated(bytes(1 << 20), 401)))
    ),
    "long_text": Bad(
        ".png", CORRUPT, lambda: png(DRAWN, extra=chunk(b"tEXt", b"Comment\0" + bytes(MAX_TEXT_BYTES)))
    ),
    "many_scans": Bad(".jpg", CORRUPT, many_scans),
    "many_exif_segments": Bad(".jpg", CORRUPT, many_exif_segments),
    "html": Bad(".jpg", NOT_AN_IMAGE, lambda: HTML),
    "json": Bad(".png", NOT_AN_IMAGE, lambda: b'{"error": "rate limit"}'),
    "svg": Bad(".png", NOT_AN_IMAGE, lambda: SVG),
    "svg_xxe": Bad(".png", NOT_AN_IMAGE, lambda: XXE),
    "eps": Bad(".jpg", NOT_AN_IMAGE, lambda: EPS),
    "pdf": Bad(".jpg", NOT_AN_IMAGE, lambda: PDF),
    "gz": Bad(".png", NOT_AN_IMAGE, lambda: gzip.compress(PLAIN)),
    "tiff_as_jpg": Bad(".jpg", NOT_AN_IMAGE, lambda: encoded(DRAWN, "TIFF")),
    "ico_as_jpg": Bad(".jpg", NOT_AN_IMAGE, lambda: encoded(picture(70_005), "ICO", sizes=[(32, 32)])),
    "fifo": Bad(".png", NOT_A_FILE, place=os.mkfifo),
    "directory": Bad(".png", NOT_A_FILE, place=_folder_with_a_picture),
    "symlink_loop": Bad(".png", NOT_A_FILE, place=lambda path: path.symlink_to(path.name)),
    "dangling": Bad(".png", NOT_A_FILE, place=lambda path: path.symlink_to("gone.png")),
    "symlink_outside": Bad(".png", NOT_A_FILE, place=_link_out),
    "linked_folder": Bad("", NOT_A_FILE, place=lambda path: path.symlink_to(path.parents[1] / "plain")),
    "unreadable": Bad(".png", Reason.UNREADABLE, place=_forbidden),
    "unreadable_folder": Bad("", Reason.UNREADABLE, place=_forbidden_folder),
    "1x1": Bad(".png", Reason.TOO_SMALL, lambda: png(np.zeros((1, 1, 3)))),
    "1x30000": Bad(".png", Reason.TOO_SMALL, lambda: png(np.zeros((30_000, 1, 3)))),
    "fully_transparent": Bad(".png", Reason.TRANSPARENT, lambda: png(np.dstack([DRAWN, DRAWN[..., 0] * 0]))),
}


# --- what is taken


@dataclass(frozen=True)
class Good:
    """A file that is taken, and its pixels: within ``tolerance`` where the format loses some."""

    ending: str
    data: bytes
    pixels: np.ndarray
    tolerance: int = 0


def on_grey(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What is seen of a picture with transparency over grey."""
    share = alpha.astype(float)[..., None]
    return np.rint((share * rgb + (255 - share) * 128) / 255).astype(np.uint8)


def grey_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def _drawn(i: int) -> np.ndarray:
    """No two items hold the same picture, or they would be one row of the data set."""
    return picture(71_000 + i, (24, 20))


def _tiles(i: int, channels: int = 3) -> np.ndarray:
    """Flat tiles of 8 pixels, the blocks of JPEG: hardly anything is lost."""
    rng = np.random.default_rng(72_000 + i)
    return rng.integers(0, 256, (6, 5, channels), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)


def _indexed(i: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and the palette that they lead into."""
    rng = np.random.default_rng(73_000 + i)
    palette = rng.integers(0, 256, (8, 3), dtype=np.uint8)
    return rng.integers(0, 8, (5, 6)).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1), palette


def _of_inks(inks: np.ndarray, data: bytes) -> Good:
    light = 255 - inks.astype(float)
    return Good(".jpg", data, np.rint(light[..., :3] * light[..., 3:] / 255).astype(np.uint8), tolerance=4)


def _cmyk() -> Good:
    inks = _tiles(0, 4)
    return _of_inks(inks, saved(Image.fromarray(inks, "CMYK"), "JPEG", quality=100, subsampling=0))


def _ycck() -> Good:
    """Inks stored as luminance and chroma, beside the black: Pillow reads it, and does not write it."""
    inks = _tiles(1, 4)
    # Pillow turns every channel over as it writes, since Adobe's inks are stored so
    chroma = 255 - np.asarray(Image.fromarray(np.ascontiguousarray(inks[..., :3])).convert("YCbCr"))
    stored = Image.fromarray(np.dstack([chroma, inks[..., 3]]), "CMYK")
    data = bytearray(saved(stored, "JPEG", quality=100, subsampling=0))
    data[data.index(b"Adobe") + 11] = 2  # the transform: YCCK
    return _of_inks(inks, bytes(data))


def _palette(i: int, alphas: bytes = b"") -> Good:
    index, palette = _indexed(i)
    extra = chunk(b"PLTE", palette.tobytes()) + (chunk(b"tRNS", alphas) if alphas else b"")
    opaque = np.frombuffer(alphas.ljust(8, b"\xff"), np.uint8)
    return Good(".png", png(index, colour=3, extra=extra), on_grey(palette[index], opaque[index]))


def _animated(i: int, format: str, ending: str, **options: object) -> Good:
    frames = [Image.fromarray(_drawn(i + k)) for k in range(3)]
    data = saved(frames[0], format, save_all=True, append_images=frames[1:], duration=100, **options)
    return Good(ending, data, _drawn(i))


def _animated_gif(i: int) -> Good:
    drawn = [_indexed(i + k) for k in range(3)]
    frames = [Image.fromarray(index) for index, _ in drawn]
    for frame, (_, palette) in zip(frames, drawn, strict=True):
        frame.putpalette(palette.tobytes())
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    return Good(".gif", data, drawn[0][1][drawn[0][0]])


def _exif(i: int, orientation: int) -> Good:
    upright = TURNED.get(orientation, lambda pixels: pixels)(_drawn(i))
    return Good(".png", png(_drawn(i), extra=chunk(b"eXIf", exif(orientation))), upright)


def _kinds_of_pixels() -> dict[str, Good]:
    rgb = [_drawn(i) for i in range(6)]
    grey, alpha = rgb[1][..., 0], rgb[2][..., 1]
    wide = np.linspace(0, 65_535, 20 * 24).reshape(20, 24).astype(int)
    wide_rgb = np.dstack([wide, wide[::-1], wide[:, ::-1]])
    one_bit = (rgb[3][..., 0] > 127).astype(np.uint8)
    key = rgb[4][0, 0]
    keyed = np.where((rgb[4] == key).all(axis=2), 0, 255)
    return {
        "ok": Good(".png", png(rgb[0]), rgb[0]),
        "gray": Good(".png", png(grey), grey_rgb(grey)),
        "gray16": Good(".png", png(wide, depth=16), grey_rgb(np.rint(wide / 257))),
        "rgb16": Good(".png", png(wide_rgb, depth=16), (wide_rgb >> 8).astype(np.uint8)),
        "palette": _palette(0),
        "palette_trns": _palette(1, bytes([0, 255, 128, 7])),
        "rgb_trns": Good(
            ".png", png(rgb[4], extra=chunk(b"tRNS", key.astype(">u2").tobytes())), on_grey(rgb[4], keyed)
        ),
        "rgba": Good(".png", png(np.dstack([rgb[5], alpha])), on_grey(rgb[5], alpha)),
        "la": Good(".png", png(np.dstack([grey, alpha])), on_grey(grey_rgb(grey), alpha)),
        "1bit": Good(".png", png(one_bit, depth=1), grey_rgb(one_bit * 255)),
        "constant": Good(".png", png(np.full((20, 24, 3), 77)), np.full((20, 24, 3), 77, np.uint8)),
    }


def _kinds_of_jpeg() -> dict[str, Good]:
    golden = np.asarray(Image.open(io.BytesIO(GOLDEN_JPEG)).convert("RGB"))
    tiles = [_tiles(2), _tiles(3)]
    steps = encoded(tiles[0], "JPEG", quality=100, subsampling=0, progressive=True)
    return {
        "jpeg": Good(".jpg", GOLDEN_JPEG, golden),
        "progressive": Good(".jpg", steps, tiles[0], tolerance=4),
        # its tables divide by 255, 16 levels up or down in luminance and chroma; blue is Y + 1.772 Cb
        "quality1": Good(".jpg", encoded(tiles[1], "JPEG", quality=1, subsampling=0), tiles[1], tolerance=48),
        "cmyk": _cmyk(),
        "ycck": _ycck(),
        "exif6_jpeg": Good(".jpg", jpeg_with(segment(0xE1, b"Exif\0\0" + exif(6))), TURNED[6](golden)),
        "bad_exif_jpeg": Good(".jpg", jpeg_with(segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff")), golden),
        "bad_icc_jpeg": Good(".jpg", jpeg_with(segment(0xE2, b"ICC_PROFILE\0\x01\x01none")), golden),
        "trailing_bytes_jpeg": Good(".jpg", GOLDEN_JPEG + PLAIN * 3, golden),
        # what looks like scans, in a thumbnail and behind the picture, are none
        "thumbnail_jpeg": Good(".jpg", jpeg_with(segment(0xE1, SCANS)) + SCANS, golden),
    }


def _kinds_of_wrapping() -> dict[str, Good]:
    rgb = [_drawn(100 + i) for i in range(6)]
    return {
        **{f"exif{k}": _exif(120 + k, k) for k in TURNED},
        "exif9_invalid": _exif(129, 9),
        "bad_exif": Good(".png", png(rgb[0], extra=chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")), rgb[0]),
        "bad_icc": Good(".png", png(rgb[1], extra=chunk(b"iCCP", b"icc\0\0no zlib")), rgb[1]),
        "trailing_bytes": Good(".png", png(rgb[2], after=b"<?php system($_GET[0]); ?>" * 400), rgb[2]),
        "png_as_jpg": Good(".jpg", png(rgb[3]), rgb[3]),
        "webp_as_jpg": Good(".jpg", encoded(rgb[4], "WEBP", lossless=True), rgb[4]),
        "bmp_as_jpg": Good(".jpg", encoded(rgb[5], "BMP"), rgb[5]),
        "anim_gif": _animated_gif(2),
        "anim_webp": _animated(130, "WEBP", ".webp", lossless=True),
        "apng": _animated(133, "PNG", ".png"),
    }


ACCEPTED: dict[str, Good] = {**_kinds_of_pixels(), **_kinds_of_jpeg(), **_kinds_of_wrapping()}


# --- what is just small enough: 50 million pixels, in rows that are all the same

SIDE = 7_070


@dataclass(frozen=True)
class Large:
    """A PNG of SIDE x SIDE pixels."""

    row: np.ndarray
    depth: int = 8
    orientation: int = 1

    def data(self) -> bytes:
        samples = self.row.astype({8: np.uint8, 16: ">u2"}[self.depth])
        packed = repeated((b"\0" + samples.tobytes()) * 10, SIDE // 10)
        colour = {1: 0, 3: 2, 4: 6}[samples.shape[1]]
        extra = chunk(b"eXIf", exif(self.orientation))
        return png_of((SIDE, SIDE), self.depth, colour, packed, extra=extra)

    def sha256(self) -> str:
        """Of the pixels that must come out; turned by a quarter, each row has one colour."""
        row = self.row
        if self.depth == 16:
            row = grey_rgb(np.rint(row.T / 257))[0]
        elif row.shape[1] == 4:
            row = on_grey(row[:, :3], row[:, 3])
        found = hashlib.sha256()
        for i in range(SIDE):
            found.update(row[i].tobytes() * SIDE if self.orientation == 6 else row.tobytes())
        return found.hexdigest()


def _row(channels: int, top: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, top, (SIDE, channels), dtype=np.uint16)


LARGE = {
    "gray16_50m": Large(_row(1, 65_536), depth=16),
    "rgba_50m": Large(_row(4, 256)),
    "rgb_exif_50m": Large(_row(3, 256).astype(np.uint8), orientation=6),
}
