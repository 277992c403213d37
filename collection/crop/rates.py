"""How often no face was found in a class, and whether two classes differ in it beyond chance.

Owns the numbers: rates, their intervals, the interval of a difference, its test. Refuses to know what they
mean (``bias``).

A rate's interval is Wilson's (1927). Pictures of a series are alike, so where series are known it is that of
as many pictures as theirs are worth: n over the design effect, the rate's variance between series over that
of independent pictures. The test is Fisher's exact one; where series are known also one that flips the sign
of each series' share in the difference (the score form of the wild cluster bootstrap, Kline & Santos 2012),
and the larger p counts: Fisher's alone takes what a series' pictures share for a difference between classes.
Flipping k shares gives no p below 2 / 2**k, so that fewer than six series can show no difference at 0.05.
Where more than one difference is tested, p is adjusted by Holm (1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Rate", "difference_of", "holm", "rate_of", "tested", "wilson"]

_Z: Final = 1.959963984540054
_FLIPS: Final = 19_999
#: Scores are sums of shares of one picture; what is smaller is rounding.
_ZERO: Final = 1e-9


@dataclass(frozen=True)
class Rate:
    """How often no face was found in a class.

    Attributes
    ----------
    label : str
    n_lost, n : int
        Pictures without a face, and all.
    low, high : float
        95 % interval of the rate.
    """

    label: str
    n_lost: int
    n: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Share of pictures without a face."""
        return self.n_lost / self.n


def rate_of(label: str, lost: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp] | None) -> Rate:
    """The rate of some pictures.

    Parameters
    ----------
    label : str
    lost : ndarray of bool, shape (n,)
    groups : ndarray of intp, shape (n,)
        Which series each is of; None if they are gone by one by one.
    """
    import numpy as np

    n, n_lost = len(lost), int(lost.sum())
    worth = float(n)
    rate = n_lost / n
    if groups is not None and 0 < rate < 1:
        sums = np.bincount(groups, lost - rate)
        present = len(np.unique(groups))
        if present > 1:
            between = float((sums**2).sum()) * present / (present - 1) / n**2
            worth = n / max(1.0, between / (rate * (1 - rate) / n))
    return Rate(label, n_lost, n, *wilson(n_lost, n, worth=worth))


def wilson(n_lost: int, n: int, *, worth: float | None = None) -> tuple[float, float]:
    """95 % interval of a rate (Wilson 1927).

    Parameters
    ----------
    worth : float
        How many independent pictures the n are worth; n if not given.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(18, 150)]
    [0.077, 0.182]
    """
    rate, n_worth = n_lost / n, worth or n
    middle = rate + _Z**2 / (2 * n_worth)
    half = _Z * math.sqrt(rate * (1 - rate) / n_worth + _Z**2 / (4 * n_worth**2))
    whole = 1 + _Z**2 / n_worth
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def difference_of(first: Rate, second: Rate) -> tuple[float, float]:
    """95 % interval of the second rate minus the first (Newcombe 1998, his method 10)."""
    difference = second.rate - first.rate
    low = math.hypot(second.rate - second.low, first.high - first.rate)
    high = math.hypot(second.high - second.rate, first.rate - first.low)
    return difference - low, difference + high


def tested(
    inside: npt.NDArray[np.bool_], lost: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp] | None
) -> tuple[float, int]:
    """P of the difference between the pictures of a class and the others, and how many series bear on it.

    Parameters
    ----------
    inside, lost : ndarray of bool, shape (n,)
        Of each picture, whether it is of the class, and whether it has no face.
    groups : ndarray of intp, shape (n,)
        As for `rate_of`; of None no series bears on it.
    """
    import numpy as np
    from scipy.stats import fisher_exact

    counts = [[int((lost[one] == state).sum()) for state in (True, False)] for one in (~inside, inside)]
    p = float(fisher_exact(counts)[1])
    if groups is None:
        return p, 0
    shares = (inside - inside.mean()) * (lost - lost.mean())
    scores = np.bincount(groups, shares).astype(np.float64)
    telling = scores[abs(scores) > _ZERO]
    return max(p, _by_flips(scores, telling)), len(telling)


def _by_flips(scores: npt.NDArray[np.float64], telling: npt.NDArray[np.float64]) -> float:
    """P of the sum of series' scores when their signs are flipped.

    Parameters
    ----------
    scores : ndarray of float64, shape (n_series,)
    telling : ndarray of float64, shape (n_telling,)
        Those of them that are not 0; every way of flipping them is tried where there are few enough.
    """
    import numpy as np

    least = abs(scores.sum()) - _ZERO
    if 2 ** len(telling) <= _FLIPS:
        ways = np.arange(2 ** len(telling))[:, None]
        signs = (ways >> np.arange(len(telling)) & 1) * 2 - 1
        return float((np.abs(signs @ telling) >= least).mean())
    rng = np.random.default_rng(0)
    n_extreme = 0
    for start in range(0, _FLIPS, 1000):
        signs = rng.integers(0, 2, (min(1000, _FLIPS - start), len(scores))) * 2 - 1
        n_extreme += int((np.abs(signs @ scores) >= least).sum())
    return (1 + n_extreme) / (1 + _FLIPS)


def holm(p: Sequence[float]) -> list[float]:
    """P of several tests, adjusted so that a false alarm in any is as seldom as in one (Holm 1979).

    Examples
    --------
    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    adjusted, largest = list(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = largest
    return adjusted
