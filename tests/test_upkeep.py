"""``python -m featurestore``: verify, repair, diff, export, import, gc, as a user meets them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, encoded, picture

from featurestore.cache import RowCache
from featurestore.rows import StoreRows, pack_keys
from featurestore.spec import FeatureSpec
from featurestore.store import FeatureStore

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study up to features.h5, and its row cache."""
    root = tmp_path_factory.mktemp("once")
    for i in range(24):
        file = root / "study/data/images" / ("hero", "villain")[i % 2] / f"series{i // 2}" / f"{i}.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(encoded(picture(i)))
    shutil.copy(ROOT / "params.yaml", root / "study")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KYARA_CACHE": str(root / "cache")}
    for arguments in (
        "featurestore index",
        "extractors prepare design",
        "extractors run design",
        "featurestore fuse",
    ):
        subprocess.run([sys.executable, "-m", *arguments.split()], cwd=root / "study", env=env, check=True)
    return root


@pytest.fixture
def extracted(once: Path, tmp_path: Path, own_cache: Path) -> Path:
    shutil.copytree(once / "cache", own_cache, dirs_exist_ok=True)
    shutil.copytree(once / "study", tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def command(extracted: Path) -> Command:
    """Run ``python -m <package> ...`` there."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments], cwd=extracted,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}, capture_output=True, text=True,
        )  # fmt: skip

    return run


def flip(file: Path, place: int = -1) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


def test_each_extraction_says_where_the_cache_is_how_large_and_how_often_it_hit(
    command: Command, extracted: Path, own_cache: Path
) -> None:
    done = command("extractors", "run", "design")
    assert (
        "design: 0 rows extracted, 24 reused (24 from the row cache, 0 from the store); 0 not ok"
        in done.stdout
    )
    assert f"design: row cache {own_cache}: " in done.stdout
    assert "KiB, hit rate 100%" in done.stdout


def test_verify_names_what_is_damaged_and_repair_mends_it(
    command: Command, extracted: Path, own_cache: Path
) -> None:
    clean = command("featurestore", "verify")
    assert clean.returncode == 0, clean.stderr
    assert "every byte read; 0 damaged" in clean.stdout
    store = extracted / "features/design.h5"
    before = store.read_bytes()
    segment = sorted(own_cache.rglob("design/*/*.h5"))[0]
    flip(segment, 700)
    flip(store, 5000)
    bad = command("featurestore", "verify")
    assert bad.returncode == 3
    assert str(segment) in bad.stderr
    assert "features/design.h5" in bad.stderr
    assert "2 damaged" in bad.stdout
    assert "run: python -m featurestore repair, then: dvc repro" in bad.stdout
    mended = command("featurestore", "repair")
    assert mended.returncode == 0
    assert mended.stdout.count("set aside: ") == 2
    assert not segment.exists()
    assert not store.exists()
    again = command("extractors", "run", "design")
    assert "design: 24 rows extracted" not in again.stdout
    assert store.read_bytes() == before
    assert command("featurestore", "verify").returncode == 0


def test_a_damaged_store_is_not_joined(command: Command, extracted: Path) -> None:
    flip(extracted / "features/design.h5", -2000)
    done = command("featurestore", "fuse")
    assert done.returncode == 3
    assert "features/design.h5: its bytes are not those that were written" in done.stderr
    assert "python -m featurestore repair" in done.stderr


def test_ls_shows_stores_and_the_row_cache(command: Command, extracted: Path, own_cache: Path) -> None:
    done = command("featurestore", "ls")
    assert done.returncode == 0
    with FeatureStore(extracted / "features/design.h5") as store:
        fingerprint = store.fingerprint[:16]
    lines = done.stdout.splitlines()
    assert any(line.startswith("features/design.h5") and fingerprint in line for line in lines)
    assert any(line.startswith(f"design       {fingerprint}") and line.endswith("here") for line in lines)
    assert lines[-1].startswith(f"{own_cache}: ")


def test_compact_says_what_it_merged(command: Command, extracted: Path, own_cache: Path) -> None:
    cache = RowCache(own_cache)
    (folder,) = cache.folders()
    with FeatureStore(sorted(folder.glob("*.h5"))[0]) as store:
        spec = store.spec
    for i in range(3):
        values = np.ones((1, len(spec.columns)), np.float32)
        cache.commit(spec, StoreRows(pack_keys([f"{i:064x}"]), values, np.zeros((1, 1), np.uint8)))
    n = len(cache.segments(spec))
    done = command("featurestore", "compact")
    assert f"design {spec.fingerprint[:16]}: {n} segments -> 1" in done.stdout


def test_exported_rows_come_back_by_import_and_into_features_h5(command: Command, extracted: Path) -> None:
    done = command("featurestore", "export", "design", "--to", "npy", "--out", "out.npy")
    assert done.stdout.splitlines() == ["out.npy: 24 rows", "out.rows.csv", "out.columns.csv"]
    done = command(
        "featurestore", "import", "mine", "out.npy", "--keys", "out.rows.csv", "--columns", "out.columns.csv"
    )
    assert done.returncode == 0, done.stderr
    assert "data/features/mine.h5: 24 rows x 63 columns" in done.stdout
    text = (extracted / "params.yaml").read_text()
    (extracted / "params.yaml").write_text(text.replace("imported: []", "imported: [mine]"))
    done = command("featurestore", "fuse")
    assert "24 rows x 126 columns from design, mine" in done.stdout, done.stderr
    listed = json.loads((extracted / "results/stores.json").read_text())["stores"]
    assert [store["extractor"] for store in listed] == ["design", "mine"]
    with FeatureStore(extracted / "features.h5") as store:
        assert np.array_equal(store.values[:, :63], store.values[:, 63:])


def test_import_says_which_pictures_lack_a_row(command: Command, extracted: Path) -> None:
    np.save(extracted / "few.npy", np.ones((2, 3)))
    (extracted / "few.csv").write_text("path\nhero/series1/2.png\nhero/series2/4.png\n")
    done = command("featurestore", "import", "few", "few.npy", "--keys", "few.csv")
    assert "22 of 24 images of dataset.csv have no row in it" in done.stdout
    assert "use it" not in done.stdout
    (extracted / "params.yaml").write_text(
        (extracted / "params.yaml").read_text().replace("imported: []", "imported: [few]")
    )
    done = command("featurestore", "fuse")
    assert done.returncode == 3
    assert "22 of 24 images have no row in data/features/few.h5" in done.stderr
    assert "import it again with rows for them" in done.stderr
    done = command("featurestore", "import", "design", "few.npy", "--keys", "few.csv")
    assert done.returncode == 2
    assert "'design' is one of kyara's own extractors" in done.stderr
    done = command("featurestore", "import", "../up", "few.npy", "--keys", "few.csv")
    assert done.returncode == 2


def test_an_import_that_cannot_be_is_refused_and_changes_nothing(command: Command, extracted: Path) -> None:
    np.save(extracted / "none.npy", np.ones((2, 0)))
    np.save(extracted / "nan.npy", np.array([[1, np.nan], [1, 1]]))
    np.save(extracted / "fine.npy", np.ones((2, 2)))
    (extracted / "two.csv").write_text(",path\n0,hero/series1/2.png\n1,data/images/hero/series2/4.png\n")
    (extracted / "strange.csv").write_text("key\n" + "0" * 64 + "\n" + "1" * 64 + "\n")
    for source, keys, said in (
        ("none.npy", "two.csv", "2 rows x 0 columns: nothing to import"),
        ("nan.npy", "two.csv", "nan.npy, row 1 (hero/series1/2.png): nan in c1 is not finite"),
        ("fine.npy", "strange.csv", "none of the 2 keys is a picture of dataset.csv"),
    ):
        done = command("featurestore", "import", "mine", source, "--keys", keys)
        assert done.returncode == 3
        assert said in done.stderr
        assert "nothing was imported" in done.stderr
    assert not (extracted / "data/features").exists()
    assert command("featurestore", "import", "mine", "fine.npy", "--keys", "two.csv").returncode == 0
    done = command("featurestore", "import", "mine", "fine.npy", "--keys", "two.csv")
    assert "(in the place of the one that was there)" in done.stdout


def test_a_damaged_store_of_another_tool_is_left_with_the_right_advice(
    command: Command, extracted: Path
) -> None:
    command("featurestore", "export", "design", "--to", "parquet", "--out", "out.parquet")
    assert command("featurestore", "import", "mine", "out.parquet").returncode == 0
    flip(extracted / "data/features/mine.h5", 3000)
    assert command("featurestore", "verify").returncode == 3
    done = command("featurestore", "repair")
    assert done.returncode == 3
    assert "data/features/mine.h5" in done.stderr
    assert "dvc checkout data.dvc (or: python -m featurestore import mine FILE)" in done.stderr
    assert (extracted / "data/features/mine.h5").exists()


def test_verify_and_show_say_what_is_not_there(command: Command, extracted: Path) -> None:
    (extracted / "features/design.h5").unlink()
    done = command("featurestore", "verify")
    assert done.returncode == 4
    assert "missing: features/design.h5, which results/stores.json names; run: dvc repro" in done.stdout
    done = command("featurestore", "show", "data/images/hero/series0/0.png")
    assert "no stores in features; run: dvc repro" in done.stdout
    done = command("featurestore", "show", "00")
    assert "give a path such as images/" in done.stderr


def test_an_export_makes_no_folders(command: Command, extracted: Path) -> None:
    done = command("featurestore", "export", "design", "--to", "parquet", "--out", "typo/x.parquet")
    assert done.returncode == 4
    assert "no folder typo; make it first" in done.stderr


def test_gc_removes_what_kills_and_repairs_left_in_the_working_tree(
    command: Command, extracted: Path
) -> None:
    left = [
        extracted / "features/.tmp-1-a",
        extracted / "features.h5.damaged",
        extracted / "results/.tmp-2-b",
    ]
    for file in left:
        file.write_bytes(b"x")
        os.utime(file, (time.time() - 2 * 86_400,) * 2)
    young = extracted / "features/.tmp-3-c"
    young.write_bytes(b"x")
    command("featurestore", "gc", "--older-than", "30")
    assert not any(file.exists() for file in left)
    assert young.exists()
    assert (extracted / "features/design.h5").exists()


def test_gc_tells_of_what_is_too_young_and_takes_no_strange_number(command: Command, extracted: Path) -> None:
    for days in ("-1", "nan"):
        done = command("featurestore", "gc", "--older-than", days)
        assert done.returncode == 2
        assert "a number of days, 0 or more" in done.stderr
    done = command("featurestore", "gc", "--older-than", "2")
    assert "more were used within 2 days and stay; --older-than 0 takes them too" in done.stdout


def test_gc_wants_to_be_told_what_goes(command: Command, extracted: Path) -> None:
    done = command("featurestore", "gc")
    assert done.returncode == 2
    assert "--older-than DAYS, --keep REVISION" in done.stderr


def test_gc_deletes_nothing_while_it_cannot_know_what_a_store_stands_on(
    command: Command, extracted: Path, own_cache: Path
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=extracted, check=True)
    subprocess.run(["git", "add", "results/stores.json"], cwd=extracted, check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, "commit", "-qm", "stores"], cwd=extracted, check=True)
    (extracted / "features/other.h5").write_bytes(b"no store")
    done = command("featurestore", "gc", "--keep", "HEAD", "--older-than", "0")
    assert done.returncode == 3
    assert "features/other.h5" in done.stderr
    assert list(own_cache.rglob("*.h5"))
    (extracted / "features/other.h5").unlink()
    assert "gc: 0 files" in command("featurestore", "gc", "--keep", "HEAD", "--older-than", "0").stdout


def test_gc_by_age_says_first_and_deletes_then(command: Command, extracted: Path, own_cache: Path) -> None:
    for segment in own_cache.rglob("*.h5"):
        os.utime(segment, (time.time() - 40 * 86_400,) * 2)
    done = command("featurestore", "gc", "--older-than", "30", "--dry-run")
    assert "would be deleted (--dry-run)" in done.stdout
    assert list(own_cache.rglob("*.h5"))
    done = command("featurestore", "gc", "--older-than", "30")
    assert done.stdout.splitlines()[-1].endswith("deleted")
    assert not list(own_cache.rglob("*.h5"))


def test_gc_and_diff_outside_git_end_with_four(command: Command, extracted: Path) -> None:
    for arguments in (["gc", "--keep", "HEAD"], ["diff", "HEAD"]):
        done = command("featurestore", *arguments, env={"GIT_CEILING_DIRECTORIES": str(extracted.parent)})
        assert done.returncode == 4, done.stderr
        assert "no git repository here" in done.stderr


def test_two_files_are_compared(command: Command, extracted: Path, own_cache: Path) -> None:
    store = extracted / "features/design.h5"
    (extracted / "before.h5").write_bytes(store.read_bytes())
    assert "  the same" in command("featurestore", "diff", "before.h5", "features/design.h5").stdout
    text = (extracted / "params.yaml").read_text()
    (extracted / "params.yaml").write_text(text.replace("    fit: crop\n  clip", "    fit: pad\n  clip"))
    (extracted / "data/images/hero/series0/0.png").unlink()
    for arguments in (["featurestore", "index"], ["extractors", "run", "design"]):
        assert command(*arguments).returncode == 0
    done = command("featurestore", "diff", "before.h5", "features/design.h5")
    assert "  spec params.fit: crop -> pad" in done.stdout
    assert "0 added, 1 removed" in done.stdout
    done = command("featurestore", "diff", "before.h5")
    assert done.returncode == 2


def test_a_spec_of_another_decoder_is_whole(tmp_path: Path) -> None:
    older = FeatureSpec("toy", 1, {}, ("a",), decoder=0)
    assert FeatureSpec.from_json(older.to_json()) == older
    assert older.fingerprint != FeatureSpec("toy", 1, {}, ("a",)).fingerprint
