"""How a network learns, as params. Imports no torch; the work is done by `extractors.finetune`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from featurestore.schema import Above, AtLeast, Between

__all__ = ["Precision", "Training"]

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Training:
    """``extractors.<name>.training:`` two phases, then the best epoch of both is kept.

    Attributes
    ----------
    probe_epochs, probe_lr : int, float
        Phase 1, linear probe: the backbone stands still, Adam trains the classification layer.
    tune_epochs, tune_lr, momentum : int, float, float
        Phase 2, fine-tuning: SGD with momentum trains the last ``unfreeze`` parts too.
    unfreeze : int or None
        How many parts of the backbone, counted from the embedding; None = all.
    weight_decay : float
        L2 penalty in phase 2.
    batch_size, accumulate : int
        Images a pass, and passes a step: a step sees batch_size x accumulate images.
    flip : bool
        Mirror every second picture.
    rotation_deg : float
        Turn by up to this much to either side.
    jitter : float
        Change brightness, contrast and saturation by up to this share.
    holdout : float
        Share of the *train* split, in whole groups, that decides when to stop.
    monitor : {"accuracy", "loss"}
        What it is watched by: balanced accuracy, ties broken by loss; or loss.
    patience : int
        Epochs without a better one after which a phase ends.
    """

    probe_epochs: Annotated[int, AtLeast(0)] = 15
    probe_lr: Annotated[float, Above(0)] = 1e-3
    tune_epochs: Annotated[int, AtLeast(0)] = 15
    tune_lr: Annotated[float, Above(0)] = 1e-3
    momentum: Annotated[float, Between(0, 1)] = 0.9
    unfreeze: Annotated[int, AtLeast(1)] | None = 1
    weight_decay: Annotated[float, AtLeast(0)] = 1e-4
    batch_size: Annotated[int, AtLeast(2)] = 16
    accumulate: Annotated[int, AtLeast(1)] = 1
    flip: bool = True
    rotation_deg: Annotated[float, Between(0, 180)] = 15.0
    jitter: Annotated[float, Between(0, 1)] = 0.2
    holdout: Annotated[float, Between(0, 1, "both")] = 0.2
    monitor: Literal["accuracy", "loss"] = "accuracy"
    patience: Annotated[int, AtLeast(1)] = 5
