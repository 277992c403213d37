"""What was not established: put together from what the run itself says.

Owns the list. Refuses to soften it.
"""

from __future__ import annotations

from typing import Final

from classifiers.report.evidence import Evidence
from classifiers.report.parts import Section, counted, listed
from classifiers.report.sections.leaderboard import first_table
from classifiers.report.sections.leakage import rising
from featurestore.index import IMAGE_WISE

__all__ = ["section"]

Said = list[tuple[str, str]]

#: Fewer give no interval at all below ten; so few give a rough one.
_FEW_GROUPS: Final = 40
_NETWORKS: Final = ("clip", "vggface2", "arcface", "dlib", "resnet18")
_PARTS: Final = {
    "importance": "What the head goes by",
    "counterfactuals": "What a change of pixels does",
    "findings": "The hypotheses",
    "concordance": "What a network goes by",
}


def _data(evidence: Evidence) -> Said:
    said = []
    if evidence.demo:
        text = "The pictures are drawings that our own code made; what is found in them was put there."
        said.append(("Anything about anime", text))
    else:
        text = "These pictures were chosen and labelled by somebody, and no other collection was looked at."
        said.append(("Whether it holds for other collections", text))
    if evidence.metrics.get("split") == IMAGE_WISE:
        text = "Pictures of one series may stand on both sides of a split, and every score is an upper bound."
        said.append(("That it is more than recognition", text))
    groups = int(evidence.metrics[evidence.scored_on]["groups"])
    if groups < _FEW_GROUPS:
        text = f"{counted(groups, 'group')} are few: their intervals are rough, and below ten there are none."
        said.append(("Precise intervals", text))
    return said


def _scores(evidence: Evidence) -> Said:
    said = []
    reached = evidence.shortcuts[evidence.shortcuts["within_interval_of"] != ""]
    if len(reached):
        names = listed([str(name) for name in reached["shortcut"]])
        text = (
            f"Without it, {names} comes within the interval of the best heads: what they score may be that."
        )
        said.append(("That heads look at the character", text))
    table = first_table(evidence)
    alike = table[table["rank"].notna() & table["against_best"].isin(["best", "cannot tell"])]
    if len(alike) > 1:
        text = f"{listed([str(h) for h in alike['head']])} cannot be told apart on these groups."
        said.append(("Which head is best", text))
    if reason := evidence.metrics["cv"].get("reason"):
        said.append(("Cross-validated scores", f"{reason}; all scores are of val alone."))
    curve = rising(evidence)
    if "would probably help" in curve:
        said.append(("What the method could reach", curve))
    elif "nobody can tell" in curve:
        said.append(("Whether there are enough pictures", curve))
    for _, row in evidence.leakage.iterrows():
        if row["part"] == "identity" and row["what"] == "both" and row["note"]:
            said.append(("How much is recognition", f"{row['note']}."))
    return said


def _findings(evidence: Evidence) -> Said:
    said = [(name, f"{evidence.missing[what]}.") for what, name in _PARTS.items() if what in evidence.missing]
    if evidence.findings is None:
        return said
    own = evidence.findings[evidence.findings["cast"] == "all"]
    for verdict, title, note in (
        (
            "cannot tell",
            "Findings that cannot be told from none",
            "no evidence for them, and none against them",
        ),
        ("not testable", "Findings that could not be tested", ""),
    ):
        rows = own[own["verdict"] == verdict]
        names = [f"{str(row['finding']).replace('_', ' ')} ({row['family']})" for _, row in rows.iterrows()]
        if names:
            said.append((title, f"{listed(names)}{f': {note}' if note else ''}."))
    return said


def _always(evidence: Evidence) -> Said:
    locked = int((evidence.dataset["split"] == "test").sum())
    test = (
        f"The {counted(locked, 'image')} of test are locked, and nothing here has seen them. "
        "“python -m classifiers final” scores them and counts the look; “python -m classifiers looks” says "
        "how often that was done, and how much was tried before this page."
    )
    causes = (
        "An importance or an answer to changed pixels is a property of a head. It says what moves the head, "
        "not why artists draw so."
    )
    said = [("How it does on new series", test), ("Causes in the world", causes)]
    if not any(store["extractor"] in _NETWORKS for store in evidence.stores):
        said.append(("Anything about networks", "No network is among the features of this run."))
    return said


def section(evidence: Evidence) -> Section:
    """One list."""
    said = [*_data(evidence), *_scores(evidence), *_findings(evidence), *_always(evidence)]
    aid = "The other half of a result: what a reader might take from this page and must not."
    return Section("limits", "What was not established", "Not established", aid, {"said": said})
