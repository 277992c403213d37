from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, encoded, picture

from collection.demo import DEMO_MARK
from collection.importing import check_positive, import_folder, set_positive, write_template
from collection.provenance import read_sources, write_sources
from featurestore.errors import DataError, MetadataError, MissingData, UsageError
from featurestore.files import sha256_of
from featurestore.index import build_index
from featurestore.params import load_params
from featurestore.scan import IndexOptions, scan


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of one's own: <label>/<picture>, no images/ above."""
    root = tmp_path / "mine"
    for label, seed in (("cat", 1000), ("dog", 2000)):
        for i in range(5):
            file = root / label / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded(picture(seed + i)))
    return root


def files(root: Path) -> list[str]:
    return sorted(f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file())


def test_replace_leaves_only_the_new_pictures(data: Path, mine: Path) -> None:
    made = import_folder(mine, data, replace=True)
    assert made.n_images == {"cat": 5, "dog": 5}
    assert files(data) == [
        *(f"images/{label}/{i}.png" for label in ("cat", "dog") for i in range(5)),
        "metadata/sources.csv",
    ]
    assert [f.name for f in data.parent.iterdir() if f.name.startswith(".")] == []
    options = IndexOptions()
    assert build_index(scan(data, options), options).summary["split_kind"] == "image-wise split"


def test_add_keeps_what_was_there_and_joins_the_tables(data: Path, mine: Path) -> None:
    (data / "metadata").mkdir()
    (data / "metadata" / "characters.csv").write_text("file,series\nimages/hero/series0/hero0.png,Sky\n")
    (mine / "metadata").mkdir()
    (mine / "metadata" / "characters.csv").write_text("file,character\nimages/cat/1.png,Tama\n")
    made = import_folder(mine, data, replace=False)
    assert made.metadata == ("metadata/characters.csv",)
    assert len(files(data / "images")) == 34
    with (data / "metadata" / "characters.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["file"], r["series"], r["character"]) for r in rows] == [
        ("images/hero/series0/hero0.png", "Sky", ""),
        ("images/cat/1.png", "", "Tama"),
    ]


def test_adding_twice_keeps_one_row_a_picture_and_the_newer_one(data: Path, mine: Path) -> None:
    (mine / "metadata").mkdir()
    for series in ("Old", "New"):
        table = f"file,series\ncat/0.png,{series}\nimages/cat/1.png,{series}\n"
        (mine / "metadata" / "characters.csv").write_text(table)
        made = import_folder(mine, data, replace=False)
    assert made.n_images == {"cat": 0, "dog": 0}
    options = IndexOptions()
    rows = {r.path: r for r in build_index(scan(data, options), options).rows}
    assert rows["images/cat/0.png"].series == rows["images/cat/1.png"].series == "New"


def test_an_empty_cell_forgets_nothing(data: Path, mine: Path) -> None:
    (mine / "metadata").mkdir()
    table = mine / "metadata" / "characters.csv"
    table.write_text("file,character,series,race\nimages/cat/1.png,Tama,Sky,cat\n")
    import_folder(mine, data, replace=False)
    table.unlink()
    write_template(mine)
    import_folder(mine, data, replace=False)
    with (data / "metadata" / "characters.csv").open(newline="") as stream:
        row = next(row for row in csv.DictReader(stream) if row["file"].endswith("cat/1.png"))
    assert (row["character"], row["series"], row["race"]) == ("Tama", "Sky", "cat")


def test_pictures_of_one_class_can_be_added_to_two(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "more" / "hero" / "new.png"
    file.parent.mkdir(parents=True)
    file.write_bytes(encoded(picture(4000)))
    assert import_folder(tmp_path / "more", data, replace=False).n_images == {"hero": 1}
    with pytest.raises(DataError, match="it takes two or more"):
        import_folder(tmp_path / "more", data, replace=True)


def test_a_table_that_names_no_picture_is_told_before_anything_changes(data: Path, mine: Path) -> None:
    (mine / "metadata").mkdir()
    (mine / "metadata" / "characters.csv").write_text("file,series\nimages/cat/gone.png,Sky\n")
    before = files(data)
    with pytest.raises(MetadataError, match=r"no file 'images/cat/gone\.png'"):
        import_folder(mine, data, replace=True)
    assert files(data) == before


def test_one_folder_and_a_table_of_labels_are_a_study(data: Path, mine: Path) -> None:
    shutil.rmtree(mine / "dog")
    (mine / "metadata").mkdir()
    labels = "".join(f"images/cat/{i}.png,{('wild', 'tame')[i % 2]}\n" for i in range(5))
    (mine / "metadata" / "labels.csv").write_text("file,label\n" + labels)
    check_positive(mine, data, "wild", replace=True)
    import_folder(mine, data, replace=True)
    options = IndexOptions()
    assert {f.label for f in scan(data, options).facts.values()} == {"wild", "tame"}


def test_a_link_to_nothing_is_named(data: Path, mine: Path) -> None:
    (mine / "cat" / "lost.png").symlink_to(mine / "gone.png")
    with pytest.raises(DataError, match=r"lost\.png: a link to nothing"):
        import_folder(mine, data, replace=True)


def test_adding_twice_changes_nothing_and_a_clash_is_an_error(data: Path, mine: Path) -> None:
    import_folder(mine, data, replace=False)
    import_folder(mine, data, replace=False)
    (mine / "cat" / "1.png").write_bytes(encoded(picture(3000)))
    before = files(data)
    with pytest.raises(DataError, match=r"the first images/cat/1\.png"):
        import_folder(mine, data, replace=False)
    assert files(data) == before


def test_pictures_are_never_mixed_with_the_demo_cast_in_silence(data: Path, mine: Path) -> None:
    (data / DEMO_MARK).parent.mkdir()
    (data / DEMO_MARK).write_text("{}\n")
    with pytest.raises(UsageError, match="holds the demo cast"):
        import_folder(mine, data, replace=False)
    import_folder(mine, data, replace=False, keep_demo=True)
    import_folder(mine, data, replace=True)
    assert not (data / DEMO_MARK).exists()


def test_a_folder_that_is_no_study_is_refused_and_nothing_changes(data: Path, tmp_path: Path) -> None:
    before = files(data)
    with pytest.raises(MissingData, match="no folder"):
        import_folder(tmp_path / "gone", data, replace=True)
    one = tmp_path / "one" / "cat"
    one.mkdir(parents=True)
    (one / "a.png").write_bytes(encoded(picture(0)))
    with pytest.raises(DataError, match="classes with pictures: cat;"):
        import_folder(tmp_path / "one", data, replace=True)
    with pytest.raises(UsageError, match="is the data folder itself"):
        import_folder(data, data, replace=True)
    assert files(data) == before


def test_the_template_lists_every_picture_once(mine: Path, data: Path) -> None:
    target = write_template(mine)
    with target.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 10
    assert list(rows[0]) == ["file", "character", "series"]
    with pytest.raises(UsageError, match="exists"):
        write_template(mine)
    import_folder(mine, data, replace=True)
    options = IndexOptions()
    assert len(build_index(scan(data, options), options).rows) == 10


def test_names_with_anything_in_them_are_copied(mine: Path, data: Path) -> None:
    for name in ("with space.png", "-dash.png", "new\nline.png", "キャラ.png", "$(touch x).png"):
        (mine / "cat" / name).write_bytes(encoded(picture(hash(name) % 1000 + 5000)))
    import_folder(mine, data, replace=True)
    assert len(files(data / "images")) == 15
    options = IndexOptions()
    rows = build_index(scan(data, options), options).rows
    assert any(r.path == "images/cat/new%0Aline.png" for r in rows)


def test_the_positive_class_must_be_there_before_anything_is_copied(data: Path, mine: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"no folder is called so; add --positive LABEL .*, one of: cat, dog",
    ):
        check_positive(mine, data, "villain", replace=True)
    check_positive(mine, data, "villain", replace=False)
    check_positive(mine, data, "dog", replace=True)


@pytest.mark.parametrize("label", ["dog", "yes", "a b", "犬", "O'Neil", "x # y"])
def test_only_the_line_of_the_positive_class_changes(tmp_path: Path, label: str) -> None:
    params = tmp_path / "params.yaml"
    before = (ROOT / "params.yaml").read_text()
    params.write_text(before)
    set_positive(params, label)
    assert load_params(params).evaluation.positive == label
    after = params.read_text()
    changed = [b for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert len(changed) == 1
    assert changed[0].startswith("  positive: ")
    set_positive(params, "villain")
    assert load_params(params).evaluation.positive == "villain"


def test_the_template_has_nothing_that_a_spreadsheet_computes(mine: Path) -> None:
    folder = mine / "hero" / "=cmd()"
    folder.mkdir(parents=True)
    (folder / "a\nb.png").write_bytes(encoded(picture(5)))
    lines = write_template(mine).read_text().splitlines()
    assert "images/hero/=cmd()/a%0Ab.png,,'=cmd()" in lines


def test_every_imported_picture_has_a_row_of_where_it_is_from(data: Path, mine: Path) -> None:
    (mine / "metadata").mkdir()
    (mine / "metadata" / "characters.csv").write_text(
        "file,character,series,role,licence\nimages/cat/1.png,Tama,Roofs,cat,CC0\n"
    )
    import_folder(mine, data, replace=True)
    rows = {row.file: row for row in read_sources(data)}
    assert len(rows) == 10
    one = rows["images/cat/1.png"]
    assert one.key == sha256_of(data / one.file)
    assert (one.character, one.series, one.role, one.licence) == ("Tama", "Roofs", "cat", "CC0")
    assert (one.provider, one.url, one.label_source) == ("import", "cat/1.png", "name of the folder")


def test_a_folder_that_has_its_own_record_keeps_it(data: Path, mine: Path) -> None:
    import_folder(mine, data, replace=True)
    told = [replace(row, licence="mine", url="https://example.org/x") for row in read_sources(data)]
    write_sources(data, told)
    again = data.with_name("again")
    import_folder(data, again, replace=True)
    assert {row.licence for row in read_sources(again)} == {"mine"}
    import_folder(mine, again, replace=False)
    assert [row.key for row in read_sources(again)] == [row.key for row in told], "one row a picture"


def test_decisions_that_are_known_by_key_come_along(data: Path, mine: Path) -> None:
    import_folder(mine, data, replace=True)
    rejected = sha256_of(mine / "cat" / "1.png")
    (mine / "metadata").mkdir()
    (mine / "metadata" / "rejected.csv").write_text(f"key,file,reason\n{rejected},cat/1.png,blurred\n")
    import_folder(mine, data, replace=False)
    assert "blurred" in (data / "metadata/rejected.csv").read_text()
    options = IndexOptions()
    index = build_index(scan(data, options), options)
    assert rejected not in {row.key for row in index.rows}
    assert len(index.rows) == 9


def test_decisions_that_are_known_by_key_survive_an_import_of_everything_anew(data: Path, mine: Path) -> None:
    import_folder(mine, data, replace=True)
    rejected, relabelled = (sha256_of(mine / "cat" / name) for name in ("1.png", "2.png"))
    (data / "metadata/rejected.csv").write_text(f"key,file,reason\n{rejected},images/cat/1.png,blurred\n")
    (data / "metadata/labels.csv").write_text(
        f"file,label,key\nimages/cat/2.png,dog,{relabelled}\nimages/cat/3.png,dog,\n"
    )
    (mine / "cat" / "2.png").rename(mine / "cat" / "renamed.png")
    import_folder(mine, data, replace=True)
    scanned = scan(data, IndexOptions())
    assert {s.file for s in scanned.seen if s.rejected} == {"images/cat/1.png"}
    assert scanned.facts["images/cat/renamed.png"].label == "dog"
    assert scanned.facts["images/cat/3.png"].label == "cat", "what has no key goes with what was there"


def test_a_label_takes_the_place_of_one_of_the_same_picture_alone(data: Path, mine: Path) -> None:
    import_folder(mine, data, replace=True)
    here = sha256_of(mine / "cat" / "1.png")
    away = "0" * 64
    (data / "metadata/labels.csv").write_text(
        f"file,label,key\nimages/cat/1.png,dog,{here}\nimages/cat/1.png,dog,{away}\n"
    )
    (mine / "metadata").mkdir()
    (mine / "metadata/labels.csv").write_text("file,label\ncat/1.png,bird\n")
    import_folder(mine, data, replace=False)
    with (data / "metadata/labels.csv").open(newline="") as stream:
        rows = [(row["key"], row["label"]) for row in csv.DictReader(stream)]
    assert rows == [(here, "bird"), (away, "dog")]
    assert scan(data, IndexOptions()).facts["images/cat/1.png"].label == "bird"
