"""What a site says about being collected.

Owns robots.txt and tdmrep.json per origin, the headers by which a site keeps its pictures out of collections
(``X-Robots-Tag``, ``tdm-reservation``, ``Content-Usage``), and the name that we go by. Refuses to make
requests itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from collection.fetching.pacing import Allowance
from collection.fetching.reservations import PATH as RESERVATIONS
from collection.fetching.reservations import parse_reservations
from collection.fetching.robots import Rule, closest_rule, parse_robots, training_signal
from collection.fetching.urls import one_line, origin_of
from collection.records import Verdict

__all__ = ["TOKEN", "Origins", "header_verdict"]

T = TypeVar("T")

#: The product token that robots.txt and X-Robots-Tag call us by.
TOKEN: Final = "kyara"

_OURS: Final = ("*", TOKEN)
_NO: Final = ("noai", "noimageai", "none")
#: Directives as far as they are known; those with a value beside.
_KNOWN: Final = (
    *_NO, "all", "index", "follow", "noindex", "nofollow", "noarchive", "nocache", "nosnippet", "noodp",
    "noydir", "noimageindex", "notranslate", "nositelinkssearchbox", "indexifembedded",
)  # fmt: skip
_VALUED = re.compile(r"(?:unavailable_after|max-[a-z-]+)(?:\s*:\s*\S+)?")
_AGENT = re.compile(r"(\*|[a-z0-9_-]+)(?:/\S*)?")
_WORD = re.compile(r"[a-z_-]+")


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
    for part in re.split("[,;]", value.lower()):
        name, said = _addressed(part)
        agent = name or agent
        directive = next((word for word in _WORD.findall(_VALUED.sub("", said)) if word in _NO), "")
        if directive and agent in ("", *_OURS):
            return f"{agent}: {directive}" if agent else directive
    return ""


def _addressed(part: str) -> tuple[str, str]:
    """The agent that a part of a header names, and what it says.

    Empty if it names none, or none for sure: an unknown directive's value must not make what comes next
    somebody else's.
    """
    before, _, after = part.partition(":")
    agent, directive = _AGENT.fullmatch(before.strip()), _WORD.match(after.strip())
    if agent is None or agent[1] in _KNOWN or _VALUED.fullmatch(agent[1]) or directive is None:
        return "", part
    is_known = directive[0] in _KNOWN or _VALUED.fullmatch(directive[0])
    return (agent[1], after) if is_known or agent[1] in _OURS else ("", part)


class Origins:
    """What every origin that is met in a run says of itself: its robots.txt and tdmrep.json, asked for once.

    Parameters
    ----------
    fetch : callable
        URL of such a file and the time for it -> its bytes, or a verdict on the whole origin where it
        cannot be had. What it raises reaches everybody who asks about that origin.
    allowance : callable
        The time for a file.
    """

    def __init__(
        self,
        fetch: Callable[[str, Allowance], Awaitable[bytes | Verdict]],
        allowance: Callable[[], Allowance],
    ) -> None:
        self._fetch = fetch
        self._allowance = allowance
        self._files: dict[str, tuple[asyncio.Task[Any], Allowance]] = {}

    async def verdict(self, url: str, allowance: Allowance) -> Verdict:
        """Whether a normalised URL may be asked for.

        Raises
        ------
        Refused
            When the time is over; a file that others wait for too goes on being asked for.
        """
        import httpx

        origin, path = origin_of(url), httpx.URL(url).raw_path.decode("ascii")
        robots = await self._file(f"{origin}/robots.txt", lambda data: parse_robots(data, TOKEN), allowance)
        if isinstance(robots, Verdict):
            return robots
        if path == "/robots.txt":
            return Verdict(True)
        against = _against(robots.rules, path) or _against(robots.signals, path)
        if against:
            return Verdict(False, one_line(f"robots.txt: {against}"))
        if _against(robots.rules, RESERVATIONS):
            return Verdict(True)
        reserved = await self._file(f"{origin}{RESERVATIONS}", parse_reservations, allowance)
        # robots.txt is what a site must answer for; a tdmrep.json that cannot be had says nothing
        against = None if isinstance(reserved, Verdict) else _against(reserved, path)
        if against:
            return Verdict(False, one_line(f"tdmrep.json: {against} for {against.pattern}"))
        return Verdict(True)

    async def _file(self, url: str, parse: Callable[[bytes], T], allowance: Allowance) -> T | Verdict:
        """A file as it is read, asked for by the first who wants it."""

        async def ask(own: Allowance) -> T | Verdict:
            answer = await self._fetch(url, own)
            return answer if isinstance(answer, Verdict) else parse(answer)

        if url not in self._files:
            own = self._allowance()
            task = asyncio.create_task(ask(own))
            task.add_done_callback(_seen)  # those who waited may be gone
            self._files[url] = task, own
        told: T | Verdict = await allowance.wait_for(*self._files[url])
        return told


def _seen(task: asyncio.Task[Any]) -> None:
    """A task's error, if it has one, is no news."""
    if not task.cancelled():
        task.exception()


def _against(rules: tuple[Rule, ...], path: str) -> Rule | None:
    """The closest rule, where it says no."""
    rule = closest_rule(rules, path)
    return None if rule is None or rule.allow else rule
