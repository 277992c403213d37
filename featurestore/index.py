"""A scan -> dataset.csv and results/data.json: one row a picture, its group and its split.

Owns keys, groups and splits. Refuses to know how files are read (``scan``), and features.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.columns import Codes, Made, pieces
from featurestore.dataset import COLUMNS, DatasetRow, QuarantineRow, cell, write_cells
from featurestore.duplicates import UnionFind, near_duplicate_clusters
from featurestore.errors import DataError, LabelConflict
from featurestore.files import atomic_file, buffered
from featurestore.metadata import escape_path
from featurestore.rows import runs, unpack_keys
from featurestore.seen import FORMATS
from featurestore.split import SPLITS, assign_splits

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from featurestore.facts import FactColumns
    from featurestore.scan import IndexOptions, Scan
    from featurestore.seen import Sightings

__all__ = ["IMAGE_WISE", "DatasetRows", "Index", "build_index", "split_kind", "write_index"]

log = logging.getLogger(__name__)

#: What every table says where nothing but the picture itself is a group.
IMAGE_WISE = "image-wise split"
#: Clusters above this are reported: a blank or a template, rather than a picture drawn twice.
LARGE_CLUSTER = 20


@dataclass(frozen=True)
class DatasetRows(Made[DatasetRow]):
    """The rows of the data set by columns, ascending by key; a row is made when it is asked for.

    Attributes
    ----------
    seen : Sightings
        Of all files.
    files : ndarray of intp, shape (n,)
        The place of each image's file among them.
    label, character, series, group, cluster, split : Codes
        As `featurestore.dataset.DatasetRow` has them.
    """

    seen: Sightings
    files: npt.NDArray[np.intp]
    label: Codes
    character: Codes
    series: Codes
    group: Codes
    cluster: Codes
    split: Codes

    def __len__(self) -> int:
        return len(self.files)

    def item(self, i: int) -> DatasetRow:
        """The one at a place."""
        one = self.seen[int(self.files[i])]
        width, height = one.size
        return DatasetRow(
            key=one.sha256,
            path=escape_path(one.file),
            label=self.label[i],
            group=self.group[i],
            character=self.character[i],
            series=self.series[i],
            cluster=self.cluster[i],
            split=self.split[i],
            width=width,
            height=height,
            format=one.format,
            bytes_per_pixel=one.n_bytes / (width * height),
            jpeg_quality=one.jpeg_quality,
        )

    def cells(self) -> Iterator[Sequence[object]]:
        """What dataset.csv has of each row (`featurestore.dataset.COLUMNS`), made a column at a time."""
        import numpy as np

        columns = self.label, self.group, self.character, self.series, self.cluster, self.split
        texts = [(column.codes, [cell(text) for text in column.values]) for column in columns]
        for here in pieces(len(self)):
            rows = self.seen.rows[self.files[here]]
            n_pixels = rows["width"].astype(np.int64) * rows["height"]
            label, group, character, series, cluster, split = (
                [cells[code] for code in codes[here].tolist()] for codes, cells in texts
            )
            yield from zip(
                unpack_keys(rows["sha256"]),
                (cell(escape_path(self.seen.files[i])) for i in self.files[here].tolist()),
                label,
                group,
                character,
                series,
                cluster,
                split,
                rows["width"].tolist(),
                rows["height"].tolist(),
                (FORMATS[code] for code in rows["format"].tolist()),
                map(cell, (rows["n_bytes"] / n_pixels).tolist()),
                (quality or "" for quality in rows["jpeg_quality"].tolist()),
                strict=True,
            )


@dataclass(frozen=True)
class Index:
    """What came of it.

    Attributes
    ----------
    rows : DatasetRows
        Ascending by key.
    summary : dict
        What ``results/data.json`` holds.
    """

    rows: DatasetRows
    summary: dict[str, Any]


@dataclass(frozen=True)
class _ByKey:
    """Usable files by the key of their bytes: copies of a picture stand together.

    Attributes
    ----------
    files : ndarray of intp, shape (m,)
        Places of the files, ascending by key, then as they came.
    images : ndarray of intp, shape (m,)
        Which image each file is, from 0.
    first : ndarray of intp, shape (n,)
        Of each image, the place of the file that came first.
    """

    files: npt.NDArray[np.intp]
    images: npt.NDArray[np.intp]
    first: npt.NDArray[np.intp]

    @classmethod
    def of(cls, seen: Sightings) -> _ByKey:
        """Those of a scan."""
        import numpy as np

        usable = np.flatnonzero(~seen.rejected)
        order, is_first = runs(seen.keys if len(usable) == len(seen) else seen.keys[usable])
        files = usable[order]
        return cls(files, np.cumsum(is_first) - 1, files[is_first])

    def check_labels(self, label: Codes, seen: Sightings) -> None:
        """Whether no picture has two labels.

        Raises
        ------
        LabelConflict
        """
        import numpy as np

        of_first = label.codes[self.first][self.images]
        wrong = np.flatnonzero(label.codes[self.files] != of_first)
        if not len(wrong):
            return
        at = wrong[np.argmin(self.files[wrong])]
        one, other = int(self.first[self.images[at]]), int(self.files[at])
        raise LabelConflict(
            f"the same picture is {label[one]!r} in {escape_path(seen.files[one])} and"
            f" {label[other]!r} in {escape_path(seen.files[other])}; delete one of them"
        )

    def merged(self, column: Codes) -> Codes:
        """What is known of each image: what the first of its files says that says anything."""
        import numpy as np

        codes = column.codes[self.first]
        if len(self.files) > len(self.first):
            says = np.flatnonzero(column.codes[self.files] != column.code(""))
            images, at = np.unique(self.images[says], return_index=True)
            codes[images] = column.codes[self.files[says[at]]]
        return Codes(column.values, codes)


def _owners(facts: FactColumns, files: npt.NDArray[np.intp], group: str) -> Codes:
    """The name under ``data.group`` that each of some files belongs to; empty if it has none."""
    if group == "series":
        return facts.series.taken(files)
    if group != "character":
        return Codes.of([""] * len(files))
    pairs = zip(facts.character.taken(files), facts.series.taken(files), strict=True)
    return Codes.of(
        f"{series}/{character}" if series and character else character for character, series in pairs
    )


def _groups(by_key: _ByKey, owners: Codes, clusters: Sequence[int], key: Callable[[int], str]) -> Codes:
    """Name of each image's group: its series or character, several joined by ``+``, or a key.

    Near-duplicates are one group; so are the images of one owner. An image may have several, where copies of
    it stand in several series: they join.
    """
    import numpy as np

    sets = UnionFind(len(clusters), clusters)
    first: dict[int, int] = {}
    nobody = owners.code("")
    for here in pieces(len(by_key.files)):
        for image, owner in zip(by_key.images[here].tolist(), owners.codes[here].tolist(), strict=True):
            if owner != nobody:
                sets.join(first.setdefault(owner, image), image)
    roots = np.array(sets.roots(), np.int64)  # 32 bits would not do for a root times an owner
    owned, n = owners.codes != nobody, len(owners.values)
    names: dict[int, list[str]] = {}
    for pair in np.unique(roots[by_key.images[owned]] * n + owners.codes[owned]).tolist():
        names.setdefault(pair // n, []).append(owners.values[pair % n])
    unique, which = np.unique(roots, return_inverse=True)
    called = Codes.of(
        " + ".join(sorted(names[root])) if root in names else f"image {key(root)[:16]}"
        for root in unique.tolist()
    )
    return Codes(called.values, called.codes[which])


def _named_clusters(clusters: Sequence[int], key: Callable[[int], str]) -> Codes:
    """Name of each image's near-duplicate cluster; empty if it is alone in it."""
    import numpy as np

    first = np.array(clusters)
    shared, which = np.unique(np.where(np.bincount(first)[first] > 1, first, -1), return_inverse=True)
    names = [f"cluster {key(i)[:16]}" if i >= 0 else "" for i in shared.tolist()]
    return Codes(names, which.astype(np.int32))


def build_index(scanned: Scan, options: IndexOptions) -> Index:
    """Group the images and split the groups.

    Raises
    ------
    DataError, LabelConflict, SplitError
    """
    n_usable = len(scanned.seen) - int(scanned.seen.rejected.sum())
    images, kind = _grouped(scanned, options)
    return Index(images, _summary(images, scanned.quarantine, n_usable, kind))


def _grouped(scanned: Scan, options: IndexOptions) -> tuple[DatasetRows, str]:
    """The rows, and in words what their split keeps together."""
    import numpy as np

    seen, facts = scanned.seen, scanned.facts
    by_key = _ByKey.of(seen)
    by_key.check_labels(facts.label, seen)
    label = facts.label.taken(by_key.first)
    with_images = set(label.ranked()[0])
    for name in facts.label.ranked()[0]:
        if name not in with_images:
            raise DataError(f"class {name!r}: not one usable image; results/quarantine.csv says why")

    def key(image: int) -> str:
        return seen.key(int(by_key.first[image]))

    owners = _owners(facts, by_key.files, options.group)
    clusters = near_duplicate_clusters(seen.rows["phash"][by_key.first], options.near_duplicate_distance)
    groups = _groups(by_key, owners, clusters, key)
    n_owned = len(np.unique(by_key.images[owners.codes != owners.code("")]))
    shares = options.shares or {"train": 0.6, "val": 0.2, "test": 0.2}
    images = DatasetRows(
        seen=seen,
        files=by_key.first,
        label=label,
        character=by_key.merged(facts.character),
        series=by_key.merged(facts.series),
        group=groups,
        cluster=_named_clusters(clusters, key),
        split=assign_splits(label, groups, shares, method=options.method, seed=options.seed),
    )
    return images, split_kind(options.group, len(images), len(images) - n_owned)


def split_kind(group: str, n_images: int, n_without: int) -> str:
    """In words, what the split keeps together; ``n_without`` images belong to nothing of that kind."""
    if group == "none" or n_without == n_images:
        return IMAGE_WISE
    return f"split by {group}" + (f" ({n_without} images without one stand alone)" if n_without else "")


def _summary(
    images: DatasetRows, quarantine: Sequence[QuarantineRow], n_usable: int, kind: str
) -> dict[str, Any]:
    """What results/data.json holds: DVC shows numbers and texts, and leaves the lists to the file."""
    labels = images.label.ranked()[0]
    counts = Counter(zip(images.split, images.label, strict=True))
    clusters = _clusters(images)
    n_large = sum(one["large"] for one in clusters)
    if n_large:
        log.warning(
            "%d near-duplicate clusters of more than %d images: see results/data.json",
            n_large,
            LARGE_CLUSTER,
        )
    return {
        "images": len(images),
        "groups": len(images.group.ranked()[0]),
        "quarantined": len(quarantine),
        "split_kind": kind,
        "labels": [{"label": label, "images": sum(counts[s, label] for s in SPLITS)} for label in labels],
        "splits": [
            {"split": s, "label": label, "images": counts[s, label]} for s in SPLITS for label in labels
        ],
        "files": [
            {
                "files": len(images.seen),
                "usable": n_usable,
                "exact_duplicates_left_out": n_usable - len(images),
            },
            *({"reason": r, "files": n} for r, n in sorted(Counter(q.reason for q in quarantine).items())),
        ],
        "near_duplicates": clusters,
    }


def _clusters(images: DatasetRows) -> list[dict[str, Any]]:
    """Near-duplicate clusters in their names' order, and the labels that each has."""
    import numpy as np

    names, cluster_of = images.cluster.ranked()
    labels, label_of = images.label.ranked()
    shared = images.cluster.codes != images.cluster.code("")
    pairs, n = np.unique(
        cluster_of[shared].astype(np.int64) * len(labels) + label_of[shared], return_counts=True
    )
    found = [{"cluster": name, "images": 0, "labels": [], "large": False} for name in names]
    for pair, n_images in zip(pairs.tolist(), n.tolist(), strict=True):
        one: dict[str, Any] = found[pair // len(labels)]
        one["images"] += n_images
        one["labels"].append(labels[pair % len(labels)])
        one["large"] = one["images"] > LARGE_CLUSTER
    return [one for one in found if one["cluster"]]


def write_index(index: Index, *, dataset: Path, summary: Path) -> None:
    """Write the data set and its summary, each all or nothing."""
    with atomic_file(summary) as file, buffered(file) as stream:  # thousands of clusters may stand in it
        for part in json.JSONEncoder(indent=2, sort_keys=True).iterencode(index.summary):
            stream.write(part.encode())
        stream.write(b"\n")
    write_cells(dataset, COLUMNS, index.rows.cells())
