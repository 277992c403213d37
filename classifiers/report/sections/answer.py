"""The question in a sentence, and the answer in a few: what stands on the first screen.

Owns the choice of what a reader must know first. Refuses to measure.
"""

from __future__ import annotations

from typing import Any, Final

from classifiers.findings.claims import WORDS
from classifiers.report.evidence import Evidence
from classifiers.report.parts import Section, ends, known, listed, score, short
from classifiers.report.sections.contributions import contributions, largest
from classifiers.report.sections.edits import answered
from classifiers.report.sections.leaderboard import first_table
from classifiers.report.sections.leakage import recognised
from featurestore.text import counted

__all__ = ["asked", "section", "tallied"]

_SMALL_P: Final = 0.05


def asked(evidence: Evidence) -> str:
    """The question.

    Two classes are told from each other; of more, each is told.
    """
    others = [name for name in evidence.classes if name != evidence.positive]
    if len(others) == 1:
        return f"What in a drawn character's looks tells “{evidence.positive}” from “{others[0]}”?"
    quoted = listed([f"“{name}”" for name in evidence.classes])
    return f"What in a drawn character's looks tells its role: {quoted}?"


def _tile(
    label: str, found: float | None, low: Any, high: Any, note: str, loud: bool = False
) -> dict[str, Any]:
    return {"label": label, "score": score(found), "ends": ends(low, high), "note": note, "loud": loud}


def _tiles(evidence: Evidence) -> list[dict[str, Any]]:
    """The best head, what it is worth, the chosen one, and the best shortcut."""
    table = first_table(evidence)
    heads = table[table["rank"].notna()]
    tiles = []
    if len(heads):
        best = heads.iloc[0]
        said = f"{best['head']}, first of {counted(len(heads), 'head')}"
        tiles.append(_tile("Best head, AUC", best["auc"], best["auc_low"], best["auc_high"], said))
        if known(best["auc_corrected"]):
            low, high = best["auc_corrected_low"], best["auc_corrected_high"]
            said = "for having been picked as the best"
            tiles.append(_tile("The same, its luck taken off", best["auc_corrected"], low, high, said))
    own = evidence.measure("auc")
    tiles.append(_tile("Chosen head, AUC", own["score"], own["low"], own["high"], evidence.head))
    shortcuts = table[(table["kind"] == "shortcut") & table["auc"].notna()]
    if len(shortcuts):
        one = shortcuts.iloc[0]
        loud = any(f" {one['head']}," in text for text in evidence.warnings)
        n = len(shortcuts)
        said = f"{one['head']}, {f'the best of {n} shortcuts' if n > 1 else 'a shortcut'}"
        tiles.append(
            _tile("Without the character, AUC", one["auc"], one["auc_low"], one["auc_high"], said, loud)
        )
    return tiles


def _scored(evidence: Evidence) -> str:
    """What the chosen head can do, in words."""
    own, part = evidence.measure("auc"), evidence.metrics[evidence.scored_on]
    said = "out of fold" if evidence.scored_on == "cv" else "of val, by heads fitted on train"
    what = f"{counted(int(part['n']), 'image')} of {counted(int(part['groups']), 'group')}"
    if own["score"] is None:
        return f"The chosen head, {evidence.head}, has no AUC on {what}: see its section."
    auc = f"AUC {score(own['score'])}, 95% interval {ends(own['low'], own['high'])}"
    if len(evidence.classes) > 2:
        return f"On {what}, {said}, the chosen head {evidence.head} has a mean {auc}."
    pairs = f"{100 * own['score']:.0f} of 100 pairs"
    return (
        f"The chosen head, {evidence.head}, ranks the picture of “{evidence.positive}” above the other one "
        f"in {pairs} ({auc}), asked about {what}, {said}."
    )


def _ranked(evidence: Evidence) -> str:
    """Who is best, and who may be as good."""
    table = first_table(evidence)
    heads = table[table["rank"].notna()]
    if not len(heads):
        return "No head was ranked."
    best = str(heads.iloc[0]["head"])
    alike = [str(h) for h in heads[heads["against_best"] == "cannot tell"]["head"]]
    if not alike:
        worse = (heads["against_best"] == "worse").any()
        return f"{best} ranks first" + (" and can be told from all other heads." if worse else ".")
    whole = len(alike) == len(heads) - 1 and len(alike) > 1
    rest = "any of the others" if whole else listed(alike, 6)
    said = f"{best} ranks first of {len(heads)} heads and cannot be told from {rest}"
    low = heads.iloc[0]["auc_corrected_low"]
    chance = " Corrected for the pick its interval reaches chance." if known(low) and low <= 0.51 else ""
    return f"{said}: the order among them may be luck.{chance}"


def _beyond(evidence: Evidence) -> str:
    """Whether shuffling a column costs the chosen head more than shuffled labels would make it."""
    if evidence.importance is None:
        return ""
    own = evidence.importance
    own = own[(own["method"] == "permutation") & own["level"].isin(["column", "block"]) & own["p"].notna()]
    n = int((own["p"] < _SMALL_P).sum())
    if not len(own):
        return ""
    told = "none" if not n else f"{n}"
    return (
        f"; of {counted(len(own), 'column')} shuffled one at a time, {told} cost it more than chance explains"
    )


def _recognised(evidence: Evidence) -> str:
    """How much of the score may be recognition."""
    share, _ = recognised(evidence)
    if share is None:
        return ""
    return (
        f"Asked image by image, recognising what belongs together would explain about "
        f"{share:.0%} of what {evidence.head} has above chance; the scores here keep it together."
    )


def _explained(evidence: Evidence) -> str:
    """What the chosen head goes by, and what moves its answer."""
    parts, found = [], contributions(evidence)
    if found is not None and found.shape[1] > 2:
        parts.append(
            f"What contributes most to what {evidence.head} says are "
            f"{listed(map(short, largest(found)[:3]))}{_beyond(evidence)}."
        )
    moved = {edit: said for edit, said in answered(evidence).items() if said in ("rises", "falls")}
    if moved:
        named = [f"{edit.replace('_', ' ')} ({said})" for edit, said in moved.items()]
        parts.append(
            f"In edited pictures its probability of “{evidence.positive}” moves further than under a sham "
            f"with more {listed(named)}."
        )
    return " ".join(parts)


def _named(finding: str, verdict: str) -> str:
    """A hypothesis by what images of the positive class have, where that was told; else by its topic."""
    more, less, topic = WORDS.get(finding, (finding.replace("_", " "),) * 3)
    return {"supported": more, "opposite": less}.get(verdict, topic)


def tallied(evidence: Evidence, family: str = "hypotheses") -> str:
    """What became of a family of findings, on the whole cast; empty where nothing was asked."""
    if evidence.findings is None:
        return ""
    own = evidence.findings
    own = own[(own["family"] == family) & (own["cast"] == "all")]
    if not len(own):
        return ""
    parts = []
    for verdict, said in (
        ("supported", "supported"),
        ("opposite", "the opposite of what was expected"),
        ("cannot tell", "not told from none"),
        ("not testable", "not testable here"),
    ):
        names = [_named(str(name), verdict) for name in own[own["verdict"] == verdict]["finding"]]
        if names:
            parts.append(f"{len(names)} {'is ' if len(names) == 1 else 'are '}{said} ({listed(names)})")
    asked = f"Of {counted(len(own), 'hypothesis', 'hypotheses')} about “{evidence.positive}”"
    return f"{asked}, {'; '.join(parts)}."


def section(evidence: Evidence) -> Section:
    """The first screen."""
    locked = int((evidence.dataset["split"] == "test").sum())
    test = f"The test split ({counted(locked, 'image')}) is locked: nothing on this page has seen it."
    paragraphs = [
        _scored(evidence),
        _ranked(evidence),
        _recognised(evidence),
        _explained(evidence),
        tallied(evidence),
        test if locked else "",
    ]
    values = {
        "question": asked(evidence),
        "paragraphs": [text for text in paragraphs if text],
        "tiles": _tiles(evidence),
        "warnings": evidence.warnings,
    }
    return Section("answer", "The answer in brief", "In brief", "", values)
