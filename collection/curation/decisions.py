"""What a curator decided: labels.csv, rejected.csv and accepted.csv in ``data/metadata``, known by key.

Owns the three tables: reading them, changing one picture's lines, writing what changed. A decision speaks of
a picture's bytes, so it holds under another file name and while the picture is away. Refuses to know what a
picture looks like, who decides, and what further columns mean: they go where their line goes.
"""

from __future__ import annotations

import functools
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from collection.curation.pictures import Picture
from featurestore.dataset import cell, uncelled
from featurestore.files import held, make_folder, remove, write_text_atomic
from featurestore.metadata import LABELS, escape_path, names_meant, names_of, printable
from featurestore.rejections import REJECTED, keyed_rows
from featurestore.tables import checked_key, numbered_rows, table_text

__all__ = ["ACCEPTED", "Decisions", "LabelRows", "Standing", "Verdict", "change_decisions", "read_decisions"]

ACCEPTED: Final = "metadata/accepted.csv"

#: Of a reason: enough for a sentence.
_MOST_CHARACTERS: Final = 200
_KEYED: Final = ("key", "file")

Row = Mapping[str, str]
Rows = Mapping[str, Row]
Verdict = Literal["", "accepted", "rejected"]


@dataclass(frozen=True)
class Standing:
    """What is decided of one picture.

    Attributes
    ----------
    verdict : {"", "accepted", "rejected"}
        Empty = nothing.
    label : str
        The label given in place of the folder's; empty if none.
    reason : str
        Why it was rejected.
    """

    verdict: Verdict = ""
    label: str = ""
    reason: str = ""


@dataclass(frozen=True)
class LabelRows:
    """The rows of labels.csv, found by the picture that they mean.

    Attributes
    ----------
    rows : tuple of row
        Those without a key were written by hand and speak of a file's name.
    """

    rows: tuple[Row, ...] = ()

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def of(self, picture: Picture) -> list[Row]:
        """Those that mean a picture: by its key, else by a name."""
        return [self.rows[i] for i in self._places(picture)]

    def replaced(self, picture: Picture, rows: Sequence[Row]) -> LabelRows:
        """The same with others in place of those that mean a picture."""
        gone = set(self._places(picture))
        return LabelRows((*(row for i, row in enumerate(self.rows) if i not in gone), *rows))

    def _places(self, picture: Picture) -> list[int]:
        forms = {_form(name) for file in picture.files for name in names_of(file)}
        named = {i for form in forms for i in self._by_form.get(form, ())}
        return [*self._by_key.get(picture.key, ()), *sorted(named)]

    @functools.cached_property
    def _by_key(self) -> dict[str, list[int]]:
        """Places of the rows of each key."""
        places: dict[str, list[int]] = {}
        for i, row in enumerate(self.rows):
            if row.get("key"):
                places.setdefault(row["key"], []).append(i)
        return places

    @functools.cached_property
    def _by_form(self) -> dict[str, list[int]]:
        """Places of the other rows by the names that `featurestore.metadata.Names` finds them by."""
        places: dict[str, list[int]] = {}
        for i, row in enumerate(self.rows):
            if not row.get("key"):
                for name in names_meant(row["file"]):
                    places.setdefault(_form(name), []).append(i)
        return places


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True)
class Decisions:
    """The three tables, with every column that they came with.

    Attributes
    ----------
    accepted, rejected : mapping of str to row
        By key. What stands in both is rejected.
    labels : LabelRows
    """

    accepted: Rows = field(default_factory=dict)
    rejected: Rows = field(default_factory=dict)
    labels: LabelRows = field(default_factory=LabelRows)

    def of(self, picture: Picture) -> Standing:
        """What is decided of a picture."""
        label = next((row["label"] for row in self.labels.of(picture)), "")
        if picture.key in self.rejected:
            return Standing("rejected", label, uncelled(self.rejected[picture.key].get("reason", "")))
        return Standing("accepted" if picture.key in self.accepted else "", label)

    def judged(self, picture: Picture, verdict: Verdict, reason: str = "") -> Decisions:
        """The same with another verdict on one picture; a line that says so already stays as it is."""
        before = self.of(picture)
        if (before.verdict, before.reason) == (verdict, reason):
            return self
        accepted, rejected = dict(self.accepted), dict(self.rejected)
        row = {**accepted.pop(picture.key, {}), **rejected.pop(picture.key, {})}
        row |= {"key": picture.key, "file": escape_path(picture.files[0])}
        row.pop("reason", None)
        if verdict == "accepted":
            accepted[picture.key] = row
        elif verdict == "rejected":
            rejected[picture.key] = row | {"reason": _one_line(reason)}
        return replace(self, accepted=accepted, rejected=rejected)

    def labelled(self, picture: Picture, label: str) -> Decisions:
        """The same with one label on every file of a picture, or, if it is empty, that of their folders."""
        said = self.labels.of(picture)
        if len(said) == (len(picture.files) if label else 0) and {row["label"] for row in said} <= {label}:
            return self
        known = {row["file"]: row for row in said}
        rows = [
            {**known.get(file, said[0] if said else {}), "file": file, "label": label, "key": picture.key}
            for file in map(escape_path, picture.files if label else ())
        ]
        return replace(self, labels=self.labels.replaced(picture, rows))

    def only(self, picture: Picture) -> Decisions:
        """What stands of one picture, and nothing else."""
        accepted, rejected = (
            {picture.key: rows[picture.key]} if picture.key in rows else {}
            for rows in (self.accepted, self.rejected)
        )
        return Decisions(accepted, rejected, LabelRows(tuple(self.labels.of(picture))))

    def restored(self, picture: Picture, before: Decisions, after: Decisions) -> Decisions:
        """The same without what a decision changed of one picture.

        Parameters
        ----------
        picture : Picture
        before, after : Decisions
            What stood of it before that decision and after it (`only`).
        """
        made = self
        if (before.accepted, before.rejected) != (after.accepted, after.rejected):
            accepted, rejected = dict(self.accepted), dict(self.rejected)
            accepted.pop(picture.key, None)
            rejected.pop(picture.key, None)
            made = replace(
                made, accepted={**accepted, **before.accepted}, rejected={**rejected, **before.rejected}
            )
        if before.labels != after.labels:
            made = replace(made, labels=made.labels.replaced(picture, before.labels.rows))
        return made


def _one_line(reason: str) -> str:
    """A reason as a cell."""
    return cell(printable(" ".join(reason.split()))[:_MOST_CHARACTERS])


def read_decisions(root: Path) -> Decisions:
    """What was decided so far.

    Raises
    ------
    MetadataError
        Naming file and line.
    """
    return Decisions(
        accepted=keyed_rows(root / ACCEPTED),
        rejected=keyed_rows(root / REJECTED),
        labels=LabelRows(tuple(_label_rows(root / LABELS))),
    )


def _label_rows(path: Path) -> Iterator[dict[str, str]]:
    if not os.path.lexists(path):
        return
    for line, row in numbered_rows(path, ["file", "label"]):
        key = row.get("key", "")
        yield row | {"key": checked_key(key, where=f"{path}, line {line}")} if key else row


def change_decisions(root: Path, change: Callable[[Decisions], Decisions]) -> Decisions:
    """Read the tables, change them and write those that differ, each all or nothing.

    What another process, or an editor, wrote in the meantime is kept: nothing is remembered between calls.

    Raises
    ------
    MetadataError
        If a table cannot be read; nothing is written then.
    """
    make_folder(root / "metadata")
    with held(root / "metadata"):
        before = read_decisions(root)
        after = change(before)
        _write(root / LABELS, after.labels.rows, ("file", "label"), same=after.labels == before.labels)
        tables = [
            (REJECTED, before.rejected, after.rejected, (*_KEYED, "reason")),
            (ACCEPTED, before.accepted, after.accepted, _KEYED),
        ]
        # Where a row moves, it is written before it is taken away: killed between the two, what was
        # decided before still stands, for what stands in both is rejected.
        for table, old, new, columns in tables if after.rejected.keys() - before.rejected else tables[::-1]:
            _write(root / table, [new[key] for key in sorted(new)], columns, same=new == old)
    return after


def _write(path: Path, rows: Sequence[Row], columns: Sequence[str], *, same: bool) -> None:
    """Write a table under the columns it must have and those of its rows; without rows there is none."""
    if same:
        return
    if not rows:
        remove(path)
        return
    write_text_atomic(path, table_text(rows, columns))
