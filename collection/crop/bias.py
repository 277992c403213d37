"""Whether a detector loses the pictures of one class more often than those of another.

Owns the rates, their intervals, the test and the sentence. Refuses to know detectors and pictures. A picture
without a face is lost to the study, or cut worse; where classes differ in that, what a study finds may be
the detector's doing.

A rate's interval is Wilson's (1927). Pictures of a series are alike, so where series are known it is that of
as many pictures as theirs are worth: n over the design effect, the rate's variance between series over that
of independent pictures. The test is Fisher's exact one; where series are known also one that flips the sign
of each series' share in the difference (the score form of the wild cluster bootstrap, Kline & Santos 2012),
and the larger p counts: Fisher's alone takes what a series' pictures share for a difference between classes.
Flipping k shares gives no p below 2 / 2**k, so that fewer than six series can show no difference at `LEVEL`.
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
#: Scores are sums of shares of one picture; what is smaller is rounding.
_ZERO: Final = 1e-9


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
        Series of the pictures, which the test and the intervals went by; 0 if not all are known. Of a single
        one they went by pictures.
    n_telling : int
        Series whose share in the difference is not 0; only these move the test.
    """

    method: str
    fallback: Fallback
    rates: tuple[Rate, ...]
    p: float | None
    difference: tuple[float, float] | None
    n_series: int
    n_telling: int = 0

    @property
    def least_p(self) -> float:
        """The smallest p that the test by series can give; 0 where no series has a share."""
        return 2.0 ** (1 - self.n_telling) if self.n_telling else 0.0

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
        low, high = (round(100 * end) for end in self.difference)
        p = f"p {_p(self.p)}"
        if self._too_few:
            p += f", it cannot be below {self.least_p:.2g}"
        names = f"{self.rates[1].label} minus {self.rates[0].label}"
        verdict = self._verdict(apart=low > 0 or high < 0)
        return f"{said}: {verdict} ({p}; {names}: {low:+d} to {high:+d} points, {self._by()})"

    @property
    def _too_few(self) -> bool:
        return self.least_p >= LEVEL

    def _by(self) -> str:
        if self.n_series > 1:
            return f"by {self.n_series} series"
        return "by pictures, all of one series" if self.n_series else "by pictures, series unknown"

    def _verdict(self, *, apart: bool) -> str:
        """What is said of the difference; ``apart``: whether the interval leaves out 0."""
        worse = max(self.rates, key=lambda one: one.rate).label
        if self.found and self.fallback == "reject":
            return f"cropping loses more {worse} pictures"
        if self.found:
            return f"more {worse} pictures are cut by {self.fallback}, face or not"
        if self._too_few and self.n_telling == self.n_series:
            return f"{self.n_series} series are too few to tell a difference"
        if self._too_few:
            return f"too few series, {self.n_telling} of {self.n_series}, bear on a difference to tell one"
        if apart:
            return f"whether the shares differ is open: the interval leaves out 0, but p is not below {LEVEL}"
        return "no difference was shown"


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
    if len(rates) != 2:
        return Bias(method, fallback, rates, None, None, len(names))
    second = labels == rates[1].label
    p, n_telling = _fisher(rates), 0
    if groups is not None:
        shares = (second - second.mean()) * (lost - lost.mean())
        scores = np.bincount(groups, shares).astype(np.float64)
        telling = scores[abs(scores) > _ZERO]
        p, n_telling = max(p, _by_flips(scores, telling)), len(telling)
    return Bias(method, fallback, rates, p, _newcombe(*rates), len(names), n_telling)


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
