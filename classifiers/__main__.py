"""``python -m classifiers``: train, evaluate, audit, compare, diff, looks, final, show, compare-lock, ls."""

from __future__ import annotations

from featurestore.console import command_parser, dispatch, pin_threads, run

pin_threads()  # before anything imports numpy: sums in one order, the same bytes each time

import argparse  # noqa: E402
import functools  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Mapping  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from classifiers.tables import decision_said, fusion_said, head_summaries, scores_table  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.data import Study
    from classifiers.head import Head
    from classifiers.scoring import Scoring
    from featurestore.params import Params

MODEL = Path("model")
RESULTS = Path("results")
LEARNED = Path("learned")
LOGS = Path("logs")
LOOKS = LOGS / "looks.csv"


def _open() -> tuple[Params, Study, int]:
    """params.yaml, the study and the position of the positive class."""
    from classifiers.data import check_positive, read_study
    from featurestore.params import load_params

    params = load_params()
    study = read_study(Path("features.h5"), Path("dataset.csv"), group_by=params.data.group)
    return params, study, check_positive(params.evaluation.positive, study.classes)


def _maker(params: Params, study: Study, positive: int, name: str) -> Callable[[], Head]:
    from classifiers.registry import make_head

    return functools.partial(
        make_head,
        name,
        params.heads[name],
        seed=params.seed,
        n_classes=len(study.classes),
        positive=positive,
        fusion=params.fusion,
        decision=params.decision,
        search=params.searches.get(name),
    )


def _load() -> tuple[Any, dict[str, Any]]:
    from classifiers.artifact import load_model

    head, card = load_model(MODEL)
    return head, dict(card)


def _scoring(params: Params, positive: int) -> Scoring:
    from classifiers.scoring import Scoring

    return Scoring(
        positive,
        params.cv.folds,
        params.cv.repeats,
        params.evaluation.bootstrap,
        params.seed,
        params.runtime.workers,
    )


def _searched(params: Params, name: str) -> list[str]:
    """Params that a head chooses for itself."""
    search = params.searches.get(name)
    return list(search.over) if search else []


def _fusion(params: Params, study: Study) -> str:
    return fusion_said(params.fusion, len(study.blocks))


def train() -> None:
    """Fit the head that ``model:`` names on the train split; write model/ and its loss curve."""
    params, study, positive = _open()
    from classifiers.artifact import save_model  # after what may be refused: skops takes seconds
    from classifiers.curves import write_loss
    from classifiers.train import fit_on_train, model_card

    head = fit_on_train(study, _maker(params, study, positive, params.model)())
    card = model_card(
        study,
        params.model,
        params.heads[params.model],
        seed=params.seed,
        positive=params.evaluation.positive,
        fusion=params.fusion,
        decision=params.decision,
        fitted=head,
    )
    save_model(MODEL, head, card)
    write_loss(getattr(head, "loss_curve_", ()), params.model, RESULTS / "plots")
    rows = f"{card['n_images']} images of train in {card['n_groups']} groups"
    chosen = getattr(head, "searched_", None)
    said = ""
    if chosen:
        values = ", ".join(f"{key}={value}" for key, value in chosen["params"].items())
        said = f"; it chose {values} of {chosen['tried']} candidates"
    print(f"{params.model} fitted on {rows} -> {MODEL}/{said}")


def evaluate() -> None:
    """Score the head: cv over grouped folds of train and val, and the saved model on val."""
    from classifiers.data import check_model
    from classifiers.evaluate import evaluate as score

    params, study, positive = _open()
    model, card = _load()
    check_model(card, study)
    document = score(
        study,
        model,
        _maker(params, study, positive, params.model),
        _scoring(params, positive),
        name=params.model,
        results=RESULTS,
        learned=LEARNED,
        fusion=_fusion(params, study),
        decision=decision_said(params.decision, _searched(params, params.model)),
    )
    _print_scores(document)
    _warn_of_test()


def _warn_of_test() -> None:
    """Say on stderr where results/test.json outlived its model."""
    from classifiers.final import stale_test
    from featurestore.documents import read_json

    card = MODEL / "card.json"
    said = stale_test(RESULTS, read_json(card)) if card.is_file() else ""
    if said:
        sys.stderr.write(f"{said}\n")


def _print_scores(document: Mapping[str, Any]) -> None:
    """The content of metrics.json for a terminal."""
    blocks = {
        "cv": (document["cv"], "of train and val, out of fold"),
        "val": (document["val"], "of val, fitted on train"),
    }
    for name, block in document.get("softmax", {}).items():
        blocks[f"{name} softmax"] = (block, "of val, the network's own decision without a head")
    for name, block in document.get("softmax_against_design_labels", {}).items():
        said = "of val, its own decision against the labels that the design conventions give"
        blocks[f"{name} softmax, design labels"] = (block, said)
    parts = (f"{document['head']}, positive class {document['positive']!r}", document["split"])
    print("\n" + "; ".join([*parts, *filter(None, [document.get("fusion"), document.get("decision")])]))
    for name, (block, how) in blocks.items():
        print(
            f"  {name}: " + (block.get("reason") or f"{block['n']} images {how}, in {block['groups']} groups")
        )
    print("\n" + scores_table({name: block for name, (block, _) in blocks.items()}))
    for note in dict.fromkeys(note for block, _ in blocks.values() for note in block.get("notes", ())):
        print(f"({note})")


def audit() -> None:
    """Ask what the chosen head's score is made of: split by split, identity meter, learning curve."""
    from classifiers.leakage import leakage
    from classifiers.learning_curve import learning_curve

    params, study, positive = _open()
    make = _maker(params, study, positive, params.model)
    how = _scoring(params, positive)
    permutations = params.evaluation.permutations
    print(leakage(study, make, how, name=params.model, permutations=permutations, results=RESULTS).text())
    print("\n" + learning_curve(study, make, how, name=params.model, results=RESULTS).text())


def _ring(params: Params) -> tuple[pd.DataFrame, str]:
    """Rows of the outer ring of every picture, and their fingerprint."""
    from classifiers.embedding import rows_by
    from featurestore.cache import RowCache, cache_root
    from featurestore.dataset import image_paths

    root = Path(params.data.root)
    return rows_by(
        "ring",
        params.extractors["ring"],
        image_paths(Path("dataset.csv"), root),
        RowCache(cache_root(os.environ.get("KYARA_CACHE"))),
        root=root,
        max_pixels=params.data.max_pixels,
        runtime=params.runtime,
    )


def compare() -> None:
    """Score every head, and what tells the classes apart without the character, on the same grouped folds."""
    from classifiers.compare import compare as score
    from classifiers.compare import too_large
    from classifiers.fitting import write_times
    from classifiers.registry import head_names
    from classifiers.shortcuts import gather, queries_of

    params, study, positive = _open()
    queries = queries_of(Path(params.data.root) / "metadata/sources.csv", study.keys.tolist())
    skipped = too_large(head_names(), len(study.rows_of("train", "val")))
    searched = [
        f"{name}: {', '.join(_searched(params, name))} searched in every fold" for name in params.searches
    ]
    ring, fingerprint = _ring(params)
    done = score(
        study,
        {name: _maker(params, study, positive, name) for name in head_names() if name not in skipped},
        gather(study, ring, queries, fingerprint=fingerprint),
        _scoring(params, positive),
        results=RESULTS,
        learned=LEARNED,
        fusion="; ".join(filter(None, (_fusion(params, study), decision_said(params.decision)))),
        notes=(*skipped.values(), *searched),
    )
    write_times(LOGS / "times.csv", done.answers)
    print(done.board.text())


def final() -> None:
    """Score the saved model on the locked test split, once; the look is counted in logs/looks.csv."""
    from classifiers.final import final as score
    from classifiers.looks import report

    params, study, positive = _open()
    model, card = _load()
    outcome = score(
        study,
        model,
        card,
        positive=positive,
        draws=params.evaluation.bootstrap,
        seed=params.seed,
        results=RESULTS,
        log=LOOKS,
    )
    block = outcome.document["test"]
    rows = f"{block['n']} images in {block['groups']} groups"
    print(f"{outcome.document['head']} on test: {rows}; {study.split_kind}\n")
    print(scores_table({"test": block}))
    for note in block["notes"]:
        print(f"({note})")
    print("\n" + report(Path(), LOOKS).text())


def looks() -> None:
    """Say how many experiments were tried, how often test was looked at, and what that many bring by luck."""
    from classifiers.looks import report

    print(report(Path(), LOOKS).text())


def show() -> None:
    """Print the tables of the last run again."""
    import json

    from featurestore.errors import MissingData

    for name in ("metrics.json", "leaderboard.md"):
        if not (RESULTS / name).exists():
            raise MissingData(f"no {RESULTS / name}; run: dvc repro")
    _print_scores(json.loads((RESULTS / "metrics.json").read_text(encoding="utf-8")))
    print("\n" + (RESULTS / "leaderboard.md").read_text(encoding="utf-8"))
    _warn_of_test()


def compare_lock() -> int:
    """Say how far this machine's results lie from the committed ones."""
    from classifiers.reproduction import compare_with_commit

    lines, agrees = compare_with_commit(Path())
    print("\n".join(lines))
    return 0 if agrees else 3


def ls() -> None:
    """List the heads."""
    summaries = head_summaries()
    width = max(map(len, summaries))
    for name, summary in summaries.items():
        print(f"{name:<{width}}  {summary}")


_COMMANDS: tuple[Callable[[], int | None], ...] = (
    train,
    evaluate,
    audit,
    compare,
    looks,
    final,
    show,
    compare_lock,
    ls,
)


def _diff(options: argparse.Namespace) -> int:
    """Say whether the chosen head of one revision is better than that of another, or nobody can tell."""
    from classifiers.difference import difference

    report = difference(Path(), options.before, options.after, common=options.common, on=options.on)
    print(report.text())
    return 0


def main(argv: list[str]) -> int:
    """Parse the command line and call one command."""
    table = [
        (command.__name__.replace("_", "-"), _without_options(command), (command.__doc__ or "").strip())
        for command in _COMMANDS
    ]
    table.insert(4, ("diff", _diff, (_diff.__doc__ or "").strip()))
    parser, parsers = command_parser("classifiers", "How rows become decisions.", table)
    diff = parsers["diff"]
    diff.add_argument("before", metavar="REV1", help="a git revision, a DVC experiment, or: workspace")
    diff.add_argument("after", metavar="REV2", nargs="?", help="likewise; left out: workspace")
    diff.add_argument("--common", action="store_true", help="compare the images that both have")
    diff.add_argument("--on", choices=("cv", "val"), help="left out: cv where both have it, else val")
    return dispatch(parser, argv)


def _without_options(command: Callable[[], int | None]) -> Callable[[argparse.Namespace], int]:
    return lambda _: command() or 0


if __name__ == "__main__":
    sys.exit(run(main))
