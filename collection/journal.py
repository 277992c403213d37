"""What came of each address, so that no run asks twice: lines that are only ever added.

Owns ``journal.jsonl``: one JSON object a line, on the disk before the next is begun. A line that a killed run
left unfinished is cut off. Refuses to know what is fetched, and why.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from collection.records import Fetched, Verdict
from featurestore.errors import DataError

__all__ = ["Journal"]


class Journal:
    """The lines of one file, by address.

    Raises
    ------
    DataError
        If a finished line is no record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, Fetched] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as stream:
            stream.seek(0)
            data = stream.read()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                stream.truncate(whole)
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                one = _fetched(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                said = f"{path}, line {number}: no record ({error}); delete the line and search again"
                raise DataError(said) from None
            self._done[one.url] = one

    @property
    def done(self) -> Mapping[str, Fetched]:
        """What came of each address that was tried."""
        return self._done

    def add(self, one: Fetched) -> None:
        """Keep it, for good."""
        with self._path.open("ab") as stream:
            stream.write(_line(one))
            stream.flush()
            os.fsync(stream.fileno())
        self._done[one.url] = one

    def forget(self, which: Callable[[Fetched], bool]) -> int:
        """Drop some, so that they are tried again; how many that are."""
        from featurestore.files import write_bytes_atomic

        kept = {url: one for url, one in self._done.items() if not which(one)}
        n_dropped = len(self._done) - len(kept)
        if n_dropped:
            write_bytes_atomic(self._path, b"".join(map(_line, kept.values())))
            self._done = kept
        return n_dropped


def _line(one: Fetched) -> bytes:
    """Names of files may be no UTF-8: they pass as they are."""
    text = json.dumps(dataclasses.asdict(one), ensure_ascii=False, sort_keys=True)
    return f"{text}\n".encode("utf-8", "surrogatepass")


def _fetched(values: dict[str, Any]) -> Fetched:
    known = {field.name for field in dataclasses.fields(Fetched)}
    if set(values) != known:
        raise KeyError(", ".join(sorted(set(values) ^ known)))
    values["opt_out"] = Verdict(**values["opt_out"])
    values["redirects"] = tuple(values["redirects"])
    return Fetched(**values)
