"""Curation: what is flagged, what is decided, and that a decision outlives the picture's name."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import os
import re
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, encoded, picture
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from collection.__main__ import main
from collection.curation import captions
from collection.curation.captions import font_of, has_font, lines_of
from collection.curation.command import faceless, original_sides, report, review
from collection.curation.decisions import ACCEPTED, LabelRows, Standing, change_decisions, read_decisions
from collection.curation.pictures import Picture, Survey, survey
from collection.curation.quality import FLAGS, Flag, Thresholds, flags_of, measure
from collection.curation.session import Session
from collection.curation.sheets import TABLE
from collection.curation.twins import Likeness, nearest_twins, twin_flags
from collection.demo.cast import draw_cast
from collection.demo.render import paint
from collection.progress import told
from featurestore.duplicates import near_duplicate_clusters, perceptual_hash
from featurestore.errors import DataError, LabelConflict, MetadataError, MissingData, UsageError
from featurestore.files import Disk, replaced_disk
from featurestore.index import Index, build_index
from featurestore.metadata import LABELS, Names, escape_path
from featurestore.params import load_params
from featurestore.rejections import REJECTED
from featurestore.scan import IndexOptions, scan

HERO0, HERO1 = "images/hero/series0/hero0.png", "images/hero/series1/hero1.png"
VILLAIN0 = "images/villain/series0/villain0.png"


@pytest.fixture(scope="module")
def drawn() -> Image.Image:
    """A character of the demo cast."""
    return paint(draw_cast(42, 20)[0]).convert("RGB")


def names_of(image: Image.Image, **limits: object) -> list[str]:
    made = measure(np.asarray(image.convert("RGB")))
    return [flag.name for flag in flags_of("a.png", made, Thresholds(**limits))]


def lettered(image: Image.Image, *, ink: str = "black", ground: str = "white") -> Image.Image:
    """The picture with four lines of words over its upper part."""
    made = image.copy()
    pen, font = ImageDraw.Draw(made), ImageFont.load_default(15)
    pen.rectangle([0, 0, made.width, 100], fill=ground)
    for i in range(4):
        pen.text((6, 8 + i * 22), "words that stand here in a row", fill=ink, font=font)
    return made


def key_of(root: Path, file: str) -> str:
    return hashlib.sha256((root / file).read_bytes()).hexdigest()


def session(root: Path, *, blind: bool = False) -> Session:
    return Session(survey(root, workers=1), blind=blind)


def index(root: Path) -> Index:
    return build_index(scan(root, IndexOptions()), IndexOptions())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def named(root: Path, *people: tuple[str, str, str]) -> None:
    """Name characters: file, character and series of each."""
    (root / "metadata").mkdir(exist_ok=True)
    with (root / "metadata/characters.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "character", "series"), *people])


def flags(found: Survey, file: str) -> dict[str, Flag]:
    return {flag.name: flag for one in found.pictures for flag in one.flags if flag.file == file}


# What is flagged


def test_a_drawing_has_no_flag(drawn: Image.Image) -> None:
    assert names_of(drawn) == []


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (lambda image: image.filter(ImageFilter.GaussianBlur(3)), "blurred"),
        (lambda image: image.resize((48, 48)).resize((256, 256), Image.Resampling.BICUBIC), "blurred"),
        (lambda image: Image.new("RGB", image.size, (200, 180, 170)), "blank"),
        (lambda image: image.resize((127, 127)), "tiny"),
        (lambda image: image.resize((256, 640)), "shape"),
        (lettered, "text"),
        (lambda image: lettered(image).rotate(90), "text"),
        (lambda image: lettered(image, ink="yellow", ground="navy"), "text"),
    ],
    ids=["blurred", "enlarged", "blank", "tiny", "long", "text", "columns_of_text", "light_on_dark"],
)
def test_each_fault_is_flagged_by_its_name_alone(
    drawn: Image.Image, harm: Callable[[Image.Image], Image.Image], name: str
) -> None:
    assert names_of(harm(drawn)) == [name]


def test_a_flag_tells_what_was_measured_and_the_limit_is_the_callers(drawn: Image.Image) -> None:
    made = measure(np.asarray(drawn.filter(ImageFilter.GaussianBlur(3))))
    [flag] = flags_of("a.png", made, Thresholds())
    assert (flag.value, flag.limit, flag.other) == (made.sharpness, 30.0, "")
    assert flags_of("a.png", made, Thresholds(sharpness=0.1)) == []


def test_the_limits_are_those_of_the_page() -> None:
    page = (ROOT / "docs/curation.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| (?:below|above|at most \S+) (\d+(?:\.\d+)?)", page, re.M))
    limits = Thresholds()
    assert {name: float(limit) for name, limit in told.items()} == {
        "blank": limits.blank_sd,
        "blurred": limits.sharpness,
        "tiny": limits.side_px,
        "text": limits.text_share,
        "shape": limits.elongation,
        "near_duplicate": limits.distance,
    }


def test_tiny_speaks_of_what_the_picture_was_cut_from(drawn: Image.Image) -> None:
    made = measure(np.asarray(drawn))
    assert flags_of("a.png", made, Thresholds(), original_px=80) == [Flag("a.png", "tiny", 80, 128)]
    assert flags_of("a.png", made, Thresholds(), original_px=128) == []


def test_textures_are_no_text() -> None:
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8))
    stripes = Image.fromarray(np.tile(np.repeat([0, 255], 8).astype(np.uint8), (256, 16))).convert("RGB")
    assert names_of(noise) == names_of(stripes) == []


@pytest.mark.parametrize("size", [(16, 16), (16, 900), (900, 16), (1, 1), (2, 700)])
def test_any_size_can_be_measured(size: tuple[int, int]) -> None:
    assert measure(picture(1, size)).elongation == max(size) / min(size)


def test_twins_are_found_within_and_across_labels() -> None:
    def like(file: str, label: str, key: str, pixels: str, phash: int) -> Likeness:
        return Likeness(file, label, key, pixels, phash)

    found = twin_flags(
        [
            like("a", "hero", "k1", "p1", 0),
            like("b", "hero", "k1", "p1", 0),
            like("c", "villain", "k2", "p1", 0),
            like("d", "villain", "k3", "p3", 0b111),
            like("e", "villain", "k4", "p4", 1 << 40),
            like("f", "villain", "k5", "p5", 0xFFFF << 20),
        ],
        distance=4,
    )
    told = {(flag.file, flag.name): (flag.value, flag.other) for flag in found}
    assert told == {
        ("a", "same_bytes"): (0, "b"),
        ("b", "same_bytes"): (0, "a"),
        ("a", "same_pixels_across"): (0, "c"),
        ("b", "same_pixels_across"): (0, "c"),
        ("c", "same_pixels_across"): (0, "a"),
        ("c", "near_duplicate"): (1, "e"),
        ("d", "near_duplicate"): (3, "c"),
        ("d", "near_duplicate_across"): (3, "a"),
        ("e", "near_duplicate"): (1, "c"),
        ("e", "near_duplicate_across"): (1, "a"),
    }
    assert all(flag.name in FLAGS for flag in found)


def test_for_those_who_must_not_know_labels_each_file_has_one_twin() -> None:
    def like(file: str, label: str, key: str, pixels: str, phash: int) -> Likeness:
        return Likeness(file, label, key, pixels, phash)

    files = [
        like("a", "hero", "k9", "p1", 0),
        like("b", "villain", "k9", "p1", 0),
        like("c", "villain", "k2", "p1", 0),
        like("d", "hero", "k1", "p4", 0b11),
        like("e", "hero", "k3", "p5", 0b1),
        like("f", "villain", "k4", "p6", 0b111),
        like("g", "villain", "k5", "p7", 0xFFFF << 20),
    ]
    found = nearest_twins(files, distance=4)
    assert {file: (flag.name, flag.value, flag.other) for file, flag in found.items()} == {
        "a": ("same_bytes", 0, "b"),
        "b": ("same_bytes", 0, "a"),
        "c": ("same_pixels", 0, "a"),
        "d": ("near_duplicate", 1, "e"),
        "e": ("near_duplicate", 1, "d"),  # as near as c, a and b: the key is smaller
        "f": ("near_duplicate", 1, "d"),
    }
    swapped = [like(f.file, f.label[::-1], f.key, f.pixels, f.phash) for f in files[::-1]]
    assert nearest_twins(swapped, distance=4).keys() == found.keys()


def test_near_is_what_the_index_calls_near(drawn: Image.Image) -> None:
    hashes = [perceptual_hash(np.asarray(drawn.rotate(turn))) for turn in (0, 1, 2, 3, 20)]
    files = [Likeness(f"{i}", "hero", f"{i}", f"{i}", h) for i, h in enumerate(hashes)]
    clusters = near_duplicate_clusters(hashes, 4)
    in_cluster = {f"{i}" for i, one in enumerate(clusters) if clusters.count(one) > 1}
    assert {flag.file for flag in twin_flags(files, distance=4)} == in_cluster
    assert twin_flags(files, distance=None) == []


def test_the_command_calls_near_what_params_yaml_calls_near(workspace: Path, drawn: Image.Image) -> None:
    pair = [np.asarray(drawn), np.asarray(drawn.rotate(8))]
    for name, pixels in zip("ab", pair, strict=True):
        (workspace / f"data/images/hero/{name}.png").write_bytes(encoded(pixels))
    n_bits = (perceptual_hash(pair[0]) ^ perceptual_hash(pair[1])).bit_count()
    assert n_bits > Thresholds().distance
    params = workspace / "params.yaml"
    for distance, expected in ((n_bits, "near_duplicate"), (n_bits - 1, "")):
        text = re.sub(r"(near_duplicate_distance:).*", rf"\1 {distance}", params.read_text())
        params.write_text(text)
        assert load_params().data.near_duplicate_distance == distance
        assert main(["review", "--sheets", f"sheets{distance}"]) == 0
        said = {row["file"]: row["flags"] for row in rows(workspace / f"sheets{distance}" / TABLE)}
        assert {said[f"images/hero/{name}.png"] for name in "ab"} == {expected}


def test_a_survey_flags_files_and_goes_on_past_what_it_cannot_read(data: Path) -> None:
    (data / "images/hero/series0/copy.png").write_bytes((data / HERO0).read_bytes())
    (data / "images/villain/series0/again.bmp").write_bytes(encoded(picture(1), "BMP"))
    (data / "images/hero/series0/torn.png").write_bytes((data / HERO1).read_bytes()[:-40])
    (data / "images/hero/series0/empty.png").write_bytes(b"")
    found = survey(data, workers=2)
    assert flags(found, HERO0)["same_bytes"].other == "images/hero/series0/copy.png"
    assert flags(found, HERO1)["same_pixels_across"].other == "images/villain/series0/again.bmp"
    assert flags(found, "images/hero/series0/torn.png")["unreadable"].other.startswith("corrupt: ")
    assert [len(one.files) for one in found.pictures if HERO0 in one.files] == [2]
    assert found.labels == ("hero", "villain")
    assert len(found.pictures) == 26  # an empty file has no key to decide by


def test_a_long_look_tells_how_far_it_is(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO)
    survey(data, workers=1)
    assert caplog.messages == [f"{data}: 24 pictures to look at"]
    caplog.clear()
    assert list(told("abc", 3, name="review", where="here", every_s=0)) == ["a", "b", "c"]
    assert caplog.messages == ["here: 1 of 3 pictures", "here: 2 of 3 pictures"]
    assert capsys.readouterr().err == ""
    caplog.clear()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    survey(data, workers=1)
    assert "review: 100%" in capsys.readouterr().err


# What is decided


def test_decisions_are_written_at_once_and_read_again(data: Path) -> None:
    made = session(data)
    made.decide(key_of(data, HERO0), "accept")
    made.decide(key_of(data, HERO1), "reject", reason="  no\n face ")
    made.decide(key_of(data, VILLAIN0), "relabel", label="hero")
    assert rows(data / REJECTED) == [{"key": key_of(data, HERO1), "file": HERO1, "reason": "no face"}]
    assert rows(data / LABELS) == [{"file": VILLAIN0, "label": "hero", "key": key_of(data, VILLAIN0)}]
    assert {row["file"] for row in rows(data / ACCEPTED)} == {HERO0, VILLAIN0}
    again = {card.files[0]: (card.verdict, card.label) for card in session(data).cards()}
    assert (again[HERO0], again[HERO1], again[VILLAIN0]) == (
        ("accepted", ""),
        ("rejected", ""),
        ("accepted", "hero"),
    )


def test_the_index_obeys(data: Path) -> None:
    made = session(data)
    made.decide(key_of(data, HERO1), "reject")
    made.decide(key_of(data, VILLAIN0), "relabel", label="hero")
    by_path = {row.path: row.label for row in index(data).rows}
    assert HERO1 not in by_path
    assert by_path[VILLAIN0] == "hero"
    assert len(by_path) == 23


def test_a_decision_holds_under_another_name_and_while_the_picture_is_away(data: Path) -> None:
    made = session(data)
    made.decide(key_of(data, HERO1), "reject")
    made.decide(key_of(data, VILLAIN0), "relabel", label="hero")
    away = data / "away.png"
    (data / VILLAIN0).rename(away)
    assert len(index(data).rows) == 22
    new = "images/villain/back again.png"
    away.rename(data / new)
    (data / HERO1).rename(data / "images/hero/other.png")
    by_path = {row.path: row.label for row in index(data).rows}
    assert by_path[new] == "hero"
    assert "images/hero/other.png" not in by_path
    cards = {card.files[0]: card for card in session(data).cards()}
    assert cards[new].label == "hero"
    assert cards["images/hero/other.png"].verdict == "rejected"


def test_a_label_does_not_pass_to_other_bytes_of_the_same_name(data: Path) -> None:
    session(data).decide(key_of(data, VILLAIN0), "relabel", label="hero")
    (data / VILLAIN0).write_bytes(encoded(picture(4321)))
    assert {row.path: row.label for row in index(data).rows}[VILLAIN0] == "villain"
    assert next(card for card in session(data).cards() if VILLAIN0 in card.files).label == ""


def test_the_same_bytes_in_two_classes_get_one_label(data: Path) -> None:
    copy = data / "images/villain/series0/copy.png"
    copy.write_bytes((data / HERO0).read_bytes())
    with pytest.raises(LabelConflict):
        index(data)
    made = session(data)
    made.decide(key_of(data, HERO0), "relabel", label="hero")
    assert {row.path: row.label for row in index(data).rows}[HERO0] == "hero"
    third = data / "images/villain/series1/copy.png"
    third.write_bytes(copy.read_bytes())
    with pytest.raises(LabelConflict):
        index(data)
    session(data).decide(key_of(data, HERO0), "relabel", label="hero")
    index(data)


def test_undo_takes_back_step_by_step_and_leaves_no_file_behind(data: Path) -> None:
    made, key = session(data), key_of(data, HERO0)
    made.decide(key, "accept")
    made.decide(key, "relabel", label="villain")
    made.decide(key, "reject", reason="=1+1")
    made.decide(key, "clear")
    expected = [
        ("rejected", "villain", "=1+1"),
        ("accepted", "villain", ""),
        ("accepted", "", ""),
        ("", "", ""),
    ]
    for standing in expected:
        card = made.undo()
        assert card is not None
        assert (card.verdict, card.label, card.reason) == standing
    assert made.undo() is None
    assert not [name for name in (REJECTED, LABELS, ACCEPTED) if (data / name).exists()]


def test_undo_leaves_what_somebody_else_decided_since(data: Path) -> None:
    one, other = session(data), session(data)
    key, before = key_of(data, HERO0), key_of(data, HERO1)
    one.decide(before, "accept")
    one.decide(key, "reject", reason="text")
    other.decide(key, "reject", reason="a watermark")
    with pytest.raises(UsageError, match=r"No\. 1 was decided anew elsewhere, and that stays; reload"):
        one.undo()
    assert read_decisions(data).of(one.picture(key)) == Standing("rejected", "", "a watermark")
    card = one.undo()
    assert card is not None
    assert card.key == before
    assert one.undo() is None
    other.undo()
    assert read_decisions(data).of(one.picture(key)) == Standing("rejected", "", "text")


def _commented(root: Path) -> tuple[str, str]:
    """Two decisions with columns of somebody's own; the keys of the pictures."""
    rejected, labelled = key_of(root, HERO0), key_of(root, VILLAIN0)
    (root / "metadata").mkdir()
    (root / REJECTED).write_text(f"key,file,reason,who,when\n{rejected},{HERO0},text,anna,2020\n")
    (root / LABELS).write_text(f"file,label,who\n{VILLAIN0},hero,ben\n")
    return rejected, labelled


def test_further_columns_stay_when_it_is_decided_anew(data: Path) -> None:
    rejected, labelled = _commented(data)
    made = session(data)
    made.decide(rejected, "reject", reason="blurred")
    assert rows(data / REJECTED)[0] | {"key": ""} == {
        "key": "",
        "file": HERO0,
        "reason": "blurred",
        "who": "anna",
        "when": "2020",
    }
    made.decide(rejected, "accept")
    assert rows(data / ACCEPTED) == [{"key": rejected, "file": HERO0, "who": "anna", "when": "2020"}]
    (data / "images/villain/copy.png").write_bytes((data / VILLAIN0).read_bytes())
    session(data).decide(labelled, "relabel", label="hero")
    assert [(row["file"], row["label"], row["who"]) for row in rows(data / LABELS)] == [
        ("images/villain/copy.png", "hero", "ben"),
        (VILLAIN0, "hero", "ben"),
    ]


@pytest.mark.parametrize("action", ["accept", "clear", "relabel"])
def test_undo_brings_lines_back_with_their_further_columns(data: Path, action: str) -> None:
    rejected, labelled = _commented(data)
    before = _filled(data / REJECTED), _filled(data / LABELS)
    made = session(data)
    for key in (rejected, labelled):
        made.decide(key, action, label="villain" if action == "relabel" else "")
    assert made.undo()
    assert made.undo()
    assert (_filled(data / REJECTED), _filled(data / LABELS)) == before
    assert not (data / ACCEPTED).exists()


def _filled(path: Path) -> list[dict[str, str]]:
    """Rows without their empty cells: a table that had another row meanwhile has its columns too."""
    return [{name: text for name, text in row.items() if text} for row in rows(path)]


def test_equal_decisions_are_equal_bytes_in_any_order(data: Path, tmp_path: Path) -> None:
    made = session(data)
    files = [one.key for one in made.pictures[:6]]
    written = []
    for order in (files, files[::-1]):
        for key in order:
            made.decide(key, "reject", reason="x")
        written.append((data / REJECTED).read_bytes())
        for key in order:
            made.decide(key, "clear")
    assert written[0] == written[1]


@pytest.mark.parametrize("blind", [False, True])
def test_a_flag_is_settled_once_the_picture_that_it_is_like_is_rejected(data: Path, blind: bool) -> None:
    again = "images/villain/again.bmp"
    (data / again).write_bytes(encoded(picture(0), "BMP"))
    made = session(data, blind=blind)
    keys = {key_of(data, file): file for file in (HERO0, again)}

    def settled() -> set[tuple[str, str]]:
        told = {
            (keys.get(card.key, ""), hint.name)
            for card in made.cards()
            for hint in card.hints
            if hint.settled
        }
        return {(file, name.removesuffix("_across")) for file, name in told}

    assert settled() == set()
    made.decide(key_of(data, again), "reject")
    assert settled() == {(HERO0, "same_pixels")}
    made.decide(key_of(data, again), "accept")
    assert settled() == set()


def test_a_reason_that_a_spreadsheet_would_compute_stays_a_text(data: Path) -> None:
    made, key = session(data), key_of(data, HERO0)
    made.decide(key, "reject", reason="=cmd|'/c calc'!A0")
    made.decide(key_of(data, HERO1), "reject", reason="\x1b[31m" + "x" * 500)
    by_key = {row["key"]: row["reason"] for row in rows(data / REJECTED)}
    assert by_key[key] == "'=cmd|'/c calc'!A0"
    assert by_key[key_of(data, HERO1)].startswith("\\x1b[31mx")
    assert len(by_key[key_of(data, HERO1)]) == 200
    assert next(card for card in made.cards() if card.key == key).reason == "=cmd|'/c calc'!A0"


def test_without_a_reason_the_flags_are_the_reason(data: Path) -> None:
    made = session(data)
    assert made.decide(key_of(data, HERO0), "reject").reason == "blurred, tiny"
    (data / "images/hero/large.png").write_bytes(encoded(picture(77, (300, 300))))
    assert session(data).decide(key_of(data, "images/hero/large.png"), "reject").reason == "by eye"


def test_what_others_wrote_in_the_meantime_is_kept(data: Path) -> None:
    one, other = session(data), session(data)
    one.decide(key_of(data, HERO0), "reject")
    other.decide(key_of(data, HERO1), "reject")
    with (data / REJECTED).open("a") as stream:
        stream.write(f"{'a' * 64},gone.png,by hand\n")
    (data / LABELS).write_text(f'file,label,note\n{VILLAIN0},hero,"written, by hand"\n')
    one.decide(key_of(data, HERO0), "relabel", label="villain")
    assert {row["key"] for row in rows(data / REJECTED)} == {"a" * 64, key_of(data, HERO1)}
    assert [row["note"] for row in rows(data / LABELS)] == ["written, by hand", ""]
    assert next(card for card in one.cards() if VILLAIN0 in card.files).label == "hero"


def test_threads_lose_no_decision(data: Path) -> None:
    made = session(data)
    threads = [threading.Thread(target=made.decide, args=(one.key, "accept")) for one in made.pictures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(data / ACCEPTED)) == 24


HOLDER = """
import fcntl, os, sys
from pathlib import Path
folder = Path(sys.argv[1])
fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
(folder / "accepted.csv").write_text("key,file\\n" + "a" * 64 + ",by somebody else\\n")
"""


def test_what_another_process_writes_while_it_holds_the_tables_is_waited_for_and_kept(data: Path) -> None:
    (data / "metadata").mkdir()
    made, key = session(data), key_of(data, HERO0)
    holder = [sys.executable, "-c", HOLDER, str(data / "metadata")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        deciding = threading.Thread(target=made.decide, args=(key, "accept"))
        deciding.start()
        deciding.join(0.3)
        assert deciding.is_alive(), "it waits"
        assert not (data / ACCEPTED).exists()
        other.communicate("\n")
        deciding.join(20)
    assert {row["key"] for row in rows(data / ACCEPTED)} == {"a" * 64, key}


def test_a_label_given_to_a_name_is_found_as_the_index_finds_it() -> None:
    files = ("images/hero/caf\u00e9.png", "images/hero/cafe\u0301 2.png", "images/hero/100%.png")
    texts = [name for file in files for name in (file, file.removeprefix("images/"), escape_path(file))]
    texts += [unicodedata.normalize("NFD", text) for text in texts] + [
        "images/hero/other.png",
        "caf\u00e9.png",
    ]
    labels = LabelRows(tuple({"file": text, "label": str(i)} for i, text in enumerate(texts)))
    for file in files:
        one = Picture("0" * 64, (file,), ("hero",), ("hero",), "", "", "", ())
        expected = [row for row in labels if Names([file]).find(row["file"])]
        assert labels.of(one) == expected
        assert len(expected) >= 4


class _Counted(dict[str, str]):
    """A row that counts how often its file is read."""

    n = 0

    def __getitem__(self, name: str) -> str:
        _Counted.n += name == "file"
        return super().__getitem__(name)


def test_labels_given_to_names_are_read_once_for_all_pictures(data: Path) -> None:
    made = session(data)
    labels = LabelRows(tuple(_Counted(file=one.files[0], label="hero") for one in made.pictures))
    decisions = replace(read_decisions(data), labels=labels)
    _Counted.n = 0
    for one in made.pictures:
        assert decisions.judged(one, "accepted").of(one) == Standing("accepted", "hero")
    assert _Counted.n <= 2 * len(made.pictures)


class _Killed(Disk):
    """Ends after a number of writes."""

    def __init__(self, left: int) -> None:
        self.left = left

    def rename(self, source: Path, target: Path) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        super().rename(source, target)


@pytest.mark.parametrize(("before", "then"), [("accept", "reject"), ("reject", "accept")])
def test_a_picture_that_is_killed_on_its_way_between_tables_is_rejected(
    data: Path, before: str, then: str
) -> None:
    made, key = session(data), key_of(data, HERO0)
    made.decide(key_of(data, HERO1), "accept")  # so that neither table goes away
    made.decide(key_of(data, VILLAIN0), "reject")
    made.decide(key, before)
    with replaced_disk(_Killed(1)), pytest.raises(KeyboardInterrupt):
        made.decide(key, then)
    assert next(card.verdict for card in made.cards() if card.key == key) == "rejected"


class _Full(Disk):
    def sync(self, stream: object) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_changes_nothing_and_is_not_undone_later(data: Path) -> None:
    made, key = session(data), key_of(data, HERO0)
    made.decide(key, "accept")
    before = (data / ACCEPTED).read_bytes()
    with replaced_disk(_Full()), pytest.raises(OSError, match="No space"):
        made.decide(key_of(data, HERO1), "accept")
    assert (data / ACCEPTED).read_bytes() == before
    assert sorted(file.name for file in (data / "metadata").iterdir()) == ["accepted.csv"]
    card = made.undo()
    assert card is not None
    assert card.key == key


def test_what_stands_in_both_tables_is_rejected(data: Path) -> None:
    made, key = session(data), key_of(data, HERO0)
    made.decide(key, "accept")
    (data / REJECTED).write_text(f"key\n{key.upper()}\n")
    card = next(card for card in made.cards() if card.key == key)
    assert (card.verdict, card.reason) == ("rejected", "")
    made.decide(key, "accept")
    assert not (data / REJECTED).exists()


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        (REJECTED, "key,reason\n" + "a" * 64 + ",x\n\nabc,y\n", "line 4: the key 'abc' is no sha256"),
        (REJECTED, "file,reason\nx,y\n", "lacks the column key"),
        (REJECTED, "key\n,x\n", "line 2: more fields"),
        (ACCEPTED, "key\n" + "g" * 64 + "\n", "line 2: the key 'gggg"),
        (LABELS, "file,label,key\nx.png,hero,abc\n", "line 2: the key 'abc' is no sha256"),
    ],
)
def test_a_bad_row_is_named_with_its_line(data: Path, table: str, text: str, said: str) -> None:
    (data / "metadata").mkdir()
    (data / table).write_text(text)
    with pytest.raises(MetadataError, match=said) as caught:
        change_decisions(data, lambda now: now)
    assert table in str(caught.value)
    assert (data / table).read_text() == text


def test_what_cannot_be_decided_is_refused(data: Path) -> None:
    made = session(data)
    with pytest.raises(DataError, match="start the review again"):
        made.decide("0" * 64, "accept")
    with pytest.raises(UsageError, match="no decision 'keep'; one of: accept, reject"):
        made.decide(key_of(data, HERO0), "keep")
    with pytest.raises(UsageError, match=r"no class '\.\./x'; one of: hero, villain"):
        made.decide(key_of(data, HERO0), "relabel", label="../x")
    assert not (data / "metadata").exists()


# Sheets, tables and the command


def test_a_blinded_curator_sees_no_label(data: Path) -> None:
    (data / "images/villain/series0/copy.png").write_bytes(encoded(picture(0), "BMP"))
    seen = session(data, blind=True)
    assert not any(card.files or card.folder or card.label or card.role for card in seen.cards())
    assert "villain" not in repr(seen.cards())
    assert not any("_across" in hint.name for card in seen.cards() for hint in card.hints)
    assert [card.key for card in seen.cards()] == sorted(card.key for card in seen.cards())
    with pytest.raises(UsageError, match="labels are hidden here"):
        seen.decide(key_of(data, HERO0), "relabel", label="hero")
    session(data).decide(key_of(data, HERO0), "relabel", label="villain")
    seen.decide(key_of(data, HERO0), "clear")
    assert rows(data / LABELS)[0]["label"] == "villain"


def test_what_the_blinded_see_tells_nothing_of_classes(tmp_path: Path, drawn: Image.Image) -> None:
    """Pictures with twins of their own class and of another, the classes dealt in two ways: one sight."""
    files = {f"{name}.png": encoded(np.asarray(drawn.rotate(turn))) for name, turn in (("a", 0), ("e", 25))}
    files |= {
        f"{name}.jpg": _saved(drawn, "JPEG", quality) for name, quality in (("b", 95), ("c", 80), ("d", 60))
    }
    files |= {"f.bmp": _saved(drawn, "BMP"), "g.png": files["a.png"]}
    seen = []
    for heroes in ("abe", "cdefg", "ag"):
        root = tmp_path / heroes
        for name, data in files.items():
            folder = root / "images" / ("hero" if name[0] in heroes else "villain")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        made = session(root, blind=True)
        assert all(len(card.hints) <= 1 for card in made.cards())
        assert sum(len(card.hints) for card in made.cards()) == 5
        next(review(root, sheets=root / "sheets", blind=True, workers=1))
        sheets = [path.read_bytes() for path in sorted((root / "sheets").iterdir())]
        reasons = [made.decide(one.key, "reject").reason for one in made.pictures]
        seen.append((made.cards(), sheets, reasons))
    assert seen[0] == seen[1] == seen[2]


def _saved(image: Image.Image, kind: str, quality: int = 75) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, quality=quality)
    return stream.getvalue()


def test_sheets_are_filled_in_and_applied(data: Path, tmp_path: Path) -> None:
    (data / "images/hero/torn.png").write_bytes(encoded(picture(3))[:-30])
    folder = tmp_path / "sheets"
    said = list(review(data, sheets=folder, blind=True, workers=1))
    assert said == [f"{folder}: 1 sheet; fill in {folder / TABLE}, then: review --decide {folder / TABLE}"]
    assert sorted(file.name for file in folder.iterdir()) == [TABLE, "sheet-001.jpg"]
    with Image.open(folder / "sheet-001.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert sheet.width == 6 * 184 + 8
    table = rows(folder / TABLE)
    assert [row["number"] for row in table] == [str(i) for i in range(1, 26)]
    assert {row["file"] for row in table} == {""}
    table[0] |= {"decision": "reject", "reason": "no face"}
    table[1] |= {"decision": "Accept"}
    with (folder / TABLE).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, table[0])
        writer.writeheader()
        writer.writerows(table)
    assert next(review(data, decide=folder / TABLE, workers=1)) == f"{folder / TABLE}: 2 decisions"
    now = read_decisions(data)
    assert now.of(Session(survey(data)).picture(table[0]["key"])) == Standing("rejected", "", "no face")
    assert table[1]["key"] in now.accepted
    with pytest.raises(UsageError, match="is not empty"):
        next(review(data, sheets=folder))


@pytest.mark.parametrize("place", ["images", "images/sheets", "images/hero/deep/er", "metadata/../images/x"])
def test_sheets_are_not_written_among_the_pictures(data: Path, place: str) -> None:
    before = sorted(data.rglob("*"))
    with pytest.raises(UsageError, match=r"lies among the pictures of .*; name a folder elsewhere"):
        next(review(data, sheets=data / place, workers=1))
    assert sorted(data.rglob("*")) == before
    elsewhere = data / "imagesheets"
    assert next(review(data, sheets=elsewhere, workers=1)).startswith(f"{elsewhere}: 1 sheet")


@pytest.mark.parametrize("blind", [False, True])
def test_sheets_and_their_table_name_characters_and_the_table_is_read_again(
    data: Path, tmp_path: Path, blind: bool
) -> None:
    named(data, (HERO0, "Möbius", "=1+1"), (VILLAIN0, "花子", ""))
    folder = tmp_path / "sheets"
    next(review(data, sheets=folder, blind=blind, workers=1))
    table = rows(folder / TABLE)
    by_key = {row["key"]: (row["character"], row["series"], row["file"]) for row in table}
    assert by_key[key_of(data, HERO0)] == ("Möbius", "'=1+1", "" if blind else HERO0)
    assert by_key[key_of(data, VILLAIN0)] == ("花子", "series0", "" if blind else VILLAIN0)
    assert by_key[key_of(data, HERO1)] == ("", "series1", "" if blind else HERO1)
    assert not blind or "villain" not in (folder / TABLE).read_text(encoding="utf-8")
    for row in table:
        row["decision"] = "accept" if row["character"] == "Möbius" else ""
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, table[0])
        writer.writeheader()
        writer.writerows(table)
    assert next(review(data, decide=folder / TABLE, workers=1)) == f"{folder / TABLE}: 1 decision"
    assert list(read_decisions(data).accepted) == [key_of(data, HERO0)]


@pytest.mark.parametrize("blind", [False, True])
def test_names_stand_below_the_pictures_of_a_sheet(data: Path, tmp_path: Path, blind: bool) -> None:
    drawn = []
    for i, people in enumerate(([], [(HERO0, "Ai", "")], [(HERO0, "Ai", "Of the Valley")])):
        named(data, *people)
        next(review(data, sheets=tmp_path / f"{i}", blind=blind, workers=1))
        drawn.append(np.asarray(Image.open(tmp_path / f"{i}" / "sheet-001.jpg")).astype(int))
    place = session(data, blind=blind).number_of[key_of(data, HERO0)] - 1
    x, y = 8 + place % 6 * 184, 8 + place // 6 * 262
    for one, other in ((0, 1), (1, 2)):
        changed = np.argwhere(np.abs(drawn[one] - drawn[other]).max(axis=2) > 60)
        assert len(changed) > 20
        assert (changed >= (y + 176 + 20, x)).all()
        assert (changed < (y + 262, x + 176)).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Raka Tochiha", ["Raka Tochiha"]),
        ("Nausicaä of the Valley of the Wind", ["Nausicaä of the Valley of the", "Wind"]),
        ("Relena \u202ePeacecraft", ["Relena \\u202ePeacecraft"]),
    ],
)
def test_a_name_is_broken_at_blanks(text: str, expected: list[str]) -> None:
    assert lines_of(text, font_of(text, 11), width_px=176, n_lines=2) == expected


@pytest.mark.parametrize("text", ["word " * 60, "W" * 400, "i" * 100_000, "Ж" * 50, "long" * 12 + " name"])
@pytest.mark.parametrize("n_lines", [1, 2, 3])
def test_a_long_name_ends_where_there_is_no_room(text: str, n_lines: int) -> None:
    font = font_of(text, 11)
    lines = lines_of(text, font, width_px=176, n_lines=n_lines)
    assert len(lines) <= n_lines
    assert max(font.getlength(line) for line in lines) <= 176
    if len(lines) == n_lines and "name" not in text:
        assert lines[-1].endswith("..")
    assert "".join(lines).removesuffix("..").replace(" ", "") in text.replace(" ", "")


def test_letters_that_no_font_has_are_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(captions, "_wider_fonts", list)
    assert all(has_font(text) for text in ("", "Möbius", "Ōe", "Орлова", "Ελλη"))
    named(data, (HERO0, "Möbius", "Ōe"))
    with caplog.at_level(logging.WARNING):
        next(review(data, sheets=tmp_path / "one", workers=1))
        assert caplog.messages == []
        named(data, (HERO0, "花子", ""))
        next(review(data, sheets=tmp_path / "two", workers=1))
    [said] = caplog.messages
    assert "install one, e.g. Noto Sans CJK, or read them in" in said


def test_a_font_that_has_more_letters_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = captions._plain_font()
    serif = (plain[0].replace("DejaVuSans.ttf", "cmr10.ttf"), 0)
    monkeypatch.setattr(captions, "_plain_font", lambda: serif)
    monkeypatch.setattr(captions, "_wider_fonts", lambda: [plain])
    assert font_of("Orlova", 11).getname()[0] == "cmr10"
    assert font_of("Орлова", 11).getname()[0] == "DejaVu Sans"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "images/hero/gone.png,reject,",
            "line 3: no one picture is meant by the file 'images/hero/gone.png'",
        ),
        (f"{VILLAIN0},drop,", "line 3: no decision 'drop'"),
        (f"{VILLAIN0},relabel,mentor", "line 3: no class 'mentor'"),
        (f"{VILLAIN0},accept,hero", "line 3: accept takes no label, 'hero': empty it, or decide to relabel"),
        (f"{VILLAIN0},reject,villain", "line 3: reject takes no label"),
        (f"{VILLAIN0},clear,hero", "line 3: clear takes no label"),
        (f"{HERO0},accept,", "two decisions on the picture"),
        ("../../etc/passwd,reject,", "line 3: no one picture"),
    ],
)
def test_a_table_with_one_bad_row_decides_nothing(data: Path, tmp_path: Path, line: str, said: str) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(f"file,decision,label\n{HERO0},reject,\n{line}\n")
    with pytest.raises(MetadataError, match=said):
        list(review(data, decide=table, workers=1))
    assert not (data / "metadata").exists()


def test_a_row_whose_key_and_file_are_two_pictures_decides_nothing(data: Path, tmp_path: Path) -> None:
    table, key = tmp_path / "mine.csv", key_of(data, HERO0)
    table.write_text(f"file,key,decision\n{HERO1},,accept\n{VILLAIN0},{key},reject\n")
    with pytest.raises(
        MetadataError, match=r"line 3: the file .*villain0\.png' is another picture than that of"
    ):
        list(review(data, decide=table, workers=1))
    assert not (data / "metadata").exists()
    for file in (HERO0, HERO0.removeprefix("images/"), "images/hero/as it was called.png"):
        table.write_text(f"file,key,decision\n{file},{key.upper()},reject\n")
        assert next(review(data, decide=table, workers=1)) == f"{table}: 1 decision"
    assert list(read_decisions(data).rejected) == [key]


def test_the_report_tells_flags_and_decisions_by_class(data: Path) -> None:
    made = session(data)
    made.decide(key_of(data, HERO0), "reject")
    made.decide(key_of(data, VILLAIN0), "relabel", label="hero")
    said = list(report(survey(data, workers=1), read_decisions(data)))
    assert "rejected: 1 (1 of 13 hero, 0 of 11 villain)" in said
    assert "accepted: 1 (1 of 13 hero, 0 of 11 villain)" in said
    assert "relabelled: 1" in said


def test_the_report_counts_by_the_label_that_stands_now(data: Path) -> None:
    found = survey(data, workers=1)
    made = Session(found)
    made.decide(key_of(data, VILLAIN0), "relabel", label="hero")
    made.decide(key_of(data, VILLAIN0), "reject")
    said = list(report(found, read_decisions(data)))
    assert "rejected: 1 (1 of 13 hero, 0 of 11 villain)" in said
    assert "tiny: 24 (13 of 13 hero, 11 of 11 villain)" in said
    again = survey(data, workers=1)
    assert list(report(again, read_decisions(data))) == said
    Session(again).decide(key_of(data, VILLAIN0), "clear")
    said = list(report(again, read_decisions(data)))
    assert "tiny: 24 (12 of 12 hero, 12 of 12 villain)" in said
    assert said[-1] == "relabelled: 0"


def test_the_record_of_sources_tells_what_a_picture_was_cut_from(data: Path) -> None:
    large = "images/hero/large.png"
    (data / large).write_bytes(encoded(picture(77, (256, 256))))
    (data / "metadata").mkdir()
    (data / "metadata/sources.csv").write_text(f"key,file,box\nx,{large},10 -4 90 120\ny,{HERO0},\n")
    assert original_sides(data) == {large: 90}
    [flag] = flags(survey(data, original_px=original_sides(data)), large).values()
    assert (flag.name, flag.value) == ("tiny", 90)


def test_a_picture_that_was_cut_without_a_face_is_flagged(data: Path) -> None:
    (data / "metadata").mkdir()
    (data / "metadata/sources.csv").write_text(
        f"key,file,crop,n_faces\nx,{HERO0},center-top,0\ny,{HERO1},center-top,\nz,{VILLAIN0},anime,2\n,,,0\n"
    )
    assert faceless(data) == {HERO0}, "where nobody looked for a face, none is missed"
    found = survey(data, faceless=faceless(data), workers=1)
    assert flags(found, HERO0)["no_face"] == Flag(HERO0, "no_face", 0, 1)
    assert "no_face" not in {**flags(found, HERO1), **flags(found, VILLAIN0)}
    assert "no_face: 1 (1 of 12 hero, 0 of 12 villain)" in list(report(found, read_decisions(data)))


@pytest.mark.parametrize(
    "name", ["100%.png", "ideo\u3000graphic.png", "jo\u200din.png", os.fsdecode(b"\xff.png"), "a%20b.png"]
)
def test_the_record_speaks_of_names_that_tables_escape(data: Path, name: str) -> None:
    file = f"images/hero/{name}"
    (data / file).write_bytes(encoded(picture(77, (256, 256))))
    (data / "metadata").mkdir()
    (data / "metadata/sources.csv").write_text(
        f"key,file,box,n_faces\nx,{escape_path(file)},10 -4 90 120,0\n"
    )
    assert original_sides(data) == {file: 90}
    list(review(data, sheets=data / "sheets", workers=1))
    found = survey(data, original_px=original_sides(data), faceless=faceless(data), workers=1)
    assert list(flags(found, file)) == ["no_face", "tiny"]
    assert {row["flags"] for row in rows(data / "sheets" / TABLE) if row["file"] == escape_path(file)} == {
        "no_face, tiny"
    }


def test_a_table_of_decisions_that_is_not_there_is_told_with_what_writes_one(
    data: Path, tmp_path: Path
) -> None:
    with pytest.raises(MissingData, match=r"no table .*mine\.csv; .*collection review --sheets DIR"):
        list(review(data, decide=tmp_path / "mine.csv", workers=1))
