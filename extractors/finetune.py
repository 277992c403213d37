"""The one learner: a linear probe, then fine-tuning, for every extractor that learns.

Owns the two phases, early stopping on a grouped part of the rows it is given, the loss, and being
repeatable: the same rows, seed, device and number of threads give the same bits. Refuses to know which
network it trains, where squares come from and where weights go. The rows given are the train split;
val and test never come here.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from extractors.augment import Feed
from extractors.devices import n_threads
from extractors.network import Learner, exact
from extractors.phases import Classifier, Epoch, Phases, logits_of, passes_of
from featurestore.errors import MissingDevice, ParamsError, SplitError

if TYPE_CHECKING:
    import numpy.typing as npt

    from extractors.base import RGB
    from extractors.training import Training

__all__ = ["Epoch", "Learned", "finetune", "held_out", "seeded", "softmax", "state_of"]


@dataclass(frozen=True)
class Learned:
    """What `finetune` made.

    Attributes
    ----------
    module : torch.nn.Module
        Squares to logits; children ``backbone`` and ``head``; eval mode, on the CPU.
    history : tuple of Epoch
        Exactly one of them is best.
    """

    module: torch.nn.Module
    history: tuple[Epoch, ...]


def finetune(
    learner: Learner,
    load: Callable[[int], RGB],
    labels: npt.NDArray[np.intp],
    groups: npt.NDArray[np.str_],
    *,
    n_classes: int,
    seed: int,
    device: str,
    workers: int,
    progress: Callable[[Epoch], None],
    threads: int = 0,
    classes: Sequence[str] = (),
) -> Learned:
    """Train a copy of a learner's backbone and a classification layer behind it.

    Parameters
    ----------
    learner : Learner
        Left as it is.
    load : callable
        Row -> its square, uint8 (size, size, 3); called in several threads, and again.
    labels : ndarray of int, shape (n,)
        Codes 0 to n_classes - 1.
    groups : ndarray of str, shape (n,)
        Rows of a group are learned from or held out together.
    seed : int
        0 or more.
    device : {"cpu", "cuda", "mps"}
    workers : int
        Threads that load and change squares; moves no result.
    progress : callable
        Given each epoch as it ends; ``best`` then means best so far.
    threads : int
        Of torch on a CPU; 0 = one a core. Another number may move the last bits.
    classes : sequence of str
        Names of the codes, for an error.

    Raises
    ------
    ParamsError
        If there is nothing to learn, or more parts are to be unfrozen than there are.
    SplitError
        If a class cannot stand on both sides.
    MissingDevice
        If a pass does not fit into the device's memory.
    KyaraError
        If the loss is not finite.
    """
    training = _checked(learner)
    labels = labels.astype(np.intp)
    called = classes or [f"number {code + 1}" for code in range(n_classes)]
    held = held_out(labels, groups, called, share=training.holdout, seed=seed)
    with seeded(seed, device), exact(device), _threads(device, threads), Feed(load, workers=workers) as feed:
        module = Classifier(copy.deepcopy(learner.backbone), learner.n_columns, n_classes)
        module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        phases = Phases(learner, training, module, feed, labels, held, seed=seed, device=device)
        try:
            phases.run("probe", training.probe_epochs, training.probe_lr, progress)
            phases.run("tune", training.tune_epochs, training.tune_lr, progress)
        except torch.OutOfMemoryError:
            raise MissingDevice(
                f"{device} has no memory for a pass of {training.batch_size} images; halve"
                f" training.batch_size and double training.accumulate ({training.accumulate}), or set"
                " runtime.device: cpu"
            ) from None
        return Learned(phases.finish(), phases.history())


def held_out(
    labels: npt.NDArray[np.intp],
    groups: npt.NDArray[np.str_],
    classes: Sequence[str],
    *,
    share: float,
    seed: int,
) -> npt.NDArray[np.bool_]:
    """Which rows decide when to stop: whole groups, about ``share`` of every class.

    Large groups come first, each goes to the side that it brings nearest to its share of every class; a class
    that is then missing on a side gets its smallest group there, if no class loses its last one.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    SplitError
        If a class is missing on a side all the same.
    """
    names, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (group_of, labels), 1)
    total = counts.sum(axis=0)
    fractions = counts / np.maximum(total, 1)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    chosen = np.zeros(len(names), bool)
    filled, target = np.zeros((2, len(classes))), np.array([[1 - share], [share]])
    for group in order:
        nearer = np.square(filled + fractions[group] - target) - np.square(filled - target)
        nearest = int(nearer.sum(axis=1).argmin())
        filled[nearest] += fractions[group]
        chosen[group] = bool(nearest)
    for code, name in enumerate(classes):
        _balance(chosen, counts, code, order[::-1])
        for there, side in ((~chosen, "learn from"), (chosen, "hold out")):
            if not counts[there, code].any():
                n_groups = int((counts[:, code] > 0).sum())
                raise SplitError(
                    f"class {name} has {int(total[code])} images in {n_groups} groups in train, none left to"
                    f" {side}; a network that learns needs two groups or more of each class: add pictures, or"
                    " set data.group: none, or finetune: false"
                )
    return chosen[group_of]


def _balance(
    chosen: npt.NDArray[np.bool_], counts: npt.NDArray[np.float64], code: int, order: npt.NDArray[np.intp]
) -> None:
    """Move the first group in ``order`` to where a class is missing, if that takes no class's last one."""
    for missing in (False, True):
        if counts[chosen == missing, code].any():
            continue
        for group in order:
            rest = (chosen != missing) & (np.arange(len(chosen)) != group)
            of_group = counts[group] > 0
            if chosen[group] != missing and of_group[code] and counts[rest][:, of_group].any(axis=0).all():
                chosen[group] = missing
                break


def softmax(
    module: torch.nn.Module,
    learner: Learner,
    load: Callable[[int], RGB],
    n_rows: int,
    *,
    device: str,
    workers: int,
    batch_size: int = 16,
    threads: int = 0,
) -> npt.NDArray[np.float64]:
    """What a learned module says of squares as they are.

    Parameters
    ----------
    module : torch.nn.Module
        Of `Learned`, or any with its two children; back on the CPU afterwards.
    load : callable
        Row -> its square.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_classes)
        Each row sums to 1.
    """
    rows = np.arange(n_rows)
    with exact(device), _threads(device, threads), Feed(load, workers=workers, cache_bytes=0) as feed:
        module.eval().to(device)
        try:
            network = torch.nn.Sequential(module.backbone, module.head)  # type: ignore[arg-type]
            logits = logits_of(network, learner, feed, passes_of(rows, batch_size), device)
        finally:
            module.to("cpu")
    shown: npt.NDArray[np.float64] = torch.softmax(logits.double(), dim=1).numpy()
    return shown


def _checked(learner: Learner) -> Training:
    """The learner's training, if there is something to learn."""
    training = learner.training
    if training is None:
        raise ParamsError("a network with finetune: false learns nothing; set it to true")
    if not training.probe_epochs and not training.tune_epochs:
        raise ParamsError(
            "training.probe_epochs and training.tune_epochs are both 0: the classification layer would stay"
            " untrained; raise one of them, or set finetune: false"
        )
    if (training.unfreeze or 0) > len(learner.parts):
        raise ParamsError(
            f"training.unfreeze: {training.unfreeze} of {len(learner.parts)} parts; lower it, or leave it"
            " empty for all"
        )
    return training


def state_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What goes into ``model.safetensors``: contiguous copies on the CPU that share no memory."""
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in module.state_dict().items()
    }


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's generators of the CPU and the device, and take the same algorithms each time.

    All of it is put back afterwards.
    """
    before = torch.get_deterministic_debug_mode()
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    mps = torch.mps.get_rng_state() if device == "mps" else None
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if device == "cuda":
            torch.cuda.manual_seed(seed)
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        elif mps is not None:
            torch.mps.manual_seed(seed)
        # the same flag as use_deterministic_algorithms, which takes seconds to import a compiler first
        torch.set_deterministic_debug_mode("error")
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before)
            if device == "cuda" and workspace is None:
                os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
            if mps is not None:
                torch.mps.set_rng_state(mps)


@contextmanager
def _threads(device: str, threads: int) -> Iterator[None]:
    """Torch's threads inside an operation on a CPU; put back after."""
    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(n_threads(threads))
    try:
        yield
    finally:
        torch.set_num_threads(before)
