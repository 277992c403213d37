"""What reading each picture showed, as long as its file is the same: so that no index hashes twice.

Owns one file below the row cache for each data folder. A picture is known by its name and a stamp of its
file (`featurestore.elsewhere.Reader.stamp`: size, times, number); one that was touched less than two seconds
before it was read is not kept, for it may change again without a trace. Refuses to believe a damaged file,
and one of another decoder or with other caps.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featurestore.columns import Texts
from featurestore.files import atomic_file, buffered, make_folder
from featurestore.rows import KEY_BYTES, KeyIndex, order_of
from featurestore.seen import sighting_type
from featurestore.spec import DECODER_VERSION

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from featurestore.scan import IndexOptions
    from featurestore.seen import Sightings

__all__ = ["Known", "Stamped", "known_file", "stamped"]

log = logging.getLogger(__name__)

_FORMAT: Final = 2
#: File systems tell times in steps of up to two seconds.
_STEP_NS: Final = 2_000_000_000


def known_file(cache: Path, root: Path) -> Path:
    """Where what is known of a data folder, or of the pictures of a manifest, is kept."""
    return cache / "_index" / f"{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:32]}.npz"


@dataclass(frozen=True)
class Stamped:
    """Files as they were before they were read.

    Attributes
    ----------
    states : ndarray of uint8, shape (n, 32)
        Sha256 of each file's name and stamp.
    settled : ndarray of bool, shape (n,)
        Whether it was left alone for so long that no change goes without a trace.
    """

    states: npt.NDArray[np.uint8]
    settled: npt.NDArray[np.bool_]


def stamped(files: Texts, stamp: Callable[[str], str]) -> Stamped:
    """Ask every file for its stamp."""
    import numpy as np

    states, settled = bytearray(), bytearray()
    is_settled = functools.lru_cache(1)(_is_settled)  # members of an archive stand together
    for file in files:
        said = stamp(file)
        states += hashlib.sha256(f"{file}\0{said}".encode("utf-8", "surrogatepass")).digest()
        settled.append(is_settled(said))
    return Stamped(
        np.frombuffer(states, np.uint8).reshape(-1, KEY_BYTES), np.frombuffer(settled, np.uint8).astype(bool)
    )


class Known:
    """What was known when it was opened; see `fill` and `keep`.

    Parameters
    ----------
    file : Path
    options : IndexOptions
        Of which the decoder's cap and whether hashes of looks are wanted matter.
    distrust : bool
        Whether nothing of it is to be believed.
    """

    def __init__(self, file: Path, options: IndexOptions, *, distrust: bool = False) -> None:
        import numpy as np

        self._file = file
        looks = options.near_duplicate_distance is not None
        self._about = f"{_FORMAT} {DECODER_VERSION} {options.max_pixels} {looks}"
        self._states = np.empty((0, KEY_BYTES), np.uint8)
        self._rows = np.empty(0, sighting_type())
        self._details: dict[int, str] = {}
        self._is_current = False
        if not distrust and file.exists():
            self._open()

    def _open(self) -> None:
        import numpy as np

        try:
            with self._file.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
                if bytes(found["about"]).decode() != self._about:
                    return
                states, rows = found["states"], found["rows"]
                details = json.loads(bytes(found["details"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("%s cannot be read (%s); every picture is read anew", self._file, error)
            return
        if rows.dtype != sighting_type() or states.shape != (len(rows), KEY_BYTES):
            return
        rejected = np.flatnonzero(rows["reason"]).tolist()
        if len(rejected) == len(details):
            self._states, self._rows = states, rows
            self._details = dict(zip(rejected, details, strict=True))

    def __len__(self) -> int:
        return len(self._rows)

    def fill(self, sightings: Sightings, now: Stamped) -> npt.NDArray[np.intp]:
        """Put in what is known of files that are as they were, and forget it here.

        Returns
        -------
        ndarray of intp
            Places of the files that must be read.
        """
        import numpy as np

        if np.array_equal(self._states, now.states):
            sightings.rows, sightings.details = self._rows, self._details
            places = np.arange(len(now.states))
        else:
            order = order_of(self._states)
            found = KeyIndex(self._states[order]).find(now.states)
            places = np.where(found >= 0, order[found] if len(order) else -1, -1)
            here = np.flatnonzero(places >= 0)
            sightings.rows[here] = self._rows[places[here]]
            for i in here[sightings.rejected[here]].tolist():
                sightings.details[i] = self._details[int(places[i])]
        new = np.flatnonzero(places < 0)
        self._is_current = len(new) == 0 and len(self) == len(places)
        self._states, self._rows, self._details = (
            np.empty((0, KEY_BYTES), np.uint8),
            self._rows[:0].copy(),
            {},
        )
        return new

    def keep(self, sightings: Sightings, then: Stamped) -> None:
        """Keep what is known now, in place of what was; files that could not be read are left out.

        Parameters
        ----------
        sightings : Sightings
        then : Stamped
            The same files before they were read.
        """
        import numpy as np

        if self._is_current:
            return
        kept = then.settled & sightings.keys.any(axis=1)
        details = [sightings.details[i] for i in np.flatnonzero(kept & sightings.rejected).tolist()]
        about, said = (np.frombuffer(text.encode(), np.uint8) for text in (self._about, json.dumps(details)))
        rows, states = sightings.rows, then.states
        if not kept.all():
            rows, states = rows[kept], states[kept]
        make_folder(self._file.parent)
        with atomic_file(self._file) as file, buffered(file) as stream:
            np.savez(stream, about=about, details=said, states=states, rows=rows)


def _is_settled(stamp: str) -> bool:
    """Whether a file was left alone for long enough; what a store elsewhere says of one is believed."""
    parts = stamp.split(" ")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        return not stamp.startswith("none")
    return max(int(parts[1]), int(parts[2])) < time.time_ns() - _STEP_NS
