"""dlib: a network trained on 3 million photographs of faces, whose weights come with a package; frozen.

Owns the params, the file and the call of dlib's network. Being in the package registry, it is the trained
network that runs on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from extractors.base import Card, Context, Rows
from extractors.weights import WeightsFile
from featurestore.errors import WeightsDamaged
from featurestore.spec import FeatureSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from extractors.base import RGB, Extractor, Loaded, Prepared

__all__ = ["CARD", "SIZE_PX", "VERSION", "build", "weights"]

VERSION: Final = 1

N_COLUMNS: Final = 128

#: Side of the network's input.
SIZE_PX: Final = 150

#: The package is only looked into: importing it needs pkg_resources, which setuptools no longer has.
RESNET: Final = WeightsFile(
    name="dlib_face_recognition_resnet_model_v1.dat",
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    n_bytes=22_466_066,
    licence="CC0 (public domain, as its author states)",
    package="face_recognition_models/models",
)

CARD: Final = Card(
    summary="dlib's face network, 29 layers; its weights come with a package; frozen",
    n_columns=N_COLUMNS,
    extra="faces",
    modules=("dlib", "face_recognition_models"),
    licence="BSL-1.0; weights: CC0",
)

#: A larger batch gains nothing, and a kill would lose more.
_BATCH: Final = 8


def weights(
    *, file: str | None = None, sha256: str | None = None, align: str = "none", **params: Any
) -> tuple[WeightsFile, ...]:
    """The published files that these params ask for, those of the face detector included."""
    from extractors.faces import detector_weights

    return (RESNET.given(file, sha256), *detector_weights(align))


def build(
    *,
    context: Context = Context(),
    file: str | None = None,
    sha256: str | None = None,
    align: Literal["none", "anime", "mtcnn"] = "none",
    fit: Literal["crop", "pad", "squash"] = "crop",
) -> Extractor:
    """Build the extractor: descriptors of 128 numbers, as dlib gives them: not of one length.

    Parameters
    ----------
    file, sha256 : str or None
        Another file than the package's, and its digest.
    align : {"none", "anime", "mtcnn"}
        ``none`` takes the whole mugshot; the others look for a face and take that.
    fit : {"crop", "pad", "squash"}
        How a picture becomes a square, where ``align`` is none.

    Returns
    -------
    Extractor
        Computes in one thread, since dlib keeps the GIL; about 0.1 s an image.

    Raises
    ------
    WeightsDamaged
        If the file holds something else.
    """
    from extractors.faces import detector, squares

    spec = FeatureSpec(
        name="dlib",
        version=VERSION,
        params={"align": align, "detector": detector(align), "fit": fit},
        columns=tuple(f"e{i:03d}" for i in range(N_COLUMNS)),
        weights=context.sha256(),
    )
    prepare = squares(fit=fit, size_px=SIZE_PX, align=align)
    return _Descriptors(spec, _network(context.weights[RESNET.name]), prepare)


def _network(loaded: Loaded) -> Any:
    import dlib

    try:
        return dlib.face_recognition_model_v1(str(loaded.path))
    except RuntimeError as error:
        said = " ".join(str(error).split())[:200]
        raise WeightsDamaged(f"{loaded.path}: no weights of dlib's face network ({said})") from error


class _Descriptors:
    """dlib's network as an extractor; see `extractors.base.Staged`."""

    thread_safe = False

    def __init__(self, spec: FeatureSpec, network: Any, prepare: Callable[[Sequence[RGB]], Prepared]) -> None:
        self.spec = spec
        self.preprocess = prepare
        self._network = network

    def __call__(self, images: Sequence[RGB]) -> Rows:
        """Rows of images; see `extractors.base.Extractor`."""
        return self.finish(self.launch(self.preprocess(images)))

    def batch_size(self) -> int:
        """How many images at a time."""
        return _BATCH

    def launch(self, batch: Prepared) -> tuple[npt.NDArray[np.uint8], list[Any]]:
        """Compute, one image after the other."""
        return batch.status, [self._network.compute_face_descriptor(one) for one in batch.pixels]

    def finish(self, handle: tuple[npt.NDArray[np.uint8], list[Any]]) -> Rows:
        """The rows, NaN where there was nothing to compute."""
        status, descriptors = handle
        return Rows.spread(status, descriptors, N_COLUMNS)
