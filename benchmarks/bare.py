"""The bare pass: every way to compute on what is ready in memory, with no files and no store.

A new extractor that is no torch network gets a function of its own here.
"""

from __future__ import annotations

import copy
import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from job import MAX_PIXELS, Job, paths_of, set_threads

from extractors.base import Staged

BATCHES = {"cpu": (1, 8, 16, 32), "cuda": (16, 32, 64, 128, 256, 512), "mps": (8, 16, 32, 64)}
N_READY = 64  # different inputs of the bare pass


@dataclass(frozen=True)
class Bare:
    """A way to compute: ``callers`` threads, ``batch`` images a call, ``inside`` threads within a call."""

    callers: int
    batch: int
    inside: int
    how: str = ""
    call: Callable[[int], object] = field(compare=False, repr=False, default=lambda start: start)
    wait: Callable[[], object] = field(compare=False, repr=False, default=lambda: None)

    def __str__(self) -> str:
        inside = f" ({self.inside} inside)" if self.inside > 1 else ""
        return f"{self.callers}x{self.batch}{inside}{self.how}"


def run_bare(way: Bare, n: int) -> float:
    """Images a second, over at least ``n``, in whole batches for every thread."""
    rounds = max(1, round(n / (way.batch * way.callers))) * way.callers
    todo = iter(range(0, rounds * way.batch, way.batch))
    lock = threading.Lock()
    set_threads(way.inside)
    way.call(0)  # loads, in one thread

    def work(_: int) -> None:
        while True:
            with lock:
                start = next(todo, None)
            if start is None:
                return
            way.call(start % N_READY)

    with ThreadPoolExecutor(way.callers) as pool:
        start = time.perf_counter()
        list(pool.map(work, range(way.callers)))
        way.wait()
        return rounds * way.batch / (time.perf_counter() - start)


def ready(extractor: Any, job: Job) -> tuple[list[np.ndarray], np.ndarray]:
    """`N_READY` decoded images, and the squares of them; more than once where there are fewer."""
    from extractors.keeping import Loader
    from featurestore.elsewhere import Reader

    load = Loader(Reader(job.images), MAX_PIXELS)

    items = list(paths_of(job, N_READY).items())
    images = [load(item) for item, _ in zip(itertools.cycle(items), range(N_READY))]
    squares = extractor.preprocess(images).pixels if isinstance(extractor, Staged) else np.empty(0, np.uint8)
    return images, squares


def torch_ways(extractor: Any, job: Job, sizes: tuple[int, ...], alone: bool) -> Iterator[Bare]:
    """Both layouts; on a GPU also cuDNN's choice by trying, in the precision of the pipeline."""
    import torch

    from extractors.network import autocast, to_input

    squares, cpu = torch.from_numpy(ready(extractor, job)[1]), job.device == "cpu"

    @functools.cache
    def loaded(layout: torch.memory_format) -> tuple[torch.nn.Module, torch.Tensor]:
        module = extractor._module if alone else copy.deepcopy(extractor._module)
        x = to_input(squares.to(job.device), extractor._normalize)
        return module.to(memory_format=layout), x.contiguous(memory_format=layout)

    def call(start: int, *, batch: int, layout: torch.memory_format, search: bool) -> None:
        module, x = loaded(layout)
        flags = torch.backends.cudnn.flags(enabled=True, benchmark=search, allow_tf32=False)
        with torch.inference_mode(), nullcontext() if cpu else flags, autocast(job.device, job.precision):
            module(x[start : start + batch])

    wait = {"cpu": int, "cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}[job.device]
    for layout, said in ((torch.channels_last, ", channels last"), (torch.contiguous_format, "")):
        for batch, search in itertools.product(sizes, (False, True) if job.device == "cuda" else (False,)):
            one = functools.partial(call, batch=batch, layout=layout, search=search)
            how = said + ", cuDNN tries" * search
            if cpu and job.threads > 1:
                yield Bare(job.threads, batch, 1, how, one)
            yield Bare(1, batch, job.threads if cpu else 1, how, one, wait)


def arcface_ways(extractor: Any, job: Job, sizes: tuple[int, ...]) -> Iterator[Bare]:
    """Onnxruntime on a blob; the session of the pipeline, and one with all cores inside."""
    import onnxruntime

    network = extractor._network
    path, name = network.model_file, network.input_name
    crops = [square[..., ::-1] for square in ready(extractor, job)[1]]
    blob = ((np.stack(crops).astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2).copy()

    @functools.cache
    def session(inside: int) -> Any:
        if inside == 1:
            return network.session
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = inside
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def call(start: int, *, batch: int, inside: int) -> None:
        session(inside).run(None, {name: blob[start : start + batch]})

    for batch, inside in itertools.product(sizes, sorted({1, job.threads if extractor.thread_safe else 1})):
        callers = job.threads if extractor.thread_safe and inside == 1 else 1
        yield Bare(callers, batch, inside, "", functools.partial(call, batch=batch, inside=inside))


def dlib_ways(extractor: Any, job: Job, sizes: tuple[int, ...]) -> Iterator[Bare]:
    """One thread, since dlib keeps the GIL; a chip a call, or a list of them."""
    describe, squares = extractor._network.compute_face_descriptor, list(ready(extractor, job)[1])
    for batch in sizes:
        yield Bare(1, batch, 1, "", lambda i, n=batch: describe(squares[i] if n == 1 else squares[i : i + n]))


def design_ways(extractor: Any, job: Job, sizes: tuple[int, ...]) -> Iterator[Bare]:
    """The kernels on decoded squares."""
    images = ready(extractor, job)[0]
    for callers, batch in itertools.product(sorted({1, job.threads}), sizes):
        yield Bare(callers, batch, 1, "", lambda i, n=batch: extractor(images[i : i + n]))


def ways(extractor: Any, job: Job, *, alone: bool = False) -> list[Bare]:
    """All the ways to compute that are tried; ``alone``: the extractor need not stay as it is."""
    sizes = BATCHES[job.device][: 2 if job.quick else None]
    special = {"design": design_ways, "dlib": dlib_ways, "arcface": arcface_ways}.get(job.name)
    return list(special(extractor, job, sizes) if special else torch_ways(extractor, job, sizes, alone))
