"""One extractor to measure: what it is measured with, its pictures, and its weights once they are made.

Knows nothing of how anything is timed.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractors.base import Context
from extractors.devices import n_threads

MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class Job:
    """One extractor, and how it is measured."""

    name: str
    weights: Path
    images: Path
    n: int
    repeats: int
    seconds: float
    quick: bool
    device: str
    workers: int
    batch_size: int | None
    precision: str
    clip_arch: str

    @property
    def threads(self) -> int:
        return n_threads(self.workers)


@dataclass(frozen=True)
class Built:
    context: Context
    params: dict[str, Any]

    def __call__(self, job: Job) -> Any:
        from featurestore import plugins

        return plugins.load("extractors.zoo", job.name, key="extractors").build(
            context=dataclasses.replace(self.context, device=job.device), **self.params
        )


def paths_of(job: Job, n: int) -> dict[str, Path]:
    """Key -> file, as the index has it."""
    return {p.stem: p for p in sorted(job.images.iterdir())[:n]}


def set_threads(n: int) -> None:
    """Threads inside one call of torch."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(n)
