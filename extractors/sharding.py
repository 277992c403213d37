"""A part of the images, so that many processes fill one row cache without a word between them.

Owns who computes what. Refuses to know schedulers: what a scheduler numbers is what is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from featurestore.elsewhere import Place

__all__ = ["Shard", "part_of"]

#: Digits of a key that decide; keys are hashes, so that parts are alike in size.
_DIGITS = 12


@dataclass(frozen=True)
class Shard:
    """Part ``index`` (from 0) of ``n``.

    Examples
    --------
    >>> str(Shard.parsed("3/8"))
    '3/8'
    >>> Shard.parsed("8/8")
    Traceback (most recent call last):
    ValueError: '8/8': parts of 8 are 0/8 to 7/8 (of Slurm: --array=0-7, $SLURM_ARRAY_TASK_ID/8)
    """

    index: int
    n: int

    @classmethod
    def parsed(cls, text: str) -> Self:
        """From ``I/N``.

        Raises
        ------
        ValueError
        """
        index, slash, n = text.partition("/")
        if not slash or not index.isdecimal() or not n.isdecimal() or int(n) < 1:
            raise ValueError(f"{text!r} is no part of the images: I/N, as in 0/8")
        if int(index) >= int(n):
            last = int(n) - 1
            raise ValueError(
                f"{text!r}: parts of {n} are 0/{n} to {last}/{n}"
                f" (of Slurm: --array=0-{last}, $SLURM_ARRAY_TASK_ID/{n})"
            )
        return cls(int(index), int(n))

    def __str__(self) -> str:
        return f"{self.index}/{self.n}"

    def has(self, key: str) -> bool:
        """Whether an image is in it; other images in the data set change nothing about that."""
        return int(key[:_DIGITS], 16) % self.n == self.index


def part_of(images: Mapping[str, Place], shard: Shard) -> dict[str, Place]:
    """The images of a part, in their order."""
    return {key: images[key] for key in images if shard.has(key)}
