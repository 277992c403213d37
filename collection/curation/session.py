"""A review in progress: what to show of each picture, what a decision does, and how it is taken back.

Owns the words accept, reject, relabel, clear and undo, and what a blinded curator may see. Refuses to know
pages and sheets.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, get_args

from collection.curation.cards import Card, Hint
from collection.curation.decisions import Decisions, change_decisions, read_decisions
from collection.curation.pictures import Picture, Survey
from collection.curation.quality import Flag
from collection.curation.twins import TWINS
from featurestore.errors import DataError, ImageRejected, MetadataError, UsageError
from featurestore.images import decode, read_image_file
from featurestore.metadata import Names, escape_path
from featurestore.tables import numbered_rows

__all__ = ["Action", "Session"]

Action = Literal["accept", "reject", "relabel", "clear"]

#: Longest side of a picture as it is shown.
_SHOWN_PX: Final = 256
#: Said where no reason is given and no flag gives one.
_BY_EYE: Final = "by eye"


class Session:
    """Decisions on the pictures of a survey.

    Parameters
    ----------
    survey : Survey
    blind : bool
        Hide labels, roles and paths, mix the classes, and allow no relabelling.
    """

    def __init__(self, survey: Survey, *, blind: bool = False) -> None:
        self.survey = survey
        self.blind = blind
        #: By key a picture stands where its bytes put it: classes are mixed, the same for everybody.
        self.pictures = tuple(sorted(survey.pictures, key=lambda one: one.key) if blind else survey.pictures)
        self.number_of = {one.key: number for number, one in enumerate(self.pictures, start=1)}
        self._key_of = survey.key_of()
        #: Of each decision its picture, and what stood of that before and after.
        self._pile: list[tuple[Picture, Decisions, Decisions]] = []
        self._lock = threading.RLock()

    @property
    def root(self) -> Path:
        """The data folder."""
        return self.survey.root

    def picture(self, key: str) -> Picture:
        """The picture of a key.

        Raises
        ------
        DataError
            If there is none.
        """
        number = self.number_of.get(key)
        if number is None:
            raise DataError(f"no picture has the key {key!r}; start the review again, pictures have changed")
        return self.pictures[number - 1]

    def cards(self) -> list[Card]:
        """Every picture as it stands now."""
        decisions = read_decisions(self.root)
        return [self._card(one, decisions) for one in self.pictures]

    def _card(self, one: Picture, decisions: Decisions) -> Card:
        standing = decisions.of(one)
        shown = not self.blind
        flags = one.flags if shown else _without_labels(one)
        return Card(
            number=self.number_of[one.key],
            key=one.key,
            files=tuple(escape_path(file) for file in one.files) if shown else (),
            character=one.character,
            series=one.series,
            role=one.role if shown else "",
            folder=" / ".join(dict.fromkeys(one.folders)) if shown else "",
            label=standing.label if shown else "",
            hints=tuple(dict.fromkeys(self._hint(flag, decisions) for flag in flags)),
            verdict=standing.verdict,
            reason=standing.reason,
        )

    def _hint(self, flag: Flag, decisions: Decisions) -> Hint:
        other = self._key_of.get(flag.other, "")
        return Hint(
            name=flag.name,
            value=flag.value,
            limit=flag.limit,
            other=self.number_of.get(other),
            detail=("" if self.blind else escape_path(flag.other)) if other else flag.other,
            settled=other in decisions.rejected,
        )

    def decide(self, key: str, action: str, *, label: str = "", reason: str = "") -> Card:
        """Decide of one picture and write it down.

        Raises
        ------
        UsageError, DataError, MetadataError
            Nothing is changed then.
        """
        picture = self.picture(key)
        self._check(action, label)
        after = self._change([(picture, action, label, reason)])
        return self._card(picture, after)

    def _check(self, action: str, label: str) -> None:
        if action not in get_args(Action):
            raise UsageError(f"no decision {action!r}; one of: {', '.join(get_args(Action))}")
        if action == "relabel" and self.blind:
            raise UsageError(
                "labels are hidden here, so none can be given; relabel in a review without --blind"
            )
        if action == "relabel" and label not in self.survey.labels:
            raise UsageError(f"no class {label!r}; one of: {', '.join(self.survey.labels)}")
        if action != "relabel" and label:
            raise UsageError(f"{action} takes no label, {label!r}: empty it, or decide to relabel")

    def _change(self, chosen: Sequence[tuple[Picture, str, str, str]]) -> Decisions:
        """Write decisions down; what stood before goes on the pile for `undo`."""
        pile = []

        def change(now: Decisions) -> Decisions:
            for picture, action, label, reason in chosen:
                before = now.only(picture)
                now = self._after(now, picture, action, label, reason)
                pile.append((picture, before, now.only(picture)))
            return now

        with self._lock:
            after = change_decisions(self.root, change)
            self._pile += pile
        return after

    def _after(self, now: Decisions, picture: Picture, action: str, label: str, reason: str) -> Decisions:
        """The decisions with one more."""
        if action == "reject":
            names = dict.fromkeys(flag.name for flag in _without_labels(picture))  # the blinded read it too
            return now.judged(picture, "rejected", reason or ", ".join(names) or _BY_EYE)
        if action == "relabel":
            is_folder = set(picture.folders) == {label}
            return now.judged(picture, "accepted").labelled(picture, "" if is_folder else label)
        if action == "clear":
            made = now.judged(picture, "")
            return made if self.blind else made.labelled(picture, "")
        return now.judged(picture, "accepted")

    def undo(self) -> Card | None:
        """Take the last decision of this session back; None if there is none left.

        Raises
        ------
        UsageError
            If somebody else has decided of the picture since. That stays; the next undo is of what this
            session decided before.
        MetadataError
            If a table cannot be read.
        """
        with self._lock:
            if not self._pile:
                return None
            picture, before, after = self._pile[-1]

            def change(now: Decisions) -> Decisions:
                if now.of(picture) != after.of(picture):
                    self._pile.pop()
                    raise UsageError(
                        f"No. {self.number_of[picture.key]} was decided anew elsewhere, and that stays;"
                        " reload the page to see it"
                    )
                return now.restored(picture, before, after)

            now = change_decisions(self.root, change)
            self._pile.pop()
        return self._card(picture, now)

    def apply(self, path: Path) -> int:
        """Decide as the rows of a table say, all of them or none; returns their number.

        Parameters
        ----------
        path : Path
            CSV with the columns ``decision`` and ``key`` or ``file``, and perhaps ``label`` and ``reason``.
            A row without a decision is skipped. A label is for relabel alone, and where a row has both key
            and file, the file must not be another picture's.

        Raises
        ------
        MetadataError
            Naming file and line.
        """
        chosen = []
        names = Names([file for one in self.pictures for file in one.files])
        for line, row in numbered_rows(path, ["decision"]):
            if not row["decision"]:
                continue
            action, label = row["decision"].lower(), row.get("label", "")
            try:
                self._check(action, label)
                picture = self._named(names, row)
            except (UsageError, DataError) as error:
                raise MetadataError(f"{path}, line {line}: {error}") from None
            chosen.append((picture, action, label, row.get("reason", "")))
        counts = Counter(picture.key for picture, *_ in chosen)
        twice = [key for key, n in counts.items() if n > 1]
        if twice:
            raise MetadataError(f"{path}: two decisions on the picture {twice[0]}; keep one")
        if chosen:
            self._change(chosen)
        return len(chosen)

    def _named(self, names: Names, row: dict[str, str]) -> Picture:
        """The picture that a row means: by key, else by a file's name."""
        file = row.get("file", "")
        keys = {self._key_of[one] for one in names.find(file)}
        if row.get("key"):
            picture = self.picture(row["key"].lower())
            if keys and picture.key not in keys:
                raise DataError(
                    f"the file {file!r} is another picture than that of the key; empty one of them"
                )
            return picture
        if len(keys) != 1:
            raise DataError(f"no one picture is meant by the file {file!r}; give its key")
        return self.picture(keys.pop())

    def image(self, key: str) -> bytes:
        """One picture as the study sees it, as a PNG of 256 pixels at most: nothing of its file but pixels.

        Raises
        ------
        DataError
            If there is none, no file holds it any more, or it cannot be decoded.
        """
        from PIL import Image

        data = self._bytes(self.picture(key))
        shown = Image.fromarray(decode(data, max_pixels=self.survey.max_pixels).pixels)
        shown.thumbnail((_SHOWN_PX, _SHOWN_PX), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        shown.save(stream, "PNG", compress_level=1)
        return stream.getvalue()

    def _bytes(self, picture: Picture) -> bytes:
        """Those of the key, of whichever file still holds them."""
        for file in picture.files:
            with contextlib.suppress(ImageRejected):
                data = read_image_file(self.root / file, root=self.root)
                if hashlib.sha256(data).hexdigest() == picture.key:
                    return data
        raise DataError(
            f"no file holds No. {self.number_of[picture.key]} any more; start the review again, pictures have"
            " changed"
        )


def _without_labels(picture: Picture) -> list[Flag]:
    """The flags of a picture that tell nothing of labels: of its twins one, whatever theirs are."""
    own = [flag for flag in picture.flags if flag.name.removesuffix("_across") not in TWINS]
    return [*own, picture.twin] if picture.twin else own
