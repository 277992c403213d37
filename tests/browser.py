"""A browser for the tests of the report, small runs to report on, and the pictures of it in the documents.

``python tests/browser.py`` takes the two screenshots in ``docs/images`` of ``results/report.html``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # as a script

from classifiers.explanation.atlas import map_of, map_parquet
from classifiers.report.evidence import Evidence, read_evidence
from classifiers.report.html import write_report
from featurestore.dataset import DatasetRow, read_dataset, write_table
from featurestore.metadata import escape_path

#: Harmless words in a browser that runs them would be a call of alert, or a new element.
HOSTILE = {
    "label": "<img src=x onerror=alert(1)>",
    "series": '</script><script>alert("series")</script>',
    "character": "\"'><svg onload=alert(3)>&amp;\u2028\u2029{{ 7 * 7 }}",
    "finding": "<b>bold</b> ${alert(4)} %{x}",
    "edit": "</script><!--",
    "head": "<iframe srcdoc='<script>alert(5)</script>'>",
}

_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--force-color-profile=srgb",
)  # fmt: skip


def chromium() -> Path | None:
    """Where this machine has a Chromium, if anywhere."""
    named = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next(filter(None, map(shutil.which, named)), None)
    return Path(found) if found else None


def needed_chromium() -> Path:
    """The same; without one a test is skipped, and fails where everything must run (``CI=true``)."""
    found = chromium()
    if found is None:
        why = "no Chromium here; on Debian: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return found


@contextlib.contextmanager
def opened() -> Iterator[Any]:
    """A browser of Playwright's that fetches nothing by itself."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needed_chromium(), args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclasses.dataclass(frozen=True)
class Run:
    """What the stages left of a small study, in a folder."""

    folder: Path
    features: pd.DataFrame

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def evidence(self, **params: Any) -> Evidence:
        given = {**PARAMS, **params}
        return read_evidence(self.results, self.folder / "model", self.folder / "dataset.csv", given)

    def map(self, images: int = 2000) -> None:
        """Write the map of the rows as they are now."""
        index = read_dataset(self.folder / "dataset.csv").set_index("key")
        keys = index.index[index["split"].isin(["train", "val"])]
        groups = index.loc[keys]["group"].to_numpy(dtype=str)
        place = map_of(self.features.loc[keys], groups, most=images, seed=42)
        (self.results / "explanation/map.parquet").write_bytes(map_parquet(place))

    def report(self, *, workers: int = 1, images: int = 2000, **params: Any) -> Path:
        if (self.results / "explanation/map.parquet").is_file():
            self.map(images)
        return write_report(
            self.evidence(**params),
            results=self.results,
            root=self.folder / "data",
            features=self.features,
            workers=workers,
        )


PARAMS: Mapping[str, Any] = {
    "seed": 42,
    "features": ["design"],
    "model": "logreg",
    "data": {"root": "data", "max_pixels": 50_000_000},
    "cv": {"folds": 5, "repeats": 2},
    "explanation": {"images": 2000, "edited": 8, "draws": 99},
}


def drawing(seed: int) -> bytes:
    """A small picture that a JPEG packs as well as a drawn one."""
    rng = np.random.default_rng(seed)
    ground, ink = (tuple(int(v) for v in rng.integers(40, 220, 3)) for _ in range(2))
    image = Image.new("RGB", (96, 96), ground)
    pen = ImageDraw.Draw(image)
    pen.ellipse([20, 16, 76, 84], fill=ink, outline="black", width=3)
    for x in rng.integers(25, 70, 3):
        pen.line([int(x), 10, 48, 50], fill="black", width=2)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = list(columns) or list(rows[0])
    pd.DataFrame(list(rows), columns=header).round(6).to_csv(path, index=False, lineterminator="\n")


def _json(path: Path, value: Any) -> None:
    _write(path, json.dumps(value, indent=1, sort_keys=True))


MEASURES = ("accuracy", "balanced_accuracy", "auc", "average_precision", "f1", "mcc", "brier")


def _between(score: float, known: bool) -> tuple[float | None, float | None]:
    return (score - 0.08, score + 0.06) if known else (None, None)


def _block(n: int, groups: int, known: bool) -> dict[str, Any]:
    table = []
    for i, name in enumerate(MEASURES):
        low, high = _between(0.84 - 0.02 * i, known)
        row = {"measure": name, "score": 0.84 - 0.02 * i, "low": low, "high": high, "majority": 0.5}
        table.append(row)
    notes = [] if known else ["fewer than 10 groups: no intervals"]
    return {"n": n, "groups": groups, "notes": notes, "table": table, "auc": 0.8}


def small_run(
    folder: Path,
    *,
    classes: Sequence[str] = ("hero", "villain"),
    positive: str = "villain",
    groups: int = 15,
    each: int = 3,
    columns: Sequence[str] = ("design/angularity", "design/warm_share", "design/shadow_density", "clip"),
    series: str = "series",
    character: str = "character",
    finding: str = "shadow_density",
    edit: str = "shadow",
    head: str = "logreg",
    explained: bool = True,
    demo: bool = True,
    learned: bool = False,
    image_wise: bool = False,
    known: bool = True,
) -> Run:
    """Files as the stages write them, of ``groups * each`` made-up pictures.

    Parameters
    ----------
    known : bool
        Whether there are groups enough for intervals.
    """
    rows = _pictures(folder, classes, groups, each, series, character)
    n = len(rows)
    rng = np.random.default_rng(5)
    code = np.array([classes.index(row.label) for row in rows])
    values = rng.normal(size=(n, len(columns))) + code[:, None] * 0.8
    names = [name if "/" in name else f"{name}/000" for name in columns]
    features = pd.DataFrame(values, index=[row.key for row in rows], columns=names)
    kind = "image-wise split" if image_wise else "split by series"
    open_rows = [row for row in rows if row.split != "test"]
    n_groups = len({row.group for row in open_rows})
    _basics(folder, rows, classes, kind, demo)
    _scores(folder, open_rows, classes, positive, head, kind, known=known, learned=learned, n_groups=n_groups)
    _audit(folder, open_rows, known=known, learned=learned, n_groups=n_groups)
    if explained:
        _explained(folder, open_rows, columns, positive, finding, edit, head, known=known)
    made = Run(folder, features)
    if explained:
        made.map()
    return made


def _pictures(
    folder: Path, classes: Sequence[str], groups: int, each: int, series: str, character: str
) -> list[DatasetRow]:
    rows = []
    for i in range(groups * each):
        group, label = i % groups, classes[(i + i // groups) % len(classes)]
        path = f"images/{label}/p{i:03d}.png"
        file = folder / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(drawing(i))
        rows.append(
            DatasetRow(
                key=f"{i * 7919 % 99991:064x}",
                path=escape_path(path),
                label=label,
                group=f"{series} {group}",
                character=f"{character} {i}",
                series=f"{series} {group}",
                cluster="",
                split=("train", "val", "train", "test", "train")[group % 5],
                width=96,
                height=96,
                format="png",
                bytes_per_pixel=0.1,
                jpeg_quality=None,
            )
        )
    rows.sort(key=lambda row: row.key)
    write_table(folder / "dataset.csv", rows, DatasetRow)
    return rows


def _basics(folder: Path, rows: Sequence[DatasetRow], classes: Sequence[str], kind: str, demo: bool) -> None:
    results = folder / "results"
    if demo:
        _json(folder / "data" / "metadata" / "demo.json", {"what": "the demo cast: drawings, not anime"})
    _json(results / "data.json", {"files": [{"exact_duplicates_left_out": 1}], "split_kind": kind})
    _csv(results / "quarantine.csv", [], ["path", "sha256", "reason", "detail", "stage"])
    store = {"extractor": "design", "columns": 3, "rows": len(rows), "not_ok": 0}
    _json(results / "stores.json", {"stores": [{**store, "digest": "d" * 64, "fingerprint": "f" * 64}]})
    _json(folder / "model" / "card.json", {"head": "logreg", "labels": list(classes), "n_images": 20})


def _scores(
    folder: Path,
    rows: Sequence[DatasetRow],
    classes: Sequence[str],
    positive: str,
    head: str,
    kind: str,
    *,
    known: bool,
    learned: bool,
    n_groups: int,
) -> None:
    results = folder / "results"
    cv = {"reason": "an extractor learned from train"} if learned else _block(len(rows), n_groups, known)
    coverage = [{"extractor": "design", "class": name, "ok": 0.95, "n": 10} for name in classes]
    metrics = {"head": head, "positive": positive, "split": kind, "cv": cv, "coverage": coverage}
    _json(results / "metrics.json", {**metrics, "val": _block(9, 3, known)})
    part, said = ("val" if learned else "cv"), []
    for repeat in range(1 if learned else 2):
        for i, row in enumerate(rows):
            rest = 0.06 + 0.9 * ((i * 37 + repeat) % 50) / 50
            proba = {f"p_{name}": rest / (len(classes) - 1) for name in classes}
            proba[f"p_{row.label}"] = 1 - rest
            fold = None if learned else repeat * 5 + i % 5
            at = {"key": row.key, "path": row.path, "group": row.group, "split": part, "repeat": repeat}
            predicted = max(classes, key=lambda name: proba[f"p_{name}"])
            said.append({**at, "fold": fold, "label": row.label, "predicted": predicted, **proba})
    _csv(results / "predictions.csv", said)
    pd.DataFrame([{"head": head, **row} for row in said]).to_parquet(results / "oof.parquet")
    _board(results, len(rows), n_groups, head, kind, known=known, part=part)
    plots = results / "plots"
    _csv(plots / "confusion.csv", [{"actual": r["label"], "predicted": r["predicted"]} for r in said])
    steps = np.linspace(0, 1, 30)
    _csv(plots / "roc.csv", [{"fpr": x, "tpr": x**0.4} for x in steps])
    _csv(plots / "pr.csv", [{"recall": x, "precision": 1 - x / 2} for x in steps])
    bins = [0.1, 0.35, 0.65, 0.9]
    low, high = ("low", "high")
    calibration = [
        {"mean_predicted": x, "share_positive": x, low: x - 0.1 if known else None,
         high: x + 0.1 if known else None, "n": 9}
        for x in bins
    ]  # fmt: skip
    _csv(plots / "calibration.csv", calibration)
    training = ["extractor", "epoch", "phase", "loss", "holdout_loss", "holdout_accuracy"]
    epochs = [
        {"extractor": "resnet18", "epoch": e, "phase": "probe", "loss": 1 / e, "holdout_loss": 1.1 / e,
         "holdout_accuracy": 0.5}
        for e in range(1, 5)
    ]  # fmt: skip
    _csv(plots / "training.csv", epochs if learned else [], training)
    _csv(plots / "loss.csv", [], ["epoch", "loss", "validation_score"])


def _board(results: Path, n: int, n_groups: int, head: str, kind: str, *, known: bool, part: str) -> None:
    entries = [
        ("mlp", "head", 0.87),
        (head, "head", 0.84),
        ("ring", "shortcut", 0.82),
        ("dummy", "baseline", 0.5),
    ]
    table, rank = [], 0
    for name, what, auc in entries:
        rank += what == "head"
        verdict = "" if not known else "best" if rank == 1 and what == "head" else "cannot tell"
        row = {
            "head": name, "kind": what, "scored_on": part, "rank": rank if what == "head" else None,
            "against_best": verdict if what != "baseline" else "worse", "p": 0.4 if known else None,
            "split": kind, "n": n, "groups": n_groups,
        }  # fmt: skip
        for end in ("", "_low", "_high"):
            row[f"auc_corrected{end}"] = 0.86 if known and rank == 1 and what == "head" else None
        for name_of in MEASURES:
            low, high = _between(auc, known)
            row |= {name_of: auc, f"{name_of}_low": low, f"{name_of}_high": high}
        table.append(row)
    _csv(results / "leaderboard.csv", table)
    loud = f"**SHORTCUT: ring has an auc of 0.820, within the interval of mlp, {head}: it may be that.**\n\n"
    said = "Heads by auc, then name.\n\n| head |\n|:---|\n| mlp |\n\nmlp ranks first.\n"
    _write(results / "leaderboard.md", (loud if known else "") + said)
    shortcut = {"shortcut": "ring", "columns": 18, "auc": 0.82}
    low, high = _between(0.82, known)
    shortcut |= {"auc_low": low, "auc_high": high, "image_wise_auc": 0.9, "leading_column": "top_green"}
    shortcut |= {
        "leading_column_auc": 0.2,
        "within_interval_of": f"mlp {head}" if known else "",
        "reason": "",
    }
    query = dict.fromkeys(shortcut) | {"shortcut": "query", "columns": 0, "reason": "no query is recorded"}
    _csv(results / "shortcuts.csv", [shortcut, query])


def _audit(folder: Path, rows: Sequence[DatasetRow], *, known: bool, learned: bool, n_groups: int) -> None:
    measures = [
        f"{m}{end}" for m in ("auc", "accuracy", "flattery", "permuted") for end in ("", "_low", "_high")
    ]
    columns = ["part", "what", "groups", "n", *measures, "design_left", "share", "note"]
    low, high = _between(0.84, known)
    scored = {"auc": 0.84, "auc_low": low, "auc_high": high, "accuracy": 0.8}
    ladder = [
        {"part": "ladder", "what": "image-wise", "groups": len(rows), "n": len(rows), **scored, "flattery": 0.02},
        {"part": "ladder", "what": "character-wise", "note": "not estimable: same as image-wise"},
        {"part": "ladder", "what": "series-wise", "groups": n_groups, "n": len(rows), **scored},
        {"part": "identity", "what": "mixed", "groups": 3, "n": 9, "note": "not estimable: too few groups"},
        {"part": "identity", "what": "both", "groups": n_groups, "n": len(rows), **scored, "permuted": 0.6,
         "permuted_low": 0.5, "permuted_high": 0.7, "design_left": 0.55, "share": 0.3},
    ]  # fmt: skip
    none = [{"part": "none", "note": "an extractor learned from train"}]
    _csv(folder / "results" / "leakage.csv", none if learned else ladder, columns)
    ends = [f"{name}{end}" for name in ("auc", "accuracy", "gain_auc") for end in ("", "_low", "_high")]
    curve_columns = ["share", "images", "groups", "n", *ends, "note"]
    curve = []
    for share in (0.25, 0.5, 1.0):
        row = {"share": share, "images": 30 * share, "groups": 10 * share, "n": len(rows)}
        for name in ("auc", "accuracy"):
            low, high = _between(0.7 + 0.1 * share, known)
            row |= {name: 0.7 + 0.1 * share, f"{name}_low": low, f"{name}_high": high}
        curve.append(row | {"gain_auc": 0.05, "gain_auc_low": 0.01, "gain_auc_high": 0.09})
    learned_curve = [{"note": "an extractor learned from train"}]
    _csv(folder / "results/plots/learning_curve.csv", learned_curve if learned else curve, curve_columns)


def _explained(
    folder: Path,
    rows: Sequence[DatasetRow],
    columns: Sequence[str],
    positive: str,
    finding: str,
    edit: str,
    head: str,
    *,
    known: bool,
) -> None:
    out = folder / "results" / "explanation"
    _importance(out, columns, head)
    rng = np.random.default_rng(1)
    shap = pd.DataFrame(rng.normal(size=(len(rows), len(columns))), columns=list(columns), dtype="float32")
    shap.insert(0, "key", [row.key for row in rows])
    _unit(shap.assign(base=0.0, margin=0.1), out / "shap.parquet")
    _edited(out, edit, head, known=known)
    low, high = _between(0.6, known)
    found = {"r2": 0.6, "low": low, "high": high, "images": len(rows), "groups": 12}
    paths = [row.path for row in rows]
    _json(
        out / "concordance.json", {"extractors": {"clip": {**found, "unexplained": paths[:3]}}, "reason": ""}
    )
    concordance = [
        {"key": row.key, "path": row.path, "label": row.label, "extractor": "clip", "margin": i / 9,
         "explained": i / 10, "residual": 0.1}
        for i, row in enumerate(rows)
    ]  # fmt: skip
    _csv(out / "concordance.csv", concordance)
    findings = []
    for cast in ("all", "without antiheroes"):
        for family in ("hypotheses", "annotations"):
            for i, name in enumerate((finding, "angularity")):
                low, high = _between(0.5 - i / 2, known)
                row = {
                    "family": family,
                    "finding": name,
                    "cast": cast,
                    "what": "difference, sd",
                    "effect": 0.5 - i / 2,
                }
                row |= {"low": low, "high": high, "p": 0.01, "p_holm": 0.02 + i, "images": 30, "groups": 12}
                row |= {
                    "verdict": ("supported", "cannot tell")[i],
                    "sentence": f"{name} differs for {positive}.",
                }
                findings.append(row)
        nothing = dict.fromkeys(findings[0]) | {"family": "study", "finding": "face training", "cast": cast}
        findings.append({**nothing, "what": "AUC", "verdict": "not testable", "sentence": "no face network"})
    _csv(folder / "results" / "findings.csv", findings)


def _unit(table: pd.DataFrame, path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    found = pyarrow.Table.from_pandas(table, preserve_index=False)
    more = {b"unit": b"log-odds", b"note": b"p: 40 exchanges of labels"}
    pyarrow.parquet.write_table(
        found.replace_schema_metadata({**(found.schema.metadata or {}), **more}), path
    )


def _importance(out: Path, columns: Sequence[str], head: str) -> None:
    rows = []
    for method in ("coefficient", "forest", "permutation", "shap"):
        for level, names in (("column", columns), ("hypothesis", ("warm_palette", "aura"))):
            for i, name in enumerate(names):
                rows.append(
                    {"level": "block" if name == "clip" else level, "name": name, "group": "shape", "method": method,
                     "head": head, "mean": 0.5 / (i + 1), "sd": 0.05, "rank": i + 1, "top_ten": 1.0,
                     "null_mean": 0.1, "null_high": 0.2, "p": 0.02, "direction": 1, "members": name}
                )  # fmt: skip
    _csv(out / "importance.csv", rows)


def _edited(out: Path, edit: str, head: str, *, known: bool) -> None:
    rows = []
    for name in (head, "mlp"):
        for kind in ("edit", "sham"):
            for dose in (-1.0, -0.5, 0.5, 1.0):
                change = dose * (0.2 if kind == "edit" else 0.01)
                low, high = _between(change, known)
                rows.append(
                    {"edit": edit, "kind": kind, "head": name, "dose": dose, "dial": "design/shadow_density",
                     "dial_sd": dose, "images": 8, "groups": 6, "before": 0.5, "change": change, "low": low,
                     "high": high, "rms": 9.0, "within": int(dose < 1), "slope": 0.2, "slope_low": 0.1,
                     "slope_high": 0.3, "beyond": 0.19, "beyond_low": 0.1, "beyond_high": 0.3, "verdict": "rises"}
                )  # fmt: skip
    _csv(out / "counterfactuals.csv", rows)
    (out / "edits").mkdir(parents=True, exist_ok=True)
    strip = Image.open(io.BytesIO(drawing(3))).convert("RGB").resize((300, 120))
    strip.save(out / "edits" / "shadow.jpg")


def screenshots(report: Path, folder: Path) -> list[Path]:
    """The first screen of a report: on a desktop in the light, on a phone in the dark."""
    made = []
    with opened() as browser:
        for name, scheme, width, height in (
            ("report-desktop", "light", 1280, 880),
            ("report-phone", "dark", 390, 844),
        ):
            scale = 1 if width > 1000 else 2
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                device_scale_factor=scale,
                reduced_motion="reduce",
            )
            page.goto(report.resolve().as_uri())
            if width > 1000:
                page.evaluate("document.getElementById('map').scrollIntoView()")
                page.wait_for_selector("#fig-map [data-drawn]")
                page.click("#fig-map button[value=pictures]")
                page.wait_for_selector("#fig-map canvas.overlay")
                page.evaluate("document.getElementById('map').scrollIntoView()")
                page.wait_for_timeout(600)
            data = page.screenshot()
            image = Image.open(io.BytesIO(data)).convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
            made.append(folder / f"{name}.png")
            image.save(made[-1], optimize=True)
            page.close()
    return made


if __name__ == "__main__":
    for path in screenshots(Path("results/report.html"), Path("docs/images")):
        sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")
