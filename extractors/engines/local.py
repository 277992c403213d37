"""The local engine: a pool of threads on this machine.

Reading and decoding always run in the pool. A thread-safe extractor runs there too, a batch a
thread. A staged one is preprocessed there and launched from one thread, which finishes a batch only
after it launched the next, so that a device that computes on its own never waits. Any other is
called from one thread while the pool decodes ahead of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Final, TypeVar

from extractors.base import Rows, Staged
from extractors.devices import n_threads
from extractors.timing import Spent

if TYPE_CHECKING:
    from extractors.base import RGB, Extractor
    from extractors.engines import Work

__all__ = ["compute", "run"]

#: A thread has the pixels of no more images at once, where their rows do not depend on who is beside them
#: (as a network's do in the last bits): there, batches are larger only for keeping them to cost less.
_AT_ONCE: Final = 32

Item = TypeVar("Item")
Result = TypeVar("Result")


def compute(work: Work) -> Iterator[int]:
    """See `extractors.engines`."""
    for batch, _ in run(
        work.extractor, work.batches, work.loader, work.keeper, workers=work.runtime.workers, spent=work.spent
    ):
        yield len(batch)


def run(
    extractor: Extractor,
    batches: Iterable[Sequence[Item]],
    load: Callable[[Item], RGB],
    keep: Callable[[Sequence[Item], Rows], None],
    *,
    workers: int,
    spent: Spent | None = None,
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
    spent : Spent or None
        Told of the phases ``preprocess``, ``wait`` and ``forward``.

    Yields
    ------
    (batch, Rows)
        As soon as a batch is kept. The first error ends it, after every batch that was under way and
        succeeded was kept and yielded.
    """
    n, spent = n_threads(workers), spent or Spent()

    def images(batch: Sequence[Item]) -> list[RGB]:
        return [load(item) for item in batch]

    def rows_of(loaded: Sequence[RGB]) -> Rows:
        with spent("forward"):
            return extractor(loaded)

    with ThreadPoolExecutor(n) as pool:
        if extractor.thread_safe:
            at_once = sys.maxsize if isinstance(extractor, Staged) else _AT_ONCE

            def computed(batch: Sequence[Item]) -> Rows:
                parts = range(0, len(batch), at_once)
                rows = Rows.joined([rows_of(images(batch[i : i + at_once])) for i in parts])
                keep(batch, rows)
                return rows

            yield from _ahead(pool, computed, batches, 2 * n)
        elif isinstance(extractor, Staged):
            staged = extractor

            def prepared(batch: Sequence[Item]) -> Any:
                loaded = images(batch)
                with spent("preprocess"):
                    return staged.preprocess(loaded)

            ready = _waited(_ahead(pool, prepared, batches, 2 * n), spent)
            for batch, rows in _overlapped(staged, ready, spent):
                keep(batch, rows)
                yield batch, rows
        else:
            for batch, loaded in _waited(_ahead(pool, images, batches, 2 * n), spent):
                rows = rows_of(loaded)
                keep(batch, rows)
                yield batch, rows


def _waited(ready: Iterable[Result], spent: Spent) -> Iterator[Result]:
    """The same; what it takes until each is there is waiting."""
    found, nothing = iter(ready), object()
    while True:
        with spent("wait"):
            one = next(found, nothing)
        if one is nothing:
            return
        yield one  # type: ignore[misc]


def _overlapped(
    extractor: Staged, ready: Iterable[tuple[Sequence[Item], Any]], spent: Spent
) -> Iterator[tuple[Sequence[Item], Rows]]:
    """Launch each batch before the one before it is finished."""
    before: tuple[Sequence[Item], Any] | None = None

    def finished(one: tuple[Sequence[Item], Any]) -> tuple[Sequence[Item], Rows]:
        with spent("forward"):
            return one[0], extractor.finish(one[1])

    try:
        for batch, prepared in ready:
            with spent("forward"):
                now = (batch, extractor.launch(prepared))
            if before is not None:
                yield finished(before)
            before = now
    except Exception:
        if before is not None:
            yield finished(before)
        raise
    if before is not None:
        yield finished(before)


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
    todo = iter(batches)
    failed: BaseException | None = None
    try:
        while True:
            while failed is None and len(pending) < depth:
                try:
                    batch = next(todo, None)
                except Exception as refusal:  # what draws batches will not go on
                    failed = refusal
                    for other in pending:
                        other.cancel()
                    break
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
