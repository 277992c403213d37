"""The outer ring of the picture, without the figure: what a classifier could know by the frame alone.

A control, not a representation: ground, border, vignette and crop. Where it tells the classes apart, so may
any head, by other means than the character. A figure that fills the picture reaches into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

from extractors.base import Card, Context, Rows
from featurestore.schema import Between
from featurestore.spec import FeatureSpec, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from extractors.base import RGB, Extractor

__all__ = ["CARD", "COLUMNS", "VERSION", "build"]

VERSION: Final = 1

_SIDES: Final = ("top", "bottom", "left", "right")

_OF_EACH: Final = ("red", "green", "blue", "grey_std")

COLUMNS: Final = (*(f"{side}_{what}" for side in _SIDES for what in _OF_EACH), "saturation", "grey_range")

CARD: Final = Card(
    summary="the outer ring of the picture without the figure; a control",
    n_columns=len(COLUMNS),
    extra="",
)


def build(
    *, context: Context = Context(), width: Annotated[float, Between(0, 0.25, "low")] = 0.08
) -> Extractor:
    """Build the extractor: mean colours and spread of four strips along the edges.

    Parameters
    ----------
    width : float
        Of a strip, as a share of the shorter side; at least one pixel.

    Returns
    -------
    Extractor
        18 columns: of each side the mean red, green and blue and the standard deviation of grey, each 0
        to 255; of the ring the mean of max - min of a pixel's channels, and the largest minus the smallest
        mean grey of its sides.
    """
    return _Ring(FeatureSpec(name="ring", version=VERSION, params={"width": width}, columns=COLUMNS), width)


class _Ring:
    """Statistics of the ring; see `extractors.base.Extractor`."""

    thread_safe = True

    def __init__(self, spec: FeatureSpec, width: float) -> None:
        self.spec = spec
        self._width = width

    def __call__(self, images: Sequence[RGB]) -> Rows:
        """Rows of images; see `extractors.base.Extractor`."""
        import numpy as np

        values = np.array([self._row(image) for image in images], dtype=np.float32)
        status = np.full(len(images), Status.OK, dtype=np.uint8)
        return Rows(values.reshape(len(images), len(COLUMNS)), status)

    def _row(self, image: RGB) -> list[float]:
        import numpy as np

        w = max(1, round(self._width * min(image.shape[:2])))
        strips = [image[:w], image[-w:], image[:, :w], image[:, -w:]]
        row: list[float] = []
        greys: list[npt.NDArray[np.float64]] = []
        for strip in strips:
            pixels = strip.reshape(-1, 3).astype(np.float64)
            grey = pixels @ (0.299, 0.587, 0.114)
            greys.append(grey)
            row += [*pixels.mean(axis=0).tolist(), float(grey.std())]
        ring = np.concatenate([strip.reshape(-1, 3) for strip in strips])
        means = [float(grey.mean()) for grey in greys]
        spread = ring.max(axis=1).astype(np.float64) - ring.min(axis=1)
        return [*row, float(spread.mean()), max(means) - min(means)]
