"""docs/quickstart.ipynb runs as it is, from a clean kernel, on a small study."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from conftest import ROOT, encoded, picture
from studies import study, write_house

from classifiers.comparison.compare import compare
from classifiers.data import read_study
from classifiers.evaluate import score_rows
from classifiers.predictions import cross_validate, cv_folds
from classifiers.registry import head_names, make_head
from classifiers.scoring import Scoring
from featurestore.params import Params, load_params

PAGE = ROOT / "docs" / "quickstart.ipynb"
SOURCE = PAGE.read_text(encoding="utf-8")
NOTEBOOK = json.loads(SOURCE)

#: In a process of its own: a kernel's sockets and warnings are no business of the tests'.
RUN = """
import sys

import nbformat
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
where = {"metadata": {"path": sys.argv[2]}}
NotebookClient(book, timeout=60, kernel_name="python3", resources=where).execute()
nbformat.write(book, sys.argv[3])
"""

IMPORTANCE = """\
level,name,group,method,head,mean,sd,rank,top_ten,null_mean,null_high,p,direction,members
column,toy/c1,toy,permutation,logreg,0.01,0.02,2,1.0,0.0,0.03,0.4,1,toy/c1
column,toy/c0,toy,permutation,logreg,0.2,0.02,1,1.0,0.0,0.03,0.02,1,toy/c0
column,toy/c0,toy,shap,logreg,0.9,0.02,1,1.0,0.0,0.3,0.02,1,toy/c0
"""

FINDINGS = """\
family,finding,cast,what,effect,low,high,p,p_holm,verdict,images,groups,sentence
hypotheses,shadow_density,all,sd,0.5,0.1,0.9,0.01,0.06,cannot tell,48,16,The data cannot tell.
"""


def head_of(params: Params, n_classes: int, positive: int) -> functools.partial[Any]:
    made = params.heads[params.model]
    return functools.partial(
        make_head, params.model, made, seed=params.seed, n_classes=n_classes, positive=positive
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository as `make repro` leaves it, as far as the notebook looks at it."""
    root = tmp_path_factory.mktemp("quickstart")
    made = study(n=60, n_groups=20)
    write_house(root, made)
    shutil.copy(ROOT / "params.yaml", root)
    for i, path in enumerate(made.paths):
        file = root / "data" / str(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(picture(i, (8, 8))))
    results = root / "results"
    (results / "explanation").mkdir(parents=True)
    heads = {"logreg": head_of(load_params(root / "params.yaml"), 2, 1)}
    compare(made, heads, [], Scoring(1, 3, 1, 50, 42), results=results, learned=root / "learned")
    (results / "explanation" / "importance.csv").write_text(IMPORTANCE)
    (results / "findings.csv").write_text(FINDINGS)
    (results / "report.html").write_text("<!doctype html>")
    (root / "docs").mkdir()
    shutil.copy(PAGE, root / "docs")
    return root


def run(house: Path, folder: str) -> dict[str, str]:
    """What each cell shows, by its id, the notebook being opened in a folder of the house."""
    out = house / f"run-{folder.replace('/', '')}.ipynb"
    private = {name: str(house / name.lower()) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(PAGE), str(house / folder), str(out)],
        env={
            **os.environ,
            **private,
            "JUPYTER_RUNTIME_DIR": str(house / "runtime"),
            "JUPYTER_PLATFORM_DIRS": "1",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = nbformat.read(out, as_version=4).cells
    return {
        cell["id"]: "\n".join(str(one.get("data", one).get("text/plain", "")) for one in cell["outputs"])
        for cell in cells
        if cell["cell_type"] == "code"
    }


def test_it_runs_in_docs_and_shows_what_the_library_computes(house: Path) -> None:
    shown = run(house, "docs")
    params = load_params(house / "params.yaml")
    seen = read_study(house / "features.h5", house / "dataset.csv", group_by="series")

    shape, coverage = ast.literal_eval(shown["store"])
    assert shape == seen.features.shape
    assert coverage == {"toy": 1.0}
    assert str(seen.paths[0]) in shown["picture"]
    assert f"{seen.features.iloc[0, 0]:.4f}"[:-1] in shown["row"]
    assert "size=8x8" in shown["show"]
    assert "('hero', 'villain'), 'split by series', (60, 4)" in shown["study"]
    assert ast.literal_eval(shown["head"]) == head_names()

    told = ast.literal_eval(shown["folds"])
    folds = cv_folds(seen, folds=params.cv.folds, repeats=1, seed=params.seed)
    said = cross_validate(seen, {"own": head_of(params, 2, 1)}, folds)["own"]
    scores = score_rows(seen, said, positive=1, draws=200, seed=params.seed)
    auc = scores.estimates["auc"]
    assert auc.low is not None
    np.testing.assert_allclose([told["AUC"], *told["interval"]], [auc.score, auc.low, auc.high], rtol=1e-9)
    assert (told["images"], told["groups"]) == (48, 16)
    assert told["groups on both sides of a fold"] == 0

    assert "logreg" in shown["board"]
    assert re.search(r"toy/c0.*\n.*toy/c1", shown["importance"]), "largest first"
    assert shown["importance"].count("toy/c0") == 1, "of one method"
    assert "cannot tell" in shown["findings"]
    assert ast.literal_eval(shown["report"])["results/report.html"] is True
    assert ast.literal_eval(shown["report"])["results/model_card.md"] is False


def test_it_finds_the_root_from_the_root(house: Path) -> None:
    code = "".join(next(cell["source"] for cell in NOTEBOOK["cells"] if cell["id"] == "root"))
    for folder in (house, house / "docs", house / "data" / "images"):
        said = subprocess.run(
            [sys.executable, "-c", f"{code}\nprint(root)"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert Path(said.strip()).samefile(house)
    outside = subprocess.run([sys.executable, "-c", code], cwd=house.parent, capture_output=True, text=True)
    assert "open this notebook inside the repository" in outside.stderr


def test_it_holds_no_outputs_and_nothing_of_a_machine() -> None:
    assert set(NOTEBOOK["metadata"]) == {"kernelspec", "language_info"}
    assert NOTEBOOK["metadata"]["language_info"] == {"name": "python"}
    for cell in NOTEBOOK["cells"]:
        assert cell["metadata"] == {}
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    assert not re.search(r"/(home|root|Users|tmp|work)\b", SOURCE)


def test_it_is_a_valid_notebook_whose_ids_are_words() -> None:
    nbformat.validate(nbformat.reads(SOURCE, as_version=4))
    ids = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-text)?", one) for one in ids), (
        "ids that a person can name do not change"
    )


def test_every_cell_of_code_is_short_and_has_a_word_before_it() -> None:
    cells = NOTEBOOK["cells"]
    kinds = "".join("c" if cell["cell_type"] == "code" else "m" for cell in cells)
    assert kinds.startswith("mm")
    assert "ccc" not in kinds
    assert all(len(cell["source"]) <= 15 for cell in cells if cell["cell_type"] == "code")


def test_its_links_lead_somewhere_and_its_files_are_those_of_the_pipeline() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", SOURCE)
    assert {"evaluation.md", "study-map.md"} <= set(links)
    for target in links:
        assert (PAGE.parent / target).exists(), target
    pipeline = (ROOT / "dvc.yaml").read_text()
    for file in set(re.findall(r"results/[\w/.]+\.\w+", SOURCE)):
        assert f"- {file}" in pipeline, file
