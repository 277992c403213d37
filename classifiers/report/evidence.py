"""Everything that the stages left in ``results/``, read once, as plain values.

Owns where each file lies, which stage writes it, and what is said where one is not there. Refuses to know how
anything was measured and how it will be shown; every document about a run is written from one `Evidence`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from classifiers.explanation.atlas import Atlas, read_map
from classifiers.report import reading
from classifiers.report.reading import filled, needed, optional, table
from featurestore.dataset import read_dataset
from featurestore.documents import read_capped, read_json, yaml_values
from featurestore.files import sha256_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEMO_MARK", "Evidence", "read_evidence"]

#: Stands in the data folder when its images are drawings that our own code made.
DEMO_MARK: Final = "metadata/demo.json"

_MAX_LOCK: Final = 16 << 20


@dataclass(frozen=True)
class Evidence:
    """What one run of the pipeline found.

    A table has floats where it holds numbers (NaN = an empty cell) and texts elsewhere. What a stage did not
    write is None, and `missing` has the reason by the attribute's name.

    Attributes
    ----------
    params : mapping
        params.yaml as given, defaults filled in or not.
    demo : str
        What the data folder says of itself where its images are drawings that our own code made; else empty.
    dataset : DataFrame of str
        ``dataset.csv``, one row an image, ascending by key.
    data, metrics, card : mapping
        ``data.json``, ``metrics.json``, ``model/card.json``.
    stores : tuple of mapping
        The joined stores: extractor, columns, rows, not_ok, fingerprint, digest.
    quarantine : DataFrame
        path, sha256, reason, detail, stage.
    leaderboard, shortcuts : DataFrame
    warnings : tuple of str
        What a reader must know before anything else: the leaderboard's first lines.
    said : tuple of str
        The leaderboard's other sentences: captions, conclusions, notes.
    leakage : DataFrame
        part (ladder, identity, none), what, ...
    predictions : DataFrame
        Of the chosen head: key, path, group, split (cv, val), repeat, fold, label, predicted, ``p_<class>``.
    oof : DataFrame
        Of every head; has ``head`` and no ``path``.
    confusion, roc, pr, calibration, learning_curve, training, loss : DataFrame
        ``plots/*.csv``; the last two are empty where nothing was trained by epochs.
    importance, counterfactuals, findings, concordance_rows : DataFrame or None
    shap : DataFrame or None
        Out-of-fold contributions: ``key``, one column a feature or block, ``base``, ``margin``.
    shap_unit : str
        Of the contributions; empty where none is known.
    shap_about : mapping of str to str
        Whose they are and how they came about: head, method, note, positive, unit.
    concordance : mapping or None
        By extractor: r2, low, high, images, groups, unexplained.
    atlas : Atlas or None
        Where each image of train and val lies on the map.
    strips : tuple of Path
        Pictures of edited images, by name.
    missing : mapping of str to str
        Attribute -> why it is None or empty.
    digests : mapping of str to str
        What the results stand on, by what it is.
    """

    params: Mapping[str, Any]
    demo: str
    dataset: pd.DataFrame
    data: Mapping[str, Any]
    metrics: Mapping[str, Any]
    card: Mapping[str, Any]
    stores: tuple[Mapping[str, Any], ...]
    quarantine: pd.DataFrame
    leaderboard: pd.DataFrame
    shortcuts: pd.DataFrame
    warnings: tuple[str, ...]
    said: tuple[str, ...]
    leakage: pd.DataFrame
    predictions: pd.DataFrame
    oof: pd.DataFrame
    confusion: pd.DataFrame
    roc: pd.DataFrame
    pr: pd.DataFrame
    calibration: pd.DataFrame
    learning_curve: pd.DataFrame
    training: pd.DataFrame
    loss: pd.DataFrame
    importance: pd.DataFrame | None
    shap: pd.DataFrame | None
    shap_unit: str
    concordance: Mapping[str, Any] | None
    concordance_rows: pd.DataFrame | None
    counterfactuals: pd.DataFrame | None
    findings: pd.DataFrame | None
    atlas: Atlas | None
    strips: tuple[Path, ...]
    missing: Mapping[str, str]
    digests: Mapping[str, str]
    shap_about: Mapping[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """Name of the head that was chosen (``model:`` in params.yaml)."""
        return str(self.metrics["head"])

    @property
    def positive(self) -> str:
        """The class that scores speak of."""
        return str(self.metrics["positive"])

    @property
    def classes(self) -> tuple[str, ...]:
        """All labels, sorted."""
        return tuple(name.removeprefix("p_") for name in self.predictions.columns if name.startswith("p_"))

    @property
    def scored_on(self) -> str:
        """``cv``, or ``val`` where an extractor learned from train and nothing was cross-validated."""
        return "cv" if "table" in self.metrics["cv"] else "val"

    def measure(self, name: str, part: str = "") -> Mapping[str, float | None]:
        """score, low, high and majority of the chosen head; of `scored_on` unless another part is named."""
        for row in self.metrics[part or self.scored_on].get("table", []):
            if row["measure"] == name:
                return dict(row)
        return {"score": None, "low": None, "high": None, "majority": None}


def _demo(root: Path) -> str:
    mark = root / DEMO_MARK
    if not mark.is_file():
        return ""
    said = needed(mark, "index", read_json)
    return str(said.get("what", "")) if isinstance(said, Mapping) else ""


def _digests(
    dataset: Path, card: Mapping[str, Any], stores: Collection[Mapping[str, Any]], lock: Path | None
) -> dict[str, str]:
    """What results stand on; the data folder's digest is the one that DVC locked for `index`."""
    found = {}
    if lock is not None and lock.is_file():
        stages = needed(lock, "index", lambda path: yaml_values(read_capped(path, _MAX_LOCK)))
        index = ((stages or {}).get("stages") or {}).get("index") or {}
        found = {
            f"{dep['path']}/ (md5, by DVC)": str(dep["md5"])
            for dep in index.get("deps", [])
            if "md5" in dep and str(dep["md5"]).endswith(".dir")
        }
    found["dataset.csv (sha256)"] = sha256_of(dataset)
    for store in stores:
        found[f"rows of {store['extractor']} (sha256)"] = str(store["digest"])
        found[f"fingerprint of {store['extractor']}"] = str(store["fingerprint"])
    for key, name in (
        ("features_digest", "rows of train (sha256)"),
        ("train_digest", "keys and labels of train (sha256)"),
        ("fingerprint", "fingerprint of the joined store"),
    ):
        if key in card:
            found[name] = str(card[key])
    return found


def _explained(results: Path, params: Mapping[str, Any], missing: dict[str, str]) -> dict[str, Any]:
    """What `edit`, `explain` and `findings` left; each part may be absent."""
    folder = results / "explanation"
    edited = (params.get("explanation") or {}).get("edited")
    none_edited = "no image was edited" + (": explanation.edited is 0" if edited == 0 else "")
    found: dict[str, Any] = {
        name: filled(folder / f"{name}{ending}", "explain", name, missing, empty)
        for name, ending, empty in (
            ("importance", ".csv", "no importance was measured"),
            ("shap", ".parquet", "no contribution was measured"),
            ("counterfactuals", ".csv", none_edited),
        )
    }
    found["shap_about"] = {} if found["shap"] is None else reading.about(folder / "shap.parquet")
    found["shap_unit"] = found["shap_about"].get("unit", "")
    found["concordance_rows"] = filled(folder / "concordance.csv", "explain", "concordance_rows", missing)
    said = optional(folder / "concordance.json", "explain", "concordance", read_json, missing)
    found["concordance"] = (said or {}).get("extractors") or None
    if said is not None and found["concordance"] is None:
        missing["concordance"] = str(said.get("reason") or "nothing was measured")
    found["findings"] = filled(results / "findings.csv", "findings", "findings", missing)
    found["atlas"] = optional(folder / "map.parquet", "explain", "atlas", read_map, missing)
    found["strips"] = tuple(sorted((folder / "edits").glob("*.jpg")))
    if not found["strips"]:
        missing["strips"] = none_edited
    return found


def read_evidence(
    results: Path, model: Path, dataset: Path, params: Mapping[str, Any], lock: Path | None = None
) -> Evidence:
    """Read everything that the stages left.

    Parameters
    ----------
    results, model : Path
        The folders ``results/`` and ``model/``.
    dataset : Path
        ``dataset.csv``; the data folder (``params["data"]["root"]``) lies beside it.
    params : mapping
        Params as a nested mapping; it is passed on as given.
    lock : Path or None
        ``dvc.lock``, for the data folder's digest; None where there is no DVC.

    Raises
    ------
    MissingData
        A file that a stage always writes is not there; the message names the stage.
    DataError
        A file is not what its stage writes.
    """
    plots, missing = results / "plots", dict[str, str]()
    index = read_dataset(dataset)
    explained = _explained(results, params, missing)
    stores = needed(results / "stores.json", "fuse", lambda path: tuple(read_json(path)["stores"]))
    card = needed(model / "card.json", "train", read_json)
    warnings, said = needed(
        results / "leaderboard.md", "compare", lambda path: reading.paragraphs(reading.text(path))
    )
    evaluated = partial(needed, stage="evaluate")
    compared = partial(needed, stage="compare")
    return Evidence(
        params=params,
        demo=_demo(dataset.parent / str((params.get("data") or {}).get("root", "data"))),
        dataset=index,
        data=needed(results / "data.json", "index", read_json),
        metrics=evaluated(results / "metrics.json", read=read_json),
        card=card,
        stores=stores,
        quarantine=needed(results / "quarantine.csv", "index", table),
        leaderboard=compared(results / "leaderboard.csv", read=table),
        shortcuts=compared(results / "shortcuts.csv", read=table),
        warnings=warnings,
        said=said,
        leakage=needed(results / "leakage.csv", "audit", table),
        predictions=evaluated(results / "predictions.csv", read=table),
        oof=compared(results / "oof.parquet", read=reading.parquet),
        confusion=evaluated(plots / "confusion.csv", read=table),
        roc=evaluated(plots / "roc.csv", read=table),
        pr=evaluated(plots / "pr.csv", read=table),
        calibration=evaluated(plots / "calibration.csv", read=table),
        learning_curve=needed(plots / "learning_curve.csv", "audit", table),
        training=evaluated(plots / "training.csv", read=table),
        loss=needed(plots / "loss.csv", "train", table),
        **explained,
        missing=missing,
        digests=_digests(dataset, card, stores, lock),
    )
