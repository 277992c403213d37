"""Which params a head takes, chosen inside the rows that it is fitted on.

Owns the values that are tried (``heads.<name>.search`` in params.yaml), their order, and how the best is
found. Refuses to know any head: candidates come built. Importing it costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from featurestore.errors import ParamsError
from featurestore.params import SearchParams, SearchRange
from featurestore.schema import from_mapping

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["MAX_CANDIDATES", "Candidate", "best", "drawn", "plain"]

#: Params beside the unfitted pipeline that they make.
Candidate = tuple[dict[str, Any], Any]

#: Each is fitted once a fold.
MAX_CANDIDATES: Final = 10_000


class _Range:
    """What ``{low, high, log}`` says, as scikit-learn's sampler wants it."""

    def __init__(self, limits: SearchRange) -> None:
        self.limits = limits

    def rvs(self, random_state: Any) -> int | float:
        """One value, ``low`` and ``high`` included, of Python's own types."""
        from scipy.stats import loguniform, randint, uniform

        low, high = self.limits.low, self.limits.high
        whole = self.limits.kind is int
        if self.limits.log:
            value = loguniform(low, high + whole).rvs(random_state=random_state)
        elif whole:
            value = randint(low, high + 1).rvs(random_state=random_state)
        else:
            value = uniform(low, high - low).rvs(random_state=random_state)
        return min(max(self.limits.kind(value), low), high)  # rounding may leave the range


def drawn(search: SearchParams, key: str, *, seed: int) -> list[dict[str, Any]]:
    """The values that are tried.

    Parameters
    ----------
    search : SearchParams
    key : str
        Where it stands in params.yaml, for errors.
    seed : int
        Of a random search.

    Returns
    -------
    list of dict
        A grid has all combinations, the last param (by name) moving fastest, values in the file's order. A
        random search has ``trials``, or all combinations of lists where these are fewer.

    Raises
    ------
    ParamsError
        If there are more than `MAX_CANDIDATES`, or what is given is neither lists nor ranges.
    """
    from sklearn.model_selection import ParameterGrid, ParameterSampler

    over = {
        name: _Range(from_mapping(SearchRange, values, f"{key}.over.{name}"))
        if isinstance(values, Mapping)
        else values
        for name, values in search.over.items()
    }
    lists = not any(isinstance(values, _Range) for values in over.values())
    try:
        n = len(ParameterGrid(over)) if lists else search.trials
        if search.method == "grid" and n > MAX_CANDIDATES:
            raise ParamsError(f"{key}.over: {n} combinations; take method: random, or fewer values")
        if search.method == "grid":
            return [dict(one) for one in ParameterGrid(over)]
        return [dict(one) for one in ParameterSampler(over, min(n, search.trials), random_state=seed)]
    except (TypeError, ValueError) as error:
        raise ParamsError(f"{key}.over: {' '.join(str(error).split())}") from error


def plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Params as JSON values: tuples become lists."""
    values: dict[str, Any] = json.loads(json.dumps(dict(params)))
    return values


def best(
    candidates: Sequence[Candidate],
    X: Any,
    codes: npt.NDArray[np.intp],
    groups: npt.NDArray[Any] | None,
    *,
    seed: int,
) -> tuple[dict[str, Any], Any]:
    """The candidate of the highest AUC over inner folds; the first of equals.

    Parameters
    ----------
    candidates : sequence of (params, pipeline)
        Unfitted; never changed.
    X : DataFrame or ndarray, shape (n, d)
    codes : ndarray of intp, shape (n,)
    groups : ndarray, shape (n,), or None
        Stay whole in every fold.
    seed : int
        Of the folds, the same for all candidates.

    Returns
    -------
    searched : dict
        ``params`` of the winner, its ``score`` (mean AUC of the folds; one against the rest where there are
        more than two classes) and how many were ``tried``: JSON values.
    pipeline : Pipeline or Late
        The winner's, unfitted.

    Raises
    ------
    ValueError
        If a candidate fails, or scores nothing that is a number; the message names it.
    """
    import numpy as np
    from sklearn.metrics import make_scorer, roc_auc_score
    from sklearn.model_selection import cross_val_score

    from classifiers.decision import telling_folds

    folds = telling_folds(codes, groups, seed=seed)
    how = {"multi_class": "ovr"} if len(np.unique(codes)) > 2 else {}
    scorer = make_scorer(roc_auc_score, response_method="predict_proba", **how)
    scores = []
    for params, pipeline in candidates:
        try:
            found = cross_val_score(pipeline, X, codes, cv=folds, scoring=scorer, error_score="raise")
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise ValueError(f"search: {json.dumps(params)} failed: {said}") from error
        scores.append(float(np.mean(found)))
        if not np.isfinite(scores[-1]):
            raise ValueError(f"search: {json.dumps(params)} has no score")
    at = int(np.argmax(scores))
    params, pipeline = candidates[at]
    return {"params": plain(params), "score": scores[at], "tried": len(scores)}, pipeline
