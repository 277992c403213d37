"""A search that a test may kill: ``python tests/search_victim.py JSON``, one object of addresses and folders.

It calls what the command calls, with the switches that only tests have: another address for the service, and
a way to the loopback.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from collection.crop import CropParams, cut  # noqa: E402
from collection.fetching.pacing import Limits  # noqa: E402
from collection.lists import read_lists  # noqa: E402
from collection.providers.serpapi import SerpApi  # noqa: E402
from collection.searching import Places, Wish, downloaded, search  # noqa: E402
from collection.secret import Secret  # noqa: E402
from collection.telling import report_text  # noqa: E402

LIMITS = Limits(
    n_at_once=32, n_per_host=32, n_retries=2, read_s=8.0, deadline_s=4.0, backoff_s=0.05, max_bytes=4 << 20
)


def main(options: dict[str, str]) -> None:
    places = Places(Path(options["raw"]), Path(options["root"]))
    loopback = frozenset({("127.0.0.1", int(options["port"]))})
    fetch = downloaded(places, max_pixels=10_000_000, limits=LIMITS, allow_loopback_for_tests=loopback)
    provider = SerpApi(Secret(options["key"]), places.raw / "answers", base_url=options["service"])
    params = CropParams("center-top", size_px=64)
    found, made = search(
        read_lists([Path(options["list"])]),
        provider,
        fetch,
        places,
        lambda image: cut(image, params),
        Wish(1, 3),
        cutting=params.told(),
        workers=2,
        max_pixels=10_000_000,
    )
    sys.stdout.write(report_text(found, made, places.root, params, folds=5) + "\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
