"""How pictures are cut: options of ``search`` and ``crop``."""

from __future__ import annotations

import argparse


def add_cutting(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--method",
        choices=("anime", "mtcnn", "center-top"),
        default="anime",
        help="what finds faces: animeface, MTCNN (human faces), or nothing (%(default)s)",
    )
    parser.add_argument(
        "--choice",
        choices=("largest", "central"),
        default="largest",
        help="which of several (%(default)s)",
    )
    parser.add_argument(
        "--margin", type=float, metavar="X", help="how much wider than the face; docs/crop.md"
    )
    parser.add_argument(
        "--fallback",
        choices=("center-top", "reject"),
        default="center-top",
        help="what becomes of a picture without a face (%(default)s)",
    )
