"""How fast, how often and how long.

Owns the limits of a download, the waits between tries, a host's turn and what it asked for. Refuses to
know HTTP beyond ``Retry-After``, and to wait by itself: clock and sleep are given.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from collection.fetching.addresses import Refused

__all__ = ["Allowance", "Clock", "Limits", "Mood", "Turn", "backoff_s", "retry_after_s"]

T = TypeVar("T")

#: How closely a time that is somebody else's is looked at.
_TICK_S: Final = 0.05


@dataclass(frozen=True)
class Limits:
    """What a download may take.

    Attributes
    ----------
    n_at_once : int
        Requests at a time.
    n_per_host : int
        Requests at a time to one host.
    n_redirects : int
        Each is checked as the first URL was.
    n_retries : int
        After the first try: for 429, 5xx and connections that break.
    connect_s, read_s : float
        Seconds without a connection, or without a byte.
    deadline_s : float
        Seconds for a URL in all, its waits, redirects and what is asked of its site too; not the wait for
        its turn.
    backoff_s, backoff_cap_s : float
        The first wait before a new try; it doubles up to the cap.
    retry_after_cap_s : float
        A host that asks for more is not waited for, nor asked for anything else.
    max_wire_bytes, max_bytes : int
        Of a body as it comes, and as it is once unpacked.
    """

    n_at_once: int = 16
    n_per_host: int = 2
    n_redirects: int = 5
    n_retries: int = 3
    connect_s: float = 10.0
    read_s: float = 15.0
    deadline_s: float = 90.0
    backoff_s: float = 0.5
    backoff_cap_s: float = 20.0
    retry_after_cap_s: float = 60.0
    max_wire_bytes: int = 20 << 20
    max_bytes: int = 20 << 20


@dataclass(frozen=True)
class Clock:
    """Time as a download sees it; a test puts its own in place."""

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


def backoff_s(attempt: int, limits: Limits, rng: random.Random) -> float:
    """Seconds before the try after ``attempt`` (from 0): doubling, half of it by chance.

    Examples
    --------
    >>> 1.0 <= backoff_s(2, Limits(backoff_s=0.5), random.Random(1)) <= 2.0
    True
    """
    whole: float = min(limits.backoff_cap_s, limits.backoff_s * 2.0**attempt)
    return whole * rng.uniform(0.5, 1.0)


def retry_after_s(text: str, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, as a number or a date; None if it says neither.

    Examples
    --------
    >>> retry_after_s("Mon, 01 Jan 2024 00:00:30 GMT", datetime(2024, 1, 1, tzinfo=UTC))
    30.0
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())


class Allowance:
    """The time that is left for a URL, or for what a site says of itself."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._whole_s = self._left_s = seconds
        self._clock = clock
        self._since_s: float | None = None
        self._end = asyncio.timeout(None)

    @property
    def spent_s(self) -> float:
        """What has passed of it."""
        running_s = 0.0 if self._since_s is None else self._clock.monotonic_s() - self._since_s
        return self._whole_s - self._left_s + running_s

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Time passes inside; the block ends when none is left.

        Raises
        ------
        Refused
        """
        try:
            async with asyncio.timeout(self._left_s) as self._end:
                self._since_s = self._clock.monotonic_s()
                try:
                    yield
                finally:
                    self._stop()
        except TimeoutError:
            raise self._over() from None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No time passes inside, though it is running outside."""
        self._stop()
        self._end.reschedule(None)
        try:
            yield
        finally:
            self._since_s = self._clock.monotonic_s()
            self._end.reschedule(asyncio.get_running_loop().time() + self._left_s)

    async def wait_for(self, task: asyncio.Task[T], of: Allowance) -> T:
        """What a task ends with that has an allowance of its own; as much passes of this one as of that.

        Raises
        ------
        Refused
            When none is left; the task goes on.
        """
        begin_s = of.spent_s
        try:
            while not task.done():
                left_s = self._left_s - (of.spent_s - begin_s)
                if left_s <= 0:
                    raise self._over()
                await asyncio.wait({task}, timeout=max(left_s, _TICK_S))
        finally:
            self._left_s -= of.spent_s - begin_s
        return task.result()

    async def wait(self, seconds: float) -> None:
        """Sleep, if as much is left.

        Raises
        ------
        Refused
            At once: the time would be over before the wait is.
        """
        if seconds >= self._left_s:
            raise self._over()
        self._left_s -= seconds
        await self._clock.sleep(seconds)

    def _stop(self) -> None:
        self._left_s = self._whole_s - self.spent_s
        self._since_s = None

    def _over(self) -> Refused:
        return Refused(f"not done within {self._whole_s:g} s in all")


@dataclass
class Mood:
    """What a host asked for; outlives the event loop that a `Turn` lives in.

    Attributes
    ----------
    quiet_until_s : float
        Of the clock: nothing is asked before.
    shut : str
        Why nothing is asked at all any more; empty if something is.
    """

    quiet_until_s: float = -1.0
    shut: str = ""


class Turn:
    """A host's turn: so many requests at a time, and none before the host wants to hear of us again."""

    def __init__(self, n_at_once: int, clock: Clock, mood: Mood | None = None) -> None:
        self._slots = asyncio.Semaphore(n_at_once)
        self._clock = clock
        self._mood = mood or Mood()

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """One of the slots."""
        async with self._slots:
            yield

    @contextlib.asynccontextmanager
    async def asking(self, slots: asyncio.Semaphore) -> AsyncIterator[None]:
        """One of the slots of all hosts, at a time when this one may be asked.

        Raises
        ------
        Refused
            As `check`.
        """
        while True:
            await self.quiet()
            async with slots:
                self.check()
                if self._left_s() <= 0:  # it may have asked for quiet while others had the slot
                    yield
                    return

    async def quiet(self) -> None:
        """Wait until the host may be asked.

        Raises
        ------
        Refused
            As `check`.
        """
        self.check()
        while (left_s := self._left_s()) > 0:
            await self._clock.sleep(left_s)
            self.check()

    def check(self) -> None:
        """Refuse if the host may not be asked any more."""
        if self._mood.shut:
            raise Refused(self._mood.shut)

    def hold(self, seconds: float) -> None:
        """Ask nothing for so long; the host said so."""
        self._mood.quiet_until_s = max(self._mood.quiet_until_s, self._clock.monotonic_s() + seconds)

    def shut(self, why: str) -> None:
        """Ask nothing any more."""
        self._mood.shut = why

    def _left_s(self) -> float:
        return self._mood.quiet_until_s - self._clock.monotonic_s()
