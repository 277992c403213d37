"""``results/model_card.md``: what the chosen head is, what it is for, how well it does, on what it stands.

Owns the card's parts, after Mitchell et al. (2019), Model cards for model reporting; the words between them
are ``templates/model_card.md.j2``. Reads an `Evidence` (and, if given, the images' roles) and nothing else,
so that the same evidence gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from classifiers.report.unknowns import unknowns
from classifiers.report.writing import methods, passages
from classifiers.report.writing.breakdown import Share, by_class, by_kind, by_role
from classifiers.report.writing.cells import (
    chosen_cells,
    digest_cells,
    digits_said,
    shortcut_cells,
    split_cells,
)
from classifiers.report.writing.facts import Cast, cast_of, folds_of, setting
from classifiers.report.writing.words import (
    Safe,
    amount,
    code,
    counted,
    escaped,
    known,
    listed,
    measured,
    number,
    rendered,
    row_of,
)
from featurestore.files import write_text_atomic

if TYPE_CHECKING:
    from classifiers.report.evidence import Evidence

__all__ = ["MODEL_CARD", "model_card", "write_model_card"]

#: Name of the document below ``results/``.
MODEL_CARD: Final = "model_card.md"


def write_model_card(evidence: Evidence, *, results: Path, roles: Mapping[str, str] | None = None) -> Path:
    """Write ``model_card.md``.

    Parameters
    ----------
    evidence : Evidence
        From `classifiers.report.evidence.read_evidence`.
    results : Path
        The folder to write to.
    roles : mapping of str to str, optional
        Key of an image -> its role (``metadata/characters.csv``), where it is finer than the label.

    Returns
    -------
    Path
        The file.
    """
    path = results / MODEL_CARD
    write_text_atomic(path, model_card(evidence, roles=roles))
    return path


def model_card(evidence: Evidence, *, roles: Mapping[str, str] | None = None) -> str:
    """The document as Markdown."""
    from classifiers.report.writing.references import SOURCES

    cast, folds = cast_of(evidence), folds_of(evidence)
    header, rows = chosen_cells(evidence)
    ladder = (passages.ladder_said(evidence), passages.meter_said(evidence))
    values = {
        "evidence": evidence,
        "card": evidence.card,
        "classes": evidence.classes,
        "positive": evidence.positive,
        "cast": cast,
        "opening": passages.opening(evidence, cast, folds),
        "digits": digits_said(evidence),
        "details": _details(evidence),
        "load": _load(evidence),
        "factors": _factors(evidence, cast),
        "files": passages.files_said(cast),
        "splits": split_cells(cast.counts),
        "groups_said": passages.groups_said(
            cast, str(setting(evidence.params, "data", "group", otherwise="series"))
        ),
        "coverage": methods.coverage(evidence),
        "evaluated": _evaluated(evidence),
        "chosen_header": header,
        "chosen_rows": rows,
        "majority": _majority(evidence),
        **_broken_down(evidence, roles or {}),
        **_calibration(evidence),
        "threshold": _threshold(evidence),
        "shortcuts": passages.shortcuts_said(evidence),
        "shortcut_rows": shortcut_cells(evidence),
        "ladder": Safe(" ".join(filter(None, ladder))),
        "ethics": _ethics(evidence),
        "open": passages.unknowns_said(one for one in unknowns(evidence) if one.of_model),
        "licences": _licences(evidence),
        "licence_notes": _licence_notes(evidence),
        "digests": [*_file_digests(evidence), *digest_cells(evidence)],
    }
    return rendered("model_card.md.j2", values, {"cite_plain": lambda key: Safe(SOURCES[key].said)})


def _names(evidence: Evidence) -> list[str]:
    return [str(store["extractor"]) for store in evidence.stores]


def _details(evidence: Evidence) -> list[Safe]:
    from classifiers.tables import head_summaries

    card, head = evidence.card, evidence.head
    summary = head_summaries().get(head, "").rstrip(".")
    params = listed([f"{k}={v}" for k, v in sorted(dict(card.get("params", {})).items())], as_code=True)
    versions = listed([f"{k} {v}" for k, v in sorted(dict(card.get("versions", {})).items())])
    lines = [
        f"Head: {code(head)}" + (f" ({escaped(summary)})." if summary else "."),
        f"Parameters: {params}; seed {escaped(card.get('seed', 'unknown'))}."
        if params
        else "It has no parameters.",
        f"Input: {amount(card['n_columns'], 'column')} of {listed(card['extractors'], as_code=True)}.",
        f"Output: a probability for each of {listed(card['labels'])}; {escaped(evidence.positive)} is the "
        "class that scores of one class speak of.",
    ]
    for key, what in (("fusion", "Extractors meet by"), ("decision", "Decisions")):
        if evidence.metrics.get(key):
            lines.append(f"{what}: {escaped(evidence.metrics[key])}.")
    if card.get("search"):
        found = card["search"]
        chosen = listed([f"{k}={v}" for k, v in sorted(dict(found.get("params", {})).items())], as_code=True)
        lines.append(
            f"Searched inside train: {chosen}, the best of {amount(found.get('tried'), 'candidate')}."
        )
    if versions:
        lines.append(f"Fitted with {versions}.")
    return [Safe(line) for line in lines]


def _load(evidence: Evidence) -> Safe:
    cards = {name: methods.card_of(name) for name in _names(evidence)}
    foreign = [name for name, card in cards.items() if card is None]
    if foreign:
        return Safe(
            f"It cannot answer a picture that is new: the rows of {listed(foreign, as_code=True)} come from "
            "another tool. With extractors of kyara's alone it would be:"
        )
    heavy = [name for name, card in cards.items() if card is not None and card.extra]
    more = f", with {listed(heavy, as_code=True)} and what they stand on installed" if heavy else ""
    return Safe(f"It answers a picture by extracting its row as those of the study were{more}:")


def _factors(evidence: Evidence, cast: Cast) -> Safe:
    said = "Scores are given by class"
    said += ", by whether a group holds one label or several" if cast.whole else ""
    return Safe(
        f"{said}, and by role where the data know one. What else may matter and is not broken down: the "
        "hand that drew, the period, the medium, the crop, and every group of readers for whom a convention "
        "means something else."
    )


def _evaluated(evidence: Evidence) -> Safe:
    cv, val = evidence.metrics["cv"], evidence.metrics["val"]
    said = f"*val*: {amount(val['n'], 'image')} in {amount(val['groups'], 'group')}, answered by this model."
    if "table" not in cv:
        return Safe(f"{said} There is no *cv*: {escaped(cv.get('reason', 'it was not run'))}.")
    return Safe(
        f"*cv*: {amount(cv['n'], 'image')} of train and val in {amount(cv['groups'], 'group')}, each "
        f"answered by heads of the same kind that were fitted on other folds. {said}"
    )


def _majority(evidence: Evidence) -> Safe:
    majority = evidence.measure("accuracy")["majority"]
    notes = [note for part in ("cv", "val") for note in evidence.metrics[part].get("notes", [])]
    said = f"Always answering the most frequent class has an accuracy of {number(majority)}."
    return Safe(" ".join([said, *(f"{escaped(note)}." for note in dict.fromkeys(notes))]))


def _broken_down(evidence: Evidence, roles: Mapping[str, str]) -> dict[str, Any]:
    parts = [part for part in ("cv", "val") if "table" in evidence.metrics[part]]
    labels = dict(zip(evidence.dataset["key"], evidence.dataset["label"], strict=True))
    pairs = {(labels[key], role) for key, role in roles.items() if role and key in labels}
    finer = len(pairs) > len({label for label, _ in pairs})
    kinds = []
    for part in parts:
        shares = [*by_kind(evidence, part), *(by_role(evidence, part, roles) if finer else [])]
        kinds.append({"part": part, "rows": [[one.name, *_of(one), _share(one)] for one in shares]})
    return {
        "by_class": [{"part": part, "rows": _class_rows(by_class(evidence, part))} for part in parts],
        "by_kind": kinds,
        "roles_said": Safe("" if finer else "No roles finer than the labels are known."),
    }


def _of(one: Share) -> list[object]:
    return [f"{one.n_images:,}", f"{one.n_groups:,}"]


def _share(one: Share) -> Safe:
    return measured(one.score, one.low, one.high)


def _class_rows(shares: Sequence[Share]) -> list[list[object]]:
    rows: list[list[object]] = []
    for i in range(0, len(shares), 3):
        recall, precision, f1 = shares[i : i + 3]
        rows.append([recall.name, *_of(recall), _share(recall), _share(precision), _share(f1)])
    return rows


def _calibration(evidence: Evidence) -> dict[str, Any]:
    """Whether probabilities are what they say, in words and as a table."""
    how = str(setting(evidence.params, "calibration", otherwise="none"))
    brier = evidence.measure("brier")
    said = (
        f"Probabilities were mapped to observed shares by a {escaped(how)} inside the fitted rows."
        if how != "none"
        else "Probabilities are as the head gives them: as if every class were as frequent as the others."
    )
    said += (
        f" Brier score {measured(brier['score'], brier['low'], brier['high'])}; the class shares alone have "
    )
    said += f"{number(brier['majority'])}."
    bins = row_of(evidence.calibration)
    ended = [b for b in bins if known(b["low"]) is not None]
    off = [b for b in ended if not float(b["low"]) <= float(b["mean_predicted"]) <= float(b["high"])]
    if ended:
        n_off = "none" if not off else counted(len(off))
        said += f" In {n_off} of {amount(len(ended), 'bin', words=True)} the interval of the observed share "
        said += "misses the mean probability."
    rows = [
        [number(b["mean_predicted"]), measured(b["share_positive"], b["low"], b["high"]), number(b["n"], 0)]
        for b in bins
    ]
    return {"calibration": Safe(said), "calibration_rows": rows}


def _threshold(evidence: Evidence) -> Safe:
    how = str(setting(evidence.params, "threshold", otherwise="default"))
    if how == "default":
        return Safe("It answers the likeliest class; no threshold was tuned.")
    return Safe(
        f"It answers {escaped(evidence.positive)} from a threshold on, which was tuned by "
        f"{escaped(how.replace('_', ' '))} on folds inside the fitted rows, anew in every fold of *cv*."
    )


def _ethics(evidence: Evidence) -> Safe:
    said = "The labels say what part a character plays in a story. Conventions that mark villains draw on "
    said += "scars, darkness and other traits of real people; to find a convention is not to endorse it, "
    said += "and a model that has learned it passes it on."
    learned = [name for name in _names(evidence) if name in ("vggface2", "arcface", "dlib")]
    if learned:
        said += f" {listed(learned, as_code=True)} {'was' if len(learned) == 1 else 'were'} trained on "
        said += "photographs of people that were collected from the web."
    return Safe(said)


def _licences(evidence: Evidence) -> list[list[object]]:
    rows: list[list[object]] = [["kyara's code", "Apache-2.0"]]
    rows += [[code(name), methods.licence_of(name)] for name in _names(evidence)]
    images = (
        "drawn by kyara's own code" if evidence.demo else "not recorded; whoever collected them must know"
    )
    return [*rows, ["images", images]]


def _licence_notes(evidence: Evidence) -> Safe:
    if "arcface" not in _names(evidence):
        return Safe("")
    return Safe(
        "**The weights of** `arcface` **are for non-commercial research alone, and so is whatever stands on "
        "its rows, this model included.**"
    )


def _file_digests(evidence: Evidence) -> list[list[object]]:
    files = dict(evidence.card.get("files", {}))
    return [[f"model/{name} (sha256)", code(about["sha256"])] for name, about in sorted(files.items())]
