"""All faces of a picture, each once.

Owns at which sizes a picture is searched and which finds are one face. Refuses to know which is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from extractors.faces import FaceBox, detector, find_faces

if TYPE_CHECKING:
    from extractors.base import RGB

__all__ = ["SIZES_PX", "Detector", "Finder", "distinct", "face_of", "faces_in", "overlap", "search_of"]

Detector = Literal["anime", "mtcnn"]
Finder = Callable[["RGB", Detector], list[FaceBox]]

#: animeface is asked at each of these, a step being a factor of the square root of 2: it sees a face best at
#: 60 to 120 px, so from half of the picture's side down to a tenth of it; the least is 0.06.
SIZES_PX: Final = (128, 181, 256, 362, 512, 724)

#: Finds that overlap by more (intersection over union) are one face.
_SAME: Final = 0.2

#: Moves when the same detectors would find other faces here.
_VERSION: Final = 1


def faces_in(image: RGB, method: Detector) -> list[FaceBox]:
    """All faces in a picture, the likeliest first.

    Raises
    ------
    MissingExtra
        If the detector's package is not installed or does not work here.
    """
    if method == "mtcnn":
        return distinct(find_faces(image, method))
    return distinct(face for size_px in SIZES_PX for face in find_faces(image, method, sizes_px=[size_px]))


def face_of(values: Mapping[str, Any]) -> FaceBox:
    """A face out of JSON.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    told = dict(values)
    landmarks = tuple((float(x), float(y)) for x, y in told.pop("landmarks", ()))
    return FaceBox(**told, landmarks=landmarks)


def search_of(method: Detector) -> str:
    """What searches, with its version, for the record."""
    return f"{detector(method)}, crop {_VERSION}"


def distinct(found: Iterable[FaceBox]) -> list[FaceBox]:
    """The likeliest of finds that overlap, likeliest first."""
    kept: list[FaceBox] = []
    for face in sorted(found, key=lambda face: (-face.likelihood, face.y, face.x, face.width)):
        if all(overlap(face, other) <= _SAME for other in kept):
            kept.append(face)
    return kept


def overlap(one: FaceBox, other: FaceBox) -> float:
    """Intersection over union of two boxes.

    Examples
    --------
    >>> overlap(FaceBox(0, 0, 2, 2, 1.0), FaceBox(1, 0, 2, 2, 1.0)) == 1 / 3
    True
    """
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    both = max(0.0, width) * max(0.0, height)
    either = one.width * one.height + other.width * other.height - both
    return both / either if either > 0 else 0.0
