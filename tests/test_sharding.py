"""Parts of the images in processes of their own, which know nothing of each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, encoded, picture

from extractors.sharding import Shard, part_of
from featurestore.cache import segments_in

N = 240


def test_parts_are_alike_in_size_and_every_image_is_in_one() -> None:
    keys = {f"{i * 7919 % 2**20:012x}" + "0" * 52: Path(f"{i}.png") for i in range(4000)}
    parts = [part_of(keys, Shard(i, 4)) for i in range(4)]
    assert sorted(key for part in parts for key in part) == sorted(keys)
    assert all(900 < len(part) < 1100 for part in parts)
    more = {**keys, "f" * 64: Path("new.png")}
    assert [set(part_of(more, Shard(i, 4))) - {"f" * 64} for i in range(4)] == [set(part) for part in parts]


@pytest.mark.parametrize("text", ["4/4", "-1/4", "1", "a/b", "0/0", "1/4/2", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no part of the images|parts of 4 are 0/4 to 3/4"):
        Shard.parsed(text)


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "extractors", "run", "design", *more],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> str:
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return out


def test_four_parts_at_once_fill_the_cache_for_the_run_that_writes_the_store(
    workspace: Path, command: Callable[..., subprocess.CompletedProcess[str]], own_cache: Path, tmp_path: Path
) -> None:
    for label in ("hero", "villain"):
        for i in range(N // 2):
            seed = 1000 + i + N * (label == "hero")
            file = workspace / "data" / "images" / label / f"series{i % 12}" / f"more{i}.png"
            file.write_bytes(encoded(picture(seed, (64, 64))))
    params = workspace / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("\n  batch_size:", "\n  batch_size: 1", 1))
    assert params.read_text() != text
    for step in (("featurestore", "index"), ("extractors", "prepare", "design")):
        done = command(*step)
        assert done.returncode == 0, done.stderr
    parts = [start(workspace, "--shard", f"{i}/4") for i in range(4)]
    folder = own_cache / "design"
    deadline = time.monotonic() + 120
    while not (folder.exists() and any(len(segments_in(f)) > 2 for f in folder.iterdir())):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    parts[2].send_signal(signal.SIGTERM)
    _, said = parts[2].communicate(timeout=120)
    for i in (0, 1, 3):
        assert f"design, shard {i}/4:" in ended(parts[i])
    assert not (workspace / "features" / "design.h5").exists()
    if parts[2].returncode:  # it may have been done already
        assert parts[2].returncode == 143
        assert "the same command goes on" in said or "terminated" in said
    again = ended(start(workspace, "--shard", "2/4"))
    assert "design, shard 2/4:" in again
    out = ended(start(workspace))
    assert f"design: 0 rows extracted, {N + 24} reused ({N + 24} from the row cache, 0 from the store)" in out
    first = (workspace / "features" / "design.h5").read_bytes()
    (workspace / "features" / "design.h5").unlink()
    done = command("extractors", "run", "design", env={"KYARA_CACHE": str(tmp_path / "another")})
    assert f"design: {N + 24} rows extracted" in done.stdout
    assert (workspace / "features" / "design.h5").read_bytes() == first


def test_the_command_says_which_parts_there_are(
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = command("extractors", "run", "design", "--shard", "4/4")
    assert done.returncode == 2
    assert "parts of 4 are 0/4 to 3/4 (of Slurm: --array=0-3, $SLURM_ARRAY_TASK_ID/4)" in done.stderr
