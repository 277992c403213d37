"""How it was done, in sentences that hold for this run: folds, intervals, explanations, tests.

Owns the methods of the paper, each with its source, and leaves out those that were not used. Refuses to know
what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from classifiers.report.writing.facts import Cast, Folds, board_of, cast_of, folds_of, has_intervals, setting
from classifiers.report.writing.words import (
    Safe,
    amount,
    code,
    counted,
    escaped,
    listed,
    number,
    percent,
    row_of,
)

if TYPE_CHECKING:
    from classifiers.report.evidence import Evidence
    from classifiers.report.writing.references import Citations
    from extractors.base import Card

__all__ = ["card_of", "licence_of", "methods", "store_rows", "summary_of"]

#: Extractor -> source of its network.
_NETWORKS: Final = {
    "clip": "radford2021", "vggface2": "cao2018", "arcface": "deng2019", "dlib": "king2009",
    "resnet18": "he2016",
}  # fmt: skip


def methods(evidence: Evidence, cited: Citations) -> dict[str, Any]:
    """What the section on methods holds, by name."""
    cast, folds = cast_of(evidence), folds_of(evidence)
    return {
        "stores": store_rows(evidence, cited),
        "coverage": coverage(evidence),
        "tuned": _tuned(evidence, cited),
        "fused": _fused(evidence),
        "folding": _folding(evidence, cast, folds, cited),
        "intervals": _intervals(evidence, cast, folds, cited),
        "selection_method": _selection(evidence, cited),
        "shortcut_method": _shortcuts(evidence, cited),
        "leakage_method": _leakage(evidence),
        "importance_method": _importance(evidence, cited),
        "edit_method": _edits(evidence, cited),
        "concordance_method": _concordance(evidence),
        "findings_method": _findings(evidence, cited),
    }


def card_of(name: str) -> Card | None:
    """What an extractor says of itself; None of rows that another tool made."""
    from featurestore import plugins

    zoo = "extractors.zoo"
    if name not in plugins.listing(zoo):
        return None
    found: Card = plugins.load(zoo, name, key="features").CARD
    return found


def summary_of(extractor: str) -> str:
    """One line on an extractor; on rows that were brought along, that they were."""
    card = card_of(extractor)
    return "rows of another tool, imported" if card is None else str(card.summary)


def licence_of(extractor: str) -> str:
    """Licence of an extractor's code and weights."""
    card = card_of(extractor)
    return "not known here: the rows come from another tool" if card is None else str(card.licence)


def store_rows(evidence: Evidence, cited: Citations) -> list[list[object]]:
    """One row an extractor: name, columns, rows, how many could not be computed, what it is."""
    rows: list[list[object]] = []
    for store in evidence.stores:
        name = str(store["extractor"])
        source = f" {cited.cite(_NETWORKS[name])}" if name in _NETWORKS else ""
        what = Safe(f"{escaped(summary_of(name))}{source}")
        rows.append([code(name), f"{store['columns']:,}", f"{store['rows']:,}", f"{store['not_ok']:,}", what])
    return rows


def coverage(evidence: Evidence) -> Safe:
    """Of which class how many rows could be computed; a miss may tell the class."""
    blocks = evidence.metrics.get("coverage", [])
    names = dict.fromkeys(str(block["extractor"]) for block in blocks)
    lacking = []
    for name in names:
        shares = [(block["class"], block["ok"]) for block in blocks if block["extractor"] == name]
        if any(share < 1 for _, share in shares):
            parts = listed([Safe(f"{percent(share)} of {escaped(label)}") for label, share in shares])
            lacking.append(f"{code(name)} computed {parts}")
    if not lacking:
        what = "The extractor" if len(names) == 1 else "Every extractor"
        return Safe(f"{what} could compute every image.")
    return Safe(
        f"{'; '.join(lacking)}. A row that could not be computed is filled with medians inside the fold, "
        "and stays in training and scoring; that it is missing may itself tell the class."
    )


def _tuned(evidence: Evidence, cited: Citations) -> Safe:
    decision = str(evidence.metrics.get("decision", ""))
    if not decision:
        return Safe("")
    source = f" {cited.cite('platt1999')}" if "sigmoid" in decision else ""
    return Safe(f", and {escaped(decision)}{source}")


def _fused(evidence: Evidence) -> Safe:
    if len(evidence.stores) < 2:
        return Safe("")
    how = evidence.metrics.get("fusion") or "early fusion, all columns side by side"
    return Safe(f" The columns of its extractors meet by {escaped(how)}.")


def _folding(evidence: Evidence, cast: Cast, folds: Folds, cited: Citations) -> Safe:
    if folds.on == "cv":
        return _folded(cast, folds, cited)
    said = (
        f"{escaped(folds.reason)}. So the chosen head was fitted on train and asked about val, "
        f"{amount(folds.n_images, 'image')} in {amount(folds.n_groups, 'group')} that nothing was fitted on."
    )
    if folds.folds > 1:
        said += f" Without {listed(folds.learned, as_code=True)}, heads were cross-validated beside it. "
        said += _folded(cast, folds, cited)
    return Safe(said)


def _folded(cast: Cast, folds: Folds, cited: Citations) -> Safe:
    whole = "whole groups" if cast.whole else "single images"
    drawn = "once" if folds.repeats == 1 else f"{folds.repeats} times, each time with a seed of its own"
    each = "There" if folds.repeats == 1 else "In each drawing"
    return Safe(
        f"{counted(folds.folds).capitalize()} folds of {whole} over train and val, stratified by class, "
        f"were drawn {drawn}. {each} every image is scored once, by a head that was fitted on the other "
        "folds. All heads and all shortcuts have the same folds. Decisions are pooled before a measure is "
        "taken; AUC ranks an image only against others of its fold, since heads of two folds need not "
        f"agree in level {cited.cite('parker2007')}."
    )


def _intervals(evidence: Evidence, cast: Cast, folds: Folds, cited: Citations) -> Safe:
    from classifiers.intervals import MIN_GROUPS, widening

    few = counted(MIN_GROUPS)
    if not has_intervals(evidence):
        groups = amount(folds.n_groups, "group", words=True)
        return Safe(f"There are no intervals: {groups}, and fewer than {few} say too little of others.")
    draws = setting(evidence.params, "evaluation", "bootstrap", otherwise="many")
    whole = "whole groups" if cast.whole else "single images"
    said = f"95% of {draws:,} draws" if isinstance(draws, int) else "95% of draws"
    said += f" of {whole} with replacement {cited.cite('field2007')}."
    if folds.folds > 1:
        said += " Of cross-validated heads the distance of both ends from the score is multiplied by "
        said += f"{number(widening(folds.folds), 2)}, since heads of several folds are fitted on "
        said += f"overlapping rows and err together {cited.cite('nadeau2003', 'bouckaert2004')}."
    return Safe(
        f"{said} A difference of two heads is taken under the same draws. Fewer than {few} groups get none."
    )


def _selection(evidence: Evidence, cited: Citations) -> Safe:
    if len(board_of(evidence).heads) < 2:
        return Safe("There was one head, and nothing to select.")
    return Safe(
        "How far a head stands behind the best is held against the largest distance of any head behind any "
        f"other under joint draws of groups, a range statistic {cited.cite('tukey1953')}, so that both the "
        "pick of the best and the number of heads are paid for. A head is called worse where p is at most "
        "0.05; any other head *cannot be told* from the best. The score of the winner is corrected for "
        f"having been picked by bootstrap bias-corrected cross-validation {cited.cite('tsamardinos2018')}. "
        "With fewer than ten groups neither is done."
    )


def _shortcuts(evidence: Evidence, cited: Citations) -> Safe:
    if not len(evidence.shortcuts):
        return Safe("No shortcut was tried, since nothing was cross-validated.")
    return Safe(
        "A score may come from the file or the frame rather than from the character "
        f"{cited.cite('geirhos2020')}. What can be known without it (format and quality, the outer ring of "
        "the image, the series, the search query, which extractor failed) is given to a small forest on the "
        "same folds. One that is better than chance and reaches the interval of one of the best heads is "
        "named in the first paragraph."
    )


def _leakage(evidence: Evidence) -> Safe:
    if "none" in set(evidence.leakage["part"]):
        return Safe("Not measured here.")
    return Safe(
        "The chosen head is scored again on folds that keep less together: single images, near-duplicates, "
        "characters, series. The difference is what a looser split would flatter it by. Then it is fitted "
        "on labels that were exchanged among groups, so that they follow the group and no longer the "
        "design: what it scores on these is what recognition earns."
    )


def _importance(evidence: Evidence, cited: Citations) -> Safe:
    if evidence.importance is None:
        return Safe("Not measured here.")
    found = set(evidence.importance["method"])
    unit = f", in {escaped(evidence.shap_unit)}" if evidence.shap_unit else ""
    ways = {
        "permutation": ("AUC lost on held-out rows when a column is shuffled", ()),
        "shap": (f"mean absolute Shapley values of held-out rows{unit}", ("lundberg2017",)),
        "coefficient": ("standardised coefficients of `logreg`", ()),
        "forest": ("mean decrease of impurity in `rf`", ("breiman2001",)),
    }
    named = [
        Safe(f"{text} (*{name}*){f' {cited.cite(*keys)}' if keys else ''}")
        for name, (text, keys) in ways.items()
        if name in found
    ]
    draws = setting(evidence.params, "explanation", "permutations", otherwise=None)
    times = f", {amount(draws, 'time')}," if draws else ""
    return Safe(
        f"In every fold: {listed(named)}. Each is held against what the same method gives where labels were "
        f"exchanged between whole groups, and between the parts of a mixed one{times} and p is the share of "
        f"these at or above it, the real labels included {cited.cite('altmann2010')}. Columns that go together hide each other, so clusters of "
        "them and the columns of each hypothesis are also taken as one. The columns of an embedding mean "
        "nothing one by one: it is a single block."
    )


def _edits(evidence: Evidence, cited: Citations) -> Safe:
    if evidence.counterfactuals is None:
        return Safe("No image was edited here.")
    rows = row_of(evidence.counterfactuals)
    kinds = {str(row["edit"]) for row in rows if row["kind"] == "edit"}
    shams = any(row["kind"] == "sham" for row in rows)
    said = f"The pixels of some images were changed along {amount(len(kinds), 'axis', 'axes', words=True)}, "
    said += "one at a time, the rows extracted again and held-out heads asked again. A column of the design "
    said += "features measures how far each edit moved what it is meant to move."
    if shams:
        said += " Beside each stands a sham: a change of the same size whose spatial phases were drawn anew "
        said += (
            f"{cited.cite('theiler1992')}. A head that answers to the sham as to the edit answers to change."
        )
    return Safe(said)


def _concordance(evidence: Evidence) -> Safe:
    if evidence.concordance is None:
        return Safe("Not measured here.")
    return Safe(
        "The chosen head is fitted on the columns of one network alone. Its out-of-fold log-odds are then "
        "predicted from the design features, by ridge regression on the same folds; R² is the share of "
        "their variance that the design features account for. What bends is not seen by ridge, so that R² "
        "is a lower bound."
    )


def _findings(evidence: Evidence, cited: Citations) -> Safe:
    if evidence.findings is None:
        return Safe("No claim was tested here.")
    rows = row_of(evidence.findings)
    draws = setting(evidence.params, "explanation", "draws", otherwise=None)
    times = f", at least {draws:,} times" if isinstance(draws, int) else ""
    said = [
        "A difference between roles is that of a model in which images of one group share an intercept, "
        "technical columns (size, format, quality) beside the role. p comes from exchanging roles between "
        f"groups{times}, the real roles included {cited.cite('phipson2010')}; each exchange is judged by an "
        f"estimate over an error that takes each group's images together {cited.cite('liang1986')}."
    ]
    if any(row["family"] == "study" and "ratio" in str(row["what"]) for row in rows):
        said.append(
            f"Whether a role is drawn more variously is a test of dispersion {cited.cite('anderson2006')}."
        )
    margin = setting(evidence.params, "explanation", "margin", otherwise=None)
    if margin is not None and any("no worse" in f"{row['what']} {row['sentence']}" for row in rows):
        said.append(f"*No worse* means: by no more than {margin:g} of AUC, a margin that was set beforehand.")
    said.append(
        f"p-values of one family are corrected for their number {cited.cite('holm1979')}; *supported* and "
        "*opposite* mean less than 0.05 after that."
    )
    if any(row["cast"] != "all" for row in rows):
        said.append("Where it is known who is an antihero, everything is tested a second time without these.")
    return Safe(" ".join(said))
