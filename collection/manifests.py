"""A manifest of pictures elsewhere -> the data folder's manifest; no picture moves.

Owns putting it in place. Refuses to read a picture.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from collection.carryover import keep_decisions
from collection.importing import Imported
from collection.staging import staged, swap
from featurestore.errors import DataError, UsageError
from featurestore.files import atomic_file
from featurestore.manifest import MANIFEST, read_manifest, resolved

__all__ = ["import_manifest"]


def import_manifest(source: Path, root: Path, *, positive: str, replace: bool) -> Imported:
    """Put a manifest, its URIs made absolute, in the place of what is in the data folder.

    Parameters
    ----------
    source : Path
        A Parquet file (`featurestore.manifest`).
    root : Path
        The data folder; decisions that are known by key stay.
    positive : str
        The class that precision and recall speak of.
    replace : bool
        Whether what is there may go.

    Raises
    ------
    MissingData, MetadataError, DataError, UsageError
        Nothing in ``root`` was changed then.
    """
    from pyarrow import parquet

    if root.exists() and not replace:
        raise UsageError(
            "a manifest stands alone: import it with --replace, with all rows that you want in it"
        )
    labels = Counter(read_manifest(source)[1].label)
    if len(labels) < 2:
        raise DataError(f"{source}: classes: {', '.join(labels)}; it takes two or more")
    if positive not in labels:
        raise UsageError(
            f"the positive class is {positive!r}, and no row has that label; add --positive LABEL, one of:"
            f" {', '.join(sorted(labels))}"
        )
    with staged(root) as staging:
        staging.mkdir(parents=True)
        with atomic_file(staging / MANIFEST) as stream:
            parquet.write_table(resolved(source), stream)
        keep_decisions(root, staging)
        swap(staging, root)
    return Imported(dict(sorted(labels.items())), (MANIFEST,))
