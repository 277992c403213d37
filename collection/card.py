"""The data set's card: what is in it, where it comes from, what was left out, what it is not for.

Owns ``metadata/README.md`` of a data folder. Refuses to know more than the record and the tables say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from collection.crop.record import cuts_in
from collection.holdings import Holdings, Picture, holdings
from collection.provenance import SOURCES, Source, read_sources
from collection.records import ROLES
from featurestore.errors import MissingData
from featurestore.files import write_text_atomic
from featurestore.images import MAX_PIXELS
from featurestore.metadata import printable
from featurestore.text import counted

__all__ = ["CARD", "card", "write_card"]

CARD: Final = "metadata/README.md"

#: Sites, reasons and licences that are named; the rest is counted.
_MOST: Final = 12

#: Provider -> who chose so many pictures, and what that does to them.
_CHOSE: Final = {
    "serpapi": "a search engine chose {n}, and its ranking knows fame, shops and wallpapers",
    "urls": "whoever wrote a table of addresses chose {n}, and the record does not say how",
    "folder": "whoever filled a folder for each character chose {n}, and the record does not say how",
    "import": "whoever filled the folder that was imported chose {n}, and the record does not say how",
}
_OTHER: Final = "{name} chose {n}, and the record does not say how"
_UNRECORDED: Final = "no record says who chose {n}"

#: What Markdown makes emphasis, code, links, images or cells of, and GitHub addresses.
_MARKUP: Final = re.compile(r"[\\`*|\[\]]|:(?=//)|(?<=www)\.", re.IGNORECASE)


def write_card(root: Path, *, group_from: str | None = None, max_pixels: int = MAX_PIXELS) -> Path:
    """Write the card of a data folder.

    Parameters
    ----------
    root : Path
        The data folder.
    group_from : str or None
        As ``data.group_from``: how a path tells the series.
    max_pixels : int
        Cap on width x height, checked before decoding.

    Raises
    ------
    MissingData
        If the folder has no record, or no pictures.
    DataError, LabelConflict, MetadataError
        If its tables are such that no study could be made of it, or a picture stands in two classes.
    """
    rows = read_sources(root)
    if not rows:
        raise MissingData(
            f"no {root / SOURCES}: nothing says where the pictures of {root} come from; search and import"
            " write it: python -m collection import DIR --add, where DIR is the folder that they are from"
        )
    path = root / CARD
    held = holdings(root, rows, group_from=group_from, max_pixels=max_pixels)
    write_text_atomic(path, card(rows, held, cuts_in(root)))
    return path


def card(rows: Sequence[Source], held: Holdings, cuts: Sequence[str] = ()) -> str:
    """The card as Markdown.

    Parameters
    ----------
    rows : sequence of Source
        The whole record, offers that were not taken among them.
    held : Holdings
        What a study would get.
    cuts : sequence of str
        How pictures were cut, in words.
    """
    lines = [
        "# Data set card",
        "",
        "Written by `python -m collection card` from the pictures, the tables beside them and "
        "[sources.csv](sources.csv), which has a row for every picture that was tried.",
        "",
        *_contents(held),
        *_origins(rows),
        *_rights(rows),
        *_left_out(rows, held),
        *_cutting(held, cuts),
        *_limits(held),
    ]
    return "\n".join(lines)


def _contents(held: Holdings) -> list[str]:
    sources = Counter(_label_source(one) for one in held.pictures)
    lines = [
        "## What is in it",
        "",
        "Pictures that a study would get: without those that a curator rejected, under the labels that a "
        "curator gave.",
        "",
        *_table(("label", "role", "images", "characters", "series"), _counts(held.pictures)),
        "",
        _series(held.pictures),
        "",
        f"Labels come from: {_listed(sources) or 'nowhere'}.",
    ]
    n_unlike = sum(one.relabelled and ROLES.get(one.role, one.label) != one.label for one in held.pictures)
    if n_unlike:
        lines.append(
            f"Role and label do not agree for {counted(n_unlike, 'picture')}: the label is a curator's"
            " (labels.csv), the role still that of the list."
        )
    if any(one.role for one in held.pictures):
        lines.append(
            "Who is a hero is a matter of reading; antiheroes stay apart in the column `role` of "
            "characters.csv."
        )
    return [*lines, ""]


def _series(pictures: Sequence[Picture]) -> str:
    """How many series there are, and how many of them have more than one class."""
    sides: dict[str, set[str]] = {}
    for one in pictures:
        if one.series:
            sides.setdefault(one.series, set()).add(one.label)
    n_both = sum(len(labels) > 1 for labels in sides.values())
    which = "both classes" if len({one.label for one in pictures}) == 2 else "two classes or more"
    return f"{counted(len(sides), 'series', 'series')}, {n_both} of them with pictures of {which}."


def _origins(rows: Sequence[Source]) -> list[str]:
    kept = [row for row in rows if row.file]
    return [
        "## Where it comes from",
        "",
        f"{len(rows):,} pictures were tried, {len(kept):,} taken{_span(kept)}.",
        "",
        *_table(("provider", "tried", "taken"), _by(rows, lambda row: row.provider)),
        "",
        *_table(("site", "tried", "taken"), _by(rows, _site)[:_MOST]),
        "",
        "Queries: " + _queries(rows),
        "",
    ]


def _rights(rows: Sequence[Source]) -> list[str]:
    refused = Counter(row.opt_out for row in rows if row.opt_out not in ("", "none found"))
    told = [f"Sites that ask not to be mined were not read: {_listed(refused) or 'none asked'}."]
    return [
        "## Rights",
        "",
        "The pictures belong to whoever drew them and to whoever holds the rights; this record gives none. "
        "What was said of rights where they were found:",
        "",
        *_table(("said", "tried", "taken"), _by(rows, lambda row: row.licence or "nothing")[:_MOST]),
        "",
        *([*told, ""] if any(row.opt_out for row in rows) else []),  # else no site was asked for anything
    ]


def _left_out(rows: Sequence[Source], held: Holdings) -> list[str]:
    n_rejected = held.rejected.total()
    found: list[tuple[str, int]] = []
    if n_rejected:
        found.append((f"a curator rejected them: {_counted(held.rejected)}", n_rejected))
    if held.n_gone:
        found.append(("taken, and no longer here", held.n_gone))
    if held.unusable:
        found.append((f"no usable image: {_counted(held.unusable)}", held.unusable.total()))
    found += Counter(row.reason for row in rows if not row.file).most_common(_MOST)
    return [
        "## What was left out",
        "",
        *(_table(("reason", "pictures"), found) if found else ["Nothing."]),
        "",
    ]


def _cutting(held: Holdings, cuts: Sequence[str]) -> list[str]:
    counts = Counter((one.label, _method(one)) for one in held.pictures)
    n_relabelled = sum(one.relabelled for one in held.pictures)
    lines = [
        "## How it was cut",
        "",
        *_table(("label", "method", "images"), [(*name, n) for name, n in sorted(counts.items())]),
        "",
        *([f"Asked for: {'; or: '.join(map(_clean, cuts))}.", ""] if cuts else []),
        f"Rejected by hand: {held.rejected.total()} (rejected.csv). Of the others, under another label than "
        f"their folder's: {n_relabelled} (labels.csv).",
    ]
    if held.n_idle:
        lines.append(
            f"Decisions on pictures that are not here, or on earlier cuts of those that are: {held.n_idle}."
        )
    return [*lines, ""]


def _limits(held: Holdings) -> list[str]:
    return [
        "## What it is not for",
        "",
        "- Identifying people, or saying anything of people who are not drawn.",
        "- Training models that draw.",
        f"- Claims about anime as a whole. Of {len(held.pictures):,} pictures, {_choices(held)}.",
        "",
    ]


def _choices(held: Holdings) -> str:
    """Who chose the pictures of the study."""
    providers = Counter(one.source.provider if one.source else None for one in held.pictures)
    said = []
    for name, n in providers.most_common():
        text = _UNRECORDED if name is None else _CHOSE.get(name, _OTHER)
        said.append(text.format(n=f"{n:,}", name=_clean(name or "somebody")))
    return "; ".join(said) or "nobody chose one"


def _label_source(one: Picture) -> str:
    if one.relabelled:
        return "labels.csv"
    return (one.source.label_source if one.source else "") or "not said"


def _method(one: Picture) -> str:
    return (one.source.crop if one.source else "") or "as it came"


def _counts(pictures: Sequence[Picture]) -> list[tuple[object, ...]]:
    groups: dict[tuple[str, str], list[Picture]] = {}
    for one in pictures:
        groups.setdefault((one.label, one.role), []).append(one)
    return [
        (
            *group,
            len(own),
            len({(one.series, one.character) for one in own if one.character}) or "",
            len({one.series for one in own if one.series}) or "",
        )
        for group, own in sorted(groups.items())
    ]


def _clean(text: object) -> str:
    """As a cell of a table, or a part of a sentence: others wrote it, and it stays a text."""
    html = printable(str(text)).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKUP.sub(r"\\\g<0>", html) or "-"


def _code(text: str) -> str:
    """As code, in which nothing can be escaped: between more backticks than it has in a row."""
    marks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    gap = " " if "`" in text else ""
    return f"{marks}{gap}{printable(text)}{gap}{marks}"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return lines + [f"| {' | '.join(_clean(value) for value in row)} |" for row in rows]


def _listed(counts: Counter[str]) -> str:
    return _clean(_counted(counts)) if counts else ""


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ({n})" for name, n in counts.most_common(_MOST))


def _by(rows: Sequence[Source], key: Callable[[Source], str]) -> list[tuple[object, ...]]:
    tried, taken = Counter(key(row) for row in rows), Counter(key(row) for row in rows if row.file)
    return [(name, n, taken[name]) for name, n in sorted(tried.items(), key=lambda one: (-one[1], one[0]))]


def _site(row: Source) -> str:
    try:
        return urlsplit(row.page or row.url).hostname or "this machine"
    except ValueError:
        return "no address"


def _span(kept: Sequence[Source]) -> str:
    """When they were fetched or imported."""
    times = sorted({row.time for row in kept if row.time})
    if not times:
        return "; no record says when"
    span = " and ".join(_clean(time) for time in dict.fromkeys((times[0], times[-1])))
    return f"; what the record says of these was written {'between' if len(times) > 1 else 'at'} {span} (UTC)"


def _queries(rows: Sequence[Source]) -> str:
    asked = sorted({row.query for row in rows if row.query})
    if not asked:
        return "none."
    return f"{len(asked)}, one template for all, without a word about roles; the first: {_code(asked[0])}."
