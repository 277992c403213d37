"""The looks at test, the experiments in git, and what that many tries gain by luck."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers.history import Experiments, count_experiments
from classifiers.looks import (
    LOOK_COLUMNS,
    Looks,
    Report,
    expected_max,
    log_look,
    optimism,
    read_looks,
    report,
    standard_error,
)
from classifiers.metrics import Judged, rankings
from featurestore.errors import DataError

OLD = "time,revision,head,predictions,n,groups,accuracy,auc\n"
METRICS = "results/metrics.json"


def look(predictions: str = "a", **values: Any) -> dict[str, Any]:
    known = {
        "time": "2026-01-02T03:04:05Z",
        "revision": "",
        "head": "svm",
        "predictions": predictions * 64,
        "n": 60,
        "groups": 12,
        "accuracy": 0.75,
        "auc": 0.8,
        "accuracy_se": 0.05,
        "auc_se": 0.04,
    }
    return known | values


def metrics(
    head: str = "svm", score: float = 0.8, low: float | None = 0.7, high: float | None = 0.896
) -> str:
    row = {"measure": "auc", "score": score, "low": low, "high": high, "majority": 0.5}
    return json.dumps({"head": head, "cv": {"auc": score, "table": [row]}}) + "\n"


class Repository:
    """A repository with results."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "results").mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, text: str) -> str:
        (self.root / METRICS).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "study")


def test_results_on_other_pictures_are_counted_apart(repository: Repository) -> None:
    def on(n: int, score: float) -> str:
        rows = [{"extractor": "design", "class": name, "n": n, "ok": 1.0} for name in ("hero", "villain")]
        known = json.loads(metrics(score=score)) | {
            "coverage": rows,
            "val": {"n": n // 5},
            "positive": "villain",
        }
        return json.dumps(known)

    for n, score in ((150, 0.7), (150, 0.8), (70, 0.6)):
        repository.commit(on(n, score))
    assert count_experiments(repository.root) == Experiments(1, 1, n_others=2)
    (repository.root / METRICS).write_text(on(150, 0.9))
    assert count_experiments(repository.root) == Experiments(3, 1, n_others=1)


def test_looks_at_other_pictures_are_left_out(tmp_path: Path) -> None:
    for predictions, n in (("a", 60), ("b", 28), ("c", 28)):
        log_look(tmp_path / "looks.csv", look(predictions, n=n))
    said = report(tmp_path, tmp_path / "looks.csv").text()
    assert "2 looks from here" in said
    assert "and 1 at other pictures, left out, 2 of them different" in said


# the largest of k


@pytest.mark.parametrize(
    ("k", "known"), [(1, 0.0), (2, np.pi**-0.5), (3, 1.5 * np.pi**-0.5), (10, 1.5388), (100, 2.5076)]
)
def test_the_mean_of_the_largest_is_the_known_one(k: int, known: float) -> None:
    assert expected_max(k) == pytest.approx(known, abs=5e-5)


@pytest.mark.parametrize("k", [2, 14, 200])
def test_the_mean_of_the_largest_is_what_drawing_gives(k: int) -> None:
    largest = np.random.default_rng(k).normal(size=(40_000, k)).max(axis=1)
    assert expected_max(k) == pytest.approx(largest.mean(), abs=4 * largest.std() / 200)


def test_it_grows_with_every_try_and_is_nothing_for_one() -> None:
    assert np.all(np.diff([expected_max(k) for k in range(1, 60)]) > 0)
    assert optimism(1, 0.1) == 0
    assert optimism(14, 0.03) == pytest.approx(0.03 * expected_max(14))
    assert expected_max(10**7) == pytest.approx(5.33, abs=0.05)


def drawn_aucs(rng: np.random.Generator, k: int, *, shared: float, n: int = 120) -> np.ndarray:
    """AUC of k equally good models on one test split; ``shared`` is their errors' correlation."""
    truth = np.arange(n) % 2
    common, own = rng.normal(size=n), rng.normal(size=(k, n))
    scores = 1.2 * truth + np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    ones = np.ones((1, n))
    found = [rankings(Judged(truth, truth, np.column_stack([-s, s]), 1), ones)["auc"][0] for s in scores]
    return np.array(found)


@pytest.mark.parametrize("k", [2, 10])
def test_the_best_of_several_looks_is_optimistic_by_the_figure_given(k: int) -> None:
    rng = np.random.default_rng(k)
    split = np.array([drawn_aucs(rng, k, shared=0.0) for _ in range(1500 // k)])
    gain = split.max(axis=1) - split.mean()  # all are equally good
    noise = gain.std() / np.sqrt(len(gain))
    assert gain.mean() == pytest.approx(optimism(k, split.std()), abs=3 * noise + 0.002)


def test_the_best_of_models_that_are_alike_gains_less() -> None:
    rng = np.random.default_rng(0)
    split = np.array([drawn_aucs(rng, 10, shared=0.8) for _ in range(150)])
    gain = (split.max(axis=1) - split.mean()).mean()
    assert 0.2 * optimism(10, split.std()) < gain < 0.7 * optimism(10, split.std())


def test_a_standard_error_is_that_of_the_interval() -> None:
    assert standard_error(0.7, 0.896) == pytest.approx(0.05)
    assert standard_error(None, None) is None


# the log


def test_no_log_is_no_look(tmp_path: Path) -> None:
    assert read_looks(tmp_path / "looks.csv") == Looks(())
    assert Looks(()).auc_se is None


def test_the_same_predictions_are_no_new_look(tmp_path: Path) -> None:
    log = tmp_path / "logs/looks.csv"
    for i, predictions in enumerate("aba", start=1):
        looks = log_look(log, look(predictions))
        assert looks.n == i
    assert looks.n_different == 2
    assert looks == read_looks(log)
    assert log.read_text().splitlines()[0] == ",".join(LOOK_COLUMNS)


def test_the_standard_error_is_that_of_the_latest_look_that_has_one(tmp_path: Path) -> None:
    for se in (0.04, 0.03, None):
        looks = log_look(tmp_path / "looks.csv", look(auc_se=se))
    assert looks.auc_se == 0.03


def test_a_log_of_an_earlier_version_is_read_and_kept(tmp_path: Path) -> None:
    log = tmp_path / "looks.csv"
    old = f"2025-01-02T03:04:05Z,0123+,rf,{'c' * 64},60,12,0.7,\n"
    log.write_text(OLD + old)
    assert read_looks(log).auc_se is None
    assert log.read_text() == OLD + old  # reading changes nothing
    assert log_look(log, look()).n_different == 2
    lines = log.read_text().splitlines()
    assert lines[:2] == [",".join(LOOK_COLUMNS), old.strip() + ",,"]
    assert lines[2].endswith(",0.75,0.8,0.05,0.04")


GOOD = f"2026-01-02T03:04:05Z,,svm,{'a' * 64},60,12,0.75,0.8\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "its first line is ''"),
        (b"\xff\xfe", "cannot be read"),
        (OLD.replace("auc", "AUC").encode(), "its first line is 'time"),
        ((OLD + GOOD + "2026-01-02T03:04:05Z,,svm\n").encode(), "row 2 has 3 cells, not 8"),
        ((OLD + GOOD.replace("a" * 64, "a" * 63)).encode(), "row 1: 'aaaa.*' is no predictions"),
        ((OLD + GOOD.replace("2026-", "")).encode(), "row 1: '01-02.*' is no time"),
        ((OLD + GOOD.replace("0.8", "nan")).encode(), "row 1: 'nan' is no auc"),
        ((OLD + GOOD.replace("0.75", "75%")).encode(), "row 1: '75%' is no accuracy"),
        ((OLD + GOOD.replace(",60,", ",-1,")).encode(), "row 1: '-1' is no n"),
        ((OLD + '"' + GOOD).encode(), "cannot be read"),
    ],
)
def test_a_damaged_log_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    log = tmp_path / "looks.csv"
    log.write_bytes(content)
    for use in (read_looks, lambda file: log_look(file, look()), lambda file: report(tmp_path, file)):
        with pytest.raises(DataError, match=said) as error:
            use(log)
        assert str(error.value).startswith(f"{log}: ")
        assert "put it right, or move it away" in str(error.value)
        assert "\n" not in str(error.value)
    assert log.read_bytes() == content


# the experiments


def test_results_are_counted_by_content_over_branches_tags_and_experiments(repository: Repository) -> None:
    r = repository
    first = r.commit(metrics("svm", 0.8))
    r.commit(metrics("rf", 0.8))
    r.commit(metrics("svm", 0.8))  # back again: nothing new
    r.git("checkout", "-q", "--detach", first)
    r.git("update-ref", "refs/exps/ab/cdef/puny-hart", r.commit(metrics("xgb", 0.81)))
    r.git("checkout", "-q", "--detach", first)
    r.git("tag", "once", r.commit(metrics("xgb", 0.82)))
    r.git("checkout", "-q", "main")
    assert count_experiments(r.root) == Experiments(4, 3)


def test_the_working_tree_counts_if_it_differs(repository: Repository) -> None:
    repository.commit(metrics("svm", 0.8))
    assert count_experiments(repository.root).n == 1
    (repository.root / METRICS).write_text(metrics("mlp", 0.8))
    assert count_experiments(repository.root) == Experiments(2, 2)
    (repository.root / METRICS).unlink()
    assert count_experiments(repository.root).n == 1


def test_a_result_that_a_merge_threw_away_was_tried(repository: Repository) -> None:
    r = repository
    r.commit(metrics("svm", 0.8))
    r.git("checkout", "-q", "-b", "side")
    r.commit(metrics("rf", 0.7))
    r.git("checkout", "-q", "main")
    r.git("merge", "-q", "-s", "ours", "-m", "x", "side")
    r.git("branch", "-q", "-D", "side")
    assert count_experiments(r.root).n == 2


def test_what_is_no_result_does_not_count(repository: Repository) -> None:
    for text in ("<<<<<<< ours\n", "[1]", '{"head": 3}', "", metrics()):
        repository.commit(text)
    repository.git("rm", "-q", METRICS)
    repository.git("commit", "-qm", "x")
    assert count_experiments(repository.root) == Experiments(1, 1)


def test_a_study_in_a_folder_of_a_larger_repository_is_counted_alone(repository: Repository) -> None:
    inner = repository.root / "inner"
    (inner / "results").mkdir(parents=True)
    (inner / METRICS).write_text(metrics("mlp"))
    repository.commit(metrics("svm"))
    repository.commit(metrics("rf"))
    assert count_experiments(inner) == Experiments(1, 1)


def test_a_repository_without_a_commit_has_the_working_tree(repository: Repository) -> None:
    assert count_experiments(repository.root) == Experiments(0, 0)
    (repository.root / METRICS).write_text(metrics())
    assert count_experiments(repository.root) == Experiments(1, 1)


def test_a_shallow_clone_says_that_it_is_one(repository: Repository, tmp_path: Path) -> None:
    repository.commit(metrics("svm"))
    repository.commit(metrics("rf"))
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth", "1", f"file://{repository.root}", str(clone))
    assert count_experiments(clone) == Experiments(1, 1, shallow=True)
    text = report(clone, clone / "looks.csv").text()
    assert "\nnot counted: history that this shallow clone lacks, removed experiments, " in text


def test_without_a_repository_it_cannot_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = count_experiments(tmp_path)
    assert found.n == 0
    assert found.reason.startswith("not a git repository")
    assert (
        report(tmp_path, tmp_path / "looks.csv")
        .text()
        .startswith("experiments: cannot be counted (not a git repository")
    )
    monkeypatch.setenv("PATH", "")
    assert count_experiments(tmp_path).reason == "git is not installed"


def test_two_thousand_experiments_are_counted_quickly(repository: Repository) -> None:
    lines = []
    for i in range(2000):
        text = metrics("svm", i / 2000)
        lines += [f"commit refs/exps/ab/cdef/e{i}", "committer a <a@b> 0 +0000", "data 0"]
        lines += [f"M 100644 inline {METRICS}", f"data {len(text)}", text]
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=repository.root, input="\n".join(lines).encode(), check=True
    )
    before = os.times()
    assert count_experiments(repository.root).n == 2000
    after = os.times()
    spent = sum(after[:4]) - sum(before[:4])
    assert spent < 5, spent


# sentences


def said(n: int, *looks: dict[str, Any], se: float | None = 0.03, why: str = "") -> list[str]:
    rows = tuple({name: str(row[name] or "") for name in LOOK_COLUMNS} for row in looks)
    return Report(Experiments(n, min(n, 5)), Looks(rows), Path("logs/looks.csv"), se, why).text().split("\n")


def test_the_report_says_what_was_tried_looked_at_and_not_counted() -> None:
    assert said(14, look("a"), look("b"), look("a"), se=0.03) == [
        "experiments: 14 different results in this repository's history (5 heads); the best of 14 equally good"
        " ones would seem 0.051 AUC better than it is, by luck alone (at most: less, the more alike they are)",
        "test split: 3 looks from here (logs/looks.csv), 2 of them different; the best of 2 equally good ones"
        " would seem 0.023 AUC better than it is, by luck alone (at most: less, the more alike they are):"
        " take that off the best one's score",
        "not counted: removed experiments, runs that were never committed, what was tried elsewhere, and the"
        " heads of the leaderboard, which corrects its own winner",
        "Choose by cv, and look at test once, when everything is chosen.",
    ]


def test_one_try_and_one_look_owe_nothing_to_luck() -> None:
    assert said(1, look())[:2] == [
        "experiments: 1 different result in this repository's history (1 head);"
        " nothing was picked, so nothing is owed to luck",
        "test split: 1 look from here (logs/looks.csv); nothing was picked, so nothing is owed to luck",
    ]
    assert said(0)[:2] == [
        "experiments: no result yet; run: dvc repro",
        "test split: not looked at from here (logs/looks.csv)",
    ]
    again = "test split: 2 looks from here (logs/looks.csv), all at the same predictions; nothing was picked"
    assert said(0, look(), look())[1].startswith(again)


def test_without_a_standard_error_it_says_why() -> None:
    lines = said(
        3, look("a", auc_se=None), look("b", auc_se=None), se=None, why="results/metrics.json has no cv"
    )
    assert lines[0].endswith("what the best of 3 owes to luck is not known (results/metrics.json has no cv)")
    assert lines[1].endswith("what the best of 2 owes to luck is not known (no look has a standard error)")


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (None, "no results/metrics.json; run: dvc repro"),
        ("{", "results/metrics.json is damaged; run: dvc repro"),
        ('{"cv": 3}', "results/metrics.json is damaged; run: dvc repro"),
        ('{"cv": {"table": []}}', "results/metrics.json is damaged; run: dvc repro"),
        ('{"cv": {"table": [{"measure": "auc", "low": NaN, "high": 1}]}}', "results/metrics.json is damaged; run: dvc repro"),
        ('{"cv": {"reason": "resnet18 learned"}}', "results/metrics.json has no cv"),
        (metrics(low=None, high=None), "results/metrics.json has no interval on cv"),
    ],
)  # fmt: skip
def test_results_without_an_interval_are_no_error(tmp_path: Path, document: str | None, why: str) -> None:
    (tmp_path / "results").mkdir()
    if document is not None:
        (tmp_path / METRICS).write_text(document)
    made = report(tmp_path, tmp_path / "looks.csv")
    assert (made.cv_se, made.why) == (None, why)
    assert made.text()


def test_the_standard_error_of_cv_is_read_from_the_results(repository: Repository) -> None:
    repository.commit(metrics("svm", 0.8))
    repository.commit(metrics("rf", 0.81))
    made = report(repository.root, repository.root / "logs/looks.csv")
    assert made.cv_se == pytest.approx(0.05)
    assert "the best of 2 equally good ones would seem 0.028 AUC better" in made.text()
