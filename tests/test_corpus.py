"""Hostile and broken files, each by its name: what becomes of it, in which time and memory."""

from __future__ import annotations

import base64
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, encoded, picture
from corpus import ACCEPTED, LARGE, REJECTED

from extractors.run import extract
from extractors.zoo import design
from featurestore.cache import RowCache
from featurestore.columns import Texts
from featurestore.dataset import QuarantineRow
from featurestore.errors import Reason
from featurestore.facts import FactColumns, Facts
from featurestore.metadata import unescape_path
from featurestore.params import RuntimeParams
from featurestore.scan import Scan
from featurestore.seen import Sightings
from featurestore.testing import check_store

GIBIBYTE = 1 << 30
FILES = {
    **{name: f"images/odd/{name}{item.ending}" for name, item in (*REJECTED.items(), *ACCEPTED.items())},
    **{name: f"images/odd/{name}.png" for name in LARGE},
}


@dataclass(frozen=True)
class Outcome:
    """What reading one file after the other told, and what indexing all of them together wrote."""

    read: dict[str, dict[str, Any]]
    rows: dict[str, dict[str, str]]
    quarantine: dict[str, dict[str, str]]
    summary: dict[str, Any]
    root: Path

    def as_nobody(self, name: str) -> None:
        """What root may not read is nothing: a test of it needs another user."""
        if name.startswith("unreadable") and not self.read[name].get("nobody"):
            pytest.skip("root stays root here, and reads everything")


def by_path(file: Path) -> dict[str, dict[str, str]]:
    with file.open(newline="") as stream:
        return {unescape_path(row["path"]): row for row in csv.DictReader(stream)}


def lay_out(root: Path) -> None:
    """The corpus as one class of a data folder, and plain pictures as the other."""
    plain, odd = root / "images" / "plain", root / "images" / "odd"
    for folder in (plain, odd):
        folder.mkdir(parents=True)
    for i in range(12):
        (plain / f"{i}.png").write_bytes(encoded(picture(74_000 + i)))
    for name, bad in REJECTED.items():
        bad.make(root / FILES[name])
    for name, item in ACCEPTED.items():
        (root / FILES[name]).write_bytes(item.data)
    for name, large in LARGE.items():
        (root / FILES[name]).write_bytes(large.data())


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    # not below pytest's own folder, which nobody but its owner may enter
    with tempfile.TemporaryDirectory() as name:
        base, root, out = Path(name), Path(name, "data"), Path(name, "out")
        base.chmod(0o755)
        lay_out(root)
        out.mkdir()
        out.chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-W", "error", ROOT / "tests" / "forked.py", root, out],
            input=json.dumps(list(FILES.values())), env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        told = json.loads(done.stdout)
        assert "died" not in told["index"]
        summary = json.loads((out / "data.json").read_text())
        read = {name: told[file] for name, file in FILES.items()}
        yield Outcome(read, by_path(out / "dataset.csv"), by_path(out / "quarantine.csv"), summary, root)


@pytest.mark.parametrize("name", REJECTED)
def test_a_bad_file_is_turned_away_with_its_reason(outcome: Outcome, name: str) -> None:
    outcome.as_nobody(name)
    told = outcome.read[name]
    assert told.get("reason", told) == REJECTED[name].reason
    assert told["detail"]
    assert told["detail"].isprintable()


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_odd_file_gives_the_pixels_that_were_drawn(outcome: Outcome, name: str) -> None:
    told, drawn = outcome.read[name], ACCEPTED[name].pixels
    assert "pixels" in told, told
    pixels = np.frombuffer(base64.b64decode(told["pixels"]), np.uint8).reshape(told["shape"])
    assert pixels.shape == drawn.shape
    assert told["size"] == [drawn.shape[1], drawn.shape[0]]
    assert np.abs(pixels.astype(int) - drawn).max() <= ACCEPTED[name].tolerance


@pytest.mark.parametrize("name", LARGE)
def test_a_picture_just_below_the_cap_gives_every_pixel(outcome: Outcome, name: str) -> None:
    told = outcome.read[name]
    assert told.get("sha256", told) == LARGE[name].sha256()


@pytest.mark.parametrize("name", FILES)
def test_no_file_hangs_crashes_or_takes_a_gibibyte(outcome: Outcome, name: str) -> None:
    told = outcome.read[name]
    assert "died" not in told
    assert told["grown_bytes"] < GIBIBYTE


def test_what_a_file_takes_is_measured(outcome: Outcome) -> None:
    pixels = 7_070**2 * 3
    assert all(outcome.read[name]["grown_bytes"] > pixels for name in LARGE)
    assert outcome.read["ok"]["grown_bytes"] < pixels / 10


@pytest.mark.parametrize("name", [*ACCEPTED, *LARGE])
def test_among_all_others_a_good_file_is_a_row(outcome: Outcome, name: str) -> None:
    row = outcome.rows[FILES[name]]
    assert (row["label"], [int(row["width"]), int(row["height"])]) == ("odd", outcome.read[name]["size"])
    assert row["format"] == outcome.read[name]["format"]
    assert FILES[name] not in outcome.quarantine


@pytest.mark.parametrize("name", REJECTED)
def test_among_all_others_a_bad_file_is_in_quarantine(outcome: Outcome, name: str) -> None:
    outcome.as_nobody(name)
    row = outcome.quarantine[FILES[name]]
    assert (row["reason"], row["stage"]) == (REJECTED[name].reason, "index")
    assert row["detail"] == outcome.read[name]["detail"]
    assert (row["sha256"] == "") == (REJECTED[name].data is None or name == "zero")
    assert FILES[name] not in outcome.rows


def test_every_good_picture_of_the_corpus_has_its_row(outcome: Outcome, tmp_path: Path) -> None:
    extractor = design.build()
    images = {row["key"]: outcome.root / path for path, row in outcome.rows.items()}
    report = extract(
        extractor, images, RowCache(tmp_path / "cache"), tmp_path / "design.h5",
        root=outcome.root, max_pixels=50_000_000, runtime=RuntimeParams(),
    )  # fmt: skip
    assert report.extracted == len(images) >= 12 + len(ACCEPTED)
    assert report.not_ok == 0
    check_store(tmp_path / "design.h5")


def test_nothing_else_is_in_the_index(outcome: Outcome) -> None:
    """Also nothing out of the folder that is named like a picture, or through the link to one."""
    plain = {f"images/plain/{i}.png" for i in range(12)}
    assert outcome.rows.keys() | outcome.quarantine.keys() == plain | set(FILES.values())
    assert outcome.summary["files"][0]["files"] == len(plain) + len(FILES)
    assert outcome.summary["quarantined"] == len(outcome.quarantine)


def test_the_format_is_what_the_bytes_are(outcome: Outcome) -> None:
    kinds = {name: outcome.read[f"{name}_as_jpg"]["format"] for name in ("png", "webp", "bmp")}
    assert kinds == {"png": "png", "webp": "webp", "bmp": "bmp"}


def test_a_folder_and_a_link_say_what_to_do(outcome: Outcome) -> None:
    said = {name: row["detail"] for name in REJECTED if (row := outcome.quarantine.get(FILES[name]))}
    assert "named like a picture, not looked into; rename it" in said["directory"]
    assert "a link to a folder, not followed; copy the folder in" in said["linked_folder"]
    assert "copy the file in" in said["symlink_outside"]


@pytest.mark.parametrize("detail", ["\x1b[31mred\x07", "two\nlines\r", "\u202eback", "bad\udcff", "\0"])
def test_a_detail_is_one_line_that_no_terminal_obeys(detail: str) -> None:
    seen = Sightings(Texts(["images/hero/a\x1b.png"]))
    seen.reject(0, Reason.CORRUPT, detail)
    row = Scan(FactColumns.of([Facts("hero")]), seen).quarantine[0]
    assert row.detail.isprintable()
    assert row.path == "images/hero/a%1B.png"
    assert row == QuarantineRow(row.path, "", "corrupt", row.detail)


def test_the_page_on_the_quarantine_lists_every_reason_and_column() -> None:
    page = (ROOT / "docs" / "quarantine.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"
    ]
    reasons = {cells[0].strip("`"): cells[1:] for cells in rows if len(cells) == 3}
    assert list(reasons)[2:] == [reason.value for reason in Reason]
    assert all(meaning and step for meaning, step in reasons.values())
    columns = [cells[0].strip("`") for cells in rows if len(cells) == 2]
    assert columns[2:] == list(QuarantineRow.__dataclass_fields__)


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(("n_bad", "code"), [(0, 0), (1, 0), (4, 3)])
def test_index_ends_with_zero_up_to_the_limit_and_with_three_beyond(
    command: Command, workspace: Path, n_bad: int, code: int
) -> None:
    for i in range(n_bad):  # data.quarantine_limit is 0.05 of 24 pictures and these
        (workspace / f"data/images/hero/bad{i}.jpg").write_bytes(b"no picture")
    done = command("featurestore", "index")
    assert done.returncode == code, done.stderr
    assert len(by_path(workspace / "results/quarantine.csv")) == n_bad
    summary = workspace / "results" / "data.json"
    assert summary.exists() == (code == 0)
    if code == 0:
        assert json.loads(summary.read_text())["quarantined"] == n_bad
