"""What may be wrong with one picture: blank, blurred, tiny, of an odd shape, full of text.

Owns the measures and their limits. Each is a hint for a curator's eye and removes nothing. Refuses to compare
pictures (``twins``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["FLAGS", "Flag", "Measures", "Thresholds", "flags_of", "measure"]

#: Every flag and what it means, in the order that they are shown in.
FLAGS: Final = {
    "unreadable": "no picture can be made of the file",
    "blank": "its greys hardly differ",
    "blurred": "it has no sharp edges",
    "no_face": "no face was found in what it was cut from",
    "tiny": "what it was cut from is less than half as large as a mugshot",
    "text": "many small marks stand in rows, as letters do",
    "shape": "it is much longer one way than the other",
    "same_bytes": "another file holds the same bytes",
    "same_bytes_across": "another file holds the same bytes and has another label",
    "same_pixels": "another file shows the same pixels",
    "same_pixels_across": "another file shows the same pixels and has another label",
    "near_duplicate": "another picture looks nearly the same",
    "near_duplicate_across": "another picture looks nearly the same and has another label",
}

#: Greys are measured at this size, so that a limit means the same for every picture.
_SIDE_PX: Final = 256


@dataclass(frozen=True)
class Thresholds:
    """From where on a measure is worth a look.

    Attributes
    ----------
    blank_sd : float
        Standard deviation of grey (0 to 255) below which a picture is blank.
    sharpness : float
        Variance of the Laplacian of grey at 256x256 below which it is blurred: a Gaussian blur of 2 pixels,
        or a picture enlarged four times.
    side_px : int
        A shorter side below this is tiny: as a mugshot of 256 pixels it is enlarged more than twice.
    text_share : float
        Share of the area under rows of letter-like marks above which it is full of text.
    elongation : float
        Longer side over shorter side above which its shape is odd.
    distance : int or None
        Bits of 64 in which the perceptual hashes of near-duplicates differ at most; as
        ``data.near_duplicate_distance``. None = they are not looked for.
    """

    blank_sd: float = 8.0
    sharpness: float = 30.0
    side_px: int = 128
    text_share: float = 0.04
    elongation: float = 2.0
    distance: int | None = 4


@dataclass(frozen=True)
class Flag:
    """A hint.

    Attributes
    ----------
    file : str
        Relative to the data folder.
    name : str
        One of `FLAGS`.
    value, limit : float
        What was measured, and the threshold that it is beyond.
    other : str
        The file that it is like, or what the decoder said; empty for the rest.
    """

    file: str
    name: str
    value: float
    limit: float
    other: str = ""


@dataclass(frozen=True)
class Measures:
    """What was measured of one picture; see `Thresholds` for units.

    Attributes
    ----------
    grey_sd, sharpness, text_share, elongation : float
    side_px : int
        Shorter side of the picture.
    """

    grey_sd: float
    sharpness: float
    side_px: int
    text_share: float
    elongation: float


def measure(pixels: npt.NDArray[np.uint8]) -> Measures:
    """Measure one picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        RGB.
    """
    import cv2
    import numpy as np

    from collection.curation.lettering import text_share

    height, width = pixels.shape[:2]
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    shrinks = min(height, width) >= _SIDE_PX
    small = cv2.resize(
        grey, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return Measures(
        grey_sd=float(small.std()),
        sharpness=float(cv2.Laplacian(small, cv2.CV_64F).var()),
        side_px=min(height, width),
        text_share=text_share(grey),
        elongation=max(height, width) / min(height, width),
    )


def flags_of(
    file: str, measures: Measures, thresholds: Thresholds, *, original_px: int | None = None
) -> list[Flag]:
    """What is worth a look in one picture by itself.

    Parameters
    ----------
    original_px : int or None
        Shorter side of what the picture was cut from; None = the picture's own counts.
    """
    m, t = measures, thresholds
    side = m.side_px if original_px is None else original_px
    found = []
    if m.grey_sd < t.blank_sd:
        found.append(Flag(file, "blank", m.grey_sd, t.blank_sd))
    elif m.sharpness < t.sharpness:  # what is blank has no edges either
        found.append(Flag(file, "blurred", m.sharpness, t.sharpness))
    if side < t.side_px:
        found.append(Flag(file, "tiny", side, t.side_px))
    if m.text_share > t.text_share:
        found.append(Flag(file, "text", m.text_share, t.text_share))
    if m.elongation > t.elongation:
        found.append(Flag(file, "shape", m.elongation, t.elongation))
    return found
