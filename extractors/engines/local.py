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
        As soon as a batch and all before it are done. The first error ends it, after every batch that
        was under way and succeeded was yielded.
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
    """Map in order with at most ``depth`` batches under way, so that memory stays flat.

    After the first error nothing more is begun; what was under way and succeeds is yielded first.
    """
    pending: deque[tuple[Sequence[Item], Future[Result]]] = deque()
    todo, failed = iter(batches), None
    while True:
        while failed is None and len(pending) < depth:
            batch = next(todo, None)
            if batch is None:
                break
            pending.append((batch, pool.submit(work, batch)))
        if not pending:
            break
        done, future = pending.popleft()
        try:
            result = future.result()
        except Exception as error:
            failed = failed or error
            for _, other in pending:
                other.cancel()
            pending = deque(item for item in pending if not item[1].cancelled())
            continue
        yield done, result
    if failed is not None:
        raise failed
