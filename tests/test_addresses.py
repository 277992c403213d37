"""No host, however it is written or resolved, leads a download to an address that is not public."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
from conftest import ROOT

from collection.fetching.addresses import AddressRefused, Refused, check_port, checked_host, refusal
from collection.fetching.transport import CheckedBackend, SystemResolver
from collection.fetching.urls import normalised

REFUSED = {
    "unspecified": ["0.0.0.0", "0.255.1.1", "::"],
    "private": [
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.255.255",
    ],
    "shared address space": ["100.64.0.1", "100.100.100.200", "100.127.255.255"],
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "a cloud platform's own": ["168.63.129.16"],
    "link-local": ["169.254.169.254", "169.254.0.1", "fe80::1", "febf::1"],
    "IETF protocol assignments": ["192.0.0.1", "192.0.0.170", "2001:1::1", "2001:20::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff::1"],
    "AS112 service": ["192.31.196.1", "192.175.48.1", "2620:4f:8000::1"],
    "multicast tunnels": ["192.52.193.1"],
    "6to4 relay": ["192.88.99.1"],
    "benchmarking": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.254"],
    "broadcast": ["255.255.255.255"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a00:1", "0:0:0:0:0:ffff:7f00:1"],
    "IPv4-translated": ["::ffff:0:127.0.0.1"],
    "IPv4-compatible": ["::127.0.0.1", "::7f00:1", "::8.8.8.8"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1"],
    "discard-only": ["100::1"],
    "Teredo": ["2001::1", "2001:0:53aa:64c:0:0:80ff:fffe"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1"],
    "segment routing": ["5f00::1"],
    "unique local": ["fc00::1", "fd12:3456::1"],
    "site-local": ["fec0::1", "feff::1"],
    "not global unicast": ["4000::1", "200::1", "1::1", "e000::1"],
    "an IPv4 tunnel inside a site": ["2a00::5efe:7f00:1", "2a00::200:5efe:10.0.0.1"],
    "an address with a zone": ["fe80::1%eth0", "2a00:1450::1%1", "::1%lo"],
    "no IP address": [
        "",
        "localhost",
        "0177.0.0.1",
        "127.1",
        "1.2.3.256",
        "12345",
        "::g",
        "[::1]",
        "1.2.3.4 ",
        "١.1.1.1",
    ],
}
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.1.1.1", "128.0.0.1",
    "172.15.255.255", "172.32.0.1", "192.0.1.1", "192.167.1.1", "198.17.0.1", "198.20.0.1", "223.255.255.255",
    "2a00:1450:4001::1", "2606:4700::1111", "2001:4860:4860::8888", "2003::1", "2400:cb00::1",
]  # fmt: skip

#: Hosts that are 127.0.0.1 or another address for somebody, and the word that says so.
DISGUISES = {
    "0177.0.0.1": "127.0.0.1 in disguise", "0x7f.0.0.1": "127.0.0.1 in disguise", "0x7f.1": "127.0.0.1 in disguise",
    "0X7F000001": "127.0.0.1 in disguise", "2130706433": "127.0.0.1 in disguise", "127.1": "127.0.0.1 in disguise",
    "017700000001": "127.0.0.1 in disguise", "127.0.1": "127.0.0.1 in disguise", "00000127.0.0.1": "disguise",
    "0": "0.0.0.0 in disguise", "0x0": "0.0.0.0 in disguise", "127.0.0.0x1": "127.0.0.1 in disguise",
    "3232235521": "192.168.0.1 in disguise", "0xa9fea9fe": "169.254.169.254 in disguise",
    "134744072": "8.8.8.8 in disguise (public)", "010.8.8.8": "8.8.8.8 in disguise (public)",
    "4294967296": "no address", "256.256.256.256": "no address", "1.2.3.4.5": "no address", "1.2.3.09": "no address",
    "127.0.0.1.": "loopback", "127.1.": "127.0.0.1 in disguise", "a.1": "no address", "0x": "0.0.0.0 in disguise",
    "9" * 400: "no address", "::1": "loopback", "[::1]": "loopback", "::ffff:127.0.0.1": "IPv4-mapped",
    "[::ffff:127.0.0.1]": "IPv4-mapped", "[::ffff:7f00:1]": "IPv4-mapped", "[64:ff9b::127.0.0.1]": "NAT64",
    "[2002:7f00:1::]": "6to4", "fe80::1%25eth0": "zone", "127.0.0.1": "loopback", "10.1.2.3": "private",
    "localhost": "local network", "LOCALHOST": "local network", "localhost.": "local network",
    "a.localhost": "local network", "printer": "local network", "nas.local": "local network", "x.home.arpa": "local network",
    "metadata.google.internal": "local network", "%31%32%37.0.0.1": "no address", "a..b": "no host name",
    "": "no host name", "..": "no host name", "a b.c": "no host name", "a" * 64 + ".org": "no host name",
    "ⓛocalhost.org": "no host name", "a.b@c.d": "no host name", "a.org/..": "no host name", "a.org\\x": "no host name",
    ".".join(["abcdefgh"] * 30): "no host name",
}  # fmt: skip


def answering(*answers: Sequence[str]) -> Any:
    """A resolver that gives one answer after the other, and its calls."""
    left = list(answers)

    async def resolver(host: str, port: int) -> Sequence[str]:
        resolver.calls.append((host, port))
        return left.pop(0) if len(left) > 1 else left[0]

    resolver.calls = []
    return resolver


def addresses_of(host: str, *answers: Sequence[str], port: int = 80, **options: Any) -> list[str]:
    return asyncio.run(checked_host(host, port, resolver=answering(*(answers or [["8.8.8.8"]])), **options))


@pytest.mark.parametrize(("why", "address"), [(why, each) for why, some in REFUSED.items() for each in some])
def test_addresses_that_are_not_public_are_refused_with_their_name(why: str, address: str) -> None:
    assert refusal(address) == why


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed_to_the_edge_of_every_range(address: str) -> None:
    assert refusal(address) == ""
    assert addresses_of("pictures.example.org", [address]) == [address]


def test_whatever_python_calls_not_global_is_refused() -> None:
    rng = random.Random(7)
    for _ in range(5_000):
        four, six = (
            IPv4Address(rng.getrandbits(32)),
            IPv6Address(rng.getrandbits(128) >> rng.randrange(0, 120)),
        )
        for address in (four, six):
            if not address.is_global or address.is_multicast or address.is_reserved:
                assert refusal(str(address)), address


def test_an_ipv4_address_inside_an_ipv6_address_is_refused_whichever_it_is() -> None:
    rng = random.Random(8)
    for _ in range(2_000):
        four = rng.getrandbits(32)
        for holder in (
            four, 0xFFFF << 32 | four, 0xFFFF << 48 | four, 0x64FF9B << 96 | four, 0x2002 << 112 | four << 80,
            0x20010000 << 96 | four ^ 0xFFFFFFFF, 0x2A00 << 112 | 0x5EFE << 32 | four,
        ):  # fmt: skip
            assert refusal(str(IPv6Address(holder))), IPv6Address(holder)


@pytest.mark.parametrize("host", DISGUISES)
def test_no_way_of_writing_a_host_gets_past_the_check(host: str) -> None:
    with pytest.raises(AddressRefused, match=re.escape(DISGUISES[host])):
        addresses_of(host)


@pytest.mark.parametrize(
    "url",
    [
        "http://127。0。0。1/", "http://127．0．0．1/", "http://0177.0.0.1/", "http://１２７.0.0.1/", "http://[::1]:8080/",
        "http://2130706433/", "http://0x7f.1:8000/", "http://[::ffff:127.0.0.1]/", "http://localhost./",
        "http://[fe80::1%25eth0]/", "http://①27.0.0.1/", "http://a.org@127.0.0.1/", "http://127.0.0.1\\@a.org/",
        "http://a.org\\@127.0.0.1/", "http:///127.0.0.1/", "http://0/", "http://%31%32%37.0.0.1/",
    ],
)  # fmt: skip
def test_no_way_of_writing_a_url_does_either(url: str) -> None:
    def reached() -> list[str]:
        parsed = httpx.URL(normalised(url))
        return addresses_of(parsed.raw_host.decode(), port=parsed.port or 80)

    with pytest.raises(Refused):
        reached()


@pytest.mark.parametrize(
    "bad", ["127.0.0.1", "10.0.0.1", "::1", "::ffff:8.8.8.8", "2002:808:808::1", "169.254.169.254"]
)
def test_a_single_bad_address_among_good_ones_refuses_the_host(bad: str) -> None:
    for answer in (["8.8.8.8", bad], [bad, "8.8.8.8"], ["1.1.1.1", "2606:4700::1111", bad]):
        with pytest.raises(AddressRefused, match=r"of mixed\.example\.org"):
            addresses_of("mixed.example.org", answer)


def test_a_host_without_an_address_is_refused() -> None:
    with pytest.raises(AddressRefused, match=r"no address for nowhere\.example\.org"):
        addresses_of("nowhere.example.org", [])


def test_addresses_are_not_resolved_and_names_once() -> None:
    resolver = answering(["8.8.8.8", "8.8.8.8", "8.8.4.4"])
    assert asyncio.run(checked_host("Pictures.Example.ORG.", 443, resolver=resolver)) == [
        "8.8.8.8",
        "8.8.4.4",
    ]
    assert asyncio.run(checked_host("1.1.1.1", 443, resolver=resolver)) == ["1.1.1.1"]
    assert resolver.calls == [("pictures.example.org", 443)]


@pytest.mark.parametrize("port", [0, -1, 1, 21, 22, 25, 81, 110, 444, 1023, 65536, 99999])
def test_ports_without_a_web_server_are_refused(port: int) -> None:
    with pytest.raises(AddressRefused, match="refused port"):
        addresses_of("a.example.org", port=port)


def test_the_ports_of_web_servers_are_allowed() -> None:
    for port in (80, 443, 1024, 8080, 65535):
        check_port(port)


def test_the_switch_for_tests_opens_one_loopback_port_and_nothing_else() -> None:
    allow = frozenset({("127.0.0.1", 5000), ("a.images.test", 5000), ("localhost", 5000)})
    assert addresses_of("127.0.0.1", port=5000, allow=allow) == ["127.0.0.1"]
    assert addresses_of("localhost", ["127.0.0.1", "::1"], port=5000, allow=allow) == ["127.0.0.1", "::1"]
    assert addresses_of("a.images.test", ["127.0.0.1"], port=5000, allow=allow) == ["127.0.0.1"]
    for host, answer, port in (
        ("127.0.0.1", [], 5001), ("127.0.0.2", [], 5000), ("a.images.test", ["10.0.0.1"], 5000),
        ("a.images.test", ["127.0.0.1", "169.254.169.254"], 5000), ("b.images.test", ["127.0.0.1"], 5000),
        ("127.1", [], 5000),
    ):  # fmt: skip
        with pytest.raises(AddressRefused):
            addresses_of(host, answer, port=port, allow=allow)


class Wires(httpcore.AsyncNetworkBackend):
    """Connects to nothing, and writes down what it was asked to connect to."""

    def __init__(self, *dead: str) -> None:
        self.asked: list[tuple[str, int]] = []
        self._dead = dead

    async def connect_tcp(self, host: str, port: int, **options: Any) -> httpcore.AsyncNetworkStream:
        self.asked.append((host, port))
        if host in self._dead:
            raise httpcore.ConnectError("nobody there")
        return httpcore.AsyncMockStream([])


def test_the_connection_goes_to_the_address_that_was_checked_whatever_the_resolver_says_next() -> None:
    resolver, wires = answering(["8.8.8.8"], ["127.0.0.1"]), Wires()
    backend = CheckedBackend(resolver, inner=wires)
    asyncio.run(backend.connect_tcp("rebind.example.org", 80))
    assert wires.asked == [("8.8.8.8", 80)]  # not the name: nobody resolves it a second time
    assert len(resolver.calls) == 1
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1 of rebind\.example\.org: loopback"):
        asyncio.run(backend.connect_tcp("rebind.example.org", 80))
    assert wires.asked == [("8.8.8.8", 80)]


def test_the_next_checked_address_is_tried_where_one_is_dead() -> None:
    wires = Wires("8.8.8.8")
    backend = CheckedBackend(answering(["8.8.8.8", "1.1.1.1"]), inner=wires)
    asyncio.run(backend.connect_tcp("a.example.org", 443, timeout=5))
    assert [host for host, _ in wires.asked] == ["8.8.8.8", "1.1.1.1"]
    with pytest.raises(httpcore.ConnectError, match="nobody there"):
        asyncio.run(CheckedBackend(answering(["8.8.8.8"]), inner=wires).connect_tcp("a.example.org", 443))


def test_sockets_of_this_machine_are_refused() -> None:
    with pytest.raises(AddressRefused):
        asyncio.run(CheckedBackend(answering([])).connect_unix_socket("/var/run/docker.sock"))


def test_a_resolver_that_hangs_or_fails_is_no_connection() -> None:
    async def hangs(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    async def fails(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(httpcore.ConnectTimeout):
        asyncio.run(CheckedBackend(hangs).connect_tcp("a.example.org", 80, timeout=0.01))
    with pytest.raises(httpcore.ConnectError, match="cannot resolve"):
        asyncio.run(CheckedBackend(fails).connect_tcp("a.example.org", 80))


def test_the_machines_own_resolver_tells_no_such_name_from_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = {"nowhere": socket.EAI_NONAME, "later": socket.EAI_AGAIN}

    def told(host: str, port: int, **options: Any) -> list[Any]:
        if host in errors:
            raise socket.gaierror(errors[host], host)
        return [
            (2, 1, 6, "", ("8.8.8.8", port)),
            (2, 1, 6, "", ("8.8.8.8", port)),
            (10, 1, 6, "", ("fe80::1%2", port, 0, 2)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", told)

    async def ask() -> None:
        resolver = SystemResolver()
        assert await resolver("here", 80) == ["8.8.8.8", "fe80::1%2"]
        assert await resolver("nowhere", 80) == []
        with pytest.raises(socket.gaierror):
            await resolver("later", 80)

    asyncio.run(ask())


def test_no_name_waits_for_another_and_each_is_asked_for_once_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, asked = threading.Event(), Counter[str]()

    def told(host: str, port: int, **options: Any) -> list[Any]:
        asked[host] += 1
        if host != "quick":
            answered.wait(20)
        return [(2, 1, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr(socket, "getaddrinfo", told)

    async def ask() -> None:
        resolver = SystemResolver()
        with pytest.raises(httpcore.ConnectTimeout):
            await CheckedBackend(resolver).connect_tcp("slow0.example.org", 80, timeout=0.01)
        names = [f"slow{i}.example.org" for i in range(40)]
        slow = [asyncio.create_task(resolver(name, 80)) for name in names]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(resolver("quick", 80), 5) == ["8.8.8.8"]
        answered.set()
        assert await asyncio.gather(*slow) == [["8.8.8.8"]] * 40
        assert set(asked.values()) == {1}
        assert await resolver(names[0], 80) == ["8.8.8.8"]
        assert asked[names[0]] == 2

    asyncio.run(ask())


HANGING = """
import socket, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from collection.fetching.download import Downloader
from collection.fetching.pacing import Limits
socket.getaddrinfo = lambda *args, **options: time.sleep(60)
limits = Limits(connect_s=0.1, n_retries=0)
Downloader(Path(sys.argv[1]), limits=limits).fetch_all(["http://slow.example.org/1.png"], lambda f: print(f.reason))
"""


def test_a_resolver_that_hangs_does_not_keep_the_program(tmp_path: Path) -> None:
    script = HANGING.format(root=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "not allowed: robots.txt unreachable: no connection within 0.1 s, 1 times\n"
    assert done.stderr == ""
