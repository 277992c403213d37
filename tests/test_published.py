"""The published weights, where they are on this machine: ``pytest -m weights``, with ``KYARA_WEIGHTS`` set.

Each network must know what it was trained for: two cuts of one picture are nearer than two pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import REAL_WEIGHTS

from collection.demo.cast import draw_cast
from collection.demo.render import paint
from extractors.base import Context, Extractor
from extractors.prepare import needed
from extractors.weights import load, locate
from featurestore import plugins
from featurestore.params import EXTRACTOR_CONTEXT
from featurestore.schema import check_keywords

pytestmark = pytest.mark.weights


def published(name: str, **changed: Any) -> Extractor:
    """Built with the published files; skipped where one is not here."""
    module = plugins.load("extractors.zoo", name, key="extractors")
    params = check_keywords(module.build, changed, f"extractors.{name}", given=EXTRACTOR_CONTEXT)
    files = needed(module, params)
    lacking = [file.name for file in files if locate(file, [REAL_WEIGHTS]) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} is not in {REAL_WEIGHTS}")
    context = Context({file.name: load(file, [REAL_WEIGHTS], extractor=name) for file in files})
    extractor: Extractor = module.build(context=context, **params)
    return extractor


@pytest.fixture(scope="module")
def drawings() -> list[np.ndarray]:
    return [np.asarray(paint(character)) for character in draw_cast(42, 6)]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("clip", {}),
        ("vggface2", {}),
        ("vggface2", {"weights": "casia-webface"}),
        ("arcface", {}),
        ("dlib", {}),
        ("resnet18", {"finetune": False}),
    ],
)
def test_two_cuts_of_a_drawing_are_nearer_than_two_drawings(
    name: str, params: dict[str, Any], drawings: list[np.ndarray]
) -> None:
    extractor = published(name, **params)
    one = extractor([image[:-4, :-4] for image in drawings]).values
    other = extractor([image[4:, 4:] for image in drawings]).values
    distances = np.linalg.norm(one[:, None] - other[None], axis=2)
    same = np.diag(distances)
    apart = distances[~np.eye(len(drawings), dtype=bool)]
    assert same.max() < apart.min()


def test_clip_tells_red_from_blue_in_words() -> None:
    extractor = published("clip", concepts=["the colour red", "the colour blue"])
    colours = [np.full((224, 224, 3), colour, np.uint8) for colour in ((220, 20, 20), (20, 20, 220))]
    red, blue = extractor(colours).values[:, -2:]
    assert red[0] - red[1] > blue[0] - blue[1]


def test_the_embeddings_of_faces_have_length_one(drawings: list[np.ndarray]) -> None:
    for name in ("clip", "vggface2", "arcface"):
        rows = published(name)(drawings[:2]).values
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-4)
