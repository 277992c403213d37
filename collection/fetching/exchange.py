"""A URL, through its redirects and its host's moods, to the bytes of its last answer.

Owns the order of things: permission, the host's turn, the request, its headers, its body; which
failures deserve another try; and the trail of what happened. Refuses to know what the bytes are for,
and to write.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from collection.fetching import pacing
from collection.fetching.addresses import Refused
from collection.fetching.body import BodyBroken, read_body
from collection.fetching.optout import header_verdict
from collection.fetching.pacing import Allowance, Clock, Limits, Turn
from collection.fetching.urls import joined, one_line
from collection.records import Verdict

if TYPE_CHECKING:
    import httpx

__all__ = ["Exchange", "Trail", "Wanted"]

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_TOO_MANY: Final = 429


@dataclass
class Trail:
    """What happened on the way; filled in as it does, so that a failure leaves it.

    Attributes
    ----------
    url : str
        Where it stands now.
    status : int
        Of the last answer; 0 if the last request had none.
    opt_out : Verdict
    redirects : list of str
        The URLs that were redirected to.
    first : str
        Where it began.
    """

    url: str
    status: int = 0
    opt_out: Verdict = field(default_factory=lambda: Verdict(True))
    redirects: list[str] = field(default_factory=list)
    first: str = ""

    def __post_init__(self) -> None:
        self.first = self.url

    def follow(self, location: str, *, n_redirects: int) -> None:
        """Go where a redirect leads.

        Raises
        ------
        Refused
            For a loop, one redirect too many, or a place that is not gone to.
        """
        target = joined(self.url, location)
        if target in (self.first, self.url, *self.redirects):
            raise Refused(f"redirect loop at {one_line(target, limit=120)}")
        if len(self.redirects) == n_redirects:
            raise Refused(f"more than {n_redirects} redirects")
        self.redirects.append(target)
        self.url = target


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a URL.

    Attributes
    ----------
    accept : str
        Media types.
    max_wire_bytes, max_bytes, cut : int, int, bool
        See `collection.fetching.body.read_body`.
    look, look_bytes : callable, int
        The same.
    heeds_opt_out : bool
        Whether headers of an answer can forbid to take it.
    permit : callable, optional
        Asked before each URL, redirects too; refuses by raising.
    """

    accept: str
    max_wire_bytes: int
    max_bytes: int
    cut: bool = False
    look: Callable[[bytes], None] | None = None
    look_bytes: int = 0
    heeds_opt_out: bool = True
    permit: Callable[[Trail], Awaitable[None]] | None = None


@dataclass(frozen=True)
class _Moved:
    location: str


class _TryAgain(Exception):
    """A failure that may pass; ``wait_s`` is what the host asked for."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Exchange:
    """Requests of one run; lives in one event loop.

    Parameters
    ----------
    transport : httpx.AsyncBaseTransport
    limits : Limits
    user_agent : str
    clock : Clock
    rng : random.Random
        For the jitter of waits.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        limits: Limits,
        user_agent: str,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._user_agent = user_agent
        self._clock = clock
        self._rng = rng
        self._slots = asyncio.Semaphore(limits.n_at_once)
        self._turns: defaultdict[str, Turn] = defaultdict(lambda: Turn(limits.n_per_host, clock))

    async def get(self, trail: Trail, wanted: Wanted) -> bytes:
        """The body that a URL leads to.

        Raises
        ------
        Refused
            With the line that says why there is none; the trail says how far it went.
        """
        import httpx

        allowance = Allowance(self._limits.deadline_s, self._clock)
        while True:
            if wanted.permit is not None:
                await wanted.permit(trail)
            turn = self._turns[httpx.URL(trail.url).host]
            async with turn.taken():
                found = await self._tries(trail, wanted, turn, allowance)
            if isinstance(found, bytes):
                return found
            trail.follow(found.location, n_redirects=self._limits.n_redirects)

    async def _tries(self, trail: Trail, wanted: Wanted, turn: Turn, allowance: Allowance) -> bytes | _Moved:
        limits = self._limits
        for attempt in range(limits.n_retries + 1):
            await turn.quiet()
            try:
                async with self._slots, allowance.running():
                    return await self._once(trail, wanted)
            except _TryAgain as failure:
                wait_s = pacing.backoff_s(attempt, limits, self._rng)
                if failure.wait_s is not None:
                    if failure.wait_s > limits.retry_after_cap_s:
                        raise Refused(f"{failure}, which asks to wait {failure.wait_s:.0f} s") from None
                    turn.hold(failure.wait_s)
                    wait_s += failure.wait_s
                if attempt == limits.n_retries:
                    raise Refused(f"{failure}, {attempt + 1} times") from None
                await self._wait(wait_s, allowance, failure)
        raise AssertionError("the last try returns or raises")

    @staticmethod
    async def _wait(seconds: float, allowance: Allowance, failure: _TryAgain) -> None:
        try:
            await allowance.wait(seconds)
        except Refused as over:
            raise Refused(f"{failure}; {over}") from None

    async def _once(self, trail: Trail, wanted: Wanted) -> bytes | _Moved:
        """One request."""
        import httpx

        limits = self._limits
        waits = {"connect": limits.connect_s, "read": limits.read_s, "write": limits.read_s, "pool": None}
        headers = {
            "User-Agent": self._user_agent, "Accept": wanted.accept, "Accept-Encoding": "identity",
        }  # fmt: skip
        request = httpx.Request("GET", trail.url, headers=headers, extensions={"timeout": waits})
        trail.status = 0
        try:
            response = await self._transport.handle_async_request(request)
            try:
                return await self._answer(response, trail, wanted)
            finally:
                await response.aclose()
        except BodyBroken as broken:
            raise _TryAgain(str(broken)) from None
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise Refused(f"cannot be asked for: {_said(error)}") from None
        except httpx.ConnectTimeout:
            raise _TryAgain(f"no connection within {limits.connect_s:g} s") from None
        except httpx.TimeoutException:
            raise _TryAgain(f"no answer within {limits.read_s:g} s") from None
        except httpx.TransportError as error:
            if _is_certificate(error):
                raise Refused(f"certificate refused: {_said(error)}") from None
            raise _TryAgain(f"connection failed: {_said(error)}") from None

    async def _answer(self, response: httpx.Response, trail: Trail, wanted: Wanted) -> bytes | _Moved:
        trail.status = response.status_code
        if wanted.heeds_opt_out and response.status_code < 400:
            trail.opt_out = header_verdict(response.headers.multi_items())
            if not trail.opt_out.allowed:
                raise Refused(f"not allowed: {trail.opt_out.reason}")
        location = response.headers.get("location", "")
        if response.status_code in _REDIRECTS and location:
            return _Moved(location)
        if response.status_code == _TOO_MANY or response.status_code >= 500:
            asked = response.headers.get("retry-after", "")
            wait_s = pacing.retry_after_s(asked, self._clock.now()) if asked else None
            raise _TryAgain(f"HTTP {response.status_code}", wait_s)
        if response.status_code != 200:
            raise Refused(f"HTTP {response.status_code}")
        return await read_body(
            response, max_wire_bytes=wanted.max_wire_bytes, max_bytes=wanted.max_bytes, cut=wanted.cut,
            look=wanted.look, look_bytes=wanted.look_bytes,
        )  # fmt: skip


def _said(error: BaseException) -> str:
    return one_line(str(error), limit=160).removesuffix(".") or type(error).__name__


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__  # httpcore's pool raises "from None"
    return False
