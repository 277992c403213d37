"""Epoch after epoch: how a classifier's weights move in the two phases of learning.

Owns which parts learn, the weighted loss, the steps, and when a phase ends. Refuses to know how rows were
split, and who asks.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from extractors.augment import Change, Feed, draw
from extractors.network import Learner, to_input
from featurestore.errors import KyaraError

if TYPE_CHECKING:
    import numpy.typing as npt

    from extractors.training import Training

__all__ = ["Classifier", "Epoch", "Phase", "Phases", "logits_of", "passes_of"]

Phase = Literal["probe", "tune"]


@dataclass(frozen=True)
class Epoch:
    """One line of ``history.csv``.

    Attributes
    ----------
    epoch : int
        From 1, over both phases.
    phase : {"probe", "tune"}
    loss : float
        Weighted cross-entropy over the rows learned from, as trained: changed pictures, weights on the move.
    holdout_loss : float
        The same over the rows held out, pictures as they are, the same weights of classes.
    holdout_accuracy : float
        Balanced accuracy over the rows held out.
    best : bool
        Whether it is the epoch that is kept.
    """

    epoch: int
    phase: Phase
    loss: float
    holdout_loss: float
    holdout_accuracy: float
    best: bool


class Classifier(torch.nn.Module):
    """A backbone and a linear layer behind it: float32 (n, 3, size, size) to logits (n, n_classes)."""

    def __init__(self, backbone: torch.nn.Module, n_columns: int, n_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = torch.nn.Linear(n_columns, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.head(self.backbone(x))
        return logits


def passes_of(rows: npt.NDArray[np.intp], batch_size: int) -> list[npt.NDArray[np.intp]]:
    """Rows in order, ``batch_size`` at a time.

    A last row that would be alone joins the pass before it: BatchNorm cannot learn from a single vector.

    Examples
    --------
    >>> [len(one) for one in passes_of(np.arange(9), 4)]
    [4, 5]
    """
    n = len(rows)
    edges = list(range(batch_size, n, batch_size))
    if edges and n - edges[-1] == 1:
        edges.pop()
    return np.split(rows, edges)


def logits_of(
    module: torch.nn.Module,
    learner: Learner,
    feed: Feed,
    passes: Sequence[npt.NDArray[np.intp]],
    device: str,
) -> torch.Tensor:
    """What a module in eval mode gives for squares as they are, float32 on the CPU."""
    with torch.inference_mode():
        parts = [
            module(to_input(torch.from_numpy(pixels).to(device), learner.normalize)).cpu()
            for pixels in feed.batches(passes)
        ]
    return torch.cat(parts)


@dataclass(frozen=True)
class _Kept:
    """An epoch and the weights at its end."""

    epoch: Epoch
    state: dict[str, torch.Tensor]


class Phases:
    """One run of learning.

    Parameters
    ----------
    module : Classifier
        On the device; its weights move.
    labels : ndarray of int, shape (n,)
    held : ndarray of bool, shape (n,)
        Rows that no gradient sees.
    seed : int
        Of the order of rows and of what is done to pictures.
    """

    def __init__(
        self,
        learner: Learner,
        training: Training,
        module: Classifier,
        feed: Feed,
        labels: npt.NDArray[np.intp],
        held: npt.NDArray[np.bool_],
        *,
        seed: int,
        device: str,
    ) -> None:
        self._learner, self._training, self._module, self._feed = learner, training, module, feed
        self._labels, self._seed, self._device = labels, seed, device
        self._rows, self._held = np.flatnonzero(~held), np.flatnonzero(held)
        counts = np.bincount(labels[self._rows], minlength=module.head.out_features)
        self._class_weights = len(self._rows) / (len(counts) * counts)
        self._epochs: list[Epoch] = []
        self._best: _Kept | None = None

    def run(self, phase: Phase, epochs: int, lr: float, progress: Callable[[Epoch], None]) -> None:
        """Train from the best weights so far until the phase's patience or its epochs end.

        Raises
        ------
        KyaraError
            If the loss is not finite.
        """
        if self._best is not None:
            self._module.load_state_dict(self._best.state)
        learning = self._unfreeze(phase)
        optimiser = self._optimiser(phase, lr)
        still = self._embed_held() if phase == "probe" and epochs else None
        of_phase: Epoch | None = None
        for number in range(len(self._epochs) + 1, len(self._epochs) + 1 + epochs):
            loss = self._learn(number, optimiser, learning)
            epoch = self._score(number, phase, loss, still)
            if not math.isfinite(loss) or not math.isfinite(epoch.holdout_loss):
                raise KyaraError(
                    f"the loss is not finite after epoch {number} ({phase}): {loss:g} learned from,"
                    f" {epoch.holdout_loss:g} held out; lower training.{phase}_lr ({lr:g})"
                )
            if self._best is None or self._rank(epoch) > self._rank(self._best.epoch):
                epoch = dataclasses.replace(epoch, best=True)
                self._best = _Kept(epoch, _copied(self._module))
            self._epochs.append(epoch)
            progress(epoch)
            if of_phase is None or self._rank(epoch) > self._rank(of_phase):
                of_phase = epoch
            elif number - of_phase.epoch >= self._training.patience:
                break

    def history(self) -> tuple[Epoch, ...]:
        """All epochs; one of them is best."""
        best = self._best.epoch.epoch if self._best else 0
        return tuple(dataclasses.replace(one, best=one.epoch == best) for one in self._epochs)

    def finish(self) -> Classifier:
        """The module with the best weights, in eval mode, on the CPU."""
        assert self._best is not None, "no epoch was run"
        self._module.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self._module.load_state_dict(self._best.state)
        return self._module.eval().requires_grad_(False)

    def _unfreeze(self, phase: Phase) -> list[torch.nn.Module]:
        """Let gradients into what the phase trains; gives the parts of the backbone among it."""
        parts = () if phase == "probe" else self._learner.parts[-(self._training.unfreeze or 0) :]
        learning = [self._module.backbone.get_submodule(name) for part in parts for name in part]
        self._module.requires_grad_(False)
        for module in (*learning, self._module.head):
            module.requires_grad_(True)
        return learning

    def _optimiser(self, phase: Phase, lr: float) -> torch.optim.Optimizer:
        weights = [weight for weight in self._module.parameters() if weight.requires_grad]
        if phase == "probe":
            return torch.optim.Adam(weights, lr=lr)
        return torch.optim.SGD(
            weights, lr=lr, momentum=self._training.momentum, weight_decay=self._training.weight_decay
        )

    def _learn(self, number: int, optimiser: torch.optim.Optimizer, learning: list[torch.nn.Module]) -> float:
        """One epoch over the rows learned from; its mean loss."""
        self._module.eval()
        for module in learning:
            module.train()
        order = np.random.default_rng((self._seed, number, 0)).permutation(self._rows)
        passes = passes_of(order, self._training.batch_size)
        squares = self._feed.batches(passes, lambda row: self._change(number, row))
        losses: list[torch.Tensor] = []
        for begin in range(0, len(passes), self._training.accumulate):
            step = passes[begin : begin + self._training.accumulate]
            weight = self._class_weights[self._labels[np.concatenate(step)]].sum()
            optimiser.zero_grad()
            for rows in step:
                x = to_input(torch.from_numpy(next(squares)).to(self._device), self._learner.normalize)
                loss = self._loss(self._module(x), rows)
                (loss / weight).backward()
                losses.append(loss.detach())
            optimiser.step()
        return float(torch.stack(losses).cpu().double().sum()) / len(self._rows)

    def _change(self, number: int, row: int) -> Change:
        t = self._training
        rng = np.random.default_rng((self._seed, number, row + 1))
        return draw(rng, flip=t.flip, rotation_deg=t.rotation_deg, jitter=t.jitter)

    def _loss(self, logits: torch.Tensor, rows: npt.NDArray[np.intp]) -> torch.Tensor:
        """Sum of the rows' cross-entropies, each times its class's weight."""
        codes = self._labels[rows]
        target = np.eye(len(self._class_weights), dtype=np.float32)[codes]
        target *= self._class_weights[codes].astype(np.float32)[:, None]
        # no gather: its gradient is not deterministic on every device
        return -(torch.from_numpy(target).to(logits.device) * torch.log_softmax(logits, dim=1)).sum()

    def _embed_held(self) -> torch.Tensor:
        """Embeddings of the rows held out, which no epoch of the probe moves."""
        self._module.eval()
        passes = passes_of(self._held, self._training.batch_size)
        return logits_of(self._module.backbone, self._learner, self._feed, passes, self._device)

    def _score(self, number: int, phase: Phase, loss: float, still: torch.Tensor | None) -> Epoch:
        self._module.eval()
        if still is None:
            passes = passes_of(self._held, self._training.batch_size)
            logits = logits_of(self._module, self._learner, self._feed, passes, self._device)
        else:
            with torch.inference_mode():
                logits = self._module.head(still.to(self._device)).cpu()
        codes = self._labels[self._held]
        held_loss = float(self._loss(logits, self._held)) / self._class_weights[codes].sum()
        right = logits.argmax(dim=1).numpy() == codes
        accuracy = np.mean([right[codes == code].mean() for code in range(logits.shape[1])])
        return Epoch(number, phase, loss, float(held_loss), float(accuracy), best=False)

    def _rank(self, epoch: Epoch) -> tuple[float, ...]:
        """The larger, the better."""
        if self._training.monitor == "loss":
            return (-epoch.holdout_loss,)
        return (epoch.holdout_accuracy, -epoch.holdout_loss)


def _copied(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items()}
