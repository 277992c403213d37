"""``results/research_report.md``: what a run found, as a short paper with the numbers filled in.

Owns which passages stand where; sentences are of `passages` and `explained`, the words between them of
``templates/research_report.md.j2``. Reads an `Evidence` and nothing else, so that the same evidence gives the
same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from classifiers.report.unknowns import unknowns
from classifiers.report.writing import cells, explained, methods, passages
from classifiers.report.writing.claims import Claims, claims
from classifiers.report.writing.facts import Board, board_of, boards, cast_of, folds_of, setting
from classifiers.report.writing.references import Citations
from classifiers.report.writing.words import (
    Safe,
    amount,
    code,
    escaped,
    known,
    listed,
    measured,
    number,
    rendered,
)
from featurestore.files import write_text_atomic

if TYPE_CHECKING:
    from classifiers.report.evidence import Evidence

__all__ = ["PROSE", "prose", "write_prose"]

#: Name of the document below ``results/``.
PROSE: Final = "research_report.md"


def write_prose(evidence: Evidence, *, results: Path) -> Path:
    """Write ``research_report.md``.

    Parameters
    ----------
    evidence : Evidence
        From `classifiers.report.evidence.read_evidence`.
    results : Path
        The folder to write to.

    Returns
    -------
    Path
        The file.
    """
    path = results / PROSE
    write_text_atomic(path, prose(evidence))
    return path


def prose(evidence: Evidence) -> str:
    """The document as Markdown."""
    cited = Citations()
    values = {**_frame(evidence), **methods.methods(evidence, cited), **_results(evidence)}
    return rendered("research_report.md.j2", values, {"cite": cited.cite, "bibtex": cited.bibtex})


def _frame(evidence: Evidence) -> dict[str, Any]:
    """Everything but methods and results."""
    cast, folds, board = cast_of(evidence), folds_of(evidence), board_of(evidence)
    found = claims(evidence)
    n_classes = len(evidence.classes)
    return {
        "evidence": evidence,
        "classes": evidence.classes,
        "positive": evidence.positive,
        "cast": cast,
        "board": board,
        "opening": passages.opening(evidence, cast, folds),
        "digits": cells.digits_said(evidence),
        "n_columns": sum(int(store["columns"]) for store in evidence.stores),
        "asked": Safe("images" if not cast.whole else "groups"),
        "told": passages.told(board, n_classes=n_classes),
        "beside": _beside(board),
        "counted": found.counted,
        "hypotheses": _hypotheses(found),
        "files": passages.files_said(cast),
        "splits": cells.split_cells(cast.counts),
        "groups_said": passages.groups_said(
            cast, str(setting(evidence.params, "data", "group", otherwise="series"))
        ),
        "open": passages.unknowns_said(unknowns(evidence)),
        "extras": _extras(evidence),
        "seed": passages.seed_of(evidence),
        "digests": cells.digest_cells(evidence),
    }


def _beside(board: Board) -> Safe:
    """What those score that learn nothing, or see no character."""
    said = []
    rule = board.row("convention")
    if rule is not None and known(rule["auc_low"]) != known(rule["auc_high"]):  # else it had no column
        auc = measured(rule["auc"], rule["auc_low"], rule["auc_high"])
        said.append(f"A fixed rule of drawing convention, which learns nothing, has {auc}.")
    blind = [row for row in board.beside("shortcut") if (known(row["auc_low"]) or 0) > 0.5]
    if blind:
        best = max(blind, key=lambda row: float(row["auc"]))
        auc = measured(best["auc"], best["auc_low"], best["auc_high"])
        said.append(f"Without a look at the character, the shortcut {code(best['head'])} has {auc}.")
    return Safe(" ".join(said))


def _hypotheses(found: Claims) -> Safe:
    names = [escaped(str(row["finding"]).replace("_", " ")) for row in found.of("hypotheses")]
    if not names:
        return Safe("")
    n = amount(len(names), "hypothesis", "hypotheses", words=True).capitalize()
    return Safe(
        f"{n} of drawing convention, each with a direction, were fixed before any look: {listed(names)}."
    )


def _extras(evidence: Evidence) -> Safe:
    cards = {str(store["extractor"]): methods.card_of(str(store["extractor"])) for store in evidence.stores}
    names = sorted(name for name, card in cards.items() if card is not None and card.extra)
    return Safe(f" (`requirements/all.lock`, for {listed(names, as_code=True)})" if names else "")


def _results(evidence: Evidence) -> dict[str, Any]:
    """The tables and sentences of section 4."""
    folds, n_classes = folds_of(evidence), len(evidence.classes)
    found, features = claims(evidence), explained.importance(evidence)
    edited = explained.edits(evidence)
    header, rows = cells.chosen_cells(evidence)
    return {
        "boards": [
            {
                "caption": passages.board_caption(one, folds),
                "rows": [cells.board_cells(row) for row in one.rows],
                "told": passages.told(one, n_classes=n_classes),
            }
            for one in boards(evidence)
        ],
        "chosen": _chosen_said(evidence),
        "chosen_header": header,
        "chosen_rows": rows,
        "shortcuts": passages.shortcuts_said(evidence),
        "shortcut_rows": cells.shortcut_cells(evidence),
        "ladder": Safe(
            " ".join(filter(None, [passages.ladder_said(evidence), passages.meter_said(evidence)]))
        ),
        "curve": passages.curve_said(evidence),
        "findings_said": found.counted,
        "families": [{"title": title, "lines": lines} for title, lines in found.families],
        "importance_said": features.said,
        "importance_header": features.header,
        "importance_rows": features.rows,
        "importance_notes": features.notes,
        "edits_said": edited.said,
        "edit_header": edited.header,
        "edit_rows": edited.rows,
        "edit_notes": edited.notes,
        "concordance": explained.concordance_said(evidence),
    }


def _chosen_said(evidence: Evidence) -> Safe:
    """Which head the rest looks at, and where it stands."""
    every = boards(evidence)
    row = next((one.row(evidence.head) for one in every if one.on == evidence.scored_on), None)
    rank = None if row is None else known(row["rank"])
    where = "the leaderboard" if len(every) == 1 else f"those asked about {evidence.scored_on}"
    place = f", {_ordinal(int(rank))} of {where}" if rank else ""
    majority = evidence.measure("accuracy")["majority"]
    return Safe(
        f"The head of the following sections is {code(evidence.head)}{place}. Always answering the most "
        f"frequent class has an accuracy of {number(majority)}."
    )


def _ordinal(n: int) -> str:
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    return words[n - 1] if n <= len(words) else f"number {n}"
