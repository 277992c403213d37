"""Planted truth: what is there is found, and what is not there is not."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import change, study

from classifiers.data import Study
from classifiers.evaluate import score_rows
from classifiers.intervals import Estimate
from classifiers.predictions import cross_validate, cv_folds
from classifiers.registry import make_head


def null_study(seed: int, *, whole: bool) -> Study:
    """60 groups of 5, features of 10 columns that resemble each other within a group, labels by chance.

    ``whole``: a group is of one class; else classes are mixed within groups.
    """
    rng = np.random.default_rng(seed)
    s = study(n=300, n_groups=60)
    group = np.arange(300) % 60
    values = rng.normal(size=(60, 10))[group] * 0.6 + rng.normal(size=(300, 10)) * 0.8
    code = (rng.permutation(60) % 2)[group] if whole else rng.permutation(300) % 2
    return change(
        s,
        features=pd.DataFrame(values, columns=[f"toy/c{i}" for i in range(10)]),
        labels=np.array(["hero", "villain"])[code],
        splits=np.full(300, "train"),
    )


def intervals(seed: int, *, head: str, whole: bool, repeats: int, draws: int) -> dict[str, Estimate]:
    s = null_study(seed, whole=whole)
    make = partial(make_head, head, {}, seed=0, n_classes=2, positive=1)
    folds = cv_folds(s, folds=5, repeats=repeats, seed=seed)
    part = cross_validate(s, {head: make}, folds)[head]
    return dict(score_rows(s, part, positive=1, draws=draws, seed=seed).estimates)


def covered(found: list[dict[str, Estimate]], measured: str) -> int:
    ends = [one[measured] for one in found]
    return sum(e.low is not None and e.high is not None and e.low <= 0.5 <= e.high for e in ends)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("head", "how"),
    [
        ("nb", {"repeats": 2, "draws": 300}),
        pytest.param("logreg", {"repeats": 5, "draws": 1000}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(3000)
def test_intervals_on_nothing_cover_one_half_as_often_as_they_say(
    head: str, how: dict[str, Any], whole: bool
) -> None:
    found = [intervals(seed, head=head, whole=whole, **how) for seed in range(200)]
    for measured in ("auc", "balanced_accuracy"):
        assert 181 <= covered(found, measured) <= 197, measured
