"""Faces are found where they are, in any thread and at any size, and the square around one is what was asked for."""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from collection.demo.cast import draw_cast
from collection.demo.render import paint
from extractors import animeface_bridge, faces
from extractors.faces import (
    MARGINS,
    FaceBox,
    cut_square,
    detector,
    detector_weights,
    find_face,
    find_faces,
    squares,
)
from extractors.fitting import PAD_GREY, fit
from extractors.weights import load
from featurestore.errors import MissingExtra
from featurestore.spec import Status

for _package in ("torch", "facenet_pytorch", "animeface"):
    pytest.importorskip(_package)


@pytest.fixture(scope="module")
def drawings() -> list[np.ndarray]:
    """Eight of the demo cast; a person sees a face in each."""
    return [np.asarray(paint(character)) for character in draw_cast(42, 8)]


@pytest.fixture
def faceless() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((256, 256), (90, 300))]
    flat = [np.full((200, 160, 3), level, np.uint8) for level in (0, 128, 255)]
    ramp = np.tile(np.linspace(0, 255, 200).astype(np.uint8)[:, None, None], (1, 200, 3))
    tiny = [np.full((h, w, 3), 99, np.uint8) for h, w in ((1, 1), (1, 900), (900, 1), (19, 19), (43, 42))]
    return [*noise, *flat, ramp, *tiny]


@pytest.fixture
def forgotten() -> Iterator[None]:
    """No detector is loaded, before the test and after it."""
    for cached in (faces._finder, animeface_bridge._finder):
        cached.cache_clear()
    yield
    for cached in (faces._finder, animeface_bridge._finder):
        cached.cache_clear()


# --- animeface


def test_anime_faces_are_found_in_drawings_where_they_are(drawings: list[np.ndarray]) -> None:
    found = [face for face in (find_face(image, "anime") for image in drawings) if face is not None]
    assert len(found) >= 6
    for face in found:
        # the demo cast's faces lie around (128, 150), a third to two thirds of the picture wide
        assert abs(face.x + face.width / 2 - 128) < 40
        assert abs(face.y + face.height / 2 - 150) < 40
        assert 85 < face.width < 171
        assert 0.5 <= face.likelihood <= 1


@pytest.mark.parametrize("align", ["anime", "mtcnn"])
def test_no_face_is_found_where_there_is_none(align: str, faceless: list[np.ndarray]) -> None:
    assert [find_face(image, align) for image in faceless] == [None] * len(faceless)


def test_all_faces_are_given_and_smaller_ones_at_larger_sizes(drawings: list[np.ndarray]) -> None:
    image = next(image for image in drawings if find_face(image, "anime"))
    assert find_face(image, "anime") in find_faces(image, "anime")
    small = np.full((640, 640, 3), 200, np.uint8)
    small[20:276, 300:556] = image
    assert find_faces(small[:, :280], "anime") == []
    assert find_faces(small, "anime", sizes_px=[64]) == []
    (face,) = find_faces(small, "anime", sizes_px=[400])
    assert face.x + face.width / 2 == pytest.approx(428, abs=25)


def test_the_finder_reads_the_pixels_that_it_is_given(drawings: list[np.ndarray]) -> None:
    image = np.asarray(Image.fromarray(drawings[0]).resize((128, 128)))
    (face,) = animeface_bridge.detect(image)
    (mirrored,) = animeface_bridge.detect(np.ascontiguousarray(image[:, ::-1]))
    assert abs((128 - mirrored.x - mirrored.width) - face.x) <= 8
    assert animeface_bridge.detect(image[:, ::-1][:, ::-1]) == [face], "views are pictures too"
    assert animeface_bridge.detect(image // 255) == []


def test_the_garbage_collector_may_run_inside_the_finder(drawings: list[np.ndarray]) -> None:
    image = np.asarray(Image.fromarray(drawings[0]).resize((128, 128)))
    expected, threshold = animeface_bridge.detect(image), gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        assert [animeface_bridge.detect(image) for _ in range(5)] == [expected] * 5
    finally:
        gc.set_threshold(*threshold)
    assert expected


def test_a_release_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch, forgotten: None) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda package: "3.0.0")
    with pytest.raises(MissingExtra, match=r"animeface 3\.0\.0 .* known: 2\.0\.3; run: make setup-all"):
        squares(fit="crop", size_px=64, align="anime")


def test_another_layout_of_objects_is_refused(monkeypatch: pytest.MonkeyPatch, forgotten: None) -> None:
    class Longer(ctypes.Structure):
        _fields_ = (
            ("thread", ctypes.c_void_p),
            ("references", ctypes.c_ssize_t),
            ("type", ctypes.c_void_p),
            ("picture", ctypes.c_void_p),
        )

    monkeypatch.setattr(animeface_bridge, "_Holder", Longer)
    with pytest.raises(MissingExtra, match="lays out its objects in another way"):
        find_face(np.zeros((64, 64, 3), np.uint8), "anime")


# --- both detectors


@pytest.mark.parametrize("align", ["anime", "mtcnn"])
def test_a_box_is_in_the_pictures_own_pixels_and_inside_it(align: str, drawings: list[np.ndarray]) -> None:
    for image in drawings[:4]:
        face = find_face(image, align)
        larger = find_face(np.asarray(Image.fromarray(image).resize((640, 640))), align)
        if face is None or larger is None:
            continue
        assert larger.x + larger.width / 2 == pytest.approx(2.5 * (face.x + face.width / 2), abs=30)
        assert larger.width == pytest.approx(2.5 * face.width, rel=0.25)
        for box, side in ((face, 256), (larger, 640)):
            assert 0 <= box.x < box.x + box.width <= side
            assert 0 <= box.y < box.y + box.height <= side
        break
    else:
        pytest.fail("no face was found in both sizes")


def test_a_box_in_a_wide_picture_is_where_the_face_is(drawings: list[np.ndarray]) -> None:
    wide = np.full((256, 320, 3), 200, np.uint8)
    wide[:, 64:] = drawings[0]
    face, alone = find_face(wide, "anime"), find_face(drawings[0], "anime")
    assert face is not None
    assert alone is not None
    assert face.x == pytest.approx(alone.x + 64, abs=20)
    assert face.y == pytest.approx(alone.y, abs=20)


def test_mtcnn_gives_what_the_package_gives(drawings: list[np.ndarray]) -> None:
    from facenet_pytorch import MTCNN

    package = MTCNN(device="cpu")
    compared = 0
    for image in drawings:
        boxes, likelihoods, landmarks = package.detect(image, landmarks=True)
        face = find_face(image, "mtcnn")
        assert (boxes is None) == (face is None)
        if face is not None:
            x0, y0, x1, y1 = np.clip(boxes[0].astype(float), 0, 256)
            assert (face.x, face.y, face.width, face.height) == pytest.approx((x0, y0, x1 - x0, y1 - y0))
            assert face.likelihood == pytest.approx(likelihoods[0])
            assert np.allclose(face.landmarks, landmarks[0].astype(float))
            compared += 1
    assert compared >= 2


def test_the_largest_face_is_taken_and_of_two_as_large_the_likeliest(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = FaceBox(0, 0, 10, 10, 0.99), FaceBox(5, 5, 20, 20, 0.6)
    likelier = FaceBox(30, 5, 20, 20, 0.7)
    found: list[FaceBox] = []
    monkeypatch.setattr(faces, "_finder", lambda align: lambda image: found)
    image = np.zeros((64, 64, 3), np.uint8)
    assert find_face(image, "anime") is None
    found += [small, large]
    assert find_face(image, "anime") is large
    found.insert(0, likelier)
    assert find_face(image, "anime") is likelier


def test_loading_mtcnn_moves_no_random_numbers(forgotten: None) -> None:
    import torch

    before = torch.get_rng_state()
    squares(fit="crop", size_px=64, align="mtcnn")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_detectors_name_and_version_go_into_the_fingerprint() -> None:
    assert detector("none") == ""
    assert detector("anime") == f"animeface {importlib.metadata.version('animeface')}, search 1"
    assert detector("mtcnn").startswith("facenet-pytorch 2.")


def test_the_weights_of_mtcnn_are_those_that_the_package_brings() -> None:
    assert detector_weights("none") == detector_weights("anime") == ()
    for wanted in detector_weights("mtcnn"):
        loaded = load(wanted, [], extractor="vggface2")
        assert loaded.sha256 == wanted.sha256
        assert loaded.path.stat().st_size == wanted.n_bytes


def test_a_missing_package_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    def nowhere(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", nowhere)
    with pytest.raises(MissingExtra, match=r"align: mtcnn needs the package facenet-pytorch.*make setup-all"):
        squares(fit="crop", size_px=64, align="mtcnn")


# --- squares


def test_a_square_is_around_the_face_wider_by_the_margin() -> None:
    image = np.arange(100 * 120 * 3, dtype=np.int64).astype(np.uint8).reshape(100, 120, 3)
    square = cut_square(image, FaceBox(50, 40, 10, 20, 1.0), margin=0.5)
    assert np.array_equal(square, image[35:65, 40:70])


def test_a_square_over_the_edge_is_shifted_into_the_picture() -> None:
    image = np.arange(100 * 120 * 3, dtype=np.int64).astype(np.uint8).reshape(100, 120, 3)
    square = cut_square(image, FaceBox(0, 80, 20, 20, 1.0), margin=1.0)
    assert np.array_equal(square, image[60:100, 0:40])


def test_a_square_larger_than_the_picture_is_padded_with_grey() -> None:
    image = np.full((60, 100, 3), 7, np.uint8)
    square = cut_square(image, FaceBox(30, 5, 50, 50, 1.0), margin=0.6)
    assert square.shape == (80, 80, 3)
    assert set(np.unique(square)) == {7, PAD_GREY}
    assert (square == 7).all(axis=2).sum() == 60 * 80, "all rows of the picture are in it"


@pytest.mark.parametrize("align", ["anime", "mtcnn"])
def test_a_picture_without_a_face_has_a_status_and_no_pixels(
    align: str, drawings: list[np.ndarray], faceless: list[np.ndarray]
) -> None:
    images = [faceless[0], *drawings, faceless[2]]
    batch = squares(fit="crop", size_px=48, align=align)(images)
    expected = [find_face(image, align) for image in images]
    assert batch.status.tolist() == [Status.NO_FACE if f is None else Status.OK for f in expected]
    assert batch.status.dtype == np.uint8
    around = [
        fit(cut_square(image, face, margin=MARGINS[align]), size_px=48, how="squash")[0]
        for image, face in zip(images, expected, strict=True)
        if face is not None
    ]
    assert len(around) >= 2
    assert np.array_equal(batch.pixels, around)


def test_without_align_the_whole_picture_is_fitted(drawings: list[np.ndarray]) -> None:
    images = [drawings[0], drawings[1][:100]]
    batch = squares(fit="pad", size_px=40)(images)
    assert np.array_equal(batch.pixels, [fit(image, size_px=40, how="pad")[0] for image in images])
    assert batch.status.tolist() == [Status.OK, Status.OK]
    assert squares(fit="pad", size_px=40)([]).pixels.shape == (0, 40, 40, 3)


@pytest.mark.parametrize("align", ["anime", "mtcnn"])
def test_neither_the_batch_nor_the_thread_matters(align: str, drawings: list[np.ndarray]) -> None:
    prepare = squares(fit="crop", size_px=48, align=align)
    images = [image.copy() for image in drawings]
    for image in images:
        image.setflags(write=False)
    whole = prepare(images)
    assert len(whole.pixels) >= 2
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(prepare, [images, images[::-1], *([image] for image in images)]))
    assert np.array_equal(again[0].pixels, whole.pixels)
    assert np.array_equal(again[1].pixels, whole.pixels[::-1])
    assert np.array_equal(np.concatenate([one.pixels for one in again[2:]]), whole.pixels)
    assert np.array_equal(np.concatenate([one.status for one in again[2:]]), whole.status)
