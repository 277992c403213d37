"""The identity of a row: everything its value depends on, and nothing else.

Owns `FeatureSpec`, its fingerprint and the status of a row. Refuses to know how a row is computed
or stored.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

__all__ = ["DECODER_VERSION", "FeatureSpec", "Status", "canonical_json"]

#: Moves when `featurestore.images` gives other pixels for the same bytes.
DECODER_VERSION = 1


class Status(enum.IntEnum):
    """Whether a row could be computed; a row that is not ``OK`` is NaN."""

    OK = 0
    NO_FACE = 1
    NOT_GIVEN = 2  # another tool, whose rows were imported, has none for this picture


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, no NaN: equal values give equal text.

    Examples
    --------
    >>> canonical_json({"b": (1, 2), "a": None})
    '{"a":null,"b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@dataclass(frozen=True)
class FeatureSpec:
    """What an extractor computes.

    Attributes
    ----------
    name : str
        The extractor's name.
    version : int
        Moves when the code gives other values for the same params.
    params : mapping
        The values of ``extractors.<name>`` in params.yaml, JSON types only.
    columns : tuple of str
        Names of the d columns, unique.
    weights : mapping of str to str
        File name to sha256; empty if none. Detectors count as weights.
    fitted_on : str
        Digest of the train keys and labels, for an extractor that learns; else empty.
    decoder : int
        Version of the decoder that the pixels came from.
    """

    name: str
    version: int
    params: Mapping[str, Any]
    columns: tuple[str, ...]
    weights: Mapping[str, str] = field(default_factory=dict)
    fitted_on: str = ""
    decoder: int = DECODER_VERSION

    def __post_init__(self) -> None:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError(f"{self.name}: column names must be unique")

    def to_json(self) -> str:
        """Canonical JSON of every attribute."""
        return canonical_json(
            {
                "columns": list(self.columns),
                "decoder": self.decoder,
                "fitted_on": self.fitted_on,
                "name": self.name,
                "params": dict(self.params),
                "version": self.version,
                "weights": dict(self.weights),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> FeatureSpec:
        """Inverse of `to_json`.

        Raises
        ------
        ValueError, KeyError, TypeError
            If the text is no spec.
        """
        raw = json.loads(text)
        return cls(
            name=raw["name"],
            version=raw["version"],
            params=raw["params"],
            columns=tuple(raw["columns"]),
            weights=raw["weights"],
            fitted_on=raw["fitted_on"],
            decoder=raw["decoder"],
        )

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 (hex) of `to_json`: rows with equal key and fingerprint are equal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()
