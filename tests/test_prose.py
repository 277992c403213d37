"""The report in prose and the model card: every number from the evidence, readable whatever was found."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from studies import change, study, write_house, write_learned

from classifiers.comparison.compare import compare
from classifiers.comparison.shortcuts import gather
from classifiers.curves import write_loss
from classifiers.data import Study
from classifiers.evaluate import evaluate
from classifiers.leakage.leakage import leakage
from classifiers.leakage.learning_curve import learning_curve
from classifiers.persistence.artifact import save_model
from classifiers.registry import make_head
from classifiers.report import reading
from classifiers.report.evidence import Evidence, read_evidence
from classifiers.report.model_card import model_card, write_model_card
from classifiers.report.prose import prose, write_prose
from classifiers.report.writing.breakdown import by_class, by_kind, by_role
from classifiers.report.writing.references import SOURCES
from classifiers.report.writing.words import code, escaped
from classifiers.scoring import Scoring
from classifiers.train import fit_on_train
from classifiers.train import model_card as train_card
from featurestore.index import IMAGE_WISE
from featurestore.spec import Status

PARAMS = {
    "seed": 42,
    "model": "logreg",
    "data": {"group": "series", "root": "data"},
    "evaluation": {"positive": "villain", "bootstrap": 60},
    "explanation": {"permutations": 20, "draws": 99, "margin": 0.05, "edited": 6},
}

IMPORTANCE = """\
level,name,group,method,head,mean,sd,rank,top_ten,null_mean,null_high,p,direction,members
column,toy/c0,toy,permutation,logreg,0.2,0.02,1,1.0,0.0,0.03,0.02,1,toy/c0
column,toy/c1,toy,permutation,logreg,0.01,0.02,2,1.0,0.0,0.03,0.4,-1,toy/c1
block,clip,clip,permutation,logreg,0.005,0.02,3,1.0,0.0,0.03,0.6,,clip/000 clip/001
cluster,toy/c0,toy,permutation,logreg,0.21,0.02,1,1.0,0.0,0.03,0.02,1,toy/c0 clip/concept: a scar toy/c1
hypothesis,shadow_density,toy,permutation,logreg,0.19,0.02,1,1.0,0.0,0.03,0.02,1,toy/c0
column,toy/c0,toy,shap,logreg,0.9,0.02,2,1.0,0.0,0.3,0.02,1,toy/c0
column,toy/c0,toy,forest,rf,0.9,,1,1.0,0.0,0.3,0.02,,toy/c0
"""

COUNTERFACTUALS = """\
edit,kind,head,dose,dial,dial_sd,images,groups,before,change,low,high,rms,within
shadow,edit,logreg,-1.0,shadow_density,-0.8,6,5,0.5,-0.1,-0.2,-0.01,9.1,1
shadow,edit,logreg,1.0,shadow_density,0.9,6,5,0.5,0.12,0.02,0.2,9.1,0
shadow,edit,logreg,0.5,shadow_density,0.4,6,5,0.5,0.06,0.01,0.1,5.0,1
shadow,sham,logreg,1.0,shadow_density,0.0,6,5,0.5,0.01,-0.05,0.06,9.1,1
shadow,edit,rf,1.0,shadow_density,0.9,6,5,0.5,0.07,0.0,0.2,9.1,0
"""

FINDINGS = """\
family,finding,cast,what,effect,low,high,p,p_holm,verdict,images,groups,sentence
hypotheses,shadow_density,all,sd,0.5,0.1,0.9,0.01,0.02,supported,48,16,Images of villain have more shadow.
hypotheses,aura,all,sd,0.1,-0.1,0.3,0.4,0.4,cannot tell,48,16,Images cannot be told apart by an aura.
hypotheses,aura,without antiheroes,sd,0.1,-0.1,0.3,0.4,0.4,cannot tell,40,16,"Without antiheroes, neither."
annotations,scars,all,sd,1.0,0.5,1.5,0.01,0.01,differs,48,16,Images of villain have more scars.
study,distinct,all,ratio of distances,1.1,0.9,1.3,0.3,0.3,cannot tell,48,16,It cannot be told.
study,no worse,all,AUC,,,,,,not testable,48,16,No worse is not testable: no network is selected.
"""


def table(text: str, folder: Path) -> pd.DataFrame:
    """A CSV text as evidence has it."""
    path = folder / "one.csv"
    path.write_text(text)
    return reading.table(path)


def head_of(study: Study, positive: int, name: str) -> Callable[[], Any]:
    return functools.partial(make_head, name, {}, seed=42, n_classes=len(study.classes), positive=positive)


def write_run(root: Path, one: Study) -> None:
    """What the stages up to `audit` leave of a study, by their own code."""
    positive, results = one.classes.index("villain"), root / "results"
    how = Scoring(positive, 3, 1, 60, 42)
    write_house(root, one)
    learned = root / "learned"
    for name in one.fitted_on:
        write_learned(learned, one, name)
    make = head_of(one, positive, "logreg")
    head = fit_on_train(one, make())
    card = train_card(one, "logreg", {"C": 0.1, "penalty": "l2"}, seed=42, positive="villain", fitted=head)
    save_model(root / "model", head, card)
    write_loss((), "logreg", results / "plots")
    evaluate(one, head, make, how, name="logreg", results=results, learned=learned)
    leakage(one, make, how, name="logreg", permutations=6, results=results)
    learning_curve(one, make, how, name="logreg", results=results)
    heads = {name: head_of(one, positive, name) for name in ("logreg", "nb", "lda", "dummy", "convention")}
    compare(one, heads, gather(one, None, None), how, results=results, learned=learned)
    counts = pd.crosstab(one.splits, one.labels)
    splits = [
        {"split": split, "label": label, "images": int(counts.loc[split, label])}
        for split in ("train", "val", "test")
        for label in one.classes
    ]
    files = {"files": len(one.keys) + 3, "usable": len(one.keys) + 1, "exact_duplicates_left_out": 1}
    data = {
        "images": len(one.keys), "groups": len(set(one.groups)), "split_kind": one.split_kind, "splits": splits,
        "files": [files],
    }  # fmt: skip
    (results / "data.json").write_text(json.dumps(data))
    (results / "quarantine.csv").write_text(
        "path,sha256,reason,detail,stage\na.png,,truncated,,index\nb.png,,truncated,,index\n"
    )
    stores = [
        {
            "extractor": name,
            "columns": 4,
            "rows": len(one.keys),
            "not_ok": 0,
            "fingerprint": "f",
            "digest": "d",
        }
        for name in one.blocks
    ]
    (results / "stores.json").write_text(json.dumps({"stores": stores}))


def evidence_of(root: Path, one: Study) -> Evidence:
    with pytest.MonkeyPatch.context() as patch:  # no text is made of pictures
        patch.setattr(Figure, "savefig", lambda self, stream, **_: stream.write(b"png"))
        write_run(root, one)
    return read_evidence(root / "results", root / "model", root / "dataset.csv", PARAMS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Two classes, whole series, nothing explained."""
    return evidence_of(tmp_path_factory.mktemp("plain"), study(n=200, n_groups=50))


@pytest.fixture(scope="module")
def full(plain: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The same with everything that the later stages write."""
    folder = tmp_path_factory.mktemp("full")
    shared = {"low": 0.1, "high": 0.6, "images": 80, "groups": 20}
    return dataclasses.replace(
        plain,
        demo="the demo cast: drawings that kyara's own code made, not anime",
        warnings=("SHORTCUT: ring has an auc of 0.866 [0.784, 0.940] without a look at the character.",),
        importance=table(IMPORTANCE, folder),
        counterfactuals=table(COUNTERFACTUALS, folder),
        findings=table(FINDINGS, folder),
        concordance={"clip": {"r2": 0.4, **shared, "unexplained": ["images/hero/1.png"]}},
        shap_unit="log-odds",
        missing={},
    )


CASES = {
    "three classes": lambda: study(n=150, n_groups=25, labels=("hero", "rival", "villain")),
    "image-wise": lambda: image_wise(study(n=100, n_groups=25)),
    "few groups": lambda: study(n=60, n_groups=10),
    "an extractor that learned": lambda: study(n=100, n_groups=25, fitted_on={"resnet18": ""}),
    "one that learned beside one that did not": lambda: study(
        n=100, n_groups=25, fitted_on={"a": "", "toy": ""}
    ),
    "rows that failed": lambda: failing(study(n=100, n_groups=25)),
}


def image_wise(one: Study) -> Study:
    groups = np.array([f"image {key}" for key in one.keys])
    return change(one, groups=groups, split_kind=IMAGE_WISE, index=one.index.assign(group=groups, series=""))


def failing(one: Study) -> Study:
    """Some rows of villains could not be computed."""
    gone = np.flatnonzero(one.labels == "villain")[::5]
    features, status = one.features.copy(), one.status.copy()
    features.iloc[gone] = np.nan
    status[gone] = Status.NO_FACE
    return change(one, features=features, status=status)


_BUILT: dict[str, Evidence] = {}


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Evidence]:
    """A name of `CASES` and the evidence of such a study, built once."""
    if request.param not in _BUILT:
        one = CASES[request.param]()
        learned = one.digest(one.rows_of("train"))
        names = [name for name in one.fitted_on if name != "toy"]
        one = change(one, fitted_on=dict.fromkeys(names, learned))
        _BUILT[request.param] = evidence_of(tmp_path_factory.mktemp("case"), one)
    return request.param, _BUILT[request.param]


def wooden(text: str) -> list[str]:
    """What no reader should meet: holes, wrong numbers of things, doubled marks, ragged tables."""
    prose_of = re.sub(r"```.*?```", "```\n```", text, flags=re.DOTALL)
    found = [
        f"{pattern}: {match[0]}"
        for pattern in (
            r"\bnan\b", r"\bNone\b", r"\bNaN\b", r"\{\{", r"\{%", r"Undefined", r"\[-?, ", r"\[\]", r"\bTrue\b",
            r"\b1 (images|groups|files|columns|heads|others|edits|claims|times|folds|axes)\b",
            r"\b(one|One) (images|groups|columns|heads|others|edits|claims|are)\b",
            r"\b(0|two|three|2|3) (image|group|file|column|head|edit|claim)\b",
            r"[.,:;] ?[.,;]", r" [.,;:]", r"\(\)", r"  ", r"\bno of\b", r": *$",
        )
        for match in re.finditer(pattern, re.sub(r"^\|.*$|^#.*$", "", prose_of, flags=re.MULTILINE), re.MULTILINE)
    ]  # fmt: skip
    found = [one for one in found if not one.startswith(": *$")] + [
        line for line in prose_of.splitlines() if line.endswith(":") and not _introduces(prose_of, line)
    ]
    tables = re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE)
    for one in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in one.splitlines()}
        if len(widths) != 1 or one.count("\n") < 3:
            found.append(one)
    return found


def _introduces(text: str, line: str) -> bool:
    """Whether a table, list or code stands behind a line that ends in a colon."""
    return re.match(r"\n\n?(\||- |```)|\n\n$", text[text.index(line) + len(line) :]) is not None


def documents(evidence: Evidence) -> tuple[str, str]:
    return prose(evidence), model_card(evidence)


def test_whatever_was_found_the_sentences_read_well(case: tuple[str, Evidence]) -> None:
    for text in documents(case[1]):
        assert wooden(text) == []


def test_with_everything_explained_the_sentences_read_well(full: Evidence, plain: Evidence) -> None:
    for evidence in (full, plain):
        for text in documents(evidence):
            assert wooden(text) == []


def test_a_wooden_sentence_would_be_noticed() -> None:
    for text in (
        "It has 1 images.\n",
        "A score of nan.\n",
        "Two .\n",
        "One are.\n",
        "| a |\n|---|\n",
        "So:\n\nNo.\n",
    ):
        assert wooden(text), text


def test_the_numbers_are_those_of_the_evidence(full: Evidence) -> None:
    text, card = documents(full)
    first = full.leaderboard.iloc[0]
    assert f"`{first['head']}` ranks first with {first['auc']:.3f} [{first['auc_low']:.3f}, " in text
    assert f"it is worth {first['auc_corrected']:.3f} [" in text
    for part in ("cv", "val"):
        measure = full.measure("auc", part)
        shown = f"{measure['score']:.3f} [{measure['low']:.3f}, {measure['high']:.3f}]"
        assert shown in text
        assert shown in card
    assert "Of 203 files, 200 became images of the study" in text
    assert "2 could not be used (truncated) and 1 had the bytes of another file" in text
    assert "| `toy/c0` | toy | 0.2000 ± 0.0200 | 0.0300 | 0.020 | for villain | 2 |" in text
    assert (
        "Of three columns and blocks, these stand above what exchanged labels give: one by permutation"
        in text
    )
    assert (
        "one by shap and one by forest (p at most 0.05, each by itself; by chance alone about 0.15 would)"
        in text
    )
    assert "`toy/c0` and 2 more (0.2100)" in text, "a concept's name holds blanks"
    assert "in each of two edits, and by the sham in none of two" in text
    assert "+0.120 [0.020, 0.200] | +0.010 [-0.050, 0.060] | no |" in text
    assert "0.400 [0.100, 0.600]" in text
    assert "R²" in text


def test_every_fence_stands_on_a_line_of_its_own(full: Evidence) -> None:
    for text in documents(full):
        fences = [line for line in text.splitlines() if "```" in line]
        assert fences
        assert len(fences) % 2 == 0
        for opened, closed in zip(fences[::2], fences[1::2], strict=True):
            assert re.fullmatch(r"```[a-z]*", opened)
            assert closed == "```"


def test_the_first_paragraph_says_what_must_be_known_first(
    full: Evidence, case: tuple[str, Evidence]
) -> None:
    for text in documents(full):
        first = text.split("\n\n")[1]
        assert "drawings that kyara's own code made, not anime" in first
        assert full.warnings[0] in first
    name, evidence = case
    first = prose(evidence).split("\n\n")[1]
    assert ("upper bound" in first) is (name == "image-wise")
    assert ("not cross-validated" in first) is ("that learned" in name)


def test_every_finding_stands_there_with_its_verdict(full: Evidence) -> None:
    text = prose(full)
    assert full.findings is not None
    for row in full.findings.to_dict("records"):
        title = row["finding"].replace("_", " ")
        assert f"- **{title}: {row['verdict']}.** {row['sentence']}\n" in text
    assert (
        text.count(
            "Of four claims, one is supported (shadow density), two cannot be told either way and one cannot be "
            "tested here."
        )
        == 2
    ), "in the abstract and before the list"
    assert "No worse is not testable: no network is selected." in text[text.index("## 5") :]
    assert "- **Whether these claims hold.** Aura and distinct: the data cannot tell" in text
    assert "Without antiheroes, where every verdict is the same:\n\n- **aura: cannot tell.**" in text


def test_a_verdict_that_is_another_without_antiheroes_is_named(full: Evidence) -> None:
    assert full.findings is not None
    findings = full.findings.copy()
    findings.loc[findings["cast"] != "all", "verdict"] = "opposite"
    text = prose(dataclasses.replace(full, findings=findings))
    assert "Without antiheroes, where one is another, aura (opposite):" in text


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (["cannot tell"] * 3, "Of three claims, three cannot be told either way."),
        (["supported"], "The only claim is supported (c0)."),
        (["not testable"], "The only claim cannot be tested here."),
        (
            ["opposite", "supported"],
            "Of two claims, one is supported (c1) and one goes the opposite way (c0).",
        ),
        (["supported"] * 2, "Of two claims, two are supported (c0 and c1)."),
    ],
)
def test_claims_are_counted_in_words(full: Evidence, tmp_path: Path, verdicts: list[str], said: str) -> None:
    header = FINDINGS.splitlines()[0]
    rows = [f"study,c{i},all,sd,0.1,-0.1,0.3,0.4,0.4,{one},48,16,So." for i, one in enumerate(verdicts)]
    text = prose(dataclasses.replace(full, findings=table("\n".join([header, *rows]) + "\n", tmp_path)))
    assert text.count(said) == 2
    assert wooden(text) == []


def test_what_is_missing_is_named_with_its_reason(plain: Evidence) -> None:
    missing = {
        name: f"no {name} here; run: dvc repro" for name in ("importance", "counterfactuals", "findings")
    }
    missing["concordance"] = "design is the only extractor"
    text = prose(dataclasses.replace(plain, missing=missing))
    for name, reason in missing.items():
        assert text.count(escaped(reason)) >= 2, name
        assert escaped(reason) in text[text.index("## 5") :]
    assert wooden(text) == []


def test_who_cannot_be_told_from_the_best_is_said_whoever_it_is(plain: Evidence) -> None:
    board = plain.leaderboard
    heads = board[board["kind"] == "head"].reset_index(drop=True)
    assert len(heads) == 3

    def told(**columns: Any) -> str:
        made = prose(dataclasses.replace(plain, leaderboard=heads.assign(**columns)))
        assert wooden(made) == []
        return made[made.index("### 4.1") :]

    names = heads["head"].tolist()
    assert "cannot be told from any of the other two" in told(
        against_best=["best", "cannot tell", "cannot tell"]
    )
    assert f"cannot be told from {names[2]}; {names[1]} is worse." in told(
        against_best=["best", "worse", "cannot tell"]
    )
    assert "can be told from every other head." in told(against_best=["best", "worse", "worse"])
    assert "too few groups to tell it from the others" in told(p=np.nan, against_best=["best", "", ""])
    two = prose(
        dataclasses.replace(plain, leaderboard=heads.iloc[:2].assign(against_best=["best", "cannot tell"]))
    )
    assert "cannot be told from the only other" in two
    alone = prose(dataclasses.replace(plain, leaderboard=heads.iloc[:1]))
    assert f"The only head, `{names[0]}`, has an AUC of" in alone
    assert wooden(alone) == []


def test_the_same_evidence_gives_the_same_bytes_and_nothing_of_now(full: Evidence, tmp_path: Path) -> None:
    for write in (write_prose, write_model_card):
        one = write(full, results=tmp_path)
        before = one.read_bytes()
        assert write(full, results=tmp_path).read_bytes() == before
        text = before.decode()
        assert text.endswith("\n")
        assert not re.search(r"20\d\d-\d\d|\d\d:\d\d|/(tmp|home|root|work)/", text)
    assert {path.name for path in tmp_path.iterdir()} == {"research_report.md", "model_card.md"}


CAUSAL = re.compile(
    r"\b(caus\w+|because|due to|leads? to|drives?|driven by|influences?|effects? of)\b", re.IGNORECASE
)


def test_nothing_is_said_to_bring_anything_about(full: Evidence) -> None:
    for text in documents(full):
        assert not CAUSAL.search(text), CAUSAL.search(text)
    assert CAUSAL.search("Shadow drives the answer.")


def test_every_source_that_is_cited_is_listed_and_no_other(full: Evidence, plain: Evidence) -> None:
    for evidence in (full, plain):
        text = prose(evidence)
        body, _, listed = text.partition("## References")
        keys = re.findall(r"^@\w+\{(\w+),$", listed, re.MULTILINE)
        assert keys == ["kyara", *sorted(set(keys) - {"kyara"})]
        for key, source in SOURCES.items():
            assert (source.said in body and key != "kyara") is (key in keys and key != "kyara"), key
        assert listed.count("{") == listed.count("}")
    assert "altmann2010" in prose(full)
    assert "altmann2010" not in prose(plain)


def test_every_source_is_cited_by_some_run(full: Evidence) -> None:
    nets = [
        {**full.stores[0], "extractor": name} for name in ("clip", "vggface2", "arcface", "dlib", "resnet18")
    ]
    metrics = {**full.metrics, "decision": "threshold by f1, calibrated by a sigmoid"}
    text = prose(dataclasses.replace(full, stores=(*full.stores, *nets), metrics=metrics)) + model_card(full)
    assert [key for key, source in SOURCES.items() if source.said not in text] == []


HOSTILE = "a|b *x* `y`\n# z <script>alert(1)</script> [l](http://e.x) ![i](j) _u_ &amp; ~~s~~ $m$"


def seen(text: str) -> str:
    """As a browser would have it."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)


def test_texts_from_data_are_shown_and_do_nothing_else(full: Evidence, tmp_path: Path) -> None:
    plain = seen(prose(full))
    assert full.findings is not None
    findings = full.findings.assign(sentence=HOSTILE, finding=HOSTILE, cast=HOSTILE)
    board = full.leaderboard.assign(head=[f"{HOSTILE}{i}" for i in range(len(full.leaderboard))])
    data = {**full.data, "splits": [{**one, "label": HOSTILE + one["label"]} for one in full.data["splits"]]}
    rename = {name: f"p_{HOSTILE}{name}" for name in full.predictions.columns if name.startswith("p_")}
    hostile = dataclasses.replace(
        full,
        findings=findings,
        leaderboard=board,
        data=data,
        demo=HOSTILE,
        warnings=(HOSTILE,),
        predictions=full.predictions.rename(columns=rename),
        importance=full.importance.assign(name=[f"{HOSTILE}{one}" for one in full.importance["name"]]),
        counterfactuals=full.counterfactuals.assign(edit=HOSTILE, dial=HOSTILE),
        shortcuts=full.shortcuts.assign(leading_column=HOSTILE, shortcut=HOSTILE),
        concordance={HOSTILE: {"r2": 0.1, "images": 1, "groups": 1, "unexplained": [HOSTILE]}},
        metrics={**full.metrics, "positive": HOSTILE},
        card={**full.card, "labels": [HOSTILE], "params": {HOSTILE: HOSTILE}},
        digests={HOSTILE: HOSTILE},
    )
    for text in documents(hostile):
        shown = seen(text)
        assert "alert(1)" in shown
        for mark in ("<script", "<a ", "<img", "<em>x", "<s>", "<em>u", 'href="'):
            assert mark not in shown, mark
        assert "&lt;script&gt;" in shown
        assert "&amp;amp;" in shown, "an entity is shown as it stands"
        assert wooden(re.sub(r"`[^`]*`", "", text)) == [] or "|" in text
    assert seen(prose(hostile)).count("<h2>") == plain.count("<h2>")
    assert seen(prose(hostile)).count("<table>") == plain.count("<table>")
    assert "\n# z" not in prose(hostile)


@pytest.mark.parametrize(
    "text", ["x", "a|b", "`", "``x`", "- a", "1. a", "+ a", "# a", "a_b", "_a_", "\x1b[31m", ""]
)
def test_escaped_text_reads_as_it_was(text: str) -> None:
    shown = re.sub(r"<[^>]+>", "", seen(f"x {escaped(text)}")).strip()
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    assert shown == f"x {clean}".strip()
    alone = seen(escaped(text)).strip()
    assert not re.search(r"<(h\d|li|em|hr|blockquote|code)", alone)
    assert "</code>" in seen(f"x {code(text)} y")


def test_the_card_says_for_whom_and_for_what_not(full: Evidence) -> None:
    card = model_card(full)
    order = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert order == [
        "Model details", "Intended use", "Factors", "Training data", "Evaluation data", "Metrics", "Calibration",
        "Thresholds", "Shortcuts", "Ethical considerations", "Caveats", "Licences", "Digests",
    ]  # fmt: skip
    assert "must not judge real persons" in card
    assert "no content filter" in card
    assert "python -m classifiers predict IMAGE" in card
    assert full.card["files"]["pipeline.skops"]["sha256"] in card
    assert full.digests["dataset.csv (sha256)"] in card
    assert f"{full.card['n_images']} images in {full.card['n_groups']} groups" in card


def test_the_card_says_which_weights_may_not_be_sold(full: Evidence) -> None:
    assert "non-commercial" not in model_card(full)
    arcface = {**full.stores[0], "extractor": "arcface"}
    card = model_card(dataclasses.replace(full, stores=(*full.stores, arcface)))
    assert "| `arcface` | MIT; weights: non-commercial research |" in card
    assert "this model included" in card
    assert "not known here: the rows come from another tool" in card, "of toy, which is no extractor of ours"


def test_recall_by_class_is_that_of_the_metrics(full: Evidence) -> None:
    for part in ("cv", "val"):
        shares = {(one.name, one.measure): one for one in by_class(full, part)}
        for ours, theirs in (("recall", "recall"), ("precision", "precision"), ("F1", "f1")):
            one, same = shares["villain", ours], full.measure(theirs, part)
            assert one.score == pytest.approx(same["score"], abs=1e-6)
            if one.n_groups >= 10:
                assert (one.low, one.high) == pytest.approx((same["low"], same["high"]), abs=1e-6)
    recall = shares["villain", "recall"]
    shown = f"{recall.score:.3f}"
    assert shown in model_card(full)


def test_kinds_and_roles_part_the_images_and_few_groups_get_no_interval(full: Evidence) -> None:
    cv = full.predictions[full.predictions["split"] == "cv"]
    accuracy = full.measure("accuracy", "cv")["score"]
    kinds = by_kind(full, "cv")
    assert sum(one.n_images for one in kinds) == len(cv)
    assert sum(one.score * one.n_images for one in kinds) / len(cv) == pytest.approx(accuracy, abs=1e-6)

    antiheroes = cv["key"].head(4).tolist()
    roles = {key: "antihero" if key in antiheroes else "plain" for key in cv["key"]}
    found = {one.name: one for one in by_role(full, "cv", roles)}
    right = (cv["label"] == cv["predicted"])[cv["key"].isin(antiheroes)].mean()
    assert found["antihero"].score == pytest.approx(right)
    assert (found["antihero"].n_images, found["antihero"].low) == (4, None)
    assert found["plain"].low is not None
    card = model_card(full, roles=roles)
    assert f"| antihero | 4 | {found['antihero'].n_groups} | {right:.3f} (no interval) |" in card
    assert "No roles finer than the labels are known." in model_card(
        full, roles=dict.fromkeys(roles, "plain")
    )


def test_the_card_tells_a_tuned_threshold_and_a_calibration(full: Evidence) -> None:
    params = {**full.params, "threshold": "balanced_accuracy", "calibration": "sigmoid"}
    card = model_card(dataclasses.replace(full, params=params))
    assert "tuned by balanced accuracy" in card
    assert "mapped to observed shares by a sigmoid" in card
    assert "as if every class were as frequent" in model_card(full)


def test_the_documents_need_no_file_of_the_run(
    full: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = documents(full)
    monkeypatch.chdir(tmp_path)
    assert documents(full) == before
    assert list(tmp_path.iterdir()) == []


def test_the_templates_hold_no_number_of_a_run() -> None:
    folder = ROOT / "classifiers" / "report" / "templates"
    for name in ("research_report.md.j2", "model_card.md.j2"):
        text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", (folder / name).read_text(), flags=re.DOTALL)
        assert re.findall(r"\d\.\d{2,}", text) == []
