"""data/ -> dataset.csv, results/quarantine.csv, results/data.json.

Owns what counts as an image of the study, its key, its group and its split. Refuses to know
features.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.dataset import DatasetRow, QuarantineRow, write_table
from featurestore.duplicates import UnionFind, near_duplicate_clusters, perceptual_hash
from featurestore.errors import DataError, ImageRejected, LabelConflict, MissingData
from featurestore.files import write_text_atomic
from featurestore.images import EXTENSIONS, decode, read_image_file
from featurestore.metadata import Facts, escape_path, facts_of
from featurestore.split import SPLITS, assign_splits

__all__ = ["Index", "IndexOptions", "Scan", "build_index", "find_files", "scan", "write_index"]

log = logging.getLogger(__name__)

#: Clusters above this are reported: a blank or a template, rather than a picture drawn twice.
LARGE_CLUSTER = 20


@dataclass(frozen=True)
class IndexOptions:
    """What `build_index` is to do; the attributes are those of params.yaml."""

    group: str = "series"
    group_from: str | None = None
    near_duplicate_distance: int | None = 4
    max_pixels: int = 50_000_000
    shares: Mapping[str, float] | None = None
    method: str = "stratified"
    seed: int = 42
    workers: int = 0


@dataclass(frozen=True)
class Index:
    """What came of it.

    Attributes
    ----------
    rows : list of DatasetRow
        Ascending by key.
    quarantine : list of QuarantineRow
        Ascending by path.
    summary : dict
        What ``results/data.json`` holds.
    """

    rows: list[DatasetRow]
    quarantine: list[QuarantineRow]
    summary: dict[str, Any]


@dataclass(frozen=True)
class _Seen:
    """One file after reading: its key and either technical facts or a reason."""

    file: str
    sha256: str
    phash: int = 0
    size: tuple[int, int] = (0, 0)
    format: str = ""
    n_bytes: int = 0
    jpeg_quality: int | None = None
    rejected: ImageRejected | None = None


def find_files(root: Path) -> dict[str, str]:
    """Image files under ``root/images`` and their folder's label, ascending by path.

    Hidden files and other endings are left out, with a line that counts them.

    Returns
    -------
    dict of str to str
        Path relative to ``root`` with ``/`` -> name of the first folder below ``images/``.

    Raises
    ------
    MissingData
        If there is no ``images`` folder.
    DataError
        If a class is empty, or there are fewer than two.
    """
    images = root / "images"
    if not images.is_dir():
        raise MissingData(
            f"no {images}/<label>/ here; run: dvc pull -r demo data.dvc  (or: python -m collection import DIR"
            " --replace)"
        )
    labels = sorted(e.name for e in os.scandir(images) if e.is_dir() and not e.name.startswith("."))
    if len(labels) < 2:
        raise DataError(
            f"{images}: {len(labels)} class folders ({', '.join(labels) or 'none'}); it takes two or more"
        )
    files: dict[str, str] = {}
    others = 0
    for label in labels:
        before = len(files)
        for folder, subfolders, names in os.walk(images / label):
            subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
            for name in sorted(names):
                if name.startswith(".") or not name.lower().endswith(EXTENSIONS):
                    others += not name.startswith(".")
                    continue
                files[Path(folder, name).relative_to(root).as_posix()] = label
        if len(files) == before:
            raise DataError(f"class {label!r}: no image in {images / label}; add some or remove the folder")
    if others:
        log.warning("%d files left out: not %s", others, ", ".join(EXTENSIONS))
    return dict(sorted(files.items()))


def _look(root: Path, file: str, options: IndexOptions) -> _Seen:
    sha256 = ""
    try:
        data = read_image_file(root / file, root=root)
        sha256 = hashlib.sha256(data).hexdigest()
        picture = decode(data, max_pixels=options.max_pixels)
    except ImageRejected as rejected:
        return _Seen(file, sha256, rejected=rejected)
    return _Seen(
        file,
        sha256,
        phash=perceptual_hash(picture.pixels) if options.near_duplicate_distance is not None else 0,
        size=(picture.width, picture.height),
        format=picture.format,
        n_bytes=len(data),
        jpeg_quality=picture.jpeg_quality,
    )


@dataclass(frozen=True)
class Scan:
    """What reading every file showed, before groups and splits."""

    files: Mapping[str, str]
    facts: Mapping[str, Facts]
    seen: Sequence[_Seen]

    @property
    def quarantine(self) -> list[QuarantineRow]:
        """Files that are no images of the study, ascending by path."""
        return [
            QuarantineRow(escape_path(s.file), s.sha256, s.rejected.reason.value, s.rejected.detail)
            for s in self.seen
            if s.rejected is not None
        ]


def scan(root: Path, options: IndexOptions) -> Scan:
    """Read every image below ``root/images`` once: hash, decode, measure.

    Raises
    ------
    MissingData, DataError, MetadataError
        A file that cannot be decoded raises nothing: it is in the scan's `quarantine`.
    """
    files = find_files(root)
    facts = facts_of(files, root, group_from=options.group_from)
    with ThreadPoolExecutor(options.workers or os.cpu_count()) as pool:
        return Scan(files, facts, list(pool.map(lambda file: _look(root, file, options), files)))


def _one_per_key(seen: Sequence[_Seen], facts: Mapping[str, Facts]) -> list[_Seen]:
    """The first file of each key; the same bytes in two classes are an error."""
    first: dict[str, _Seen] = {}
    for one in seen:
        earlier = first.setdefault(one.sha256, one)
        if facts[earlier.file].label != facts[one.file].label:
            raise LabelConflict(
                f"the same picture is {facts[earlier.file].label!r} in {escape_path(earlier.file)} and"
                f" {facts[one.file].label!r} in {escape_path(one.file)}; delete one of them"
            )
    return sorted(first.values(), key=lambda s: s.sha256)


def _owned(facts: Facts, group: str) -> str:
    """The name under ``data.group`` that an image belongs to; empty if it has none."""
    if group == "series":
        return facts.series
    if group == "character" and facts.character:
        return f"{facts.series}/{facts.character}" if facts.series else facts.character
    return ""


def _groups(kept: Sequence[_Seen], owned: Sequence[str], clusters: Sequence[int]) -> list[str]:
    """Name of each image's group: its series or character, several joined by ``+``, or a key."""
    sets = UnionFind(len(kept))
    sets.join_equal(owned)
    for i, first in enumerate(clusters):
        sets.join(first, i)
    members: dict[int, set[str]] = {}
    roots = sets.roots()
    for root, name in zip(roots, owned, strict=True):
        members.setdefault(root, set()).update({name} - {""})
    return [" + ".join(sorted(members[r])) or f"image {kept[r].sha256[:16]}" for r in roots]


def build_index(scanned: Scan, options: IndexOptions) -> Index:
    """Group the images and split the groups.

    Raises
    ------
    DataError, LabelConflict, SplitError
    """
    facts = scanned.facts
    usable = [s for s in scanned.seen if s.rejected is None]
    kept = _one_per_key(usable, facts)
    labels = [facts[s.file].label for s in kept]
    for label in sorted({f.label for f in facts.values()}):
        if label not in labels:
            raise DataError(f"class {label!r}: not one usable image; results/quarantine.csv says why")
    if len(set(labels)) < 2:
        raise DataError(f"one class only ({labels[0]!r}); a classification needs two or more")
    clusters = near_duplicate_clusters([s.phash for s in kept], options.near_duplicate_distance)
    owned = [_owned(facts[s.file], options.group) for s in kept]
    groups = _groups(kept, owned, clusters)
    shares = options.shares or {"train": 0.6, "val": 0.2, "test": 0.2}
    splits = assign_splits(labels, groups, shares, method=options.method, seed=options.seed)
    sizes = Counter(clusters)
    rows = [
        DatasetRow(
            key=s.sha256,
            path=escape_path(s.file),
            label=labels[i],
            group=groups[i],
            character=facts[s.file].character,
            series=facts[s.file].series,
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
    quarantine = scanned.quarantine
    return Index(rows, quarantine, _summary(rows, quarantine, len(scanned.files), len(usable), kind))


def split_kind(group: str, owned: Sequence[str]) -> str:
    """In words, what the split keeps together."""
    if group == "none" or not any(owned):
        return "image-wise split"
    n_without = sum(not name for name in owned)
    return f"split by {group}" + (f" ({n_without} images without one stand alone)" if n_without else "")


def _summary(
    rows: Sequence[DatasetRow], quarantine: Sequence[QuarantineRow], n_files: int, n_usable: int, kind: str
) -> dict[str, Any]:
    """What results/data.json holds: DVC shows numbers and texts, and leaves the lists to the file."""
    clusters = Counter(r.cluster for r in rows if r.cluster)
    labels_of = {c: {r.label for r in rows if r.cluster == c} for c in clusters}
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


def write_quarantine(rows: Sequence[QuarantineRow], path: Path) -> None:
    """Write the list of files that are no images of the study."""
    write_table(path, rows, QuarantineRow)


def check_quarantine(rows: Sequence[QuarantineRow], n_files: int, limit: float) -> None:
    """Whether few enough files were unusable.

    Raises
    ------
    DataError
        If their share is above ``limit``.
    """
    if len(rows) > limit * n_files:
        raise DataError(
            f"{len(rows)} of {n_files} files are no usable images, the first {rows[0].path}"
            f" ({rows[0].reason}); data.quarantine_limit is {limit:g}; mend or delete those that"
            " results/quarantine.csv lists, or raise the limit"
        )
