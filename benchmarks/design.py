"""Design features: fused kernels against whole-array code and against decoding the JPEG.

    python benchmarks/design.py [--images DIR] [--n 200] [--repeats 7]

Side by side in one run, on one core: every repeat times each contender over all images, in turn; what is
printed is the median over repeats, and of the ratio within a repeat. The whole-array code is the tests'
twin: NumPy, OpenCV and scikit-image, shared planes computed once. JPEGs are 256x256, quality 90; how long
one takes to decode depends on its content, so the size of the files is printed too.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable
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

from extractors.fitting import fit  # noqa: E402
from extractors.zoo import design  # noqa: E402

QUALITY = 90
BATCH = 16  # runtime.batch_size of params.yaml


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


def pillow(data: bytes) -> np.ndarray:
    """The decoder that kyara uses."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def ms_per_item(work: Callable[[], object], n: int) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3 / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of pictures to use instead of made drawings")
    parser.add_argument("--n", type=int, default=200, help="how many images")
    parser.add_argument("--repeats", type=int, default=7, help="interleaved repeats")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    threadpool_limits(1)

    files = jpegs(args.images, args.n)
    images = [pillow(data) for data in files]
    raw = [np.frombuffer(data, np.uint8) for data in files]
    extractor = design.build()
    n_reference = max(1, len(images) // 5)

    contenders: dict[str, tuple[Callable[[], object], int]] = {
        "fused kernels": (
            lambda: [extractor(images[i : i + BATCH]) for i in range(0, len(images), BATCH)],
            len(images),
        ),
        "whole-array reference": (lambda: [reference(i) for i in images[:n_reference]], n_reference),
        "JPEG decode, Pillow": (lambda: [pillow(data) for data in files], len(files)),
        "JPEG decode, cv2": (lambda: [cv2.imdecode(data, cv2.IMREAD_COLOR) for data in raw], len(raw)),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    extractor(images)
    reference(images[0])
    for _ in range(args.repeats):
        for name, (work, n) in contenders.items():
            times[name].append(ms_per_item(work, n))

    source = "drawings made here, half of them noisy" if args.images is None else str(args.images)
    kib = statistics.mean(len(data) for data in files) / 1024
    print(f"{len(files)} images ({source}), 256x256 JPEG quality {QUALITY}, {kib:.1f} KiB on average")
    print(f"one core, median of {args.repeats} interleaved repeats (lowest - highest)\n")
    for name, found in times.items():
        print(f"{name:24}{statistics.median(found):9.3f} ms/image   ({min(found):.3f} - {max(found):.3f})")

    def ratio(a: str, b: str) -> str:
        found = [x / y for x, y in zip(times[a], times[b], strict=True)]
        return f"{statistics.median(found):6.2f}x   ({min(found):.2f} - {max(found):.2f})"

    print()
    print(f"reference / fused        {ratio('whole-array reference', 'fused kernels')}   goal >= 40")
    print(f"fused / decode (Pillow)  {ratio('fused kernels', 'JPEG decode, Pillow')}   goal <= 2.0")
    print(f"fused / decode (cv2)     {ratio('fused kernels', 'JPEG decode, cv2')}")


if __name__ == "__main__":
    main()
