"""What explaining and reporting add to a run: seconds of each stage, as parts of the run without them.

    python benchmarks/report.py [--repeats 3]

In a repository whose `dvc repro` is up to date, each round forces, one after the other, every stage up to the
leaderboard, then the four that explain and report; the row cache stays. Nothing changes: the same bytes come
out. What the four add is their time in one command less that of a `dvc repro` that finds nothing to do.
Prints medians over the rounds, and the size of the report.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEFORE = ("check", "index", "extract@design", "fuse", "train", "evaluate", "audit", "compare")
ADDED = ("edit", "explain", "findings", "report")


def forced(stages: tuple[str, ...]) -> float:
    """Seconds of one forced run of some stages, DVC's own work included; of none: finding nothing to do."""
    start = time.monotonic()
    command = [str(Path(sys.executable).parent / "dvc"), "repro", "--quiet"]
    command += ["--force", "--single-item", *stages] if stages else []
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    forced(ADDED)  # compiled kernels, warm disk
    rounds = []
    for _ in range(repeats):
        rounds.append({"before": forced(BEFORE), **{stage: forced((stage,)) for stage in ADDED}})
        rounds[-1]["all four in one command"] = forced(ADDED)
        rounds[-1]["nothing to do"] = forced(())
        rounds[-1]["added by the four"] = rounds[-1]["all four in one command"] - rounds[-1]["nothing to do"]
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    print(f"{'stages':<26} {'seconds':>8} {'of the run before':>18}")
    for name, seconds in middle.items():
        print(f"{name:<26} {seconds:>8.1f} {seconds / middle['before']:>18.2f}")
    size = (ROOT / "results" / "report.html").stat().st_size
    print(f"results/report.html: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
