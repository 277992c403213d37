"""What reading a picture showed: its key and its measures, or why it is none.

Owns that of one file, and of many by columns. Refuses to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from featurestore.columns import Made
from featurestore.errors import ImageRejected, Reason
from featurestore.rows import KEY_BYTES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from featurestore.columns import Texts

__all__ = ["FORMATS", "Seen", "Sightings", "sighting_type"]

#: What a picture's bytes may be; its number stands in a row.
FORMATS: Final = ("", "jpeg", "png", "webp", "gif", "bmp")
_REASONS: Final = ("", *(reason.value for reason in Reason))


@dataclass(frozen=True, slots=True)
class Seen:
    """One file after reading: its key and either technical facts or a reason.

    Attributes
    ----------
    file : str
        Its path below the data folder, or its URI.
    sha256 : str
        Of its bytes, in hex; empty where they could not be read.
    phash : int
        64 bits that tell its looks.
    size : (int, int)
        Width and height in pixels, upright.
    jpeg_quality : int or None
    rejected : ImageRejected or None
        Why it is no image of the study.
    """

    file: str
    sha256: str
    phash: int = 0
    size: tuple[int, int] = (0, 0)
    format: str = ""
    n_bytes: int = 0
    jpeg_quality: int | None = None
    rejected: ImageRejected | None = None


def sighting_type() -> np.dtype[Any]:
    """One row of `Sightings`: 55 bytes."""
    import numpy as np

    return np.dtype(
        [
            ("sha256", "u1", KEY_BYTES), ("phash", "u8"), ("width", "u4"), ("height", "u4"), ("format", "u1"),
            ("n_bytes", "u4"), ("jpeg_quality", "u1"), ("reason", "u1"),
        ]
    )  # fmt: skip


class Sightings(Made[Seen]):
    """What reading each of some files showed; nothing, until it is put in.

    Parameters
    ----------
    files : Texts

    Attributes
    ----------
    rows : ndarray of `sighting_type`, shape (n,)
        A file that was not read, or could not be, has a key of zeros.
    details : dict of int to str
        What is said of a file that is no image of the study, by its place.
    """

    def __init__(self, files: Texts) -> None:
        import numpy as np

        self.files = files
        self.rows: npt.NDArray[Any] = np.zeros(len(files), sighting_type())
        self.details: dict[int, str] = {}

    def put(self, i: int, one: Seen) -> None:
        """What the file at a place showed."""
        row = self.rows[i]
        if one.sha256:
            row["sha256"] = list(bytes.fromhex(one.sha256))
        row["phash"], row["n_bytes"] = one.phash, one.n_bytes
        row["width"], row["height"] = one.size
        row["format"], row["jpeg_quality"] = FORMATS.index(one.format), one.jpeg_quality or 0
        if one.rejected is not None:
            row["reason"] = _REASONS.index(one.rejected.reason.value)
            self.details[i] = one.rejected.detail

    def reject(self, i: int, reason: Reason, detail: str) -> None:
        """Take a file for no image of the study, whatever it showed."""
        self.put(i, Seen(self.files[i], self.key(i), rejected=ImageRejected(reason, detail)))

    def key(self, i: int) -> str:
        """Sha256 of the bytes of the file at a place, in hex; of one that was not read it is empty."""
        key: bytes = self.rows["sha256"][i].tobytes()
        return key.hex() if any(key) else ""

    @property
    def keys(self) -> npt.NDArray[np.uint8]:
        """Of all files, shape (n, 32)."""
        keys: npt.NDArray[np.uint8] = self.rows["sha256"]
        return keys

    @property
    def rejected(self) -> npt.NDArray[np.bool_]:
        """Which files are no images of the study, shape (n,)."""
        reasons: npt.NDArray[np.bool_] = self.rows["reason"] > 0
        return reasons

    def __len__(self) -> int:
        return len(self.rows)

    def item(self, i: int) -> Seen:
        """The one at a place."""
        row = self.rows[i]
        if row["reason"]:
            rejected = ImageRejected(Reason(_REASONS[row["reason"]]), self.details[i])
            return Seen(self.files[i], self.key(i), rejected=rejected)
        return Seen(
            self.files[i],
            self.key(i),
            phash=int(row["phash"]),
            size=(int(row["width"]), int(row["height"])),
            format=FORMATS[row["format"]],
            n_bytes=int(row["n_bytes"]),
            jpeg_quality=int(row["jpeg_quality"]) or None,
        )
