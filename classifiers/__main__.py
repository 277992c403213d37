"""``python -m classifiers``: train, evaluate, compare, final, show, compare-lock, ls."""

from __future__ import annotations

from featurestore.console import command_parser, dispatch, pin_threads, run

pin_threads()  # before anything imports numpy: sums in one order, the same bytes each time

import argparse  # noqa: E402
import functools  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Mapping  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from classifiers.tables import fusion_said, head_summaries, scores_table  # noqa: E402

if TYPE_CHECKING:
    from classifiers.data import Study
    from classifiers.head import Head
    from featurestore.params import Params

MODEL = Path("model")
RESULTS = Path("results")
LEARNED = Path("learned")
LOOKS = Path("logs/looks.csv")


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
    )


def _load() -> tuple[Any, dict[str, Any]]:
    from classifiers.artifact import load_model

    head, card = load_model(MODEL)
    return head, dict(card)


def _scored_by(params: Params) -> dict[str, int]:
    return {"draws": params.evaluation.bootstrap, "seed": params.seed}


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
    )
    save_model(MODEL, head, card)
    write_loss(getattr(head, "loss_curve_", ()), params.model, RESULTS / "plots")
    rows = f"{card['n_images']} images of train in {card['n_groups']} groups"
    print(f"{params.model} fitted on {rows} -> {MODEL}/")


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
        name=params.model,
        positive=positive,
        folds=params.evaluation.folds,
        results=RESULTS,
        learned=LEARNED,
        fusion=_fusion(params, study),
        **_scored_by(params),
    )
    _print_scores(document)


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
    print("\n" + "; ".join([*parts, *filter(None, [document.get("fusion")])]))
    for name, (block, how) in blocks.items():
        print(
            f"  {name}: " + (block.get("reason") or f"{block['n']} images {how}, in {block['groups']} groups")
        )
    print("\n" + scores_table({name: block for name, (block, _) in blocks.items()}))
    for note in dict.fromkeys(note for block, _ in blocks.values() for note in block.get("notes", ())):
        print(f"({note})")


def compare() -> None:
    """Score every head on the same grouped folds; write the leaderboard."""
    from classifiers.compare import compare as score
    from classifiers.registry import head_names

    params, study, positive = _open()
    board = score(
        study,
        {name: _maker(params, study, positive, name) for name in head_names()},
        positive=positive,
        folds=params.evaluation.folds,
        results=RESULTS,
        learned=LEARNED,
        fusion=_fusion(params, study),
        **_scored_by(params),
    )
    print(board.text())


def final() -> None:
    """Score the saved model on the locked test split, once; the look is counted in logs/looks.csv."""
    from classifiers.final import final as score

    params, study, positive = _open()
    model, card = _load()
    outcome = score(study, model, card, positive=positive, results=RESULTS, log=LOOKS, **_scored_by(params))
    block = outcome.document["test"]
    rows = f"{block['n']} images in {block['groups']} groups"
    print(f"{outcome.document['head']} on test: {rows}; {study.split_kind}\n")
    print(scores_table({"test": block}))
    for note in block["notes"]:
        print(f"({note})")
    times = "once" if outcome.n_looks == 1 else f"{outcome.n_looks} times"
    print(f"\nThe test split was looked at {times} from here ({LOOKS}).")


def show() -> None:
    """Print the tables of the last run again."""
    import json

    from featurestore.errors import MissingData

    for name in ("metrics.json", "leaderboard.md"):
        if not (RESULTS / name).exists():
            raise MissingData(f"no {RESULTS / name}; run: dvc repro")
    _print_scores(json.loads((RESULTS / "metrics.json").read_text(encoding="utf-8")))
    print("\n" + (RESULTS / "leaderboard.md").read_text(encoding="utf-8"))


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


_COMMANDS: tuple[Callable[[], int | None], ...] = (train, evaluate, compare, final, show, compare_lock, ls)


def main(argv: list[str]) -> int:
    """Parse the command line and call one command."""
    table = (
        (command.__name__.replace("_", "-"), _without_options(command), (command.__doc__ or "").strip())
        for command in _COMMANDS
    )
    parser, _ = command_parser("classifiers", "How rows become decisions.", table)
    return dispatch(parser, argv)


def _without_options(command: Callable[[], int | None]) -> Callable[[argparse.Namespace], int]:
    return lambda _: command() or 0


if __name__ == "__main__":
    sys.exit(run(main))
