"""The two ends of every engine: an item's pixels, and a batch's rows in the row cache.

Both can be pickled, so that another process, on another machine that sees the same files, does the same.
Refuses to know how rows are computed, and in which order.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extractors.timing import Spent
from featurestore.elsewhere import Place, Reader
from featurestore.errors import DataError, ImageRejected, MissingData, NonFiniteRow
from featurestore.images import decode
from featurestore.rows import StoreRows, not_finite, pack_keys
from featurestore.spec import Status

if TYPE_CHECKING:
    from extractors.base import RGB, Rows
    from extractors.batches import Item
    from featurestore.cache import RowCache
    from featurestore.spec import FeatureSpec

__all__ = ["Keeper", "Loader"]


class Loader:
    """Reads, checks and decodes images; in any thread.

    Parameters
    ----------
    reader : Reader
    max_pixels : int
        Cap on width x height, checked before decoding.
    spent : Spent or None
    """

    def __init__(self, reader: Reader, max_pixels: int, spent: Spent | None = None) -> None:
        self._reader, self._max_pixels = reader, max_pixels
        self.spent = spent or Spent()

    def __reduce__(self) -> tuple[Any, ...]:
        return Loader, (self._reader, self._max_pixels)

    def __call__(self, item: Item) -> RGB:
        """Pixels of one image, if its bytes are still those of its key.

        Raises
        ------
        DataError
            If the file changed since it was indexed, or cannot be read any more.
        MissingData
            If it is gone with its folder.
        """
        key, place = item
        try:
            with self.spent("read"):
                data = self._reader.read(place)
                known = hashlib.sha256(data).hexdigest() == key
            if not known:
                raise DataError(f"{place}: changed since it was indexed; {_anew(place)}")
            with self.spent("decode"):
                return decode(data, max_pixels=self._max_pixels).pixels
        except ImageRejected as rejected:
            if isinstance(place, Path) and not place.parent.exists():
                raise MissingData(
                    f"no {place}, and no row of it in the row cache; set KYARA_CACHE to a cache that has it"
                    " (docs/replication.md), or get the pictures (dvc pull data.dvc)"
                ) from None
            raise DataError(f"{place}: {rejected}; it was fine when indexed; {_anew(place)}") from None


def _anew(place: Place) -> str:
    """What indexes a picture again: of those that a manifest lists DVC knows nothing."""
    return "run: dvc repro" + (" -f -s index && dvc repro" if isinstance(place, str) else "")


class Keeper:
    """Makes the rows of a batch durable; in any thread.

    Parameters
    ----------
    cache : RowCache
    spec : FeatureSpec
    spent : Spent or None
    seen : set of str or None
        See `RowCache.commit`.
    then : callable or None
        Called with rows that are durable.
    told : callable or None
        Called with the seconds that a batch took.
    """

    def __init__(
        self,
        cache: RowCache,
        spec: FeatureSpec,
        spent: Spent | None = None,
        *,
        seen: set[str] | None = None,
        then: Callable[[StoreRows], object] | None = None,
        told: Callable[[float], None] | None = None,
    ) -> None:
        self._cache, self._spec, self._seen = cache, spec, seen
        self._then, self._told = then, told
        self.spent = spent or Spent()

    def __reduce__(self) -> tuple[Any, ...]:
        return Keeper, (self._cache, self._spec)

    def __call__(self, batch: Sequence[Item], computed: Rows) -> None:
        """Commit the rows of a batch that can be believed.

        Raises
        ------
        NonFiniteRow
            If one cannot, after the others were committed.
        """
        start = time.monotonic()
        error, refused = _refused(batch, computed, self._spec)
        sound = [i for i in range(len(batch)) if i not in refused]
        if sound:
            keys = pack_keys([batch[i][0] for i in sound])
            rows = StoreRows(keys, computed.values[sound], computed.status[sound, None])
            with self.spent("commit"):
                self._cache.commit(self._spec, rows, seen=self._seen)
            if self._then is not None:
                self._then(rows)
        if self._told is not None:
            self._told(time.monotonic() - start)
        if error is not None:
            raise error


def _refused(batch: Sequence[Item], rows: Rows, spec: FeatureSpec) -> tuple[NonFiniteRow | None, set[int]]:
    """What is wrong with the rows of a batch, and with which of them."""
    broken = not_finite(rows.values, rows.status == Status.OK)
    if not broken:
        return None, set()
    row, column = broken[0]
    error = NonFiniteRow(
        f"{batch[row][1]}: the row of {spec.name} is not finite in {spec.columns[column]}"
        " and says it is ok; remove the picture or mend the extractor"
    )
    return error, {row for row, _ in broken}
