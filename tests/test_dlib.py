"""dlib's rows are dlib's own, and its trained network knows a drawing again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from collection.demo.cast import draw_cast
from collection.demo.render import paint
from extractors.base import Context, Extractor, Loaded, Staged
from extractors.fitting import fit
from extractors.weights import load
from extractors.zoo import dlib as module
from featurestore.errors import WeightsDamaged
from featurestore.spec import Status

library = pytest.importorskip("dlib")


@pytest.fixture(scope="module")
def weights() -> Loaded:
    (wanted,) = module.weights(align="none", fit="crop")
    return load(wanted, [], extractor="dlib")


@pytest.fixture(scope="module")
def extractor(weights: Loaded) -> Extractor:
    return module.build(context=Context({module.RESNET.name: weights}))


@pytest.fixture(scope="module")
def drawings() -> list[np.ndarray]:
    return [np.asarray(paint(character)) for character in draw_cast(42, 4)]


#: Of `made_picture`, computed on x86-64 with dlib 20.0.1.
GOLDEN_COLUMNS = slice(0, 128, 16)
GOLDEN = [-0.073683, -0.129108, -0.092204, 0.05941, 0.232285, -0.046945, -0.024759, 0.223295]
GOLDEN_NORM = 1.353296


def made_picture() -> np.ndarray:
    """Two dark discs and a bar on a ramp; whole numbers only."""
    y, x = np.mgrid[0:150, 0:150]
    picture = np.dstack([255 - y, 200 - x, 60 + x // 2 + y // 2]).astype(np.uint8)
    for middle in (50, 100):
        picture[(x - middle) ** 2 + (y - 60) ** 2 < 144] = (30, 20, 60)
    picture[105:113, 55:95] = (180, 40, 50)
    return picture


def test_its_weights_are_those_that_the_package_brings(weights: Loaded) -> None:
    assert weights.sha256 == module.RESNET.sha256
    assert weights.path.stat().st_size == module.RESNET.n_bytes


def test_rows_are_what_dlib_computes_on_the_same_pixels(extractor: Extractor, weights: Loaded) -> None:
    rng = np.random.default_rng(0)
    images = [made_picture(), rng.integers(0, 256, (90, 200, 3), dtype=np.uint8)]
    network = library.face_recognition_model_v1(str(weights.path))
    chips = [fit(image, size_px=150, how="crop")[0] for image in images]
    expected = np.array([network.compute_face_descriptor(chip) for chip in chips], np.float32)
    assert np.array_equal(extractor(images).values, expected)


def test_the_rows_of_a_made_picture_are_known(extractor: Extractor) -> None:
    (row,) = extractor([made_picture()]).values
    assert row[GOLDEN_COLUMNS] == pytest.approx(GOLDEN, abs=1e-4)
    assert np.linalg.norm(row) == pytest.approx(GOLDEN_NORM, abs=1e-4)


def test_two_crops_of_a_drawing_are_nearer_than_two_drawings(
    extractor: Extractor, drawings: list[np.ndarray]
) -> None:
    one = extractor([image[:-4, :-4] for image in drawings]).values
    other = extractor([image[4:, 4:] for image in drawings]).values
    distances = np.linalg.norm(one[:, None] - other[None], axis=2)
    same = np.eye(len(drawings), dtype=bool)
    assert distances[same].max() < distances[~same].min()


def test_it_is_launched_from_one_thread(extractor: Extractor, drawings: list[np.ndarray]) -> None:
    assert isinstance(extractor, Staged)
    assert not extractor.thread_safe
    assert extractor.batch_size() >= 1
    images = drawings[:1]
    staged = extractor.finish(extractor.launch(extractor.preprocess(images)))
    assert np.array_equal(staged.values, extractor(images).values)


def test_a_picture_without_a_face_has_no_numbers(weights: Loaded, drawings: list[np.ndarray]) -> None:
    pytest.importorskip("animeface")
    context = Context({module.RESNET.name: weights})
    aligned = module.build(context=context, align="anime")
    blank = np.zeros((64, 64, 3), np.uint8)
    rows = aligned([blank, drawings[0]])
    assert rows.status.tolist() == [Status.NO_FACE, Status.OK]
    assert np.isnan(rows.values[0]).all()
    assert np.isfinite(rows.values[1]).all()
    assert np.isnan(aligned([blank]).values).all()
    assert aligned.spec.fingerprint != module.build(context=context).spec.fingerprint


def test_the_face_detectors_weights_are_asked_for_too() -> None:
    assert [w.name for w in module.weights(align="mtcnn")] == [
        module.RESNET.name,
        "pnet.pt",
        "rnet.pt",
        "onet.pt",
    ]


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.dat"
    file.write_bytes(b"no network")
    with pytest.raises(WeightsDamaged, match=r"other\.dat: no weights of dlib's face network"):
        module.build(context=Context({module.RESNET.name: Loaded(file, "0" * 64)}))


def test_a_flipped_byte_is_refused(weights: Loaded, tmp_path: Path) -> None:
    content = bytearray(weights.path.read_bytes())
    content[1_000_000] ^= 1
    file = tmp_path / "flipped.dat"
    file.write_bytes(content)
    (wanted,) = module.weights(file=str(file), sha256=module.RESNET.sha256)
    with pytest.raises(WeightsDamaged, match="is not the 55533b28a95800a5"):
        load(wanted, [], extractor="dlib")
