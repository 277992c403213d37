"""``python -m classifiers``: parses and calls; the commands are in ``classifiers.cli``."""

from __future__ import annotations

from featurestore.console import command_parser, dispatch, pin_threads, run

pin_threads()  # before anything imports numpy: sums in one order, the same bytes each time

import argparse  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

from classifiers.cli.explaining import explain, findings, predict, report, response  # noqa: E402
from classifiers.cli.scoring import audit, compare, evaluate, final, train  # noqa: E402
from classifiers.cli.telling import compare_lock, diff, looks, ls, show  # noqa: E402

_Call = Callable[[argparse.Namespace], int]


def _plain(command: Callable[[], int | None]) -> _Call:
    """A command without options."""
    call: _Call = lambda _: command() or 0  # noqa: E731
    call.__doc__ = command.__doc__
    return call


_COMMANDS: dict[str, _Call] = {
    "train": _plain(train),
    "evaluate": _plain(evaluate),
    "audit": _plain(audit),
    "compare": _plain(compare),
    "explain": _plain(explain),
    "findings": _plain(findings),
    "report": _plain(report),
    "diff": diff,
    "predict": predict,
    "response": response,
    "looks": _plain(looks),
    "final": _plain(final),
    "show": _plain(show),
    "compare-lock": _plain(compare_lock),
    "ls": _plain(ls),
}


def main(argv: list[str]) -> int:
    """Parse the command line and call one command."""
    table = [
        (name, call, (call.__doc__ or "").strip().partition("\n")[0]) for name, call in _COMMANDS.items()
    ]
    parser, parsers = command_parser("classifiers", "How rows become decisions.", table)
    compared = parsers["diff"]
    compared.add_argument("before", metavar="REV1", help="a git revision, a DVC experiment, or: workspace")
    compared.add_argument("after", metavar="REV2", nargs="?", help="likewise; left out: workspace")
    compared.add_argument("--common", action="store_true", help="compare the images that both have")
    compared.add_argument("--on", choices=("cv", "val"), help="left out: cv where both have it, else val")
    asked = parsers["predict"]
    asked.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a file, a folder, or - for a list of paths on stdin"
    )
    asked.add_argument("--json", action="store_true", help="one JSON document on stdout (docs/predict.md)")
    asked.add_argument("--explain", action="store_true", help="what each feature adds to the answer")
    answering = parsers["response"]
    answering.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="a data folder: the study's pictures redrawn"
    )
    answering.add_argument("--heads", metavar="NAME,NAME", help="left out: the chosen head")
    answering.add_argument("--csv", action="store_true", help="as CSV")
    return dispatch(parser, argv)


if __name__ == "__main__":
    sys.exit(run(main))
