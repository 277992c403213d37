"""``python -m collection search``: ask, fetch, cut, put in place.

Owns how the parts are put together for a command. Refuses to read options and the environment, and to tell
(`collection.telling`).
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collection.assembling import Assembled, assemble, check_place
from collection.gathering import Fetch, Gathered, gather
from collection.journal import Journal
from collection.providers import Provider, ProviderRefused
from collection.records import Character, Fetched, utc
from collection.telling import strangers_text
from featurestore.errors import DataError, UsageError
from featurestore.files import held
from featurestore.text import counted

if TYPE_CHECKING:
    from collection.crop import Cut

__all__ = [
    "Places",
    "Wish",
    "copied",
    "downloaded",
    "search",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """Folders.

    Attributes
    ----------
    raw : Path
        Kept answers, bytes as they came, the journal.
    root : Path
        The data folder.
    """

    raw: Path
    root: Path

    @property
    def images(self) -> Path:
        """Bytes as they came."""
        return self.raw / "images"

    @property
    def faces(self) -> Path:
        """Faces that were found in them (`collection.crop.remembered`)."""
        return self.raw / "faces"

    def journal_of(self, provider: Provider) -> Path:
        """What came of each address that a provider offered."""
        return self.raw / ("journal.jsonl" if provider.lasts else f"{provider.name}.jsonl")


@dataclass(frozen=True)
class Wish:
    """How much is wanted.

    Attributes
    ----------
    images : int or None
        Of each character; None = every good one.
    tries : int or None
        Offers that are tried of each, at most; None = all.
    replace_all : bool
        Whether everything else in the data folder goes.
    """

    images: int | None = 1
    tries: int | None = 5
    replace_all: bool = False


def downloaded(places: Places, *, max_pixels: int, **options: Any) -> Fetch:
    """A way to fetch addresses of the web; whatever cannot be decoded is not kept."""
    from collection.fetching.download import Downloader

    def wrong(data: bytes) -> str:
        from featurestore.errors import ImageRejected
        from featurestore.images import decode

        try:
            decode(data, max_pixels=max_pixels)
        except ImageRejected as rejected:
            return str(rejected)
        return ""

    return Downloader(places.images, check=wrong, **options).fetch_all


def copied(places: Places) -> Fetch:
    """A way to fetch files of this machine."""
    from collection.fetching.rawfiles import keep
    from collection.fetching.sniffing import kind_of
    from featurestore.errors import ImageRejected
    from featurestore.images import read_image_file

    def fetch(files: Sequence[str], done: Callable[[Fetched], None]) -> None:
        for file in files:
            now, data, kind, sha256 = utc(datetime.now(UTC)), b"", "", ""
            try:
                place = Path(file).resolve()
                data = read_image_file(place, root=place.parent)
                kind = kind_of(data)
                reason = "" if kind else "its first bytes are no image's"
            except ImageRejected as rejected:
                reason = str(rejected)
            if not reason:
                sha256 = keep(places.images, data)
            done(Fetched(file, time=now, sha256=sha256, n_bytes=len(data), kind=kind, reason=reason))

    return fetch


def search(
    characters: Sequence[Character],
    provider: Provider,
    fetch: Fetch,
    places: Places,
    cut: Callable[[Any], Cut | None],
    wish: Wish,
    *,
    cutting: Mapping[str, object],
    retry_failed: bool = False,
    workers: int = 1,
    max_pixels: int,
) -> tuple[Gathered, Assembled]:
    """Ask, fetch, cut, put in place.

    Parameters
    ----------
    cutting : mapping
        How it is cut, for the record (`CropParams.told`).
    retry_failed : bool
        Whether what was not to be had before is tried again.

    Raises
    ------
    ProviderRefused
        If nobody could be asked about.
    DataError
        If nothing was to be had; the data folder is as it was.
    UsageError
        If the data folder holds the demo cast, and is not to be replaced; or another search is running.
    """
    from collection.fetching.rawfiles import sweep

    check_place(places.root, replace_all=wish.replace_all)
    with _alone(places.raw):
        sweep(places.raw)
        journal = _journal(provider, places, retry_failed=retry_failed)
        if not provider.lasts:
            before = dict(journal.done)
            journal.forget(lambda one: True)
            fetch = _as_before(fetch, before)
        found = gather(characters, provider, fetch, journal, wanted=wish.images, tries=wish.tries)
        if not found.taken:
            if found.refused:
                raise ProviderRefused(found.stopped)
            for reason, n in Counter(one.reason for one in found.entries).most_common():
                log.warning("%d not taken: %s", n, reason)
            for line in strangers_text(characters, provider):
                log.warning("%s", line.strip())
            raise DataError(_nothing(found, places, provider))
        made = assemble(
            found.entries,
            places.images,
            places.root,
            cut,
            replace_all=wish.replace_all,
            workers=workers,
            max_pixels=max_pixels,
            about={
                **cutting,
                "images of each": wish.images or "all",
                "offers tried of each": wish.tries or "all",
            },
        )
        return found, made


def _as_before(fetch: Fetch, before: Mapping[str, Fetched]) -> Fetch:
    """A way to fetch whose records keep their time where nothing else is new."""

    def again(urls: Sequence[str], done: Callable[[Fetched], None]) -> None:
        def tell(one: Fetched) -> None:
            old = before.get(one.url)
            done(old if old is not None and replace(one, time=old.time) == old else one)

        fetch(urls, tell)

    return again


@contextlib.contextmanager
def _alone(raw: Path) -> Iterator[None]:
    """One search at a time."""
    raw.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(raw, wait=False))
        except BlockingIOError:
            raise UsageError(f"another search is writing to {raw}; wait for its end") from None
        yield


def _journal(provider: Provider, places: Places, *, retry_failed: bool) -> Journal:
    """What is known of each address, without what is to be tried again."""
    from collection.fetching.rawfiles import is_kept

    journal = Journal(places.journal_of(provider))
    n_gone = journal.forget(
        lambda one: not one.reason and not is_kept(places.images, one.sha256, one.n_bytes)
    )
    if n_gone:
        log.warning("%s: %s gone or cut short; fetched again", places.images, counted(n_gone, "picture"))
    if retry_failed:
        n_failed, n_empty = journal.forget(lambda one: bool(one.reason)), provider.forget_empty()
        log.info("again: %s, %s without an offer", counted(n_failed, "picture"), counted(n_empty, "answer"))
    return journal


def _nothing(found: Gathered, places: Places, provider: Provider) -> str:
    """Why there is nothing to put in place."""
    why, n = f"{found.stopped}; " if found.stopped else "", len(found.entries)
    if not n:
        return (
            f"{why}nobody offered a picture; {places.root} is as it was. --dry-run lists who was looked for"
        )
    told = f"{why}none of {counted(n, 'picture')} was to be had; {places.root} is as it was."
    again = "; where a server failed, --retry-failed asks it again" if provider.lasts else ""
    return f"{told} {places.journal_of(provider)} has what came of each{again}"
