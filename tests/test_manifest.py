"""Pictures that stay where they are: a manifest in place of images/, and what an index of it remembers."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest
from conftest import encoded, picture
from fakes import MeanColour

from extractors.run import extract
from featurestore import scan as scan_module
from featurestore.cache import RowCache
from featurestore.dataset import image_places
from featurestore.errors import DataError, MetadataError, MissingData
from featurestore.facts import Facts
from featurestore.index import build_index, write_index
from featurestore.known import Known, known_file
from featurestore.manifest import MANIFEST, read_manifest, resolved
from featurestore.params import RuntimeParams
from featurestore.scan import IndexOptions, scan
from featurestore.store import FeatureStore

N = 24


def shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            one = tarfile.TarInfo(name)
            one.size = len(data)
            archive.addfile(one, io.BytesIO(data))


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Two shards of pictures, a file beside them, and what a manifest says of each."""
    (folder / "shards").mkdir(parents=True)
    pictures = [encoded(picture(i)) for i in range(N)]
    shard(folder / "shards" / "0.tar", {f"{i}.png": pictures[i] for i in range(12)})
    shard(folder / "shards" / "1.tar", {f"{i}.png": pictures[i] for i in range(12, N - 1)})
    (folder / "last.png").write_bytes(pictures[-1])
    uris = [f"tar://{i}.png::shards/{i // 12}.tar" for i in range(N - 1)] + ["last.png"]
    labels = ["hero" if i % 2 else "villain" for i in range(N)]
    return [
        {"uri": uri, "label": label, "group": f"S{i % 8}", "character": f"C{i}", "mine": "kept"}
        for i, (uri, label) in enumerate(zip(uris, labels, strict=True))
    ]


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A manifest outside the data folder."""
    return written(tmp_path / "big" / "mine.parquet", rows_of(tmp_path / "big"))


@pytest.fixture
def root(listed: Path, tmp_path: Path) -> Path:
    """A data folder with the manifest in it."""
    from pyarrow import parquet

    root = tmp_path / "data"
    root.mkdir()
    parquet.write_table(resolved(listed), root / MANIFEST)
    return root


def test_a_manifest_is_read_with_absolute_places(listed: Path) -> None:
    uris, facts = read_manifest(listed)
    folder = listed.parent
    assert list(zip(uris, facts, strict=True))[:2] == [
        (f"tar://0.png::{folder}/shards/0.tar", Facts("villain", "C0", "S0")),
        (f"tar://1.png::{folder}/shards/0.tar", Facts("hero", "C1", "S1")),
    ]
    assert uris[-1] == f"{folder}/last.png"
    table = resolved(listed)
    assert table.column("uri").to_pylist() == list(uris)
    assert set(table.column("mine").to_pylist()) == {"kept"}


def test_its_pictures_are_indexed_and_extracted_where_they_are(root: Path, tmp_path: Path) -> None:
    made = build_index(scan(root, IndexOptions()), IndexOptions())
    assert len(made.rows) == N
    assert {row.group for row in made.rows} == {f"S{i}" for i in range(8)}
    table = tmp_path / "dataset.csv"
    write_index(made, dataset=table, summary=tmp_path / "data.json")
    places = image_places(table, root)
    assert list(places) == sorted(hashlib.sha256(encoded(picture(i))).hexdigest() for i in range(N))
    extract(
        MeanColour(), places, RowCache(tmp_path / "cache"), tmp_path / "mean.h5", root=root, max_pixels=10**6,
        runtime=RuntimeParams(batch_size=4, workers=2),
    )  # fmt: skip
    with FeatureStore(tmp_path / "mean.h5") as store:
        first = hashlib.sha256(encoded(picture(3))).hexdigest()
        assert np.allclose(store.matrix([first])[0], picture(3).mean(axis=(0, 1)))
    assert sorted(path.name for path in root.rglob("*")) == [MANIFEST], "nothing was copied"


def test_a_picture_that_is_gone_or_rejected_is_in_quarantine(root: Path) -> None:
    key = hashlib.sha256(encoded(picture(5))).hexdigest()
    (root / "metadata").mkdir()
    (root / "metadata" / "rejected.csv").write_text(f"key,file,reason\n{key},,a logo\n")
    other = hashlib.sha256(encoded(picture(6))).hexdigest()
    (root / "metadata" / "labels.csv").write_text(f"key,file,label\n{other},,hero\n")
    (root.parent / "big" / "last.png").unlink()
    found = scan(root, IndexOptions())
    assert [(row.reason, row.detail) for row in found.quarantine] == [
        ("rejected", "a logo"),
        ("not_a_file", "a link to nothing, or gone"),
    ]
    made = build_index(found, IndexOptions())
    assert {row.key: row.label for row in made.rows}[other] == "hero"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[3].pop("label") and rows[3].update(label=None), "row 4: no label for"),
        (lambda rows: rows[3].update(uri=rows[1]["uri"]), "row 4: a second row for 'tar://1.png"),
        (
            lambda rows: rows[3].update(uri="http://host/a.png"),
            "row 4: 'http://host/a.png': pictures are read",
        ),
        (lambda rows: rows[3].update(label="=1+1"), "row 4: the label '=1\\+1': a spreadsheet"),
        (lambda rows: rows[3].update(character="a\nb"), "row 4: character .* cannot be printed"),
        (lambda rows: [row.pop("label") for row in rows], "lacks the column label"),
        (lambda rows: [row.update(label=3) for row in rows], "row 1: label is 3; it must be text"),
        (lambda rows: rows.clear(), "lacks the column uri, label"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(
    tmp_path: Path, change: Callable[[list[dict[str, object]]], object], said: str
) -> None:
    rows: list[dict[str, object]] = [dict(row) for row in rows_of(tmp_path / "big")]
    change(rows)
    with pytest.raises(MetadataError, match=said):
        read_manifest(written(tmp_path / "big" / "mine.parquet", rows))


def test_what_is_no_manifest_is_told(root: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="name a Parquet file with the columns uri, label"):
        read_manifest(tmp_path / "no.parquet")
    (tmp_path / "bad.parquet").write_text("uri,label")
    with pytest.raises(MetadataError, match="no Parquet file"):
        read_manifest(tmp_path / "bad.parquet")
    one = written(tmp_path / "one.parquet", [{"uri": "/a.png", "label": "hero"}])
    with pytest.raises(DataError, match="classes: hero; it takes two or more"):
        scan(root, IndexOptions(), manifest=one)
    (root / "images").mkdir()
    with pytest.raises(DataError, match=r"holds images/ and manifest\.parquet; remove one"):
        scan(root, IndexOptions())


def test_the_command_takes_one_from_elsewhere(
    command: Callable[..., CompletedProcess[str]], listed: Path
) -> None:
    done = command("featurestore", "index", "--manifest", str(listed))
    assert done.returncode == 0, done.stderr
    assert f"index: {N} images" in done.stdout
    with Path("dataset.csv").open(newline="") as stream:
        paths = {row["path"] for row in csv.DictReader(stream)}
    assert f"tar://3.png::{listed.parent}/shards/0.tar" in paths


def test_a_manifest_is_imported_and_a_demo_makes_way(
    command: Callable[..., CompletedProcess[str]], listed: Path, workspace: Path
) -> None:
    done = command("collection", "import", str(listed), "--add")
    assert done.returncode == 2
    assert "import it with --replace" in done.stderr
    done = command("collection", "import", str(listed), "--replace", "--positive", "rogue")
    assert done.returncode == 2
    assert "one of: hero, villain" in done.stderr
    assert (workspace / "data" / "images").exists(), "nothing changed"
    done = command("collection", "import", str(listed), "--replace")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("data: 12 hero, 12 villain in place of what was there; manifest.parquet\n")
    assert [list(column) for column in read_manifest(workspace / "data" / MANIFEST)] == [
        list(column) for column in read_manifest(listed)
    ]
    done = command("featurestore", "index")
    assert f"index: {N} images" in done.stdout, done.stderr
    done = command("collection", "review", "--sheets", "sheets")
    assert done.returncode == 4
    assert "holds manifest.parquet, and no images/" in done.stderr


# --- what is known is not read again


class Looks:
    """Counts the pictures that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[str] = []
        true = scan_module._look

        def look(reader, file, *given):  # type: ignore[no-untyped-def]
            self.files.append(file)
            return true(reader, file, *given)

        monkeypatch.setattr(scan_module, "_look", look)

    def during(self, work: Callable[[], object]) -> list[str]:
        self.files.clear()
        work()
        return sorted(self.files)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as left alone at once."""
    monkeypatch.setattr("featurestore.known._STEP_NS", -(10**12))


def look_again(root: Path, cache: Path, *, distrust: bool = False, **options: object) -> list[object]:
    made = IndexOptions(**options)  # type: ignore[arg-type]
    found = scan(root, made, known=Known(known_file(cache, root), made, distrust=distrust))
    return [[row.key for row in build_index(found, made).rows], found.quarantine]


def test_a_second_index_reads_nothing_and_says_the_same(
    data: Path, tmp_path: Path, looks: Looks, settled: None
) -> None:
    (data / "images" / "hero" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (data / "images" / "hero" / "small.png").write_bytes(encoded(picture(99, (4, 4))))
    cache, results = tmp_path / "cache", []
    assert len(looks.during(lambda: results.append(look_again(data, cache)))) == 26
    assert looks.during(lambda: results.append(look_again(data, cache))) == []
    assert results[0] == results[1]
    assert len(results[0][1]) == 2


def test_what_changed_is_read_again_and_nothing_else(
    data: Path, tmp_path: Path, looks: Looks, settled: None
) -> None:
    cache = tmp_path / "cache"
    look_again(data, cache)
    files = sorted((data / "images").rglob("*.png"))
    before = files[0].stat()
    files[0].write_bytes(encoded(picture(500)))
    os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    files[1].rename(files[1].with_name("moved.png"))
    found: list[list[object]] = []
    read = looks.during(lambda: found.append(look_again(data, cache)))
    assert read == sorted(
        [files[0].relative_to(data).as_posix(), files[1].with_name("moved.png").relative_to(data).as_posix()]
    )
    assert found[0] == look_again(data, tmp_path / "other"), "as if it had been read whole"


def test_other_caps_and_distrust_read_everything(
    data: Path, tmp_path: Path, looks: Looks, settled: None
) -> None:
    cache = tmp_path / "cache"
    look_again(data, cache)
    assert len(looks.during(lambda: look_again(data, cache, max_pixels=10**6))) == 24
    assert len(looks.during(lambda: look_again(data, cache, near_duplicate_distance=None))) == 24
    assert looks.during(lambda: look_again(data, cache, near_duplicate_distance=None, seed=7)) == []
    assert (
        len(looks.during(lambda: look_again(data, cache, distrust=True, near_duplicate_distance=None))) == 24
    )


def test_a_file_that_was_touched_just_now_may_change_again(data: Path, tmp_path: Path, looks: Looks) -> None:
    cache = tmp_path / "cache"
    look_again(data, cache)
    assert len(looks.during(lambda: look_again(data, cache))) == 24


def test_a_damaged_memory_is_no_memory(
    data: Path, tmp_path: Path, looks: Looks, settled: None, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    first = look_again(data, cache)
    file = known_file(cache, data)
    whole = file.read_bytes()
    for damaged in (b"", b"no", whole[:-50], whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        caplog.clear()
        assert look_again(data, cache) == first
        assert "every picture is read anew" in caplog.text
    assert looks.during(lambda: look_again(data, cache)) == []


def test_what_was_read_before_an_end_is_not_read_again(
    data: Path, tmp_path: Path, looks: Looks, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off from outside, in the middle of a folder; and killed, after what was kept meanwhile."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("featurestore.columns._PIECE", 6)
    monkeypatch.setattr("featurestore.scan._KEEP_EVERY_S", 0.0)
    whole = look_again(data, tmp_path / "other")
    true = Known.keep

    def keep_once(*args: object) -> None:
        true(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(Known, "keep", lambda *_: None)
        raise KeyboardInterrupt

    monkeypatch.setattr(Known, "keep", keep_once)
    with pytest.raises(KeyboardInterrupt):
        look_again(data, cache)
    monkeypatch.setattr(Known, "keep", true)
    found: list[list[object]] = []
    assert len(looks.during(lambda: found.append(look_again(data, cache, workers=1)))) == 18
    assert found == [whole]

    fresh, true_look = tmp_path / "fresh", scan_module._look

    def look(*given):  # type: ignore[no-untyped-def]
        if len(looks.files) == 15:
            raise KeyboardInterrupt
        return true_look(*given)

    looks.files.clear()
    monkeypatch.setattr(scan_module, "_look", look)
    monkeypatch.setattr("featurestore.scan._KEEP_EVERY_S", 1000.0)
    with pytest.raises(KeyboardInterrupt):
        look_again(data, fresh, workers=1)
    monkeypatch.setattr(scan_module, "_look", true_look)
    assert len(looks.during(lambda: found.append(look_again(data, fresh)))) == 12, (
        "two pieces of six are kept"
    )
    assert found[1] == whole


def test_a_decision_holds_though_the_picture_is_known(
    data: Path, tmp_path: Path, looks: Looks, settled: None
) -> None:
    cache = tmp_path / "cache"
    key = look_again(data, cache)[0][0]  # type: ignore[index]
    (data / "metadata").mkdir(exist_ok=True)
    (data / "metadata" / "rejected.csv").write_text(f"key,file,reason\n{key},,a logo\n")
    found: list[list[object]] = []
    assert looks.during(lambda: found.append(look_again(data, cache))) == []
    assert [row.sha256 for row in found[0][1]] == [key]  # type: ignore[attr-defined]
    (data / "metadata" / "rejected.csv").unlink()
    assert look_again(data, cache)[1] == []


def test_members_of_a_shard_are_known_until_it_is_written_anew(
    root: Path, tmp_path: Path, looks: Looks, settled: None
) -> None:
    cache = tmp_path / "cache"
    look_again(root, cache)
    assert looks.during(lambda: look_again(root, cache)) == []
    shard(tmp_path / "big" / "shards" / "0.tar", {f"{i}.png": encoded(picture(i)) for i in range(12)})
    assert len(looks.during(lambda: look_again(root, cache))) == 12


def test_the_command_remembers_and_can_be_told_to_read_everything(
    command: Callable[..., CompletedProcess[str]], own_cache: Path
) -> None:
    time.sleep(2.1)  # so that the pictures count as left alone
    assert command("featurestore", "index").returncode == 0
    [file] = (own_cache / "_index").iterdir()
    before = Path("dataset.csv").read_text(), file.stat().st_ino
    assert command("featurestore", "index").returncode == 0
    assert (Path("dataset.csv").read_text(), file.stat().st_ino) == before
    assert command("featurestore", "index", "--rehash").returncode == 0
    assert Path("dataset.csv").read_text() == before[0]
    assert file.stat().st_ino != before[1], "kept anew"
