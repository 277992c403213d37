"""Full figures repeat, tell the truth about their faces, and leave the mugshots as they were."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from collection.demo import figure as figure_module
from collection.demo.body import Joint, below, limb, stance_of
from collection.demo.cast import draw_cast
from collection.demo.command import demo
from collection.demo.drawing import draw
from collection.demo.eyes import brow_top
from collection.demo.face import face_outline
from collection.demo.figure import HEIGHT_PX, WIDTH_PX, face_box, figure
from collection.demo.figures import FACES, write_figures
from collection.demo.look import look_of
from collection.demo.lower import CUTS
from collection.demo.outfit import dressed
from collection.demo.render import _pixels
from collection.demo.shapes import flattened, group, outline, path
from featurestore.errors import UsageError


def test_the_mugshots_are_drawn_as_before() -> None:
    digest = hashlib.sha256()
    for character in draw_cast(42, 60):
        drawing = draw(character)
        digest.update((drawing.ground + drawing.figure + drawing.overlay).encode())
    assert digest.hexdigest() == "f332ca3f63f8425cc8ff54490eb63f4c05be0d000fb541cc02a2a7dd7276db60"


def test_a_figure_is_drawn_on_its_canvas_and_its_face_is_in_it() -> None:
    image, face = figure(draw_cast(42, 20)[0])
    assert image.shape == (HEIGHT_PX, WIDTH_PX, 3)
    assert image.dtype == np.uint8
    again, same = figure(draw_cast(42, 20)[0])
    assert np.array_equal(image, again)
    assert face == same == face_box(draw_cast(42, 20)[0])


def test_every_face_lies_in_the_picture_at_varied_places_and_sizes() -> None:
    boxes = [face_box(character) for character in draw_cast(5, 300)]
    for box in boxes:
        assert 0 < box.x < box.x + box.width < WIDTH_PX
        assert 0 < box.y < box.y + box.height < HEIGHT_PX / 2 + 60
        assert 50 < box.width < 130
        assert 0.7 < box.width / box.height < 1.6
    assert np.std([box.x + box.width / 2 for box in boxes]) > 50
    assert np.std([box.width for box in boxes]) > 10


def test_every_figure_shows_at_least_its_knees() -> None:
    for character in draw_cast(5, 300):
        look = figure_module._slender(look_of(character))
        stance = stance_of(look)
        place = figure_module._placed(look, stance)
        assert place.y + stance.knee_y * place.scale < HEIGHT_PX


@pytest.mark.parametrize("number", [0, 3, 7, 11])
def test_the_box_is_that_of_the_outline_as_it_is_painted(number: int) -> None:
    character = draw_cast(11, 20)[number]
    look = figure_module._slender(look_of(character))
    stance = stance_of(look)
    place = figure_module._placed(look, stance)
    top = brow_top(look)
    clip = f'<clipPath id="c"><rect x="0" y="{top}" width="256" height="256"/></clipPath>'
    face = clip + group(path(outline(face_outline(look)), "#f00"), 'clip-path="url(#c)"')
    turned = group(face, f'transform="rotate({look.build.tilt:.2f} 128 190)"')
    lean = f"rotate({stance.lean:.2f} 128 450)"
    at = f'transform="translate({place.x:.2f} {place.y:.2f}) scale({place.scale:.4f}) {lean}"'
    alpha = np.asarray(_pixels(figure_module._document(group(turned, at))))[..., 3] > 127
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    box = face_box(character)
    painted = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert painted == pytest.approx((box.x, box.y, box.x + box.width, box.y + box.height), abs=1.2)


def test_role_and_factors_move_neither_pose_nor_place() -> None:
    for plain, moved in zip(draw_cast(3, 20), draw_cast(3, 20, {"aura": 2.0, "scars": 2.0}), strict=True):
        assert stance_of(look_of(plain)) == stance_of(look_of(moved))
        assert face_box(plain) == face_box(moved)


def test_all_cuts_of_clothes_are_worn_and_ids_are_unique() -> None:
    import re

    looks = [look_of(character) for character in draw_cast(8, 60)]
    bodies = [dressed(look, stance_of(look)) for look in looks]
    marks = {
        "trousers": "trousers0",
        "skirt": "skirt0",
        "shorts": "shorts0",
        "coat": "tails0",
        "robe": "robe0",
    }
    assert set(marks) == set(CUTS)
    for mark in marks.values():
        assert any(f'id="{mark}"' in body for body in bodies)
    for body in bodies:
        names = re.findall(r'id="(\w+)"', body)
        assert len(names) == len(set(names))


def test_points_along_an_outline_lie_on_it() -> None:
    square = [(0.0, 0.0, 0.0), (10.0, 0.0, 0.0), (10.0, 10.0, 1.0), (0.0, 10.0, 0.0)]
    points = flattened(square)
    assert {(0, 0), (10, 0), (0, 10)} <= {(round(x), round(y)) for x, y in points}
    assert max(x + y for x, y in points) == pytest.approx(17.5)  # the rounded corner is cut half way


def test_a_limb_is_as_wide_as_its_joints_and_ends_where_it_is_cut() -> None:
    joints: list[Joint] = [(0, 0, 4), (0, 10, 2)]
    assert sorted((round(x), round(y)) for x, y, _ in limb(joints)) == [(-4, 0), (-2, 10), (2, 10), (4, 0)]
    assert below(joints, 5) == [(0, 5, 3), (0, 10, 2)]
    assert below(joints, 20) == joints


def test_figures_are_written_with_a_table_of_their_true_faces(tmp_path: Path) -> None:
    cast = draw_cast(42, 20)[:2]
    write_figures(cast, tmp_path / "out")
    with (tmp_path / "out" / FACES).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"images/{one.label}/c{one.number:03d}.png" for one in cast]
    for row, one in zip(rows, cast, strict=True):
        image, face = figure(one)
        written = [float(row[name]) for name in ("x", "y", "width", "height")]
        assert written == pytest.approx([face.x, face.y, face.width, face.height], abs=0.051)
        data = (tmp_path / "out" / row["file"]).read_bytes()
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), image)
    characters = (tmp_path / "out" / "metadata" / "characters.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in characters[1:]] == [row["file"] for row in rows]
    with pytest.raises(UsageError, match="not empty"):
        write_figures(cast, tmp_path / "out")


@pytest.mark.slow
def test_the_command_draws_figures_whatever_the_workers(tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        (line,) = demo(seed=1, n=20, out=tmp_path / name, figures=True, workers=workers)
        assert "20 full figures of" in line
    first, second = (
        {str(file.relative_to(tmp_path / name)): file.read_bytes() for file in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    )
    assert first == second
    assert len(first) == 23
