"""Every extractor of the zoo is found and checked unasked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from extractors.base import Rows
from extractors.testing import check_batches, check_rows, sample_images, yield_checks
from featurestore import plugins
from featurestore.rows import StoreRows, pack_keys
from featurestore.spec import FeatureSpec
from featurestore.store import write_store
from featurestore.testing import check_store

CHECKS = [
    pytest.param(check, id=f"{name}-{said}")
    for name in plugins.listing("extractors.zoo")
    for module in [plugins.load("extractors.zoo", name, key="extractors")]
    for said, check in yield_checks(module, module.build())
]


@pytest.mark.parametrize("check", CHECKS)
def test_an_extractor_of_the_zoo_conforms(check: Callable[[], None]) -> None:
    check()


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
    values[3] = 0  # zeros in the place of a row that could not be computed
    write_store(tmp_path / "toy.h5", spec, StoreRows(keys, values, status))
    with pytest.raises(AssertionError, match="not NaN"):
        check_store(tmp_path / "toy.h5")
