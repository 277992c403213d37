"""The Ray cluster that a command runs on: the one that ``RAY_ADDRESS`` names, or one of its own.

Owns connecting, what every process of it is given, and that nothing is left behind. Refuses to know what
runs there.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from extractors.devices import n_threads
from featurestore.console import THREAD_VARIABLES
from featurestore.errors import ClusterLost, KyaraError, MissingError, MissingExtra, UsageError

__all__ = ["connected", "n_cpus", "told"]

_ADDRESS: Final = "RAY_ADDRESS"


@contextmanager
def connected(workers: int) -> Iterator[None]:
    """Be the driver of a cluster for a while.

    Its processes find the modules that this one finds, and have one thread a BLAS. Who is connected already
    stays so, before and after.

    Parameters
    ----------
    workers : int
        Cores of a cluster that is started here; 0 = all. One that ``RAY_ADDRESS`` names has its own.

    Raises
    ------
    MissingExtra
        If Ray is not installed.
    UsageError
        If the address is one of Ray's client, or none.
    MissingError
        If no cluster answers at the address, or the one that does lets nobody in.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtra(
            "runtime.engine: ray needs ray, not installed here; run: make setup-all"
            " (or: pip install 'kyara[ray]')"
        )
    # ray.init would read it too; but without it, it takes any cluster that somebody left on this machine
    address = os.environ.get(_ADDRESS)
    if address and address.startswith("ray://"):
        raise UsageError(
            f"{_ADDRESS}={address}: run the command on a node of the cluster, with its host:port"
        )
    import ray

    if ray.is_initialized():
        yield
        return
    _start(address, workers)
    try:
        yield
    finally:
        ray.shutdown()


def _start(address: str | None, workers: int) -> None:
    import ray

    own = {"num_cpus": n_threads(workers), "include_dashboard": False}
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if in_main else None
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        if address:
            _knock(address)
        with _hushed():
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": _environment()},
                **({} if address else own),
            )
    except _Nobody:
        raise MissingError(
            f"{_ADDRESS}={address}: no Ray cluster answers there; start one (ray start --head), or unset it"
        ) from None
    except ConnectionError:
        raise MissingError(
            f"{_ADDRESS}={address}: whoever answers there lets this process into no Ray cluster; if it has a"
            " token: export RAY_AUTH_MODE=token, with the same ~/.ray/auth_token (docs/cluster.md)"
        ) from None
    except ValueError as error:
        raise UsageError(f"{_ADDRESS}={address}: {' '.join(str(error).split())}; it is host:port") from None
    except RuntimeError as error:  # another version of Ray or Python there
        raise KyaraError(f"{_ADDRESS}={address}: {' '.join(str(error).split())}") from None
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)  # ray.init takes it


class _Nobody(Exception):
    """Nobody listens at the address."""


def _knock(address: str) -> None:
    """See whether anybody is there: ray.init asks for more than five minutes.

    Raises
    ------
    _Nobody
    """
    host, found, port = address.rpartition(":")
    if found and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise _Nobody from error


@contextmanager
def _hushed() -> Iterator[None]:
    """Nothing of Ray's own on stderr, where every pool of actors of ray.data would look like an error.

    Its C++ core heeds a variable, and tells on stderr that it does. Whoever sets that variable wants to read.
    """
    level = "RAY_BACKEND_LOG_LEVEL"
    if level in os.environ:
        yield
        return
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.environ[level] = "fatal"
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        del os.environ[level]
        os.close(stderr)
        os.close(nowhere)


def _environment() -> dict[str, str]:
    """What this process was given and others need to compute the same: modules, and one thread a BLAS.

    Of the path what belongs to Python itself is left out: every node has its own.
    """
    ours = Path(__file__).resolve().parents[1]
    pythons = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found = dict.fromkeys([ours, *(Path(folder).absolute() for folder in sys.path)])
    wanted = [str(one) for one in found if one.is_dir() and not pythons & {one, *one.parents}]
    pins = dict.fromkeys(THREAD_VARIABLES, "1")
    return {"PYTHONPATH": os.pathsep.join(wanted), "OMP_WAIT_POLICY": "PASSIVE", **pins}


def n_cpus() -> int:
    """Cores of the cluster, at least 1."""
    import ray

    resources: dict[str, Any] = ray.cluster_resources()
    return max(1, int(resources.get("CPU", 1)))


@contextmanager
def told() -> Iterator[None]:
    """What Ray says when it gives up, in a line.

    Raises
    ------
    ClusterLost
    """
    from ray.data.exceptions import SystemException
    from ray.exceptions import RayError

    try:
        yield
    except (RayError, SystemException) as error:
        first = str(error).strip().partition("\n")[0]
        raise ClusterLost(
            f"Ray gave up: {type(error).__name__}: {first}; run it again: what was committed is kept"
        ) from error
