"""The local engine: a pool of threads on this machine.

Reading and decoding always run in the pool. A thread-safe extractor runs there too, a batch a
thread. A staged one is preprocessed there and launched from one thread, which finishes a batch only
after it launched the next, so that a device that computes on its own never waits. Any other is
called from one thread while the pool decodes ahead of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

from extractors.base import Staged
from extractors.devices import n_threads

if TYPE_CHECKING:
    from extractors.base import RGB, Extractor, Rows

__all__ = ["run"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def run(
    extractor: Extractor,
    batches: Iterable[Sequence[Item]],
    load: Callable[[Item], RGB],
    keep: Callable[[Sequence[Item], Rows], None],
    *,
    workers: int,
) -> Iterator[tuple[Sequence[Item], Rows]]:
    """Rows of each batch, in the order in which they are done.

    Parameters
    ----------
    extractor : Extractor
    batches : iterable of sequences
        What ``load`` turns into images.
    load : callable
        Reads and decodes one image; called in several threads.
    keep : callable
        Makes the rows of a batch durable; called by the thread that computed them, before it begins
        another batch, so that a kill costs each worker one batch at most. (Where a device is launched
        ahead: the batch that is being kept, and the one that the device computes meanwhile.)
    workers : int
        Threads; 0 = one a core.

    Yields
    ------
    (batch, Rows)
        As soon as a batch is kept. The first error ends it, after every batch that was under way and
        succeeded was kept and yielded.
    """
    n = n_threads(workers)

    def images(batch: Sequence[Item]) -> list[RGB]:
        return [load(item) for item in batch]

    with ThreadPoolExecutor(n) as pool:
        if extractor.thread_safe:

            def compute(batch: Sequence[Item]) -> Rows:
                rows = extractor(images(batch))
                keep(batch, rows)
                return rows

            yield from _ahead(pool, compute, batches, 2 * n)
        elif isinstance(extractor, Staged):
            staged = extractor
            ready = _ahead(pool, lambda batch: staged.preprocess(images(batch)), batches, 2 * n)
            for batch, rows in _overlapped(staged, ready):
                keep(batch, rows)
                yield batch, rows
        else:
            for batch, loaded in _ahead(pool, images, batches, 2 * n):
                rows = extractor(loaded)
                keep(batch, rows)
                yield batch, rows


def _overlapped(
    extractor: Staged, ready: Iterable[tuple[Sequence[Item], Any]]
) -> Iterator[tuple[Sequence[Item], Rows]]:
    """Launch each batch before the one before it is finished."""
    before: tuple[Sequence[Item], Any] | None = None
    try:
        for batch, prepared in ready:
            now = (batch, extractor.launch(prepared))
            if before is not None:
                yield before[0], extractor.finish(before[1])
            before = now
    except Exception:
        if before is not None:
            yield before[0], extractor.finish(before[1])
        raise
    if before is not None:
        yield before[0], extractor.finish(before[1])


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[Sequence[Item]], Result],
    batches: Iterable[Sequence[Item]],
    depth: int,
) -> Iterator[tuple[Sequence[Item], Result]]:
    """Map with at most ``depth`` batches under way; what is done first comes first.

    So memory stays flat. After the first error nothing more is begun; what was under way and succeeds is
    yielded first. Whoever stops asking gets no more work done.
    """
    pending: dict[Future[Result], Sequence[Item]] = {}
    todo, failed = iter(batches), None
    try:
        while True:
            while failed is None and len(pending) < depth:
                batch = next(todo, None)
                if batch is None:
                    break
                pending[pool.submit(work, batch)] = batch
            if not pending:
                break
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=list(pending).index):
                batch = pending.pop(future)
                if future.cancelled():
                    continue
                error = future.exception()
                if error is None:
                    yield batch, future.result()
                    continue
                failed = failed or error
                for other in pending:
                    other.cancel()
    finally:
        for future in pending:
            future.cancel()
    if failed is not None:
        raise failed
