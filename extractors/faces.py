"""Faces in pictures: finding one, and the square around it that a network takes.

Owns the detectors behind ``align:``, at which sizes they search, which of several faces is taken, and the
squares. Refuses to know networks. Importing it imports nothing heavy.
"""

from __future__ import annotations

import functools
import importlib.metadata
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from extractors.weights import WeightsFile
from featurestore.errors import MissingExtra
from featurestore.spec import Status

if TYPE_CHECKING:
    from extractors.base import RGB, Prepared
    from extractors.fitting import Fit

__all__ = [
    "ANIME_SIZES_PX",
    "MARGINS",
    "Align",
    "FaceBox",
    "cut_square",
    "detector",
    "detector_weights",
    "find_face",
    "find_faces",
    "squares",
]

Align = Literal["none", "anime", "mtcnn"]

#: How much longer the square's side is than the longer side of the face's box. animeface's box ends at brows
#: and chin: the square takes in the fringe and the ears too. MTCNN's ends at hairline and chin, and the
#: networks that take such faces were trained with a quarter more.
MARGINS: Final = {"anime": 0.5, "mtcnn": 0.25}

#: animeface searches the picture at the area of a square of these sides in turn, until it finds a face.
#: What it finds depends much on the size: below 112 little, above 160 little more, and slowly. It sees a
#: face from 43 px on, so from about 0.27 of the picture's side.
ANIME_SIZES_PX: Final = (112, 128, 160)

#: MTCNN gets pictures no longer than this: its time grows with the area.
_MTCNN_LONGEST_PX: Final = 512
#: Its smallest window; a picture with a shorter side has no face.
_MTCNN_SMALLEST_PX: Final = 20

#: Moves when the same detector would find other faces here: sizes, margins, choice.
_SEARCH_VERSION: Final = 1

_PACKAGES: Final = {"anime": "animeface", "mtcnn": "facenet-pytorch"}

_MTCNN_WEIGHTS: Final = (
    ("pnet.pt", "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f", 28_570),
    ("rnet.pt", "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86", 403_147),
    ("onet.pt", "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d", 1_559_269),
)


@dataclass(frozen=True)
class FaceBox:
    """A face, in pixels of the picture that it is in, from its top left corner.

    Attributes
    ----------
    x, y, width, height : float
        Wholly inside the picture.
    likelihood : float
        From 0 to 1, as its detector says; two detectors' are not to be compared.
    landmarks : tuple of (x, y)
        From MTCNN: the eye on the picture's left, the other eye, the nose, the mouth's corners, left one
        first. From animeface: none.
    """

    x: float
    y: float
    width: float
    height: float
    likelihood: float
    landmarks: tuple[tuple[float, float], ...] = ()


Finder = Callable[["RGB"], list[FaceBox]]


def detector(align: str) -> str:
    """Name and version of what finds faces, for the fingerprint; empty if nothing does.

    Raises
    ------
    MissingExtra
        If its package is not installed.
    """
    if align == "none":
        return ""
    package = _PACKAGES[align]
    try:
        return f"{package} {importlib.metadata.version(package)}, search {_SEARCH_VERSION}"
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtra(
            f"align: {align} needs the package {package}, which is not installed; run: make setup-all"
        ) from None


def detector_weights(align: str) -> tuple[WeightsFile, ...]:
    """Weights that a detector brings with its package; animeface's are in its code."""
    if align != "mtcnn":
        return ()
    return tuple(
        WeightsFile(name=name, sha256=sha256, n_bytes=n, licence="MIT", package="facenet_pytorch/data")
        for name, sha256, n in _MTCNN_WEIGHTS
    )


def find_face(image: RGB, align: Literal["anime", "mtcnn"]) -> FaceBox | None:
    """The largest face in a picture, the likeliest of equally large ones; None if there is none.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
        Any size; never changed.

    Raises
    ------
    MissingExtra
        If the detector's package is not installed or does not work here.
    """
    return max(_finder(align)(image), key=lambda f: (f.width * f.height, f.likelihood), default=None)


def find_faces(
    image: RGB, align: Literal["anime", "mtcnn"], *, sizes_px: Sequence[int] = ANIME_SIZES_PX
) -> list[FaceBox]:
    """All faces in a picture, in the detector's order.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
        Any size; never changed.
    sizes_px : sequence of int
        For ``anime``: the areas to search at, as sides of squares, in turn until a face is found. A face is
        seen where it is 43 px or wider, so at 0.27 of the side at 160 and at 0.06 at 724. mtcnn has its own.

    Raises
    ------
    MissingExtra
        If the detector's package is not installed or does not work here.
    """
    find = _finder(align)
    return find(image) if align == "mtcnn" else _anime_faces(image, sizes_px)


def cut_square(image: RGB, face: FaceBox, *, margin: float) -> RGB:
    """The square around a face.

    Parameters
    ----------
    margin : float
        The square's side is ``1 + margin`` times the longer side of the box. It is shifted into the picture;
        where the picture is smaller it is padded with `extractors.fitting.PAD_GREY`.

    Returns
    -------
    ndarray of uint8, shape (side, side, 3)
    """
    import numpy as np

    from extractors.fitting import PAD_GREY

    side = max(1, round(max(face.width, face.height) * (1 + margin)))
    height, width = image.shape[:2]
    top = _start(face.y + face.height / 2, side, height)
    left = _start(face.x + face.width / 2, side, width)
    seen = image[max(top, 0) : top + side, max(left, 0) : left + side]
    if seen.shape[:2] == (side, side):
        return seen
    square = np.full((side, side, 3), PAD_GREY, np.uint8)
    y0, x0 = max(-top, 0), max(-left, 0)
    square[y0 : y0 + seen.shape[0], x0 : x0 + seen.shape[1]] = seen
    return square


def _start(middle: float, side: int, length: int) -> int:
    """Where a span of ``side`` around ``middle`` begins, shifted inside ``length``, or around all of it."""
    spare = length - side
    return min(max(round(middle - side / 2), min(0, spare)), max(0, spare))


def squares(*, fit: Fit, size_px: int, align: Align = "none") -> Callable[[Sequence[RGB]], Prepared]:
    """What turns images into a batch of squares; safe to call in several threads.

    Parameters
    ----------
    fit : {"crop", "pad", "squash"}
        How a whole picture becomes a square, where ``align`` is none.
    size_px : int
        Side of the square.
    align : {"none", "anime", "mtcnn"}
        ``none`` takes the whole picture; the others the square around the largest face, wider than its box by
        `MARGINS`. A picture without a face gets the status ``NO_FACE`` and no pixels.

    Raises
    ------
    MissingExtra
        If the detector's package is not installed or does not work here.
    """
    from extractors.fitting import fit as fitted

    def whole(image: RGB) -> RGB | None:
        return fitted(image, size_px=size_px, how=fit)[0]

    def around_face(image: RGB) -> RGB | None:
        face = None if align == "none" else find_face(image, align)
        if face is None:
            return None
        return fitted(cut_square(image, face, margin=MARGINS[align]), size_px=size_px, how="squash")[0]

    if align == "none":
        return functools.partial(prepared, square_of=whole, size_px=size_px)
    _finder(align)  # a package that is missing is missed now, and it is loaded in one thread
    return functools.partial(prepared, square_of=around_face, size_px=size_px)


def prepared(images: Sequence[RGB], *, square_of: Callable[[RGB], RGB | None], size_px: int) -> Prepared:
    """A batch of what a function makes of each image; None = no face.

    Parameters
    ----------
    square_of : callable
        From an image to its square, uint8 (size_px, size_px, 3), or None.
    """
    import numpy as np

    from extractors.base import Prepared

    found = [square_of(image) for image in images]
    status = np.array([Status.NO_FACE if one is None else Status.OK for one in found], np.uint8)
    pixels = np.empty((int((status == Status.OK).sum()), size_px, size_px, 3), np.uint8)
    for place, square in zip(pixels, (one for one in found if one is not None), strict=True):
        place[:] = square
    return Prepared(pixels, status)


@functools.cache
def _finder(align: str) -> Finder:
    """A detector, loaded."""
    detector(align)
    return _load_anime() if align == "anime" else _load_mtcnn()


def _load_anime() -> Finder:
    import numpy as np

    from extractors.animeface_bridge import SMALLEST_PX, detect

    detect(np.zeros((SMALLEST_PX, SMALLEST_PX, 3), np.uint8))  # so that what is wrong is said now

    return functools.partial(_anime_faces, sizes_px=ANIME_SIZES_PX)


def _anime_faces(image: RGB, sizes_px: Sequence[int]) -> list[FaceBox]:
    """What animeface finds at the first size at which it finds anything."""
    from extractors.animeface_bridge import detect

    for size_px in sizes_px:
        smaller, scale = _scaled(image, size_px / math.sqrt(image.shape[0] * image.shape[1]))
        if found := detect(smaller):
            corners = [((f.x, f.y), (f.x + f.width, f.y + f.height)) for f in found]
            return [_face(image, c, f.likelihood, scale) for c, f in zip(corners, found, strict=True)]
    return []


def _load_mtcnn() -> Finder:
    import torch
    from facenet_pytorch import MTCNN

    with torch.random.fork_rng(devices=[]):  # layers draw random numbers before their weights are loaded
        network = MTCNN(device="cpu", keep_all=True, min_face_size=_MTCNN_SMALLEST_PX).eval()
    network.requires_grad_(False)

    def find(image: RGB) -> list[FaceBox]:
        smaller, scale = _scaled(image, min(1.0, _MTCNN_LONGEST_PX / max(image.shape[:2])))
        if min(smaller.shape[:2]) < _MTCNN_SMALLEST_PX:
            return []
        with torch.inference_mode():
            boxes, likelihoods, landmarks = network.detect(smaller, landmarks=True)
        if boxes is None:
            return []
        return [
            _face(image, ((x0, y0), (x1, y1)), likelihood, scale, points)
            for (x0, y0, x1, y1), likelihood, points in zip(boxes, likelihoods, landmarks, strict=True)
        ]

    return find


def _scaled(image: RGB, by: float) -> tuple[RGB, tuple[float, float]]:
    """The picture in another size for a detector, and by what (x, y) there must be multiplied for here."""
    import numpy as np
    from PIL import Image

    height, width = image.shape[:2]
    rows, columns = max(1, round(height * by)), max(1, round(width * by))
    smaller = np.ascontiguousarray(image)
    if (rows, columns) != (height, width):
        picture = Image.fromarray(smaller).resize((columns, rows), Image.Resampling.LANCZOS, reducing_gap=3.0)
        smaller = np.asarray(picture)
    return smaller, (width / columns, height / rows)


def _face(
    image: RGB, corners: Any, likelihood: float, scale: tuple[float, float], landmarks: Any = ()
) -> FaceBox:
    """A face as a detector gives it, in the picture's own pixels, the box clipped to the picture."""
    height, width = image.shape[:2]
    (x0, y0), (x1, y1) = ((float(x) * scale[0], float(y) * scale[1]) for x, y in corners)
    x0, x1 = (min(max(x, 0.0), float(width)) for x in (x0, x1))
    y0, y1 = (min(max(y, 0.0), float(height)) for y in (y0, y1))
    points = tuple((float(x) * scale[0], float(y) * scale[1]) for x, y in landmarks)
    return FaceBox(x0, y0, x1 - x0, y1 - y0, float(likelihood), points)
