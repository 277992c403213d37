"""Networks against controls, and design against networks: the same head, folds and draws on both sides."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import encoded, picture
from studies import change, study

from classifiers.data import Study
from classifiers.embedding import Control, control_rows
from classifiers.evaluate import score_rows
from classifiers.findings.findings import findings
from classifiers.findings.findings_report import Finding, Findings
from classifiers.findings.transfer import FACES, IMAGENET, UNTRAINED, Arena, controls_of, faces_of, only
from classifiers.fitting import Classifier
from classifiers.predictions import cross_validate, cv_folds
from classifiers.registry import make_head
from classifiers.scoring import Scoring
from extractors.zoo import resnet18, vggface2
from featurestore.cache import RowCache
from featurestore.errors import KyaraError
from featurestore.params import EXTRACTOR_CONTEXT, RuntimeParams
from featurestore.schema import check_keywords
from featurestore.spec import Status

HOW = Scoring(positive=1, folds=3, repeats=2, draws=300, seed=42)
LOGREG = partial(make_head, "logreg", {}, seed=0, n_classes=2, positive=1)


def rows(s: Study, effect: float, width: int = 4, seed: int = 0) -> pd.DataFrame:
    """Columns that follow the role by ``effect``, as an extractor would give them."""
    values = np.random.default_rng(seed).normal(size=(len(s.keys), width))
    values[:, 0] += effect * (s.labels == "villain")
    return pd.DataFrame(values, columns=[f"e{i}" for i in range(width)])


def houses(n: int = 240, n_groups: int = 60, fitted: tuple[str, ...] = (), **effects: float) -> Study:
    """A study of several extractors, each of which follows the role by its own effect."""
    s = study(n=n, n_groups=n_groups)
    parts = [rows(s, e, seed=i).add_prefix(f"{name}/") for i, (name, e) in enumerate(effects.items())]
    return change(
        s,
        features=pd.concat(parts, axis=1),
        blocks=tuple(effects),
        status=np.zeros((n, len(effects)), dtype=np.uint8),
        fitted_on=dict.fromkeys(fitted, "f" * 64),
    )


def run(s: Study, results: Path, **options: Any) -> Findings:
    given: dict[str, Any] = {"controls": {}, "margin": 0.05, **options}
    return findings(
        s, None, {"logreg": LOGREG}, HOW, roles=None, annotations=None, draws=99, results=results, **given
    )


def study_rows(report: Findings) -> dict[str, Finding]:
    return {one.finding: one for one in report.rows if one.family == "study"}


# ---------------------------------------------------------------- which stand against which


def test_without_a_face_network_the_claim_says_how_to_test_it(tmp_path: Path) -> None:
    found = study_rows(run(houses(design=1.0), tmp_path))
    assert found["face training"].verdict == "not testable"
    assert "dvc exp run -S 'features=[design,dlib]'" in found["face training"].sentence
    assert found["handcrafted"].verdict == "not testable"
    assert "there is no learned representation" in found["handcrafted"].sentence


def test_a_face_network_is_held_against_every_control_that_there_is(tmp_path: Path) -> None:
    s = houses(design=1.0, dlib=2.0)
    controls = {UNTRAINED: Control(rows(s, 0.2, seed=9)), IMAGENET: Control(None, "no file; run: fetch")}
    found = study_rows(run(s, tmp_path, controls=controls))
    better = found[f"face training: dlib against {UNTRAINED}"]
    assert better.verdict == "supported"
    assert better.low is not None
    assert better.low > 0
    assert f"A head on dlib ranks better than one on {UNTRAINED}" in better.sentence
    lacking = found[f"face training: dlib against {IMAGENET}"]
    assert (lacking.verdict, lacking.effect) == ("not testable", None)
    assert "no file; run: fetch" in lacking.sentence


def test_a_face_network_that_an_untrained_one_beats_is_said_to_be_worse(tmp_path: Path) -> None:
    s = houses(design=1.0, arcface=0.0)
    found = study_rows(run(s, tmp_path, controls={UNTRAINED: Control(rows(s, 2.0, seed=9))}))
    assert found[f"face training: arcface against {UNTRAINED}"].verdict == "opposite"


def test_a_face_network_like_its_control_cannot_be_told_from_it(tmp_path: Path) -> None:
    s = houses(design=1.0, dlib=1.0)
    found = study_rows(run(s, tmp_path, controls={UNTRAINED: Control(rows(s, 1.0, seed=9))}))
    one = found[f"face training: dlib against {UNTRAINED}"]
    assert one.verdict == "cannot tell"
    assert one.p is not None
    assert one.low is not None
    assert one.high is not None
    assert one.low < 0 < one.high


def test_a_network_of_random_numbers_or_that_was_tuned_is_no_face_network() -> None:
    blocks = ("design", *FACES)
    assert faces_of(blocks, {}) == FACES
    assert faces_of(blocks, {"vggface2": {"weights": "none", "finetune": False}}) == ("arcface", "dlib")
    assert faces_of(blocks, {"vggface2": {"weights": "vggface2", "finetune": True}}) == ("arcface", "dlib")
    assert faces_of(("design",), {}) == ()


def test_controls_see_what_the_face_network_sees_and_learn_nothing() -> None:
    params = {
        "dlib": {"align": "anime", "fit": "pad", "file": None},
        "vggface2": defaults(vggface2, finetune=True, file="mine.pt", sha256="a" * 64),
        "resnet18": defaults(resnet18, design_labels=True),
    }
    assert controls_of((), params) == {}
    made = controls_of(("dlib",), params)
    assert list(made) == [UNTRAINED, IMAGENET]
    name, network = made[UNTRAINED]
    assert (name, network["weights"], network["align"], network["fit"]) == (
        "vggface2",
        "none",
        "anime",
        "pad",
    )
    name, other = made[IMAGENET]
    assert (name, other["weights"], other["fit"]) == ("resnet18", "imagenet", "pad")
    for one in (network, other):
        assert (one["finetune"], one["design_labels"], one["file"], one["sha256"]) == (
            False,
            False,
            None,
            None,
        )
    assert set(network) == set(defaults(vggface2))
    assert set(other) == set(defaults(resnet18))


def defaults(module: Any, **changed: Any) -> dict[str, Any]:
    return {**check_keywords(module.build, {}, "extractors", given=EXTRACTOR_CONTEXT), **changed}


# ---------------------------------------------------------------- no worse, worse, cannot tell


@pytest.mark.parametrize(
    ("design", "other", "margin", "verdict"),
    [
        (1.5, 1.5, 0.2, "supported"),
        (2.5, 0.3, 0.0, "supported"),  # better is not worse
        (0.0, 2.5, 0.05, "opposite"),
        (1.0, 1.0, 0.0, "cannot tell"),
    ],
)
def test_design_is_no_worse_if_the_whole_interval_is_above_the_margin(
    tmp_path: Path, design: float, other: float, margin: float, verdict: str
) -> None:
    found = study_rows(run(houses(design=design, clip=other), tmp_path, margin=margin))
    one = found["handcrafted: design against clip"]
    assert one.verdict == verdict
    assert one.low is not None
    assert one.high is not None
    assert (one.low > -margin) == (verdict == "supported")
    assert (one.high < -margin) == (verdict == "opposite")
    assert (one.p, one.p_holm) == (None, None)  # the interval decides, against a margin of before
    assert f"{margin:g} of AUC" in one.sentence


def test_no_worse_than_one_that_knows_nothing_says_nothing(tmp_path: Path) -> None:
    found = study_rows(run(houses(design=0.0, clip=0.0), tmp_path, margin=0.4))[
        "handcrafted: design against clip"
    ]
    assert found.verdict == "not testable"
    assert "neither ranks better than chance" in found.sentence


def test_an_extractor_that_learned_is_met_on_val(tmp_path: Path) -> None:
    s = houses(design=1.0, resnet18=2.0, fitted=("resnet18",))
    one = study_rows(run(s, tmp_path))["handcrafted: design against resnet18"]
    n_val = len(s.rows_of("val"))
    assert (one.images, one.model) == (n_val, "logreg, val")
    assert "fitted on train, asked about val" in one.sentence


def test_the_ring_is_no_rival(tmp_path: Path) -> None:
    assert "handcrafted" in study_rows(run(houses(design=1.0, ring=0.5), tmp_path))


def test_a_difference_is_that_of_the_heads_scores_on_the_same_folds() -> None:
    s = houses(design=1.0, dlib=0.5)
    found = Arena(s, LOGREG, HOW, {}).duel("design", "dlib")
    aucs = []
    for name in ("design", "dlib"):
        one = only(s, name)
        part = cross_validate(one, {"head": LOGREG}, cv_folds(one, **HOW.folded))["head"]
        aucs.append(score_rows(one, part, **HOW.measured).estimates["auc"].score or 0.0)
    assert found.difference.score == pytest.approx(aucs[0] - aucs[1])
    assert (found.n_images, found.n_groups, found.scored_on) == (192, 48, "cv")


def test_an_extractor_against_itself_differs_by_nothing_and_p_is_one() -> None:
    s = houses(design=1.0)
    found = Arena(s, LOGREG, HOW, {"copy": only(s, "design").features}).duel("design", "copy")
    assert (found.difference.score, found.p) == (0.0, 1.0)


def test_a_head_that_fails_is_a_reason_and_no_crash(tmp_path: Path) -> None:
    class Fails:
        def fit(self, X: Any, y: Any, groups: Any = None) -> Any:
            raise KyaraError("no such luck")

    s = houses(design=1.0, clip=1.0)
    make: Callable[[], Classifier] = Fails  # type: ignore[assignment]
    found = Arena(s, make, HOW, {}).duel("design", "clip")
    assert "design: head head failed: no such luck" in found.reason


def test_too_few_groups_have_a_difference_and_no_interval(tmp_path: Path) -> None:
    s = change(houses(n=90, n_groups=9, design=1.0, clip=1.0), splits=np.full(90, "train"))
    one = study_rows(run(s, tmp_path))["handcrafted: design against clip"]
    assert one.verdict == "not testable"
    assert one.effect is not None
    assert "9 groups" in one.sentence


def test_three_classes_have_an_auc_too(tmp_path: Path) -> None:
    s = houses(design=1.5, clip=1.5)
    labels = s.labels.astype("U8")
    labels[np.arange(240) // 60 == 2] = "witness"
    s = change(s, labels=labels)
    make = partial(make_head, "logreg", {}, seed=0, n_classes=3, positive=1)
    report = findings(
        s, None, {"logreg": make}, HOW, roles=None, annotations=None, controls={}, draws=99, margin=0.3,
        results=tmp_path,
    )  # fmt: skip
    assert study_rows(report)["handcrafted: design against clip"].verdict == "supported"


# ---------------------------------------------------------------- rows of controls


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """Twelve pictures by key."""
    import hashlib

    found = {}
    for i in range(12):
        path = tmp_path / "data" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(picture(i)))
        found[hashlib.sha256(path.read_bytes()).hexdigest()] = path
    return found


def asked(
    name: str, params: dict[str, Any], images: dict[str, Path], tmp_path: Path, seed: int = 1
) -> Control:
    return control_rows(
        name, params, images, RowCache(tmp_path / "rows"), weights=[tmp_path / "weights"], seed=seed,
        root=tmp_path / "data", max_pixels=10**6, runtime=RuntimeParams(device="cpu", workers=1),
    )  # fmt: skip


def needs(*modules: str) -> pytest.MarkDecorator:
    lacking = [module for module in modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(lacking), reason=f"needs {', '.join(lacking)}")


@needs("torch", "torchvision", "safetensors")
def test_an_untrained_network_is_made_once_from_its_seed(images: dict[str, Path], tmp_path: Path) -> None:
    params = defaults(resnet18, weights="none", finetune=False, size_px=32)
    first = asked("resnet18", params, images, tmp_path)
    assert first.rows is not None
    assert first.rows.shape == (12, 512)
    assert np.isfinite(first.rows.to_numpy()).all()
    made = tmp_path / "rows/_controls/resnet18-random-1/model.safetensors"
    written = made.stat().st_mtime_ns
    again = asked("resnet18", params, images, tmp_path)
    assert again.rows is not None
    assert (again.rows == first.rows).all().all()
    assert made.stat().st_mtime_ns == written
    other = asked("resnet18", params, images, tmp_path, seed=2)
    assert other.rows is not None
    assert not np.allclose(other.rows, first.rows)


@needs("torch", "torchvision", "safetensors")
def test_random_weights_that_were_damaged_are_made_anew(images: dict[str, Path], tmp_path: Path) -> None:
    params = defaults(resnet18, weights="none", finetune=False, size_px=32)
    first = asked("resnet18", params, images, tmp_path)
    made = tmp_path / "rows/_controls/resnet18-random-1/model.safetensors"
    made.write_bytes(made.read_bytes()[:-1] + b"x")
    again = asked("resnet18", params, images, tmp_path)
    assert first.rows is not None
    assert again.rows is not None
    assert (again.rows == first.rows).all().all()


def test_weights_that_are_not_here_are_a_reason_without_a_path(
    images: dict[str, Path], tmp_path: Path
) -> None:
    found = asked("resnet18", defaults(resnet18, finetune=False), images, tmp_path)
    assert found.rows is None
    if importlib.util.find_spec("torch") is None:
        assert "run: make setup-all" in found.reason
    else:
        assert "run: python -m extractors fetch resnet18" in found.reason
    assert str(tmp_path) not in found.reason


def test_packages_that_are_not_installed_are_a_reason(
    images: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extractors.prepare.missing_modules", lambda module: ["torch"])
    found = asked("vggface2", defaults(vggface2, weights="none"), images, tmp_path)
    assert found == Control(None, "vggface2 needs torch, not installed here; run: make setup-all")


@pytest.mark.slow
@needs("torch", "facenet_pytorch", "safetensors", "dlib", "face_recognition_models")
def test_dlib_meets_an_untrained_vggface2(images: dict[str, Path], tmp_path: Path) -> None:
    from extractors.zoo import dlib

    params = {"dlib": defaults(dlib), "vggface2": defaults(vggface2), "resnet18": defaults(resnet18)}
    own = asked("dlib", params["dlib"], images, tmp_path)
    name, untrained = controls_of(("dlib",), params)[UNTRAINED]
    other = asked(name, untrained, images, tmp_path)
    assert own.rows is not None
    assert other.rows is not None
    assert own.rows.shape == (12, 128)
    assert other.rows.shape == (12, 512)
    assert np.isfinite(other.rows.to_numpy()).all()
    assert Status.OK == 0
