"""Names of series and people, made of lists of words and syllables; no known series or character.

Owns: the words. Refuses to know who bears a name.
"""

from __future__ import annotations

import numpy as np

__all__ = ["people_names", "series_names"]

_SERIES_FIRST = (
    "Crimson", "Silver", "Midnight", "Paper", "Clockwork", "Glass", "Hollow", "Seventh", "Electric",
    "Winter", "Iron", "Velvet", "Distant", "Lunar", "Neon", "Amber", "Whispering", "Broken",
    "Emerald", "Endless",
)  # fmt: skip
_SERIES_SECOND = (
    "Orbit", "Garden", "Academy", "Lanterns", "Requiem", "Voyage", "Blossom", "Circuit", "Harbour",
    "Kingdom", "Tempest", "Melody", "Archive", "Comet", "Tactics", "Shrine", "Labyrinth", "Runners",
    "Alchemy", "Horizon",
)  # fmt: skip
_SYLLABLES = (
    "a", "ki", "ha", "ru", "mi", "na", "to", "shi", "ka", "ze", "yu", "re", "sa", "ri", "ko", "ma",
    "e", "no", "ta", "ke", "ro", "i", "su", "mo", "ra", "hi", "ne", "chi",
)  # fmt: skip


def series_names(rng: np.random.Generator, n: int) -> list[str]:
    """Return n distinct names of series; from the second round on with the number of the season."""
    names = rng.permutation([f"{first} {second}" for first in _SERIES_FIRST for second in _SERIES_SECOND])
    rounds = (divmod(i, len(names)) for i in range(n))
    return [str(names[place]) + (f" {season + 1}" if season else "") for season, place in rounds]


def people_names(rng: np.random.Generator, n: int) -> list[str]:
    """Return n distinct names of people."""
    names: dict[str, None] = {}
    while len(names) < n:
        given, family = ("".join(rng.choice(_SYLLABLES, int(rng.integers(2, 4)))) for _ in range(2))
        names[f"{given.capitalize()} {family.capitalize()}"] = None
    return list(names)
