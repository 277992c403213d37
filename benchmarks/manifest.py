"""Many images through a manifest of tar shards: a cold run, one with nothing to do, one with 1% more.

    python benchmarks/manifest.py [--n 10000 100000] [--folder DIR] [--workers 0] [--repeats 5]

The pictures are crops of the demo cast, drawn by our own code: of 256x256, turned over or not, lighter or
darker, as JPEGs of quality 90, 1,000 a shard. Each step is a process of its own, as a user would run it
(``featurestore index``, ``extractors run design``); memory is the peak of each. The same steps on the least
and on the most images tell whether memory grows with their number.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from processes import told  # noqa: E402
from ratios import Ratio, in_turn, keep, ratios_of  # noqa: E402

PER_SHARD = 1000
QUALITY = 90
NAMES = ("cold", "nothing to do", "1% more")


def base_pictures(folder: Path) -> list[tuple[str, str, Path]]:
    """Label, series and file of the demo cast."""
    import csv

    demo = folder / "demo"
    if not demo.exists():
        subprocess.run(
            [sys.executable, "-m", "collection", "demo", "--out", str(demo)], cwd=ROOT, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
    with (demo / "metadata" / "characters.csv").open(newline="", encoding="utf-8") as stream:
        series = {row["file"]: row["series"] for row in csv.DictReader(stream)}
    files = sorted((demo / "images").rglob("*.png"))
    names = [file.relative_to(demo).as_posix() for file in files]
    return [(file.parts[-2], series.get(name, ""), file) for file, name in zip(files, names, strict=True)]


def write_shard(path: Path, number: int, base: list[tuple[str, str, Path]]) -> list[tuple[str, str, str]]:
    """A shard of crops, and the rows of the manifest for it."""
    import cv2

    cv2.setNumThreads(1)
    rng = np.random.default_rng(number)
    rows = []
    with tarfile.open(path, "w") as archive:
        for i in range(PER_SHARD):
            label, series, file = base[int(rng.integers(len(base)))]
            image = cv2.imread(str(file))
            side = int(rng.integers(150, image.shape[0] + 1))
            top, left = (int(rng.integers(0, image.shape[k] - side + 1)) for k in (0, 1))
            crop = cv2.resize(
                image[top : top + side, left : left + side], (256, 256), interpolation=cv2.INTER_AREA
            )
            if rng.random() < 0.5:
                crop = crop[:, ::-1]
            crop = cv2.convertScaleAbs(
                crop, alpha=float(rng.uniform(0.7, 1.3)), beta=float(rng.uniform(-20, 20))
            )
            data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
            member = tarfile.TarInfo(f"{number:04d}/{i:04d}.jpg")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            rows.append((f"tar://{member.name}::{path.name}", label, series))
    return rows


def write_manifest(path: Path, rows: list[tuple[str, str, str]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = dict(zip(("uri", "label", "series"), (list(c) for c in zip(*rows, strict=True)), strict=True))
    parquet.write_table(pa.table(columns), path)


def pictures(folder: Path, n: int) -> list[tuple[str, str, str]]:
    """Rows of a manifest of so many pictures, or more; their shards, in a folder, are made unless there."""
    shards, listing = folder / "shards", folder / "rows.json"
    shards.mkdir(parents=True, exist_ok=True)
    if listing.exists():
        rows = [tuple(row) for row in json.loads(listing.read_text())]
        if len(rows) >= n:
            return rows
    start = time.perf_counter()
    base = base_pictures(folder)
    numbers = range(-(-n // PER_SHARD))
    with ProcessPoolExecutor() as pool:
        parts = pool.map(
            write_shard, (shards / f"{i:04d}.tar" for i in numbers), numbers, [base] * len(numbers)
        )
        rows = [row for part in parts for row in part]
    listing.write_text(json.dumps(rows))
    print(f"{len(rows):,} pictures in {len(numbers)} shards: {time.perf_counter() - start:.0f} s", flush=True)
    return rows


Took = dict[str, tuple[float, float]]  # of a step: seconds, MiB at the peak


class Study:
    """A folder to work in, with a cache of its own."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        folder.mkdir()
        text = (ROOT / "params.yaml").read_text()
        (folder / "params.yaml").write_text(text.replace("\n  workers: 0", f"\n  workers: {workers}"))
        (folder / "data").mkdir()
        (folder / "results").mkdir()

    def run(self, *arguments: str) -> tuple[float, float, str]:
        """Seconds, MiB at the peak, and what was said."""
        return told(self.folder, *arguments)

    def steps(self) -> Took:
        """Seconds and MiB of index and run."""
        found = {}
        for name, step in (("index", ("featurestore", "index")), ("run", ("extractors", "run", "design"))):
            seconds, peak, said = self.run(*step)
            found[name] = (seconds, peak)
            print(f"    {name:6} {seconds:8.1f} s {peak:7.0f} MiB   {said.splitlines()[0]}", flush=True)
        return found


class Sized:
    """The steps on so many images, as often as asked."""

    def __init__(self, rows: list[tuple[str, str, str]], shards: Path, folder: Path, workers: int) -> None:
        self.study = Study(folder, workers)
        self.manifest = folder / "data" / "manifest.parquet"
        self.rows = [(uri.replace("::", f"::{shards}/"), *rest) for uri, *rest in rows]
        self.few = self.rows[: len(rows) - len(rows) // 101]
        write_manifest(self.manifest, self.few)
        self.study.run("featurestore", "index")
        self.study.run("extractors", "prepare", "design")

    def once(self) -> dict[str, Took]:
        """From an empty cache: cold, with nothing to do, with 1% more."""
        for made in ("cache", "features"):
            shutil.rmtree(self.study.folder / made, ignore_errors=True)
        (self.study.folder / "dataset.csv").unlink()
        write_manifest(self.manifest, self.few)
        time.sleep(2.1)  # a file as young as this is hashed again at the next look
        found = {}
        for name, part in zip(NAMES, (self.few, self.few, self.rows), strict=True):
            print(f"  {len(part):,} images, {name}", flush=True)
            write_manifest(self.manifest, part)
            found[name] = self.study.steps()
        return found


def ratios(found: dict[int, list[dict[str, Took]]]) -> Iterator[Ratio]:
    """Of the most images beside the least, pair by pair."""
    (least, small), (most, big) = min(found.items()), max(found.items())
    for step in ("index", "run"):
        for name in NAMES:
            (s0, m0), (s1, m1) = (
                [statistics.median(one[name][step][k] for one in side) for k in (0, 1)]
                for side in (small, big)
            )
            yield Ratio(
                f"memory of `{step}`, {name}, {most:,} images",
                f"{least:,} images",
                "<= 1.2",
                ratios_of([one[name][step][1] for one in big], [one[name][step][1] for one in small]),
                f"{m1:.0f} MiB, {m0:.0f} MiB; {s1:.1f} s, {s0:.1f} s",
            )
        cold, none, more = ([one[name][step][0] for one in big] for name in NAMES)
        yield Ratio(
            f"`{step}` of 1% more images",
            "1% of the cold run",
            "<= 1.5",
            ratios_of(more, [one / 100 for one in cold]),
            f"{statistics.median(more):.1f} s, of which {statistics.median(none):.1f} s with nothing to do; "
            f"{statistics.median(cold):.0f} s cold",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, nargs=2, default=[10_000, 100_000], help="least and most")
    parser.add_argument("--folder", type=Path, help="where shards are made, and kept for the next time")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kyara-manifest-") as made:
        folder = args.folder or Path(made)
        rows = pictures(folder, max(args.n))
        least, most = min(args.n), max(args.n)
        sized = {
            n: Sized(rows[:n], folder / "shards", Path(made) / f"study-{n}", args.workers)
            for n in (least, most)
        }
        found: dict[int, list[dict[str, Took]]] = {least: [], most: []}
        for n in in_turn(most, least, args.repeats):
            found[n].append(sized[n].once())
    keep(
        "manifest",
        list(ratios(found)),
        about=f"{least:,} and {most:,} crops of the demo cast in tar shards",
        whole=most >= 100_000,
    )


if __name__ == "__main__":
    main()
