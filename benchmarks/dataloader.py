"""CLIP image embeddings: kyara beside the loop that one would write with open_clip and a DataLoader.

    python benchmarks/dataloader.py [--n 256] [--repeats 5] [--images DIR] [--arch NAME] [--quick]

The loop opens each file with Pillow, makes it ready with open_clip's own transform in the worker processes of
a ``torch.utils.data.DataLoader``, embeds batches of 32 and saves one array with ``np.save``. kyara's side is
`extractors.run.extract` into a new cache and a new store, with the params that params.yaml has. Each side
runs in a process of its own that has imported everything, loaded the same weights (random numbers in the real
architecture) and embedded some images; the loop has torch's own number of threads. Their rows must agree.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

BATCH = 32
TOLERANCE = 1e-3
WARM = 32  # images that are embedded before any is timed


def by_kyara(images: Path, weights: Path, arch: str, out: Path) -> Callable[[int], None]:
    from featurestore import console

    console.pin_threads()
    from extractors.base import Context, Loaded
    from extractors.run import extract
    from extractors.zoo import clip
    from featurestore.cache import RowCache
    from featurestore.params import load_params

    runtime = load_params(ROOT / "params.yaml").runtime
    file = Loaded(weights, hashlib.sha256(weights.read_bytes()).hexdigest())
    context = Context({f"{arch}.own": file})
    extractor = clip.build(context=context, arch=arch, pretrained=None, file=str(weights))

    def embed(n: int) -> None:
        paths = {path.stem: path for path in sorted(images.iterdir())[:n]}
        with tempfile.TemporaryDirectory(dir=out.parent) as cache:
            report = extract(
                extractor, paths, RowCache(Path(cache)), out,
                root=images, max_pixels=10**8, runtime=dataclasses.replace(runtime, engine="local"),
            )  # fmt: skip
        assert report.extracted == n, report

    return embed


def by_loop(images: Path, weights: Path, arch: str, out: Path) -> Callable[[int], None]:
    import numpy as np
    import open_clip
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    model, _, transform = open_clip.create_model_and_transforms(arch, pretrained=str(weights))
    model.eval()

    class Files(Dataset[Any]):
        def __init__(self, paths: list[Path]) -> None:
            self.paths = paths

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, i: int) -> Any:
            return transform(Image.open(self.paths[i]).convert("RGB"))

    def embed(n: int) -> None:
        loader = DataLoader(Files(sorted(images.iterdir())[:n]), BATCH, num_workers=os.cpu_count() or 1)
        with torch.inference_mode():
            rows = [model.encode_image(batch, normalize=True).numpy() for batch in loader]
        np.save(out, np.concatenate(rows))

    return embed


SIDES = {"kyara": by_kyara, "loop": by_loop}


def side(whose: str, images: Path, weights: Path, arch: str, out: Path) -> float:
    """Seconds for all images."""
    embed = SIDES[whose](images, weights, arch, out)
    n = len(list(images.iterdir()))
    out.unlink(missing_ok=True)  # of the pair before
    embed(min(n, WARM))
    out.unlink()
    start = time.perf_counter()
    embed(n)
    return time.perf_counter() - start


def alone(whose: str, images: Path, weights: Path, arch: str, out: Path) -> float:
    """One side in a new process, a plain one: in those of `processes.alone` a DataLoader forks no workers."""
    given = [str(one) for one in (images, weights, arch, out)]
    done = subprocess.run(
        [sys.executable, __file__, "--side", whose, *given], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)


def farthest(store: Path, array: Path) -> float:
    """The largest difference between rows of both sides; keys ascend as the files' names do."""
    import numpy as np

    from featurestore import FeatureStore

    with FeatureStore(store) as opened:
        return float(np.abs(np.asarray(opened.values) - np.load(array)).max())


def main() -> None:
    if sys.argv[1:2] == ["--side"]:
        whose, images, weights, arch, out = sys.argv[2:]
        print(side(whose, Path(images), Path(weights), arch, Path(out)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=256, help="how many images")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs")
    parser.add_argument("--images", type=Path, help="folder of pictures to use instead of made drawings")
    parser.add_argument("--arch", default="ViT-B-32-quickgelu", help="one of open_clip's")
    parser.add_argument(
        "--quick", action="store_true", help="40 images, one pair, nothing kept: does it work?"
    )
    args = parser.parse_args()
    n, repeats = (40, 1) if args.quick else (args.n, args.repeats)

    from design import QUALITY, jpegs, save
    from ratios import Ratio, in_turn, keep, ratios_of
    from zoo_weights import saved

    from extractors.openclip import create

    seconds: dict[str, list[float]] = {"kyara": [], "loop": []}
    with tempfile.TemporaryDirectory(prefix="kyara-dataloader-") as made:
        folder = Path(made)
        images, outs = folder / "images", {"kyara": folder / "clip.h5", "loop": folder / "clip.npy"}
        images.mkdir()
        n = len(save(images, jpegs(args.images, n)))
        weights = saved(create(args.arch, {}).state_dict(), folder / "weights.pt").path
        for whose in in_turn("kyara", "loop", repeats):
            seconds[whose].append(alone(whose, images, weights, args.arch, outs[whose]))
        off = farthest(outs["kyara"], outs["loop"])
    if off > TOLERANCE:
        sys.exit(f"the rows differ by up to {off:.2g}")
    said = f"rows differ by {off:.1g} at most" if off else "the same rows, to the bit"
    ours, theirs = (n / statistics.median(seconds[whose]) for whose in ("kyara", "loop"))
    ratio = Ratio(
        f"images/s of {args.arch}, files to rows on disk", "a plain open_clip and DataLoader loop", ">= 1",
        ratios_of(seconds["loop"], seconds["kyara"]),
        f"{ours:.1f} and {theirs:.1f} images/s; {said}",
        "the forward pass",
    )  # fmt: skip
    about = f"{n} JPEGs of 256x256, quality {QUALITY}; weights are random numbers in the real architecture"
    keep("dataloader", [ratio], about=about, whole=not args.quick)


if __name__ == "__main__":
    main()
