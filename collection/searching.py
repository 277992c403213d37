"""``python -m collection search``: the plan, the run, and what is said of it.

Owns how the parts are put together for a command. Refuses to read options and the environment.
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
from collection.carryover import carried_text
from collection.gathering import Fetch, Gathered, gather, planned
from collection.journal import Journal
from collection.providers import Provider, ProviderRefused
from collection.records import ROLES, Character, Fetched, utc
from featurestore.errors import DataError, UsageError
from featurestore.files import held
from featurestore.text import counted

if TYPE_CHECKING:
    from collection.crop import CropParams, Cut
    from collection.crop.bias import Bias

__all__ = [
    "Places",
    "Wish",
    "copied",
    "downloaded",
    "plan_text",
    "report_text",
    "search",
    "strangers_text",
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


def plan_text(characters: Sequence[Character], provider: Provider, budget: int | None) -> str:
    """What a search would do, without doing it."""
    from collection.lists import query_of

    n_asked, n_known = planned(characters, provider)
    roles = Counter(one.role for one in characters)
    series = {one.series for one in characters}
    lines = [
        f"{counted(n_asked, 'character')} of {len(series)} series: "
        + ", ".join(f"{n} {role}" for role, n in roles.items())
    ]
    if provider.costs:
        left = n_asked - n_known
        lines.append(f"{counted(n_known, 'answer')} kept; {left} would cost a credit each")
        if budget is not None and budget < left:
            asked = [one for one in characters if not provider.known(one)][:budget]
            now = ", ".join(f"{n} {role}" for role, n in Counter(one.role for one in asked).items())
            lines.append(
                f"the budget of {counted(budget, 'credit')} asks about {now};"
                f" {counted(left - budget, 'character')} left for another run"
            )
        lines += [f"  {'kept' if provider.known(one) else '    '}  {query_of(one)}" for one in characters]
    else:
        offers = [(len(provider.candidates(one)), one) for one in characters]
        lines.append(f"{counted(sum(n for n, _ in offers), 'picture')} on offer")
        offers.sort(key=lambda offer: offer[0] > 0)  # who lacks pictures is looked for
        lines += [f"  {n:4d}  {one.name} ({one.series})" for n, one in offers]
    lines += strangers_text(characters, provider)
    return "\n".join(lines)


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


def lost(made: Assembled, params: CropParams) -> Bias | None:
    """Whether finding faces loses more of one class; None where no face was looked for."""
    from collection.crop.bias import Outcome, bias_of
    from collection.crop.cutting import NO_FACE

    if params.method == "center-top":
        return None
    outcomes = [
        Outcome(ROLES[row.role], row.crop == params.method, row.series)
        for row in made.rows
        if row.crop or row.reason == NO_FACE
    ]
    return bias_of(outcomes, method=params.method, fallback=params.fallback)


def report_text(found: Gathered, made: Assembled, root: Path, params: CropParams, *, folds: int) -> str:
    """What came of it.

    Parameters
    ----------
    folds : int
        Of the study's cross-validation, which keeps series apart.
    """
    tried = counted(len(found.entries), "offer")
    lines = [f"{root}: {_counts(made.n_images)} brought, of {tried} that were tried"]
    if made.n_in_all != made.n_images:
        n = counted(sum(made.n_in_all.values()), "picture")
        lines[0] += f"; it holds {n} in all: {_counts(made.n_in_all)}"
    for label, methods in made.methods.items():
        lines.append(f"  {label}: " + ", ".join(f"{n} cut by {name}" for name, n in sorted(methods.items())))
    lines.append(_series_text(made, folds))
    bias = lost(made, params)
    lines += [f"  {bias.text()}"] if bias is not None else []
    carried = carried_text(made.carried)
    lines += [f"  {carried}"] if carried else []
    reasons = Counter(row.reason for row in made.rows if row.reason)
    lines += [f"  {n} not taken: {reason}" for reason, n in reasons.most_common(12)]
    if len(reasons) > 12:
        lines.append(f"  ... {len(reasons) - 12} more reasons in {root / 'metadata/sources.csv'}")
    lines += [f"  missing: {one.name} ({one.series}): {why}" for one, why in found.missing[:20]]
    if len(found.missing) > 20:
        lines.append(f"  ... {len(found.missing) - 20} more characters without enough pictures")
    if found.stopped:
        lines.append(f"{found.stopped}; run the same command again to go on: what is kept costs nothing")
    return "\n".join(lines)


def _counts(n_by_label: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {label}" for label, n in n_by_label.items()) or "no pictures"


def strangers_text(characters: Sequence[Character], provider: Provider) -> list[str]:
    """Lines on what the provider has for nobody on the list."""
    strangers = provider.strangers(characters)
    lines = [f"  {name}: nobody on the list is called so" for name in strangers]
    if set(strangers) & {*ROLES, *ROLES.values()}:
        lines.append(
            "  (folders of classes, with no character above the pictures: python -m collection import DIR)"
        )
    return lines


def _series_text(made: Assembled, folds: int) -> str:
    """How many series there are, and whether they are enough for a study that keeps series apart."""
    sides: dict[str, set[str]] = {}
    for row in made.rows:
        if row.file:
            sides.setdefault(row.series, set()).add(ROLES[row.role])
    both = sum(len(classes) > 1 for classes in sides.values())
    told = f"  {len(sides)} series, {both} of them with both classes"
    if len(sides) < 2 * folds:
        told += (
            f"; too few to keep series apart in {folds} folds: bring at least {2 * folds},"
            " with heroes and villains in each"
        )
    return told
