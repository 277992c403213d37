"""Streams of chance, each keyed by what it is for.

Owns: how randomness is split, so that moving one thing moves nothing else. Refuses to know the draws.
"""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["stream"]


def stream(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """Return a stream of chance keyed by seed, purpose and number.

    Examples
    --------
    >>> float(stream(42, "hair", 3).random()) == float(stream(42, "hair", 3).random())
    True
    """
    key = (zlib.crc32(purpose.encode()), number)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
