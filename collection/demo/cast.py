"""The cast: the characters, each in a series, with a role and the factors that were drawn for it.

Owns: who exists. Refuses to know how a character is painted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from collection.demo import factors
from collection.demo.chance import stream
from collection.demo.names import people_names, series_names
from collection.demo.series import Series, draw_series, series_sizes

__all__ = ["Character", "draw_cast"]


@dataclass(frozen=True)
class Character:
    """One character: a picture, once painted.

    Attributes
    ----------
    number : int
        Position in the cast; names the file and says nothing of role or series.
    name, role : str
    series : Series
    factors : mapping of str to float
        The latent factors, in standard deviations.
    seed : int
        Seed of the cast.
    """

    number: int
    name: str
    role: str
    series: Series
    factors: Mapping[str, float]
    seed: int

    @property
    def label(self) -> str:
        """Class of the role."""
        return factors.ROLES[self.role]

    def stream(self, part: str) -> np.random.Generator:
        """Return a stream of chance for one part of the picture; independent of role and factors."""
        return stream(self.seed, part, self.number)


def draw_cast(seed: int, n: int, moves: Mapping[str, float] | None = None) -> tuple[Character, ...]:
    """Draw the cast, half of it heroes.

    Parameters
    ----------
    seed : int
    n : int
        Number of characters; even, at least 20.
    moves : mapping of str to float
        Standard deviations to add to a factor of every character.

    Returns
    -------
    tuple of Character
        Ordered by number.
    """
    rng = stream(seed, "cast")
    sizes = series_sizes(rng, n)
    names = series_names(rng, len(sizes))
    series = [draw_series(stream(seed, "series", i), name) for i, name in enumerate(names)]
    of_slot = [series[i] for i in np.repeat(np.arange(len(sizes)), sizes)]
    roles = _draw_roles(rng, of_slot)
    numbers = rng.permutation(n)
    people = people_names(rng, n)
    cast = [
        Character(
            number=int(numbers[i]) + 1,
            name=people[i],
            role=roles[i],
            series=of_slot[i],
            factors=_draw_factors(stream(seed, "factors", int(numbers[i]) + 1), roles[i], moves or {}),
            seed=seed,
        )
        for i in range(n)
    ]
    return tuple(sorted(cast, key=lambda character: character.number))


def _draw_roles(rng: np.random.Generator, series: list[Series]) -> list[str]:
    """Roles of the slots: exactly half heroes, leaning as the series leans."""
    n = len(series)
    share = np.array([one.hero_share for one in series])
    heroes = np.argsort(np.log(share / (1 - share)) + rng.logistic(size=n), kind="stable")[n // 2 :]
    roles = np.where(rng.random(n) < factors.ANTIHERO_SHARE, "antihero", "villain").astype(object)
    roles[heroes] = "hero"
    return [str(role) for role in roles]


def _draw_factors(rng: np.random.Generator, role: str, moves: Mapping[str, float]) -> dict[str, float]:
    chance = rng.standard_normal(len(factors.FACTORS))
    return {
        name: round(round(factors.mean(role, name) + float(chance[i]), 4) + moves.get(name, 0.0), 4)
        for i, name in enumerate(factors.FACTORS)
    }
