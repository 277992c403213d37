"""What is claimed of roles, as outcomes to be tested: the hypotheses of convention, and annotations.

Owns which numbers each claim is measured by, what its directions are called, and the test of one outcome on
one cast. Refuses to know files, heads and networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.findings.findings_report import (
    ANNOTATIONS,
    HYPOTHESES,
    NOT_TESTABLE,
    Finding,
    corrected,
    difference_said,
    sentence_of,
)
from classifiers.findings.mixed import Exchanges, exchanges, role_effect
from extractors import conventions

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.data import Study

__all__ = [
    "SATURATION",
    "Cast",
    "Item",
    "annotations_of",
    "design_columns",
    "hypotheses",
    "not_testable",
    "settled",
    "values_of",
]

#: The study's seventh hypothesis, which the ``convention`` head does not hold: villains are drawn duller.
SATURATION: Final = {"saturation": {"saturation_mean": -1}}

#: Hypothesis -> what an image has where the convention is met, where it is not, and the topic.
WORDS: Final = {
    "warm_palette": ("a cooler palette", "a warmer palette", "the palette's warmth"),
    "edge_sharpness": ("sharper edges", "softer edges", "the sharpness of edges"),
    "shadow_density": ("more shadow", "less shadow", "shadow"),
    "angularity": ("more angular shapes", "rounder shapes", "angularity"),
    "aura": ("more of an aura", "less of an aura", "an aura"),
    "scars": ("more scars and marks", "fewer scars and marks", "scars and marks"),
    "saturation": ("duller colours", "more vivid colours", "saturation"),
}

#: Exchanges for each outcome of a family: the smallest p-value times their number is a fiftieth.
_EXCHANGES_EACH: Final = 50

#: A column whose deviation is this part of its size never varies.
_CONSTANT: Final = 1e-9

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass
class Cast:
    """Images on which claims are tested.

    Attributes
    ----------
    name : str
        ``"all"`` or ``"without antiheroes"``.
    study : Study
        These n images alone.
    positive : str
        The class that claims speak of.
    design : DataFrame of float64, n rows, or None
        Columns without prefix.
    numbers : DataFrame of float64, n rows, or None
        Annotations.
    technical : DataFrame of float64, n rows
        How images were stored.
    levels : tuple of ndarray of intp, shape (n,)
        What belongs together, coarsest first; none = nothing does.
    draws, seed : int
        Of exchanges.
    """

    name: str
    study: Study
    positive: str
    design: pd.DataFrame | None
    numbers: pd.DataFrame | None
    technical: pd.DataFrame
    levels: tuple[npt.NDArray[np.intp], ...]
    draws: int
    seed: int
    _made: dict[tuple[bytes, int], Exchanges] = field(default_factory=dict, repr=False)

    @property
    def role(self) -> Mask:
        """Whether each image is of the positive class."""
        found: Mask = self.study.labels == self.positive
        return found

    @property
    def sides(self) -> tuple[str, str]:
        """The positive class and the rest, in words."""
        others = [name for name in self.study.classes if name != self.positive]
        return self.positive, others[0] if len(others) == 1 else "the other classes"

    def exchanged(self, member: Mask, draws: int) -> Exchanges:
        """Exchanges among some of the images; the same images have the same ones."""
        key = (member.tobytes(), draws)
        if key not in self._made:
            levels = [level[member] for level in self.levels]
            rng = np.random.default_rng(self.seed)
            self._made[key] = exchanges(self.role[member], levels, draws=draws, rng=rng)
        return self._made[key]


@dataclass(frozen=True)
class Item:
    """A finding, and how it reads once its verdict is known."""

    finding: Finding
    said: Callable[[Finding], str]


@dataclass(frozen=True)
class _Outcome:
    """A number an image; NaN where it is not known."""

    finding: str
    values: Floats
    words: tuple[str, str, str]
    of: str = ""
    reason: str = ""


def not_testable(finding: Finding, topic: str, reason: str) -> Item:
    """A claim that cannot be tested, and why."""
    found = replace(finding, verdict=NOT_TESTABLE)
    return Item(found, lambda _: f"{topic} is not testable: {reason.rstrip('.')}")


def settled(items: Sequence[Item]) -> list[Finding]:
    """Findings of one family and cast, corrected for their number, with their sentences."""
    done = corrected([item.finding for item in items])
    return [
        replace(one, sentence=sentence_of(one, item.said(one))) for one, item in zip(done, items, strict=True)
    ]


def _standardised(values: Floats) -> Floats | None:
    """Values less their mean, by their deviation; None where they never vary."""
    deviation = np.nanstd(values) if (~np.isnan(values)).any() else 0.0
    if deviation <= _CONSTANT * max(1.0, float(np.nanmax(np.abs(values), initial=0.0))):
        return None
    found: Floats = (values - np.nanmean(values)) / deviation
    return found


def _by_convention(cast: Cast, name: str, signs: Mapping[str, int]) -> _Outcome:
    """The mean of a hypothesis' signed columns, as in `extractors.conventions`."""
    words, nothing = WORDS[name], np.full(len(cast.study.keys), np.nan)
    of = _signed(signs)
    if cast.design is None:
        reason = "no design columns; run: dvc exp run -S 'features=[design]'"
        return _Outcome(name, nothing, words, of, reason)
    there = {column: sign for column, sign in signs.items() if column in cast.design.columns}
    if not there:
        return _Outcome(name, nothing, words, of, f"design has none of the columns {', '.join(signs)}")
    parts = {}
    for column, sign in there.items():
        found = _standardised(cast.design[column].to_numpy(dtype=np.float64))
        if found is not None:
            parts[column] = sign * found
    if not parts:
        return _Outcome(name, nothing, words, of, f"{', '.join(there)}: never varies")
    return _Outcome(name, np.mean(list(parts.values()), axis=0), words, _signed({c: signs[c] for c in parts}))


def _signed(signs: Mapping[str, int]) -> str:
    """Columns and what they speak for: ``"-warm_share, +cool_share"``."""
    return ", ".join(f"{'+' if sign > 0 else '-'}{column}" for column, sign in signs.items())


def hypotheses(cast: Cast) -> list[Item]:
    """The study's seven hypotheses, each by the columns of ``design`` that convention names."""
    outcomes = [
        _by_convention(cast, name, signs) for name, signs in {**conventions.HYPOTHESES, **SATURATION}.items()
    ]
    return _tested(cast, HYPOTHESES, outcomes, directed=True)


def annotations_of(cast: Cast) -> list[Item]:
    """Every column of numbers that stands beside the images' names, with no direction expected."""
    if cast.numbers is None:
        return []
    outcomes = [
        _Outcome(
            str(name),
            cast.numbers[name].to_numpy(dtype=np.float64),
            (f"more {name}", f"less {name}", f"the column {name}"),
        )
        for name in cast.numbers.columns
    ]
    return _tested(cast, ANNOTATIONS, outcomes, directed=False)


def _tested(cast: Cast, family: str, outcomes: Sequence[_Outcome], *, directed: bool) -> list[Item]:
    draws = max(cast.draws, _EXCHANGES_EACH * len(outcomes) - 1)
    return [_item(cast, family, one, draws, directed=directed) for one in outcomes]


def _item(cast: Cast, family: str, outcome: _Outcome, draws: int, *, directed: bool) -> Item:
    """Test one outcome on the images of which it is known."""
    positive, rest = cast.sides
    what = f"mean of {positive} less that of {rest}, sd within a class"
    blank = Finding(family, outcome.finding, cast.name, what, of=outcome.of, directed=directed)
    topic = outcome.words[2]
    known = np.isfinite(outcome.values)
    if outcome.reason or not known.any():
        return not_testable(blank, topic, outcome.reason or "it is known of no image")
    made = cast.exchanged(known, draws)
    values, role = outcome.values[known], made.roles[0]
    within, reason = _deviation(values, role)
    if reason:
        return not_testable(blank, topic, reason)
    covariates = _covariates(cast.technical.to_numpy(dtype=np.float64)[known])
    found = role_effect(values / within, covariates, made)
    finding = replace(
        blank, effect=found.effect, low=found.low, high=found.high, p=found.p, bare=found.bare,
        images=len(values), groups=made.n_groups, model=found.model,
    )  # fmt: skip
    if found.reason:
        return not_testable(finding, topic, found.reason)
    more, less, _ = outcome.words
    return Item(finding, lambda one: difference_said(one, more, less, topic, cast.sides))


def _deviation(values: Floats, role: Mask) -> tuple[float, str]:
    """Deviation within the classes, and why there is nothing to test where it is 0."""
    if not role.any() or role.all():
        return 1.0, "it is known of images of one class alone"
    if _standardised(values) is None:
        return 1.0, "it never varies"
    inner = [values[one] - values[one].mean() for one in (role, ~role)]
    squares = float(sum((part**2).sum() for part in inner))
    found = float(np.sqrt(squares / max(1, len(values) - 2)))
    if found <= 1e-6 * float(values.std()):
        return 1.0, "it is the class itself: it does not vary within one"
    return found, ""


def _covariates(technical: Floats) -> Floats:
    """Standardised columns, gaps filled with the mean, without those that others before them make up."""
    kept: list[Floats] = []
    basis = np.full((len(technical), 1), 1 / np.sqrt(max(1, len(technical))))
    for column in technical.T:
        one = _standardised(np.asarray(column))
        if one is None:
            continue
        one = np.where(np.isnan(one), 0.0, one)
        left = one - basis @ (basis.T @ one)
        length = float(np.linalg.norm(left))
        if length > 1e-4 * float(np.linalg.norm(one)):
            kept.append(one)
            basis = np.column_stack([basis, left / length])
    found: Floats = np.column_stack(kept) if kept else np.empty((len(technical), 0))
    return found


def design_columns(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """Columns of ``design`` without their prefix; None where there are none."""
    if table is None or not len(table.columns):
        return None
    return table.rename(columns=lambda name: str(name).removeprefix("design/"))


def values_of(cast: Cast) -> tuple[Floats, str]:
    """What images are compared by as a whole, and whose columns these are."""
    if cast.design is not None:
        return cast.design.to_numpy(dtype=np.float64), "design"
    kept: Any = cast.study.without_learned()
    if kept is None:
        return np.empty((len(cast.study.keys), 0)), ""
    return kept.features.to_numpy(dtype=np.float64), ", ".join(kept.blocks)
