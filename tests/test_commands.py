"""The command lines as a user meets them: one line, an exit code, and nothing heavy for --help."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import ROOT, encoded, picture
from fakes import sealed

from featurestore import console
from featurestore.errors import KyaraError, MissingRepository, UsageError
from featurestore.rows import StoreRows, pack_keys
from featurestore.spec import FeatureSpec
from featurestore.store import FeatureStore, write_store

PACKAGES = ("featurestore", "extractors", "classifiers", "collection")
HEAVY = ("numpy", "h5py", "pandas", "torch", "sklearn", "dvc", "numba", "cv2", "scipy")

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The error line; fails if there is a traceback or more than one."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("kyara: error: ")
    return lines[0]


@pytest.mark.parametrize(
    "arguments", [*([p, "--help"] for p in PACKAGES), ["extractors", "ls"], ["classifiers", "ls"]]
)
def test_help_and_listing_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = {['x', *arguments[1:]]!r}\n"
        "try:\n"
        f"    runpy.run_module({arguments[0]!r}, run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
        f"heavy = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_threads_are_pinned_before_numpy_is_there(package: str) -> None:
    code = (
        f"import os, sys, importlib; importlib.import_module('{package}.__main__');"
        "assert 'numpy' not in sys.modules; assert os.environ['OPENBLAS_NUM_THREADS'] == '1'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_index_is_clean_and_writes_its_three_files(command: Command, workspace: Path) -> None:
    done = command("featurestore", "index")
    assert (done.returncode, done.stderr) == (0, "")
    assert "24 images (12 hero, 12 villain) in 12 groups; split by series" in done.stdout
    for name in ("dataset.csv", "results/quarantine.csv", "results/data.json"):
        assert (workspace / name).is_file()


def test_a_wrong_param_ends_with_two(command: Command, workspace: Path) -> None:
    text = (workspace / "params.yaml").read_text()
    (workspace / "params.yaml").write_text(text.replace("\nmodel: logreg", "\nmodel: nosuch"))
    done = command("featurestore", "check")
    assert done.returncode == 2
    assert "model: no 'nosuch'; one of: convention, dummy, extratrees, hgb, knn, lda, logreg" in one_line(
        done
    )


def test_an_unknown_extractor_ends_with_two(command: Command) -> None:
    done = command("extractors", "run", "nosuch")
    assert done.returncode == 2
    assert "no 'nosuch'; one of: arcface, clip, design" in one_line(done)


def test_too_many_bad_pictures_end_with_three_and_are_listed(command: Command, workspace: Path) -> None:
    for i in range(4):
        (workspace / f"data/images/hero/bad{i}.jpg").write_bytes(b"no picture")
    done = command("featurestore", "index")
    assert done.returncode == 3
    assert "those that results/quarantine.csv lists" in one_line(done)
    assert (workspace / "results/quarantine.csv").read_text().count("not_an_image") == 4


def test_a_corrupt_picture_within_the_limit_ends_with_zero(command: Command, workspace: Path) -> None:
    (workspace / "data/images/hero/bad.jpg").write_bytes(encoded(picture(9), "JPEG")[:100])
    done = command("featurestore", "index")
    assert done.returncode == 0
    assert "1 files in results/quarantine.csv" in done.stdout


def test_no_data_ends_with_four(command: Command, workspace: Path) -> None:
    (workspace / "data").rename(workspace / "elsewhere")
    done = command("featurestore", "index")
    assert done.returncode == 4
    assert "dvc pull -r demo data.dvc" in one_line(done)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["extractors", "run", "design"], "dvc repro prepare@design"),
        (["featurestore", "fuse"], "dvc repro index"),
        (["featurestore", "show", "features/design.h5"], "dvc repro"),
        (["classifiers", "train"], "dvc repro"),
        (["classifiers", "final"], "dvc repro"),
    ],
)
def test_a_missing_earlier_step_ends_with_four_and_names_it(
    command: Command, arguments: list[str], said: str
) -> None:
    done = command(*arguments)
    assert done.returncode == 4
    assert said in one_line(done)


def test_outside_a_repository_params_are_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "featurestore", "check"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 4
    assert "run kyara's commands in the root of its repository" in one_line(done)


def test_ls_and_show_describe_stores_and_pictures(command: Command, workspace: Path) -> None:
    assert "no stores yet" in command("featurestore", "ls").stdout
    command("featurestore", "index")
    rows = (workspace / "dataset.csv").read_text().splitlines()[1:]
    keys = [row.split(",")[0] for row in rows]
    values = np.arange(48, dtype=np.float32).reshape(24, 2)
    spec = FeatureSpec("toy", 1, {}, ("a", "b"))
    write_store(
        workspace / "features/toy.h5", spec, StoreRows(pack_keys(keys), values, np.zeros((24, 1), np.uint8))
    )
    listed = command("featurestore", "ls")
    assert f"{spec.fingerprint[:16]}" in listed.stdout
    path = rows[3].split(",")[1]
    for what in (keys[3], keys[3][:10], path, f"data/{path}", str(workspace / "data" / path)):
        shown = command("featurestore", "show", what)
        assert shown.returncode == 0, shown.stderr
        assert "toy: ok" in shown.stdout
        assert f"{6:.6g}" in shown.stdout
    assert spec.to_json() in command("featurestore", "show", "features/toy.h5").stdout
    nothing = command("featurestore", "show", "ffff")
    assert nothing.returncode == 2
    assert "no image of dataset.csv" in one_line(nothing)


def test_ls_names_a_damaged_store(command: Command, workspace: Path) -> None:
    (workspace / "features").mkdir()
    (workspace / "features/toy.h5").write_bytes(b"no store")
    done = command("featurestore", "ls")
    assert done.returncode == 3
    assert "features/toy.h5" in one_line(done)


def test_doctor_says_what_there_is(command: Command, own_cache: Path) -> None:
    done = command("extractors", "doctor")
    for word in ("Python", "cores", "memory", "disk", "GPU", "libGL", "extra clip", "weights", "row cache"):
        assert word in done.stdout
    assert str(own_cache) in done.stdout
    assert "NO  git repository   no .git here" in done.stdout
    assert done.returncode == 4
    quiet = command("extractors", "doctor", "--quiet")
    assert "Python" not in quiet.stdout


def test_a_reader_that_goes_away_is_no_error(command: Command, workspace: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m classifiers ls | head -1",
        shell=True, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("x"), 2), (MissingRepository("x"), 4), (KyaraError("x"), 1)],
)
def test_exit_codes_come_from_the_tree(
    error: KyaraError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> None:
        raise error

    assert console.run(fail, []) == code
    assert capsys.readouterr().err == "kyara: error: x\n"


def _empty_class(root: Path) -> None:
    (root / "data/images/mentor").mkdir()


def _one_class(root: Path) -> None:
    shutil.rmtree(root / "data/images/villain")


def _small_class(root: Path) -> None:
    (root / "data/images/mentor").mkdir()
    for i in range(2):
        (root / f"data/images/mentor/{i}.png").write_bytes(encoded(picture(900 + i)))


def _row_without_a_file(root: Path) -> None:
    (root / "data/metadata").mkdir()
    (root / "data/metadata/characters.csv").write_text("file,series\nimages/hero/gone.png,Sky\n")


def _two_classes_one_picture(root: Path) -> None:
    shutil.copy(root / "data/images/hero/series1/hero1.png", root / "data/images/villain/same.png")


def _label_that_is_no_text(root: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(root / "data/images") + b"/bad\xff"))
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded(picture(901)))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_empty_class, "class 'mentor': no image in"),
        (_one_class, "classes: hero; it takes two or more"),
        (_small_class, "class 'mentor' (2 images in 2 groups) leaves"),
        (
            _row_without_a_file,
            "row 1: no file 'images/hero/gone.png' under the data folder; correct or delete",
        ),
        (
            _two_classes_one_picture,
            "the same picture is 'hero' in images/hero/series1/hero1.png and 'villain' in",
        ),
        (_label_that_is_no_text, "class folder 'bad%FF': no printable UTF-8; rename it"),
    ],
)
def test_bad_data_end_with_three_and_one_line(
    command: Command, workspace: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(workspace)
    done = command("featurestore", "index")
    assert done.returncode == 3, done.stderr
    assert said in one_line(done)


def _stores(root: Path, command: Command, spoil: Callable[[StoreRows], None]) -> None:
    """Extract, then replace the store of `design` by one that ``spoil`` was at, and join it."""
    for arguments in (
        ["featurestore", "index"],
        ["extractors", "prepare", "design"],
        ["extractors", "run", "design"],
    ):
        assert command(*arguments).returncode == 0
    file = root / "features/design.h5"
    with FeatureStore(file) as store:
        rows, spec = store.rows(), store.spec
    spoil(rows)
    write_store(file, spec, rows)


def test_a_row_that_says_ok_and_is_not_finite_ends_with_three(command: Command, workspace: Path) -> None:
    def unknown(rows: StoreRows) -> None:
        rows.values[4], rows.status[4] = np.nan, 1

    _stores(workspace, command, unknown)
    # only a writer other than kyara's can write such a row: claim ok behind its back
    with h5py.File(workspace / "features/design.h5", "r+") as file:
        file["status"][4] = 0
    sealed(workspace / "features/design.h5")
    done = command("featurestore", "fuse")
    assert done.returncode == 3
    assert "says ok and is not finite in" in one_line(done)


def test_a_store_of_another_version_ends_with_three(command: Command, workspace: Path) -> None:
    _stores(workspace, command, lambda _: None)
    store = workspace / "features/design.h5"
    store.write_bytes(store.read_bytes().replace(b"kyara-store 2", b"kyara-store 3"))
    done = command("featurestore", "fuse")
    assert done.returncode == 3
    assert "format version 3, this kyara reads 2" in one_line(done)


def test_more_folds_than_a_class_has_pictures_end_with_three(command: Command, workspace: Path) -> None:
    text = (workspace / "params.yaml").read_text()
    (workspace / "params.yaml").write_text(text.replace("folds: 5", "folds: 40"))
    _stores(workspace, command, lambda _: None)
    assert command("featurestore", "fuse").returncode == 0
    done = command("classifiers", "compare")
    assert done.returncode == 3
    *warned, said = done.stderr.splitlines()
    assert said.startswith("kyara: error: class 'hero' has 10 images")
    assert "cv.folds" in said
    assert all("never varies" in line for line in warned)  # no scar is in these random pictures


@pytest.mark.parametrize("package", ["extractors", "classifiers"])
def test_outside_git_what_needs_it_ends_with_four(command: Command, workspace: Path, package: str) -> None:
    done = command(
        *{"extractors": ("extractors", "doctor"), "classifiers": ("classifiers", "compare-lock")}[package]
    )
    assert done.returncode == 4
    assert "git" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_environment_it_says_how_to_get_one(workspace: Path) -> None:
    code = (
        "import sys; sys.modules['numpy'] = None; sys.modules['yaml'] = None\n"
        "import runpy; sys.argv = ['x', 'check']; runpy.run_module('featurestore', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=workspace, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 4
    assert "run: make setup, then: source .venv/bin/activate" in one_line(done)


def test_a_cache_that_cannot_be_written_is_one_line(command: Command, workspace: Path) -> None:
    (workspace / "file").write_text("in the way")
    for arguments in (["featurestore", "index"], ["extractors", "prepare", "design"]):
        command(*arguments)
    done = command("extractors", "run", "design", env={"KYARA_CACHE": str(workspace / "file" / "rows")})
    assert done.returncode == 1
    assert "Not a directory" in one_line(done)


def faults(before: str) -> int:
    """Page faults of two threads that have memory of a picture's size, and give it back, a thousand times."""
    script = f"""
import resource
from concurrent.futures import ThreadPoolExecutor
from featurestore import console
{before}
import numpy as np
def work(_):
    for _ in range(1000):
        held = [np.ones(200_000, np.uint8) for _ in range(8)]
with ThreadPoolExecutor(2) as pool:
    list(pool.map(work, range(2)))
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    list(pool.map(work, range(2)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return int(done.stdout)


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="of glibc alone")
def test_memory_of_pictures_stays_with_the_process() -> None:
    assert faults("console.keep_memory()") < 2_000  # else ten thousand and more


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="of glibc alone")
def test_memory_that_was_kept_can_be_given_back() -> None:
    script = """
from featurestore import console
console.keep_memory()
import numpy as np
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
held = [np.ones(200_000, np.uint8) for _ in range(200)]
last = held[-1]
full = resident()
del held
kept = resident()
console.give_memory_back()
print(full, kept, resident())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    full, kept, back = map(int, done.stdout.split())
    assert full - kept < 4_000 < 30_000 < kept - back, "of 40 MB"
