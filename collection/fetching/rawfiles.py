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

from featurestore.files import TEMPORARY_PREFIX, write_bytes_atomic

__all__ = ["keep", "raw_path", "sweep"]

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
    path = raw_path(root, sha256)
    if not path.exists():
        write_bytes_atomic(path, data)
    return sha256


def sweep(root: Path) -> int:
    """Delete the unfinished writes of runs that are no more; returns how many there were."""
    n_removed = 0
    for file in root.glob(f"[0-9a-f][0-9a-f]/{TEMPORARY_PREFIX}*"):
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
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # somebody else's, and alive
        return False
    return False
