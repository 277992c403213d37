"""``python -m collection``: how images come in. Parses and calls; the commands are in ``collection.cli``."""

from __future__ import annotations

from featurestore.console import dispatch, pin_threads, run

pin_threads()

import argparse  # noqa: E402
import sys  # noqa: E402

from collection.cli import bring, card, crop, demo, review, search  # noqa: E402


def main(argv: list[str]) -> int:
    """Run one command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m collection", description="How images come in.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (search, bring, crop, review, card, demo):
        module.add(commands)
    return dispatch(parser, argv)


if __name__ == "__main__":
    sys.exit(run(main))
