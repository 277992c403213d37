"""The blocks of params.yaml as frozen values.

Owns the keys of each block, their types, ranges and defaults. Refuses to know how the file is read, and what
more than one block decides (``params``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from featurestore.images import MAX_PIXELS
from featurestore.schema import AtLeast, Between

__all__ = [
    "CvParams",
    "DataParams",
    "DecisionParams",
    "EvaluationParams",
    "ExplanationParams",
    "FusionParams",
    "RuntimeParams",
    "SearchParams",
    "SearchRange",
    "SplitParams",
]

#: Of the images, strictly between none and all.
Share = Annotated[float, Between(0, 1, "both")]


@dataclass(frozen=True)
class DataParams:
    """``data:`` where the images are and what counts as one thing.

    Attributes
    ----------
    root : str
        Folder with ``images/`` and, perhaps, ``metadata/``.
    group : {"series", "character", "none"}
        What must never stand on both sides of a split.
    group_from : str or None
        Regular expression searched in the path below ``images/``; its first group is the series.
    near_duplicate_distance : int or None
        Bits of 64 by which two perceptual hashes may differ and still be one picture; None = off.
    quarantine_limit : float
        Share of the files that may be unusable.
    max_pixels : int
        Cap on width x height, checked before decoding.
    """

    root: str = "data"
    group: Literal["series", "character", "none"] = "series"
    group_from: str | None = None
    near_duplicate_distance: Annotated[int, Between(0, 16)] | None = 4
    quarantine_limit: Annotated[float, Between(0, 1)] = 0.05
    max_pixels: Annotated[int, Between(1, MAX_PIXELS)] = 50_000_000


@dataclass(frozen=True)
class SplitParams:
    """``split:`` shares of train, val and test, which sum to 1."""

    method: Literal["stratified", "hash"] = "stratified"
    train: Share = 0.6
    val: Share = 0.2
    test: Share = 0.2


@dataclass(frozen=True)
class CvParams:
    """``cv:`` folds of whole groups over train and val, drawn anew ``repeats`` times."""

    folds: Annotated[int, AtLeast(2)] = 5
    repeats: Annotated[int, Between(1, 100)] = 5


@dataclass(frozen=True)
class DecisionParams:
    """``threshold:`` and ``calibration:`` how a probability becomes a decision.

    Attributes
    ----------
    threshold : {"default", "f1", "balanced_accuracy"}
        ``default`` takes the likeliest class; the others tune the positive class's threshold, inside
        the rows that the head is fitted on.
    calibration : {"none", "sigmoid"}
        Whether probabilities are mapped to observed shares, inside those rows too.
    """

    threshold: Literal["default", "f1", "balanced_accuracy"] = "default"
    calibration: Literal["none", "sigmoid"] = "none"


@dataclass(frozen=True)
class SearchParams:
    """``heads.<name>.search:`` params that are chosen inside the rows that the head is fitted on.

    Attributes
    ----------
    method : {"grid", "random"}
        All combinations, or ``trials`` that are drawn.
    over : mapping
        Param -> list of values, or for ``random`` also ``{low, high, log}``.
    """

    over: Mapping[str, Any]
    method: Literal["grid", "random"] = "grid"
    trials: Annotated[int, Between(1, 10_000)] = 20


@dataclass(frozen=True)
class SearchRange:
    """A range that a random search draws from; whole numbers where both ends are.

    Attributes
    ----------
    low, high : float or int
        Both included.
    log : bool
        Whether the logarithm is what is uniform.
    """

    low: int | float
    high: int | float
    log: bool = False

    @property
    def kind(self) -> type[int] | type[float]:
        """Of the values drawn."""
        return int if isinstance(self.low, int) and isinstance(self.high, int) else float


@dataclass(frozen=True)
class EvaluationParams:
    """``evaluation:`` the positive class, draws of the bootstrap, permutations of the identity meter."""

    positive: str = "villain"
    bootstrap: Annotated[int, AtLeast(100)] = 1000
    permutations: Annotated[int, AtLeast(20)] = 40


@dataclass(frozen=True)
class ExplanationParams:
    """``explanation:`` how much is computed behind importances, findings and counterfactuals.

    Attributes
    ----------
    images : int
        Images at most behind SHAP values and the map; of more, whole groups are drawn.
    permutations : int
        Of the labels, behind the null of each importance.
    edited : int
        Images whose pixels are edited for the counterfactuals; 0 leaves them out.
    draws : int
        Exchanges of roles behind each finding's p-value.
    margin : float
        AUC by which the design features may be worse than a network and still be called no worse.
    """

    images: Annotated[int, AtLeast(50)] = 2000
    permutations: Annotated[int, AtLeast(20)] = 40
    edited: Annotated[int, AtLeast(0)] = 40
    draws: Annotated[int, AtLeast(99)] = 999
    margin: Annotated[float, Between(0, 0.5)] = 0.05


@dataclass(frozen=True)
class FusionParams:
    """``fusion:`` how the columns of several extractors meet in a head.

    Attributes
    ----------
    method : {"early", "late"}
        One head on all columns, or one an extractor and their probabilities averaged.
    block_scaling : bool
        Whether, under early fusion, every extractor's columns weigh the same together.
    """

    method: Literal["early", "late"] = "early"
    block_scaling: bool = False


@dataclass(frozen=True)
class RuntimeParams:
    """``runtime:`` how the work is done; no stage and no fingerprint depends on it.

    Attributes
    ----------
    engine : str
        A module of ``extractors.engines``.
    device : {"auto", "cpu", "cuda", "mps"}
        Where networks compute; ``auto`` takes the first of cuda, mps and cpu that is there.
    workers : int
        Threads, or the cores of a cluster that is started here; 0 = one a core.
    batch_size : int or None
        Images at a time; None = found for the device.
    actors : int
        Of the engine ray: processes that compute, each with the extractor of its own; 0 = as many as fit.
    gpus_per_actor : float
        Of the engine ray, where GPUs compute: 0.5 = two share one.
    """

    engine: str = "local"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    workers: Annotated[int, AtLeast(0)] = 0
    batch_size: Annotated[int, AtLeast(1)] | None = None
    actors: Annotated[int, AtLeast(0)] = 0
    gpus_per_actor: Annotated[float, Between(0, 1, "low")] = 1.0
