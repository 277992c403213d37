"""A picture is searched for faces once, by one detector and with one way of searching."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collection.crop import remembered as module
from collection.crop.remembered import remembered
from extractors.faces import FaceBox

FACES = [FaceBox(1.5, 2.0, 30.25, 31.0, 0.1 + 0.2, ((3.0, 4.0), (5.5, 6.0))), FaceBox(0, 0, 4, 4, 1.0)]
IMAGE = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


class Asked:
    """Finds faces, and counts how often it was asked."""

    def __init__(self, faces: list[FaceBox]) -> None:
        self.n, self._faces = 0, faces

    def __call__(self, image: Any, method: str) -> list[FaceBox]:
        self.n += 1
        return self._faces


@pytest.mark.parametrize("faces", [FACES, []])
def test_it_is_searched_once(tmp_path: Path, faces: list[FaceBox]) -> None:
    first, again = Asked(faces), Asked([])
    assert remembered(tmp_path, find=first)(IMAGE, "anime") == faces
    assert remembered(tmp_path, find=again)(IMAGE.copy(), "anime") == faces
    assert (first.n, again.n) == (1, 0)


def test_another_picture_or_detector_is_another_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(FACES)
    find = remembered(tmp_path, find=asked)
    find(IMAGE, "anime")
    find(IMAGE, "mtcnn")
    find(IMAGE.reshape(5, 4, 3), "anime")
    find(IMAGE + 1, "anime")
    assert asked.n == 4
    monkeypatch.setattr(module, "search_of", lambda method: "of tomorrow")
    find(IMAGE, "anime")
    assert asked.n == 5


@pytest.mark.parametrize("text", ["", "{", "[]", '{"faces": 5}', '{"faces": [{"x": 1}]}', '{"faces": [5]}'])
def test_what_cannot_be_read_is_found_anew(tmp_path: Path, text: str) -> None:
    asked = Asked(FACES)
    find = remembered(tmp_path, find=asked)
    find(IMAGE, "anime")
    (file,) = tmp_path.rglob("*.json")
    file.write_text(text)
    assert find(IMAGE, "anime") == FACES
    assert find(IMAGE, "anime") == FACES
    assert asked.n == 2
