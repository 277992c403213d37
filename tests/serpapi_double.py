"""A service that answers as SerpAPI does: the shape of its answers, its error bodies and statuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "canary-key/4711+which=must&not be seen"


def images(n: int, url: Callable[[int], str]) -> list[dict[str, Any]]:
    """``images_results`` as the service writes them."""
    return [
        {
            "position": i + 1,
            "thumbnail": f"https://serpapi.com/searches/x/images/{i}.jpeg",
            "related_content_id": "a==",
            "serpapi_related_content_link": "https://serpapi.com/search.json?engine=google_images_related_content",
            "source": "Example",
            "title": f"Picture {i}",
            "link": f"https://example.org/page/{i}",
            "original": url(i),
            "original_width": 800,
            "original_height": 600,
            "is_product": False,
        }
        for i in range(n)
    ]


class SerpApiDouble:
    """``with SerpApiDouble(offers) as double: double.base_url``.

    Attributes
    ----------
    asked : list of str
        Queries that were answered.
    fails : list of (status, body)
        Answers to give first, instead of results.
    """

    def __init__(self, offers: Callable[[str], list[dict[str, Any]] | None]) -> None:
        self.asked: list[str] = []
        self.fails: list[tuple[int, str | dict[str, Any]]] = []
        self._offers = offers
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                self._send(*double.answer(asked))

            def _send(self, status: int, body: str | dict[str, Any]) -> None:
                data = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                kind = "text/html" if isinstance(body, str) else "application/json"
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, asked: dict[str, str]) -> tuple[int, str | dict[str, Any]]:
        """Status and body, as the service answers what was asked."""
        if self.fails:
            return self.fails.pop(0)
        if asked.get("api_key") != KEY:
            return 401, {
                "error": "Invalid API key. Your API key should be here: https://serpapi.com/manage-api-key"
            }
        if asked.get("engine") != "google_images" or "q" not in asked:
            return 400, {"error": "Missing query `q` parameter."}
        self.asked.append(asked["q"])
        about = {
            "id": f"{len(self.asked):024x}",
            "status": "Success",
            "created_at": "2026-01-01 00:00:00 UTC",
        }
        found = self._offers(asked["q"])
        answer: dict[str, Any] = {
            "search_metadata": {**about, "json_endpoint": "https://serpapi.com/searches/x/y.json"},
            "search_parameters": {name: text for name, text in asked.items() if name != "api_key"},
        }
        if not found:
            answer["error"] = "Google hasn't returned any results for this query."
        else:
            answer |= {"suggested_searches": [], "images_results": found}
        return 200, answer

    def __enter__(self) -> SerpApiDouble:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
