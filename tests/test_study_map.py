"""docs/study-map.md leaves out nothing that the original study names, and sends nobody into the void."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

import pytest
import yaml
from conftest import ROOT

PAGE = (ROOT / "docs" / "study-map.md").read_text(encoding="utf-8")

#: What the README of the original study names, taken from it by hand; it is no part of this repository.
SCRIPTS = [
    "scripts/data_collection/download_hero_images.py",
    "scripts/data_collection/download_villain_images.py",
    "scripts/training/train_resnet_design_features.py",
    "scripts/training/train_clip_classifier.py",
    "scripts/models/vggface2_transfer_learning.py",
    "scripts/models/vggface2_baseline.py",
    "scripts/models/vggface2_variant*.py",
    "scripts/models/arcface_baseline.py",
    "scripts/models/arcface_variant*.py",
    "scripts/models/face_models_comparison.py",
    "scripts/models/vggface_only_classifier.py",
]

FILES = [
    "data/images/",
    "data/images/hero/",
    "data/images/villain/",
    "data/metadata/",
    "Hero_list.csv",
    "Anti_Hero.csv",
    "models/checkpoints/best_resnet18.pth",
    "models/checkpoints/best_clip_classifier.pth",
    "models/pretrained/",
    "results/metrics/test_metrics.json",
    "results/metrics/ANIME_DESIGN_RESEARCH_REPORT.txt",
    "results/features/clip_features.npy",
    "results/features/clip_labels.npy",
    "results/features/*.csv",
    "results/features/design_feature_importance.csv",
    "results/features/feature_importance_table.csv",
    "results/visualizations/*.png",
    "results/features/",
    "results/visualizations/",
    "results/metrics/",
    "docs/STRUCTURE.md",
    "README.md",
    "requirements.txt",
    "LICENSE",
    ".env",
    "scripts/",
    "data/",
    "models/",
    "results/",
    "docs/",
]

STEPS = [
    "SERPAPI_KEY", "cp .env.example .env", "numpy<2", "training curves", "confusion matrix", "ROC curve",
    "feature importance plots", "SHAP values", "hybrid", "random_state=42", "60/20/20", "cv2.setNumThreads(1)",
    "gradient accumulation", "NYU", "mugshots of 256×256", "linear probe", "rotation of 15°", "colour jitter",
    "weighted cross-entropy", "early stopping",
]  # fmt: skip

#: Not made by a stage: the locked test split's score.
BY_HAND = {"results/test.json"}

#: Lies there once the user has put it there.
THE_USERS = {"data", "data/metadata/characters.csv"}


def rows() -> list[list[str]]:
    """Cells of the page's tables: the original, what it is here, what differs."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "the original"]


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def commands() -> list[str]:
    """Every ``python -m`` of kyara's packages on the page."""
    ours = r"python -m (?:featurestore|extractors|classifiers|collection) "
    return [one for row in rows() for cell in row[1:] for one in code(cell) if re.match(ours, one)]


def paths() -> list[str]:
    """Files and folders that the page calls kyara's."""
    here = [one for row in rows() for cell in row[1:] for one in code(cell)]
    here += code("\n".join(line for line in PAGE.splitlines() if not line.startswith("|")))
    return [one for one in here if " " not in one and ("/" in one or (ROOT / one).is_file())]


@cache
def help_of(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", *words, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"python -m {' '.join(words)}: {done.stderr}"
    return done.stdout


def outs() -> Iterator[str]:
    """Every out and metric of dvc.yaml; of a matrix as a pattern."""
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values():
        for one in [*stage.get("outs", ()), *stage.get("metrics", ())]:
            path = one if isinstance(one, str) else next(iter(one))
            yield path.replace("${item.name}", "*")


def made(path: str) -> bool:
    """Whether a stage makes a file, or a folder that holds it, or files in that folder."""
    asked = PurePosixPath(path)
    for out in outs():
        if any(one.match(out) and len(one.parts) == out.count("/") + 1 for one in (asked, *asked.parents)):
            return True
        if PurePosixPath(out).is_relative_to(asked):
            return True
    return False


@pytest.mark.parametrize("name", [*SCRIPTS, *FILES])
def test_every_script_and_file_of_the_study_has_a_row(name: str) -> None:
    assert name in [one for row in rows() for one in code(row[0])]


@pytest.mark.parametrize("step", STEPS)
def test_every_step_of_the_study_has_a_row(step: str) -> None:
    assert any(step in row[0].replace("`", "") for row in rows())


def test_every_row_says_what_it_is_here() -> None:
    assert len(rows()) >= 50
    for row in rows():
        assert len(row) == 3, row
        assert row[1], row


def test_a_search_is_promised_once_it_exists() -> None:
    here = {name: row[1] for row in rows() for name in code(row[0])}
    there_is_one = re.search(r"^    search\b", help_of("collection"), re.M) is not None
    for name in (*SCRIPTS[:2], ".env"):
        assert (here[name] == "not yet") is not there_is_one, name


def test_every_command_is_one_that_there_is() -> None:
    found = commands()
    assert len(found) >= 12
    for line in found:
        package, command, *arguments = shlex.split(line)[2:]
        assert re.search(rf"^    {command}\b", help_of(package), re.M), f"{line}: no such command"
        text = help_of(package, command)
        for option in (one for one in arguments if one.startswith("-")):
            assert option in text, f"{line}: no such option"
        for value in (arguments[i + 1] for i, one in enumerate(arguments) if one == "--to"):
            assert value in text, f"{line}: no such value"


def test_every_finding_is_one_that_is_tested() -> None:
    named = {
        name
        for row in rows()
        for part in re.findall(r"findings? ((?:`[^`]+`(?:, )?)+)", row[1])
        for name in code(part)
    }
    assert {"distinctiveness", "handcrafted", "warm_palette"} <= named
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "classifiers").rglob("*.py"))
    sources += (ROOT / "extractors" / "conventions.py").read_text(encoding="utf-8")
    for name in named:
        assert f'"{name}"' in sources, name


def test_every_make_target_is_one_that_there_is() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {one.split()[1] for one in code(PAGE) if one.startswith("make ")}
    assert named
    assert named <= targets


def test_every_file_is_one_that_a_stage_makes_or_that_lies_here() -> None:
    found = {path.rstrip("/") for path in paths()}
    assert {"results/metrics.json", "model", "features/clip.h5", "requirements/core.lock"} <= found
    for path in sorted(found - BY_HAND - THE_USERS):
        assert made(path) or (not path.startswith("results/") and (ROOT / path).exists()), path


def test_every_anchor_of_another_page_is_a_heading_there() -> None:
    found = re.findall(r"\]\(([\w.-]+\.md)#([\w-]+)\)", PAGE)
    assert found
    for page, anchor in found:
        headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.M)
        slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in slugs, f"{page}#{anchor}"
