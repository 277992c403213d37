"""What git remembers of experiments.

Owns the count of different results over all commits of all branches, tags and experiments. Refuses to know
what they say.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from featurestore.documents import json_values

__all__ = ["METRICS", "Experiments", "count_experiments"]

#: The chosen head's scores, below the root.
METRICS: Final = "results/metrics.json"


@dataclass(frozen=True)
class Experiments:
    """What `count_experiments` found.

    Attributes
    ----------
    n : int
        Different contents of ``results/metrics.json``.
    n_heads : int
        Different heads that these name.
    shallow : bool
        Whether git has only a part of the history here.
    reason : str
        Why nothing could be counted in git; empty otherwise.
    """

    n: int
    n_heads: int
    shallow: bool = False
    reason: str = ""


def _git(root: Path, *arguments: str, given: Iterable[str] = ()) -> bytes:
    """What git prints.

    Raises
    ------
    OSError
        If there is no git.
    subprocess.CalledProcessError
        If it refuses.
    """
    text = "".join(f"{line}\n" for line in given)
    return subprocess.run(
        ["git", *arguments], cwd=root, input=text.encode(), capture_output=True, check=True
    ).stdout


def _contents(root: Path) -> Iterator[bytes]:
    """Each version of `METRICS` in any commit of any branch, tag or experiment, in four calls of git."""
    # with --full-history, so that a branch whose result a merge threw away is not passed over
    commits = _git(root, "rev-list", "--all", "--full-history", "--", METRICS).decode().split()
    named = _git(
        root,
        "cat-file",
        "--batch-check=%(objectname) %(objecttype)",
        given=(f"{commit}:./{METRICS}" for commit in commits),
    )
    found = (line.split() for line in named.decode(errors="replace").splitlines())
    blobs = dict.fromkeys(words[0] for words in found if words[-1] == "blob")
    stream = io.BytesIO(_git(root, "cat-file", "--batch", given=blobs))
    while header := stream.readline().split():
        if header[-1] == b"missing":
            continue
        yield stream.read(int(header[2]))
        stream.readline()


def _head_of(document: bytes) -> str | None:
    """Whose results these are; None if they are none of kyara's."""
    try:
        head = json_values(document)["head"]
    except (ValueError, KeyError, TypeError):
        return None
    return head if isinstance(head, str) else None


def count_experiments(root: Path) -> Experiments:
    """How many different results the repository and the working tree hold.

    Results are told apart by their content: the same run committed twice counts once, and one run
    on other pictures or by other code counts again. What is no result of kyara's (JSON that names a head)
    does not count.

    Parameters
    ----------
    root : Path
        Folder of the study; the repository may begin further up.
    """
    try:
        found = list(_contents(root))
        shallow = _git(root, "rev-parse", "--is-shallow-repository").strip() == b"true"
    except FileNotFoundError:
        return Experiments(0, 0, reason="git is not installed")
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split()).removeprefix("fatal: ")
        return Experiments(0, 0, reason=said)
    file = root / METRICS
    if file.is_file():
        found.append(file.read_bytes())
    heads = {hashlib.sha256(content).digest(): _head_of(content) for content in found}
    named = [head for head in heads.values() if head is not None]
    return Experiments(len(named), len(set(named)), shallow)
