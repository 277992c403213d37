"""``import``: a folder of one's own -> the data folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from collection.cli import Commands

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command."""
    text = (
        "bring a folder of one's own into data/: DIR/<label>/** or DIR/images/<label>/**, DIR/metadata/*.csv;"
        " or FILE.parquet with uri and label: a list of pictures that stay where they are (docs/cluster.md)"
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
    from collection.carryover import carried_text, held_text
    from collection.importing import check_positive, import_folder, set_positive, write_template
    from featurestore.params import load_params

    folder = options.folder.expanduser()  # not every shell does it behind DIR=
    if options.template:
        made_file = write_template(folder)
        print(f"{made_file}: fill in character and series, then import with --replace or --add")
        return 0
    params = load_params()
    root, positive = Path(params.data.root), options.positive or params.evaluation.positive
    if folder.suffix == ".parquet":
        from collection.manifests import import_manifest

        made = import_manifest(folder, root, positive=positive, replace=options.replace)
    else:
        if options.replace or options.positive:
            check_positive(folder, root, positive, replace=options.replace)
        made = import_folder(folder, root, replace=options.replace, keep_demo=options.keep_demo)
    counts = ", ".join(f"{n} {label}" for label, n in made.n_images.items())
    tables = f"; {', '.join(made.metadata)}" if made.metadata else "; no metadata"
    print(f"{root}: {counts} {'in place of what was there' if options.replace else 'added'}{tables}")
    for reason, n in made.left_out.most_common(12):
        print(f"  {n} not taken: {reason}")
    for line in filter(None, (held_text(made.held), carried_text(made.carried))):
        print(f"  {line}")
    if options.positive and options.positive != params.evaluation.positive:
        set_positive(Path("params.yaml"), options.positive)
        print(f"params.yaml: evaluation.positive is {options.positive!r} now")
    print("next: dvc repro")
    return 0
