"""Squares in a picture: around a face with a margin, or at the top where no face is known.

Owns the geometry. Refuses to know detectors and pixels. A square that does not fit is shifted, then shrunk;
only a face that is longer than the picture's shorter side makes one that reaches beyond the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from extractors.faces import FaceBox

__all__ = ["FRAMES", "Choice", "Frame", "Square", "around", "at_top", "box_text", "chosen"]

Choice = Literal["largest", "central"]


@dataclass(frozen=True)
class Frame:
    """How a mugshot lies about a detector's box.

    Attributes
    ----------
    margin : float
        The square's side is ``1 + margin`` times the longer side of the box.
    rise : float
        How far the square's centre lies above the box's, as a share of that longer side.
    """

    margin: float
    rise: float


#: animeface's box goes from the brows to the chin, so that hair takes as much again above it; MTCNN's begins
#: at the hairline. Both give the hair, and the shoulders where they begin.
FRAMES: Final = {"anime": Frame(margin=1.1, rise=0.28), "mtcnn": Frame(margin=1.1, rise=0.12)}


@dataclass(frozen=True)
class Square:
    """A square, in whole pixels of a picture, from its top left corner.

    Attributes
    ----------
    x, y : int
        Of its top left corner; below 0 where the square reaches beyond the picture.
    side : int
    """

    x: int
    y: int
    side: int

    @property
    def width(self) -> int:
        """As `side`."""
        return self.side

    @property
    def height(self) -> int:
        """As `side`."""
        return self.side


def box_text(box: Square | FaceBox) -> str:
    """Left, top, width and height in whole pixels, as records have them."""
    return " ".join(str(round(side)) for side in (box.x, box.y, box.width, box.height))


def around(face: FaceBox, *, width: int, height: int, frame: Frame) -> Square:
    """The square of a mugshot.

    Parameters
    ----------
    face : FaceBox
        Inside the picture.
    width, height : int
        Of the picture, in pixels.
    frame : Frame

    Returns
    -------
    Square
        Inside the picture if the face's longer side is; never smaller than that side.

    Examples
    --------
    >>> from extractors.faces import FaceBox
    >>> around(FaceBox(40, 60, 20, 20, 1.0), width=100, height=200, frame=Frame(margin=1.0, rise=0.25))
    Square(x=30, y=45, side=40)
    """
    longer = max(face.width, face.height)
    wanted = max(1, round(longer * (1 + frame.margin)))
    side = max(min(wanted, width, height), math.ceil(longer))
    middle_x, middle_y = face.x + face.width / 2, face.y + face.height / 2 - frame.rise * longer
    # what is shrunk must not lose the chin or the brows for the sake of the rise
    middle_y = min(max(middle_y, face.y + face.height - side / 2), face.y + side / 2)
    return Square(_start(middle_x, side, width), _start(middle_y, side, height), side)


def _start(middle: float, side: int, length: int) -> int:
    """Where a span begins, shifted inside ``length``; where it is longer, centred on it."""
    spare = length - side
    return round(spare / 2) if spare < 0 else min(max(round(middle - side / 2), 0), spare)


def at_top(*, width: int, height: int) -> Square:
    """The largest square of a picture, at its top, in the middle."""
    side = min(width, height)
    return Square((width - side) // 2, 0, side)


def chosen(faces: Sequence[FaceBox], choice: Choice, *, width: int, height: int) -> FaceBox:
    """One of several faces; of equals the likelier, then the upper, then the left one.

    Parameters
    ----------
    faces : sequence of FaceBox
        At least one.
    choice : {"largest", "central"}
        By area, or by the distance of its middle from the picture's.
    """

    def rank(face: FaceBox) -> tuple[float, ...]:
        x, y = face.x + face.width / 2 - width / 2, face.y + face.height / 2 - height / 2
        first = -face.width * face.height if choice == "largest" else x * x + y * y
        return first, -face.likelihood, face.y, face.x

    return min(faces, key=rank)
