"""A torch network as an extractor: preprocess in any thread, compute on the device.

Owns precision, memory layout, copies, the batch size and what happens when memory runs out. Refuses
to know which network it is and how a picture becomes its input: it is given both.

On a CPU several threads call the network at the same time, each with a batch of its own, one thread
inside each: that wastes nothing on splitting small layers, and decoding overlaps by itself. On a GPU
one thread launches, and copies in and out run beside the computing.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from extractors.base import Loaded, Prepared, Rows
from featurestore.errors import MissingDevice, WeightsDamaged
from featurestore.spec import FeatureSpec, Status

if TYPE_CHECKING:
    import numpy.typing as npt

    from extractors.base import RGB
    from extractors.training import Precision, Training

__all__ = ["Learner", "Network", "Normalize", "autocast", "exact", "load_state", "to_input"]

log = logging.getLogger(__name__)

_TYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}

#: Images a call on a CPU: beside 8 a tenth faster in some networks and slower in none, more gains nothing
#: (benchmarks/extract.py), and a kill would lose more. Always the same: the last bits of a row depend on it.
_CPU_BATCH: Final = 16
_GPU_BATCHES: Final = (16, 32, 64, 128, 256)
#: A larger batch must be this much faster to be worth its memory.
_WORTH: Final = 1.05


@dataclass(frozen=True)
class Normalize:
    """From levels 0 to 255 to what a network was trained on: ``(level / unit - mean) / std``.

    Attributes
    ----------
    unit : float
        255 for networks that know levels from 0 to 1.
    mean, std : tuple of float
        One value a channel.
    """

    unit: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def to_input(pixels: torch.Tensor, normalize: Normalize) -> torch.Tensor:
    """Float32 (n, 3, height, width), channels last in memory, from uint8 (n, height, width, 3)."""
    x = pixels.permute(0, 3, 1, 2).to(torch.float32)
    mean, std = _constants(normalize, str(x.device))
    if normalize.unit != 1:
        x = x.div_(normalize.unit)
    return x.sub_(mean).div_(std)


@functools.lru_cache(maxsize=16)
def _constants(normalize: Normalize, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and std on the device, copied there once: every copy makes a GPU wait."""
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=device).view(1, 3, 1, 1)
        for values in (normalize.mean, normalize.std)
    )
    return mean, std


def autocast(device: str, precision: Precision) -> AbstractContextManager[Any]:
    """Torch's autocast to 16 bits, or nothing for ``fp32``."""
    return nullcontext() if precision == "fp32" else torch.autocast(device, dtype=_TYPES[precision])


def exact(device: str) -> AbstractContextManager[Any]:
    """On a GPU: the same algorithm each time, and no TF32 where fp32 was asked for."""
    if device != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


@dataclass(frozen=True)
class Learner:
    """A network whose weights `prepare` makes; see `extractors.finetune`.

    Attributes
    ----------
    backbone : torch.nn.Module
        From float32 (n, 3, size, size) to the embedding (n, n_columns), not normalised to unit length.
    n_columns : int
    parts : tuple of tuple of str
        The backbone's children from the input to the embedding, grouped into the steps in which they are
        unfrozen.
    prepare : callable
        Images (RGB uint8, any size) to `Prepared`.
    normalize : Normalize
    training : Training or None
        None = nothing is learned: the weights stay random, as params say.
    design_labels : bool
        Learn what the design conventions say instead of the labels.
    may_miss : bool
        Whether ``prepare`` may find nothing in a picture (no face).
    """

    backbone: torch.nn.Module
    n_columns: int
    parts: tuple[tuple[str, ...], ...]
    prepare: Callable[[Sequence[RGB]], Prepared]
    normalize: Normalize
    training: Training | None
    design_labels: bool = False
    may_miss: bool = False


def load_state(module: torch.nn.Module, loaded: Loaded, *, drop: Sequence[str] = (), strip: str = "") -> None:
    """Load a state dict (safetensors, or torch's own format without code) into a module, every key of it.

    Parameters
    ----------
    module : torch.nn.Module
        On the meta device, it takes the file's numbers as its own, without any of its own being made first.
    drop : sequence of str
        Prefixes of keys that are left out: a classification layer that is not used.
    strip : str
        Prefix that the keys in the file have and the module's have not; keys without it are left out.

    Raises
    ------
    WeightsDamaged
        If the file is no state dict, or not of this module.
    """
    try:
        if loaded.path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(loaded.path)
        else:
            state = torch.load(loaded.path, map_location="cpu", weights_only=True)
        state = {k.removeprefix(strip): v for k, v in state.items() if k.startswith(strip)}
        state = {k: v for k, v in state.items() if not k.startswith(tuple(drop))}
        module.load_state_dict(state, assign=next(module.parameters()).is_meta)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise WeightsDamaged(f"{loaded.path}: no weights of this network ({said})") from error


class Network:
    """An extractor around a torch module; see `extractors.base.Staged`.

    Parameters
    ----------
    spec : FeatureSpec
    module : torch.nn.Module
        From float32 (n, 3, height, width) to (n, d). Moved to the device and put into eval mode.
    prepare : callable
        Images (RGB uint8, any size) to `Prepared`; called in several threads.
    normalize : Normalize
    device : {"cpu", "cuda", "mps"}
    precision : {"fp32", "bf16", "fp16"}
        Of the computing; the rows are float32.
    channels_last : bool
        Memory layout of the module; pays for convolutions.
    input_px : int
        Side of the square that ``prepare`` makes, for trying batch sizes.

    Raises
    ------
    MissingDevice
        In `launch`, if the device has no memory for a single image.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        module: torch.nn.Module,
        prepare: Callable[[Sequence[RGB]], Prepared],
        *,
        normalize: Normalize,
        device: str,
        precision: Precision,
        channels_last: bool,
        input_px: int,
    ) -> None:
        self.spec = spec
        self.thread_safe = device == "cpu"
        self.preprocess = prepare
        self._normalize = normalize
        self._device = self.device = device
        self._precision: Precision = precision
        self._input_px = input_px
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self._module = module.eval().requires_grad_(False).to(device, memory_format=layout)  # type: ignore[call-overload]
        #: Most images that go to the device at once; halved when its memory does not hold them.
        self.largest: int | None = None

    def __call__(self, images: Sequence[RGB]) -> Rows:
        """Rows of images; see `extractors.base.Extractor`."""
        return self.finish(self.launch(self.preprocess(images)))

    def launch(self, batch: Prepared) -> tuple[npt.NDArray[np.uint8], torch.Tensor, Any]:
        """Begin to compute; on a GPU this returns before it is done."""
        n = len(batch.pixels)
        parts: list[torch.Tensor] = []
        done = 0
        while done < n:
            size = min(self.largest or n, n - done)
            try:
                parts.append(self._embed(batch.pixels[done : done + size]))
                done += size
            except torch.OutOfMemoryError:
                self._halve(size)
        values = torch.cat(parts) if parts else torch.empty((0, len(self.spec.columns)))
        if self._device != "cuda":
            return batch.status, values.cpu(), None
        out = torch.empty(values.shape, dtype=torch.float32, pin_memory=True)
        out.copy_(values, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return batch.status, out, event

    def finish(self, handle: tuple[npt.NDArray[np.uint8], torch.Tensor, Any]) -> Rows:
        """Wait for what was launched, and put NaN where there was nothing to compute."""
        status, out, event = handle
        if event is not None:
            event.synchronize()
        return Rows.spread(status, out.numpy(), len(self.spec.columns))

    def batch_size(self) -> int:
        """How many images at a time: 16 on a CPU, else the smallest of 16 to 256 that is as fast as any."""
        if self._device == "cpu":
            return _CPU_BATCH
        best, best_speed = _GPU_BATCHES[0], 0.0
        blank = np.zeros((_GPU_BATCHES[-1], self._input_px, self._input_px, 3), np.uint8)
        for size in _GPU_BATCHES:
            try:
                speed = self._speed(blank[:size])
            except torch.OutOfMemoryError:
                self._halve(size)
                break
            if speed > best_speed * _WORTH:
                best, best_speed = size, speed
        return best

    def _speed(self, pixels: npt.NDArray[np.uint8]) -> float:
        """Images a second, the first call not counted."""
        status = np.full(len(pixels), Status.OK, np.uint8)
        self._embed(pixels)
        start = time.perf_counter()
        for _ in range(3):
            self.finish(self.launch(Prepared(pixels, status)))
        return 3 * len(pixels) / (time.perf_counter() - start)

    def _embed(self, pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
        x = torch.from_numpy(pixels)
        if self._device == "cuda":
            x = x.pin_memory().to(self._device, non_blocking=True)
        elif self._device != "cpu":
            x = x.to(self._device)
        with torch.inference_mode(), exact(self._device), autocast(self._device, self._precision):
            values: torch.Tensor = self._module(to_input(x, self._normalize))
        return values.to(torch.float32)

    def _halve(self, size: int) -> None:
        """Remember that ``size`` images are too many."""
        if self._device == "cuda":
            torch.cuda.empty_cache()
        if size <= 1:
            raise MissingDevice(
                f"{self.spec.name}: {self._device} has no memory for a single image; free some, or set"
                " runtime.device: cpu"
            )
        self.largest = size // 2
        log.warning(
            "%s: %s is out of memory at %d images; %d from now on",
            self.spec.name,
            self._device,
            size,
            self.largest,
        )
