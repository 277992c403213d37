"""HTTP to checked addresses only.

Owns the way from a host's name to a connection: it resolves, checks every address, and connects to
one of those that it checked, so that nobody can answer otherwise between the check and the
connection. TLS still names and verifies the host. There is no proxy and nothing comes from the
environment. Refuses to follow redirects, to retry, and to know what is fetched.

Loads httpx: import it where a download begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from typing import Any

import anyio
import httpcore
import httpx

from collection.fetching.addresses import AddressRefused, Resolver, checked_host

__all__ = ["CheckedBackend", "CheckedTransport", "SystemResolver"]

_N_ADDRESSES = 4
_KEEP_ALIVE_S = 15.0
_HTTPCORE_ERRORS = (
    httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol,
)  # fmt: skip
#: What httpcore lets through: of TLS after its handshake (ssl.SSLError is an OSError), sockets and streams.
_STREAM_ERRORS = (
    OSError, anyio.BrokenResourceError, anyio.BusyResourceError, anyio.ClosedResourceError, anyio.EndOfStream,
)  # fmt: skip


class SystemResolver:
    """The machine's own resolver, in a thread for each name that is asked for.

    So no name waits for another, and none holds up writes. No thread outlives the program.
    """

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int], Future[list[Any]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """Addresses of a name; none if there is no such name.

        Raises
        ------
        OSError
            If nobody can say now.
        """
        asked = self._asked.get((host, port)) or self._begun(host, port)
        try:
            found = await asyncio.wrap_future(asked)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
                return []
            raise
        return list(dict.fromkeys(str(answer[4][0]) for answer in found))

    def _begun(self, host: str, port: int) -> Future[list[Any]]:
        """An answer that is on its way; who asks again meanwhile gets the same."""
        answer: Future[list[Any]] = Future()
        answer.set_running_or_notify_cancel()  # from now on nobody who stops waiting cancels it

        def ask() -> None:
            try:
                answer.set_result(self._ask(host, port))
            except Exception as error:
                answer.set_exception(error)
            finally:
                del self._asked[host, port]

        self._asked[host, port] = answer
        try:
            threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
        except RuntimeError as error:  # the system has none left
            del self._asked[host, port]
            raise OSError(str(error)) from None
        return answer

    @staticmethod
    def _ask(host: str, port: int) -> list[Any]:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG))


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to checked addresses.

    Parameters
    ----------
    resolver : callable
        Host and port -> addresses.
    inner : httpcore.AsyncNetworkBackend, optional
        What connects to the address it is given.
    allow_loopback_for_tests : set of (host, port)
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        inner: httpcore.AsyncNetworkBackend | None = None,
        allow_loopback_for_tests: AbstractSet[tuple[str, int]] = frozenset(),
    ) -> None:
        self._resolver = resolver
        self._inner = inner or httpcore.AnyIOBackend()
        self._allow = frozenset(allow_loopback_for_tests)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first checked address that answers.

        Raises
        ------
        AddressRefused, httpcore.ConnectError, httpcore.ConnectTimeout
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = await checked_host(host, port, resolver=self._resolver, allow=self._allow)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no resolver answered for {host}") from None
        except OSError as error:
            raise httpcore.ConnectError(f"cannot resolve {host}: {error.strerror or error}") from error
        tried = addresses[:_N_ADDRESSES]
        each_s = None if timeout is None else timeout / len(tried)
        for address in tried[:-1]:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._connect(address, port, each_s, local_address, socket_options)
        return await self._connect(tried[-1], port, each_s, local_address, socket_options)

    async def _connect(
        self,
        address: str,
        port: int,
        timeout_s: float | None,
        local_address: str | None,
        socket_options: Iterable[Any] | None,
    ) -> httpcore.AsyncNetworkStream:
        return await self._inner.connect_tcp(
            address, port, timeout=timeout_s, local_address=local_address, socket_options=socket_options
        )

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Refused: no URL of a picture leads there."""
        raise AddressRefused("refused a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class CheckedTransport(httpx.AsyncBaseTransport):
    """What httpx sends requests through; see the module.

    Parameters
    ----------
    resolver : callable
    n_connections : int
    tls : ssl.SSLContext, optional
        Certificates that are trusted; certifi's if None.
    allow_loopback_for_tests : set of (host, port)
        Where loopback may be connected to. Only tests have a reason to.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        n_connections: int,
        tls: ssl.SSLContext | None = None,
        allow_loopback_for_tests: AbstractSet[tuple[str, int]] = frozenset(),
    ) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(trust_env=False),
            max_connections=n_connections,
            max_keepalive_connections=n_connections,
            keepalive_expiry=_KEEP_ALIVE_S,
            network_backend=CheckedBackend(resolver, allow_loopback_for_tests=allow_loopback_for_tests),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body is read as its stream is iterated over.

        Raises
        ------
        AddressRefused, httpx.TransportError
        """
        url = request.url
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"only http and https, not {url.scheme}", request=request)
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = await self._pool.handle_async_request(asked)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        with contextlib.suppress(httpx.TransportError), _as_httpx():
            await self._stream.aclose()  # whatever was read stands


@contextlib.contextmanager
def _as_httpx() -> Iterator[None]:
    """Errors of httpcore and of what lies below it under httpx's names."""
    try:
        yield
    except _HTTPCORE_ERRORS as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.TransportError)
        raise kind(str(error)) from error
    except _STREAM_ERRORS as error:
        raise httpx.NetworkError(str(error)) from error
