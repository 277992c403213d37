"""Weights that kyara makes itself: learned from the train split, or random because params say so.

Owns ``model.safetensors``, ``history.csv`` (one line an epoch) and ``softmax.csv`` (the network's own answer
on val), and the folder in which what was learned is kept for branches and experiments. Training is
`extractors.finetune`. Refuses to see the test split, and to learn twice from the same rows and params.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from extractors.base import MADE, Context, Loaded
from extractors.devices import n_threads
from extractors.faces import detector
from extractors.kept import Kept
from featurestore.dataset import rows_digest
from featurestore.errors import DataError
from featurestore.files import remove, sha256_of, write_bytes_atomic
from featurestore.spec import DECODER_VERSION, canonical_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from extractors.base import RGB
    from extractors.finetune import Epoch
    from extractors.network import Learner

__all__ = ["HISTORY", "SOFTMAX", "LabelledRows", "Surroundings", "make_weights"]

log = logging.getLogger(__name__)

HISTORY: Final = "history.csv"
SOFTMAX: Final = "softmax.csv"

#: Moves when the same rows, params and seed would make other weights.
_VERSION: Final = 1

#: Params that move nothing here: where a file lies, and the precision of the extraction.
_NO_MATTER: Final = ("file", "sha256", "precision")

#: Packages whose release may move the bits of what is learned.
_LIBRARIES: Final = ("torch", "torchvision", "pillow", "numpy")


@dataclass(frozen=True)
class LabelledRows:
    """Pictures of one split that a network learns from or answers about, ascending by key.

    Attributes
    ----------
    keys, labels, groups : tuple of str
    """

    keys: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]

    def only(self, chosen: Sequence[int]) -> LabelledRows:
        """Some of the rows."""
        return LabelledRows(*(tuple(c[i] for i in chosen) for c in (self.keys, self.labels, self.groups)))


@dataclass(frozen=True)
class Surroundings:
    """What making weights needs besides params.

    Attributes
    ----------
    train, val : LabelledRows
    classes : tuple of str
        Labels of the whole data set, sorted.
    image : callable
        Key (hex) -> RGB uint8 (height, width, 3); called in several threads.
    design_labels : callable
        Label of each key of train and val that the design conventions give.
    kept : Path
        Folder for what was learned.
    seed, workers : int
    device : str
    """

    train: LabelledRows
    val: LabelledRows
    classes: tuple[str, ...]
    image: Callable[[str], RGB]
    design_labels: Callable[[], Mapping[str, str]]
    kept: Path
    seed: int
    workers: int
    device: str


def make_weights(
    name: str,
    module: ModuleType,
    params: Mapping[str, Any],
    loaded: Mapping[str, Loaded],
    folder: Path,
    around: Surroundings,
) -> tuple[dict[str, Any], str, str]:
    """Write ``model.safetensors`` and what belongs to it into ``folder``.

    Parameters
    ----------
    loaded : mapping
        The published files that it starts from.

    Returns
    -------
    entry, fitted_on, said : dict, str, str
        What the manifest says of the file; digest of the rows it learned from; a line for people.
    """
    from extractors.finetune import seeded

    with seeded(around.seed, around.device):
        learner: Learner = module.learner(context=Context(loaded, device=around.device), **params)
    if learner.training is None:
        for stale in (HISTORY, SOFTMAX):
            remove(folder / stale)
        state = {f"backbone.{key}": value for key, value in learner.backbone.state_dict().items()}
        write_bytes_atomic(folder / MADE, _bytes(state))
        said = f"random numbers of seed {around.seed}"
        return _entry(folder / MADE, said), "", f"untrained, {said}, as its params say"
    design = around.design_labels() if learner.design_labels else {}
    labels = tuple(
        design.get(key, label) for key, label in zip(around.train.keys, around.train.labels, strict=True)
    )
    kept = Kept(around.kept / name / _identity(name, module, params, loaded, labels, around), (MADE, HISTORY))
    found, n_epochs = kept.read(), 0
    if found is None:
        found, n_epochs = _learn(name, learner, labels, around)
        kept.write(found)
    softmax = _softmax(learner, found[MADE], design, around)
    for file, data in {**found, SOFTMAX: softmax.encode()}.items():
        write_bytes_atomic(folder / file, data)
    what = f"{len(labels)} images of train" + (" and their design labels" if design else "")
    said = (
        f"learned in {n_epochs} epochs from {what}"
        if n_epochs
        else f"had learned from the same {what} before"
    )
    fitted_on = rows_digest(around.train.keys, around.train.labels)
    start = "" if loaded else f", from random numbers of seed {around.seed}"
    return _entry(folder / MADE, f"learned from the train split{start}"), fitted_on, said


def _entry(path: Path, source: str) -> dict[str, Any]:
    return {
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "source": source,
        "licence": "as what it began with",
    }


def _bytes(state: Mapping[str, torch.Tensor]) -> bytes:
    from safetensors.torch import save

    return save({key: value.detach().cpu().contiguous().clone() for key, value in state.items()})


def _identity(
    name: str,
    module: ModuleType,
    params: Mapping[str, Any],
    loaded: Mapping[str, Loaded],
    labels: tuple[str, ...],
    around: Surroundings,
) -> str:
    """Sha256 (hex) of all that decides what is learned."""
    values = {
        key: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
        for key, value in params.items()
        if key not in _NO_MATTER
    }
    content = {
        "extractor": [name, module.VERSION, _VERSION],
        "params": values,
        "decoder": DECODER_VERSION,
        "detector": detector(params.get("align", "none")),
        "libraries": {package: metadata.version(package) for package in _LIBRARIES},
        "threads": n_threads(0),
        "seed": around.seed,
        "device": around.device,
        "from": {file: one.sha256 for file, one in loaded.items()},
        "rows": [around.train.keys, labels, around.train.groups, around.classes],
    }
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


class _Squares:
    """What the network is shown of some pictures; those without a face are left out."""

    def __init__(self, learner: Learner, keys: Sequence[str], around: Surroundings) -> None:
        self._learner, self._around = learner, around
        with ThreadPoolExecutor(around.workers) as pool:
            there = list(pool.map(lambda key: len(self._pixels(key)) > 0, keys)) if learner.may_miss else None
        #: Positions in ``keys`` that have a square.
        self.there = [i for i in range(len(keys)) if there is None or there[i]]
        self._keys = [keys[i] for i in self.there]

    def _pixels(self, key: str) -> npt.NDArray[np.uint8]:
        return self._learner.prepare([self._around.image(key)]).pixels

    def __call__(self, row: int) -> npt.NDArray[np.uint8]:
        """uint8 (s, s, 3) of the row-th picture that has a square."""
        pixels: npt.NDArray[np.uint8] = self._pixels(self._keys[row])[0]
        return pixels


def _learn(
    name: str, learner: Learner, labels: tuple[str, ...], around: Surroundings
) -> tuple[dict[str, bytes], int]:
    """Train; the bytes of the weights and the curve, and how many epochs it took."""
    import numpy as np
    from tqdm import tqdm

    from extractors.finetune import finetune, state_of

    training = learner.training
    assert training is not None
    squares = _Squares(learner, around.train.keys, around)
    if not squares.there:
        raise DataError(f"{name}: no face in any picture of train; set extractors.{name}.align: none")
    bar = tqdm(
        total=training.probe_epochs + training.tune_epochs,
        desc=f"{name} learns",
        unit="epoch",
        disable=not sys.stderr.isatty(),
    )

    def progress(epoch: Epoch) -> None:
        bar.set_postfix_str(_said(epoch), refresh=False)
        bar.update()
        if bar.disable:
            log.info("%s: epoch %d, %s", name, epoch.epoch, _said(epoch))

    with bar:
        learned = finetune(
            learner,
            squares,
            np.array([around.classes.index(labels[i]) for i in squares.there], dtype=np.intp),
            np.array([around.train.groups[i] for i in squares.there]),
            n_classes=len(around.classes),
            seed=around.seed,
            device=around.device,
            workers=around.workers,
            threads=n_threads(0),
            progress=progress,
            classes=around.classes,
        )
    found = {MADE: _bytes(state_of(learned.module)), HISTORY: _history(learned.history).encode()}
    return found, len(learned.history)


def _said(epoch: Epoch) -> str:
    held_out = f"balanced accuracy of rows held out {epoch.holdout_accuracy:.3f}"
    return f"{epoch.phase}: loss {epoch.loss:.3f}, {held_out}"


def _history(epochs: Sequence[Epoch]) -> str:
    """CSV: epoch, phase, loss, holdout_loss, holdout_accuracy, best."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(epochs[0])])
    for epoch in epochs:
        values = dataclasses.astuple(epoch)
        writer.writerow([f"{v:.6f}" if isinstance(v, float) else v for v in values])
    return buffer.getvalue()


def _softmax(learner: Learner, weights: bytes, design: Mapping[str, str], around: Surroundings) -> str:
    """CSV: key, split, design_label, p_<label>; a picture without a face gets the classes' shares."""
    import numpy as np
    import torch
    from safetensors.torch import load

    from extractors.finetune import softmax

    module = torch.nn.Module()
    module.backbone, module.head = learner.backbone, torch.nn.Linear(learner.n_columns, len(around.classes))
    module.load_state_dict(load(weights))
    squares = _Squares(learner, around.val.keys, around)
    shares = np.array([around.train.labels.count(label) for label in around.classes], dtype=np.float64)
    proba = np.tile(shares / shares.sum(), (len(around.val.keys), 1))
    if squares.there:
        proba[squares.there] = softmax(
            module, learner, squares, len(squares.there), device=around.device, workers=around.workers
        )
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["key", "split", "design_label", *(f"p_{label}" for label in around.classes)])
    for key, row in zip(around.val.keys, proba.tolist(), strict=True):
        writer.writerow([key, "val", design.get(key, ""), *(f"{p:.6f}" for p in row)])
    return buffer.getvalue()
