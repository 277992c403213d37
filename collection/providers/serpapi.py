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
from collection.providers import BudgetSpent, ProviderRefused, QueryRefused
from collection.records import Candidate, Character
from collection.secret import Secret, without_secret
from featurestore.documents import read_json
from featurestore.errors import DataError
from featurestore.files import remove, write_text_atomic
from featurestore.metadata import printable
from featurestore.text import counted

__all__ = ["SerpApi"]

log = logging.getLogger(__name__)

_BASE: Final = "https://serpapi.com"
_TIMEOUT_S: Final = 60
#: Attempts at an answer where the service itself failed, and the wait before the second; it doubles.
_ATTEMPTS: Final = 3
_WAIT_S: Final = 2.0
_EMPTY: Final = "hasn't returned any results"
_NOT_UNDERSTOOD: Final = 400


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
        for i, one in enumerate(self._answer(asked)):
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

    def forget_empty(self) -> int:
        """Drop answers without an offer, so that they are asked for, and paid for, again."""
        empty = [file for file in self._answers.glob("*.json") if not self._kept(file)]
        remove(*empty)
        return len(empty)

    def strangers(self, characters: Sequence[Character]) -> list[str]:
        """Nobody: it is asked by name."""
        return []

    def _asked(self, character: Character) -> dict[str, str]:
        """All that an answer depends on; ``nfpr``: no answer about another spelling."""
        return {
            "engine": "google_images", "q": query_of(character), "hl": "en", "gl": "us", "nfpr": "1",
            "safe": self._safe,
        }  # fmt: skip

    def _file(self, asked: Mapping[str, str]) -> Path:
        canonical = json.dumps(dict(asked), sort_keys=True, ensure_ascii=False)
        return self._answers / f"{hashlib.sha256(canonical.encode()).hexdigest()}.json"

    def _answer(self, asked: Mapping[str, str]) -> list[Any]:
        """Offers: kept, or paid for and kept."""
        file = self._file(asked)
        if file.is_file():
            return self._kept(file)
        if self._budget is not None and self.spent >= self._budget:
            raise BudgetSpent(f"the budget of {counted(self._budget, 'credit')} is spent")
        answer = self._paid(asked)
        self.spent += 1
        kept = {"asked": dict(asked), "answer": self._keepable(answer)}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(file, json.dumps(kept, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
        return list(answer["images_results"])

    @staticmethod
    def _kept(file: Path) -> list[Any]:
        """Offers of an answer that is kept."""
        try:
            return list(read_json(file)["answer"]["images_results"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file}: no kept answer ({error}); delete it and search again") from None

    def _keepable(self, value: Any) -> Any:
        """JSON without the key, and without halves of characters, which no file takes."""
        if isinstance(value, str):
            return self._key.hidden(value).encode("utf-8", "replace").decode()
        if isinstance(value, dict):
            return {self._keepable(name): self._keepable(one) for name, one in value.items()}
        return [self._keepable(one) for one in value] if isinstance(value, list) else value

    def _paid(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Ask; again where the service itself failed."""
        wait = _WAIT_S
        for attempt in range(1, _ATTEMPTS + 1):
            status, said, answer = self._tried(asked)
            if answer is not None:
                return answer
            if status == _NOT_UNDERSTOOD:
                raise QueryRefused(f"serpapi: {said or 'the query was not understood'}")
            if 0 < status < 500 or attempt == _ATTEMPTS:
                raise self._refusal(status, said)
            log.info("serpapi: %s; again in %.0f s", said or f"status {status}", wait)
            self._sleep(wait)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    def _tried(self, asked: Mapping[str, str]) -> tuple[int, str, dict[str, Any] | None]:
        """HTTP status (0 = no connection, or no answer), what was said, and the answer if it is one."""
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
            except Exception as error:  # whatever else an answer provokes in it: that may hold the key too
                return 0, f"no answer that can be read ({type(error).__name__})", None
        if isinstance(found, str):
            return 0, "the service sent no JSON", None
        images, how = found.get("images_results"), found.get("search_metadata")
        said = self._key.hidden(_text(found.get("error")))
        if said and _EMPTY not in said:
            return 200, said, None
        if said or (images is None and isinstance(how, dict) and how.get("status") == "Success"):
            images = []
        if not isinstance(images, list):
            return 0, "the service sent no list of pictures", None
        information = found.get("search_information")
        told = {
            **_some(how, "id", "created_at"),
            **_some(information, "query_displayed", "image_results_state"),
        }
        return 200, "", {"images_results": images, "search": told}

    def _refusal(self, status: int, said: str) -> ProviderRefused:
        """In kyara's words: which it is, and what to do."""
        kept = f"{counted(self.spent, 'answer')} of this run {'is' if self.spent == 1 else 'are'} kept"
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
        return ProviderRefused(f"serpapi: {text}; {kept}: asking again costs nothing")


def _some(values: object, *names: str) -> dict[str, object]:
    """What an answer says of itself, as far as it does."""
    return {name: values[name] for name in names if name in values} if isinstance(values, dict) else {}


def _text(value: object) -> str:
    return printable(" ".join(value.split())) if isinstance(value, str) else ""
