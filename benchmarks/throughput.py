"""Files to rows of ``design``, against reading and decoding alone; one core against two; a little more.

    python benchmarks/throughput.py [--n 10000] [--repeats 5] [--images DIR]

JPEGs of 256x256 in a folder, read from the page cache. ``extract`` writes into a new cache and a new store
every time; reading and decoding is what kyara itself does before it computes, in as many threads, and nothing
else. Two processes that have half of the images each tell what two cores can do at best. The little more is
1% of ten times as many images, whose rows (made up here) are in the cache; it is measured against the same
images alone.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from featurestore import console  # noqa: E402

console.pin_threads()
console.keep_memory()

import numpy as np  # noqa: E402
from design import QUALITY, jpegs, save  # noqa: E402
from ratios import Ratio, keep, paired, ratios_of, seconds  # noqa: E402

from extractors.keeping import Loader  # noqa: E402
from extractors.run import extract  # noqa: E402
from extractors.zoo import design  # noqa: E402
from featurestore.cache import RowCache  # noqa: E402
from featurestore.elsewhere import Reader  # noqa: E402
from featurestore.params import RuntimeParams  # noqa: E402
from featurestore.rows import StoreRows, unpack_keys  # noqa: E402

MAX_PIXELS = 10**8


class Bench:
    """The images, and ways to spend time on them."""

    def __init__(self, folder: Path, images: dict[str, Path]) -> None:
        self.folder, self.images = folder, images
        self.extractor = design.build()

    def extracted(self, workers: int, images: dict[str, Path] | None = None) -> str:
        """Into a new cache; where the time went."""
        with tempfile.TemporaryDirectory(dir=self.folder) as new:
            return self.extracted_at(Path(new), workers, images or self.images)

    def extracted_at(self, where: Path, workers: int, images: dict[str, Path]) -> str:
        return extract(
            self.extractor, images, RowCache(where / "cache"), where / "design.h5",
            root=self.folder, max_pixels=MAX_PIXELS, runtime=RuntimeParams(workers=workers),
        ).spent  # fmt: skip

    def known(self, where: Path, n: int) -> dict[str, Path]:
        """Images whose rows are in a cache and a store."""
        rng = np.random.default_rng(0)
        keys = np.unique(rng.integers(0, 256, (n, 32), np.uint8), axis=0)
        rows = rng.standard_normal((n, len(self.extractor.spec.columns)), np.float32)
        RowCache(where / "cache").commit(
            self.extractor.spec, StoreRows(keys, rows, np.zeros((n, 1), np.uint8))
        )
        images = {key: self.folder / f"{key}.jpg" for key in unpack_keys(keys)}
        self.extracted_at(where, 2, images)
        return images

    def halves(self) -> float:
        """Seconds of two processes, begun together, that have one thread and half of the images each."""
        items, context = list(self.images.items()), get_context("fork")
        start, took = context.Barrier(2), context.Queue()

        def half(images: dict[str, Path]) -> None:
            start.wait()
            began = time.perf_counter()
            self.extracted(1, images)
            took.put(time.perf_counter() - began)

        both = [context.Process(target=half, args=(dict(items[i::2]),)) for i in range(2)]
        for one in both:
            one.start()
        longest = max(took.get() for _ in both)
        for one in both:
            one.join()
        return float(longest)

    def decoded(self, workers: int) -> None:
        load, items = Loader(Reader(self.folder), MAX_PIXELS), list(self.images.items())
        parts = [items[i : i + 64] for i in range(0, len(items), 64)]
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(lambda part: [load(item).shape for item in part], parts):
                pass


def write(folder: Path, images: Path | None, n: int) -> dict[str, Path]:
    """Files by key; of few drawings many files, each with other bytes behind its end."""
    drawn = jpegs(images, min(n, 500))
    return save(folder, (drawn[i % len(drawn)] + i.to_bytes(4, "big") for i in range(n)))


def told(ours: list[float], theirs: list[float], n: int) -> str:
    return ", ".join(f"{n / statistics.median(found):,.0f} images/s" for found in (ours, theirs))


def little_more(bench: Bench, where: Path, args: argparse.Namespace) -> Ratio:
    """1% more images than there are rows, against these alone."""
    n = args.n // 10
    known = bench.known(where / "first", 99 * n)
    few = dict(list(bench.images.items())[:n])
    every = dict(sorted({**known, **few}.items()))
    more: list[float] = []
    alone: list[float] = []
    for i in range(args.repeats):
        shutil.copytree(where / "first", where / f"{i}")
        ours, theirs = paired(
            lambda at=where / f"{i}": bench.extracted_at(at, 2, every), lambda: bench.extracted(2, few), 1
        )
        more += ours
        alone += theirs
    detail = f"{statistics.median(more):.2f} s, {statistics.median(alone):.2f} s for {n:,} images"
    bound = "reading the rows that are there, and writing the store"
    return Ratio("adding 1% of images", "1% of the full run", "<= 1.5", ratios_of(more, alone), detail, bound)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of pictures to use instead of made drawings")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kyara-throughput-") as made:
        folder = Path(made)
        bench = Bench(folder, write(folder, args.images, args.n))
        bench.extracted(2, dict(list(bench.images.items())[:64]))  # compiles, and warms
        spent = bench.extracted(2)
        two, alone = paired(lambda: bench.extracted(2), lambda: bench.decoded(2), args.repeats)
        what, limit = "read, decode, compute and keep `design`, 2 cores", "read and decode alone, 2 cores"
        ratios = [Ratio(what, limit, "<= 2.5", ratios_of(two, alone), told(two, alone, args.n), spent)]
        one, both = paired(lambda: bench.extracted(1), lambda: bench.extracted(2), args.repeats)
        python = "Python's lock: threads meet where a call into C ends, and one waits for the other"
        what, said = "`design` on 1 core", told(one, both, args.n)
        ratios.append(Ratio(what, "on 2 cores", ">= 1.85", ratios_of(one, both), said, python))
        pairs = [(seconds(lambda: bench.extracted(1)), bench.halves()) for _ in range(args.repeats)]
        one, apart = map(list, zip(*pairs, strict=True))
        limit, said = "two processes with half the images each", told(one, apart, args.n)
        ratios.append(Ratio(what, limit, "", ratios_of(one, apart), said, "the machine"))
        ratios.append(little_more(bench, folder / "more", args))
        about = f"{args.n:,} JPEGs of 256x256, quality {QUALITY}, drawn here"
        keep("throughput", ratios, about=about, whole=args.n >= 10_000)


if __name__ == "__main__":
    main()
