"""Every extractor of the zoo is found and checked unasked."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import ROOT
from fakes import sealed
from zoo_weights import MADE, NAMES, maker

from extractors.base import Rows
from extractors.doctor import EXTRAS
from extractors.testing import check_batches, check_rows, sample_images, yield_checks
from featurestore.hdf5 import digest_of
from featurestore.rows import StoreRows, pack_keys
from featurestore.spec import FeatureSpec
from featurestore.store import write_store
from featurestore.testing import check_store

#: Relative and absolute, for rows of one picture in batches of several sizes; 0 = the same bits.
TOLERANCE = {"arcface": 0.0, "design": 0.0, "dlib": 0.0}
NEURAL = 1e-5

GOLDEN = ROOT / "tests" / "golden_rows.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zoo")


def checks(name: str, folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    module, make = maker(name, folder)
    return yield_checks(module, make, tolerance=TOLERANCE.get(name, NEURAL))


CHECKS = [
    "check_card", "check_rows", "check_batches", "check_threads", "check_stages", "check_read_only",
    "check_fingerprint",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_an_extractor_of_the_zoo_conforms(name: str, folder: Path) -> None:
    done = []
    for said, check in checks(name, folder):
        check()
        done.append(said)
    assert done == CHECKS


@pytest.mark.parametrize("name", [name for name in NAMES if name in MADE])
def test_each_weights_file_moves_the_fingerprint(name: str, folder: Path) -> None:
    _, make = maker(name, folder)
    context = MADE[name](folder / name)[0]
    assert context.weights, "an extractor that needs weights is built with some"
    seen = {make(context=context).spec.fingerprint}
    for file, loaded in context.weights.items():
        other = {**context.weights, file: dataclasses.replace(loaded, sha256="0" * 64)}
        seen.add(make(context=dataclasses.replace(context, weights=other)).spec.fingerprint)
    assert len(seen) == 1 + len(context.weights)


@pytest.mark.parametrize("name", ["resnet18", "vggface2"])
def test_what_was_learned_from_moves_the_fingerprint(name: str, folder: Path) -> None:
    _, make = maker(name, folder)
    context = dataclasses.replace(MADE[name](folder / name)[0], fitted_on="1" * 64)
    assert make(context=context).spec.fingerprint != make().spec.fingerprint


@pytest.mark.parametrize("name", ["arcface", "dlib", "vggface2"])
@pytest.mark.parametrize("align", ["anime", "mtcnn"])
def test_another_way_of_finding_faces_moves_the_fingerprint(
    name: str, align: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, make = maker(name, folder)
    before = make(align=align).spec.fingerprint
    monkeypatch.setattr("extractors.faces._SEARCH_VERSION", 99)
    assert make(align=align).spec.fingerprint != before


@pytest.mark.parametrize("name", NAMES)
def test_what_an_extractor_imports_is_in_its_extra(name: str) -> None:
    """The advice of the error that names the extra must hold."""
    card = maker(name, Path())[0].CARD
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    packages = {re.split("[=><]", package)[0].lower() for package in extras.get(card.extra, ())}
    called = {"open_clip": "open-clip-torch", "dlib": "dlib-bin"}
    for module in card.modules:
        assert called.get(module, module.replace("_", "-")) in packages
        assert module in EXTRAS[card.extra]


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_are_those_that_were_written_down(name: str, folder: Path) -> None:
    """A golden output: a change of values must be meant, and move the extractor's version."""
    golden = json.loads(GOLDEN.read_text())
    assert name in golden, f"run: python tests/test_zoo.py {name}"
    values = maker(name, folder)[1]()(sample_images()[:3]).values
    expected = np.array(golden[name]["rows"])
    found = shown(values)
    assert golden[name]["version"] == maker(name, folder)[0].VERSION
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


def shown(values: np.ndarray) -> np.ndarray:
    """A few columns, and a sum that every column moves."""
    signs = np.where(np.arange(values.shape[1]) % 3, 1, -1)
    return np.column_stack([values[:, :: max(1, values.shape[1] // 8)], (values * signs).sum(axis=1)])


class Forgetful:
    """An extractor that breaks the contract: its rows depend on the batch, and NaN are ok."""

    spec = FeatureSpec("forgetful", 1, {}, ("a", "b"))
    thread_safe = False

    def __call__(self, images: list[np.ndarray]) -> Rows:
        values = np.full((len(images), 2), len(images), np.float32)
        values[-1:, 1] = np.nan
        return Rows(values, np.zeros(len(images), np.uint8))


def test_the_checks_find_what_is_broken() -> None:
    with pytest.raises(AssertionError, match="batch size"):
        check_batches(Forgetful(), sample_images(), 0)
    with pytest.raises(AssertionError):
        check_rows(Forgetful(), sample_images())


def test_a_store_conforms_and_a_store_of_another_writer_may_not(tmp_path: Path) -> None:
    spec = FeatureSpec("toy", 1, {}, ("a", "b"))
    keys = pack_keys([f"{i:02x}" * 32 for i in range(1, 6)])
    values, status = np.ones((5, 2), np.float32), np.zeros((5, 1), np.uint8)
    values[3], status[3] = np.nan, 1
    write_store(tmp_path / "toy.h5", spec, StoreRows(keys, values, status))
    check_store(tmp_path / "toy.h5")
    values[3] = 0  # zeros in the place of a row that could not be computed: kyara would not write them
    with h5py.File(tmp_path / "toy.h5", "r+") as file:
        file["value"][3] = 0
        digest = digest_of(spec.to_json().encode(), b"toy", StoreRows(keys, values, status))
        file.attrs["digest"] = np.bytes_(digest)
    sealed(tmp_path / "toy.h5")
    with pytest.raises(AssertionError, match="not NaN"):
        check_store(tmp_path / "toy.h5")


def write_golden(names: list[str], folder: Path) -> None:
    """Write down the rows as they are now."""
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    for name in names or NAMES:
        module, make = maker(name, folder)
        rows = shown(make()(sample_images()[:3]).values)
        golden[name] = {"version": module.VERSION, "rows": [[float(f"{v:.6g}") for v in row] for row in rows]}
    GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    import sys
    import tempfile

    write_golden(sys.argv[1:], Path(tempfile.mkdtemp()))
