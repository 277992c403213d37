"""How fast, how often and how long.

Owns the limits of a download, the waits between tries and a host's turn. Refuses to know HTTP
beyond ``Retry-After``, and to wait by itself: clock and sleep are given.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from collection.fetching.addresses import Refused

__all__ = ["Allowance", "Clock", "Limits", "Turn", "backoff_s", "retry_after_s"]


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
        Seconds for a URL in all, its waits and redirects too; not the wait for its turn.
    backoff_s, backoff_cap_s : float
        The first wait before a new try; it doubles up to the cap.
    retry_after_cap_s : float
        A host that asks for more is not waited for.
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
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())


class Allowance:
    """The time that is left for a URL."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._whole_s = self._left_s = seconds
        self._clock = clock

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Time passes inside; the block ends when none is left.

        Raises
        ------
        Refused
        """
        start = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(self._left_s):
                yield
        except TimeoutError:
            raise self._over() from None
        finally:
            self._left_s -= self._clock.monotonic_s() - start

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

    def _over(self) -> Refused:
        return Refused(f"not done within {self._whole_s:g} s in all")


class Turn:
    """A host's turn: so many requests at a time, and none before the host wants to hear of us again."""

    def __init__(self, n_at_once: int, clock: Clock) -> None:
        self._slots = asyncio.Semaphore(n_at_once)
        self._clock = clock
        self._quiet_until_s = -1.0

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """One of the slots."""
        async with self._slots:
            yield

    async def quiet(self) -> None:
        """Wait until the host may be asked."""
        while (left_s := self._quiet_until_s - self._clock.monotonic_s()) > 0:
            await self._clock.sleep(left_s)

    def hold(self, seconds: float) -> None:
        """Ask nothing for so long; the host said so."""
        self._quiet_until_s = max(self._quiet_until_s, self._clock.monotonic_s() + seconds)
