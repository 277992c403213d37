"""``search`` as it is run: what it asks for, what it writes and prints, and how it ends."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collection.__main__ import main
from collection.demo import DEMO_MARK
from collection.fetching.pacing import Limits
from collection.providers.serpapi import SerpApi
from collection.searching import downloaded
from featurestore.console import say
from featurestore.errors import KyaraError
from tests.conftest import ROOT, encoded, picture
from tests.hosts import ImageHost
from tests.serpapi_double import KEY, SerpApiDouble, images

LIST = """\
character,series,role,aliases,query_hints,label_source
Ann One,Sky,hero,,,a poll
Bob Two,Sea,hero,,,a poll
Cid Three,Sky,villain,,ocean,a poll
Dan Four,Sky,antihero,,,a book
"""
#: In the order in which they are asked about.
QUERIES = [
    "Ann One Sky anime face",
    "Cid Three Sky anime face ocean",
    "Bob Two Sea anime face",
    "Dan Four Sky anime face",
]
LIMITS = Limits(n_retries=0, read_s=5.0, deadline_s=10.0, backoff_s=0.01)
NEXT = "next: python -m collection review, then: python -m collection card, then: dvc repro\n"
FEW = "too few to keep series apart in 5 folds: bring at least 10, with heroes and villains in each"


class World:
    """A folder, a service and an image host; ``offers`` are the paths of its pictures, by first name."""

    def __init__(self, folder: Path, host: ImageHost, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.host, self._capsys = folder, host, capsys
        self.offers = {
            "Ann": ["/hops/1/good/1.png"],
            "Bob": ["/missing/2.png", "/good/2.png"],
            "Cid": ["/good/3.jpg"],
            "Dan": ["/good/4.webp"],
        }
        self.service = SerpApiDouble(self.offered)

    def offered(self, query: str) -> list[dict[str, Any]]:
        paths = self.offers[query.split()[0]]
        return images(len(paths), lambda i: self.host.url(paths[i]))

    def search(self, *options: str, source: tuple[str, ...] = ("--list", "list.csv")) -> tuple[int, str, str]:
        """Exit code, what is printed, and the errors."""
        try:
            code = main(["search", *source, "--method", "center-top", *options])
        except KyaraError as error:
            say(error)
            code = error.exit_code
        return code, *self._capsys.readouterr()

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.folder / "data/metadata" / name).open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def kept(self) -> list[str]:
        """First names of those who have a picture, as the record has them."""
        return [row["character"][:3] for row in self.table("sources.csv") if row["file"]]

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[World]:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "list.csv").write_text(LIST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERPAPI_KEY", KEY)
    with ImageHost(pictures=lambda name: encoded(picture(int(name.split(".")[0]), (80, 60)))) as host:
        made = World(tmp_path, host, capsys)
        with made.service as service:
            monkeypatch.setitem(SerpApi.__init__.__kwdefaults__, "base_url", service.base_url)
            here = functools.partial(downloaded, limits=LIMITS, allow_loopback_for_tests=host.allowed())
            monkeypatch.setattr("collection.searching.downloaded", here)
            yield made


def test_what_a_search_writes_and_prints(world: World) -> None:
    code, said, wrong = world.search()
    assert (code, wrong) == (0, "")
    assert said == (
        "data: 2 hero, 2 villain brought, of 5 offers that were tried\n"
        "  hero: 2 cut by center-top\n"
        "  villain: 2 cut by center-top\n"
        f"  2 series, 1 of them with both classes; {FEW}\n"
        "  1 not taken: HTTP 404\n"
        f"{NEXT}"
    )
    assert json.loads((world.folder / "data/metadata/search.json").read_text()) == {
        "cut": "center-top, 256 px", "method": "center-top", "size_px": 256, "images of each": 1,
        "offers tried of each": 5,
    }  # fmt: skip
    rows = world.table("sources.csv")
    assert [row["character"] for row in rows] == ["Ann One", "Cid Three", "Bob Two", "Bob Two", "Dan Four"]
    for row in rows:
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+00:00)", row.pop("time"))
    key = hashlib.sha256((world.folder / "data" / rows[0]["file"]).read_bytes()).hexdigest()
    assert rows[0] == {
        "key": key, "file": f"images/hero/ann-one-{key[:12]}.png", "character": "Ann One", "series": "Sky",
        "role": "hero", "label_source": "a poll", "provider": "serpapi", "query": QUERIES[0], "rank": "0",
        "page": "https://example.org/page/0", "url": world.host.url("/hops/1/good/1.png"),
        "final_url": world.host.url("/good/1.png"), "status": "200",
        "licence": "https://example.org/licence/0", "opt_out": "none found",
        "original": hashlib.sha256(world.host.pictures("1.png")).hexdigest(), "crop": "center-top",
        "box": "10 0 60 60", "n_faces": "", "reason": "",
    }  # fmt: skip
    assert rows[2] == dict.fromkeys(rows[0], "") | {
        "character": "Bob Two", "series": "Sea", "role": "hero", "label_source": "a poll",
        "provider": "serpapi", "query": QUERIES[2], "rank": "0", "page": "https://example.org/page/0",
        "url": world.host.url("/missing/2.png"), "final_url": world.host.url("/missing/2.png"),
        "status": "404", "licence": "https://example.org/licence/0", "opt_out": "none found",
        "reason": "HTTP 404",
    }  # fmt: skip
    names = ("file", "character", "series", "role")
    assert world.table("characters.csv") == [
        {name: row[name] for name in names} for row in rows if row["file"]
    ]
    assert [row["role"] for row in rows] == ["hero", "villain", "hero", "hero", "antihero"]


def test_heroes_and_others_are_asked_about_in_turn_and_in_the_same_way(world: World) -> None:
    world.search()
    same = {"engine": "google_images", "hl": "en", "gl": "us", "nfpr": "1", "safe": "active"}
    assert world.service.requests == [same | {"q": query} for query in QUERIES]


def test_a_second_run_asks_nobody_and_changes_nothing(world: World) -> None:
    first, before = world.search(), world.files()
    world.host.reset()
    assert world.search() == first
    assert (len(world.service.asked), world.host.seen) == (4, {})
    assert world.files() == before


def test_a_budget_is_kept_and_the_same_command_goes_on(world: World) -> None:
    code, said, _ = world.search("--budget", "2")
    assert (code, world.service.asked) == (0, QUERIES[:2])
    assert "  missing: Bob Two (Sea): not asked about\n  missing: Dan Four (Sky): not asked about\n" in said
    assert "the budget of 2 credits is spent; run the same command again to go on: what is kept" in said
    assert world.kept() == ["Ann", "Cid"], "as many heroes as others"
    code, said, _ = world.search("--budget", "2")
    assert (code, world.service.asked) == (0, QUERIES)
    assert "budget" not in said
    assert world.kept() == ["Ann", "Cid", "Bob", "Dan"]


def test_what_failed_is_tried_again_when_told_so(world: World) -> None:
    world.offers |= {"Ann": ["/unwell/1/1.png"], "Dan": []}
    assert (
        "missing: Ann One (Sky): 1 offer, 0 good\n  missing: Dan Four (Sky): no offers\n" in world.search()[1]
    )
    world.offers["Dan"] = ["/good/4.webp"]
    world.search()
    assert (world.kept(), world.host.n_requests("/unwell/1/1.png")) == (["Cid", "Bob"], 1)
    code, said, _ = world.search("--retry-failed")
    assert (code, "missing" in said) == (0, False)
    assert world.kept() == ["Ann", "Cid", "Bob", "Dan"]
    assert world.service.asked == [*QUERIES, QUERIES[3]], "nothing else is paid for again"
    assert world.host.n_requests("/good/3.jpg") == 1, "nor fetched"


PLAN = """\
4 characters of 2 series: 2 hero, 1 villain, 1 antihero
{} kept; {} would cost a credit each
the budget of 2 credits asks about {}; {} left for another run
  {}  Ann One Sky anime face
        Cid Three Sky anime face ocean
        Bob Two Sea anime face
        Dan Four Sky anime face
"""


def test_a_plan_asks_nobody_and_writes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERPAPI_KEY")
    before = world.files()
    assert world.search("--dry-run", "--budget", "2") == (
        0, PLAN.format("0 answers", 4, "1 hero, 1 villain", "2 characters", "    "), ""
    )  # fmt: skip
    assert "budget" not in world.search("--dry-run", "--budget", "4")[1]
    assert (world.files(), world.service.asked, world.host.seen) == (before, [], {})
    assert not (world.folder / "raw").exists()
    assert not (world.folder / "data").exists()


def test_a_plan_counts_what_is_kept(world: World) -> None:
    (world.folder / "one.csv").write_text("".join(LIST.splitlines(keepends=True)[:2]))
    world.search(source=("--list", "one.csv"))
    before = world.files()
    code, said, _ = world.search("--dry-run", "--budget", "2")
    assert (code, world.files(), len(world.service.asked)) == (0, before, 1)
    told = PLAN.format("1 answer", 3, "1 villain, 1 hero", "1 .*", "kept")
    assert re.fullmatch(told, said), said


def test_five_offers_of_each_are_tried_and_one_is_taken(world: World) -> None:
    world.offers["Ann"] = [f"/{'missing' if i < 5 else 'good'}/{i}.png" for i in range(8)]
    code, said, _ = world.search()
    assert (code, world.kept()) == (0, ["Cid", "Bob", "Dan"])
    assert "  missing: Ann One (Sky): 5 offers, 0 good\n" in said
    assert world.host.n_requests("/missing/4.png") == 1
    assert world.host.n_requests("/good/5.png") == 0
    code, said, _ = world.search("--tries", "7", "--per-character", "2")
    assert (code, world.kept()) == (0, ["Ann", "Ann", "Cid", "Bob", "Dan"])
    assert "missing: Ann" not in said
    assert "  missing: Cid Three (Sky): 1 offer, 1 good\n" in said
    about = json.loads((world.folder / "data/metadata/search.json").read_text())
    assert (about["images of each"], about["offers tried of each"]) == (2, 7)
    assert world.host.n_requests("/good/7.png") == 0


# --- the key, and what is refused


def test_without_a_key_nothing_is_begun(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERPAPI_KEY")
    before = world.files()
    code, said, wrong = world.search()
    assert (code, said) == (4, "")
    assert wrong.startswith(
        "kyara: error: no SERPAPI_KEY; get one at https://serpapi.com and write it into .env"
    )
    assert (world.files(), world.service.asked) == (before, [])


def test_the_key_is_read_from_a_file_and_stands_in_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERPAPI_KEY")
    (world.folder / ".env").write_text(f"SERPAPI_KEY='{KEY}'\n")
    code, said, wrong = world.search()
    assert (code, world.kept()) == (0, ["Ann", "Cid", "Bob", "Dan"])
    assert [name for name, data in world.files().items() if b"canary" in data] == [".env"]
    assert "canary" not in said + wrong


def test_a_key_that_is_refused_leaves_the_data_as_they_were(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.search()
    before = world.files()
    monkeypatch.setenv("SERPAPI_KEY", "another canary")
    (world.folder / "list.csv").write_text(LIST.replace("Sky", "Sun").replace("Sea", "Sun"))
    code, said, wrong = world.search()
    assert (code, said) == (4, "")
    assert wrong == (
        "kyara: error: serpapi: the key is not valid: check SERPAPI_KEY in .env; 0 answers of this run are"
        " kept: asking again costs nothing\n"
    )
    assert world.files() | {"list.csv": before["list.csv"]} == before


def test_a_service_that_refuses_midway_ends_with_four_and_what_was_found_is_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offered(query: str) -> list[dict[str, Any]]:
        if query == QUERIES[1]:
            world.service.fails = [(429, {"error": "Your account has run out of searches."})]
        return world.offered(query)

    monkeypatch.setattr(world.service, "_offers", offered)
    code, said, wrong = world.search()
    assert (code, wrong, world.kept()) == (4, "", ["Ann", "Cid"])
    assert "the account has no searches left" in said
    assert "2 answers of this run are kept: asking again costs nothing; run the same command again" in said
    assert said.endswith(NEXT)
    assert world.search()[0] == 0
    assert world.service.asked == QUERIES


def test_the_demo_cast_is_not_mixed_with_and_nobody_is_asked_in_vain(world: World) -> None:
    mark = world.folder / "data" / DEMO_MARK
    mark.parent.mkdir(parents=True)
    mark.write_text("{}")
    before = world.files()
    code, said, wrong = world.search()
    assert (code, said) == (2, "")
    assert (
        wrong == "kyara: error: data holds the demo cast; add --replace to put what is found in its place\n"
    )
    assert (world.files(), world.service.asked, world.host.seen) == (before, [], {})
    assert world.search("--replace")[0] == 0
    assert not mark.exists()
    assert world.kept() == ["Ann", "Cid", "Bob", "Dan"]


# --- without a search


def test_a_table_of_addresses_names_its_own_characters(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERPAPI_KEY")
    table = world.folder / "urls.csv"
    table.write_text(
        "url,character,series,role,licence\n"
        f"{world.host.url('/good/1.png')},Eve,Sky,villain,CC0\n"
        f"{world.host.url('/good/2.png')},Eve,Sky,villain,\n"
    )
    before = world.files()
    code, said, wrong = world.search("--list", "list.csv", source=("--urls", "urls.csv"))
    assert (code, said) == (2, "")
    assert wrong == "kyara: error: --urls names its own characters: leave --list out\n"
    code, _, wrong = world.search("--budget", "1", source=("--urls", "urls.csv"))
    assert (code, "--budget is for SerpAPI" in wrong) == (2, True)
    assert (world.files(), world.host.seen) == (before, {})
    assert world.search(source=("--urls", "urls.csv"))[0] == 0
    (row,) = world.table("sources.csv")
    assert (row["character"], row["provider"], row["licence"]) == ("Eve", "urls", "CC0")
    assert (row["url"], row["label_source"]) == (world.host.url("/good/1.png"), "urls.csv")
    assert world.service.asked == []


def test_every_good_picture_of_a_folder_is_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERPAPI_KEY")
    for name in ("Ann One/a", "Ann One/b", "Cid Three/c", "Stranger/d"):
        file = world.folder / "mine" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(picture(ord(name[-1]), (80, 60))))
    code, said, _ = world.search("--folder", "mine")
    assert (code, world.kept()) == (0, ["Ann", "Ann", "Cid"])
    assert "  Stranger: nobody on the list is called so\n" in said
    about = json.loads((world.folder / "data/metadata/search.json").read_text())
    assert about["images of each"] == about["offers tried of each"] == "all"
    assert (world.service.asked, world.host.seen) == ([], {})
