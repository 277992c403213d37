"""ArcFace's rows are insightface's own on the same crops, and only a network of faces is taken for one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from collection.demo.cast import draw_cast
from collection.demo.render import paint
from extractors.base import Context, Extractor, Loaded, Staged
from extractors.faces import FaceBox, find_face
from extractors.fitting import fit
from extractors.weights import Archive, load
from extractors.zoo import arcface as module
from featurestore.errors import WeightsDamaged
from featurestore.files import sha256_of
from featurestore.spec import Status

for _package in ("torch", "insightface", "onnx", "onnxruntime"):
    pytest.importorskip(_package)

NAME = module.W600K_R50.name


def write_network(
    path: Path, *, n_columns: int = 512, size_px: int = 112, batch: str | int = "n", outputs: int = 1
) -> Path:
    """A small ONNX file with ArcFace's signature: a convolution, the mean, a matrix."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    constants = {
        "kernel": rng.standard_normal((8, 3, 3, 3)),
        "matrix": rng.standard_normal((8, n_columns)),
        "offset": rng.standard_normal(n_columns),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["edges"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["edges"], ["kept"]),
        helper.make_node("GlobalAveragePool", ["kept"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        *(helper.make_node("Gemm", ["flat", "matrix", "offset"], [f"row{i}"]) for i in range(outputs)),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, size_px, size_px])],
        [
            helper.make_tensor_value_info(f"row{i}", TensorProto.FLOAT, [batch, n_columns])
            for i in range(outputs)
        ],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def build(file: Path, **params: object) -> Extractor:
    return module.build(context=Context({NAME: Loaded(file, sha256_of(file))}), **params)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("onnx") / "small.onnx")


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    sizes = ((112, 112), (200, 150), (90, 300))
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.fixture(scope="module")
def drawings() -> list[np.ndarray]:
    return [np.asarray(paint(character)) for character in draw_cast(42, 6)]


def upstream(file: Path, crops: Sequence[np.ndarray]) -> np.ndarray:
    """Insightface's rows, its session its own."""
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    return np.asarray(ArcFaceONNX(model_file=str(file)).get_feat([crop[..., ::-1].copy() for crop in crops]))


def test_rows_are_what_insightface_computes_on_the_same_crops(file: Path, images: list[np.ndarray]) -> None:
    expected = upstream(file, [fit(image, size_px=112, how="pad")[0] for image in images])
    rows = build(file, fit="pad", normalize=False)(images)
    assert rows.values == pytest.approx(expected, rel=1e-5)
    assert rows.status.tolist() == [Status.OK] * 3


def test_rows_have_length_one_unless_said_otherwise(file: Path, images: list[np.ndarray]) -> None:
    rows, raw = build(file)(images).values, build(file, normalize=False)(images).values
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, rel=1e-6)
    assert rows == pytest.approx(raw / np.linalg.norm(raw, axis=1, keepdims=True), rel=1e-6)
    assert abs(np.linalg.norm(raw, axis=1) - 1).min() > 0.1


def test_red_and_blue_are_not_mistaken_for_each_other(file: Path) -> None:
    red = np.zeros((112, 112, 3), np.uint8)
    red[..., 0] = 255
    rows = build(file, normalize=False)([red, red[..., ::-1]]).values
    assert rows == pytest.approx(upstream(file, [red, red[..., ::-1]]), rel=1e-5)
    assert not np.allclose(rows[0], rows[1], rtol=0.01)


def test_neither_the_batch_nor_the_thread_matters(file: Path, images: list[np.ndarray]) -> None:
    extractor = build(file)
    assert extractor.thread_safe
    assert isinstance(extractor, Staged)
    assert extractor.batch_size() >= 1
    whole = extractor(images).values
    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(extractor, [images] * 6):
            assert np.array_equal(rows.values, whole)
    assert np.array_equal(np.concatenate([extractor([image]).values for image in images]), whole)
    assert extractor([]).values.shape == (0, 512)


def test_a_file_that_takes_one_image_at_a_time_will_do(tmp_path: Path, images: list[np.ndarray]) -> None:
    single = write_network(tmp_path / "single.onnx", batch=1)
    several = write_network(tmp_path / "several.onnx")
    assert np.array_equal(build(single)(images).values, build(several)(images).values)


def test_there_are_as_many_columns_as_the_file_has(tmp_path: Path, images: list[np.ndarray]) -> None:
    extractor = build(write_network(tmp_path / "narrow.onnx", n_columns=20))
    assert extractor.spec.columns[-1] == "e019"
    assert extractor(images).values.shape == (3, 20)


def test_params_and_file_move_the_fingerprint(file: Path, tmp_path: Path) -> None:
    other = write_network(tmp_path / "other.onnx", batch=1)
    built = [build(file), build(other), build(file, normalize=False), build(file, fit="pad")]
    assert len({extractor.spec.fingerprint for extractor in built}) == 4
    assert build(file).spec.fingerprint == built[0].spec.fingerprint


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size_px": 96}, r"its input is tensor\(float\) \['n', 3, 96, 96\]"),
        ({"outputs": 2}, "its output is"),
    ],
)
def test_a_network_of_something_else_is_refused(tmp_path: Path, wrong: dict[str, int], said: str) -> None:
    file = write_network(tmp_path / "other.onnx", **wrong)
    with pytest.raises(WeightsDamaged, match=rf"other\.onnx: no ONNX network of faces \({said}"):
        build(file)


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "page.onnx"
    file.write_text("<html>404</html>")
    with pytest.raises(WeightsDamaged, match=r"page\.onnx: no ONNX network"):
        build(file)


def test_a_flipped_byte_is_refused(file: Path, tmp_path: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    flipped = tmp_path / NAME
    flipped.write_bytes(content)
    (wanted,) = module.weights(file=str(flipped), sha256=sha256_of(file))
    with pytest.raises(WeightsDamaged, match="is not the"):
        load(wanted, [], extractor="arcface")


def test_the_published_file_is_pinned_and_so_is_the_archive_around_it() -> None:
    wanted, *detectors = module.weights(align="mtcnn")
    assert wanted.sha256.startswith("4c06341c33c2ca1f")
    assert isinstance(wanted.archive, Archive)
    assert wanted.archive.sha256.startswith("80ffe37d8a5940d5")
    assert "non-commercial" in wanted.licence
    assert [one.name for one in detectors] == ["pnet.pt", "rnet.pt", "onet.pt"]


# --- alignment


# scikit-image gives up the call inside insightface's norm_crop
@pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")
def test_a_face_is_aligned_as_insightface_aligns_it(drawings: list[np.ndarray]) -> None:
    from insightface.utils.face_align import norm_crop

    rng = np.random.default_rng(0)
    image = np.asarray(Image.fromarray(drawings[0]).resize((300, 260)))
    eyes_nose_mouth = np.array([[100, 110], [160, 100], [135, 140], [115, 180], [165, 170]], np.float32)
    for _ in range(5):
        points = eyes_nose_mouth + rng.normal(0, 6, (5, 2)).astype(np.float32)
        face = FaceBox(80, 70, 110, 140, 0.9, tuple((float(x), float(y)) for x, y in points))
        ours, theirs = module.align_face(image, face), norm_crop(image, points)
        assert ours.shape == theirs.shape == (112, 112, 3)
        assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert ours.std() > 10


def test_with_mtcnn_the_landmarks_are_used(file: Path, drawings: list[np.ndarray]) -> None:
    pytest.importorskip("facenet_pytorch")
    found = [find_face(image, "mtcnn") for image in drawings]
    crops = [module.align_face(i, f) for i, f in zip(drawings, found, strict=True) if f is not None]
    rows = build(file, align="mtcnn", normalize=False)([*drawings, np.zeros((80, 80, 3), np.uint8)])
    assert rows.status.tolist() == [
        *(Status.NO_FACE if f is None else Status.OK for f in found),
        Status.NO_FACE,
    ]
    assert len(crops) >= 1
    assert rows.values[rows.status == Status.OK] == pytest.approx(upstream(file, crops), rel=1e-5)
    assert np.isnan(rows.values[rows.status != Status.OK]).all()


def test_with_anime_the_square_around_the_face_is_used(file: Path, drawings: list[np.ndarray]) -> None:
    pytest.importorskip("animeface")
    rows, whole = build(file, align="anime")(drawings), build(file)(drawings)
    fine = rows.status == Status.OK
    assert fine.any()
    assert not np.allclose(rows.values[fine], whole.values[fine])
