"""Google Images through SerpAPI's own client.

Owns the query, the answers that are kept, so that none is paid for twice, and what its errors mean. The key
is in no answer, no error and no log. Refuses to download pictures.

An answer is kept below ``answers/serpapi`` under the sha256 of what was asked, without the key. One credit is
one answer that was not kept already.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from collection.lists import query_of
from collection.providers import BudgetSpent, ProviderRefused
from collection.records import Candidate, Character
from collection.secret import Secret, without_secret
from featurestore.documents import read_json
from featurestore.errors import DataError
from featurestore.files import write_text_atomic

__all__ = ["SerpApi"]

log = logging.getLogger(__name__)

_BASE: Final = "https://serpapi.com"
_TIMEOUT_S: Final = 60
#: Attempts at an answer where the service itself failed, and the wait before the second; it doubles.
_ATTEMPTS: Final = 3
_WAIT_S: Final = 2.0
_EMPTY: Final = "hasn't returned any results"


class SerpApi:
    """See `collection.providers.Provider`.

    Parameters
    ----------
    key : Secret
    answers : Path
        Folder of kept answers.
    budget : int or None
        Credits that may be spent; None = as many as it takes.
    safe : str
        SerpAPI's ``safe``: ``active`` leaves out explicit pictures.
    base_url : str
        Of the service.
    sleep : callable
        Waits so many seconds.
    """

    name = "serpapi"
    costs = True
    lasts = True

    def __init__(
        self,
        key: Secret,
        answers: Path,
        *,
        budget: int | None = None,
        safe: str = "active",
        base_url: str = _BASE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spent = 0
        self._key, self._answers, self._budget, self._safe = key, answers, budget, safe
        self._base, self._sleep = base_url.rstrip("/"), sleep

    def known(self, character: Character) -> bool:
        """Whether its answer is kept."""
        return self._file(self._asked(character)).is_file()

    def candidates(self, character: Character) -> list[Candidate]:
        """See `Provider`."""
        asked = self._asked(character)
        found = []
        for i, one in enumerate(self._answer(asked).get("images_results") or []):
            url = one.get("original") if isinstance(one, dict) else None
            if isinstance(url, str) and url.startswith(("http://", "https://")):
                found.append(
                    Candidate(
                        character,
                        self.name,
                        asked["q"],
                        i,
                        url,
                        page=_text(one.get("link")),
                        licence=_text(one.get("license_details_url")),
                    )
                )
        return found

    def strangers(self, characters: Sequence[Character]) -> list[str]:
        """Nobody: it is asked by name."""
        return []

    def _asked(self, character: Character) -> dict[str, str]:
        """All that an answer depends on."""
        return {
            "engine": "google_images",
            "q": query_of(character),
            "hl": "en",
            "gl": "us",
            "ijn": "0",
            "safe": self._safe,
        }

    def _file(self, asked: Mapping[str, str]) -> Path:
        canonical = json.dumps(dict(asked), sort_keys=True, ensure_ascii=False)
        return self._answers / f"{hashlib.sha256(canonical.encode()).hexdigest()}.json"

    def _answer(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Kept, or paid for and kept."""
        file = self._file(asked)
        if file.is_file():
            try:
                kept = read_json(file)
                return dict(kept["answer"])
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{file}: no kept answer ({error}); delete it and search again") from None
        if self._budget is not None and self.spent >= self._budget:
            raise BudgetSpent(f"the budget of {self._budget} credits is spent")
        answer = self._paid(asked)
        self.spent += 1
        text = json.dumps(
            {"asked": dict(asked), "answer": answer}, ensure_ascii=False, indent=1, sort_keys=True
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(file, self._key.hidden(text) + "\n")
        return answer

    def _paid(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Ask; again where the service itself failed."""
        wait = _WAIT_S
        for attempt in range(1, _ATTEMPTS + 1):
            status, said, answer = self._tried(asked)
            if answer is not None:
                return answer
            if 0 < status < 500 or attempt == _ATTEMPTS:
                raise self._refusal(status, said)
            log.info("serpapi: %s; again in %.0f s", said or f"status {status}", wait)
            self._sleep(wait)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    def _tried(self, asked: Mapping[str, str]) -> tuple[int, str, dict[str, Any] | None]:
        """HTTP status (0 = no connection), what was said, and the answer if it is one."""
        import serpapi

        client = serpapi.Client(api_key=self._key.reveal(), timeout=_TIMEOUT_S)
        client.BASE_DOMAIN = self._base
        with without_secret(self._key):
            try:
                found = client.search(dict(asked))  # it writes the key into what it is given
            except serpapi.HTTPConnectionError:
                return 0, "no connection to the service", None
            except serpapi.TimeoutError:
                return 0, f"no answer in {_TIMEOUT_S} s", None
            except serpapi.HTTPError as error:  # its text holds the address, and with it the key
                return int(error.status_code), self._key.hidden(_text(error.error)), None
        if isinstance(found, str):
            return 0, "the service sent no JSON", None
        answer = {name: found.get(name) for name in ("images_results", "error")}  # no times: equal answers
        said = _text(answer["error"])
        if said and _EMPTY not in said:
            return 200, self._key.hidden(said), None
        return 200, "", answer

    def _refusal(self, status: int, said: str) -> ProviderRefused:
        """In kyara's words: which it is, and what to do."""
        kept = f"{self.spent} answers of this run are kept"
        lower = said.lower()
        if status == 401 or "invalid api key" in lower:
            text = "the key is not valid: check SERPAPI_KEY in .env"
        elif "run out of searches" in lower:
            text = "the account has no searches left: wait for the next month, or use another plan or key"
        elif status == 429:
            text = "too many searches in this hour: run the same command again later"
        elif status == 403:
            text = "the account may not search: see its dashboard"
        else:
            text = f"it failed ({said or f'status {status}'}): run the same command again later"
        return ProviderRefused(f"serpapi: {text}; {kept}, and cost nothing when asked again")


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
