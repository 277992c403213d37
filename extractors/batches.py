"""What is left to compute, batch by batch.

Owns the plan: even batches, so that no worker is left alone at the end; larger ones where keeping a batch
costs more than a fiftieth of its time; none that another run has computed meanwhile. Refuses to know what an
item is, besides its key.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from featurestore.elsewhere import Place

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Positions = npt.NDArray[np.intp]

__all__ = ["Batches", "Item", "Others", "Stopped", "even"]

#: A key, and where its picture lies.
Item = tuple[str, Place]
Cut = TypeVar("Cut", Sequence[Item], "Positions")
#: Tells keys that other runs have computed since it was last asked.
Others = Callable[[], Iterable[str]]

#: Share of a worker's time that may go into keeping what it computed, before batches grow.
_KEEP_SHARE: Final = 0.02
#: Batches grow no larger than this: a kill loses one a worker.
_LARGEST: Final = 512
#: Share of the time that may go into asking what others did.
_ASK_SHARE: Final = 0.05


def even(items: Cut, size: int, n_workers: int) -> Iterator[Cut]:
    """Even batches of ``size`` at most, as many for each worker, so that none is left alone at the end."""
    rounds = -(-len(items) // (size * n_workers))
    n = min(rounds * n_workers, len(items))
    for i in range(n):
        yield items[len(items) * i // n : len(items) * (i + 1) // n]


def _shuffled(batches: Iterable[Positions]) -> deque[Positions]:
    order = list(batches)
    random.SystemRandom().shuffle(order)
    return deque(order)


class Stopped(Exception):
    """No further batch is to be begun: somebody wants the machine back."""


class Batches:
    """Batches of items, drawn by one thread; what becomes of them is told by any.

    The batches of a run that is alone are the same each time, unless ``grows``: in the last bits, a row of a
    network depends on the batch that it was computed in. Their order is another each time, so that two runs
    over the same pictures meet in few of them.

    Parameters
    ----------
    items : sequence of (key, path)
        Ascending by key; asked for one by one, when their batch is drawn.
    size : int
        Images a batch, at most, to begin with.
    n_workers : int
    grows : bool
        Whether batches may grow.
    others : callable
        See `Others`; asked between batches, now and then.
    stops : callable
        Whether to stop; asked before each batch, which is then refused with `Stopped`.

    Attributes
    ----------
    size, n_workers : int
        What is left is planned anew where they change.
    stops : callable
    """

    def __init__(
        self,
        items: Sequence[Item],
        size: int,
        n_workers: int,
        *,
        grows: bool,
        others: Others,
        stops: Callable[[], bool] = lambda: False,
    ) -> None:
        import numpy as np

        self.size, self.n_workers = size, n_workers
        self.stops = stops
        self._planned = (size, n_workers)
        self._grows = grows
        self._others = others
        self._done: set[str] = set()
        self._items = items
        self._plan = _shuffled(even(np.arange(len(items)), size, n_workers))
        self._ask_at = time.monotonic()
        self._last = threading.local()
        self._cost = math.inf

    def __len__(self) -> int:
        """How many are planned."""
        return len(self._plan)

    def __iter__(self) -> Iterator[Sequence[Item]]:
        import numpy as np

        while self._plan:
            if self.stops():
                raise Stopped
            self._ask()
            if (self.size, self.n_workers) != self._planned:
                self._planned = self.size, self.n_workers
                self._plan = _shuffled(even(np.sort(np.concatenate(self._plan)), *self._planned))
            drawn = (self._items[i] for i in self._plan.popleft())
            batch = [item for item in drawn if item[0] not in self._done]
            if batch:
                yield batch

    def _ask(self) -> None:
        start = time.monotonic()
        if start < self._ask_at:
            return
        self._done.update(self._others())
        end = time.monotonic()
        self._ask_at = end + (end - start) / _ASK_SHARE

    def kept(self, seconds: float) -> None:
        """Tell what it cost to keep a batch; called by the worker that did, after each."""
        now = time.monotonic()
        worked = now - getattr(self._last, "time", now)
        self._last.time = now
        self.weigh(seconds, worked)

    def weigh(self, cost_s: float, worked_s: float) -> None:
        """Tell what a batch cost, of all that it took, that a larger one would not cost more of."""
        self._cost = min(self._cost, cost_s)  # the least: at times it waits for others to compute
        if self._grows and worked_s and self._cost > _KEEP_SHARE * worked_s and self.size < _LARGEST:
            self.size = min(2 * self.size, _LARGEST)
