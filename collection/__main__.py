"""``python -m collection``: how images come in.

Parses, calls and prints. The commands' own imports are inside them, so that ``--help`` stays light.
"""

from __future__ import annotations

from featurestore.console import dispatch, pin_threads, run
from featurestore.errors import MissingError, UsageError

pin_threads()

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

if TYPE_CHECKING:
    from collection.providers import Provider
    from collection.searching import Places

_SEARCH = """\
Turn lists of characters into mugshots under data/: ask SerpAPI (key in .env, see .env.example) for pictures
of each, fetch what sites allow, cut the faces out, and write down where everything comes from
(metadata/sources.csv). Kill it at any time and run it again: nothing is paid for or fetched twice. See
docs/collection.md.
"""
_CROP = "Cut the face out of every picture of a folder; say which method cut which, and what each class lost."
_REVIEW = """\
Accept, reject or relabel pictures with the keyboard, on a page of this machine alone. Decisions are kept by
the pictures' bytes, and survive a new search. See docs/curation.md.
"""
_CARD = "Write metadata/README.md: what the data set holds, where it is from, what was left out."

_DEMO = """\
Draw the demo cast: heroes, villains and antiheroes that this command makes up and paints itself,
with the causes of their looks in metadata/characters.csv. See docs/demo-cast.md.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m collection", description="How images come in.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_search(commands)
    _add_import(commands)
    _add_crop(commands)
    _add_review(commands)
    card = commands.add_parser("card", help="write the data set's card", description=_CARD)
    card.set_defaults(call=_card)
    _add_demo(commands)
    return parser


def _add_search(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("search", help="a list of characters -> mugshots", description=_SEARCH)
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
        "--per-character", type=_count, metavar="N", help="pictures of each (1; with --folder all)"
    )
    parser.add_argument(
        "--tries", type=_count, metavar="N", help="offers that are tried of each (5; with --folder all)"
    )
    parser.add_argument("--budget", type=_count, metavar="N", help="credits of SerpAPI that may be spent")
    parser.add_argument("--dry-run", action="store_true", help="print the plan; ask nobody, write nothing")
    parser.add_argument("--retry-failed", action="store_true", help="try again what was not to be had")
    parser.add_argument("--replace", action="store_true", help="in place of everything in data/")
    parser.add_argument(
        "--raw", type=Path, default=Path("raw"), metavar="DIR", help="what came, as it came (%(default)s)"
    )
    _add_cutting(parser)
    parser.set_defaults(call=_search)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def _add_cutting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--method",
        choices=("anime", "mtcnn", "center-top"),
        default="anime",
        help="what finds faces: animeface, MTCNN (human faces), or nothing (%(default)s)",
    )
    parser.add_argument(
        "--choice",
        choices=("largest", "central"),
        default="largest",
        help="which of several (%(default)s)",
    )
    parser.add_argument(
        "--margin", type=float, metavar="X", help="how much wider than the face; docs/crop.md"
    )
    parser.add_argument(
        "--fallback",
        choices=("center-top", "reject"),
        default="center-top",
        help="what becomes of a picture without a face (%(default)s)",
    )


def _search(options: argparse.Namespace) -> int:
    from collection.crop import CropParams, cut
    from collection.lists import alternating, read_lists, shipped_lists
    from collection.searching import Places, Wish, copied, downloaded, plan_text, report_text, search
    from extractors.devices import n_threads
    from featurestore.params import load_params

    params = load_params()
    places = Places(options.raw, Path(params.data.root))
    cutting = CropParams(options.method, options.choice, options.margin, fallback=options.fallback)
    max_pixels = params.data.max_pixels
    fetch = copied(places) if options.folder else downloaded(places, max_pixels=max_pixels)
    if options.urls is not None:
        from collection.providers.urls import Urls

        if options.lists:
            raise UsageError("--urls names its own characters: leave --list out")

        provider: Provider = (table := Urls(options.urls))
        characters = list(table.characters)
    else:
        characters = alternating(read_lists(options.lists or shipped_lists()))
        provider = _provider(options, places)
    if options.dry_run:
        print(plan_text(characters, provider, options.budget))
        return 0
    many = sys.maxsize if options.folder else 0
    wish = Wish(options.per_character or many or 1, options.tries or many or 5, options.replace)
    found, made = search(
        characters,
        provider,
        fetch,
        places,
        lambda image: cut(image, cutting),
        wish,
        cutting=cutting.text(),
        retry_failed=options.retry_failed,
        workers=n_threads(params.runtime.workers),
        max_pixels=max_pixels,
    )
    print(report_text(found, made, places.root, cutting))
    for name in getattr(provider, "strangers", lambda _: [])(characters):
        print(f"  {name}: nobody on the list is called so")
    print("next: python -m collection review, then: dvc repro")
    return MissingError.exit_code if found.refused else 0


def _provider(options: argparse.Namespace, places: Places) -> Provider:
    if options.folder is not None:
        from collection.providers.folder import Folder

        return Folder(options.folder.expanduser())
    from collection.providers.serpapi import SerpApi
    from collection.secret import Secret, read_secret

    if options.dry_run:
        key = Secret("no key is needed for a plan")
    else:
        key = read_secret("SERPAPI_KEY", os.environ, Path(".env"), where="https://serpapi.com")
    return SerpApi(key, places.raw / "answers" / "serpapi", budget=options.budget)


def _add_crop(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("crop", help="pictures of any size -> mugshots", description=_CROP)
    parser.add_argument("folder", type=Path, metavar="DIR", help="holds images/<label>/**")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    _add_cutting(parser)
    parser.set_defaults(call=_crop)


def _crop(options: argparse.Namespace) -> int:
    from collections import Counter

    from collection.crop import CropParams
    from collection.crop.files import bias_of_crops, crop_folder
    from featurestore.params import load_params

    cutting = CropParams(options.method, options.choice, options.margin, fallback=options.fallback)
    records = crop_folder(
        options.folder.expanduser(), options.out, params=cutting, max_pixels=load_params().data.max_pixels
    )
    counts = Counter(one.method or "left out" for one in records)
    print(f"{options.out}: " + ", ".join(f"{n} {name}" for name, n in counts.most_common()))
    bias = bias_of_crops(records, cutting)
    if bias is not None:
        print(bias.text())
    print(f"next: python -m collection import {options.out} --replace")
    return 0


def _add_review(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "review", help="accept, reject or relabel pictures on a local page", description=_REVIEW
    )
    parser.add_argument("--blind", action="store_true", help="hide labels and roles, mix the classes")
    parser.add_argument("--open", action="store_true", help="open the page in the default browser")
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write contact sheets and a table instead")
    parser.add_argument("--decide", type=Path, metavar="CSV", help="apply the decisions of such a table")
    parser.set_defaults(call=_review)


def _review(options: argparse.Namespace) -> int:
    from collection.curation.command import review
    from collection.curation.quality import Thresholds
    from featurestore.params import load_params

    params = load_params()
    for line in review(
        Path(params.data.root),
        blind=options.blind,
        sheets=options.sheets,
        decide=options.decide,
        thresholds=Thresholds(distance=params.data.near_duplicate_distance),
        group_from=params.data.group_from,
        max_pixels=params.data.max_pixels,
        workers=params.runtime.workers,
        open_browser=options.open,
    ):
        print(line, flush=True)
    return 0


def _card(options: argparse.Namespace) -> int:
    from collection.card import write_card
    from featurestore.params import load_params

    print(write_card(Path(load_params().data.root)))
    return 0


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "bring a folder of one's own into data/: DIR/<label>/** or DIR/images/<label>/**, DIR/metadata/*.csv"
    )
    parser = commands.add_parser("import", help="bring a folder of one's own into data/", description=text)
    parser.add_argument("folder", type=Path, metavar="DIR")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--replace", action="store_true", help="in place of what is in data/ now")
    what.add_argument("--add", action="store_true", help="beside what is in data/ now")
    what.add_argument(
        "--template",
        action="store_true",
        help="write DIR/metadata/characters.csv, a line per picture, to fill in; import nothing",
    )
    parser.add_argument(
        "--keep-demo", action="store_true", help="with --add: mix with the demo cast on purpose"
    )
    parser.add_argument(
        "--positive",
        metavar="LABEL",
        help="the class that precision and recall speak of; goes into params.yaml",
    )
    parser.set_defaults(call=_import)


def _import(options: argparse.Namespace) -> int:
    from collection.importing import check_positive, import_folder, set_positive, write_template
    from featurestore.params import load_params

    folder = options.folder.expanduser()  # not every shell does it behind DIR=
    if options.template:
        made_file = write_template(folder)
        print(f"{made_file}: fill in character and series, then import with --replace or --add")
        return 0
    params = load_params()
    root = Path(params.data.root)
    if options.replace or options.positive:
        positive = options.positive or params.evaluation.positive
        check_positive(folder, root, positive, replace=options.replace)
    made = import_folder(folder, root, replace=options.replace, keep_demo=options.keep_demo)
    counts = ", ".join(f"{n} {label}" for label, n in made.n_images.items())
    tables = f"; {', '.join(made.metadata)}" if made.metadata else "; no metadata"
    print(f"{root}: {counts} {'in place of what was there' if options.replace else 'added'}{tables}")
    if options.positive and options.positive != params.evaluation.positive:
        set_positive(Path("params.yaml"), options.positive)
        print(f"params.yaml: evaluation.positive is {options.positive!r} now")
    print("next: dvc repro")
    return 0


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from collection.demo.factors import FACTORS

    demo = commands.add_parser("demo", help="draw the demo cast", description=_DEMO)
    demo.add_argument("--seed", type=int, default=42, help="seed of the cast (%(default)s)")
    demo.add_argument(
        "--n", type=int, default=300, help="number of pictures, even, at least 20 (%(default)s)"
    )
    demo.add_argument("--out", type=Path, default=Path("data"), help="folder to write (%(default)s)")
    demo.add_argument(
        "--force", action="store_true", help="replace images/ and metadata/ in a folder that is not empty"
    )
    demo.add_argument(
        "--move",
        action="append",
        default=[],
        metavar="FACTOR=DELTA",
        help=f"move a factor of everybody by DELTA standard deviations (repeatable): {', '.join(FACTORS)}",
    )
    demo.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes; the bytes do not depend on it"
    )
    demo.add_argument(
        "--sheet", type=Path, metavar="FILE", help="write a contact sheet (.jpg or .png) and no data"
    )
    demo.add_argument(
        "--factors", type=Path, metavar="FILE", help="write a sheet of what each factor does, and no data"
    )
    demo.add_argument(
        "--figures", action="store_true", help="full figures, with the true face boxes (docs/demo-cast.md)"
    )
    demo.set_defaults(call=_demo)


def _demo(options: argparse.Namespace) -> int:
    from collection.demo.command import demo

    for line in demo(
        seed=options.seed,
        n=options.n,
        out=options.out,
        moves=options.move,
        sheet=options.sheet,
        factors=options.factors,
        workers=options.workers,
        force=options.force,
        figures=options.figures,
    ):
        print(line)
    return 0


def main(argv: list[str]) -> int:
    """Run one command; returns its exit code."""
    return dispatch(_parser(), argv)


if __name__ == "__main__":
    sys.exit(run(main))
