"""A trained head on disk: ``model/``.

::

    pipeline.skops   the fitted Head in canonical form (`canonical`)
    booster.json     XGBoost's trees, where the head is xgb: inside skops they never repeat;
                     under late fusion booster-0.json and so on, one an extractor
    card.json        what was trained on what, and the sha256 of the other files

Owns the folder's layout and the checks at load. The same fitted head gives the same bytes in any
process; a file that is not the one that the card names is refused. There is no pickle.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifiers.decision import check_decided
from classifiers.fusion import Late, members
from classifiers.persistence import canonical
from classifiers.persistence.archive import MAX_BYTES
from classifiers.persistence.soundness import check_booster, check_estimators
from featurestore.documents import json_values, read_capped, read_json, shown
from featurestore.errors import MissingData, ParamsError, StoreDamaged, StoreVersionError
from featurestore.files import remove, write_bytes_atomic, write_text_atomic

if TYPE_CHECKING:
    from classifiers.head import Head

__all__ = ["BOOSTER", "CARD", "FORMAT", "PIPELINE", "load_model", "save_model"]

FORMAT = 1
PIPELINE = "pipeline.skops"
BOOSTER = "booster.json"
CARD = "card.json"

_AGAIN = "run: dvc repro train"
#: Of a booster: XGBoost's JSON, which takes many times its size to read.
_MAX_BOOSTER_BYTES: Final = 128 << 20
_BOOSTERS = re.compile(r"booster(-\d{1,4})?\.json", re.ASCII)


def save_model(folder: Path, head: Head, card: Mapping[str, Any]) -> None:
    """Write a fitted head and its card; the card comes last and makes the rest valid.

    Parameters
    ----------
    folder : Path
        Made if it is not there; boosters of an earlier model are removed.
    head : Head
        Fitted; not changed.
    card : mapping
        JSON values. The keys ``format`` and ``files`` are set here.

    Raises
    ------
    ParamsError
        If the head is larger than `load_model` would take.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bare, boosters = _parted(head)
    try:
        parts = {PIPELINE: canonical.dumps(bare)}
    except ValueError as error:
        raise ParamsError(f"{error}; lower what makes it grow, such as n_estimators") from error
    parts |= {name: bytes(booster.save_raw("json")) for name, booster in boosters.items()}
    for name, data in parts.items():
        if len(data) > _limit(name):
            raise ParamsError(
                f"{name} would be larger than {_limit(name)} bytes; lower heads.xgb.n_estimators"
            )
    for stale in sorted(folder.iterdir()):
        if _BOOSTERS.fullmatch(stale.name) and stale.name not in parts:
            remove(stale)
    for name, data in parts.items():
        write_bytes_atomic(folder / name, data)
    whole = {
        **card,
        "format": FORMAT,
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in parts.items()
        },
    }
    text = json.dumps(whole, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    write_text_atomic(folder / CARD, text + "\n")


def load_model(folder: Path) -> tuple[Head, dict[str, Any]]:
    """The head and its card, after every check.

    Raises
    ------
    MissingData
        If a file is not there.
    StoreVersionError
        If the card is of another format.
    StoreDamaged
        If a file is not the one that the card names, or holds what no head is made of.
    """
    from classifiers.head import Head

    card = _card(folder / CARD)
    parts = {name: _part(folder / name, about) for name, about in card["files"].items()}
    where = str(folder / PIPELINE)
    head = canonical.loads(parts[PIPELINE], where=where)
    if not isinstance(head, Head) or not hasattr(head, "pipeline_"):
        raise StoreDamaged(f"{where}: holds no fitted head; {_AGAIN}")
    try:
        models = _boosted(head)
        if {PIPELINE, *models} != set(parts):
            raise ValueError("booster.json goes with xgb, and with it alone, one for each")
        widths = _widths(head)
        for name, (member, model) in models.items():
            model._Booster = _booster(parts[name], widths[member])
        check_estimators(head)
        check_decided(head)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(f"{where}: damaged: {str(error)[:200]}; {_AGAIN}") from error
    return head, card


def _limit(name: str) -> int:
    return MAX_BYTES if name == PIPELINE else _MAX_BOOSTER_BYTES


def _card(path: Path) -> dict[str, Any]:
    try:
        card = read_json(path)
        version, files = card["format"], card["files"]
        names = set(files.keys())
    except FileNotFoundError:
        raise MissingData(f"{path}: not there; {_AGAIN}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(f"{path}: no model card ({str(error)[:200]}); {_AGAIN}") from error
    if version != FORMAT:
        raise StoreVersionError(f"{path}: format {shown(version)}; this kyara reads {FORMAT}; {_AGAIN}")
    if PIPELINE not in names or not all(_BOOSTERS.fullmatch(name) for name in names - {PIPELINE}):
        raise StoreDamaged(f"{path}: names the files {shown(sorted(names))}; {_AGAIN}")
    whole: dict[str, Any] = card
    return whole


def _part(path: Path, about: Any) -> bytes:
    try:
        data = read_capped(path, _limit(path.name))
    except FileNotFoundError:
        raise MissingData(f"{path}: not there; {_AGAIN}") from None
    except ValueError as error:
        raise StoreDamaged(f"{path}: {error}; {_AGAIN}") from None
    if not isinstance(about, dict) or hashlib.sha256(data).hexdigest() != about.get("sha256"):
        raise StoreDamaged(f"{path}: not the file that {CARD} names (sha256 differs); {_AGAIN}")
    return data


def _boosted(head: Head) -> dict[str, tuple[str, Any]]:
    """File of each booster -> the member it belongs to and its fitted XGBClassifier; empty if not xgb."""
    found = {}
    for i, (member, pipeline) in enumerate(members(head.pipeline_).items()):
        model = getattr(pipeline[-1], "estimator_", None)
        if type(model).__module__.startswith("xgboost."):
            name = f"booster-{i}.json" if isinstance(head.pipeline_, Late) else BOOSTER
            found[name] = (member, model)
    return found


def _parted(head: Head) -> tuple[Head, dict[str, Any]]:
    """A shallow copy of the head without its boosters and what it chose among, and the boosters by file."""
    models = _boosted(head)
    if not models and head.candidates is None:
        return head, {}
    bare = copy.copy(head)
    bare.candidates = None
    if not models:
        return bare, {}
    bared = {member: _bared(members(head.pipeline_)[member], model) for member, model in models.values()}
    if isinstance(head.pipeline_, Late):
        bare.pipeline_ = copy.copy(head.pipeline_)
        bare.pipeline_.pipelines_ = bared
    else:
        (bare.pipeline_,) = bared.values()
    return bare, {name: model.get_booster() for name, (_, model) in models.items()}


def _bared(pipeline: Any, model: Any) -> Any:
    """A shallow copy of a pipeline whose XGBClassifier has no booster."""
    pipeline, wrapper = copy.copy(pipeline), copy.copy(pipeline[-1])
    wrapper.estimator_ = copy.copy(model)
    del wrapper.estimator_._Booster
    pipeline.steps = [*pipeline.steps[:-1], (pipeline.steps[-1][0], wrapper)]
    return pipeline


def _widths(head: Head) -> dict[str, int]:
    """How many columns each member of a head is given."""
    if not isinstance(head.pipeline_, Late):
        return {"": head.n_features_in_}
    columns = {name: np.asarray(c) for name, c in head.pipeline_.columns_.items()}
    if set(columns) != set(members(head.pipeline_)):
        raise ValueError("the extractors of late fusion have no columns, or columns no extractor")
    for places in columns.values():
        if places.dtype != np.int64 or not np.all((places >= 0) & (places < head.n_features_in_)):
            raise ValueError("an extractor of late fusion asks for a column that is not there")
    return {name: len(places) for name, places in columns.items()}


def _booster(data: bytes, n_features: int) -> Any:
    import xgboost

    check_booster(json_values(data), n_features)
    try:
        booster = xgboost.Booster()
        booster.load_model(bytearray(data))
        booster.set_param({"nthread": 1, "device": "cpu"})
    except xgboost.core.XGBoostError as error:
        raise ValueError(str(error).splitlines()[0]) from error
    return booster
