from __future__ import annotations

import csv
import hashlib
import json
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import encoded, picture
from PIL import Image, ImageEnhance

from featurestore import duplicates
from featurestore.columns import Codes, Texts
from featurestore.dataset import COLUMNS, csv_text
from featurestore.duplicates import near_duplicate_clusters
from featurestore.errors import DataError, LabelConflict, MetadataError, MissingData, SplitError
from featurestore.facts import FactColumns
from featurestore.index import Index, build_index, write_index
from featurestore.metadata import escape_path, unescape_path
from featurestore.scan import IndexOptions, Scan, check_quarantine, scan
from featurestore.seen import Sightings
from featurestore.split import assign_splits, check_splits

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def index(root: Path, **options: object) -> Index:
    made = IndexOptions(**options)
    return build_index(scan(root, made), made)


def characters(root: Path, rows: list[list[str]], header: str = "file,character,series") -> None:
    target = root / "metadata" / "characters.csv"
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="") as stream:
        stream.write(header + "\n")
        csv.writer(stream).writerows(rows)


def test_every_picture_is_one_row_by_the_hash_of_its_bytes(data: Path) -> None:
    made = index(data)
    assert len(made.rows) == 24
    assert [r.key for r in made.rows] == sorted(r.key for r in made.rows)
    row = next(r for r in made.rows if r.path == "images/hero/series3/hero3.png")
    assert (row.label, row.series, row.group, row.width, row.format) == (
        "hero",
        "series3",
        "series3",
        40,
        "png",
    )
    assert made.summary["split_kind"] == "split by series"


def test_the_split_is_grouped_stratified_and_repeats(data: Path) -> None:
    first, again, other = index(data), index(data), index(data, seed=7)
    assert list(first.rows) == list(again.rows)
    assert list(first.rows) != list(other.rows)
    homes: dict[str, set[str]] = {}
    for row in first.rows:
        homes.setdefault(row.group, set()).add(row.split)
    assert all(len(splits) == 1 for splits in homes.values())
    counts = Counter((r.split, r.label) for r in first.rows)
    assert counts["train", "hero"] == counts["train", "villain"]
    assert 12 <= sum(n for (split, _), n in counts.items() if split == "train") <= 16


def test_without_groups_it_says_image_wise_split(data: Path) -> None:
    assert index(data, group="none").summary["split_kind"] == "image-wise split"
    made = index(data, group="character")  # no characters.csv
    assert made.summary["split_kind"] == "image-wise split"
    assert len({r.group for r in made.rows}) == 24


def test_a_pattern_over_the_path_gives_the_series(data: Path) -> None:
    rows = {r.path: r for r in index(data, group_from=r"(\d)\.png$").rows}
    assert rows["images/hero/series1/hero1.png"].series == "1"
    assert rows["images/villain/series11/villain11.png"].group == "1"


def test_characters_csv_goes_before_folders(data: Path) -> None:
    characters(
        data, [["images/hero/series0/hero0.png", "Aki", "Sky"], ["hero/series1/hero1.png", "Ren", "Sky"]]
    )
    rows = {r.path: r for r in index(data).rows}
    assert rows["images/hero/series0/hero0.png"].character == "Aki"
    assert rows["images/hero/series0/hero0.png"].group == rows["images/hero/series1/hero1.png"].group == "Sky"
    assert rows["images/hero/series2/hero2.png"].series == "series2"


def test_characters_of_one_name_in_two_series_are_two(data: Path) -> None:
    characters(
        data,
        [["images/hero/series0/hero0.png", "Aki", "A"], ["images/villain/series0/villain0.png", "Aki", "B"]],
    )
    groups = {r.path: r.group for r in index(data, group="character").rows}
    assert groups["images/hero/series0/hero0.png"] != groups["images/villain/series0/villain0.png"]


def test_labels_csv_overrides_the_folder(data: Path) -> None:
    (data / "metadata").mkdir()
    (data / "metadata" / "labels.csv").write_text("file,label\nimages/hero/series0/hero0.png,villain\n")
    labels = {r.path: r.label for r in index(data).rows}
    assert labels["images/hero/series0/hero0.png"] == "villain"


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (
            [["images/hero/gone.png", "Aki", "Sky"]],
            "file,character,series",
            "row 1: no file 'images/hero/gone.png'",
        ),
        ([["images/hero/series0/hero0.png", "a", "b"]] * 2, "file,character,series", "row 2: a second row"),
        ([["x", "a", "b"]], "path,character,series", "lacks the column file; it must be named in the first"),
        ([["x;a;b"]], "file;character;series", "lacks the column file; save it with commas, not semicolons"),
        (
            [["x;a,b;c"]],
            "file;character;series",
            "lacks the column file; save it with commas, not semicolons",
        ),
        ([["x", "a", "b"]], "file,series,series", "line 1: a second column 'series'; rename or delete"),
    ],
)
def test_a_metadata_row_that_fits_no_file_is_named(
    data: Path, rows: list[list[str]], header: str, said: str
) -> None:
    characters(data, rows, header)
    with pytest.raises(MetadataError) as caught:
        index(data)
    assert said in str(caught.value)
    assert caught.value.exit_code == 3


def test_the_same_bytes_in_one_class_are_one_row(data: Path) -> None:
    source = data / "images/hero/series0/hero0.png"
    (data / "images/hero/series0/copy.png").write_bytes(source.read_bytes())
    made = index(data)
    assert len(made.rows) == 24
    assert made.summary["files"][0] == {"files": 25, "usable": 25, "exact_duplicates_left_out": 1}


def test_copies_of_one_picture_join_the_series_they_stand_in(data: Path) -> None:
    source = data / "images/hero/series0/hero0.png"
    (data / "images/hero/a_first.png").write_bytes(source.read_bytes())
    (data / "images/hero/series3/copy.png").write_bytes(source.read_bytes())
    rows = {r.path: r for r in index(data).rows}
    assert "images/hero/series0/hero0.png" not in rows
    one = rows["images/hero/a_first.png"]
    assert one.series == "series0"
    assert one.group == rows["images/hero/series3/hero3.png"].group == "series0 + series3"
    assert one.split == rows["images/villain/series0/villain0.png"].split


def test_a_name_is_the_same_in_every_unicode_form(data: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Pokémon") for form in ("NFC", "NFD"))
    assert composed != decomposed
    file = data / "images/hero" / decomposed / "x.png"
    file.parent.mkdir()
    file.write_bytes(encoded(picture(777)))
    characters(
        data, [["images/hero/series0/hero0.png", "", composed], [f"images/hero/{composed}/x.png", "Aki", ""]]
    )
    rows = {r.path: r for r in index(data).rows}
    one = rows[f"images/hero/{decomposed}/x.png"]
    assert one.character == "Aki"
    assert one.group == rows["images/hero/series0/hero0.png"].group == composed


def test_spreadsheets_leave_empty_lines_and_line_ends_of_their_own(data: Path) -> None:
    target = data / "metadata" / "characters.csv"
    target.parent.mkdir()
    lines = ["file,character,series", "images/hero/series0/hero0.png,Aki,Sky", ",,", ""]
    target.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert {r.path: r.character for r in index(data).rows}["images/hero/series0/hero0.png"] == "Aki"
    target.write_text("file,series\nimages/hero/series0/hero0.png,Sky, the\n")
    with pytest.raises(MetadataError, match="line 2: more fields than the header"):
        index(data)


def test_the_same_bytes_in_two_classes_are_an_error_that_names_both(data: Path) -> None:
    source = data / "images/hero/series0/hero0.png"
    (data / "images/villain/series0/copy.png").write_bytes(source.read_bytes())
    with pytest.raises(LabelConflict) as caught:
        index(data)
    assert "images/hero/series0/hero0.png" in str(caught.value)
    assert "images/villain/series0/copy.png" in str(caught.value)


def test_near_duplicates_share_a_group_across_series(data: Path) -> None:
    original = Image.open(data / "images/hero/series0/hero0.png")
    ImageEnhance.Brightness(original).enhance(1.02).save(data / "images/hero/series5/again.jpg", quality=95)
    rows = {r.path: r for r in index(data).rows}
    first, second = rows["images/hero/series0/hero0.png"], rows["images/hero/series5/again.jpg"]
    assert first.cluster == second.cluster != ""
    assert first.group == second.group == rows["images/hero/series5/hero5.png"].group == "series0 + series5"
    off = {r.path: r for r in index(data, near_duplicate_distance=None).rows}
    assert off["images/hero/series0/hero0.png"].group == "series0"


def test_clusters_are_those_of_comparing_every_pair() -> None:
    rng = np.random.default_rng(3)
    base = [int(x) for x in rng.integers(0, 2**63, 40)]
    hashes = base + [h ^ (1 << int(rng.integers(64))) ^ (1 << int(rng.integers(64))) for h in base[:20]]
    for distance in (0, 1, 2, 4):
        clusters = near_duplicate_clusters(hashes, distance)
        for i in range(len(hashes)):
            for j in range(i):
                if (hashes[i] ^ hashes[j]).bit_count() <= distance:
                    assert clusters[i] == clusters[j]
        if distance < 2:
            assert len(set(clusters)) >= 55


def test_clusters_do_not_depend_on_how_many_are_compared_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    base = rng.integers(0, 2**63, 300).astype(np.uint64)
    hashes = np.concatenate([base, base ^ np.uint64(5), base, base ^ np.uint64(1 << 60)])
    whole = near_duplicate_clusters(hashes, 2)
    assert len(set(whole)) == 300
    monkeypatch.setattr(duplicates, "_AT_ONCE", 7)
    assert near_duplicate_clusters(hashes, 2) == whole


def test_every_group_has_its_own_name_however_many_there_are() -> None:
    n = 50_000  # of images times groups there are more than 32 bits can count
    rng = np.random.default_rng(5)
    seen = Sightings(Texts(f"{i}.png" for i in range(n)))
    seen.rows["sha256"], seen.rows["phash"] = rng.integers(0, 256, (n, 32)), rng.permutation(n)
    facts = FactColumns(
        Codes.of(["hero", "villain"] * (n // 2)), Codes.of([""] * n), Codes.of(f"s{i}" for i in range(n))
    )
    options = IndexOptions(method="hash", near_duplicate_distance=None)
    rows = build_index(Scan(facts, seen), options).rows
    assert list(rows.group) == list(rows.series)


def test_a_corrupt_picture_goes_to_quarantine_and_stops_nothing(data: Path) -> None:
    (data / "images/hero/series0/broken.png").write_bytes(b"\x89PNG but no more")
    (data / "images/hero/series0/line\nbreak.jpg").write_bytes(b"")
    options = IndexOptions()
    scanned = scan(data, options)
    assert len(build_index(scanned, options).rows) == 24
    assert [(q.path, q.reason) for q in scanned.quarantine] == [
        ("images/hero/series0/broken.png", "not_an_image"),
        ("images/hero/series0/line%0Abreak.jpg", "empty"),
    ]
    check_quarantine(scanned.quarantine, len(scanned.seen), 0.1)
    with pytest.raises(DataError, match=r"2 of 26 files .* data.quarantine_limit is 0.05"):
        check_quarantine(scanned.quarantine, len(scanned.seen), 0.05)


def test_an_empty_class_one_class_and_no_data_are_told_apart(data: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="dvc pull -r demo"):
        index(tmp_path / "nothing")
    (data / "images" / "mentor").mkdir()
    with pytest.raises(DataError, match="class 'mentor': no image"):
        index(data)
    (data / "images" / "mentor" / "broken.png").write_bytes(b"no")
    with pytest.raises(DataError, match="class 'mentor': not one usable image"):
        index(data)


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "hero"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded(picture(0)))
    with pytest.raises(DataError, match="classes: hero; it takes two"):
        index(tmp_path)


def test_a_class_too_small_to_split_is_named(data: Path) -> None:
    folder = data / "images" / "mentor"
    folder.mkdir()
    for i in range(2):
        (folder / f"{i}.png").write_bytes(encoded(picture(500 + i)))
    with pytest.raises(SplitError, match=r"class 'mentor' \(2 images in 2 groups\)"):
        index(data)


def test_hash_splits_never_move_a_group_when_others_join() -> None:
    groups = [f"g{i}" for i in range(200)]
    labels = ["a", "b"] * 100
    before = assign_splits(labels, groups, SHARES, method="hash", seed=1)
    after = assign_splits(
        ["b", "a"] * 50 + labels, [f"new{i}" for i in range(100)] + groups, SHARES, method="hash", seed=1
    )
    assert after[100:] == list(before)
    assert 90 <= before.count("train") <= 150


def test_a_group_in_two_splits_is_an_error() -> None:
    with pytest.raises(SplitError, match="group 'g' stands in train and in test"):
        check_splits(["a", "a"], ["g", "g"], ["train", "test"])


def test_shares_are_met_for_any_ratio() -> None:
    rng = np.random.default_rng(0)
    groups = [f"s{rng.integers(70)}" for _ in range(400)]
    labels = [("hero", "villain")[int(rng.random() < 0.4)] for _ in range(400)]
    shares = {"train": 0.7, "val": 0.1, "test": 0.2}
    splits = assign_splits(labels, groups, shares, method="stratified", seed=42)
    for label in ("hero", "villain"):
        chosen = [s for s, one in zip(splits, labels, strict=True) if one == label]
        for split, share in shares.items():
            assert abs(chosen.count(split) / len(chosen) - share) < 0.05


@pytest.mark.parametrize(
    "name", ["plain.png", "100%.png", "new\nline.png", "キャラ.png", "emoji 😀.png", "bad\udcff.png"]
)
def test_escaped_paths_come_back(name: str) -> None:
    escaped = escape_path(name)
    escaped.encode("utf-8")
    assert "\n" not in escaped
    assert unescape_path(escaped) == name


def rejected(root: Path, text: str) -> None:
    (root / "metadata").mkdir(exist_ok=True)
    (root / "metadata" / "rejected.csv").write_text(text)


def key_of(root: Path, file: str) -> str:
    return hashlib.sha256((root / file).read_bytes()).hexdigest()


def dataset_bytes(root: Path, target: Path) -> bytes:
    write_index(index(root), dataset=target / "dataset.csv", summary=target / "data.json")
    return (target / "dataset.csv").read_bytes() + (target / "data.json").read_bytes()


def test_what_a_curator_rejected_is_no_row_and_stands_in_the_quarantine(data: Path) -> None:
    file = "images/hero/series0/hero0.png"
    key = key_of(data, file)
    rejected(data, f"key,file,reason\n{key},{file},no face\n{'0' * 64},gone.png,\n")
    (data / "images/villain/again.png").write_bytes((data / file).read_bytes())  # no conflict of labels
    options = IndexOptions()
    scanned = scan(data, options)
    assert [(q.path, q.sha256, q.reason, q.detail) for q in scanned.quarantine] == [
        (file, key, "rejected", "no face"),
        ("images/villain/again.png", key, "rejected", "no face"),
    ]
    made = build_index(scanned, options)
    assert len(made.rows) == 23
    assert key not in {row.key for row in made.rows}
    assert {"reason": "rejected", "files": 2} in made.summary["files"]


def test_a_rejection_holds_whatever_the_file_is_and_is_called(data: Path) -> None:
    broken = data / "images/hero/broken.png"
    broken.write_bytes(b"\x89PNG but no more")
    rejected(data, f"key\n{key_of(data, 'images/hero/broken.png').upper()}\n")
    broken.rename(data / "images/hero/other name.png")
    [row] = scan(data, IndexOptions()).quarantine
    assert (row.path, row.reason, row.detail) == (
        "images/hero/other name.png",
        "rejected",
        "no reason given",
    )


def test_rejections_do_not_count_for_the_limit_of_the_quarantine(data: Path) -> None:
    files = [f"images/hero/series{i}/hero{i}.png" for i in range(8)]
    rejected(data, "key\n" + "".join(f"{key_of(data, file)}\n" for file in files))
    quarantine = scan(data, IndexOptions()).quarantine
    assert len(quarantine) == 8
    check_quarantine(quarantine, 24, 0.0)
    (data / "images/hero/broken.png").write_bytes(b"no")
    quarantine = scan(data, IndexOptions()).quarantine
    check_quarantine(quarantine, 25, 1 / 17)
    with pytest.raises(DataError, match=r"1 of 17 files .* first images/hero/broken.png \(not_an_image\)"):
        check_quarantine(quarantine, 25, 0.05)


def test_a_class_that_is_rejected_as_a_whole_is_an_error(data: Path) -> None:
    keys = [key_of(data, f"images/hero/series{i}/hero{i}.png") for i in range(12)]
    rejected(data, "key\n" + "".join(f"{key}\n" for key in keys))
    with pytest.raises(DataError, match=r"class 'hero': not one usable image; results/quarantine\.csv"):
        index(data)


def test_the_same_index_with_rejections_of_other_pictures_as_without(data: Path, tmp_path: Path) -> None:
    before = dataset_bytes(data, tmp_path)
    rejected(data, "key,file,reason\n")
    assert dataset_bytes(data, tmp_path) == before
    rejected(data, f"key,file,reason\n{'a' * 64},images/hero/series0/hero0.png,by its name only\n")
    assert dataset_bytes(data, tmp_path) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("key,reason\n\n,no key\n", "line 3: the key '' is no sha256 of a file"),
        ("key\nabc\n", "line 2: the key 'abc' .* correct it"),
        ("file,reason\nx,y\n", "lacks the column key"),
    ],
)
def test_a_bad_row_of_the_rejections_is_named(data: Path, text: str, said: str) -> None:
    rejected(data, text)
    with pytest.raises(MetadataError, match=said):
        index(data)


def test_a_label_with_a_key_follows_the_bytes(data: Path) -> None:
    old, new = "images/hero/series0/hero0.png", "images/hero/series1/moved.png"
    key = key_of(data, old)
    (data / "metadata").mkdir()
    labels = data / "metadata" / "labels.csv"
    labels.write_text(f"file,label,key\n{old},villain,{key}\n")
    assert {r.path: r.label for r in index(data).rows}[old] == "villain"
    (data / old).rename(data / new)
    assert {r.path: r.label for r in index(data).rows}[new] == "villain"
    (data / old).write_bytes(encoded(picture(999)))
    by_path = {r.path: r.label for r in index(data).rows}
    assert (by_path[old], by_path[new]) == ("hero", "villain")
    (data / new).unlink()
    assert {r.label for r in index(data).rows if r.path == old} == {"hero"}
    labels.write_text(f"file,label,key\n{old},villain,{key}\n{new},hero,{key}\n")
    with pytest.raises(MetadataError, match="row 2: a second label for the key"):
        index(data)
    labels.write_text(f"file,label,key\n{new},hero,\n")  # without a key a name is all there is
    with pytest.raises(MetadataError, match="row 1: no file"):
        index(data)


def test_the_table_is_written_by_columns_as_it_would_be_by_rows(data: Path, tmp_path: Path) -> None:
    characters(
        data,
        [
            ["images/hero/series0/hero0.png", "=1+1", "Sky, High"],
            ["images/hero/series1/hero1.png", "'=1", "-5"],
            ["images/villain/series3/villain3.png", "Ren", "+\u30ad"],
        ],
    )
    (data / "images/hero/series0/100%\udcff.jpg").write_bytes(encoded(picture(77), "JPEG"))
    (data / "images/hero/series0/again.png").write_bytes(encoded(picture(77)))
    made = index(data)
    table = tmp_path / "dataset.csv"
    write_index(made, dataset=table, summary=tmp_path / "data.json")
    assert table.read_text(encoding="utf-8") == csv_text(list(made.rows), COLUMNS)
    assert json.loads((tmp_path / "data.json").read_text()) == made.summary
    assert {row.jpeg_quality is None for row in made.rows} == {True, False}
