"""Extraction: files to a store, against the same network's bare forward pass on tensors in memory.

    python benchmarks/extract.py [extractor ...] [--n 200] [--repeats 5] [--images DIR] [--quick]

The pipeline is `extractors.run.extract` on JPEGs of 256x256, into a new cache and a new store: read, check
the digest, decode, make squares, compute, commit, write. The bare pass computes on what is ready in memory,
at its best here: one thread a core with a batch each, or one batch with all cores inside it; several batch
sizes; torch's two memory layouts. All are tried; the two fastest take part in the repeats, in turn with the
pipeline, and the one with the better median is what the pipeline is compared with, repeat by repeat.

Weights are random numbers in the real architectures: speed does not depend on them. dlib's are the real ones.
Networks so slow that a pass would take longer than --seconds get fewer images. Every extractor runs in
processes of its own; memory is the peak of a new process during its second pass, weights included.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from featurestore import console  # noqa: E402

console.pin_threads()  # as the commands do
console.keep_memory()

from job import Job  # noqa: E402
from made import weights_of  # noqa: E402
from measured import Speed, memory, speed  # noqa: E402
from processes import alone  # noqa: E402
from ratios import Ratio, keep  # noqa: E402

NAMES = ("design", "dlib", "resnet18", "vggface2", "arcface", "clip")


def span(found: list[float], form: str) -> str:
    return f"{statistics.median(found):{form}} ({min(found):{form}}-{max(found):{form}})"


def measure(job: Job) -> tuple[str, str, Ratio]:
    """A row of each table, and what is kept."""
    built = alone(weights_of, job)
    found = alone(speed, job, built)
    ratios = [a / b for a, b in zip(found.pipeline, found.bare, strict=True)]
    few = min(found.n, 16 * found.batch_size)
    ours, theirs = (alone(memory, job, built, best, found.batch_size, few) for best in ("", found.best))
    first = (
        f"{job.name:9}{found.n:6}{found.batch_size:6}{statistics.median(found.pipeline):11.2f}"
        f"{statistics.median(found.bare):10.2f}  {span(ratios, '.3f'):22}{span(found.waits, '.1%'):22}"
        f"{found.host_ms:8.2f}  {found.best}"
    )
    second = f"{job.name:9}{ours[0]:10.0f}{ours[1]:10.0f}{theirs[1]:10.0f}"
    if job.device == "cuda":
        second += f"{ours[2]:14.0f}{theirs[2]:10.0f}"
    speeds = [f"{statistics.median(rates):,.1f}" for rates in (found.pipeline, found.bare)]
    goal = ">= 0.9" if job.device == "cuda" else ">= 0.95"
    ratio = Ratio(
        f"`{job.name}`: images/s, files to a store, {job.device}",
        "the bare forward pass on tensors in memory",
        "" if job.name == "design" else goal,  # it computes as fast as it decodes: see throughput.py
        tuple(ratios),
        f"{' and '.join(speeds)} images/s",
        f"reading, decoding and resizing, {found.host_ms:.2f} ms an image of a core{_at_best(found, job)}",
    )
    return first, second, ratio


def _at_best(found: Speed, job: Job) -> str:
    """What is left where the same cores compute."""
    if job.device != "cpu":
        return ""
    computing_ms = job.threads * 1e3 / statistics.median(found.bare)
    return f" that computes too: {computing_ms / (computing_ms + found.host_ms):.3f} at best"


def device_of(wanted: str, names: list[str]) -> str:
    from extractors.devices import pick_device

    return pick_device(wanted) if set(names) - {"design", "dlib"} else "cpu"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("extractors", nargs="*", metavar="extractor", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--n", type=int, help="how many images; 200, on a GPU 4000")
    parser.add_argument("--seconds", type=float, default=10.0, help="longest pass; fewer images if need be")
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats")
    parser.add_argument("--images", type=Path, help="folder of pictures to use instead of made drawings")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--workers", type=int, default=0, help="threads; 0 = one a core")
    parser.add_argument("--batch-size", type=int, help="of the pipeline; its own choice if not given")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--clip-arch", help="ViT-B-32-quickgelu, on a GPU ViT-L-14-quickgelu")
    parser.add_argument("--quick", action="store_true", help="16 images, one repeat, few ways: does it run?")
    args = parser.parse_args()
    if unknown := set(args.extractors) - set(NAMES):
        parser.error(f"no extractor {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    args.extractors = args.extractors or list(NAMES)
    return args


def print_head(job: Job, quality: int) -> None:
    print(f"{job.n} JPEGs, 256x256, quality {quality}; {job.device}, {job.threads} threads, {job.precision}")
    print("weights: random numbers in the real architectures and input sizes; dlib's are its real ones;")
    print(f"arcface is an IResNet50 with the layers of w600k_r50; clip is {job.clip_arch}")
    print(f"median of {job.repeats} interleaved repeats (lowest-highest); goal: ratio >= 0.95 on a CPU\n")
    print(
        f"{'extractor':9}{'n':>6}{'batch':>6}{'pipeline/s':>11}{'bare/s':>10}  {'ratio':22}"
        f"{'device waits':22}{'host ms':>8}  bare pass: callers x batch"
    )


def main() -> None:
    from design import QUALITY, jpegs, save

    args = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder below is removed
    device = device_of(args.device, args.extractors)
    arch = args.clip_arch or f"ViT-{'B-32' if device == 'cpu' else 'L-14'}-quickgelu"
    n = 16 if args.quick else args.n or (200 if device == "cpu" else 4000)
    with tempfile.TemporaryDirectory(prefix="kyara-extract-") as made:
        folder = Path(made) / "images"
        folder.mkdir()
        n = len(save(folder, jpegs(args.images, n)))
        repeats = 1 if args.quick else args.repeats
        job = Job(
            "", Path(made), folder, n, repeats, args.seconds, args.quick, device,
            args.workers, args.batch_size, args.precision, arch,
        )  # fmt: skip
        print_head(job, QUALITY)
        rows, ratios = [], []
        for name in args.extractors:
            first, second, ratio = measure(dataclasses.replace(job, name=name))
            print(first, flush=True)
            rows.append(second)
            ratios.append(ratio)
    print("\nhost ms: to read, check, decode and make the square of one image, in one thread")
    print("\nmemory, MiB: when built; at the peak of the pipeline; of the bare pass (with 64 inputs)")
    print(
        f"{'extractor':9}{'built':>10}{'pipeline':>10}{'bare':>10}"
        + "  GPU: pipeline, bare" * (device == "cuda")
    )
    print("\n".join(rows), end="\n\n")
    keep(
        "extract" if device == "cpu" else f"extract-{device}",
        ratios,
        about=f"JPEGs of 256x256, quality {QUALITY}; weights are random numbers in the real architectures",
        whole=not args.quick and args.extractors == list(NAMES),
    )


if __name__ == "__main__":
    main()
