"""The contract between an extractor and whatever runs it.

A module ``extractors/zoo/<name>.py`` has a `Card` named ``CARD`` and a function ``build`` whose
keyword-only parameters, their annotations and defaults are the schema of ``extractors.<name>`` in
params.yaml. Heavy imports belong inside ``build``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from featurestore.spec import FeatureSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    RGB = npt.NDArray[np.uint8]

__all__ = ["Card", "Extractor", "Rows"]


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
        Name of the extra of pyproject.toml that it needs; empty if core.
    licence : str
        Licence of code and weights together.
    """

    summary: str
    n_columns: int | None
    extra: str = ""
    licence: str = "Apache-2.0"


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
