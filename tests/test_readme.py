"""What the README and the docs say is what the code and the results say."""

from __future__ import annotations

import csv
import re
import subprocess
import sys

import pytest
from conftest import ROOT

from featurestore.spec import Status

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_results_is_that_of_the_last_run() -> None:
    with (ROOT / "results" / "leaderboard.csv").open(newline="") as stream:
        board = {row["head"]: row for row in csv.DictReader(stream)}
    rows = re.findall(
        r"^\| (\w+) \| ([\d.]+) \| \[(.+), (.+)\] \| ([\d.]+) \| \[(.+), (.+)\] \|$", README, re.M
    )
    assert len(rows) >= 7
    assert {"dummy", "convention", next(iter(board))} <= {row[0] for row in rows}
    columns = ("auc", "auc_low", "auc_high", "accuracy", "accuracy_low", "accuracy_high")
    for head, *shown in rows:
        assert shown == [f"{float(board[head][column]):.3f}" for column in columns], head
    first = next(iter(board.values()))
    assert f"{first['n']} images of train and val in {first['groups']} groups" in README


@pytest.mark.parametrize("package", ["featurestore", "extractors", "classifiers", "collection"])
def test_every_command_is_listed(package: str) -> None:
    said = subprocess.run(
        [sys.executable, "-m", package, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    commands = re.findall(r"^    ([a-z-]+)", said, re.M)
    assert commands
    listed = next(line for line in README.splitlines() if re.match(rf"python -m {package} .*\|", line))
    assert listed.split(maxsplit=3)[3].split(" | ") == commands


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT).as_posix() for p in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]+)", README, re.M))
    assert {"repro", "test", "study"} <= named <= targets


@pytest.mark.parametrize(("page", "least"), [("promises.md", 14), ("selection.md", 7)])
def test_every_promise_names_a_test_that_there_is(page: str, least: int) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = re.findall(r"`(tests/\w+\.py)::(\w+)`", text)
    assert len(named) >= least
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_every_status_is_in_the_page_on_the_format() -> None:
    page = (ROOT / "docs" / "store-format.md").read_text(encoding="utf-8")
    assert all(f"{status.value} `{status.name.lower()}`" in page for status in Status)
