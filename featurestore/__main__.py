"""``python -m featurestore check | index | fuse | ls | show``: parse, call, print."""

from featurestore import console

console.pin_threads()

import argparse  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from featurestore import params as params_module  # noqa: E402

DATASET = Path("dataset.csv")
FEATURES = Path("features")
FUSED = Path("features.h5")
LEARNED = Path("learned")
RESULTS = Path("results")
WEIGHTS = Path("weights")


def _check(_: argparse.Namespace) -> int:
    from featurestore.files import write_text_atomic

    params_module.load_params()
    write_text_atomic(Path(".params-ok"), "params.yaml is valid\n")
    print("params.yaml: every key is known and in range")
    return 0


def _index(_: argparse.Namespace) -> int:
    from featurestore import index, scan

    p = params_module.load_params()
    options = scan.IndexOptions(
        group=p.data.group,
        group_from=p.data.group_from,
        near_duplicate_distance=p.data.near_duplicate_distance,
        max_pixels=p.data.max_pixels,
        shares={"train": p.split.train, "val": p.split.val, "test": p.split.test},
        method=p.split.method,
        seed=p.seed,
        workers=p.runtime.workers,
    )
    scanned = scan.scan(Path(p.data.root), options)
    quarantine = scanned.quarantine
    scan.write_quarantine(quarantine, RESULTS / "quarantine.csv")
    scan.check_quarantine(quarantine, len(scanned.files), p.data.quarantine_limit)
    made = index.build_index(scanned, options)
    index.write_index(made, dataset=DATASET, summary=RESULTS / "data.json")
    s = made.summary
    labels = ", ".join(f"{one['images']} {one['label']}" for one in s["labels"])
    print(f"index: {s['images']} images ({labels}) in {s['groups']} groups; {s['split_kind']}")
    n_duplicates = s["files"][0]["exact_duplicates_left_out"]
    if s["quarantined"] or n_duplicates:
        print(
            f"index: {s['quarantined']} files in results/quarantine.csv,"
            f" {n_duplicates} exact duplicates left out"
        )
    return 0


def _fuse(_: argparse.Namespace) -> int:
    from featurestore.dataset import image_paths
    from featurestore.fuse import fuse, gather_learned

    p = params_module.load_params()
    keys = list(image_paths(DATASET, Path(p.data.root)))
    n_rows, n_columns, learned = fuse(keys, p.features, FEATURES, FUSED)
    gather_learned(learned, WEIGHTS, LEARNED)
    print(f"fuse: {n_rows} rows x {n_columns} columns from {', '.join(p.features)}")
    return 0


def _ls(_: argparse.Namespace) -> int:
    from featurestore.errors import KyaraError
    from featurestore.listing import describe

    files = [*sorted(FEATURES.glob("*.h5")), *([FUSED] if FUSED.exists() else [])]
    if not files:
        print("no stores yet; run: dvc repro")
        return 0
    print(f"{'store':28} {'rows':>8} {'columns':>8} {'not ok':>7}  fingerprint")
    worst = 0
    for file in files:
        try:
            print(describe(file))
        except KyaraError as error:
            sys.stderr.write(f"kyara: error: {error}\n")
            worst = error.exit_code
    return worst


def _show(args: argparse.Namespace) -> int:
    from featurestore.listing import show

    p = params_module.load_params()
    for line in show(args.what, FEATURES, DATASET, Path(p.data.root)):
        print(line)
    return 0


_COMMANDS = (
    ("check", _check, "validate params.yaml"),
    ("index", _index, "data/ -> dataset.csv, results/data.json, results/quarantine.csv"),
    ("fuse", _fuse, "join the selected stores into features.h5"),
    ("ls", _ls, "the stores, their rows, columns and fingerprints"),
    ("show", _show, "one image's features, or one store's spec"),
)


def main(argv: list[str]) -> int:
    """Run one command."""
    parser, commands = console.command_parser("featurestore", "kyara's feature store", _COMMANDS)
    commands["show"].add_argument(
        "what", help="a key (or its first digits), an image's path, or a store's path"
    )
    return console.dispatch(parser, argv)


if __name__ == "__main__":
    sys.exit(console.run(main))
