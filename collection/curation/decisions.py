"""What a curator decided: labels.csv, rejected.csv and accepted.csv in ``data/metadata``, known by key.

Owns the three tables: reading them, changing one picture's lines, writing what changed. A decision speaks of
a picture's bytes, so it holds under another file name and while the picture is away. Refuses to know what a
picture looks like, and who decides.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from collection.curation.pictures import Picture
from featurestore.dataset import cell, uncelled
from featurestore.files import make_folder, remove, write_text_atomic
from featurestore.metadata import (
    LABELS,
    Names,
    escape_path,
    printable,
)
from featurestore.rejections import REJECTED, keyed_rows
from featurestore.tables import checked_key, numbered_rows, table_text

__all__ = ["ACCEPTED", "Decisions", "Standing", "Verdict", "change_decisions", "read_decisions"]

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
class Decisions:
    """The three tables, with every column that they came with.

    Attributes
    ----------
    accepted, rejected : mapping of str to row
        By key. What stands in both is rejected.
    labels : tuple of row
        Rows without a key were written by hand and speak of a file's name.
    """

    accepted: Rows = field(default_factory=dict)
    rejected: Rows = field(default_factory=dict)
    labels: tuple[Row, ...] = ()

    def of(self, picture: Picture) -> Standing:
        """What is decided of a picture."""
        label = next((row["label"] for row in self._labels_of(picture)), "")
        if picture.key in self.rejected:
            return Standing("rejected", label, uncelled(self.rejected[picture.key].get("reason", "")))
        return Standing("accepted" if picture.key in self.accepted else "", label)

    def judged(self, picture: Picture, verdict: Verdict, reason: str = "") -> Decisions:
        """The same with another verdict on one picture; a line that says so already stays as it is."""
        before = self.of(picture)
        if (before.verdict, before.reason) == (verdict, reason):
            return self
        accepted, rejected = dict(self.accepted), dict(self.rejected)
        accepted.pop(picture.key, None)
        rejected.pop(picture.key, None)
        row = {"key": picture.key, "file": escape_path(picture.files[0])}
        if verdict == "accepted":
            accepted[picture.key] = row
        elif verdict == "rejected":
            rejected[picture.key] = row | {"reason": _one_line(reason)}
        return replace(self, accepted=accepted, rejected=rejected)

    def labelled(self, picture: Picture, label: str) -> Decisions:
        """The same with one label on every file of a picture, or, if it is empty, that of their folders."""
        said = self._labels_of(picture)
        if len(said) == (len(picture.files) if label else 0) and {row["label"] for row in said} <= {label}:
            return self
        rows = [row for row in self.labels if row not in said]
        if label:
            rows += [
                {"file": escape_path(file), "label": label, "key": picture.key} for file in picture.files
            ]
        return replace(self, labels=tuple(rows))

    def _labels_of(self, picture: Picture) -> list[Row]:
        """Rows of labels.csv that mean a picture: by its key, else by a name."""
        by_name = self._by_key.get("", [])
        names = Names(picture.files) if by_name else None
        named = [row for row in by_name if names and names.find(row["file"])]
        return [*self._by_key.get(picture.key, []), *named]

    @functools.cached_property
    def _by_key(self) -> dict[str, list[Row]]:
        rows: dict[str, list[Row]] = {}
        for row in self.labels:
            rows.setdefault(row.get("key", ""), []).append(row)
        return rows


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
        labels=tuple(_label_rows(root / LABELS)),
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
    with _alone(root / "metadata"):
        before = read_decisions(root)
        after = change(before)
        _write(root / LABELS, after.labels, ("file", "label"), same=after.labels == before.labels)
        tables = [
            (REJECTED, before.rejected, after.rejected, (*_KEYED, "reason")),
            (ACCEPTED, before.accepted, after.accepted, _KEYED),
        ]
        # Where a row moves, it is written before it is taken away: killed between the two, what was
        # decided before still stands, for what stands in both is rejected.
        for table, old, new, columns in tables if after.rejected.keys() - before.rejected else tables[::-1]:
            _write(root / table, [new[key] for key in sorted(new)], columns, same=new == old)
    return after


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer at a time, of all threads and processes on this machine."""
    make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, rows: Sequence[Row], columns: Sequence[str], *, same: bool) -> None:
    """Write a table under the columns it must have and those of its rows; without rows there is none."""
    if same:
        return
    if not rows:
        remove(path)
        return
    write_text_atomic(path, table_text(rows, columns))
