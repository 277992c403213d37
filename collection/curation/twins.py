"""Which pictures are the same, or nearly: by bytes, by pixels, by perceptual hash; within and across labels.

Owns finding each picture's nearest twin. Stands on ``featurestore.duplicates`` for hashes and clusters, so
that what is near here is near in the index. Refuses to say which of two is to go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from collection.curation.quality import Flag
from featurestore.duplicates import near_duplicate_clusters

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["TWINS", "Likeness", "nearest_twins", "twin_flags"]

#: Flags of twins, the strongest sameness first; ``_across`` is added where the labels differ.
TWINS: Final = ("same_bytes", "same_pixels", "near_duplicate")

#: Further than any two hashes are.
_FAR: Final = 65


@dataclass(frozen=True)
class Likeness:
    """What tells whether two files show the same.

    Attributes
    ----------
    file, label : str
    key : str
        Sha256 of the bytes.
    pixels : str
        Sha256 of the decoded pixels and their size.
    phash : int
        `featurestore.duplicates.perceptual_hash`.
    """

    file: str
    label: str
    key: str
    pixels: str
    phash: int


def twin_flags(files: Sequence[Likeness], *, distance: int | None) -> list[Flag]:
    """The nearest twin of each file, one of its own label and one of another.

    Of each file and kind of label the strongest sameness counts: bytes before pixels before hashes.

    Parameters
    ----------
    files : sequence of Likeness
    distance : int or None
        Bits of 64 that near-duplicates may differ in; None = only what is the same is told.
    """
    flags: list[Flag] = []
    told: set[tuple[str, bool]] = set()
    for name, limit, group in _sames(files, distance):
        for flag in _flags_in(group, name, limit):
            kind = (flag.file, flag.name.endswith("_across"))
            if kind not in told:
                told.add(kind)
                flags.append(flag)
    return sorted(flags, key=lambda flag: flag.file)


def nearest_twins(files: Sequence[Likeness], *, distance: int | None) -> dict[str, Flag]:
    """One twin of each file that has any, found without its label: for those who must not know labels.

    The strongest sameness counts, then the fewest bits, then the smallest key. Two twins, one of each kind
    of label, would tell which picture has another label than its twins.

    Parameters
    ----------
    files, distance
        As for `twin_flags`.
    """
    nearest: dict[str, Flag] = {}
    for name, limit, group in _sames(files, distance):
        by_key = sorted(group, key=lambda one: (one.key, one.file))
        for one, bits in zip(by_key, _distances(by_key, limit), strict=True):
            i = int(bits.argmin())
            if bits[i] <= limit and one.file not in nearest:
                nearest[one.file] = Flag(one.file, name, float(bits[i]), limit, by_key[i].file)
    return nearest


def _sames(files: Sequence[Likeness], distance: int | None) -> Iterator[tuple[str, int, list[Likeness]]]:
    """Flag, limit in bits and files of each group that may be twins, the strongest sameness first."""
    clusters = near_duplicate_clusters([one.phash for one in files], distance)
    of_files: tuple[Iterable[object], ...] = (
        [one.key for one in files],
        [one.pixels for one in files],
        clusters,
    )
    for name, limit, groups in zip(TWINS, (0, 0, distance or 0), of_files, strict=True):
        for group in _groups(files, groups):
            yield name, limit, group


def _groups(files: Sequence[Likeness], names: Iterable[object]) -> list[list[Likeness]]:
    """Files of one name each, where there are two or more."""
    groups: dict[object, list[Likeness]] = defaultdict(list)
    for one, name in zip(files, names, strict=True):
        groups[name].append(one)
    return [group for group in groups.values() if len(group) > 1]


def _flags_in(group: Sequence[Likeness], name: str, limit: int) -> list[Flag]:
    """A flag for each file that has a twin near enough; chains of small steps join what is far apart."""
    import numpy as np

    labels = np.array([one.label for one in group])
    flags = []
    for one, bits in zip(group, _distances(group, limit), strict=True):
        for suffix, others in (("", labels == one.label), ("_across", labels != one.label)):
            far = np.where(others, bits, _FAR)
            nearest = int(far.argmin())
            if far[nearest] <= limit:
                flags.append(Flag(one.file, name + suffix, float(far[nearest]), limit, group[nearest].file))
    return flags


def _distances(group: Sequence[Likeness], limit: int) -> Iterator[npt.NDArray[np.intp]]:
    """Of each file the bits in which it differs from each; from itself too far to be its twin."""
    import numpy as np

    hashes = np.array([one.phash for one in group], dtype=np.uint64)
    for i in range(len(group)):
        bits = (
            np.bitwise_count(hashes ^ hashes[i]).astype(np.intp) if limit else np.zeros(len(group), np.intp)
        )
        bits[i] = _FAR
        yield bits
