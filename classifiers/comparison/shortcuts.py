"""What predicts the label without the character: the shortcut panel.

Owns the tables of what a classifier could know without looking at the figure, and the classifiers that are
given nothing else. Refuses to know the features under study, scores (``panel``) and pixels: the ring's rows
are given.

====================  =========================================================================
``technical``         size, shape, format, bytes a pixel, JPEG quality, as dataset.csv has them
``ring``              the outer ring of the image (`extractors.zoo.ring`)
``series prior``      each series' share of the classes among the images fitted on
``query``             words of the search query, and the provider (``metadata/sources.csv``)
``failed extractor``  which extractor could not compute which image
====================  =========================================================================

They stand in the leaderboard on the heads' folds, where a series is never on both sides, and in the panel
also image by image: what they would earn were images split at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.registry import make_head

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.data import Study
    from classifiers.fitting import Classifier

__all__ = [
    "SHORTCUTS",
    "Shortcut",
    "gather",
    "makers",
    "queries_of",
    "wide_study",
]

SHORTCUTS: Final = ("technical", "ring", "series prior", "query", "failed extractor")

#: Behind each but the prior; its params are no business of params.yaml, so that it stays the same.
_FOREST: Final = {"n_estimators": 100, "min_samples_leaf": 3}

#: A word of a query counts where this many groups have it, and not all: a name is no shortcut.
_MIN_WORD_GROUPS: Final = 2
_MAX_WORDS: Final = 200


@dataclass(frozen=True)
class Shortcut:
    """One way to the label that passes by the character.

    Attributes
    ----------
    name : str
        One of `SHORTCUTS`.
    columns : DataFrame of float64, shape (n, d)
        NaN where nothing is known; empty where there is nothing to look at.
    reason : str
        Why there is nothing to look at; empty otherwise.
    fingerprint : str
        Of its rows, where they are an extractor's: so that the row cache keeps them.
    """

    name: str
    columns: pd.DataFrame
    reason: str = ""
    fingerprint: str = ""


def gather(
    study: Study, ring: pd.DataFrame | None, queries: pd.DataFrame | None, *, fingerprint: str = ""
) -> list[Shortcut]:
    """Every shortcut of a study, in the order of `SHORTCUTS`.

    Parameters
    ----------
    ring : DataFrame of float, shape (n, d), or None
        Rows of the extractor ``ring``, in the study's order.
    queries : DataFrame of str, shape (n, 2), or None
        ``query`` and ``provider`` of each image (`queries_of`).
    fingerprint : str
        Of the ring's rows.
    """
    import pandas as pd

    found = {
        "technical": (_technical(study.index), "every image has the same size, format and quality"),
        "ring": (pd.DataFrame() if ring is None else ring, "no rows of the ring"),
        "series prior": (_series(study.index), "no series is known"),
        "query": (_words(queries, study.groups), "no search query is recorded in metadata/sources.csv"),
        "failed extractor": (_failed(study), "every extractor computed every image"),
    }
    shortcuts = []
    for name in SHORTCUTS:
        columns, reason = found[name]
        varies = [c for c in columns.columns if columns[c].nunique(dropna=False) > 1]
        table = pd.DataFrame(columns[varies].to_numpy(dtype=np.float64), columns=varies)
        shortcuts.append(
            Shortcut(name, table, "" if varies else reason, fingerprint if name == "ring" else "")
        )
    return shortcuts


def _technical(index: pd.DataFrame) -> pd.DataFrame:
    """Columns of dataset.csv that say how an image was stored; formats one column each."""
    import pandas as pd

    names = ("width", "height", "bytes_per_pixel", "jpeg_quality")
    numbers = pd.DataFrame({name: pd.to_numeric(index[name], errors="coerce") for name in names})
    numbers["aspect"] = numbers["width"] / numbers["height"]
    numbers["has_jpeg_quality"] = numbers["jpeg_quality"].notna().astype(float)
    for kind in sorted(set(index["format"])):
        numbers[f"format_{kind}"] = (index["format"] == kind).astype(float)
    return numbers


def _series(index: pd.DataFrame) -> pd.DataFrame:
    """One column: the number of an image's series; -1 where none is known."""
    import pandas as pd

    names = sorted(set(index["series"]) - {""})
    codes = index["series"].map({name: i for i, name in enumerate(names)}).fillna(-1)
    return pd.DataFrame({"series": codes.astype(float)} if names else {})


def _failed(study: Study) -> pd.DataFrame:
    """One column an extractor and status: 1 where it is that of the image's row."""
    import pandas as pd

    from featurestore.spec import Status

    columns = {}
    for i, block in enumerate(study.blocks):
        for status in Status:
            if status != Status.OK:
                columns[f"{block}_{status.name.lower()}"] = (study.status[:, i] == status).astype(float)
    return pd.DataFrame(columns)


def _words(queries: pd.DataFrame | None, groups: npt.NDArray[Any]) -> pd.DataFrame:
    """One column a word that several groups' queries have, and one a provider where there are several."""
    import pandas as pd

    if queries is None:
        return pd.DataFrame()
    said = [set(text.casefold().split()) for text in queries["query"]]
    homes: dict[str, set[str]] = {}
    for words, group in zip(said, groups.tolist(), strict=True):
        for word in words:
            homes.setdefault(word, set()).add(group)
    common = sorted((w for w, h in homes.items() if len(h) >= _MIN_WORD_GROUPS), key=lambda w: -len(homes[w]))
    kept = sorted(common[:_MAX_WORDS])
    columns = {f"word_{word}": [float(word in words) for words in said] for word in kept}
    providers = set(queries["provider"])
    for provider in sorted(providers - {""}) if len(providers) > 1 else ():
        columns[f"provider_{provider}"] = (queries["provider"] == provider).astype(float).tolist()
    return pd.DataFrame(columns)


def queries_of(sources: Path, keys: Sequence[str]) -> pd.DataFrame | None:
    """Query and provider of each image, out of a collection's record.

    Parameters
    ----------
    sources : Path
        ``metadata/sources.csv``, with ``key`` and ``query``, perhaps ``provider``.
    keys : sequence of str, length n

    Returns
    -------
    DataFrame of str, shape (n, 2), or None
        Empty text where an image has no record; None where there is no such file.

    Raises
    ------
    MetadataError
        If the file cannot be read, or lacks a column.
    """
    import pandas as pd

    from featurestore.metadata import read_table

    if not sources.exists():
        return None
    rows = {row["key"]: row for row in read_table(sources, ["key", "query"])}
    found = [rows.get(key, {}) for key in keys]
    return pd.DataFrame(
        {name: [row.get(name, "") for row in found] for name in ("query", "provider")}, dtype=str
    )


def wide_study(study: Study, shortcuts: Sequence[Shortcut]) -> Study:
    """The study with the shortcuts' columns, named ``shortcut/column``, in place of its features."""
    import pandas as pd

    tables = [s.columns.add_prefix(f"{s.name}/") for s in shortcuts if not s.reason]
    features = pd.concat(tables, axis=1) if tables else pd.DataFrame(index=range(len(study.keys)))
    return replace(study, features=features)


class _Prior:
    """Shares of the classes in an image's series, drawn to the shares of all by one image's weight."""

    def fit(self, X: pd.DataFrame, y: npt.NDArray[Any], groups: Any = None) -> _Prior:
        """Count classes; ``X`` has one column, the number of the series."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.share_ = np.bincount(codes) / len(codes)
        self.of_: dict[float, npt.NDArray[np.float64]] = {}
        series = X.iloc[:, 0].to_numpy()
        for one in np.unique(series[series >= 0]).tolist():
            counts = np.bincount(codes[series == one], minlength=len(self.classes_))
            self.of_[one] = (counts + self.share_) / (counts.sum() + 1)
        return self

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Shares, shape (n, k); those of all where a series was not seen."""
        return np.array([self.of_.get(one, self.share_) for one in X.iloc[:, 0].tolist()])

    def predict(self, X: pd.DataFrame) -> npt.NDArray[Any]:
        """The likeliest class."""
        likeliest: npt.NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest


class _Only:
    """A classifier that is given the columns of one shortcut."""

    def __init__(self, name: str, make: Callable[[], Classifier]) -> None:
        self._name, self._make = f"{name}/", make

    def _own(self, X: pd.DataFrame) -> pd.DataFrame:
        return X[[name for name in X.columns if name.startswith(self._name)]]

    def fit(self, X: pd.DataFrame, y: npt.NDArray[Any], groups: Any = None) -> _Only:
        """Fit on the shortcut's columns."""
        self._fitted = self._make().fit(self._own(X), y)
        self.classes_ = self._fitted.classes_
        return self

    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Probabilities, shape (n, k)."""
        return self._fitted.predict_proba(self._own(X))

    def predict(self, X: pd.DataFrame) -> Any:
        """The likeliest class of each row."""
        return self._fitted.predict(self._own(X))


def makers(
    shortcuts: Sequence[Shortcut], *, seed: int, n_classes: int, positive: int
) -> dict[str, Callable[[], Classifier]]:
    """A maker for each shortcut that has something to look at, to be fitted on `wide_study`."""
    forest = partial(make_head, "extratrees", _FOREST, seed=seed, n_classes=n_classes, positive=positive)
    return {
        s.name: partial(_Only, s.name, _Prior if s.name == "series prior" else forest)
        for s in shortcuts
        if not s.reason
    }
