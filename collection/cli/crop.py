"""``crop``: pictures of any size -> mugshots."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from collection.cli import Commands
from collection.cli.cutting import add_cutting

__all__ = ["add"]

_TEXT = (
    "Cut the face out of every picture of a folder; say which method cut which, and what each class lost. The"
    " same command goes on with a run that was stopped."
)


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("crop", help="pictures of any size -> mugshots", description=_TEXT)
    parser.add_argument("folder", type=Path, metavar="DIR", help="holds <label>/** or images/<label>/**")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="OUT", help="a new folder, or that of a stopped run"
    )
    add_cutting(parser)
    parser.set_defaults(call=_crop)


def _crop(options: argparse.Namespace) -> int:
    from collections import Counter

    from collection.crop import CropParams
    from collection.crop.files import bias_of_crops
    from collection.crop.folders import crop_folder
    from featurestore.params import load_params

    cutting = CropParams(options.method, options.choice, options.margin, fallback=options.fallback)
    folder, out = options.folder.expanduser(), options.out.expanduser()
    records = crop_folder(folder, out, params=cutting, max_pixels=load_params().data.max_pixels)
    counts = Counter(one.method or "left out" for one in records)
    print(f"{out}: " + ", ".join(f"{n} {name}" for name, n in counts.most_common()))
    bias = bias_of_crops(records, cutting)
    if bias is not None:
        print(bias.text())
    print(f"next: python -m collection import {shlex.quote(str(out))} --replace")
    return 0
