"""``/.well-known/tdmrep.json``: which of a site's paths are reserved from text and data mining.

Owns the file as the TDM Reservation Protocol has it (W3C Community Group, final report of May 2024, the file
on the origin server). Refuses to fetch it.
"""

from __future__ import annotations

import json
from typing import Final

from collection.fetching.robots import Rule

__all__ = ["PATH", "parse_reservations"]

PATH: Final = "/.well-known/tdmrep.json"


def parse_reservations(data: bytes) -> tuple[Rule, ...]:
    """The file's rules, for `collection.fetching.robots.closest_rule`; none for what is no such file.

    Many sites answer an unknown path with a page of their own, which says nothing.

    Examples
    --------
    >>> parse_reservations(b'[{"location": "/img/*", "tdm-reservation": 1}]')
    (Rule(allow=False, pattern='/img/*', said='tdm-reservation: 1'),)
    """
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError):
        return ()
    rules = []
    for entry in entries if isinstance(entries, list) else ():
        location, reservation = (
            (entry.get("location"), entry.get("tdm-reservation")) if isinstance(entry, dict) else (None, None)
        )
        if isinstance(location, str) and reservation in (0, 1, "0", "1"):
            pattern = location if location.startswith(("/", "*")) else f"/{location}"
            rules.append(Rule(int(reservation) == 0, pattern, f"tdm-reservation: {int(reservation)}"))
    return tuple(rules)
