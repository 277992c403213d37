"""What the evidence says, in the terms that sentences need: who ranks first, and who may be as good.

Owns these readings, one small value a section, for every document that is written in words. Refuses to know
Markdown and how a sentence is put.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from classifiers.report.writing.words import known, row_of
from featurestore.index import IMAGE_WISE

if TYPE_CHECKING:
    from classifiers.report.evidence import Evidence

__all__ = [
    "Board",
    "Cast",
    "Folds",
    "board_of",
    "boards",
    "cast_of",
    "folds_of",
    "has_intervals",
    "setting",
]

Row = dict[str, Any]

#: Kinds of entries that compete for the first rank.
_COMPETING: Final = ("head", "network")


def setting(params: Mapping[str, Any], *keys: str, otherwise: Any = None) -> Any:
    """One value of params.yaml, or ``otherwise`` where it is left out."""
    found: Any = params
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return otherwise if found is None else found


@dataclass(frozen=True)
class Cast:
    """The data set.

    Attributes
    ----------
    counts : tuple of Row
        Of each label: label, train, val, test, all.
    split_kind : str
        As dataset.csv was split: by what, or image by image.
    whole : bool
        Whether it is known which images belong together.
    unusable : tuple of Row
        reason and files, most frequent first.
    duplicates : int
        Files left out, since another has the same bytes.
    clusters : int
        Of near-duplicates that are kept together.
    """

    n_files: int
    n_images: int
    n_groups: int
    counts: tuple[Row, ...]
    split_kind: str
    whole: bool
    unusable: tuple[Row, ...]
    duplicates: int
    clusters: int

    def total(self, split: str) -> int:
        """Images of a split."""
        return sum(int(row[split]) for row in self.counts)


def cast_of(evidence: Evidence) -> Cast:
    """What data.json, the index and the quarantine say."""
    data = evidence.data
    counts: dict[str, Row] = {}
    for part in data["splits"]:
        row = counts.setdefault(str(part["label"]), {"train": 0, "val": 0, "test": 0, "all": 0})
        row[str(part["split"])] += int(part["images"])
        row["all"] += int(part["images"])
    reasons = evidence.quarantine["reason"].tolist() if len(evidence.quarantine) else []
    frequent = sorted(set(reasons), key=lambda reason: (-reasons.count(reason), reason))
    files = data["files"][0]
    kind = str(data["split_kind"])
    clusters = evidence.dataset["cluster"].tolist()
    return Cast(
        n_files=int(files["files"]),
        n_images=int(data["images"]),
        n_groups=int(data["groups"]),
        counts=tuple({"label": label, **counts[label]} for label in sorted(counts)),
        split_kind=kind,
        whole=kind != IMAGE_WISE,
        unusable=tuple({"reason": one, "files": reasons.count(one)} for one in frequent),
        duplicates=int(files.get("exact_duplicates_left_out", 0)),
        clusters=len({one for one in clusters if one}),
    )


@dataclass(frozen=True)
class Folds:
    """How heads were scored.

    Attributes
    ----------
    on : {"cv", "val"}
        What the chosen head was scored on.
    n_images, n_groups : int
        Of these.
    reason : str
        Why the chosen head was not cross-validated; empty if it was.
    folds, repeats : int
        Of the heads that were cross-validated; 1 and 1 where none was.
    learned : tuple of str
        Extractors that learned from train, which cross-validated heads do without.
    """

    on: str
    n_images: int
    n_groups: int
    reason: str
    folds: int
    repeats: int
    learned: tuple[str, ...]


def folds_of(evidence: Evidence) -> Folds:
    """What the predictions say of the folds."""
    on, block = evidence.scored_on, evidence.metrics[evidence.scored_on]
    folds = repeats = 1
    rows = evidence.oof[evidence.oof["split"] == "cv"]
    if len(rows):
        repeats = int(rows["repeat"].max()) + 1
        folds = (int(rows["fold"].max()) + 1) // repeats
    reason = str(evidence.metrics["cv"].get("reason", "")) if on == "val" else ""
    learned = tuple(sorted(evidence.metrics.get("softmax", {})))
    return Folds(on, int(block["n"]), int(block["groups"]), reason, folds, repeats, learned)


@dataclass(frozen=True)
class Board:
    """One table of the leaderboard.

    Attributes
    ----------
    rows : tuple of Row
        As leaderboard.csv has them, best first.
    on : {"cv", "val"}
    """

    rows: tuple[Row, ...]
    on: str

    @property
    def heads(self) -> list[Row]:
        """Those that compete."""
        return [row for row in self.rows if row["kind"] in _COMPETING]

    @property
    def first(self) -> Row | None:
        """The one that ranks first."""
        return next((row for row in self.rows if known(row["rank"]) == 1), None)

    @property
    def told(self) -> bool:
        """Whether there are groups enough to tell heads apart at all."""
        return self.first is not None and known(self.first["p"]) is not None

    def others(self, verdict: str) -> list[str]:
        """Names of the other competing heads of a verdict, in the order of the table."""
        return [str(row["head"]) for row in self.heads if row["against_best"] == verdict]

    def beside(self, kind: str) -> list[Row]:
        """Baselines, or shortcuts."""
        return [row for row in self.rows if row["kind"] == kind]

    def row(self, name: str) -> Row | None:
        """One head, baseline or shortcut."""
        return next((row for row in self.rows if row["head"] == name), None)


def boards(evidence: Evidence) -> list[Board]:
    """Every table of the leaderboard: cross-validated heads first, then those on val."""
    rows = row_of(evidence.leaderboard)
    parts = dict.fromkeys(str(row["scored_on"]) for row in rows)
    return [Board(tuple(row for row in rows if row["scored_on"] == on), on) for on in parts]


def board_of(evidence: Evidence) -> Board:
    """The table that the heads are chosen by."""
    return boards(evidence)[0]


def has_intervals(evidence: Evidence) -> bool:
    """Whether there were groups enough anywhere for a score to have an interval."""
    scored = evidence.metrics[evidence.scored_on]["table"]
    return any(known(row.get("low")) is not None for row in scored) or any(
        known(row["auc_low"]) is not None for row in row_of(evidence.leaderboard)
    )
