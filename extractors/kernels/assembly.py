"""From images to rows of design features: fit, run the kernels, put their results in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from extractors.base import Rows
from extractors.fitting import Fit, fit
from extractors.kernels import colour, gradient, tone
from featurestore.spec import FeatureSpec, Status

if TYPE_CHECKING:
    from extractors.base import RGB

__all__ = ["Design"]

_BORDER_PX: Final = 2
_NAMES: Final = colour.NAMES + gradient.NAMES + tone.NAMES


class Design:
    """The design extractor.

    Attributes
    ----------
    spec : FeatureSpec
    thread_safe : bool
    """

    thread_safe = True

    def __init__(self, *, fit: Fit, columns: tuple[str, ...], size_px: int, version: int) -> None:
        self.spec = FeatureSpec(name="design", version=version, params={"fit": fit}, columns=columns)
        self._fit = fit
        self._size_px = size_px
        self._order = np.array([_NAMES.index(name) for name in columns], dtype=np.intp)

    def __call__(self, images: Sequence[RGB]) -> Rows:
        """Rows of ``images``, each uint8 (height, width, 3), any size.

        Returns
        -------
        Rows
            float32 (n, 63), all finite, all ok.
        """
        size = self._size_px
        grey = np.empty((size + 2 * _BORDER_PX) ** 2, np.uint8)
        flags = np.empty(size**2, np.uint8)
        found = np.empty((len(images), len(_NAMES)), np.float64)
        first, second = len(colour.NAMES), len(colour.NAMES) + len(gradient.NAMES)
        for row, image in zip(found, images, strict=True):
            square, (y0, y1, x0, x1) = fit(image, size_px=size, how=self._fit)
            colour.scan(square, y0, y1, x0, x1, grey, flags, row[:first])
            gradient.measure(grey, flags, y1 - y0, x1 - x0, row[first:second])
            tone.measure(grey, flags, y1 - y0, x1 - x0, row[second:])
        values = found[:, self._order].astype(np.float32)
        return Rows(values=values, status=np.full(len(images), Status.OK, np.uint8))
