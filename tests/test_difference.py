from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from classifiers.comparison.difference import WORKSPACE, Report, difference, report
from classifiers.comparison.matching import match
from classifiers.comparison.stored import Stored, read_stored
from classifiers.metrics import MEASURES, measure
from featurestore.errors import DataError, KyaraError, MissingData, MissingRepository, UsageError

N = 60
CLASSES = ("hero", "villain")
QUICK = {"draws": 100, "permutations": 100}


def key(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


def predictions(
    *,
    seed: int = 0,
    shift: float = 0.0,
    repeats: int = 2,
    folds: int = 3,
    images: range = range(N),
    group: Callable[[int], str] = lambda i: f"series {i // 3}",
    label: Callable[[int], str] = lambda i: CLASSES[i % 2],
    classes: tuple[str, ...] = CLASSES,
    splits: tuple[str, ...] = ("cv", "val"),
) -> str:
    """A predictions.csv; ``shift`` moves the scores towards the truth."""
    rng = np.random.default_rng(seed)
    lines = ["key,path,group,split,repeat,fold,label,predicted," + ",".join(f"p_{name}" for name in classes)]
    for split in splits:
        for repeat in range(repeats if split == "cv" else 1):
            for i in images:
                margin = rng.normal(0.3 + shift)
                p = np.full(len(classes), 0.1 / len(classes))
                p[classes.index(label(i))] += 0.9 / (1 + np.exp(-margin))
                p[(classes.index(label(i)) + 1) % len(classes)] += 0.9 - 0.9 / (1 + np.exp(-margin))
                fold = str(repeat * folds + i // 3 % folds) if split == "cv" else ""
                said = classes[int(p.argmax())]
                cells = [key(i), f"images/{i}.png", group(i), split, str(repeat), fold, label(i), said]
                lines.append(",".join([*cells, *(f"{x:.6f}" for x in p)]))
    return "\n".join(lines) + "\n"


def metrics(head: str = "logreg", positive: str = "villain") -> str:
    return json.dumps({"head": head, "positive": positive, "cv": {"auc": 0.5}})


def stored(text: str | None = None, where: str = "A", **document: str) -> Stored:
    return read_stored(
        (predictions() if text is None else text).encode(), metrics(**document).encode(), where
    )


def compared(before: str, after: str, **options: object) -> Report:
    return report(stored(before), stored(after, "B", head="svm"), **QUICK, **options)  # type: ignore[arg-type]


# what is said


def test_the_report_names_both_sides_the_rows_and_every_measure() -> None:
    said = compared(predictions(), predictions(seed=1, shift=1.5)).text()
    lines = said.splitlines()
    assert lines[0] == "logreg (A) -> svm (B)"
    assert lines[1] == (
        "cv (train and val, out of fold): 60 images in 20 groups, 2 repeats of 3 folds; positive class 'villain'"
    )
    assert lines[3].split() == ["measure", "before", "after", "difference", "95%", "interval", "p", "verdict"]
    assert [line.split("  ")[0] for line in lines[4:16]] == [name.replace("_", " ") for name in MEASURES]
    assert all(line.endswith("better") for line in lines[4:16])
    assert lines[17].startswith("By auc, the measure that orders the heads: better (p")
    assert "about 1 measure in 20 is called one where there is none" in said
    assert "1.6 times as wide, to speak of heads fitted on others too" in said


def test_the_same_predictions_are_said_to_be_the_same() -> None:
    found = compared(predictions(), predictions())
    assert "(both sides have the same predictions, byte for byte)" in found.text()
    assert {(one.difference, one.p, one.verdict) for one in found.differences.values()} == {
        (0.0, 1.0, "cannot tell")
    }


def test_a_seed_gives_the_same_text_twice() -> None:
    texts = {compared(predictions(), predictions(seed=1), seed=3).text() for _ in range(2)}
    assert len(texts) == 1
    assert texts != {compared(predictions(), predictions(seed=1), seed=4).text()}


def test_what_heads_fitted_anew_may_undo_is_named() -> None:
    found = compared(predictions(), predictions(seed=1, shift=0.35))
    unsure = [
        name.replace("_", " ")
        for name, one in found.differences.items()
        if one.verdict != "cannot tell" and one.low <= 0 <= one.high  # type: ignore[operator]
    ]
    assert unsure
    said = "(fitted on other images it might turn out otherwise, by the interval: "
    assert f"{said}{', '.join(unsure)})" in found.text()


def test_a_single_head_is_compared_on_val_with_an_interval_that_is_not_widened() -> None:
    found = compared(predictions(), predictions(seed=1), on="val")
    assert found.rows.startswith("val (by the head fitted on train): 60 images in 20 groups; positive")
    assert "times as wide" not in found.text()


def test_val_is_compared_where_a_side_has_no_cv_and_the_reason_is_said() -> None:
    found = compared(predictions(), predictions(seed=1, splits=("val",)))
    assert found.rows.startswith("val (")
    assert "(on val, since B has no cv: an extractor learned from train)" in found.text()
    with pytest.raises(UsageError, match="diff --on cv: B has no such predictions"):
        compared(predictions(), predictions(splits=("val",)), on="cv")
    with pytest.raises(DataError, match="nothing to compare"):
        compared(predictions(splits=("cv",)), predictions(splits=("val",)))


def test_other_repeats_and_folds_are_compared_and_said() -> None:
    found = compared(predictions(), predictions(seed=1, repeats=3, folds=4))
    assert "2 repeats of 3 folds before and 3 repeats of 4 folds after" in found.rows


def test_another_positive_class_is_said_and_the_second_taken() -> None:
    before = stored(positive="hero")
    found = report(before, stored(predictions(seed=1)), **QUICK)  # type: ignore[arg-type]
    assert "(the positive class was 'hero' before; both are scored by the one after)" in found.text()
    assert "positive class 'villain'" in found.rows


def test_few_groups_are_said_to_tell_too_little() -> None:
    few = {"group": lambda i: f"series {i % 9}"}
    said = compared(predictions(**few), predictions(seed=1, **few)).text()  # type: ignore[arg-type]
    assert "(no intervals and no p: 9 groups, and fewer than 10 tell too little)" in said
    assert "By auc, the measure that orders the heads: cannot tell." in said
    assert "1 measure in 20" not in said


def test_a_p_below_a_thousandth_is_not_printed_as_nothing() -> None:
    found = report(stored(), stored(predictions(seed=1, shift=4)), draws=100, permutations=3000)
    assert "better (p < 0.001)." in found.text()


# what is paired


def test_scores_are_those_of_the_file_whatever_the_order_of_its_rows() -> None:
    header, *rows = predictions(seed=1).splitlines()
    mixed = "\n".join([header, *np.random.default_rng(0).permutation(rows).tolist()]) + "\n"
    one, other = stored(predictions(seed=1)), stored(mixed)
    pair = match(one, other, common=False, on=None).pair
    for name, values in measure(pair.before, np.ones((1, 2 * N))).items():
        assert values[0] == measure(pair.after, np.ones((1, 2 * N)))[name][0]
    said = sum(row.split(",")[6] == row.split(",")[7] for row in rows if ",cv," in row) / (2 * N)
    assert measure(pair.before, np.ones((1, 2 * N)))["accuracy"][0] == pytest.approx(said)


def test_groups_are_the_union_of_what_both_sides_take_for_one() -> None:
    one = stored(predictions(group=lambda i: f"pair {i // 2}"))
    other = stored(predictions(group=lambda i: f"pair {(i + 1) // 2}" if i < 10 else f"alone {i}"))
    groups = match(one, other, common=False, on=None).pair.groups
    of_image = dict(zip(sorted(key(i) for i in range(N)), groups.tolist(), strict=True))
    together = [of_image[key(i)] for i in range(N)]
    assert len(set(together[:10])) == 1
    assert len(set(together)) == 1 + 25
    assert together[10] == together[11] != together[12]


def test_other_images_are_refused_unless_only_the_common_ones_are_wanted() -> None:
    before, after = predictions(images=range(50)), predictions(seed=1, images=range(8, 60))
    with pytest.raises(DataError) as refused:
        compared(before, after)
    assert str(refused.value) == (
        "8 images are only in A, 10 only in B: other pictures, or another split; to compare the 42 that both"
        " have: --common"
    )
    found = compared(before, after, common=True)
    assert "42 images in 15 groups" in found.rows
    assert "(only the 42 images that both have: 8 images are only in A, 10 only in B)" in found.text()


@pytest.mark.parametrize("common", [False, True])
def test_what_cannot_be_compared_is_refused_whatever_the_options(common: bool) -> None:
    three = (*CLASSES, "extra")
    for after, said in (
        (predictions(images=range(100, 160)), "no image in common"),
        (
            predictions(label=lambda i: CLASSES[(i % 2) ^ (i < 4)]),
            "4 images have another label in B than in A",
        ),
        (predictions(classes=three), "B has hero, villain, extra: they cannot be compared"),
    ):
        with pytest.raises(DataError, match=said) as refused:
            compared(predictions(), after, common=common)
        assert refused.value.exit_code == 3


# what is read


def replaced(old: str, new: str) -> str:
    text = predictions()
    assert old in text
    return text.replace(old, new, 1)


def test_a_damaged_file_is_one_line_that_says_where() -> None:
    lines = predictions().splitlines()
    first = lines[1].split(",")
    p = ",".join(first[8:])
    whole = "\n".join(lines) + "\n"
    for text, said in (
        ("", "its columns are"),
        (whole.replace("group,", "", 1), "not key, path, group"),
        (whole.replace("key,path,group,split,repeat,fold", "key,path,split"), "an earlier version of kyara"),
        (whole.replace("p_hero", "hero", 1), "its columns are"),
        (whole.replace("p_hero", "p_villain", 1), "1 classes in 2 columns"),
        (whole + "a,b\n", "row 182: it is longer or shorter than the header"),
        (whole.replace(first[0], "xyz", 1), "row 2: 'xyz' is no key"),
        (whole.replace(",cv,", ",test,", 1), "row 2: 'test' is neither cv nor val"),
        (whole.replace(",cv,0,0,", ",cv,0,,", 1), "row 2: a row of cv has a fold"),
        (whole.replace(",cv,0,0,", ",cv,-1,0,", 1), "row 2: '-1' is no number"),
        (whole.replace(",0,0,hero,", ",0,0,nobody,", 1), "row 2: 'nobody' is no class"),
        (whole.replace(p, "0.9,0.2", 1), "row 2: the probabilities are not finite, negative, or do not sum"),
        (whole.replace(p, "nan,1.0", 1), "row 2: the probabilities"),
        (whole.replace(p, "-0.5,1.5", 1), "row 2: the probabilities"),
        (whole.replace(p, "much,1.5", 1), "row 2: could not convert"),
        (whole + lines[1] + "\n", "stands twice in repeat 0 of cv"),
        ("\n".join(lines[:1] + lines[2:]), "repeat 1 of cv has other images than repeat 0"),
        (whole.replace(",cv,1,", ",cv,2,"), "the repeats of cv do not count from 0"),
        (whole.replace(",cv,1,3,", ",cv,1,0,"), "a fold is of two repeats"),
        (whole.replace(",series 0,", ",series 9,", 1), "has two labels or two groups"),
        (whole.replace("images/0", '"images/0', 1), "no CSV"),
    ):
        with pytest.raises(DataError) as refused:
            stored(text)
        assert str(refused.value).startswith("A: results/predictions.csv: "), text[:200]
        assert said in str(refused.value)
        assert "\n" not in str(refused.value)


def test_metrics_that_do_not_go_with_the_predictions_are_refused() -> None:
    for text in ("", "[]", "{}", '{"head": 3, "positive": "villain"}', metrics(positive="nobody")):
        with pytest.raises(DataError, match=r"A: results/metrics.json does not go with the predictions"):
            read_stored(predictions().encode(), text.encode(), "A")


# where it comes from

GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org")


class Repository:
    """git, and a DVC that tracks one file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "results").mkdir(parents=True)
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text("")
        (root / ".dvc" / ".gitignore").write_text("/tmp\n/cache\n")
        (root / "results" / ".gitignore").write_text("/predictions.csv\n")
        self.git("init", "-q")

    def git(self, *arguments: str) -> str:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            [*GIT, *arguments], cwd=self.root, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, text: str, head: str) -> None:
        (self.root / "results/predictions.csv").write_text(text)
        (self.root / "results/metrics.json").write_text(metrics(head))

    def cached(self, text: str) -> Path:
        """Where DVC keeps it."""
        digest = hashlib.md5(text.encode()).hexdigest()
        return self.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]

    def commit(self, text: str, head: str) -> str:
        """What `dvc commit` and `git commit` leave."""
        self.write(text, head)
        cached = self.cached(text)
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(text)
        digest = cached.parent.name + cached.name
        (self.root / "results/predictions.csv.dvc").write_text(
            f"outs:\n- md5: {digest}\n  size: {len(text)}\n  hash: md5\n  path: predictions.csv\n"
        )
        self.git("add", "-A")
        self.git("commit", "-qm", head)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "study")


def test_revisions_experiments_and_the_working_tree_are_compared(repository: Repository) -> None:
    r = repository
    first = r.commit(predictions(), "logreg")
    second = r.commit(predictions(seed=1, shift=1.5), "svm")
    r.git("update-ref", "refs/exps/ab/cdef/puny-hart", r.commit(predictions(seed=2), "knn"))
    r.git("reset", "-q", "--hard", second)
    r.write(predictions(seed=3), "rf")
    for before, after, title in (
        (first, "HEAD", f"logreg ({first}) -> svm (HEAD, {second[:7]})"),
        ("HEAD", None, f"svm (HEAD, {second[:7]}) -> rf (workspace)"),
        (WORKSPACE, "HEAD", f"rf (workspace) -> svm (HEAD, {second[:7]})"),
        ("puny-hart", "HEAD~1", f"knn (puny-hart, {r.git('rev-parse', 'refs/exps/ab/cdef/puny-hart')[:7]}) -> "
         f"logreg (HEAD~1, {first[:7]})"),
    ):  # fmt: skip
        found = difference(r.root, before, after, **QUICK)  # type: ignore[arg-type]
        assert found.title == title
    there = difference(r.root, "HEAD~1", "HEAD", **QUICK).differences  # type: ignore[arg-type]
    expected = compared(predictions(), predictions(seed=1, shift=1.5)).differences
    assert there == expected
    assert there["auc"].verdict == "better"


def test_what_is_not_there_is_one_line_with_the_next_step(repository: Repository) -> None:
    r = repository
    (r.root / "params.yaml").write_text("")
    r.git("add", "-A")
    r.git("commit", "-qm", "empty")
    r.commit(predictions(), "logreg")
    cases: list[tuple[tuple[str, str | None], type[KyaraError], str]] = [
        (
            ("HEAD~1", None),
            MissingData,
            "HEAD~1 has no results/predictions.csv; check it out, run: dvc repro",
        ),
        (("nosuch", None), UsageError, "nosuch"),
        ((WORKSPACE, None), UsageError, "diff REV1"),
    ]
    for (before, after), error, said in cases:
        with pytest.raises(error, match=said):
            difference(r.root, before, after)
    r.cached(predictions()).unlink()
    with pytest.raises(MissingData, match=r"neither in DVC's cache nor in a remote .* dvc fetch"):
        difference(r.root, "HEAD")
    (r.root / "results/predictions.csv").unlink()
    with pytest.raises(MissingData, match=r"predictions.csv; run: dvc repro"):
        difference(r.root, WORKSPACE, "HEAD")


def test_outside_git_a_revision_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(MissingRepository, match="no git repository here"):
        difference(tmp_path, "HEAD")
