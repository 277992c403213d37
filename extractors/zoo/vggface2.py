"""VGGFace2: a network trained on 3.3 million photographs of faces; frozen, or fine-tuned on the train split.

Owns the params, the published file and how a picture becomes the network's input. The network is
facenet-pytorch's InceptionResnetV1, by its weights' name. (The original study names a VGG16 trained on
VGGFace2; such weights are not published by the library that it uses. Same photographs, another network.)
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from extractors.base import Card, Context
from extractors.training import Precision, Training
from extractors.weights import WeightsFile
from featurestore.schema import Between
from featurestore.spec import FeatureSpec

if TYPE_CHECKING:
    from extractors.base import Extractor
    from extractors.network import Learner

__all__ = ["CARD", "VERSION", "build", "learner", "weights"]

VERSION: Final = 1

N_COLUMNS: Final = 512

#: From the input to the embedding, as ``training.unfreeze`` counts them from the end.
PARTS: Final = (
    ("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a", "conv2d_4b"),
    ("repeat_1",),
    ("mixed_6a", "repeat_2"),
    ("mixed_7a", "repeat_3"),
    ("block8", "dropout", "last_linear", "last_bn"),
)

_RELEASE: Final = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"

PUBLISHED: Final = {
    "vggface2": WeightsFile(
        name="20180402-114759-vggface2.pt",
        sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
        n_bytes=111_898_327,
        licence="MIT (trained on VGGFace2: research)",
        url=f"{_RELEASE}20180402-114759-vggface2.pt",
    ),
    "casia-webface": WeightsFile(
        name="20180408-102900-casia-webface.pt",
        licence="MIT (trained on CASIA-WebFace: research)",
        url=f"{_RELEASE}20180408-102900-casia-webface.pt",
    ),
}

CARD: Final = Card(
    summary="InceptionResnetV1 trained on faces (VGGFace2); frozen, or fine-tuned",
    n_columns=N_COLUMNS,
    extra="faces",
    modules=("torch", "facenet_pytorch", "safetensors"),
    licence="MIT; data: research",
)


def weights(
    *, file: str | None = None, sha256: str | None = None, align: str = "none", **params: Any
) -> tuple[WeightsFile, ...]:
    """The published files that these params ask for, those of the face detector included."""
    from extractors.faces import detector_weights

    own = () if params["weights"] == "none" else (PUBLISHED[params["weights"]].given(file, sha256),)
    return (*own, *detector_weights(align))


def learner(*, context: Context, **params: Any) -> Learner:
    """The network whose weights are to be made; see `extractors.prepare.makes`."""
    from extractors.faces import squares
    from extractors.network import Learner

    return Learner(
        backbone=_network(context, params["weights"], made=False, unit_length=False),
        n_columns=N_COLUMNS,
        parts=PARTS,
        prepare=squares(fit=params["fit"], size_px=params["size_px"], align=params["align"]),
        normalize=_normalize(),
        training=params["training"] if params["finetune"] else None,
        design_labels=params["design_labels"],
        may_miss=params["align"] != "none",
    )


def build(
    *,
    context: Context = Context(),
    weights: Literal["vggface2", "casia-webface", "none"] = "vggface2",
    file: str | None = None,
    sha256: str | None = None,
    align: Literal["none", "anime", "mtcnn"] = "none",
    fit: Literal["crop", "pad", "squash"] = "crop",
    size_px: Annotated[int, Between(80, 1024)] = 160,
    precision: Precision = "fp32",
    finetune: bool = False,
    design_labels: bool = False,
    training: Training = Training(),
) -> Extractor:
    """Build the extractor: embeddings of 512 numbers and length 1.

    Parameters
    ----------
    weights : {"vggface2", "casia-webface", "none"}
        The photographs that it was trained on; ``none`` = random numbers, a control.
    file, sha256 : str or None
        Another file than facenet-pytorch's, and its digest.
    align : {"none", "anime", "mtcnn"}
        ``none`` takes the whole mugshot; the others look for a face and take that.
    fit : {"crop", "pad", "squash"}
        How a picture becomes a square, where ``align`` is none.
    size_px : int
        Side of the input; it was trained on 160.
    precision : {"fp32", "bf16", "fp16"}
        Of the extraction; training is fp32.
    finetune : bool
        Whether ``prepare`` trains it on the train split.
    design_labels : bool
        Train against the labels that the design conventions give.
    training : Training
    """
    from extractors.faces import detector, squares
    from extractors.network import Network

    spec = FeatureSpec(
        name="vggface2",
        version=VERSION,
        params={
            "weights": weights,
            "align": align,
            "detector": detector(align),
            "fit": fit,
            "size_px": size_px,
            "precision": precision,
            "finetune": finetune,
            "design_labels": design_labels,
            "training": dataclasses.asdict(training),
        },
        columns=tuple(f"e{i:03d}" for i in range(N_COLUMNS)),
        weights=context.sha256(),
        fitted_on=context.fitted_on,
    )
    return Network(
        spec,
        _network(context, weights, made=finetune or weights == "none", unit_length=True),
        squares(fit=fit, size_px=size_px, align=align),
        normalize=_normalize(),
        device=context.device,
        precision=precision,
        channels_last=True,
        input_px=size_px,
    )


def _network(context: Context, published: str, *, made: bool, unit_length: bool) -> Any:
    """facenet-pytorch's network; random where no weights are given."""
    import torch
    from facenet_pytorch import InceptionResnetV1

    from extractors.network import load_state

    # classify=True leaves out the division by the embedding's length; the layer behind it does nothing here
    random = published == "none" and not made
    with torch.device("cpu" if random else "meta"):
        network = InceptionResnetV1(pretrained=None, classify=not unit_length, num_classes=1)
    network.logits = torch.nn.Identity()
    if made:
        load_state(network, context.made(), strip="backbone.")
    elif not random:
        load_state(network, context.weights[PUBLISHED[published].name], drop=("logits.",))
    return network


def _normalize() -> Any:
    from extractors.network import Normalize

    return Normalize(1.0, (127.5, 127.5, 127.5), (128.0, 128.0, 128.0))
