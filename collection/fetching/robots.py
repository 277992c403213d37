"""robots.txt, as RFC 9309 reads it.

Owns groups, rules and which rule is the closest. Refuses to fetch the file, and to know whose it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

__all__ = ["MAX_BYTES", "Rule", "closest_rule", "parse_robots"]

#: More of a file is not read.
MAX_BYTES: Final = 500 * 1024

_TOKEN = re.compile(r"[a-z_-]+|\*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True)
class Rule:
    """A line of a group.

    Attributes
    ----------
    allow : bool
    pattern : str
        A path's beginning; ``*`` stands for anything, a last ``$`` for the end.
    """

    allow: bool
    pattern: str

    def __str__(self) -> str:
        return f"{'Allow' if self.allow else 'Disallow'}: {self.pattern}"


def parse_robots(data: bytes, agent: str) -> tuple[Rule, ...]:
    r"""The rules for an agent: those of its own groups, else those of ``*``.

    Parameters
    ----------
    data : bytes
        The file; a last line that `MAX_BYTES` cut through is left out.
    agent : str
        A product token, lower case.

    Examples
    --------
    >>> [str(rule) for rule in parse_robots(b"User-agent: *\nDisallow: /img", "kyara")]
    ['Disallow: /img']
    """
    if len(data) >= MAX_BYTES:
        data = data[:MAX_BYTES]
        data = data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]
    rules: dict[str, list[Rule]] = {}
    group: list[str] = []
    in_agents = False
    for line in re.split(r"\r\n|\r|\n", data.decode("utf-8", "replace").removeprefix("\ufeff")):
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key in ("user-agent", "useragent", "user agent"):
            token = _TOKEN.match(value.lower())
            group = [*(group if in_agents else ()), token[0] if token else ""]
            rules.setdefault(group[-1], [])
            in_agents = True
        elif key in ("allow", "disallow"):
            in_agents = False
            for name in group if value else ():
                pattern = value if value.startswith(("/", "*")) else f"/{value}"
                rules[name].append(Rule(key == "allow", pattern))
    return tuple(rules.get(agent, rules.get("*", ())))


def closest_rule(rules: tuple[Rule, ...], path: str) -> Rule | None:
    """The longest rule that a path matches, ``Allow`` before ``Disallow``; None if there is none.

    Parameters
    ----------
    path : str
        Path and query of a URL, percent-encoded.
    """
    path = _canonical(path)
    found = (rule for rule in rules if _matches(_canonical(rule.pattern), path))
    return max(found, key=lambda rule: (len(_canonical(rule.pattern)), rule.allow), default=None)


def _canonical(text: str) -> str:
    """Percent-encoding in one spelling: what need not be encoded is not."""

    def plain(escape: re.Match[str]) -> str:
        character = chr(int(escape[1], 16))
        return character if character in _UNRESERVED else escape[0].upper()

    return _ESCAPE.sub(plain, text if text.isascii() else quote(text, safe="/%*$?=&+,;:@!'()~"))


def _matches(pattern: str, path: str) -> bool:
    """Whether a path matches from its beginning: piece after piece, never back, whatever the pattern."""
    to_end = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    place = len(first)
    if to_end and not rest:
        return place == len(path)
    last = rest.pop() if to_end else ""
    for piece in rest:
        place = path.find(piece, place)
        if place < 0:
            return False
        place += len(piece)
    return path.endswith(last) and len(path) - len(last) >= place
