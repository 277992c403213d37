from __future__ import annotations

import functools
import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import encoded, picture
from handmade import GOLDEN_JPEG, GOLDEN_SHA256, chunk, claim, png, saved
from PIL import Image

from featurestore import images
from featurestore.elsewhere import Reader
from featurestore.errors import ImageRejected, Reason
from featurestore.images import decode, plain_bytes, read_image_file
from featurestore.markers import MAX_EXIF_SEGMENTS, check_structure
from featurestore.spec import DECODER_VERSION

RGB = picture(1)
PNG = encoded(RGB)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"\xff", Reason.NOT_AN_IMAGE),
        (b"\0" * 4096, Reason.NOT_AN_IMAGE),
        (b"<html><body>404</body></html>", Reason.NOT_AN_IMAGE),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', Reason.NOT_AN_IMAGE),
        (saved(Image.fromarray(RGB), "TIFF"), Reason.NOT_AN_IMAGE),
        (PNG[: len(PNG) // 2], Reason.CORRUPT),
        (encoded(RGB, "JPEG")[:-200], Reason.CORRUPT),
        (PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:], Reason.CORRUPT),
        (claim(65500, 65500), Reason.TOO_MANY_PIXELS),
        (claim(9000, 9000), Reason.TOO_MANY_PIXELS),
        (claim(40, 40), Reason.CORRUPT),
        (encoded(np.zeros((1, 1, 3), np.uint8)), Reason.TOO_SMALL),
        (encoded(np.zeros((3000, 1, 3), np.uint8)), Reason.TOO_SMALL),
        (encoded(np.zeros((40, 40, 4), np.uint8)), Reason.TRANSPARENT),
    ],
    ids=lambda v: v.value if isinstance(v, Reason) else f"{len(v)}B",
)
def test_bad_bytes_are_rejected_with_their_reason(data: bytes, reason: Reason) -> None:
    with pytest.raises(ImageRejected) as caught:
        decode(data, max_pixels=50_000_000)
    assert caught.value.reason is reason
    assert "\n" not in str(caught.value)


def test_lossless_pixels_come_back_as_they_were() -> None:
    for format, options in (("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})):
        assert np.array_equal(decode(encoded(RGB, format, **options), max_pixels=10**6).pixels, RGB)


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(RGB[:20]), "PNG", exif=exif)
    shown = decode(data, max_pixels=10**6)
    assert (shown.width, shown.height) == (20, 40)
    assert np.array_equal(shown.pixels, np.rot90(RGB[:20], -1))


def test_transparency_lies_over_neutral_grey() -> None:
    rgba = np.dstack([RGB, np.where(np.arange(40) < 20, 0, 255).astype(np.uint8)[None].repeat(40, 0)])
    pixels = decode(encoded(rgba), max_pixels=10**6).pixels
    assert np.all(pixels[:, :20] == 128)
    assert np.array_equal(pixels[:, 20:], RGB[:, 20:])


def test_every_value_of_sixteen_bits_is_scaled_and_rounded_not_clipped() -> None:
    values = np.arange(65_536).reshape(256, 256)
    pixels = decode(png(values, depth=16), max_pixels=10**6).pixels
    assert np.array_equal(pixels, np.rint(values / 257.0).astype(np.uint8)[..., None].repeat(3, axis=2))


def test_a_picture_of_many_strips_is_one_picture() -> None:
    """Decoding goes by strips of a million pixels; 3000 x 1201 are four, and the last is short."""
    rng = np.random.default_rng(5)
    drawn = rng.integers(0, 256, (1201, 3000, 3), dtype=np.uint8)
    assert np.array_equal(decode(png(drawn, level=1), max_pixels=10**7).pixels, drawn)


@pytest.mark.parametrize("row", [0, 600, 1200])
def test_one_pixel_that_can_be_seen_is_enough(row: int) -> None:
    drawn = np.zeros((1201, 3000, 4), np.uint8)
    drawn[row, 7] = (10, 20, 30, 255)
    pixels = decode(png(drawn, level=1), max_pixels=10**7).pixels
    assert pixels[row, 7].tolist() == [10, 20, 30]
    assert (pixels == 128).sum() == 3 * (1201 * 3000 - 1)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    format = {"CMYK": "JPEG", "YCbCr": "JPEG"}.get(mode, "PNG")
    data = saved(Image.fromarray(RGB).convert("L" if mode == "LA" else "RGB").convert(mode), format)
    pixels = decode(data, max_pixels=10**6).pixels
    assert pixels.shape == (40, 40, 3)
    assert pixels.dtype == np.uint8
    assert abs(pixels.astype(float).mean() - RGB.mean()) < 40


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.fromarray(picture(i)).quantize(64) for i in (1, 2, 3)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.array_equal(decode(data, max_pixels=10**6).pixels, np.asarray(frames[0].convert("RGB")))


@pytest.mark.parametrize("quality", [10, 35, 50, 75, 90, 98])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int) -> None:
    decoded = decode(encoded(RGB, "JPEG", quality=quality), max_pixels=10**6)
    assert decoded.jpeg_quality == quality
    assert decoded.format == "jpeg"


def test_the_bytes_tell_the_format_not_the_name(tmp_path: Path) -> None:
    assert decode(PNG, max_pixels=10**6).format == "png"
    assert decode(PNG, max_pixels=10**6).jpeg_quality is None


@pytest.mark.parametrize("by", ["path", "reader"])
def test_only_regular_files_below_the_root_are_read(by: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    read = Reader(root).read if by == "reader" else functools.partial(read_image_file, root=root)
    (tmp_path / "secret.png").write_bytes(PNG)
    (root / "away").symlink_to(tmp_path)
    (root / "out.png").symlink_to(tmp_path / "secret.png")
    (root / "nowhere.png").symlink_to(root / "gone.png")
    (root / "loop.png").symlink_to(root / "loop.png")
    (root / "folder.png").mkdir()
    (root / "empty.png").touch()
    os.mkfifo(root / "fifo.png")
    (root / "fine.png").write_bytes(PNG)
    (root / "inside.png").symlink_to(root / "fine.png")
    for name, reason in {
        "out": Reason.NOT_A_FILE, "nowhere": Reason.NOT_A_FILE, "loop": Reason.NOT_A_FILE,
        "folder": Reason.NOT_A_FILE, "fifo": Reason.NOT_A_FILE, "empty": Reason.EMPTY,
        "away/secret": Reason.NOT_A_FILE, "gone": Reason.NOT_A_FILE, "gone/gone": Reason.NOT_A_FILE,
    }.items():  # fmt: skip
        with pytest.raises(ImageRejected) as caught:
            read(root / f"{name}.png")
        assert caught.value.reason is reason, name
    assert read(root / "inside.png") == read(root / "fine.png") == PNG


def test_a_file_that_is_being_written_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    monkeypatch.setattr("os.read", lambda fd, n: PNG[: len(PNG) // 2])  # what a call gives may be less
    assert plain_bytes(tmp_path / "a.png") is None
    assert Reader(tmp_path).read(tmp_path / "a.png") == PNG


def test_pixels_may_be_written_to() -> None:
    """Torch warns of arrays that may not."""
    assert decode(PNG, max_pixels=10**6).pixels.flags.writeable


def test_a_checksum_is_asked_of_every_part_of_the_pixels() -> None:
    start, packed, end = PNG[: PNG.index(b"IDAT") - 4], PNG[PNG.index(b"IDAT") + 4 : -16], chunk(b"IEND", b"")
    parts = [chunk(b"IDAT", packed[i : i + 50]) for i in range(0, len(packed), 50)]
    assert np.array_equal(decode(start + b"".join(parts) + end, max_pixels=10**6).pixels, RGB)
    for i in range(len(parts)):
        damaged = [*parts[:i], parts[i][:-1] + bytes([parts[i][-1] ^ 1]), *parts[i + 1 :]]
        with pytest.raises(ImageRejected, match="corrupt: the pixels are not those that were written"):
            decode(start + b"".join(damaged) + end, max_pixels=10**6)


def test_decoding_in_threads_leaves_the_filters_of_warnings_alone() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: decode(PNG, max_pixels=10**6), range(200)))
    assert warnings.filters == before


def test_the_pixels_of_a_jpeg_are_pinned() -> None:
    pixels = decode(GOLDEN_JPEG, max_pixels=10**6).pixels
    assert DECODER_VERSION == 1, "a new version needs new pixels here"
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == GOLDEN_SHA256


KINDS = {
    "plain": {},
    "smooth": {"subsampling": 0},
    "halved": {"subsampling": 1},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 2},
    "kept_rgb": {"keep_rgb": True},
    "grey": {"mode": "L"},
    "inks": {"mode": "CMYK"},
    "commented": {"comment": b"drawn by hand"},
    "profiled": {"icc_profile": bytes(70_000)},
    "described": {"xmp": b"<x:xmpmeta/>"},
    "turned": {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"},
}


def seed_jpeg(kind: str) -> bytes:
    options = dict(KINDS[kind])
    return saved(Image.fromarray(picture(5, (37, 41))).convert(options.pop("mode", "RGB")), "JPEG", **options)


def verdict(data: bytes) -> tuple[object, ...]:
    try:
        found = decode(data, max_pixels=10**6)
    except ImageRejected as rejected:
        return (rejected.reason,)
    return found.pixels.tobytes(), found.pixels.shape, found.format, found.jpeg_quality


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A byte other, some gone or more, or the end cut off; often in the header."""
    whole = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(2, len(whole) if rng.random() < 0.6 else min(len(whole), 640)))
        match rng.integers(4):
            case 0:
                whole[place] ^= 1 << int(rng.integers(8))
            case 1:
                del whole[place : place + int(rng.integers(1, 20))]
            case 2:
                whole[place:place] = rng.bytes(int(rng.integers(1, 8)))
            case _:
                del whole[max(place, 20) :]
    return bytes(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_the_fast_way_gives_what_pillow_gives_for_sound_and_damaged_bytes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, sound = np.random.default_rng(len(kind)), seed_jpeg(kind)
    files = [sound, *(damaged(sound, rng) for _ in range(150))]
    taken = images._plain_jpeg(sound, 10**6) is not None
    fast = [verdict(data) for data in files]
    monkeypatch.setattr(images, "_plain_jpeg", lambda *_: None)
    assert fast == [verdict(data) for data in files]
    assert taken == (kind not in ("inks", "described", "turned"))
    assert len({len(one) for one in fast}) == 2, "some are turned away, some are not"


def test_fill_between_markers_is_walked_once() -> None:
    """In quadratic time a megabyte of it would take hours."""
    counted = b"\xff\xe1\x00\x08Exif\0\0" * (MAX_EXIF_SEGMENTS - 1)
    scans = b"\xff\xda\x00\x02" * 10
    check_structure(b"\xff\xd8" + counted + scans + b"\xff" * (1 << 20) + b"\x00" + b"\xff" * (1 << 20))
