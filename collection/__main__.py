"""``python -m collection``: how images come in.

Parses, calls and prints. The commands' own imports are inside them, so that ``--help`` stays light.
"""

from __future__ import annotations

from featurestore.console import dispatch, pin_threads, run

pin_threads()

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

_DEMO = """\
Draw the demo cast: heroes, villains and antiheroes that this command makes up and paints itself,
with the causes of their looks in metadata/characters.csv. See docs/demo-cast.md.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m collection", description="How images come in.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_import(commands)
    _add_demo(commands)
    return parser


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
    ):
        print(line)
    return 0


def main(argv: list[str]) -> int:
    """Run one command; returns its exit code."""
    return dispatch(_parser(), argv)


if __name__ == "__main__":
    sys.exit(run(main))
