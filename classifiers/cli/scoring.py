"""The commands that fit and score: train, evaluate, audit, compare, final."""

from __future__ import annotations

from pathlib import Path

from classifiers.cli.opening import (
    LEARNED,
    LOGS,
    LOOKS,
    MODEL,
    RESULTS,
    fits,
    fits_much,
    fusion_of,
    load_head,
    maker,
    open_study,
    rows_of,
    scoring_of,
    searched,
)
from classifiers.cli.telling import print_scores, warn_of_test
from classifiers.tables import decision_said, scores_table

__all__ = ["audit", "compare", "evaluate", "final", "train"]


def train() -> None:
    """Fit the head that ``model:`` names on the train split; write model/ and its loss curve."""
    params, study, positive = open_study()
    from classifiers.curves import write_loss
    from classifiers.persistence.artifact import save_model  # after what may be refused: skops takes seconds
    from classifiers.train import fit_on_train, model_card

    head = fit_on_train(study, maker(params, study, positive, params.model)())
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


@fits
def evaluate() -> None:
    """Score the head: cv over grouped folds of train and val, and the saved model on val."""
    from classifiers.data import check_model
    from classifiers.evaluate import evaluate as score

    params, study, positive = open_study()
    model, card = load_head()
    check_model(card, study)
    document = score(
        study,
        model,
        maker(params, study, positive, params.model),
        scoring_of(params, positive),
        name=params.model,
        results=RESULTS,
        learned=LEARNED,
        fusion=fusion_of(params, study),
        decision=decision_said(params.decision, searched(params, params.model)),
    )
    print_scores(document)
    warn_of_test()


@fits_much
def audit() -> None:
    """Ask what the chosen head's score is made of: split by split, identity meter, learning curve."""
    from classifiers.leakage.leakage import leakage
    from classifiers.leakage.learning_curve import learning_curve

    params, study, positive = open_study()
    make = maker(params, study, positive, params.model)
    how = scoring_of(params, positive)
    permutations = params.evaluation.permutations
    print(leakage(study, make, how, name=params.model, permutations=permutations, results=RESULTS).text())
    print("\n" + learning_curve(study, make, how, name=params.model, results=RESULTS).text())


@fits_much
def compare() -> None:
    """Score every head, and what tells the classes apart without the character, on the same grouped folds."""
    from classifiers.comparison.compare import compare as score
    from classifiers.comparison.compare import too_large
    from classifiers.comparison.shortcuts import gather, queries_of
    from classifiers.fitting import write_times
    from classifiers.registry import head_names

    params, study, positive = open_study()
    queries = queries_of(Path(params.data.root) / "metadata/sources.csv", study.keys.tolist())
    skipped = too_large(head_names(), len(study.rows_of("train", "val")))
    chosen = [
        f"{name}: {', '.join(searched(params, name))} searched in every fold" for name in params.searches
    ]
    ring, fingerprint = rows_of(params, "ring")
    done = score(
        study,
        {name: maker(params, study, positive, name) for name in head_names() if name not in skipped},
        gather(study, ring, queries, fingerprint=fingerprint),
        scoring_of(params, positive),
        results=RESULTS,
        learned=LEARNED,
        fusion="; ".join(filter(None, (fusion_of(params, study), decision_said(params.decision)))),
        notes=(*skipped.values(), *chosen),
    )
    write_times(LOGS / "times.csv", done.answers)
    print(done.board.text())


def final() -> None:
    """Score the saved model on the locked test split, once; the look is counted in logs/looks.csv."""
    from classifiers.final import final as score
    from classifiers.looks import report

    params, study, positive = open_study()
    model, card = load_head()
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
