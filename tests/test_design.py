"""The design features against their plain twins, their table, and the promises on threads and fits."""

from __future__ import annotations

import importlib
import math
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from reference_design import reference

from extractors.base import Extractor
from extractors.fitting import PAD_GREY, Box, fit
from extractors.kernels import colour, gradient, tone
from extractors.testing import sample_images
from extractors.zoo import design

Image = np.ndarray[Any, np.dtype[np.uint8]]
ROOT = Path(design.__file__).parents[2]
TABLE = ROOT / "docs" / "design-features.md"


def noise(seed: int, height: int = 256, width: int = 256, top: int = 256) -> Image:
    return np.random.default_rng(seed).integers(0, top, (height, width, 3)).astype(np.uint8)


def ramp(height: int = 256, width: int = 256) -> Image:
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 256, y % 256, (x + y) // 2 % 256], axis=-1).astype(np.uint8)


def drawing(seed: int, height: int = 256, width: int = 256) -> Image:
    """Flat shapes, lines, a soft shadow and a blur: much like a drawn portrait."""
    rng = np.random.default_rng(seed)

    def tint() -> tuple[int, ...]:
        return tuple(int(c) for c in rng.integers(0, 256, 3))

    image = np.full((height, width, 3), tint(), np.uint8)
    middle, side = (width // 2, height // 2), min(height, width)
    cv2.ellipse(image, middle, (side // 3, side * 2 // 5), 0, 0, 360, (250, 224, 196), -1)
    for _ in range(12):
        points = rng.integers(0, side, (int(rng.integers(3, 6)), 2)).astype(np.int32)
        cv2.fillPoly(image, [points], tint())
        a, b = (tuple(int(c) for c in rng.integers(0, side, 2)) for _ in range(2))
        cv2.line(image, a, b, tint(), int(rng.integers(1, 4)), cv2.LINE_AA)
    cv2.circle(image, middle, side // 8, (200, 20, 30), -1)
    shade = np.linspace(1.0, rng.uniform(0.2, 1.0), width)[None, :, None]
    return cv2.GaussianBlur((image * shade).astype(np.uint8), (3, 3), 0.6)


def constant(*rgb: int) -> Image:
    return np.full((256, 256, 3), rgb, np.uint8)


def checkerboard() -> Image:
    y, x = np.mgrid[:256, :256]
    return np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., None], 3, axis=-1)


def disc() -> Image:
    return cv2.circle(constant(0, 0, 0), (128, 128), 80, (255, 255, 255), -1)


PICTURES = {
    "noise": noise(0),
    "dark noise": noise(1, top=40),
    "faint noise": noise(2, top=3),
    "ramp": ramp(),
    "disc": disc(),
    "checkerboard": checkerboard(),
    "black": constant(0, 0, 0),
    "white": constant(255, 255, 255),
    "grey": constant(128, 128, 128),
    "one colour": constant(200, 60, 20),
    "upside down": ramp()[::-1],
    **{f"drawing {seed}": drawing(seed) for seed in range(12)},
}


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return design.build()


def assert_equal_to_twins(values: Any, pixels: Image) -> None:
    expected = reference(pixels)
    assert expected.keys() == set(design.COLUMNS)
    for name, value in zip(design.COLUMNS, values.tolist(), strict=True):
        assert math.isfinite(value), name
        assert value == pytest.approx(expected[name], rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("picture", PICTURES)
def test_kernels_equal_their_plain_twins(extractor: Extractor, picture: str) -> None:
    assert_equal_to_twins(extractor([PICTURES[picture]]).values[0], PICTURES[picture])


@pytest.mark.parametrize(
    ("height", "width"), [(1, 256), (256, 1), (2, 256), (3, 256), (256, 5), (256, 201), (150, 256), (77, 256)]
)
@pytest.mark.parametrize("make", [lambda h, w: noise(h + w, h, w), lambda h, w: drawing(h + w, h, w)])
def test_padding_takes_no_part_in_any_statistic(height: int, width: int, make: Any) -> None:
    picture = make(height, width)
    square, box = fit(picture, size_px=256, how="pad")
    assert np.array_equal(square[box.y0 : box.y1, box.x0 : box.x1], picture)
    assert_equal_to_twins(design.build(fit="pad")([picture]).values[0], picture)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (31, 64), (300, 200), (511, 1025), (7, 2000)])
@pytest.mark.parametrize("how", ["crop", "pad", "squash"])
def test_any_size_gives_a_finite_row_equal_to_the_twins_on_what_was_fitted(how: Any, size: Any) -> None:
    picture = drawing(3, *size) if min(size) > 8 else noise(3, *size)
    square, box = fit(picture, size_px=256, how=how)
    values = design.build(fit=how)([picture]).values[0]
    assert_equal_to_twins(values, square[box.y0 : box.y1, box.x0 : box.x1])


def test_a_box_inside_an_image_is_measured_as_if_it_were_the_image() -> None:
    picture = noise(5)
    rows = np.zeros((2, len(colour.NAMES)))
    grey, flags = np.zeros(260 * 260, np.uint8), np.zeros(256 * 256, np.uint8)
    colour.scan(picture, 9, 200, 31, 120, grey, flags, rows[0])
    colour.scan(np.ascontiguousarray(picture[9:200, 31:120]), 0, 191, 0, 89, grey, flags, rows[1])
    assert np.array_equal(rows[0], rows[1])


def test_hsv_and_grey_equal_opencvs_on_every_colour() -> None:
    g, b = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8), indexing="ij")
    for r in range(256):
        cube = np.stack([np.full_like(g, r), g, b], axis=-1)
        expected = np.dstack([cv2.cvtColor(cube, cv2.COLOR_RGB2HSV), cv2.cvtColor(cube, cv2.COLOR_RGB2GRAY)])
        found = np.stack([colour.convert(line.reshape(-1)).T for line in cube])
        assert np.array_equal(found, expected), f"R = {r}"


def test_orientation_bins_equal_the_arctangents_on_every_gradient() -> None:
    steps = np.arange(-1020, 1021)
    x, y = np.meshgrid(steps[::3], steps)
    expected = np.round(np.arctan2(y, x) / (np.pi / 16)).astype(int) % 16
    found = gradient.orientation_bins(x.ravel().astype(np.int16), y.ravel().astype(np.int16))
    assert np.array_equal(found.reshape(x.shape)[(x != 0) | (y != 0)], expected[(x != 0) | (y != 0)])


def test_rows_are_the_same_bits_for_one_and_for_many_threads(extractor: Extractor) -> None:
    pictures = list(PICTURES.values()) * 3
    alone = extractor(pictures)
    with ThreadPoolExecutor(8) as pool:
        together = np.concatenate([rows.values for rows in pool.map(lambda p: extractor([p]), pictures)])
    assert alone.values.tobytes() == together.tobytes()
    assert alone.values.dtype == np.float32
    assert alone.values.shape == (len(pictures), 63)
    assert not alone.status.any()


def test_images_are_never_changed_and_may_be_read_only(extractor: Extractor) -> None:
    picture = noise(7)
    copy = picture.copy()
    writable = extractor([picture]).values
    assert np.array_equal(picture, copy)
    picture.flags.writeable = False
    assert np.array_equal(extractor([picture]).values, writable)


def test_no_images_give_no_rows(extractor: Extractor) -> None:
    assert extractor([]).values.shape == (0, 63)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_degenerate_values_are_the_documented_ones(extractor: Extractor, level: int) -> None:
    row = dict(
        zip(design.COLUMNS, extractor([constant(level, level, level)]).values[0].tolist(), strict=True)
    )
    assert row["symmetry"] == 1.0
    for name in ("hue_mean", "hue_resultant", "warm_share", "edge_strength", "axis_balance", "coherence"):
        assert row[name] == 0.0
    for name in ("centroid_offset", "radial_spread", "roundness", "angularity", "scar_likelihood"):
        assert row[name] == 0.0
    for name in design.COLUMNS:
        assert row[name] == 0.0 or not name.startswith("palette")


def test_the_palette_sums_to_one(extractor: Extractor) -> None:
    row = dict(zip(design.COLUMNS, extractor([drawing(1)]).values[0].tolist(), strict=True))
    assert sum(row[name] for name in design.COLUMNS if name.startswith("palette_")) == pytest.approx(1.0)


def test_features_say_what_their_names_say(extractor: Extractor) -> None:
    def row(image: Image) -> dict[str, float]:
        return dict(zip(design.COLUMNS, extractor([image]).values[0].tolist(), strict=True))

    assert row(disc())["roundness"] == pytest.approx(1.0, abs=0.05)
    assert row(disc())["symmetry"] == pytest.approx(1.0, abs=0.02)
    assert row(constant(230, 40, 30))["warm_share"] == row(constant(30, 60, 230))["cool_share"] == 1.0
    assert row(constant(30, 60, 230))["palette_blue"] == 1.0
    stripes = constant(255, 255, 255)
    stripes[:, ::16] = 0
    assert row(stripes)["angularity"] == 1.0
    assert row(stripes)["axis_balance"] == 1.0
    assert row(disc())["angularity"] < 0.4


# fits


@pytest.mark.parametrize("how", ["crop", "pad", "squash"])
def test_a_picture_of_the_right_size_is_returned_untouched(how: Any) -> None:
    picture = noise(9)
    square, box = fit(picture, size_px=256, how=how)
    assert square is picture
    assert box == Box(0, 256, 0, 256)


def test_crop_takes_the_middle_pad_keeps_all_and_squash_stretches() -> None:
    picture = np.zeros((128, 256, 3), np.uint8)
    picture[:, 64:192] = 255
    assert (fit(picture, size_px=128, how="crop")[0] == 255).all()
    square, box = fit(picture, size_px=256, how="pad")
    assert box == Box(64, 192, 0, 256)
    assert (square[:64] == PAD_GREY).all()
    assert (square[192:] == PAD_GREY).all()
    assert np.array_equal(square[64:192], picture)
    squashed, box = fit(picture, size_px=128, how="squash")
    assert box == Box(0, 128, 0, 128)
    assert squashed[64, 64, 0] == 255
    assert squashed[64, 5, 0] == 0


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_image_is_refused(picture: Any) -> None:
    with pytest.raises(ValueError, match=r"an image is uint8 \(height, width, 3\)"):
        fit(picture, size_px=256, how="crop")


def test_an_unknown_fit_is_refused_naming_the_known() -> None:
    with pytest.raises(ValueError, match="'stretch' is none of crop, pad, squash"):
        fit(noise(0), size_px=256, how="stretch")  # type: ignore[arg-type]


# the table


def table() -> list[list[str]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_lists_the_columns_and_groups_of_the_code_in_order() -> None:
    assert [(row[0].strip("`"), row[1]) for row in table() if len(row) == 5] == [
        (name, group) for group, names in design.GROUPS.items() for name in names
    ]
    assert {group: len(names) for group, names in design.GROUPS.items()} == {
        "colour": 19,
        "texture": 15,
        "shape": 11,
        "higher": 9,
        "palette": 9,
    }


def test_every_threshold_in_the_table_is_the_codes() -> None:
    named = {row[0].strip("`"): int(row[1]) for row in table() if len(row) == 3}
    code = {
        f"{module.__name__.rpartition('.')[2]}.{name}": value
        for module in (colour, gradient, tone)
        for name, value in vars(module).items()
        if re.fullmatch(r"[A-Z][A-Z_]+", name) and isinstance(value, int)
    }
    assert named == code


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from extractors.zoo import design; assert design.CARD.n_columns == 63;"
        "sys.exit(bool({'numpy', 'numba', 'cv2', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_kernel_module_imports_another() -> None:
    for name in ("colour", "gradient", "tone"):
        module = importlib.import_module(f"extractors.kernels.{name}")
        assert module.__file__ is not None
        assert "extractors" not in re.findall(
            r"^(?:from|import) (\w+)", Path(module.__file__).read_text(), re.M
        )


def test_the_spec_names_the_fit_and_the_columns(extractor: Extractor) -> None:
    assert extractor.spec.name == "design"
    assert extractor.spec.params == {"fit": "crop"}
    assert extractor.spec.columns == design.COLUMNS
    assert extractor.spec.fingerprint != design.build(fit="pad").spec.fingerprint
    assert extractor.thread_safe


#: Rows of two of `sample_images`, six digits: noise and a ramp.
GOLDEN = [
    [126.738, 127.386, 127.279, 73.8478, 74.0902, 73.9134, 3.04227, 0.00628373, 170.986, 60.182, 191.313, 49.7665, 127.178, 49.3566, 161.0, 0.325851, 0.332489, 0.516251, 0.0378418, 215.946, 110.074, 0.858719, 241.23, 137.521, 137.264, 0.000937123, 0.00286303, 0.396018, 180.619, 48434.1, 2338.07, 5.5945, 7.62834, 5.76544, 127.373, 0.347578, 127.375, 127.22, 127.22, 126.897, -0.00307538, 0.00237091, 0.574638, 0.00021085, 0.000151573, 0.110641, 0.000609651, 126.515, 0.114617, 0.417734, 0.792793, 0.0650635, 0.0599213, 0.00154114, 0.127237, 0.120607, 0.128222, 0.124323, 0.127698, 0.122297, 0.128937, 0.12068, 138.79],
    [127.5, 127.5, 127.5, 73.9003, 73.9003, 73.9003, 0.0, 0.0, 0.0, 0.0, 127.5, 73.9003, 127.5, 73.9003, 231.0, 0.0, 0.0, 0.0, 1.0, 7.9375, 0.704339, 0.0, 0.0, 7.9375, 0.0, 1.0, 1.0, 0.0, 0.015625, 0.03125, 1.98125, 0.0679024, 8.0, 0.0659144, 127.5, 0.0, 63.5, 191.5, 63.5, 191.5, -1.0, 0.0, 0.575095, 0.779098, 0.0, 0.25, 0.333333, 127.5, 0.291957, 0.0, 0.0, 0.0, 0.0, 0.0625, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
]  # fmt: skip


def test_values_and_identity_are_pinned() -> None:
    """If this fails on purpose, move ``VERSION`` in zoo/design.py: stored rows must be computed again."""
    extractor = design.build()
    assert design.VERSION == extractor.spec.version == 1
    assert extractor.spec.fingerprint == "304a2984a984847efa680a3a5814e14880c25800b714ecdde2f6debf387cf811"
    images = sample_images()
    assert extractor([images[0], images[3]]).values == pytest.approx(np.array(GOLDEN), rel=2e-5, abs=1e-6)
