"""What git and DVC know of the stores, and other files, of other revisions.

Owns reading ``results/stores.json`` out of git, and a file out of git, DVC's cache or remote. Refuses to
change any of them.
"""

from __future__ import annotations

import contextlib
import csv
import io
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from featurestore.documents import json_values
from featurestore.errors import DataError, MissingData, MissingRepository, UsageError

__all__ = [
    "STORES",
    "all_listed_stores",
    "commit_of",
    "file_at",
    "listed_stores",
    "pairs_to_compare",
    "shortcuts_of_results",
    "stores_at",
    "stores_of_results",
]

#: What `fuse` says of the stores that it joined; in git, so that a revision names the rows that it needs.
STORES = Path("results/stores.json")

#: Shortcuts that a leaderboard stands beside; one with rows of its own names their fingerprint.
SHORTCUTS = Path("results/shortcuts.csv")


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None if it refuses."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MissingRepository("git is not installed") from None
    return done.stdout if done.returncode == 0 else None


def commit_of(root: Path, revision: str) -> str:
    """The commit of a revision of git's, or of an experiment of DVC's by its name.

    Raises
    ------
    UsageError
        If there is none.
    MissingRepository
        If there is no git here.
    """
    if _git(root, "rev-parse", "--git-dir") is None:
        raise MissingRepository("no git repository here; run it in a clone of kyara's")
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found is not None:
        return found.strip()
    for line in (_git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps") or "").split(
        "\n"
    ):
        commit, _, name = line.partition(" ")
        if name.count("/") == 4 and name.rpartition("/")[2] == revision:  # refs/exps/ab/cdef.../<experiment>
            return commit
    raise UsageError(
        f"{revision!r}: neither a file, nor a revision that git knows, nor an experiment of DVC's"
    )


def _listed(data: bytes, where: str) -> dict[str, str]:
    """Extractor -> fingerprint, as a ``stores.json`` says."""
    try:
        return {str(s["extractor"]): str(s["fingerprint"]) for s in json_values(data)["stores"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}: not kyara's list of stores ({error!r})") from None


def stores_of_results(root: Path) -> dict[str, str]:
    """Extractor -> fingerprint of the stores that the working tree's results stand on; empty if it has none.

    Raises
    ------
    DataError
        If `STORES` is no such list.
    """
    file = root / STORES
    return _listed(file.read_bytes(), str(file)) if file.exists() else {}


def _beside(text: str | None) -> set[str]:
    """Fingerprints in the text of a ``shortcuts.csv``; none without one."""
    rows = csv.DictReader(io.StringIO(text or "", newline=""))
    return {row["fingerprint"] for row in rows if row.get("fingerprint")}


def shortcuts_of_results(root: Path) -> set[str]:
    """Fingerprints of the rows beside the stores that the working tree's leaderboard stands on."""
    file = root / SHORTCUTS
    return _beside(file.read_text(encoding="utf-8")) if file.exists() else set()


def listed_stores(root: Path, revision: str) -> set[str]:
    """Fingerprints of the rows that a revision's results stand on.

    Raises
    ------
    UsageError
        If there is no such revision.
    MissingData
        If it does not say: an older kyara's, or a study that was never run.
    """
    commit = commit_of(root, revision)
    text = _git(root, "show", f"{commit}:./{STORES.as_posix()}")
    if text is None:
        raise MissingData(f"{revision} has no {STORES}, so nobody knows which rows it needs; leave it out")
    beside = _beside(_git(root, "show", f"{commit}:./{SHORTCUTS.as_posix()}"))
    return set(_listed(text.encode(), f"{revision}:{STORES}").values()) | beside


def all_listed_stores(root: Path) -> set[str]:
    """Fingerprints that any commit names, of any branch, tag and experiment.

    Raises
    ------
    MissingData
        If none does: better to keep too much than all that nobody has committed yet.
    """
    commit_of(root, "HEAD")
    found: set[str] = set()
    for commit in (_git(root, "log", "--all", "--format=%H", "--", STORES.as_posix()) or "").split():
        text = _git(root, "show", f"{commit}:./{STORES.as_posix()}")
        found |= set(_listed(text.encode(), f"{commit}:{STORES}").values()) if text is not None else set()
    for commit in (_git(root, "log", "--all", "--format=%H", "--", SHORTCUTS.as_posix()) or "").split():
        found |= _beside(_git(root, "show", f"{commit}:./{SHORTCUTS.as_posix()}"))
    if not found:
        raise MissingData(f"no commit has {STORES}, so nobody knows which rows are needed; commit it first")
    return found


@contextlib.contextmanager
def _at(root: Path, revision: str) -> Iterator[Any]:
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException, NotDvcRepoError

    try:
        yield DVCFileSystem(str(root), rev=commit_of(root, revision))
    except NotDvcRepoError:
        raise MissingRepository("no DVC repository here; run it in a clone of kyara's") from None
    except DvcException as error:
        raise MissingData(f"{revision}: {' '.join(str(error).split())}") from None


def stores_at(root: Path, revision: str, folder: str = "features") -> list[str]:
    """Names of the stores that a revision has, sorted."""
    with _at(root, revision) as files:
        if not files.isdir(folder):
            return []
        found: Sequence[str] = files.ls(folder, detail=False)
    return sorted(Path(file).stem for file in found if file.endswith(".h5"))


def file_at(root: Path, revision: str, file: str, target: Path) -> Path:
    """Fetch one file of a revision out of git, or DVC's cache, or else its remote, into ``target``.

    Raises
    ------
    MissingData
        If the revision has no such file, or DVC has it no longer.
    """
    with _at(root, revision) as files:
        if not files.exists(file):
            raise MissingData(
                f"{revision} has no {file}; check it out, run: dvc repro, and commit what it made"
            )
        try:
            files.get_file(file, str(target))
        except FileNotFoundError as error:
            raise MissingData(
                f"{revision}: {file} is neither in DVC's cache nor in a remote ({error}); a revision can be"
                " compared as long as DVC has its files (run: dvc fetch, if a remote has them)"
            ) from None
    return target


def pairs_to_compare(
    before: str, after: str | None, places: Sequence[Path], folder: Path
) -> Iterator[tuple[str, Path | None, Path | None]]:
    """Title and files of the stores to compare: two files, or all that two revisions have.

    Parameters
    ----------
    before, after : str
        Paths of stores, or revisions; without ``after``, the working tree.
    places : sequence of Path
        Folders of stores, in the working tree and in revisions.
    folder : Path
        Where stores of revisions are put.

    Yields
    ------
    title, file, file
        None where one side has no such store.
    """
    if before.endswith(".h5"):
        if after is None or not after.endswith(".h5"):
            raise UsageError("diff: a file is compared with another file: diff A.h5 B.h5")
        yield f"{before} -> {after}", Path(before), Path(after)
        return
    sides: list[dict[str, Path]] = []
    for i, revision in enumerate((before, after)):
        found = {file.stem: file for place in places for file in sorted(place.glob("*.h5"))}
        if revision is not None:
            found = {
                name: file_at(Path(), revision, f"{place.as_posix()}/{name}.h5", folder / f"{i}-{name}.h5")
                for place in places
                for name in stores_at(Path(), revision, place.as_posix())
            }
        sides.append(found)
    for name in sorted(sides[0].keys() | sides[1].keys()):
        title = f"{name}: {before} -> {after or 'the working tree'}"
        yield title, sides[0].get(name), sides[1].get(name)
