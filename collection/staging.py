"""A folder that is made whole beside another before it takes its place.

Owns the temporary, the swap, what a run that was killed left of either, and that nobody reads the
temporary's name: it is gone when somebody looks.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from featurestore.errors import DataError, KyaraError
from featurestore.files import held, is_running

__all__ = ["copy_folder", "staged", "swap"]

log = logging.getLogger(__name__)

#: Loggers that tell of what they read in a data folder.
_LOGGERS: Final = ("featurestore.metadata", "featurestore.scan")

_HERE: Final = -100  # AT_FDCWD of Linux
_EXCHANGE: Final = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


@contextlib.contextmanager
def staged(root: Path) -> Iterator[Path]:
    """A name beside ``root`` for what is to take its place; whatever is left there goes at the end.

    Decisions that a review makes meanwhile wait until it is over. What runs that were killed have left is
    cleared away, or put back where nothing took its place. Log lines and errors that name the temporary
    name ``root``.

    Raises
    ------
    DataError
        If ``root`` is a link to nothing, or nothing can be made beside it.
    """
    place = _place(root)
    _clear(place)
    staging = place.with_name(f".{place.name}-{os.getpid()}-{uuid.uuid4().hex}")
    renaming = _Renaming(str(staging), str(root))
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(renaming)
    decided = place / "metadata"
    try:
        with held(decided) if decided.is_dir() else contextlib.nullcontext():
            yield staging
    except KyaraError as error:
        error.args = tuple(str(arg).replace(str(staging), str(root)) for arg in error.args)
        raise
    except OSError as error:
        for name in ("filename", "filename2"):
            if getattr(error, name) is not None:
                setattr(error, name, str(getattr(error, name)).replace(str(staging), str(root)))
        raise
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(renaming)
        shutil.rmtree(staging, ignore_errors=True)


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder, its links as links.

    Raises
    ------
    DataError
        Naming the first file that cannot be copied.
    """
    try:
        shutil.copytree(source, target, symlinks=True)
    except shutil.Error as error:
        name, _, why = error.args[0][0]
        raise DataError(f"{name}: cannot be copied ({why}); mend or remove it") from None


def swap(staging: Path, root: Path) -> None:
    """Put ``staging`` in the place of ``root``, in one step where the system can; what was there goes.

    All of it is on the disk before anything goes. Where it takes two steps and is interrupted between
    them, what was there is put back.
    """
    place = _place(root)
    os.sync()
    if place.exists() and _exchanged(staging, place):
        return  # whoever made the name takes away what stands there now
    old = place.with_name(f".{place.name}-old-{os.getpid()}-{uuid.uuid4().hex}")
    try:
        if place.exists():
            place.rename(old)
        staging.rename(place)
    except BaseException:
        if old.exists() and not place.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _place(root: Path) -> Path:
    """The folder itself, where ``root`` is a link to it."""
    place = Path(os.path.realpath(root))
    if root.is_symlink() and not place.is_dir():
        raise DataError(
            f"{root}: a link to {place}, which is no folder; make that folder, or remove the link"
        )
    if os.path.ismount(place):
        raise DataError(
            f"{root}: a mount, which cannot be replaced; let it be a link to a folder on that disk"
        )
    if not os.access(place.parent, os.W_OK):
        raise DataError(
            f"{place.parent}: nothing can be written there, and {root} is made anew beside itself"
        )
    return place


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two folders have each other's names now; False where the system or the disk cannot do it."""
    system = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin":
        return bool(system.renamex_np(*names, _EXCHANGE) == 0)
    if not hasattr(system, "renameat2"):
        return False
    return bool(system.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0)


def _clear(place: Path) -> None:
    """Take away what killed runs left beside a folder; put back what they had moved out of its place."""
    left = re.compile(rf"\.{re.escape(place.name)}-(old-)?(\d+)-[0-9a-f]{{32}}")
    for path in sorted(place.parent.glob(f".{place.name}-*")):
        found = left.fullmatch(path.name)
        if found is None or is_running(int(found[2])):
            continue
        if found[1] and not place.exists():
            path.rename(place)
            log.warning("%s: put back; a run that replaced it was killed midway", place)
        else:
            shutil.rmtree(path, ignore_errors=True)


class _Renaming(logging.Filter):
    """Says one name for another."""

    def __init__(self, name: str, other: str) -> None:
        super().__init__()
        self._name, self._other = name, other

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record."""
        record.msg, record.args = record.getMessage().replace(self._name, self._other), None
        return True
