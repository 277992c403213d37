"""Every benchmark in turn, what takes least first; then the table of docs/performance.md.

    python benchmarks/all.py [--again]

An hour and a half to three on two cores, with nothing else on them: what shares the machine moves
the ratios too. Stopped, or ended by a benchmark that failed, it goes on with that one when it is run again at
the same commit; ``--again`` begins with the first. Which ended is kept in build/benchmarks.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
KEPT: Final = ROOT / "build" / "benchmarks.json"

#: A script of this folder and its arguments; ``stores.py`` in the environment of what it is measured beside.
COMMANDS: Final = (
    "commands.py",
    "predict.py",
    "report.py",
    "crop.py --n 60",
    "design.py",
    "throughput.py",
    "listing.py",
    "manifest.py",
    "extract.py",
    "dataloader.py",
    "engines.py",
    "stores.py",
    "stores.py --million",
    "leaderboard.py",
    "heads.py --million",
    "study.py",
)
BESIDE_OTHERS: Final = "stores.py"


def python_for(command: str) -> str:
    """The interpreter: requirements/bench.lock has an environment of its own inside this one."""
    return str(Path(sys.prefix) / "bench" / "bin" / "python") if command == BESIDE_OTHERS else sys.executable


def ended_at(commit: str, kept: Path) -> list[str]:
    """The commands that ended well at this commit."""
    if not kept.exists():
        return []
    found = json.loads(kept.read_text())
    return [one for one in COMMANDS if one in found["ended"]] if found["commit"] == commit else []


def run_all(commit: str, *, again: bool, kept: Path = KEPT) -> int:
    """Run what has not ended yet; the exit status of the first that fails, else 0."""
    ended = [] if again else ended_at(commit, kept)
    if ended:
        known = f"{len(ended)} of {len(COMMANDS)} benchmarks had ended at {commit}"
        print(f"{known}; `python benchmarks/all.py --again` begins anew", flush=True)
    for place, command in enumerate(COMMANDS, start=1):
        if command in ended:
            continue
        print(f"\n[{place} of {len(COMMANDS)}] benchmarks/{command}", flush=True)
        start = time.monotonic()
        script, *arguments = command.split()
        status = subprocess.run(
            [python_for(command), str(ROOT / "benchmarks" / script), *arguments], check=False
        ).returncode
        minutes = (time.monotonic() - start) / 60
        if status:
            said = f"benchmarks/{command} ended with {status} after {minutes:.1f} minutes"
            print(f"{said}; once it is mended, the same command goes on with it", file=sys.stderr)
            return status
        print(f"{minutes:.1f} minutes", flush=True)
        ended.append(command)
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps({"commit": commit, "ended": ended}, indent=1) + "\n")
    kept.unlink(missing_ok=True)
    return subprocess.run([sys.executable, str(ROOT / "benchmarks" / "table.py")], check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--again", action="store_true", help="from the first one, whatever had ended")
    options = parser.parse_args()
    head = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    )
    try:
        return run_all(head.stdout.strip(), again=options.again)
    except KeyboardInterrupt:
        print("stopped; the same command goes on with the benchmark that this one was in", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
