"""The mean of each channel; every call adds a line to a file: process, pictures. Black pictures may be poison."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from extractors.base import Card, Context, Rows
from featurestore.errors import MissingExtra
from featurestore.spec import FeatureSpec

CARD = Card("counts", 3)


class Counting:
    thread_safe = True

    def __init__(self, log: str, seconds: float, poison: str) -> None:
        self.spec = FeatureSpec("counting", 1, {}, ("red", "green", "blue"))
        self._log, self._seconds, self._poison = Path(log), seconds, poison

    def __call__(self, images: Sequence[np.ndarray]) -> Rows:
        with self._log.open("a") as stream:
            stream.write(f"{os.getpid()} {len(images)}\n")
        time.sleep(self._seconds)
        values = np.array([image.mean(axis=(0, 1)) for image in images], np.float32)
        black = values.max(axis=1) == 0
        if black.any() and self._poison == "exit":
            os._exit(1)
        if self._poison == "inf":
            values[black] = np.inf
        return Rows(values, np.zeros(len(images), np.uint8))


def build(
    *,
    context: Context = Context(),
    log: str,
    seconds: float = 0.0,
    poison: Literal["", "inf", "exit", "build"] = "",
) -> Counting:
    if poison == "build" and "RAY_JOB_ID" in os.environ:
        raise MissingExtra("counting needs fingers; run: pip install fingers")
    return Counting(log, seconds, poison)
