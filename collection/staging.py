"""A folder that is made whole beside another before it takes its place.

Owns the temporary, the swap, and that nobody reads the temporary's name: it is gone when somebody looks.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from featurestore.errors import KyaraError

__all__ = ["staged", "swap"]

#: Loggers that tell of what they read in a data folder.
_LOGGERS: Final = ("featurestore.metadata", "featurestore.scan")


@contextlib.contextmanager
def staged(root: Path) -> Iterator[Path]:
    """A name beside ``root`` for what is to take its place; whatever is left there goes at the end.

    Log lines and errors that name it name ``root``.
    """
    staging = root.with_name(f".{root.name}-{uuid.uuid4().hex}")
    renaming = _Renaming(str(staging), str(root))
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(renaming)
    try:
        yield staging
    except KyaraError as error:
        error.args = tuple(str(arg).replace(str(staging), str(root)) for arg in error.args)
        raise
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(renaming)
        shutil.rmtree(staging, ignore_errors=True)


def swap(staging: Path, root: Path) -> None:
    """Put ``staging`` in the place of ``root``; what was there goes last."""
    old = root.with_name(f".{root.name}-old-{uuid.uuid4().hex}")
    if root.exists():
        root.rename(old)
    staging.rename(root)
    shutil.rmtree(old, ignore_errors=True)


class _Renaming(logging.Filter):
    """Says one name for another."""

    def __init__(self, name: str, other: str) -> None:
        super().__init__()
        self._name, self._other = name, other

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record."""
        record.msg, record.args = record.getMessage().replace(self._name, self._other), None
        return True
