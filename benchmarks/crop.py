"""Cropping: how many of the demo cast's faces each method finds, per class, and how long a picture takes.

    python benchmarks/crop.py [--n 300] [--seed 42] [--methods anime mtcnn center-top] [--sheet FILE]

Draws full figures, whose true face boxes are known, and cuts each by each method. found: a face was found
whose box overlaps the true one by half or more (intersection over union); wrong: one was found elsewhere;
none: none was found, and center-top cut the picture. in the crop: the whole true face is in what was cut,
whoever cut it. face/side: the true face's width as a share of the crop's side, where it is in the crop.
center-top guesses no face, so it is never "found".

--sheet writes a contact sheet of crops: heroes above, others below; a green frame is anime's, an orange one
center-top's, a blue one mtcnn's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from featurestore import console  # noqa: E402

console.pin_threads()  # as the commands do

import numpy as np  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402

from collection.crop import CropParams, Cut, cut  # noqa: E402
from collection.crop.bias import Outcome, bias_of  # noqa: E402
from collection.crop.cutting import Method  # noqa: E402
from collection.crop.detection import overlap  # noqa: E402
from collection.demo.cast import Character, draw_cast  # noqa: E402
from collection.demo.figure import HEIGHT_PX, WIDTH_PX, face_box, figure  # noqa: E402
from extractors.faces import FaceBox  # noqa: E402

COLOURS = {"anime": (46, 160, 67), "mtcnn": (31, 111, 235), "center-top": (240, 136, 12)}


@dataclass(frozen=True)
class Result:
    label: str
    found: bool
    right: bool
    whole: bool
    share: float
    ms: float


def judged(character: Character, made: Cut, truth: FaceBox, ms: float) -> Result:
    box = made.box
    whole = (
        box.x <= truth.x + 0.5
        and box.y <= truth.y + 0.5
        and truth.x + truth.width <= box.x + box.side + 0.5
        and truth.y + truth.height <= box.y + box.side + 0.5
    )
    right = made.face is not None and overlap(made.face, truth) >= 0.5
    return Result(character.label, made.face is not None, right, whole, truth.width / box.side, ms)


def line(method: str, label: str, results: list[Result]) -> str:
    n = len(results)
    right, found, whole = (sum(getattr(one, name) for one in results) for name in ("right", "found", "whole"))
    shares = [one.share for one in results if one.whole]
    return (
        f"| {method} | {label} | {n} | {right / n:.0%} | {(found - right) / n:.0%} | {(n - found) / n:.0%}"
        f" | {whole / n:.0%} | {statistics.median(shares) if shares else 0:.2f}"
        f" | {statistics.median(one.ms for one in results):.0f} |"
    )


def sheet_of(cast: list[Character], cuts: list[Cut], *, columns: int = 10, rows: int = 2) -> Image.Image:
    """So many rows of heroes, and below them as many of the others."""
    tile, gap = 120, 6
    chosen = []
    for hero in (True, False):
        of_class = [made for one, made in zip(cast, cuts, strict=True) if (one.label == "hero") == hero]
        chosen += of_class[: columns * rows]
    wide, high = columns * (tile + gap) + gap, 2 * rows * (tile + gap) + 2 * gap
    sheet = Image.new("RGB", (wide, high), (250, 248, 244))
    for i, made in enumerate(chosen):
        row, column = divmod(i, columns)
        picture = Image.fromarray(made.pixels).resize((tile - 6, tile - 6), Image.Resampling.LANCZOS)
        framed = ImageOps.expand(picture, 3, COLOURS[made.method])
        sheet.paste(framed, (gap + column * (tile + gap), gap + row * (tile + gap) + gap * (row >= rows)))
    return sheet


def measured(cast: list[Character], methods: list[Method]) -> dict[Method, list[tuple[Result, Cut]]]:
    """Every figure is drawn once and cut by each method."""
    params = {method: CropParams(method=method) for method in methods}
    made: dict[Method, list[tuple[Result, Cut]]] = {method: [] for method in methods}
    for one in params.values():
        cut(np.zeros((64, 64, 3), np.uint8), one)  # loads
    for character in cast:
        image, truth = figure(character)
        for method, one in params.items():
            start = time.perf_counter()
            found = cut(image, one)
            ms = 1000 * (time.perf_counter() - start)
            assert found is not None
            made[method].append((judged(character, found, truth, ms), found))
    return made


def bias_line(method: Method, cast: list[Character], results: list[Result]) -> str:
    outcomes = [
        Outcome(one.label, result.found, one.series.name) for one, result in zip(cast, results, strict=True)
    ]
    bias = bias_of(outcomes, method=method, fallback="center-top")
    return "" if bias is None else bias.text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=300, help="figures, even, at least 20")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--methods", nargs="+", default=list(get_args(Method)), choices=get_args(Method))
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of the first method's crops")
    args = parser.parse_args()
    cast = list(draw_cast(args.seed, args.n))
    widths = [face_box(one).width / WIDTH_PX for one in cast]
    print(
        f"{args.n} drawn figures of {WIDTH_PX}x{HEIGHT_PX} (seed {args.seed}), faces {min(widths):.2f} to"
        f" {max(widths):.2f} of the picture's width; one thread\n"
    )
    made = measured(cast, args.methods)
    print("| method | class | n | found | wrong | none | face in the crop | face/side | ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for method in args.methods:
        results = [result for result, _ in made[method]]
        for label in sorted({one.label for one in results}):
            print(line(method, label, [one for one in results if one.label == label]))
    print()
    for method in args.methods:
        if method != "center-top":
            print(bias_line(method, cast, [result for result, _ in made[method]]))
    if args.sheet:
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet = sheet_of(cast, [found for _, found in made[args.methods[0]]])
        sheet.save(args.sheet, quality=84, optimize=True)


if __name__ == "__main__":
    main()
