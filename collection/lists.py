"""Lists of characters, and the one question that is asked for each of them.

Owns reading a list, strictly, and the query, which must not know a role: a search for *evil X* would find
pictures that somebody chose because they look evil. Refuses to search, and to judge whether a role is right.
"""

from __future__ import annotations

import itertools
import re
import string
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, get_args

from collection.headers import header_of, rows_of
from collection.records import Character, Role, unknown_role
from featurestore.errors import MetadataError, UsageError
from featurestore.metadata import is_formula

__all__ = [
    "COLUMNS",
    "ROLE_WORDS",
    "TEMPLATE",
    "alternating",
    "both_roles",
    "query_of",
    "read_list",
    "read_lists",
    "shipped_lists",
]

#: The first line of a list, in any order.
COLUMNS: Final = ("character", "series", "role", "aliases", "query_hints", "label_source")

#: The same for everybody; hints follow it.
TEMPLATE: Final = "{name} {series} anime face"

#: English words that tell or suggest a role; a blank stands for any blanks, hyphens or nothing.
ROLE_WORDS: Final = (
    "hero", "heroes", "heroine", "heroines", "heroic", "superhero", "superheroes", "anti hero", "anti heroes",
    "anti heroine", "anti heroines", "villain", "villains", "villainess", "villainesses", "villainous",
    "villainy", "supervillain", "supervillains", "anti villain", "anti villains", "protagonist",
    "protagonists", "antagonist", "antagonists", "antagonistic", "evil", "good", "bad", "good guy",
    "good guys", "bad guy", "bad guys", "baddie", "baddies", "goodie", "goodies", "big bad", "wicked",
    "sinister", "malevolent", "malicious", "cruel", "noble", "virtuous", "righteous", "ally", "allies", "foe",
    "foes", "enemy", "enemies", "nemesis", "opponent", "opponents", "rival", "rivals", "main character",
    "saviour", "savior", "murderer", "killer", "scary", "creepy",
)  # fmt: skip

_EMPTY_ALLOWED = ("aliases", "query_hints")
_WORDS = "|".join(word.replace(" ", r"[\W_]*") for word in sorted(ROLE_WORDS, key=len, reverse=True))
_ROLE_WORD = re.compile(rf"(?<![^\W_])(?:{_WORDS})(?![^\W_])")
_NAME = "\N{BULLET}"  # where a name will stand; no letter, so that it ends a word


def shipped_lists() -> tuple[Path, ...]:
    """The lists that come with the package: heroes, then villains and antiheroes."""
    folder = Path(__file__).with_name("lists")
    return folder / "Hero_list.csv", folder / "Anti_Hero.csv"


def read_list(path: Path) -> list[Character]:
    """Characters of a CSV file with the columns `COLUMNS`, in its order.

    Raises
    ------
    MissingData
        If there is no such file.
    MetadataError
        Naming the file and line: a column unknown, doubled or missing; a role that there is not; an empty
        cell but for aliases and hints; a character twice; a cell that a spreadsheet would compute; a hint
        that tells the role.
    """
    return read_lists([path])


def read_lists(paths: Iterable[Path]) -> list[Character]:
    """Characters of several lists, nobody in two of them; else as `read_list`."""
    characters = []
    seen: dict[tuple[str, str], str] = {}
    for path in paths:
        for line, row in _rows(path):
            where = f"{path}, line {line}"
            character = _character(row, where)
            _note(character, where, seen)
            characters.append(character)
    return characters


def query_of(character: Character, template: str = TEMPLATE) -> str:
    """What is searched for: the template with name and series, then the hints, single blanks between.

    A word such as *hero* may be part of a name (*My Hero Academia*, for its villains as for its heroes).
    It can come from nowhere else.

    Raises
    ------
    UsageError
        If the template lacks ``{name}``, has another field than ``{series}``, or if it or the hints hold one
        of `ROLE_WORDS`.

    Examples
    --------
    >>> query_of(Character("Naruto Uzumaki", "Naruto", "hero"))
    'Naruto Uzumaki Naruto anime face'
    """
    _check_template(template)
    around = f"{template.format(name=_NAME, series=_NAME)} {character.hints}"
    word = _role_word(around)
    if word:
        raise UsageError(
            f"the query of {character.name!r} would tell the role: {word!r} in the template {template!r}"
            f" or the hints {character.hints!r}; take it out"
        )
    query = f"{template.format(name=character.name, series=character.series)} {character.hints}"
    return " ".join(unicodedata.normalize("NFC", query).split())


def alternating(characters: Sequence[Character]) -> list[Character]:
    """Heroes and others in turn, as long as there are both: a run that ends early has as many of each.

    Examples
    --------
    >>> roles = {"a": "hero", "b": "hero", "c": "villain"}
    >>> people = [Character(name, "S", role) for name, role in roles.items()]
    >>> [one.name for one in alternating(people)]
    ['a', 'c', 'b']
    """
    heroes = [one for one in characters if one.role == "hero"]
    others = [one for one in characters if one.role != "hero"]
    pairs = itertools.zip_longest(heroes, others)
    return [one for pair in pairs for one in pair if one is not None]


def both_roles(characters: Sequence[Character]) -> float:
    """Share of series that have a hero and a villain or antihero; 0 if there are no series."""
    sides: dict[str, set[bool]] = {}
    for character in characters:
        sides.setdefault(_key(character.series), set()).add(character.role == "hero")
    return sum(len(side) == 2 for side in sides.values()) / max(len(sides), 1)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Rows that are not empty, each with the number of its last line."""
    rows = rows_of(path, COLUMNS, what="list")
    unknown = [name for name in header_of(path) if name not in COLUMNS]
    if unknown:
        raise MetadataError(
            f"{path}, line 1: an unknown column {unknown[0]!r}; the columns are {', '.join(COLUMNS)}"
        )
    if not rows:
        raise MetadataError(f"{path}: no character; write one a line, or leave the list out")
    return rows


def _character(row: dict[str, str], where: str) -> Character:
    for column in COLUMNS:
        if not row[column] and column not in _EMPTY_ALLOWED:
            raise MetadataError(f"{where}: {column} is empty; fill it in, or delete the line")
    aliases = tuple(alias for alias in map(str.strip, row["aliases"].split("|")) if alias)
    for text in (*row.values(), *aliases):
        if is_formula(text):
            raise MetadataError(
                f"{where}: a spreadsheet would compute {text!r}; write it without the sign in front"
            )
    role: Role | None = next((role for role in get_args(Role) if role == row["role"]), None)
    if role is None:
        raise MetadataError(f"{where}: {unknown_role(row['role'])}")
    word = _role_word(row["query_hints"])
    if word:
        raise MetadataError(f"{where}: {word!r} in query_hints tells the role; take it out")
    return Character(row["character"], row["series"], role, aliases, row["query_hints"], row["label_source"])


def _note(character: Character, where: str, seen: dict[tuple[str, str], str]) -> None:
    """Add a character's names to those of its series; a name that is taken is an error."""
    series = _key(character.series)
    names = {_key(name): name for name in (*character.aliases, character.name)}
    for key, name in names.items():
        if (series, key) in seen:
            raise MetadataError(
                f"{where}: {name!r} of {character.series!r} stands in {seen[series, key]} too; delete one"
            )
    seen.update({(series, key): where for key in names})


def _key(name: str) -> str:
    """A name as its letters and digits, without case and accents; as it is where it has none."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name).casefold() if c.isalnum())
    return plain or name


def _role_word(text: str) -> str | None:
    """The first of `ROLE_WORDS` in a text, whatever its case and width."""
    found = _ROLE_WORD.search(unicodedata.normalize("NFKC", text).casefold())
    return found.group() if found else None


def _check_template(template: str) -> None:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"the query template {template!r}: {error}; mend its braces") from None
    fields = [field for _, field, _, _ in parts if field is not None]
    plain = all(not spec and not conversion for _, field, spec, conversion in parts if field is not None)
    if "name" not in fields or not set(fields) <= {"name", "series"} or not plain:
        raise UsageError(
            f"the query template {template!r} must have {{name}}, may have {{series}}, and nothing else in"
            f" braces, as in {TEMPLATE!r}"
        )
