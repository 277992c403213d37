"""The weights that an extractor's rows depend on, and the manifest that pins them.

Owns ``weights/<extractor>/manifest.json``: file name -> sha256, source, licence. An extractor
without weights has an empty manifest. Refuses to know what weights are for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featurestore.errors import MissingData, StoreDamaged
from featurestore.files import write_text_atomic

__all__ = ["read_manifest", "write_manifest"]


def write_manifest(folder: Path, extractor: str, files: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write ``folder/manifest.json``; equal content gives equal bytes.

    Parameters
    ----------
    files : mapping
        File name -> ``{"sha256": ..., "source": ..., "licence": ...}``.
    """
    path = folder / "manifest.json"
    content = {"extractor": extractor, "files": {name: dict(entry) for name, entry in files.items()}}
    write_text_atomic(path, json.dumps(content, indent=2, sort_keys=True) + "\n")
    return path


def read_manifest(folder: Path, extractor: str) -> dict[str, dict[str, Any]]:
    """The ``files`` of a manifest.

    Raises
    ------
    MissingData
        If ``prepare`` was not run.
    StoreDamaged
        If it is no manifest of this extractor.
    """
    path = folder / "manifest.json"
    if not path.exists():
        raise MissingData(f"no {path}; run: dvc repro prepare@{extractor}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["extractor"] != extractor:
            raise ValueError(f"of {content['extractor']!r}")
        return dict(content["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(
            f"{path}: no manifest of {extractor} ({error}); delete it and run: dvc repro"
        ) from None
