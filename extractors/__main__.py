"""``python -m extractors prepare | run | ls | doctor``: parse, call, print."""

from featurestore import console

console.pin_threads()

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from featurestore import plugins  # noqa: E402

DATASET = Path("dataset.csv")
FEATURES = Path("features")
WEIGHTS = Path("weights")
ZOO = "extractors.zoo"


def _cache_root() -> Path:
    from featurestore.cache import default_cache_root

    given = os.environ.get("KYARA_CACHE")
    return Path(given).expanduser() if given else default_cache_root()


def _prepare(args: argparse.Namespace) -> int:
    from extractors.weights import write_manifest
    from featurestore.params import load_params

    load_params()
    plugins.load(ZOO, args.name, key="extractors")
    path = write_manifest(WEIGHTS / args.name, args.name, {})
    print(f"{args.name}: needs no weights ({path})")
    return 0


def _run(args: argparse.Namespace) -> int:
    from extractors.run import extract
    from extractors.weights import read_manifest
    from featurestore.cache import RowCache
    from featurestore.dataset import image_paths
    from featurestore.params import load_params

    p = load_params()
    module = plugins.load(ZOO, args.name, key="extractors")
    read_manifest(WEIGHTS / args.name, args.name)
    extractor = module.build(**p.extractors[args.name])
    root = Path(p.data.root)
    cache = RowCache(_cache_root())
    report = extract(
        extractor,
        image_paths(DATASET, root),
        cache,
        FEATURES / f"{args.name}.h5",
        root=root,
        max_pixels=p.data.max_pixels,
        runtime=p.runtime,
    )
    print(
        f"{args.name}: {report.extracted} rows extracted, {report.reused} reused"
        f" ({report.from_cache} from the row cache, {report.from_store} from the store);"
        f" {report.not_ok} not ok; cache: {cache.root}"
    )
    return 0


def _ls(_: argparse.Namespace) -> int:
    print(f"{'extractor':12} {'columns':>8}  {'needs':10} {'licence':14} summary")
    for name in plugins.listing(ZOO):
        card = plugins.load(ZOO, name, key="extractors").CARD
        needs = f"[{card.extra}]" if card.extra else "core"
        print(f"{name:12} {card.n_columns or '?':>8}  {needs:10} {card.licence:14} {card.summary}")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from extractors.doctor import examine

    given = os.environ.get("KYARA_WEIGHTS")
    weights = Path(given).expanduser() if given else _cache_root().parent / "weights"
    broken = False
    for name, state, text in examine(cache=_cache_root(), weights=weights, here=Path()):
        broken |= state == "NO"
        if state == "NO" or not args.quiet:
            print(f"{state:3} {name:16} {text}")
    return 4 if broken else 0


_COMMANDS = (
    ("prepare", _prepare, "pin an extractor's weights in weights/<name>/manifest.json"),
    ("run", _run, "bring features/<name>.h5 up to date"),
    ("ls", _ls, "the extractors there are"),
    ("doctor", _doctor, "what this machine has, and what is missing"),
)


def main(argv: list[str]) -> int:
    """Run one command."""
    parser, commands = console.command_parser("extractors", "kyara's extractors", _COMMANDS)
    for name in ("prepare", "run"):
        commands[name].add_argument("name", help=f"one of: {', '.join(plugins.listing(ZOO))}")
    commands["doctor"].add_argument("--quiet", action="store_true", help="only what is missing")
    return console.dispatch(parser, argv)


if __name__ == "__main__":
    sys.exit(console.run(main))
