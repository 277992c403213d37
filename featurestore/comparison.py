"""What differs between two stores: rows, values, and the spec, field by field.

Owns the comparison and its words. Refuses to know where the stores come from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featurestore.rows import unpack_keys, without

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from featurestore.rows import Keys
    from featurestore.store import FeatureStore

__all__ = ["Difference", "compare", "describe", "spec_changes"]

Change = tuple[str, Any, Any]


@dataclass(frozen=True)
class Difference:
    """From one store to another.

    Attributes
    ----------
    spec : list of (field, before, after)
    added, removed, changed : ndarray of uint8, shape (n, 32)
        Keys; ``changed`` rows have another value in a column that both stores have, or another status.
    columns : dict of str to (int, float)
        Columns that changed: in how many rows, and the largest absolute difference among finite values.
    n_same : int
        Rows that are equal bit by bit.
    """

    spec: list[Change]
    added: Keys
    removed: Keys
    changed: Keys
    columns: dict[str, tuple[int, float]]
    n_same: int

    def __bool__(self) -> bool:
        return bool(self.spec or len(self.added) or len(self.removed) or len(self.changed))


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return found


def spec_changes(before: str, after: str) -> list[Change]:
    """Fields that differ between two specs in canonical JSON; of a field that is not there, None.

    Examples
    --------
    >>> spec_changes('{"params": {"fit": "crop"}, "version": 1}', '{"params": {"fit": "pad"}, "version": 1}')
    [('params.fit', 'crop', 'pad')]
    """
    a, b = json.loads(before), json.loads(after)
    changes: list[Change] = []
    old, new = a.pop("columns", []), b.pop("columns", [])
    lost, gained = [c for c in old if c not in new], [c for c in new if c not in old]
    if lost or gained:
        changes.append(("columns", lost, gained))
    elif old != new:
        changes.append(("columns", "one order", "another order"))
    left, right = _flat(a), _flat(b)
    fields = sorted(left.keys() | right.keys())
    return changes + [(f, left.get(f), right.get(f)) for f in fields if left.get(f) != right.get(f)]


def compare(before: FeatureStore, after: FeatureStore) -> Difference:
    """Compare two stores row by row."""
    import numpy as np

    added, removed = without(after.keys, before.keys), without(before.keys, after.keys)
    common = without(before.keys, removed)
    shared = [c for c in before.columns if c in set(after.columns)]
    x = before.matrix(common)[:, _places(before.columns, shared)]
    y = after.matrix(common)[:, _places(after.columns, shared)]
    differs = ~((x == y) | (np.isnan(x) & np.isnan(y)))
    changed = differs.any(axis=1)
    if before.blocks == after.blocks:
        changed |= (before.statuses(common) != after.statuses(common)).any(axis=1)
    gap = np.abs(x.astype(np.float64) - y)
    columns = {
        name: (int(differs[:, i].sum()), float(np.max(gap[:, i], initial=0.0, where=np.isfinite(gap[:, i]))))
        for i, name in enumerate(shared)
        if differs[:, i].any()
    }
    spec = spec_changes(before.spec.to_json(), after.spec.to_json())
    return Difference(spec, added, removed, common[changed], columns, int((~changed).sum()))


def _places(columns: tuple[str, ...], wanted: list[str]) -> npt.NDArray[np.intp]:
    import numpy as np

    place = {name: i for i, name in enumerate(columns)}
    return np.array([place[name] for name in wanted], dtype=np.intp)


def describe(found: Difference, name_of: Callable[[str], str], *, most: int) -> Iterator[str]:
    """A difference in lines.

    Parameters
    ----------
    name_of : callable
        What to call a key.
    most : int
        Rows and columns that are listed, of each kind, at most.
    """
    for field, before, after in found.spec:
        yield f"  spec {field}: {_short(before)} -> {_short(after)}"
    yield (
        f"  rows: {len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed,"
        f" {found.n_same} the same"
    )
    worst = sorted(found.columns.items(), key=lambda item: (-item[1][0], item[0]))
    for name, (n, gap) in worst[:most]:
        yield f"  column {name}: {n} rows differ, by {gap:.6g} at most"
    yield from _more(len(worst), most, "columns")
    for sign, keys in (("+", found.added), ("-", found.removed), ("~", found.changed)):
        for key in unpack_keys(keys[:most]):
            yield f"  {sign} {name_of(key)}"
        yield from _more(len(keys), most, "rows")


def _more(n: int, most: int, what: str) -> Iterator[str]:
    if n > most:
        yield f"  ... and {n - most} more {what}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return text if len(text) <= 120 else text[:117] + "..."
