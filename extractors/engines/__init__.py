"""Where the work runs: a module's file name is the engine's name.

A module has ``compute(work: Work) -> Iterator[int]``, which computes every batch of ``work.batches``, makes
its rows durable in the row cache before it counts as done, and yields how many images are done with it. The
first error ends it, after every batch that was under way and succeeded was kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extractors.base import Extractor
    from extractors.batches import Batches
    from extractors.keeping import Keeper, Loader
    from extractors.recipe import Recipe
    from extractors.timing import Spent
    from featurestore.params import RuntimeParams

__all__ = ["Work"]


@dataclass(frozen=True)
class Work:
    """What there is to compute.

    Attributes
    ----------
    extractor : Extractor
        Built here.
    recipe : Recipe or None
        How another process builds the same; None where it can only be computed here.
    batches : Batches
    loader : Loader
        From an item to its pixels.
    keeper : Keeper
        From a batch and its rows to the row cache.
    runtime : RuntimeParams
    spent : Spent
        Told where the time goes.
    """

    extractor: Extractor
    recipe: Recipe | None
    batches: Batches
    loader: Loader
    keeper: Keeper
    runtime: RuntimeParams
    spent: Spent
