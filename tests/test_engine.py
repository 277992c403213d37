"""The local engine: work ahead, nothing lost, nothing begun after an error; runs that are killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, encoded, picture

from extractors.base import Rows, Staged
from extractors.engines import local
from featurestore.cache import RowCache
from featurestore.rows import pack_keys
from featurestore.spec import FeatureSpec


class Stages:
    """A device that computes on its own; it writes down what it is told, and when."""

    spec = FeatureSpec("stages", 1, {}, ("a",))
    thread_safe = False

    def __init__(self, fail_at: int | None = None) -> None:
        self.told: list[tuple[str, int]] = []
        self.threads: dict[str, set[int]] = {"preprocess": set(), "launch": set(), "finish": set()}
        self.fail_at = fail_at

    def batch_size(self) -> int:
        return 1

    def preprocess(self, images: Sequence[np.ndarray]) -> int:
        self.threads["preprocess"].add(threading.get_ident())
        return int(images[0][0, 0, 0])

    def launch(self, batch: int) -> int:
        self.threads["launch"].add(threading.get_ident())
        if batch == self.fail_at:
            raise RuntimeError(f"batch {batch}")
        self.told.append(("launch", batch))
        return batch

    def finish(self, handle: int) -> Rows:
        self.threads["finish"].add(threading.get_ident())
        self.told.append(("finish", handle))
        return Rows(np.full((1, 1), handle, np.float32), np.zeros(1, np.uint8))

    def __call__(self, images: Sequence[np.ndarray]) -> Rows:
        return self.finish(self.launch(self.preprocess(images)))


def load(item: int) -> np.ndarray:
    return np.full((1, 1, 3), item, np.uint8)


def keep(batch: list[int], rows: Rows) -> None:
    assert len(rows.values) == len(batch)


def batches(n: int) -> list[list[int]]:
    return [[i] for i in range(n)]


def test_a_device_is_given_the_next_batch_before_the_last_one_is_awaited() -> None:
    extractor = Stages()
    assert isinstance(extractor, Staged)
    found = {
        batch[0]: rows.values[0, 0] for batch, rows in local.run(extractor, batches(6), load, keep, workers=3)
    }
    assert found == {i: i for i in range(6)}
    assert [what for what, _ in extractor.told[:3]] == ["launch", "launch", "finish"]
    assert [what for what, _ in extractor.told[-2:]] == ["finish", "finish"]
    assert threading.get_ident() not in extractor.threads["preprocess"]
    assert extractor.threads["launch"] == extractor.threads["finish"] == {threading.get_ident()}


def test_what_was_launched_before_an_error_is_finished() -> None:
    extractor, found = Stages(fail_at=3), []
    try:
        for batch, _ in local.run(extractor, batches(9), load, keep, workers=1):
            found.append(batch[0])
    except RuntimeError as error:
        assert str(error) == "batch 3"  # noqa: PT017
    assert found == [0, 1, 2]
    launched = {n for what, n in extractor.told if what == "launch"}
    assert {n for what, n in extractor.told if what == "finish"} == launched == {0, 1, 2}


class Slow:
    spec = FeatureSpec("slow", 1, {}, ("a",))
    thread_safe = True

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self, images: Sequence[np.ndarray]) -> Rows:
        self.n_calls += 1
        time.sleep(0.2 if images[0][0, 0, 0] == 0 else 0.01)
        return Rows(np.zeros((len(images), 1), np.float32), np.zeros(len(images), np.uint8))


class Counting(Slow):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __call__(self, images: Sequence[np.ndarray]) -> Rows:
        self.sizes.append(len(images))
        values = np.array([image[0, 0, :1] for image in images], np.float32)
        return Rows(values, np.zeros(len(images), np.uint8))


class Network(Counting):
    """A row depends on the batch."""

    def batch_size(self) -> int:
        return 1

    preprocess = launch = finish = batch_size


def test_the_pixels_of_a_large_batch_are_not_in_memory_at_once_unless_its_rows_depend_on_that() -> None:
    batch, kept = list(range(100)), []

    def told(given: Sequence[int], rows: Rows) -> None:
        kept.append((len(given), rows.values[:, 0].tolist(), len(rows.status)))

    few, every = Counting(), Network()
    assert isinstance(every, Staged)
    for extractor in (few, every):
        list(local.run(extractor, [batch], load, told, workers=1))
    assert few.sizes == [32, 32, 32, 4]
    assert every.sizes == [100]
    assert kept == [(100, batch, 100)] * 2, "a batch is kept as one"


def test_a_slow_batch_holds_no_other_back() -> None:
    done = [batch[0] for batch, _ in local.run(Slow(), batches(4), load, keep, workers=2)]
    assert sorted(done) == [0, 1, 2, 3]
    assert done[0] != 0


def test_nothing_more_is_begun_when_nobody_asks() -> None:
    extractor = Slow()
    rows = local.run(extractor, batches(100), load, keep, workers=2)
    next(rows)
    rows.close()
    assert extractor.n_calls <= 8


SCRIPT = """
    import sys, time
    from pathlib import Path
    import numpy as np
    from extractors.base import Rows
    from extractors.run import extract
    from featurestore import console
    from featurestore.cache import RowCache
    from featurestore.params import RuntimeParams
    from featurestore.spec import FeatureSpec

    class Slow:
        spec = FeatureSpec("slow", 1, {}, ("mean",))
        thread_safe = True
        def __call__(self, images):
            time.sleep(float(sys.argv[2]))
            return Rows(np.array([[i.mean()] for i in images], np.float32), np.zeros(len(images), np.uint8))

    def main(argv):
        root = Path(sys.argv[1])
        images = {f.stem: f for f in sorted((root / "data").glob("*.png"))}
        report = extract(Slow(), images, RowCache(root / "cache"), root / "slow.h5", root=root, max_pixels=10**6,
                         runtime=RuntimeParams(workers=2, batch_size=2))
        print(report.extracted, report.from_cache)

    sys.exit(console.run(main, []))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_loses_at_most_a_batch_a_worker(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "data").mkdir()
    keys = []
    for i in range(40):
        data = encoded(picture(i))
        keys.append(hashlib.sha256(data).hexdigest())
        (tmp_path / "data" / f"{keys[-1]}.png").write_bytes(data)
    (tmp_path / "run.py").write_text(textwrap.dedent(SCRIPT))

    def start(seconds: float) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(tmp_path / "run.py"), str(tmp_path), str(seconds)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    spec, cache = FeatureSpec("slow", 1, {}, ("mean",)), RowCache(tmp_path / "cache")
    process = start(0.5)
    deadline = time.monotonic() + 60
    while len(cache.segments(spec)) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before three commits"
        time.sleep(0.02)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if how == signal.SIGKILL else 143), said
    assert not (tmp_path / "slow.h5").exists()
    committed = len(cache.find(spec, pack_keys(sorted(keys))))
    assert 6 <= committed < 40
    if how == signal.SIGTERM:
        assert said.splitlines() == [
            f"slow: asked to end: {committed} of 40 rows were computed and kept; the same command goes on",
            "kyara: terminated; what was committed is kept",
        ], "what was under way is finished and kept"
    again = start(0.0)
    out, said = again.communicate(timeout=60)
    assert out.split() == [str(40 - committed), str(committed)], said
