"""``card``: what the data set holds, where it is from, what was left out."""

from __future__ import annotations

import argparse
from pathlib import Path

from collection.cli import Commands

__all__ = ["add"]

_TEXT = "Write metadata/README.md: what the data set holds, where it is from, what was left out."


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("card", help="write the data set's card", description=_TEXT)
    parser.set_defaults(call=_card)


def _card(options: argparse.Namespace) -> int:
    from collection.card import write_card
    from featurestore.params import load_params

    data = load_params().data
    print(write_card(Path(data.root), group_from=data.group_from, max_pixels=data.max_pixels))
    print("next: dvc repro")
    return 0
