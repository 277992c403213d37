"""What a saved model says of new pictures: label, probabilities, reasons, the training images they are like.

Owns putting an answer together. Training images are those of the train split, which the model was fitted on;
val and test are held against no picture. Refuses to know params.yaml, and how a reply reads (``replies``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.data import Study
from classifiers.embedding import check_extractors
from classifiers.prediction.inbox import find_files
from classifiers.prediction.neighbours import space_of
from classifiers.prediction.newcomers import Newcomers, rows_of
from classifiers.prediction.replies import Contribution, Explanation, Known, Neighbour, Prediction, Replies
from featurestore.spec import Status

if TYPE_CHECKING:
    from classifiers.head import Head
    from extractors.base import Extractor

__all__ = ["predict"]

Floats = npt.NDArray[np.float64]

#: Training images that contributions are held against: more than for a whole study, as each is read alone.
_DRAWS: Final = 200


def predict(
    paths: Sequence[Path],
    study: Study,
    head: Head,
    card: Mapping[str, Any],
    extractors: Mapping[str, Extractor],
    *,
    max_pixels: int,
    seed: int,
    explain: bool = False,
    fingerprints: Mapping[str, str] | None = None,
) -> Replies:
    """Ask a saved model about pictures.

    Parameters
    ----------
    paths : sequence of Path
        Files, and folders whose pictures are meant.
    study : Study
        That the model was fitted on; see `classifiers.data.check_model`.
    head : Head
    card : mapping
        Of the model.
    extractors : mapping of str to Extractor
        Those of the study's blocks, from `newcomers.build_extractors`.
    max_pixels : int
        Cap on width x height, checked before decoding.
    seed : int
        Of the background and of what is sampled.
    explain : bool
        Whether to say what each feature adds.
    fingerprints : mapping of str to str, optional
        Of the stores that features.h5 was joined from; see `classifiers.embedding.stored_fingerprints`.

    Raises
    ------
    DataError
        If the extractors would make other rows than the study's.
    """
    columns = [str(name) for name in study.features.columns]
    check_extractors(extractors, columns, fingerprints or {})
    files, unusable = find_files(paths)
    new = rows_of(files, extractors, max_pixels=max_pixels)
    found = _answered(new, study, head, tuple(extractors), seed, explain) if new.paths else ()
    return Replies(_said_of(card, head), found, (*unusable, *new.unusable))


def _said_of(card: Mapping[str, Any], head: Head) -> str:
    groups = f" in {card['n_groups']} groups" if card["n_groups"] < card["n_images"] else ""
    said = f"{card['head']}, fitted on {card['n_images']} images of train{groups}; probabilities "
    said += (
        "calibrated by a sigmoid" if hasattr(head, "sigmoid_") else "as the head gives them, not calibrated"
    )
    if hasattr(head, "threshold_"):
        said += f"; {head.classes_[head.positive]} from {head.threshold_:.3f} on"
    return said


def _answered(
    new: Newcomers, study: Study, head: Head, blocks: Sequence[str], seed: int, explain: bool
) -> tuple[Prediction, ...]:
    import pandas as pd

    rows = pd.DataFrame(new.values, columns=study.features.columns)
    proba = head.predict_proba(rows)
    labels = head.decide(proba)
    known = _known(new, study)
    near = _neighbours(new, study, known)
    why = _explanations(rows, study, head, labels, seed) if explain else [None] * len(rows)
    found = []
    for i, path in enumerate(new.paths):
        neighbours, distance, limit = near[i]
        found.append(
            Prediction(
                path=str(path),
                key=new.keys[i],
                label=str(labels[i]),
                probability={
                    str(name): float(share) for name, share in zip(head.classes_, proba[i], strict=True)
                },
                neighbours=neighbours,
                distance=distance,
                limit=limit,
                missing={
                    name: Status(state).name.lower()
                    for name, state in zip(blocks, new.status[i].tolist(), strict=True)
                    if state != Status.OK
                },
                known=_told(known[i], study),
                explanation=why[i],
            )
        )
    return tuple(found)


def _known(new: Newcomers, study: Study) -> list[int]:
    """Position in the study of the image that each picture is; -1 for none."""
    places = {str(key): i for i, key in enumerate(study.keys)}
    return [places.get(key, -1) for key in new.keys]


def _told(place: int, study: Study) -> Known | None:
    if place < 0:
        return None
    return Known(str(study.paths[place]), str(study.labels[place]), str(study.splits[place]))


_Near = tuple[tuple[Neighbour, ...], float | None, float | None]


def _neighbours(new: Newcomers, study: Study, known: Sequence[int]) -> list[_Near]:
    """The nearest training images of each picture, itself left out; how far the last is, and the limit."""
    train = study.rows_of("train")
    own = {int(row): place for place, row in enumerate(train)}
    owners = [str(name).partition("/")[0] for name in study.features.columns]
    space = space_of(study.features.to_numpy()[train], owners, study.groups[train])
    found = space.nearest(new.values, without=[own.get(row, -1) for row in known])
    limit = float(space.limit) if np.isfinite(space.limit) else None
    near: list[_Near] = []
    for places, distances in zip(found.places, found.distances, strict=True):
        told = tuple(
            Neighbour(str(study.paths[train[place]]), str(study.labels[train[place]]), float(distance))
            for place, distance in zip(places, distances, strict=True)
            if place >= 0
        )
        near.append((told, told[-1].distance if len(told) == len(places) else None, limit))
    return near


def _players(columns: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Name and columns of what is told as one: a column, or what nobody can read of an extractor."""
    from classifiers.explanation.grouping import opaque

    found: dict[str, list[int]] = {}
    for i, (name, closed) in enumerate(zip(columns, opaque(columns), strict=True)):
        found.setdefault(name.partition("/")[0] if closed else name, []).append(i)
    return list(found.items())


def _explanations(
    rows: Any, study: Study, head: Head, labels: npt.NDArray[Any], seed: int
) -> list[Explanation | None]:
    """For each picture, what speaks for and against the label that it got."""
    from classifiers.explanation.attribution import attribute

    players = _players([str(name) for name in rows.columns])
    background = study.features.iloc[study.rows_of("train")]
    trained = background.to_numpy()
    why: list[Explanation | None] = [None] * len(rows)
    for code, label in enumerate(head.classes_):
        here = np.flatnonzero(labels == label)
        if not len(here):
            continue
        groups = [columns for _, columns in players]
        found = attribute(
            head, rows.iloc[here], background, positive=code, seed=seed, groups=groups, draws=_DRAWS
        )
        for i, values, base, answer in zip(here, found.values, found.base, found.margin, strict=True):
            parts = [
                _contribution(name, columns, rows.to_numpy()[i], trained, float(value))
                for (name, columns), value in zip(players, values, strict=True)
            ]
            parts.sort(key=lambda one: -abs(one.contribution))
            why[i] = Explanation(
                str(label), found.unit, found.method, float(base), float(answer), tuple(parts)
            )
    return why


def _contribution(
    name: str, columns: Sequence[int], row: Floats, trained: Floats, adds: float
) -> Contribution:
    value = float(row[columns[0]])
    if "/" not in name or np.isnan(value):  # an embedding; or not computed
        return Contribution(name, None, None, adds)
    others = trained[:, columns[0]]
    others = others[~np.isnan(others)]
    place = None
    if len(others):
        place = 100 * float((others < value).mean() + (others == value).mean() / 2)
    return Contribution(name, value, place, adds)
