"""What a study would get of a data folder: its pictures after the curator's decisions, with their sources.

Owns joining files, tables and the record. Refuses to group and to split; changes no file.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from collection.curation.decisions import Decisions, read_decisions
from collection.provenance import Source
from featurestore.dataset import uncelled
from featurestore.errors import ImageRejected, LabelConflict
from featurestore.facts import Facts
from featurestore.images import MAX_PIXELS, decode, read_image_file
from featurestore.metadata import escape_path, facts_of, notes_of
from featurestore.scan import find_files

__all__ = ["Holdings", "Picture", "holdings"]


@dataclass(frozen=True)
class Picture:
    """A picture of the study.

    Attributes
    ----------
    label : str
        The one that counts: that of labels.csv, else the folder's.
    relabelled : bool
        Whether it is not the folder's.
    character, series, role : str
        Empty = not known.
    source : Source or None
        Its row of the record, if there is one.
    """

    label: str
    relabelled: bool
    character: str
    series: str
    role: str
    source: Source | None


@dataclass(frozen=True)
class Holdings:
    """What there is.

    Attributes
    ----------
    pictures : tuple of Picture
        Each once, whatever number of files hold it.
    rejected : Counter of str
        Pictures that a curator turned away, by reason.
    unusable : Counter of str
        Files that are no images of a study, by reason.
    n_gone : int
        Pictures that the record says were taken, and that are not here.
    n_idle : int
        Decisions on pictures that are not here.
    """

    pictures: tuple[Picture, ...]
    rejected: Counter[str]
    unusable: Counter[str]
    n_gone: int
    n_idle: int


def holdings(
    root: Path, rows: Sequence[Source], *, group_from: str | None = None, max_pixels: int = MAX_PIXELS
) -> Holdings:
    """Read every picture of a data folder.

    Parameters
    ----------
    root : Path
        The data folder.
    rows : sequence of Source
        Its record.
    group_from : str or None
        As ``data.group_from``: how a path tells the series.
    max_pixels : int
        Cap on width x height, checked before decoding.

    Raises
    ------
    MissingData, DataError, LabelConflict, MetadataError
        As ``index`` does; that there is one class alone is no error here.
    """
    files = find_files(root)
    facts = facts_of(files, root, group_from=group_from)
    notes = notes_of([escape_path(file) for file in files], root)
    decisions, told = read_decisions(root), {row.key: row for row in rows if row.key}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = list(pool.map(lambda file: _look(root / file, root, max_pixels), files))
    pictures: dict[str, Picture] = {}
    first: dict[str, str] = {}
    rejected: dict[str, str] = {}
    unusable: Counter[str] = Counter()
    for (file, folder), (key, fault), note in zip(files.items(), looked, notes, strict=True):
        if key in decisions.rejected:
            rejected[key] = uncelled(decisions.rejected[key].get("reason", "")) or "no reason given"
        elif fault:
            unusable[fault] += 1
        elif key not in pictures:
            pictures[key] = _picture(facts[file], folder, note, told.get(key))
            first[key] = file
        elif pictures[key].label != facts[file].label:
            raise _conflict((first[key], pictures[key].label), (file, facts[file].label))
    here = {key for key, _ in looked}
    return Holdings(
        tuple(pictures.values()), Counter(rejected.values()), unusable, len(told.keys() - here),
        _n_idle(decisions, here),
    )  # fmt: skip


def _look(path: Path, root: Path, max_pixels: int) -> tuple[str, str]:
    """Key of a file, and why it is no image of a study; empty text if it is one."""
    key = ""
    try:
        data = read_image_file(path, root=root)
        key = hashlib.sha256(data).hexdigest()
        decode(data, max_pixels=max_pixels)
    except ImageRejected as rejected:
        return key, rejected.reason.value
    return key, ""


def _conflict(*files: tuple[str, str]) -> LabelConflict:
    one, other = (f"{label!r} in {escape_path(file)}" for file, label in files)
    return LabelConflict(
        f"the same picture is {one} and {other}; delete one of them, or give it one label"
        " (python -m collection review)"
    )


def _picture(facts: Facts, folder: str, note: Mapping[str, str], source: Source | None) -> Picture:
    role = note.get("role", "") or (source.role if source else "")
    relabelled = facts.label != unicodedata.normalize("NFC", folder)
    return Picture(facts.label, relabelled, facts.character, facts.series, role, source)


def _n_idle(decisions: Decisions, here: Set[str]) -> int:
    labelled = {row["key"] for row in decisions.labels if row.get("key")}  # others name a file that is here
    return sum(len(keys - here) for keys in (labelled, decisions.rejected.keys(), decisions.accepted.keys()))
