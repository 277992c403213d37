"""What a model says of a picture that it has not seen, and how that reads.

Owns a reply as a value, as text for a terminal of 100 columns, and as JSON, whose schema docs/predict.md
has. Refuses to know how it came about (``predict``), and imports no numpy.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from classifiers.prediction.inbox import Unusable
from classifiers.tables import rounded
from featurestore.errors import DataError
from featurestore.metadata import printable

__all__ = ["Contribution", "Explanation", "Known", "Neighbour", "Prediction", "Replies"]

_WIDTH: Final = 100

#: Contributions that the text shows.
_SHOWN: Final = 8

_KNOWN: Final = {
    "train": "It is the training image {path}: what the model says of it is no evidence.",
    "val": "It is {path} of val: the model was not fitted on it, but models are chosen by val.",
    "test": "It is {path} of the locked test split: this is a look at it that nobody counts;"
    " python -m classifiers final asks them all.",
}


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to an answer.

    Attributes
    ----------
    feature : str
        Column, ``extractor/column``; or the extractor, for all columns of an embedding together.
    value : float or None
        None where it is an embedding, or could not be computed.
    percentile : float or None
        Where the value stands among the training images, 0 to 100: those with less, and half of those with
        the same.
    contribution : float
        In the unit of the `Explanation`; above 0 it speaks for its label.
    """

    feature: str
    value: float | None
    percentile: float | None
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """Why a picture got its label; see `classifiers.explanation.attribution`.

    Attributes
    ----------
    label : str
        What contributions speak for or against: the label that was given.
    unit, method : str
        Of `classifiers.explanation.attribution.Attribution`.
    base, answer : float
        Mean answer over the training images, and this picture's: base + contributions = answer.
    contributions : tuple of Contribution
        Of every feature, the largest first.
    """

    label: str
    unit: str
    method: str
    base: float
    answer: float
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True)
class Neighbour:
    """A training image, and how far it is: `neighbours`."""

    path: str
    label: str
    distance: float


@dataclass(frozen=True)
class Known:
    """The image of the study that a picture is, to the byte."""

    path: str
    label: str
    split: str


@dataclass(frozen=True)
class Prediction:
    """Of one picture.

    Attributes
    ----------
    path : str
        As it was named.
    key : str
        Sha256 (hex) of its bytes.
    label : str
    probability : mapping of str to float
        By label.
    neighbours : tuple of Neighbour
        The nearest training images, nearest first.
    distance, limit : float or None
        To the last of them; and within what 99% of the training images have theirs. None where there are too
        few training images to say.
    missing : mapping of str to str
        Extractor that could not compute a row -> why; the head takes the training images' medians.
    known : Known or None
        Where it is an image of the study.
    explanation : Explanation or None
        Where it was asked for.
    """

    path: str
    key: str
    label: str
    probability: Mapping[str, float]
    neighbours: tuple[Neighbour, ...]
    distance: float | None
    limit: float | None
    missing: Mapping[str, str]
    known: Known | None = None
    explanation: Explanation | None = None

    @property
    def far(self) -> bool | None:
        """Whether it is further from the training images than 99% of these are; None if nobody can say."""
        return None if self.distance is None or self.limit is None else self.distance > self.limit

    def text(self) -> str:
        """A few lines for a terminal."""
        shares = sorted(self.probability.items(), key=lambda one: (one[0] != self.label, -one[1]))
        lines = [printable(self.path), "  " + "   ".join(f"{name} {share:.3f}" for name, share in shares)]
        for said in self._said():
            lines += textwrap.wrap(
                said, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
            )
        if self.explanation is not None:
            lines += _explained(self.explanation)
        if self.neighbours:
            width = max(len(one.label) for one in self.neighbours)
            lines.append("  nearest training images, by distance")
            lines += [
                f"    {one.distance:6.2f}  {one.label:<{width}}  {printable(one.path)}"
                for one in self.neighbours
            ]
        return "\n".join(lines)

    def _said(self) -> Iterator[str]:
        if self.known is not None:
            yield _KNOWN[self.known.split].format(path=printable(self.known.path))
        if self.far:
            yield (
                f"Far from the training images: its {len(self.neighbours)}th nearest is {self.distance:.2f}"
                f" away, and 99% of these have theirs within {self.limit:.2f}. It is an extrapolation."
            )
        for name, why in self.missing.items():
            yield f"No row by {name} ({why}): the training images' medians stand for it."

    def json(self) -> dict[str, Any]:
        """JSON values; numbers to six decimals."""
        why = self.explanation
        return {
            "path": self.path,
            "key": self.key,
            "label": self.label,
            "probability": {name: rounded(share) for name, share in self.probability.items()},
            "far": self.far,
            "distance": rounded(self.distance),
            "limit": rounded(self.limit),
            "neighbours": [
                {"path": one.path, "label": one.label, "distance": rounded(one.distance)}
                for one in self.neighbours
            ],
            "missing": dict(self.missing),
            "known": None if self.known is None else vars(self.known).copy(),
            "explanation": None
            if why is None
            else {
                "label": why.label,
                "unit": why.unit,
                "method": why.method,
                "base": rounded(why.base),
                "answer": rounded(why.answer),
                "contributions": [
                    {
                        "feature": one.feature,
                        "value": rounded(one.value),
                        "percentile": rounded(one.percentile),
                        "contribution": rounded(one.contribution),
                    }
                    for one in why.contributions
                ],
            },
        }


def _explained(why: Explanation) -> list[str]:
    """A table of the largest contributions; what the others add together."""
    moving = [one for one in why.contributions if one.contribution]
    if not moving:
        return [f"  nothing in the picture speaks for or against {why.label}"]
    top, rest = moving[:_SHOWN], moving[_SHOWN:]
    names = [_shown_name(one.feature, why) for one in top]
    width = max([len("feature"), *map(len, names)])
    how = ", sampled" if why.method == "sampled" else ""
    lines = [
        f"  {why.unit} of {why.label}{how}: {why.base:+.2f} for the average training image,"
        f" {why.answer:+.2f} for this one",
        f"    {'adds':>6}  {'feature':<{width}}  {'value':>9}  percentile",
    ]
    for name, one in zip(names, top, strict=True):
        value = "-" if one.value is None else f"{one.value:.4g}"
        place = _place(one.percentile)
        lines.append(f"    {one.contribution:+6.2f}  {name:<{width}}  {value:>9}  {place:>10}")
    if rest:
        plural = "s" * (len(rest) > 1)
        lines.append(f"    {sum(one.contribution for one in rest):+6.2f}  {len(rest)} other feature{plural}")
    return lines


def _place(percentile: float | None) -> str:
    """A percentile; 0 and 100 only where no training image has less, or more, or as much."""
    if percentile is None:
        return "-"
    if percentile in (0, 100):
        return "below all" if percentile == 0 else "above all"
    return str(min(99, max(1, round(percentile))))


def _shown_name(feature: str, why: Explanation) -> str:
    """The column's own name where all are of one extractor."""
    owners = {one.feature.partition("/")[0] for one in why.contributions}
    return printable(feature.partition("/")[2] or feature if len(owners) == 1 else feature)


@dataclass(frozen=True)
class Replies:
    """Of all pictures that were asked about.

    Attributes
    ----------
    model : str
        What answers, in a line.
    predictions : tuple of Prediction
        In the order in which files were named, folders by path.
    unusable : tuple of Unusable
        Files that there is no answer for; each is a line for stderr.
    """

    model: str
    predictions: tuple[Prediction, ...]
    unusable: tuple[Unusable, ...]

    @property
    def exit_code(self) -> int:
        """0, or 3 where a file could not be used."""
        return DataError.exit_code if self.unusable or not self.predictions else 0

    def text(self) -> str:
        """For a terminal; empty where nothing could be answered."""
        if not self.predictions:
            return ""
        return "\n\n".join([self.model, *(one.text() for one in self.predictions)])

    def json(self) -> str:
        """One JSON document: an array, an object a picture."""
        return json.dumps([one.json() for one in self.predictions], indent=2, allow_nan=False)
