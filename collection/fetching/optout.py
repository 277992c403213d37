"""What a site says about being collected.

Owns robots.txt and tdmrep.json per origin, the headers by which a site keeps its pictures out of collections
(``X-Robots-Tag``, ``tdm-reservation``, ``Content-Usage``), and the name that we go by. Refuses to make
requests itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from collection.fetching.reservations import PATH as RESERVATIONS
from collection.fetching.reservations import parse_reservations
from collection.fetching.robots import Rule, closest_rule, parse_robots, training_signal
from collection.fetching.urls import one_line, origin_of
from collection.records import Verdict

__all__ = ["TOKEN", "Origins", "header_verdict"]

T = TypeVar("T")

#: The product token that robots.txt and X-Robots-Tag call us by.
TOKEN: Final = "kyara"

_NO: Final = ("noai", "noimageai", "none")
#: Directives that have a value: what stands before their colon is no agent's name.
_VALUED: Final = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")


def header_verdict(headers: Iterable[tuple[str, str]]) -> Verdict:
    """Whether a response's headers let its picture be taken.

    Parameters
    ----------
    headers : iterable of (name, value)
        With a header that comes twice there twice.

    Examples
    --------
    >>> header_verdict([("X-Robots-Tag", "noindex, noimageai")])
    Verdict(allowed=False, reason='X-Robots-Tag: noimageai')
    >>> header_verdict([("X-Robots-Tag", "otherbot: noai"), ("tdm-reservation", "0")]).allowed
    True
    """
    for name, value in headers:
        if name.lower() == "x-robots-tag":
            directive = _directive_against(value)
            if directive:
                return Verdict(False, f"X-Robots-Tag: {directive}")
        elif name.lower() == "tdm-reservation" and value.strip() == "1":
            return Verdict(False, "tdm-reservation: 1")
        elif name.lower() in ("content-usage", "content-signal"):
            signal = training_signal(value)
            if signal and not signal[0]:
                return Verdict(False, f"{name.title()}: {signal[1]}")
    return Verdict(True)


def _directive_against(value: str) -> str:
    """The directive of a header that keeps us out; an agent's name holds for what comes after it."""
    agent = ""
    for part in value.lower().split(","):
        before, colon, after = (text.strip() for text in part.partition(":"))
        if colon and before not in _VALUED:
            agent, directive = before, after
        else:
            directive = before
        if directive in _NO and agent in ("", "*", TOKEN):
            return f"{agent}: {directive}" if agent else directive
    return ""


class Origins:
    """What every origin that is met in a run says of itself: its robots.txt and tdmrep.json, asked for once.

    Parameters
    ----------
    fetch : callable
        URL of such a file -> its bytes, or a verdict on the whole origin where it cannot be had. What
        it raises reaches everybody who asks about that origin.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[bytes | Verdict]]) -> None:
        self._fetch = fetch
        self._files: dict[str, asyncio.Task[Any]] = {}

    async def verdict(self, url: str) -> Verdict:
        """Whether a normalised URL may be asked for."""
        import httpx

        origin, path = origin_of(url), httpx.URL(url).raw_path.decode("ascii")
        robots = await self._file(f"{origin}/robots.txt", lambda data: parse_robots(data, TOKEN))
        if isinstance(robots, Verdict):
            return robots
        if path == "/robots.txt":
            return Verdict(True)
        against = _against(robots.rules, path) or _against(robots.signals, path)
        if against:
            return Verdict(False, one_line(f"robots.txt: {against}"))
        if _against(robots.rules, RESERVATIONS):
            return Verdict(True)
        reserved = await self._file(f"{origin}{RESERVATIONS}", parse_reservations)
        # robots.txt is what a site must answer for; a tdmrep.json that cannot be had says nothing
        against = None if isinstance(reserved, Verdict) else _against(reserved, path)
        if against:
            return Verdict(False, one_line(f"tdmrep.json: {against} for {against.pattern}"))
        return Verdict(True)

    async def _file(self, url: str, parse: Callable[[bytes], T]) -> T | Verdict:
        """A file as it is read, asked for by the first who wants it."""

        async def ask() -> T | Verdict:
            answer = await self._fetch(url)
            return answer if isinstance(answer, Verdict) else parse(answer)

        if url not in self._files:
            self._files[url] = asyncio.create_task(ask())
        told: T | Verdict = await asyncio.shield(self._files[url])
        return told


def _against(rules: tuple[Rule, ...], path: str) -> Rule | None:
    """The closest rule, where it says no."""
    rule = closest_rule(rules, path)
    return None if rule is None or rule.allow else rule
