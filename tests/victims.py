"""Kill runs and look at what they left; a script, so that it can fork before anything starts a thread.

    python tests/victims.py FOLDER N_KILLS WORKERS

Each run extracts in a child, which tells through a pipe which pictures it begins to compute and which rows are
acknowledged. It is killed at a random moment. Then every acknowledged row must be in the row cache, and a new
run may compute again one batch a worker at most.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

import h5py  # noqa: E402, F401
import numpy as np  # noqa: E402
import tqdm  # noqa: E402
import xxhash  # noqa: E402, F401
from fakes import MeanColour, add  # noqa: E402
from PIL import Image  # noqa: E402, F401

from extractors.base import Rows  # noqa: E402
from extractors.engines import local  # noqa: E402, F401
from extractors.run import extract  # noqa: E402
from featurestore.cache import RowCache  # noqa: E402
from featurestore.params import RuntimeParams  # noqa: E402
from featurestore.rows import StoreRows, pack_keys, unpack_keys  # noqa: E402
from featurestore.spec import FeatureSpec  # noqa: E402

BATCH = 2
N_IMAGES = 24


class Telling(MeanColour):
    """Tells how many pictures it begins to compute."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe = pipe

    def __call__(self, images: Sequence[np.ndarray]) -> Rows:
        os.write(self._pipe, b"begun %d\n" % len(images))
        return super().__call__(images)


class TellingCache(RowCache):
    """Tells which rows are durable."""

    def __init__(self, root: Path, pipe: int) -> None:
        super().__init__(root)
        self._pipe = pipe

    def commit(self, spec: FeatureSpec, rows: StoreRows, **options: object) -> Path:
        segment = super().commit(spec, rows, **options)  # type: ignore[arg-type]
        keys = unpack_keys(rows.keys)
        os.write(self._pipe, "".join(f"kept {key}\n" for key in keys).encode())
        return segment


def run(
    root: Path, data: Path, images: dict[str, Path], workers: int, extractor: MeanColour, cache: RowCache
) -> None:
    extract(
        extractor, images, cache, root / "mean.h5", root=data, max_pixels=10**6,
        runtime=RuntimeParams(workers=workers, batch_size=BATCH),
    )  # fmt: skip


def one_kill(
    root: Path, data: Path, images: dict[str, Path], workers: int, after_s: float
) -> tuple[bool, str]:
    """Whether the run was killed before its end, and what it told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        run(root, data, images, workers, Telling(writer), TellingCache(root / "cache", writer))
        os._exit(0)
    os.close(writer)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as stream:
        return os.WIFSIGNALED(status), stream.read()


def main(folder: Path, n_kills: int, workers: int) -> None:
    tqdm.tqdm.set_lock(threading.RLock())  # its own is shared with children, and dies with one that holds it
    data = folder / "data"
    data.mkdir(parents=True)
    images = dict(sorted(add(data, seed) for seed in range(10, 10 + N_IMAGES)))
    root, n_killed, worst = folder / "run", 0, 0
    longest = 0.2
    rng = random.Random(5)
    while n_killed < n_kills:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        start = time.monotonic()
        was_killed, told = one_kill(root, data, images, workers, rng.uniform(0, longest))
        if not was_killed:
            longest = max(0.02, time.monotonic() - start)
            continue
        n_killed += 1
        lines = [line.split() for line in told.splitlines()]
        kept = {key for what, key in lines if what == "kept"}
        begun = sum(int(n) for what, n in lines if what == "begun")
        cached = set(
            unpack_keys(RowCache(root / "cache").find(MeanColour().spec, pack_keys(list(images))).keys)
        )
        assert kept <= cached, f"lost after kill {n_killed}: {kept - cached}"
        again = MeanColour()
        run(root, data, images, workers, again, RowCache(root / "cache"))
        assert again.n_images == len(images) - len(cached)
        twice = begun - len(cached)
        assert twice <= workers * BATCH, f"kill {n_killed}: {twice} pictures computed twice"
        worst = max(worst, twice)
    sys.stdout.write(
        f"{n_killed} killed, 0 rows lost, at most {worst} pictures of {workers} x {BATCH} computed twice\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
