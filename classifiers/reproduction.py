"""How far this machine's results lie from the committed ones.

Owns the comparison of dvc.lock and results/*.json with their last commit. Refuses to judge: byte
equality is promised for one CPU family, elsewhere the numbers tell.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from featurestore.errors import MissingData, MissingRepository

__all__ = ["compare_with_commit", "largest_differences", "locked_outs"]

_RESULTS = ("results/metrics.json", "results/data.json")
_TOLERANCE = 1e-6


def _committed(path: str, repository: Path) -> str:
    done = subprocess.run(["git", "show", f"HEAD:./{path}"], cwd=repository, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise MissingRepository(f"no committed {path} to compare with ({said}); run this in a clone of kyara")
    return done.stdout


def _present(path: str, repository: Path) -> str:
    file = repository / path
    if not file.exists():
        raise MissingData(f"no {path}; run: dvc repro")
    return file.read_text(encoding="utf-8")


def locked_outs(text: str) -> dict[str, str]:
    """Path -> md5 of every out in the text of a dvc.lock."""
    import yaml

    stages = (yaml.safe_load(text) or {}).get("stages") or {}
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ())}


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number in a JSON document with its path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _numbers(inner, f"{path}[{i}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def largest_differences(before: Any, after: Any) -> list[tuple[str, float]]:
    """Paths of numbers that differ, and by how much, largest first; a number on one side only is inf."""
    old, new = dict(_numbers(before)), dict(_numbers(after))
    paths = sorted(old.keys() | new.keys())
    gaps = [(p, abs(old[p] - new[p]) if p in old and p in new else float("inf")) for p in paths]
    return sorted((gap for gap in gaps if gap[1] > 0), key=lambda gap: -gap[1])


def compare_with_commit(repository: Path) -> tuple[list[str], bool]:
    """What differs from the last commit, in lines, and whether every number agrees to 1e-6.

    Raises
    ------
    MissingRepository, MissingData
    """
    old, new = (locked_outs(read("dvc.lock", repository)) for read in (_committed, _present))
    changed = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    lines = ["other images than those of the commit: nothing here can agree"] * ("dataset.csv" in changed)
    lines += [f"{path}: other bytes than committed" for path in changed]
    worst = 0.0
    for path in _RESULTS:
        gaps = largest_differences(
            json.loads(_committed(path, repository)), json.loads(_present(path, repository))
        )
        worst = max([worst, *(gap for _, gap in gaps)])
        lines += [f"{path}: {where} differs by {gap:g}" for where, gap in gaps[:10]]
    agrees = worst <= _TOLERANCE
    if not changed and not worst:
        lines.append("dvc.lock and every number are those that were committed")
    else:
        lines.append(
            f"largest difference of a number: {worst:g} ({'within' if agrees else 'above'} {_TOLERANCE:g})"
        )
    return lines, agrees
