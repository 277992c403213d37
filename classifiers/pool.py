"""Jobs in a row: one after the other here, or many at once over the cores.

Owns the pool of processes, and when it is worth its start. Each job runs on one thread, so that nothing
depends on how many run at once. Refuses to know what the jobs are for.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeVar

from extractors.devices import n_threads

__all__ = ["run", "warmed"]

Job = TypeVar("Job")
Result = TypeVar("Result")

#: Seconds for which jobs are done here before the rest is judged.
_PATIENCE_S: Final = 1.0
#: What new processes cost until they have imported what they need.
_START_S: Final = 2.0
#: Of what jobs and their modules import, what takes long.
_HEAVY: Final = (
    "pandas", "sklearn.calibration", "sklearn.ensemble", "sklearn.impute", "sklearn.linear_model",
    "sklearn.model_selection", "sklearn.neighbors", "sklearn.svm", "matplotlib.backends.backend_agg",
)  # fmt: skip
#: Arrays beyond this are shared. (Processes are used again by equal options alone.)
_SHARED: Final = "256K"

_warm = False


def run(function: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int) -> list[Result]:
    """Results of all jobs, in their order.

    Parameters
    ----------
    function : callable
        What it holds goes to every process; of arrays beyond 256 KiB there is one copy for all.
    workers : int
        Processes at most; few short jobs are done here, unless `warmed`. 0 = one a core. A call with 1 stays
        here.
    """
    workers = n_threads(workers)
    done = [] if _warm and workers > 1 else _here(function, jobs, workers)
    if len(done) == len(jobs):
        return done
    from joblib import Parallel, delayed

    with _processes(workers):
        return done + list(
            Parallel(batch_size="auto", pre_dispatch="4*n_jobs", max_nbytes=_SHARED)(
                delayed(function)(job) for job in jobs[len(done) :]
            )
        )


def _here(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> list[Result]:
    """Results until processes are worth their start."""
    from threadpoolctl import threadpool_limits

    done: list[Result] = []
    start = time.monotonic()
    with threadpool_limits(1):
        for job in jobs:
            done.append(function(job))
            passed = time.monotonic() - start
            left = passed / len(done) * (len(jobs) - len(done))
            if workers > 1 and passed > _PATIENCE_S and left * (1 - 1 / workers) > _START_S:
                break
    return done


@contextmanager
def warmed(workers: int) -> Iterator[None]:
    """Have the processes import what heads and figures need while the caller does the same.

    For commands that surely have seconds of work: within, `run` hands out all jobs at once. With one worker
    nothing changes.
    """
    global _warm
    workers = n_threads(workers)
    if workers == 1 or _warm:
        yield
        return
    from joblib import Parallel, delayed

    with _processes(workers):
        started = Parallel(batch_size=1, pre_dispatch="all", max_nbytes=_SHARED, return_as="generator")(
            delayed(_imported)() for _ in range(workers)
        )
    _warm = True
    try:
        yield
    finally:
        _warm = False
        for _ in started:
            pass


def _processes(workers: int) -> AbstractContextManager[Any]:
    from joblib import parallel_config

    found: AbstractContextManager[Any] = parallel_config(
        backend="loky", n_jobs=workers, inner_max_num_threads=1
    )
    return found


def _imported() -> None:
    """Import what most of the time goes to."""
    for name in _HEAVY:
        importlib.import_module(name)
