"""What a site says about being collected.

Owns robots.txt per origin, the headers by which a site keeps its pictures out of collections
(``X-Robots-Tag``, ``tdm-reservation``), and the name that we go by. Refuses to make requests itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from collection.fetching.robots import Rule, closest_rule, parse_robots
from collection.fetching.urls import one_line, origin_of
from collection.records import Verdict

__all__ = ["TOKEN", "Robots", "header_verdict"]

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


class Robots:
    """The robots.txt of every origin that is met in a run, each asked for once.

    Parameters
    ----------
    fetch : callable
        URL of a robots.txt -> its bytes, or a verdict on the whole origin where it cannot be had. What
        it raises reaches everybody who asks about that origin.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[bytes | Verdict]]) -> None:
        self._fetch = fetch
        self._rules: dict[str, asyncio.Task[tuple[Rule, ...] | Verdict]] = {}

    async def verdict(self, url: str) -> Verdict:
        """Whether a normalised URL may be asked for."""
        import httpx

        origin = origin_of(url)
        if origin not in self._rules:
            self._rules[origin] = asyncio.create_task(self._ask(origin))
        rules = await asyncio.shield(self._rules[origin])
        if isinstance(rules, Verdict):
            return rules
        path = httpx.URL(url).raw_path.decode("ascii")
        rule = closest_rule(rules, path)
        if rule is None or rule.allow or path == "/robots.txt":
            return Verdict(True)
        return Verdict(False, one_line(f"robots.txt: {rule}"))

    async def _ask(self, origin: str) -> tuple[Rule, ...] | Verdict:
        answer = await self._fetch(f"{origin}/robots.txt")
        return answer if isinstance(answer, Verdict) else parse_robots(answer, TOKEN)
