"""What every command begins with: params.yaml, the study, makers of heads, and where things lie.

Part of ``python -m classifiers``, whose ``__main__`` only parses. Outside this package nothing of
`classifiers` reads params.yaml, the environment or the command line.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifiers.tables import fusion_said

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.data import Study
    from classifiers.head import Head
    from classifiers.scoring import Scoring
    from featurestore.params import Params

__all__ = [
    "DATASET",
    "EDITS",
    "FEATURES",
    "LEARNED",
    "LOGS",
    "LOOKS",
    "MODEL",
    "RESULTS",
    "WEIGHTS",
    "fits",
    "fits_much",
    "fusion_of",
    "load_head",
    "maker",
    "open_study",
    "rows_of",
    "scoring_of",
    "searched",
    "weight_folders",
]

DATASET = Path("dataset.csv")
FEATURES = Path("features.h5")
EDITS = Path("edits.parquet")
MODEL = Path("model")
RESULTS = Path("results")
LEARNED = Path("learned")
WEIGHTS = Path("weights")
LOGS = Path("logs")
LOOKS = LOGS / "looks.csv"


def fits(command: Callable[[], None]) -> Callable[[], None]:
    """A command that fits heads, on a cluster where params.yaml says so."""

    @functools.wraps(command)
    def on_engine() -> None:
        from classifiers.pool import on
        from featurestore.params import load_params

        with on(load_params().runtime.engine):
            command()

    return on_engine


def fits_much(command: Callable[[], None]) -> Callable[[], None]:
    """One that does so for seconds: the processes for it start while it reads the study."""

    @functools.wraps(command)
    def warm() -> None:
        from classifiers.pool import warmed
        from featurestore.params import load_params

        with warmed(load_params().runtime.workers):
            command()

    return fits(warm)


def open_study() -> tuple[Params, Study, int]:
    """params.yaml, the study and the position of the positive class."""
    from classifiers.data import check_positive, read_study
    from featurestore.params import load_params

    params = load_params()
    study = read_study(FEATURES, DATASET, group_by=params.data.group)
    return params, study, check_positive(params.evaluation.positive, study.classes)


def maker(params: Params, study: Study, positive: int, name: str) -> Callable[[], Head]:
    """A maker of new, unfitted heads, as params.yaml wants them."""
    from classifiers.registry import make_head

    return functools.partial(
        make_head,
        name,
        params.heads[name],
        seed=params.seed,
        n_classes=len(study.classes),
        positive=positive,
        fusion=params.fusion,
        decision=params.decision,
        search=params.searches.get(name),
    )


def load_head() -> tuple[Any, dict[str, Any]]:
    """The saved head and its card."""
    from classifiers.persistence.artifact import load_model

    head, card = load_model(MODEL)
    return head, dict(card)


def scoring_of(params: Params, positive: int) -> Scoring:
    """Folds, draws and seed of every score."""
    from classifiers.scoring import Scoring

    return Scoring(
        positive,
        params.cv.folds,
        params.cv.repeats,
        params.evaluation.bootstrap,
        params.seed,
        params.runtime.workers,
    )


def searched(params: Params, name: str) -> list[str]:
    """Params that a head chooses for itself."""
    search = params.searches.get(name)
    return list(search.over) if search else []


def fusion_of(params: Params, study: Study) -> str:
    """How the columns of several extractors meet, in words."""
    return fusion_said(params.fusion, len(study.blocks))


def rows_of(params: Params, name: str) -> tuple[pd.DataFrame, str]:
    """Rows of every picture by an extractor that needs no weights, and their fingerprint.

    They come from the row cache, and are computed where it lacks them.
    """
    from classifiers.embedding import rows_by
    from featurestore.cache import RowCache, cache_root
    from featurestore.dataset import image_places

    root = Path(params.data.root)
    return rows_by(
        name,
        params.extractors[name],
        image_places(DATASET, root),
        RowCache(cache_root(os.environ.get("KYARA_CACHE"))),
        root=root,
        max_pixels=params.data.max_pixels,
        runtime=params.runtime,
    )


def weight_folders() -> list[Path]:
    """Where published weights are searched."""
    from featurestore.cache import cache_root

    given = os.environ.get("KYARA_WEIGHTS")
    return [*([Path(given).expanduser()] if given else []), cache_root(None).parent / "weights"]
