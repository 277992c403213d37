"""A service that answers as SerpAPI does: the shape of its answers, its error bodies and statuses."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "canary-key/4711+which=must&not be seen"

#: An answer where the search itself failed.
FAILED: tuple[int, str | dict[str, Any]] = (
    503,
    {
        "search_metadata": {"id": "f" * 24, "status": "Error", "created_at": "2026-01-01 00:00:00 UTC"},
        "search_parameters": {"engine": "google_images", "google_domain": "google.com", "device": "desktop"},
        "error": "We couldn't get valid results for this search. Please try again later.",
    },
)


def images(n: int, url: Callable[[int], str]) -> list[dict[str, Any]]:
    """``images_results`` as the service writes them: some are licensable, some are of products."""
    sorts: tuple[dict[str, Any], ...] = (
        {"tag": "Licensable", "is_product": False},
        {"tag": "In stock", "is_product": True, "in_stock": True},
        {"is_product": False},
    )
    found = []
    for i in range(n):
        one = {
            "position": i + 1,
            "thumbnail": f"https://serpapi.com/searches/x/images/{i}.jpeg",
            "related_content_id": "a==",
            "serpapi_related_content_link": "https://serpapi.com/search.json?engine=google_images_related_content",
            "source": "Example",
            "source_logo": "https://serpapi.com/searches/x/images/logo.png",
            "title": f"Picture {i}",
            "link": f"https://example.org/page/{i}",
            "original": url(i),
            "original_width": 800,
            "original_height": 600,
        } | sorts[i % len(sorts)]
        if one.get("tag") == "Licensable":
            one["license_details_url"] = f"https://example.org/licence/{i}"
        found.append(one)
    return found


class SerpApiDouble:
    """``with SerpApiDouble(offers) as double: double.base_url``.

    Attributes
    ----------
    asked : list of str
        Queries that were answered.
    requests : list of dict of str to str
        All that was asked with each of them, without the key.
    fails : list of (status, body)
        Answers to give first, instead of results.
    kind : str
        Media type of bodies that are text.
    cut : bool
        Whether answers break off in the middle.
    waits_s : float
        How long an answer takes.
    """

    def __init__(self, offers: Callable[[str], list[dict[str, Any]] | None]) -> None:
        self.asked: list[str] = []
        self.requests: list[dict[str, str]] = []
        self.fails: list[tuple[int, str | dict[str, Any]]] = []
        self.kind, self.cut, self.waits_s = "text/html", False, 0.0
        self._closed = threading.Event()
        self._offers = offers
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                double._closed.wait(double.waits_s)
                with contextlib.suppress(ConnectionError):  # who asked waits no longer
                    self._send(*double.answer(asked))

            def _send(self, status: int, body: str | dict[str, Any]) -> None:
                data = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                kind = double.kind if isinstance(body, str) else "application/json"
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if double.cut else data)

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
        self.requests.append({name: text for name, text in asked.items() if name != "api_key"})
        found = self._offers(asked["q"])
        place = f"https://serpapi.com/searches/x/{len(self.asked):024x}"
        answer: dict[str, Any] = {
            "search_metadata": {
                "id": f"{len(self.asked):024x}",
                "status": "Success",
                "json_endpoint": f"{place}.json",
                "created_at": "2026-01-01 00:00:00 UTC",
                "processed_at": "2026-01-01 00:00:00 UTC",
                "google_images_url": "https://www.google.com/search?udm=2&q=x",
                "raw_html_file": f"{place}.html",
                "total_time_taken": 1.23,
            },
            "search_parameters": {**self.requests[-1], "google_domain": "google.com", "device": "desktop"},
            "search_information": {
                "image_results_state": "Results for exact spelling" if found else "Fully empty",
                "query_displayed": asked["q"],
            },
        }
        if not found:
            return 200, answer | {"error": "Google hasn't returned any results for this query."}
        more = "https://serpapi.com/search.json?engine=google_images"
        return 200, answer | {
            "suggested_searches": [
                {"name": "Sky", "link": "https://www.google.com/search?q=y", "chips": "y"}
            ],
            "images_results": found,
            "related_searches": [{"query": "another", "serpapi_link": f"{more}&q=another"}],
            "serpapi_pagination": {"current": 1, "next": f"{more}&ijn=1"},
        }

    def __enter__(self) -> SerpApiDouble:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
