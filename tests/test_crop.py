"""A crop shows the face that was meant, says what cut it, and a detector that loses one class is found out."""

from __future__ import annotations

import csv
import errno
import fcntl
import importlib.metadata
import io
import json
import logging
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from collection.crop import CropParams, Cut, cut, folders, rates
from collection.crop.bias import LEVEL, Bias, Outcome, bias_of
from collection.crop.cutting import png_of
from collection.crop.detection import SIZES_PX, distinct, faces_in, overlap
from collection.crop.files import Cropped, Source, bias_of_crops, crop_files
from collection.crop.folders import CROPS, JOURNAL, crop_folder, sources_in
from collection.crop.journal import command_of
from collection.crop.rates import wilson
from collection.crop.record import CUTS, cuts_in
from collection.crop.squares import FRAMES, Frame, Square, around, at_top, chosen
from collection.demo.cast import draw_cast
from collection.demo.figure import figure
from collection.layout import layout_of
from collection.provenance import Source as Origin
from collection.provenance import read_sources, write_sources
from extractors import faces
from extractors.faces import FaceBox
from extractors.fitting import PAD_GREY
from featurestore.errors import (
    DataError,
    MetadataError,
    MissingData,
    MissingExtra,
    ParamsError,
    UsageError,
)
from featurestore.files import TEMPORARY_PREFIX, sha256_of
from featurestore.metadata import escape_path

ROOT = Path(__file__).parents[1]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image.setflags(write=False)
    return image


def sees(*found: FaceBox) -> Callable[..., list[FaceBox]]:
    """A detector that finds these, whatever the picture."""
    return lambda image, method: list(found)


def of(made: Cut | None) -> Cut:
    assert made is not None
    return made


# --- squares


def test_a_square_is_wider_than_the_face_by_the_margin_and_lifted_by_the_rise() -> None:
    square = around(FaceBox(40, 60, 20, 10, 1.0), width=200, height=200, frame=Frame(margin=1.0, rise=0.25))
    assert square == Square(x=30, y=40, side=40)


@pytest.mark.parametrize(
    ("face", "expected"),
    [
        (FaceBox(0, 60, 20, 20, 1.0), Square(0, 45, 40)),  # over the left edge: shifted
        (FaceBox(80, 175, 20, 20, 1.0), Square(60, 160, 40)),  # over the lower right corner
        (FaceBox(20, 100, 60, 60, 1.0), Square(0, 65, 100)),  # too wide: shrunk to the picture's width
    ],
)
def test_a_square_that_does_not_fit_is_shifted_then_shrunk(face: FaceBox, expected: Square) -> None:
    assert around(face, width=100, height=200, frame=Frame(margin=1.0, rise=0.25)) == expected


def test_every_face_is_wholly_in_its_square_and_the_square_in_the_picture_where_it_can_be() -> None:
    rng = np.random.default_rng(1)
    for _ in range(3000):
        width, height = (int(side) for side in rng.integers(20, 400, 2))
        box_width, box_height = (float(rng.uniform(2, side)) for side in (width, height))
        x, y = float(rng.uniform(0, width - box_width)), float(rng.uniform(0, height - box_height))
        face = FaceBox(x, y, box_width, box_height, 1.0)
        frame = Frame(float(rng.uniform(0, 3)), float(rng.uniform(0, 0.4)))
        square = around(face, width=width, height=height, frame=frame)
        assert square.x - 1 <= x
        assert square.y - 1 <= y
        assert x + box_width <= square.x + square.side + 1
        assert y + box_height <= square.y + square.side + 1
        if max(box_width, box_height) <= min(width, height):
            assert 0 <= square.x <= square.x + square.side <= width
            assert 0 <= square.y <= square.y + square.side <= height


def test_without_a_face_the_largest_square_at_the_top_is_taken() -> None:
    assert at_top(width=100, height=300) == Square(0, 0, 100)
    assert at_top(width=300, height=100) == Square(100, 0, 100)


def test_of_several_faces_the_largest_or_the_most_central_is_meant() -> None:
    large, central = FaceBox(0, 0, 30, 30, 0.6), FaceBox(90, 90, 20, 20, 0.9)
    assert chosen([central, large], "largest", width=200, height=200) is large
    assert chosen([large, central], "central", width=200, height=200) is central
    likelier = FaceBox(150, 0, 30, 30, 0.8)
    for order in ([large, likelier], [likelier, large]):
        assert chosen(order, "largest", width=200, height=200) is likelier


# --- one picture


def test_the_pixels_are_those_of_the_square() -> None:
    image = noise(120, 100)
    made = of(cut(image, CropParams(margin=1.0, size_px=40), find=sees(FaceBox(40, 60, 20, 20, 1.0))))
    assert made.method == "anime"
    assert (made.n_faces, made.padded, made.face) == (1, False, FaceBox(40, 60, 20, 20, 1.0))
    box = made.box
    assert (box.width, box.height) == (40, 40)
    assert np.array_equal(made.pixels, image[box.y : box.y + 40, box.x : box.x + 40])


def test_every_method_cuts_256_by_256_from_any_picture() -> None:
    for height, width in ((16, 16), (700, 90), (40, 1200), (256, 256)):
        for params, find in ((CropParams(), sees(FaceBox(2, 3, 9, 9, 1.0))), (CropParams(), sees())):
            made = of(cut(noise(height, width), params, find=find))
            assert made.pixels.shape == (256, 256, 3)
            assert made.pixels.dtype == np.uint8
            assert not made.padded


def test_what_really_cut_a_picture_is_recorded() -> None:
    image = noise(90, 60)
    fallen = of(cut(image, CropParams(method="mtcnn", size_px=60), find=sees()))
    assert (fallen.method, fallen.n_faces, fallen.face) == ("center-top", 0, None)
    assert fallen.box == Square(0, 0, 60)
    assert np.array_equal(fallen.pixels, image[:60])
    assert cut(image, CropParams(fallback="reject"), find=sees()) is None
    two = of(cut(image, CropParams(), find=sees(FaceBox(0, 0, 9, 9, 1.0), FaceBox(30, 30, 20, 20, 1.0))))
    assert (two.method, two.n_faces) == ("anime", 2)


def test_center_top_asks_no_detector() -> None:
    def fails(image: np.ndarray, method: str) -> list[FaceBox]:
        raise AssertionError("asked")

    made = of(cut(noise(80, 60), CropParams(method="center-top"), find=fails))
    assert (made.method, made.n_faces) == ("center-top", None)


def test_the_choice_decides_which_face_is_cut() -> None:
    image, large, central = noise(200, 200), FaceBox(0, 0, 40, 40, 1.0), FaceBox(90, 90, 20, 20, 1.0)
    for choice, meant in (("largest", large), ("central", central)):
        assert of(cut(image, CropParams(choice=choice), find=sees(large, central))).face is meant


def test_pixels_are_made_up_only_where_the_face_is_longer_than_the_picture_is_wide() -> None:
    image = noise(200, 60)
    fits = of(cut(image, CropParams(), find=sees(FaceBox(0, 20, 60, 60, 1.0))))
    assert not fits.padded
    assert fits.box.side == 60
    long = of(cut(image, CropParams(size_px=100), find=sees(FaceBox(5, 20, 50, 100, 1.0))))
    assert long.padded
    assert long.box == Square(-20, 20, 100)
    assert (long.pixels[:, :20] == PAD_GREY).all()
    assert (long.pixels[:, 80:] == PAD_GREY).all()
    assert np.array_equal(long.pixels[:, 20:80], image[20:120])


def test_a_detector_that_is_missing_is_an_error_and_no_picture_without_a_face() -> None:
    def missing(image: np.ndarray, method: str) -> list[FaceBox]:
        raise MissingExtra("animeface is not installed; run: make setup-all")

    with pytest.raises(MissingExtra):
        cut(noise(60, 60), CropParams(), find=missing)


def test_shrinking_much_leaves_no_pattern_behind() -> None:
    stripes = np.zeros((2048, 2048, 3), np.uint8)
    stripes[:, ::2] = 255
    made = of(cut(stripes, CropParams(method="center-top")))
    assert np.abs(made.pixels.astype(int) - 128).max() <= 3


def test_the_same_picture_gives_the_same_bytes_and_nothing_but_pixels() -> None:
    first, again = (of(cut(noise(300, 200, 3), CropParams(), find=sees())).png() for _ in range(2))
    assert first == again
    with Image.open(io.BytesIO(first)) as image:
        assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", (256, 256), {})
    pixels = noise(64, 64)
    with Image.open(io.BytesIO(png_of(pixels))) as image:
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "dlib"}, "method is 'dlib', none of: anime, mtcnn, center-top"),
        ({"choice": "first"}, "none of: largest, central"),
        ({"fallback": "none"}, "none of: center-top, reject"),
        ({"margin": -0.1}, "margin is -0.1"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"size_px": 0}, "size_px is 0; give 16 to 4096"),
    ],
)
def test_params_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        CropParams(**options)  # type: ignore[arg-type]


def test_the_params_say_in_words_what_cuts() -> None:
    pytest.importorskip("animeface")
    said = CropParams(fallback="reject").text()
    assert said.startswith("anime (animeface ")
    assert said.endswith("the largest face, margin 1.1, 256 px, else reject")
    assert CropParams(method="center-top").text() == "center-top, 256 px"


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (0.0, Square(80, 80, 40)),
        (0.3, Square(74, 71, 52)),  # by 3 pixels of 11: lifted in full it would end on the chin
        (1.1, Square(58, 47, 84)),
        (2.0, Square(40, 29, 120)),
    ],
)
def test_a_narrower_margin_is_lifted_less_and_a_wider_one_no_more(margin: float, expected: Square) -> None:
    face = FaceBox(80, 80, 40, 40, 1.0)
    assert of(cut(noise(200, 200), CropParams(margin=margin), find=sees(face))).box == expected


# --- detection


def test_finds_that_overlap_are_one_face_and_the_likeliest_speaks() -> None:
    sure, unsure, other = FaceBox(0, 0, 10, 10, 0.9), FaceBox(2, 2, 10, 10, 0.6), FaceBox(30, 0, 8, 8, 0.7)
    assert overlap(sure, sure) == 1
    assert overlap(sure, other) == 0
    assert distinct([unsure, other, sure]) == [sure, other]


def test_a_picture_is_searched_at_every_size_and_not_only_at_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def anime(image: np.ndarray, sizes_px: list[int]) -> list[FaceBox]:
        asked.extend(sizes_px)
        return [FaceBox(sizes_px[0], 0, 5, 5, 0.8)]

    monkeypatch.setattr(faces, "_finder", lambda align: None)
    monkeypatch.setattr(faces, "_anime_faces", anime)
    found = faces_in(noise(60, 900), "anime")
    assert asked == list(SIZES_PX)
    assert len(found) == len(SIZES_PX)


def test_sizes_and_frames_are_those_of_the_page() -> None:
    page = (ROOT / "docs/crop.md").read_text(encoding="utf-8")
    assert "at six sizes" in page
    assert "area is that of a square of 128 to 724 px" in page
    assert [round(128 * 2 ** (step / 2)) for step in range(6)] == list(SIZES_PX)
    told = re.findall(r"^\| `(\w+)` \|[^|]*\| ([\d.]+) \| ([\d.]+) \|$", page, re.M)
    assert {name: Frame(float(margin), float(rise)) for name, margin, rise in told} == FRAMES


def test_animeface_finds_drawn_faces_where_they_are_and_the_crop_shows_them() -> None:
    pytest.importorskip("animeface")
    right = 0
    for character in draw_cast(42, 20)[:4]:
        image, truth = figure(character)
        made = of(cut(image, CropParams()))
        if made.face is not None and overlap(made.face, truth) >= 0.5:
            right += 1
            box = made.box
            assert box.x <= truth.x
            assert box.y <= truth.y
            assert truth.x + truth.width <= box.x + box.side
            assert truth.y + truth.height <= box.y + box.side
            assert 0.3 < truth.width / box.side < 0.6
    assert right >= 2


def test_the_frames_of_both_detectors_take_in_hair_and_shoulders() -> None:
    for frame in FRAMES.values():
        assert frame.margin >= 1
        assert 0 < frame.rise < frame.margin / 2


# --- bias


def outcomes(hero: tuple[int, int], villain: tuple[int, int], *, n_series: int = 0) -> list[Outcome]:
    """Lost and all of each class; series in turn, so that none is like itself."""
    every = [
        (label, i >= lost) for label, (lost, n) in (("hero", hero), ("villain", villain)) for i in range(n)
    ]
    order = np.random.default_rng(0).permutation(len(every))
    return [
        Outcome(*every[place], series=f"s{i % n_series}" if n_series else "") for i, place in enumerate(order)
    ]


def said_of(every: list[Outcome], **options: str) -> Bias:
    found = bias_of(every, method="anime", **options)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_a_detector_that_loses_more_villains_is_reported_in_a_sentence() -> None:
    found = said_of(outcomes((18, 150), (46, 150)))
    assert found.found
    assert found.text() == (
        "anime found no face in 12% of hero (18/150) and 31% of villain (46/150) pictures: cropping loses more"
        " villain pictures (p = 0.0001; villain minus hero: +9 to +28 points, by pictures, series unknown)"
    )
    fallen = said_of(outcomes((18, 150), (46, 150), n_series=60), fallback="center-top").text()
    assert "more villain pictures are cut by center-top, face or not" in fallen
    assert "by 60 series" in fallen


def test_the_class_that_loses_more_is_named_whichever_it_is() -> None:
    assert "loses more hero pictures" in said_of(outcomes((60, 150), (10, 150))).text()


def test_no_difference_is_said_to_be_not_shown_with_what_it_may_still_be() -> None:
    found = said_of(outcomes((18, 150), (20, 150)))
    assert not found.found
    assert found.text().endswith(
        ": no difference was shown (p = 0.86; villain minus hero: -6 to +9 points, by pictures, series unknown)"
    )


def by_series(*series: tuple[int, int, int, int]) -> list[Outcome]:
    """Of each series: heroes lost, heroes, villains lost, villains."""
    return [
        Outcome(label, i >= lost, f"s{number}")
        for number, (hero_lost, heroes, villain_lost, villains) in enumerate(series)
        for label, lost, n in (("hero", hero_lost, heroes), ("villain", villain_lost, villains))
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("n_series", "said"),
    [
        (2, "(p = 0.50, it cannot be below 0.5; villain minus hero: +50 to +81 points, by 2 series)"),
        (5, "(p = 0.062, it cannot be below 0.062; villain minus hero: +58 to +78 points, by 5 series)"),
    ],
)
def test_series_that_are_too_few_to_tell_are_said_to_be(n_series: int, said: str) -> None:
    found = said_of(by_series(*[(2, 20, 16, 20)] * n_series))
    assert found.text().endswith(f": {n_series} series are too few to tell a difference {said}")
    fair = said_of(by_series(*[(4, 20, 5, 20)] * n_series)).text()
    assert f": {n_series} series are too few to tell a difference (p = " in fair


def test_six_series_can_tell() -> None:
    found = said_of(by_series(*[(2, 20, 16, 20)] * 6))
    assert found.p == 2 / 2**6
    assert "loses more villain" in found.text()


def test_series_without_a_share_in_the_difference_do_not_count() -> None:
    found = said_of(by_series(*[(0, 9, 8, 9)] * 3, *[(0, 9, 0, 9)] * 20))
    assert (found.n_series, found.n_telling, found.p) == (23, 3, 0.25)
    assert found.text().endswith(
        ": too few series, 3 of 23, bear on a difference to tell one (p = 0.25, it cannot be below 0.25;"
        " villain minus hero: +4 to +29 points, by 23 series)"
    )
    assert "no difference was shown" in said_of(by_series(*[(0, 9, 0, 9)] * 2)).text()


@pytest.mark.parametrize(
    "every",
    [
        by_series(*[(2, 20, 16, 20)] * 3, *[(3, 20, 1, 20)] * 4),
        outcomes((0, 5), (3, 5)),
    ],
)  # fmt: skip
def test_an_interval_without_0_and_a_test_that_shows_nothing_are_said_to_disagree(
    every: list[Outcome],
) -> None:
    found = said_of(every)
    assert found.difference is not None
    assert found.difference[0] > 0
    assert not found.found
    assert (
        ": whether the shares differ is open: the interval leaves out 0, but p is not below 0.05 (p = "
        in found.text()
    )


def test_pictures_of_one_series_are_not_said_to_be_of_unknown_ones() -> None:
    assert said_of(by_series((1, 9, 2, 9))).text().endswith("points, by pictures, all of one series)")


def test_the_numbers_are_those_of_the_textbooks() -> None:
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)  # Newcombe 1998, table I
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    difference = said_of([*outcomes((48, 80), (56, 70))]).difference
    assert difference == pytest.approx((0.0524, 0.3339), abs=5e-5)  # Newcombe 1998b, method 10, 56/70 - 48/80


def test_series_that_are_alike_are_worth_fewer_pictures() -> None:
    alike = [
        Outcome(label, found=i < 8, series=f"{label}{i}")
        for label in ("hero", "villain")
        for i in range(10)
        for _ in range(10)
    ]
    by_series = said_of(alike).rates[0]
    by_picture = said_of([Outcome(one.label, one.found) for one in alike]).rates[0]
    assert by_series.high - by_series.low > 2 * (by_picture.high - by_picture.low)


def test_without_two_classes_there_is_a_rate_and_no_test() -> None:
    assert bias_of([], method="anime") is None
    one = said_of([Outcome("hero", True), Outcome("hero", False)])
    assert (one.p, one.found) == (None, False)
    assert one.text() == "anime found no face in 50% of hero (1/2) pictures; it takes two classes to compare"


def of_classes(**classes: tuple[int, int]) -> list[Outcome]:
    """Lost and all of each class."""
    return [Outcome(label, i >= lost) for label, (lost, n) in classes.items() for i in range(n)]


def test_of_three_classes_those_that_lose_more_or_less_than_the_others_are_named() -> None:
    found = said_of(of_classes(antihero=(1, 50), hero=(20, 50), villain=(40, 50)))
    assert found.found
    assert found.text() == (
        "anime found no face in 2% of antihero (1/50), 40% of hero (20/50) and 80% of villain (40/50)"
        " pictures: cropping loses more villain but fewer antihero pictures (villain minus the others: +43 to"
        " +70 points, p < 0.0001; antihero minus the others: -67 to -45 points, p < 0.0001; p by Holm for 3"
        " comparisons, by pictures, series unknown)"
    )
    fallen = said_of(of_classes(a=(5, 50), b=(5, 50), c=(30, 50), d=(28, 50)), fallback="center-top").text()
    assert ": more c and d but fewer a and b pictures are cut by center-top, face or not (c minus" in fallen


def test_of_three_classes_that_lose_alike_the_nearest_to_a_difference_is_shown() -> None:
    found = said_of(of_classes(antihero=(5, 50), hero=(7, 50), villain=(9, 50)))
    assert not found.found
    assert found.text().endswith(
        " pictures: no difference was shown (villain minus the others: -5 to +20 points, p = 0.98; p by Holm"
        " for 3 comparisons, by pictures, series unknown)"
    )
    nobody = said_of([Outcome(label, True) for label in "abc"])
    assert (nobody.p, nobody.found) == (1.0, False)


@pytest.mark.parametrize(("n_series", "can"), [(6, False), (7, True)])
def test_with_three_classes_it_takes_seven_series_to_tell(n_series: int, can: bool) -> None:
    every = [
        Outcome(label, i >= lost, f"s{number}")
        for number in range(n_series)
        for label, lost in (("antihero", 2), ("hero", 2), ("villain", 18))
        for i in range(20)
    ]
    found = said_of(every)
    assert found.p == found.least_p == 3 * 2 / 2**n_series
    assert found.found == can
    said = "cropping loses more villain" if can else "6 series are too few to tell a difference"
    assert f": {said}" in found.text()
    assert (", it cannot be below 0.094; p by Holm" in found.text()) != can


def test_several_ps_are_adjusted_as_holm_has_it() -> None:
    assert rates.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert rates.holm([0.7, 0.6]) == [1.0, 1.0]


@pytest.mark.parametrize("n_series", [15, 60])
def test_of_three_classes_a_fair_detector_is_not_accused_beyond_the_level(
    n_series: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "_FLIPS", 499)
    rng, n_runs = np.random.default_rng(n_series), 200
    accused = sum(said_of(_of_three(rng, n_series=n_series, more=0.0)).found for _ in range(n_runs))
    assert accused / n_runs <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / n_runs)


def test_of_three_classes_the_one_that_a_detector_loses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_FLIPS", 499)
    rng = np.random.default_rng(0)
    found = [said_of(_of_three(rng, n_series=60, more=2.0)) for _ in range(20)]
    assert np.mean(["cropping loses more villain " in one.text() for one in found]) > 0.9


def _of_three(rng: np.random.Generator, *, n_series: int, more: float) -> list[Outcome]:
    """Series that lean to a class of three and are alike in what is lost; ``more``: what villains add."""
    every = []
    for series in range(n_series):
        leans, own = rng.dirichlet((0.4, 0.4, 0.4)), rng.normal() - 1.5
        for label in rng.choice(("antihero", "hero", "villain"), rng.integers(3, 9), p=leans):
            lost = rng.random() < 1 / (1 + np.exp(-own - more * (label == "villain")))
            every.append(Outcome(str(label), not lost, f"s{series}"))
    return every


@pytest.mark.parametrize("spread", [0.0, 1.5])
@pytest.mark.parametrize("n_series", [15, 60])
def test_a_fair_detector_is_not_accused_beyond_the_level(
    spread: float, n_series: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "_FLIPS", 499)
    rng, accused, n_runs = np.random.default_rng(n_series), 0, 300
    for _ in range(n_runs):
        accused += said_of(_simulated(rng, n_series=n_series, spread=spread, more=0.0)).found
    assert accused / n_runs <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / n_runs)


def test_an_unfair_detector_is_mostly_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_FLIPS", 499)
    rng = np.random.default_rng(0)
    found = [said_of(_simulated(rng, n_series=60, spread=0.5, more=1.5)) for _ in range(60)]
    assert np.mean([one.found for one in found]) > 0.9
    assert all("loses more villain" in one.text() for one in found if one.found)


def _simulated(rng: np.random.Generator, *, n_series: int, spread: float, more: float) -> list[Outcome]:
    """Series that lean to a class and are alike in what is lost; ``more``: log-odds that villains add."""
    every = []
    for series in range(n_series):
        lean, own = rng.choice((0.05, 0.5, 0.95)), spread * rng.normal() - 1.5
        for _ in range(rng.integers(3, 9)):
            hero = rng.random() < lean
            lost = rng.random() < 1 / (1 + np.exp(-own - more * (not hero)))
            every.append(Outcome("hero" if hero else "villain", not lost, f"s{series}"))
    return every


# --- files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty pictures of two classes and ten series; the first pixel tells what `misses_villains` does."""
    root, rows = tmp_path / "in", [["file", "character", "series"]]
    for label, n_lost in (("hero", 3), ("villain", 17)):
        for i in range(30):
            pixels = noise(24, 20, i).copy()
            pixels[0, 0] = 0 if i < n_lost else 255
            path = root / "images" / label / f"{label[0]}{i:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            rows.append([f"images/{label}/{path.name}", f"Who {i}", f"s{i % 10}"])
    (root / "metadata").mkdir()
    with (root / "metadata" / "characters.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


def misses_villains(image: np.ndarray, method: str) -> list[FaceBox]:
    return [FaceBox(5, 5, 6, 6, 0.9)] if image[0, 0, 0] else []


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("fallback", ["center-top", "reject"])
def test_a_folder_is_cut_recorded_and_a_planted_bias_reported(
    folder: Path, tmp_path: Path, fallback: str
) -> None:
    out = tmp_path / "out"
    params = CropParams(fallback=fallback, size_px=32)  # type: ignore[arg-type]
    records = crop_folder(folder, out, params=params, max_pixels=10_000, find=misses_villains)
    found = bias_of_crops(records, params)
    assert found is not None
    assert found.found
    assert found.text().startswith(
        "anime found no face in 10% of hero (3/30) and 57% of villain (17/30) pictures: "
    )
    rows = table(out / CROPS)
    assert len(rows) == 60
    assert {row["reason"] for row in rows} == (
        {""} if fallback == "center-top" else {"", "no face was found"}
    )
    kept = {row["file"]: row for row in rows if row["file"]}
    assert len(kept) == (60 if fallback == "center-top" else 40)
    assert sorted(kept) == sorted(str(path.relative_to(out)) for path in (out / "images").rglob("*.png"))
    assert {row["file"] for row in table(out / "metadata" / "characters.csv")} == set(kept)
    by_anime = next(row for row in rows if row["method"] == "anime")
    assert (by_anime["face"], by_anime["n_faces"], by_anime["padded"]) == ("5 5 6 6", "1", "no")


def test_a_fair_detector_is_not_reported_on_the_same_folder(folder: Path, tmp_path: Path) -> None:
    params = CropParams(size_px=32)
    records = crop_folder(
        folder, tmp_path / "out", params=params, max_pixels=10_000, find=sees(FaceBox(5, 5, 6, 6, 1.0))
    )
    found = bias_of_crops(records, params)
    assert found is not None
    assert not found.found
    assert bias_of_crops(records, CropParams(method="center-top")) is None


def test_what_cannot_be_read_is_recorded_and_stops_nothing(tmp_path: Path) -> None:
    good, torn, large = (tmp_path / name for name in ("good", "torn", "large"))
    good.write_bytes(png_of(noise(40, 30)))
    torn.write_bytes(good.read_bytes()[:300])
    large.write_bytes(png_of(noise(200, 200)))
    sources = [Source(path, "hero") for path in (torn, tmp_path / "gone", large, good)]
    made = list(
        crop_files(
            sources,
            params=CropParams(),
            target=lambda source, sha256: tmp_path / "out" / f"{sha256}.png",
            max_pixels=10_000,
            find=sees(),
        )
    )
    assert [one.reason.split(":")[0] for one in made] == ["corrupt", "not_a_file", "too_many_pixels", ""]
    assert [one.path is None for one in made] == [True, True, True, False]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{made[3].sha256}.png"]
    found = bias_of_crops(made, CropParams())
    assert found is not None
    assert found.rates[0].n == 1, "what cannot be read is not the detector's loss"


def test_a_folder_that_holds_images_is_left_as_it_is(folder: Path, various: Path) -> None:
    with pytest.raises(UsageError, match="in holds images, metadata; name a new or an empty folder"):
        crop_folder(various, folder, params=CropParams(), max_pixels=10_000, find=sees())
    assert len(sources_in(layout_of(folder))) == 60


def test_a_folder_that_holds_tables_alone_keeps_them(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "metadata").mkdir(parents=True)
    for name in ("characters", "labels", "rejected", "accepted", "sources"):
        (out / f"metadata/{name}.csv").write_text("hours of work\n")
    before = files_in(out)
    with pytest.raises(UsageError, match="out holds metadata; name a new or an empty folder"):
        crop_of(folder, out)
    assert files_in(out) == before
    for name in "abcd":
        (out / name).mkdir()
    with pytest.raises(UsageError, match="out holds a, b, c and 2 more; name a new"):
        crop_of(folder, out)


def test_a_crop_that_is_finished_says_so_and_what_comes_next(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    crop_of(folder, out)
    before = files_in(out)
    with pytest.raises(
        UsageError, match=r"out holds a crop that is finished; bring it in \(.* import .*out --re"
    ):
        crop_of(folder, out)
    assert files_in(out) == before


def test_a_folder_that_holds_hidden_files_alone_is_empty(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.DS_Store").write_text("kept")
    assert len(crop_of(folder, tmp_path / "out")) == 60
    assert (tmp_path / "out/.DS_Store").read_text() == "kept"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda root: None, MissingData, "no folder "),
        (lambda root: root.write_text(""), UsageError, "is a file; name the folder that holds one folder per class"),
        (lambda root: (root / "hero").mkdir(parents=True), MissingData, "as in {root}/<label>/<picture>"),
        (lambda root: (root / "images/hero").mkdir(parents=True), MissingData, "as in {root}/images/<label>/<picture>"),
        (lambda root: (root / "images/=1").mkdir(parents=True), DataError, "a spreadsheet would compute it"),
    ],
)  # fmt: skip
def test_a_folder_without_pictures_is_told_where_they_belong(
    tmp_path: Path, make: Callable[[Path], object], error: type[Exception], message: str
) -> None:
    root = tmp_path / "in"
    make(root)
    with pytest.raises(error, match=message.format(root=root)):
        crop_folder(root, tmp_path / "out", params=CropParams(), max_pixels=10_000, find=sees())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file", "is a file; name a new folder"),
        ("file/out", "cannot be written: Not a directory; name another folder"),
        ("in", "in lies in .*in, which is cropped; name a folder elsewhere"),
        ("in/images/hero/out", "out lies in .*in, which is cropped"),
        ("in/crops", "crops lies in .*in, which is cropped"),
    ],
)
def test_a_place_that_no_mugshots_can_go_to_is_refused(
    folder: Path, tmp_path: Path, out: str, message: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=message):
        crop_folder(folder, tmp_path / out, params=CropParams(), max_pixels=10_000, find=sees())
    assert (tmp_path / "file").read_text() == ""


def test_mugshots_may_lie_beside_a_folder_named_images_unless_tables_lie_there_too(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"crops lies in .*in, which is cropped"):
        crop_of(folder / "images", folder / "crops")
    (folder / "metadata").rename(tmp_path / "metadata_elsewhere")
    with pytest.raises(UsageError, match=r"in lies in .*in, which is cropped"):
        crop_of(folder / "images", folder)
    assert len(crop_of(folder / "images", folder / "crops")) == 60


def crop_of(root: Path, out: Path, fallback: str = "center-top") -> list[Cropped]:
    params = CropParams(fallback=fallback, size_px=32)  # type: ignore[arg-type]
    return crop_folder(root, out, params=params, max_pixels=10_000, find=misses_villains)


def test_classes_may_lie_in_the_folder_itself_and_its_images_may_be_named(
    folder: Path, tmp_path: Path
) -> None:
    crop_of(folder, tmp_path / "whole")
    crop_of(folder / "images", tmp_path / "named")
    assert files_in(tmp_path / "named") == files_in(tmp_path / "whole")
    bare = tmp_path / "bare"
    (folder / "images").rename(bare)
    (folder / "metadata").rename(bare / "metadata")
    (bare / "metadata/labels.csv").write_text("file,label\nhero/h00.png,villain\n")
    records = crop_of(bare, tmp_path / "out")
    assert records[0].source.label == "villain"
    made, whole = files_in(tmp_path / "out"), files_in(tmp_path / "whole")
    assert {name for name in made if name.startswith("images")} == {
        name for name in whole if name.startswith("images")
    }
    assert made["metadata/characters.csv"] == whole["metadata/characters.csv"]
    rows = table(tmp_path / "out" / CROPS)
    assert rows[0]["source"] == "hero/h00.png"
    assert table(tmp_path / "out/metadata/labels.csv") == [
        {"file": rows[0]["file"], "label": "villain", "key": rows[0]["key"]}
    ]


def test_labels_by_key_count_wherever_the_classes_lie(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shutil.rmtree(folder / "metadata")
    shutil.copytree(folder / "images", bare := tmp_path / "bare")
    lines = [f"hero/h{i:02d}.png,villain,{sha256_of(bare / f'hero/h{i:02d}.png')}" for i in range(1, 3)]
    lines.append(f"elsewhere/x.png,villain,{sha256_of(bare / 'hero/h03.png')}")
    for root in (folder, bare):
        (root / "metadata").mkdir()
        (root / "metadata/labels.csv").write_text("\n".join(["file,label,key", *lines]) + "\n")
    whole, made = crop_of(folder, tmp_path / "whole"), crop_of(bare, tmp_path / "out")
    assert [one.source.label for one in made] == [one.source.label for one in whole]
    assert bias_of_crops(made, PARAMS) == bias_of_crops(whole, PARAMS)
    assert Counter(one.source.label for one in made) == {"hero": 27, "villain": 33}
    assert "not here now" not in caplog.text
    labels = "metadata/labels.csv"
    assert (tmp_path / "out" / labels).read_bytes() == (tmp_path / "whole" / labels).read_bytes()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a" * 245, "a" * 120),
        ("花" * 82, "花" * 40),
        ("a" * 119 + "花", "a" * 119),
        ("%" * 60, "%25" * 40),
        ("aa" + "\u200b" * 30, "aa" + "%E2%80%8B" * 13),
        ("a" * 120, "a" * 120),
    ],
    ids=["letters", "kanji", "both", "escaped", "escaped in three", "fits"],
)
def test_a_long_name_is_cut_off_between_two_characters(
    folder: Path, tmp_path: Path, name: str, kept: str
) -> None:
    (folder / "images/hero/h01.png").rename(folder / f"images/hero/{name}.png")
    (folder / "images/hero/h02.png").rename(folder / f"images/hero/{name}b.png")
    shutil.rmtree(folder / "metadata")
    made = {one.source.path.stem: one for one in crop_of(folder, tmp_path / "out")}
    one, other = made[name], made[f"{name}b"]
    assert one.path is not None
    assert one.path.name == f"{kept}-{one.sha256[:12]}.png"
    assert one.path != other.path, "the key keeps them apart"
    assert {row["source"] for row in table(tmp_path / "out" / CROPS)} >= {
        f"images/hero/{escape_path(name)}.png"
    }


def test_a_picture_that_may_not_be_read_is_in_the_record(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.name == "h05.png" and path.is_relative_to(folder):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    key = sha256_of(folder / "images/hero/h06.png")
    (folder / "metadata/labels.csv").write_text(f"file,label,key\nimages/hero/gone.png,villain,{key}\n")
    crop_of(folder, tmp_path / "out")
    lost = [row for row in table(tmp_path / "out" / CROPS) if not row["file"]]
    assert [(row["source"], row["reason"]) for row in lost] == [
        ("images/hero/h05.png", "unreadable: Permission denied")
    ]


def test_what_is_no_picture_of_a_class_is_counted(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "images/hero/notes.txt").write_text("")
    (folder / "images/stray.png").write_bytes(png_of(noise(24, 20)))
    assert len(crop_of(folder, tmp_path / "out")) == 60
    assert "1 files left out: not .jpg" in caplog.text
    assert "1 pictures left out: in " in caplog.text


def test_every_column_of_the_characters_comes_along(folder: Path, tmp_path: Path) -> None:
    path = folder / "metadata/characters.csv"
    rows = table(path)
    for i, row in enumerate(rows):
        row |= {"role": ("hero", "antihero")[i % 2], "note": f"'=n{i}"}
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    crop_of(folder, tmp_path / "out", "reject")
    made = {row["file"]: row for row in table(tmp_path / "out/metadata/characters.csv")}
    before = {row["file"]: row for row in rows}
    crops = table(tmp_path / "out" / CROPS)
    assert len(made) == 40
    for crop in crops:
        was = before[crop["source"]]
        assert (crop["character"], crop["series"], crop["role"]) == (
            was["character"],
            was["series"],
            was["role"],
        )
        if crop["file"]:
            assert made[crop["file"]] == {**was, "file": crop["file"]}


def test_a_series_that_a_folder_tells_is_written_down(various: Path, tmp_path: Path) -> None:
    crop(various, tmp_path / "out", Finder())
    rows = table(tmp_path / "out/metadata/characters.csv")
    assert {row["series"] for row in rows} <= {"series 0", "series 1", "series 2"}
    assert {row["character"] for row in rows} == {""}


def test_a_column_in_capitals_is_named(folder: Path, tmp_path: Path) -> None:
    path = folder / "metadata/characters.csv"
    path.write_text(path.read_text().replace("character,series", "Character,Series"))
    with pytest.raises(MetadataError, match="line 1: the column 'Character' must be written 'character'"):
        crop_of(folder, tmp_path / "out")


def test_what_was_decided_of_a_picture_is_decided_of_its_mugshot(folder: Path, tmp_path: Path) -> None:
    key = {name: sha256_of(folder / f"images/hero/h{name}.png") for name in ("00", "05", "06", "07")}
    (folder / "metadata/rejected.csv").write_text(
        f"key,file,reason\n{key['05']},x.png,blurred\n{key['00']},y.png,twice\n{'0' * 64},z.png,gone\n"
    )
    (folder / "metadata/accepted.csv").write_text(f"key,file,by\n{key['06']},x.png,me\n")
    (folder / "metadata/labels.csv").write_text(
        f"file,label,key\nimages/hero/h06.png,villain,{key['06']}\nimages/hero/h07.png,villain,\n"
    )
    out = tmp_path / "out"
    crop_of(folder, out, "reject")
    made = {row["source"].removeprefix("images/hero/"): row for row in table(out / CROPS)}
    assert made["h00.png"]["file"] == ""

    def of_mugshot(name: str) -> dict[str, str]:
        return {column: made[name][column] for column in ("key", "file")}

    assert table(out / "metadata/rejected.csv") == [{**of_mugshot("h05.png"), "reason": "blurred"}]
    assert table(out / "metadata/accepted.csv") == [{**of_mugshot("h06.png"), "by": "me"}]
    assert table(out / "metadata/labels.csv") == [
        {**of_mugshot(name), "label": "villain"} for name in ("h06.png", "h07.png")
    ]


def twins(root: Path, name: str, twin: str, *, as_bytes: bool = False) -> tuple[Path, Path]:
    """A picture, and another file of the same pixels, or of the same bytes."""
    one, other = root / "images" / name, root / "images" / twin
    other.parent.mkdir(parents=True, exist_ok=True)
    if as_bytes:
        shutil.copyfile(one, other)
    else:
        with Image.open(one) as image:
            image.save(other)
    return one, other


@pytest.mark.parametrize("twin", ["hero/copy.bmp", "hero/h05.bmp", "hero/a.bmp", "villain/copy.bmp"])
@pytest.mark.parametrize("accepted", [True, False])
def test_a_rejected_picture_does_not_take_its_twin_along(
    folder: Path, tmp_path: Path, twin: str, accepted: bool
) -> None:
    kept, rejected = twins(folder, "hero/h05.png", twin)
    (folder / "metadata/rejected.csv").write_text(f"key,file,reason\n{sha256_of(rejected)},x,twice\n")
    if accepted:
        (folder / "metadata/accepted.csv").write_text(f"key,file\n{sha256_of(kept)},x\n")
    out = tmp_path / "out"
    crop_of(folder, out)
    made = {row["original"]: row for row in table(out / CROPS)}
    one, other = made[sha256_of(kept)], made[sha256_of(rejected)]
    assert (out / one["file"]).is_file()
    assert (other["file"], other["key"]) == ("", "")
    assert other["reason"] == f"the same picture as {one['file']}"
    assert not (out / "metadata/rejected.csv").exists()
    assert (out / "metadata/accepted.csv").exists() == accepted
    assert len(list(out.glob("images/*/*"))) == 60
    assert len([row for row in table(out / "metadata/characters.csv") if row["file"] == one["file"]]) == 1


def test_a_mugshot_is_rejected_where_every_picture_of_it_is(folder: Path, tmp_path: Path) -> None:
    both = twins(folder, "hero/h05.png", "hero/copy.bmp")
    rows = [f"{sha256_of(path)},x,blurred" for path in both]
    (folder / "metadata/rejected.csv").write_text("\n".join(["key,file,reason", *rows]) + "\n")
    crop_of(folder, tmp_path / "out")
    made = {row["source"]: row for row in table(tmp_path / "out" / CROPS)}
    assert made["images/hero/h05.png"]["key"] == made["images/hero/copy.bmp"]["key"]
    assert [row["key"] for row in table(tmp_path / "out/metadata/rejected.csv")] == [
        made["images/hero/h05.png"]["key"]
    ]


def test_a_run_that_is_stopped_leaves_the_same_of_twins(folder: Path, tmp_path: Path) -> None:
    _, rejected = twins(folder, "hero/h05.png", "villain/copy.bmp")
    (folder / "metadata/rejected.csv").write_text(f"key,file,reason\n{sha256_of(rejected)},x,twice\n")
    crop(folder, tmp_path / "whole", Finder())
    crop(folder, stopped(folder, tmp_path / "out", 50).parent, Finder())
    assert files_in(tmp_path / "out") == files_in(tmp_path / "whole")


def test_a_mugshot_that_two_folders_give_has_one_row_and_what_they_contradict_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    for label, seed in (("hero", 1), ("villain", 2)):
        path = root / "images" / label / "S1/a.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(png_of(noise(24, 20, seed)))
        twins(root, f"{label}/S1/a.png", f"{label}/S2/a.png", as_bytes=True)
    crop(root, out, Finder(), CropParams("center-top", size_px=32))
    made = list(dict.fromkeys(row["file"] for row in table(out / CROPS)))
    assert len(made) == 2
    assert table(out / "metadata/characters.csv") == [
        {"file": file, "character": "", "series": "S1"} for file in made
    ]
    assert caplog.messages == [
        f"images/{label}/S1/a.png and images/{label}/S2/a.png give one mugshot, but differ in series; what"
        " the first says was kept"
        for label in ("hero", "villain")
    ]


def test_twins_that_contradict_nothing_say_together_who_it_is(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = twins(folder, "hero/h05.png", "hero/h05.bmp")
    twins(folder, "hero/h05.png", "hero/twin/h05.png", as_bytes=True)
    (folder / "metadata/characters.csv").write_text(
        "file,character,series,role\nhero/h05.png,,twin,\nhero/h05.bmp,Ann,,hero\nhero/twin/h05.png,,,\n"
    )
    (folder / "metadata/labels.csv").write_text(
        f"file,label,key\nhero/h05.png,villain,{sha256_of(one)}\nhero/twin/h05.png,villain,{sha256_of(one)}\n"
    )
    out = tmp_path / "out"
    crop_of(folder, out)
    file = next(row["file"] for row in table(out / CROPS) if row["source"] == "images/hero/h05.png")
    assert table(out / "metadata/characters.csv") == [
        {"file": file, "character": "Ann", "series": "twin", "role": "hero"}
    ]
    assert [(row["file"], row["label"]) for row in table(out / "metadata/labels.csv")] == [(file, "villain")]
    assert caplog.messages == [
        "images/hero/h05.png and images/hero/h05.bmp give one mugshot, but differ in label; what the first says"
        " was kept"
    ]


def test_a_record_of_where_pictures_are_from_speaks_of_their_mugshots(folder: Path, tmp_path: Path) -> None:
    lost, kept = (sha256_of(folder / f"images/hero/h{name}.png") for name in ("00", "05"))
    write_sources(
        folder,
        [
            Origin(key=kept, file="images/hero/h05.png", provider="urls", url="http://a.example/5", licence="CC0"),
            Origin(key=lost, file="images/hero/h00.png", provider="urls", url="http://a.example/0"),
            Origin(provider="urls", url="http://a.example/gone", reason="404"),
        ],
    )  # fmt: skip
    out = tmp_path / "out"
    crop_of(folder, out, "reject")
    crop = next(row for row in table(out / CROPS) if row["source"] == "images/hero/h05.png")
    first, second, third = read_sources(out)
    assert (first.key, first.file, first.original) == (crop["key"], crop["file"], kept)
    assert (first.url, first.licence, first.crop) == ("http://a.example/5", "CC0", "anime")
    assert (first.box, first.n_faces) == (crop["box"], "1")
    assert (second.key, second.file, second.original, second.reason) == ("", "", lost, "no face was found")
    assert third.reason == "404"


def test_the_record_says_of_which_bytes_each_mugshot_is_and_how_all_were_cut(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    crop_of(folder, out, "reject")
    for row in table(out / CROPS):
        assert row["original"] == sha256_of(folder / row["source"])
        assert row["key"] == (sha256_of(out / row["file"]) if row["file"] else "")
        assert row["n_faces"] == ("1" if row["file"] else "0")
    assert json.loads((out / CUTS).read_text()) == [
        {
            "cut": "anime (of the caller), the largest face, margin 1.1, 32 px, else reject",
            "method": "anime",
            "detector": "of the caller",
            "choice": "largest",
            "margin": 1.1,
            "fallback": "reject",
            "size_px": 32,
        }
    ]
    params = CropParams(method="center-top", size_px=32)
    crop_folder(folder, tmp_path / "top", params=params, max_pixels=10_000)
    assert cuts_in(tmp_path / "top") == ["center-top, 32 px"]
    assert {row["n_faces"] for row in table(tmp_path / "top" / CROPS)} == {""}, "nobody looked for a face"


def test_a_long_run_tells_how_far_it_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    crop_of(folder, tmp_path / "quick")
    assert caplog.messages == [f"{tmp_path / 'quick'}: 60 pictures to cut; none is done yet"]
    monkeypatch.setattr(folders, "_LINE_S", 0.0)
    crop_of(folder, tmp_path / "slow")
    assert caplog.messages[2:] == [f"{tmp_path / 'slow'}: {i} of 60 pictures" for i in range(1, 60)]


# --- a run that is stopped


class Stopped(Exception):
    pass


class Finder:
    """Finds a face in every other picture, and remembers which it saw; stops at the n-th."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.seen: list[bytes] = []
        self._stop_at = stop_at

    def __call__(self, image: np.ndarray, method: str) -> list[FaceBox]:
        if len(self.seen) == self._stop_at:
            raise Stopped
        self.seen.append(image.tobytes())
        mean = float(image.mean())
        return [FaceBox(mean / 20, 5.25, 6.5, 6, 0.9, ((1.5, 2.0),))] if image[0, 0, 0] % 2 else []


@pytest.fixture
def various(tmp_path: Path) -> Path:
    """Nine pictures, two of them damaged, one a link to nothing, of two classes and known series."""
    root = tmp_path / "various"
    for i in range(9):
        path = root / "images" / ("hero", "villain")[i % 2] / f"series {i % 3}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png_of(noise(24, 20, i))[: 200 if i in {1, 6} else None])
    (root / "images/hero/series 0/gone.png").symlink_to(tmp_path / "gone")
    return root


PARAMS = CropParams(size_px=32, fallback="reject")


def crop(
    root: Path, out: Path, find: Callable[..., list[FaceBox]], params: CropParams = PARAMS
) -> list[Cropped]:
    return crop_folder(root, out, params=params, max_pixels=10_000, find=find)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stop_at", range(7))
def test_a_run_that_is_stopped_goes_on_and_asks_for_no_face_twice(
    various: Path, tmp_path: Path, stop_at: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    whole = crop(various, tmp_path / "whole", undisturbed := Finder())
    out, first, second = tmp_path / "out", Finder(stop_at), Finder()
    with pytest.raises(Stopped):
        crop(various, out, first)
    again = crop(various, out, second)
    assert first.seen + second.seen == undisturbed.seen
    assert len(undisturbed.seen) == 7
    assert files_in(out) == files_in(tmp_path / "whole")
    assert not (out / JOURNAL).exists()
    assert bias_of_crops(again, PARAMS) == bias_of_crops(whole, PARAMS)
    assert bool(stop_at) == ("going on; " in caplog.text)


def test_a_run_that_was_stopped_after_all_pictures_asks_for_none(various: Path, tmp_path: Path) -> None:
    whole = files_in_after(various, tmp_path / "whole")
    out = stopped(various, tmp_path / "out", 0).parent
    (out / "metadata").write_text("in the way")
    with pytest.raises(OSError, match="metadata"):
        crop(various, out, Finder())
    (out / "metadata").unlink()
    crop(various, out, again := Finder())
    assert again.seen == []
    assert files_in(out) == whole


def files_in_after(root: Path, out: Path) -> dict[str, bytes]:
    crop(root, out, Finder())
    return files_in(out)


def stopped(root: Path, out: Path, stop_at: int) -> Path:
    """The journal of a run that was stopped."""
    with pytest.raises(Stopped):
        crop(root, out, Finder(stop_at))
    return out / JOURNAL


def test_a_line_that_was_torn_is_done_again(various: Path, tmp_path: Path) -> None:
    whole = files_in_after(various, tmp_path / "whole")
    for n_bytes in (1, 40):
        out = tmp_path / f"out{n_bytes}"
        journal = stopped(various, out, 4)
        journal.write_bytes(journal.read_bytes()[:-n_bytes])
        stopped(various, out, 2)
        crop(various, out, again := Finder())
        assert len(again.seen) == 2
        assert files_in(out) == whole
    journal = stopped(various, out := tmp_path / "header", 0)
    journal.write_bytes(b'{"fo')
    crop(various, out, Finder())
    assert files_in(out) == whole


def test_what_changed_meanwhile_is_cut_again_and_leaves_nothing_behind(various: Path, tmp_path: Path) -> None:
    params, out = CropParams(size_px=32), tmp_path / "out"
    with pytest.raises(Stopped):
        crop(various, out, Finder(5), params)
    lines = (out / JOURNAL).read_bytes().splitlines(keepends=True)
    made = [out / json.loads(line)["path"] for line in lines[1:] if json.loads(line)["path"]]
    cut_from = [various / json.loads(line)["source"] for line in lines[1:] if json.loads(line)["path"]]
    made[0].write_bytes(b"damaged")
    made[1].unlink()
    cut_from[2].write_bytes(png_of(noise(24, 20, 77)))
    cut_from[3].unlink()
    (out / JOURNAL).write_bytes(b"".join(lines[:-1]))  # it was killed before the last line
    cut_from[4].write_bytes(png_of(noise(24, 20, 78)))
    (made[0].parent / f"{TEMPORARY_PREFIX}1-a").write_bytes(b"half")
    (made[0].parent / "own.png").write_bytes(b"not ours")
    crop(various, out, Finder(), params)
    crop(various, tmp_path / "whole", Finder(), params)
    (made[0].parent / "own.png").unlink()
    assert files_in(out) == files_in(tmp_path / "whole")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (CropParams(size_px=48, fallback="reject"), r"\(size_px 32, now 48\)"),
        (CropParams(margin=0.5, size_px=32), r"\(margin none, now 0.5, fallback reject, now center-top\)"),
    ],
)
def test_a_run_does_not_go_on_with_other_options(
    various: Path, tmp_path: Path, params: CropParams, message: str
) -> None:
    out = tmp_path / "out"
    stopped(various, out, 3)
    before = files_in(out)
    with pytest.raises(UsageError, match=f"unfinished run with other options {message}; give the same ones"):
        crop(various, out, Finder(), params)
    assert files_in(out) == before
    crop(various, stopped(various, tmp_path / "none", 0).parent, Finder(), params)  # it holds nothing yet


@pytest.mark.parametrize("name", ["detector", "decoder", "pillow"])
def test_a_run_does_not_go_on_with_another_version(
    various: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = importlib.metadata.version

    def run(version: str, stop_at: int | None = None) -> None:
        told = dict.fromkeys(("detector", "decoder", "pillow"), "1") | {name: version}
        monkeypatch.setattr(folders, "search_of", lambda method: told["detector"])
        monkeypatch.setattr(folders, "DECODER_VERSION", told["decoder"])
        monkeypatch.setattr("importlib.metadata.version", lambda package: told.get(package) or real(package))
        monkeypatch.setattr(folders, "faces_in", find := Finder(stop_at))
        crop(various, tmp_path / "out", find)

    with pytest.raises(Stopped):
        run("1", stop_at=3)
    with pytest.raises(UsageError, match=rf"with other options \({name} 1, now 2\); give the same ones"):
        run("2")
    run("1")
    assert not (tmp_path / "out" / JOURNAL).exists()


def test_a_journal_names_the_command_that_goes_on(various: Path, tmp_path: Path) -> None:
    journal = stopped(various, tmp_path / "out", 3)
    said = f"python -m collection crop {various} --out {tmp_path / 'out'}"
    assert command_of(journal) == f"{said} --fallback reject"
    out = tmp_path / "with blanks"
    with pytest.raises(Stopped):
        crop(various, out, Finder(3), CropParams("mtcnn", "central", 0.5))
    assert command_of(out / JOURNAL) == (
        f"python -m collection crop {various} --out '{out}' --method mtcnn --choice central --margin 0.5"
    )
    journal.write_bytes(b'{"fo')
    assert command_of(journal).startswith("python -m collection crop DIR --out ")
    with pytest.raises(
        MissingData, match=r"out holds a crop that is not finished; run: python -m collection"
    ):
        crop(tmp_path / "out", tmp_path / "again", Finder())


def test_one_run_at_a_time_writes_to_a_folder(various: Path, tmp_path: Path) -> None:
    with stopped(various, tmp_path / "out", 3).open() as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another run is writing to"):
            crop(various, tmp_path / "out", Finder())


def test_a_line_that_is_no_record_is_named(various: Path, tmp_path: Path) -> None:
    journal = stopped(various, tmp_path / "out", 3)
    lines = journal.read_bytes().splitlines(keepends=True)
    for line in (b"{}\n", b"[]\n", b"x\n"):
        journal.write_bytes(b"".join([lines[0], line, *lines[2:]]))
        with pytest.raises(DataError, match=f"{JOURNAL}, line 2: no record"):
            crop(various, tmp_path / "out", Finder())


VICTIM = """
import hashlib, sys, time
from pathlib import Path
from collection.crop import CropParams
from collection.crop.folders import crop_folder
from extractors.faces import FaceBox

def find(image, method):
    time.sleep(0.01)
    with open(sys.argv[3], "a") as told:
        told.write(hashlib.sha256(image.tobytes()).hexdigest() + "\\n")
    return [FaceBox(4, 4, 7.25, 6, 0.9)] if image[0, 0, 0] % 2 else []

crop_folder(Path(sys.argv[1]), Path(sys.argv[2]), params=CropParams(size_px=32), max_pixels=10_000, find=find)
"""


def test_a_run_that_is_killed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    n, root, rng = 60, tmp_path / "in", np.random.default_rng(0)
    for i in range(n):
        path = root / "images" / ("hero", "villain")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png_of(noise(24, 20, i)))

    def start(name: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-c",
            VICTIM,
            str(root),
            str(tmp_path / name),
            str(tmp_path / f"{name}.told"),
        ]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def told(name: str) -> list[str]:
        path = tmp_path / f"{name}.told"
        return path.read_text().split() if path.exists() else []

    whole = start("whole")
    assert whole.communicate()[1] == "", "nothing is shown where nobody looks"
    n_kills = 2
    for _ in range(n_kills):
        n_before, process = len(told("torn")), start("torn")
        while len(told("torn")) < n_before + 10:
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(rng.random() * 0.03)
        process.kill()
        process.communicate()
    n_told = len(told("torn"))
    kept = (tmp_path / "torn" / JOURNAL).read_bytes().splitlines(keepends=True)[1:]
    n_done = sum(line.endswith(b"\n") for line in kept)
    assert n_told - n_kills <= n_done <= n_told
    last = start("torn")
    assert last.communicate()[1] == ""
    assert last.returncode == 0
    assert len(told("torn")) - n_told == n - n_done, "what is done is asked for no more"
    assert sorted(set(told("torn"))) == sorted(told("whole"))
    assert files_in(tmp_path / "torn") == files_in(tmp_path / "whole")


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, collection.crop, collection.crop.folders, collection.crop.bias;"
        "print(sorted({'numpy', 'PIL', 'torch', 'scipy', 'animeface'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
