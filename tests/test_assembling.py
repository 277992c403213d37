"""What a search puts into the data folder, and what stays in it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from conftest import encoded, picture

from collection.assembling import Assembled, assemble
from collection.crop import CropParams, cut
from collection.fetching.rawfiles import keep
from collection.gathering import Entry
from collection.importing import import_folder
from collection.provenance import read_sources
from collection.records import Candidate, Character, Fetched
from featurestore.errors import MetadataError
from featurestore.metadata import facts_of
from featurestore.rejections import read_rejections
from featurestore.scan import find_files

CAST = tuple(
    Character(name, "S", role)  # type: ignore[arg-type]
    for name, role in (("Ann", "hero"), ("Bob", "hero"), ("Cid", "villain"), ("Dan", "antihero"))
)


def assembled(
    folder: Path, *, size_px: int = 64, cast: tuple[Character, ...] = CAST, **options: Any
) -> Assembled:
    """The cast's pictures, one each, cut to a size."""
    params = CropParams("center-top", size_px=size_px)
    entries = [
        Entry(
            Candidate(one, "folder", "", 0, f"/home/me/{one.name}/a.png", shown=f"{one.name}/a.png"),
            Fetched(
                f"/home/me/{one.name}/a.png",
                sha256=keep(folder / "raw", encoded(picture(int.from_bytes(one.name.encode()), (80, 60)))),
            ),
        )
        for one in cast
    ]
    return assemble(
        entries, folder / "raw", folder / "data", lambda image: cut(image, params), max_pixels=10_000,
        about={"cut": params.text()}, **options,
    )  # fmt: skip


def write(folder: Path, name: str, *lines: str) -> None:
    (folder / "data/metadata" / name).write_text("\n".join(lines) + "\n")


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "data/metadata" / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def labels(folder: Path) -> dict[str, str]:
    """By character, as a study reads them."""
    root = folder / "data"
    facts = facts_of(find_files(root), root, group_from=None)
    return {one.character: one.label for one in facts.values()}


def decide(folder: Path, made: Assembled) -> None:
    """Ann is rejected, Bob relabelled by key, Cid accepted, Dan relabelled by name."""
    ann, bob, cid, dan = made.rows
    write(folder, "rejected.csv", "key,file,reason,who", f"{ann.key},{ann.file},blurred,me")
    write(folder, "labels.csv", "file,label,key", f"{bob.file},villain,{bob.key}", f"{dan.file},hero,")
    write(folder, "accepted.csv", "key,file", f"{cid.key},{cid.file}")


@pytest.mark.parametrize("replace_all", [False, True])
def test_what_was_decided_holds_when_it_is_cut_anew(tmp_path: Path, replace_all: bool) -> None:
    before = assembled(tmp_path)
    decide(tmp_path, before)
    ann, bob, cid, _ = assembled(tmp_path, size_px=32, replace_all=replace_all).rows
    assert {row.key for row in before.rows}.isdisjoint({ann.key, bob.key, cid.key})
    assert labels(tmp_path) == {"Ann": "hero", "Bob": "villain", "Cid": "villain", "Dan": "hero"}
    rejected = table(tmp_path, "rejected.csv")
    assert [row["key"] for row in rejected] == [before.rows[0].key, ann.key], "and what was said before stays"
    assert (rejected[1]["file"], rejected[1]["reason"], rejected[1]["who"]) == (ann.file, "blurred", "me")
    assert [row["key"] for row in table(tmp_path, "accepted.csv")] == [before.rows[2].key, cid.key]


@pytest.mark.parametrize("replace_all", [False, True])
def test_the_same_cut_again_changes_no_table(tmp_path: Path, replace_all: bool) -> None:
    decide(tmp_path, assembled(tmp_path))
    names = ("rejected.csv", "labels.csv", "accepted.csv")
    before = [(tmp_path / "data/metadata" / name).read_bytes() for name in names]
    assembled(tmp_path, replace_all=replace_all)
    assert [(tmp_path / "data/metadata" / name).read_bytes() for name in names] == before


def test_a_cut_that_was_decided_of_itself_keeps_its_decision(tmp_path: Path) -> None:
    first = assembled(tmp_path)
    other = assembled(tmp_path, size_px=32)
    write(tmp_path, "rejected.csv", "key,file,reason", f"{first.rows[0].key},x.png,a bad cut")
    write(tmp_path, "accepted.csv", "key,file", f"{other.rows[0].key},y.png")
    write(
        tmp_path, "labels.csv", "file,label,key", f"x.png,hero,{first.rows[1].key}",
        f"y.png,villain,{other.rows[1].key}",
    )  # fmt: skip
    assembled(tmp_path)
    assert [row["key"] for row in table(tmp_path, "accepted.csv")] == [other.rows[0].key]
    assert set(read_rejections(tmp_path / "data")) == {first.rows[0].key}
    assert labels(tmp_path)["Bob"] == "hero"


def test_decisions_wait_for_a_picture_that_is_away(tmp_path: Path) -> None:
    decide(tmp_path, assembled(tmp_path))
    assembled(tmp_path, cast=CAST[:1])
    assert labels(tmp_path) == {"Ann": "hero"}, "a name that is gone is no error"
    assembled(tmp_path)
    assert labels(tmp_path) == {"Ann": "hero", "Bob": "villain", "Cid": "villain", "Dan": "hero"}


def test_a_table_that_cannot_be_read_is_told_before_anything_changes(tmp_path: Path) -> None:
    before = assembled(tmp_path)
    write(tmp_path, "rejected.csv", "key,file", "no key,x.png")
    with pytest.raises(MetadataError, match=r"rejected\.csv, line 2: the key 'no key'"):
        assembled(tmp_path, size_px=32)
    assert [row.key for row in read_sources(tmp_path / "data")] == [row.key for row in before.rows]
    assert all((tmp_path / "data" / row.file).is_file() for row in before.rows)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_pictures_that_were_imported_stay_with_their_rows(tmp_path: Path) -> None:
    for label, seed in (("hero", 1), ("villain", 2)):
        file = tmp_path / "mine" / label / "own.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(encoded(picture(seed)))
    assembled(tmp_path)
    import_folder(tmp_path / "mine", tmp_path / "data", replace=False)
    for _ in range(2):
        made = assembled(tmp_path, size_px=32)
        assert made.n_images == {"hero": 2, "villain": 2}
        files = set(find_files(tmp_path / "data"))
        assert files == {row.file for row in made.rows} | {"images/hero/own.png", "images/villain/own.png"}
        rows = read_sources(tmp_path / "data")
        assert [row.provider for row in rows] == ["folder"] * 4 + ["import"] * 2
    assembled(tmp_path, replace_all=True)
    assert len(find_files(tmp_path / "data")) == 4


def test_the_record_says_what_is_to_be_shown_of_an_address(tmp_path: Path) -> None:
    assert [row.url for row in assembled(tmp_path).rows] == [
        "Ann/a.png",
        "Bob/a.png",
        "Cid/a.png",
        "Dan/a.png",
    ]


def test_the_same_picture_is_taken_once(tmp_path: Path) -> None:
    ann, again = assembled(tmp_path, cast=(CAST[0], CAST[0])).rows
    assert (again.key, again.file, again.reason) == ("", "", f"the same picture as {ann.file}")
