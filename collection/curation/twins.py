"""Which pictures are the same, or nearly: by bytes, by pixels, by perceptual hash; within and across labels.

Owns finding each picture's nearest twin. Stands on ``featurestore.duplicates`` for hashes and clusters, so
that what is near here is near in the index. Refuses to say which of two is to go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collection.curation.quality import Flag
from featurestore.duplicates import near_duplicate_clusters

__all__ = ["Likeness", "twin_flags"]


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
    for name, groups in (
        ("same_bytes", _groups(files, [one.key for one in files])),
        ("same_pixels", _groups(files, [one.pixels for one in files])),
        ("near_duplicate", _groups(files, near_duplicate_clusters([f.phash for f in files], distance))),
    ):
        limit = (distance or 0) if name == "near_duplicate" else 0
        for flag in (flag for group in groups for flag in _flags_in(group, name, limit)):
            kind = (flag.file, flag.name.endswith("_across"))
            if kind not in told:
                told.add(kind)
                flags.append(flag)
    return sorted(flags, key=lambda flag: flag.file)


def _groups(files: Sequence[Likeness], names: Iterable[object]) -> list[list[Likeness]]:
    """Files of one name each, where there are two or more."""
    groups: dict[object, list[Likeness]] = defaultdict(list)
    for one, name in zip(files, names, strict=True):
        groups[name].append(one)
    return [group for group in groups.values() if len(group) > 1]


def _flags_in(group: Sequence[Likeness], name: str, limit: int) -> list[Flag]:
    """A flag for each file that has a twin near enough; chains of small steps join what is far apart."""
    import numpy as np

    hashes = np.array([one.phash for one in group], dtype=np.uint64)
    labels = np.array([one.label for one in group])
    flags = []
    for i, one in enumerate(group):
        bits = np.bitwise_count(hashes ^ hashes[i]).astype(int) if limit else np.zeros(len(group), int)
        bits[i] = 65
        for suffix, others in (("", labels == one.label), ("_across", labels != one.label)):
            far = np.where(others, bits, 65)
            nearest = int(far.argmin())
            if far[nearest] <= limit:
                flags.append(Flag(one.file, name + suffix, float(far[nearest]), limit, group[nearest].file))
    return flags
