"""The data set's card: what is in it, where it comes from, what was left out, what it is not for.

Owns ``metadata/README.md`` of a data folder. Refuses to know more than the record and the tables say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from collection.provenance import SOURCES, Source, read_sources
from featurestore.errors import MissingData
from featurestore.files import write_text_atomic
from featurestore.metadata import LABELS, printable
from featurestore.rejections import REJECTED
from featurestore.tables import read_table

__all__ = ["CARD", "card", "write_card"]

CARD: Final = "metadata/README.md"

#: Sites, reasons and licences that are named; the rest is counted.
_MOST: Final = 12


def write_card(root: Path) -> Path:
    """Write the card of a data folder.

    Raises
    ------
    MissingData
        If the folder has no record.
    """
    rows = read_sources(root)
    if not rows:
        raise MissingData(f"no {root / SOURCES}: nothing says where the pictures of {root} come from")
    path = root / CARD
    write_text_atomic(path, card(rows, _n_decisions(root)))
    return path


def _n_decisions(root: Path) -> dict[str, int]:
    """Lines of the tables that a curator wrote."""
    found = {}
    for name, column in ((LABELS, "file"), (REJECTED, "key")):
        path = root / name
        found[name] = len(read_table(path, [column])) if path.is_file() else 0
    return found


def card(rows: Sequence[Source], decisions: dict[str, int]) -> str:
    """The card as Markdown.

    Parameters
    ----------
    rows : sequence of Source
        The whole record, offers that were not taken among them.
    decisions : dict of str to int
        Lines by table.
    """
    kept = [row for row in rows if row.file]
    parts = [
        "# Data set card",
        "",
        "Written by `python -m collection card` from "
        "[sources.csv](sources.csv), which has a row for every picture that was offered.",
        "",
        "## What is in it",
        "",
        *_table(("label", "role", "images", "characters", "series"), _counts(kept)),
        "",
        "Labels come from: " + _listed(Counter(row.label_source or "not said" for row in kept)) + ".",
        "Who is a hero is a matter of reading; antiheroes stay apart in the column `role` of characters.csv.",
        "",
        "## Where it comes from",
        "",
        f"{len(rows):,} pictures were offered, {len(kept):,} taken, between {_span(kept)} (UTC).",
        "",
        *_table(("provider", "offered", "taken"), _by(rows, lambda row: row.provider)),
        "",
        *_table(("site", "offered", "taken"), _by(rows, _site)[:_MOST]),
        "",
        "Queries: " + _queries(rows),
        "",
        "## Rights",
        "",
        "The pictures belong to whoever drew them and to whoever holds the rights; this record gives none. "
        "What was said of rights where they were found:",
        "",
        *_table(("said", "offered", "taken"), _by(rows, lambda row: row.licence or "nothing")[:_MOST]),
        "",
        "Sites that ask not to be mined were not read: "
        + (_listed(Counter(row.opt_out for row in rows if not _free(row))) or "none asked") + ".",
        "",
        "## What was left out",
        "",
        *_table(("reason", "offers"), _reasons(rows)),
        "",
        "## How it was cut",
        "",
        *_table(("label", "method", "images"), _methods(kept)),
        "",
        f"By hand: {decisions.get(LABELS, 0)} labels changed (labels.csv), "
        f"{decisions.get(REJECTED, 0)} pictures rejected (rejected.csv).",
        "",
        "## What it is not for",
        "",
        "- Identifying people, or saying anything of people who are not drawn.",
        "- Training models that draw.",
        "- Claims about anime as a whole: a search engine chose the pictures, and its ranking knows fame, "
        "shops and wallpapers.",
        "",
    ]  # fmt: skip
    return "\n".join(parts)


def _free(row: Source) -> bool:
    return row.opt_out in ("", "none found")


def _clean(text: object) -> str:
    """As a cell of a table."""
    return printable(str(text)).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") or "-"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return lines + [f"| {' | '.join(_clean(value) for value in row)} |" for row in rows]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{_clean(name)} ({n})" for name, n in counts.most_common(_MOST))


def _counts(kept: Sequence[Source]) -> list[tuple[object, ...]]:
    groups = sorted({(Path(row.file).parts[1], row.role) for row in kept})
    found: list[tuple[object, ...]] = []
    for label, role in groups:
        own = [row for row in kept if (Path(row.file).parts[1], row.role) == (label, role)]
        found.append(
            (label, role, len(own), len({(r.series, r.character) for r in own}), len({r.series for r in own}))
        )
    return found


def _by(rows: Sequence[Source], key: Callable[[Source], str]) -> list[tuple[object, ...]]:
    offered, taken = Counter(key(row) for row in rows), Counter(key(row) for row in rows if row.file)
    return [(name, n, taken[name]) for name, n in sorted(offered.items(), key=lambda one: (-one[1], one[0]))]


def _site(row: Source) -> str:
    return urlsplit(row.page or row.url).hostname or "this machine"


def _span(kept: Sequence[Source]) -> str:
    times = sorted(row.time for row in kept if row.time)
    return f"{times[0]} and {times[-1]}" if times else "unknown times"


def _queries(rows: Sequence[Source]) -> str:
    asked = sorted({row.query for row in rows if row.query})
    if not asked:
        return "none."
    return f"{len(asked)}, one template for all, without a word about roles; the first: `{_clean(asked[0])}`."


def _reasons(rows: Sequence[Source]) -> list[tuple[str, int]]:
    return Counter(row.reason for row in rows if not row.file).most_common(_MOST)


def _methods(kept: Sequence[Source]) -> list[tuple[object, ...]]:
    counts = Counter((Path(row.file).parts[1], row.crop or "as it came") for row in kept)
    return [(*name, n) for name, n in sorted(counts.items())]
