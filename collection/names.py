"""Names from anywhere -> names that can be part of a path.

Owns the one way from a character's name to a file's. Refuses to know folders: what it gives has no dot, no
slash and no blank, and is never empty.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

__all__ = ["MAX_CHARACTERS", "slug"]

#: Of a slug: with a folder before it and a key behind it, a path stays short for any file system.
MAX_CHARACTERS: Final = 60

_HASH_CHARACTERS: Final = 8
#: What is read of a name before it is folded; some characters unfold into eighteen.
_READ: Final = 1000
_OTHERS: Final = re.compile(r"[^a-z0-9]+")
#: Latin letters that do not come apart into a letter and a mark.
_LATIN: Final = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "þ": "th", "ŋ": "ng"}
)
#: Names that Windows keeps for devices, with any ending.
_RESERVED: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))]
)


def slug(name: str) -> str:
    """A name in ``a-z0-9-``: marks come off letters, and what is no letter or digit becomes a hyphen.

    A name that is more than that (letters of another script, which are left out; too long; one that
    Windows reserves) gets the first eight digits of its sha256 behind it, which tells two such names apart.

    Examples
    --------
    >>> slug("Shūya  Ōe / ../etc")
    'shuya-oe-etc'
    >>> slug("CON"), slug("花子")
    ('con-a3dbc4b6', 'name-ebaec6bc')
    """
    folded, is_whole = _folded(name)
    if is_whole and folded not in _RESERVED and len(folded) <= MAX_CHARACTERS:
        return folded
    return _hashed(folded, name)


def _folded(name: str) -> tuple[str, bool]:
    """A name's ASCII letters and digits, and whether no letter or digit was left out."""
    text = unicodedata.normalize("NFKD", name[:_READ].casefold()).casefold().translate(_LATIN)
    kept = "".join(c for c in text if unicodedata.category(c) not in ("Mn", "Cf"))
    folded = _OTHERS.sub("-", kept).strip("-")
    is_lost = any(not c.isascii() and c.isalnum() for c in kept)
    return folded, bool(folded) and not is_lost and len(name) <= _READ


def _hashed(folded: str, name: str) -> str:
    told = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARACTERS]
    room = MAX_CHARACTERS - _HASH_CHARACTERS - 1
    return f"{folded[:room].strip('-') or 'name'}-{told}"
