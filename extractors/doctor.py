"""What this machine has, in words. Refuses to install anything."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["EXTRAS", "Finding", "examine", "missing_extra_packages"]

#: Extra of pyproject.toml -> modules that it brings.
EXTRAS = {
    "clip": ("torch", "torchvision", "open_clip"),
    "faces": ("torch", "facenet_pytorch", "insightface", "onnxruntime", "animeface", "dlib"),
    "resnet": ("torch", "torchvision", "safetensors"),
    "collect": ("serpapi", "httpx", "dotenv"),
    "ray": ("ray",),
}

Finding = tuple[str, bool, str]


def missing_extra_packages(extra: str) -> list[str]:
    """Modules of an extra that cannot be found; nothing is imported."""
    return [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]


def _gpu() -> str:
    command = shutil.which("nvidia-smi")
    if command is None:
        return "Apple (mps)" if sys.platform == "darwin" and platform.machine() == "arm64" else "none"
    query = [command, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (subprocess.SubprocessError, OSError) as error:
        return f"nvidia-smi does not answer ({error})"
    return "; ".join(line.strip() for line in said.splitlines() if line.strip()) or "none"


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"


def _folder_bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else 0


def _disk(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return _gib(shutil.disk_usage(folder).free)


def _libgl() -> Finding:
    """opencv-python links against libGL, which a bare server lacks."""
    if sys.platform != "linux":
        return ("libGL", True, "not needed here")
    found = ctypes.util.find_library("GL")
    if found:
        return ("libGL", True, found)
    return ("libGL", False, "missing; install it: sudo apt-get install -y libgl1 libglib2.0-0")


def _identity(here: Path) -> Finding:
    """DVC's experiment queue commits, and git commits nothing for nobody."""
    said = []
    for key in ("user.name", "user.email"):
        done = subprocess.run(["git", "config", key], cwd=here, capture_output=True, text=True)
        said.append(done.stdout.strip())
    if all(said):
        return ("git identity", True, f"{said[0]} <{said[1]}>")
    text = 'none; dvc queue needs one: git config user.name "A Name" and git config user.email a@example.org'
    return ("git identity", True, text)


def examine(*, cache: Path, weights: Path, here: Path) -> Iterator[Finding]:
    """Look at the machine.

    Parameters
    ----------
    cache, weights : Path
        Folders of the row cache and of the weights.
    here : Path
        The repository.

    Yields
    ------
    name, good, text
        ``good`` is False where a command of kyara's core would fail.
    """
    import psutil

    version = ".".join(map(str, sys.version_info[:3]))
    yield ("Python", sys.version_info >= (3, 11), f"{version} ({platform.system()} {platform.machine()})")
    yield (
        "cores",
        True,
        f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}",
    )
    memory = psutil.virtual_memory()
    yield ("memory", True, f"{_gib(memory.total)}, {_gib(memory.available)} available")
    yield ("disk", True, f"{_disk(here)} free here")
    yield ("GPU", True, _gpu())
    yield _libgl()
    for name in ("dvc", "numba", "opencv-python", "scikit-learn", "xgboost"):
        try:
            yield (name, True, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield (name, False, "missing; run: make setup")
    for extra in EXTRAS:
        lacking = missing_extra_packages(extra)
        text = (
            f"not installed ({', '.join(lacking)}); make setup-all installs all extras" if lacking else "yes"
        )
        yield (f"extra {extra}", True, text)
    yield ("weights", True, f"{weights}: {_gib(_folder_bytes(weights))}")
    yield ("row cache", True, f"{cache}: {_gib(_folder_bytes(cache))}, {_disk(cache)} free")
    yield _identity(here)
    for name, path in (("git repository", here / ".git"), ("DVC repository", here / ".dvc")):
        yield (
            name,
            path.exists(),
            "yes" if path.exists() else f"no {path.name} here; clone kyara's repository",
        )
