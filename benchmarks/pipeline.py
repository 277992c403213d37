"""The pipeline under measurement: files to a store, with the time that the device computes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from job import MAX_PIXELS, Job, paths_of, set_threads

from extractors.base import Staged


class Watched:
    """An extractor whose computing is timed; see `extractors.base.Extractor`."""

    def __init__(self, extractor: Any) -> None:
        self._extractor = extractor
        self.spec, self.thread_safe = extractor.spec, extractor.thread_safe
        self.largest = getattr(extractor, "largest", None)
        self.seconds: list[float] = []

    def timed(self, work: Callable[[Any], Any], given: Any) -> Any:
        start = time.perf_counter()
        result = work(given)
        self.seconds.append(time.perf_counter() - start)
        return result

    def __call__(self, images: Any) -> Any:
        return self.timed(self._extractor, images)


class WatchedStaged(Watched):
    """The same for `extractors.base.Staged`: what any thread may do is not timed."""

    def __call__(self, images: Any) -> Any:
        return self.finish(self.launch(self.preprocess(images)))

    def batch_size(self) -> int:
        return int(self._extractor.batch_size())

    def preprocess(self, images: Any) -> Any:
        return self._extractor.preprocess(images)

    def launch(self, batch: Any) -> Any:
        return self.timed(self._extractor.launch, batch)

    def finish(self, handle: Any) -> Any:
        return self.timed(self._extractor.finish, handle)


def pipeline(extractor: Any, job: Job, n: int, batch_size: int | None) -> tuple[float, float]:
    """Images a second, and the share of the time in which the device waits."""
    from extractors.run import extract
    from featurestore.cache import RowCache
    from featurestore.params import RuntimeParams

    paths = paths_of(job, n)
    watched = (WatchedStaged if isinstance(extractor, Staged) else Watched)(extractor)
    set_threads(1)
    with tempfile.TemporaryDirectory(dir=job.weights) as new:
        start = time.perf_counter()
        report = extract(
            watched,
            paths,
            RowCache(Path(new) / "cache"),
            Path(new) / "features" / f"{job.name}.h5",
            root=job.images,
            max_pixels=MAX_PIXELS,
            runtime=RuntimeParams(workers=job.workers, batch_size=batch_size),
        )
        seconds = time.perf_counter() - start
    assert report.extracted == len(paths), report
    assert not report.not_ok, report
    at_once = job.threads if extractor.thread_safe else 1
    return len(paths) / seconds, 1 - sum(watched.seconds) / (at_once * report.seconds)


def host_ms(extractor: Any, job: Job) -> float:
    """Reading, checking, decoding and making squares, in one thread; per image."""
    from extractors.keeping import Loader
    from featurestore.elsewhere import Reader

    load = Loader(Reader(job.images), MAX_PIXELS)

    items = list(paths_of(job, 48).items())
    start = time.perf_counter()
    for i in range(0, len(items), 8):
        images = [load(item) for item in items[i : i + 8]]
        if isinstance(extractor, Staged):
            extractor.preprocess(images)
    return (time.perf_counter() - start) * 1e3 / len(items)
