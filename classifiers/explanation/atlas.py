"""A map of the images: rows of many columns as points of a plane.

Owns ``map.parquet`` in ``results/explanation``: which images are on it and where each lies. Refuses to know
labels and predictions; the locked test split is kept away from it by whoever calls.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Atlas", "chosen", "map_of", "map_parquet", "project", "read_map"]

_COMPONENTS: Final = 30
#: Below, neighbours say nothing that the first two components do not.
_FEWEST: Final = 30


@dataclass(frozen=True)
class Atlas:
    """Where each image lies.

    Attributes
    ----------
    keys : tuple of str, length n
    xy : ndarray of float64, shape (n, 2)
        Widest along the first axis, centred, scaled to a unit square; axes have no unit.
    method : str
        How, in words.
    left_out : int
        Images that were too many.
    """

    keys: tuple[str, ...]
    xy: npt.NDArray[np.float64]
    method: str
    left_out: int = 0


def chosen(groups: npt.NDArray[Any], most: int, seed: int) -> npt.NDArray[np.intp]:
    """Positions of at most ``most`` images, in whole groups drawn by the hash of seed and name.

    A group that is larger than what is left is passed over; if even the smallest is, single images are drawn.

    Examples
    --------
    >>> chosen(np.array(["a", "a", "b"]), 2, 0).tolist() in ([0, 1], [2])
    True
    """
    if len(groups) <= most:
        return np.arange(len(groups))

    def draw(name: object) -> str:
        return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()

    names, code, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    taken, left = np.zeros(len(names), dtype=bool), most
    for i in sorted(range(len(names)), key=lambda i: draw(names[i])):
        if sizes[i] <= left:
            taken[i], left = True, left - sizes[i]
    if not taken.any():
        order = sorted(range(len(groups)), key=draw)
        return np.sort(np.array(order[:most], dtype=np.intp))
    return np.flatnonzero(taken[code])


def _standardised(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Columns without gaps and units: medians for NaN, then mean 0, deviation 1; no constants."""
    known = ~np.isnan(values)
    values = values[:, known.any(0)]
    median = np.nanmedian(values, axis=0) if values.size else np.empty(0)
    values = np.where(np.isnan(values), median, values)
    deviation = values.std(0)
    moving = deviation > 1e-12 * np.maximum(1.0, np.abs(values).max(0, initial=0.0))
    scaled: npt.NDArray[np.float64] = (values[:, moving] - values[:, moving].mean(0)) / deviation[moving]
    return scaled


def _components(values: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.float64]:
    from sklearn.decomposition import PCA

    n = min(n, *values.shape)
    found: npt.NDArray[np.float64] = PCA(n, svd_solver="full").fit_transform(values)
    return found


def project(features: pd.DataFrame, *, seed: int, left_out: int = 0) -> Atlas:
    """Where each row lies.

    Parameters
    ----------
    features : DataFrame of float, shape (n, d)
        Index: keys. NaN where a row could not be computed.
    seed : int
        Of t-SNE (van der Maaten & Hinton 2008), which begins at the first two components.

    Returns
    -------
    Atlas
        Of fewer than 30 rows the first two components alone.
    """
    keys = tuple(map(str, features.index))
    nowhere = Atlas(keys, np.zeros((len(keys), 2)), "nothing varies", left_out)
    if len(keys) < 3:
        return nowhere
    values = _standardised(features.to_numpy(dtype=np.float64))
    n_columns = values.shape[1]
    if not n_columns:
        return nowhere
    said = f"{n_columns} columns, standardised"
    if len(keys) < _FEWEST or n_columns < 3:
        xy = _components(values, 2)
        xy = np.column_stack([xy, np.zeros((len(keys), 2 - xy.shape[1]))])  # a single column has one
        return Atlas(keys, _unit(xy), f"the first two principal components of {said}", left_out)
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    parts = _components(values, _COMPONENTS)
    near = max(5, min(30, (len(keys) - 1) // 3))
    with threadpool_limits(1):  # sums in one order
        xy = TSNE(2, perplexity=near, init="pca", random_state=seed, n_jobs=1).fit_transform(parts)
    how = f"t-SNE (perplexity {near}) of {parts.shape[1]} principal components of {said}"
    return Atlas(keys, _unit(xy.astype(np.float64)), how, left_out)


def map_of(features: pd.DataFrame, groups: npt.NDArray[Any], *, most: int, seed: int) -> Atlas:
    """`project` of all rows, or of `chosen` ones where there are more than ``most``."""
    kept = chosen(groups, most, seed)
    return project(features.iloc[kept], seed=seed, left_out=len(features) - len(kept))


def map_parquet(atlas: Atlas) -> bytes:
    """As Parquet: key, x and y, one row an image; the metadata say method and left_out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    x, y = atlas.xy.T
    table = pa.table({"key": list(atlas.keys), "x": x, "y": y})
    said = {"method": atlas.method, "left_out": str(atlas.left_out)}
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(said), stream)
    return stream.getvalue()


def read_map(path: Path) -> Atlas:
    """What `map_parquet` wrote.

    Raises
    ------
    ValueError, KeyError, OSError
        If it is not that.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    said = table.schema.metadata or {}
    xy = np.column_stack([table["x"].to_numpy(), table["y"].to_numpy()])
    return Atlas(tuple(table["key"].to_pylist()), xy, said[b"method"].decode(), int(said[b"left_out"]))


def _unit(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turned so that it is widest from left to right, centred, and as wide as a unit square."""
    xy = _components(xy, 2)
    span = np.ptp(xy, axis=0)
    unit: npt.NDArray[np.float64] = (xy - (xy.min(0) + span / 2)) / (span.max() or 1.0)
    return unit
