from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from featurestore.cache import RowCache, cache_root, set_aside
from featurestore.compaction import compact
from featurestore.errors import StoreDamaged
from featurestore.garbage import find_garbage, remove_garbage
from featurestore.rows import StoreRows
from featurestore.spec import FeatureSpec, Status
from featurestore.store import FeatureStore
from featurestore.verification import State, repair, verify

SPEC = FeatureSpec("toy", 1, {"fit": "crop"}, ("a", "b"))
OTHER = FeatureSpec("toy", 1, {"fit": "pad"}, ("a", "b"))
DAY = 86_400.0


def rows(n: int, seed: int = 0) -> StoreRows:
    rng = np.random.default_rng(seed)
    return StoreRows(
        rng.integers(0, 256, (n, 32), dtype=np.uint8),
        rng.standard_normal((n, 2), dtype=np.float32),
        np.zeros((n, 1), np.uint8),
    )


def age(file: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(file, (then, then))


def test_the_same_rows_are_the_same_segment(tmp_path: Path) -> None:
    cache, given = RowCache(tmp_path), rows(5)
    backwards = given.taken(np.arange(5)[::-1])
    assert cache.commit(SPEC, given) == cache.commit(SPEC, backwards)
    assert len(cache.segments(SPEC)) == 1


def test_only_what_is_lacking_is_added(tmp_path: Path) -> None:
    cache, given = RowCache(tmp_path), rows(5)
    cache.commit(SPEC, given.taken(np.arange(3)))
    assert cache.add(SPEC, given) == 2
    assert cache.add(SPEC, given) == 0
    assert len(cache.find(SPEC, given.keys)) == 5


def test_fingerprints_never_mix(tmp_path: Path) -> None:
    cache, given = RowCache(tmp_path), rows(5)
    cache.commit(SPEC, given)
    assert len(cache.find(OTHER, given.keys)) == 0
    # not even where a segment was put into another's folder
    source = cache.segments(SPEC)[0]
    cache.folder(OTHER).mkdir()
    (cache.folder(OTHER) / source.name).write_bytes(source.read_bytes())
    assert len(cache.find(OTHER, given.keys)) == 0
    assert len(cache.find(SPEC, given.keys)) == 5


def test_compacting_merges_and_keeps_the_time_and_every_row(tmp_path: Path) -> None:
    cache, given = RowCache(tmp_path), rows(60)
    given.values[7], given.status[7] = np.nan, Status.NO_FACE
    for i in range(0, 60, 5):
        segment = cache.commit(SPEC, given.taken(np.arange(max(0, i - 2), i + 5)))  # some rows twice
        age(segment, 3)
    done = compact(cache, cache.folder(SPEC))
    assert (done.before, done.after) == (12, 1)
    found, wanted = cache.find(SPEC, given.keys).sorted(), given.sorted()
    assert np.array_equal(found.keys, wanted.keys)
    assert np.array_equal(found.values, wanted.values, equal_nan=True)
    assert np.array_equal(found.status, wanted.status)
    again = compact(cache, cache.folder(SPEC))
    assert (again.before, again.after) == (1, 1)


def test_a_merged_segment_is_as_old_as_its_youngest_part(tmp_path: Path) -> None:
    cache = RowCache(tmp_path)
    for i, days in enumerate((9, 4, 6)):
        age(cache.commit(SPEC, rows(2, i)), days)
    compact(cache, cache.folder(SPEC))
    (merged,) = cache.segments(SPEC)
    assert (time.time() - merged.stat().st_mtime) / DAY == pytest.approx(4, abs=0.01)


def test_large_segments_are_left_alone_and_merged_ones_stay_within_the_limit(tmp_path: Path) -> None:
    cache = RowCache(tmp_path)
    big = cache.commit(SPEC, rows(2000))
    small = [cache.commit(SPEC, rows(2, seed)) for seed in range(1, 9)]
    limit = 3 * small[0].stat().st_size
    compact(cache, cache.folder(SPEC), segment_bytes=limit)
    assert big.exists()
    assert all(segment.stat().st_size <= limit for segment in cache.segments(SPEC) if segment != big)
    for seed in range(1, 9):
        assert len(cache.find(SPEC, rows(2, seed).keys)) == 2


def test_compacting_leaves_what_it_cannot_read(tmp_path: Path) -> None:
    cache = RowCache(tmp_path)
    segments = [cache.commit(SPEC, rows(2, seed)) for seed in range(3)]
    segments[0].write_bytes(segments[0].read_bytes()[:-1])
    compact(cache, cache.folder(SPEC))
    assert segments[0].exists()
    assert len(cache.segments(SPEC)) == 2


class CompactedMeanwhile(RowCache):
    """Lists its segments, and then they are compacted away before they are opened."""

    def segments(self, spec: FeatureSpec) -> list[Path]:
        found = super().segments(spec)
        compact(RowCache(self.root), self.folder(spec))
        return found


def test_a_reader_finds_rows_that_are_compacted_under_its_eyes(tmp_path: Path) -> None:
    for seed in range(5):
        RowCache(tmp_path).commit(SPEC, rows(2, seed))
    cache = CompactedMeanwhile(tmp_path)
    for seed in range(5):
        assert len(cache.find(SPEC, rows(2, seed).keys)) == 2


def test_news_are_what_others_committed(tmp_path: Path) -> None:
    mine, theirs, seen = RowCache(tmp_path), RowCache(tmp_path), set[str]()
    mine.commit(SPEC, rows(2, 1), seen=seen)
    assert list(mine.news(SPEC, seen)) == []
    theirs.commit(SPEC, rows(2, 2))
    (found,) = mine.news(SPEC, seen)
    assert np.array_equal(found.keys, rows(2, 2).sorted().keys)
    assert list(mine.news(SPEC, seen)) == []


def test_a_segment_that_was_written_anew_meanwhile_is_not_set_aside(tmp_path: Path) -> None:
    cache, given = RowCache(tmp_path), rows(2)
    segment = cache.commit(SPEC, given)
    sound = segment.read_bytes()
    for found in (sound, sound[:-1]):  # what stands under the name when it is renamed
        segment.write_bytes(found)
        aside = set_aside(segment, lambda path: path.read_bytes() == sound)
        assert (aside is None) == segment.exists() == (found == sound)


class MendedMeanwhile(FeatureStore):
    """As soon as it is found to be damaged, another run commits the same rows."""

    def __init__(self, path: Path, *, check: bool = False, keep: bool = True) -> None:
        try:
            super().__init__(path, check=check, keep=keep)
        except StoreDamaged:
            if path.suffix == ".h5":
                RowCache(path.parents[2]).commit(SPEC, rows(2))
            raise


def test_a_run_does_not_take_away_what_another_has_just_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = RowCache(tmp_path).commit(SPEC, rows(2))
    segment.write_bytes(segment.read_bytes()[:-1])
    monkeypatch.setattr("featurestore.cache.FeatureStore", MendedMeanwhile)
    RowCache(tmp_path).find(SPEC, rows(2).keys)
    monkeypatch.undo()
    assert [file.suffix for file in segment.parent.iterdir()] == [".h5"]
    assert len(RowCache(tmp_path).find(SPEC, rows(2).keys)) == 2


def test_repair_gives_a_sound_segment_its_name_back(tmp_path: Path) -> None:
    cache = RowCache(tmp_path)
    segment = cache.commit(SPEC, rows(2))
    segment.rename(segment.with_name(segment.name + ".damaged"))
    assert len(cache.find(SPEC, rows(2).keys)) == 0
    assert repair(cache, []).aside == []
    assert len(cache.find(SPEC, rows(2).keys)) == 2


def test_a_segment_that_may_not_be_read_is_passed_over_and_not_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache, given = RowCache(tmp_path), rows(2)
    segment = cache.commit(SPEC, given)
    really = Path.open

    def refusing(self: Path, *args: object, **options: object) -> object:
        if self == segment:
            raise PermissionError(13, "Permission denied", str(self))
        return really(self, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refusing)  # root may read everything
    assert len(cache.find(SPEC, given.keys)) == 0
    assert segment.exists()
    assert "Permission denied" in caplog.text
    done = repair(cache, [])
    assert [verdict.state for verdict in done.stuck] == [State.UNREADABLE]


def test_a_segment_of_a_later_kyara_is_whole_and_none_of_ours(tmp_path: Path) -> None:
    cache = RowCache(tmp_path)
    segment = cache.commit(SPEC, rows(2))
    import hashlib

    later = segment.read_bytes().replace(b"kyara-store 2\n", b"kyara-store 3\n")
    segment.unlink()
    (segment.parent / f"{hashlib.sha256(later).hexdigest()}.h5").write_bytes(later)
    assert [verdict.state for verdict in verify(cache, [])] == [State.OTHER_VERSION]
    assert repair(cache, []).aside == []


def gone(cache: RowCache, **options: object) -> list[str]:
    given = {"named": None, "older_than_s": 0.0, "now": time.time() + 1, **options}
    return [one.why for one in find_garbage(cache, **given)]  # type: ignore[arg-type]


def test_garbage_is_what_is_old(tmp_path: Path) -> None:
    cache = RowCache(tmp_path)
    age(cache.commit(SPEC, rows(2, 0)), 40)
    young = cache.commit(SPEC, rows(2, 1))
    found = list(find_garbage(cache, named=None, older_than_s=30 * DAY, now=time.time()))
    assert [one.why for one in found] == ["old"]
    remove_garbage(found)
    assert cache.segments(SPEC) == [young]


def test_garbage_is_what_no_revision_names_and_is_not_of_today(tmp_path: Path) -> None:
    cache = RowCache(tmp_path)
    for spec in (SPEC, OTHER):
        age(cache.commit(spec, rows(2)), 40)
    age(cache.commit(OTHER, rows(2, 1)), 0.5)
    found = list(find_garbage(cache, named={SPEC.fingerprint}, older_than_s=DAY, now=time.time()))
    assert [one.why for one in found] == ["not named"]
    assert gone(cache, named={SPEC.fingerprint, OTHER.fingerprint}) == []


def test_leftovers_are_garbage_after_a_day(tmp_path: Path) -> None:
    cache = RowCache(tmp_path)
    segment = cache.commit(SPEC, rows(2))
    for name in (".tmp-1-a", "b.h5.damaged"):
        (segment.parent / name).write_bytes(b"x")
    assert gone(cache, named={SPEC.fingerprint}) == []
    for name in (".tmp-1-a", "b.h5.damaged"):
        age(segment.parent / name, 2)
    assert gone(cache, named={SPEC.fingerprint}) == ["unfinished", "damaged"]


def test_what_was_learned_is_not_the_row_caches(tmp_path: Path) -> None:
    cache = RowCache(tmp_path)
    (tmp_path / "_learned" / "abc").mkdir(parents=True)
    (tmp_path / "_learned" / "abc" / "model.h5").write_bytes(b"x")
    assert cache.folders() == []
    assert gone(cache) == []


def test_reading_a_segment_marks_it_as_used(tmp_path: Path) -> None:
    cache, given = RowCache(tmp_path), rows(2)
    age(cache.commit(SPEC, given), 40)
    cache.find(SPEC, given.keys)
    assert gone(cache, older_than_s=30 * DAY) == []


def test_the_cache_lies_where_it_is_told_or_with_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_root("/somewhere") == Path("/somewhere")
    assert cache_root("~/rows") == Path.home() / "rows"
    assert cache_root(None).parts[-2:] == ("kyara", "rows")
    assert cache_root("") == cache_root(None)
