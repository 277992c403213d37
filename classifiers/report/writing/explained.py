"""Sentences on why: importance, edited images, networks against design features.

Owns how these are put into words and tables, and what is said where one was not measured. Refuses to know
templates and files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from classifiers.report.writing.words import (
    DASH,
    Safe,
    amount,
    chance,
    code,
    counted,
    escaped,
    known,
    listed,
    measured,
    moved,
    number,
    percent,
    row_of,
)

if TYPE_CHECKING:
    from classifiers.report.evidence import Evidence

__all__ = ["METHODS", "Passage", "concordance_said", "edits", "importance", "spaced"]

Row = dict[str, Any]

#: Ways to measure importance, the one that orders the table first.
METHODS: Final = ("permutation", "shap", "coefficient", "forest")

_LEVEL: Final = 0.05

#: Rows of a table at most.
_SHOWN: Final = 10
_CLUSTERS: Final = 3


@dataclass(frozen=True)
class Passage:
    """Some sentences, and a table if there is one.

    Attributes
    ----------
    said : Safe
        Stands before the table; the reason where there is nothing to show.
    header, rows : list
    notes : Safe
        Stands below it.
    """

    said: Safe
    header: list[str] = field(default_factory=list)
    rows: list[list[object]] = field(default_factory=list)
    notes: str = ""


def _reason(evidence: Evidence, name: str) -> Safe:
    return Safe(f"Not measured: {escaped(evidence.missing.get(name, 'nothing was written'))}.")


def _readable(row: Row) -> bool:
    return row["level"] in ("column", "block")


def importance(evidence: Evidence) -> Passage:
    """Which features the chosen head goes by, and how far that is beyond chance."""
    if evidence.importance is None:
        return Passage(_reason(evidence, "importance"))
    rows = row_of(evidence.importance)
    methods = [m for m in METHODS if any(r["method"] == m and _readable(r) for r in rows)]
    if not methods:
        return Passage(Safe("Not measured: there is no column that could be ranked."))
    of = {m: {r["name"]: r for r in rows if r["method"] == m and _readable(r)} for m in methods}
    order = sorted(of[methods[0]].values(), key=_by_rank)
    header = ["column", "kind", methods[0], "exchanged labels, 95%", "p", "more of it speaks"]
    header += [f"rank by {m}" for m in methods[1:]] + ["among the ten largest"]
    cells = [
        _importance_cells(r, [of[m].get(r["name"]) for m in methods[1:]], evidence) for r in order[:_SHOWN]
    ]
    return Passage(_above_said(of, order), header, cells, _together_said(rows, methods[0]))


def _by_rank(row: Row) -> tuple[float, str]:
    rank = known(row["rank"])
    return (float("inf") if rank is None else rank, str(row["name"]))


def _above_said(of: Mapping[str, Mapping[str, Row]], order: list[Row]) -> Safe:
    """How many columns stand above what exchanged labels give, by each method; how many would by chance."""
    one, many = ("column", "columns")
    if any(r["level"] == "block" for r in order):
        one, many = ("column or block", "columns and blocks")
    first, n = next(iter(of)), len(order)
    ranked = f"The table is of {code(order[0]['head'])}, ordered by {first}."
    tested = {
        method: [p for r in rows.values() if (p := known(r["p"])) is not None] for method, rows in of.items()
    }
    found = [
        Safe(f"{counted(above) if (above := sum(p <= _LEVEL for p in ps)) else 'none'} by {method}")
        for method, ps in tested.items()
        if ps
    ]
    if not found:
        return Safe(
            f"{ranked} What exchanged labels give is not known, so that no rank can be told from chance."
        )
    n_chance = number(n * _LEVEL, 0 if n >= 20 else 2)
    return Safe(
        f"Of {amount(n, one, many, words=True)}, these stand above what exchanged labels give: "
        f"{listed(found)} (p at most 0.05, each by itself; by chance alone about {n_chance} would). {ranked}"
    )


def _importance_cells(row: Row, others: list[Row | None], evidence: Evidence) -> list[object]:
    sign = known(row["direction"])
    if sign is None:
        sign = next((s for o in others if o and (s := known(o["direction"])) is not None), None)
    speaks = DASH if not sign else f"{'for' if sign > 0 else 'against'} {evidence.positive}"
    spread = "" if known(row["sd"]) is None else f" ± {number(row['sd'], 4)}"
    return [
        code(row["name"]),
        row["group"] or DASH,
        Safe(f"{number(row['mean'], 4)}{spread}"),
        number(row["null_high"], 4),
        number(row["p"]),
        speaks,
        *(number(None if one is None else one["rank"], 0) for one in others),
        percent(row["top_ten"]),
    ]


def _together_said(rows: list[Row], method: str) -> Safe:
    """What is said below the table: columns taken together."""
    said = [
        "± is the standard deviation over folds. Columns that go together share their importance, so that a "
        "small one may still be used."
    ]
    found = sorted((r for r in rows if (r["level"], r["method"]) == ("hypothesis", method)), key=_by_rank)
    if found:
        first = [
            Safe(f"{escaped(spaced(r['name']))} ({number(r['mean'], 4)}, {chance(r['p'])})") for r in found
        ]
        said.append(f"The columns of each hypothesis together: {listed(first)}.")
    clusters = [r for r in rows if (r["level"], r["method"]) == ("cluster", method)]
    several = sorted((r for r in clusters if _n_members(r) > 1), key=_by_rank)[:_CLUSTERS]
    if several:
        first = [
            Safe(f"{code(r['name'])} and {_n_members(r) - 1} more ({number(r['mean'], 4)})") for r in several
        ]
        said.append(f"Of clusters of columns that go together, these weigh most: {listed(first)}.")
    return Safe(" ".join(said))


def _n_members(row: Row) -> int:
    """Columns of a cluster: names begin with their extractor and a slash, and may hold blanks."""
    extractor = str(row["name"]).partition("/")[0]
    words = str(row["members"]).split()
    return max(1, sum("/" in word for word in words) if extractor else len(words))


def spaced(name: object) -> str:
    """A hypothesis as a sentence names it."""
    return str(name).replace("_", " ")


def edits(evidence: Evidence) -> Passage:
    """What the heads say of images in which one thing was changed."""
    if evidence.counterfactuals is None:
        return Passage(_reason(evidence, "counterfactuals"))
    rows = row_of(evidence.counterfactuals)
    heads = list(dict.fromkeys(str(r["head"]) for r in rows))
    head = evidence.head if evidence.head in heads else heads[0]
    own = [r for r in rows if r["head"] == head and known(r["dose"])]
    shams = {(r["edit"], r["dose"]): r for r in own if r["kind"] == "sham"}
    edited = [r for r in own if r["kind"] == "edit"]
    ends = {(r["edit"], r["dose"]): r for r in edited if abs(r["dose"]) == _largest(edited, r)}
    moves = sum(_apart(r) for r in ends.values())
    shammed = sum(_apart(shams[key]) for key in ends if key in shams)
    said = f"{code(head)} was asked about {amount(_most(edited, 'images'), 'image')} in "
    said += f"{amount(_most(edited, 'groups'), 'group')}. At the strongest doses the mean probability of "
    said += f"{escaped(evidence.positive)} changed, with an interval that holds no 0, in "
    said += f"{_of_all(moves, len(ends))} {'edit' if len(ends) == 1 else 'edits'}"
    said += f", and by the sham in {_of_all(shammed, len(ends))}." if shams else "."
    header = ["edit", "dose", "what it moves, sd", "change", "change by the sham", "within real images"]
    table = [_edit_cells(r, shams.get(key)) for key, r in ends.items()]
    notes = "The change is that of the mean probability; a sham alters as many grey levels and means nothing."
    if len(heads) > 1:
        others = [h for h in heads if h != head]
        some = (
            listed(others, as_code=True)
            if len(others) < 4
            else f"{counted(len(others)).capitalize()} other heads"
        )
        notes += f" {some} {'was' if len(others) == 1 else 'were'} asked too: "
        notes += "results/explanation/counterfactuals.csv."
    beyond = sum(known(r["within"]) == 0 for r in ends.values())
    if beyond:
        notes += f" {amount(beyond, 'edit').capitalize()} left the range of the real images: what a head "
        notes += "says there is a guess."
    return Passage(Safe(said), header, table, Safe(notes))


def _of_all(n: int, of: int) -> str:
    return f"{'none' if not n else 'each' if n == of else counted(n)} of {counted(of)}"


def _largest(rows: list[Row], one: Row) -> float:
    return max(abs(float(r["dose"])) for r in rows if r["edit"] == one["edit"])


def _most(rows: list[Row], name: str) -> int:
    return max((int(known(r[name]) or 0) for r in rows), default=0)


def _apart(row: Row) -> bool:
    """Whether the interval of a change holds no 0."""
    low, high = known(row["low"]), known(row["high"])
    return low is not None and high is not None and (low > 0 or high < 0)


def _edit_cells(row: Row, sham: Row | None) -> list[object]:
    from extractors.edits import EDITS

    edit, dose = EDITS.get(str(row["edit"])), float(row["dose"])
    how = "" if edit is None else f": {edit.more if dose > 0 else edit.less}"
    within = known(row["within"])
    return [
        f"{row['edit']}{how}",
        Safe(f"{dose:+g}"),
        Safe(f"{code(row['dial'])} {'+' * ((known(row['dial_sd']) or 0) > 0)}{number(row['dial_sd'], 2)}"),
        moved(row["change"], row["low"], row["high"]),
        DASH if sham is None else moved(sham["change"], sham["low"], sham["high"]),
        DASH if within is None else "yes" if within == 1 else "no",
    ]


def concordance_said(evidence: Evidence) -> list[Safe]:
    """How much of what a network says the design features account for."""
    if evidence.concordance is None:
        return [_reason(evidence, "concordance")]
    return [_concordant(name, one) for name, one in sorted(evidence.concordance.items())]


def _concordant(name: str, one: Mapping[str, Any]) -> Safe:
    said = f"{code(name)}: the design features account for a share (R²) of "
    said += f"{measured(one.get('r2'), one.get('low'), one.get('high'))} of how far its columns place an "
    said += f"image on the positive side, over {amount(one.get('images'), 'image')} in "
    said += f"{amount(one.get('groups'), 'group')}."
    paths = list(one.get("unexplained") or [])
    if paths:
        said += f" Farthest from what they say: {listed(paths[:5], as_code=True)}."
    return Safe(said)
