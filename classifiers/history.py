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
    n_others : int
        Different contents on other pictures; they are not among ``n``.
    shallow : bool
        Whether git has only a part of the history here.
    reason : str
        Why nothing could be counted in git; empty otherwise.
    """

    n: int
    n_heads: int
    n_others: int = 0
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


def _named(document: bytes) -> tuple[str, str] | None:
    """Whose results these are and on which pictures; None if they are none of kyara's.

    Pictures are told apart by their numbers: of each class, of val, and which class is the positive one.
    """
    try:
        said = json_values(document)
        head = said["head"]
        counts = sorted({(row["class"], row["n"]) for row in said.get("coverage", ())})
        pictures = repr((counts, said.get("val", {}).get("n"), said.get("positive")))
    except (AttributeError, ValueError, KeyError, TypeError):
        return None
    return (head, pictures) if isinstance(head, str) else None


def count_experiments(root: Path) -> Experiments:
    """How many different results the repository and the working tree hold.

    Results are told apart by their content: the same run committed twice counts once, and one run by
    other code counts again. Those on other pictures than the working tree's, or without that the last
    commit's, are counted apart. What is no result of kyara's does not count.

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
        found.insert(0, file.read_bytes())
    different = {hashlib.sha256(content).digest(): _named(content) for content in found}
    named = [one for one in different.values() if one is not None]
    same = [head for head, pictures in named if pictures == named[0][1]]
    return Experiments(len(same), len(set(same)), len(named) - len(same), shallow)
