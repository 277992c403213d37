"""A URL, through its redirects and its host's moods, to the bytes of its last answer.

Owns the order of things: permission, the host's turn, the request, its headers, room for its body, the
body; which failures deserve another try. Refuses to know what the bytes are for, and to write.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from collection.fetching import pacing
from collection.fetching.addresses import Refused
from collection.fetching.body import BodyBroken, most_bytes, read_away, read_body
from collection.fetching.optout import header_verdict
from collection.fetching.pacing import Allowance, Clock, Limits, Mood, Turn
from collection.fetching.room import Place, Room
from collection.fetching.trail import Trail, Wanted
from collection.fetching.urls import one_line

if TYPE_CHECKING:
    import httpx

__all__ = ["Exchange"]

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_TOO_MANY: Final = 429
#: Bodies of the largest size that there is room for at a time.
_N_LARGEST: Final = 8


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
    moods : dict
        Of hosts; filled in, for whoever asks them next.

    Attributes
    ----------
    room : Room
        In memory, for bodies.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        limits: Limits,
        user_agent: str,
        clock: Clock,
        rng: random.Random,
        moods: dict[str, Mood],
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._user_agent = user_agent
        self._clock = clock
        self._rng = rng
        self._moods = moods
        self._slots = asyncio.Semaphore(limits.n_at_once)
        self._turns: dict[str, Turn] = {}
        self.room = Room(_N_LARGEST * limits.max_bytes)

    def allowance(self) -> Allowance:
        """A whole one."""
        return Allowance(self._limits.deadline_s, self._clock)

    async def get(self, trail: Trail, wanted: Wanted, allowance: Allowance, place: Place) -> bytes:
        """The body that a URL leads to; it has its place in memory.

        Raises
        ------
        Refused
            With the line that says why there is none; the trail says how far it went.
        """
        while True:
            turn = self._turn(trail)
            turn.check()
            if wanted.permit is not None:
                await wanted.permit(trail, allowance)
            async with turn.taken():
                found = await self._tries(trail, wanted, turn, allowance, place)
            if isinstance(found, bytes):
                return found
            trail.follow(found.location, n_redirects=self._limits.n_redirects)

    def _turn(self, trail: Trail) -> Turn:
        import httpx

        host = httpx.URL(trail.url).raw_host.decode("ascii")
        if host not in self._turns:
            mood = self._moods.setdefault(host, Mood())
            self._turns[host] = Turn(self._limits.n_per_host, self._clock, mood)
        return self._turns[host]

    async def _tries(
        self, trail: Trail, wanted: Wanted, turn: Turn, allowance: Allowance, place: Place
    ) -> bytes | _Moved:
        limits = self._limits
        for attempt in range(limits.n_retries + 1):
            try:
                async with turn.asking(self._slots), allowance.running():
                    return await self._once(trail, wanted, allowance, place)
            except _TryAgain as failure:
                place.shrink(0)
                wait_s = pacing.backoff_s(attempt, limits, self._rng)
                if failure.wait_s is not None:
                    if failure.wait_s > limits.retry_after_cap_s:
                        asked = f"asks to wait {failure.wait_s:.0f} s"
                        turn.shut(f"not asked: the host said {failure}, and {asked}")
                        raise Refused(f"{failure}, which {asked}") from None
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

    async def _once(self, trail: Trail, wanted: Wanted, allowance: Allowance, place: Place) -> bytes | _Moved:
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
                moved = await self._moved(response, trail, wanted)
                return moved or await self._body(response, wanted, allowance, place)
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

    async def _moved(self, response: httpx.Response, trail: Trail, wanted: Wanted) -> _Moved | None:
        """Where an answer sends us; None where it is what is wanted. Whatever else it says is raised."""
        trail.status = response.status_code
        if wanted.heeds_opt_out and response.status_code < 400:
            trail.opt_out = header_verdict(response.headers.multi_items())
            if not trail.opt_out.allowed:
                raise Refused(f"not allowed: {trail.opt_out.reason}")
        if response.status_code == 200:
            return None
        await read_away(response)
        location = response.headers.get("location", "")
        if response.status_code in _REDIRECTS and location:
            return _Moved(location)
        if response.status_code == _TOO_MANY or response.status_code >= 500:
            asked = response.headers.get("retry-after", "")
            wait_s = pacing.retry_after_s(asked, self._clock.now()) if asked else None
            raise _TryAgain(f"HTTP {response.status_code}", wait_s)
        raise Refused(f"HTTP {response.status_code}")

    @staticmethod
    async def _body(response: httpx.Response, wanted: Wanted, allowance: Allowance, place: Place) -> bytes:
        with allowance.paused():  # for others' bodies to be done with
            await place.take(most_bytes(response.headers, wanted.max_bytes))
        body = await read_body(
            response, max_wire_bytes=wanted.max_wire_bytes, max_bytes=wanted.max_bytes, cut=wanted.cut,
            look=wanted.look, look_bytes=wanted.look_bytes,
        )  # fmt: skip
        place.shrink(len(body))
        return body


def _said(error: BaseException) -> str:
    return one_line(str(error), limit=160).removesuffix(".") or type(error).__name__


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__  # httpcore's pool raises "from None"
    return False
