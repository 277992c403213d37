"""Work in a process of its own, and the memory that it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent

#: Runs a command of kyara's and tells the peak of its memory.
_TOLD: Final = f"""
import atexit, runpy, sys
sys.path.append({str(HERE)!r})
from processes import resident_mib
sys.path.pop()
package, sys.argv = sys.argv[1], sys.argv[1:]
atexit.register(lambda: sys.stderr.write(f"PEAK {{resident_mib('VmHWM')}}\\n"))
runpy.run_module(package, run_name="__main__", alter_sys=True)
"""


def reset_peak() -> None:
    """Linux forgets the peak of resident memory; elsewhere it stays that of the whole process."""
    file = Path("/proc/self/clear_refs")
    if file.exists():
        file.write_text("5")


def resident_mib(line: str) -> float:
    """VmRSS or VmHWM of this process; outside Linux the peak for both."""
    status = Path("/proc/self/status")
    if status.exists():
        found = next(one for one in status.read_text().splitlines() if one.startswith(line))
        return int(found.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def alone(work: Callable[..., Any], *given: Any) -> Any:
    """Call it in a new process, which ends with this one."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import active_children, get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(work, *given).result()
        except SystemExit:
            for child in active_children():
                child.terminate()
            raise


def told(folder: Path, *arguments: str) -> tuple[float, float, str]:
    """A command of kyara's in a folder: its seconds, MiB at the peak, and what it said."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _TOLD, *arguments], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "KYARA_CACHE": str(folder / "cache"), "PYTHONPATH": str(HERE.parent)},
    )  # fmt: skip
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    peak = next(line for line in done.stderr.splitlines() if line.startswith("PEAK"))
    return seconds, float(peak.split()[1]), done.stdout
