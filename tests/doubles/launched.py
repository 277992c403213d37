"""`counting` as a network on a GPU would do it; no GPU is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from doubles.counting import Counting
from extractors.base import Card, Context, Rows

CARD = Card("counts on a device", 3, modules=("torch",))


class Launched(Counting):
    thread_safe = False

    def __init__(self, log: str, device: str) -> None:
        super().__init__(log, 0.0, "")
        self.device = device

    def batch_size(self) -> int:
        assert self.device == "cpu" or os.environ["CUDA_VISIBLE_DEVICES"] == "0"
        return 5 if self.device == "cuda" else 2

    def preprocess(self, images: Sequence[np.ndarray]) -> Any:
        return images

    def launch(self, batch: Any) -> Any:
        return batch

    def finish(self, handle: Any) -> Rows:
        return super().__call__(handle)

    def __call__(self, images: Sequence[np.ndarray]) -> Rows:
        return self.finish(self.launch(self.preprocess(images)))


def build(*, context: Context = Context(), log: str) -> Launched:
    return Launched(log, context.device)
