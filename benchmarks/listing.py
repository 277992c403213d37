"""Nothing to do over many files, and a little to do, against the least that could be done.

    python benchmarks/listing.py [--n 100000] [--repeats 5]

In one process, imports apart. Files are tiny pictures in folders of 1,000, all of them known and extracted.
What is timed: ``run`` of an extractor that has every row, and ``index`` of files that did not change, beside
an ``os.scandir`` and ``stat`` of the same files.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from featurestore import console  # noqa: E402

console.pin_threads()
console.keep_memory()

import numpy as np  # noqa: E402
from ratios import Ratio, keep, paired, ratios_of  # noqa: E402

COLUMNS = 63


def write_pictures(root: Path, n: int) -> None:
    """Tiny PNGs, each of other bytes: one is drawn, a number behind its end makes the others."""
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(stream, "PNG")
    for i in range(n):
        folder = root / "images" / ("hero" if i % 2 else "villain") / f"{i // 1000:04d}"
        if i % 1000 < 2:
            folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:07d}.png").write_bytes(stream.getvalue() + i.to_bytes(8, "big"))


def walked(folder: str) -> int:
    """What must be done at least: list, and ask of each file what it is."""
    n = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                n += walked(entry.path)
            else:
                entry.stat()
                n += 1
    return n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    from fakes import MeanColour

    from extractors.run import extract
    from featurestore.cache import RowCache
    from featurestore.dataset import image_places
    from featurestore.index import build_index, write_index
    from featurestore.known import Known, known_file
    from featurestore.params import RuntimeParams
    from featurestore.rows import StoreRows, pack_keys
    from featurestore.scan import IndexOptions, scan
    from featurestore.spec import FeatureSpec

    folder = Path(tempfile.mkdtemp(prefix="kyara-listing-"))
    try:
        root, table, cache = folder / "data", folder / "dataset.csv", RowCache(folder / "cache")
        write_pictures(root, args.n)
        time.sleep(2.1)  # so that they count as left alone
        options = IndexOptions(near_duplicate_distance=None, group="none")

        def index() -> None:
            found = scan(root, options, known=Known(known_file(cache.root, root), options))
            write_index(build_index(found, options), dataset=table, summary=folder / "data.json")

        index()
        extractor = MeanColour()
        extractor.spec = FeatureSpec("mean", 1, {}, tuple(f"c{i}" for i in range(COLUMNS)))
        keys = pack_keys(list(image_places(table, root)))
        rows = np.random.default_rng(0).standard_normal((len(keys), COLUMNS), np.float32)
        cache.commit(extractor.spec, StoreRows(keys, rows, np.zeros((len(keys), 1), np.uint8)))

        def run() -> None:
            report = extract(
                extractor, image_places(table, root), cache, folder / "mean.h5", root=root, max_pixels=10**6,
                runtime=RuntimeParams(),
            )  # fmt: skip
            assert report.extracted == 0, report

        run()
        about = f"{walked(str(root)):,} files in folders of 1,000, {COLUMNS} columns"
        ratios = []
        for what, work, goal, bound in (
            ("`run` with nothing to do", run, "<= 2", "reading dataset.csv and hashing the store"),
            ("`index` of what is known", index, "", "one Python object a row, and writing dataset.csv"),
        ):
            ours, theirs = paired(work, lambda: walked(str(root)), args.repeats)
            detail = f"{sorted(ours)[len(ours) // 2]:.2f} s, {sorted(theirs)[len(theirs) // 2]:.2f} s"
            ratios.append(
                Ratio(what, "os.scandir and stat of the files", goal, ratios_of(ours, theirs), detail, bound)
            )
        keep("listing", ratios, about=about, whole=args.n >= 100_000)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
