"""The contract between an extractor and whatever runs it.

A module ``extractors/zoo/<name>.py`` has

- ``CARD``, a `Card`;
- ``build(*, context=Context(), ...) -> Extractor``, whose other keyword-only parameters, their
  annotations and defaults are the schema of ``extractors.<name>`` in params.yaml;
- if it needs weights, ``weights(**params) -> tuple[WeightsFile, ...]``: the published files that these
  params ask for;
- if weights can be made here (learned, or random), ``learner(*, context, **params) -> Learner``; its params
  then have ``finetune`` and ``weights``.

Heavy imports belong inside these functions: importing the module costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from featurestore.errors import MissingData
from featurestore.spec import FeatureSpec, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    RGB = npt.NDArray[np.uint8]

__all__ = ["MADE", "Card", "Context", "Extractor", "Loaded", "Prepared", "Rows", "Staged"]


#: Name of the weights that ``prepare`` makes itself: learned, or random on request.
MADE = "model.safetensors"


@dataclass(frozen=True)
class Card:
    """What can be said of an extractor without building it.

    Attributes
    ----------
    summary : str
        One line.
    n_columns : int or None
        Dimension with default params.
    extra : str
        Name of the extra of pyproject.toml that it needs; empty if the core environment is enough.
    modules : tuple of str
        What must be importable.
    licence : str
        Licence of code and weights together.
    """

    summary: str
    n_columns: int | None
    extra: str = ""
    modules: tuple[str, ...] = ()
    licence: str = "Apache-2.0"


@dataclass(frozen=True)
class Loaded:
    """A weights file whose bytes were checked.

    Attributes
    ----------
    path : Path
    sha256 : str
        Of the file's bytes, hexadecimal.
    """

    path: Path
    sha256: str


@dataclass(frozen=True)
class Context:
    """What an extractor is built with besides its params; none of it is read from params.yaml by it.

    Attributes
    ----------
    weights : mapping of str to Loaded
        File name -> the checked file. One that kyara made itself is called `MADE`.
    fitted_on : str
        Digest of what the made weights learned from; empty if they learned nothing.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``; chosen, not ``"auto"``.
    """

    weights: Mapping[str, Loaded] = field(default_factory=dict)
    fitted_on: str = ""
    device: str = "cpu"

    def made(self) -> Loaded:
        """The weights that ``prepare`` made.

        Raises
        ------
        MissingData
            If it did not: random numbers never take their place.
        """
        try:
            return self.weights[MADE]
        except KeyError:
            raise MissingData(f"no {MADE}, which these params ask for; run: dvc repro prepare") from None

    def sha256(self) -> dict[str, str]:
        """File name -> sha256, as `FeatureSpec.weights` has it."""
        return {name: one.sha256 for name, one in self.weights.items()}


@dataclass(frozen=True)
class Prepared:
    """A batch that the device can take.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (m, height, width, 3)
        Of the images whose status is ok, in order.
    status : ndarray of uint8, shape (n,)
        Of all images; m of them are ok.
    """

    pixels: npt.NDArray[np.uint8]
    status: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Rows:
    """Rows of one call.

    Attributes
    ----------
    values : ndarray of float32, shape (n, d)
        NaN throughout a row whose status is not ok.
    status : ndarray of uint8, shape (n,)
        Values of `featurestore.spec.Status`.
    """

    values: npt.NDArray[np.float32]
    status: npt.NDArray[np.uint8]

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Rows of some calls, one after the other."""
        import numpy as np

        return cls(
            np.concatenate([one.values for one in parts]), np.concatenate([one.status for one in parts])
        )

    @classmethod
    def spread(cls, status: npt.NDArray[np.uint8], found: npt.ArrayLike, n_columns: int) -> Rows:
        """``found`` (m, n_columns) as the rows of the m images that are ok, NaN as the others'."""
        import numpy as np

        values = np.full((len(status), n_columns), np.nan, dtype=np.float32)
        values[status == Status.OK] = np.asarray(found, dtype=np.float32).reshape(-1, n_columns)
        return cls(values, status)


@runtime_checkable
class Extractor(Protocol):
    """Images in, rows out; a pure function of the pixels and the spec.

    Attributes
    ----------
    spec : FeatureSpec
    thread_safe : bool
        Whether calls may run at the same time in several threads (and release the GIL).
    """

    spec: FeatureSpec
    thread_safe: bool

    def __call__(self, images: Sequence[RGB]) -> Rows:
        """Rows of ``images``, each uint8 (height, width, 3), any size, in order; never mutated."""
        ...


@runtime_checkable
class Staged(Extractor, Protocol):
    """An extractor whose work has a part for any thread and a part for the device.

    ``finish(launch(preprocess(images)))`` is what calling it gives. An engine preprocesses ahead in
    worker threads, and launches one batch before it finishes the one before, so that a device that
    computes on its own never waits.
    """

    def batch_size(self) -> int:
        """How many images at a time this device likes; found by trying, where it matters."""
        ...

    def preprocess(self, images: Sequence[RGB]) -> Any:
        """What the device takes; in any thread, for several batches at once."""
        ...

    def launch(self, batch: Any) -> Any:
        """Begin to compute; may return before the device is done."""
        ...

    def finish(self, handle: Any) -> Rows:
        """Wait for what was launched."""
        ...
