"""What is wanted of a URL, and what happened on the way to it.

Owns how far a way may lead. Refuses to go it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from collection.fetching.addresses import Refused
from collection.fetching.pacing import Allowance
from collection.fetching.urls import joined, one_line
from collection.records import UNASKED, Verdict

__all__ = ["Trail", "Wanted"]


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
    opt_out: Verdict = UNASKED
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
        Asked before each URL, redirects too, with the time that is left; refuses by raising.
    """

    accept: str
    max_wire_bytes: int
    max_bytes: int
    cut: bool = False
    look: Callable[[bytes], None] | None = None
    look_bytes: int = 0
    heeds_opt_out: bool = True
    permit: Callable[[Trail, Allowance], Awaitable[None]] | None = None
