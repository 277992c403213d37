"""The commands that say why, and of whom else: explain, findings, report, predict, response."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifiers.cli.opening import (
    DATASET,
    EDITS,
    MODEL,
    RESULTS,
    WEIGHTS,
    fits,
    fits_much,
    load_head,
    maker,
    open_study,
    rows_of,
    scoring_of,
    weight_folders,
)
from featurestore.console import say
from featurestore.errors import UsageError
from featurestore.files import write_bytes_atomic

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.data import Study
    from classifiers.embedding import Control
    from extractors.base import Extractor
    from featurestore.elsewhere import Place
    from featurestore.params import Params

__all__ = ["explain", "findings", "predict", "report", "response"]

#: Compares extractors in the findings, whatever head is chosen: linear, quick, and it takes any columns.
_REFEREE = "logreg"


def _design(params: Params, study: Study) -> pd.DataFrame:
    """Rows of ``design``: the study's own, else out of the row cache."""
    prefix = "design/"
    own = [name for name in study.features.columns if str(name).startswith(prefix)]
    if own:
        return study.features[own]
    rows, _ = rows_of(params, "design")
    return rows.add_prefix(prefix)


@fits_much
def explain() -> None:
    """Say which features the heads go by, beside chance, and how they answer to edited pixels."""
    import sklearn.manifold  # noqa: F401  (before a second thread begins: two cannot import it at once)

    from classifiers.explanation.atlas import map_of, map_parquet
    from classifiers.explanation.counterfactual import counterfactuals, heads_asked
    from classifiers.explanation.explain import explain as importances
    from classifiers.plots import write_pngs
    from classifiers.registry import head_names
    from extractors.edited import read_edits

    params, study, positive = open_study()
    how = scoring_of(params, positive)
    makers = {name: maker(params, study, positive, name) for name in head_names()}
    mapped = study.rows_of("train", "val")
    told = importances(
        study,
        makers,
        how,
        name=params.model,
        permutations=params.explanation.permutations,
        images=params.explanation.images,
        design=_design(params, study),
        results=RESULTS,
    )
    print(told.text())
    asked = {name: makers[name] for name in heads_asked(params.model)}
    with ThreadPoolExecutor(1) as beside:  # while the processes fit heads and draw
        mapping = beside.submit(
            map_of,
            study.features.set_axis(study.keys).iloc[mapped],
            study.groups[mapped],
            most=params.explanation.images,
            seed=params.seed,
        )
        answered = counterfactuals(study, asked, read_edits(EDITS), how, results=RESULTS)
        print("\n" + answered.text())
        folder = RESULTS / "explanation"
        write_pngs(folder, {**told.figures, **answered.figures}, workers=how.workers)
        write_bytes_atomic(folder / "map.parquet", map_parquet(mapping.result()))


def _controls(params: Params, faces: tuple[str, ...]) -> dict[str, Control]:
    """Rows of the networks that face networks stand against."""
    from classifiers.embedding import control_rows
    from classifiers.findings.transfer import controls_of
    from featurestore.cache import RowCache, cache_root
    from featurestore.dataset import image_places

    root = Path(params.data.root)
    return {
        name: control_rows(
            extractor,
            block,
            image_places(DATASET, root),
            RowCache(cache_root(os.environ.get("KYARA_CACHE"))),
            weights=weight_folders(),
            seed=params.seed,
            root=root,
            max_pixels=params.data.max_pixels,
            runtime=params.runtime,
        )
        for name, (extractor, block) in controls_of(faces, params.extractors).items()
    }


@fits
def findings() -> None:
    """Test the study's hypotheses on whole groups, and what else it claims."""
    from classifiers.annotations import read_annotations
    from classifiers.findings.findings import findings as test
    from classifiers.findings.transfer import faces_of
    from classifiers.report.evidence import DEMO_MARK

    params, study, positive = open_study()
    root = Path(params.data.root)
    notes = read_annotations(root, study.paths.tolist())
    faces = faces_of(study.blocks, params.extractors)
    print(
        test(
            study,
            _design(params, study),
            {_REFEREE: maker(params, study, positive, _REFEREE)},
            scoring_of(params, positive),
            roles=notes.roles,
            annotations=notes.numbers,
            controls=_controls(params, faces),
            draws=params.explanation.draws,
            margin=params.explanation.margin,
            results=RESULTS,
            faces=faces,
            drawn=(root / DEMO_MARK).is_file(),
        ).text()
    )


def _plain(params: Params) -> Mapping[str, Any]:
    """params.yaml as nested values, without what no result depends on."""
    values = dataclasses.asdict(params)
    for name in ("runtime", "searches"):
        values.pop(name)
    for head, search in params.searches.items():
        values["heads"][head]["search"] = dataclasses.asdict(search)
    return values


def report() -> None:
    """Write results/report.html, research_report.md and model_card.md out of all results."""
    from classifiers.annotations import read_annotations
    from classifiers.report.evidence import read_evidence
    from classifiers.report.html import write_report
    from classifiers.report.model_card import write_model_card
    from classifiers.report.prose import write_prose

    params, study, _ = open_study()
    root = Path(params.data.root)
    evidence = read_evidence(RESULTS, MODEL, DATASET, _plain(params), Path("dvc.lock"))
    roles = read_annotations(root, study.paths.tolist()).roles
    known = None if roles is None else dict(zip(study.keys.tolist(), roles.tolist(), strict=True))
    page = write_report(
        evidence,
        results=RESULTS,
        root=root,
        features=study.features.set_axis(study.keys),
        workers=params.runtime.workers,
    )
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB; open it in a browser, it needs no network")
    print(write_prose(evidence, results=RESULTS))
    print(write_model_card(evidence, results=RESULTS, roles=known))


def _extractors(params: Params, names: Sequence[str]) -> dict[str, Extractor]:
    """Built as the stages built them."""
    from classifiers.embedding import build_extractors

    return build_extractors(
        names,
        params.extractors,
        imported=params.imported,
        weights=WEIGHTS,
        folders=weight_folders(),
        device=params.runtime.device,
    )


def predict(options: argparse.Namespace) -> int:
    """Say what the saved model makes of new pictures, why, and which training images they are like."""
    from classifiers.data import check_model
    from classifiers.embedding import stored_fingerprints
    from classifiers.prediction.inbox import expanded
    from classifiers.prediction.predict import predict as ask

    paths = expanded(options.images, sys.stdin.buffer)
    params, study, _ = open_study()
    head, card = load_head()
    check_model(card, study)
    extractors = _extractors(params, study.blocks)
    replies = ask(
        paths,
        study,
        head,
        card,
        extractors,
        max_pixels=params.data.max_pixels,
        seed=params.seed,
        explain=options.explain,
        fingerprints=stored_fingerprints(RESULTS / "stores.json"),
    )
    for one in replies.unusable:
        say(one)
    said = replies.json() if options.json else replies.text()
    if said:
        print(said)
    return replies.exit_code


def response(options: argparse.Namespace) -> int:
    """Say how the heads answer to the same pictures redrawn, beside what was moved."""
    from classifiers.embedding import check_extractors, rows_with, stored_fingerprints
    from classifiers.explanation.response import MEASURING
    from classifiers.explanation.response import response as ask
    from classifiers.registry import head_names
    from featurestore.cache import RowCache, cache_root

    params, study, positive = open_study()
    extractors = _extractors(params, list(dict.fromkeys([*study.blocks, MEASURING])))
    check_extractors(
        {name: extractors[name] for name in study.blocks},
        list(study.features.columns),
        stored_fingerprints(RESULTS / "stores.json"),
    )
    cache = RowCache(cache_root(os.environ.get("KYARA_CACHE")))

    def rows(name: str, images: Mapping[str, Place], root: Path) -> pd.DataFrame:
        return rows_with(
            extractors[name],
            images,
            cache,
            root=root,
            max_pixels=params.data.max_pixels,
            runtime=params.runtime,
        )

    names = [params.model] if options.heads is None else options.heads.split(",")
    for name in names:
        if name not in head_names():
            raise UsageError(f"--heads: no {name!r}; any of: {', '.join(head_names())}")
    made = ask(
        study,
        {name: maker(params, study, positive, name) for name in names},
        options.folders,
        scoring_of(params, positive),
        root=Path(params.data.root),
        rows=rows,
    )
    print(made.csv() if options.csv else made.text())
    return 0
