"""How long ``python -m classifiers predict`` takes, beside a process that only imports the same modules.

    python benchmarks/predict.py [IMAGE ...] [--repeats 9] [--explain]

Run it where model/, features.h5, dataset.csv and params.yaml are; without IMAGE it takes five pictures of
train and val. The command runs once to fill the disk's cache and to tell which modules of other people it
imports; a bare process imports these, in the same order, and ends. Then the two take turns.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("classifiers", "extractors", "featurestore", "collection", "__main__", "__mp_main__")

#: Runs the command and says at its end what was imported.
TELL = """
import atexit, json, runpy, sys
atexit.register(lambda: sys.stderr.write("MODULES" + json.dumps(list(sys.modules))))
sys.argv = ["classifiers", *sys.argv[1:]]
runpy.run_module("classifiers", run_name="__main__", alter_sys=True)
"""

#: Imports a list of modules, and none that is not in it: skops would take torch along where there is one.
IMPORT = """
import importlib, json, sys
wanted = json.load(sys.stdin)
class Others:
    def find_spec(self, name, path=None, target=None):
        if name == "torch" and name not in wanted:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Others())
for name in wanted:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
"""


def environment() -> dict[str, str]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": str(ROOT)}


def run(code: Sequence[str], *, given: str = "") -> tuple[float, subprocess.CompletedProcess[str]]:
    """Seconds of a new process, and what it said."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *code], input=given, capture_output=True, text=True, env=environment()
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, done


def some_images() -> list[str]:
    """Five pictures of train and val, evenly spaced."""
    sys.path.insert(0, str(ROOT))
    from featurestore.metadata import unescape_path
    from featurestore.params import load_params

    with Path("dataset.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row["path"] for row in csv.DictReader(stream) if row["split"] != "test"]
    root = Path(load_params().data.root)
    return [str(root / unescape_path(path)) for path in rows[:: max(1, len(rows) // 5)][:5]]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("images", nargs="*")
    parser.add_argument("--repeats", type=int, default=9, help="paired runs")
    parser.add_argument("--explain", action="store_true")
    options = parser.parse_args()
    images = options.images or some_images()
    asked = ["predict", *images, *["--explain"] * options.explain]
    _, first = run(["-c", TELL, *asked])
    modules = [
        name
        for name in json.loads(first.stderr.rpartition("MODULES")[2])
        if name.partition(".")[0] not in OURS
    ]
    pairs = []
    for _ in range(options.repeats):
        command, _ = run(["-m", "classifiers", *asked])
        bare, _ = run(["-c", IMPORT], given=json.dumps(modules))
        pairs.append((command, bare))
    more = [command - bare for command, bare in pairs]
    torch = "with torch" if "torch" in modules else "without torch"
    print(f"predict, {len(images)} images{', explained' * options.explain}: {len(modules)} modules, {torch}")
    print(f"  the command   {statistics.median(c for c, _ in pairs):.2f} s, median of {len(pairs)}")
    print(f"  bare imports  {statistics.median(b for _, b in pairs):.2f} s")
    print(f"  beyond them   {statistics.median(more):.2f} s ({min(more):.2f} to {max(more):.2f} in pairs)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
