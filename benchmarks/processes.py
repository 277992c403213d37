"""Work in a process of its own, and the memory that it takes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
