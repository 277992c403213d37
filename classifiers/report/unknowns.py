"""What a run did not establish, put together from what it says itself.

Owns the list, of which the page, the paper and the model's card show the same sentences. Refuses to soften
it, and to know how it is laid out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from classifiers.report.evidence import Evidence
from classifiers.report.parts import known, listed
from classifiers.report.sections.leaderboard import first_table
from classifiers.report.sections.leakage import recognised, rising
from featurestore.index import IMAGE_WISE
from featurestore.text import counted

__all__ = ["Unknown", "unknowns"]

#: Fewer give no interval at all below ten; so few give a rough one.
_FEW_GROUPS: Final = 40
_NETWORKS: Final = ("clip", "vggface2", "arcface", "dlib", "resnet18")
_PARTS: Final = {
    "importance": "What the head goes by",
    "counterfactuals": "What a change of pixels does",
    "findings": "The study's claims",
    "concordance": "What a network sees beyond the design features",
}


@dataclass(frozen=True)
class Unknown:
    """One thing that a reader might take from a run and must not.

    Attributes
    ----------
    title : str
        A noun phrase.
    text : str
        Sentences; plain, with names from data as they are.
    of_model : bool
        Whether it concerns who uses the fitted head, and not only who reads of the study.
    """

    title: str
    text: str
    of_model: bool = True


def unknowns(evidence: Evidence) -> list[Unknown]:
    """Of the data, the scores, the claims, the parts that are missing; and what no run establishes."""
    return [
        *_of_data(evidence),
        *_of_heads(evidence),
        *_of_splits(evidence),
        *_of_claims(evidence),
        *_always(evidence),
    ]


def _of_data(evidence: Evidence) -> Iterator[Unknown]:
    if evidence.demo:
        yield Unknown(
            "Anything about anime",
            "The images are drawings that our own code made; what is found in them was put there.",
        )
    else:
        yield Unknown(
            "Whether it holds for other collections",
            "These images were chosen and labelled by somebody, and no other collection was looked at.",
        )
    if evidence.metrics.get("split") == IMAGE_WISE:
        yield Unknown(
            "That it is more than recognition",
            "It is not known which images belong together. Those of one series may stand on both sides of a "
            "split, and every score is an upper bound.",
        )
    groups = int(evidence.metrics[evidence.scored_on]["groups"])
    if groups < _FEW_GROUPS:
        yield Unknown(
            "Precise intervals",
            f"{counted(groups, 'group')} are few: their intervals are rough, and below ten there are none.",
        )


def _of_heads(evidence: Evidence) -> Iterator[Unknown]:
    reached = evidence.shortcuts[evidence.shortcuts["within_interval_of"] != ""]
    if len(reached):
        names = listed([str(name) for name in reached["shortcut"]])
        yield Unknown(
            "That heads look at the character",
            f"Without it, {names} comes within the interval of the best heads: what they score may be that.",
        )
    elif len(evidence.shortcuts):
        yield Unknown("That there is no shortcut", "The panel holds those that were thought of.")
    table = first_table(evidence)
    ranked = table[table["rank"].notna()]
    alike = ranked[ranked["against_best"].isin(["best", "cannot tell"])]
    if len(alike) > 1:
        yield Unknown(
            "Which head is best",
            f"{listed([str(head) for head in alike['head']])} cannot be told apart on these groups.",
        )
    elif len(ranked) > 1 and not (ranked["against_best"] == "worse").any():
        yield Unknown("Which head is best", "There are too few groups to tell heads apart.")
    if reason := evidence.metrics["cv"].get("reason"):
        yield Unknown("Cross-validated scores", f"{_sentence(reason)} All scores are of val alone.")
    curve = rising(evidence)
    if "would probably help" in curve:
        yield Unknown("What the method could reach", curve)
    elif "nobody can tell" in curve:
        yield Unknown("Whether there are enough images", curve)


def _of_splits(evidence: Evidence) -> Iterator[Unknown]:
    ladder = evidence.leakage[evidence.leakage["part"] == "ladder"]
    scored = ladder[ladder["auc"].notna()]
    if len(scored) > 1 and known(scored.iloc[0]["flattery_low"]) and scored.iloc[0]["flattery_low"] <= 0:
        yield Unknown(
            f"Whether a split that is {scored.iloc[0]['what']} flatters",
            "The difference cannot be told from none.",
        )
    for _, row in ladder[ladder["auc"].isna()].iterrows():
        if row["note"]:
            note = str(row["note"]).removeprefix("not estimable: ")
            yield Unknown(f"The score of a split that is {row['what']}", _sentence(note))
    share, note = recognised(evidence)
    if note:
        yield Unknown("How much is recognition", _sentence(note))
    elif share is not None:
        yield Unknown(
            "That the score image by image is all design",
            f"Recognising what belongs together would explain about {share:.0%} of it.",
        )


def _of_claims(evidence: Evidence) -> Iterator[Unknown]:
    if evidence.findings is not None:
        own = evidence.findings[
            (evidence.findings["cast"] == "all") & (evidence.findings["family"] != "annotations")
        ]
        names = [_spaced(name) for name in own[own["verdict"] == "cannot tell"]["finding"]]
        if names:
            yield Unknown(
                f"Whether {'this claim holds' if len(names) == 1 else 'these claims hold'}",
                f"{_capital(listed(names))}: the data cannot tell, which is not to say that there is nothing.",
                of_model=False,
            )
        untold = own[own["verdict"] == "not testable"]
        if len(untold):
            said = [str(row["sentence"]) or f"{_spaced(row['finding'])}." for _, row in untold.iterrows()]
            yield Unknown("Claims that could not be tested", " ".join(map(_sentence, said)), of_model=False)
    for name, what in _PARTS.items():
        if name in evidence.missing:
            yield Unknown(what, f"Not measured: {evidence.missing[name].rstrip('.')}.", of_model=False)


def _always(evidence: Evidence) -> Iterator[Unknown]:
    locked = int((evidence.dataset["split"] == "test").sum())
    yield Unknown(
        "How it does on new series",
        f"The {counted(locked, 'image')} of test are locked, and nothing here has seen them. "
        "“python -m classifiers final” scores them and counts the look; “python -m classifiers looks” says "
        "how often that was done, and how much was tried before.",
    )
    yield Unknown(
        "Why a measure goes with a role",
        "Labels and looks were observed together. An importance or an answer to changed pixels is a property "
        "of a head: it says what the head answers, not why anyone draws so.",
    )
    networks = any(store["extractor"] in _NETWORKS for store in evidence.stores)
    if not networks and "concordance" not in evidence.missing:
        yield Unknown(
            "Anything about networks", "No network is among the features of this run.", of_model=False
        )


def _spaced(name: object) -> str:
    return str(name).replace("_", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: object) -> str:
    r"""With a capital and a full stop.

    Examples
    --------
    >>> _sentence("no near-duplicates"), _sentence("Done.")
    ('No near-duplicates.', 'Done.')
    """
    return f"{_capital(str(text)).rstrip('.')}."
