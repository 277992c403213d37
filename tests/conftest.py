"""What the tests share: one thread per BLAS, a cache of their own, small pictures and stores."""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[_variable] = "1"

import io  # noqa: E402
import logging  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from PIL import Image  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent

#: Where this machine has published weights, if anywhere; only tests marked ``weights`` look there.
REAL_WEIGHTS = Path(os.environ.get("KYARA_WEIGHTS") or Path.home() / ".cache" / "kyara" / "weights")


def picture(seed: int, size: tuple[int, int] = (40, 40)) -> np.ndarray:
    """A picture like no other: random blocks, so that perceptual hashes differ."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return np.asarray(small.resize(size, Image.Resampling.NEAREST))


def encoded(pixels: np.ndarray, format: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs go to other processes after the first, however short they are."""
    monkeypatch.setattr("classifiers.pool._PATIENCE_S", -1.0)
    monkeypatch.setattr("classifiers.pool._START_S", -1.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or fills the user's cache, or finds weights that this machine happens to have."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KYARA_CACHE", str(cache))
    monkeypatch.setenv("KYARA_WEIGHTS", str(cache / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command that a test runs in this process sets up logging for itself alone."""
    root = logging.getLogger()
    loggers = [
        root,
        *(logging.getLogger(name) for name in ("featurestore", "extractors", "classifiers", "collection")),
    ]
    levels, handlers = [one.level for one in loggers], list(root.handlers)
    yield
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of 2 x 12 pictures in 12 series, named by a second folder level."""
    root = tmp_path / "data"
    for label, offset in (("hero", 0), ("villain", 100)):
        for i in range(12):
            file = root / "images" / label / f"series{i}" / f"{label}{i}.png"
            file.parent.mkdir(parents=True)
            file.write_bytes(encoded(picture(offset + i)))
    return root


@pytest.fixture
def workspace(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data/ and params.yaml, which is the current one."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(workspace: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m <package> ...`` in the workspace as a user would."""

    def run(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *args],
            cwd=workspace,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            capture_output=True,
            text=True,
        )

    return run
