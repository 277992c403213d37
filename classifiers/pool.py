"""Jobs in a row: one after the other here, or many at once over the cores of this machine or of a cluster.

Owns the pool of processes, and when it is worth its start. Each job runs on one thread, so that nothing
depends on how many run at once, and where. Refuses to know what the jobs are for.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, TypeVar

from extractors import cluster
from extractors.devices import n_threads

__all__ = ["on", "run", "warmed"]

Job = TypeVar("Job")
Result = TypeVar("Result")

#: Seconds for which jobs are done here before the rest is judged.
_PATIENCE_S: Final = 1.0
#: What new processes cost until they have imported what they need.
_START_S: Final = 2.0
#: What a cluster costs until its processes have.
_CLUSTER_START_S: Final = 15.0
#: Of what jobs and their modules import, what takes long.
_HEAVY: Final = (
    "pandas", "sklearn.calibration", "sklearn.ensemble", "sklearn.impute", "sklearn.linear_model",
    "sklearn.model_selection", "sklearn.neighbors", "sklearn.svm", "matplotlib.backends.backend_agg",
)  # fmt: skip
#: Arrays beyond this are shared. (Processes are used again by equal options alone.)
_SHARED: Final = "256K"

_warm = False
_cluster: _Cluster | None = None


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
    elsewhere = None if workers == 1 else _cluster
    n = n_threads(workers) if elsewhere is None else max(2, n_threads(workers))
    done = (
        []
        if n > 1 and _warm
        else _here(function, jobs, n, _START_S if elsewhere is None else elsewhere.start_s)
    )
    rest = jobs[len(done) :]
    if not rest:
        return done
    if elsewhere is not None:
        return done + elsewhere.run(function, rest, workers)
    from joblib import Parallel, delayed

    with _processes(n):
        return done + list(
            Parallel(batch_size="auto", pre_dispatch="4*n_jobs", max_nbytes=_SHARED)(
                delayed(function)(job) for job in rest
            )
        )


@contextmanager
def on(engine: str) -> Iterator[None]:
    """Within, what goes to other processes goes to those of ``runtime.engine``.

    With ``ray`` they are a cluster's (`extractors.cluster`), which is connected to when the first jobs go out
    and left at the end; else of this machine.
    """
    global _cluster
    if engine != "ray":
        yield
        return
    with ExitStack() as stack:
        _cluster = _Cluster(stack)
        try:
            yield
        finally:
            _cluster = None


class _Cluster:
    """A pool of actors that lives from the first jobs to the end of ``stack``."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._parallel: Any = None

    @property
    def start_s(self) -> float:
        """What it costs to go there."""
        return _CLUSTER_START_S if self._parallel is None else 0.0

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> list[Result]:
        """Results of all jobs, in their order.

        Raises
        ------
        MissingExtra, MissingError, ClusterLost
        """
        from joblib import delayed

        if self._parallel is None:
            self._parallel = self._started(workers)
        import ray

        with cluster.told():
            shared = ray.put(function)  # once a machine, and not with every job
            return list(self._parallel(delayed(_called)(shared, job) for job in jobs))

    def _started(self, workers: int) -> Any:
        from joblib import Parallel

        self._stack.enter_context(cluster.connected(workers))
        from ray.util.joblib import register_ray

        register_ray()
        n = min(workers or cluster.n_cpus(), cluster.n_cpus())
        return self._stack.enter_context(
            Parallel(n_jobs=n, backend="ray", batch_size="auto", pre_dispatch="4*n_jobs")
        )


def _called(shared: Any, job: Any) -> Any:
    import ray

    return ray.get(shared)(job)


def _here(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int, start_s: float
) -> list[Result]:
    """Results until processes are worth their start."""
    from threadpoolctl import threadpool_limits

    done: list[Result] = []
    start = time.monotonic()
    with threadpool_limits(1):
        for job in jobs:
            done.append(function(job))
            passed = time.monotonic() - start
            left = passed / len(done) * (len(jobs) - len(done))
            if workers > 1 and passed > _PATIENCE_S and left * (1 - 1 / workers) > start_s:
                break
    return done


@contextmanager
def warmed(workers: int) -> Iterator[None]:
    """Have the processes import what heads and figures need while the caller does the same.

    For commands that surely have seconds of work: within, `run` hands out all jobs at once. With one worker
    nothing changes. (A cluster's processes import while they work.)
    """
    global _warm
    if _warm or (workers if _cluster is not None else n_threads(workers)) == 1:
        yield
        return
    started = () if _cluster is not None else _importing(n_threads(workers))
    _warm = True
    try:
        yield
    finally:
        _warm = False
        for _ in started:
            pass


def _importing(workers: int) -> Iterable[None]:
    from joblib import Parallel, delayed

    with _processes(workers):
        started: Iterable[None] = Parallel(
            batch_size=1, pre_dispatch="all", max_nbytes=_SHARED, return_as="generator"
        )(delayed(_imported)() for _ in range(workers))
    return started


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
