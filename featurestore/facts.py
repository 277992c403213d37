"""What is known of a picture besides its bytes: its label, who it shows, out of which series.

Owns the facts of one picture and of many. Refuses to know where they are written down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from featurestore.columns import Codes, Made

__all__ = ["FactColumns", "Facts"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one image file besides its bytes; empty text = not known."""

    label: str
    character: str = ""
    series: str = ""


@dataclass(frozen=True)
class FactColumns(Made[Facts]):
    """The facts of many files, in their order.

    Examples
    --------
    >>> FactColumns.of([Facts("hero", series="A"), Facts("villain")])[0]
    Facts(label='hero', character='', series='A')
    """

    label: Codes
    character: Codes
    series: Codes

    @classmethod
    def of(cls, facts: Iterable[Facts]) -> FactColumns:
        """Columns of these."""
        every = list(facts)
        return cls(
            Codes.of(one.label for one in every),
            Codes.of(one.character for one in every),
            Codes.of(one.series for one in every),
        )

    def relabelled(self, places: Sequence[int], labels: Sequence[str]) -> FactColumns:
        """The same, with other labels at some places."""
        known = {label: code for code, label in enumerate(self.label.values)}
        codes = self.label.codes.copy()
        codes[list(places)] = [known.setdefault(label, len(known)) for label in labels]
        return replace(self, label=Codes(list(known), codes))

    def __len__(self) -> int:
        return len(self.label)

    def item(self, i: int) -> Facts:
        """The one at a place."""
        return Facts(self.label[i], self.character[i], self.series[i])
