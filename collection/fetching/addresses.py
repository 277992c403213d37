"""Which addresses may be connected to.

Owns the ranges that are not of the public internet (IANA's special-purpose registries) and the ways
in which a host's name can hide one of them. Refuses to connect, and to know what is asked there.

What it cannot know: a network that translates IPv4 under a prefix of its own, and names that only
somebody's own public addresses answer to.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Final

from featurestore.errors import DataError

__all__ = ["AddressRefused", "Refused", "Resolver", "check_port", "checked_host", "literal", "refusal"]

#: Host and port -> the addresses that a resolver gives.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_V4: Final = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared address space"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud platform's own"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "IETF protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112 service"),
        ("192.52.193.0/24", "multicast tunnels"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112 service"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_V6: Final = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("100::/64", "discard-only"),
        ("2001::/32", "Teredo"),
        ("2001:2::/48", "benchmarking"),
        ("2001::/23", "IETF protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112 service"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
#: Bits 32 to 63 of an address that tunnels IPv4 inside a site (ISATAP, RFC 5214).
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_MAX_NAME = 253
_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "home.arpa")
_WEB_PORTS = (80, 443)
_FIRST_FREE_PORT, _LAST_PORT = 1024, 65535


class Refused(DataError):
    """What a URL leads to is not taken; the text is the line for the record."""


class AddressRefused(Refused):
    """A host, port or address that no connection is made to."""


def refusal(address: str) -> str:
    """Why no connection to an IP address may be made; empty if one may.

    Examples
    --------
    >>> refusal("127.0.0.1"), refusal("2002:7f00:1::"), refusal("8.8.8.8")
    ('loopback', '6to4', '')
    """
    if "%" in address:
        return "an address with a zone"
    try:
        ip = ip_address(address)
    except ValueError:
        return "no IP address"
    if isinstance(ip, IPv4Address):
        return next((why for network, why in _V4 if ip in network), "")
    for network, why in _V6:
        if ip in network:
            return why
    if ip not in _GLOBAL_V6:
        return "not global unicast"
    return "an IPv4 tunnel inside a site" if (int(ip) >> 32) & 0xFFFF_FFFF in _ISATAP else ""


def literal(host: str) -> str | None:
    """The address that a host is written as; None for a name.

    Parameters
    ----------
    host : str
        Lower case, without a trailing dot.

    Raises
    ------
    AddressRefused
        For IPv4 in octal, hexadecimal, decimal or short form, or one that is no address: what such
        a host means depends on who reads it.

    Examples
    --------
    >>> literal("8.8.8.8"), literal("[::1]"), literal("example.org")
    ('8.8.8.8', '::1', None)
    """
    if ":" in host or host.startswith("["):
        return host.removeprefix("[").removesuffix("]")
    if not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    meant = _loosely_read(host)
    if meant is None:
        raise AddressRefused(f"refused host {host}: numbers that are no address")
    if str(meant) != host:
        raise AddressRefused(
            f"refused host {host}: {meant} in disguise ({refusal(str(meant)) or 'public'}); write it plainly"
        )
    return host


def _loosely_read(host: str) -> IPv4Address | None:
    """What ``inet_aton`` makes of 1 to 4 numbers in any base: the last one fills the rest."""
    parts = host.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) and len(part) < 40 for part in parts):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    *front, last = numbers
    if any(number > 255 for number in front) or last >= 1 << 8 * (4 - len(front)):
        return None
    return IPv4Address(sum(number << 8 * (3 - i) for i, number in enumerate(front)) + last)


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def check_port(port: int) -> None:
    """Refuse ports that no web server has.

    Raises
    ------
    AddressRefused
        Unless it is 80, 443, or 1024 and above.
    """
    if port not in _WEB_PORTS and not _FIRST_FREE_PORT <= port <= _LAST_PORT:
        raise AddressRefused(f"refused port {port}: only 80, 443 and 1024 to 65535")


def _check_name(name: str) -> None:
    labels = name.split(".")
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused(f"refused host {name[:80]!r}: no host name")
    if len(labels) == 1 or any(name.endswith(f".{local}") for local in _LOCAL_NAMES):
        raise AddressRefused(f"refused host {name}: a name of the local network")


async def checked_host(
    host: str, port: int, *, resolver: Resolver, allow: AbstractSet[tuple[str, int]] = frozenset()
) -> list[str]:
    """The addresses of a host that were checked; connect to one of these, and do not ask again.

    Parameters
    ----------
    host : str
        A name or an address, as a URL has it.
    resolver : callable
        Asked once, and never for an address.
    allow : set of (host, port)
        Where loopback may be connected to; for tests.

    Raises
    ------
    AddressRefused
        If the host has no address, or a single one that is refused.
    """
    check_port(port)
    name = host.lower().removesuffix(".")
    is_allowed = (name, port) in allow
    address = literal(name)
    if address is None and not is_allowed:
        _check_name(name)
    addresses = [address] if address is not None else list(dict.fromkeys(await resolver(name, port)))
    if not addresses:
        raise AddressRefused(f"no address for {name}")
    for found in addresses:
        why = refusal(found)
        if why and not (is_allowed and why == "loopback"):
            of = "" if found == name else f" of {name}"
            raise AddressRefused(f"refused address {found}{of}: {why}")
    return addresses
