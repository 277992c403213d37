"""`make bench`: every benchmark is in it, and one that was stopped goes on where it was."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_all", HERE / "all.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def scripts(bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three commands that write their names down; the second fails while a file ``broken`` is there."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name in ("one", "two", "three", "table"):
        (folder / f"{name}.py").write_text(
            "import sys\nfrom pathlib import Path\nroot = Path(__file__).parents[1]\n"
            f"if {name!r} == 'two' and (root / 'broken').exists():\n    sys.exit(7)\n"
            "with (root / 'log').open('a') as log:\n"
            f"    log.write(' '.join([{name!r}, *sys.argv[1:]]) + '\\n')\n"
        )
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "COMMANDS", ("one.py", "two.py --n 60", "three.py"))
    return tmp_path


def log(root: Path) -> list[str]:
    return (root / "log").read_text().splitlines()


def test_every_script_that_has_a_main_is_run_by_it(bench: ModuleType) -> None:
    scripts = {file.name for file in HERE.glob("*.py") if '__name__ == "__main__"' in file.read_text()}
    assert {one.split()[0] for one in bench.COMMANDS} == scripts - {"all.py", "table.py"}


def test_one_that_fails_ends_it_and_the_next_time_it_goes_on_there(
    bench: ModuleType, scripts: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = scripts / "build" / "benchmarks.json"
    (scripts / "broken").touch()
    assert bench.run_all("abc", again=False, kept=kept) == 7
    assert log(scripts) == ["one"]
    assert "benchmarks/two.py --n 60 ended with 7" in capfd.readouterr().err
    (scripts / "broken").unlink()
    assert bench.run_all("abc", again=False, kept=kept) == 0
    assert log(scripts) == ["one", "two --n 60", "three", "table"]
    assert "1 of 3 benchmarks had ended at abc" in capfd.readouterr().out
    assert not kept.exists(), "the next time all are measured anew"


@pytest.mark.parametrize(("commit", "again"), [("another", False), ("abc", True)])
def test_another_commit_and_again_begin_with_the_first(
    bench: ModuleType, scripts: Path, commit: str, again: bool
) -> None:
    kept = scripts / "build" / "benchmarks.json"
    (scripts / "broken").touch()
    bench.run_all("abc", again=False, kept=kept)
    (scripts / "broken").unlink()
    assert bench.run_all(commit, again=again, kept=kept) == 0
    assert log(scripts) == ["one", "one", "two --n 60", "three", "table"]
