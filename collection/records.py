"""What is known of a picture from the list that asks for it to the file that it became.

Owns the values that pass between lists, providers, downloads and crops. Refuses to fetch, to cut and to
judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

__all__ = ["ROLES", "UNASKED", "Candidate", "Character", "Fetched", "Role", "Verdict", "unknown_role", "utc"]

Role = Literal["hero", "villain", "antihero"]

#: Role -> the folder, and so the class, that its pictures go to.
ROLES: Final[Mapping[str, str]] = {"hero": "hero", "villain": "villain", "antihero": "villain"}


def utc(moment: datetime) -> str:
    """A moment as records have it: UTC, ISO 8601, seconds.

    Examples
    --------
    >>> from datetime import timedelta, timezone
    >>> utc(datetime(2026, 1, 1, 1, 0, 0, 999, timezone(timedelta(hours=2))))
    '2025-12-31T23:00:00Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unknown_role(text: str) -> str:
    """What is wrong with a role that there is not.

    Examples
    --------
    >>> unknown_role("Hero")
    "the role 'Hero' is none of hero, villain, antihero; write 'hero'"
    """
    folded = text.casefold().replace("-", "").replace(" ", "")
    meant = folded if folded in ROLES else ""
    return f"the role {text!r} is none of {', '.join(ROLES)}" + (f"; write {meant!r}" if meant else "")


@dataclass(frozen=True)
class Character:
    """A line of a list.

    Attributes
    ----------
    name, series : str
    role : {"hero", "villain", "antihero"}
    aliases : tuple of str
        Other names that pictures are found by.
    hints : str
        Words that tell this character from namesakes; never words about the role.
    label_source : str
        Where the role comes from.
    """

    name: str
    series: str
    role: Role
    aliases: tuple[str, ...] = ()
    hints: str = ""
    label_source: str = ""


@dataclass(frozen=True)
class Candidate:
    """A picture that somebody offers.

    Attributes
    ----------
    character : Character
    provider : str
        ``serpapi``, ``urls`` or ``folder``.
    query : str
        What was asked; empty for ``urls`` and ``folder``.
    rank : int
        Place in the answer, from 0.
    url : str
        Of the image; a path for ``folder``.
    page : str
        Of the page that shows it; empty if unknown.
    licence : str
        What the provider says of rights; empty if nothing.
    shown : str
        What the record says of it in place of the url; empty for the url itself.
    """

    character: Character
    provider: str
    query: str
    rank: int
    url: str
    page: str = ""
    licence: str = ""
    shown: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether a site allows a picture to be taken, and who said so.

    Attributes
    ----------
    allowed : bool
    reason : str
        ``robots.txt: Disallow: /img``, ``X-Robots-Tag: noai``, ``tdm-reservation: 1``; ``none found`` if
        allowed; empty if nobody was asked.
    """

    allowed: bool
    reason: str = "none found"


#: Where nobody was asked: a file of one's own, a host that was not reached.
UNASKED: Final = Verdict(True, "")


@dataclass(frozen=True)
class Fetched:
    """What came of a candidate's URL. Nothing here is kept from the body but its bytes.

    Attributes
    ----------
    url : str
        As asked for.
    final_url : str
        After redirects.
    time : str
        UTC, ISO 8601, seconds.
    status : int
        HTTP status; 0 where there was no answer.
    opt_out : Verdict
    sha256 : str
        Of the bytes; empty where none were kept.
    n_bytes : int
    kind : str
        ``png``, ``jpeg``, ``webp``, ``gif``, ``bmp`` by its first bytes; empty if none.
    reason : str
        Why it was not kept, one line; empty if it was.
    redirects : tuple of str
    """

    url: str
    final_url: str = ""
    time: str = ""
    status: int = 0
    opt_out: Verdict = UNASKED
    sha256: str = ""
    n_bytes: int = 0
    kind: str = ""
    reason: str = ""
    redirects: tuple[str, ...] = ()
