"""Many images through a manifest of tar shards: a cold run, one with nothing to do, one with 1% more.

    python benchmarks/manifest.py [--n 10000 100000] [--folder DIR] [--workers 0]

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
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from processes import told  # noqa: E402
from ratios import Ratio, keep  # noqa: E402

PER_SHARD = 1000
QUALITY = 90


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

    def steps(self) -> dict[str, tuple[float, float]]:
        """Seconds and MiB of index and run."""
        found = {}
        for name, step in (("index", ("featurestore", "index")), ("run", ("extractors", "run", "design"))):
            seconds, peak, said = self.run(*step)
            found[name] = (seconds, peak)
            print(f"    {name:6} {seconds:8.1f} s {peak:7.0f} MiB   {said.splitlines()[0]}", flush=True)
        return found


def measure(
    n: int, rows: list[tuple[str, str, str]], shards: Path, folder: Path, workers: int
) -> dict[str, object]:
    """All of a size."""
    study = Study(folder, workers)
    manifest, few = study.folder / "data" / "manifest.parquet", n - n // 101
    absolute = [(uri.replace("::", f"::{shards}/"), *rest) for uri, *rest in rows[:n]]
    found: dict[str, object] = {}
    write_manifest(manifest, absolute[:few])
    study.run("featurestore", "index")
    study.run("extractors", "prepare", "design")
    shutil.rmtree(study.folder / "cache")
    time.sleep(2.1)
    for name, part in (("cold", absolute[:few]), ("nothing to do", absolute[:few]), ("1% more", absolute)):
        print(f"  {len(part):,} images, {name}")
        write_manifest(manifest, part)
        found[name] = study.steps()
    shutil.rmtree(study.folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="where shards are made, and kept for the next time")
    parser.add_argument("--workers", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kyara-manifest-") as made:
        folder = args.folder or Path(made)
        shards = folder / "shards"
        shards.mkdir(parents=True, exist_ok=True)
        base = base_pictures(folder)
        numbers = range(-(-max(args.n) // PER_SHARD))
        listing = folder / "rows.json"
        start = time.perf_counter()
        if listing.exists() and len(json.loads(listing.read_text())) >= max(args.n):
            rows = [tuple(row) for row in json.loads(listing.read_text())]
        else:
            with ProcessPoolExecutor() as pool:
                parts = pool.map(
                    write_shard, (shards / f"{i:04d}.tar" for i in numbers), numbers, [base] * len(numbers)
                )
                rows = [row for part in parts for row in part]
            listing.write_text(json.dumps(rows))
        print(f"{len(rows):,} pictures in {len(numbers)} shards: {time.perf_counter() - start:.0f} s")
        found = {n: measure(n, rows, shards, Path(made) / f"study-{n}", args.workers) for n in sorted(args.n)}
    least, most = min(found), max(found)
    ratios = []
    for step in ("index", "run"):
        for name in ("cold", "nothing to do", "1% more"):
            (s0, m0), (s1, m1) = found[least][name][step], found[most][name][step]
            ratios.append(
                Ratio(
                    f"memory of `{step}`, {name}, {most:,} images", f"{least:,} images", "<= 1.2", (m1 / m0,),
                    f"{m1:.0f} MiB, {m0:.0f} MiB; {s1:.1f} s, {s0:.1f} s",
                )
            )  # fmt: skip
        cold, more = found[most]["cold"][step][0], found[most]["1% more"][step][0]
        none = found[most]["nothing to do"][step][0]
        ratios.append(
            Ratio(
                f"`{step}` of 1% more images", "1% of the cold run", "<= 1.5", (more / (cold / 100),),
                f"{more:.1f} s, of which {none:.1f} s with nothing to do; {cold:.0f} s cold",
            )
        )  # fmt: skip
    keep(
        "manifest",
        ratios,
        about=f"{least:,} and {most:,} crops of the demo cast in tar shards",
        whole=most >= 100_000,
    )


if __name__ == "__main__":
    main()
