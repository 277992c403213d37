"""A folder takes another's place whole or not at all, and nothing that was there is lost on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from collection import staging
from collection.staging import copy_folder, staged, swap
from featurestore.errors import DataError
from featurestore.files import held

#: No process has this number.
NOBODY = 2**22 + 1


def fill(folder: Path, text: str) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.txt").write_text(text)
    return folder


def replace(root: Path) -> None:
    with staged(root) as new:
        fill(new, "new")
        swap(new, root)


def text_in(folder: Path) -> str:
    return (folder / "images" / "a.txt").read_text()


def beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["in one step", "in two steps"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to swap, whatever this system can."""
    if request.param == "in two steps":
        monkeypatch.setattr(staging, "_exchanged", lambda one, other: False)
    return str(request.param)


def test_two_folders_change_names_in_one_step_here(tmp_path: Path) -> None:
    one, other = fill(tmp_path / "one", "1"), fill(tmp_path / "other", "2")
    if not staging._exchanged(one, other):
        pytest.skip("this disk cannot")
    assert (text_in(one), text_in(other)) == ("2", "1")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("before", [True, False])
def test_the_new_takes_the_place_of_the_old(tmp_path: Path, before: bool) -> None:
    root = tmp_path / "data"
    if before:
        fill(root, "old")
    replace(root)
    assert text_in(root) == "new"
    assert beside(tmp_path) == ["data"]


@pytest.mark.usefixtures("way")
def test_what_is_not_finished_changes_nothing(tmp_path: Path) -> None:
    root = fill(tmp_path / "data", "old")

    def broken_off() -> None:
        with staged(root) as new:
            fill(new, "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert text_in(root) == "old"
    assert beside(tmp_path) == ["data"]


@pytest.mark.parametrize("stroke", [KeyboardInterrupt, OSError])
def test_a_stroke_between_two_steps_puts_the_old_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stroke: type[BaseException]
) -> None:
    root = fill(tmp_path / "data", "old")
    monkeypatch.setattr(staging, "_exchanged", lambda one, other: False)
    rename = Path.rename

    def struck(self: Path, target: Path) -> Path:
        if not self.name.startswith(".data-old") and "-old-" not in target.name:
            raise stroke
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", struck)
    with pytest.raises(stroke):
        replace(root)
    assert text_in(root) == "old"
    assert beside(tmp_path) == ["data"]


KILLED = """
import os, signal, sys
from pathlib import Path
from collection import staging
root = Path(sys.argv[1])
rename = Path.rename
def struck(self, target):
    made = rename(self, target)
    if sys.argv[2] == "two" and self.name == "data":
        os.kill(os.getpid(), signal.SIGKILL)
    return made
Path.rename = struck
if sys.argv[2] == "two":
    staging._exchanged = lambda one, other: False
with staging.staged(root) as new:
    (new / "images").mkdir(parents=True)
    (new / "images" / "a.txt").write_text("new")
    if sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    staging.swap(new, root)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("when", "kept"), [("before", "old"), ("two", "old"), ("after", "new")])
def test_what_a_killed_run_left_is_put_back_or_cleared_away_by_the_next(
    tmp_path: Path, when: str, kept: str
) -> None:
    root = fill(tmp_path / "data", "old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(root), when], timeout=60)
    assert done.returncode == -signal.SIGKILL
    if when != "after":
        assert beside(tmp_path) != ["data"]
    with staged(root):
        assert text_in(root) == kept
    assert beside(tmp_path) == ["data"]


def test_what_a_running_process_makes_is_left_to_it(tmp_path: Path) -> None:
    root, hexes = fill(tmp_path / "data", "old"), "0" * 32
    (tmp_path / f".data-{os.getpid()}-{hexes}").mkdir()
    (tmp_path / f".data-{NOBODY}-{hexes}").mkdir()
    (tmp_path / f".data-old-{NOBODY}-{hexes}").mkdir()
    (tmp_path / f".data-mine-{hexes}").mkdir()
    with staged(root):
        assert beside(tmp_path) == [f".data-{os.getpid()}-{hexes}", f".data-mine-{hexes}", "data"]


@pytest.mark.usefixtures("way")
def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    disk = fill(tmp_path / "disk" / "pictures", "old")
    root = tmp_path / "project" / "data"
    root.parent.mkdir()
    root.symlink_to(disk)
    replace(root)
    assert root.is_symlink()
    assert text_in(disk) == "new"
    assert (beside(root.parent), beside(disk.parent)) == (["data"], ["pictures"])


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "nothing")
    with (
        pytest.raises(DataError, match=r"data: a link to .*nothing, which is no folder"),
        staged(tmp_path / "data"),
    ):
        pass


def test_a_mount_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = fill(tmp_path / "data", "old")
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == root)
    with pytest.raises(DataError, match="data: a mount, which cannot be replaced"), staged(root):
        pass


def test_errors_of_the_disk_name_the_folder_and_not_its_temporary(tmp_path: Path) -> None:
    root = tmp_path / "data"
    with pytest.raises(FileNotFoundError) as error, staged(root) as new:
        (new / "images" / "a").write_text("x")
    assert error.value.filename == str(root / "images" / "a")


def test_who_decides_meanwhile_waits_and_then_decides_of_the_new(tmp_path: Path) -> None:
    root = fill(tmp_path / "data", "old")
    (root / "metadata").mkdir()
    order: list[str] = []

    def decide() -> None:
        with held(root / "metadata"):
            order.append(text_in(root))
            with pytest.raises(BlockingIOError), held(root / "metadata", wait=False):
                pass

    with staged(root) as new:
        fill(new, "new")
        (new / "metadata").mkdir()
        other = threading.Thread(target=decide)
        other.start()
        time.sleep(0.2)
        assert order == []
        swap(new, root)
    other.join(20)
    assert order == ["new"]


def test_links_are_copied_as_links_and_what_cannot_be_copied_is_named(tmp_path: Path) -> None:
    root = fill(tmp_path / "data", "old")
    (root / "images" / "away").symlink_to("nothing")
    copy_folder(root, tmp_path / "one")
    assert (tmp_path / "one" / "images" / "away").is_symlink()
    os.mkfifo(root / "images" / "pipe")
    with pytest.raises(DataError, match=r"images/pipe: cannot be copied \(.*named pipe"):
        copy_folder(root, tmp_path / "other")
