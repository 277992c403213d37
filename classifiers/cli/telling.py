"""The commands that print what was found: show, looks, diff, compare-lock, ls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifiers.cli.opening import LOOKS, MODEL, RESULTS
from classifiers.tables import head_summaries, scores_table

__all__ = ["compare_lock", "diff", "looks", "ls", "print_scores", "show", "warn_of_test"]


def warn_of_test() -> None:
    """Say on stderr where results/test.json outlived its model."""
    from classifiers.final import stale_test
    from featurestore.documents import read_json

    card = MODEL / "card.json"
    said = stale_test(RESULTS, read_json(card)) if card.is_file() else ""
    if said:
        sys.stderr.write(f"{said}\n")


def print_scores(document: Mapping[str, Any]) -> None:
    """The content of metrics.json for a terminal."""
    blocks = {
        "cv": (document["cv"], "of train and val, out of fold"),
        "val": (document["val"], "of val, fitted on train"),
    }
    for name, block in document.get("softmax", {}).items():
        blocks[f"{name} softmax"] = (block, "of val, the network's own decision without a head")
    for name, block in document.get("softmax_against_design_labels", {}).items():
        said = "of val, its own decision against the labels that the design conventions give"
        blocks[f"{name} softmax, design labels"] = (block, said)
    parts = (f"{document['head']}, positive class {document['positive']!r}", document["split"])
    print("\n" + "; ".join([*parts, *filter(None, [document.get("fusion"), document.get("decision")])]))
    for name, (block, how) in blocks.items():
        print(
            f"  {name}: " + (block.get("reason") or f"{block['n']} images {how}, in {block['groups']} groups")
        )
    print("\n" + scores_table({name: block for name, (block, _) in blocks.items()}))
    for note in dict.fromkeys(note for block, _ in blocks.values() for note in block.get("notes", ())):
        print(f"({note})")


def looks() -> None:
    """Say how many experiments were tried, how often test was looked at, and what that many bring by luck."""
    from classifiers.looks import report

    print(report(Path(), LOOKS).text())


def show() -> None:
    """Print the tables of the last run again."""
    import json

    from featurestore.errors import MissingData

    for name in ("metrics.json", "leaderboard.md"):
        if not (RESULTS / name).exists():
            raise MissingData(f"no {RESULTS / name}; run: dvc repro")
    print_scores(json.loads((RESULTS / "metrics.json").read_text(encoding="utf-8")))
    print("\n" + (RESULTS / "leaderboard.md").read_text(encoding="utf-8").replace("**", ""))
    warn_of_test()
    if (RESULTS / "report.html").exists():
        print(f"all of it on one page, with the reasons: {RESULTS / 'report.html'}")


def compare_lock() -> int:
    """Say how far this machine's results lie from the committed ones."""
    from classifiers.reproduction import compare_with_commit

    lines, agrees = compare_with_commit(Path())
    print("\n".join(lines))
    return 0 if agrees else 3


def ls() -> None:
    """List the heads."""
    summaries = head_summaries()
    width = max(map(len, summaries))
    for name, summary in summaries.items():
        print(f"{name:<{width}}  {summary}")


def diff(options: argparse.Namespace) -> int:
    """Say whether the chosen head of one revision is better than that of another, or nobody can tell."""
    from classifiers.comparison.difference import difference

    report = difference(Path(), options.before, options.after, common=options.common, on=options.on)
    print(report.text())
    return 0
