"""Whether a detector loses the pictures of one class more often than those of another.

Owns the rates, their intervals, the test and the sentence. Refuses to know detectors and pictures. A picture
without a face is lost to the study, or cut worse; where classes differ in that, what a study finds may be
the detector's doing.

A rate's interval is Wilson's (1927). Pictures of a series are alike, so where series are known it is that of
as many pictures as theirs are worth: n over the design effect, the rate's variance between series over that
of independent pictures. The test is Fisher's exact one; where series are known also one that flips the sign
of each series' share in the difference (the score form of the wild cluster bootstrap, Kline & Santos 2012),
and the larger p counts: Fisher's alone takes what a series' pictures share for a difference between classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from collection.crop.cutting import Fallback

__all__ = ["LEVEL", "Bias", "Outcome", "Rate", "bias_of", "wilson"]

#: Differences with a smaller p are reported as differences.
LEVEL: Final = 0.05

_Z: Final = 1.959963984540054
_FLIPS: Final = 19_999


@dataclass(frozen=True)
class Outcome:
    """What came of one picture.

    Attributes
    ----------
    label : str
        Its class.
    found : bool
        Whether the detector found a face.
    series : str
        Empty if unknown.
    """

    label: str
    found: bool
    series: str = ""


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


@dataclass(frozen=True)
class Bias:
    """What was measured of a detector.

    Attributes
    ----------
    method : str
        The detector.
    fallback : {"center-top", "reject"}
        What became of pictures without a face.
    rates : tuple of Rate
        By label, ascending.
    p : float or None
        Of the difference; None unless there are two classes.
    difference : tuple of float or None
        95 % interval of the second class's rate minus the first's (Newcombe 1998, his method 10).
    n_series : int
        Series that the test and the intervals went by; 0 if they went by pictures.
    """

    method: str
    fallback: Fallback
    rates: tuple[Rate, ...]
    p: float | None
    difference: tuple[float, float] | None
    n_series: int

    @property
    def found(self) -> bool:
        """Whether the classes differ."""
        return self.p is not None and self.p < LEVEL

    def text(self) -> str:
        """What there is to say, in one line."""
        shares = [f"{one.rate:.0%} of {one.label} ({one.n_lost}/{one.n})" for one in self.rates]
        said = f"{self.method} found no face in {' and '.join(shares)} pictures"
        if self.p is None or self.difference is None:
            return f"{said}; it takes two classes to compare"
        if self.found:
            worse = max(self.rates, key=lambda one: one.rate).label
            more = (
                f"cropping loses more {worse} pictures"
                if self.fallback == "reject"
                else f"more {worse} pictures are cut by {self.fallback}, face or not"
            )
            return f"{said}: {more} (p {_p(self.p)}; {self._details()})"
        return f"{said}: no difference was shown (p {_p(self.p)}; {self._details()})"

    def _details(self) -> str:
        assert self.difference is not None
        low, high = (round(100 * end) for end in self.difference)
        by = f"by {self.n_series} series" if self.n_series else "by pictures, series unknown"
        names = f"{self.rates[1].label} minus {self.rates[0].label}"
        return f"{names}: {low:+d} to {high:+d} points, {by}"


def _p(p: float) -> str:
    return (
        "< 0.0001" if p < 0.0001 else f"= {p:.1g}" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"
    )


def bias_of(outcomes: Iterable[Outcome], *, method: str, fallback: Fallback = "reject") -> Bias | None:
    """Compare the classes; None if there is no picture.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of pictures in which the detector was asked for a face. Series are gone by if all are known and there
        are two or more.
    method, fallback : str
        The detector's name and what became of pictures without a face, for the sentence.
    """
    import numpy as np

    every = sorted(outcomes, key=lambda one: (one.label, one.series, one.found))
    if not every:
        return None
    known = all(one.series for one in every)
    names = sorted({one.series for one in every}) if known else []
    groups = np.searchsorted(names, [one.series for one in every]) if len(names) > 1 else None
    lost = np.array([not one.found for one in every])
    labels = np.array([one.label for one in every])
    rates = tuple(
        _rate(str(label), lost[labels == label], None if groups is None else groups[labels == label])
        for label in np.unique(labels)
    )
    n_series = len(names) if groups is not None else 0
    if len(rates) != 2:
        return Bias(method, fallback, rates, None, None, n_series)
    second = labels == rates[1].label
    p = _fisher(rates)
    if groups is not None:
        p = max(p, _by_groups(second, lost, groups))
    return Bias(method, fallback, rates, p, _newcombe(*rates), n_series)


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


def _rate(label: str, lost: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp] | None) -> Rate:
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


def _newcombe(first: Rate, second: Rate) -> tuple[float, float]:
    difference = second.rate - first.rate
    low = math.hypot(second.rate - second.low, first.high - first.rate)
    high = math.hypot(second.high - second.rate, first.rate - first.low)
    return difference - low, difference + high


def _fisher(rates: Sequence[Rate]) -> float:
    from scipy.stats import fisher_exact

    return float(fisher_exact([[one.n_lost, one.n - one.n_lost] for one in rates])[1])


def _by_groups(
    second: npt.NDArray[np.bool_], lost: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp]
) -> float:
    """P of the difference between classes, flipping the sign of each group's score."""
    import numpy as np

    scores = np.bincount(groups, (second - second.mean()) * (lost - lost.mean()))
    rng = np.random.default_rng(0)
    n_extreme = 0
    for start in range(0, _FLIPS, 1000):
        signs = rng.integers(0, 2, (min(1000, _FLIPS - start), len(scores))) * 2 - 1
        n_extreme += int((np.abs(signs @ scores) >= abs(scores.sum()) - 1e-9).sum())
    return (1 + n_extreme) / (1 + _FLIPS)
