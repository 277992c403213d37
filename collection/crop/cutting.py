"""One picture -> one mugshot, and how it came to be.

Owns the params, the fallback and the pixels. Refuses to know files. Importing it imports nothing heavy.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from collection.crop.detection import Finder, faces_in, search_of
from collection.crop.squares import FRAMES, Choice, Frame, Square, around, at_top, chosen
from extractors.faces import FaceBox
from featurestore.errors import ParamsError

if TYPE_CHECKING:
    from extractors.base import RGB

__all__ = ["NO_FACE", "CropParams", "Cut", "Fallback", "Method", "cut", "png_of"]

Method = Literal["anime", "mtcnn", "center-top"]
Fallback = Literal["center-top", "reject"]

#: Why a picture has no mugshot under the fallback ``reject``.
NO_FACE: Final = "no face was found"

_LEAST_PX, _MOST_PX = 16, 4096


@dataclass(frozen=True)
class CropParams:
    """How pictures are cut.

    Attributes
    ----------
    method : {"anime", "mtcnn", "center-top"}
        What finds the face: animeface for drawings, MTCNN for people; ``center-top`` looks for none.
    choice : {"largest", "central"}
        Which of several faces.
    margin : float or None
        The square's side is ``1 + margin`` times the longer side of the face's box; None: the method's own,
        of `FRAMES`.
    size_px : int
        Side of the mugshot.
    fallback : {"center-top", "reject"}
        What becomes of a picture without a face.

    Raises
    ------
    ParamsError
        If a value is none of these, or a number out of range.
    """

    method: Method = "anime"
    choice: Choice = "largest"
    margin: float | None = None
    size_px: int = 256
    fallback: Fallback = "center-top"

    def __post_init__(self) -> None:
        for name, options in (("method", Method), ("choice", Choice), ("fallback", Fallback)):
            if (value := getattr(self, name)) not in get_args(options):
                raise ParamsError(f"crop: {name} is {value!r}, none of: {', '.join(get_args(options))}")
        if self.margin is not None and not (math.isfinite(self.margin) and 0 <= self.margin <= 10):
            raise ParamsError(f"crop: margin is {self.margin}; give a number from 0 to 10")
        if not _LEAST_PX <= self.size_px <= _MOST_PX:
            raise ParamsError(f"crop: size_px is {self.size_px}; give {_LEAST_PX} to {_MOST_PX}")

    def text(self, *, detector: str = "") -> str:
        """What cuts, in words for a record.

        Parameters
        ----------
        detector : str
            What searches, with its version; where it is not told, the detector is asked.

        Raises
        ------
        MissingExtra
            If the detector is asked and its package is not installed.
        """
        if self.method == "center-top":
            return f"center-top, {self.size_px} px"
        frame = _frame(self.method, self.margin)
        return (
            f"{self.method} ({detector or search_of(self.method)}), the {self.choice} face, margin"
            f" {frame.margin:g}, {self.size_px} px, else {self.fallback}"
        )

    def told(self, *, detector: str = "") -> dict[str, object]:
        """What cuts, for a record: `text` under ``cut``, and each param; as they count, so none stands open.

        Parameters
        ----------
        detector
            As `text`.
        """
        told: dict[str, object] = {"cut": self.text(detector=detector), "method": self.method}
        if self.method != "center-top":
            told["detector"] = detector or search_of(self.method)
            told |= {"choice": self.choice, "margin": _frame(self.method, self.margin).margin}
            told["fallback"] = self.fallback
        return told | {"size_px": self.size_px}


@dataclass(frozen=True)
class Cut:
    """A mugshot and how it came to be.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (size_px, size_px, 3)
    box : Square
        What was cut out, in pixels of the picture.
    method : str
        What really cut it: ``center-top`` where the detector that was asked for found nothing.
    n_faces : int or None
        How many faces the detector found; None where none was looked for.
    padded : bool
        Whether some pixels are grey filling, for the face is longer than the picture's shorter side.
    face : FaceBox or None
        The face that is meant; None for ``center-top``.
    """

    pixels: RGB
    box: Square
    method: Method
    n_faces: int | None
    padded: bool
    face: FaceBox | None

    def png(self) -> bytes:
        """The mugshot as a file; see `png_of`."""
        return png_of(self.pixels)


def cut(image: RGB, params: CropParams, *, find: Finder = faces_in) -> Cut | None:
    """Cut a mugshot out of a picture; None if it shows no face and ``fallback`` is ``reject``.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
        Any size but empty; never changed.
    find : callable
        From image and method to all faces.

    Raises
    ------
    MissingExtra
        If the detector's package is not installed or does not work here: that is no picture without a face.
    """
    from extractors.fitting import fit

    height, width = image.shape[:2]
    if params.method == "center-top":
        return _top(image, params.size_px, n_faces=None)
    faces = find(image, params.method)
    if not faces:
        return _top(image, params.size_px, n_faces=0) if params.fallback == "center-top" else None
    face = chosen(faces, params.choice, width=width, height=height)
    square = around(face, width=width, height=height, frame=_frame(params.method, params.margin))
    seen, padded = _taken(image, square)
    pixels = fit(seen, size_px=params.size_px, how="squash")[0]
    return Cut(pixels, square, params.method, len(faces), padded, face)


def _frame(method: Literal["anime", "mtcnn"], margin: float | None) -> Frame:
    """A detector's frame; a narrower one is lifted less, so that it still shows the chin."""
    own = FRAMES[method]
    return own if margin is None else Frame(margin, min(own.rise, own.rise * margin / own.margin))


def _top(image: RGB, size_px: int, *, n_faces: int | None) -> Cut:
    from extractors.fitting import fit

    square = at_top(width=image.shape[1], height=image.shape[0])
    pixels = fit(_taken(image, square)[0], size_px=size_px, how="squash")[0]
    return Cut(pixels, square, "center-top", n_faces, False, None)


def _taken(image: RGB, square: Square) -> tuple[RGB, bool]:
    """The pixels of a square, and whether some of them had to be made up."""
    import numpy as np

    from extractors.fitting import PAD_GREY

    x0, y0 = max(square.x, 0), max(square.y, 0)
    seen = image[y0 : square.y + square.side, x0 : square.x + square.side]
    if seen.shape[:2] == (square.side, square.side):
        return seen, False
    filled = np.full((square.side, square.side, 3), PAD_GREY, np.uint8)
    top, left = y0 - square.y, x0 - square.x
    filled[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
    return filled, True


def png_of(pixels: RGB) -> bytes:
    """Pixels as a PNG without any metadata.

    The same pixels give the same bytes for as long as Pillow and its zlib are the same.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
