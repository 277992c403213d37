"""How heads answer to pictures that were redrawn with one cause moved, beside what that cause really does.

Owns the pairing of redrawn pictures with the study's, which factor was moved (by the numeric columns of
``metadata/characters.csv``), what of it the design columns see, and the heads' response. Refuses to know who
drew them: any folder will do that holds the same pictures under the same paths, and the same metadata.

Unlike an edit of pixels a redrawing moves the cause itself, with all that follows from it. Only drawings of
known causes can be redrawn; ``python -m collection demo --move`` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.explanation.asking import Resampled, asker
from classifiers.explanation.counterfactual_report import Slope
from classifiers.explanation.response_report import Moved, Reply, Response
from classifiers.fitting import Classifier
from classifiers.scoring import Scoring
from featurestore.dataset import place_of
from featurestore.elsewhere import Place
from featurestore.errors import DataError, MissingData
from featurestore.files import sha256_of
from featurestore.metadata import notes_of, unescape_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MEASURING", "RowsBy", "response"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

#: Extractor, key -> file, data folder -> its rows in that order, columns without the extractor's name.
RowsBy = Callable[[str, Mapping[str, Place], Path], "pd.DataFrame"]

#: Probabilities are kept this far from 0 and 1, so that log-odds are finite.
_CLIP: Final = 1e-3

MEASURING: Final = "design"


@dataclass(frozen=True)
class _Redrawn:
    """Pictures of one folder.

    Attributes
    ----------
    rows : ndarray of intp, shape (m,)
        Rows of the study that were redrawn.
    table : DataFrame of float64, shape (m, d)
        The study's columns.
    design : DataFrame, shape (m, 63)
        Columns of ``design``, without its name.
    """

    folder: Path
    rows: Rows
    table: pd.DataFrame
    design: pd.DataFrame


def _paired(study: Study, asked: Rows, folder: Path, rows_by: RowsBy) -> _Redrawn:
    """The redrawn pictures of a folder, and their rows.

    Raises
    ------
    MissingData
        If the folder has none of the study's.
    DataError
        If they have other columns.
    """
    import pandas as pd

    files = {row: folder / unescape_path(str(study.paths[row])) for row in asked.tolist()}
    there = {row: file for row, file in files.items() if file.is_file()}
    if not there:
        raise MissingData(
            f"{folder} has none of the pictures of dataset.csv, as {next(iter(files.values()))}; redraw them"
            f" under the same paths, e.g.: python -m collection demo --move aura=1 --out {folder}"
        )
    keys = {row: sha256_of(file) for row, file in there.items()}
    images = {keys[row]: file for row, file in there.items()}
    parts = {name: rows_by(name, images, folder) for name in dict.fromkeys([*study.blocks, MEASURING])}
    place = {key: i for i, key in enumerate(images)}
    order = [place[keys[row]] for row in there]
    table = pd.concat([parts[name].add_prefix(f"{name}/") for name in study.blocks], axis=1)
    missing = [name for name in study.features.columns if name not in table.columns]
    if missing:
        raise DataError(f"{folder}: rows have no {missing[0]}, which features.h5 has; run: dvc repro")
    table = table[list(study.features.columns)].astype(np.float64)
    return _Redrawn(
        folder,
        np.array(list(there), dtype=np.intp),
        table.iloc[order].reset_index(drop=True),
        parts[MEASURING].iloc[order].reset_index(drop=True),
    )


def _numbers(notes: Sequence[Mapping[str, str]]) -> dict[str, Floats]:
    """Columns of the metadata in which every picture has a number."""
    found = {}
    for name in dict.fromkeys(name for note in notes for name in note):
        try:
            values = np.array([float(note.get(name, "")) for note in notes])
        except ValueError:
            continue
        if np.isfinite(values).all():
            found[name] = values
    return found


def _within_class_sd(values: Floats, hit: npt.NDArray[np.bool_]) -> float:
    """Standard deviation around the means of the positive class and of the rest."""
    rest = np.where(hit, values - values[hit].mean(), values - values[~hit].mean())
    return float(rest.std()) or 1.0


def _moved(study: Study, one: _Redrawn, base: pd.DataFrame, asked: Rows, how: Scoring, root: Path) -> Moved:
    """What was moved in a folder, what it really does, and what the design columns see of it."""
    before = _numbers(notes_of(study.paths[asked].tolist(), root))
    after = _numbers(notes_of(study.paths[one.rows].tolist(), one.folder))
    at = np.searchsorted(asked, one.rows)
    gone = {name: after[name] - values[at] for name, values in before.items() if name in after}
    factors = [name for name, change in gone.items() if np.abs(change).max() > 1e-9]
    n_groups = len(np.unique(study.groups[one.rows]))
    shift = (one.design.to_numpy(np.float64) - base.to_numpy(np.float64)[at]).mean(axis=0)
    shift /= np.where(base.std(axis=0, ddof=0) > 0, base.std(axis=0, ddof=0), np.inf)
    if len(factors) != 1 or abs(gone[factors[0]].mean()) < 1e-9:
        note = "several factors were moved" if len(factors) > 1 else "the metadata do not say what was moved"
        by, sd, effect = None, None, None
    else:
        note, values, hit = "", before[factors[0]], study.labels[asked] == study.classes[how.positive]
        sd = _within_class_sd(values, hit)
        by = float(gone[factors[0]].mean()) / sd
        over = Resampled(study.groups[asked], draws=how.draws, seed=how.seed, n_folds=1)
        effect = Slope(*over.difference(values / sd, hit))
        shift = shift / by
    names = one.design.columns.tolist()
    order = np.argsort(-np.abs(shift), kind="stable")
    columns = tuple((str(names[i]), float(shift[i])) for i in order)
    return Moved(str(one.folder), ", ".join(factors), by, sd, effect, columns, len(one.rows), n_groups, note)


def _margin(proba: Floats) -> Floats:
    """Log-odds, the mean over the repeats, shape (m,)."""
    p = np.clip(proba, _CLIP, 1 - _CLIP)
    found: Floats = (np.log(p) - np.log1p(-p)).mean(axis=0)
    return found


def _reply(what: Moved, head: str, before: Floats, after: Floats, over: Resampled) -> Reply:
    """A head's mean answer; probabilities are (repeats, m)."""
    change = after.mean(axis=0) - before.mean(axis=0)
    margin = (_margin(after) - _margin(before)) / (what.by or 1.0)
    ones = np.ones(len(change))
    return Reply(
        what.folder, head, Slope(*over.mean(change, ones, within=(-1, 1))), Slope(*over.mean(margin, ones))
    )


def response(
    study: Study,
    makers: Mapping[str, Callable[[], Classifier]],
    folders: Sequence[Path],
    how: Scoring,
    *,
    root: Path,
    rows: RowsBy,
) -> Response:
    """Ask heads about redrawn pictures, out of fold.

    Parameters
    ----------
    makers : mapping of str to callable
        Name of a head to a maker of new, unfitted ones.
    folders : sequence of Path
        Each a data folder: the study's pictures redrawn, some or all, with ``metadata/characters.csv``.
    how : Scoring
        With its repeats: each picture is asked about by several heads, whose answers are averaged.
    root : Path
        The study's own data folder.
    rows : callable
        Rows of pictures by an extractor: of the study's extractors and of ``design``.

    Returns
    -------
    Response

    Raises
    ------
    MissingData
        If a folder has none of the study's pictures.
    DataError
        If its rows have other columns.
    KyaraError
        If a head fails; the message names it.
    """
    import pandas as pd

    by = asker(study, how, repeats=how.repeats)
    asked = by.rows
    redrawn = [_paired(study, asked, folder, rows) for folder in folders]
    base = _measured(study, asked, root, rows)
    table = pd.concat([study.features.iloc[asked], *(one.table for one in redrawn)], ignore_index=True)
    owner = np.concatenate([asked, *(one.rows for one in redrawn)])
    proba = by.ask(makers, table, owner, how)
    moved, replies, start = [], [], len(asked)
    for one in redrawn:
        moved.append(_moved(study, one, base, asked, how, root))
        now, at = slice(start, start + len(one.rows)), np.searchsorted(asked, one.rows)
        start += len(one.rows)
        over = Resampled(study.groups[one.rows], draws=how.draws, seed=how.seed, n_folds=by.n_folds)
        replies += [_reply(moved[-1], head, said[:, at], said[:, now], over) for head, said in proba.items()]
    n_groups = len(np.unique(study.groups[asked]))
    caption = f"{len(asked)} pictures of {n_groups} groups, {by.said}; {study.split_kind}"
    return Response(caption, study.classes[how.positive], tuple(moved), tuple(replies))


def _measured(study: Study, asked: Rows, root: Path, rows_by: RowsBy) -> pd.DataFrame:
    """Columns of ``design`` of the study's own pictures, without its name."""
    if MEASURING in study.blocks:
        table = study.features.iloc[asked].filter(like=f"{MEASURING}/")
        return table.rename(columns=lambda name: str(name).partition("/")[2]).reset_index(drop=True)
    images = {str(study.keys[row]): place_of(str(study.paths[row]), root) for row in asked.tolist()}
    return rows_by(MEASURING, images, root)
