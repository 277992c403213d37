"""``python -m featurestore COMMAND``: the index, the stores and the row cache; parse, call, print."""

from featurestore import console

console.pin_threads()

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from featurestore import params as params_module  # noqa: E402

if TYPE_CHECKING:
    from featurestore.cache import RowCache
    from featurestore.store import FeatureStore

DATASET = Path("dataset.csv")
FEATURES = Path("features")
FUSED = Path("features.h5")
#: Below the data folder: what `import` makes is data, tracked and shared like pictures.
IMPORTED = Path("features")
LEARNED = Path("learned")
RESULTS = Path("results")
WEIGHTS = Path("weights")


def _check(_: argparse.Namespace) -> int:
    from featurestore.files import make_folder, write_text_atomic

    params_module.load_params()
    for folder in (
        FEATURES,
        WEIGHTS,
    ):  # where all rows are imported, no stage makes them, and fuse depends on them
        make_folder(folder)
    write_text_atomic(Path(".params-ok"), "params.yaml is valid\n")
    print("params.yaml: every key is known and in range")
    return 0


def _index(args: argparse.Namespace) -> int:
    from featurestore import index, scan
    from featurestore.known import Known, known_file

    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # its own keeps what a manifest took
    console.keep_memory(1 << 19)  # of pictures; columns of a large study are given back
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
    root = Path(p.data.root)
    kept = known_file(_cache().root, args.manifest or root)
    scanned = scan.scan(  # what is known is needed no longer: its memory is given back
        root, options, known=Known(kept, options, distrust=args.rehash), manifest=args.manifest
    )
    quarantine = scanned.quarantine
    scan.write_quarantine(quarantine, RESULTS / "quarantine.csv")
    scan.check_quarantine(quarantine, len(scanned.seen), p.data.quarantine_limit)
    console.give_memory_back()  # of pictures
    made = index.build_index(scanned, options)
    console.give_memory_back()  # what looking for near-duplicates took
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


def _cache() -> "RowCache":
    from featurestore.cache import RowCache, cache_root

    return RowCache(cache_root(os.environ.get("KYARA_CACHE")))


def _stores() -> list[Path]:
    """Every store of the working tree that can be made again."""
    return [*sorted(FEATURES.glob("*.h5")), *([FUSED] if FUSED.exists() else [])]


def _imported() -> Path:
    """Where the stores of other tools lie."""
    known = Path("params.yaml").exists()
    return Path(params_module.load_params().data.root if known else "data") / IMPORTED


def _all_stores() -> list[Path]:
    return [*_stores(), *sorted(_imported().glob("*.h5"))]


def _fuse(_: argparse.Namespace) -> int:
    from featurestore.dataset import image_places
    from featurestore.errors import MissingData
    from featurestore.fuse import fuse, gather_learned, write_stores
    from featurestore.revisions import STORES

    p = params_module.load_params()
    root = Path(p.data.root)
    stores = {name: FEATURES / f"{name}.h5" for name in p.features}
    for name in p.imported:
        stores[name] = root / IMPORTED / f"{name}.h5"
        if not stores[name].exists():
            raise MissingData(
                f"no {stores[name]}; import it again: python -m featurestore import {name} FILE"
                " (or bring back the data that had it: dvc exp apply EXPERIMENT, or a commit's data.dvc)"
            )
    fused = fuse(list(image_places(DATASET, root)), stores, FUSED)
    gather_learned(fused.learned, WEIGHTS, LEARNED)
    write_stores(fused, STORES)
    print(f"fuse: {fused.n_rows} rows x {fused.n_columns} columns from {', '.join(stores)}")
    return 0


def _ls(_: argparse.Namespace) -> int:
    from featurestore.errors import KyaraError
    from featurestore.listing import describe, describe_cache
    from featurestore.revisions import shortcuts_of_results, stores_of_results

    files, worst = _all_stores(), 0
    if files:
        print(f"{'store':28} {'rows':>8} {'columns':>8} {'not ok':>7}  fingerprint")
    else:
        print("no stores yet; run: dvc repro")
    for file in files:
        try:
            print(describe(file))
        except KyaraError as error:
            console.say(error)
            worst = error.exit_code
    print()
    for line in describe_cache(
        _cache(), {*stores_of_results(Path()).values(), *shortcuts_of_results(Path())}
    ):
        print(line)
    return worst


def _verify(args: argparse.Namespace) -> int:
    from featurestore.errors import DataError, MissingData
    from featurestore.revisions import stores_of_results
    from featurestore.text import readable_size
    from featurestore.verification import State, verify

    n_files, n_bytes, bad = 0, 0, []
    for verdict in verify(_cache(), _all_stores()):
        n_files, n_bytes = n_files + 1, n_bytes + verdict.n_bytes
        if args.verbose or verdict.state is State.OTHER_VERSION:
            print(f"{verdict.state.value:14} {verdict.path}")
        if verdict.state in (State.DAMAGED, State.UNREADABLE):
            console.say(verdict.said)
            bad.append(verdict)
    print(f"verify: {n_files} files, {readable_size(n_bytes)}, every byte read; {len(bad)} damaged")
    if bad:
        print("run: python -m featurestore repair, then: dvc repro")
    here = {file.stem for file in _all_stores()}
    lacking = [name for name in stores_of_results(Path()) if name not in here]
    for name in lacking:
        print(f"missing: {FEATURES / name}.h5, which {RESULTS / 'stores.json'} names; run: dvc repro")
    return DataError.exit_code if bad else MissingData.exit_code if lacking else 0


def _repair(_: argparse.Namespace) -> int:
    from featurestore.errors import DataError
    from featurestore.verification import State, repair, verify_stores

    done = repair(_cache(), _stores())
    for path in done.aside:
        print(f"set aside: {path}")
    for verdict in done.stuck:
        console.say(f"{verdict.said}; left where it is")
    if done.n_restored:
        print(f"repair: {done.n_restored} rows taken back into the row cache from a sound store")
    print(f"repair: {len(done.aside)} set aside" + ("; run: dvc repro" if done.aside else ""))
    imported = [v for v in verify_stores(sorted(_imported().glob("*.h5"))) if v.state is not State.SOUND]
    for verdict in imported:
        console.say(
            f"{verdict.said}; nobody can compute it again: before any dvc repro, delete it and run:"
            f" dvc checkout data.dvc (or: python -m featurestore import {verdict.path.stem} FILE)"
        )
    return DataError.exit_code if done.stuck or imported else 0


def _compact(_: argparse.Namespace) -> int:
    from featurestore.compaction import compact

    cache = _cache()
    for folder in cache.folders():
        done = compact(cache, folder)
        if done.before != done.after:
            print(f"{folder.parent.name} {folder.name[:16]}: {done.before} segments -> {done.after}")
    return 0


def _gc(args: argparse.Namespace) -> int:
    import time

    from featurestore import revisions
    from featurestore.errors import UsageError
    from featurestore.garbage import find_garbage, find_leftovers, remove_garbage
    from featurestore.listing import fingerprints_of
    from featurestore.text import readable_size

    by_name = bool(args.keep or args.keep_all)
    if not by_name and args.older_than is None:
        raise UsageError("gc: say what goes: --older-than DAYS, --keep REVISION ..., or --keep-all")
    named = None
    if by_name:
        named = fingerprints_of(_all_stores()) | set(revisions.stores_of_results(Path()).values())
        named |= revisions.shortcuts_of_results(Path())
        named = named.union(*(revisions.listed_stores(Path(), rev) for rev in args.keep))
        named |= revisions.all_listed_stores(Path()) if args.keep_all else set()
    days = 1.0 if args.older_than is None else args.older_than
    if not days >= 0:
        raise UsageError(f"gc: --older-than {days}: a number of days, 0 or more")
    now = time.time()
    found = list(find_garbage(_cache(), named=named, older_than_s=days * 86_400, now=now))
    n_young = len(list(find_garbage(_cache(), named=named, older_than_s=0, now=now))) - len(found)
    found += find_leftovers([Path(), FEATURES, _imported(), RESULTS, *WEIGHTS.glob("*")], now=now)
    for one in found:
        print(f"{one.why:10} {readable_size(one.n_bytes):>10}  {one.path}")
    if not args.dry_run:
        remove_garbage(found)
    said = "would be deleted (--dry-run)" if args.dry_run else "deleted"
    print(f"gc: {len(found)} files, {readable_size(sum(one.n_bytes for one in found))}, {said}")
    if n_young:
        print(f"gc: {n_young} more were used within {days:g} days and stay; --older-than 0 takes them too")
    return 0


def _diff(args: argparse.Namespace) -> int:
    import tempfile

    from featurestore.comparison import compare, describe
    from featurestore.errors import StoreVersionError
    from featurestore.listing import naming
    from featurestore.revisions import pairs_to_compare
    from featurestore.store import FeatureStore

    name_of, n = naming(DATASET), 0
    with tempfile.TemporaryDirectory() as folder:
        places = (FEATURES, _imported())
        for title, before, after in pairs_to_compare(args.before, args.after, places, Path(folder)):
            n += 1
            print(title)
            if before is None or after is None:
                print(f"  only in {'the second' if before is None else 'the first'}")
                continue
            try:
                with FeatureStore(before, check=True) as a, FeatureStore(after, check=True) as b:
                    found = compare(a, b)
            except StoreVersionError:
                print("  cannot be compared: one of them was written by another version of kyara")
                continue
            for line in describe(found, name_of, most=args.rows) if found else ["  the same"]:
                print(line)
    if not n:
        print("no stores in either; run: dvc repro")
    return 0


def _open_by_name(what: str) -> "FeatureStore":
    """A store by its path, or by the name of its extractor."""
    from featurestore.store import FeatureStore

    return FeatureStore(Path(what) if what.endswith(".h5") else FEATURES / f"{what}.h5", check=True)


def _export(args: argparse.Namespace) -> int:
    from featurestore.dataset import read_dataset
    from featurestore.errors import MissingData
    from featurestore.exchange import export_store

    with _open_by_name(args.store) as store:
        target = args.out or Path(f"{Path(args.store).stem}.{args.to}")
        if not target.parent.is_dir():
            raise MissingData(f"{target}: no folder {target.parent}; make it first")
        for file in export_store(store, read_dataset(DATASET), target, to=args.to):
            print(f"{file}: {len(store)} rows" if file == target else str(file))
    return 0


def _import(args: argparse.Namespace) -> int:
    from featurestore.dataset import read_dataset
    from featurestore.errors import DataError
    from featurestore.exchange import import_rows, read_foreign
    from featurestore.rows import unpack_keys
    from featurestore.store import FeatureStore

    p = params_module.load_params()
    params_module.check_foreign_name(args.name)
    table = read_dataset(DATASET)
    target = Path(p.data.root) / IMPORTED / f"{args.name}.h5"
    rows = read_foreign(args.source, args.keys, args.columns)
    replaced = target.exists()
    try:
        import_rows(args.name, rows, dict(zip(table["path"], table["key"], strict=True)), target)
    except DataError as error:
        raise DataError(f"{args.source}, {error}; nothing was imported") from None
    with FeatureStore(target) as store:
        lacking = set(table["key"]) - set(unpack_keys(store.keys))
        n_absent = round((1 - store.coverage[args.name]) * len(store))
        absent = f"; {n_absent} of them NaN: not given" if n_absent else ""
        was = " (in the place of the one that was there)" if replaced else ""
        print(f"{target}: {len(store)} rows x {len(store.columns)} columns{absent}{was}")
    if lacking:
        print(
            f"{len(lacking)} of {len(table)} images of {DATASET} have no row in it: it cannot be used before"
            " they have; import it again with rows for them, or NaN"
        )
        return 0
    print(
        f"use it: dvc exp run -S 'imported=[{args.name}]'   (or imported: [{args.name}] in params.yaml);"
        " commit data.dvc to keep it"
    )
    return 0


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
    ("ls", _ls, "the stores, and the row cache with its sizes"),
    ("show", _show, "one image's features, or one store's spec"),
    ("verify", _verify, "read every byte of every store and segment; name what is damaged"),
    ("repair", _repair, "set the damaged aside, so that dvc repro computes those rows again"),
    ("diff", _diff, "rows and spec that differ between two stores, or two git revisions"),
    ("export", _export, "a store as npy or parquet, with key, path, label, group and split"),
    ("import", _import, "rows of another tool as a store that params.yaml can name"),
    ("compact", _compact, "merge the small segments of the row cache"),
    ("gc", _gc, "delete rows from the cache that are old, or that no revision names"),
)


def _add_options(commands: dict[str, argparse.ArgumentParser]) -> None:
    index = commands["index"]
    index.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE.parquet",
        help="pictures that stay where they are (docs/cluster.md)",
    )
    index.add_argument(
        "--rehash", action="store_true", help="read every picture anew, however little its file changed"
    )
    commands["show"].add_argument(
        "what", help="a key (or its first digits), an image's path, or a store's path"
    )
    commands["verify"].add_argument("--verbose", action="store_true", help="name every file")
    diff = commands["diff"]
    diff.add_argument("before", help="a store's path, or a revision or experiment")
    diff.add_argument("after", nargs="?", help="likewise; without it, the working tree")
    diff.add_argument("--rows", type=int, default=10, metavar="N", help="rows to list, at most (default 10)")
    export = commands["export"]
    export.add_argument("store", help="an extractor's name, or a store's path")
    export.add_argument("--to", choices=("npy", "parquet"), required=True)
    export.add_argument("--out", type=Path, metavar="FILE", help="default: the store's name, here")
    imported = commands["import"]
    imported.add_argument("name", help="what to call it: a-z, 0-9 and _")
    imported.add_argument("source", type=Path, help="an array (n, d) as .npy, or a .parquet table")
    imported.add_argument("--keys", type=Path, metavar="FILE.csv", help="with .npy: a column key or path")
    imported.add_argument("--columns", type=Path, metavar="FILE.csv", help="with .npy: a column `column`")
    gc = commands["gc"]
    gc.add_argument(
        "--older-than", type=float, metavar="DAYS",
        help="delete what was not used for so long (with --keep: default 1)",
    )  # fmt: skip
    gc.add_argument("--keep", nargs="+", default=[], metavar="REV", help="keep what these revisions name")
    gc.add_argument("--keep-all", action="store_true", help="keep what any branch, tag or experiment names")
    gc.add_argument("--dry-run", action="store_true", help="say it, and delete nothing")


def main(argv: list[str]) -> int:
    """Run one command."""
    parser, commands = console.command_parser("featurestore", "kyara's feature store", _COMMANDS)
    _add_options(commands)
    return console.dispatch(parser, argv)


if __name__ == "__main__":
    sys.exit(console.run(main))
