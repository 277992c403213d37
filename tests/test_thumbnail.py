from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from featurestore import scan as scan_module
from featurestore.duplicates import perceptual_hash, quick_hash
from featurestore.scan import IndexOptions, scan
from featurestore.thumbnail import SIDE, thumbnail

SIZES = [
    (1, 1), (1, 300), (7, 5), (31, 33), (32, 32), (32, 90), (64, 32), (100, 63), (256, 256), (257, 400), (1000, 48),
]  # fmt: skip


def pictures(height: int, width: int) -> list[np.ndarray]:
    """Noise, a ramp, black and white columns, flat."""
    rng = np.random.default_rng(height * 1000 + width)
    noise = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8)[None, :, None], noise.shape)
    stripes = np.broadcast_to((np.arange(width) % 2 * 255).astype(np.uint8)[None, :, None], noise.shape)
    return [noise, ramp, stripes, np.full_like(noise, 255), (noise > 127).astype(np.uint8) * 255]


@pytest.mark.parametrize("size", SIZES)
def test_a_thumbnail_is_pillows_to_the_bit(size: tuple[int, int]) -> None:
    for pixels in pictures(*size):
        image = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        assert np.array_equal(thumbnail(pixels), np.asarray(image))


@pytest.mark.parametrize("size", SIZES)
def test_the_quick_hash_is_imagehashs(size: tuple[int, int]) -> None:
    for pixels in pictures(*size):
        assert quick_hash(pixels) == perceptual_hash(pixels)


def test_an_index_of_many_pictures_is_that_of_few(data, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    few = scan(data, IndexOptions())
    monkeypatch.setattr(scan_module, "_MANY", 1)
    monkeypatch.setattr(scan_module, "perceptual_hash", None)
    assert list(scan(data, IndexOptions()).seen) == list(few.seen)
