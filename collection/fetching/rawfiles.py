"""Bytes as they came, each once, under their sha256.

Owns ``<root>/<first two hex>/<sha256>`` and clearing away what killed runs left. Refuses to know
where bytes come from, and what they show.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

from featurestore.errors import DataError
from featurestore.files import TEMPORARY_PREFIX, is_running, write_bytes_atomic

__all__ = ["is_kept", "keep", "kept", "raw_path", "sweep"]

#: Temporaries of this process that are older than it are those of another that had its number.
_STARTED_S = time.time()
_A_DAY_S = 24 * 3600.0


def raw_path(root: Path, sha256: str) -> Path:
    """Where bytes of that hash are kept."""
    return root / sha256[:2] / sha256


def keep(root: Path, data: bytes) -> str:
    """Write bytes, all or nothing, unless they are there already; returns their sha256 (hex).

    Raises
    ------
    OSError
        If the disk is full or refuses.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    if not is_kept(root, sha256, len(data)):
        write_bytes_atomic(raw_path(root, sha256), data)
    return sha256


def is_kept(root: Path, sha256: str, n_bytes: int) -> bool:
    """Whether bytes of that hash are here still, as many as there were."""
    try:
        return raw_path(root, sha256).stat().st_size == n_bytes
    except OSError:
        return False


def kept(root: Path, sha256: str) -> bytes:
    """The bytes of a hash.

    Raises
    ------
    DataError
        If others stand there.
    """
    path = raw_path(root, sha256)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{path}: damaged, these are not the bytes that came; delete it and search again")
    return data


def sweep(root: Path) -> int:
    """Delete the unfinished writes of runs that are no more; returns how many there were."""
    n_removed = 0
    for file in root.rglob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # its writer was faster
            if _is_stale(file):
                file.unlink()
                n_removed += 1
    return n_removed


def _is_stale(file: Path) -> bool:
    written_s = file.stat().st_mtime
    number = file.name.removeprefix(TEMPORARY_PREFIX).partition("-")[0]
    if not number.isdigit() or time.time() - written_s > _A_DAY_S:
        return True
    if int(number) == os.getpid():
        return written_s < _STARTED_S
    return not is_running(int(number))
