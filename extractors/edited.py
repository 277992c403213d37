"""The table of edited pictures: ``edits.parquet``.

Owns its rows, columns and metadata, written and read. Refuses to know where rows come from (``editing``).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from extractors.edits import DOSES, EDITS
from featurestore.errors import DataError, MissingData

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

__all__ = ["NONE", "Shown", "plan", "read_edits", "write_edits"]

#: Edit and kind of the row of a picture that was not edited.
NONE: Final = "none"

#: Where the metadata have what `read_edits` puts into ``attrs``.
_SAID: Final = b"edits"


@dataclass(frozen=True)
class Shown:
    """What an extractor is shown: a picture, edited or not; one row of the table.

    Attributes
    ----------
    key : str
    edit : str
        One of `extractors.edits.EDITS`, or `NONE`.
    kind : {"none", "edit", "sham"}
    dose : float
        Signed strength.
    """

    key: str
    edit: str = NONE
    kind: str = NONE
    dose: float = 0.0


def plan(keys: Sequence[str]) -> list[Shown]:
    """Every row, ascending by key: the picture as it is, then each edit at each strength, real and sham."""
    return [
        one
        for key in sorted(keys)
        for one in (
            Shown(key),
            *(Shown(key, name, kind, dose) for name in EDITS for dose in DOSES for kind in ("edit", "sham")),
        )
    ]


def write_edits(
    path: Path,
    shown: Sequence[Shown],
    changes: Mapping[Shown, float],
    columns: Mapping[str, npt.NDArray[np.float32]],
    *,
    dials: Mapping[str, Mapping[str, float]],
    reason: str = "",
) -> None:
    """Write the table; its bytes are a function of its content.

    Parameters
    ----------
    shown : sequence of Shown
        One a row.
    changes : mapping of Shown to float
        Root mean square change of the pixels, grey levels.
    columns : mapping of str to ndarray of float32, shape (n,)
        Features by name.
    dials, reason
        See `read_edits`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from featurestore.files import write_bytes_atomic
    from featurestore.spec import canonical_json

    texts = {
        name: pa.array([getattr(one, name) for one in shown], pa.string()) for name in ("key", "edit", "kind")
    }
    doses = pa.array([one.dose for one in shown], pa.float64())
    moved = pa.array([changes[one] for one in shown], pa.float32())
    table = pa.table({**texts, "dose": doses, "rms": moved, **columns})
    said: dict[str, Any] = {"reason": reason, "dials": {name: dict(one) for name, one in dials.items()}}
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({_SAID: canonical_json(said)}), stream, compression="zstd")
    write_bytes_atomic(path, stream.getvalue())


def read_edits(path: Path) -> pd.DataFrame:
    """The table of `write_edits`.

    Returns
    -------
    DataFrame
        key, edit, kind, dose, rms, then a column a feature. Its ``attrs`` have ``reason``, why it has no rows
        (empty if it has some), and ``dials``: of each column that measures an edit the ``low`` and ``high``
        end of what is usual among the real images of train and val, and their standard deviation ``sd``.

    Raises
    ------
    MissingData
        If the stage was not run.
    DataError
        If it is no such table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise MissingData(f"no {path}; run: dvc repro edit")
    try:
        table = pq.read_table(path)
        said = json.loads((table.schema.metadata or {})[_SAID])
    except (pa.ArrowInvalid, KeyError, ValueError, OSError) as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: not what edit writes ({text}); run: dvc repro --force edit") from None
    found: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    found.attrs.update(said)
    return found
