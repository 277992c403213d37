"""Read image files as kyara does, each in a process of its own: ``python tests/forked.py ROOT OUT``.

Names relative to ROOT come as JSON on stdin, what became of each goes as JSON to stdout. Everything
is imported before the first fork, so that a process grows by what its file makes it take. No file
can take the others with it: one that hangs or crashes is told like the rest. Where root runs this,
the processes go on as nobody, for root may read whatever it likes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import resource
import signal
import stat
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featurestore.duplicates import perceptual_hash
from featurestore.errors import ImageRejected
from featurestore.images import decode, read_image_file
from featurestore.index import build_index, write_index
from featurestore.scan import IndexOptions, scan, write_quarantine

NOBODY = 65534
SECONDS = 60
#: Pictures up to this come back with their pixels, and not only with the digest.
SMALL = 10_000


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def become_nobody(root: Path) -> bool:
    """Whether this process is not root, or no longer; it stays so where nobody else could come to the files."""
    if os.geteuid() != 0:
        return True
    if not all(folder.stat().st_mode & stat.S_IXOTH for folder in (root, *root.parents)):
        return False
    try:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    except OSError:  # a container that knows no user but root
        return False
    return True


def look(root: Path, name: str) -> dict[str, Any]:
    try:
        picture = decode(read_image_file(root / name, root=root), max_pixels=IndexOptions().max_pixels)
    except ImageRejected as rejected:
        return {"reason": rejected.reason.value, "detail": rejected.detail}
    perceptual_hash(picture.pixels)
    told: dict[str, Any] = {
        "format": picture.format,
        "size": [picture.width, picture.height],
        "shape": picture.pixels.shape,
        "sha256": hashlib.sha256(picture.pixels).hexdigest(),
    }
    if picture.pixels.size <= SMALL * 3:
        told["pixels"] = base64.b64encode(picture.pixels.tobytes()).decode()
    return told


def index(root: Path, out: Path) -> dict[str, Any]:
    options = IndexOptions(workers=2)
    scanned = scan(root, options)
    write_quarantine(scanned.quarantine, out / "quarantine.csv")
    write_index(build_index(scanned, options), dataset=out / "dataset.csv", summary=out / "data.json")
    return {}


def forked(root: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``work`` gives in a process of its own, and how much memory and time that took."""
    reading, writing = os.pipe()
    start = time.monotonic()
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends what hangs in C code too
        signal.alarm(SECONDS)
        nobody, before = become_nobody(root), peak_bytes()
        told = work() | {"nobody": nobody}
        told["grown_bytes"] = peak_bytes() - before
        with os.fdopen(writing, "w") as stream:
            json.dump(told, stream)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    told = json.loads(text) if status == 0 else {"died": os.waitstatus_to_exitcode(status)}
    return told | {"seconds": time.monotonic() - start}


def main() -> None:
    root, out = (Path(name).resolve() for name in sys.argv[1:])
    warnings.filterwarnings("ignore", module=r"PIL\.")  # as the commands do
    Image.init()
    warm = np.zeros((32, 32, 3), np.uint8)
    perceptual_hash(warm)
    told = {name: forked(root, lambda name=name: look(root, name)) for name in json.load(sys.stdin)}
    told["index"] = forked(root, lambda: index(root, out))
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
