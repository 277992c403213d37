"""``search``: a list of characters -> mugshots."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from collection.cli import Commands, count
from collection.cli.cutting import add_cutting
from featurestore.errors import MissingError, UsageError

if TYPE_CHECKING:
    from collection.gathering import Fetch
    from collection.providers import Provider
    from collection.records import Character
    from collection.searching import Places

__all__ = ["add"]

_TEXT = """\
Turn lists of characters into mugshots under data/: ask SerpAPI (key in .env, see .env.example) for pictures
of each, fetch what sites allow, cut the faces out, and write down where everything comes from
(metadata/sources.csv). Kill it at any time and run it again: nothing is paid for or fetched twice. See
docs/collection.md.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("search", help="a list of characters -> mugshots", description=_TEXT)
    parser.add_argument(
        "--list",
        action="append",
        type=Path,
        dest="lists",
        metavar="CSV",
        help="characters (repeatable; docs/lists.md); left out: the lists that come with kyara",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--urls", type=Path, metavar="CSV", help="addresses of a table instead of a search")
    where.add_argument("--folder", type=Path, metavar="DIR", help="own pictures, a folder for each character")
    parser.add_argument(
        "--per-character", type=count, metavar="N", help="pictures of each (1; with --folder all)"
    )
    parser.add_argument(
        "--tries", type=count, metavar="N", help="offers that are tried of each (5; with --folder all)"
    )
    parser.add_argument("--budget", type=count, metavar="N", help="credits of SerpAPI that may be spent")
    parser.add_argument("--dry-run", action="store_true", help="print the plan; ask nobody, write nothing")
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="try again what was not to be had, and ask again, a credit each, where nothing was offered",
    )
    parser.add_argument("--replace", action="store_true", help="in place of everything in data/")
    parser.add_argument(
        "--raw", type=Path, default=Path("raw"), metavar="DIR", help="what came, as it came (%(default)s)"
    )
    add_cutting(parser)
    parser.set_defaults(call=_search)


def _search(options: argparse.Namespace) -> int:
    from collection.crop import CropParams, cut
    from collection.crop.remembered import remembered
    from collection.searching import Places, Wish, search
    from collection.telling import plan_text, report_text, strangers_text
    from extractors.devices import n_threads
    from featurestore.params import load_params

    params = load_params()
    places = Places(options.raw, Path(params.data.root))
    cutting = CropParams(options.method, options.choice, options.margin, fallback=options.fallback)
    max_pixels = params.data.max_pixels
    provider, characters = _asked(options, places)
    if options.dry_run:
        print(plan_text(characters, provider, options.budget))
        return 0
    find = remembered(places.faces)
    every = options.folder is not None  # who fills a folder has chosen
    found, made = search(
        characters,
        provider,
        _fetch(options, places, max_pixels),
        places,
        lambda image: cut(image, cutting, find=find),
        Wish(
            options.per_character or (None if every else 1),
            options.tries or (None if every else 5),
            options.replace,
        ),
        cutting=cutting.told(),
        retry_failed=options.retry_failed,
        workers=n_threads(params.runtime.workers),
        max_pixels=max_pixels,
    )
    print(report_text(found, made, places.root, cutting, folds=params.cv.folds))
    for line in strangers_text(characters, provider):
        print(line)
    print("next: python -m collection review, then: python -m collection card, then: dvc repro")
    return MissingError.exit_code if found.refused else 0


def _asked(options: argparse.Namespace, places: Places) -> tuple[Provider, list[Character]]:
    """Who is asked, and about whom."""
    from collection.lists import alternating, read_lists, shipped_lists

    if options.budget is not None and (options.urls is not None or options.folder is not None):
        raise UsageError("--budget is for SerpAPI; --urls and --folder cost nothing: leave it out")
    if options.urls is not None:
        from collection.providers.urls import Urls

        if options.lists:
            raise UsageError("--urls names its own characters: leave --list out")
        table = Urls(options.urls)
        return table, list(table.characters)
    characters = alternating(read_lists(options.lists or shipped_lists()))
    if options.folder is not None:
        from collection.providers.folder import Folder

        return Folder(options.folder.expanduser()), characters
    return _serpapi(options, places), characters


def _serpapi(options: argparse.Namespace, places: Places) -> Provider:
    from collection.providers.serpapi import SerpApi
    from collection.secret import Secret, read_secret

    if options.dry_run:
        key = Secret("no key is needed for a plan")
    else:
        key = read_secret("SERPAPI_KEY", os.environ, Path(".env"), where="https://serpapi.com")
    return SerpApi(key, places.raw / "answers" / "serpapi", budget=options.budget)


def _fetch(options: argparse.Namespace, places: Places, max_pixels: int) -> Fetch:
    from collection.searching import copied, downloaded

    return copied(places) if options.folder else downloaded(places, max_pixels=max_pixels)
