"""The whole path through DVC, on a small study in a repository of its own."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import ROOT, encoded, picture
from zoo_weights import MADE

from classifiers.explanation.atlas import read_map
from featurestore.dataset import read_dataset
from featurestore.store import FeatureStore

QUICK = {
    "rf": {"n_estimators": 10},
    "extratrees": {"n_estimators": 10},
    "xgb": {"n_estimators": 10},
    "hgb": {"max_iter": 10},
    "mlp": {"max_iter": 10},
}


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Nested blocks, key by key."""
    found = dict(old)
    for key, value in new.items():
        found[key] = merged(found.get(key) or {}, value) if isinstance(value, dict) else value
    return found


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
            "KYARA_WEIGHTS": str(cache.parent / "published"),
            "XDG_CACHE_HOME": str(cache.parent),
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

    def change(self, **params: Any) -> None:
        """Edit params.yaml."""
        file = self.root / "params.yaml"
        file.write_text(yaml.safe_dump(merged(yaml.safe_load(file.read_text()), params), sort_keys=False))

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
def repository(template: Path, tmp_path: Path) -> Repository:
    """A repository in which `dvc repro` was run and committed; each test has its own."""
    shutil.copytree(template / "clone", tmp_path / "clone", symlinks=True)
    shutil.copytree(template / "rows", tmp_path / "rows")
    return Repository(tmp_path / "clone", tmp_path / "rows")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("template")
    root = tmp_path / "clone"
    root.mkdir()
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(
        ROOT / "extractors" / "zoo", root / "extractors" / "zoo", ignore=lambda *_: ["__pycache__"]
    )
    for name in ("conventions.py", "edits.py"):
        shutil.copy(ROOT / "extractors" / name, root / "extractors")
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["evaluation"].update(bootstrap=100, permutations=20)
    params["explanation"].update(permutations=20, edited=6, draws=99)
    params["cv"].update(folds=3, repeats=1)
    params["runtime"]["workers"] = 1  # the tests themselves use the cores
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
    return tmp_path


def test_a_study_runs_repeats_and_takes_three_more_pictures(repository: Repository) -> None:
    r = repository
    for name in (
        "results/metrics.json",
        "results/leaderboard.md",
        "results/predictions.csv",
        "results/oof.parquet",
        "results/shortcuts.csv",
        "results/leakage.csv",
        "results/leakage.png",
        "results/plots/learning_curve.png",
        "results/explanation/importance.csv",
        "results/explanation/counterfactuals.csv",
        "results/findings.md",
        "results/report.html",
        "results/research_report.md",
        "results/model_card.md",
        "logs/times.csv",
        "model/card.json",
    ):
        assert (r.root / name).is_file(), name
    shown = read_map(r.root / "results/explanation/map.parquet").keys
    index = read_dataset(r.root / "dataset.csv")
    assert set(shown) == set(index[index["split"] != "test"]["key"]), "the test split is on no map"

    # again: nothing; by force: everything, and the same bytes
    assert r.stages("dvc", "repro") == []
    assert len(r.stages("dvc", "repro", "--force")) == 13
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


def extracted(said: str) -> int:
    """Rows that a run of the stage says it computed; the stage must have run."""
    (n,) = re.findall(r"^design: (\d+) rows extracted", said, flags=re.MULTILINE)
    return int(n)


def test_what_is_deleted_or_damaged_comes_back_the_same(repository: Repository) -> None:
    r = repository
    lock, store = r.digest("dvc.lock"), r.digest("features/design.h5")
    rows = r.root.parent / "rows"

    # only the stores: every row is in the cache
    shutil.rmtree(r.root / "features")
    assert extracted(r.run("dvc", "repro")) == 0
    assert (r.digest("dvc.lock"), r.digest("features/design.h5")) == (lock, store)

    # the stores and the cache: every row is computed
    shutil.rmtree(r.root / "features")
    shutil.rmtree(rows)
    assert extracted(r.run("dvc", "repro")) == 48
    assert (r.digest("dvc.lock"), r.digest("features/design.h5")) == (lock, store)

    # a flipped byte in a segment and in the store: named, set aside, and only those rows computed
    segment = sorted(rows.rglob("*.h5"))[0]
    with FeatureStore(segment) as reader:
        n_lost = len(reader)
    for file in (segment, r.root / "features" / "design.h5"):
        file.chmod(0o644)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 16
        file.write_bytes(data)
    said = r.run("python", "-m", "featurestore", "verify", fails=True)
    assert f"{segment}: its sha256 is not its name" in said
    assert "features/design.h5: its bytes are not those that were written" in said
    r.run("python", "-m", "featurestore", "repair")
    assert extracted(r.run("dvc", "repro")) == n_lost
    assert (r.digest("dvc.lock"), r.digest("features/design.h5")) == (lock, store)
    assert "0 damaged" in r.run("python", "-m", "featurestore", "verify")
    assert r.run("git", "status", "--porcelain") == ""

    # other params, and back
    r.change(extractors={"design": {"fit": "pad"}})
    assert extracted(r.run("dvc", "repro", "fuse")) == 48
    r.change(extractors={"design": {"fit": "crop"}})
    assert extracted(r.run("dvc", "repro", "fuse")) == 0
    assert r.digest("features/design.h5") == store


def test_revisions_are_compared_and_name_what_gc_keeps(repository: Repository) -> None:
    r = repository
    r.change(extractors={"design": {"fit": "pad"}})
    r.run("dvc", "repro", "fuse")
    said = r.run("python", "-m", "featurestore", "diff", "HEAD")
    assert "design: HEAD -> the working tree" in said
    assert "  spec params.fit: crop -> pad" in said
    assert re.search(r"rows: 0 added, 0 removed, \d+ changed", said)
    r.run("git", "commit", "-qam", "pad")
    said = r.run("python", "-m", "featurestore", "diff", "HEAD~1", "HEAD")
    assert "  spec params.fit: crop -> pad" in said
    assert "nosuch" in r.run("python", "-m", "featurestore", "diff", "nosuch", fails=True)
    r.run("dvc", "exp", "run", "-q", "-n", "squashed", "-S", "extractors.design.fit=squash", "fuse")
    said = r.run("python", "-m", "featurestore", "diff", "HEAD", "squashed")
    assert "  spec params.fit: pad -> squash" in said
    r.run("git", "checkout", "-q", ".")
    r.run("dvc", "checkout", "-q", "--force")

    gc = ("python", "-m", "featurestore", "gc", "--older-than", "0")
    assert "gc: 0 files" in r.run(*gc, "--keep-all")
    assert "gc: 0 files" in r.run(*gc, "--keep", "HEAD~1", "HEAD", "squashed")
    said = r.run(*gc, "--keep", "HEAD", "squashed")  # the rows of `crop` are of no use to it
    assert "not named" in said
    r.run("git", "checkout", "-q", "HEAD~1", "--", "params.yaml", "dvc.lock")
    r.run("dvc", "checkout", "-q")
    assert extracted(r.run("dvc", "repro", "--force", "-s", "extract@design")) == 0, (
        "the store still had them"
    )


def test_two_queue_workers_share_the_cache(repository: Repository) -> None:
    r = repository
    r.run("dvc", "exp", "run", "--queue", "-S", "extractors.design.fit=pad", "-S", "model=logreg,knn")
    r.run("dvc", "queue", "start", "-j", "2")
    deadline = time.monotonic() + 240
    while (said := r.run("dvc", "queue", "status")).count("Success") < 2:
        assert "Failed" not in said, said
        assert time.monotonic() < deadline, said
        time.sleep(2)
    names = re.findall(r"^[0-9a-f]{7} +(\S+)", said, flags=re.MULTILINE)
    counts = [extracted(r.run("dvc", "queue", "logs", name)) for name in names]
    assert len(counts) == 2
    assert 48 <= sum(counts) <= 96
    r.run("dvc", "queue", "stop", "--kill")


def small_resnet(**training: object) -> dict[str, object]:
    quick = {"probe_epochs": 2, "tune_epochs": 1, "batch_size": 8, **training}
    return {"weights": "none", "size_px": 32, "training": quick}


def test_a_network_learns_is_scored_on_val_and_joins_others(repository: Repository) -> None:
    r = repository
    r.change(features=["resnet18"], extractors={"resnet18": small_resnet()})
    said = r.run("dvc", "repro")
    assert "resnet18: learned in 3 epochs from" in said
    metrics = json.loads((r.root / "results" / "metrics.json").read_text())
    assert "resnet18 learned from the train split" in metrics["cv"]["reason"]
    assert 0 <= metrics["val"]["auc"] <= 1
    assert 0 <= metrics["softmax"]["resnet18"]["auc"] <= 1
    with (r.root / "results" / "leaderboard.csv").open(newline="") as stream:
        board = {row["head"]: row["scored_on"] for row in csv.DictReader(stream)}
    assert board["resnet18 softmax"] == "val"
    assert set(board.values()) == {"val"}
    history = (r.root / "results" / "plots" / "training.csv").read_text().splitlines()
    assert len(history) == 4
    assert (r.root / "weights" / "resnet18" / "history.csv").is_file()

    # the same again costs nothing, not even where the weights were lost
    assert r.stages("dvc", "repro") == []
    shutil.rmtree(r.root / "weights")
    assert "had learned from the same" in r.run("dvc", "repro", "--force", "-s", "prepare@resnet18")

    # an extractor that is not selected makes nothing run again behind the joining
    r.change(features=["design"])
    assert "compare" in r.stages("dvc", "repro")
    (r.root / "weights" / "resnet18" / "history.csv").write_text("another\n")
    assert not {"train", "evaluate", "compare"} & set(r.stages("dvc", "repro"))

    # joined with the design features, each with a head of its own
    r.change(features=["design", "resnet18"], fusion={"method": "late"})
    r.run("dvc", "repro")
    card = json.loads((r.root / "model" / "card.json").read_text())
    assert card["extractors"] == ["design", "resnet18"]
    assert card["fusion"]["method"] == "late"


def test_missing_weights_are_one_line_and_made_ones_run_to_metrics(repository: Repository) -> None:
    r = repository
    for name, size in {"clip": "933 MB", "vggface2": "112 MB", "arcface": "289 MB"}.items():
        said = r.run("dvc", "exp", "run", "-S", f"features=[{name}]", fails=True)
        lines = [line for line in said.splitlines() if line.startswith("kyara: error")]
        assert len(lines) == 1, said
        for part in (name, size, "https://", f"python -m extractors fetch {name}"):
            assert part in lines[0]
        assert (r.root / "results" / "metrics.json").is_file(), "earlier results stay"
        r.run("git", "checkout", "-q", ".")

    context, small = MADE["arcface"](r.root.parent / "published")
    (name,) = context.weights
    digest = context.weights[name].sha256
    assert small == {}
    override = ["-S", "features=[arcface]", "-S", f"extractors.arcface.sha256={digest}"]
    said = r.run("dvc", "exp", "run", *override)
    assert "arcface: 48 rows extracted" in said
    metrics = json.loads((r.root / "results" / "metrics.json").read_text())
    assert metrics["coverage"][0]["extractor"] == "arcface"

    file = r.root.parent / "published" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    said = r.run("dvc", "repro", "--force", "-s", "extract@arcface", fails=True)
    assert f"{file}: sha256" in said
    assert "that arcface asks for" in said


def test_another_head_runs_only_what_depends_on_it(repository: Repository) -> None:
    r = repository
    ran = r.stages("dvc", "exp", "run", "-S", "model=xgb")
    assert ran == ["check", "train", "evaluate", "audit", "explain", "report"]
    said = r.run("python", "-m", "classifiers", "diff", "HEAD", "workspace")
    assert re.search(r"^logreg \(HEAD, \w{7}\) -> xgb \(workspace\)$", said, re.MULTILINE)
    assert "cv (train and val, out of fold)" in said
    assert "experiments: 2 different results in this repository's history (2 heads)" in r.run(
        "python", "-m", "classifiers", "looks"
    )
    said = r.run("dvc", "metrics", "diff")
    assert re.search(r"metrics\.json +head +logreg +xgb", said)
    assert re.search(r"metrics\.json +cv\.brier", said)
    assert "[" not in said, "intervals would make the table unreadable"
    r.run("git", "checkout", "-q", ".")

    for override, said in {
        "model=nosuch": "kyara: error: model: no 'nosuch'; one of: convention, dummy, extratrees",
        "features=[nosuch]": "kyara: error: features: no 'nosuch'; one of: arcface, clip, design",
    }.items():
        assert said in r.run("dvc", "exp", "run", "-S", override, fails=True)
        r.run("git", "checkout", "-q", ".")


def test_the_way_back_leads_to_the_last_commit_and_costs_no_picture(
    repository: Repository, tmp_path: Path
) -> None:
    """Also where the committed pictures and their outputs were never here before."""
    author, storage = repository, tmp_path / "storage"
    author.run("dvc", "remote", "add", "demo", str(storage))
    author.run("git", "commit", "-qam", "storage")
    author.run("dvc", "push", "-q", "-r", "demo", "data.dvc")
    r = Repository(tmp_path / "clone of it", tmp_path / "rows")
    author.run("git", "clone", "-q", ".", str(r.root))
    back = (
        "make", "--no-print-directory", "-f", str(ROOT / "Makefile"), "-o", "setup", f"VENV={sys.prefix}", "back",
    )  # fmt: skip

    mine = draw(r.root, "hero", 99, 0)
    r.change(model="xgb")
    before = r.digest("data.dvc"), r.digest("params.yaml")
    assert "data/ holds files that no commit has: nothing was changed" in r.run(*back, fails=True)
    assert mine.is_file(), "a picture that nothing else has is not given up"
    assert (r.digest("data.dvc"), r.digest("params.yaml")) == before

    r.run("dvc", "add", "-q", "data")
    r.run(*back)
    assert not mine.exists()
    assert len(list((r.root / "data").rglob("*.png"))) == 48
    assert r.run("git", "status", "--porcelain") == ""
    assert yaml.safe_load((r.root / "params.yaml").read_text())["model"] != "xgb"


def test_the_tables_come_out_the_same_without_the_images(repository: Repository, tmp_path: Path) -> None:
    """The steps of docs/replication.md."""
    author, storage = repository, tmp_path / "storage"
    shared = ("dataset.csv", "features.h5", "edits.parquet", "learned", "results/quarantine.csv")
    author.run("dvc", "remote", "add", "-d", "storage", str(storage))
    author.run("git", "commit", "-qam", "storage")
    author.run("dvc", "push", "-q", *shared)
    pushed = {p.stat().st_size for p in storage.rglob("*") if p.is_file()}
    pictures = {p.read_bytes() for p in (author.root / "data").rglob("*.png")}
    assert pictures
    assert pushed
    assert not pictures & {p.read_bytes() for p in storage.rglob("*") if p.is_file()}, "no picture was pushed"

    reader = Repository(tmp_path / "reader", tmp_path / "shared-cache")
    author.run("git", "clone", "-q", ".", str(reader.root))
    (tmp_path / "shared-cache").mkdir()
    shutil.copytree(tmp_path / "rows" / "ring", tmp_path / "shared-cache" / "ring")
    reader.run("dvc", "pull", "-q", *shared)
    assert not (reader.root / "data").exists()
    recipe = (ROOT / "Makefile").read_text().partition("\ntables:")[2].partition("\n\n")[0]
    commands = re.findall(r"for command in (.+);", recipe)[0].split()
    assert commands[0] == "train"
    for command in commands:
        reader.run("python", "-m", "classifiers", command)
    assert reader.run("git", "status", "--porcelain", "results") == ""
    for name in ("importance.csv", "counterfactuals.csv", "shap.parquet", "map.parquet"):
        name = f"results/explanation/{name}"
        assert reader.digest(name) == author.digest(name), name
