"""docs/study-audit.md holds numbers: each is computed anew and held against the page."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from scipy import stats

from classifiers.metrics import Judged, measure

PAGE = (ROOT / "docs/study-audit.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

#: What the study prints.
FIRST = {"accuracy": 0.80, "precision": 0.80, "recall": 1.00, "f1": 0.89}
SECOND = {"accuracy": 0.667, "precision": 0.75, "recall": 0.83, "f1": 0.60}
N_TEST = 60


def rows(header: str) -> list[list[str]]:
    """Cells of the table whose first header cell begins so."""
    lines = PAGE.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {header}"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


@functools.cache
def tables(n: int) -> Ints:
    """Every confusion table of n images with both classes: hits, false alarms, misses, right rejections."""
    found = [
        (tp, fp, positives - tp, n - positives - fp)
        for positives in range(1, n)
        for tp in range(positives + 1)
        for fp in range(n - positives + 1)
    ]
    return np.array(found)


def share(part: Any, whole: Any) -> Floats:
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def rates(of: Ints, average: str = "class") -> dict[str, Floats]:
    """The four printed rates of confusion tables, of the positive class or averaged over both."""
    tp, fp, fn, tn = of.T
    own = share(tp, tp + fp), share(tp, tp + fn), share(2 * tp, 2 * tp + fp + fn)
    other = share(tn, tn + fn), share(tn, tn + fp), share(2 * tn, 2 * tn + fp + fn)
    part = {"class": np.ones(len(of)), "macro": np.full(len(of), 0.5), "weighted": share(tp + fn, of.sum(1))}
    weight = part[average]
    mixed = [weight * a + (1 - weight) * b for a, b in zip(own, other, strict=True)]
    accuracy = share(tp + tn, of.sum(1))
    return dict(zip(("accuracy", "precision", "recall", "f1"), (accuracy, *mixed), strict=True))


def near(found: dict[str, Floats], printed: dict[str, float], within: float) -> np.ndarray[Any, Any]:
    close = [np.abs(found[name] - value) <= within + 1e-12 for name, value in printed.items()]
    return np.logical_and.reduce(close)


def always_villain(villains: int, n: int) -> dict[str, float]:
    """Scores of that answer, by kyara's own measures."""
    truth = (np.arange(n) < villains).astype(np.intp)
    said = np.ones(n, dtype=np.intp)
    judged = Judged(truth, said, np.tile([0.0, 1.0], (n, 1)), 1)
    found = measure(judged, np.ones((1, n)))
    return {name: float(found[name][0]) for name in FIRST}


def test_the_study_prints_what_the_page_says_it_prints() -> None:
    printed = rows("printed")
    cells = [[float(re.sub(r"[~%]", "", cell)) / 100 for cell in row[1:5]] for row in printed]
    assert cells[0] == list(FIRST.values())
    assert cells[1] == pytest.approx(list(SECOND.values()))


def test_always_villain_scores_the_first_row() -> None:
    for row in rows('always "villain"'):
        villains = round(float(row[0]) * N_TEST)
        found = always_villain(villains, N_TEST)
        assert [f"{found[name]:.3f}" for name in FIRST] == row[1:]
        assert found["f1"] == pytest.approx(2 * float(row[0]) / (1 + float(row[0])))
    first = [float(cell) for cell in rows('always "villain"')[0][1:]]
    assert [round(cell, 2) for cell in first] == list(FIRST.values())


def test_recall_one_and_two_rates_fix_the_share_of_villains() -> None:
    accuracy, precision = FIRST["accuracy"], FIRST["precision"]
    said = re.search(r"π = P\(1 − A\)/\(1 − P\), which is (\S+) for 0.8 and 0.8", FLAT)
    assert said is not None
    assert f"{precision * (1 - accuracy) / (1 - precision):.3f}" == said[1]
    for tp, fp, fn, tn in tables(20):  # the formula, on every table with recall 1
        if fn == 0 and fp:
            a, p = (tp + tn) / 20, tp / (tp + fp)
            assert p * (1 - a) / (1 - p) == pytest.approx(tp / 20)


def test_the_tables_that_give_the_first_row_are_counted() -> None:
    within = {"half a percent": 0.005, "1 percent": 0.01, "2.5 percent": 0.025}
    of = tables(N_TEST)
    for name, count, villains, heroes in rows("as printed"):
        found = of[near(rates(of), FIRST, within[name])]
        assert len(found) == int(count)
        assert (found[:, 0] + found[:, 2]).min() == int(villains)
        assert found[:, 3].max() == int(heroes)
        assert 30 not in (found[:, 0] + found[:, 2])  # in no reading are the classes equal


def test_with_thirty_of_each_the_rates_would_be_others() -> None:
    wrong = 30 * (1 - 0.8) / 0.8
    assert f"an accuracy of {1 - wrong / 60:.3f}, not 0.80 ({wrong:.1f} heroes taken for villains)" in FLAT
    chance = float(stats.hypergeom.sf(47, 300, 150, 60))
    assert f"({chance:.1e})" in FLAT
    assert 0.5e-7 < chance < 2e-7  # once in ten million


def test_what_sixty_images_can_say() -> None:
    for right, said in ((48, "0.80 from {:.3f} to {:.3f}"), (40, "66.7%: {:.3f} to {:.3f}")):
        low, high = stats.binomtest(right, 60).proportion_ci(method="exact")
        assert said.format(low, high) in FLAT
    assert stats.binomtest(40, 60).proportion_ci()[1] > stats.binomtest(48, 60).proportion_ci()[0]
    error = hanley_mcneil(0.9, 48, 12)
    assert f"its standard error is {error:.3f}" in FLAT
    assert f"{0.9 - 1.96 * error:.2f} to {0.9 + 1.96 * error:.2f}" in FLAT


def hanley_mcneil(area: float, n_positive: int, n_negative: int) -> float:
    one, other = area / (2 - area), 2 * area**2 / (1 + area)
    squares = (n_positive - 1) * (one - area**2) + (n_negative - 1) * (other - area**2)
    return float(np.sqrt((area * (1 - area) + squares) / (n_positive * n_negative)))


def test_the_second_rows_f1_is_not_that_of_its_precision_and_recall() -> None:
    p, r = SECOND["precision"], SECOND["recall"]
    assert f"= {2 * p * r / (p + r):.3f}, where 0.60 is printed" in FLAT


def test_the_tables_that_give_the_second_row_are_these_and_none_has_its_f1() -> None:
    every = np.concatenate([tables(n) for n in range(2, N_TEST + 1)])
    assert f"Of all {len(every):,} confusion tables" in FLAT
    found = rates(every)
    three = np.abs(found["accuracy"] - 0.667) <= 0.0005 + 1e-12  # printed to a tenth of a percent
    three &= near(found, {name: SECOND[name] for name in ("precision", "recall")}, 0.005)
    averages = {average: rates(every, average)["f1"] for average in ("class", "macro", "weighted")}
    made = [
        [str(one.sum()), *map(str, one), *(f"{averages[average][i]:.3f}" for average in averages)]
        for i, one in ((i, every[i]) for i in np.flatnonzero(three))
    ]
    assert made == rows("images")
    assert N_TEST not in every[three].sum(axis=1)
    for f1 in averages.values():
        assert (np.abs(f1[three] - SECOND["f1"]) > 0.04).all()


def test_no_average_gives_the_second_row_and_only_a_mixture_comes_near() -> None:
    every = np.concatenate([tables(n) for n in range(2, N_TEST + 1)])
    kinds = {average: rates(every, average) for average in ("class", "macro", "weighted")}
    counts = [int(near(found, SECOND, 0.04).sum()) for found in kinds.values()]
    assert "({}, {}, {} tables)".format(*counts) in FLAT
    assert counts == [0, 0, 0]
    mixtures = [
        int(near({**kinds["class"], "f1": kinds[average]["f1"]}, SECOND, 0.02).sum())
        for average in ("macro", "weighted")
    ]
    assert "({} by the macro average, {} by the weighted)".format(*mixtures) in FLAT


def test_always_villain_would_have_beaten_the_second_row() -> None:
    images, tp, fp, fn, tn = (int(cell) for cell in rows("images")[0][:5])
    said = f'called {tp + fp} of {images} images villains, and answering "villain" always would have been right in {tp + fn}'
    assert said in FLAT
    assert f"the network's {tp + tn}." in FLAT
    assert tp + fn > tp + tn


def test_recall_moves_while_nothing_else_does() -> None:
    distance = np.sqrt(2) * stats.norm.ppf(0.9)
    assert f"0.90 ({distance:.3f} standard deviations)" in FLAT
    shares: list[Callable[[], float]] = [lambda: 0.5, lambda: 0.8, lambda: 0.2]
    made = []
    for of in shares:
        pull = np.log(of() / (1 - of())) / distance
        made.append([stats.norm.cdf(distance / 2 + pull), stats.norm.cdf(distance / 2 - pull)])
    made.append([1.0, 0.0])
    shown = [row[1:3] for row in rows("decision")]
    assert shown == [[f"{villains:.3f}", f"{heroes:.3f}"] for villains, heroes in made]
    rng = np.random.default_rng(0)  # and so it is when drawn
    scores = rng.normal(size=(2, 100_000)) + np.array([[0.0], [distance]])
    assert (scores[1] > scores[0]).mean() == pytest.approx(0.9, abs=0.005)
    cut = distance / 2 - np.log(4) / distance
    assert (scores[1] > cut).mean() == pytest.approx(float(shown[1][0]), abs=0.005)


def test_every_claim_names_findings_that_there_are() -> None:
    from classifiers.findings.claims import SATURATION
    from extractors.conventions import HYPOTHESES

    text = (ROOT / "docs/study-audit.md").read_text().partition("## What is tested here")[2]
    for name in (*HYPOTHESES, *SATURATION, "distinctiveness"):
        assert f"`{name}`" in text, name
