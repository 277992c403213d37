"""An extractor that counts what it is asked for, pictures for it, and stores that lie."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash
from conftest import encoded, picture

from extractors.base import Rows
from featurestore.hdf5 import PREAMBLE_BYTES, preamble
from featurestore.spec import FeatureSpec, Status


class MeanColour:
    """An extractor that counts its calls: the mean of each channel."""

    def __init__(self, *, thread_safe: bool = True, fail_at: int | None = None, version: int = 1) -> None:
        self.spec = FeatureSpec("mean", version, {}, ("red", "green", "blue"))
        self.thread_safe = thread_safe
        self.fail_at = fail_at
        self.n_images = 0
        self.threads: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, images: Sequence[np.ndarray]) -> Rows:
        with self._lock:
            self.n_images += len(images)
            self.threads.add(threading.get_ident())
        values = np.array([image.mean(axis=(0, 1)) for image in images], dtype=np.float32)
        status = np.zeros(len(images), np.uint8)
        dark = values.mean(axis=1) < 20
        values[dark], status[dark] = np.nan, Status.NO_FACE
        if self.fail_at is not None and self.n_images >= self.fail_at:
            values[-1], status[-1] = (0, np.inf, 0), Status.OK
        return Rows(values, status)


def add(folder: Path, seed: int) -> tuple[str, Path]:
    data = encoded(picture(seed) if seed != 7 else np.zeros((32, 32, 3), np.uint8))
    file = folder / f"{seed}.png"
    file.write_bytes(data)
    return hashlib.sha256(data).hexdigest(), file


def sealed(path: Path) -> None:
    """Give a changed store the right hash: what an attacker would do, and bit rot would not."""
    data = path.read_bytes()[PREAMBLE_BYTES:]
    path.write_bytes(preamble(xxhash.xxh3_128_hexdigest(data)) + data)
