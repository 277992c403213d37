"""robots.txt, as RFC 9309 reads it.

Owns groups, rules, which rule is the closest, and the lines by which a site says what its pages may be
used for: ``Content-Signal`` (contentsignals.org) and ``Content-Usage`` (draft-ietf-aipref-attach). Refuses to
fetch the file, and to know whose it is.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

__all__ = ["MAX_BYTES", "RobotsTxt", "Rule", "closest_rule", "parse_robots", "training_signal"]

#: More of a file is not read.
MAX_BYTES: Final = 500 * 1024

_SIGNALS: Final = ("content-signal", "content-usage")
_TRAINING = re.compile(r"(?:^|[\s,;])(ai-train|train-ai)\s*=\s*(yes|y|no|n)(?=$|[\s,;])")
_TOKEN = re.compile(r"[a-z_-]+|\*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
#: What is not written as it is; a site may mean another thing by ``%2F`` than by ``/``.
_ENCODED = re.compile(r"[^A-Za-z0-9._~/%?=&+;-]")


@dataclass(frozen=True)
class Rule:
    """A line of a group.

    Attributes
    ----------
    allow : bool
    pattern : str
        A path's beginning; ``*`` stands for anything, a last ``$`` for the end.
    said : str
        The line, where it is none of ``Allow`` and ``Disallow``.
    """

    allow: bool
    pattern: str
    said: str = ""

    @functools.cached_property
    def spelled(self) -> str:
        """The pattern as paths are spelled; ``*`` and ``$`` are in it only where they stand for something."""
        end = "$" if self.pattern.endswith("$") else ""
        return "*".join(map(_canonical, self.pattern.removesuffix("$").split("*"))) + end

    def __str__(self) -> str:
        return self.said or f"{'Allow' if self.allow else 'Disallow'}: {self.pattern}"


@dataclass(frozen=True)
class RobotsTxt:
    """What a file says to one agent.

    Attributes
    ----------
    rules : tuple of Rule
        What may be asked for.
    signals : tuple of Rule
        Whether what is got may be learned from.
    """

    rules: tuple[Rule, ...] = ()
    signals: tuple[Rule, ...] = ()


def training_signal(value: str) -> tuple[bool, str] | None:
    """Whether a ``Content-Signal`` or ``Content-Usage`` allows to learn, and its words; None if it is silent.

    Examples
    --------
    >>> training_signal("search=yes, ai-train=no"), training_signal("train-ai=y"), training_signal("bots=n")
    ((False, 'ai-train=no'), (True, 'train-ai=y'), None)
    """
    found = _TRAINING.findall(value.lower())
    if not found:
        return None
    name, answer = next((pair for pair in found if pair[1].startswith("n")), found[0])
    return answer.startswith("y"), f"{name}={answer}"


def parse_robots(data: bytes, agent: str) -> RobotsTxt:
    r"""What a file says to an agent: those of its own groups, else those of ``*``.

    Parameters
    ----------
    data : bytes
        The file; a last line that `MAX_BYTES` cut through is left out.
    agent : str
        A product token, lower case.

    Examples
    --------
    >>> [str(rule) for rule in parse_robots(b"User-agent: *\nDisallow: /img", "kyara").rules]
    ['Disallow: /img']
    """
    if len(data) >= MAX_BYTES:
        data = data[:MAX_BYTES]
        data = data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]
    rules: dict[str, list[Rule]] = {}
    signals: defaultdict[str, list[Rule]] = defaultdict(list)
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
        elif key in _SIGNALS:
            in_agents = False
            signal = training_signal(value)
            if signal:
                pattern = value.split()[0] if value.startswith("/") else "/"
                for name in group:
                    signals[name].append(Rule(signal[0], pattern, f"{key.title()}: {signal[1]}"))
    own = agent if agent in rules else "*"
    return RobotsTxt(tuple(rules.get(own, ())), tuple(signals[own]))


def closest_rule(rules: tuple[Rule, ...], path: str) -> Rule | None:
    """The longest rule that a path matches, ``Allow`` before ``Disallow``; None if there is none.

    Parameters
    ----------
    path : str
        Path and query of a URL, percent-encoded.
    """
    path = _canonical(path)
    found = (rule for rule in rules if _matches(rule.spelled, path))
    return max(found, key=lambda rule: (len(rule.spelled), rule.allow), default=None)


def _canonical(text: str) -> str:
    """Percent-encoding in one spelling, which it is of patterns and of URLs."""

    def plain(escape: re.Match[str]) -> str:
        character = chr(int(escape[1], 16))
        return character if character in _UNRESERVED else escape[0].upper()

    return _ESCAPE.sub(plain, _ENCODED.sub(lambda found: quote(found[0], safe="", errors="replace"), text))


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
