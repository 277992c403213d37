"""Whether a loaded head can be asked without leaving its own memory.

Owns the checks of what compiled code follows without one: nodes of trees, of boosters, and the tables
of support vectors. Refuses to know files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["check_booster", "check_estimators"]


def check_estimators(head: Any) -> None:
    """Check every estimator in a head, wherever it stands.

    Each is held to its own ``n_features_in_``: scikit-learn checks rows against that, and compiled
    code checks nothing more.

    Raises
    ------
    AttributeError, IndexError, KeyError, TypeError, ValueError
    """
    for one in _things(head):
        if hasattr(one, "estimators_"):
            for tree in one.estimators_:
                _check_tree(tree.tree_, one.n_features_in_)
        if hasattr(one, "tree_"):
            _check_tree(one.tree_, one.n_features_in_)
        if hasattr(one, "_predictors"):
            for predictor in (predictor for step in one._predictors for predictor in step):
                _check_predictor(predictor.nodes, one.n_features_in_)
        if hasattr(one, "support_vectors_"):
            _check_support(one)


def check_booster(learner: Any, n_features: int) -> None:
    """Check the trees in the JSON of an XGBoost model; raises as `check_estimators`."""
    for tree in learner["learner"]["gradient_booster"]["model"]["trees"]:
        left, right, split = (
            np.asarray(tree[k], dtype=np.int64) for k in ("left_children", "right_children", "split_indices")
        )
        _check_nodes(left, right, split, leaf=left == -1, n_features=n_features)


def _things(root: Any) -> Iterator[Any]:
    """A value and everything in it, each once."""
    seen: dict[int, Any] = {}
    todo = [root]
    while todo:
        one = todo.pop()
        if isinstance(one, np.ndarray) and one.dtype == object:
            one = one.ravel().tolist()
        if id(one) in seen:
            continue
        seen[id(one)] = one  # held, so that no other gets its id
        if isinstance(one, dict):
            todo.extend(one.values())
        elif isinstance(one, list | tuple):
            todo.extend(one)
        elif hasattr(one, "__dict__"):
            yield one
            todo.extend(vars(one).values())


def _check_tree(tree: Any, n_features: int) -> None:
    nodes = tree.__getstate__()["nodes"]
    left, right = nodes["left_child"], nodes["right_child"]
    _check_nodes(left, right, nodes["feature"], leaf=left == -1, n_features=n_features)


def _check_predictor(nodes: Any, n_features: int) -> None:
    """The same of a tree of histogram boosting."""
    if nodes["is_categorical"].any():
        raise ValueError("a tree splits on categories; kyara has none")
    _check_nodes(
        nodes["left"].astype(np.int64),
        nodes["right"].astype(np.int64),
        nodes["feature_idx"],
        leaf=nodes["is_leaf"].astype(bool),
        n_features=n_features,
    )


def _check_nodes(left: Any, right: Any, feature: Any, *, leaf: Any, n_features: int) -> None:
    """Children come after their parent, inside the tree; a split's column exists."""
    if not len(left):
        raise ValueError("a tree has no node")
    own = np.arange(len(left))
    inner = ~leaf
    for child in (left, right):
        if not np.all((child[inner] > own[inner]) & (child[inner] < len(left))):
            raise ValueError("a node of a tree points outside it")
    if not np.all((feature[inner] >= 0) & (feature[inner] < n_features)):
        raise ValueError("a node of a tree asks for a column that is not there")


def _check_support(model: Any) -> None:
    """The tables of a support vector machine fit each other."""
    k, n = len(model.classes_), len(model.support_)
    pairs = k * (k - 1) // 2
    shapes: dict[str, set[tuple[int, ...]]] = {
        "support_vectors_": {(n, model.n_features_in_)},
        "_dual_coef_": {(k - 1, n)},
        "_intercept_": {(pairs,)},
        "_n_support": {(k,)},
        "_probA": {(0,), (pairs,)},
        "_probB": {(0,), (pairs,)},
    }
    wrong = [name for name, allowed in shapes.items() if np.shape(getattr(model, name)) not in allowed]
    counts = np.asarray(model._n_support)
    if wrong or counts.min() < 0 or counts.sum() != n or model._sparse or model.kernel == "precomputed":
        raise ValueError("a table of a support vector machine does not fit the others")
