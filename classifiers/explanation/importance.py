"""What a column is worth to a head, in one fold, by four methods; and the same under permuted labels.

===========  ==========================================================================================
method       importance of a unit (`grouping`)
===========  ==========================================================================================
coefficient  of head ``logreg``: standard deviation, over the rows fitted on, of what the unit's columns add
             to the log-odds. Of one column that is its coefficient on standardised columns, without sign
forest       of head ``rf``: mean decrease of impurity (Breiman 2001), summed over the unit's columns
permutation  of the chosen head: AUC lost on the held-out rows when the unit's columns are shuffled together
shap         of the chosen head: mean absolute contribution on the held-out rows (`attribution`),
             those of the unit's columns summed
===========  ==========================================================================================

Of several classes all four are about the positive one against the rest.

Owns these measures and the tasks they are taken in. Refuses to know which rows, folds and labels are asked
for, and how a table reads. A task is a function of its fold, its labels and the seed, so that nothing depends
on how many run at once.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.explanation.importance_tasks import COEFFICIENTS, FOREST, Asked, Found, Method, Task
from classifiers.pool import run
from featurestore.errors import KyaraError, UsageError

__all__ = ["auc", "measured", "naming"]

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

#: Values of shuffled rows held at once.
_CHUNK: Final = 1 << 22


def auc(scores: Floats, hit: npt.NDArray[np.bool_]) -> Floats:
    """Share of pairs of a hit and a miss that are in order, ties half, for each row of scores.

    Parameters
    ----------
    scores : ndarray of float64, shape (..., m)
    hit : ndarray of bool, shape (m,)

    Returns
    -------
    ndarray of float64, shape (...)
        NaN where a side is empty.

    Examples
    --------
    >>> auc(np.array([[0.1, 0.2, 0.3], [0.3, 0.3, 0.1]]), np.array([False, False, True])).tolist()
    [1.0, 0.0]
    """
    from scipy.stats import rankdata

    n_hit, n_miss = int(hit.sum()), int((~hit).sum())
    if not n_hit or not n_miss:
        return np.full(scores.shape[:-1], np.nan)
    ranks = rankdata(scores, axis=-1)[..., hit].sum(axis=-1)
    found: Floats = (ranks - n_hit * (n_hit + 1) / 2) / (n_hit * n_miss)
    return found


def _fitted(asked: Asked, head: str, task: Task, trees: int = 0) -> Any:
    """A head, fitted; with so many trees at most, where a number is given."""
    from classifiers.fusion import template

    made, rows = asked.makers[head](), task.fold.fitted
    if trees:
        for pipeline in (made.pipeline, *(other for _, other in made.candidates or ())):
            classifier = template(pipeline)[-1]
            classifier.set_params(n_estimators=min(trees, classifier.n_estimators))
    made.fit(asked.table(rows), task.labels[rows], groups=asked.groups[rows])
    return made


def _parts(head: Any, n_columns: int) -> list[tuple[Any, npt.NDArray[np.intp]]]:
    """Fitted pipelines of a head and the columns of each; several under late fusion."""
    from classifiers.fusion import members as pipelines

    owned = getattr(head.pipeline_, "columns_", None) or {"": np.arange(n_columns)}
    return [(one, owned[name]) for name, one in pipelines(head.pipeline_).items()]


def _coefficients(asked: Asked, head: Any, fitted: Rows) -> tuple[Floats, Floats]:
    """Importance and direction of each unit, by a linear head's coefficients."""
    from classifiers.explanation.additive import additive

    table, added = asked.table(fitted), np.zeros((len(fitted), len(asked.names)))
    for pipeline, columns in _parts(head, len(asked.names)):
        made = additive(pipeline[-1], (), asked.positive)
        if made is None:
            raise KyaraError("it has no coefficients")
        own = table.iloc[:, columns] if asked.named else table[:, columns]
        added[:, columns] = made[0](np.asarray(pipeline[:-1].transform(own), dtype=np.float64))
    of_units = added @ asked.columns.T
    return of_units.std(axis=0), _directions(asked.axes[fitted], of_units)


def _forest(asked: Asked, head: Any) -> Floats:
    """Importance of each unit, by a forest's impurities; under late fusion the mean of the forests."""
    share, parts = np.zeros(len(asked.names)), _parts(head, len(asked.names))
    for pipeline, columns in parts:
        share[columns] += pipeline[-1].feature_importances_ / len(parts)
    found: Floats = asked.columns @ share
    return found


def _directions(axes: Floats, added: Floats) -> Floats:
    """Sign of the covariance of how much of a unit there is with what it adds, shape (units,)."""
    covariance = ((axes - axes.mean(axis=0)) * added).sum(axis=0)
    found: Floats = np.sign(np.where(np.abs(covariance) > 1e-9 * len(axes), covariance, 0.0))
    return found


def _shuffled_scores(asked: Asked, head: Any, scored: Rows, orders: Rows) -> Floats:
    """P(positive) with each unit's columns put in shuffled order, shape (units, shuffles, m)."""
    values, n_rows = asked.values[scored], len(scored)
    found = np.empty((len(asked.units), len(orders), n_rows))
    step = max(1, _CHUNK // max(1, values.size))
    pairs = [(u, s) for u in range(len(asked.units)) for s in range(len(orders))]
    for at in range(0, len(pairs), step):
        part = pairs[at : at + step]
        made = np.tile(values, (len(part), 1, 1))
        for block, (u, s) in zip(made, part, strict=True):
            own = list(asked.units[u].columns)
            block[:, own] = values[np.ix_(orders[s], own)]
        table = asked.as_table(made.reshape(-1, values.shape[1]))
        said = np.asarray(head.predict_proba(table), dtype=np.float64)[:, asked.positive]
        for row, (u, s) in zip(said.reshape(len(part), n_rows), part, strict=True):
            found[u, s] = row
    return found


def _chosen(asked: Asked, head: Any, task: Task) -> Found:
    """The chosen head's permutation importance and contributions."""
    from classifiers.explanation.attribution import attribute

    fold, effort = task.fold, task.effort
    scored, n_rows = fold.scored, len(fold.scored)
    rng = np.random.default_rng([asked.seed, fold.repeat, fold.number])
    orders = np.array([rng.permutation(n_rows) for _ in range(effort.shuffles)])
    some = np.arange(n_rows)
    if effort.rows is not None and effort.rows < n_rows:
        some = np.sort(rng.permutation(n_rows)[: effort.rows])
    if asked.closed:
        some = np.arange(n_rows)
    hit = task.labels[scored] == asked.classes[asked.positive]
    found = attribute(
        head,
        asked.table(scored[some]),
        asked.table(fold.fitted),
        positive=asked.positive,
        seed=asked.seed,
        groups=[one.columns for one in asked.players],
        draws=max(1, effort.draws),
    ) if len(some) else None  # fmt: skip
    added = np.zeros((0, len(asked.units))) if found is None else found.values @ asked.of_players.T
    if asked.closed and found is not None and len(asked.classes) == 2:
        # what a sum is with one part shuffled needs no answer of the head
        usual, shuffled = found.margin, found.margin - added.T[:, None] + added.T[:, orders]
    else:
        table = asked.table(scored)
        usual = np.asarray(head.predict_proba(table), dtype=np.float64)[:, asked.positive]
        shuffled = _shuffled_scores(asked, head, scored, orders)
    importance: dict[Method, Floats] = {"permutation": auc(usual, hit) - auc(shuffled, hit).mean(axis=1)}
    direction: dict[Method, Floats] = {}
    if found is None:
        nothing = np.zeros((0, len(asked.players)))
        return Found(importance, direction, scored[:0], nothing, np.zeros(0))
    importance["shap"] = np.abs(added).mean(axis=0)
    direction["shap"] = direction["permutation"] = _directions(asked.axes[scored[some]], added)
    return Found(importance, direction, scored[some], found.values, found.base, found.unit, found.method)


@contextlib.contextmanager
def naming(head: str) -> Iterator[None]:
    """A failure inside names the head and where its params stand.

    Raises
    ------
    KyaraError
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        log.debug("head %s", head, exc_info=True)
        kind = "" if isinstance(error, KyaraError) else f"{type(error).__name__}: "
        text = " ".join(str(error).split())
        raise KyaraError(f"head {head} failed: {kind}{text}; its params: heads.{head}") from error


def _measure(asked: Asked, task: Task) -> Found:
    """One task."""
    with naming(asked.head):
        head = _fitted(asked, asked.head, task)
        found = _chosen(asked, head, task)
    importance, direction = dict(found.importance), dict(found.direction)
    if COEFFICIENTS in asked.makers:
        with naming(COEFFICIENTS):
            linear = head if asked.head == COEFFICIENTS else _fitted(asked, COEFFICIENTS, task)
            values, signs = _coefficients(asked, linear, task.fold.fitted)
        importance["coefficient"], direction["coefficient"] = values, signs
    if FOREST in asked.makers:
        with naming(FOREST):
            importance["forest"] = _forest(asked, _fitted(asked, FOREST, task, task.effort.trees))
    return Found(importance, direction, found.rows, found.contributions, found.base, found.unit, found.method)


def measured(asked: Asked, tasks: Sequence[Task], *, workers: int) -> list[Found]:
    """Do every task; in the order of the tasks.

    Parameters
    ----------
    workers : int
        Processes at most; few short tasks are done here. 0 = one a core. Nothing depends on it.

    Raises
    ------
    KyaraError
        If a head fails; the message names it.
    """
    return run(functools.partial(_measure, asked), tasks, workers=workers)
