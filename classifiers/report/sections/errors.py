"""The images that the chosen head is most wrong and least certain about.

Owns what is said beside each. Refuses to explain why: contributions are what the head added up, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from classifiers.report.evidence import Evidence
from classifiers.report.opinions import Opinions
from classifiers.report.parts import Section, score, short, signed
from classifiers.report.sections.contributions import contributions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST", "section"]

#: Of each kind.
MOST: Final = 9
_CONTRIBUTIONS: Final = 5


def _contributions(found: pd.DataFrame | None, key: str) -> list[dict[str, Any]]:
    """The largest, with the length of their bars as a share of the largest in tenths."""
    if found is None or key not in found.index:
        return []
    row = {str(name): float(one) for name, one in zip(found.columns, found.loc[key].to_numpy(), strict=True)}
    order = sorted(row, key=lambda name: (-abs(row[name]), name))[:_CONTRIBUTIONS]
    most = max((abs(row[name]) for name in order), default=0.0) or 1.0
    return [
        {
            "name": short(name),
            "value": signed(row[name], 2),
            "tenths": max(1, round(10 * abs(row[name]) / most)),
            "towards": row[name] > 0,
        }
        for name in order
    ]


def _card(
    key: str, rows: pd.DataFrame, opinions: Opinions, pictures: Mapping[str, str], found: pd.DataFrame | None
) -> dict[str, Any]:
    row, one = rows.loc[key], opinions.table.loc[key]
    return {
        "uri": pictures.get(key),
        "file": str(row["path"]).removeprefix("images/"),
        "label": str(row["label"]),
        "predicted": str(one["predicted"]),
        "p": score(one["p"]),
        "percent": round(100 * one["p"]),
        "spread": score(one["spread"]) if opinions.repeats > 1 else "",
        "of": " · ".join(filter(None, (str(row["character"]), str(row["series"])))),
        "contributions": _contributions(found, key),
    }


def section(evidence: Evidence, opinions: Opinions, pictures: Mapping[str, str]) -> Section:
    """Two rows of cards.

    Parameters
    ----------
    pictures : mapping of str to str
        Key -> data URI.
    """
    rows, found = evidence.dataset.set_index("key"), contributions(evidence)
    parts = [
        {"title": title, "note": note, "cards": [_card(key, rows, opinions, pictures, found) for key in keys]}
        for title, note, keys in (
            ("Most wrong", "Called something else, and with the most confidence.", opinions.wrong(MOST)),
            ("Least certain", "Where the two likeliest classes are nearest.", opinions.uncertain(MOST)),
        )
    ]
    wrong = int((opinions.table["label"] != opinions.table["predicted"]).sum())
    values = {
        "parts": parts,
        "positive": evidence.positive,
        "repeats": opinions.repeats,
        "wrong": wrong,
        "n": len(opinions.table),
        "unit": evidence.shap_unit,
        "explained": found is not None,
        "reason": evidence.missing.get("shap", ""),
        "part": opinions.part,
        "binary": len(evidence.classes) == 2,
    }
    aid = "Look for what these pictures share: a pattern says something of the head, or of the labels."
    return Section("errors", "Where it errs", "Errors", aid, values)
