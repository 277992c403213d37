"""Every picture of the data folder, looked at once: by key, with its names, its facts and its flags.

Owns reading and flagging. Refuses to know decisions, and changes no file.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from collection.curation.quality import FLAGS, Flag, Measures, Thresholds, flags_of, measure
from collection.curation.twins import Likeness, nearest_twins, twin_flags
from collection.progress import told
from featurestore.duplicates import perceptual_hash
from featurestore.errors import ImageRejected
from featurestore.facts import Facts
from featurestore.images import MAX_PIXELS, decode, read_image_file
from featurestore.metadata import escape_path, facts_of, notes_of, printable
from featurestore.scan import find_files
from featurestore.text import counted

__all__ = ["Picture", "Survey", "survey"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picture:
    """One picture, whatever number of files hold it.

    Attributes
    ----------
    key : str
        Sha256 (hex) of the file's bytes.
    files : tuple of str
        Relative to the data folder, ascending.
    folders, labels : tuple of str
        Of each file the label by its folder, and the one that counts (``labels.csv``).
    character, series, role : str
        Empty = not known.
    flags : tuple of Flag
    twin : Flag or None
        In place of those that tell of twins, for those who must not know labels (`nearest_twins`).
    """

    key: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
    labels: tuple[str, ...]
    character: str
    series: str
    role: str
    flags: tuple[Flag, ...]
    twin: Flag | None = None


@dataclass(frozen=True)
class Survey:
    """What there is to review.

    Attributes
    ----------
    root : Path
        The data folder.
    pictures : tuple of Picture
        Ascending by first file.
    labels : tuple of str
        Every class there is, ascending.
    max_pixels : int
        Cap for whoever decodes one of them again.
    """

    root: Path
    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]
    max_pixels: int = MAX_PIXELS

    def key_of(self) -> dict[str, str]:
        """The key of each file."""
        return {file: one.key for one in self.pictures for file in one.files}


@dataclass(frozen=True)
class _Looked:
    """One file after reading."""

    file: str
    key: str
    pixels: str = ""
    phash: int = 0
    measures: Measures | None = None
    problem: str = ""


def survey(
    root: Path,
    *,
    thresholds: Thresholds | None = None,
    original_px: Mapping[str, int] | None = None,
    faceless: Collection[str] = (),
    group_from: str | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int = 0,
) -> Survey:
    """Read every picture below ``root/images``, and flag what is worth a look.

    Parameters
    ----------
    root : Path
        The data folder.
    original_px : mapping of str to int, optional
        File -> shorter side, in pixels, of what it was cut from; a file that is not there counts as it is.
    faceless : collection of str
        Files that were cut though no face was found.
    group_from : str or None
        As ``data.group_from``: how a path tells the series.
    workers : int
        Threads; 0 = one a processor.

    Raises
    ------
    MissingData, DataError, MetadataError
        As ``index`` does; a file that cannot be decoded is a flag.
    """
    limits = thresholds or Thresholds()
    files = find_files(root)
    facts = facts_of(files, root, group_from=group_from)
    log.info("%s: %s to look at", root, counted(len(files), "picture"))
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        looking = pool.map(lambda file: _look(root, file, max_pixels), files)
        looked = list(told(looking, len(files), name="review", where=root))
    alike = [_likeness(one, facts[one.file]) for one in looked if one.measures]
    flags = _flags(looked, alike, limits, original_px or {}, faceless)
    twins = nearest_twins(alike, distance=limits.distance)
    notes = dict(zip(files, notes_of([escape_path(file) for file in files], root), strict=True))
    by_key: dict[str, list[str]] = defaultdict(list)
    for one in looked:
        if one.key:  # what cannot be read has none, and nothing can be decided of it
            by_key[one.key].append(one.file)
    pictures = tuple(
        Picture(
            key=key,
            files=tuple(same),
            folders=tuple(files[file] for file in same),
            labels=tuple(facts[file].label for file in same),
            character=next((facts[file].character for file in same if facts[file].character), ""),
            series=next((facts[file].series for file in same if facts[file].series), ""),
            role=next((notes[file]["role"] for file in same if notes[file].get("role")), ""),
            flags=tuple(flag for file in same for flag in flags[file]),
            twin=twins.get(same[0]),
        )
        for key, same in by_key.items()
    )
    labels = sorted({fact.label for fact in facts.values()} | set(files.values()))
    return Survey(root, pictures, tuple(labels), max_pixels)


def _look(root: Path, file: str, max_pixels: int) -> _Looked:
    key = ""
    try:
        data = read_image_file(root / file, root=root)
        key = hashlib.sha256(data).hexdigest()
        pixels = decode(data, max_pixels=max_pixels).pixels
    except ImageRejected as rejected:
        return _Looked(file, key, problem=printable(f"{rejected.reason.value}: {rejected.detail}"))
    shown = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
    return _Looked(file, key, shown, perceptual_hash(pixels), measure(pixels))


def _likeness(one: _Looked, facts: Facts) -> Likeness:
    return Likeness(one.file, facts.label, one.key, one.pixels, one.phash)


def _flags(
    looked: Sequence[_Looked],
    alike: Sequence[Likeness],
    limits: Thresholds,
    original_px: Mapping[str, int],
    faceless: Collection[str],
) -> dict[str, list[Flag]]:
    """Flags of each file, in the order of `FLAGS`."""
    flags: dict[str, list[Flag]] = {one.file: [] for one in looked}
    for one in looked:
        if one.measures is None:
            flags[one.file].append(Flag(one.file, "unreadable", 0, 0, one.problem))
            continue
        if one.file in faceless:
            flags[one.file].append(Flag(one.file, "no_face", 0, 1))
        flags[one.file] += flags_of(one.file, one.measures, limits, original_px=original_px.get(one.file))
    for flag in twin_flags(alike, distance=limits.distance):
        flags[flag.file].append(flag)
    order = list(FLAGS)
    return {file: sorted(found, key=lambda flag: order.index(flag.name)) for file, found in flags.items()}
