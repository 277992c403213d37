"""Near-duplicates by perceptual hash, and what belongs together because of them.

Owns the hash, the search for pairs within a Hamming distance and the union of groups. Refuses to
know labels and splits.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from featurestore.columns import parts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint64]
    Places = npt.NDArray[np.int32]

__all__ = ["UnionFind", "near_duplicate_clusters", "perceptual_hash", "quick_hash"]

_BITS = 64
#: So many hashes are compared at once, each with each.
_FEW = 64
#: Hashes that are compared with those after them at a time: what that takes besides stays small.
_AT_ONCE = 1 << 14


def perceptual_hash(pixels: npt.NDArray[np.uint8]) -> int:
    """64-bit DCT hash of an image (imagehash's ``phash``).

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    """
    import imagehash
    from PIL import Image

    return int(str(imagehash.phash(Image.fromarray(pixels))), 16)


def quick_hash(pixels: npt.NDArray[np.uint8]) -> int:
    """The same hash, in a third of the time and mostly without Python's lock; it imports numba first."""
    import numpy as np
    from scipy.fftpack import dct

    from featurestore.thumbnail import thumbnail

    low = dct(dct(thumbnail(pixels), axis=0), axis=1)[:8, :8]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


class UnionFind:
    """Disjoint sets of 0..n-1.

    Parameters
    ----------
    n : int
    parents : iterable of int or None
        Of each a smaller member of its set, or itself; what `roots` gave, say.

    Examples
    --------
    >>> sets = UnionFind(3)
    >>> sets.join(0, 2)
    >>> list(sets.roots())
    [0, 1, 0]
    """

    def __init__(self, n: int, parents: Iterable[int] | None = None) -> None:
        self._parent = array("i", range(n) if parents is None else parents)

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

    def roots(self) -> array[int]:
        """Per position, the smallest member of its set."""
        return array("i", map(self.find, range(len(self._parent))))


def near_duplicate_clusters(hashes: Sequence[int] | Hashes, distance: int | None) -> array[int]:
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
    array of int
        Per image, the position of the first image of its cluster.

    Examples
    --------
    >>> list(near_duplicate_clusters([0b0000, 0b0001, 0b1111 << 20, 0b0011], 1))
    [0, 0, 2, 0]
    """
    import numpy as np

    if distance is None or not len(hashes):
        return UnionFind(len(hashes)).roots()
    sets, unique, members = _equals(np.asarray(hashes, dtype=np.uint64))
    edges = np.linspace(0, _BITS, distance + 2).astype(int)
    for low, high in itertools.pairwise(edges):
        order, bounds = _by_band(unique, int(low), int(high))
        _join_near(unique[order], members[order], bounds, distance, sets)
    return sets.roots()


def _equals(hashes: Hashes) -> tuple[UnionFind, Hashes, Places]:
    """Sets of equal hashes; the different hashes, ascending, and the first member of each one's set."""
    import numpy as np

    order = np.argsort(hashes, kind="stable").astype(np.int32)
    ascending = hashes[order]
    is_first = np.r_[True, ascending[1:] != ascending[:-1]]
    members, first = order[is_first], np.empty_like(order)
    first[order] = members[np.cumsum(is_first, dtype=np.int32) - 1]
    return UnionFind(len(hashes), array("i", first.tobytes())), ascending[is_first], members


def _by_band(hashes: Hashes, low: int, high: int) -> tuple[Places, npt.NDArray[np.intp]]:
    """Positions that put some of their bits in ascending order, and where those change, from 0 to the end."""
    import numpy as np

    mask = (1 << (high - low)) - 1
    band = hashes >> np.uint64(low)
    band &= np.uint64(mask)
    band = band.astype(np.min_scalar_type(mask))
    order = np.argsort(band, kind="stable").astype(np.int32)
    band = band[order]
    return order, np.flatnonzero(np.r_[True, band[1:] != band[:-1], True])


def _join_near(
    hashes: Hashes, members: Places, bounds: npt.NDArray[np.intp], distance: int, sets: UnionFind
) -> None:
    """Join hashes that are near each other and between the same bounds."""
    import numpy as np

    sizes = np.diff(bounds)
    for start, size in zip(bounds[:-1][sizes > _FEW].tolist(), sizes[sizes > _FEW].tolist(), strict=True):
        _join_many(hashes[start : start + size], members[start : start + size], distance, sets)
    end = np.repeat(np.where(sizes > _FEW, 0, bounds[1:]).astype(np.int32), sizes)
    for part in parts(len(hashes), _AT_ONCE):
        left = np.arange(part.start, part.stop)
        for step in range(1, _FEW):
            left = left[left + step < end[left]]
            near = left[np.bitwise_count(hashes[left] ^ hashes[left + step]) <= distance]
            for i, j in zip(members[near].tolist(), members[near + step].tolist(), strict=True):
                sets.join(i, j)


def _join_many(hashes: Hashes, members: Places, distance: int, sets: UnionFind) -> None:
    """Join those of many hashes that are near each other; what is one set already is not looked at again."""
    import numpy as np

    roots = np.array([sets.find(member) for member in members.tolist()])
    for k in range(len(hashes) - 1):
        apart = np.flatnonzero(roots[k + 1 :] != roots[k]) + k + 1
        close = apart[np.bitwise_count(hashes[apart] ^ hashes[k]) <= distance]
        for root in set(roots[close].tolist()):
            sets.join(root, int(roots[k]))
            roots[roots == max(root, roots[k])] = min(root, roots[k])
