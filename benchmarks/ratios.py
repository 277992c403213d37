"""Ratios: two things timed in turn, several times in one run; what was aimed at; what came of it.

Owns how a ratio is measured, said and kept (``benchmarks/results/<name>.json``). ``table.py`` makes
docs/performance.md of what is kept. Refuses to know what is measured.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Ratio:
    """One line of the table.

    Attributes
    ----------
    what, against : str
        What is measured, and the limit that it is measured against or what a user would otherwise do.
    goal : str
        ``<= 1.5`` or ``>= 50``; empty where the figure is told for what it is.
    values : tuple of float
        One a pair; the median counts.
    detail : str
        The two in their units.
    bound : str
        What keeps it from being better.
    """

    what: str
    against: str
    goal: str
    values: tuple[float, ...]
    detail: str = ""
    bound: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """None without a goal."""
        if not self.goal:
            return None
        sign, number = self.goal.split()
        return self.median <= float(number) if sign == "<=" else self.median >= float(number)

    def verdict(self) -> str:
        if self.met is None:
            return ""
        if self.met:
            return "met"
        missed = abs(self.median / float(self.goal.split()[1]) - 1)
        return f"missed by {missed:.0%}"

    def line(self) -> str:
        spread = f"{number(min(self.values))} to {number(max(self.values))}"
        goal = f"; goal {self.goal}: {self.verdict()}" if self.goal else ""
        said = (
            f"{self.what} / {self.against}: {number(self.median)} ({spread}, {len(self.values)} pairs){goal}"
        )
        return "\n    ".join(filter(None, [said, self.detail, self.bound and f"bound by {self.bound}"]))


def number(value: float) -> str:
    """Three digits, or as many as it has before the point.

    >>> number(0.98765), number(12.3456), number(1234.5)
    ('0.988', '12.3', '1,234')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(ours: T, theirs: T, repeats: int) -> Iterator[T]:
    """Both, as often as there are pairs; who begins changes, so that neither has the warmer cache.

    >>> "".join(in_turn("a", "b", 3))
    'abbaab'
    """
    for i in range(repeats):
        yield from (ours, theirs) if i % 2 == 0 else (theirs, ours)


def paired(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repeats: int,
    before: Callable[[], object] | None = None,
) -> tuple[list[float], list[float]]:
    """Seconds of each, `in_turn`.

    ``before`` is called before each, and is not timed.
    """
    mine: list[float] = []
    others: list[float] = []
    for work, found in in_turn((ours, mine), (theirs, others), repeats):
        if before is not None:
            before()
        found.append(seconds(work))
    return mine, others


def ratios_of(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    """a over b, pair by pair."""
    return tuple(x / y for x, y in zip(a, b, strict=True))


def machine() -> str:
    """Which machine, in a line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1] for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0].strip() if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, Python {platform.python_version()}"


def keep(
    name: str, ratios: Sequence[Ratio], *, about: str = "", command: str = "", whole: bool = True
) -> None:
    """Print ratios; keep them if the run was a whole one, and not a quick look.

    Parameters
    ----------
    name : str
        Of the script, or of a part of what it measures.
    about : str
        On what, in a sentence: sizes, seeds, which data.
    command : str
        What measures it; default: the script of that name.
    """
    print(f"{name}: {about} ({machine()})")
    for one in ratios:
        print(f"  {one.line()}")
    if whole:
        RESULTS.mkdir(exist_ok=True)
        found = {
            "command": command or f"benchmarks/{name}.py",
            "about": about,
            "machine": machine(),
            "ratios": [asdict(one) for one in ratios],
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
