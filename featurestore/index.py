"""A scan -> dataset.csv and results/data.json: one row a picture, its group and its split.

Owns keys, groups and splits. Refuses to know how files are read (``scan``), and features.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.dataset import DatasetRow, QuarantineRow, write_table
from featurestore.duplicates import UnionFind, near_duplicate_clusters
from featurestore.errors import DataError, LabelConflict
from featurestore.files import write_text_atomic
from featurestore.metadata import Facts, escape_path
from featurestore.scan import IndexOptions, Scan, Seen
from featurestore.split import SPLITS, assign_splits

__all__ = ["IMAGE_WISE", "Index", "build_index", "split_kind", "write_index"]

log = logging.getLogger(__name__)

#: What every table says where nothing but the picture itself is a group.
IMAGE_WISE = "image-wise split"
#: Clusters above this are reported: a blank or a template, rather than a picture drawn twice.
LARGE_CLUSTER = 20


@dataclass(frozen=True)
class Index:
    """What came of it.

    Attributes
    ----------
    rows : list of DatasetRow
        Ascending by key.
    summary : dict
        What ``results/data.json`` holds.
    """

    rows: list[DatasetRow]
    summary: dict[str, Any]


def _one_per_key(seen: Sequence[Seen], facts: Mapping[str, Facts]) -> dict[str, list[Seen]]:
    """All files of each key, ascending by key; the same bytes in two classes are an error."""
    files: dict[str, list[Seen]] = {}
    for one in seen:
        same = files.setdefault(one.sha256, [])
        same.append(one)
        if facts[same[0].file].label != facts[one.file].label:
            raise LabelConflict(
                f"the same picture is {facts[same[0].file].label!r} in {escape_path(same[0].file)} and"
                f" {facts[one.file].label!r} in {escape_path(one.file)}; delete one of them"
            )
    return dict(sorted(files.items()))


def _merged(same: Sequence[Seen], facts: Mapping[str, Facts]) -> Facts:
    """What is known of one picture: of each fact the first that any of its files gives."""
    known = [facts[one.file] for one in same]
    return Facts(
        known[0].label,
        next((f.character for f in known if f.character), ""),
        next((f.series for f in known if f.series), ""),
    )


def _owned(facts: Facts, group: str) -> str:
    """The name under ``data.group`` that an image belongs to; empty if it has none."""
    if group == "series":
        return facts.series
    if group == "character" and facts.character:
        return f"{facts.series}/{facts.character}" if facts.series else facts.character
    return ""


def _owners(files: Iterable[list[Seen]], facts: Mapping[str, Facts], group: str) -> list[frozenset[str]]:
    """The names that the files of each image belong to; images of the same names share one set."""
    shared: dict[frozenset[str], frozenset[str]] = {}
    every = (frozenset(_owned(facts[one.file], group) for one in same) - {""} for same in files)
    return [shared.setdefault(names, names) for names in every]


def _groups(keys: Sequence[str], owned: Sequence[frozenset[str]], clusters: Sequence[int]) -> list[str]:
    """Name of each image's group: its series or character, several joined by ``+``, or a key.

    ``owned`` holds several names where copies of one picture stand in several series: they join.
    """
    sets = UnionFind(len(keys))
    first: dict[str, int] = {}
    for i, names in enumerate(owned):
        sets.join(clusters[i], i)
        for name in names:
            sets.join(first.setdefault(name, i), i)
    roots = sets.roots()
    members: dict[int, set[str]] = {}
    for root, names in zip(roots, owned, strict=True):
        members.setdefault(root, set()).update(names)
    called = {r: " + ".join(sorted(found)) or f"image {keys[r][:16]}" for r, found in members.items()}
    return [called[r] for r in roots]


def build_index(scanned: Scan, options: IndexOptions) -> Index:
    """Group the images and split the groups.

    Raises
    ------
    DataError, LabelConflict, SplitError
    """
    facts = scanned.facts
    usable = [s for s in scanned.seen if s.rejected is None]
    by_key = _one_per_key(usable, facts)
    kept = [same[0] for same in by_key.values()]
    known = [_merged(same, facts) for same in by_key.values()]
    labels = [one.label for one in known]
    for label in sorted({f.label for f in facts.values()}):
        if label not in labels:
            raise DataError(f"class {label!r}: not one usable image; results/quarantine.csv says why")
    clusters = near_duplicate_clusters([s.phash for s in kept], options.near_duplicate_distance)
    owned = _owners(by_key.values(), facts, options.group)
    groups = _groups(list(by_key), owned, clusters)
    shares = options.shares or {"train": 0.6, "val": 0.2, "test": 0.2}
    splits = assign_splits(labels, groups, shares, method=options.method, seed=options.seed)
    sizes = Counter(clusters)
    rows = [
        DatasetRow(
            key=s.sha256,
            path=escape_path(s.file),
            label=labels[i],
            group=groups[i],
            character=known[i].character,
            series=known[i].series,
            cluster=f"cluster {kept[clusters[i]].sha256[:16]}" if sizes[clusters[i]] > 1 else "",
            split=splits[i],
            width=s.size[0],
            height=s.size[1],
            format=s.format,
            bytes_per_pixel=s.n_bytes / (s.size[0] * s.size[1]),
            jpeg_quality=s.jpeg_quality,
        )
        for i, s in enumerate(kept)
    ]
    kind = split_kind(options.group, owned)
    return Index(rows, _summary(rows, scanned.quarantine, len(scanned.files), len(usable), kind))


def split_kind(group: str, owned: Sequence[object]) -> str:
    """In words, what the split keeps together."""
    if group == "none" or not any(owned):
        return IMAGE_WISE
    n_without = sum(not name for name in owned)
    return f"split by {group}" + (f" ({n_without} images without one stand alone)" if n_without else "")


def _summary(
    rows: Sequence[DatasetRow], quarantine: Sequence[QuarantineRow], n_files: int, n_usable: int, kind: str
) -> dict[str, Any]:
    """What results/data.json holds: DVC shows numbers and texts, and leaves the lists to the file."""
    labels_of: dict[str, Counter[str]] = {}
    for row in rows:
        if row.cluster:
            labels_of.setdefault(row.cluster, Counter())[row.label] += 1
    clusters = {cluster: found.total() for cluster, found in labels_of.items()}
    labels = sorted({r.label for r in rows})
    counts = Counter((r.split, r.label) for r in rows)
    large = sorted(c for c, n in clusters.items() if n > LARGE_CLUSTER)
    if large:
        log.warning(
            "%d near-duplicate clusters of more than %d images: see results/data.json",
            len(large),
            LARGE_CLUSTER,
        )
    return {
        "images": len(rows),
        "groups": len({r.group for r in rows}),
        "quarantined": len(quarantine),
        "split_kind": kind,
        "labels": [{"label": label, "images": sum(r.label == label for r in rows)} for label in labels],
        "splits": [
            {"split": s, "label": label, "images": counts[s, label]} for s in SPLITS for label in labels
        ],
        "files": [
            {"files": n_files, "usable": n_usable, "exact_duplicates_left_out": n_usable - len(rows)},
            *({"reason": r, "files": n} for r, n in sorted(Counter(q.reason for q in quarantine).items())),
        ],
        "near_duplicates": [
            {
                "cluster": cluster,
                "images": n,
                "labels": sorted(labels_of[cluster]),
                "large": cluster in large,
            }
            for cluster, n in sorted(clusters.items())
        ],
    }


def write_index(index: Index, *, dataset: Path, summary: Path) -> None:
    """Write the data set and its summary, each all or nothing."""
    write_text_atomic(summary, json.dumps(index.summary, indent=2, sort_keys=True) + "\n")
    write_table(dataset, index.rows, DatasetRow)
