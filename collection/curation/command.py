"""What ``python -m collection review`` does: survey the pictures, then decide by table, sheet or page.

Owns the order of steps and the lines that are printed. Refuses to read params.yaml and the command line.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from collection.curation.decisions import Decisions, read_decisions
from collection.curation.pictures import Picture, Survey, survey
from collection.curation.quality import FLAGS, Thresholds
from collection.curation.session import Session
from collection.provenance import read_sources
from featurestore.console import Terminated
from featurestore.errors import MissingData, UsageError
from featurestore.images import MAX_PIXELS
from featurestore.metadata import unescape_path
from featurestore.text import counted

__all__ = ["faceless", "original_sides", "report", "review"]


def review(
    root: Path,
    *,
    blind: bool = False,
    sheets: Path | None = None,
    decide: Path | None = None,
    thresholds: Thresholds | None = None,
    group_from: str | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int = 0,
    open_browser: bool = False,
) -> Iterator[str]:
    """Review the pictures of a data folder; yields lines to print, each when it is true.

    Without ``sheets`` and ``decide`` the page is served until the process is interrupted (Ctrl-C) or
    terminated. The `report` comes last; not after sheets for the blinded, whom the only flag of its name
    would tell the class of a picture before it is judged.

    Parameters
    ----------
    root : Path
        The data folder.
    blind : bool
        Hide labels and roles, and mix the classes.
    sheets : Path or None
        An empty folder, not among the pictures, to write contact sheets and a table to.
    decide : Path or None
        A table of decisions to apply.
    thresholds : Thresholds or None
    group_from, max_pixels
        As ``data.group_from`` and ``data.max_pixels``.
    workers : int
        Threads; 0 = one a processor.
    open_browser : bool
        Open the page in the default browser. Its address, with the token, is then in the list of processes.

    Raises
    ------
    UsageError, DataError, MetadataError, MissingData
    """
    if sheets is not None and decide is not None:
        raise UsageError("--sheets writes a table and --decide reads one; do one after the other")
    if decide is not None and not decide.exists():
        raise MissingData(
            f"no table {decide}; python -m collection review --sheets DIR writes one to fill in"
        )
    if sheets is not None:
        from collection.curation.sheets import check_folder

        check_folder(sheets, root=root)
    found = survey(
        root,
        thresholds=thresholds,
        original_px=original_sides(root),
        faceless=faceless(root),
        group_from=group_from,
        max_pixels=max_pixels,
        workers=workers,
    )
    session = Session(found, blind=blind)
    if decide is not None:
        yield f"{decide}: {counted(session.apply(decide), 'decision')}"
    elif sheets is not None:
        from collection.curation.sheets import TABLE, write_sheets

        n_sheets = counted(len(write_sheets(session, sheets)), "sheet")
        yield f"{sheets}: {n_sheets}; fill in {sheets / TABLE}, then: review --decide {sheets / TABLE}"
        if blind:
            return
    else:
        yield from _serve(session, open_browser=open_browser)
    yield from report(found, read_decisions(root))


def _serve(session: Session, *, open_browser: bool) -> Iterator[str]:
    """Serve the page until the process is interrupted or terminated."""
    from collection.curation.server import ReviewServer

    server = ReviewServer(session)
    try:
        n_pictures = counted(len(session.pictures), "picture")
        yield f"{server.url} shows {n_pictures}; what is decided is kept; Ctrl-C ends it"
        if open_browser:
            import webbrowser

            webbrowser.open(server.url)
        server.serve_forever()
    except KeyboardInterrupt:
        yield ""
    except Terminated:  # it ends the command, and not without a report
        yield from report(session.survey, read_decisions(session.root))
        raise
    finally:
        server.server_close()


def original_sides(root: Path) -> dict[str, int]:
    """Shorter side, in pixels, of what each picture was cut from, as ``sources.csv`` tells.

    Raises
    ------
    MetadataError
        If the table cannot be read.
    """
    sides = {}
    for row in read_sources(root):
        numbers = row.box.split()
        if row.file and len(numbers) == 4 and all(text.lstrip("-").isdecimal() for text in numbers):
            sides[unescape_path(row.file)] = min(int(numbers[2]), int(numbers[3]))
    return sides


def faceless(root: Path) -> set[str]:
    """Pictures that were cut though no face was found in what they were cut from, as ``sources.csv`` tells.

    Raises
    ------
    MetadataError
        If the table cannot be read.
    """
    return {unescape_path(row.file) for row in read_sources(root) if row.file and str(row.n_faces) == "0"}


def report(found: Survey, decisions: Decisions) -> Iterator[str]:
    """Lines that tell what was flagged and decided, by class: a bias in either is one in the study.

    A picture counts in the class whose label stands now: the one that was given, else the folder's. Flags are
    those of the survey; whether a twin is of another class was seen with the labels of that moment.

    Parameters
    ----------
    found : Survey
    decisions : Decisions
    """
    standing = {one.key: decisions.of(one) for one in found.pictures}
    label_of = {
        one.key: standing[one.key].label or unicodedata.normalize("NFC", one.folders[0])
        for one in found.pictures
    }

    def shares(some: Iterable[Picture]) -> str:
        return _shares(Counter(label_of[one.key] for one in some), Counter(label_of.values()))

    for name in FLAGS:
        flagged = [one for one in found.pictures if any(flag.name == name for flag in one.flags)]
        if flagged:
            yield f"{name}: {shares(flagged)}"
    for verdict in ("accepted", "rejected"):
        yield f"{verdict}: {shares(one for one in found.pictures if standing[one.key].verdict == verdict)}"
    n_relabelled = sum(standing[one.key].label not in ("", *one.folders) for one in found.pictures)
    yield f"relabelled: {n_relabelled}"


def _shares(some: Counter[str], of: Counter[str]) -> str:
    """``3 (1 of 150 hero, 2 of 150 villain)``."""
    by_label = ", ".join(f"{some[label]} of {of[label]} {label}" for label in sorted(of))
    return f"{some.total()} ({by_label})"
