"""What characters.csv says beyond names: roles and numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from classifiers.annotations import read_annotations
from featurestore.errors import MetadataError

PATHS = ["images/hero/a.png", "images/villain/b%0A.png", "images/villain/c.png"]


def table(root: Path, text: str) -> Path:
    (root / "metadata").mkdir()
    (root / "metadata" / "characters.csv").write_text(text, encoding="utf-8")
    return root


def test_roles_and_numbers_are_read_in_the_order_of_the_images(tmp_path: Path) -> None:
    root = table(
        tmp_path,
        "file,series,role,scars,mood,year\n"
        "images/villain/c.png,S,antihero,2,grim,1999\n"
        "hero/a.png,S,hero,-0.5,gay,\n"
        "images/gone.png,S,hero,9,gay,2000\n",
    )
    found = read_annotations(root, PATHS)
    assert found.roles is not None
    assert found.roles.tolist() == ["hero", "", "antihero"]
    assert list(found.numbers.columns) == ["scars"], "mood is no number, year has one value"
    np.testing.assert_array_equal(found.numbers["scars"], [-0.5, np.nan, 2])


def test_an_escaped_path_is_found_by_its_own_name(tmp_path: Path) -> None:
    root = table(tmp_path, 'file,role,x\n"images/villain/b%0A.png",villain,1\nimages/hero/a.png,hero,2\n')
    found = read_annotations(root, PATHS)
    assert found.roles is not None
    assert found.roles.tolist() == ["hero", "villain", ""]


def test_without_a_table_or_a_role_there_is_none(tmp_path: Path) -> None:
    found = read_annotations(tmp_path, PATHS)
    assert found.roles is None
    assert found.numbers.shape == (3, 0)
    found = read_annotations(table(tmp_path, "file,x\nimages/hero/a.png,1\n"), PATHS)
    assert found.roles is None
    assert found.numbers.shape == (3, 0)


def test_what_is_infinite_or_no_number_is_no_annotation(tmp_path: Path) -> None:
    root = table(tmp_path, "file,a,b,c\nimages/hero/a.png,inf,1e999,1\nimages/villain/c.png,1,2,3\n")
    assert list(read_annotations(root, PATHS).numbers.columns) == ["c"]


def test_a_table_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    root = table(tmp_path, "a,b\n1,2\n")
    with pytest.raises(MetadataError, match=r"characters\.csv: lacks the column file"):
        read_annotations(root, PATHS)
