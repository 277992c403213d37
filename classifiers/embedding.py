"""Rows of the study's pictures by an extractor that is in none of its stores.

Owns asking `extractors` for them; the row cache keeps them, so that each is computed once. Refuses to know
what they are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from featurestore.cache import RowCache
    from featurestore.params import RuntimeParams

__all__ = ["rows_by"]


def rows_by(
    name: str,
    params: Mapping[str, Any],
    images: Mapping[str, Path],
    cache: RowCache,
    *,
    root: Path,
    max_pixels: int,
    runtime: RuntimeParams,
) -> tuple[pd.DataFrame, str]:
    """Rows of some pictures by an extractor that needs no weights.

    Parameters
    ----------
    name : str
        A module of ``extractors.zoo``.
    params : mapping
        Of its ``build``.
    images : mapping of str to Path
        Key (hex) -> file.

    Returns
    -------
    rows : DataFrame of float32, shape (n, d)
        In the order of ``images``; NaN where a row could not be computed.
    fingerprint : str
        Of these rows.

    Raises
    ------
    DataError
        If a picture changed since it was indexed.
    """
    import pandas as pd

    from extractors.run import compute_rows
    from featurestore import plugins
    from featurestore.rows import KeyIndex, pack_keys

    extractor = plugins.load("extractors.zoo", name, key="extractors").build(**params)
    rows, _ = compute_rows(extractor, images, cache, root=root, max_pixels=max_pixels, runtime=runtime)
    places = KeyIndex(rows.keys).find(pack_keys(list(images)))
    table = pd.DataFrame(rows.values[places], columns=list(extractor.spec.columns))
    return table, extractor.spec.fingerprint
