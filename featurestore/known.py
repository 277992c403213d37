"""What reading each picture showed, as long as its file is the same: so that no index hashes twice.

Owns one file below the row cache for each data folder. A picture is known by its name and a stamp of its
file (`featurestore.elsewhere.Reader.stamp`: size, times, number); one that was touched less than two seconds
before it was read is not kept, for it may change again without a trace. Refuses to believe a damaged file,
and one of another decoder or with other caps.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from featurestore.errors import ImageRejected, Reason
from featurestore.files import make_folder, write_bytes_atomic
from featurestore.spec import DECODER_VERSION

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from featurestore.scan import IndexOptions, Seen

__all__ = ["Known", "known_file"]

log = logging.getLogger(__name__)

_FORMAT: Final = 1
#: File systems tell times in steps of up to two seconds.
_STEP_NS: Final = 2_000_000_000
_FORMATS: Final = ("", "jpeg", "png", "webp", "gif", "bmp")
_REASONS: Final = ("", *(reason.value for reason in Reason))


def known_file(cache: Path, root: Path) -> Path:
    """Where what is known of a data folder, or of the pictures of a manifest, is kept."""
    return cache / "_index" / f"{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:32]}.npz"


def _numbers() -> np.dtype[Any]:
    import numpy as np

    return np.dtype(
        [
            ("sha256", "u1", 32), ("phash", "u8"), ("width", "u4"), ("height", "u4"), ("format", "u1"),
            ("n_bytes", "u4"), ("jpeg_quality", "u1"), ("reason", "u1"),
        ]
    )  # fmt: skip


class Known:
    """What was known when it was opened; see `find` and `keep`.

    Parameters
    ----------
    file : Path
    options : IndexOptions
        Of which the decoder's cap and whether hashes of looks are wanted matter.
    distrust : bool
        Whether nothing of it is to be believed.
    """

    def __init__(self, file: Path, options: IndexOptions, *, distrust: bool = False) -> None:
        self._file = file
        looks = options.near_duplicate_distance is not None
        self._about = f"{_FORMAT} {DECODER_VERSION} {options.max_pixels} {looks}"
        self._places: dict[str, int] = {}
        self._stamps: list[str] = []
        self._details: list[str] = []
        self._rows: npt.NDArray[Any] | None = None
        if not distrust and file.exists():
            self._open()

    def _open(self) -> None:
        import numpy as np

        try:
            with np.load(io.BytesIO(self._file.read_bytes()), allow_pickle=False) as found:
                about, *texts = (bytes(found[name]).decode("utf-8", "surrogateescape") for name in _TEXTS)
                rows = found["rows"]
            names, stamps, details = (text.split("\0") if len(rows) else [] for text in texts)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("%s cannot be read (%s); every picture is read anew", self._file, error)
            return
        whole = rows.dtype == _numbers() and len(rows) == len(names) == len(stamps) == len(details)
        if about == self._about and whole:
            self._rows, self._stamps, self._details = rows, stamps, details
            self._places = {name: i for i, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self._places)

    def find(self, name: str, stamp: str) -> Seen | None:
        """What reading showed, if the file is still the one that was read."""
        from featurestore.scan import Seen

        place = self._places.get(name)
        if place is None or self._rows is None or self._stamps[place] != stamp:
            return None
        row = self._rows[place]
        sha256 = row["sha256"].tobytes().hex()
        if row["reason"]:
            reason = Reason(_REASONS[row["reason"]])
            return Seen(name, sha256, rejected=ImageRejected(reason, self._details[place]))
        return Seen(
            name,
            sha256,
            phash=int(row["phash"]),
            size=(int(row["width"]), int(row["height"])),
            format=_FORMATS[row["format"]],
            n_bytes=int(row["n_bytes"]),
            jpeg_quality=int(row["jpeg_quality"]) or None,
        )

    def keep(self, found: Iterable[tuple[Seen, str]]) -> None:
        """Keep what is known now, in place of what was; pictures that could not be read are left out.

        Parameters
        ----------
        found : iterable of (Seen, stamp)
        """
        import numpy as np

        settled = [(one, stamp) for one, stamp in found if one.sha256 and _is_settled(stamp)]
        names, stamps = [one.file for one, _ in settled], [stamp for _, stamp in settled]
        if names == list(self._places) and stamps == self._stamps:
            return
        details = [one.rejected.detail if one.rejected else "" for one, _ in settled]
        rows = np.zeros(len(settled), _numbers())
        for row, (one, _) in zip(rows, settled, strict=True):
            row["sha256"] = np.frombuffer(bytes.fromhex(one.sha256), np.uint8)
            row["phash"], row["n_bytes"] = one.phash, one.n_bytes
            row["width"], row["height"] = one.size
            row["format"], row["jpeg_quality"] = _FORMATS.index(one.format), one.jpeg_quality or 0
            row["reason"] = _REASONS.index(one.rejected.reason.value) if one.rejected else 0
        stream = io.BytesIO()
        texts = [self._about, *("\0".join(text) for text in (names, stamps, details))]
        blobs = (np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8) for text in texts)
        arrays: dict[str, Any] = {"rows": rows, **dict(zip(_TEXTS, blobs, strict=True))}
        np.savez(stream, **arrays)
        make_folder(self._file.parent)
        write_bytes_atomic(self._file, stream.getvalue())


_TEXTS: Final = ("about", "names", "stamps", "details")


def _is_settled(stamp: str) -> bool:
    """Whether a file was left alone for long enough; what a store elsewhere says of one is believed."""
    parts = stamp.split(" ")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        return not stamp.startswith("none")
    return max(int(parts[1]), int(parts[2])) < time.time_ns() - _STEP_NS
