"""A response's body, within bounds.

Owns the caps on bytes as they come and as they are once unpacked, telling a body that ended early, and
reading away what nobody wants. Unpacks by itself: httpx would unpack whatever a chunk holds before anybody
can count it. Refuses to know why a body is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from collection.fetching.addresses import Refused
from collection.fetching.urls import one_line

if TYPE_CHECKING:
    import httpx

__all__ = ["BodyBroken", "most_bytes", "read_away", "read_body"]

#: So much of a body that nobody wants is read, so that its connection can be used again.
_MAX_AWAY_BYTES: Final = 64 << 10
_MAX_AWAY_S: Final = 2.0


class BodyBroken(Exception):
    """A body ended early, or stalled; another try may do better."""


class _Plain:
    """A body as it is."""

    is_complete = True

    def unpack(self, data: bytes, room: int) -> bytes:
        return data


class _Gzip:
    """A gzip body; never unpacks more than there is room for, and one byte to tell that it is more."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def is_complete(self) -> bool:
        return self._stream.eof

    def unpack(self, data: bytes, room: int) -> bytes:
        if self._stream.eof:
            raise Refused("bytes after the end of the gzip stream")
        try:
            unpacked = self._stream.decompress(data, room + 1)
        except zlib.error:
            raise Refused("a damaged gzip stream") from None
        if self._stream.unused_data:
            raise Refused("bytes after the end of the gzip stream")
        return unpacked


def _encoding(headers: httpx.Headers) -> str:
    return str(headers.get("content-encoding", "")).strip().lower()


def _unpacker(headers: httpx.Headers) -> _Plain | _Gzip:
    encoding = _encoding(headers)
    if encoding in ("", "identity"):
        return _Plain()
    if encoding in ("gzip", "x-gzip"):
        return _Gzip()
    raise Refused(f"Content-Encoding that was not asked for: {one_line(encoding, limit=40)}")


def _announced(headers: httpx.Headers) -> int | None:
    length = headers.get("content-length", "").split(",")[0].strip()
    return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None


def most_bytes(headers: httpx.Headers, max_bytes: int) -> int:
    """How large a body may be that `read_body` gives, as far as its headers tell."""
    announced = None if _encoding(headers) else _announced(headers)
    return max_bytes if announced is None else min(announced, max_bytes)


async def read_away(response: httpx.Response) -> None:
    """Read a body that nobody wants, if it is small and comes soon: else its connection is lost."""
    import httpx

    if (_announced(response.headers) or 0) > _MAX_AWAY_BYTES:
        return
    n_read = 0
    with contextlib.suppress(httpx.TransportError, TimeoutError):
        async with asyncio.timeout(_MAX_AWAY_S):
            async for chunk in response.aiter_raw():
                n_read += len(chunk)
                if n_read > _MAX_AWAY_BYTES:
                    return


async def read_body(
    response: httpx.Response,
    *,
    max_wire_bytes: int,
    max_bytes: int,
    cut: bool = False,
    look: Callable[[bytes], None] | None = None,
    look_bytes: int = 0,
) -> bytes:
    """The body of a response, unpacked.

    Parameters
    ----------
    max_wire_bytes, max_bytes : int
        As it comes, and unpacked.
    cut : bool
        Take the first ``max_bytes`` of a longer body, rather than refuse it.
    look : callable, optional
        Called once with at least ``look_bytes`` of the beginning, or with all there is; refuses by raising.

    Raises
    ------
    Refused
        A body that is too large, or packed in a way that was not asked for.
    BodyBroken
        One that ended early or stalled.
    """
    import httpx

    unpacker, announced = _unpacker(response.headers), _announced(response.headers)
    if announced is not None and announced > max_wire_bytes and not cut:
        raise Refused(f"too large: announces {announced} bytes; at most {max_wire_bytes}")
    body, n_wire, looked = bytearray(), 0, look is None
    try:
        async for chunk in response.aiter_raw():
            n_wire += len(chunk)
            if n_wire > max_wire_bytes and not cut:
                raise Refused(f"too large: more than {max_wire_bytes} bytes came")
            body += unpacker.unpack(chunk, max_bytes - len(body))
            if not looked and look is not None and len(body) >= look_bytes:
                looked = True
                look(bytes(body))
            if len(body) > max_bytes or n_wire > max_wire_bytes:
                if cut:
                    return bytes(body[:max_bytes])
                raise Refused(f"too large: more than {max_bytes} bytes once unpacked")
    except httpx.ReadTimeout:
        raise BodyBroken(f"body stalled at byte {n_wire}") from None
    except httpx.TransportError:
        of = "" if announced is None else f" of {announced}"
        raise BodyBroken(f"body ended early: {n_wire}{of} bytes came") from None
    if not unpacker.is_complete:
        raise BodyBroken(f"body ended early: the gzip stream has no end after {n_wire} bytes")
    if not looked and look is not None:
        look(bytes(body))
    return bytes(body)
