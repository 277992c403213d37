"""``dvc exp run -S model=xgb evaluate`` on the demo cast, against the same graph that only imports and fits.

    python benchmarks/commands.py [--repeats 5]

Two clones of this repository with the demo cast, everything computed. In the second, ``train`` and
``evaluate`` only import what a head needs (numpy, pandas, h5py, scikit-learn, xgboost), read the same store,
fit one xgboost and write their outs empty. The two take turns; each run has another learning rate, so that
DVC has something to do.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ratios import Ratio, keep, paired, ratios_of  # noqa: E402

BARE = """\
import csv, sys
from pathlib import Path
import h5py, numpy, pandas, sklearn.pipeline, xgboost

with h5py.File("features.h5") as store, open("dataset.csv", newline="") as table:
    values, keys = store["value"][:], [bytes(key).hex() for key in store["key"][:]]
    split = {row["key"]: row for row in csv.DictReader(table)}
rows = numpy.array([split[key]["split"] == "train" for key in keys])
labels = numpy.array([split[key]["label"] == "villain" for key in keys])
xgboost.XGBClassifier(n_jobs=1).fit(values[rows], labels[rows]).predict_proba(values[~rows])
for name in sys.argv[1:]:
    path = Path(name)
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    else:
        path.mkdir(parents=True, exist_ok=True)
        (path / "empty").write_text("")
"""


def dvc(folder: Path, *arguments: str) -> None:
    beside = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["dvc", *arguments], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def clone(folder: Path) -> Path:
    """The last commit, with the demo cast and everything up to ``evaluate`` computed."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    dvc(folder, "pull", "-r", "demo", "data.dvc")
    dvc(folder, "repro", "evaluate")
    return folder


def make_bare(folder: Path) -> None:
    """The same graph, whose last two stages do the least."""
    graph = yaml.safe_load((folder / "dvc.yaml").read_text())
    (folder / "bare.py").write_text(BARE)
    for name in ("train", "evaluate"):
        stage = graph["stages"][name]
        outs = [*stage["outs"], *stage.get("metrics", [])]
        names = [out if isinstance(out, str) else next(iter(out)) for out in outs]
        stage["cmd"] = f"python bare.py {' '.join(names)}"
    (folder / "dvc.yaml").write_text(yaml.safe_dump(graph, sort_keys=False))
    subprocess.run(["git", "-C", str(folder), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(folder), "commit", "--quiet", "-m", "bare"], check=True)
    dvc(folder, "repro", "evaluate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kyara-commands-"))
    try:
        ours = clone(folder / "ours")
        bare = clone(folder / "bare")
        make_bare(bare)
        tried = {ours: 0, bare: 0}

        def run(where: Path) -> None:
            tried[where] += 1
            rate = 0.1 + tried[where] / 1000
            dvc(where, "exp", "run", "-S", "model=xgb", "-S", f"heads.xgb.learning_rate={rate}", "evaluate")

        run(ours), run(bare)
        mine, least = paired(lambda: run(ours), lambda: run(bare), args.repeats)
        detail = f"{statistics.median(mine):.1f} s, {statistics.median(least):.1f} s"
        bound = "DVC itself, then imports"
        what = "`dvc exp run -S model=xgb evaluate`"
        limit = "the same graph with bare imports and one bare fit"
        ratio = Ratio(what, limit, "<= 2", ratios_of(mine, least), detail, bound)
        keep("commands", [ratio], about="the demo cast (drawings our own code made), 63 columns")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
