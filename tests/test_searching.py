"""From a list to mugshots: every good picture is kept, every bad one has its reason, and a kill costs nothing."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from collection import searching
from collection.card import write_card
from collection.crop import CropParams, cut
from collection.fetching.rawfiles import keep
from collection.importing import import_folder
from collection.provenance import read_sources
from collection.providers.folder import Folder
from collection.records import Candidate, Character, Fetched
from collection.searching import Places, Wish, copied, search
from collection.telling import plan_text, report_text
from featurestore.errors import DataError, UsageError
from featurestore.files import TEMPORARY_PREFIX
from featurestore.metadata import facts_of
from featurestore.scan import find_files
from tests.conftest import ROOT, encoded, picture
from tests.hosts import ImageHost
from tests.serpapi_double import KEY, SerpApiDouble, images

#: The first offer of each character in turn; the second is always good. N is the character's number.
FIRST = (
    "/good/N.png", "/good/N.jpg", "/missing/", "/later/1/0/N.png", "/unwell/1/N.jpg", "/good/N.webp",
    "/drip/N.png", "/endless/N.png", "/bomb/N.png", "/loop/N", "/page/N.jpg", "/truncated/N.jpg",
    "/long-length/N.png", "/dropped/500/N.png", "/broken/", "/marked/noai/N.png", "/marked/tdm/N.png",
    "LOOPBACK", "PRIVATE", "/gzip/N.png", "/good/N.png", "/hops/2/good/N.png", "/mislabelled/N.png", "/empty/N.png",
)  # fmt: skip
GOOD = re.compile(r"^/(good|later|unwell|gzip|hops|mislabelled)/")


def first_of(host: ImageHost, i: int) -> str:
    path = FIRST[i % len(FIRST)].replace("N", str(i))
    if path == "LOOPBACK":
        return host.redirect("http://127.0.0.1:9/x.png")
    if path == "PRIVATE":
        return host.redirect("http://10.0.0.7/x.png")
    return host.url(path if path.count("/") > 1 and not path.endswith("/") else f"{path}{i}.png")


@dataclass
class World:
    folder: Path
    host: ImageHost
    service: SerpApiDouble
    n: int

    def victim(self, name: str) -> list[str]:
        options = {
            "raw": str(self.folder / name / "raw"), "root": str(self.folder / name / "data"), "key": KEY,
            "port": str(self.host.port), "service": self.service.base_url, "list": str(self.folder / "list.csv"),
        }  # fmt: skip
        return [sys.executable, str(ROOT / "tests" / "search_victim.py"), json.dumps(options)]

    def run(self, name: str) -> str:
        done = subprocess.run(self.victim(name), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.folder / name / "data/metadata/sources.csv").open(newline="") as stream:
            return list(csv.DictReader(stream))

    def digests(self, name: str) -> dict[str, str]:
        """Of every file of the data folder; the record without its times."""
        root = self.folder / name / "data"
        found = {}
        for path in sorted(root.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                if path.name == "sources.csv":
                    data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+:\dZ]*", b"", data)
                found[path.relative_to(root).as_posix()] = hashlib.sha256(data).hexdigest()
        return found


def world(folder: Path, n: int) -> Iterator[World]:
    roles = ("hero", "villain", "antihero")
    with (folder / "list.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["character", "series", "role", "aliases", "query_hints", "label_source"])
        for i in range(n):
            writer.writerow(
                [f"Person{i:03d}x", f"Series {i // 4}", roles[i % 3], "", "", "made up by a test"]
            )
    with ImageHost() as host:

        def offers(query: str) -> list[dict[str, Any]]:
            i = int(re.findall(r"Person(\d+)x", query)[0])
            return images(2, lambda k: host.url(f"/good/{1000 + i}.png") if k else first_of(host, i))

        with SerpApiDouble(offers) as service:
            yield World(folder, host, service, n)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, len(FIRST))


def check(w: World, name: str) -> None:
    """Every character has its picture; every offer that was tried its row."""
    rows = w.rows(name)
    kept = [row for row in rows if row["file"]]
    assert len(kept) == w.n
    assert len({row["character"] for row in kept}) == w.n
    for i in range(w.n):
        own = [row for row in rows if row["character"] == f"Person{i:03d}x"]
        if GOOD.match(FIRST[i % len(FIRST)]):
            assert [row["reason"] for row in own] == [""], own
        else:
            assert len(own) == 2
            assert own[0]["reason"], own[0]
            assert (own[0]["key"], own[1]["reason"]) == ("", "")
    for row in kept:
        file = w.folder / name / "data" / row["file"]
        data = file.read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["key"]
        assert row["key"][:12] in file.name
        assert Path(row["file"]).parts[1] == ("hero" if row["role"] == "hero" else "villain")
        with Image.open(file) as image:
            assert (image.size, image.format) == ((64, 64), "PNG")
        assert (row["crop"], row["opt_out"]) == ("center-top", "none found")
        assert row["label_source"] == "made up by a test"
    assert len(list((w.folder / name / "data/images").rglob("*.png"))) == w.n
    assert not list(w.folder.rglob(".*-*")), "nothing half-made is left"


def test_every_good_picture_is_kept_and_every_bad_one_has_its_reason(small: World) -> None:
    said = small.run("one")
    check(small, "one")
    reasons = Counter(row["reason"] for row in small.rows("one") if row["reason"])
    text = " | ".join(reasons)
    for part in ("404", "noai", "tdm-reservation", "10.0.0.7", "127.0.0.1"):
        assert part in text, text
    assert f"{len(FIRST) // 3} hero" in said
    assert len(small.service.asked) == small.n


def test_a_second_run_asks_nobody_and_changes_nothing(small: World) -> None:
    small.run("one")
    before = {p: p.read_bytes() for p in (small.folder / "one/data").rglob("*") if p.is_file()}
    small.host.reset()
    n_asked = len(small.service.asked)
    small.run("one")
    assert len(small.service.asked) == n_asked
    assert not small.host.seen
    assert {p: p.read_bytes() for p in (small.folder / "one/data").rglob("*") if p.is_file()} == before


def killed(w: World, name: str, n_kills: int, seed: int) -> None:
    """Kill it at so many points, then let it end."""
    rng = random.Random(seed)
    journal = w.folder / name / "raw" / "journal.jsonl"
    for _ in range(n_kills):
        known = journal.stat().st_size if journal.exists() else 0
        process = subprocess.Popen(w.victim(name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        grown = known + rng.randint(0, 3000)
        until = time.monotonic() + 8
        while time.monotonic() < until and process.poll() is None:
            if journal.exists() and journal.stat().st_size > grown:
                break
            time.sleep(0.002)
        time.sleep(rng.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    w.run(name)


def test_a_run_that_is_killed_ends_with_the_same_bytes(small: World) -> None:
    small.run("whole")
    killed(small, "torn", 4, seed=1)
    check(small, "torn")
    assert small.digests("torn") == small.digests("whole")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_three_hundred_characters_survive_fifty_kills(tmp_path: Path) -> None:
    for w in world(tmp_path, 300):
        w.run("whole")
        check(w, "whole")
        killed(w, "torn", 50, seed=2)
        check(w, "torn")
        assert w.digests("torn") == w.digests("whole")
        assert len(w.service.asked) <= 2 * 300 + 50, (
            "an answer is paid for once, but for one that a kill took"
        )


def test_the_key_is_in_nothing_that_a_search_leaves(small: World) -> None:
    said = small.run("one")
    for path in (small.folder / "one").rglob("*"):
        if path.is_file():
            assert b"canary-key" not in path.read_bytes(), path
    assert "canary-key" not in said


class Nobody:
    """A provider whose only offer is not to be had."""

    name = "urls"
    costs = False
    lasts = True

    def known(self, one: Character) -> bool:
        return True

    def candidates(self, one: Character) -> list[Candidate]:
        return [Candidate(one, self.name, "", i, f"http://gone.example/{i}.png") for i in range(6)]

    def forget_empty(self) -> int:
        return 0

    def strangers(self, characters: Sequence[Character]) -> list[str]:
        return []


def test_a_search_that_finds_nothing_leaves_the_data_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places = Places(tmp_path / "raw", tmp_path / "data")
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "images" / "mine.png").write_bytes(b"x")

    def fetch(urls: Sequence[str], done: Callable[[Fetched], None]) -> None:
        for url in urls:
            done(Fetched(url, reason=f"no {url[-5]}"))

    with pytest.raises(
        DataError,
        match=r"none of 5 pictures was to be had; .*is as it was. .*journal.jsonl has .*--retry-failed",
    ):
        search(
            [Character("A", "S", "hero")], Nobody(), fetch, places, lambda _: None, Wish(), cutting={},
            max_pixels=100,
        )  # fmt: skip
    assert [p.name for p in (tmp_path / "data").rglob("*") if p.is_file()] == ["mine.png"]
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warned == [f"1 not taken: no {i}" for i in range(5)]


class Two:
    """Offers everybody a picture of their own and one more, and waits where it is told to."""

    name, costs, lasts = "two", False, True

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self._wait = wait

    def known(self, one: Character) -> bool:
        return True

    def candidates(self, one: Character) -> list[Candidate]:
        self._wait()
        return [Candidate(one, self.name, "", i, f"{one.name} {i}", page="a\x00\x1b[2Jb") for i in range(2)]

    def forget_empty(self) -> int:
        return 0

    def strangers(self, characters: Sequence[Character]) -> list[str]:
        return []


def two(folder: Path, provider: Two | None = None) -> tuple[list[str], tuple[Any, Any]]:
    """A search of two characters: which addresses were fetched, and what came of it."""
    places, params, asked = Places(folder / "raw", folder / "data"), CropParams("center-top"), list[str]()

    def fetch(urls: Sequence[str], done: Callable[[Fetched], None]) -> None:
        for url in urls:
            asked.append(url)
            data = encoded(picture(sum(url.encode()), (80, 60)))
            done(Fetched(url, sha256=keep(places.images, data), n_bytes=len(data)))

    return asked, search(
        [ANN, CID], provider or Two(), fetch, places, lambda image: cut(image, params), Wish(),
        cutting=params.told(), max_pixels=10_000,
    )  # fmt: skip


def test_what_came_and_is_gone_or_cut_short_is_fetched_again(tmp_path: Path) -> None:
    asked, _ = two(tmp_path)
    assert asked == ["Ann One 0", "Cid 0"]
    assert two(tmp_path)[0] == []
    gone, short = sorted(path for path in (tmp_path / "raw/images").rglob("*") if path.is_file())
    before = short.read_bytes()
    gone.unlink()
    short.write_bytes(before[:100])
    assert sorted(two(tmp_path)[0]) == ["Ann One 0", "Cid 0"]
    assert short.read_bytes() == before
    short.write_bytes(before[:-1] + b"x")
    with pytest.raises(DataError, match=f"{short.name}: damaged, .*; delete it and search again"):
        two(tmp_path)


def test_texts_of_others_are_one_printable_line_of_the_record(tmp_path: Path) -> None:
    two(tmp_path)
    assert {row.page for row in read_sources(tmp_path / "data")} == {r"a\x00\x1b[2Jb"}
    two(tmp_path)


def test_two_searches_do_not_write_to_one_place_at_a_time(tmp_path: Path) -> None:
    tried: list[str] = []

    def again() -> None:
        with pytest.raises(
            UsageError, match=r"another search is writing to .*raw; wait for its end"
        ) as refused:
            two(tmp_path)
        tried.append(str(refused.value))

    two(tmp_path, Two(again))
    assert len(tried) == 2
    two(tmp_path)


def test_what_a_killed_run_left_unfinished_is_swept_away(tmp_path: Path) -> None:
    two(tmp_path)
    left = [
        tmp_path / "raw" / name / f"{TEMPORARY_PREFIX}{2**22 + 1}-0" for name in ("answers/x", "images/00")
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    two(tmp_path)
    assert not any(path.exists() for path in left)


def own(folder: Path, **pictures: int) -> None:
    """Pictures of one's own: path -> seed."""
    for name, seed in pictures.items():
        file = folder / name.replace("__", "/").replace("_", " ")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_suffix(".png").write_bytes(encoded(picture(seed, (80, 60))))


def cut_own(
    folder: Path, people: Sequence[Character], margin_px: int = 64, wanted: int | None = 9
) -> tuple[Places, Any, str]:
    places, params = Places(folder / "raw", folder / "data"), CropParams("center-top", size_px=margin_px)
    found, made = search(
        people, Folder(folder / "mine"), copied(places), places, lambda image: cut(image, params),
        Wish(wanted, wanted), cutting=params.told(), max_pixels=10_000,
    )  # fmt: skip
    return places, made, report_text(found, made, places.root, params, folds=5)


ANN, CID = Character("Ann One", "S", "hero"), Character("Cid", "Series X", "antihero")


def test_own_pictures_are_found_by_the_name_of_their_folder(tmp_path: Path) -> None:
    own(tmp_path / "mine", Ann_One__b=1, series_x__cid__b=2, Stranger__b=3)
    (tmp_path / "mine" / "Ann One" / "a.png").write_text("no image")
    people = [ANN, CID, Character("Dan", "S", "hero")]
    places, made, said = cut_own(tmp_path, people)
    assert made.n_images == {"hero": 1, "villain": 1}
    assert "1 not taken: its first bytes are no image's" in said
    assert "missing: Dan (S): no offers" in said
    assert "2 series, 0 of them with both classes; too few to keep series apart in 5 folds" in said
    assert said.startswith(f"{places.root}: 1 hero, 1 villain brought, of 3 offers that were tried\n")
    plan = plan_text(people, Folder(tmp_path / "mine"), None)
    assert plan.index("     0  Dan (S)") < plan.index("     2  Ann One (S)")
    assert "\n3 pictures on offer\n" in plan
    assert "     2  Ann One (S)\n" in plan
    assert "Stranger: nobody on the list is called so" in plan
    assert Folder(tmp_path / "mine").strangers(people) == ["Stranger"]
    assert "collection import" not in plan
    own(tmp_path / "classes", hero__a=1, villain__b=2)
    assert "(folders of classes, " in plan_text(people, Folder(tmp_path / "classes"), None)
    assert {row.url for row in made.rows} == {"Ann One/a.png", "Ann One/b.png", "series x/cid/b.png"}, (
        "no path of this machine"
    )
    write_card(places.root)
    text = (places.root / "metadata" / "README.md").read_text()
    assert "3 pictures were tried, 2 taken" in text
    assert "ask not to be mined" not in text, "nobody was asked"
    assert "| villain | antihero | 1 | 1 | 1 |" in text
    assert "| its first bytes are no image's | 1 |" in text
    assert "| hero | center-top | 1 |" in text


def test_a_file_that_is_none_has_its_reason_and_stops_nothing(tmp_path: Path) -> None:
    own(tmp_path / "mine", Ann_One__b=1, Cid__b=2)
    folder = tmp_path / "mine" / "Ann One"
    (folder / "a.png").mkdir()
    (folder / "c.png").symlink_to("nothing")
    os.mkfifo(folder / "d.png")
    (folder / "e.png").symlink_to("/dev/zero")
    (folder / "f\x07\n.png").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(folder) + b"/g\xff.png")).write_bytes(encoded(picture(3, (80, 60))))
    places, made, said = cut_own(tmp_path, [ANN, CID])
    assert made.n_images == {"hero": 2, "villain": 1}
    rows = read_sources(places.root)
    assert {row.url.rpartition("/")[2]: bool(row.reason) for row in rows if row.character == "Ann One"} == {
        "a.png": True, "b.png": False, "c.png": True, "d.png": True, "e.png": True, "f%07%0A.png": True,
        "g%FF.png": False,
    }  # fmt: skip
    assert "not taken: not_a_file" in said
    assert len(facts_of(find_files(places.root), places.root, group_from=None)) == 3


def test_own_pictures_that_are_the_same_leave_the_same_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(tmp_path / "mine", Ann_One__a=1, Cid__b=2)
    (tmp_path / "mine" / "Cid" / "a.png").write_text("no image")
    times = [f"2026-01-{day:02d}T00:00:00Z" for day in range(1, 20)]
    monkeypatch.setattr(searching, "utc", lambda moment: times.pop(0))
    record = cut_own(tmp_path, [ANN, CID])[0].root / "metadata" / "sources.csv"
    before = record.read_bytes()
    cut_own(tmp_path, [ANN, CID])
    assert record.read_bytes() == before
    own(tmp_path / "mine", Cid__b=3)
    cut_own(tmp_path, [ANN, CID])
    days = {row.url: int(row.time[8:10]) for row in read_sources(tmp_path / "data")}
    assert {url for url, day in days.items() if day > 3} == {"Cid/b.png"}, "the one that changed"


def test_own_pictures_that_changed_are_read_again(tmp_path: Path) -> None:
    own(tmp_path / "mine", Ann_One__b=1, Cid__b=2)
    before = {row.original for row in cut_own(tmp_path, [ANN, CID])[1].rows}
    own(tmp_path / "mine", Ann_One__b=5)
    after = {row.original for row in cut_own(tmp_path, [ANN, CID])[1].rows}
    assert len(before & after) == 1


def test_what_was_rejected_stays_so_when_it_is_cut_anew(tmp_path: Path) -> None:
    own(tmp_path / "mine", Ann_One__b=1, Cid__b=2)
    places, made, _ = cut_own(tmp_path, [ANN, CID])
    rejected = made.rows[0]
    table = places.root / "metadata" / "rejected.csv"
    table.write_text(f"key,file,reason\n{rejected.key},{rejected.file},blurred\n")
    _, anew, said = cut_own(tmp_path, [ANN, CID], margin_px=32)
    assert anew.rows[0].key != rejected.key
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["key"], row["reason"]) for row in rows] == [
        (rejected.key, "blurred"),
        (anew.rows[0].key, "blurred"),
    ]
    assert "decisions carried to new cuts of the same pictures: 1 rejection\n" in said
    said = cut_own(tmp_path, [ANN, CID], margin_px=32)[2]
    assert "carried" not in said
    assert table.read_text().count("blurred") == 2


def test_every_good_picture_of_a_folder_is_wanted_and_the_record_says_all(tmp_path: Path) -> None:
    own(tmp_path / "mine", Ann_One__a=1, Ann_One__b=2, Cid__a=3)
    (tmp_path / "mine/Dan").mkdir()
    (tmp_path / "mine/Dan/a.png").write_text("no image")
    dan = Character("Dan", "S", "hero")
    places, made, said = cut_own(tmp_path, [ANN, CID, dan], wanted=None)
    assert made.n_images == {"hero": 2, "villain": 1}
    assert [line for line in said.splitlines() if "missing" in line] == [
        "  missing: Dan (S): 1 offer, 0 good"
    ]
    about = json.loads((places.root / "metadata/search.json").read_text())
    assert about["images of each"] == about["offers tried of each"] == "all"
    assert (about["method"], about["size_px"], about["cut"]) == ("center-top", 64, "center-top, 64 px")


def test_the_report_says_what_was_brought_and_what_there_is_in_all(tmp_path: Path) -> None:
    own(tmp_path / "mine", Ann_One__a=1, Cid__a=2)
    own(tmp_path / "other", hero__a=11, hero__b=12, villain__c=13)
    import_folder(tmp_path / "other", tmp_path / "data", replace=True)
    said = cut_own(tmp_path, [ANN, CID])[2]
    assert said.startswith(
        f"{tmp_path / 'data'}: 1 hero, 1 villain brought, of 2 offers that were tried;"
        " it holds 5 pictures in all: 3 hero, 2 villain\n"
    )


def test_a_folder_that_has_nobody_is_told_without_a_word_about_the_web(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own(tmp_path / "mine", Stranger__b=3)
    with pytest.raises(DataError, match=r"nobody offered a picture; .* is as it was. --dry-run") as error:
        cut_own(tmp_path, [ANN])
    assert caplog.messages == ["Stranger: nobody on the list is called so"]
    (tmp_path / "mine/Cid").mkdir()
    (tmp_path / "mine/Cid/a.png").write_text("no image")
    with pytest.raises(DataError, match=r"none of 1 picture was to be had; .*folder\.jsonl has") as other:
        cut_own(tmp_path, [CID])
    assert "retry" not in f"{error.value} {other.value}", "it is read anew each time"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("search", "--list", "gone.csv"), 4, "no list gone.csv"),
        (("search", "--urls", "gone.csv"), 4, "no table gone.csv"),
        (("review", "--decide", "gone.csv"), 4, "no table gone.csv"),
        (("search", "--folder", ".", "--budget", "5"), 2, "--budget is for SerpAPI"),
        (("card",), 4, "no data/metadata/sources.csv"),
    ],
)
def test_a_command_that_cannot_be_meant_says_why_and_its_exit_code_tells(
    command: Callable[..., subprocess.CompletedProcess[str]], options: tuple[str, ...], code: int, says: str
) -> None:
    done = command("collection", *options)
    assert done.returncode == code
    assert says in done.stderr


def test_from_figures_to_a_card_each_command_names_the_next(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    cropped = command("collection", "crop", "data", "--out", "my cut", "--method", "center-top")
    assert "my cut: 24 pictures to cut; none is done yet" in cropped.stderr
    assert "next: python -m collection import 'my cut' --replace" in cropped.stdout
    assert "24 center-top" in cropped.stdout
    brought = command("collection", "import", "my cut", "--replace")
    assert "data: 12 hero, 12 villain in place of what was there" in brought.stdout
    (tmp_path / "mine.csv").write_text("decision,file\n")
    assert "next: python -m collection card" in command("collection", "review", "--decide", "mine.csv").stdout
    assert command("collection", "card").stdout == "data/metadata/README.md\nnext: dvc repro\n"
    assert "Asked for: center-top, 256 px." in (tmp_path / "data/metadata/README.md").read_text()
