"""Many URLs -> bytes in ``raw/images`` and a record each.

Owns a run: every URL ends as one `Fetched`, kept or with a line that says why not, and bytes are on
the disk before their record is told. Refuses to know whose pictures these are, to decode them (a
check is given), and to remember runs: what was fetched before is the caller's to leave out.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collection.fetching import rawfiles, sniffing
from collection.fetching.addresses import AddressRefused, Refused, Resolver
from collection.fetching.exchange import Exchange
from collection.fetching.optout import TOKEN, Origins
from collection.fetching.pacing import Allowance, Clock, Limits, Mood
from collection.fetching.robots import MAX_BYTES
from collection.fetching.room import Place
from collection.fetching.trail import Trail, Wanted
from collection.fetching.urls import normalised, one_line
from collection.records import Fetched, Verdict, utc
from featurestore.errors import KyaraError, MissingExtra

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["USER_AGENT", "Downloader"]

log = logging.getLogger(__name__)

USER_AGENT: Final = f"{TOKEN}/0.1 (a research image collection; heeds robots.txt and noai)"

_IMAGES = "image/png,image/jpeg,image/webp,image/gif,image/bmp;q=0.9,*/*;q=0.1"
#: Checks decode whole pictures: two at a time, so that a run's memory is bounded.
_N_CHECKING = 2
_TOO_MANY = 429


class Downloader:
    """Fetches pictures.

    Parameters
    ----------
    root : Path
        Where bytes go, as in `collection.fetching.rawfiles`.
    limits : Limits, optional
    check : callable, optional
        Bytes -> what is wrong with them, empty if nothing; called in a thread, only for bytes that
        begin like an image.
    user_agent : str
    clock : Clock, optional
    rng : random.Random, optional
        For the jitter of waits.
    resolver : callable, optional
        Host and port -> addresses; the machine's own if None.
    tls : ssl.SSLContext, optional
        Certificates that are trusted; certifi's if None.
    allow_loopback_for_tests : set of (host, port)
        Where loopback may be connected to. Only tests have a reason to.

    Examples
    --------
    ::

        Downloader(Path("raw/images")).fetch_all(urls, lambda fetched: print(fetched.reason or "kept"))
    """

    def __init__(
        self,
        root: Path,
        *,
        limits: Limits | None = None,
        check: Callable[[bytes], str] | None = None,
        user_agent: str = USER_AGENT,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        allow_loopback_for_tests: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        self.root = root
        self.limits = limits or Limits()
        self.check = check
        self.user_agent = user_agent
        self.clock = clock or Clock()
        self.rng = rng or random.Random()
        self.resolver = resolver
        self.tls = tls
        self.allow_loopback_for_tests = allow_loopback_for_tests
        self._moods: dict[str, Mood] = {}

    def fetch_all(self, urls: Iterable[str], on_done: Callable[[Fetched], None]) -> None:
        """Fetch every URL once; a host that asked to be left alone in an earlier call is left alone.

        Parameters
        ----------
        urls : iterable of str
            One that comes twice is told once; two spellings of one URL are fetched once, told twice.
        on_done : callable
            Called in this thread with each record as soon as it stands, in no set order; the bytes
            that it names are durable by then. What it raises ends the run.

        Raises
        ------
        OSError
            If the disk is full or refuses: what a site does never raises.
        MissingExtra
            If httpx is not installed, or what the check takes is not.
        """
        try:
            import httpx  # noqa: F401
        except ModuleNotFoundError:
            raise MissingExtra("search takes httpx; run: python -m pip install 'kyara[collect]'") from None
        rawfiles.sweep(self.root)
        asyncio.run(self._all(urls, on_done))

    async def _all(self, urls: Iterable[str], on_done: Callable[[Fetched], None]) -> None:
        from collection.fetching.transport import CheckedTransport, SystemResolver

        spellings: defaultdict[str, list[str]] = defaultdict(list)
        for url in dict.fromkeys(urls):
            try:
                spellings[normalised(url)].append(url)
            except Exception as error:
                on_done(Fetched(url, time=utc(self.clock.now()), reason=_reason(url, error)))
        transport = CheckedTransport(
            self.resolver or SystemResolver(),
            n_connections=self.limits.n_at_once,
            tls=self.tls,
            allow_loopback_for_tests=self.allow_loopback_for_tests,
        )
        struck = _cancelled_by_signals()
        run = _Run(self, transport)
        tasks = [asyncio.create_task(run.fetched(url)) for url in spellings]
        try:
            for finished in asyncio.as_completed(tasks):
                fetched = await finished
                for url in spellings[fetched.url]:
                    on_done(replace(fetched, url=url))
        except asyncio.CancelledError:
            if struck:
                raise struck[0] from None
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await transport.aclose()


class _Run:
    """What lives as long as one event loop: connections, turns, and what sites said of themselves."""

    def __init__(self, settings: Downloader, transport: httpx.AsyncBaseTransport) -> None:
        self._settings = settings
        self._exchange = Exchange(
            transport,
            limits=settings.limits,
            user_agent=settings.user_agent,
            clock=settings.clock,
            rng=settings.rng,
            moods=settings._moods,
        )
        self._origins = Origins(self._of_an_origin, self._exchange.allowance)
        self._checking = asyncio.Semaphore(_N_CHECKING)
        self._writing = asyncio.Lock()
        self._wanted = Wanted(
            accept=_IMAGES,
            max_wire_bytes=settings.limits.max_wire_bytes,
            max_bytes=settings.limits.max_bytes,
            look=_refuse_other_bytes,
            look_bytes=sniffing.N_BYTES,
            permit=self._permit,
        )

    async def fetched(self, url: str) -> Fetched:
        """What came of a normalised URL: whatever goes wrong but the writing is its reason."""
        trail, body, sha256, reason = Trail(url), b"", "", ""
        with Place(self._exchange.room) as place:
            try:
                body = await self._exchange.get(trail, self._wanted, self._exchange.allowance(), place)
                await self._check(body)
            except Exception as error:
                reason = _reason(url, error)
            else:
                async with self._writing:
                    sha256 = await asyncio.to_thread(rawfiles.keep, self._settings.root, body)
        return Fetched(
            url=url, final_url=trail.url, time=utc(self._settings.clock.now()), status=trail.status,
            opt_out=trail.opt_out, sha256=sha256, n_bytes=len(body), kind=sniffing.kind_of(body),
            reason=reason, redirects=tuple(trail.redirects),
        )  # fmt: skip

    async def _check(self, body: bytes) -> None:
        if self._settings.check is None:
            return
        async with self._checking:
            wrong = await asyncio.to_thread(self._settings.check, body)
        if wrong:
            raise Refused(wrong)

    async def _permit(self, trail: Trail, allowance: Allowance) -> None:
        trail.opt_out = await self._origins.verdict(trail.url, allowance)
        if not trail.opt_out.allowed:
            raise Refused(f"not allowed: {trail.opt_out.reason}")

    async def _of_an_origin(self, url: str, allowance: Allowance) -> bytes | Verdict:
        """A file; nothing where the site has none; no to everything where nobody can say (RFC 9309)."""
        trail = Trail(url)
        wanted = Wanted(
            accept="text/plain,application/json;q=0.9",
            max_wire_bytes=MAX_BYTES,
            max_bytes=MAX_BYTES,
            cut=True,
            heeds_opt_out=False,
        )
        try:
            with Place(self._exchange.room) as place:
                return await self._exchange.get(trail, wanted, allowance, place)
        except Refused as refused:
            if isinstance(refused, AddressRefused) and not trail.redirects:
                raise  # the host itself, and so every picture there
            if 400 <= trail.status < 500 and trail.status != _TOO_MANY:
                return b""
            return Verdict(False, one_line(f"{url.rpartition('/')[2]} unreachable: {refused}"))


def _cancelled_by_signals() -> list[BaseException]:
    """Where what a signal handler raises inside the loop's own calls ends up: the loop would only log it.

    The task that asks is cancelled by it.
    """
    struck: list[BaseException] = []
    asking = asyncio.current_task()

    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, Exception) or asking is None:
            loop.default_exception_handler(context)
        else:
            struck.append(error)
            asking.cancel()

    asyncio.get_running_loop().set_exception_handler(tell)
    return struck


def _refuse_other_bytes(head: bytes) -> None:
    if not sniffing.kind_of(head):
        raise Refused(f"no image: begins like {sniffing.beginning(head)}")


def _reason(url: str, error: Exception) -> str:
    """The line for the record of what a site brought about; what nobody foresaw is named, and logged.

    What is wrong on our side goes on as it is: no site can help it.
    """
    if isinstance(error, Refused):
        return one_line(str(error))
    if isinstance(error, (KyaraError, ImportError)):
        raise error
    log.warning("%s: failed in a way that nobody foresaw", one_line(url), exc_info=error)
    return one_line(f"failed: {type(error).__name__}: {error}")
