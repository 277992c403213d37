"""The demo cast: its model is the documented one, its drawing repeats, its options refuse what they must."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from collection.__main__ import main
from collection.demo import cast as cast_module
from collection.demo import factors
from collection.demo.cast import Character, draw_cast
from collection.demo.drawing import SIZE_PX, draw
from collection.demo.render import COLUMNS, encode, file_name, paint, write_cast
from collection.demo.sheet import contact_sheet, factor_sheet
from featurestore.console import run

DOCS = Path(__file__).parents[1] / "docs" / "demo-cast.md"


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata" / "characters.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "data"
    assert run(main, ["demo", "--n", "20", "--out", str(out), "--workers", "2"]) == 0
    return out


@pytest.fixture(scope="module")
def full() -> tuple[Character, ...]:
    return draw_cast(42, 300)


# --- the model


def test_the_documented_effects_are_those_of_the_code() -> None:
    table = re.findall(r"^\| `(\w+)` \| ([−+]?[\d.]+) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: float(value.replace("−", "-")) for name, value in table} == dict(factors.EFFECTS)


def test_the_documented_bayes_accuracy_is_what_the_function_gives() -> None:
    (written,) = re.findall(r"Bayes accuracy: \*\*([\d.]+)\*\*", DOCS.read_text(encoding="utf-8"))
    assert written == f"{factors.bayes_accuracy():.3f}"
    assert 0.85 <= factors.bayes_accuracy() <= 0.90


def test_the_bayes_accuracy_agrees_with_a_simulation_of_the_mixture() -> None:
    rng = np.random.default_rng(0)
    n, d = 200_000, len(factors.FACTORS)
    means = {role: np.array([factors.mean(role, name) for name in factors.FACTORS]) for role in factors.ROLES}
    anti = rng.random(n) < factors.ANTIHERO_SHARE
    hero = means["hero"] + rng.standard_normal((n, d))
    other = np.where(anti[:, None], means["antihero"], means["villain"]) + rng.standard_normal((n, d))
    values = np.concatenate([hero, other])

    def density(role: str) -> np.ndarray:
        return np.exp(-0.5 * ((values - means[role]) ** 2).sum(axis=1))

    villains = (1 - factors.ANTIHERO_SHARE) * density("villain")
    says_villain = villains + factors.ANTIHERO_SHARE * density("antihero") > density("hero")
    right = np.concatenate([~says_villain[:n], says_villain[n:]])
    assert right.mean() == pytest.approx(factors.bayes_accuracy(), abs=0.003)


def test_eye_openness_is_the_planted_null() -> None:
    assert factors.EFFECTS["eye_openness"] == 0
    assert [name for name, effect in factors.EFFECTS.items() if effect == 0] == ["eye_openness"]


def test_antiheroes_lie_between_heroes_and_villains() -> None:
    for name, effect in factors.EFFECTS.items():
        if effect:
            hero, anti, villain = (factors.mean(role, name) for role in ("hero", "antihero", "villain"))
            assert min(hero, villain) < anti < max(hero, villain)


# --- the cast


@pytest.mark.parametrize("n", [20, 22, 300, 1000])
def test_exactly_half_are_heroes(n: int) -> None:
    assert Counter(one.label for one in draw_cast(7, n)) == {"hero": n // 2, "villain": n // 2}


@pytest.mark.parametrize("n", [20, 22, 300, 1000])
def test_every_series_has_three_to_eight_pictures(n: int) -> None:
    sizes = Counter(one.series.name for one in draw_cast(7, n)).values()
    assert 3 <= min(sizes) <= max(sizes) <= 8
    assert n != 300 or len(sizes) >= 40


def test_series_differ_in_their_share_of_heroes(full: tuple[Character, ...]) -> None:
    by_series: dict[str, list[bool]] = {}
    for one in full:
        by_series.setdefault(one.series.name, []).append(one.role == "hero")
    shares = [sum(heroes) / len(heroes) for heroes in by_series.values()]
    assert sum(share >= 0.8 for share in shares) >= 10
    assert sum(share <= 0.2 for share in shares) >= 10
    assert sum(0.2 < share < 0.8 for share in shares) >= 15


def test_the_drawn_factors_have_the_effects_that_are_written_down() -> None:
    people = draw_cast(3, 4000)
    for name, effect in factors.EFFECTS.items():
        values = {role: [one.factors[name] for one in people if one.role == role] for role in factors.ROLES}
        assert np.mean(values["villain"]) - np.mean(values["hero"]) == pytest.approx(effect, abs=0.12)
        assert np.std(values["hero"]) == pytest.approx(1, abs=0.06)


def test_names_and_file_names_are_distinct_and_tell_nothing_of_role(full: tuple[Character, ...]) -> None:
    assert len({one.name for one in full}) == len({file_name(one) for one in full}) == 300
    assert all(re.fullmatch(r"c\d{3}\.(jpg|png|webp)", file_name(one)) for one in full)
    numbers = np.array([one.number for one in full])
    heroes = np.array([one.label == "hero" for one in full])
    assert abs(np.corrcoef(numbers, heroes)[0, 1]) < 0.2


def test_format_and_quality_come_from_streams_that_know_no_role(
    full: tuple[Character, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cast_module.factors, "mean", lambda role, factor: 0.0)
    monkeypatch.setattr(
        cast_module, "_draw_roles", lambda rng, series: ["hero", "villain"] * (len(series) // 2)
    )
    shuffled = draw_cast(42, 300)
    assert [one.role for one in shuffled] != [one.role for one in full]
    assert [file_name(one) for one in shuffled] == [file_name(one) for one in full]
    image = Image.new("RGB", (16, 16), "#336699")
    assert [encode(one, image) for one in shuffled[:9]] == [encode(one, image) for one in full[:9]]


# --- moving a factor


def test_a_moved_factor_moves_nothing_else_of_the_cast() -> None:
    before, after = draw_cast(42, 40), draw_cast(42, 40, {"aura": 1.5})
    for old, new in zip(before, after, strict=True):
        assert new.factors["aura"] == pytest.approx(old.factors["aura"] + 1.5, abs=1e-9)
        assert {**new.factors, "aura": 0} == {**old.factors, "aura": 0}
        assert (new.name, new.role, new.series, file_name(new)) == (
            old.name,
            old.role,
            old.series,
            file_name(old),
        )


def test_a_move_of_zero_draws_the_same_pictures() -> None:
    before, after = draw_cast(42, 20), draw_cast(42, 20, {"scars": 0.0})
    assert [draw(one) for one in before] == [draw(one) for one in after]


def test_moving_aura_leaves_the_figure_untouched() -> None:
    for old, new in zip(draw_cast(5, 20), draw_cast(5, 20, {"aura": 2.0}), strict=True):
        assert draw(new).figure == draw(old).figure
        assert draw(new).halo > draw(old).halo


def measured(image: Image.Image) -> dict[str, float]:
    rgb = np.asarray(image, dtype=float)
    grey, centre = rgb.mean(axis=2), rgb[90:190, 70:186]
    red = (centre[..., 0] - centre[..., 1] > 70) & (centre[..., 0] - centre[..., 2] > 60)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
    distance = np.hypot(x - SIZE_PX / 2, y - SIZE_PX / 2)
    ring = (distance > 95) & (distance < 122) & (y < 190)
    return {
        "palette_warmth": float((rgb[..., 0] - rgb[..., 2]).mean()),
        "line_sharpness": float(np.abs(np.diff(grey, n=2, axis=1)).mean()),
        "shadow_density": -float(grey.mean()),
        "saturation": float((rgb.max(axis=2) - rgb.min(axis=2)).mean()),
        "aura": -float(grey[ring].mean()),
        "scars": float(red.mean()),
        "eye_openness": float(grey[120:165, 85:171].std()),
        "angularity": 0.0,
    }


@pytest.mark.parametrize("name", [name for name in factors.FACTORS if name != "angularity"])
def test_each_factor_shows_in_the_picture(name: str) -> None:
    low, high = (draw_cast(1, 20, {name: delta})[:4] for delta in (-2.0, 2.0))
    changes = [measured(paint(b))[name] - measured(paint(a))[name] for a, b in zip(low, high, strict=True)]
    assert np.mean(changes) > 0
    assert sum(change >= 0 for change in changes) >= 3


def test_angularity_sharpens_the_corners_of_the_drawing() -> None:
    low, high = (draw_cast(1, 20, {"angularity": delta})[0] for delta in (-2.0, 2.0))
    assert draw(low).figure != draw(high).figure
    assert np.abs(np.asarray(paint(high), float) - np.asarray(paint(low), float)).mean() > 3


# --- the files


def test_the_same_command_gives_the_same_bytes_whatever_the_hash_seed_and_workers(
    small: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "error", "-m", "collection", "demo", "--n", "20", "--workers", "1"]
    again = subprocess.run(
        [*command, "--out", str(tmp_path / "again")],
        env={**os.environ, "PYTHONHASHSEED": "123"},
        cwd=DOCS.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert digests(tmp_path / "again") == digests(small)


def test_the_metadata_names_every_picture_once(small: Path) -> None:
    table = rows(small)
    assert tuple(table[0]) == COLUMNS
    assert sorted(row["file"] for row in table) == [
        name for name in digests(small) if name.startswith("images/")
    ]
    for row in table:
        label = Path(row["file"]).parts[1]
        assert factors.ROLES[row["role"]] == label
        assert all(np.isfinite(float(row[name])) for name in factors.FACTORS)


def test_pictures_are_square_rgb_and_small(small: Path) -> None:
    sizes = []
    for name in digests(small):
        if name.startswith("images/"):
            data = (small / name).read_bytes()
            with Image.open(io.BytesIO(data)) as image:
                assert image.size == (SIZE_PX, SIZE_PX)
                assert image.mode == "RGB"
            sizes.append(len(data))
    assert np.mean(sizes) < 6_000_000 / 300 * 1.2


def test_force_replaces_the_old_cast_and_leaves_other_files(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    stale = out / "images" / "hero" / "stale.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"old")
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    write_cast(draw_cast(42, 20), out, force=True)
    found = digests(out)
    assert "images/hero/stale.png" not in found
    assert found.pop("notes.txt")
    assert found == digests(small)


def test_the_contact_sheet_shows_heroes_left_and_others_right() -> None:
    sheet = contact_sheet(draw_cast(42, 20), columns=4, rows=2)
    assert sheet.width > sheet.height > 2 * 128


def test_the_factor_sheet_has_a_row_for_each_factor() -> None:
    sheet = factor_sheet(draw_cast(42, 20)[0], steps=(0,))
    assert sheet.height > len(factors.FACTORS) * 128


# --- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--move", "evil=1"], "no factor 'evil'; one of: " + ", ".join(factors.FACTORS)),
        (["--move", "aura"], "give standard deviations"),
        (["--move", "aura=nan"], "give standard deviations"),
        (["--move", "aura=1", "--move", "aura=2"], "named twice"),
        (["--n", "21"], "even"),
        (["--n", "18"], "at least 20"),
        (["--seed", "-1"], "--seed -1"),
        (["--workers", "0"], "--workers 0"),
        (["--sheet", "sheet.gif"], ".png"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, ["demo", "--n", "20", "--out", str(tmp_path / "data"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert run(main, ["demo", "--n", "20", "--out", str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert digests(tmp_path).keys() == {"mine.txt"}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from collection.__main__ import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['demo', '--help'])\n"
        "print(sorted({'numpy', 'PIL', 'resvg_py'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=DOCS.parents[1], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
