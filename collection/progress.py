"""How far a long run is: a bar on a terminal, a line now and then elsewhere.

Refuses to know what is done.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["told"]

log = logging.getLogger(__name__)

T = TypeVar("T")


def told(
    made: Iterable[T], n: int, *, name: str, where: object, unit: str = "picture", every_s: float = 30.0
) -> Iterator[T]:
    """The same things; how many of them there were is shown while they come.

    Parameters
    ----------
    made : iterable
    n : int
        How many will come.
    name : str
        What the bar is called.
    where : object
        What a line begins with.
    unit : str
        What one of them is called.
    every_s : float
        Seconds between two lines.
    """
    from tqdm import tqdm

    shown, last = sys.stderr.isatty(), time.monotonic()
    for i, one in enumerate(tqdm(made, total=n, desc=name, unit=unit, disable=not shown), start=1):
        yield one
        if not shown and i < n and time.monotonic() - last >= every_s:
            last = time.monotonic()
            log.info("%s: %d of %d %ss", where, i, n, unit)
