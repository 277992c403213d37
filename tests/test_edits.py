"""Edits of pixels do what their names say; shams change as much and mean nothing; the stage repeats."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from extractors.conventions import HYPOTHESES
from extractors.edited import NONE, Shown, plan, read_edits, write_edits
from extractors.editing import Source, edit, pick, working
from extractors.edits import DOSES, EDITS, rms, sham, sham_rng
from extractors.keeping import Loader
from extractors.zoo import design, ring
from featurestore.cache import RowCache
from featurestore.dataset import DatasetRow, read_dataset, write_table
from featurestore.elsewhere import Reader
from featurestore.errors import DataError, MissingData
from featurestore.files import sha256_of
from featurestore.params import RuntimeParams
from tests.conftest import picture

MIDDLE = {"value": (70, 190)}


@functools.cache
def drawing(seed: int) -> npt.NDArray[np.uint8]:
    """Coloured shapes with lines, shadow and light around them; no level is near 0 or 255."""
    rng = np.random.default_rng(seed)
    image = np.asarray(Image.fromarray(picture(seed, (96, 96))).resize((256, 256)), np.float64)
    image[rng.random(image.shape[:2]) < 0.02] = 0
    image = 45 + image / 255 * 165
    y, x = np.mgrid[:256, :256]
    image[np.abs(x - y) < 3] *= 0.6
    found: npt.NDArray[np.uint8] = image.astype(np.uint8)
    found.flags.writeable = False
    return found


def columns(images: list[npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[np.float32]]:
    extractor = design.build()
    rows = extractor(images).values
    return {name: rows[:, i] for i, name in enumerate(extractor.spec.columns)}


# --- pixels


@pytest.mark.parametrize("name", EDITS)
def test_strength_zero_changes_nothing_and_no_strength_changes_the_original(name: str) -> None:
    image = drawing(1)
    before = image.copy()
    assert np.array_equal(EDITS[name].apply(image, 0.0), image)
    for dose in DOSES:
        edited = EDITS[name].apply(image, dose)
        assert edited.dtype == np.uint8
        assert edited.shape == image.shape
        assert rms(edited, image) > 0.5
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", EDITS)
def test_a_dial_moves_one_way_with_the_strength(name: str) -> None:
    images = [drawing(seed) for seed in range(6)]
    steps = [-1.0, -0.5, 0.0, 0.5, 1.0]
    dial = EDITS[name].dial
    means = [columns([EDITS[name].apply(image, dose) for image in images])[dial].mean() for dose in steps]
    way = -1 if name == "aura" else 1  # a dark ring lowers the mean grey of the ring
    assert (np.diff(means) * way > 0).all(), means


@pytest.mark.parametrize("name", EDITS)
def test_a_positive_strength_raises_the_column_that_the_conventions_speak_of(name: str) -> None:
    edit = EDITS[name]
    spoken = {column: sign for one in HYPOTHESES.values() for column, sign in one.items()}
    assert edit.dial in design.COLUMNS
    if not edit.raised:
        assert edit.speaks == 0
        assert edit.dial not in spoken
        return
    assert edit.speaks == spoken[edit.raised]
    images = [(drawing(seed) * 0.6).astype(np.uint8) for seed in range(6)]
    less, more = (columns([edit.apply(i, dose) for i in images])[edit.raised].mean() for dose in (-1.0, 1.0))
    assert more > less


@pytest.mark.parametrize("name", ["warmth", "saturation"])
def test_an_edit_of_colour_keeps_every_pixels_grey(name: str) -> None:
    image = drawing(2)
    weights = np.array([0.299, 0.587, 0.114])
    for dose in DOSES:
        grey = EDITS[name].apply(image, dose) @ weights
        assert np.abs(grey - image @ weights).max() < 1.0


def test_warmth_keeps_chroma_and_saturation_keeps_hue() -> None:
    image = drawing(2)

    def plane(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.complex128]:
        grey = pixels @ np.array([0.299, 0.587, 0.114])
        return 0.492 * (pixels[..., 2] - grey) + 0.877j * (pixels[..., 0] - grey)

    before = plane(image)
    inside = np.abs(before) > 12
    warm, vivid = plane(EDITS["warmth"].apply(image, 0.5)), plane(EDITS["saturation"].apply(image, -1.0))
    assert np.median(np.abs(np.abs(warm) - np.abs(before))[inside]) < 1.0
    turned = np.angle(vivid[inside] / before[inside])
    assert np.quantile(np.abs(turned), 0.95) < np.radians(6)
    assert np.median(np.abs(vivid[inside]) / np.abs(before[inside])) == pytest.approx(1 / 1.6, abs=0.03)


def test_grey_pictures_have_no_warmth_and_no_saturation_to_edit() -> None:
    grey = np.repeat(drawing(3)[..., :1], 3, axis=2)
    for name in ("warmth", "saturation"):
        assert rms(EDITS[name].apply(grey, 1.0), grey) < 0.6


def test_the_ring_leaves_the_figure_and_the_corners_alone() -> None:
    image = drawing(4)
    changed = (EDITS["aura"].apply(image, 1.0) != image).any(axis=2)
    y, x = np.mgrid[:256, :256]
    r = np.hypot(2 * x + 1 - 256, 2 * y + 1 - 256) / 256
    assert changed[(r > 0.72) & (r < 0.93)].mean() > 0.95
    assert not changed[(r < 0.58) | (r > 1.07)].any()


def test_what_is_no_image_or_no_strength_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        EDITS["contrast"].apply(drawing(1).astype(np.float32), 0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="between -1 and 1"):
        EDITS["contrast"].apply(drawing(1), 1.5)


# --- shams


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("dose", DOSES)
def test_a_sham_changes_as_much_as_its_edit(name: str, dose: float) -> None:
    for seed in range(3):
        image = picture(seed, (256, 256))  # all levels: much is clipped
        edited = EDITS[name].apply(image, dose)
        wanted = rms(edited, image)
        assert rms(sham(image, edited, rng(seed)), image) == pytest.approx(wanted, rel=0.04, abs=0.3)


def test_a_sham_has_the_edits_spectrum_and_colour_and_not_its_place() -> None:
    image = drawing(5)
    edited = EDITS["shadow"].apply(image, 1.0)
    change = edited.astype(float) - image
    fake = sham(image, edited, rng(7)).astype(float) - image
    bands = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    for low, high in ((0.005, 0.02), (0.02, 0.08), (0.08, 0.3)):
        band = (bands >= low) & (bands < high)
        power = [np.square(np.abs(np.fft.fft2(one, axes=(0, 1))))[band].sum() for one in (change, fake)]
        assert power[1] == pytest.approx(power[0], rel=0.1)
    assert abs(fake.mean()) == pytest.approx(abs(change.mean()), rel=0.05)
    of_channels = [np.sqrt(np.square(one - one.mean((0, 1))).mean((0, 1))) for one in (change, fake)]
    assert of_channels[1] == pytest.approx(of_channels[0], rel=0.05)
    flat = [(one - one.mean()).ravel() for one in (change, fake)]
    assert abs(np.corrcoef(*flat)[0, 1]) < 0.2


def test_the_sign_of_a_shams_mean_change_is_drawn() -> None:
    image = drawing(6)
    edited = EDITS["shadow"].apply(image, 1.0)
    signs = [
        np.sign(sham(image, edited, rng(seed)).astype(float).mean() - image.mean()) for seed in range(20)
    ]
    assert {-1.0, 1.0} <= set(signs)


def test_a_sham_is_that_of_its_picture_edit_strength_and_seed() -> None:
    def first(*key: Any) -> float:
        return float(sham_rng(*key).random())

    base = (42, "a" * 64, "warmth", 0.5)
    assert first(*base) == first(*base)
    others = [(43, *base[1:]), (42, "b" * 64, *base[2:]), (*base[:2], "aura", 0.5), (*base[:3], -0.5)]
    assert len({first(*base), *(first(*one) for one in others)}) == 5


def test_where_an_edit_changes_nothing_so_does_its_sham() -> None:
    black = np.zeros((32, 32, 3), np.uint8)
    assert np.array_equal(sham(black, EDITS["shadow"].apply(black, 1.0), rng()), black)


# --- the stage


def index(data: Path, *, test: int = 2) -> Path:
    """dataset.csv of the fixture's pictures, the last groups in test."""
    rows = []
    for file in sorted((data / "images").rglob("*.png")):
        series = int(file.parent.name.removeprefix("series"))
        split = "test" if series >= 12 - test else "val" if series % 4 == 0 else "train"
        key, path, label = sha256_of(file), file.relative_to(data).as_posix(), file.parent.parent.name
        rows.append(
            DatasetRow(
                key, path, label, file.parent.name, "", file.parent.name, "", split, 40, 40, "png", 1.0, None
            )
        )
    write_table(data.parent / "dataset.csv", sorted(rows, key=lambda row: row.key), DatasetRow)
    return data.parent / "dataset.csv"


def run(data: Path, out: Path, **changed: Any) -> str:
    """The stage `edit` with three pictures and two threads."""
    options: dict[str, Any] = {
        "n_images": 3, "imported": (), "fit": "crop", "seed": 42, "out": out / "edits.parquet",
        "strips": out / "edits",
    } | {k: v for k, v in changed.items() if k not in ("extractors", "workers")}  # fmt: skip
    runtime = RuntimeParams(workers=changed.get("workers", 2))
    source = Source(data.parent / "dataset.csv", data, 10**8, RowCache(out / "rows"), runtime)
    return edit(changed.get("extractors", {"design": design.build}), design.build, source, **options)


def test_pictures_are_spread_over_classes_and_groups_and_none_is_of_test(data: Path) -> None:
    with index(data).open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    of = {row["key"]: row for row in table}
    chosen = pick(table, 10, 42)
    assert [of[key]["label"] for key in chosen] == ["hero", "villain"] * 5
    for label in ("hero", "villain"):
        assert len({of[key]["group"] for key in chosen if of[key]["label"] == label}) == 5
    assert all(of[key]["split"] != "test" for key in pick(table, 1000, 42))
    assert len(pick(table, 1000, 42)) == 20
    assert pick(table[::-1], 10, 42) == chosen != pick(table, 10, 43)


def test_a_group_gives_a_second_picture_when_all_have_given_one() -> None:
    table = [{"key": f"{i:02d}", "label": "hero", "group": "ab"[i > 8], "split": "train"} for i in range(10)]
    groups = [table[int(key)]["group"] for key in pick(table, 4, 0)]
    assert sorted(groups[:2]) == ["a", "b"]
    assert groups[2:] == ["a", "a"]


@pytest.mark.parametrize("how", ["crop", "pad", "squash"])
def test_design_sees_the_edited_version_as_it_sees_the_picture(how: Any) -> None:
    image = picture(1, (300, 180))
    extractor = design.build(fit=how)
    assert np.array_equal(extractor([working(image, how)]).values, extractor([image]).values)


def test_the_table_has_every_row_and_the_same_bytes_with_any_number_of_workers(
    data: Path, tmp_path: Path
) -> None:
    index(data)
    said = run(data, tmp_path / "one", workers=1)
    assert "3 of 20 pictures" in said
    run(data, tmp_path / "two", workers=2)
    one, two = ((tmp_path / name / "edits.parquet").read_bytes() for name in ("one", "two"))
    assert one == two
    table = read_edits(tmp_path / "one" / "edits.parquet")
    assert len(table) == 3 * (1 + len(EDITS) * len(DOSES) * 2) == len(plan(table["key"].unique().tolist()))
    assert table["key"].is_monotonic_increasing
    assert table.attrs["reason"] == ""
    assert list(table.columns[5:]) == [f"design/{name}" for name in design.COLUMNS]
    assert (table.loc[table["kind"] == NONE, ["dose", "rms"]] == 0).all(axis=None)
    pairs = table[table["kind"] != NONE].pivot_table(
        index=["key", "edit", "dose"], columns="kind", values="rms"
    )
    assert np.allclose(pairs["edit"], pairs["sham"], rtol=0.04, atol=0.3)


def test_the_unedited_rows_are_those_of_the_store_and_the_range_that_of_train_and_val(
    data: Path, tmp_path: Path
) -> None:
    table = read_dataset(index(data))
    run(data, tmp_path)
    edits = read_edits(tmp_path / "edits.parquet")
    rows = {
        key: design.build()([Loader(Reader(data), 10**8)((key, data / path))]).values[0]
        for key, path, split in zip(table["key"], table["path"], table["split"], strict=True)
        if split != "test"
    }
    plain = edits[edits["kind"] == NONE]
    for key, row in zip(plain["key"], plain.to_numpy()[:, 5:].astype(np.float32), strict=True):
        assert np.array_equal(row, rows[key])
    grey = np.array([row[design.COLUMNS.index("grey_std")] for row in rows.values()], np.float64)
    low, high = np.percentile(grey, (2.5, 97.5))
    said = edits.attrs["dials"]["grey_std"]
    assert said == pytest.approx({"low": low, "high": high, "sd": grey.std()})


def test_dials_are_measured_where_design_is_not_selected(data: Path, tmp_path: Path) -> None:
    index(data)
    run(data, tmp_path, extractors={"ring": ring.build})
    table = read_edits(tmp_path / "edits.parquet")
    dials = [name for name in table.columns if name.startswith("dial/")]
    assert sorted(dials) == sorted(f"dial/{one.dial}" for one in EDITS.values())
    assert any(name.startswith("ring/") for name in table.columns)
    assert not any(name.startswith("design/") for name in table.columns)


def test_strips_show_each_edit_and_none_of_an_earlier_run(data: Path, tmp_path: Path) -> None:
    index(data)
    strips = tmp_path / "edits"
    strips.mkdir()
    (strips / "gone.jpg").write_bytes(b"stale")
    run(data, tmp_path)
    assert sorted(file.stem for file in strips.iterdir()) == sorted(EDITS)
    with Image.open(strips / "aura.jpg") as strip:
        assert strip.width > 5 * 128
        assert strip.height > 6 * 128


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"n_images": 0}, "explanation.edited is 0"),
        ({"imported": ("foreign",)}, "rows of foreign were imported"),
    ],
)
def test_a_table_without_rows_says_why(
    data: Path, tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    index(data)
    assert reason in run(data, tmp_path, **changed)
    table = read_edits(tmp_path / "edits.parquet")
    assert len(table) == 0
    assert reason in table.attrs["reason"]
    assert list((tmp_path / "edits").iterdir()) == []


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "edits.parquet"
    with pytest.raises(MissingData, match="dvc repro edit"):
        read_edits(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="not what edit writes"):
        read_edits(path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shown = [Shown("a"), Shown("a", "aura", "edit", 0.5)]
    dials = {"aura_mean": {"low": 1.0, "high": 2.0, "sd": 0.5}}
    column = np.array([1.5, np.nan], np.float32)
    write_edits(tmp_path / "e.parquet", shown, dict.fromkeys(shown, 0.0), {"x/y": column}, dials=dials)
    table = read_edits(tmp_path / "e.parquet")
    assert table["dose"].tolist() == [0.0, 0.5]
    assert table["edit"].tolist() == ["none", "aura"]
    assert np.array_equal(table["x/y"].to_numpy(), column, equal_nan=True)
    assert table.attrs == {"reason": "", "dials": dials}


def test_the_command_edits_what_params_say(command: Callable[..., Any], workspace: Path) -> None:
    index(workspace / "data")
    text = (workspace / "params.yaml").read_text()
    (workspace / "params.yaml").write_text(text.replace("edited: 40", "edited: 2"))
    # design needs no weights, yet what it stands on must have been prepared
    missing = command("extractors", "edit")
    assert missing.returncode == 4
    assert "prepare" in missing.stderr
    assert command("extractors", "prepare", "design").returncode == 0
    done = command("extractors", "edit")
    assert done.returncode == 0, done.stderr
    assert "2 of 20 pictures" in done.stdout
    assert "98 rows by each of design" in done.stderr
    assert len(read_edits(workspace / "edits.parquet")) == 2 * 49
    assert len(list((workspace / "results/explanation/edits").glob("*.jpg"))) == len(EDITS)
