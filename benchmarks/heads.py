"""Three heads on many rows: peak memory beside the matrix itself, processor time beside the bare library.

    python benchmarks/heads.py [--n N] [--million] [--repeats 5] [--quick] [logreg xgb hgb]

Each side runs in a process of its own, on one thread, as kyara runs heads. It imports what it needs, makes
the same seeded float32 matrix (768 columns of different means and spreads, some of which know the class; one
row in a hundred could not be computed) and forgets the peak of its memory; then it fits, and asks for the
probabilities of every row. kyara's side is the head of params.yaml, imputing, scaling and class weights
included. The bare side is the library's own call on a matrix that is imputed, and scaled where that matters,
beforehand. Of a million rows kyara's side alone is measured: the bare ones take hours, or do not fit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from featurestore import console  # noqa: E402

console.pin_threads()  # of the processes too that are started from here

from processes import alone, reset_peak, resident_mib  # noqa: E402
from ratios import Ratio, in_turn, keep, ratios_of  # noqa: E402

HEADS = ("logreg", "xgb", "hgb")
COLUMNS, TELLING, SEED, BLOCK = 768, 16, 42, 256
ROWS = {"logreg": 100_000, "xgb": 100_000, "hgb": 50_000}
MILLION = 1_000_000
ASKED = 20_000  # rows of the same kind that nobody was fitted on
GOAL = "<= 1.3"
BOUNDS = {
    "logreg": "blocks of rows in float64",
    "xgb": "XGBoost's pages of binned columns, on disk but for those in use",
    "hgb": "the binned columns, a byte a value: 1.25 with the matrix",
}


def matrix(n: int, *, seed: int, holes: bool, scaled: bool, dtype: str) -> tuple[Any, Any]:
    """Rows and labels; with ``holes`` NaN where a row could not be computed, else 0 spreads from the mean."""
    import numpy as np

    shape = np.random.default_rng(SEED)
    mean, spread = shape.normal(size=COLUMNS), np.exp(shape.normal(size=COLUMNS))
    signal = np.zeros(COLUMNS)
    signal[:: COLUMNS // TELLING] = 0.25
    rng = np.random.default_rng(seed)
    codes = (rng.random(n) < 0.4).astype(np.intp)
    values = np.empty((n, COLUMNS), dtype=dtype)
    for start in range(0, n, BLOCK):
        part = slice(start, start + BLOCK)
        block = rng.standard_normal((len(codes[part]), COLUMNS), dtype=np.float32)
        block += codes[part, None] * signal
        missing = rng.random(len(block)) < 0.01
        block[missing] = np.nan if holes else signal * 0.4
        if not scaled:
            block *= spread
            block += mean
        values[part] = block
    return values, codes


def of_params(name: str) -> dict[str, Any]:
    from featurestore.params import load_params

    return dict(load_params(ROOT / "params.yaml").heads[name])


def by_kyara(name: str) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    import numpy as np
    import pandas as pd

    from classifiers.blocks import boosting, logistic  # noqa: F401
    from classifiers.registry import make_head

    head = make_head(name, of_params(name), seed=SEED, n_classes=2, positive=1)
    columns = [f"made/c{i}" for i in range(COLUMNS)]

    def table(values: Any) -> Any:
        return pd.DataFrame(values, columns=columns, copy=False)

    def fit(values: Any, codes: Any) -> Any:
        return head.fit(table(values), np.array(["hero", "villain"])[codes])

    return fit, lambda model, values: model.predict_proba(table(values))[:, 1]


def barely(name: str) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """What one would write with the library alone."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.utils.class_weight import compute_sample_weight

    params = of_params(name)
    if name == "xgb":
        import xgboost

        trees = params.pop("n_estimators")
        params |= {"tree_method": "hist", "nthread": 1, "seed": SEED, "objective": "binary:logistic"}

        def fit(values: Any, codes: Any) -> Any:
            weights = compute_sample_weight("balanced", codes)
            return xgboost.train(params, xgboost.QuantileDMatrix(values, codes, weight=weights), trees)

        return fit, lambda model, values: model.inplace_predict(values)
    if name == "hgb":
        model = HistGradientBoostingClassifier(
            **params, class_weight="balanced", early_stopping=False, random_state=SEED
        )
    else:
        model = LogisticRegression(C=params["C"], max_iter=params["max_iter"], class_weight="balanced")
    return model.fit, lambda model, values: model.predict_proba(values)[:, 1]


def side(whose: str, name: str, n: int) -> dict[str, float]:
    """One side in this process: seconds of a processor; the peak of memory, in float32 matrices."""
    from sklearn.metrics import roc_auc_score

    maker = by_kyara if whose == "kyara" else barely
    given = {
        "holes": whose == "kyara",
        "scaled": whose == "bare" and name == "logreg",
        "dtype": "float64" if whose == "bare" and name == "hgb" else "float32",  # it takes no other
    }
    fit, ask = maker(name)
    few, their = matrix(200, seed=SEED, **given)
    ask(fit(few, their), few)  # imports what is imported late
    imported = resident_mib("VmRSS")
    fit, ask = maker(name)
    values, codes = matrix(n, seed=SEED, **given)
    unseen, truth = matrix(min(n, ASKED), seed=SEED + 1, **given)
    fit_s, fit_peak, model = watched(lambda: fit(values, codes))
    predict_s, predict_peak, _ = watched(lambda: ask(model, values))
    size_mib = n * COLUMNS * 4 / 2**20
    asked_mib = unseen.nbytes / 2**20
    return {
        "fit_s": fit_s,
        "predict_s": predict_s,
        "fit_peak": (fit_peak - imported - asked_mib) / size_mib,
        "predict_peak": (predict_peak - imported - asked_mib) / size_mib,
        "auc": float(roc_auc_score(truth, ask(model, unseen))),
    }


def watched(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of a processor, peak in MiB, and what came of it.

    Not of the clock: a fit takes minutes, in which a busy machine does not slow both sides alike.
    """
    reset_peak()
    start = time.process_time()
    done = work()
    return time.process_time() - start, resident_mib("VmHWM"), done


def measured(name: str, n: int, repeats: int) -> list[Ratio]:
    """Both sides in turn, who begins changing from pair to pair."""
    found: dict[str, list[dict[str, float]]] = {"kyara": [], "bare": []}
    for whose in in_turn("kyara", "bare", repeats):
        found[whose].append(alone(side, whose, name, n))
        print(f"  {name}, {n:,} rows, {whose}: {said(found[whose][-1])}", file=sys.stderr)
    ours, theirs = found["kyara"], found["bare"]
    middle = {
        whose: {key: statistics.median(one[key] for one in ones) for key in ones[0]}
        for whose, ones in found.items()
    }
    own, bare = middle["kyara"], middle["bare"]
    where = f"{name}, {n:,} x {COLUMNS}"
    return [
        memory(name, n, ours, f"bare library {max(bare['fit_peak'], bare['predict_peak']):.2f}"),
        Ratio(
            f"{where}: processor time of fitting",
            "the bare library, matrix prepared before",
            "",
            ratios_of([one["fit_s"] for one in ours], [one["fit_s"] for one in theirs]),
            f"{own['fit_s']:.1f} s and {bare['fit_s']:.1f} s; AUC {own['auc']:.4f} and {bare['auc']:.4f}",
        ),
        Ratio(
            f"{where}: processor time of asking for every row",
            "the bare library, matrix prepared before",
            "",
            ratios_of([one["predict_s"] for one in ours], [one["predict_s"] for one in theirs]),
            f"{own['predict_s']:.1f} s and {bare['predict_s']:.1f} s",
        ),
    ]


def memory(name: str, n: int, ours: list[dict[str, float]], detail: str) -> Ratio:
    peaks = tuple(max(one["fit_peak"], one["predict_peak"]) for one in ours)
    what = f"{name}, {n:,} x {COLUMNS}: peak memory"
    return Ratio(what, "the float32 matrix", GOAL, peaks, detail, BOUNDS[name])


def of_a_million(name: str) -> Ratio:
    """kyara's side, once."""
    one = alone(side, "kyara", name, MILLION)
    print(f"  {name}, {MILLION:,} rows, kyara: {said(one)}", file=sys.stderr)
    took = f"fitted in {one['fit_s']:,.0f} s, asked for every row in {one['predict_s']:.0f} s"
    return memory(name, MILLION, [one], f"{took}, AUC {one['auc']:.4f}")


def said(one: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.3f}" for key, value in one.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("heads", nargs="*", choices=[*HEADS, []], help="some of them; all by default")
    parser.add_argument("--n", type=int, help="rows; else 100,000, of hgb 50,000: the bare one takes long")
    parser.add_argument("--million", action="store_true", help="1,000,000 rows too, once: half an hour, 4 GB")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs")
    parser.add_argument("--quick", action="store_true", help="one pair, nothing kept: does it work?")
    options = parser.parse_args()
    heads = options.heads or HEADS
    repeats = 1 if options.quick else options.repeats
    found = [ratio for name in heads for ratio in measured(name, options.n or ROWS[name], repeats)]
    if options.million:
        found += [of_a_million(name) for name in heads]
    about = f"seeded float32 rows of {COLUMNS} columns, params of params.yaml, one thread, a process a side"
    keep("heads", found, about=about, whole=not options.quick and tuple(heads) == HEADS)


if __name__ == "__main__":
    main()
