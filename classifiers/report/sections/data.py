"""The pictures: how many, of what, in which split, and what some of them look like.

Owns the deterministic sample of the contact sheet: of each class equally many, by the order of their keys,
which are digests and know nothing of the picture. Images of the locked test split are not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from classifiers.report.evidence import Evidence
from classifiers.report.parts import Section, Table, plain
from featurestore.index import IMAGE_WISE
from featurestore.text import counted

__all__ = ["section", "shown"]

_SPLITS: Final = ("train", "val", "test")
_MOST_SHOWN: Final = 36
_MOST_QUARANTINED: Final = 40


def shown(evidence: Evidence) -> dict[str, list[str]]:
    """Class -> keys of the contact sheet, equally many of each where there are as many."""
    n = max(3, min(12, _MOST_SHOWN // max(1, len(evidence.classes))))
    rows = evidence.dataset[evidence.dataset["split"] != "test"]
    return {name: rows[rows["label"] == name]["key"].tolist()[:n] for name in evidence.classes}


def _counts(evidence: Evidence) -> Table:
    index = evidence.dataset
    rows = [
        (name, *(plain(int(((index["label"] == name) & (index["split"] == s)).sum())) for s in _SPLITS),
         plain(int((index["label"] == name).sum())))
        for name in evidence.classes
    ]  # fmt: skip
    totals = ("all", *(plain(int((index["split"] == s).sum())) for s in _SPLITS), plain(len(index)))
    groups = (
        "groups",
        *(plain(index[index["split"] == s]["group"].nunique()) for s in _SPLITS),
        plain(index["group"].nunique()),
    )
    header = ("class", *_SPLITS, "all")
    return Table("Images by class and split; groups by split", header, (*rows, totals, groups), "tnnnn")


def _quarantine(evidence: Evidence) -> Table | None:
    found = evidence.quarantine
    if not len(found):
        return None
    rows = tuple(
        (str(row["path"]), str(row["reason"]), str(row["detail"]))
        for _, row in found.head(_MOST_QUARANTINED).iterrows()
    )
    more = f", the first {_MOST_QUARANTINED}" if len(found) > _MOST_QUARANTINED else ""
    return Table(f"Files that are no usable image{more}", ("file", "reason", "detail"), rows, "wtw")


def _coverage(evidence: Evidence) -> Table | None:
    """Where an extractor could not compute every row."""
    short = [row for row in evidence.metrics.get("coverage", []) if row["ok"] < 1]
    if not short:
        return None
    rows = tuple((row["extractor"], row["class"], f"{row['ok']:.1%}", plain(row["n"])) for row in short)
    return Table("Rows that could be computed", ("extractor", "class", "share", "images"), rows, "ttnn")


def _facts(evidence: Evidence) -> list[tuple[str, str]]:
    index, data = evidence.dataset, evidence.data
    clusters = index[index["cluster"] != ""]["cluster"].nunique()
    sizes = index["group"].value_counts()
    spread = f"{sizes.min()} to {sizes.max()} images each" if len(sizes) else "none"
    exact = sum(int(row.get("exact_duplicates_left_out", 0)) for row in data.get("files", []))
    return [
        ("images", plain(len(index))),
        ("groups", f"{plain(len(sizes))} ({spread})"),
        ("split", str(data.get("split_kind", ""))),
        ("near-duplicates", counted(clusters, "cluster") if clusters else "none found"),
        ("exact duplicates left out", plain(exact)),
        ("files in quarantine", plain(len(evidence.quarantine))),
    ]


def section(evidence: Evidence, pictures: Mapping[str, str]) -> Section:
    """Counts and the contact sheet.

    Parameters
    ----------
    pictures : mapping of str to str
        Key -> data URI; one that is gone is left out.
    """
    paths = dict(zip(evidence.dataset["key"], evidence.dataset["path"], strict=True))
    groups = dict(zip(evidence.dataset["key"], evidence.dataset["group"], strict=True))
    sheet = [
        {
            "name": name,
            "images": [
                {"uri": pictures[key], "path": paths[key], "group": groups[key]}
                for key in keys
                if key in pictures
            ],
        }
        for name, keys in shown(evidence).items()
    ]
    values: dict[str, Any] = {
        "facts": _facts(evidence),
        "counts": _counts(evidence),
        "quarantine": _quarantine(evidence),
        "coverage": _coverage(evidence),
        "sheet": [one for one in sheet if one["images"]],
        "image_wise": evidence.metrics.get("split") == IMAGE_WISE,
    }
    aid = "A group (a series, or near-duplicates) never stands on both sides of a split."
    return Section("data", "The pictures", "Pictures", aid, values)
