"""Addresses of pictures out of a table of one's own.

Owns the table: url, character, series, role; perhaps page, licence, aliases. Refuses to search.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from collection.headers import rows_of
from collection.records import ROLES, Candidate, Character, Role, unknown_role
from featurestore.errors import MetadataError

__all__ = ["Urls"]

_REQUIRED: Final = ("url", "character", "series", "role")
_OPTIONAL: Final = ("page", "licence", "label_source")


class Urls:
    """See `collection.providers.Provider`.

    Attributes
    ----------
    characters : tuple of Character
        Those of the table, in its order.

    Raises
    ------
    MissingData
        If there is no such table.
    MetadataError
        If the table cannot be read or has no row, or a row has no address or no role.
    """

    name = "urls"
    costs = False
    lasts = True

    def __init__(self, table: Path) -> None:
        found: dict[Character, list[Candidate]] = {}
        for line, row in rows_of(table, _REQUIRED, optional=_OPTIONAL, what="table"):
            if row["role"] not in ROLES:
                raise MetadataError(f"{table}, line {line}: {unknown_role(row['role'])}")
            if not row["url"].startswith(("http://", "https://")) or not row["character"]:
                raise MetadataError(
                    f"{table}, line {line}: url {row['url']!r}, character {row['character']!r}; it takes a"
                    " url of http or https and a character (files of this machine: search --folder)"
                )
            of = Character(
                row["character"],
                row["series"],
                cast(Role, row["role"]),
                label_source=row.get("label_source", table.name),
            )
            own = found.setdefault(of, [])
            own.append(
                Candidate(
                    of, self.name, "", len(own), row["url"], row.get("page", ""), row.get("licence", "")
                )
            )
        if not found:
            raise MetadataError(f"{table}: no address; write one a line")
        self._found = found
        self.characters: tuple[Character, ...] = tuple(found)

    def known(self, character: Character) -> bool:
        """The table is here."""
        return True

    def candidates(self, character: Character) -> list[Candidate]:
        """Its rows of the table, in its order."""
        return list(self._found.get(character, []))

    def forget_empty(self) -> int:
        """Nothing is kept."""
        return 0

    def strangers(self, characters: Sequence[Character]) -> list[str]:
        """Those of the table that are not among these."""
        return [one.name for one in self.characters if one not in set(characters)]
