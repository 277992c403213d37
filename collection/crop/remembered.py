"""Faces that were found once are not looked for again.

Owns a folder with a file for each picture: who searched, and which faces it found. Refuses to search.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from collection.crop.detection import Detector, Finder, face_of, faces_in, search_of
from extractors.faces import FaceBox
from featurestore.documents import read_json
from featurestore.files import make_folder, write_text_atomic

if TYPE_CHECKING:
    from extractors.base import RGB

__all__ = ["remembered"]


def remembered(folder: Path, *, find: Finder = faces_in) -> Finder:
    """A finder that asks another one about each picture once, for as long as its detector stays the same.

    A file that cannot be read is as none; what it says is found anew.

    Parameters
    ----------
    folder : Path
        ``<first two hex>/<sha256>.json``, by a picture's pixels and the detector with its version.
    find : callable
    """

    def look(image: RGB, method: Detector) -> list[FaceBox]:
        searcher = search_of(method)
        key = hashlib.sha256(f"{searcher} {image.shape}".encode() + image.tobytes()).hexdigest()
        file = folder / key[:2] / f"{key}.json"
        known = _read(file)
        if known is not None:
            return known
        faces = find(image, method)
        make_folder(file.parent)
        told = {"detector": searcher, "faces": [dataclasses.asdict(face) for face in faces]}
        write_text_atomic(file, json.dumps(told) + "\n")
        return faces

    return look


def _read(file: Path) -> list[FaceBox] | None:
    try:
        return [face_of(values) for values in read_json(file)["faces"]]
    except (OSError, ValueError, TypeError, KeyError):
        return None
