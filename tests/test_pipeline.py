"""The whole path through DVC, on a small study in a repository of its own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, encoded, picture

QUICK = {
    "rf": {"n_estimators": 10},
    "extratrees": {"n_estimators": 10},
    "xgb": {"n_estimators": 10},
    "hgb": {"max_iter": 10},
    "mlp": {"max_iter": 10},
}


class Repository:
    """A clone of the pipeline with other data."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
        self.env = {
            **os.environ,
            "PATH": os.pathsep.join(paths),
            "PYTHONPATH": str(ROOT),
            "KYARA_CACHE": str(cache),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    def run(self, *command: str, fails: bool = False) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert (done.returncode != 0) is fails, done.stdout
        return done.stdout

    def stages(self, *command: str) -> list[str]:
        """Names of the stages that a command ran."""
        return re.findall(r"^Running stage '(.+)':", self.run(*command), flags=re.MULTILINE)

    def digest(self, name: str) -> str:
        return hashlib.sha256((self.root / name).read_bytes()).hexdigest()


def draw(root: Path, label: str, seed: int, series: int) -> Path:
    """Villains are a little darker, so that there is something to learn."""
    pixels = picture(seed, (64, 64)).astype(float) * (0.7 if label == "villain" else 1.0)
    file = root / "data" / "images" / label / f"series{series}" / f"{seed}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encoded(pixels.astype(np.uint8)))
    return file


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "clone"
    root.mkdir()
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(
        ROOT / "extractors" / "zoo", root / "extractors" / "zoo", ignore=lambda *_: ["__pycache__"]
    )
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["evaluation"].update(folds=3, bootstrap=100)
    for head, quick in QUICK.items():
        params["heads"][head].update(quick)
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for seed in range(48):
        draw(root, ("hero", "villain")[seed % 2], seed, seed // 2 % 16)
    made = Repository(root, tmp_path / "rows")
    made.run("git", "init", "-q")
    made.run("git", "config", "user.name", "A Student")
    made.run("git", "config", "user.email", "student@example.org")
    made.run("dvc", "init", "-q")
    made.run("dvc", "config", "core.analytics", "false")
    made.run("dvc", "add", "-q", "data")
    made.run("dvc", "repro", "-q")
    made.run("git", "add", "-A")
    made.run("git", "commit", "-qm", "first run")
    return made


def test_a_study_runs_repeats_and_takes_three_more_pictures(repository: Repository) -> None:
    r = repository
    for name in (
        "results/metrics.json",
        "results/leaderboard.md",
        "results/predictions.csv",
        "model/card.json",
    ):
        assert (r.root / name).is_file(), name

    # again: nothing; by force: everything, and the same bytes
    assert r.stages("dvc", "repro") == []
    assert len(r.stages("dvc", "repro", "--force")) == 8
    assert r.run("git", "status", "--porcelain") == ""

    # three more pictures cost three rows
    before = r.digest("features/design.h5")
    new = [draw(r.root, "hero", seed, 3) for seed in (100, 101, 102)]
    assert "design: 3 rows extracted, 48 reused" in r.run("dvc", "repro", "fuse")
    assert r.digest("features/design.h5") != before
    for file in new:
        file.unlink()
    assert "design: 0 rows extracted, 48 reused" in r.run("dvc", "repro", "fuse")
    assert r.digest("features/design.h5") == before

    # stores and cache gone: computed again, the same bytes
    shutil.rmtree(r.root / "features")
    shutil.rmtree(r.root.parent / "rows")
    assert "design: 48 rows extracted, 0 reused" in r.run("dvc", "repro", "--force", "-s", "extract@design")
    assert r.digest("features/design.h5") == before


def test_another_head_runs_only_what_depends_on_it(repository: Repository) -> None:
    r = repository
    assert r.stages("dvc", "exp", "run", "-S", "model=xgb") == ["check", "train", "evaluate"]
    said = r.run("dvc", "metrics", "diff")
    assert re.search(r"metrics\.json +head +logreg +xgb", said)
    assert re.search(r"metrics\.json +cv\.accuracy", said)
    assert "[" not in said, "intervals would make the table unreadable"
    r.run("git", "checkout", "-q", ".")

    for override, said in {
        "model=nosuch": "kyara: error: model: no 'nosuch'; one of: convention, dummy, extratrees",
        "features=[nosuch]": "kyara: error: features: no 'nosuch'; one of: design",
    }.items():
        assert said in r.run("dvc", "exp", "run", "-S", override, fails=True)
        r.run("git", "checkout", "-q", ".")
