"""Where the time of an extraction went, and what bound it.

Owns the names of the phases and the sentence. Refuses to know engines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

__all__ = ["Spent"]

#: Done by any thread; then by the one that a device is launched from, where there is one.
PHASES: Final = ("read", "decode", "preprocess", "wait", "forward", "commit")
#: A device that waits longer than this share of the time is bound by what it waits for.
_WAITS: Final = 0.1


class Spent:
    """Seconds by phase, of all threads together.

    Parameters
    ----------
    threads : int
        That do what any thread may do.
    device : bool
        Whether one more thread launches a device: ``wait``, ``forward`` and ``commit`` are its own.
    place : str
        What computes.
    """

    def __init__(self, threads: int = 1, *, device: bool = False, place: str = "cpu") -> None:
        self.place = place
        self.divide(threads, 1 if device else 0)
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def divide(
        self, threads: int, devices: int = 0, *, thread: str = "thread", device: str = "device"
    ) -> None:
        """Say who did it: how many of each kind, and how each is called."""
        self._lanes, self._names = (threads, devices), (thread, device)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the time of a block."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.add({phase: time.monotonic() - start})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count what others measured."""
        with self._lock:
            for phase, more in seconds.items():
                self._seconds[phase] += more

    @property
    def seconds(self) -> dict[str, float]:
        """By phase, without those that took none."""
        with self._lock:
            return {phase: found for phase, found in self._seconds.items() if found}

    def text(self) -> str:
        """Shares of the time, and what bound it; empty if nothing was done.

        Examples
        --------
        >>> spent = Spent(2)
        >>> spent.add({"read": 0.2, "decode": 3.0, "forward": 6.0})
        >>> spent.said(wall=5.0)
        'read 2%, decode 30%, forward 60% of 2 threads; bound by forward'

        >>> spent = Spent(2, device=True)
        >>> spent.add({"decode": 7.0, "preprocess": 1.0, "wait": 3.0, "forward": 1.5})
        >>> spent.said(wall=5.0)
        'decode 70%, preprocess 10% of 2 threads; wait 60%, forward 30% of the device; bound by decode'
        """
        return self.said(wall=time.monotonic() - self._start)

    def said(self, *, wall: float) -> str:
        """`text`, of a run of so many seconds."""
        seconds, (threads, devices) = self.seconds, self._lanes
        if not seconds or wall <= 0:
            return ""
        anywhere = [phase for phase in seconds if not devices or phase in PHASES[:3]]
        launched = [phase for phase in seconds if phase not in anywhere]
        parts = []
        for phases, lanes, name in ((anywhere, threads, self._names[0]), (launched, devices, self._names[1])):
            shares = [f"{phase} {seconds[phase] / (lanes * wall):.0%}" for phase in phases]
            if shares:
                one = "the device" if name == "device" else f"1 {name}"
                parts.append(f"{', '.join(shares)} of {one if lanes == 1 else f'{lanes} {name}s'}")
        return f"{'; '.join(parts)}; bound by {self._bound(seconds, devices * wall, anywhere, launched)}"

    def _bound(
        self, seconds: Mapping[str, float], launching_s: float, anywhere: list[str], launched: list[str]
    ) -> str:
        busy = [phase for phase in launched if phase != "wait"]
        if launched and (seconds.get("wait", 0.0) <= _WAITS * launching_s or not anywhere):
            return max(busy, key=seconds.__getitem__, default="wait")
        return max(anywhere, key=seconds.__getitem__, default="wait")
