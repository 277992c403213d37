"""Characters -> pictures: who is asked about, which offers are tried, and which is taken.

Owns the order of things. In each round every character that still lacks pictures has its next offer tried,
all at once. A run that was killed takes up where it was: what was tried stands in the journal, what was asked
in the provider's kept answers. Refuses to know how anything is fetched, and to cut.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from collection.journal import Journal
from collection.progress import told
from collection.providers import BudgetSpent, Provider, ProviderRefused, QueryRefused
from collection.records import Candidate, Character, Fetched
from featurestore.text import counted

__all__ = ["Entry", "Gathered", "gather", "planned"]

log = logging.getLogger(__name__)

#: Tries addresses, tells of each as soon as it is done.
Fetch = Callable[[Sequence[str], Callable[[Fetched], None]], None]


#: So many queries that are refused one after the other are no matter of the queries.
_MOST_UNANSWERED: Final = 3


@dataclass(frozen=True)
class Entry:
    """An offer and what came of it.

    Attributes
    ----------
    candidate : Candidate
    fetched : Fetched
    reason : str
        Why it was not taken, one line; empty if it was.
    """

    candidate: Candidate
    fetched: Fetched
    reason: str = ""


@dataclass(frozen=True)
class Gathered:
    """What a search brought.

    Attributes
    ----------
    entries : tuple of Entry
        Every offer that was tried, by character as listed, then by rank.
    missing : tuple of (Character, reason)
        Who has fewer pictures than were wanted.
    stopped : str
        Why the provider was asked no further; empty if it was not.
    refused : bool
        Whether it was the provider that refused, and not the budget.
    """

    entries: tuple[Entry, ...]
    missing: tuple[tuple[Character, str], ...] = ()
    stopped: str = ""
    refused: bool = False

    @property
    def taken(self) -> tuple[Entry, ...]:
        """Those that were taken."""
        return tuple(one for one in self.entries if not one.reason)


def planned(characters: Sequence[Character], provider: Provider) -> tuple[int, int]:
    """How many characters would be asked about, and how many of these answers are here already."""
    known = sum(provider.known(one) for one in characters)
    return len(characters), known


def gather(
    characters: Sequence[Character],
    provider: Provider,
    fetch: Fetch,
    journal: Journal,
    *,
    wanted: int | None = 1,
    tries: int | None = 5,
) -> Gathered:
    """Ask about everybody, and try offers until each has as many pictures as are wanted.

    Parameters
    ----------
    wanted : int or None
        Pictures a character; None = every good one, and who has one is not missing.
    tries : int or None
        Offers that are tried of each, at most; None = all.
    """
    offers, unanswered, stopped, refused = _asked(characters, provider, tries)
    while True:
        entries, batch = _judged(offers, journal, wanted)
        if not batch:
            break
        log.info("search: %s to try", counted(len(batch), "offer"))
        fetch(batch, journal.add)
        left = [url for url in batch if url not in journal.done]
        if left:
            raise AssertionError(f"nothing was told of {left[0]}")
    n_taken = Counter(one.candidate.character for one in entries if not one.reason)
    enough = 1 if wanted is None else wanted
    missing = [
        (one, unanswered.get(one) or _why(offers.get(one), n_taken[one]))
        for one in characters
        if n_taken[one] < enough
    ]
    return Gathered(tuple(entries), tuple(missing), stopped, refused)


def _why(offers: Sequence[Candidate] | None, n_taken: int) -> str:
    """Why a character has too few pictures."""
    if offers is None:
        return "not asked about"
    return f"{counted(len(offers), 'offer')}, {n_taken} good" if offers else "no offers"


def _asked(
    characters: Sequence[Character], provider: Provider, tries: int | None
) -> tuple[dict[Character, list[Candidate]], dict[Character, str], str, bool]:
    """Offers by character as far as the provider goes, and who had no answer.

    What is kept is used even after it stopped.
    """
    offers: dict[Character, list[Candidate]] = {}
    unanswered: dict[Character, str] = {}
    stopped, refused, n_in_a_row = "", False, 0
    for character in told(characters, len(characters), name="ask", unit="character", where="search"):
        if stopped and not provider.known(character):
            continue
        try:
            offers[character] = provider.candidates(character)[:tries]
            n_in_a_row = 0
        except BudgetSpent as error:
            stopped = str(error)
        except ProviderRefused as error:
            stopped, refused = str(error), True
        except QueryRefused as error:
            unanswered[character] = str(error)
            n_in_a_row += 1
            if n_in_a_row == _MOST_UNANSWERED:
                stopped, refused = f"{error}, {n_in_a_row} times", True
    return offers, unanswered, stopped, refused


def _judged(
    offers: dict[Character, list[Candidate]], journal: Journal, wanted: int | None
) -> tuple[list[Entry], list[str]]:
    """What is known by now, and the addresses of the next offers of those who lack pictures."""
    entries: list[Entry] = []
    owner: dict[str, Character] = {}
    following: dict[str, None] = {}
    for character, candidates in offers.items():
        n_taken = 0
        for one in candidates:
            if n_taken == wanted:
                break
            if one.url not in journal.done:
                following[one.url] = None
                break
            fetched = journal.done[one.url]
            reason = fetched.reason
            if not reason and fetched.sha256 in owner:
                other = owner[fetched.sha256]
                reason = (
                    "a picture that was taken already"
                    if other == character
                    else f"also offered for {other.name}"
                )
            if not reason:
                owner[fetched.sha256] = character
                n_taken += 1
            entries.append(Entry(one, fetched, reason))
    return entries, list(following)
