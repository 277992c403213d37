from __future__ import annotations

import csv
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, encoded, picture

from collection.card import write_card
from collection.carryover import held_text
from collection.crop import CropParams
from collection.crop.folders import JOURNAL, crop_folder
from collection.crop.record import cuts_in
from collection.demo import DEMO_MARK
from collection.importing import check_positive, import_folder, set_positive, write_template
from collection.provenance import read_sources, write_sources
from extractors.faces import FaceBox
from featurestore.errors import DataError, MetadataError, MissingData, UsageError
from featurestore.files import sha256_of
from featurestore.index import build_index
from featurestore.params import load_params
from featurestore.scan import IndexOptions, Scan, scan


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


def labels_of(scanned: Scan) -> dict[str, str]:
    return dict(zip(scanned.seen.files, scanned.facts.label, strict=True))


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


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("characters.csv", ["file,series", "cat/1.png,Sky", "images/cat/1.png,Sea"]),
        ("labels.csv", ["file,label", "images/cat/1.png,dog", "images/cat/1.png,cat"]),
    ],
)
def test_a_table_that_says_two_things_of_one_picture_is_told_before_anything_changes(
    data: Path, mine: Path, name: str, rows: list[str]
) -> None:
    (mine / "metadata").mkdir()
    (mine / "metadata" / name).write_text("\n".join(rows) + "\n")
    before = files(data)
    with pytest.raises(
        MetadataError, match=rf"{name}, line 3: a second row for 'images/cat/1\.png'; delete one"
    ):
        import_folder(mine, data, replace=True)
    assert files(data) == before


def test_pictures_are_not_added_to_a_list_of_pictures(data: Path, mine: Path) -> None:
    shutil.rmtree(data / "images")
    (data / "manifest.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match=r"holds a list of pictures, manifest\.parquet, .*use --replace"):
        import_folder(mine, data, replace=False)
    assert files(data) == ["manifest.parquet"]


def test_a_class_is_not_called_by_blanks_and_an_empty_one_is_told(
    data: Path, mine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (mine / "bird").mkdir()
    import_folder(mine, data, replace=True)
    assert "class folder 'bird': left out, for it holds no pictures" in caplog.text
    (mine / "cat").rename(mine / "cat ")
    with pytest.raises(DataError, match="class folder 'cat ': a blank before or behind the name; rename it"):
        import_folder(mine, data, replace=True)
    (data / "images" / "cat").rename(data / "images" / " cat")
    with pytest.raises(DataError, match="class folder ' cat': a blank before or behind the name; rename it"):
        scan(data, IndexOptions())


def test_one_folder_and_a_table_of_labels_are_a_study(data: Path, mine: Path) -> None:
    shutil.rmtree(mine / "dog")
    (mine / "metadata").mkdir()
    labels = "".join(f"images/cat/{i}.png,{('wild', 'tame')[i % 2]}\n" for i in range(5))
    (mine / "metadata" / "labels.csv").write_text("file,label\n" + labels)
    check_positive(mine, data, "wild", replace=True)
    import_folder(mine, data, replace=True)
    options = IndexOptions()
    assert set(scan(data, options).facts.label) == {"wild", "tame"}


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
    names = ("with space.png", "-dash.png", "new\nline.png", "キャラ.png", "$(touch x).png")
    for i, name in enumerate(names, start=5000):
        (mine / "cat" / name).write_bytes(encoded(picture(i)))
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


def test_what_a_record_leaves_empty_the_folder_tells(data: Path, mine: Path) -> None:
    """So a table of keys and licences will do."""
    (mine / "metadata").mkdir()
    files = sorted(mine.glob("*/*.png"))
    lines = [f"{sha256_of(file)},CC BY 4.0 by {file.stem}" for file in files[1:]]
    (mine / "metadata/sources.csv").write_text("\n".join(["key,licence", *lines]) + "\n")
    (mine / "metadata/characters.csv").write_text(
        "file,character,series,page,licence\ncat/0.png,Tama,S,https://example.org/0,CC0\ncat/1.png,Mike,T,,CC0\n"
    )
    import_folder(mine, data, replace=True)
    rows = {row.url: row for row in read_sources(data)}
    assert {(row.provider, row.label_source) for row in rows.values()} == {("import", "name of the folder")}
    first, second = rows["cat/0.png"], rows["cat/1.png"]
    assert (first.character, first.page, first.licence) == ("Tama", "https://example.org/0", "CC0")
    assert (second.character, second.series, second.licence) == ("Mike", "T", "CC BY 4.0 by 1")
    assert all(row.time and row.original == row.key for row in rows.values())


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
    made = import_folder(mine, data, replace=True)
    said = "decided before of these pictures, and still so: 1 rejection, 1 label"
    assert held_text(made.held) == said
    scanned = scan(data, IndexOptions())
    assert {s.file for s in scanned.seen if s.rejected} == {"images/cat/1.png"}
    assert labels_of(scanned)["images/cat/renamed.png"] == "dog"
    assert labels_of(scanned)["images/cat/3.png"] == "cat", "what has no key goes with what was there"


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
    assert labels_of(scan(data, IndexOptions()))["images/cat/1.png"] == "bird"


# What a crop says


def cropped(source: Path, out: Path, *, margin: float | None = None, fallback: str = "reject") -> Path:
    """Mugshots of a folder; cats whose number is even, and dogs, have faces."""
    faceless = {picture(1001).tobytes(), picture(1003).tobytes()}

    def find(image: Any, method: str) -> list[FaceBox]:
        return [] if image.tobytes() in faceless else [FaceBox(8, 8, 12, 12, 1.0)]

    params = CropParams(margin=margin, size_px=32, fallback=fallback)  # type: ignore[arg-type]
    crop_folder(source, out, params=params, max_pixels=10_000, find=find)
    return out


def test_what_a_crop_says_is_in_the_record_and_on_the_card(data: Path, mine: Path, tmp_path: Path) -> None:
    (mine / "metadata").mkdir()
    (mine / "metadata/characters.csv").write_text(
        "file,character,series,role\ncat/1.png,Tama,Roofs,hero\ncat/2.png,Momo,Roofs,antihero\n"
    )
    made = import_folder(cropped(mine, tmp_path / "cut"), data, replace=True)
    assert made.n_images == {"cat": 3, "dog": 5}
    assert made.left_out == {"no face was found": 2}
    lost, *others = sorted(read_sources(data), key=lambda row: (row.url != "cat/1.png", row.url))
    assert (lost.file, lost.character, lost.series, lost.role) == ("", "Tama", "Roofs", "hero")
    assert (lost.original, lost.reason) == (sha256_of(mine / "cat/1.png"), "no face was found")
    one = next(row for row in others if row.url == "cat/2.png")
    assert one.key == sha256_of(data / one.file)
    assert (one.original, one.crop, one.n_faces) == (sha256_of(mine / "cat/2.png"), "anime", "1")
    assert (one.character, one.role, one.box) == ("Momo", "antihero", "2 0 25 25")
    text = write_card(data).read_text()
    assert "10 pictures were tried, 8 taken" in text
    assert "| no face was found | 2 |" in text
    assert "| cat | anime | 3 |" in text
    assert "Asked for: anime (of the caller), the largest face, margin 1.1, 32 px, else reject." in text


def test_crops_that_are_added_keep_what_both_say_and_each_row_once(
    data: Path, mine: Path, tmp_path: Path
) -> None:
    first = cropped(mine, tmp_path / "first")
    import_folder(first, data, replace=True)
    before = [(row.key, row.url, row.reason) for row in read_sources(data)]
    import_folder(first, data, replace=False)
    assert [(row.key, row.url, row.reason) for row in read_sources(data)] == before
    import_folder(cropped(mine, tmp_path / "second", margin=1.5, fallback="center-top"), data, replace=False)
    rows = read_sources(data)
    assert not [row.reason for row in rows if row.reason], "they have mugshots by now"
    assert sorted(row.crop for row in rows) == ["anime"] * 16 + ["center-top"] * 2
    assert [text.partition(", ")[2] for text in cuts_in(data)] == [
        "the largest face, margin 1.1, 32 px, else reject",
        "the largest face, margin 1.5, 32 px, else center-top",
    ]
    import_folder(mine, data, replace=True)
    assert cuts_in(data) == []
    assert {row.crop for row in read_sources(data)} == {""}


def test_a_table_of_crops_without_keys_is_read_by_its_files(data: Path, mine: Path, tmp_path: Path) -> None:
    path = cropped(mine, tmp_path / "cut") / "metadata/crops.csv"
    columns = ("file", "source", "method", "box", "face", "n_faces", "padded", "reason")
    with path.open(newline="") as stream:
        rows = [{name: row[name] for name in columns} for row in csv.DictReader(stream)]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    import_folder(tmp_path / "cut", data, replace=True)
    kept = [row for row in read_sources(data) if row.file]
    assert {(row.crop, row.original) for row in kept} == {("anime", "")}, "of which bytes it does not say"
    assert len(read_sources(data)) == 10


def test_a_crop_that_is_not_finished_is_refused_with_the_command_that_goes_on(
    data: Path, mine: Path, tmp_path: Path
) -> None:
    out = cropped(mine, tmp_path / "cut")
    (out / JOURNAL).write_text('{"folder": "/pictures", "fallback": "reject"}\n')
    before = files(data)
    for named in (out, out / "images"):
        with pytest.raises(MissingData, match=rf"collection crop /pictures --out {out} --fallback reject"):
            import_folder(named, data, replace=True)
    assert files(data) == before


def test_decisions_go_to_new_crops_of_the_same_pictures(data: Path, mine: Path, tmp_path: Path) -> None:
    import_folder(mine, data, replace=True)
    rejected, relabelled = (sha256_of(mine / "cat" / name) for name in ("0.png", "2.png"))
    (data / "metadata/rejected.csv").write_text(f"key,file,reason\n{rejected},images/cat/0.png,blurred\n")
    (data / "metadata/labels.csv").write_text(f"file,label,key\nimages/cat/2.png,dog,{relabelled}\n")
    for n, margin in enumerate((1.1, 1.5)):
        made = import_folder(cropped(mine, tmp_path / f"cut{n}", margin=margin), data, replace=True)
        assert made.carried == {"metadata/rejected.csv": 1, "metadata/labels.csv": 1}
        scanned = scan(data, IndexOptions())
        assert [s.rejected.detail for s in scanned.seen if s.rejected] == ["blurred"]
        by_original = {row.original: row.file for row in read_sources(data)}
        assert labels_of(scanned)[by_original[relabelled]] == "dog"


def test_the_images_of_a_folder_may_be_named_for_it(data: Path, mine: Path) -> None:
    (mine / "images").mkdir()
    for label in ("cat", "dog"):
        (mine / label).rename(mine / "images" / label)
    (mine / "metadata").mkdir()
    (mine / "metadata/characters.csv").write_text("file,character\nimages/cat/1.png,Tama\n")
    assert import_folder(mine / "images", data, replace=True).metadata == ("metadata/characters.csv",)
    (mine / "metadata").rename(mine / "images/metadata")
    made = import_folder(mine / "images", data, replace=True)
    assert (made.n_images, made.metadata) == ({"cat": 5, "dog": 5}, ("metadata/characters.csv",))


def test_what_the_folders_own_record_did_not_take_comes_along(data: Path, mine: Path) -> None:
    import_folder(mine, data, replace=True)
    gone = replace(read_sources(data)[0], key="", file="", original="", provider="urls", reason="404")
    write_sources(data, [*read_sources(data), gone])
    (data / "metadata/search.json").write_text('{"cut": "by hand"}')
    again = data.with_name("again")
    for replaces in (True, False):
        assert import_folder(data, again, replace=replaces).left_out == {"404": 1}
        assert [row.reason for row in read_sources(again) if not row.file] == ["404"]
    assert cuts_in(again) == ["by hand"]


# What is said


def test_no_line_names_the_folder_that_is_made_before_it_takes_its_place(
    data: Path, mine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (data / "metadata").mkdir()
    (data / "metadata/labels.csv").write_text(f"file,label,key\nimages/hero/x.png,cat,{'0' * 64}\n")
    import_folder(mine, data, replace=True)
    assert caplog.messages == [
        f"{data}/metadata/labels.csv: labels of 1 pictures that are not here now; kept for when they are"
    ]
    (mine / "metadata").mkdir()
    (mine / "metadata/characters.csv").write_text("file,series\nimages/cat/gone.png,Sky\n")
    with pytest.raises(
        MetadataError, match=rf"^{data}/metadata/characters\.csv, row 1: .*; look into {mine}"
    ):
        import_folder(mine, data, replace=True)


def test_a_column_in_capitals_is_told_before_anything_changes(data: Path, mine: Path) -> None:
    (mine / "metadata").mkdir()
    (mine / "metadata/characters.csv").write_text("file,Character,Series\ncat/1.png,Tama,Roofs\n")
    before = files(data)
    with pytest.raises(MetadataError, match=r"line 1: the column 'Character' must be written 'character'"):
        import_folder(mine, data, replace=True)
    assert files(data) == before
    (mine / "metadata/characters.csv").write_text("file,character,Character\ncat/1.png,Tama,x\n")
    import_folder(mine, data, replace=True)
