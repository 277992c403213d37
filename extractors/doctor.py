"""What this machine has, in words. Refuses to install anything."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from extractors.devices import n_threads
from featurestore.text import readable_size

__all__ = ["EXTRAS", "Finding", "examine", "missing_extra_packages"]

#: Extra of pyproject.toml -> modules that it brings.
EXTRAS = {
    "clip": ("torch", "torchvision", "open_clip"),
    "faces": (
        "torch",
        "safetensors",
        "facenet_pytorch",
        "insightface",
        "onnx",
        "onnxruntime",
        "animeface",
        "dlib",
        "face_recognition_models",
    ),
    "resnet": ("torch", "torchvision", "safetensors"),
    "collect": ("serpapi", "httpx", "dotenv"),
    "ray": ("ray",),
}

State = Literal["ok", "--", "NO"]
Finding = tuple[str, State, str]


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


def _folder_bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else 0


def _disk(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return readable_size(shutil.disk_usage(folder).free)


def _libgl() -> Finding:
    """opencv-python links against libGL, which a bare server lacks."""
    if sys.platform != "linux":
        return ("libGL", "ok", "not needed here")
    found = ctypes.util.find_library("GL")
    if found:
        return ("libGL", "ok", found)
    return ("libGL", "NO", "missing; install it: sudo apt-get install -y libgl1 libglib2.0-0")


def _identity(here: Path) -> Finding:
    """DVC's experiment queue commits, and git commits nothing for nobody."""
    said = []
    for key in ("user.name", "user.email"):
        done = subprocess.run(["git", "config", key], cwd=here, capture_output=True, text=True)
        said.append(done.stdout.strip())
    if all(said):
        return ("git identity", "ok", f"{said[0]} <{said[1]}>")
    text = 'none; dvc queue needs one: git config user.name "A Name" and git config user.email a@example.org'
    return ("git identity", "--", text)


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
    name, state, text
        ``NO`` where a command of kyara's core would fail, ``--`` where something optional is not there.
    """
    import psutil

    version = ".".join(map(str, sys.version_info[:3]))
    yield (
        "Python",
        "ok" if sys.version_info >= (3, 11) else "NO",
        f"{version} ({platform.system()} {platform.machine()})",
    )
    yield (
        "cores",
        "ok",
        str(n_threads(0)),
    )
    memory = psutil.virtual_memory()
    yield ("memory", "ok", f"{readable_size(memory.total)}, {readable_size(memory.available)} available")
    yield ("disk", "ok", f"{_disk(here)} free here")
    gpu = _gpu()
    yield ("GPU", "--" if gpu == "none" else "ok", gpu)
    yield _libgl()
    for name in ("dvc", "numba", "opencv-python", "scikit-learn", "xgboost"):
        try:
            yield (name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield (name, "NO", "missing; run: make setup")
    for extra in EXTRAS:
        lacking = missing_extra_packages(extra)
        text = f"not installed ({', '.join(lacking)}); run: make setup-all" if lacking else "yes"
        yield (f"extra {extra}", "--" if lacking else "ok", text)
    yield ("weights", "ok", f"{weights}: {readable_size(_folder_bytes(weights))}")
    yield ("row cache", "ok", f"{cache}: {readable_size(_folder_bytes(cache))}, {_disk(cache)} free")
    yield _identity(here)
    for name, path in (("git repository", here / ".git"), ("DVC repository", here / ".dvc")):
        if path.exists():
            yield (name, "ok", "yes")
        else:
            yield (name, "NO", f"no {path.name} here; clone kyara's repository")
