"""Names that mean harm, of files, folders and in tables: from the disk to dataset.csv and back."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import encoded, picture

from featurestore.dataset import DatasetRow, Images, csv_text, image_places, read_dataset, write_table
from featurestore.errors import DataError, ImageRejected, MetadataError, Reason
from featurestore.images import read_image_file
from featurestore.index import Index, build_index
from featurestore.metadata import escape_path, is_formula, read_table, unescape_path
from featurestore.scan import IndexOptions, scan

NFC, NFD = (unicodedata.normalize(form, "Pokémon é.png") for form in ("NFC", "NFD"))
#: Neither composed nor decomposed throughout: the same to the eye.
MIXED = "Poke\u0301mon \u00e9.png"

#: Each is one or two names below a class folder.
NAMES: dict[str, tuple[str, ...]] = {
    "unicode_emoji": ("キャラ 👩‍🚀 ١٢.png",),
    "newline": ("two\nlines\r\t.png",),
    "escapes": ("\x1b[31mred\x07.png",),
    "right_to_left": ("\u202egnp.exe.png",),
    "leading_dash": ("-rf.png",),
    "spaces": ("  a  b .png",),
    "shell_quotes": ('\'; touch pwned; "$(touch pwned)" `touch pwned` \\.png',),
    "case_collision": ("A.png", "a.png"),
    "nfc_vs_nfd": (NFC, NFD),
    "255_bytes": ("あ" * 83 + "aa.png",),
    "non_utf8": (os.fsdecode(b"bad\xff\xfe.png"),),
    "percent_traversal": ("%2e%2e%2fx.png", "%00.png"),
    "percent": ("100%.png",),
    "csv_formula": ("=1+1.png", "@SUM(A1).png", '=HYPERLINK("x"),"y.png'),
    "csv_formula_folder": ("=cmd|' !A0/x.png", "+1-2/y.png", "-5/z.png"),
    "html_tag": ("<img src=x onerror=alert(1)>.png",),
}


def index(root: Path, **options: object) -> Index:
    made = IndexOptions(**options)
    return build_index(scan(root, made), made)


def characters(root: Path, text: str | bytes) -> Path:
    file = root / "metadata" / "characters.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def place(root: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """A picture under each name; skips where the file system does not know such names."""
    placed = {}
    for i, name in enumerate(names):
        file, data = root / "images" / "hero" / name, encoded(picture(80_000 + i))
        try:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
        except OSError as error:
            pytest.skip(f"{error.strerror}: this file system has no such names")
        placed[f"images/hero/{name}"] = data
    if {file: (root / file).read_bytes() for file in placed} != placed:
        pytest.skip("this file system takes two of these names for one")
    return placed


def cells(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def assert_no_formula(table: list[list[str]]) -> None:
    for row in table:
        for cell in row:
            assert cell.lstrip()[:1] not in ("=", "+", "-", "@") or cell.lstrip("+-").isdigit(), cell


@pytest.mark.parametrize("case", NAMES)
def test_a_picture_is_found_again_whatever_it_is_called(data: Path, tmp_path: Path, case: str) -> None:
    placed = place(data, NAMES[case])
    table = tmp_path / "dataset.csv"
    write_table(table, index(data).rows, DatasetRow)
    assert len(table.read_bytes().split(b"\n")) == 1 + 24 + len(placed) + 1  # one line each
    assert table.read_text(encoding="utf-8").replace("\n", "").isprintable()
    assert_no_formula(cells(table))
    paths = image_places(table, data)
    assert list(read_dataset(table)["key"]) == list(paths)
    for path in paths.values():
        assert path.resolve().is_relative_to(data.resolve())
    read = {path.relative_to(data).as_posix(): read_image_file(path, root=data) for path in paths.values()}
    assert placed.items() <= read.items()
    assert not (tmp_path / "pwned").exists()


def test_a_table_that_was_put_in_another_order_names_the_same_places(tmp_path: Path) -> None:
    keys = [f"{i * 7919 % 65536:04x}" * 16 for i in range(50)]
    rows = {key: ("s3://b/%23.png" if i % 2 else f"images/héro/{i}.png") for i, key in enumerate(keys)}

    def places(lines: list[tuple[str, str]]) -> Images:
        (tmp_path / "t.csv").write_text("".join(f"{a},{b}\n" for a, b in [("key", "path"), *lines]), "utf-8")
        return image_places(tmp_path / "t.csv", tmp_path)

    found, again = places(sorted(rows.items())), places([(keys[3], "no.png"), *rows.items()])
    assert dict(found) == dict(again)
    assert list(again) == sorted(keys)
    assert again[keys[0]] == tmp_path / "images" / "héro" / "0.png"
    assert again[keys[1]] == "s3://b/#.png"
    assert len(again) == 50
    assert not {"f" * 64, "", "no key", keys[0][:62]} & {key for key in again if key in found}
    for key in ("f" * 64, "0" * 62, "", "no key", keys[0][:62]):
        assert key not in found
    assert dict(places([])) == {}
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        places([("ab", "a.png")])


@pytest.mark.parametrize("case", NAMES)
def test_a_row_of_a_table_speaks_of_just_this_file(data: Path, case: str) -> None:
    placed = place(data, NAMES[case])
    target = data / "metadata" / "characters.csv"
    target.parent.mkdir()
    for written in (str, escape_path):  # as the disk has it, or as dataset.csv has it
        if written is str and case == "non_utf8":
            continue
        with target.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(
                [("file", "character"), *((written(file), f"no. {i}") for i, file in enumerate(placed))]
            )
        found = {unescape_path(row.path): row.character for row in index(data).rows}
        assert [found[file] for file in placed] == [f"no. {i}" for i in range(len(placed))]


@pytest.mark.parametrize(
    ("names", "written"),
    [
        ((NFC, NFD), MIXED),
        (("100%.png", "100%25.png"), "100%25.png"),
    ],  # as it is, or as dataset.csv has the other
)
def test_a_name_that_fits_two_files_is_an_error_that_names_both(
    data: Path, names: tuple[str, str], written: str
) -> None:
    place(data, names)
    characters(data, f"file,character\nimages/hero/{written},Aki\n")
    with pytest.raises(MetadataError, match=r"row 1: .* may mean .* or .*; rename one") as caught:
        index(data)
    assert all(ascii(f"images/hero/{name}") in str(caught.value) for name in names)


def test_a_name_of_another_unicode_form_is_found_where_only_one_fits(data: Path) -> None:
    place(data, (NFD,))
    characters(data, f"file,character\nimages/hero/{NFC},Aki\n")
    assert {row.character for row in index(data).rows} == {"Aki", ""}


@pytest.mark.parametrize("cell", ["=1+1", "+1-2", "-cmd", "@SUM(A1)", '=HYPERLINK("x")', "＝1", "'=1"])
def test_no_cell_of_a_table_becomes_a_formula(data: Path, tmp_path: Path, cell: str) -> None:
    quoted = cell.replace('"', '""')
    characters(data, f'file,character,series\nimages/hero/series0/hero0.png,"{quoted}","{quoted}"\n')
    for group in ("series", "character"):
        table = tmp_path / "dataset.csv"
        write_table(table, index(data, group=group).rows, DatasetRow)
        row = next(r for r in read_dataset(table).to_dict("records") if r["path"].endswith("/hero0.png"))
        assert row["series"] == row["character"] == f"'{cell}"
        assert row["group"].startswith(f"'{cell}")
        assert_no_formula(cells(table))


def test_texts_that_differ_stay_different_and_numbers_are_numbers(data: Path) -> None:
    texts = ["=1", "'=1", "''=1", "-5", "+5.25", "-1e3", "- 5", "5 - 3", "", "'quoted'", " =1"]
    row = asdict(index(data).rows[0])
    written = [csv_text([DatasetRow(**{**row, "series": t})], ["x"]).splitlines()[1] for t in texts]
    assert len(set(written)) == len(texts)
    for text in ("-5", "+5.25", "-1e3", "5 - 3", "'quoted'"):
        assert not is_formula(text)
        assert f",{text}," in written[texts.index(text)]


@pytest.mark.parametrize("label", ["=1+1", "+villain", "-", "@home", "＝x"])
def test_a_class_named_like_a_formula_is_refused(data: Path, label: str) -> None:
    (data / "images" / "villain").rename(data / "images" / label)
    with pytest.raises(DataError, match="rename it") as caught:
        index(data)
    assert repr(label) in str(caught.value)


def test_a_class_named_like_a_number_is_a_class(data: Path) -> None:
    (data / "images" / "villain").rename(data / "images" / "-1")
    assert {row.label for row in index(data).rows} == {"hero", "-1"}


def test_a_label_of_a_table_is_no_formula_either(data: Path) -> None:
    (data / "metadata").mkdir()
    (data / "metadata" / "labels.csv").write_text("file,label\nimages/hero/series0/hero0.png,=1+1\n")
    with pytest.raises(MetadataError, match=r"labels\.csv: the label '=1\+1'"):
        index(data)


def _link_to_a_class(images: Path) -> None:
    (images / "villain").rename(images.parent / "elsewhere")
    (images / "villain").symlink_to(images.parent / "elsewhere")


def _link_to_nothing(images: Path) -> None:
    (images / "villain").symlink_to(images / "gone")


def _link_to_itself(images: Path) -> None:
    (images / "villain").symlink_to("villain")


@pytest.mark.parametrize("link", [_link_to_a_class, _link_to_nothing, _link_to_itself])
def test_a_linked_class_is_an_error_and_never_gone_in_silence(
    data: Path, link: Callable[[Path], None]
) -> None:
    if link is not _link_to_a_class:
        (data / "images" / "villain").rename(data / "images" / "mentor")
    link(data / "images")
    with pytest.raises(DataError, match="class folder 'villain': a link, which is not followed; copy"):
        index(data)


def test_pictures_in_no_class_are_counted(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("stray.png", ".hidden.png", "notes.txt"):
        (data / "images" / name).write_bytes(encoded(picture(1)))
    assert len(index(data).rows) == 24
    assert [record.getMessage() for record in caplog.records] == [
        f"1 pictures left out: in {data / 'images'} itself, in no folder of a class"
    ]


@pytest.mark.parametrize("path", ["images/../../secret.png", "images/%2e%2e/%2E%2E/secret.png", "a%00b.png"])
def test_a_table_that_was_tampered_with_leads_nowhere(data: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(picture(1)))
    table = tmp_path / "dataset.csv"
    write_table(table, [DatasetRow(**{**asdict(index(data).rows[0]), "path": path})], DatasetRow)
    with pytest.raises(ImageRejected) as caught:
        read_image_file(next(iter(image_places(table, data).values())), root=data)
    assert caught.value.reason is Reason.NOT_A_FILE


# --- the tables themselves


def _fifo(file: Path) -> None:
    os.mkfifo(file)


def _large(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate((64 << 20) + 1)  # a hole: nothing is written, and nothing must be read


BAD_TABLES: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (_fifo, "a folder, pipe or device"),
    "folder": (lambda file: file.mkdir(), "a folder, pipe or device"),
    "link_to_nothing": (lambda file: file.symlink_to("gone.csv"), "No such file"),
    "link_to_itself": (lambda file: file.symlink_to(file.name), "symbolic link"),
    "too_large": (_large, "67108865 bytes; at most 67108864"),
    "nul": (
        lambda file: file.write_bytes(b"file,series\nimages/hero/series0/hero0.png,S\0ky\n"),
        "NUL bytes",
    ),
    "utf16": (lambda file: file.write_text("file,series\n", encoding="utf-16"), "save it as CSV in UTF-8"),
    "latin1": (lambda file: file.write_bytes(b"file,series\nx,Pok\xe9mon\n"), "no UTF-8"),
    "long_field": (lambda file: file.write_text(f"file,series\nx,{'y' * 200_000}\n"), "field larger than"),
    "long_header": (lambda file: file.write_text("y" * 200_000), "field larger than"),
    "open_quote": (lambda file: file.write_text('file,series\nx,"Sky\n'), "no CSV"),
    "control": (lambda file: file.write_text("file,series\nx,\x1b[31mSky\n"), "line 2: a control character"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_table_that_cannot_be_used_is_one_line(data: Path, case: str) -> None:
    make, said = BAD_TABLES[case]
    file = data / "metadata" / "characters.csv"
    file.parent.mkdir()
    make(file)
    with pytest.raises(MetadataError, match=said) as caught:
        index(data)
    assert str(file) in str(caught.value)
    assert str(caught.value).isprintable()


def test_line_breaks_in_a_cell_are_blanks(data: Path) -> None:
    file = characters(data, 'file,series\nimages/hero/series0/hero0.png,"Sky\r\n\tHigh "\n')
    assert read_table(file, ["file"])[0]["series"] == "Sky High"
