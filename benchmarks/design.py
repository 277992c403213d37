"""Design features: fused kernels against whole-array code and JPEG decoding; the first row of a process.

    python benchmarks/design.py [--images DIR] [--n 200] [--repeats 7]

On one core, in turn: every pair times both over the same images, in batches as the pipeline has them (of the
whole-array code every fifth image). The whole-array code is the tests' twin: NumPy, OpenCV and scikit-image,
shared planes computed once. The decoder is kyara's own; how long it takes depends on what is drawn, so the
size of the files is said too: JPEGs of 256x256, quality 90. The first row is what a process that starts with
numba's cache filled spends until then, in seconds of the processor: other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

try:
    from reference_design import reference
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; the reference wants the whole environment: make bench")

from ratios import Ratio, keep, paired, ratios_of, seconds  # noqa: E402

from extractors.fitting import fit  # noqa: E402
from extractors.zoo import design  # noqa: E402
from featurestore.images import decode  # noqa: E402

QUALITY = 90
BATCH = 16  # runtime.batch_size of params.yaml
MAX_PIXELS = 1 << 24
FIRST_GOAL_S = 1.2
FIRST = """import numpy
from extractors.zoo import design
design.build()([numpy.zeros((256, 256, 3), numpy.uint8)])
"""


def drawing(rng: np.random.Generator) -> np.ndarray:
    """A head, hair, eyes and lines over a soft background, a little noise on every second one."""

    def tint(low: int = 0) -> tuple[int, ...]:
        return tuple(int(c) for c in rng.integers(low, 256, 3))

    y = np.linspace(0, 1, 256)[:, None, None]
    image = ((1 - y) * np.array(tint()) + y * np.array(tint()) + np.zeros((256, 256, 3))).astype(np.uint8)
    cv2.ellipse(image, (128, 140), (70, 90), 0, 0, 360, (250, 224, 196), -1, cv2.LINE_AA)
    hair = tint()
    for _ in range(24):
        x = int(rng.integers(40, 216))
        tip = (x + int(rng.integers(-30, 31)), int(rng.integers(60, 170)))
        cv2.fillPoly(image, [np.array([(x - 14, 30), (x + 14, 30), tip], np.int32)], hair, cv2.LINE_AA)
        cv2.line(image, (x, 30), tip, (20, 16, 24), int(rng.integers(1, 3)), cv2.LINE_AA)
    for x in (98, 158):
        cv2.ellipse(image, (x, 140), (16, 12), 0, 0, 360, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(image, (x, 140), 9, tint(), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, 140), (17, 13), 0, 180, 360, (10, 8, 12), 3, cv2.LINE_AA)
    cv2.ellipse(image, (128, 190), (22, 8), 0, 0, 180, (120, 40, 40), 2, cv2.LINE_AA)
    if rng.random() < 0.5:
        noise = rng.normal(0, 8, image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def jpegs(folder: Path | None, n: int) -> list[bytes]:
    """Up to ``n`` JPEGs of 256x256."""
    rng = np.random.default_rng(0)
    if folder is None:
        pictures = [drawing(rng) for _ in range(n)]
    else:
        kinds = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in kinds)[:n]
        pictures = [fit(np.array(Image.open(p).convert("RGB")), size_px=256, how="crop")[0] for p in paths]
    found = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
        found.append(buffer.getvalue())
    return found


def save(folder: Path, files: Iterable[bytes]) -> dict[str, Path]:
    """Write files by their keys; key -> file, ascending."""
    found = {}
    for data in files:
        key = hashlib.sha256(data).hexdigest()
        found[key] = folder / f"{key}.jpg"
        found[key].write_bytes(data)
    return dict(sorted(found.items()))


def first_rows(repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of the processor, and of the clock, of processes that end after their first row."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}

        def run() -> None:
            subprocess.run([sys.executable, "-c", FIRST], cwd=ROOT, env=environment, check=True)

        run()  # compiles
        processor, clock = [], []
        for _ in range(repeats):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            clock.append(seconds(run))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return processor, clock


def ms(found: list[float], n: int) -> str:
    return f"{1e3 * statistics.median(found) / n:.3g} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of pictures to use instead of made drawings")
    parser.add_argument("--n", type=int, default=200, help="how many images")
    parser.add_argument("--repeats", type=int, default=7, help="pairs")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    threadpool_limits(1)

    files = jpegs(args.images, args.n)
    images = [decode(data, max_pixels=MAX_PIXELS).pixels for data in files]
    some = images[::5]
    extractor = design.build()

    def fused() -> None:
        for i in range(0, len(images), BATCH):
            extractor(images[i : i + BATCH])

    def whole_arrays() -> None:
        for image in some:
            reference(image)

    def decoded() -> None:
        for data in files:
            decode(data, max_pixels=MAX_PIXELS)

    fused()
    reference(images[0])
    by_whole, by_fused = paired(whole_arrays, fused, args.repeats)
    beside, by_decode = paired(fused, decoded, args.repeats)
    processor, clock = first_rows(args.repeats)
    source = "drawings made here, half of them noisy" if args.images is None else str(args.images)
    kib = statistics.mean(len(data) for data in files) / 1024
    each = len(images) / len(some)
    keep(
        "design",
        [
            Ratio(
                "whole-array reference",
                "fused kernels",
                ">= 50",
                tuple(ratio * each for ratio in ratios_of(by_whole, by_fused)),
                f"{ms(by_whole, len(some))} and {ms(by_fused, len(images))} an image",
                "three histograms, a store a pixel each, are a fifth of the kernels' time; arithmetic in full"
                " vectors is the rest: roots and directions of gradients, 5x5 windows, HSV",
            ),
            Ratio(
                "fused kernels",
                "kyara's JPEG decoder",
                "<= 1.5",
                ratios_of(beside, by_decode),
                f"{ms(beside, len(images))} and {ms(by_decode, len(images))} an image",
                "the same",
            ),
            Ratio(
                "first row of a process, numba's cache filled",
                f"{FIRST_GOAL_S} s",
                "<= 1",
                tuple(one / FIRST_GOAL_S for one in processor),
                f"{statistics.median(processor):.2f} s of the processor, {statistics.median(clock):.2f} s"
                " of the clock",
                "importing NumPy, numba and the parts of SciPy that numba wants",
            ),
        ],
        about=f"{len(files)} images ({source}), 256x256 JPEG quality {QUALITY}, {kib:.1f} KiB on average",
        whole=args.images is None and args.n >= 200 and args.repeats >= 5,
    )


if __name__ == "__main__":
    main()
