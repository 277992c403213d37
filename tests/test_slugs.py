"""Characters' names as parts of paths: whatever a list holds, the file lands where it should."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import pytest

from collection.names import MAX_CHARACTERS, slug

PLAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
HASHED = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{8}")

#: Names that mean harm, or none.
STRANGE = {
    "parent": "../../etc/passwd",
    "root": "/etc/passwd",
    "windows_path": "C:\\Windows\\..\\x",
    "dots": "..",
    "dot": ".",
    "full_width_dots": "．．／etc",
    "percent": "%2e%2e%2f",
    "nul": "a\0b",
    "control": "a\x1b[31m\nb\r",
    "right_to_left": "\u202egnp.exe",
    "isolates": "\u2066a\u2069",
    "zero_width": "a\u200bb\u200d\ufeff",
    "device": "CON",
    "device_small": "lpt9",
    "device_superscript": "com¹",
    "dash": "-rf",
    "shell": '\'; touch pwned; "$(x)" `x`',
    "formula": "=1+1",
    "markup": "<img src=x onerror=alert(1)>",
    "blank": "   ",
    "empty": "",
    "emoji": "👩‍🚀🔥",
    "kanji": "竈門炭治郎",
    "arabic": "بطل",
    "ligature": "ﷺ" * 9,
    "surrogate": "\ud800",
    "marks_only": "\u0301\u0302",
    "long": "x" * 100_000,
    "long_kanji": "あ" * 100_000,
    "many_marks": "a" + "\u0301" * 100_000,
}


@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE.keys())
def test_a_slug_is_one_plain_part_of_a_path(name: str, tmp_path: Path) -> None:
    made = slug(name)
    assert PLAIN.fullmatch(made)
    assert len(made) <= MAX_CHARACTERS
    file = tmp_path / f"{made}-{'0' * 12}.png"
    assert file.resolve().parent == tmp_path
    file.write_bytes(b"")
    assert os.listdir(tmp_path) == [file.name]  # noqa: PTH208
    assert slug(name) == made


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Monkey D. Luffy", "monkey-d-luffy"),
        ("Shūya Ōe", "shuya-oe"),
        ("René & Zoë!", "rene-zoe"),
        ("STRAẞE Ærø Łódź", "strasse-aero-lodz"),
        ("  L  ", "l"),
        ("No. 17", "no-17"),
        ("x" * MAX_CHARACTERS, "x" * MAX_CHARACTERS),
        ("Naruto\u200f", "naruto"),
    ],
)
def test_a_latin_name_reads_as_before(name: str, made: str) -> None:
    assert slug(name) == made


def test_the_form_of_unicode_makes_no_difference() -> None:
    forms = {slug(unicodedata.normalize(form, "Pokémon Übel")) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert forms == {"pokemon-ubel"}


@pytest.mark.parametrize("device", ["con", "PRN", "aux", "Nul", "COM1", "lpt9", "com0"])
def test_no_slug_is_a_device(device: str) -> None:
    assert HASHED.fullmatch(slug(device))


def test_what_is_left_out_is_told_apart() -> None:
    names = ["Anya", "Аnya", "Αnya", "花子", "太郎", "👩", "🔥", "a" * 61, "a" * 62, "あA", "いA"]
    made = [slug(name) for name in names]
    assert len(set(made)) == len(names)
    assert made[0] == "anya"
    assert all(HASHED.fullmatch(text) for text in made[1:])
    assert made[3].startswith("name-")
