from __future__ import annotations

import os
import signal
import time
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import encoded, picture
from fakes import MeanColour, add

from extractors.base import Extractor, Rows
from extractors.run import Report, extract
from featurestore.cache import RowCache
from featurestore.console import Terminated, finishing
from featurestore.errors import DataError, NonFiniteRow
from featurestore.params import RuntimeParams
from featurestore.rows import StoreRows, unpack_keys
from featurestore.spec import FeatureSpec, Status
from featurestore.store import FeatureStore


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    return dict(sorted(add(folder, i) for i in range(40)))


@pytest.fixture
def run(tmp_path: Path):  # type: ignore[no-untyped-def]
    def call(
        extractor: MeanColour, images: dict[str, Path], cache: str = "cache", **options: object
    ) -> Report:
        return extract(
            extractor,
            images,
            RowCache(tmp_path / cache),
            tmp_path / "features" / "mean.h5",
            root=tmp_path / "data",
            max_pixels=10**6,
            runtime=RuntimeParams(**{"batch_size": 4, **options}),  # type: ignore[arg-type]
        )

    return call


def store_bytes(tmp_path: Path) -> bytes:
    return (tmp_path / "features" / "mean.h5").read_bytes()


def test_the_fake_is_an_extractor() -> None:
    assert isinstance(MeanColour(), Extractor)


@pytest.mark.parametrize("thread_safe", [True, False])
def test_every_image_has_its_row(tmp_path: Path, images: dict[str, Path], run, thread_safe: bool) -> None:
    extractor = MeanColour(thread_safe=thread_safe)
    assert run(extractor, images, workers=2) == Report(extracted=40, from_cache=0, from_store=0, not_ok=1)
    assert len(extractor.threads) == 1 or thread_safe
    with FeatureStore(tmp_path / "features" / "mean.h5") as store:
        values, status = store.matrix(list(images)), store.statuses(list(images))
    for path, row, one in zip(images.values(), values, status[:, 0], strict=True):
        if path.name == "7.png":
            assert one == Status.NO_FACE
            assert np.isnan(row).all()
        else:
            assert row == pytest.approx(picture(int(path.stem)).mean(axis=(0, 1)), rel=1e-6)


def test_the_bytes_do_not_depend_on_how_the_rows_came_together(
    tmp_path: Path, images: dict[str, Path], run
) -> None:
    run(MeanColour(), images, workers=1)
    cold = store_bytes(tmp_path)
    assert run(MeanColour(), images).reused == 40
    assert store_bytes(tmp_path) == cold
    for cache, options in {
        "b": {"workers": 4, "batch_size": 1},
        "c": {"batch_size": 7},
    }.items():
        (tmp_path / "features" / "mean.h5").unlink()
        assert run(MeanColour(), dict(reversed(images.items())), cache, **options).extracted == 40
        assert store_bytes(tmp_path) == cold


def test_adding_three_images_extracts_three_rows_and_removing_them_none(
    tmp_path: Path, images: dict[str, Path], run
) -> None:
    run(MeanColour(), images)
    before = store_bytes(tmp_path)
    more = images | dict(add(tmp_path / "data" / "images", seed) for seed in (100, 101, 102))
    extractor = MeanColour()
    assert run(extractor, more) == Report(extracted=3, from_cache=40, from_store=0, not_ok=1)
    assert extractor.n_images == 3
    assert run(MeanColour(), images).extracted == 0
    assert store_bytes(tmp_path) == before


def test_rows_come_from_the_store_when_the_cache_is_gone(
    tmp_path: Path, images: dict[str, Path], run
) -> None:
    run(MeanColour(), images)
    assert run(MeanColour(), images, "empty") == Report(extracted=0, from_cache=0, from_store=40, not_ok=1)


def test_a_new_version_computes_every_row_and_going_back_none(images: dict[str, Path], run) -> None:
    run(MeanColour(), images)
    assert run(MeanColour(version=2), images).extracted == 40
    assert run(MeanColour(), images).extracted == 0


@pytest.mark.parametrize("thread_safe", [True, False])
def test_what_was_computed_before_an_error_is_kept(images: dict[str, Path], run, thread_safe: bool) -> None:
    broken = MeanColour(fail_at=20, thread_safe=thread_safe)
    with pytest.raises(NonFiniteRow, match=r"\.png: the row of mean is not finite in green"):
        run(broken, images, workers=1, batch_size=2)
    after = MeanColour()
    report = run(after, images)
    assert report.from_cache >= 18
    assert after.n_images == 40 - report.from_cache


def test_a_file_that_changed_since_it_was_indexed_is_an_error(
    tmp_path: Path, images: dict[str, Path], run
) -> None:
    (tmp_path / "data" / "images" / "11.png").write_bytes(encoded(picture(999)))
    with pytest.raises(DataError, match=r"11\.png: changed since it was indexed; run: dvc repro$"):
        run(MeanColour(), images)
    listed = {key: str(path) for key, path in images.items()}  # by a manifest, at which alone DVC looks
    with pytest.raises(DataError, match=r"11\.png: changed .*; run: dvc repro -f -s index && dvc repro$"):
        run(MeanColour(), listed)


@pytest.mark.parametrize("asks", [True, False])
def test_sigterm_ends_what_asks_and_lets_be_what_is_done(asks: bool) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def whole() -> bool:
        with finishing() as asked:
            os.kill(os.getpid(), signal.SIGTERM)
            return not asks or not asked()

    if asks:
        with pytest.raises(Terminated):
            whole()
    else:
        assert whole()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_damaged_segment_is_set_aside_and_its_rows_computed_again(
    tmp_path: Path, images: dict[str, Path], run, caplog: pytest.LogCaptureFixture
) -> None:
    run(MeanColour(), images)
    whole = store_bytes(tmp_path)
    (tmp_path / "features" / "mean.h5").unlink()
    segments = sorted((tmp_path / "cache").rglob("*.h5"))
    assert len(segments) >= 2
    data = bytearray(segments[0].read_bytes())
    with FeatureStore(segments[0]) as reader:
        n_lost, offset = len(reader), reader._layout["value"][2]
    data[offset] ^= 1
    segments[0].write_bytes(data)
    extractor = MeanColour()
    assert run(extractor, images).extracted == extractor.n_images == n_lost
    assert store_bytes(tmp_path) == whole
    assert "set aside" in caplog.text
    assert segments[0].with_name(segments[0].name + ".damaged").exists()


def test_a_damaged_store_is_not_trusted(tmp_path: Path, images: dict[str, Path], run) -> None:
    run(MeanColour(), images)
    whole = store_bytes(tmp_path)
    (tmp_path / "features" / "mean.h5").write_bytes(whole[:-100])
    assert run(MeanColour(), images, "empty").extracted == 40
    assert store_bytes(tmp_path) == whole


def test_unfinished_writes_are_never_read(tmp_path: Path, images: dict[str, Path], run) -> None:
    run(MeanColour(), images)
    segment = next((tmp_path / "cache").rglob("*.h5"))
    (segment.parent / ".tmp-1-x").write_bytes(b"half")
    (segment.parent / ".tmp-2-y.h5").write_bytes(b"half")
    assert run(MeanColour(), images).from_cache == 40


def test_what_other_threads_finished_is_kept_when_one_picture_fails(
    tmp_path: Path, images: dict[str, Path], run
) -> None:
    first = next(iter(images.values()))
    first.write_bytes(encoded(picture(999)))  # the first batch fails while others are under way
    with pytest.raises(DataError, match="changed since it was indexed"):
        run(MeanColour(), images, workers=4)
    n_kept = 0
    for segment in (tmp_path / "cache").rglob("*.h5"):
        with FeatureStore(segment) as reader:
            n_kept += len(reader)
    assert n_kept >= 4


def test_a_segment_of_another_version_is_left_to_its_owner(
    tmp_path: Path, images: dict[str, Path], run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(MeanColour(), images)
    (tmp_path / "features" / "mean.h5").unlink()
    before = sorted((tmp_path / "cache").rglob("*.h5"))
    monkeypatch.setattr("featurestore.hdf5.FORMAT_VERSION", 3)
    assert run(MeanColour(), images).extracted == 40
    monkeypatch.undo()
    assert set(before) <= set((tmp_path / "cache").rglob("*.h5"))
    (tmp_path / "features" / "mean.h5").unlink()
    assert run(MeanColour(), images).extracted == 0


def test_two_runs_at_once_over_one_cache_give_the_same_bytes(
    tmp_path: Path, images: dict[str, Path], run
) -> None:
    def one(name: str) -> bytes:
        store = tmp_path / name / "mean.h5"
        extract(
            MeanColour(), images, RowCache(tmp_path / "cache"), store,
            root=tmp_path / "data", max_pixels=10**6, runtime=RuntimeParams(batch_size=2),
        )  # fmt: skip
        return store.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(one, ("a", "b", "c", "d")))) == 1


class Slow(MeanColour):
    """Takes its time, so that two runs meet."""

    def __call__(self, images: Sequence[np.ndarray]) -> Rows:
        time.sleep(0.08)
        return super().__call__(images)


def test_two_runs_at_once_share_the_work(tmp_path: Path, images: dict[str, Path]) -> None:
    extractors = {name: Slow() for name in "ab"}

    def one(name: str) -> tuple[Report, bytes]:
        store = tmp_path / name / "mean.h5"
        report = extract(
            extractors[name], dict(reversed(images.items())), RowCache(tmp_path / "cache"), store,
            root=tmp_path / "data", max_pixels=10**6, runtime=RuntimeParams(batch_size=1, workers=1),
        )  # fmt: skip
        return report, store.read_bytes()

    with ThreadPoolExecutor(2) as pool:
        (first, bytes_of_first), (second, bytes_of_second) = pool.map(one, "ab")
    assert bytes_of_first == bytes_of_second
    assert sum(extractor.n_images for extractor in extractors.values()) == first.extracted + second.extracted
    assert 40 <= first.extracted + second.extracted < 72, "80 if each did everything"
    assert first.from_others + second.from_others == 80 - first.extracted - second.extracted


def test_rows_of_an_older_store_come_into_the_cache(
    tmp_path: Path, images: dict[str, Path], run: Callable[..., Report]
) -> None:
    run(MeanColour(), images)
    assert run(MeanColour(), images, "empty").from_store == 40
    (tmp_path / "features" / "mean.h5").unlink()
    assert run(MeanColour(), images, "empty").from_cache == 40


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_run_has_one_copy_of_the_values_in_memory_and_one_with_nothing_to_do_none(
    tmp_path: Path, images: dict[str, Path], run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor, n = MeanColour(), 20_000
    extractor.spec = FeatureSpec("mean", 1, {}, tuple(f"c{i}" for i in range(256)))
    keys = np.random.default_rng(0).integers(0, 256, (n, 32), np.uint8)
    status = np.zeros((n, 1), np.uint8)
    status[7] = Status.NO_FACE
    values = np.full((n, 256), 1, np.float32)
    values[7] = np.nan
    cache = RowCache(tmp_path / "cache")
    for part in np.array_split(np.arange(n), 5):
        cache.commit(extractor.spec, StoreRows(keys[part], values[part], status[part]))
    known = {key: Path() for key in unpack_keys(keys)}
    run(extractor, dict(list(known.items())[:9]))  # imports what is imported only once
    (tmp_path / "features" / "mean.h5").unlink()
    monkeypatch.setattr("extractors.run._MANY_SEGMENTS", 4)
    assert peak_bytes(lambda: run(extractor, known)) < 1.7 * values.nbytes
    assert len(cache.segments(extractor.spec)) == 1
    assert peak_bytes(lambda: run(extractor, known)) < 0.6 * values.nbytes
    assert run(extractor, known) == Report(extracted=0, from_cache=n, from_store=0, not_ok=1)


def test_many_segments_are_merged_at_the_end(
    tmp_path: Path, images: dict[str, Path], run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extractors.run._MANY_SEGMENTS", 10)
    run(MeanColour(), images, batch_size=1)
    assert len(list((tmp_path / "cache").rglob("*.h5"))) == 1
    assert run(MeanColour(), images, batch_size=1).from_cache == 40


def test_the_sound_rows_of_a_batch_are_kept_beside_a_broken_one(
    images: dict[str, Path], run: Callable[..., Report]
) -> None:
    with pytest.raises(NonFiniteRow):
        run(MeanColour(fail_at=1), images, workers=1, batch_size=8)
    assert run(MeanColour(), images).from_cache in (7, 14)  # the next batch may have been begun
