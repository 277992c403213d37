"""Twelve heads on 5 x 5 folds: kyara beside the same loop written plainly with scikit-learn.

    python benchmarks/leaderboard.py [--repeats 3] [--wide] [--quick]

Each side runs in a process of its own that has imported everything and read the table: what is timed is the
fitting, starting kyara's worker processes included. The plain loop clones the same pipelines, seeds and
folds, one after the other in one process, with the libraries' threads as they are by default (``plain``)
and pinned to one (``plain, pinned``). kyara pins them, and uses every core. Scores must be equal to 1e-6.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NARROW, WIDE = (300, 63), (300, 768)
FOLDS, REPEATS, SEED = 5, 5, 42
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TOLERANCE = 1e-6


def study_of(n: int, d: int) -> Any:
    """Rows of 60 groups, of which a few columns know the class."""
    import numpy as np
    import pandas as pd

    from classifiers.data import Study

    rng = np.random.default_rng(SEED)
    group, code = np.arange(n) % 60, np.arange(n) // 60 % 2
    values = rng.normal(size=(n, d)) + rng.normal(size=(60, d))[group] * 0.5
    values[:, :8] += 0.5 * code[:, None]
    columns = [f"design/c{i}" for i in range(d)]
    return Study(
        features=pd.DataFrame(values, columns=columns),
        keys=np.array([f"{i:064x}" for i in range(n)]),
        paths=np.array([f"{i}.png" for i in range(n)]),
        labels=np.array(["hero", "villain"])[code],
        groups=np.array([f"series {g:02d}" for g in group]),
        splits=np.full(n, "train"),
        status=np.zeros((n, 1), dtype=np.uint8),
        blocks=("design",),
        fitted_on={},
        fingerprint="",
        split_kind="split by series",
        index=pd.DataFrame(index=range(n)),
    )


def heads_of(quick: bool) -> dict[str, Any]:
    """Makers of every head with the params of params.yaml."""
    from functools import partial

    from classifiers.registry import head_names, make_head
    from featurestore.params import load_params

    params = load_params(ROOT / "params.yaml")
    names = ("logreg", "lda", "nb", "knn") if quick else head_names()
    return {
        name: partial(make_head, name, params.heads[name], seed=SEED, n_classes=2, positive=1)
        for name in names
    }


def by_kyara(study: Any, makers: dict[str, Any], folds: Any) -> dict[str, Any]:
    from classifiers.predictions import cross_validate

    found = cross_validate(study, makers, folds, workers=0)
    return {name: [part.proba[part.fold == f, 1] for f in range(len(folds))] for name, part in found.items()}


def plainly(study: Any, makers: dict[str, Any], folds: Any) -> dict[str, Any]:
    """What one would write: for every head and fold clone, fit, predict."""
    import numpy as np
    from sklearn.base import clone

    X, y = study.features, (study.labels == "villain").astype(int)
    pipelines = {name: make().pipeline for name, make in makers.items()}
    found: dict[str, Any] = {}
    for name, pipeline in pipelines.items():
        found[name] = []
        for fold in folds:
            fitted = clone(pipeline).fit(X.iloc[fold.fitted], y[fold.fitted])
            proba = np.asarray(fitted.predict_proba(X.iloc[fold.scored]), dtype=float)
            found[name].append(proba[:, 1] / proba.sum(axis=1))
    return found


def side(name: str, n: int, d: int, quick: bool) -> dict[str, Any]:
    """One side in this process: seconds, and each head's AUC averaged over the folds."""
    import numpy as np
    import xgboost  # noqa: F401
    from sklearn.metrics import roc_auc_score

    from classifiers.predictions import cv_folds

    study, makers = study_of(n, d), heads_of(quick)
    folds = cv_folds(study, folds=FOLDS, repeats=REPEATS, seed=SEED)
    start = time.perf_counter()
    found = (by_kyara if name == "kyara" else plainly)(study, makers, folds)
    seconds = time.perf_counter() - start
    truth = study.labels == "villain"
    scores = {
        head: float(np.mean([roc_auc_score(truth[f.scored], p) for f, p in zip(folds, said, strict=True)]))
        for head, said in found.items()
    }
    return {"seconds": seconds, "scores": scores}


def alone(name: str, n: int, d: int, quick: bool) -> dict[str, Any]:
    """One side in a new process."""
    environment = {k: v for k, v in os.environ.items() if k not in THREADS}
    if name != "plain":
        environment |= dict.fromkeys(THREADS, "1")
    command = [sys.executable, __file__, "--side", name, "--size", f"{n}x{d}", *["--quick"] * quick]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment | {"PYTHONPATH": str(ROOT)}
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def compare(n: int, d: int, repeats: int, quick: bool) -> bool:
    """Run the sides in turn and print their ratio; whether the scores agree."""
    sides = ("kyara", "plain", "plain, pinned")
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    scores: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for name in sides:
            answer = alone(name, n, d, quick)
            seconds[name].append(answer["seconds"])
            scores[name] = answer["scores"]
    worst = max(abs(scores["kyara"][h] - scores["plain, pinned"][h]) for h in scores["kyara"])
    loose = max(abs(scores["kyara"][h] - scores["plain"][h]) for h in scores["kyara"])
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    n_fits = len(scores["kyara"]) * FOLDS * REPEATS
    shown = ", ".join(f"{name} {medians[name]:.1f} s" for name in sides)
    print(f"{n} x {d}, {len(scores['kyara'])} heads, {n_fits} fits, median of {repeats}: {shown}")
    for name in sides[1:]:
        ratios = [b / a for a, b in zip(seconds["kyara"], seconds[name], strict=True)]
        ends = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"  kyara is {statistics.median(ratios):.2f} times as fast as {name} ({ends})")
    print(f"  largest difference of a head's AUC: {worst:.1e} pinned, {loose:.1e} with default threads")
    return worst <= TOLERANCE and loose <= TOLERANCE


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3, help="paired runs of each size")
    parser.add_argument("--wide", action="store_true", help="768 columns too: half an hour more")
    parser.add_argument("--quick", action="store_true", help="four quick heads, one run: does it work?")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--size", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        n, d = map(int, options.size.split("x"))
        print(json.dumps(side(options.side, n, d, options.quick)))
        return 0
    from extractors.devices import n_threads

    print(f"{n_threads(0)} cores; {FOLDS} folds x {REPEATS} repeats")
    sizes = (NARROW, WIDE) if options.wide else (NARROW,)
    agree = [compare(n, d, 1 if options.quick else options.repeats, options.quick) for n, d in sizes]
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
