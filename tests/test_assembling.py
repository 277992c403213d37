"""What a search puts into the data folder, and what stays in it."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import encoded, picture

from collection.assembling import Assembled, assemble
from collection.carryover import SAME_AS, carry_to_new_cuts
from collection.crop import CropParams, Cut, cut
from collection.crop.squares import Square
from collection.fetching.rawfiles import keep
from collection.gathering import Entry
from collection.importing import import_folder
from collection.provenance import Source, read_sources, write_sources
from collection.records import Candidate, Character, Fetched, Verdict
from featurestore.errors import MetadataError
from featurestore.files import sha256_of, write_text_atomic
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


def cuts(*originals: str, old: bool = False) -> list[Source]:
    """A cut of the first original, and the others, which gave the same."""
    key = ("a" if old else "b") + originals[0] * 63
    file = f"images/hero/{key[:12]}.png"
    more = [Source(original=one * 64, reason=f"{SAME_AS}{file}") for one in originals[1:]]
    return [Source(key=key, file=file, original=originals[0] * 64), *more]


@pytest.mark.parametrize(
    ("before", "rejected", "accepted", "now", "expected"),
    [
        ([*cuts("1", old=True), *cuts("2", old=True)], "1", "2", cuts("1", "2"), {"accepted": 1}),
        ([*cuts("1", old=True), *cuts("2", old=True)], "2", "1", cuts("1", "2"), {"accepted": 1}),
        ([*cuts("1", old=True), *cuts("2", old=True)], "1", "", cuts("1", "2"), {}),
        ([*cuts("1", old=True), *cuts("2", old=True)], "12", "", cuts("1", "2"), {"rejected": 1}),
        (cuts("1", "2", old=True), "1", "", cuts("2", "1"), {"rejected": 1}),
        (cuts("1", old=True), "1", "", cuts("1", "3"), {"rejected": 1}),  # nobody has judged the third
    ],
)
def test_a_new_cut_of_several_originals_is_rejected_where_each_was(
    tmp_path: Path,
    before: list[Source],
    rejected: str,
    accepted: str,
    now: list[Source],
    expected: dict[str, int],
) -> None:
    for name, rows in (("data", before), ("staging", now)):
        (tmp_path / name / "metadata").mkdir(parents=True)
        write_sources(tmp_path / name, rows)
    for name, said in (("rejected", rejected), ("accepted", accepted)):
        text = "".join(f"a{one * 63},x\n" for one in said)
        write_text_atomic(tmp_path / f"staging/metadata/{name}.csv", f"key,file\n{text}")
    carried = carry_to_new_cuts(tmp_path / "data", tmp_path / "staging")
    assert carried == {f"metadata/{name}.csv": n for name, n in expected.items()}
    for name in expected:
        with (tmp_path / f"staging/metadata/{name}.csv").open(newline="") as stream:
            assert [*csv.DictReader(stream)][-1] == {"key": now[0].key, "file": now[0].file}


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


@pytest.mark.parametrize("with_key", [True, False])
def test_a_record_of_somebody_elses_costs_no_file_of_ones_own(tmp_path: Path, with_key: bool) -> None:
    """``sources.csv`` may come with pictures from anywhere."""
    mine = tmp_path / "mine"
    for label, seed in (("hero", 1), ("villain", 2)):
        (mine / label).mkdir(parents=True)
        (mine / label / "own.png").write_bytes(encoded(picture(seed)))
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    (mine / "metadata").mkdir()
    key = "0" * 64 if with_key else ""
    names = (
        "../../precious.txt",
        "../precious.txt",
        str(precious),
        "%2E%2E/precious.txt",
        "images/../../precious.txt",
    )
    rows = [
        Source(key=key[:-1] + str(i) if key else "", provider="serpapi", file=name)
        for i, name in enumerate(names)
    ]
    write_sources(mine, rows)
    import_folder(mine, tmp_path / "data", replace=True)
    assembled(tmp_path)
    write_sources(tmp_path / "data", rows)
    assembled(tmp_path)
    assert precious.read_text() == "mine"
    assert (tmp_path / "data" / "images" / "hero" / "own.png").is_file()


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


def test_the_record_holds_all_that_is_known_of_an_offer_and_of_what_came_of_it(tmp_path: Path) -> None:
    """One that is taken, one that shows no face, one that was not to be had."""
    who = Character("Ann One", "Sky", "antihero", label_source="a poll")
    mugshot = Cut(picture(9, (64, 64)), Square(2, 5, 60), "anime", 2, False, None)
    cuts, entries, came = iter((mugshot, None)), [], []
    for i, reason in enumerate(("", "", "404")):
        url, page, licence, final_url = (f"https://{host}.example/{i}" for host in "abcd")
        time, status, said = f"2026-01-01T00:00:0{i}+00:00", 200 + i, f"who {i}"
        original = "" if reason else keep(tmp_path / "raw", encoded(picture(i, (80, 60))))
        offer = Candidate(who, "serpapi", "Ann One Sky", i + 3, url, page, licence)
        fetched = Fetched(url, final_url, time, status, Verdict(not reason, said), original)
        entries.append(Entry(offer, fetched, reason))
        came.append(
            Source(
                character="Ann One", series="Sky", role="antihero", label_source="a poll", provider="serpapi",
                query="Ann One Sky", rank=f"{i + 3}", page=page, url=url, final_url=final_url, time=time,
                status=f"{status}", licence=licence, opt_out=said, original=original,
            )
        )  # fmt: skip
    root = tmp_path / "data"
    assemble(entries, tmp_path / "raw", root, lambda _: next(cuts), max_pixels=10_000, about={})
    key = hashlib.sha256(mugshot.png()).hexdigest()
    file = f"images/villain/ann-one-{key[:12]}.png"
    assert read_sources(root) == [
        replace(came[0], key=key, file=file, crop="anime", box="2 5 60 60", n_faces="2"),
        replace(came[1], n_faces="0", reason="no face was found"),
        replace(came[2], reason="404"),
    ]
    assert sha256_of(root / file) == key
    assert table(tmp_path, "characters.csv") == [
        {"file": file, "character": "Ann One", "series": "Sky", "role": "antihero"}
    ]
