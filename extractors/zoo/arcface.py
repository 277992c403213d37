"""ArcFace: a network trained on faces by insightface, from an ONNX file; frozen.

Owns the params, the published file, the alignment that ArcFace was trained with and the call of onnxruntime.
The network's own preprocessing is insightface's `ArcFaceONNX`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from extractors.base import Card, Context, Rows
from extractors.weights import Archive, WeightsFile
from featurestore.errors import WeightsDamaged
from featurestore.spec import FeatureSpec

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from extractors.base import RGB, Extractor, Loaded, Prepared
    from extractors.faces import FaceBox
    from extractors.fitting import Fit

__all__ = ["CARD", "SIZE_PX", "VERSION", "build", "weights"]

log = logging.getLogger(__name__)

VERSION: Final = 1

#: Side of the network's input.
SIZE_PX: Final = 112

W600K_R50: Final = WeightsFile(
    name="w600k_r50.onnx",
    sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    n_bytes=174_383_860,
    licence="non-commercial research",
    url="https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip",
    archive=Archive(
        sha256="80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
        n_bytes=288_621_354,
        member="w600k_r50.onnx",
    ),
)

CARD: Final = Card(
    summary="ArcFace ResNet50 trained on faces (WebFace600K), from insightface; frozen",
    n_columns=512,
    extra="faces",
    modules=("torch", "insightface", "onnx", "onnxruntime"),
    licence="MIT; weights: non-commercial research",
)

_CPU_BATCH: Final = 8
_GPU_BATCH: Final = 64


def weights(
    *, file: str | None = None, sha256: str | None = None, align: str = "none", **params: Any
) -> tuple[WeightsFile, ...]:
    """The published files that these params ask for, those of the face detector included."""
    from extractors.faces import detector_weights

    return (W600K_R50.given(file, sha256), *detector_weights(align))


def build(
    *,
    context: Context = Context(),
    file: str | None = None,
    sha256: str | None = None,
    align: Literal["none", "anime", "mtcnn"] = "none",
    fit: Literal["crop", "pad", "squash"] = "crop",
    normalize: bool = True,
) -> Extractor:
    """Build the extractor: embeddings as wide as the file's network makes them; 512 for the published one.

    Parameters
    ----------
    file, sha256 : str or None
        Another ONNX file than insightface's, and its digest.
    align : {"none", "anime", "mtcnn"}
        ``none`` takes the whole mugshot; ``anime`` the square around the face; ``mtcnn`` turns and scales the
        picture so that eyes, nose and mouth lie where ArcFace's training had them.
    fit : {"crop", "pad", "squash"}
        How a picture becomes a square, where ``align`` is none.
    normalize : bool
        Divide each embedding by its length.

    Returns
    -------
    Extractor
        On a CPU safe to call from several threads at once.

    Raises
    ------
    WeightsDamaged
        If the file is no ONNX network from (n, 3, 112, 112) to (n, d).
    """
    from extractors.faces import detector

    network = _network(context.weights[W600K_R50.name], context.device)
    spec = FeatureSpec(
        name="arcface",
        version=VERSION,
        params={"align": align, "detector": detector(align), "fit": fit, "normalize": normalize},
        columns=tuple(f"e{i:03d}" for i in range(network.output_shape[1])),
        weights=context.sha256(),
    )
    return _Embeddings(spec, network, _prepare(fit, align), unit_length=normalize)


def _prepare(fit: Fit, align: Literal["none", "anime", "mtcnn"]) -> Callable[[Sequence[RGB]], Prepared]:
    """From images to squares; with landmarks by them."""
    from extractors.faces import find_face, prepared, squares

    prepare = squares(fit=fit, size_px=SIZE_PX, align=align)
    if align != "mtcnn":
        return prepare

    def aligned(image: RGB) -> RGB | None:
        face = find_face(image, "mtcnn")
        return None if face is None else align_face(image, face)

    return functools.partial(prepared, square_of=aligned, size_px=SIZE_PX)


def align_face(image: RGB, face: FaceBox) -> RGB:
    """Turn, scale and shift a picture so that a face's landmarks lie nearest to ArcFace's template.

    The pixels are those of insightface's ``norm_crop``, whose own least squares call what scikit-image
    gives up.

    Returns
    -------
    ndarray of uint8, shape (112, 112, 3)
        Black where the picture ends.
    """
    import cv2
    import numpy as np

    # points as complex numbers: to turn and scale is to multiply
    points = np.array([complex(x, y) for x, y in face.landmarks])
    wanted = _template() @ np.array([1, 1j])
    centred = points - points.mean()
    turn = np.vdot(centred, wanted - wanted.mean()) / np.vdot(centred, centred)
    shift = wanted.mean() - turn * points.mean()
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return np.asarray(cv2.warpAffine(image, matrix, (SIZE_PX, SIZE_PX), borderValue=0.0), np.uint8)


def _template() -> npt.NDArray[np.float32]:
    """Where eyes, nose and mouth's corners lie in ArcFace's input; (5, 2)."""
    from insightface.utils.face_align import arcface_dst

    points: npt.NDArray[np.float32] = arcface_dst
    return points


def _network(loaded: Loaded, device: str) -> Any:
    """Insightface's network around a session of our own, its input and output checked."""
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    try:
        session = _session(loaded.path, device)
        _check_shapes(session)
        network = ArcFaceONNX(model_file=str(loaded.path), session=session)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise WeightsDamaged(f"{loaded.path}: no ONNX network of faces ({said})") from error
    return network


def _check_shapes(session: Any) -> None:
    """From (n, 3, 112, 112) to (n, d), d known."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or inputs[0].shape[1:] != [3, SIZE_PX, SIZE_PX]:
        found = ", ".join(f"{one.type} {one.shape}" for one in inputs)
        raise ValueError(f"its input is {found}, not float (n, 3, {SIZE_PX}, {SIZE_PX})")
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or not isinstance(outputs[0].shape[1], int):
        found = ", ".join(f"{one.type} {one.shape}" for one in outputs)
        raise ValueError(f"its output is {found}, not float (n, d)")


def _session(path: Path, device: str) -> Any:
    """An onnxruntime session: one thread a call on a CPU, so that several calls share the cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors; they come as exceptions too
    providers: list[Any] = ["CPUExecutionProvider"]
    if device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        exact = {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}
        providers.insert(0, ("CUDAExecutionProvider", exact))
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    if device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        log.warning("arcface: onnxruntime %s sees no CUDA; computing on the CPU", onnxruntime.__version__)
    return session


class _Embeddings:
    """Insightface's network as an extractor; see `extractors.base.Staged`."""

    def __init__(
        self,
        spec: FeatureSpec,
        network: Any,
        prepare: Callable[[Sequence[RGB]], Prepared],
        *,
        unit_length: bool,
    ) -> None:
        self.spec = spec
        self.preprocess = prepare
        self.thread_safe = network.session.get_providers()[0] == "CPUExecutionProvider"
        self.device = "cpu" if self.thread_safe else "cuda"
        # On a CPU batches gain little, and alone an image's row does not depend on its neighbours. Some
        # published files take one image only.
        alone = self.thread_safe or isinstance(network.input_shape[0], int)
        self._at_once = 1 if alone else _GPU_BATCH
        self._network = network
        self._unit_length = unit_length

    def __call__(self, images: Sequence[RGB]) -> Rows:
        """Rows of images; see `extractors.base.Extractor`."""
        return self.finish(self.launch(self.preprocess(images)))

    def batch_size(self) -> int:
        """How many images at a time."""
        return _CPU_BATCH if self.thread_safe else _GPU_BATCH

    def launch(self, batch: Prepared) -> tuple[npt.NDArray[np.uint8], list[Any]]:
        """Compute; onnxruntime returns when it is done."""
        crops = [square[..., ::-1] for square in batch.pixels]  # to BGR, as OpenCV has it
        parts = range(0, len(crops), self._at_once)
        return batch.status, [self._network.get_feat(crops[i : i + self._at_once]) for i in parts]

    def finish(self, handle: tuple[npt.NDArray[np.uint8], list[Any]]) -> Rows:
        """The rows, NaN where there was nothing to compute."""
        import numpy as np

        status, parts = handle
        n_columns = len(self.spec.columns)
        embeddings = np.concatenate([np.empty((0, n_columns), np.float32), *parts])
        if self._unit_length:
            lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
            embeddings = embeddings / np.maximum(lengths, np.finfo(np.float32).tiny)
        return Rows.spread(status, embeddings, n_columns)
