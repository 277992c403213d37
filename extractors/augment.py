"""How a learner sees its pictures: loaded ahead, kept in memory up to a cap, changed at random.

Owns the changes (mirror, turn, colour) and the threads that make them. Each change is drawn from a
generator of its own for (seed, epoch, row), so neither threads nor batches can move a pixel. Refuses to
know networks.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import numpy.typing as npt

    from extractors.base import RGB

__all__ = ["CACHE_BYTES", "Change", "Feed", "augment", "draw"]

#: Squares that are kept in memory; the rest is loaded again each time.
CACHE_BYTES: Final = 2 << 30

#: Passes that are loaded while the device works on one.
_AHEAD: Final = 2

#: Shares of red, green and blue in grey (ITU-R BT.601).
_GREY: Final = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Change:
    """What is done to one square.

    Attributes
    ----------
    mirror : bool
        Left and right change places.
    angle_deg : float
        Counter-clockwise, about the centre.
    brightness, contrast, saturation : float
        1 = as it is.
    """

    mirror: bool = False
    angle_deg: float = 0.0
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


def draw(rng: np.random.Generator, *, flip: bool, rotation_deg: float, jitter: float) -> Change:
    """A change at random; as many numbers are drawn whatever the limits are.

    Parameters
    ----------
    flip : bool
        Whether every second square is mirrored.
    rotation_deg : float
        Largest angle to either side.
    jitter : float
        Largest share by which brightness, contrast and saturation change.

    Examples
    --------
    >>> draw(np.random.default_rng(0), flip=False, rotation_deg=0, jitter=0) == Change()
    True
    """
    coin = rng.random()
    angle, *levels = rng.uniform(-1, 1, 4).tolist()
    brightness, contrast, saturation = (1 + level * jitter for level in levels)
    return Change(flip and coin < 0.5, angle * rotation_deg, brightness, contrast, saturation)


def augment(square: RGB, change: Change) -> RGB:
    """A changed copy of a square; the one given is never written to.

    A corner that turning leaves empty shows the picture's mirror image beyond its edge: no colour that the
    picture has not, and no black wedge that a network could learn from.

    Parameters
    ----------
    square : ndarray of uint8, shape (size, size, 3)

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
    """
    picture = Image.fromarray(square)
    if change.angle_deg:
        picture = _turned(square, change.angle_deg)
    if change.mirror:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if (change.brightness, change.contrast, change.saturation) != (1, 1, 1):
        picture = picture.convert("RGB", _colours(square, change))
    return np.array(picture, dtype=np.uint8)


def _turned(square: RGB, angle_deg: float) -> Image.Image:
    """Bilinear rotation about the centre over a border of mirror images."""
    size = len(square)
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    border = math.ceil(size / 2 * (abs(cos) + abs(sin) - 1)) + 1
    wide = Image.fromarray(np.pad(square, ((border, border), (border, border), (0, 0)), mode="symmetric"))
    # from the place in the result to the place in the wide square, both measured from the upper left
    centre, middle = size / 2, size / 2 + border
    across = (cos, -sin, middle - cos * centre + sin * centre)
    down = (sin, cos, middle - sin * centre - cos * centre)
    return wide.transform(
        (size, size), Image.Transform.AFFINE, (*across, *down), resample=Image.Resampling.BILINEAR
    )


def _colours(square: RGB, change: Change) -> tuple[float, ...]:
    """Brightness, then contrast about the mean grey, then saturation, as one 3x4 matrix on colours."""
    grey = float(square.mean(axis=(0, 1)) @ _GREY)
    saturate = change.saturation * np.eye(3) + (1 - change.saturation) * _GREY
    matrix = saturate * (change.brightness * change.contrast)
    offset = (1 - change.contrast) * change.brightness * grey
    return tuple(np.column_stack([matrix, np.full(3, offset)]).ravel().tolist())


class Feed:
    """Squares by row, loaded in threads ahead of who asks; a context that ends its threads.

    Parameters
    ----------
    load : callable
        Row -> uint8 (size, size, 3); called in several threads, again where memory does not suffice.
    workers : int
        Threads; at least one is used.
    cache_bytes : int
        How many bytes of squares stay in memory.
    """

    def __init__(self, load: Callable[[int], RGB], *, workers: int, cache_bytes: int = CACHE_BYTES) -> None:
        self._load = load
        self._room = cache_bytes
        self._kept: dict[int, RGB] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="feed")

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def batches(
        self, passes: Sequence[npt.NDArray[np.intp]], change: Callable[[int], Change] | None = None
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """Squares of each pass, uint8 (n, size, size, 3), in order.

        Parameters
        ----------
        passes : sequence of ndarray of int
            Rows.
        change : callable or None
            Row -> what is done to its square; None = nothing.
        """
        waiting: deque[list[Future[RGB]]] = deque()

        def begin(rows: npt.NDArray[np.intp]) -> None:
            waiting.append([self._pool.submit(self._square, row, change) for row in rows.tolist()])

        try:
            for rows in passes[:_AHEAD]:
                begin(rows)
            for number in range(len(passes)):
                if number + _AHEAD < len(passes):
                    begin(passes[number + _AHEAD])
                yield np.stack([future.result() for future in waiting.popleft()])
        finally:
            for futures in waiting:
                for future in futures:
                    future.cancel()

    def _square(self, row: int, change: Callable[[int], Change] | None) -> RGB:
        square = self._kept.get(row)
        if square is None:
            square = self._load(row)
            self._keep(row, square)
        return square if change is None else augment(square, change(row))

    def _keep(self, row: int, square: RGB) -> None:
        with self._lock:
            if row not in self._kept and square.nbytes <= self._room:
                self._room -= square.nbytes
                self._kept[row] = square
