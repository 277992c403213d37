"""The local engine: a pool of threads on this machine.

Decoding always runs in the pool. A thread-safe extractor runs there too, a batch a thread; any
other is called from one thread while the pool decodes ahead of it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from extractors.base import RGB, Extractor, Rows

__all__ = ["run"]

Item = TypeVar("Item")


def run(
    extractor: Extractor,
    batches: Iterable[Sequence[Item]],
    load: Callable[[Item], RGB],
    *,
    workers: int,
) -> Iterator[tuple[Sequence[Item], Rows]]:
    """Rows of each batch, in order.

    Parameters
    ----------
    extractor : Extractor
    batches : iterable of sequences
        What ``load`` turns into images.
    load : callable
        Reads and decodes one image; called in several threads.
    workers : int
        Threads; 0 = one a core.

    Yields
    ------
    (batch, Rows)
        As soon as a batch and all before it are done. The first error ends it, after the batches
        before the failed one were yielded.
    """
    n = workers or os.cpu_count() or 1

    def whole(batch: Sequence[Item]) -> Rows:
        return extractor([load(item) for item in batch])

    def images(batch: Sequence[Item]) -> list[RGB]:
        return [load(item) for item in batch]

    with ThreadPoolExecutor(n) as pool:
        if extractor.thread_safe:
            yield from _ahead(pool, whole, batches, 2 * n)
        else:
            for batch, loaded in _ahead(pool, images, batches, 2 * n):
                yield batch, extractor(loaded)


Result = TypeVar("Result")


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[Sequence[Item]], Result],
    batches: Iterable[Sequence[Item]],
    depth: int,
) -> Iterator[tuple[Sequence[Item], Result]]:
    """Map in order with at most ``depth`` batches under way, so that memory stays flat."""
    pending: deque[tuple[Sequence[Item], Future[Result]]] = deque()
    try:
        for batch in batches:
            pending.append((batch, pool.submit(work, batch)))
            if len(pending) >= depth:
                done, future = pending.popleft()
                yield done, future.result()
        while pending:
            done, future = pending.popleft()
            yield done, future.result()
    finally:
        for _, future in pending:
            future.cancel()
