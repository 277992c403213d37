"""The study's hypotheses: what drawing convention says of a villain, as signed columns of ``design``.

Owns the one table and its formula; the ``convention`` head and ``design_labels: true`` both use it.
Refuses to know labels: nothing here is fitted to one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["HYPOTHESES", "convention_scores", "weights_of"]

#: Hypothesis -> column of ``design`` -> +1 where more of it speaks for the positive class, -1 where less.
HYPOTHESES: Final[dict[str, dict[str, int]]] = {
    "warm_palette": {"warm_share": -1, "cool_share": 1},
    "edge_sharpness": {"edge_strength": 1, "laplacian_variance": 1},
    "shadow_density": {"shadow_density": 1},
    "angularity": {"angularity": 1, "roundness": -1},
    "aura": {"aura_dark_share": 1, "aura_glow_share": 1},
    "scars": {"scar_likelihood": 1, "red_mark_share": 1},
}


def weights_of(columns: Collection[str]) -> dict[str, dict[str, float]]:
    """Hypothesis -> column -> weight of the standardised column in the score.

    A hypothesis is the mean of its signed columns, the score the mean of the hypotheses. A column
    that is not there is left out, and so is a hypothesis without any.

    Parameters
    ----------
    columns : collection of str
        Columns of ``design`` that there are.

    Examples
    --------
    >>> weights_of(["warm_share", "cool_share", "shadow_density", "hue_mean"])
    {'warm_palette': {'warm_share': -0.25, 'cool_share': 0.25}, 'shadow_density': {'shadow_density': 0.5}}
    """
    known = {
        hypothesis: {column: sign for column, sign in signs.items() if column in columns}
        for hypothesis, signs in HYPOTHESES.items()
    }
    there = {hypothesis: signs for hypothesis, signs in known.items() if signs}
    return {
        hypothesis: {column: sign / (len(there) * len(signs)) for column, sign in signs.items()}
        for hypothesis, signs in there.items()
    }


def convention_scores(
    values: npt.NDArray[np.floating[Any]], columns: Sequence[str], train: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """How far each row looks like the positive class by convention; above 0 is more than the average.

    Each column is imputed by its median, then standardised by its mean and standard deviation (1
    where it is constant), all three over the train rows.

    Parameters
    ----------
    values : ndarray, shape (n, d)
        Rows of ``design``; NaN where a row could not be computed.
    columns : sequence of str
        Their d names, without ``design/``.
    train : ndarray of bool, shape (n,), or of int
        The train rows: a mask or positions.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    ValueError
        If no hypothesis has a column.

    Examples
    --------
    >>> import numpy as np
    >>> convention_scores(np.array([[1.0], [3.0], [5.0]]), ["shadow_density"], np.array([0, 1])).tolist()
    [-1.0, 1.0, 3.0]
    """
    import numpy as np

    places = {column: i for i, column in enumerate(columns)}
    weights = weights_of(places)
    if not weights:
        raise ValueError("no column that a design convention speaks of")
    scores = np.zeros(len(values))
    for column, weight in (pair for signs in weights.values() for pair in signs.items()):
        x = np.array(values[:, places[column]], dtype=np.float64)
        seen = x[train]
        seen = seen[~np.isnan(seen)]
        x[np.isnan(x)] = np.median(seen) if len(seen) else 0.0
        scores += weight * (x - x[train].mean()) / (float(x[train].std()) or 1.0)
    return scores
