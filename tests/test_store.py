from __future__ import annotations

import hashlib
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from featurestore.errors import (
    MissingData,
    MissingRows,
    NonFiniteRow,
    StoreDamaged,
    StoreError,
    StoreVersionError,
)
from featurestore.fuse import fuse
from featurestore.rows import StoreRows, find_keys, pack_keys, unpack_keys
from featurestore.spec import FeatureSpec, Status
from featurestore.store import Reader, write_store

SPEC = FeatureSpec("toy", 1, {"fit": "crop"}, ("a", "b", "c"))


def rows(n: int, seed: int = 0, columns: int = 3) -> StoreRows:
    rng = np.random.default_rng(seed)
    return StoreRows(
        rng.integers(0, 256, (n, 32), dtype=np.uint8),
        rng.standard_normal((n, columns), dtype=np.float32),
        np.zeros((n, 1), np.uint8),
    )


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("n", [0, 1, 50])
def test_rows_come_back_as_they_were(tmp_path: Path, n: int) -> None:
    given = rows(n)
    write_store(tmp_path / "toy.h5", SPEC, given)
    with Reader(tmp_path / "toy.h5") as store:
        assert store.spec == SPEC
        assert store.columns == SPEC.columns
        assert len(store) == n
        assert np.array_equal(store.matrix(unpack_keys(given.keys)), given.values)
        assert np.array_equal(store.statuses(given.keys), given.status)
        store.verify()


def test_a_few_rows_of_many_are_the_same_rows(tmp_path: Path) -> None:
    given = rows(500)
    write_store(tmp_path / "toy.h5", SPEC, given)
    with Reader(tmp_path / "toy.h5") as store:
        assert np.array_equal(store.matrix(given.keys[[7, 3]]), given.values[[7, 3]])


def test_the_bytes_depend_on_the_rows_alone(tmp_path: Path) -> None:
    given = rows(20)
    order = np.random.default_rng(1).permutation(20)
    write_store(tmp_path / "one.h5", SPEC, given)
    time.sleep(1.1)  # a time stamp would show
    write_store(
        tmp_path / "two.h5",
        SPEC,
        StoreRows(given.keys[order], np.asfortranarray(given.values[order]), given.status),
    )
    assert digest(tmp_path / "one.h5") == digest(tmp_path / "two.h5")
    write_store(tmp_path / "three.h5", FeatureSpec("toy", 2, {"fit": "crop"}, ("a", "b", "c")), given)
    assert digest(tmp_path / "one.h5") != digest(tmp_path / "three.h5")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_ok_and_not_finite_is_never_written(tmp_path: Path, value: float) -> None:
    given = rows(5)
    given.values[2, 1] = value
    with pytest.raises(NonFiniteRow, match="is not finite in b") as caught:
        write_store(tmp_path / "toy.h5", SPEC, given)
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []
    given.status[2] = Status.NO_FACE
    given.values[2] = np.nan
    write_store(tmp_path / "toy.h5", SPEC, given)


def test_two_rows_of_one_key_are_refused(tmp_path: Path) -> None:
    given = rows(3)
    given.keys[2] = given.keys[0]
    with pytest.raises(StoreError, match="not unique"):
        write_store(tmp_path / "toy.h5", SPEC, given)


def test_a_missing_row_is_an_error_never_a_fill(tmp_path: Path) -> None:
    given = rows(5)
    write_store(tmp_path / "toy.h5", SPEC, given)
    with (
        Reader(tmp_path / "toy.h5") as store,
        pytest.raises(MissingRows, match=r"1 of 3 images .* run: dvc repro"),
    ):
        store.matrix([*unpack_keys(given.keys[:2]), "00" * 32])


def test_a_missing_store_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="dvc repro") as caught:
        Reader(tmp_path / "toy.h5")
    assert caught.value.exit_code == 4


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "toy.h5", SPEC, rows(3))
    with h5py.File(tmp_path / "toy.h5", "r+") as file:
        file.attrs["format_version"] = np.int64(99)
    with pytest.raises(StoreVersionError, match="format version 99, this kyara reads 1"):
        Reader(tmp_path / "toy.h5")


def _replace(file: h5py.File, name: str, **options: object) -> None:
    values = file[name][()]
    del file[name]
    file.create_dataset(name, data=values, **options)


def _links_out(file: h5py.File) -> None:
    del file["value"]
    file["value"] = h5py.ExternalLink("other.h5", "/value")


def _soft_link(file: h5py.File) -> None:
    del file["status"]
    file["status"] = h5py.SoftLink("/key")


def _external_storage(file: h5py.File) -> None:
    del file["value"]
    file.create_dataset("value", (3, 3), "<f4", external=[("secret.bin", 0, 36)])


def _virtual(file: h5py.File) -> None:
    del file["value"]
    layout = h5py.VirtualLayout((3, 3), "<f4")
    layout[:] = h5py.VirtualSource("other.h5", "value", (3, 3))
    file.create_virtual_dataset("value", layout)


@pytest.mark.parametrize(
    "spoil",
    [
        _links_out,
        _soft_link,
        _external_storage,
        _virtual,
        lambda f: _replace(f, "value", compression="gzip"),
        lambda f: _replace(f, "value", chunks=(1, 3)),
        lambda f: _replace(f, "value", dtype="<f8"),
        lambda f: f.create_dataset("more", data=[1]),
        lambda f: f.pop("key"),
        lambda f: f.attrs.__delitem__("digest"),
        lambda f: f["key"].__setitem__(slice(None), f["key"][:][::-1]),
        lambda f: f["spec"].__setitem__(0, 0),
    ],
)
def test_a_file_that_is_not_canonical_is_refused(tmp_path: Path, spoil: object) -> None:
    write_store(tmp_path / "toy.h5", SPEC, rows(3))
    with h5py.File(tmp_path / "toy.h5", "r+") as file:
        spoil(file)  # type: ignore[operator]
    with pytest.raises(StoreError):
        Reader(tmp_path / "toy.h5")


@pytest.mark.parametrize("data", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_what_is_no_store_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "toy.h5").write_bytes(data)
    with pytest.raises(StoreError):
        Reader(tmp_path / "toy.h5")


def test_a_truncated_store_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "toy.h5", SPEC, rows(200))
    whole = (tmp_path / "toy.h5").read_bytes()
    for length in range(0, len(whole) - 1, 997):
        (tmp_path / "toy.h5").write_bytes(whole[:length])
        with pytest.raises(StoreError):
            Reader(tmp_path / "toy.h5")


def test_verify_finds_a_changed_value(tmp_path: Path) -> None:
    write_store(tmp_path / "toy.h5", SPEC, rows(50))
    with h5py.File(tmp_path / "toy.h5", "r+") as file:
        file["value"][17, 1] += 1e-3
    with (
        Reader(tmp_path / "toy.h5") as store,
        pytest.raises(StoreDamaged, match="not those that were written"),
    ):
        store.verify()


def test_a_failed_write_leaves_the_old_store(tmp_path: Path) -> None:
    write_store(tmp_path / "toy.h5", SPEC, rows(5))
    before = digest(tmp_path / "toy.h5")
    bad = rows(5)
    bad.values[0, 0] = np.nan
    with pytest.raises(NonFiniteRow):
        write_store(tmp_path / "toy.h5", SPEC, bad)
    assert digest(tmp_path / "toy.h5") == before
    assert [f.name for f in tmp_path.iterdir()] == ["toy.h5"]


def test_keys_are_found_even_when_their_first_bytes_agree() -> None:
    keys = np.zeros((4, 32), np.uint8)
    keys[:, 31] = [1, 2, 3, 4]
    assert find_keys(keys, keys[[3, 0]]).tolist() == [3, 0]
    assert find_keys(keys, np.zeros((1, 32), np.uint8)).tolist() == [-1]
    other = rows(100).sorted()
    assert np.array_equal(find_keys(other.keys, other.keys[::-1]), np.arange(100)[::-1])


def test_the_fingerprint_moves_with_everything_a_value_depends_on() -> None:
    variants = [
        SPEC,
        FeatureSpec("tox", 1, {"fit": "crop"}, ("a", "b", "c")),
        FeatureSpec("toy", 2, {"fit": "crop"}, ("a", "b", "c")),
        FeatureSpec("toy", 1, {"fit": "pad"}, ("a", "b", "c")),
        FeatureSpec("toy", 1, {"fit": "crop"}, ("a", "c", "b")),
        FeatureSpec("toy", 1, {"fit": "crop"}, ("a", "b", "c"), {"w.pt": "00"}),
        FeatureSpec("toy", 1, {"fit": "crop"}, ("a", "b", "c"), {}, "train"),
    ]
    assert len({v.fingerprint for v in variants}) == len(variants)
    assert FeatureSpec("toy", 1, {"fit": "crop"}, ("a", "b", "c")).fingerprint == SPEC.fingerprint


def test_fusing_joins_by_key_and_names_the_columns(tmp_path: Path) -> None:
    left, right = rows(6, 1), rows(6, 2)
    right = StoreRows(left.keys[::-1].copy(), right.values, right.status)
    right.values[0], right.status[0] = np.nan, Status.NO_FACE
    write_store(tmp_path / "toy.h5", SPEC, left)
    write_store(tmp_path / "face.h5", FeatureSpec("face", 1, {}, ("x", "y", "z")), right)
    keys = sorted(unpack_keys(left.keys))[:4]
    assert fuse(keys, ("toy", "face"), tmp_path, tmp_path / "features.h5") == (4, 6, ())
    with (
        Reader(tmp_path / "features.h5") as fused,
        Reader(tmp_path / "toy.h5") as toy,
        Reader(tmp_path / "face.h5") as face,
    ):
        assert fused.columns == ("toy/a", "toy/b", "toy/c", "face/x", "face/y", "face/z")
        assert fused.blocks == ("toy", "face")
        both = np.hstack([toy.matrix(keys), face.matrix(keys)])
        assert np.array_equal(fused.matrix(keys), both, equal_nan=True)
        assert fused.statuses(keys)[:, 0].sum() == 0


def test_the_fused_bytes_do_not_know_the_params_of_the_stores(tmp_path: Path) -> None:
    given = rows(6)
    for fit in ("crop", "pad"):
        write_store(tmp_path / "toy.h5", FeatureSpec("toy", 1, {"fit": fit}, ("a", "b", "c")), given)
        fuse(sorted(unpack_keys(given.keys)), ("toy",), tmp_path, tmp_path / f"{fit}.h5")
    assert digest(tmp_path / "crop.h5") == digest(tmp_path / "pad.h5")


def test_keys_must_be_sha256() -> None:
    with pytest.raises(ValueError, match="hexa"):
        pack_keys(["abcd"])
