"""Rows out of a store and into one, and what differs between two."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from disks import FullDisk

from featurestore.comparison import compare, describe, spec_changes
from featurestore.dataset import COLUMNS
from featurestore.errors import DataError, MissingData, NonFiniteRow, UsageError
from featurestore.exchange import Foreign, export_store, import_rows, read_foreign
from featurestore.files import replaced_disk
from featurestore.rows import StoreRows, pack_keys, unpack_keys
from featurestore.spec import FeatureSpec, Status
from featurestore.store import FeatureStore, write_store
from featurestore.testing import check_store

SPEC = FeatureSpec("toy", 1, {"fit": "crop"}, ("a", "b"))
KEYS = [f"{i:02x}" * 32 for i in range(5)]
VALUES = np.arange(10, dtype=np.float32).reshape(5, 2)


def rows(**changes: object) -> StoreRows:
    given = {
        "keys": pack_keys(KEYS),
        "values": VALUES.copy(),
        "status": np.zeros((5, 1), np.uint8),
        **changes,
    }
    return StoreRows(**given)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    given = rows()
    given.values[3], given.status[3] = np.nan, Status.NO_FACE
    write_store(tmp_path / "toy.h5", SPEC, given)
    return tmp_path / "toy.h5"


@pytest.fixture
def dataset() -> pd.DataFrame:
    table = pd.DataFrame("", index=range(5), columns=list(COLUMNS))
    table["key"] = KEYS
    table["path"] = [f"images/hero/{i}, x.png" for i in range(5)]
    table["label"], table["group"], table["split"] = "hero", "=Sky", "train"
    return table


def exported(store: Path, dataset: pd.DataFrame, target: Path, to: str) -> list[Path]:
    with FeatureStore(store) as reader:
        return export_store(reader, dataset, target, to=to)


def test_npy_comes_with_its_rows_and_columns(store: Path, dataset: pd.DataFrame, tmp_path: Path) -> None:
    array, facts, columns = exported(store, dataset, tmp_path / "out.npy", "npy")
    values = np.load(array)
    assert values.dtype == np.float32
    assert np.array_equal(values[[0, 1, 2, 4]], VALUES[[0, 1, 2, 4]])
    assert np.isnan(values[3]).all()
    table = list(csv.DictReader(facts.read_text().splitlines()))
    assert list(table[0]) == ["key", "path", "label", "group", "split", "status"]
    assert [row["key"] for row in table] == KEYS
    assert [row["status"] for row in table] == ["ok", "ok", "ok", "no_face", "ok"]
    assert table[2]["path"] == "images/hero/2, x.png"
    assert columns.read_text() == "column\na\nb\n"


def test_parquet_holds_everything_in_one_table(store: Path, dataset: pd.DataFrame, tmp_path: Path) -> None:
    (file,) = exported(store, dataset, tmp_path / "out.parquet", "parquet")
    table = pq.read_table(file)
    assert table.column_names == ["key", "path", "label", "group", "split", "status", "a", "b"]
    assert table["split"].to_pylist() == ["train"] * 5
    assert np.array_equal(np.isnan(table["a"].to_numpy()), [False, False, False, True, False])
    assert table.schema.metadata[b"kyara.fingerprint"].decode() == SPEC.fingerprint


@pytest.mark.parametrize("to", ["npy", "parquet"])
def test_what_was_exported_comes_back_the_same(
    store: Path, dataset: pd.DataFrame, tmp_path: Path, to: str
) -> None:
    files = exported(store, dataset, tmp_path / f"out.{to}", to)
    foreign = read_foreign(*files) if to == "npy" else read_foreign(files[0], None, None)
    assert foreign.by == "key"
    import_rows("back", foreign, {}, tmp_path / "back.h5")
    check_store(tmp_path / "back.h5")
    with FeatureStore(store) as before, FeatureStore(tmp_path / "back.h5") as after:
        assert after.columns == before.columns
        assert np.array_equal(after.matrix(KEYS), before.matrix(KEYS), equal_nan=True)
        assert after.statuses(KEYS)[:, 0].tolist() == [0, 0, 0, Status.NOT_GIVEN, 0]


def test_exports_repeat_to_the_byte(store: Path, dataset: pd.DataFrame, tmp_path: Path) -> None:
    for to in ("npy", "parquet"):
        (first, *_), (again, *_) = (exported(store, dataset, tmp_path / f"{n}.{to}", to) for n in "ab")
        assert first.read_bytes() == again.read_bytes()


def test_rows_are_matched_with_pictures_by_any_form_of_their_path(tmp_path: Path) -> None:
    paths = {"images/hero/a.png": KEYS[0], "images/hero/b%0A.png": KEYS[1], "images/x.png": KEYS[2]}
    names = ["hero/a.png", "data/images/hero/b\n.png", "images/x.png"]
    import_rows("dino", Foreign(names, "path", VALUES[:3], ("a", "b")), paths, tmp_path / "dino.h5")
    with FeatureStore(tmp_path / "dino.h5") as store:
        assert np.array_equal(store.matrix(KEYS[:3]), VALUES[:3])


def test_half_precision_and_integers_become_float32(tmp_path: Path) -> None:
    for dtype in (np.float16, np.float64, np.int32):
        foreign = Foreign(KEYS, "key", VALUES.astype(dtype), ("a", "b"))
        import_rows("dino", foreign, {}, tmp_path / "dino.h5")
        with FeatureStore(tmp_path / "dino.h5") as store:
            assert np.array_equal(store.matrix(KEYS), VALUES)


def changed(place: tuple[int, int], value: float) -> np.ndarray:
    values = VALUES.astype(np.float64)
    values[place] = value
    return values


@pytest.mark.parametrize(
    ("foreign", "error", "said"),
    [
        (Foreign(KEYS, "key", changed((2, 1), np.inf), ("a", "b")), NonFiniteRow, r"row 3 \(0202.*inf in b"),
        (Foreign(KEYS, "key", changed((2, 0), np.nan), ("a", "b")), NonFiniteRow, "row 3 .*nan in a"),
        (Foreign(KEYS, "key", changed((4, 0), 1e39), ("a", "b")), NonFiniteRow, r"row 5 .*1e\+39 in a"),
        (Foreign([*KEYS[:4], KEYS[0]], "key", VALUES, ("a", "b")), DataError, "row 5: key .* stands twice"),
        (Foreign([*KEYS[:4], "abc"], "key", VALUES, ("a", "b")), DataError, "row 5: key 'abc' is not 64"),
        (Foreign(KEYS, "key", VALUES, ("a", "a")), DataError, "column 'a' stands twice"),
        (Foreign(["x.png"], "path", VALUES[:1], ("a", "b")), DataError, "row 1: no picture 'x.png'"),
    ],
    ids=["inf", "part_nan", "beyond_float32", "twice", "no_key", "column_twice", "no_picture"],
)
def test_rows_that_cannot_be_taken_are_named(
    tmp_path: Path, foreign: Foreign, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        import_rows("dino", foreign, {}, tmp_path / "dino.h5")
    assert not (tmp_path / "dino.h5").exists()


def _pickled(folder: Path) -> tuple[Path, Path | None]:
    np.save(folder / "a.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    (folder / "k.csv").write_text("key\n")
    return folder / "a.npy", folder / "k.csv"


def _vector(folder: Path) -> tuple[Path, Path | None]:
    np.save(folder / "a.npy", np.zeros(5))
    (folder / "k.csv").write_text("key\n")
    return folder / "a.npy", folder / "k.csv"


def _too_few_keys(folder: Path) -> tuple[Path, Path | None]:
    np.save(folder / "a.npy", VALUES)
    (folder / "k.csv").write_text("key\n" + "\n".join(KEYS[:3]))
    return folder / "a.npy", folder / "k.csv"


def _no_key_column(folder: Path) -> tuple[Path, Path | None]:
    np.save(folder / "a.npy", VALUES)
    (folder / "k.csv").write_text("name\n" + "\n".join(KEYS))
    return folder / "a.npy", folder / "k.csv"


def _no_keys(folder: Path) -> tuple[Path, Path | None]:
    np.save(folder / "a.npy", VALUES)
    return folder / "a.npy", None


def _no_parquet(folder: Path) -> tuple[Path, Path | None]:
    (folder / "a.parquet").write_bytes(b"PAR1 and no more")
    return folder / "a.parquet", None


def _claims_too_much(folder: Path) -> tuple[Path, Path | None]:
    np.save(folder / "a.npy", VALUES)
    data = (folder / "a.npy").read_bytes().replace(b"(5, 2)", b"(9, 9)")
    (folder / "a.npy").write_bytes(data)
    return folder / "a.npy", _no_key_column(folder)[1]


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (_pickled, DataError, "no readable .npy"),
        (_vector, DataError, r"shape \(5,\); it takes numbers \(n, d\)"),
        (_too_few_keys, DataError, r"has 3 lines, .* has shape \(5, 2\)"),
        (_no_key_column, DataError, "neither a column key"),
        (_no_keys, UsageError, "give --keys"),
        (_no_parquet, DataError, "no readable parquet"),
        (lambda folder: (folder / "a.npz", None), MissingData, "no such file"),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_files_that_cannot_be_taken_are_named(
    tmp_path: Path, make: Callable[[Path], tuple[Path, Path | None]], error: type[Exception], said: str
) -> None:
    source, keys = make(tmp_path)
    with pytest.raises(error, match=said):
        read_foreign(source, keys, None)


def test_two_stores_are_compared_row_by_row(store: Path, tmp_path: Path) -> None:
    other = rows().taken(np.array([1, 2, 3, 4]))
    other.values[0, 1] += 0.5
    extra = StoreRows(pack_keys(["ff" * 32]), np.ones((1, 2), np.float32), np.zeros((1, 1), np.uint8))
    together = StoreRows(
        *(np.concatenate([getattr(other, n), getattr(extra, n)]) for n in ("keys", "values", "status"))
    )
    write_store(tmp_path / "b.h5", FeatureSpec("toy", 2, {"fit": "pad"}, ("a", "b")), together)
    with FeatureStore(store) as a, FeatureStore(tmp_path / "b.h5") as b:
        found = compare(a, b)
        assert unpack_keys(found.added) == ["ff" * 32]
        assert unpack_keys(found.removed) == [KEYS[0]]
        assert unpack_keys(found.changed) == [KEYS[1], KEYS[3]]  # one value; and no_face became ok
        assert found.columns["b"] == (2, 0.5)
        assert found.n_same == 2
        assert found.spec == [("params.fit", "crop", "pad"), ("version", 1, 2)]
        lines = list(describe(found, lambda key: key[:4], most=1))
        assert "  spec params.fit: crop -> pad" in lines
        assert "  rows: 1 added, 1 removed, 2 changed, 2 the same" in lines
        assert "  + ffff" in lines
        assert "  ... and 1 more rows" in lines
        assert not compare(a, a)


def test_a_spec_is_compared_field_by_field() -> None:
    one = FeatureSpec("clip", 1, {"training": {"lr": 0.1}, "fit": "crop"}, ("a", "b"), {"w.pt": "00"})
    two = FeatureSpec("clip", 1, {"training": {"lr": 0.2}, "fit": "crop"}, ("b", "c"), {"w.pt": "11"}, "t")
    assert spec_changes(one.to_json(), two.to_json()) == [
        ("columns", ["a"], ["c"]),
        ("fitted_on", "", "t"),
        ("params.training.lr", 0.1, 0.2),
        ("weights.w.pt", "00", "11"),
    ]
    swapped = FeatureSpec("clip", 1, {}, ("b", "a"))
    assert spec_changes(FeatureSpec("clip", 1, {}, ("a", "b")).to_json(), swapped.to_json()) == [
        ("columns", "one order", "another order")
    ]


@pytest.mark.parametrize("to", ["npy", "parquet"])
def test_an_export_onto_a_full_disk_is_an_error_and_never_a_part(
    store: Path, dataset: pd.DataFrame, tmp_path: Path, to: str
) -> None:
    n_bytes = exported(store, dataset, tmp_path / f"whole.{to}", to)[0].stat().st_size
    for room in (0, n_bytes // 2, n_bytes - 1):  # the last write is taken but for a byte
        with replaced_disk(FullDisk(room)), pytest.raises(OSError, match="No space left"):
            exported(store, dataset, tmp_path / f"part.{to}", to)
        assert not (tmp_path / f"part.{to}").exists()
