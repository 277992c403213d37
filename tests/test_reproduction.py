from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from classifiers.reproduction import compare_with_commit, largest_differences, locked_outs
from featurestore.errors import MissingRepository

LOCK = "schema: '2.0'\nstages:\n  fuse:\n    cmd: x\n    outs:\n    - path: features.h5\n      md5: {md5}\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    (tmp_path / "dvc.lock").write_text(LOCK.format(md5="aa"))
    for name in ("metrics", "data"):
        (tmp_path / f"results/{name}.json").write_text(json.dumps({"cv": {"auc": 0.5, "low": [0.1]}}))
    for arguments in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_the_same_bytes_are_said_to_be_the_same(clone: Path) -> None:
    lines, agrees = compare_with_commit(clone)
    assert agrees
    assert lines == ["dvc.lock and every number are those that were committed"]


@pytest.mark.parametrize(("auc", "agrees"), [(0.5000005, True), (0.51, False)])
def test_differences_are_named_and_measured(clone: Path, auc: float, agrees: bool) -> None:
    (clone / "dvc.lock").write_text(LOCK.format(md5="bb"))
    (clone / "results/metrics.json").write_text(json.dumps({"cv": {"auc": auc, "low": [0.1]}}))
    lines, said = compare_with_commit(clone)
    assert said is agrees
    assert lines[0] == "features.h5: other bytes than committed"
    assert lines[1].startswith("results/metrics.json: cv.auc differs by ")


def test_without_a_commit_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingRepository, match=r"no committed dvc\.lock"):
        compare_with_commit(tmp_path)


def test_a_number_on_one_side_only_differs_without_bound() -> None:
    assert largest_differences({"a": 1, "b": 2}, {"a": 1}) == [("b", float("inf"))]
    assert locked_outs("stages: {}") == {}
