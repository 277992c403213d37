"""``python -m extractors prepare | run | edit | ls | fetch | doctor``: parse, call, print."""

from featurestore import console

console.pin_threads()

import argparse  # noqa: E402
import functools  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from types import ModuleType  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from extractors.recipe import ZOO  # noqa: E402
from featurestore import plugins  # noqa: E402

if TYPE_CHECKING:
    from extractors.base import Extractor, Loaded
    from extractors.learning import Surroundings
    from extractors.recipe import Recipe
    from extractors.run import Report
    from extractors.sharding import Shard
    from extractors.weights import WeightsFile
    from featurestore.cache import RowCache
    from featurestore.params import Params

DATASET = Path("dataset.csv")
FEATURES = Path("features")
WEIGHTS = Path("weights")
EDITS = Path("edits.parquet")
STRIPS = Path("results/explanation/edits")


def _cache_root() -> Path:
    from featurestore.cache import cache_root

    return cache_root(os.environ.get("KYARA_CACHE"))


def _weight_folders() -> list[Path]:
    """Where published weights are searched; the first is where they are fetched to."""
    from featurestore.cache import cache_root

    given = os.environ.get("KYARA_WEIGHTS")
    return [*([Path(given).expanduser()] if given else []), cache_root(None).parent / "weights"]


def _load(name: str) -> ModuleType:
    return plugins.load(ZOO, name, key="extractors")


def _device(module: ModuleType, wanted: str) -> str:
    """Chosen only for extractors that compute with torch: asking costs its import."""
    if "torch" not in module.CARD.modules:
        return "cpu"
    from extractors.devices import pick_device

    return pick_device(wanted)


def _find(name: str, wanted: "WeightsFile") -> "Loaded":
    """A published file: where it lies, or fetched."""
    from extractors.download import fetch
    from extractors.weights import load, locate

    folders = _weight_folders()
    if locate(wanted, folders) is None and wanted.url:
        return fetch(wanted, folders[0], extractor=name)
    return load(wanted, folders, extractor=name)


def _surroundings(p: "Params", device: str) -> "Surroundings":
    from extractors.study import surroundings_of
    from featurestore.cache import RowCache

    def design() -> "Extractor":
        made: Extractor = _load("design").build(**p.extractors["design"])
        return made

    return surroundings_of(
        DATASET,
        Path(p.data.root),
        RowCache(_cache_root()),
        max_pixels=p.data.max_pixels,
        positive=p.evaluation.positive,
        seed=p.seed,
        device=device,
        runtime=p.runtime,
        design=design,
    )


def _prepare(args: argparse.Namespace) -> int:
    from extractors.prepare import check_modules, prepare
    from featurestore.params import load_params

    p = load_params()
    console.keep_memory()  # of pictures, where a network learns
    module = _load(args.name)
    check_modules(args.name, module)
    print(
        prepare(
            args.name,
            module,
            p.extractors[args.name],
            WEIGHTS / args.name,
            find=lambda wanted: _find(args.name, wanted),
            surroundings=lambda: _surroundings(p, _device(module, p.runtime.device)),
        )
    )
    return 0


def _recipe(p: "Params", name: str, device: str | None = None) -> "Recipe":
    """An extractor's params, and the weights that ``prepare`` found or made."""
    from extractors.prepare import check_modules, context_of
    from extractors.recipe import Recipe

    module, params = _load(name), p.extractors[name]
    check_modules(name, module)
    context = context_of(
        WEIGHTS / name,
        name,
        module,
        params,
        folders=_weight_folders(),
        device=device or _device(module, p.runtime.device),
    )
    return Recipe(name, params, context)


def _build(p: "Params", name: str) -> "Extractor":
    return _recipe(p, name).build()


def _run(args: argparse.Namespace) -> int:
    from extractors.run import compute_rows, extract
    from extractors.sharding import part_of
    from featurestore.cache import RowCache
    from featurestore.dataset import image_places
    from featurestore.params import load_params

    p = load_params()
    # where others compute, nothing is computed here: a device that is asked for need not be here
    recipe = _recipe(p, args.name, None if p.runtime.engine == "local" else "cpu")
    extractor = recipe.build()
    root, cache = Path(p.data.root), RowCache(_cache_root())
    images = image_places(DATASET, root)
    console.keep_memory()  # of pictures; what reading the table took is given back
    if args.shard is not None:
        _, report = compute_rows(
            extractor, part_of(images, args.shard), cache, root=root, max_pixels=p.data.max_pixels,
            runtime=p.runtime, recipe=recipe, tidy=False,
        )  # fmt: skip
    else:
        report = extract(
            extractor, images, cache, FEATURES / f"{args.name}.h5", root=root, max_pixels=p.data.max_pixels,
            runtime=p.runtime, recipe=recipe,
        )  # fmt: skip
    _tell(args.name if args.shard is None else f"{args.name}, shard {args.shard}", report, cache)
    return 0


def _tell(name: str, report: "Report", cache: "RowCache") -> None:
    from featurestore.text import readable_size

    others = f", {report.from_others} from other runs" if report.from_others else ""
    print(
        f"{name}: {report.extracted} rows extracted, {report.reused} reused"
        f" ({report.from_cache} from the row cache, {report.from_store} from the store{others});"
        f" {report.not_ok} not ok"
    )
    if report.extracted:
        speed = report.extracted / max(report.seconds, 1e-9)
        print(f"{name}: {speed:.1f} images/s on {report.device}, {report.batch_size} at a time")
        print(f"{name}: {report.spent}")
    size = readable_size(cache.n_bytes())
    print(f"{name}: row cache {cache.root}: {size}, hit rate {report.hit_rate:.0%}")


def _edit(_: argparse.Namespace) -> int:
    from extractors.editing import Source, edit
    from featurestore.cache import RowCache
    from featurestore.params import load_params

    p = load_params()
    console.keep_memory()  # of pictures
    done = edit(
        {name: functools.partial(_build, p, name) for name in p.features},
        lambda: _load("design").build(**p.extractors["design"]),
        Source(DATASET, Path(p.data.root), p.data.max_pixels, RowCache(_cache_root()), p.runtime),
        n_images=p.explanation.edited,
        imported=p.imported,
        fit=p.extractors["design"]["fit"],
        seed=p.seed,
        out=EDITS,
        strips=STRIPS,
    )
    print(done)
    return 0


def _fetch(args: argparse.Namespace) -> int:
    from extractors.prepare import check_modules, needed
    from extractors.weights import locate
    from featurestore.errors import MissingWeights
    from featurestore.params import load_params

    p = load_params()
    folders, code = _weight_folders(), 0
    for name in args.names:
        module = _load(name)
        check_modules(name, module)
        wanted = [file for file in needed(module, p.extractors[name]) if not file.package]
        if not wanted:
            print(f"{name}: needs no file from elsewhere")
        for file in wanted:
            there = locate(file, folders) is not None
            print(f"{name}: {file.name}, {file.size}, licence: {file.licence}", flush=True)
            try:
                found = _find(name, file)
            except MissingWeights as error:
                console.say(error)  # the others may be within reach
                code = error.exit_code
                continue
            print(f"{name}: {'there already' if there else 'fetched'}: {found.path}, sha256 {found.sha256}")
    return code


def _weights_state(module: ModuleType, params: dict[str, Any]) -> str:
    from extractors.prepare import makes, needed
    from extractors.weights import locate
    from featurestore.errors import ParamsError

    try:
        wanted = needed(module, params)
    except (ParamsError, ImportError):  # other params than the defaults may want its packages to answer
        return "see: doctor"
    lacking = [file for file in wanted if locate(file, _weight_folders()) is None]
    if lacking:
        return f"missing ({lacking[0].size})"
    if makes(module, params):
        return "made by prepare"
    return "present" if wanted else "none needed"


def _ls(_: argparse.Namespace) -> int:
    from extractors.prepare import missing_modules
    from featurestore.params import EXTRACTOR_CONTEXT, load_params
    from featurestore.schema import check_keywords

    blocks: dict[str, Any] = dict(load_params().extractors) if Path("params.yaml").exists() else {}
    print(f"{'extractor':10} {'columns':>7}  {'extra':16} {'weights':18} {'licence':38} summary")
    for name in plugins.listing(ZOO):
        module = _load(name)
        defaults = check_keywords(module.build, {}, f"extractors.{name}", given=EXTRACTOR_CONTEXT)
        card, params = module.CARD, blocks.get(name, defaults)
        extra = f"{card.extra or 'core'}{' (missing)' if missing_modules(module) else ''}"
        state = _weights_state(module, params)
        columns = card.n_columns or "?"
        print(f"{name:10} {columns:>7}  {extra:16} {state:18} {card.licence:38} {card.summary}")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from extractors.doctor import examine

    broken = False
    for name, state, text in examine(cache=_cache_root(), weights=_weight_folders()[0], here=Path()):
        broken |= state == "NO"
        if state == "NO" or not args.quiet:
            print(f"{state:3} {name:16} {text}")
    return 4 if broken else 0


_COMMANDS = (
    (
        "prepare",
        _prepare,
        "find, fetch or make an extractor's weights; pin them in weights/<name>/manifest.json",
    ),
    ("run", _run, "bring features/<name>.h5 up to date"),
    ("edit", _edit, "move one thing at a time in some pictures' pixels, and extract their rows again"),
    ("ls", _ls, "the extractors there are, and what they lack"),
    ("fetch", _fetch, "download the published weights of some extractors"),
    ("doctor", _doctor, "what this machine has, and what is missing"),
)


def _shard(text: str) -> "Shard":
    from extractors.sharding import Shard

    try:
        return Shard.parsed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(argv: list[str]) -> int:
    """Run one command."""
    parser, commands = console.command_parser("extractors", "kyara's extractors", _COMMANDS)
    names = f"one of: {', '.join(plugins.listing(ZOO))}"
    for name in ("prepare", "run"):
        commands[name].add_argument("name", help=names)
    commands["run"].add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="fill the row cache with part I (from 0) of N, and write no store; docs/cluster.md",
    )
    commands["fetch"].add_argument("names", nargs="+", metavar="name", help=names)
    commands["doctor"].add_argument("--quiet", action="store_true", help="only what is missing")
    return console.dispatch(parser, argv)


if __name__ == "__main__":
    sys.exit(console.run(main))
