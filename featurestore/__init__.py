"""kyara's feature store: what is stored, under which identity, and how it is read back.

The package owns image decoding, the data set's index, feature specifications, the canonical HDF5
stores and the row cache. It refuses to know how a row is computed: it imports neither
``extractors`` nor ``classifiers``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featurestore.store import FeatureStore

__all__ = ["FeatureStore"]


def __getattr__(name: str) -> Any:
    """`FeatureStore`, imported when it is asked for: nothing here may cost ``--help`` a moment."""
    if name == "FeatureStore":
        from featurestore.store import FeatureStore

        return FeatureStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
