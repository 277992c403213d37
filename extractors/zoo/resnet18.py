"""ResNet18: the study's learner, fine-tuned on the train split; frozen or untrained as controls.

Owns the params, the published file and how a picture becomes the network's input. Training is
`extractors.finetune`; the network is torchvision's.
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
PARTS: Final = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))

IMAGENET: Final = WeightsFile(
    name="resnet18-f37072fd.pth",
    sha256="f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    n_bytes=46_830_571,
    licence="BSD-3-Clause",
    url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
)

CARD: Final = Card(
    summary="ResNet18, fine-tuned in two phases on the train split; or frozen",
    n_columns=N_COLUMNS,
    extra="resnet",
    modules=("torch", "torchvision", "safetensors"),
    licence="BSD-3-Clause",
)


def weights(*, file: str | None = None, sha256: str | None = None, **params: Any) -> tuple[WeightsFile, ...]:
    """The published files that these params ask for."""
    return () if params["weights"] == "none" else (IMAGENET.given(file, sha256),)


def learner(*, context: Context, **params: Any) -> Learner:
    """The network whose weights are to be made; see `extractors.prepare.makes`."""
    from extractors.faces import squares
    from extractors.network import Learner

    return Learner(
        backbone=_network(context, params["weights"], made=False),
        n_columns=N_COLUMNS,
        parts=PARTS,
        prepare=squares(fit=params["fit"], size_px=params["size_px"]),
        normalize=_normalize(),
        training=params["training"] if params["finetune"] else None,
        design_labels=params["design_labels"],
    )


def build(
    *,
    context: Context = Context(),
    weights: Literal["imagenet", "none"] = "imagenet",
    file: str | None = None,
    sha256: str | None = None,
    finetune: bool = True,
    design_labels: bool = False,
    size_px: Annotated[int, Between(32, 1024)] = 224,
    fit: Literal["crop", "pad", "squash"] = "crop",
    precision: Precision = "fp32",
    training: Training = Training(),
) -> Extractor:
    """Build the extractor: the 512 numbers before torchvision's classification layer.

    The whole mugshot is resized to ``size_px``; torchvision's own preset would cut a border of 1/16 off
    each side first, which is meant for photographs with a margin.

    Parameters
    ----------
    weights : {"imagenet", "none"}
        What it starts from; ``none`` = random numbers, a control.
    file, sha256 : str or None
        Another file than torchvision's, and its digest.
    finetune : bool
        Whether ``prepare`` trains it on the train split; else it stays as it is, the other control.
    design_labels : bool
        Train against the labels that the design conventions give, the study's first recipe.
    size_px : int
        Side of the input.
    fit : {"crop", "pad", "squash"}
        How a picture becomes a square.
    precision : {"fp32", "bf16", "fp16"}
        Of the extraction; training is fp32.
    training : Training
    """
    from extractors.faces import squares
    from extractors.network import Network

    spec = FeatureSpec(
        name="resnet18",
        version=VERSION,
        params={
            "weights": weights,
            "finetune": finetune,
            "design_labels": design_labels,
            "size_px": size_px,
            "fit": fit,
            "precision": precision,
            "training": dataclasses.asdict(training),
        },
        columns=tuple(f"e{i:03d}" for i in range(N_COLUMNS)),
        weights=context.sha256(),
        fitted_on=context.fitted_on,
    )
    return Network(
        spec,
        _network(context, weights, made=finetune or weights == "none"),
        squares(fit=fit, size_px=size_px),
        normalize=_normalize(),
        device=context.device,
        precision=precision,
        channels_last=True,
        input_px=size_px,
    )


def _network(context: Context, published: str, *, made: bool) -> Any:
    """The network without its classification layer; random where no weights are given."""
    import torch
    import torchvision

    from extractors.network import load_state

    random = published == "none" and not made
    with torch.device("cpu" if random else "meta"):
        network = torchvision.models.resnet18(weights=None)
    network.fc = torch.nn.Identity()
    if made:
        load_state(network, context.made(), strip="backbone.")
    elif not random:
        load_state(network, context.weights[IMAGENET.name], drop=("fc.",))
    return network


def _normalize() -> Any:
    from extractors.network import Normalize

    return Normalize(255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
