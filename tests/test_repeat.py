"""Two clean runs of the whole pipeline give the same bytes, whatever differs around them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, encoded, picture

#: Every stage's command in one process: what they import takes longer than what they do.
RUN = """
import importlib, sys
from featurestore import console
for command in (
    "featurestore index", "extractors prepare design", "extractors run design", "featurestore fuse",
    "classifiers train", "classifiers evaluate", "classifiers audit", "classifiers compare",
    "extractors edit", "classifiers explain", "classifiers findings", "classifiers report",
):
    package, *arguments = command.split()
    if code := console.run(importlib.import_module(f"{package}.__main__").main, arguments):
        sys.exit(code)
"""
QUICK = {"n_estimators: 300": "n_estimators: 10", "n_estimators: 200": "n_estimators: 10"}
QUICK |= {
    "max_iter: 200": "max_iter: 10",
    "max_iter: 300": "max_iter: 10",
    "bootstrap: 1000": "bootstrap: 100",
    "permutations: 40": "permutations: 20",
    "repeats: 5": "repeats: 2",
    "edited: 40": "edited: 6",
    "draws: 999": "draws: 99",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for seed in range(48):
        label = ("hero", "villain")[seed % 2]
        pixels = picture(seed, (64, 64)) // (1 + seed % 2)
        file = root / "images" / label / f"series{seed // 2 % 16}" / f"{seed}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(pixels))
    return root


def clean_run(root: Path, data: Path, model: str, number: int) -> dict[str, str]:
    """Run everything in a new folder with an empty cache; file -> sha256 of all that came of it."""
    study = root / f"study {number}"
    study.mkdir()
    files = sorted(data.rglob("*.png"))
    for file in files[::-1] if number % 2 else files:  # a folder lists its files in another order then
        target = study / "data" / file.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    text = (ROOT / "params.yaml").read_text().replace("\nmodel: logreg", f"\nmodel: {model}")
    for slow, quick in QUICK.items():
        text = text.replace(slow, quick)
    text = re.sub(r"^  workers: 0", f"  workers: {1 + number % 3}", text, flags=re.MULTILINE)
    text = re.sub(r"^  batch_size:$", f"  batch_size: {3 + number}", text, flags=re.MULTILINE)
    (study / "params.yaml").write_text(text)
    env = {
        **os.environ, "PYTHONPATH": str(ROOT), "KYARA_CACHE": str(root / f"cache {number}"),
        "PYTHONHASHSEED": str(number), "TZ": ("UTC", "Asia/Tokyo")[number % 2], "HOME": str(study),
        "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(root / "matplotlib")),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", RUN], cwd=study, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = (
        "dataset.csv",
        "features.h5",
        "features",
        "edits.parquet",
        "model",
        "results",
        "weights",
        "learned",
    )
    found = [f for name in made for f in sorted([study / name, *(study / name).rglob("*")]) if f.is_file()]
    return {f.relative_to(study).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in found}


@pytest.mark.parametrize(
    ("n_runs", "models"),
    [(2, ["xgb"]), pytest.param(20, ["logreg", "rf", "mlp", "hgb"], marks=pytest.mark.slow)],
)
@pytest.mark.timeout(3000)
def test_clean_runs_give_the_same_bytes(tmp_path: Path, data: Path, n_runs: int, models: list[str]) -> None:
    n_each = n_runs // len(models)
    for model in models:
        (tmp_path / model).mkdir()
        first = clean_run(tmp_path / model, data, model, 0)
        assert {
            "features/design.h5",
            "features.h5",
            "results/metrics.json",
            "model/card.json",
        } <= first.keys()
        assert {"results/predictions.csv", "results/plots/roc.png", "results/leaderboard.csv"} <= first.keys()
        assert {"results/oof.parquet", "results/leakage.png", "results/shortcuts.csv"} <= first.keys()
        assert {"edits.parquet", "results/explanation/importance.png", "results/findings.csv"} <= first.keys()
        assert {"results/report.html", "results/research_report.md"} <= first.keys()
        for number in range(1, n_each):
            assert clean_run(tmp_path / model, data, model, number) == first, f"{model}, run {number}"
