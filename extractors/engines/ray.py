"""The engine ray: a pool of actors on a cluster, each with an extractor of its own.

The driver feeds batches into a stream of `ray.data`, a row each, and never more than are soon wanted: so its
memory stays flat, and little is under way when it is asked to end. Where CPUs compute, an actor reads,
decodes and computes; where GPUs do, tasks on the CPUs read and decode, and the pixels come to the actors.
Owns the plan and the driver's side; what runs elsewhere is in `_stages`.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from extractors import cluster
from extractors.base import Staged
from extractors.batches import Stopped
from extractors.engines._stages import Actor, Desk, Done, Fed, drawn, loaded, packed, unpacked
from featurestore import plugins
from featurestore.errors import ClusterLost, MissingDevice

if TYPE_CHECKING:
    import pyarrow as pa

    from extractors.batches import Item
    from extractors.engines import Work
    from extractors.recipe import Recipe

__all__ = ["compute"]

#: Batches under way for each actor: the one that it computes, the next, and one on its way.
_AHEAD: Final = 3
#: Ray asks again without end, and replaces processes that ended: in days machines come and go, and while one
#: goes it may be asked in vain many times in a second. (What ends every process is found out by `Desk`.)
_UNLIMITED: Final = -1


def compute(work: Work) -> Iterator[int]:
    """See `extractors.engines`."""
    if not len(work.batches):
        return  # nothing to start a cluster for
    with cluster.connected(work.runtime.workers):
        try:
            yield from _counted(work)
        except ClusterLost as lost:
            if work.batches.stops():  # a scheduler asks all processes to end, and Ray's do at once
                raise Stopped from lost
            raise


def _counted(work: Work) -> Iterator[int]:
    """Feed the stream, and count what comes out of it."""
    import ray

    batches, plan = work.batches, _Plan.of(work)
    batches.n_workers = plan.n_actors
    work.spent.place = plan.device
    work.spent.divide(*plan.lanes, thread="core" if plan.on_gpu else "actor", device="actor")
    desk = ray.remote(Desk).options(num_cpus=0, label_selector=_here()).remote()
    n_fed, under_way, failed = 0, 0, None

    def feed(batch: Sequence[Item]) -> None:
        nonlocal n_fed, under_way
        ray.get(desk.put.remote(packed(Fed(n_fed, batch))))
        n_fed, under_way = n_fed + 1, under_way + 1

    def done() -> int:
        nonlocal under_way, failed
        row = next(stream, None)
        if row is None:
            raise ClusterLost("Ray's stream ended early; run it again: what was committed is kept")
        one: Done = unpacked(row)
        under_way -= 1
        work.spent.add(one.seconds)
        failed = failed or one.error
        if "wait" in one.seconds:
            handing_over = one.seconds["wait"] + one.seconds.get("commit", 0.0)
            batches.weigh(handing_over, sum(one.seconds.values()))
        batches.size = one.size or batches.size
        return one.n

    with cluster.told(), contextlib.closing(_stream(desk, plan, work)) as stream:
        if plan.asks_size:
            feed([])
            done()
        todo = iter(batches)
        while failed is None:
            try:
                batch = next(todo, None)
            except Exception as refusal:  # what draws batches will not go on
                failed = refusal
                break
            if batch is None:
                break
            feed(batch)
            if under_way >= plan.depth:
                yield done()
        ray.get(desk.put.remote(None))
        while under_way:
            yield done()
    if failed is not None:
        raise failed


@dataclass(frozen=True)
class _Plan:
    """How a cluster is used.

    Attributes
    ----------
    device : str
    n_actors, n_cpus : int
    gpus : float
        For each actor.
    asks_size : bool
        Whether an actor must say how many images at a time its device likes.
    """

    device: str
    n_actors: int
    n_cpus: int
    gpus: float
    asks_size: bool

    @property
    def on_gpu(self) -> bool:
        return self.gpus > 0

    @property
    def depth(self) -> int:
        return _AHEAD * self.n_actors + (self.n_cpus if self.on_gpu else 0)

    @property
    def lanes(self) -> tuple[int, int]:
        """Who reads and decodes, and who computes."""
        return (self.n_cpus, self.n_actors) if self.on_gpu else (self.n_actors, 0)

    @classmethod
    def of(cls, work: Work) -> _Plan:
        """As many actors as params ask for, or as fit; none that would have no batch."""
        import ray

        runtime, n_cpus = work.runtime, cluster.n_cpus()
        n_gpus = float(ray.cluster_resources().get("GPU", 0))
        device = _device(work.recipe, runtime.device, n_gpus)
        gpus = runtime.gpus_per_actor if device == "cuda" else 0.0
        fit = int(n_gpus / gpus) if gpus else n_cpus
        asks = device != "cpu" and runtime.batch_size is None and isinstance(work.extractor, Staged)
        n_actors = max(1, min(runtime.actors or fit, len(work.batches)))
        return cls(device, n_actors, n_cpus, gpus, asks)


def _device(recipe: Recipe | None, wanted: str, n_gpus: float) -> str:
    """Where actors compute.

    Raises
    ------
    MissingDevice
        If GPUs are asked for and the cluster has none.
    """
    assert recipe is not None
    if "torch" not in plugins.load(recipe.zoo, recipe.name, key="extractors").CARD.modules:
        return "cpu"
    if wanted == "cuda" and not n_gpus:
        raise MissingDevice("runtime.device: cuda, but the Ray cluster has no GPU; set it to auto or cpu")
    if wanted == "auto":
        return "cuda" if n_gpus else "cpu"
    return wanted


def _here() -> dict[str, str]:
    """Selects the driver's machine: what is lost with it is lost with the driver anyway."""
    import ray

    return {"ray.io/node-id": ray.get_runtime_context().get_node_id()}


def _stream(desk: Any, plan: _Plan, work: Work) -> Generator[pa.Table]:
    """The stream: draw, load where GPUs compute, compute."""
    import ray.data
    from ray.util.annotations import RayDeprecationWarning

    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler) and type(handler).__module__.startswith("ray."):
            handler.setLevel(logging.CRITICAL)  # its file, in Ray's own folder, has all
    folder, loader = Path.cwd(), pickle.dumps(work.loader)
    pool = ray.data.ActorPoolStrategy(size=plan.n_actors, max_tasks_in_flight_per_actor=2)
    # batches that grow may be fewer in the end
    warnings.filterwarnings("ignore", "The minimum number of concurrent actors", module="ray")
    whole = {"batch_size": 1, "batch_format": "pyarrow", "zero_copy_batch": True}
    with warnings.catch_warnings(), ray.data.DataContext.current(_context()):
        # retries and restarts have no other name yet
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated", RayDeprecationWarning)
        stream = ray.data.from_items([0], override_num_blocks=1).map_batches(
            drawn, fn_args=(desk,), num_cpus=0, label_selector=_here(), max_retries=0, **whole
        )
        if plan.on_gpu:
            stream = stream.map_batches(
                loaded, fn_args=(folder, desk, loader), num_cpus=1, max_retries=_UNLIMITED, **whole
            )
        stream = stream.map_batches(
            Actor,
            fn_constructor_args=(folder, desk, work.recipe, plan.device, loader, work.keeper),
            compute=pool,
            num_cpus=0 if plan.on_gpu else 1,  # feeding a GPU is mostly waiting
            num_gpus=plan.gpus or None,
            max_restarts=_UNLIMITED,
            max_task_retries=_UNLIMITED,
            **whole,
        )
        rows = stream.iter_batches(prefetch_batches=0, batch_size=None, batch_format="pyarrow")
        found: Generator[pa.Table] = iter(rows)
        return found


def _context() -> Any:
    """How the stream runs, whatever else this process does with `ray.data`."""
    import ray.data

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="ray")  # its own defaults are deprecated
        context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = 1  # a block has one row, and a row is a batch: none is held back or split
    # nor is any for what a driver that was killed has reserved: this one feeds no more than it wants
    context.op_resource_reservation_enabled = False
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return context
