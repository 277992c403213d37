from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import ROOT
from disks import FullDisk

from featurestore.cache import RowCache
from featurestore.errors import (
    MissingData,
    MissingRows,
    NonFiniteRow,
    StoreDamaged,
    StoreError,
    StoreVersionError,
)
from featurestore.files import replaced_disk
from featurestore.fuse import fuse
from featurestore.hdf5 import LARGE_BYTES
from featurestore.rows import Gathered, StoreRows, find_keys, pack_keys, unpack_keys
from featurestore.spec import FeatureSpec, Status
from featurestore.store import FeatureStore, write_store

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
    with FeatureStore(tmp_path / "toy.h5") as store:
        assert store.spec == SPEC
        assert store.columns == SPEC.columns
        assert len(store) == n
        assert np.array_equal(store.matrix(unpack_keys(given.keys)), given.values)
        assert np.array_equal(store.statuses(given.keys), given.status)
        store.verify()


def test_a_few_rows_of_many_are_the_same_rows(tmp_path: Path) -> None:
    given = rows(500)
    write_store(tmp_path / "toy.h5", SPEC, given)
    with FeatureStore(tmp_path / "toy.h5") as store:
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
        FeatureStore(tmp_path / "toy.h5") as store,
        pytest.raises(MissingRows, match=r"1 of 3 images .* run: dvc repro"),
    ):
        store.matrix([*unpack_keys(given.keys[:2]), "00" * 32])


def test_a_missing_store_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="dvc repro") as caught:
        FeatureStore(tmp_path / "toy.h5")
    assert caught.value.exit_code == 4


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "toy.h5", SPEC, rows(3))
    later = (tmp_path / "toy.h5").read_bytes().replace(b"kyara-store 2\n", b"kyara-store 9\n")
    (tmp_path / "toy.h5").write_bytes(later)
    with pytest.raises(StoreVersionError, match="format version 9, this kyara reads 2"):
        FeatureStore(tmp_path / "toy.h5")


@pytest.mark.parametrize("data", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_what_is_no_store_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "toy.h5").write_bytes(data)
    with pytest.raises(StoreError):
        FeatureStore(tmp_path / "toy.h5")


def test_a_truncated_store_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "toy.h5", SPEC, rows(200))
    whole = (tmp_path / "toy.h5").read_bytes()
    for length in range(0, len(whole) - 1, 997):
        (tmp_path / "toy.h5").write_bytes(whole[:length])
        with pytest.raises(StoreError):
            FeatureStore(tmp_path / "toy.h5")


def test_verify_finds_a_changed_value(tmp_path: Path) -> None:
    write_store(tmp_path / "toy.h5", SPEC, rows(50))
    with h5py.File(tmp_path / "toy.h5", "r+") as file:
        file["value"][17, 1] += 1e-3
    with (
        FeatureStore(tmp_path / "toy.h5") as store,
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


def test_a_large_store_is_hashed_while_it_is_written_to_the_same_bytes(tmp_path: Path) -> None:
    given = rows(100_000)
    assert given.values.nbytes > LARGE_BYTES
    write_store(tmp_path / "toy.h5", SPEC, given)
    with FeatureStore(tmp_path / "toy.h5") as store:
        assert np.array_equal(store.verify().values, given.sorted().values)
    segment = RowCache(tmp_path / "cache").commit(SPEC, given)  # in one pass, hashed beforehand
    assert segment.stem == digest(segment) == digest(tmp_path / "toy.h5")


def test_a_large_store_that_is_refused_or_finds_the_disk_full_leaves_nothing(tmp_path: Path) -> None:
    given = rows(100_000)
    for room in (0, 10_000, 2_000_000, 4_500_000):
        with replaced_disk(FullDisk(room)), pytest.raises(OSError, match="No space left"):
            write_store(tmp_path / "toy.h5", SPEC, given)
    given.values[70_000, 1] = np.nan
    with pytest.raises(NonFiniteRow):
        write_store(tmp_path / "toy.h5", SPEC, given)
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_finite_even_if_their_sum_is_not(tmp_path: Path) -> None:
    given = rows(5)
    given.values[:] = 3e38
    write_store(tmp_path / "toy.h5", SPEC, given)
    given.values[3] = np.inf, 0, -np.inf
    with pytest.raises(NonFiniteRow, match="is not finite in a"):
        write_store(tmp_path / "toy.h5", SPEC, given)


def test_a_row_that_is_not_ok_and_holds_numbers_is_never_written(tmp_path: Path) -> None:
    given = rows(5)
    given.status[2] = Status.NO_FACE
    with pytest.raises(StoreError, match="says no_face and holds numbers; it must be NaN"):
        write_store(tmp_path / "toy.h5", SPEC, given)
    given.values[2] = np.nan
    given.status[2] = 99
    with pytest.raises(StoreError, match="a status of 99, which has no name"):
        write_store(tmp_path / "toy.h5", SPEC, given)


def test_every_nan_is_the_same_nan(tmp_path: Path) -> None:
    digests = set()
    for payload in (0x7FC00000, 0x7FC00001, 0xFFC00000):
        given = rows(5)
        given.values[2] = np.uint32(payload).view(np.float32)
        given.status[2] = Status.NO_FACE
        write_store(tmp_path / "toy.h5", SPEC, given)
        digests.add(digest(tmp_path / "toy.h5"))
    assert len(digests) == 1


def test_other_tools_read_it_as_plain_hdf5(tmp_path: Path) -> None:
    given = rows(20).sorted()
    write_store(tmp_path / "toy.h5", SPEC, given)
    assert (tmp_path / "toy.h5").read_bytes().startswith(b"kyara-store 2\nxxh3-128 ")
    with h5py.File(tmp_path / "toy.h5") as file:
        assert np.array_equal(file["key"][:], given.keys)
        assert np.array_equal(file["value"][:], given.values)
        assert file["spec"][:].tobytes().decode() == SPEC.to_json()
        assert file.attrs["fingerprint"].decode() == SPEC.fingerprint


def test_a_frame_has_the_names_and_the_keys(tmp_path: Path) -> None:
    given = rows(5).sorted()
    given.values[1], given.status[1] = np.nan, Status.NO_FACE
    write_store(tmp_path / "toy.h5", SPEC, given)
    with FeatureStore(tmp_path / "toy.h5") as store:
        frame = store.frame()
        assert list(frame.columns) == ["a", "b", "c"]
        assert frame.index.name == "key"
        assert frame.index.tolist() == unpack_keys(given.keys)
        assert frame.dtypes.unique().tolist() == [np.dtype("float32")]
        assert np.array_equal(frame.to_numpy(), given.values, equal_nan=True)
        some = unpack_keys(given.keys[[3, 0]])
        assert store.frame(some).index.tolist() == some
        assert store.coverage == {"toy": 0.8}


def test_batches_are_the_rows_in_order(tmp_path: Path) -> None:
    given = rows(25).sorted()
    write_store(tmp_path / "toy.h5", SPEC, given)
    with FeatureStore(tmp_path / "toy.h5") as store:
        found = list(store.iter_batches(10))
        assert [len(batch) for batch in found] == [10, 10, 5]
        assert np.array_equal(np.concatenate([batch.values for batch in found]), given.values)
        assert not store.values.flags.writeable
        with pytest.raises(ValueError, match="size: 0"):
            next(store.iter_batches(0))
    write_store(tmp_path / "none.h5", SPEC, rows(0))
    with FeatureStore(tmp_path / "none.h5") as store:
        assert list(store.iter_batches(10)) == []
        assert store.values.shape == (0, 3)


def test_rows_of_a_large_store_are_mapped_not_loaded(tmp_path: Path) -> None:
    wide = FeatureSpec("wide", 1, {}, tuple(f"c{i}" for i in range(2048)))
    n = 40_000
    write_store(
        tmp_path / "wide.h5",
        wide,
        StoreRows(
            np.random.default_rng(0).integers(0, 256, (n, 32), dtype=np.uint8),
            np.zeros((n, 2048), np.float32),
            np.zeros((n, 1), np.uint8),
        ),
    )
    code = (
        "import resource, sys; from featurestore.store import FeatureStore; import h5py, numpy\n"
        "with FeatureStore(sys.argv[1]) as store:\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    store.matrix(store.keys[::1000]); store.values[77]; next(store.iter_batches(100))\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "wide.h5")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 32 << 10, "of 320 MiB, at most 32 may come into memory (KiB)"


def test_a_store_that_is_checked_block_by_block_is_checked_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featurestore.store._BLOCK_BYTES", 1000)
    path, given = tmp_path / "toy.h5", rows(200).sorted()
    write_store(path, SPEC, given)
    with FeatureStore(path, check=True, keep=False) as store:
        assert store._whole is None
        parts = list(store.blocks_of_rows())
        assert np.array_equal(store.status, given.status)
    assert len(parts) == 3
    for name in ("keys", "values", "status"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(given, name))
    whole = path.read_bytes()
    for offset in (600, 1000, len(whole) // 2, len(whole) - 1):
        data = bytearray(whole)
        data[offset] ^= 1
        path.write_bytes(data)
        with pytest.raises(StoreDamaged, match="its bytes are not those that were written"):
            FeatureStore(path, check=True, keep=False)


def test_of_rows_that_come_twice_the_first_are_kept(tmp_path: Path) -> None:
    first, second = rows(9, 1).sorted(), rows(6, 2).sorted()
    other = StoreRows(first.keys, first.values + 1, first.status)
    every = np.concatenate([first.keys, second.keys])
    found = Gathered(every[np.lexsort(every.T[::-1])], SPEC)
    assert len(found.add(first.taken(np.arange(4)[::-1]))) == 4
    assert found.add(other).tolist() == [4, 5, 6, 7, 8]
    assert found.add(other).tolist() == found.add(rows(5, 3)).tolist() == []
    assert np.array_equal(found.lacking(), second.keys)
    assert not found.whole()
    expected = np.concatenate([first.values[:4], other.values[4:]])
    assert np.array_equal(found.rows().values, expected)
    assert len(found.rows_of(second.keys)) == 0
    found.add(second)
    assert found.rows() is found.rows(), "no copy"
    assert np.array_equal(found.rows_of(second.keys).values, second.values)
    assert Gathered(np.empty((0, 32), np.uint8), SPEC).add(first).tolist() == []


def test_a_closed_store_answers_no_more(tmp_path: Path) -> None:
    given = rows(100)
    write_store(tmp_path / "toy.h5", SPEC, given)
    store = FeatureStore(tmp_path / "toy.h5")
    some = store.matrix(given.keys[:3])
    store.close()
    assert np.array_equal(some, given.values[:3])
    for keys in (given.keys[:3], given.keys):
        with pytest.raises(ValueError, match="closed"):
            store.matrix(keys)


def test_a_store_that_is_replaced_while_it_is_open_stays_what_it_was(tmp_path: Path) -> None:
    given, other = rows(100), rows(100, seed=1)
    write_store(tmp_path / "toy.h5", SPEC, given)
    with FeatureStore(tmp_path / "toy.h5") as store:
        write_store(tmp_path / "toy.h5", SPEC, other)
        assert np.array_equal(store.matrix(given.keys[:3]), given.values[:3])
        assert np.array_equal(store.matrix(given.keys), given.values)


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
    stores = {name: tmp_path / f"{name}.h5" for name in ("toy", "face")}
    done = fuse(keys, stores, tmp_path / "features.h5")
    assert (done.n_rows, done.n_columns, done.learned) == (4, 6, ())
    assert [s["extractor"] for s in done.stores] == ["toy", "face"]
    assert done.stores[0]["fingerprint"] == SPEC.fingerprint
    assert done.stores[1]["not_ok"] == int(unpack_keys(left.keys)[-1] in keys)
    with (
        FeatureStore(tmp_path / "features.h5") as fused,
        FeatureStore(tmp_path / "toy.h5") as toy,
        FeatureStore(tmp_path / "face.h5") as face,
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
        fuse(sorted(unpack_keys(given.keys)), {"toy": tmp_path / "toy.h5"}, tmp_path / f"{fit}.h5")
    assert digest(tmp_path / "crop.h5") == digest(tmp_path / "pad.h5")


def test_keys_must_be_sha256() -> None:
    with pytest.raises(ValueError, match="hexa"):
        pack_keys(["abcd"])
