"""runtime.engine: ray beside local, on one machine: what a cluster costs where none is needed.

    python benchmarks/engines.py [--n 2000 20000] [--repeats 5] [--images DIR]

Both extract ``design``, the cheapest of the extractors, from the same JPEGs into a new cache and a new store,
in turn. Ray's cluster is this machine: it is started once, before anything is timed, and how long that takes
is told. Each run of Ray starts its actors anew, as a command does. Stores must have the same bytes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from featurestore import console  # noqa: E402

console.pin_threads()
console.keep_memory()

from design import QUALITY  # noqa: E402
from ratios import Ratio, keep, paired, ratios_of  # noqa: E402
from throughput import MAX_PIXELS, write  # noqa: E402

from extractors.base import Context  # noqa: E402
from extractors.cluster import connected  # noqa: E402
from extractors.recipe import Recipe  # noqa: E402
from extractors.run import extract  # noqa: E402
from featurestore.cache import RowCache  # noqa: E402
from featurestore.params import RuntimeParams  # noqa: E402

DESIGN = Recipe("design", {}, Context())


def extracted(engine: str, folder: Path, images: dict[str, Path]) -> bytes:
    """Into a new cache; the bytes of the store."""
    with tempfile.TemporaryDirectory(dir=folder) as new:
        store = Path(new) / "design.h5"
        runtime = RuntimeParams(engine=engine, device="cpu")
        report = extract(
            DESIGN.build("cpu"), images, RowCache(Path(new) / "cache"), store,
            root=folder, max_pixels=MAX_PIXELS, runtime=runtime, recipe=DESIGN,
        )  # fmt: skip
        assert report.extracted == len(images), report
        return store.read_bytes()


def measured(folder: Path, images: dict[str, Path], repeats: int) -> Ratio:
    same = {extracted(engine, folder, images) for engine in ("local", "ray")}
    if len(same) > 1:
        sys.exit("the engines' stores differ")
    ray, local = paired(
        lambda: extracted("ray", folder, images), lambda: extracted("local", folder, images), repeats
    )
    more = statistics.median(a - b for a, b in zip(ray, local, strict=True))
    return Ratio(
        f"time of `design`, {len(images):,} images, engine ray",
        "engine local, same machine",
        "",
        ratios_of(ray, local),
        f"{statistics.median(ray):.1f} s and {statistics.median(local):.1f} s: {more:.1f} s more",
        "starting actors, which import what they need; then a batch's way to them",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[2_000, 20_000], help="how many images")
    parser.add_argument("--repeats", type=int, default=5, help="pairs")
    parser.add_argument("--images", type=Path, help="folder of pictures to use instead of made drawings")
    args = parser.parse_args()
    os.environ.pop("RAY_ADDRESS", None)  # a cluster of its own
    with tempfile.TemporaryDirectory(prefix="kyara-engines-") as made:
        folder = Path(made)
        (folder / "images").mkdir()
        images = write(folder / "images", args.images, max(args.n))
        start = time.perf_counter()
        with connected(0):
            started = time.perf_counter() - start
            ratios = [measured(folder, dict(list(images.items())[:n]), args.repeats) for n in args.n]
    about = f"JPEGs of 256x256, quality {QUALITY}, drawn here; Ray started on this machine in {started:.1f} s"
    keep("engines", ratios, about=about, whole=args.n == [2_000, 20_000] and not args.images)


if __name__ == "__main__":
    main()
