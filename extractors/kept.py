"""What was learned before, kept for branches and experiments.

Owns the files in one folder and the list of their digests, without which they are not believed. Refuses to
know what they are and what decides the folder's name.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from featurestore.documents import read_json
from featurestore.files import write_bytes_atomic, write_text_atomic

__all__ = ["Kept"]

log = logging.getLogger(__name__)


class Kept:
    """What was learned before; believed only if its bytes are those that were written.

    Parameters
    ----------
    folder : Path
        Named by the digest of all that decides what is learned.
    files : tuple of str
        What is kept there.
    """

    _LIST: Final = "kept.json"

    def __init__(self, folder: Path, files: tuple[str, ...]) -> None:
        self.folder = folder
        self._files = files

    def read(self) -> dict[str, bytes] | None:
        """File name -> bytes; None if nothing, or something damaged, is there."""
        try:
            digests = read_json(self.folder / self._LIST)
            found = {file: (self.folder / file).read_bytes() for file in self._files}
            if {file: hashlib.sha256(data).hexdigest() for file, data in found.items()} == digests:
                return found
        except FileNotFoundError:
            if not (self.folder / self._LIST).exists():
                return None  # nothing was learned, or it was cut off
        except ValueError as error:
            log.debug("%s", self.folder, exc_info=error)
        log.warning("%s: not what was learned, bytes differ; it is learned again", self.folder)
        return None

    def write(self, found: Mapping[str, bytes]) -> None:
        """Keep files; their list comes last and makes them valid."""
        for file, data in found.items():
            write_bytes_atomic(self.folder / file, data)
        digests = {file: hashlib.sha256(data).hexdigest() for file, data in found.items()}
        write_text_atomic(self.folder / self._LIST, json.dumps(digests, sort_keys=True) + "\n")
