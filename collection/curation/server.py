"""The review as a page on this machine alone: a small HTTP server on 127.0.0.1.

Owns who may ask, and what is answered. Whoever asks must know the token that stands in the address, and call
the server by its own name; whoever decides must come from the page itself. Refuses to know what a decision
means (``session``).
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import secrets
import socketserver
import sys
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from collection.curation.quality import FLAGS
from collection.curation.session import Session
from featurestore.errors import KyaraError

__all__ = ["ReviewServer"]

log = logging.getLogger(__name__)

_HOST: Final = "127.0.0.1"
_PAGE: Final = Path(__file__).parent / "page"
_FILES: Final = {
    "": ("review.html", "text/html; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    "review.css": ("review.css", "text/css; charset=utf-8"),
    "review.js": ("review.js", "text/javascript; charset=utf-8"),
}
_IMAGE: Final = re.compile(r"image/([0-9a-f]{64})\.png")
#: Of a decision; it is a key, a word and a sentence.
_MOST_BYTES: Final = 4096
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class ReviewServer(ThreadingHTTPServer):
    """Serves one session on a free port of 127.0.0.1, under an address that cannot be guessed.

    Parameters
    ----------
    session : Session
    """

    daemon_threads = True

    def __init__(self, session: Session) -> None:
        self.session = session
        self.token = secrets.token_urlsafe(24)
        super().__init__((_HOST, 0), _Handler)

    def server_bind(self) -> None:
        """Bind; the names that the standard server looks up may take a resolver's time."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is none; the curator's terminal is not told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser that means this server calls it."""
        return f"{_HOST}:{self.server_port}", f"localhost:{self.server_port}"

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        return f"http://{self.hosts[0]}/{self.token}/"


class _Refusal(Exception):
    """A request that is not answered as it wished."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a silent connection is kept

    def do_GET(self) -> None:
        """The page, its two files, what is known of every picture, or one picture."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A decision, or taking the last one back."""
        self._answer(self._post)

    def _answer(self, method: Any) -> None:
        try:
            body, kind = method(self._route())
        except _Refusal as refusal:
            self.close_connection = True  # a body may be left unread
            self._send(refusal.status, f"{refusal}\n".encode(), "text/plain; charset=utf-8")
        except KyaraError as error:
            self._send(HTTPStatus.BAD_REQUEST, *_json({"error": str(error)}))
        except OSError as error:
            log.warning("%s", error)
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, *_json({"error": error.strerror or str(error)}))
        else:
            self._send(HTTPStatus.OK, body, kind)

    def _route(self) -> str:
        """What is asked for below the token, of those who may ask."""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise _Refusal(HTTPStatus.FORBIDDEN, "another name for this server: it answers to its own alone")
        start, _, rest = self.path.removeprefix("/").partition("/")
        given, token = start.encode("latin-1", "replace"), self.server.token.encode()
        if not self.path.startswith("/") or not hmac.compare_digest(given, token):
            raise _Refusal(HTTPStatus.FORBIDDEN, "no token: open the address that the command printed")
        return rest

    def _get(self, route: str) -> tuple[bytes, str]:
        session = self.server.session
        if route in _FILES:
            name, kind = _FILES[route]
            return (_PAGE / name).read_bytes(), kind
        if route == "pictures.json":
            cards = [asdict(card) for card in session.cards()]
            labels = [] if session.blind else session.survey.labels
            return _json({"pictures": cards, "labels": labels, "blind": session.blind, "flags": FLAGS})
        image = _IMAGE.fullmatch(route)
        if image and image[1] in session.number_of:
            return session.image(image[1]), "image/png"
        raise _Refusal(HTTPStatus.NOT_FOUND, "nothing here")

    def _post(self, route: str) -> tuple[bytes, str]:
        host = (self.headers.get("Host") or "").lower()
        if self.headers.get_all("Origin") != [f"http://{host}"]:
            raise _Refusal(HTTPStatus.FORBIDDEN, "another origin: decisions come from the page itself")
        if self.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise _Refusal(HTTPStatus.FORBIDDEN, "another site: decisions come from the page itself")
        if self.headers.get_content_type() != "application/json":
            raise _Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "no application/json")
        said = self._body()
        session = self.server.session
        if route == "undo":
            card = session.undo()
            return _json({"picture": asdict(card) if card else None})
        if route == "decide":
            texts = {name: said.get(name, "") for name in ("key", "action", "label", "reason")}
            if not all(isinstance(text, str) for text in texts.values()):
                raise _Refusal(HTTPStatus.BAD_REQUEST, "key, action, label and reason are texts")
            card = session.decide(texts.pop("key"), texts.pop("action"), **texts)
            return _json({"picture": asdict(card)})
        raise _Refusal(HTTPStatus.NOT_FOUND, "nothing here")

    def _body(self) -> Mapping[str, Any]:
        """The JSON object that was sent."""
        length = self.headers.get("Content-Length") or ""
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            raise _Refusal(HTTPStatus.LENGTH_REQUIRED, "no Content-Length")
        if len(length) > 9 or int(length) > _MOST_BYTES:
            raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {_MOST_BYTES} bytes")
        try:
            said = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise _Refusal(HTTPStatus.BAD_REQUEST, "no JSON") from None
        if not isinstance(said, dict):
            raise _Refusal(HTTPStatus.BAD_REQUEST, "no JSON object")
        return said

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the standard server refuses, in one plain line and under the same headers."""
        self.close_connection = True
        self._send(HTTPStatus(code), f"{HTTPStatus(code).phrase}\n".encode(), "text/plain; charset=utf-8")

    def version_string(self) -> str:
        """Say nothing of versions."""
        return "kyara"

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: each address holds the token."""


def _json(value: Any) -> tuple[bytes, str]:
    return json.dumps(value).encode(), "application/json"
