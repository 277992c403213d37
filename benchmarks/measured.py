"""Speed and memory of the pipeline beside the bare pass; each is measured in a process of its own."""

from __future__ import annotations

import gc
import statistics
import sys
from dataclasses import dataclass

from bare import Bare, run_bare, ways
from job import Built, Job
from pipeline import host_ms, pipeline
from processes import reset_peak, resident_mib

TRY_SECONDS = 0.6  # how long each way of the bare pass is tried
FINALISTS = 2


@dataclass(frozen=True)
class Speed:
    """What the repeats gave; ``best`` is the way that the pipeline is compared with."""

    n: int
    batch_size: int
    best: str
    pipeline: list[float]
    bare: list[float]
    waits: list[float]
    host_ms: float
    tried: dict[str, float]


def tries(candidates: list[Bare], quick: bool) -> dict[str, float]:
    """Images a second of each way that fits in memory."""
    tried = {}
    for way in candidates:
        try:
            once = run_bare(way, 1)
            n = round(once * TRY_SECONDS)  # a slow one was tried for long enough
            tried[str(way)] = once if quick or n < way.batch * way.callers else run_bare(way, n)
        except RuntimeError as error:  # a GPU's memory has an end
            if "memory" not in str(error):
                raise
    return tried


def speed(job: Job, built: Built) -> Speed:
    from extractors.run import _batch_size
    from featurestore.params import RuntimeParams

    extractor = built(job)
    batch_size = _batch_size(extractor, RuntimeParams(batch_size=job.batch_size), 1)
    candidates = ways(extractor, job)
    tried = tries(candidates, job.quick)
    order = sorted((way for way in candidates if str(way) in tried), key=lambda w: -tried[str(w)])
    finalists = order[:FINALISTS]
    n = job.n
    if not job.quick:
        n = min(job.n, max(4 * job.threads * batch_size, int(job.seconds * tried[str(order[0])])))
    pipeline(extractor, job, min(n, 4 * batch_size), batch_size)
    made, waits, bare = [], [], {way: [] for way in finalists}
    for _ in range(job.repeats):
        images_per_s, waited = pipeline(extractor, job, n, batch_size)
        made.append(images_per_s)
        waits.append(waited)
        for way in finalists:
            bare[way].append(run_bare(way, n))
    best = max(finalists, key=lambda way: statistics.median(bare[way]))
    host = host_ms(extractor, job)
    return Speed(n, batch_size, str(best), made, bare[best], waits, host, tried)


def memory(job: Job, built: Built, best: str, batch_size: int, n: int) -> tuple[float, float, float]:
    """MiB: when built, at the peak of a second pass, and on a GPU the peak there; ``best`` = "": pipeline."""
    extractor = built(job)
    way = next((way for way in ways(extractor, job, alone=True) if str(way) == best), None) if best else None
    gc.collect()
    before = resident_mib("VmRSS")

    def once() -> None:
        if way is None:
            pipeline(extractor, job, n, batch_size)
        else:
            run_bare(way, n)

    once()
    reset_peak()
    once()
    on_gpu = 0.0
    if job.device == "cuda" and "torch" in sys.modules:
        import torch

        on_gpu = torch.cuda.max_memory_allocated() / 2**20
    return before, resident_mib("VmHWM"), on_gpu
