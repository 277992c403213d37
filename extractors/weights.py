"""Published weights: what is wanted, where it lies, whether its bytes are right.

Owns the search (explicit path, ``KYARA_WEIGHTS``, the cache, an installed package), the check of the
sha256 at every load, and ``weights/<extractor>/manifest.json``. Refuses to know what weights are for, and
to hand out a file that is not the one that was asked for.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractors.base import Loaded
from featurestore.documents import read_json, shown
from featurestore.errors import MissingData, MissingWeights, ParamsError, StoreDamaged, WeightsDamaged
from featurestore.files import sha256_of, write_text_atomic

__all__ = ["Archive", "Manifest", "WeightsFile", "load", "locate", "read_manifest", "write_manifest"]


@dataclass(frozen=True)
class Archive:
    """A zip file that a weights file is published in.

    Attributes
    ----------
    sha256 : str
    n_bytes : int
    member : str
        Path of the weights file inside.
    """

    sha256: str
    n_bytes: int
    member: str


@dataclass(frozen=True)
class WeightsFile:
    """A weights file that an extractor asks for.

    Attributes
    ----------
    name : str
        File name, as it is searched for.
    sha256 : str
        Hexadecimal; empty = locked at first use: the manifest keeps what was found.
    n_bytes : int
        0 = not known.
    licence : str
    url : str
        Where it is published; empty if it cannot be downloaded.
    archive : Archive or None
        If what lies at ``url`` is a zip file around it.
    package : str
        Folder of an installed package that it comes with, as ``"package/folder"``; empty if none.
    path : str
        Where the user says that it lies; empty = searched for.
    """

    name: str
    sha256: str = ""
    n_bytes: int = 0
    licence: str = ""
    url: str = ""
    archive: Archive | None = None
    package: str = ""
    path: str = ""

    def given(self, file: str | None, sha256: str | None) -> WeightsFile:
        """The same with what params say: another place, another digest.

        A file of the user's own has no digest unless one is given: it is locked at first use.

        Raises
        ------
        ParamsError
            If the digest is none.
        """
        if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ParamsError(f"sha256 of {file or self.name}: {sha256!r} is not 64 digits 0-9a-f")
        if file:
            return dataclasses.replace(
                self, path=file, sha256=sha256 or "", n_bytes=0, url="", archive=None, licence="your own file"
            )
        if sha256 and sha256 != self.sha256:
            return dataclasses.replace(self, sha256=sha256, n_bytes=0)
        return self

    @property
    def source(self) -> str:
        """Where it is from, in words for the manifest: no path of this machine."""
        if self.path:
            return f"a local file, {Path(self.path).name}"
        return self.url or (f"package {self.package.partition('/')[0]}" if self.package else "a local file")

    @property
    def size(self) -> str:
        """For people: ``"112 MB"``."""
        n = self.archive.n_bytes if self.archive else self.n_bytes
        return f"{n / 1e6:.0f} MB" if n else "size unknown"


def locate(wanted: WeightsFile, folders: Sequence[Path]) -> Path | None:
    """Where a file lies, unread; None if nowhere.

    Parameters
    ----------
    folders : sequence of Path
        Searched in order, after the explicit path and the package.
    """
    if wanted.path:
        path = Path(wanted.path).expanduser()
        return path if path.is_file() else None
    if wanted.package:
        package, _, below = wanted.package.partition("/")
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            return None
        folders = [Path(next(iter(spec.submodule_search_locations))) / below]
    return next((folder / wanted.name for folder in folders if (folder / wanted.name).is_file()), None)


def load(wanted: WeightsFile, folders: Sequence[Path], *, extractor: str) -> Loaded:
    """Find a file and check every byte of it.

    Parameters
    ----------
    extractor : str
        Who asks, for the errors.

    Raises
    ------
    MissingWeights
        One line: the file, where it was looked for, the URL, the size, the command.
    WeightsDamaged
        If its sha256 is another.
    """
    path = locate(wanted, folders)
    if path is None:
        raise MissingWeights(_missing(wanted, folders, extractor))
    found = sha256_of(path)
    if wanted.sha256 and found != wanted.sha256:
        mend = f"delete it and run: python -m extractors fetch {extractor}"
        if wanted.package:
            mend = f"install {wanted.source} anew"
        elif wanted.path:
            mend = f"mend extractors.{extractor}.file"
        raise WeightsDamaged(
            f"{path}: sha256 {found[:16]}... is not the {wanted.sha256[:16]}... that {extractor} asks for;"
            f" {mend}; or, if you mean this file, set extractors.{extractor}.sha256: {found}"
        )
    return Loaded(path, found)


def _missing(wanted: WeightsFile, folders: Sequence[Path], extractor: str) -> str:
    if wanted.path:
        return f"{wanted.path}: no such file; mend extractors.{extractor}.file, or leave it empty"
    if wanted.package:
        return f"{extractor} needs {wanted.name}, which comes with {wanted.source}; run: make setup-all"
    where = " and ".join(str(folder) for folder in folders)
    if not wanted.url:
        said = f"{extractor} needs {wanted.name}, not in {where}"
        return f"{said}; put it there, or set extractors.{extractor}.file"
    said = f"{extractor} needs {wanted.name} ({wanted.size}, {wanted.url}), not in {where}"
    return f"{said}; run: python -m extractors fetch {extractor}"


@dataclass(frozen=True)
class Manifest:
    """``weights/<extractor>/manifest.json``: what an extractor's rows stand on.

    Attributes
    ----------
    extractor : str
    files : mapping
        File name -> ``{"sha256", "bytes", "source", "licence"}`` of what is loaded.
    made_from : mapping
        The same of what the made weights began with; empty if none were made.
    fitted_on : str
        Digest of the keys and labels that the made weights learned from.
    """

    extractor: str
    files: Mapping[str, Mapping[str, Any]]
    made_from: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    fitted_on: str = ""


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write ``folder/manifest.json``; equal content gives equal bytes."""
    path = folder / "manifest.json"
    text = json.dumps(dataclasses.asdict(manifest), indent=2, sort_keys=True)
    write_text_atomic(path, text + "\n")
    return path


def read_manifest(folder: Path, extractor: str) -> Manifest:
    """What `write_manifest` wrote.

    Raises
    ------
    MissingData
        If ``prepare`` was not run.
    StoreDamaged
        If it is no manifest of this extractor.
    """
    path = folder / "manifest.json"
    try:
        manifest = Manifest(**read_json(path))
        if manifest.extractor != extractor:
            raise ValueError(f"of {shown(manifest.extractor)}")
        for entry in (*manifest.files.values(), *manifest.made_from.values()):
            if not isinstance(entry["sha256"], str) or not isinstance(entry["source"], str):
                raise ValueError("a sha256 or a source is no text")
    except FileNotFoundError:
        raise MissingData(f"no {path}; run: dvc repro prepare@{extractor}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreDamaged(
            f"{path}: no manifest of {extractor} ({str(error)[:200]}); delete it and run: dvc repro"
        ) from None
    return manifest
