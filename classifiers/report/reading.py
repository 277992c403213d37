"""The files of a run: each read whole, or refused by the name of the stage that writes it.

Owns what a table's cells become, and what is said of a file that is absent or empty. Refuses to know which
files there are (``evidence``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from featurestore.documents import read_capped
from featurestore.errors import DataError, MissingData

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["about", "filled", "needed", "optional", "paragraphs", "parquet", "table", "text"]

_MAX_TEXT: Final = 4 << 20

T = TypeVar("T")


#: Columns that hold texts, whatever a cell looks like.
_TEXTS: Final = frozenset({
    "actual", "against_best", "cast", "detail", "dial", "edit", "extractor", "family", "finding",
    "fingerprint", "group", "head", "key", "kind", "label", "leading_column", "level", "members", "method",
    "name", "note", "part", "path", "phase", "predicted", "reason", "scored_on", "sentence", "sha256",
    "shortcut", "split", "stage", "unit", "verdict", "what", "within_interval_of",
})  # fmt: skip


def _said_missing(path: Path, stage: str) -> str:
    return f"no {path}; run: dvc repro {stage}"


def needed(path: Path, stage: str, read: Callable[[Path], T]) -> T:
    """What a file says.

    Raises
    ------
    MissingData
        Naming the stage that writes it.
    DataError
        If it cannot be read.
    """
    if not path.is_file():
        raise MissingData(_said_missing(path, stage))
    try:
        return read(path)
    except (ValueError, KeyError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: not what {stage} writes ({said}); run: dvc repro --force {stage}") from None


def table(path: Path) -> pd.DataFrame:
    """A CSV file of ours: texts stay texts, all else are floats, an empty cell is NaN.

    Raises
    ------
    ValueError
        Naming a column in which a number is none.
    """
    import pandas as pd

    found = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    for name in found.columns:
        if name not in _TEXTS:
            cells = found[name].replace({"": None, "True": "1", "False": "0"})
            try:
                found[name] = pd.to_numeric(cells).astype(float)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return found


def parquet(path: Path) -> pd.DataFrame:
    """A table of any kind, as it was written."""
    import pandas as pd

    return pd.read_parquet(path)


def text(path: Path) -> str:
    """A text in UTF-8, of a size that can be one."""
    return read_capped(path, _MAX_TEXT).decode("utf-8")


def paragraphs(markdown: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    r"""Warnings and other sentences of leaderboard.md; tables are left out.

    Examples
    --------
    >>> paragraphs("**SHORTCUT: ring.**\n\nHeads by auc.\n\n| head |\n|:---|\n")
    (('SHORTCUT: ring.',), ('Heads by auc.',))
    """
    parts = [part.strip() for part in markdown.split("\n\n")]
    parts = [part for part in parts if part and not part.startswith("|")]
    loud = [part for part in parts if part.startswith("**") and part.endswith("**")]
    return tuple(part[2:-2] for part in loud), tuple(part for part in parts if part not in loud)


def optional(
    path: Path, stage: str, name: str, read: Callable[[Path], T], missing: dict[str, str]
) -> T | None:
    """What a file says, or None and the reason."""
    if not path.is_file():
        missing[name] = _said_missing(path, stage)
        return None
    return needed(path, stage, read)


def filled(
    path: Path, stage: str, name: str, missing: dict[str, str], empty: str = "nothing was measured"
) -> pd.DataFrame | None:
    """A table that a stage may have left empty or not written."""
    read = parquet if path.suffix == ".parquet" else table
    found = optional(path, stage, name, read, missing)
    if found is not None and not len(found):
        missing[name] = empty
        return None
    return found


def about(path: Path) -> dict[str, str]:
    """What a parquet file says of itself beside its columns, without what pandas and Arrow add."""
    import pyarrow.parquet

    found = pyarrow.parquet.read_schema(path).metadata or {}
    texts = {bytes(key).decode("utf-8", "replace"): bytes(one) for key, one in found.items()}
    return {
        key: one.decode("utf-8", "replace")
        for key, one in texts.items()
        if key not in ("pandas", "ARROW:schema")
    }
