"""What the engine ray runs in other processes: the stages of its stream, and the actor beside the driver.

Rows of the stream are Arrow tables of one row, a pickle each. An error is a value here: raised inside Ray it
would arrive as another one, and the run would end before what was under way. Refuses to know how many there
are, and where.
"""

from __future__ import annotations

import asyncio
import functools
import os
import pickle
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from extractors.timing import Spent
from featurestore import console
from featurestore.errors import ClusterLost, KyaraError

if TYPE_CHECKING:
    import pyarrow as pa

    from extractors.base import RGB
    from extractors.batches import Item
    from extractors.keeping import Keeper, Loader
    from extractors.recipe import Recipe

__all__ = ["Actor", "Desk", "Done", "Fed", "drawn", "loaded", "packed", "unpacked"]

#: A batch that ended so many processes that had begun it is what ended them.
_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class Fed:
    """A batch on its way.

    Attributes
    ----------
    number : int
        Of batches; the one without items asks for the device's batch size.
    """

    number: int
    items: Sequence[Item]


@dataclass(frozen=True)
class _Loaded:
    """A batch and its pixels, or why there are none."""

    fed: Fed
    images: Sequence[RGB]
    seconds: Mapping[str, float]
    error: Exception | None = None


@dataclass(frozen=True)
class Done:
    """What comes back of a batch.

    Attributes
    ----------
    n : int
        Images.
    seconds : mapping
        By phase.
    size : int or None
        Images at a time that the device likes, where that was asked.
    """

    n: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: Exception | None = None
    size: int | None = None


def packed(what: object) -> pa.Table:
    """One row."""
    import pyarrow as pa

    return pa.table({"row": pa.array([pickle.dumps(what, protocol=5)], pa.large_binary())})


def unpacked(table: pa.Table) -> Any:
    """What a row holds."""
    return pickle.loads(table["row"][0].as_buffer())


def drawn(_: pa.Table, desk: Any) -> Iterator[pa.Table]:
    """What the driver feeds, until it has no more."""
    import ray

    while (row := ray.get(desk.take.remote())) is not None:
        yield row


def loaded(row: pa.Table, folder: Path, desk: Any, loader: bytes) -> pa.Table:
    """A batch's pixels."""
    os.chdir(folder)
    return packed(_load(unpacked(row), desk, "read", _loader(loader)))


@functools.cache
def _loader(pickled: bytes) -> Loader:
    """One for all batches that a process loads: it keeps archives open."""
    console.keep_memory()
    loader: Loader = pickle.loads(pickled)
    return loader


def _load(fed: Fed, desk: Any, what: str, loader: Loader) -> _Loaded:
    loader.spent = Spent()
    try:
        _begin(fed, desk, what)
        images = [loader(item) for item in fed.items]
    except Exception as error:
        return _Loaded(fed, [], loader.spent.seconds, _portable(error))
    return _Loaded(fed, images, loader.spent.seconds)


def _begin(fed: Fed, desk: Any, what: str) -> None:
    """Say that a batch is begun.

    Raises
    ------
    ClusterLost
        If it ended whoever began it before.
    """
    import ray

    if ray.get(desk.begin.remote(what, fed.number)) > _ATTEMPTS:
        places = [str(place) for _, place in fed.items] or ["no picture"]
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        raise ClusterLost(
            f"{places[0]}{more}: {_ATTEMPTS} processes that were to {what} this batch were killed or crashed,"
            " one after the other; see Ray's logs; with runtime.batch_size: 1 a single picture is named"
        )


class Actor:
    """Builds the extractor with its first batch, so that what goes wrong there is told as any error is."""

    def __init__(
        self, folder: Path, desk: Any, recipe: Recipe, device: str, loader: bytes, keeper: Keeper
    ) -> None:
        os.chdir(folder)
        self._desk, self._recipe, self._device = desk, recipe, device
        self._loader, self._keeper = _loader(loader), keeper
        self._idle_since: float | None = None

    @functools.cached_property
    def _extractor(self) -> Any:
        return self._recipe.build(self._device)

    def __call__(self, row: pa.Table) -> pa.Table:
        spent = self._keeper.spent = Spent()
        if self._idle_since is not None:
            spent.add({"wait": time.monotonic() - self._idle_since})
        done = self._done(unpacked(row), spent)
        self._idle_since = time.monotonic()
        return packed(done)

    def _done(self, given: _Loaded | Fed, spent: Spent) -> Done:
        try:
            if isinstance(given, _Loaded):
                _begin(given.fed, self._desk, "compute")
                loaded = given
            else:
                loaded = _load(given, self._desk, "compute", self._loader)
            spent.add(loaded.seconds)
            if loaded.error is not None:
                return Done(0, spent.seconds, loaded.error)
            extractor, items = self._extractor, loaded.fed.items
            if not items:
                return Done(size=extractor.batch_size())
            with spent("forward"):
                rows = extractor(loaded.images)
            self._keeper(items, rows)
        except Exception as error:
            return Done(0, spent.seconds, _portable(error))
        return Done(len(items), spent.seconds)


def _portable(error: Exception) -> Exception:
    """The error, if it can travel; what is unforeseen brings its traceback along."""
    if not isinstance(error, KyaraError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class Desk:
    """An actor beside the driver: hands out what it feeds, and knows how often each batch was begun."""

    def __init__(self) -> None:
        self._rows: asyncio.Queue[pa.Table | None] = asyncio.Queue()
        self._begun: Counter[tuple[str, int]] = Counter()

    async def put(self, row: pa.Table | None) -> None:
        """Feed a row; None ends the stream."""
        await self._rows.put(row)

    async def take(self) -> pa.Table | None:
        """The next row, when there is one."""
        return await self._rows.get()

    async def begin(self, what: str, number: int) -> int:
        """How often this was begun, this time included."""
        self._begun[what, number] += 1
        return self._begun[what, number]
