"""A local host that misbehaves in every way: what is good is kept, and what is not ends with its reason."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import hashlib
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from conftest import ROOT
from hosts import DOMAIN, MARKS, RESERVATIONS, ROBOTS, Asked, ImageHost, behaviour, picture_bytes

from collection.fetching import pacing, rawfiles, sniffing
from collection.fetching.addresses import Refused
from collection.fetching.body import BodyBroken, most_bytes, read_away, read_body
from collection.fetching.download import Downloader
from collection.fetching.optout import header_verdict
from collection.fetching.pacing import Clock, Limits
from collection.fetching.reservations import parse_reservations
from collection.fetching.robots import MAX_BYTES, closest_rule, parse_robots
from collection.fetching.room import Place, Room
from collection.fetching.urls import normalised
from collection.records import UNASKED, Fetched
from featurestore.errors import ImageRejected, MissingExtra
from featurestore.files import Disk, replaced_disk
from featurestore.images import decode

NAMES = [
    "a" + DOMAIN,
    "b" + DOMAIN,
    "other" + DOMAIN,
    *(f"robots-{v}{DOMAIN}" for v in (*ROBOTS, "loop", "away")),
    *(f"tdm-{v}{DOMAIN}" for v in RESERVATIONS),
]
CAP = 1 << 20
#: Waits little between tries, and long enough for a busy machine.
QUICK = Limits(
    read_s=10, deadline_s=30, backoff_s=0.01, n_per_host=16, n_at_once=32, max_bytes=CAP, max_wire_bytes=CAP
)
#: For what would never end.
IMPATIENT = Limits(read_s=10, deadline_s=0.5, n_per_host=16)


def decodes(data: bytes) -> str:
    try:
        decode(data, max_pixels=10**6)
    except ImageRejected as rejected:
        return str(rejected)
    return ""


class FakeClock:
    """Time that only sleeping lets pass."""

    def __init__(self) -> None:
        self.time_s = 1000.0
        self.slept_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.time_s += seconds
        await asyncio.sleep(0)

    def clock(self) -> Clock:
        return Clock(now=lambda: dt.datetime.now(dt.UTC), monotonic_s=lambda: self.time_s, sleep=self.sleep)


@pytest.fixture(scope="module")
def host() -> Iterator[ImageHost]:
    with ImageHost() as running:
        yield running


@pytest.fixture(autouse=True)
def afresh(host: ImageHost) -> None:
    host.reset()


def downloader(root: Path, host: ImageHost, **options: Any) -> Downloader:
    settings = {"limits": QUICK, "resolver": host.resolver, "rng": random.Random(3), "check": decodes}
    allowed = host.allowed(*NAMES)
    return Downloader(root, **{**settings, "allow_loopback_for_tests": allowed, **options})


def fetch(root: Path, host: ImageHost, urls: Iterable[str], **options: Any) -> dict[str, Fetched]:
    told: list[Fetched] = []
    downloader(root, host, **options).fetch_all(urls, told.append)
    assert len({each.url for each in told}) == len(told)
    return {each.url: each for each in told}


def fetch_one(root: Path, host: ImageHost, url: str, **options: Any) -> Fetched:
    return fetch(root, host, [url], **options)[url]


def files_in(root: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


# Every misbehaviour, fetched in one go.

GOOD = {
    "/good/1.png": "png", "/good/2.jpg": "jpeg", "/good/3.webp": "webp", "/good/4.gif": "gif", "/good/5.bmp": "bmp",
    "/gzip/6.png": "png", "/chunked/7.jpg": "jpeg", "/mislabelled/8.png": "png", "/unwell/2/9.png": "png",
    "/later/2/0/10.png": "png", "/later-date/1/0/11.png": "png", "/dropped-once/100/12.png": "png",
    "/hops/4/good/13.png": "png", "/marked/other-noai/14.png": "png", "/marked/tdm0/15.png": "png",
    "/good/16.png?size=large&x=%20#fragment": "png",
}  # fmt: skip
BAD = {
    "/missing/": (404, "HTTP 404"),
    "/forbidden/": (403, "HTTP 403"),
    "/gone/": (410, "HTTP 410"),
    "/broken/": (500, "HTTP 500, 4 times"),
    "/unwell/9/20.png": (503, "HTTP 503, 4 times"),
    "/endless/23.png": (200, "too large: more than 1048576 bytes came"),
    "/vast/": (200, "too large: announces 100000000000 bytes; at most 1048576"),
    "/bomb/24.png": (200, "too large: more than 1048576 bytes once unpacked"),
    "/torn-gzip/25.png": (200, "body ended early: the gzip stream has no end after"),
    "/brotli/26.png": (200, "Content-Encoding that was not asked for: br"),
    "/loop/0": (302, "redirect loop at "),
    "/hops/5/good/27.png": (302, "more than 5 redirects"),
    "/page/28.jpg": (200, "no image: begins like HTML"),
    "/empty/29.png": (200, "no image: begins like nothing"),
    "/truncated/30.jpg": (200, "corrupt: "),
    "/truncated/31.png": (200, "corrupt: "),
    "/truncated/32.webp": (200, "corrupt: "),
    "/short-length/33.png": (200, "corrupt: "),
    "/long-length/34.png": (200, "body ended early: "),
    "/dropped/0/35.png": (200, "body ended early: 0 of "),
    "/dropped/1000/36.png": (200, "body ended early: 1000 of "),
    "/torn-chunks/37.png": (200, "body ended early: "),
    "/reset/": (0, "connection failed: Server disconnected without sending a response, 4 times"),
    "/garbage/": (0, "connection failed: "),
    "/long-header/": (0, "connection failed: "),
    "/nothing-here": (404, "HTTP 404"),
}
AWAY = {
    "file:///etc/passwd": "redirect to file:/etc/passwd: only http and https, not file",
    "ftp://example.org/a.png": "redirect to ftp://example.org/a.png: only http and https, not ftp",
    "data:image/png;base64,AAAA": "only http and https, not data",
    "http://127.0.0.1:9/": "refused port 9",
    "http://127.0.0.1:9999/": "refused address 127.0.0.1: loopback",
    "http://localhost:9999/": "refused host localhost: a name of the local network",
    "http://[::1]:9999/": "refused address ::1: loopback",
    "http://[::ffff:127.0.0.1]/": "IPv4-mapped",
    "http://10.0.0.1/": "refused address 10.0.0.1: private",
    "http://192.168.1.1/admin": "refused address 192.168.1.1: private",
    "http://169.254.169.254/latest/meta-data/": "refused address 169.254.169.254: link-local",
    "http://2130706433/": "127.0.0.1 in disguise",
    "http://0x7f.1/": "127.0.0.1 in disguise",
    "http://[64:ff9b::7f00:1]/": "NAT64",
    "http://[2002:7f00:1::]/": "6to4",
    "//[fe80::1]/a.png": "refused address fe80::1: link-local",
    "http://user:secret@example.org/": "redirect to http://example.org/: a user name or password in the URL",
    "http://nowhere.example.org/": "no address for nowhere.example.org",
    "http://a.example.org:99999/": "refused port 99999",
    "http://.//a:b/x.png": "no host in the URL",
    "http://exa mple.org/": "refused host 'exa%20mple.org': no host name",
    "http://example.org/" + "a" * 9000: "characters; at most 8192",
}
FORBIDDEN = [mark for mark in MARKS if mark not in ("other-noai", "tdm0")]
NO_URLS = {
    "": "only http and https, not a relative URL",
    "good/1.png": "only http and https, not a relative URL",
    "file:///etc/passwd": "only http and https, not file",
    "data:image/png;base64,iVBORw0KGgo=": "only http and https, not data",
    "http://": "no host in the URL",
    "http://./": "no host in the URL",
    "http://.//a:b/x.png": "no host in the URL",
    "http://user:secret@example.org/": "a user name or password in the URL",
    "http://example.org\n/a.png": "no URL: ",
    "http://0177.0.0.1/": "no URL: Invalid IPv4 address",
    "http://a.example.org:22/": "refused port 22",
    "http://xn--a/": "no URL: ",
    "http://" + "a" * 9000: "no URL: 9007 characters",
    "http://\ud800.org/": "no URL: ",
}


@pytest.fixture(scope="module")
def outcome(
    host: ImageHost, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Fetched], dict[str, int]]:
    """Everything at once: the folder, a record for each, and how much the host sent for each path."""
    root = tmp_path_factory.mktemp("raw")
    urls = [host.url(path) for path in (*GOOD, *BAD, *(f"/marked/{mark}/40.png" for mark in FORBIDDEN))]
    urls += [host.redirect(url) for url in AWAY]
    urls += [host.url("/good/41.png", name=name) for name in NAMES]
    told = fetch(root, host, [*urls, *NO_URLS])
    assert set(told) == {*urls, *NO_URLS}
    return root, told, dict(host.n_sent)


@pytest.mark.parametrize("path", GOOD)
def test_good_pictures_are_kept_as_they_came(path: str, outcome: Any, host: ImageHost) -> None:
    root, told, _ = outcome
    fetched = told[host.url(path)]
    expected = picture_bytes(path.partition("?")[0].rpartition("/")[2])
    assert (fetched.reason, fetched.status, fetched.kind) == ("", 200, GOOD[path])
    assert fetched.sha256 == hashlib.sha256(expected).hexdigest()
    assert fetched.n_bytes == len(expected)
    assert rawfiles.raw_path(root, fetched.sha256).read_bytes() == expected
    assert fetched.opt_out.allowed
    assert dt.datetime.fromisoformat(fetched.time).tzinfo is not None


@pytest.mark.parametrize("path", BAD)
def test_bad_answers_end_with_their_reason(path: str, outcome: Any, host: ImageHost) -> None:
    fetched = outcome[1][host.url(path)]
    status, reason = BAD[path]
    assert fetched.reason.startswith(reason)
    assert (fetched.status, fetched.sha256) == (status, "")


@pytest.mark.parametrize("url", AWAY)
def test_redirects_are_checked_as_the_first_url_was(url: str, outcome: Any, host: ImageHost) -> None:
    fetched = outcome[1][host.redirect(url)]
    assert AWAY[url] in fetched.reason
    assert fetched.sha256 == ""
    assert "secret" not in fetched.reason


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_url_of_the_web_is_not_asked_for(url: str, outcome: Any) -> None:
    fetched = outcome[1][url]
    assert fetched.reason.startswith(NO_URLS[url])
    assert (fetched.status, fetched.sha256) == (0, "")


@pytest.mark.parametrize("mark", FORBIDDEN)
def test_headers_that_opt_out_end_the_download_before_its_body(
    mark: str, outcome: Any, host: ImageHost
) -> None:
    _, told, n_sent = outcome
    fetched = told[host.url(f"/marked/{mark}/40.png")]
    assert not fetched.opt_out.allowed
    assert fetched.reason == f"not allowed: {fetched.opt_out.reason}"
    assert (fetched.status, fetched.sha256, fetched.n_bytes) == (200, "", 0)
    assert n_sent[f"/marked/{mark}/40.png"] < 16 << 20  # of a body without an end: what the kernel buffered


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ("deny", "robots.txt: Disallow: /"), ("part", "robots.txt: Disallow: /good/*.png$"), ("other", ""),
        ("kyara", "robots.txt: Disallow: /good"), ("error", "robots.txt unreachable: HTTP 500, 4 times"),
        ("busy", "robots.txt unreachable: HTTP 429, 4 times"), ("forbidden", ""), ("vast", ""), ("away", ""),
        ("loop", "robots.txt unreachable: redirect loop at "),
        ("signal", "robots.txt: Content-Signal: ai-train=no"), ("usage", ""),
    ],
)  # fmt: skip
def test_robots_txt_is_heeded(variant: str, reason: str, outcome: Any, host: ImageHost) -> None:
    fetched = outcome[1][host.url("/good/41.png", name=f"robots-{variant}{DOMAIN}")]
    if reason:
        assert fetched.opt_out.reason.startswith(reason)
        assert fetched.reason == f"not allowed: {fetched.opt_out.reason}"
        assert (fetched.opt_out.allowed, fetched.sha256) == (False, "")
    else:
        assert (fetched.reason, fetched.opt_out.reason) == ("", "none found")


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ("all", "tdmrep.json: tdm-reservation: 1 for /"), ("part", ""), ("free", ""), ("page", ""), ("deep", ""),
        ("error", ""), ("hidden", ""),
    ],
)  # fmt: skip
def test_tdmrep_json_is_heeded(variant: str, reason: str, outcome: Any, host: ImageHost) -> None:
    fetched = outcome[1][host.url("/good/41.png", name=f"tdm-{variant}{DOMAIN}")]
    assert fetched.opt_out.reason == (reason or "none found")
    assert fetched.reason == (f"not allowed: {reason}" if reason else "")
    assert bool(fetched.sha256) != bool(reason)


def test_a_record_is_one_line_and_only_kept_pictures_are_on_the_disk(outcome: Any) -> None:
    root, told, _ = outcome
    kept = {fetched.sha256 for fetched in told.values() if not fetched.reason}
    assert set(files_in(root)) == kept
    for fetched in told.values():
        assert len(fetched.reason) <= 300
        assert fetched.reason.isprintable()
        assert bool(fetched.reason) != bool(fetched.sha256)


# Redirects, robots and permission.


def test_redirects_are_written_down(tmp_path: Path, host: ImageHost) -> None:
    fetched = fetch_one(tmp_path, host, host.url("/hops/1/good/1.png"))
    assert fetched.redirects == (host.url("/hops/0/good/1.png"), host.url("/good/1.png"))
    assert fetched.final_url == host.url("/good/1.png")


@behaviour("marked-hop")
async def _marked_hop(asked: Asked) -> None:
    """/marked-hop/MARK/PATH: a redirect to /PATH under such a header."""
    _, mark, *rest = asked.parts
    await asked.answer(302, b"", f"Location: /{'/'.join(rest)}", *MARKS[mark])


@pytest.mark.parametrize("mark", FORBIDDEN)
def test_a_redirect_whose_headers_opt_out_is_not_followed(mark: str, tmp_path: Path, host: ImageHost) -> None:
    fetched = fetch_one(tmp_path, host, host.url(f"/marked-hop/{mark}/good/1.png"))
    assert not fetched.opt_out.allowed
    assert fetched.reason == f"not allowed: {fetched.opt_out.reason}"
    assert (fetched.status, fetched.redirects, fetched.sha256) == (302, (), "")
    assert host.n_requests("/good/1.png") == 0


def test_a_redirect_whose_headers_speak_to_others_is_followed(tmp_path: Path, host: ImageHost) -> None:
    fetched = fetch_one(tmp_path, host, host.url("/marked-hop/other-noai/good/1.png"))
    assert (fetched.reason, fetched.redirects) == ("", (host.url("/good/1.png"),))


def test_a_redirect_to_a_site_that_forbids_it_is_not_followed(tmp_path: Path, host: ImageHost) -> None:
    target = host.url("/good/1.png", name="robots-deny" + DOMAIN)
    fetched = fetch_one(tmp_path, host, host.redirect(target))
    assert fetched.reason == "not allowed: robots.txt: Disallow: /"
    assert (fetched.status, fetched.final_url) == (302, target)
    assert host.n_requests("/good/1.png") == 0


def test_robots_txt_is_asked_for_once_an_origin_and_before_anything_else(
    tmp_path: Path, host: ImageHost
) -> None:
    name = "robots-deny" + DOMAIN
    urls = [host.url(f"/good/{i}.png", name=name) for i in range(20)]
    assert all(not each.opt_out.allowed for each in fetch(tmp_path, host, urls).values())
    assert host.seen == {"/robots.txt": 1}


def test_robots_txt_that_leads_to_a_private_address_is_unreachable(tmp_path: Path, host: ImageHost) -> None:
    async def resolver(name: str, port: int) -> Sequence[str]:
        return ["10.0.0.1"] if name.startswith("other") else ["127.0.0.1"]

    url = host.url("/good/1.png", name="robots-away" + DOMAIN)
    fetched = fetch_one(tmp_path, host, url, resolver=resolver)
    assert fetched.opt_out.reason.startswith("robots.txt unreachable: refused address 10.0.0.1")
    assert host.n_requests("/good/1.png") == 0


def test_without_the_switch_for_tests_loopback_is_refused(tmp_path: Path, host: ImageHost) -> None:
    urls = [
        host.url("/good/1.png", name=name)
        for name in ("127.0.0.1", "a" + DOMAIN, "[::1]", "127.1", "localhost")
    ]
    told = fetch(tmp_path, host, urls, allow_loopback_for_tests=frozenset())
    assert all(each.reason and not each.sha256 for each in told.values())
    assert "loopback" in told[urls[0]].reason
    assert "loopback" in told[urls[1]].reason
    assert {each.opt_out for each in told.values()} == {UNASKED}, "nobody was asked"
    assert not host.seen


def test_a_resolver_that_changes_its_mind_cannot_move_a_connection(tmp_path: Path, host: ImageHost) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]  # until the connection is reset, and the second try

    async def rebinding(name: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    url = host.url("/reset/", name="a" + DOMAIN)
    fetched = fetch_one(tmp_path, host, url, resolver=rebinding)
    assert fetched.reason == f"refused address 10.0.0.1 of a{DOMAIN}: private"
    assert (answers, host.n_requests("/reset/")) == ([], 1)


# Manners: how much at a time, how often, how long.


def test_a_host_has_so_many_requests_at_a_time_and_all_of_them_so_many(tmp_path: Path) -> None:
    with ImageHost() as host:
        names = [name + DOMAIN for name in ("a", "b", "other")]
        urls = [host.url(f"/slow/100/{i}.png", name=name) for i in range(8) for name in names]
        told = fetch(tmp_path, host, urls, limits=Limits(n_per_host=2, n_at_once=5))
        assert all(not each.reason for each in told.values())
        assert [host.peak[name] for name in names] == [2, 2, 2]
        assert host.peak[""] == 5


def test_who_says_nothing_of_limits_has_those_that_docs_collection_promises(tmp_path: Path) -> None:
    limits = Downloader(tmp_path).limits
    assert limits.n_per_host == 2
    assert limits.deadline_s == 90
    assert limits.retry_after_cap_s == 60
    assert 1 << 20 <= max(limits.max_wire_bytes, limits.max_bytes) < 64 << 20
    assert 0 < limits.n_redirects <= 10
    assert 0 < limits.n_retries <= 5
    assert 0 < max(limits.connect_s, limits.read_s, limits.backoff_cap_s) < limits.deadline_s
    assert limits.n_per_host < limits.n_at_once <= 64


@pytest.mark.parametrize("kind", ["later", "later-date"])
def test_retry_after_is_waited_for(kind: str, tmp_path: Path, host: ImageHost) -> None:
    fake, path = FakeClock(), f"/{kind}/2/30/1.png"
    fetched = fetch_one(tmp_path, host, host.url(path), clock=fake.clock(), limits=Limits())
    assert fetched.reason == ""
    assert host.n_requests(path) == 3
    assert len(fake.slept_s) == 2
    assert all(28 <= slept_s <= 32 for slept_s in fake.slept_s)


def test_a_host_that_asks_for_too_much_is_not_waited_for(tmp_path: Path, host: ImageHost) -> None:
    fake = FakeClock()
    fetched = fetch_one(tmp_path, host, host.url("/later/1/61/1.png"), clock=fake.clock(), limits=Limits())
    assert fetched.reason == "HTTP 429, which asks to wait 61 s"
    assert fake.slept_s == []


def test_a_host_that_asks_for_too_much_is_asked_for_nothing_else(tmp_path: Path, host: ImageHost) -> None:
    shut = [host.url(f"/later/99/3600/{i}.png", name="a" + DOMAIN) for i in range(40)]
    other = host.url("/slow/300/1.png", name="b" + DOMAIN)
    told: list[Fetched] = []
    patient = downloader(tmp_path, host, limits=Limits(n_per_host=2))
    patient.fetch_all([*shut, other], told.append)
    reasons = Counter(each.reason for each in told)
    assert reasons.keys() == {
        "", "HTTP 429, which asks to wait 3600 s", "not asked: the host said HTTP 429, and asks to wait 3600 s"
    }  # fmt: skip
    n_asked = sum(host.seen[f"/later/99/3600/{i}.png"] for i in range(40))
    assert n_asked == reasons["HTTP 429, which asks to wait 3600 s"] <= 2
    told.clear()
    host.reset()
    patient.fetch_all(
        [host.url("/good/1.png", name="a" + DOMAIN), other], told.append
    )  # the next round of a search
    assert sorted(each.reason for each in told) == [
        "",
        "not asked: the host said HTTP 429, and asks to wait 3600 s",
    ]
    assert host.headers["/robots.txt"]["host"].startswith("b")
    assert host.n_requests("/good/1.png") == 0


@pytest.mark.parametrize("places", [{"n_per_host": 1}, {"n_at_once": 1, "n_per_host": 9}])
def test_what_a_host_asked_for_holds_for_its_other_urls(
    places: dict[str, int], tmp_path: Path, host: ImageHost
) -> None:
    fake, limits = FakeClock(), Limits(n_retries=0, **places)
    urls = [host.url("/later/9/40/1.png"), *(host.url(f"/good/{i}.png") for i in range(4))]
    told = fetch(tmp_path, host, urls, clock=fake.clock(), limits=limits)
    assert [told[url].reason for url in urls] == ["HTTP 429, 1 times", "", "", "", ""]
    assert fake.slept_s == [40]


def test_what_a_host_asked_for_holds_in_the_next_round(tmp_path: Path, host: ImageHost) -> None:
    fake, told = FakeClock(), []
    patient = downloader(tmp_path, host, clock=fake.clock(), limits=Limits(n_retries=0))
    for path in ("/later/9/40/1.png", "/good/1.png"):
        patient.fetch_all([host.url(path)], told.append)
    assert [each.reason for each in told] == ["HTTP 429, 1 times", ""]
    assert fake.slept_s == [40]


def test_a_host_that_shuts_itself_while_others_have_the_slots_is_not_asked(
    tmp_path: Path, host: ImageHost
) -> None:
    slow = [host.url(f"/slow/100/{i}.png", name="b" + DOMAIN) for i in range(6)]
    shut = [host.url(f"/later/99/3600/{i}.png", name="a" + DOMAIN) for i in range(6)]
    told = fetch(tmp_path, host, [*slow, *shut], limits=Limits(n_per_host=6, n_at_once=1))
    assert sum(host.seen[f"/later/99/3600/{i}.png"] for i in range(6)) == 1
    assert all(told[url].reason for url in shut)
    assert not any(told[url].reason for url in slow)


def test_a_wait_that_the_deadline_cannot_hold_is_not_begun(tmp_path: Path, host: ImageHost) -> None:
    fake, path = FakeClock(), "/later/9/40/1.png"
    fetched = fetch_one(tmp_path, host, host.url(path), clock=fake.clock(), limits=Limits(deadline_s=90))
    assert fetched.reason == "HTTP 429; not done within 90 s in all"
    assert host.n_requests(path) == 3
    assert sum(fake.slept_s) < 90


def test_a_host_that_asks_to_wait_is_left_alone_by_everybody() -> None:
    fake = FakeClock()

    async def ask() -> None:
        turn = pacing.Turn(2, fake.clock())
        await turn.quiet()
        turn.hold(30)
        turn.hold(5)
        await turn.quiet()
        await turn.quiet()

    asyncio.run(ask())
    assert fake.slept_s == [30]


def test_tries_are_counted_and_the_waits_between_them_double(tmp_path: Path, host: ImageHost) -> None:
    fake = FakeClock()
    fetched = fetch_one(tmp_path, host, host.url("/broken/"), clock=fake.clock(), limits=Limits(n_retries=4))
    assert fetched.reason == "HTTP 500, 5 times"
    assert host.n_requests("/broken/") == 5
    assert all(0.25 * 2**i <= slept_s <= 0.5 * 2**i for i, slept_s in enumerate(fake.slept_s))
    assert len(fake.slept_s) == 4


def test_waits_are_jittered_and_capped() -> None:
    limits = Limits()
    waits = [pacing.backoff_s(3, limits, random.Random(seed)) for seed in range(50)]
    assert len(set(waits)) == 50
    assert (
        max(pacing.backoff_s(99, limits, random.Random(seed)) for seed in range(50)) <= limits.backoff_cap_s
    )


@pytest.mark.parametrize(
    "path", ["/missing/", "/forbidden/", "/page/1.jpg", "/truncated/1.png", "/brotli/1.png"]
)
def test_what_will_not_change_is_asked_for_once(path: str, tmp_path: Path, host: ImageHost) -> None:
    assert fetch_one(tmp_path, host, host.url(path)).reason
    assert host.n_requests(path) == 1


@pytest.mark.parametrize("path", ["/drip/1.png", "/continue/", "/silent/"])
def test_a_url_has_a_deadline_in_all(path: str, tmp_path: Path, host: ImageHost) -> None:
    start = time.monotonic()
    fetched = fetch_one(tmp_path, host, host.url(path), limits=IMPATIENT)
    assert fetched.reason == "not done within 0.5 s in all"
    assert time.monotonic() - start < 5
    assert host.n_requests(path) == 1


def test_a_urls_deadline_holds_for_what_its_sites_are_asked_too(tmp_path: Path, host: ImageHost) -> None:
    names = [f"robots-drip{i}{DOMAIN}" for i in range(4)]  # 0.6 s for each robots.txt
    url = host.url("/good/1.png", name=names[-1])
    for name in reversed(names[:-1]):
        url = host.url("/to/" + quote(url, safe=""), name=name)
    start = time.monotonic()
    allowed = {"allow_loopback_for_tests": host.allowed(*names)}
    fetched = fetch_one(tmp_path, host, url, limits=Limits(deadline_s=1), **allowed)
    assert fetched.reason == "not done within 1 s in all"
    assert 1 <= time.monotonic() - start < 2.4
    told = fetch(tmp_path, host, [url], limits=Limits(deadline_s=10), **allowed)
    assert told[url].reason == ""


def test_the_wait_of_a_sites_file_for_its_turn_is_not_held_against_a_url(
    tmp_path: Path, host: ImageHost
) -> None:
    names = [f"robots-drip{i}{DOMAIN}" for i in range(4)]  # 2.4 s for all of them
    urls = [host.url("/good/1.png", name=name) for name in names]
    told = fetch(
        tmp_path, host, urls, limits=Limits(n_at_once=1, deadline_s=1.8), allow_loopback_for_tests=host.allowed(*names)
    )  # fmt: skip
    assert [each.reason for each in told.values()] == [""] * 4


def test_a_file_that_one_gave_up_goes_on_for_another() -> None:
    async def ask() -> tuple[str, list[str]]:
        clock, whole = Clock(), pacing.Allowance(5, Clock())

        async def slow() -> str:
            async with whole.running():
                await asyncio.sleep(0.3)
            return "the file"

        task = asyncio.create_task(slow())
        hasty, patient = pacing.Allowance(0.1, clock), pacing.Allowance(1, clock)
        both = await asyncio.gather(
            *(one.wait_for(task, whole) for one in (hasty, patient)), return_exceptions=True
        )
        assert 0.25 < patient.spent_s < 1
        return str(both[0]), [str(both[1]), await patient.wait_for(task, whole)]

    assert asyncio.run(ask()) == ("not done within 0.1 s in all", ["the file", "the file"])


def test_an_allowance_that_is_paused_does_not_end() -> None:
    async def rest(allowance: pacing.Allowance) -> None:
        async with allowance.running():
            with allowance.paused():
                pass
            await asyncio.sleep(5)

    async def ask() -> None:
        allowance = pacing.Allowance(0.3, Clock())
        async with allowance.running():
            with allowance.paused():
                await asyncio.sleep(0.5)
        assert allowance.spent_s < 0.2
        with pytest.raises(Refused, match=r"not done within 0\.3 s in all"):
            await rest(allowance)

    asyncio.run(ask())


def test_a_host_that_says_nothing_is_asked_again(tmp_path: Path, host: ImageHost) -> None:
    limits = Limits(read_s=0.3, backoff_s=0.01, n_retries=1)
    assert (
        fetch_one(tmp_path, host, host.url("/silent/"), limits=limits).reason
        == "no answer within 0.3 s, 2 times"
    )
    assert host.n_requests("/silent/") == 2
    stalled = fetch_one(tmp_path, host, host.url("/stall/1.png"), limits=limits)
    assert stalled.reason == "body stalled at byte 100, 2 times"


def test_the_wait_for_a_turn_is_not_held_against_a_url(tmp_path: Path, host: ImageHost) -> None:
    urls = [host.url(f"/slow/100/{i}.png") for i in range(8)]
    told = fetch(tmp_path, host, urls, limits=Limits(n_per_host=1, deadline_s=0.7))
    assert all(not each.reason for each in told.values())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120), (" 5 ", 5), ("0", 0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0), ("Mon, 01 Jan 2024 00:01:00 GMT", 60),
        ("Monday, 01-Jan-24 00:01:00 GMT", 60), ("Mon, 01 Jan 2024 01:01:00 +0100", 60), ("soon", None), ("", None),
        ("-5", None), ("1.5", None), ("٣", None), ("9" * 50, 999999999999),
        ("Mon, 01 Jan 2024 99999999999999999999:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 -99999999999999999999999", None),
    ],
)  # fmt: skip
def test_retry_after_says_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert pacing.retry_after_s(text, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)) == seconds


def test_requests_say_who_asks_and_carry_nothing_else(tmp_path: Path, host: ImageHost) -> None:
    fetch_one(tmp_path, host, host.url("/good/1.png"))
    headers = host.headers["/good/1.png"]
    assert headers["user-agent"].startswith("kyara/")
    assert headers["accept-encoding"] == "identity"
    assert set(headers) == {"host", "user-agent", "accept", "accept-encoding"}


def test_no_proxy_of_the_environment_is_used(
    tmp_path: Path, host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    assert fetch_one(tmp_path, host, host.url("/good/1.png")).reason == ""


def test_one_connection_serves_a_sites_files_and_its_picture(tmp_path: Path, host: ImageHost) -> None:
    assert fetch_one(tmp_path, host, host.url("/good/1.png")).reason == ""
    assert host.seen == {"/robots.txt": 1, "/.well-known/tdmrep.json": 1, "/good/1.png": 1}
    assert host.n_connections == 1
    host.reset()
    assert fetch_one(tmp_path, host, host.url("/hops/1/unwell/1/2.png")).reason == ""
    assert host.n_connections == 1


def test_an_answer_whose_body_does_not_come_says_what_it_says(
    tmp_path: Path, host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collection.fetching.body._MAX_AWAY_S", 0.1)
    assert fetch_one(tmp_path, host, host.url("/mute/")).reason == "HTTP 404"
    assert host.n_requests("/mute/") == 1


# Bytes.


def response(*chunks: bytes, **headers: str) -> httpx.Response:
    async def stream() -> Any:
        for chunk in chunks:
            yield chunk

    return httpx.Response(200, headers={k.replace("_", "-"): v for k, v in headers.items()}, content=stream())


def body_of(*chunks: bytes, max_bytes: int = 1000, cut: bool = False, **headers: str) -> bytes:
    return asyncio.run(
        read_body(response(*chunks, **headers), max_wire_bytes=5000, max_bytes=max_bytes, cut=cut)
    )


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def test_a_gzip_body_is_unpacked_chunk_by_chunk() -> None:
    whole = packed(b"x" * 900)
    assert body_of(*(bytes([byte]) for byte in whole), content_encoding="gzip") == b"x" * 900
    assert body_of(whole, content_encoding="X-GZIP") == b"x" * 900


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (packed(bytes(1001)), Refused, "more than 1000 bytes once unpacked"),
        (packed(bytes(10**6)), Refused, "more than 1000 bytes once unpacked"),
        (packed(b"x") + packed(b"y"), Refused, "after the end"), (b"no gzip", Refused, "damaged"),
        (packed(b"x" * 500)[:-4], BodyBroken, "no end"), (b"", BodyBroken, "no end"),
    ],
)  # fmt: skip
def test_a_gzip_body_that_is_no_good_is_refused(data: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        body_of(data, content_encoding="gzip")


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate", "zstd", "x\ny".replace("\n", " ")])
def test_encodings_that_were_not_asked_for_are_refused(encoding: str) -> None:
    with pytest.raises(Refused, match="not asked for"):
        body_of(b"x", content_encoding=encoding)


def test_caps_hold_to_the_byte() -> None:
    assert len(body_of(bytes(1000))) == 1000
    with pytest.raises(Refused):
        body_of(bytes(1000), b"x")
    assert len(body_of(bytes(800), bytes(800), cut=True)) == 1000
    with pytest.raises(Refused, match="announces"):
        body_of(b"", content_length="5001")


def test_a_body_that_nobody_wants_is_read_away_if_it_is_small() -> None:
    n_read = 0

    async def stream() -> Any:
        nonlocal n_read
        for _ in range(100):
            n_read += 1 << 12
            yield bytes(1 << 12)

    def read(**headers: str) -> int:
        nonlocal n_read
        n_read = 0
        asyncio.run(read_away(httpx.Response(404, headers=headers, content=stream())))
        return n_read

    assert read(**{"content-length": "70000"}) == 0
    assert read(**{"transfer-encoding": "chunked"}) == (64 << 10) + (1 << 12)


@pytest.mark.parametrize(
    ("headers", "n_bytes"),
    [({}, 1000), ({"content-length": "300"}, 300), ({"content-length": "9999"}, 1000), ({"content-length": "x"}, 1000),
     ({"content-length": "300", "content-encoding": "gzip"}, 1000)],
)  # fmt: skip
def test_headers_tell_how_large_a_body_may_be(headers: dict[str, str], n_bytes: int) -> None:
    assert most_bytes(httpx.Headers(headers), 1000) == n_bytes


def test_who_wants_more_than_there_is_room_for_waits_and_first_come_is_first_served() -> None:
    async def enter() -> list[str]:
        room, order = Room(100), []

        async def body(name: str, n_bytes: int) -> None:
            with Place(room) as place:
                await place.take(n_bytes)
                order.append(name)
                await asyncio.sleep(0.01)

        with Place(room) as first:
            await first.take(60)
            waiting = [asyncio.create_task(body(*each)) for each in (("large", 1000), ("small", 10))]
            await asyncio.sleep(0.01)
            assert order == []
            first.shrink(20)
            await asyncio.sleep(0.01)
            assert order == []
        await asyncio.gather(*waiting)
        await room.take(100)
        return order

    assert asyncio.run(enter()) == ["large", "small"]


def test_downloads_wait_for_the_pictures_that_are_checked(tmp_path: Path) -> None:
    n_asked: list[int] = []

    def slow(data: bytes) -> str:
        time.sleep(0 if n_asked else 0.5)
        n_asked.append(sum(path.startswith("/good") for path in host.seen))
        return ""

    def large(name: str) -> bytes:
        return picture_bytes(name) + bytes(CAP - 20_000)

    with ImageHost(pictures=large) as host:
        urls = [host.url(f"/good/{i}.png") for i in range(60)]
        told = fetch(tmp_path, host, urls, check=slow, limits=replace(QUICK, n_at_once=4))
    assert n_asked[0] <= 8 + 4
    assert all(not each.reason for each in told.values())


def test_a_long_robots_txt_is_cut_and_its_torn_line_left_out() -> None:
    start = b"User-agent: *\nDisallow: /no\n"
    data = start + b"#" * (MAX_BYTES - len(start) - 12) + b"\nDisallow: /yes"
    assert [str(rule) for rule in parse_robots(data[:MAX_BYTES], "kyara").rules] == ["Disallow: /no"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("1.png", "png"), ("1.jpg", "jpeg"), ("1.webp", "webp"), ("1.gif", "gif"), ("1.bmp", "bmp")],
)
def test_the_first_bytes_tell_the_kind(name: str, kind: str) -> None:
    assert sniffing.kind_of(picture_bytes(name)[: sniffing.N_BYTES]) == kind


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"<!DOCTYPE html><p>", "HTML"), (b" \n<HTML>", "HTML"), (b"\xef\xbb\xbf<html", "HTML"), (b"<svg xmlns=", "SVG"),
        (b"<?xml version='1.0'?><svg", "SVG"), (b'{"error": 1}', "text"), (b"", "nothing"), (b"\x00\x01", "other bytes"),
        (b"RIFF\x00\x00\x00\x00AVI ", "other bytes"), (b"\x00\x00\x00 ftypavif", "other bytes"),
    ],
)  # fmt: skip
def test_what_is_no_image_has_a_word(data: bytes, word: str) -> None:
    assert (sniffing.kind_of(data), sniffing.beginning(data)) == ("", word)


# Opting out.


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["noai"], "noai"), (["NOAI"], "noai"), (["noindex, noimageai"], "noimageai"), (["none"], "none"),
        (["kyara: noai"], "kyara: noai"), (["Kyara : none"], "kyara: none"), (["*: noai"], "*: noai"),
        (["otherbot: noai"], ""), (["otherbot: nofollow, noai"], ""), (["otherbot: noai, kyara: noai"], "kyara: noai"),
        (["noindex", "noai"], "noai"), (["otherbot: noindex", "noimageai"], "noimageai"), (["noindex, nofollow"], ""),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], "noai"), (["max-image-preview: none"], ""),
        (["noaim"], ""), ([""], ""), ([","], ""), ([":"], ""),
        (["unavailable_after: Sat, 25 Jun 2030 15:00:00 GMT, noai"], "noai"), (["max-foo: 3, noai"], "noai"),
        (["foo: 3, noai"], "noai"), (["max-foo: none, noindex"], ""), (["foo bar: noai"], "noai"),
        (["otherbot: unavailable_after: Sat, 25 Jun 2030 15:00:00 GMT, noai"], ""), (["otherbot: foo, noai"], "noai"),
        (["otherbot: max-snippet: 5, noai"], ""), (["other-bot_2/1.0: noai"], ""), (["kyara/0.1: noai"], "kyara: noai"),
        (["otherbot: noindex, kyara: foo, noai"], "kyara: noai"), (["otherbot: noindex, *: noai"], "*: noai"),
        (["noindex; noai"], "noai"), (["noindex noai"], "noai"), (["'noai'"], "noai"), (["noindex: noai"], "noai"),
        (["max-image-preview: large; noai"], "noai"), (["otherbot: noindex noai"], ""), (["kyara:, noai"], "noai"),
    ],
)  # fmt: skip
def test_x_robots_tag_keeps_pictures_out(values: list[str], reason: str) -> None:
    verdict = header_verdict([("X-Robots-Tag", value) for value in values])
    assert verdict.reason == (f"X-Robots-Tag: {reason}" if reason else "none found")
    assert verdict.allowed is not bool(reason)


def test_tdm_reservation_is_one_or_nothing() -> None:
    assert header_verdict([("TDM-Reservation", " 1 ")]).reason == "tdm-reservation: 1"
    assert header_verdict([("tdm-reservation", "0"), ("tdm-policy", "https://example.org/1")]).allowed


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("search=yes, ai-train=no", "ai-train=no"), ("AI-Train = No", "ai-train=no"), ("train-ai=n", "train-ai=n"),
        ("bots=y, train-ai=y", ""), ("search=no", ""), ("xai-train=no", ""), ("ai-train=nobody", ""), ("", ""),
        ("train-ai=y, train-ai=n", "train-ai=n"), ("ai-train=yes;x=1", ""),
    ],
)  # fmt: skip
def test_content_usage_says_whether_to_learn_from_it(value: str, reason: str) -> None:
    verdict = header_verdict([("content-usage", value)])
    assert verdict.reason == (f"Content-Usage: {reason}" if reason else "none found")
    assert verdict.allowed is not bool(reason)


SIGNAL_CASES = [  # file, path, the signal that decides
    ("User-agent: *\nContent-Signal: ai-train=no", "/a", "Content-Signal: ai-train=no"),
    ("User-agent: other\nContent-Signal: ai-train=no\n\nUser-agent: *\nAllow: /", "/a", ""),
    ("User-agent: *\nContent-Signal: ai-train=no\n\nUser-agent: kyara\nAllow: /", "/a", ""),
    ("User-agent: *\nUser-agent: kyara\nContent-usage: train-ai=n", "/a", "Content-Usage: train-ai=n"),
    ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /a/ train-ai=y", "/a/b", "Content-Usage: train-ai=y"),
    ("User-agent: *\nContent-Usage: /a train-ai=n", "/b", ""),
    ("User-agent: *\nContent-Usage: /*.png$ train-ai=n", "/b/1.png", "Content-Usage: train-ai=n"),
    ("Content-Signal: ai-train=no\nUser-agent: *\nAllow: /", "/a", ""),
    ("User-agent: *\nContent-Signal:", "/a", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "signal"), SIGNAL_CASES)
def test_robots_txt_says_whether_to_learn_from_it(text: str, path: str, signal: str) -> None:
    robots = parse_robots(text.encode(), "kyara")
    assert str(closest_rule(robots.signals, path) or "") == signal
    assert closest_rule(robots.rules, path) is None or closest_rule(robots.rules, path).allow  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ('[{"location": "/", "tdm-reservation": 1}]', "/a", False),
        ('[{"location": "/", "tdm-reservation": 0}]', "/a", True),
        ('[{"location": "/", "tdm-reservation": 1}, {"location": "/a/*.png$", "tdm-reservation": 0}]', "/a/1.png", True),
        ('[{"location": "/", "tdm-reservation": 1}, {"location": "/a/*.png$", "tdm-reservation": 0}]', "/b/1.png", False),
        ('[{"location": "img/*", "tdm-reservation": "1"}]', "/img/1.png", False),
        ('[{"location": "/img", "tdm-reservation": 1}]', "/a", True),
        ('[{"location": "/", "tdm-reservation": true}]', "/a", False),
        ('[{"location": "/", "tdm-reservation": [1]}, 5, {"location": 3, "tdm-reservation": 1}, null]', "/a", True),
        ('{"location": "/", "tdm-reservation": 1}', "/a", True),
        (r'[{"location": "/\ud800", "tdm-reservation": 1}]', "/a", True),
        ('[{"location": "/my pictures/{a}", "tdm-reservation": 1}]', "/my%20pictures/%7Ba%7D/1.png", False),
        ("<html>", "/a", True), ("[" * 100_000, "/a", True), ("\ud800", "/a", True), ("", "/a", True),
    ],
)  # fmt: skip
def test_tdmrep_json_reserves_paths(text: str, path: str, allowed: bool) -> None:
    rule = closest_rule(parse_reservations(text.encode("utf-8", "surrogatepass")), path)
    assert (rule is None or rule.allow) is allowed


ROBOTS_CASES = [  # file, path, the rule that decides
    ("User-agent: *\nDisallow: /", "/a", "Disallow: /"),
    ("User-agent: *\nDisallow:", "/a", ""),
    ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", "Allow: /a/b"),
    ("User-agent: *\nAllow: /a\nDisallow: /a", "/a", "Allow: /a"),
    ("User-agent: *\nDisallow: /*.png$", "/x/y.png", "Disallow: /*.png$"),
    ("User-agent: *\nDisallow: /*.png$", "/x/y.png?s=1", ""),
    ("User-agent: *\nDisallow: /*?*large", "/x?size=large", "Disallow: /*?*large"),
    ("User-agent: *\nDisallow: /a$", "/a", "Disallow: /a$"),
    ("User-agent: *\nDisallow: /a$", "/ab", ""),
    ("User-agent: *\nDisallow: /ü", "/%C3%BCber", "Disallow: /ü"),
    ("User-agent: *\nDisallow: /%7Ejoe/", "/~joe/a", "Disallow: /%7Ejoe/"),
    ("User-agent: *\nDisallow: /a%3cd", "/a%3Cd.html", "Disallow: /a%3cd"),
    ("User-agent: kyara\nDisallow: /k\n\nUser-agent: *\nDisallow: /", "/a", ""),
    ("User-agent: kyara\nDisallow: /k\n\nUser-agent: *\nDisallow: /", "/k", "Disallow: /k"),
    ("User-agent: KYARA/2.0\nDisallow: /", "/a", "Disallow: /"),
    ("User-agent: kyarabot\nDisallow: /", "/a", ""),
    (
        "User-agent: a\nUser-agent: kyara\nDisallow: /x\n\nUser-agent: kyara\nDisallow: /y",
        "/y",
        "Disallow: /y",
    ),
    (
        "User-agent: a\nUser-agent: kyara\nDisallow: /x\n\nUser-agent: kyara\nDisallow: /y",
        "/x",
        "Disallow: /x",
    ),
    ("User-agent: kyara\n\nUser-agent: *\nDisallow: /", "/a", "Disallow: /"),
    ("User-agent: kyara\nAllow: /b\nUser-agent: *\nDisallow: /", "/a", ""),
    ("User-agent: *\nCrawl-delay: 5\nSitemap: /s.xml\nDisallow: /a", "/a", "Disallow: /a"),
    ("\ufeffUser-agent: *\r\nDisallow: /a # why\r\n", "/a", "Disallow: /a"),
    ("User-agent: *\rDisallow: /a", "/a", "Disallow: /a"),
    ("Disallow: /", "/a", ""),
    ("<html>no: robots</html>", "/a", ""),
    ("User-agent: *\nDisallow: img", "/img/a", "Disallow: /img"),
    ("User-agent: *\nDisallow: *", "/a", "Disallow: *"),
]


@pytest.mark.parametrize(("text", "path", "rule"), ROBOTS_CASES)
def test_robots_txt_is_read_as_rfc_9309_says(text: str, path: str, rule: str) -> None:
    assert str(closest_rule(parse_robots(text.encode(), "kyara").rules, path) or "") == rule


@pytest.mark.parametrize(
    "path",
    [
        "/my pictures/", "/{id}/", '/"q"/', "/<x>/", "/a[1]/", "/a|b/", "/a^b/", "/a\\b/", "/`x`/", "/it's/", "/(a),b/",
        "/x$y/", "/a%5B1%5D/", "/a%5b1]/", "/ü[1]/", "/ü x/", "/@a:b/", "/a%20b/", "/~a/", "/100%/", "/a?b=[c] {d}",
    ],
)  # fmt: skip
def test_paths_of_robots_txt_and_of_urls_have_one_spelling(path: str) -> None:
    rules = parse_robots(f"User-agent: *\nDisallow: {path}\n".encode(), "kyara").rules
    written = httpx.URL(normalised(f"http://example.org{path}1.png")).raw_path.decode()
    encoded = f"{quote(path, safe='/%?=')}1.png"
    assert closest_rule(rules, written) == closest_rule(rules, encoded) == rules[0]
    assert closest_rule(rules, "/elsewhere") is None


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a%2Fb", "/a/b", False), ("/a%3Fb", "/a?b", False), ("/a%2A", "/a*", True), ("/a%2A", "/ab", False),
        ("/a*b", "/a*b", True), ("/a%24", "/a$", True), ("/a%24", "/a$b", True), ("/a$", "/a$", False), ("/a$", "/a", True),
    ],
)  # fmt: skip
def test_what_means_something_else_in_a_url_stays_apart(pattern: str, path: str, matches: bool) -> None:
    rules = parse_robots(f"User-agent: *\nDisallow: {pattern}\n".encode(), "kyara").rules
    assert (closest_rule(rules, path) is not None) is matches


def test_no_robots_txt_takes_long() -> None:
    start = time.monotonic()
    rules = parse_robots(
        b"User-agent: *\n" + b"Disallow: /" + b"*a" * 10_000 + b"b$\n" + b"Disallow: /*x*y*z$\n" * 20_000,
        "kyara",
    ).rules
    assert closest_rule(rules, "/" + "a" * 8000) is None
    assert time.monotonic() - start < 3


# URLs.


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("HTTP://Example.ORG", "http://example.org/"), ("https://example.org:443/a", "https://example.org/a"),
        ("http://example.org./a#b", "http://example.org/a"), ("http://example.org/a/../b", "http://example.org/b"),
        (" http://example.org/a b ", "http://example.org/a%20b"), ("http://bücher.de/ü", "http://xn--bcher-kva.de/%C3%BC"),
        ("http://example.org/a%2Fb?x=%20&y", "http://example.org/a%2Fb?x=%20&y"), ("http://[2A00::1]/", "http://[2A00::1]/"),
        ("http://example.org:8080?q", "http://example.org:8080/?q"),
        ("http://example.org../a", "http://example.org/a"),
    ],
)  # fmt: skip
def test_urls_have_one_spelling(url: str, same: str) -> None:
    assert normalised(url) == same
    assert normalised(same) == same


def test_a_url_is_fetched_once_however_often_it_is_named(tmp_path: Path, host: ImageHost) -> None:
    url = host.url("/good/1.png")
    spellings = [url, url, url + "#a", url.replace("http", "HTTP"), host.url("/x/../good/1.png")]
    told = fetch(tmp_path, host, spellings)
    assert set(told) == set(spellings)
    assert len({each.sha256 for each in told.values()}) == 1
    assert host.n_requests("/good/1.png") == 1


# The disk.


class Watched(Disk):
    """Counts new files, and fails or dies at one of its operations."""

    def __init__(self, at: int = -1, strike: Callable[[], None] = lambda: None) -> None:
        self.at = at
        self.strike = strike
        self.n = 0
        self.n_files = 0

    def step(self) -> None:
        self.n += 1
        if self.n == self.at:
            self.strike()

    def create(self, path: Path) -> Any:
        self.step()
        self.n_files += 1
        return super().create(path)

    def sync(self, stream: Any) -> None:
        self.step()
        super().sync(stream)

    def rename(self, source: Path, target: Path) -> None:
        self.step()
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        self.step()
        super().sync_folder(folder)

    def mkdir(self, folder: Path) -> None:
        self.step()
        super().mkdir(folder)


def test_equal_bytes_are_written_once(tmp_path: Path, host: ImageHost) -> None:
    paths = [f"/{kind}/1.png" for kind in ("good", "gzip", "chunked", "mislabelled", "slow/5")]
    with replaced_disk(Watched()) as _, replaced_disk(watched := Watched()):
        told = fetch(tmp_path, host, [host.url(path) for path in paths])
        fetch(tmp_path, host, [host.url(path) for path in paths])
    assert len({each.sha256 for each in told.values()}) == 1
    assert watched.n_files == 1


def test_a_full_disk_ends_the_run_and_leaves_nothing(tmp_path: Path, host: ImageHost) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    told: list[Fetched] = []
    urls = [host.url(f"/good/{i}.png") for i in range(5)]
    with replaced_disk(Watched(at=5, strike=full)), pytest.raises(OSError, match="No space left"):
        downloader(tmp_path, host).fetch_all(urls, told.append)
    assert {each.sha256 for each in told if each.sha256} <= set(files_in(tmp_path))
    assert len(files_in(tmp_path)) < 5
    assert not any(name.startswith(".tmp-") for name in files_in(tmp_path))
    fetch(tmp_path, host, urls)
    assert len(files_in(tmp_path)) == 5


def test_what_nobody_foresaw_is_a_urls_reason_and_not_the_runs_end(
    tmp_path: Path, host: ImageHost, caplog: pytest.LogCaptureFixture
) -> None:
    def check(data: bytes) -> str:
        if data == picture_bytes("2.png"):
            raise OSError("no disk's")
        return ""

    async def resolver(name: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if name.startswith("a") else [][0]

    paths = [("/good/1.png", "a"), ("/good/2.png", "a"), ("/good/3.png", "b")]
    urls = [host.url(path, name=name + DOMAIN) for path, name in paths]
    told = fetch(tmp_path, host, urls, check=check, resolver=resolver)
    assert [told[url].reason for url in urls] == [
        "", "failed: OSError: no disk's", "failed: IndexError: list index out of range"
    ]  # fmt: skip
    assert set(files_in(tmp_path)) == {told[urls[0]].sha256}
    assert [record.name for record in caplog.records] == ["collection.fetching.download"] * 2


def test_what_is_missing_here_ends_the_run(tmp_path: Path, host: ImageHost) -> None:
    def check(data: bytes) -> str:
        raise MissingExtra("no decoder; install it")

    with pytest.raises(MissingExtra, match="no decoder"):
        fetch(tmp_path, host, [host.url("/good/1.png"), host.url("/silent/")], check=check)


def test_what_the_caller_raises_ends_the_run(tmp_path: Path, host: ImageHost) -> None:
    def raises(fetched: Fetched) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        downloader(tmp_path, host).fetch_all([host.url("/good/1.png"), host.url("/silent/")], raises)


def test_a_signal_that_strikes_in_the_loop_ends_the_run(tmp_path: Path, host: ImageHost) -> None:
    class Terminated(BaseException):
        pass

    def strike() -> None:
        raise Terminated

    def done(fetched: Fetched) -> None:
        asyncio.get_running_loop().call_soon(strike)

    with pytest.raises(Terminated):
        downloader(tmp_path, host).fetch_all([host.url("/good/1.png"), host.url("/silent/")], done)


DYING = """
import os, sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from collection.fetching import rawfiles
from featurestore.files import Disk, replaced_disk

class Dying(Disk):
    n = {at}
    def _step(self):
        self.n -= 1
        if self.n == 0:
            os.kill(os.getpid(), 9)
    def __getattribute__(self, name):
        if not name.startswith("_") and name != "n":
            self._step()
        return super().__getattribute__(name)

with replaced_disk(Dying()):
    rawfiles.keep(Path(sys.argv[1]), b"whole" * 1000)
"""


def test_a_killed_write_leaves_the_whole_file_or_none_and_the_next_run_sweeps(tmp_path: Path) -> None:
    sha256, killed = hashlib.sha256(b"whole" * 1000).hexdigest(), 0
    for at in range(1, 30):
        root = tmp_path / str(at)
        script = DYING.format(tests=str(ROOT / "tests"), root=str(ROOT), at=at)
        code = subprocess.run([sys.executable, "-c", script, str(root)], check=False).returncode
        n_temporary = sum(name.startswith(".tmp-") for name in files_in(root))
        assert rawfiles.sweep(root) == n_temporary
        assert files_in(root) in ({}, {sha256: b"whole" * 1000})
        rawfiles.keep(root, b"whole" * 1000)
        assert files_in(root) == {sha256: b"whole" * 1000}
        if code == 0:
            break
        killed += 1
    assert killed >= 6


def test_the_sweep_leaves_what_a_living_run_is_writing(tmp_path: Path) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    living = folder / f".tmp-{os.getppid()}-1"
    own = folder / f".tmp-{os.getpid()}-1"
    dead, before, nobody = folder / ".tmp-99999999-1", folder / f".tmp-{os.getpid()}-2", folder / ".tmp-x"
    kept = folder / ("ab" * 32)
    for file in (living, own, dead, before, nobody, kept):
        file.write_bytes(b"x")
    os.utime(before, (time.time() - 3600 * 5, time.time() - 3600 * 5))  # of a process that had our number
    assert rawfiles.sweep(tmp_path) == 3
    assert sorted(folder.iterdir()) == sorted([living, own, kept])


RUN = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from hosts import ImageHost
from collection.fetching.download import Downloader
port, root, log = int(sys.argv[1]), Path(sys.argv[2]), open(sys.argv[3], "a", buffering=1)
allow = frozenset({{("127.0.0.1", port)}})
urls = [f"http://127.0.0.1:{{port}}/slow/5/{{i}}.png" for i in range(60)]
log.write("begun\\n")
Downloader(root, allow_loopback_for_tests=allow).fetch_all(urls, lambda f: log.write(f"{{f.sha256}} {{f.reason}}\\n"))
log.write("ended\\n")
"""


def test_a_killed_run_has_every_picture_that_it_told_of_and_the_next_ends_the_same(tmp_path: Path) -> None:
    serve = [sys.executable, str(ROOT / "tests/hosts.py"), "--port", "0"]
    script = RUN.format(tests=str(ROOT / "tests"), root=str(ROOT))
    root, log = tmp_path / "raw", tmp_path / "log"
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        for n_lines in (10, 40, 200):
            log.write_text("")
            run = subprocess.Popen([sys.executable, "-c", script, port, str(root), str(log)])
            while run.poll() is None and len(log.read_text().splitlines()) < n_lines:
                time.sleep(0.002)
            run.send_signal(signal.SIGKILL)
            run.wait()
            told = [line.split()[0] for line in log.read_text().splitlines() if len(line) > 60]
            files = files_in(root)
            assert len(told) >= min(n_lines - 1, 60)
            assert set(told) <= set(files)
            for name, data in files.items():
                assert name.startswith(".tmp-") or hashlib.sha256(data).hexdigest() == name
        seen = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/_seen"))
        server.kill()
    assert "ended" in log.read_text()
    assert set(files_in(root)) == {hashlib.sha256(picture_bytes(f"{i}.png")).hexdigest() for i in range(60)}
    assert seen["peak"]["127.0.0.1"] == 2


# TLS.


def certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side and a client's, for one host name."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(secret + made.public_bytes(encoding))
    (folder / "public.pem").write_bytes(made.public_bytes(encoding))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cafile=str(folder / "public.pem"))


def test_tls_verifies_the_name_and_not_the_address(tmp_path: Path) -> None:
    server, client = certificates(tmp_path, "a" + DOMAIN)
    root = tmp_path / "raw"
    with ImageHost(tls=server) as host:
        good, other = (host.url("/good/1.png", name=name + DOMAIN) for name in "ab")
        assert fetch_one(root, host, good, tls=client).reason == ""
        assert "certificate refused" in fetch_one(root, host, other, tls=client).reason
        assert "certificate refused" in fetch_one(root, host, good).reason


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_that_breaks_after_its_handshake_is_a_urls_reason(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    server, client = certificates(tmp_path, "a" + DOMAIN)
    client.minimum_version = client.maximum_version = version
    with ImageHost(tls=server) as host:
        torn, good = (host.url(f"/{kind}/1.png", name="a" + DOMAIN) for kind in ("torn-tls", "good"))
        told = fetch(tmp_path / "raw", host, [torn, good], tls=client)
        n_bytes = len(picture_bytes("1.png"))
        assert told[torn].reason == f"body ended early: 100 of {n_bytes} bytes came, 4 times"
        assert told[good].reason == ""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_host_that_asks_who_we_are_is_no_connection(tmp_path: Path, version: ssl.TLSVersion) -> None:
    server, client = certificates(tmp_path, "a" + DOMAIN)
    client.minimum_version = client.maximum_version = version
    server.verify_mode = ssl.CERT_REQUIRED  # in TLS 1.3 its no comes after the handshake
    with ImageHost(tls=server) as host, ImageHost() as other:
        closed, good = host.url("/good/1.png", name="a" + DOMAIN), other.url("/slow/200/1.png")
        allowed = host.allowed("a" + DOMAIN) | other.allowed()
        told = fetch(tmp_path / "raw", host, [closed, good], tls=client, allow_loopback_for_tests=allowed)
        assert told[closed].reason.startswith("not allowed: robots.txt unreachable: connection failed: ")
        assert told[good].reason == ""


def test_nothing_heavy_is_loaded_before_a_download_begins() -> None:
    script = (
        "import sys, collection.fetching.download;"
        "print([name for name in ('httpx', 'httpcore', 'numpy', 'PIL', 'anyio') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
