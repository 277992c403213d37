"""An image host that misbehaves, on a local port.

    with ImageHost() as host:
        host.url("/good/1.png")          # a picture
        host.n_requests("/good/1.png")   # how often it was asked for

or, as a process of its own: ``python tests/hosts.py --port 0`` prints its port and serves as long as its parent lives;
``/_seen`` gives its counts as JSON and ``/_reset`` forgets them.

What it does is the first part of the path; ``N.EXT`` is a picture, the same for the same N (.png .jpg .webp .gif .bmp):

    /good/N.EXT                 the picture             /slow/MS/N.EXT        the same, after MS ms
    /missing/ /forbidden/ /gone/                        404, 403, 410
    /later/K/S/N.EXT            429 with Retry-After: S for K requests, then the picture
    /later-date/K/S/N.EXT       the same, with an HTTP date
    /unwell/K/N.EXT             503 for K requests, then the picture
    /broken/                    500, always
    /drip/N.EXT                 a byte at a time        /silent/              takes the request, says nothing
    /mute/                      404, whose body does not come
    /stall/N.EXT                100 bytes, and no more
    /endless/N.EXT              a body without an end   /vast/                announces 100 GB
    /bomb/N.EXT                 gzip of 32 MiB          /gzip/N.EXT           gzip of the picture
    /torn-gzip/N.EXT            half of that            /brotli/N.EXT         Content-Encoding: br
    /loop/N                     redirects in a circle   /hops/K/PATH          K redirects, then /PATH
    /to/URL                     redirects to a quoted URL
    /page/N.jpg                 HTML as image/jpeg      /empty/N.EXT          nothing
    /truncated/N.EXT            half a picture, whole as HTTP tells
    /long-length/N.EXT          announces more than comes
    /short-length/N.EXT         announces half of what comes
    /dropped/B/N.EXT            ends at byte B          /dropped-once/B/N.EXT only the first time
    /reset/                     ends before it answers  /chunked/N.EXT        chunked, whole
    /torn-chunks/N.EXT          chunked, without its end
    /torn-tls/N.EXT             100 bytes, and then no TLS
    /garbage/                   no HTTP                 /long-header/         a header of a megabyte
    /continue/                  100 Continue, for ever
    /marked/MARK/N.EXT          noai noimageai none kyara-noai other-noai several tdm tdm0 usage signal: a picture under such a
                                header; endless where it means no
    /mislabelled/N.EXT          the picture as text/html

Names: every ``*.images.test`` is this host (see `resolver`). ``robots-deny``, ``-part``, ``-kyara``, ``-other``,
``-error``, ``-busy``, ``-forbidden``, ``-loop``, ``-vast``, ``-silent``, ``-away``, ``-drip``, ``-signal`` and ``-usage``
``.images.test`` have such a robots.txt (``-drip2``, too), ``tdm-all``, ``-part``, ``-free``, ``-page``, ``-deep``, ``-error`` and ``-hidden`` such a tdmrep.json; others have none.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gzip
import io
import json
import os
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote

import numpy as np
from PIL import Image

TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
}
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP"}
DOMAIN = ".images.test"

ROBOTS = {
    "deny": (200, "User-agent: *\nDisallow: /\n"),
    "part": (200, "User-agent: *\nDisallow: /good/*.png$\nAllow: /good/1\n"),
    "kyara": (200, "User-agent: *\nAllow: /\n\nUser-agent: Kyara\nDisallow: /good\n"),
    "other": (200, "User-agent: otherbot\nDisallow: /\n"),
    "error": (500, ""),
    "busy": (429, ""),
    "forbidden": (403, "no"),
    "signal": (200, "User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /\n"),
    "usage": (
        200,
        "User-agent: *\nAllow: /\nContent-Usage: /elsewhere train-ai=n\nContent-Usage: /good train-ai=y\n",
    ),
    "tdm-hidden": (200, "User-agent: *\nDisallow: /.well-known/\n"),
    "vast": (200, "User-agent: *\nAllow: /\n" + "# nothing\n" * 60_000 + "Disallow: /\n"),
}
RESERVATIONS = {
    "all": (200, '[{"location": "/", "tdm-reservation": 1, "tdm-policy": "https://example.org/policy"}]'),
    "part": (200, '[{"location": "/", "tdm-reservation": 1}, {"location": "/good/*", "tdm-reservation": 0}]'),
    "free": (200, '[{"location": "/", "tdm-reservation": 0}]'),
    "page": (200, "<!DOCTYPE html><title>nothing here</title>"),
    "deep": (200, "[" * 100_000),
    "error": (500, ""),
    "hidden": (200, '[{"location": "/", "tdm-reservation": 1}]'),  # below what robots.txt forbids
}
MARKS = {
    "noai": ["X-Robots-Tag: noai"],
    "noimageai": ["X-Robots-Tag: noindex, NoImageAI"],
    "none": ["X-Robots-Tag: none"],
    "kyara-noai": ["X-Robots-Tag: kyara: noai"],
    "other-noai": ["X-Robots-Tag: otherbot: noai, noimageai", "X-Robots-Tag: max-image-preview: none-at-all"],
    "several": ["X-Robots-Tag: noindex", "X-Robots-Tag: otherbot: none", "X-Robots-Tag: noimageai"],
    "tdm": ["tdm-reservation: 1"],
    "tdm0": ["tdm-reservation: 0"],
    "usage": ["Content-Usage: train-ai=n"],
    "signal": ["Content-Signal: search=yes, ai-train=no"],
}
WELCOMING = ("other-noai", "tdm0")


@functools.cache
def picture_bytes(name: str, side: int = 64) -> bytes:
    """The picture ``N.EXT``: coarse noise that N seeds."""
    number, _, ending = name.partition(".")
    seed = int(number) if number.isdigit() else sum(number.encode())
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    options = {"lossless": True} if ending == "webp" else {}
    image.save(buffer, FORMATS.get(ending, "PNG"), **options)
    return buffer.getvalue()


@functools.cache
def bomb() -> bytes:
    return gzip.compress(picture_bytes("1.png") + bytes(32 << 20), 1)


@dataclass
class Asked:
    """A request that is being answered."""

    host: ImageHost
    name: str
    path: str
    parts: list[str]
    n: int  # how often this path was asked for before
    writer: asyncio.StreamWriter

    def picture(self) -> bytes:
        return self.host.pictures(self.parts[-1])

    def media_type(self) -> str:
        return TYPES.get(self.parts[-1].rpartition(".")[2], "application/octet-stream")

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        self.host.n_sent[self.path] += len(data)

    async def head(self, status: int, *lines: str) -> None:
        text = "\r\n".join([f"HTTP/1.1 {status} x", *lines, "", ""])
        self.writer.write(text.encode("latin-1"))
        await self.writer.drain()

    async def answer(self, status: int, body: bytes = b"", *lines: str, length: int | None = None) -> None:
        announced = len(body) if length is None else length
        await self.head(status, *(lines or ["Content-Type: text/plain"]), f"Content-Length: {announced}")
        await self.send(body)

    async def good(self, *lines: str) -> None:
        await self.answer(200, self.picture(), f"Content-Type: {self.media_type()}", *lines)

    async def endless(self, *lines: str) -> None:
        """A body that begins like the picture; ends with the connection."""
        await self.head(200, f"Content-Type: {self.media_type()}", *lines, "Connection: close")
        await self.send(self.picture())
        while True:
            await self.send(bytes(1 << 16))
            await asyncio.sleep(0)

    async def moved(self, place: str) -> None:
        await self.answer(302, b"", f"Location: {place}")


#: Whether the connection may go on being used.
Behaviour = Callable[[Asked], Awaitable[bool]]
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(*names: str) -> Callable[[Callable[[Asked], Awaitable[bool | None]]], Behaviour]:
    def named(call: Callable[[Asked], Awaitable[bool | None]]) -> Behaviour:
        async def wrapped(asked: Asked) -> bool:
            return await call(asked) is not False

        for name in names:
            BEHAVIOURS[name] = wrapped
        return wrapped

    return named


@behaviour("good")
async def _good(asked: Asked) -> None:
    await asked.good()


@behaviour("mislabelled")
async def _mislabelled(asked: Asked) -> None:
    await asked.answer(200, asked.picture(), "Content-Type: text/html")


@behaviour("slow")
async def _slow(asked: Asked) -> None:
    await asyncio.sleep(int(asked.parts[1]) / 1000)
    await asked.good()


@behaviour("missing", "forbidden", "gone", "broken")
async def _status(asked: Asked) -> None:
    await asked.answer({"missing": 404, "forbidden": 403, "gone": 410, "broken": 500}[asked.parts[0]], b"no")


@behaviour("later", "later-date")
async def _later(asked: Asked) -> None:
    _, times, seconds, _ = asked.parts
    if asked.n >= int(times):
        await asked.good()
        return
    when = seconds if asked.parts[0] == "later" else formatdate(time.time() + int(seconds), usegmt=True)
    await asked.answer(429, b"later", f"Retry-After: {when}")


@behaviour("unwell")
async def _unwell(asked: Asked) -> None:
    if asked.n < int(asked.parts[1]):
        await asked.answer(503, b"unwell")
    else:
        await asked.good()


@behaviour("drip")
async def _drip(asked: Asked) -> bool:
    body = asked.picture()
    await asked.head(200, f"Content-Type: {asked.media_type()}", f"Content-Length: {len(body)}")
    for byte in body:
        await asked.send(bytes([byte]))
        await asyncio.sleep(0.02)
    return False


@behaviour("silent")
async def _silent(asked: Asked) -> bool:
    await asyncio.sleep(60)
    return False


@behaviour("mute")
async def _mute(asked: Asked) -> bool:
    await asked.head(404, "Content-Type: text/plain", "Content-Length: 100")
    await asyncio.sleep(60)
    return False


@behaviour("stall")
async def _stall(asked: Asked) -> bool:
    body = asked.picture()
    await asked.head(200, f"Content-Type: {asked.media_type()}", f"Content-Length: {len(body)}")
    await asked.send(body[:100])
    await asyncio.sleep(60)
    return False


@behaviour("endless")
async def _endless(asked: Asked) -> bool:
    await asked.endless()
    return False


@behaviour("vast")
async def _vast(asked: Asked) -> bool:
    await asked.answer(200, picture_bytes("1.png"), "Content-Type: image/png", length=100 * 10**9)
    return False


@behaviour("bomb")
async def _bomb(asked: Asked) -> None:
    await asked.answer(200, bomb(), f"Content-Type: {asked.media_type()}", "Content-Encoding: gzip")


@behaviour("gzip", "torn-gzip")
async def _gzip(asked: Asked) -> None:
    body = gzip.compress(asked.picture())
    body = body[: len(body) // 2] if asked.parts[0] == "torn-gzip" else body
    await asked.answer(200, body, f"Content-Type: {asked.media_type()}", "Content-Encoding: gzip")


@behaviour("brotli")
async def _brotli(asked: Asked) -> None:
    await asked.answer(200, asked.picture(), f"Content-Type: {asked.media_type()}", "Content-Encoding: br")


@behaviour("loop")
async def _loop(asked: Asked) -> None:
    await asked.moved(f"/loop/{(int(asked.parts[1]) + 1) % 3}")


@behaviour("hops")
async def _hops(asked: Asked) -> None:
    _, left, *rest = asked.parts
    await asked.moved(f"/hops/{int(left) - 1}/{'/'.join(rest)}" if int(left) else f"/{'/'.join(rest)}")


@behaviour("to")
async def _to(asked: Asked) -> None:
    await asked.moved(unquote(asked.path.removeprefix("/to/")))


@behaviour("page")
async def _page(asked: Asked) -> None:
    await asked.answer(200, b"<!DOCTYPE html><title>no picture</title>", "Content-Type: image/jpeg")


@behaviour("empty")
async def _empty(asked: Asked) -> None:
    await asked.answer(200, b"", "Content-Type: image/png")


@behaviour("truncated")
async def _truncated(asked: Asked) -> None:
    body = asked.picture()
    await asked.answer(200, body[: len(body) // 2], f"Content-Type: {asked.media_type()}")


@behaviour("long-length")
async def _long_length(asked: Asked) -> bool:
    body = asked.picture()
    await asked.answer(200, body, f"Content-Type: {asked.media_type()}", length=len(body) + 1000)
    return False


@behaviour("short-length")
async def _short_length(asked: Asked) -> bool:
    body = asked.picture()
    await asked.answer(200, body, f"Content-Type: {asked.media_type()}", length=len(body) // 2)
    return False


@behaviour("dropped", "dropped-once")
async def _dropped(asked: Asked) -> bool:
    body = asked.picture()
    if asked.parts[0] == "dropped-once" and asked.n:
        await asked.good()
        return True
    lines = f"Content-Type: {asked.media_type()}", f"Content-Length: {len(body)}"
    await asked.head(200, *lines)
    await asked.send(body[: int(asked.parts[1])])
    return False


@behaviour("reset")
async def _reset(asked: Asked) -> bool:
    return False


@behaviour("garbage")
async def _garbage(asked: Asked) -> bool:
    await asked.send(bytes(range(256)) * 4)
    return False


@behaviour("long-header")
async def _long_header(asked: Asked) -> bool:
    await asked.head(200, "Content-Type: image/png", "X-Long: " + "x" * (1 << 20))
    return False


@behaviour("continue")
async def _continue(asked: Asked) -> bool:
    while True:
        await asked.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
        await asyncio.sleep(0.001)


@behaviour("chunked", "torn-chunks")
async def _chunked(asked: Asked) -> bool:
    await asked.head(200, f"Content-Type: {asked.media_type()}", "Transfer-Encoding: chunked")
    body = asked.picture()
    for start in range(0, len(body), 100):
        part = body[start : start + 100]
        await asked.send(b"%x\r\n%s\r\n" % (len(part), part))
    if asked.parts[0] == "torn-chunks":
        return False
    await asked.send(b"0\r\n\r\n")
    return True


@behaviour("torn-tls")
async def _torn_tls(asked: Asked) -> bool:
    body = asked.picture()
    await asked.head(200, f"Content-Type: {asked.media_type()}", f"Content-Length: {len(body)}")
    await asked.send(body[:100])
    below = asked.writer.get_extra_info("socket")
    with socket.socket(fileno=os.dup(below.fileno())) as plain:
        plain.send(b"no record of TLS")
    await asyncio.sleep(0.2)
    return False


@behaviour("marked")
async def _marked(asked: Asked) -> bool:
    mark = asked.parts[1]
    if mark in WELCOMING:
        await asked.good(*MARKS[mark])
        return True
    await asked.endless(*MARKS[mark])
    return False


async def _robots(asked: Asked) -> bool:
    variant = asked.name.removesuffix(DOMAIN).removeprefix("robots-")
    if variant == "silent":
        return await BEHAVIOURS["silent"](asked)
    if variant == "away":  # on to another origin, which has none
        await asked.moved(asked.host.url("/elsewhere/robots.txt", name="other" + DOMAIN))
    elif variant == "loop":
        await asked.moved("/robots.txt")
    elif variant.startswith("drip"):
        await asked.head(200, "Content-Type: text/plain", "Content-Length: 10")
        for _ in range(10):
            await asked.send(b"\n")
            await asyncio.sleep(0.06)
    else:
        status, text = asked.host.robots.get(variant, (404, "no"))
        await asked.answer(status, text.encode(), "Content-Type: text/plain")
    return True


async def _reservations(asked: Asked) -> None:
    variant = asked.name.removesuffix(DOMAIN).removeprefix("tdm-")
    status, text = RESERVATIONS.get(variant, (404, "no"))
    await asked.answer(status, text.encode(), "Content-Type: application/json")


class ImageHost:
    """The server, in a thread of its own.

    ``pictures``: file name -> bytes; ``robots``: variant -> status and text, beside `ROBOTS`; ``tls``: serve https.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        pictures: Callable[[str], bytes] = picture_bytes,
        robots: dict[str, tuple[int, str]] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = port
        self.pictures = pictures
        self.robots = ROBOTS | (robots or {})
        self.tls = tls
        self.seen: Counter[str] = Counter()  # path -> requests
        self.n_sent: Counter[str] = Counter()  # path -> bytes of bodies that were taken off our hands
        self.peak: Counter[str] = Counter()  # name, "" for all -> most requests at a time
        self.n_connections = 0
        self.headers: dict[str, dict[str, str]] = {}  # path -> headers of the last request
        self._now: Counter[str] = Counter()
        self._connections: set[asyncio.Task[None]] = set()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="image host", daemon=True)

    def __enter__(self) -> ImageHost:
        self._thread.start()
        self._started.wait(20)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def url(self, path: str, *, name: str = "127.0.0.1") -> str:
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}{path}"

    def redirect(self, url: str) -> str:
        """A URL here that leads there."""
        return self.url("/to/" + quote(url, safe=""))

    def n_requests(self, path: str) -> int:
        return self.seen[path]

    def reset(self) -> None:
        for counter in (self.seen, self.n_sent, self.peak):
            counter.clear()
        self.n_connections = 0

    def allowed(self, *names: str) -> frozenset[tuple[str, int]]:
        """What a downloader has to be told before it comes here."""
        return frozenset((name, self.port) for name in ("127.0.0.1", *names))

    @staticmethod
    async def resolver(name: str, port: int) -> Sequence[str]:
        """Every ``*.images.test`` is this machine; there are no other names."""
        return ["127.0.0.1"] if name.endswith(DOMAIN) else []

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls, backlog=256)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.n_connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the other side went away, or we stop
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; whether there may be another on this connection."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = lines[0].split(" ")[1]
        headers = {
            key.lower(): value.strip()
            for key, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        name = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
        parts = path.partition("?")[0].strip("/").split("/")
        asked = Asked(self, name, path, parts, self.seen[path], writer)
        if path.startswith("/_"):
            await asked.answer(200, self._told(path), "Content-Type: application/json")
            return True
        self.seen[path] += 1
        self.headers[path] = headers
        for of in (name, ""):
            self._now[of] += 1
            self.peak[of] = max(self.peak[of], self._now[of])
        try:
            if path == "/robots.txt":
                return await _robots(asked)
            if path == "/.well-known/tdmrep.json":
                await _reservations(asked)
                return True
            call = BEHAVIOURS.get(parts[0])
            if call is None:
                await asked.answer(404, b"no such behaviour")
                return True
            return await call(asked)
        finally:
            self._now[name] -= 1
            self._now[""] -= 1

    def _told(self, path: str) -> bytes:
        told = json.dumps({"seen": self.seen, "sent": self.n_sent, "peak": self.peak}, sort_keys=True)
        if path == "/_reset":
            self.reset()
        return told.encode()


def pictures_in(folder: Path) -> Callable[[str], bytes]:
    """Files of a folder where it has them, else `picture_bytes`."""

    def picture(name: str) -> bytes:
        file = folder / name
        return file.read_bytes() if file.is_file() else picture_bytes(name)

    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description="An image host that misbehaves.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pictures", type=Path, help="a folder whose files are served in place of noise")
    options = parser.parse_args()
    pictures = pictures_in(options.pictures) if options.pictures else picture_bytes
    with ImageHost(port=options.port, pictures=pictures) as host:
        sys.stdout.write(f"{host.port}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            parent = os.getppid()
            while os.getppid() == parent:  # never outlives whoever started it
                time.sleep(0.2)


if __name__ == "__main__":
    main()
