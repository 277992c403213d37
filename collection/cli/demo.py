"""``demo``: draw the demo cast."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from collection.cli import Commands

__all__ = ["add"]

_TEXT = """\
Draw the demo cast: heroes, villains and antiheroes that this command makes up and paints itself,
with the causes of their looks in metadata/characters.csv. See docs/demo-cast.md.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    from collection.demo.factors import FACTORS

    demo = commands.add_parser("demo", help="draw the demo cast", description=_TEXT)
    demo.add_argument("--seed", type=int, default=42, help="seed of the cast (%(default)s)")
    demo.add_argument(
        "--n", type=int, default=300, help="number of pictures, even, at least 20 (%(default)s)"
    )
    demo.add_argument("--out", type=Path, default=Path("data"), help="folder to write (%(default)s)")
    demo.add_argument(
        "--force", action="store_true", help="replace images/ and metadata/ in a folder that is not empty"
    )
    demo.add_argument(
        "--move",
        action="append",
        default=[],
        metavar="FACTOR=DELTA",
        help=f"move a factor of everybody by DELTA standard deviations (repeatable): {', '.join(FACTORS)}",
    )
    demo.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes; the bytes do not depend on it"
    )
    demo.add_argument(
        "--sheet", type=Path, metavar="FILE", help="write a contact sheet (.jpg or .png) and no data"
    )
    demo.add_argument(
        "--factors", type=Path, metavar="FILE", help="write a sheet of what each factor does, and no data"
    )
    demo.add_argument(
        "--figures", action="store_true", help="full figures, with the true face boxes (docs/demo-cast.md)"
    )
    demo.set_defaults(call=_demo)


def _demo(options: argparse.Namespace) -> int:
    from collection.demo.command import demo

    for line in demo(
        seed=options.seed,
        n=options.n,
        out=options.out,
        moves=options.move,
        sheet=options.sheet,
        factors=options.factors,
        workers=options.workers,
        force=options.force,
        figures=options.figures,
    ):
        print(line)
    return 0
