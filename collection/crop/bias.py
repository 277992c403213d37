"""Whether a detector loses the pictures of one class more often than those of another.

Owns the comparison and the sentence. Refuses to know detectors and pictures, and leaves rates and tests to
``rates``. A picture without a face is lost to the study, or cut worse; where classes differ in that, what a
study finds may be the detector's doing. Of two classes one is compared with the other; of more, each with all
others together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from collection.crop.rates import Rate, difference_of, holm, rate_of, tested

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from collection.crop.cutting import Fallback

__all__ = ["LEVEL", "Bias", "Contrast", "Outcome", "bias_of"]

#: Differences with a smaller p are reported as differences.
LEVEL: Final = 0.05


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
class Contrast:
    """A class compared with another, or with all others together.

    Attributes
    ----------
    label, against : str
    more : bool
        Whether it loses more.
    p : float
        Of the difference; of several contrasts adjusted by Holm.
    difference : tuple of float
        95 % interval of its rate minus that of ``against`` (Newcombe 1998, his method 10).
    n_telling : int
        Series whose share in the difference is not 0; only these move the test.
    """

    label: str
    against: str
    more: bool
    p: float
    difference: tuple[float, float]
    n_telling: int = 0

    def points(self) -> tuple[int, int]:
        """`difference` in whole points of a hundred."""
        low, high = self.difference
        return round(100 * low), round(100 * high)

    def text(self) -> str:
        """What was compared, and the interval."""
        low, high = self.points()
        return f"{self.label} minus {self.against}: {low:+d} to {high:+d} points"


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
    contrasts : tuple of Contrast
        Ascending by p. Of two classes the second minus the first; none of a single class.
    n_series : int
        Series of the pictures, which the test and the intervals went by; 0 if not all are known. Of a single
        one they went by pictures.
    """

    method: str
    fallback: Fallback
    rates: tuple[Rate, ...]
    contrasts: tuple[Contrast, ...]
    n_series: int

    @property
    def p(self) -> float | None:
        """The smallest of the contrasts; None of a single class."""
        return self.contrasts[0].p if self.contrasts else None

    @property
    def difference(self) -> tuple[float, float] | None:
        """Of the contrast whose p is the smallest; None of a single class."""
        return self.contrasts[0].difference if self.contrasts else None

    @property
    def n_telling(self) -> int:
        """Series that bear on a difference, where the most do."""
        return max((one.n_telling for one in self.contrasts), default=0)

    @property
    def least_p(self) -> float:
        """The smallest p that the test by series can give; 0 where no series has a share."""
        return min(1.0, len(self.contrasts) * 2.0 ** (1 - self.n_telling)) if self.n_telling else 0.0

    @property
    def found(self) -> bool:
        """Whether the classes differ."""
        return self.p is not None and self.p < LEVEL

    def text(self) -> str:
        """What there is to say, in one line."""
        shares = [f"{one.rate:.0%} of {one.label} ({one.n_lost}/{one.n})" for one in self.rates]
        said = f"{self.method} found no face in {_listed(shares)} pictures"
        if not self.contrasts:
            return f"{said}; it takes two classes to compare"
        return f"{said}: {self._verdict()} ({self._numbers()}, {self._by()})"

    def _numbers(self) -> str:
        """P and interval of each difference; where there is none, of what is nearest to one."""
        first, *others = self.contrasts
        least = f", it cannot be below {self.least_p:.2g}" if self._too_few else ""
        if not others:
            return f"p {_p(first.p)}{least}; {first.text()}"
        shown = self._found() or [first]
        numbers = "; ".join(f"{one.text()}, p {_p(one.p)}" for one in shown)
        return f"{numbers}{least}; p by Holm for {len(self.contrasts)} comparisons"

    @property
    def _too_few(self) -> bool:
        return self.least_p >= LEVEL

    def _by(self) -> str:
        if self.n_series > 1:
            return f"by {self.n_series} series"
        return "by pictures, all of one series" if self.n_series else "by pictures, series unknown"

    def _found(self) -> list[Contrast]:
        """Those that are differences, what loses more before what loses less."""
        return sorted((one for one in self.contrasts if one.p < LEVEL), key=lambda one: not one.more)

    def _verdict(self) -> str:
        """What is said of the difference."""
        if self.found:
            said = f"{self._differing()} pictures"
            cut = f"{said} are cut by {self.fallback}, face or not"
            return f"cropping loses {said}" if self.fallback == "reject" else cut
        if self._too_few and self.n_telling == self.n_series:
            return f"{self.n_series} series are too few to tell a difference"
        if self._too_few:
            return f"too few series, {self.n_telling} of {self.n_series}, bear on a difference to tell one"
        low, high = self.contrasts[0].points()
        if low > 0 or high < 0:
            return f"whether the shares differ is open: the interval leaves out 0, but p is not below {LEVEL}"
        return "no difference was shown"

    def _differing(self) -> str:
        """The classes that lose more, and of more than two also those that lose less."""
        if len(self.rates) == 2:
            return f"more {max(self.rates, key=lambda one: one.rate).label}"
        more = [one.label for one in self._found() if one.more]
        fewer = [one.label for one in self._found() if not one.more]
        sides = {"more": more, "fewer": fewer}
        return " but ".join(f"{side} {_listed(labels)}" for side, labels in sides.items() if labels)


def _listed(texts: Sequence[str]) -> str:
    """Texts as a list in a sentence.

    Examples
    --------
    >>> _listed(["a", "b", "c"]), _listed(["a", "b"])
    ('a, b and c', 'a and b')
    """
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last


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
    of_class = {str(label): labels == label for label in np.unique(labels)}
    rates = tuple(
        rate_of(label, lost[inside], None if groups is None else groups[inside])
        for label, inside in of_class.items()
    )
    return Bias(method, fallback, rates, _contrasts(rates, of_class, lost, groups), len(names))


def _contrasts(
    rates: Sequence[Rate],
    of_class: Mapping[str, npt.NDArray[np.bool_]],
    lost: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.intp] | None,
) -> tuple[Contrast, ...]:
    """What is compared: of two classes the second with the first, of more each with all others."""
    if len(rates) < 2:
        return ()
    compared = rates[1:] if len(rates) == 2 else rates
    results = [tested(of_class[one.label], lost, groups) for one in compared]
    made = []
    for one, p, (raw, n_telling) in zip(compared, holm([p for p, _ in results]), results, strict=True):
        others = ~of_class[one.label]
        of_others = None if groups is None else groups[others]
        other = rates[0] if len(rates) == 2 else rate_of("the others", lost[others], of_others)
        is_more, difference = one.rate > other.rate, difference_of(other, one)
        made.append((raw, Contrast(one.label, other.label, is_more, p, difference, n_telling)))
    return tuple(one for _, one in sorted(made, key=lambda pair: pair[0]))
