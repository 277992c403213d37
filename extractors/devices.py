"""Where to compute: choosing a device, and one thread a worker on a CPU.

Owns what torch sees. Refuses to know networks. Importing it imports no torch.
"""

from __future__ import annotations

import os

from featurestore.errors import MissingDevice, ParamsError

__all__ = ["DEVICES", "n_threads", "pick_device"]

DEVICES = ("auto", "cpu", "cuda", "mps")


def n_threads(workers: int) -> int:
    """What ``runtime.workers`` means: 0 = one for each core that this process may use."""
    if workers:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pick_device(wanted: str) -> str:
    """The device to use.

    Parameters
    ----------
    wanted : {"auto", "cpu", "cuda", "mps"}
        ``auto`` is the first of cuda, mps and cpu that is there. With several GPUs, ``CUDA_VISIBLE_DEVICES``
        says which.

    Raises
    ------
    ParamsError
        If it is none of these.
    MissingDevice
        If torch does not see it.
    """
    import torch

    if wanted not in DEVICES:
        raise ParamsError(f"runtime.device: {wanted!r} is none of {', '.join(DEVICES)}")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, available in there.items() if available)
    if not there[wanted]:
        raise MissingDevice(
            f"runtime.device: {wanted}, but torch {torch.__version__} sees none here;"
            " set it to auto or cpu, or see: python -m extractors doctor"
        )
    return wanted
