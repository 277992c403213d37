"""What docs/promises.md says, shown: crashes at every operation, loss of power, full disks, flipped bytes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from disks import (
    FullDisk,
    LyingDisk,
    LyingFolders,
    Operation,
    RecordingDisk,
    Replay,
    crashes,
    laid_out,
)
from fakes import MeanColour, add
from PIL import Image

from extractors.run import Report, extract
from featurestore import console
from featurestore.cache import DAMAGED_SUFFIX, RowCache
from featurestore.compaction import compact
from featurestore.errors import MissingData, MissingRows
from featurestore.files import TEMPORARY_PREFIX, Disk, replaced_disk
from featurestore.fuse import fuse
from featurestore.params import RuntimeParams
from featurestore.rows import StoreRows, pack_keys, unpack_keys
from featurestore.spec import FeatureSpec, Status
from featurestore.store import FeatureStore
from featurestore.verification import State, repair, verify

SPEC = MeanColour().spec


def trials(few: int, many: int) -> pytest.MarkDecorator:
    """As many as ``make test`` has time for, and as ``make test-all`` has."""
    return pytest.mark.parametrize("n_trials", [few, pytest.param(many, marks=pytest.mark.slow)])


@dataclass
class Study:
    """Pictures, and the rows that they must have."""

    data: Path
    images: dict[str, Path]

    def run(
        self, root: Path, cache: RowCache | None = None, n: int | None = None
    ) -> tuple[MeanColour, Report]:
        """Extract the first ``n`` pictures into a folder."""
        extractor = MeanColour()
        report = extract(
            extractor,
            dict(list(self.images.items())[:n]),
            cache or RowCache(root / "cache"),
            root / "features" / "mean.h5",
            root=self.data,
            max_pixels=10**6,
            runtime=RuntimeParams(workers=1, batch_size=2),
        )
        return extractor, report

    def truth(self) -> dict[str, bytes]:
        """Key -> the bytes of its row."""
        pixels = [np.asarray(Image.open(p).convert("RGB")) for p in self.images.values()]
        rows = MeanColour()(pixels)
        return {
            key: values.tobytes() + status.tobytes()
            for key, values, status in zip(self.images, rows.values, rows.status, strict=True)
        }


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    data = tmp_path_factory.mktemp("study") / "data"
    data.mkdir()
    return Study(data, dict(sorted(add(data, seed) for seed in range(4, 14))))


@pytest.fixture(scope="module")
def whole(study: Study, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The store's bytes, of a run that nothing happened to."""
    root = tmp_path_factory.mktemp("whole")
    study.run(root)
    return (root / "features" / "mean.h5").read_bytes()


class Acknowledging(RowCache):
    """Says which rows are durable, the moment that `commit` has said so."""

    def __init__(self, root: Path, say: Callable[..., None]) -> None:
        super().__init__(root)
        self._say = say

    def commit(self, spec: FeatureSpec, rows: StoreRows, **options: object) -> Path:
        segment = super().commit(spec, rows, **options)  # type: ignore[arg-type]
        self._say("acknowledged", tuple(unpack_keys(rows.keys)))
        return segment


def history(study: Study, disk: RecordingDisk) -> list[Operation]:
    """A run, a compaction, and a run over more pictures, written down."""
    cache = Acknowledging(disk.root / "cache", disk.say)
    with replaced_disk(disk):
        study.run(disk.root, cache, n=6)
        compact(cache, cache.folder(SPEC))
        study.run(disk.root, cache)
        compact(cache, cache.folder(SPEC))
    return disk.log


def acknowledged(log: Iterable[Operation]) -> set[str]:
    return {key for operation in log if operation[0] == "acknowledged" for key in operation[1]}


def check(study: Study, root: Path, kept: set[str], whole: bytes) -> None:
    """Nothing acknowledged is lost, nothing is wrong, and a new run ends as if nothing had happened."""
    truth = study.truth()
    found = RowCache(root / "cache").find(SPEC, pack_keys(list(truth)))
    rows = {
        key: values.tobytes() + status.tobytes()
        for key, values, status in zip(unpack_keys(found.keys), found.values, found.status, strict=True)
    }
    assert all(truth[key] == row for key, row in rows.items()), "a wrong row"
    assert kept <= rows.keys(), "an acknowledged row was lost"
    assert not list(root.rglob(f"*{DAMAGED_SUFFIX}")), "a file has a name and is not whole"
    store = root / "features" / "mean.h5"
    held = set(rows)
    if store.exists():
        with FeatureStore(store) as reader:
            held |= set(unpack_keys(reader.verify().keys))
    extractor, _ = study.run(root)
    assert extractor.n_images == len(truth) - len(held), "a row was computed again"
    assert store.read_bytes() == whole
    assert all(verdict.state is State.SOUND for verdict in verify(RowCache(root / "cache"), [store]))


def test_an_acknowledged_row_survives_a_crash_at_every_operation(
    study: Study, whole: bytes, tmp_path: Path
) -> None:
    log = history(study, RecordingDisk(tmp_path / "recorded"))
    seen = set()
    for n, files in crashes(log):
        kept = acknowledged(log[:n])
        state = (frozenset(kept), hash(tuple(files.items())))
        if state not in seen:
            seen.add(state)
            check(study, laid_out(files, tmp_path / str(len(seen))), kept, whole)
    assert len(seen) > 80


def lose_power(study: Study, whole: bytes, log: list[Operation], folder: Path, n_trials: int) -> None:
    rng = np.random.default_rng(4)
    for trial in range(n_trials):
        n = int(rng.integers(len(log) + 1))
        replay = Replay()
        for operation in log[:n]:
            replay.tell(operation)
        root = laid_out(replay.after_a_loss_of_power(rng), folder / str(trial))
        check(study, root, acknowledged(log[:n]), whole)


@trials(200, 1000)
def test_an_acknowledged_row_survives_a_loss_of_power(
    study: Study, whole: bytes, tmp_path: Path, n_trials: int
) -> None:
    log = history(study, RecordingDisk(tmp_path / "recorded"))
    lose_power(study, whole, log, tmp_path, n_trials)


@pytest.mark.parametrize("disk", [LyingDisk, LyingFolders])
def test_without_a_sync_the_same_test_fails(
    study: Study, whole: bytes, tmp_path: Path, disk: type[RecordingDisk]
) -> None:
    log = history(study, disk(tmp_path / "recorded"))
    with pytest.raises(AssertionError):
        lose_power(study, whole, log, tmp_path, 200)


@trials(20, 50)
def test_a_full_disk_is_one_line_and_costs_no_row(
    study: Study, whole: bytes, tmp_path: Path, n_trials: int, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = FullDisk(1 << 40)
    with replaced_disk(measured):
        study.run(tmp_path / "measured")
    n_bytes = (1 << 40) - measured.room
    for i, room in enumerate(np.linspace(0, n_bytes - 1, n_trials).astype(int)):
        kept: list[Operation] = []
        root = tmp_path / str(i)
        cache = Acknowledging(root / "cache", lambda *operation: kept.append(operation))  # noqa: B023
        with replaced_disk(FullDisk(int(room))):
            code = console.run(lambda _: study.run(root, cache) and None, [])  # noqa: B023
        assert code == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert said.startswith(f"kyara: error: {root}")
        assert "No space left on device; free some" in said
        assert not list(root.rglob(f"{TEMPORARY_PREFIX}*"))
        check(study, root, acknowledged(kept), whole)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from featurestore.cache import RowCache
from featurestore.compaction import compact
from featurestore.rows import StoreRows
from featurestore.spec import FeatureSpec

root, me, n = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
cache, spec = RowCache(root), FeatureSpec("toy", 1, {}, ("writer", "commit"))
for i in range(n):
    keys = np.zeros((1, 32), np.uint8)
    keys[0, :2] = me + 1, i
    cache.commit(spec, StoreRows(keys, np.array([[me, i]], np.float32), np.zeros((1, 1), np.uint8)))
    if me == 0 and i % 10 == 9:
        compact(cache, cache.folder(spec))
"""


def test_what_eight_writers_commit_at_once_is_all_there(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(me), "50"], cwd=ROOT)
        for me in range(8)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 8
    keys = np.zeros((400, 32), np.uint8)
    keys[:, 0], keys[:, 1] = np.repeat(np.arange(8) + 1, 50), np.tile(np.arange(50), 8)
    cache, spec = RowCache(tmp_path), FeatureSpec("toy", 1, {}, ("writer", "commit"))
    found = cache.find(spec, keys).sorted()
    assert len(found) == 400
    assert np.array_equal(found.values, found.keys[:, :2] - np.array([1, 0]))
    done = compact(cache, cache.folder(spec))
    assert done.after == 1
    assert len(cache.find(spec, keys)) == 400


@trials(1000, 10_000)
def test_any_changed_byte_is_found(study: Study, tmp_path: Path, n_trials: int) -> None:
    study.run(tmp_path)
    cache, store = RowCache(tmp_path / "cache"), tmp_path / "features" / "mean.h5"
    compact(cache, cache.folder(SPEC))
    (segment,) = cache.segments(SPEC)
    rng = np.random.default_rng(10)
    for trial in range(n_trials):
        file = (store, segment)[trial % 2]
        sound = file.read_bytes()
        changed = bytearray(sound)
        changed[rng.integers(len(sound))] ^= rng.integers(1, 256)
        file.write_bytes(changed)
        bad = [verdict.path for verdict in verify(cache, [store]) if verdict.state is State.DAMAGED]
        assert bad == [file], trial
        file.write_bytes(sound)
    assert all(verdict.state is State.SOUND for verdict in verify(cache, [store]))


def test_every_byte_of_the_preamble_and_of_the_padding_counts(study: Study, tmp_path: Path) -> None:
    study.run(tmp_path)
    store = tmp_path / "features" / "mean.h5"
    sound = store.read_bytes()
    for place in [*range(0, 700, 7), len(sound) - 1]:
        store.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        (verdict,) = verify(RowCache(tmp_path / "none"), [store])
        assert verdict.state is State.DAMAGED, place
    for other in (sound + b"\0", sound[:-1], b""):
        store.write_bytes(other)
        (verdict,) = verify(RowCache(tmp_path / "none"), [store])
        assert verdict.state is State.DAMAGED


def test_repair_costs_what_was_lost_and_no_more(study: Study, whole: bytes, tmp_path: Path) -> None:
    study.run(tmp_path)
    cache, store = RowCache(tmp_path / "cache"), tmp_path / "features" / "mean.h5"
    for segment in cache.segments(SPEC)[:2]:
        with FeatureStore(segment) as reader:
            assert len(reader) == 2
        segment.write_bytes(segment.read_bytes()[:-1] + b"!")
    store.write_bytes(store.read_bytes()[:-1] + b"!")
    done = repair(cache, [store])
    assert len(done.aside) == 3
    assert not done.stuck
    assert not store.exists()
    extractor, report = study.run(tmp_path)
    assert (extractor.n_images, report.from_cache) == (4, 6)
    assert store.read_bytes() == whole


def test_repair_takes_rows_back_from_a_sound_store(study: Study, tmp_path: Path) -> None:
    study.run(tmp_path)
    cache, store = RowCache(tmp_path / "cache"), tmp_path / "features" / "mean.h5"
    segment = cache.segments(SPEC)[0]
    segment.write_bytes(segment.read_bytes()[:-1] + b"!")
    assert repair(cache, [store]).n_restored == 2
    store.unlink()
    extractor, _ = study.run(tmp_path)
    assert extractor.n_images == 0


def test_a_missing_row_is_an_error_whichever_file_lacks_it(study: Study, tmp_path: Path) -> None:
    study.run(tmp_path)
    cache, store = RowCache(tmp_path / "cache"), tmp_path / "features" / "mean.h5"
    keys = list(study.images)
    for segment in cache.segments(SPEC):
        data = segment.read_bytes()
        with FeatureStore(segment) as reader:
            lost = set(unpack_keys(reader.keys))
        segment.unlink()
        found = cache.find(SPEC, pack_keys(keys))
        assert set(unpack_keys(found.keys)) == set(keys) - lost
        segment.write_bytes(data)
    for key in keys:  # a store that lacks one row
        study.run(tmp_path / key, cache, n=None)
        part = tmp_path / key / "part.h5"
        rest = {k: v for k, v in study.images.items() if k != key}
        Study(study.data, rest).run(part.parent, cache)
        with pytest.raises(MissingRows, match="1 of 10 images have no row"):
            fuse(keys, {"mean": part.parent / "features" / "mean.h5"}, tmp_path / "fused.h5")
    store.unlink()
    with pytest.raises(MissingData):
        fuse(keys, {"mean": store}, tmp_path / "fused.h5")
    assert not (tmp_path / "fused.h5").exists()


VICTIMS = Path(__file__).with_name("victims.py")


def killed(folder: Path, n_kills: int, workers: int) -> None:
    """Run `victims.py`, which kills as many runs and looks at what they left."""
    done = subprocess.run(
        [sys.executable, str(VICTIMS), str(folder), str(n_kills), str(workers)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60 + n_kills,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{n_kills} killed" in done.stdout


@pytest.mark.parametrize("workers", [1, 2])
@trials(20, 50)
def test_a_killed_run_computes_at_most_one_batch_a_worker_again(
    tmp_path: Path, n_trials: int, workers: int
) -> None:
    killed(tmp_path, n_trials, workers)


@pytest.mark.slow
def test_no_row_is_lost_to_a_thousand_kills(tmp_path: Path) -> None:
    killed(tmp_path, 1000, 2)


def test_the_real_disk_is_back_after_a_test_that_replaced_it(tmp_path: Path) -> None:
    from featurestore import files

    with replaced_disk(FullDisk(0)), pytest.raises(OSError, match="No space"):
        files.write_text_atomic(tmp_path / "a", "a")
    files.write_text_atomic(tmp_path / "a", "a")
    assert type(files._disk) is Disk
    assert Status.OK == 0
