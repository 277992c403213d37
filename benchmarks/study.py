"""What follows extraction, as a study grows tenfold: join, fit and score `design` rows of many pictures.

    python benchmarks/study.py [--n 100000 1000000] [--quick]

The rows are seeded noise in the columns of `design`, some of which lean to one class; the pictures that they
would be of are named and grouped, and never looked at. ``featurestore fuse``, ``classifiers train`` and
``classifiers evaluate`` run with params.yaml as it is, each in a process of its own, whose memory is told.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from processes import told  # noqa: E402
from ratios import Ratio, keep  # noqa: E402

GROUPS, SEED = 2000, 42
LABELS = ("hero", "villain")
STEPS = (("featurestore", "fuse"), ("classifiers", "train"), ("classifiers", "evaluate"))
BOUNDS = {
    "fuse": "a copy of the rows, and its sha256",
    "train": "texts of dataset.csv, then the rows that are fitted on",
    "evaluate": "1,000 draws of groups; processes that fit folds have the rows of theirs besides",
}


def write_study(folder: Path, n: int) -> None:
    """A store, and the data set that it speaks of."""
    from extractors.zoo.design import build
    from featurestore.dataset import DatasetRow, write_table
    from featurestore.rows import StoreRows, unpack_keys
    from featurestore.store import write_store

    rng = np.random.default_rng(SEED)
    keys = rng.integers(0, 256, (n, 32), np.uint8)
    spec = build().spec
    codes, groups = rng.integers(0, 2, n), rng.integers(0, GROUPS, n)
    values = rng.standard_normal((n, len(spec.columns)), np.float32)
    values += codes[:, None] * np.linspace(0, 0.3, len(spec.columns), dtype=np.float32)
    rows = StoreRows(keys, values, np.zeros((n, 1), np.uint8)).sorted()
    write_store(folder / "features" / "design.h5", spec, StoreRows(rows.keys, values, rows.status))
    splits = ("train", "train", "train", "val", "test")
    table = (
        DatasetRow(
            key, f"tar://{i}.jpg::/shards/{i // 1000}.tar", LABELS[code], f"S{group}", "", f"S{group}", "",
            splits[group % 5], 256, 256, "jpeg", 0.28, 90,
        )
        for i, (key, code, group) in enumerate(
            zip(unpack_keys(rows.keys), codes.tolist(), groups.tolist(), strict=True)
        )
    )  # fmt: skip
    write_table(folder / "dataset.csv", table, DatasetRow)


def measured(n: int) -> dict[str, tuple[float, float]]:
    """Seconds and MiB of each step."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="kyara-study-") as made:
        folder = Path(made)
        for name in ("features", "data", "results"):
            (folder / name).mkdir()
        (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
        write_study(folder, n)
        for package, step in STEPS:
            seconds, peak, _ = told(folder, package, step)
            found[step] = seconds, peak
            print(f"  {n:,} pictures, {step:8} {seconds:7.1f} s {peak:6.0f} MiB", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, nargs=2, default=[100_000, 1_000_000], help="less and more pictures")
    parser.add_argument("--quick", action="store_true", help="2,000 and 4,000, nothing kept: does it work?")
    args = parser.parse_args()
    least, most = (2000, 4000) if args.quick else sorted(args.n)
    few, many = measured(least), measured(most)
    ratios = []
    for _, step in STEPS:
        (s0, m0), (s1, m1) = few[step], many[step]
        what, against = f"`{step}`, {most:,} pictures", f"{least:,} pictures"
        ratios += [
            Ratio(f"time of {what}", against, "", (s1 / s0,), f"{s1:.1f} s, {s0:.1f} s"),
            Ratio(
                f"memory of {what}", against, "", (m1 / m0,), f"{m1:,.0f} MiB, {m0:,.0f} MiB", BOUNDS[step]
            ),
        ]
    about = "seeded noise in the columns of `design`, `logreg`, params of params.yaml"
    keep("study", ratios, about=about, whole=not args.quick and most >= 1_000_000)


if __name__ == "__main__":
    main()
