"""Where pictures of a character come from: a search, a table of addresses, a folder.

Owns the protocol. One file is one provider; each answers for one character at a time with candidates, best
first, and says in its errors what was kept. Refuses to download.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from collection.records import Candidate, Character
from featurestore.errors import KyaraError, MissingError

__all__ = ["BudgetSpent", "Provider", "ProviderRefused", "QueryRefused"]


class Provider(Protocol):
    """Offers pictures of characters.

    Attributes
    ----------
    name : str
    costs : bool
        Whether an answer that is not known costs a credit.
    lasts : bool
        Whether what came of an address stands for good; if not, every run reads it anew.
    """

    name: str
    costs: bool
    lasts: bool

    def known(self, character: Character) -> bool:
        """Whether an answer costs nothing: it is here already."""

    def candidates(self, character: Character) -> list[Candidate]:
        """Pictures on offer, best first; none if there are none.

        Raises
        ------
        BudgetSpent
            If an answer would cost more than was allowed.
        QueryRefused
            If there is no answer about this character.
        ProviderRefused
            If no further character can be asked about.
        """

    def forget_empty(self) -> int:
        """Forget kept answers that offer nothing, so that they are asked for again; how many those are."""

    def strangers(self, characters: Sequence[Character]) -> list[str]:
        """What it has for nobody among these, a name each."""


class BudgetSpent(KyaraError):
    """As many answers were paid for as were allowed."""


class ProviderRefused(MissingError):
    """Nobody further can be asked about: a bad key, an empty account, a limit."""


class QueryRefused(KyaraError):
    """There is no answer about one character; others may be asked about."""
