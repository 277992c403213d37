"""Near-duplicates by perceptual hash, and what belongs together because of them.

Owns the hash, the search for pairs within a Hamming distance and the union of groups. Refuses to
know labels and splits.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["UnionFind", "near_duplicate_clusters", "perceptual_hash"]

_BITS = 64
#: So many hashes are compared at once, each with each.
_FEW = 64


def perceptual_hash(pixels: npt.NDArray[np.uint8]) -> int:
    """64-bit DCT hash of an image (imagehash's ``phash``).

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    """
    import imagehash
    from PIL import Image

    return int(str(imagehash.phash(Image.fromarray(pixels))), 16)


class UnionFind:
    """Disjoint sets of 0..n-1.

    Examples
    --------
    >>> sets = UnionFind(3)
    >>> sets.join(0, 2)
    >>> sets.roots()
    [0, 1, 0]
    """

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def find(self, i: int) -> int:
        """The smallest member of i's set."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Make one set of two."""
        a, b = sorted((self.find(i), self.find(j)))
        self._parent[b] = a

    def roots(self) -> list[int]:
        """Per position, the smallest member of its set."""
        return [self.find(i) for i in range(len(self._parent))]


def near_duplicate_clusters(hashes: Sequence[int], distance: int | None) -> list[int]:
    """Clusters of hashes that chains of small steps connect.

    Two hashes within ``distance`` bits agree in at least one of ``distance + 1`` bands, so only
    hashes that share a band are compared.

    Parameters
    ----------
    hashes : sequence of int
        64-bit hashes.
    distance : int or None
        Bits that may differ; None = every image is its own cluster.

    Returns
    -------
    list of int
        Per image, the position of the first image of its cluster.

    Examples
    --------
    >>> near_duplicate_clusters([0b0000, 0b0001, 0b1111 << 20, 0b0011], 1)
    [0, 0, 2, 0]
    """
    import numpy as np

    sets = UnionFind(len(hashes))
    if distance is None or not hashes:
        return sets.roots()
    unique, representative = np.unique(np.array(hashes, dtype=np.uint64), return_index=True)
    where = {int(h): int(i) for h, i in zip(unique, representative, strict=True)}
    for i, h in enumerate(hashes):
        sets.join(where[h], i)
    edges = np.linspace(0, _BITS, distance + 2).astype(int)
    for low, high in itertools.pairwise(edges):
        band = (unique >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        bounds = np.flatnonzero(np.r_[True, band[order][1:] != band[order][:-1], True])
        for start, end in itertools.pairwise(bounds):
            if end - start > 1:
                _join_near(unique[order[start:end]], representative[order[start:end]], distance, sets)
    return sets.roots()


def _join_near(
    hashes: npt.NDArray[np.uint64], members: npt.NDArray[np.intp], distance: int, sets: UnionFind
) -> None:
    """Join those of a few hashes that are near each other; what is one set already is not looked at again."""
    import numpy as np

    if len(hashes) <= _FEW:
        near = np.bitwise_count(hashes[:, None] ^ hashes) <= distance
        for i, j in np.argwhere(np.triu(near, 1)).tolist():
            sets.join(int(members[i]), int(members[j]))
        return
    roots = np.array([sets.find(int(member)) for member in members])
    for k in range(len(hashes) - 1):
        apart = np.flatnonzero(roots[k + 1 :] != roots[k]) + k + 1
        close = apart[np.bitwise_count(hashes[apart] ^ hashes[k]) <= distance]
        for root in set(roots[close].tolist()):
            sets.join(root, int(roots[k]))
            roots[roots == max(root, roots[k])] = min(root, roots[k])
