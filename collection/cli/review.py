"""``review``: accept, reject or relabel pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from collection.cli import Commands

__all__ = ["add"]

_TEXT = """\
Accept, reject or relabel pictures with the keyboard, on a page of this machine alone. Decisions are kept by
the pictures' bytes, and survive a new search. See docs/curation.md.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "review", help="accept, reject or relabel pictures on a local page", description=_TEXT
    )
    parser.add_argument("--blind", action="store_true", help="hide labels and roles, mix the classes")
    parser.add_argument("--open", action="store_true", help="open the page in the default browser")
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write contact sheets and a table instead")
    parser.add_argument("--decide", type=Path, metavar="CSV", help="apply the decisions of such a table")
    parser.set_defaults(call=_review)


def _review(options: argparse.Namespace) -> int:
    from collection.curation.command import review
    from collection.curation.quality import Thresholds
    from featurestore.params import load_params

    params = load_params()
    for line in review(
        Path(params.data.root),
        blind=options.blind,
        sheets=options.sheets,
        decide=options.decide,
        thresholds=Thresholds(distance=params.data.near_duplicate_distance),
        group_from=params.data.group_from,
        max_pixels=params.data.max_pixels,
        workers=params.runtime.workers,
        open_browser=options.open,
    ):
        print(line, flush=True)
    if options.sheets is None:
        print("next: python -m collection card, then: dvc repro")
    return 0
