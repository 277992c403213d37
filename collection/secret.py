"""A key that must not be seen: read from the environment or ``.env``, never printed.

Owns where a key is looked for, and taking it out of every text that might hold it. Refuses to know what it
opens.
"""

from __future__ import annotations

import json
import logging
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from featurestore.errors import MissingError

__all__ = ["MissingKey", "Secret", "read_secret", "without_secret"]

_HIDDEN: Final = "***"

#: What shorter than this is put in for a key is none, and would be taken out of every word.
_SHORTEST: Final = 8


class MissingKey(MissingError):
    """A key that a provider asks for is not set."""


class Secret:
    """A text that prints as ``***``; `reveal` is the one way to it.

    Examples
    --------
    >>> f"{Secret('0123456789')!r} {Secret('0123456789')}"
    '*** ***'
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return _HIDDEN

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def hidden(self, text: str) -> str:
        """A text with every occurrence taken out, as it is or quoted, for a URL or in JSON.

        Examples
        --------
        >>> Secret("abc/123+").hidden("?api_key=abc%2F123%2B&q=abc/123+")
        '?api_key=***&q=***'
        """
        quoted = (
            urllib.parse.quote(self._text, safe=""), urllib.parse.quote_plus(self._text),
            json.dumps(self._text)[1:-1],
        )  # fmt: skip
        for one in {self._text, *quoted}:
            text = text.replace(one, _HIDDEN)
        return text


def read_secret(name: str, environment: Mapping[str, str], env_file: Path, *, where: str) -> Secret:
    """A key out of the environment, else out of a ``.env`` file.

    Parameters
    ----------
    name : str
        Of the variable.
    environment : mapping of str to str
    env_file : Path
        Need not be there.
    where : str
        Where a user gets one.

    Raises
    ------
    MissingKey
        If it is nowhere, or no key by its looks.
    """
    text = (environment.get(name) or _in_file(name, env_file)).strip()
    said = ""
    if not text:
        said = f"no {name}"
    elif len(text) < _SHORTEST:
        said = f"{name} is too short to be a key"
    elif not (text.isascii() and text.isprintable()):
        said = f"{name} holds what no key holds"
    if said:
        raise MissingKey(f"{said}; get one at {where} and write it into .env, as .env.example shows")
    return Secret(text)


def _in_file(name: str, env_file: Path) -> str:
    from dotenv import dotenv_values

    try:
        return (dotenv_values(env_file).get(name) if env_file.is_file() else "") or ""
    except (OSError, UnicodeDecodeError):
        raise MissingKey(
            f"{env_file} cannot be read as UTF-8; write it anew, as .env.example shows"
        ) from None


class _Hiding(logging.Filter):
    """Takes a secret out of a record before a handler sees it."""

    def __init__(self, secret: Secret) -> None:
        super().__init__()
        self._secret = secret

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record."""
        record.msg, record.args = self._secret.hidden(record.getMessage()), None
        return True


class without_secret:  # noqa: N801 (a context manager reads like a function)
    """While it is entered, loggers that print addresses print them without the secret."""

    _LOGGERS: Final = ("urllib3", "urllib3.connectionpool", "requests", "httpx", "httpcore", "serpapi")

    def __init__(self, secret: Secret) -> None:
        self._filter = _Hiding(secret)

    def __enter__(self) -> None:
        for name in self._LOGGERS:
            logging.getLogger(name).addFilter(self._filter)

    def __exit__(self, *_: Any) -> None:
        for name in self._LOGGERS:
            logging.getLogger(name).removeFilter(self._filter)
