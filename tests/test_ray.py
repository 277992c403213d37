"""The engine ray on a cluster of two machines that are this one: the same bytes, and nothing lost but a batch."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from conftest import ROOT
from fakes import add
from studies import study
from zoo_weights import MADE

from classifiers import pool
from classifiers.comparison.compare import compare
from classifiers.registry import make_head
from classifiers.scoring import Scoring
from extractors.base import Context
from extractors.cluster import connected
from extractors.recipe import Recipe
from extractors.run import Report, extract
from featurestore.cache import RowCache
from featurestore.errors import (
    ClusterLost,
    DataError,
    MissingError,
    MissingExtra,
    NonFiniteRow,
    UsageError,
)
from featurestore.params import RuntimeParams, SearchParams
from featurestore.rows import pack_keys
from featurestore.spec import FeatureSpec
from featurestore.store import FeatureStore

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore:::ray")  # what it warns itself of

TESTS = Path(__file__).resolve().parent
BATCH = 2
STORE_BYTES = 80 * 2**20
COUNTING = FeatureSpec("counting", 1, {}, ("red", "green", "blue"))


def node(**options: Any) -> dict[str, Any]:
    return {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False, **options}


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """A cluster of two machines with a core each, one of which says that it has a GPU."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # else other tests beside these would starve it
        made = Cluster(initialize_head=True, head_node_args=node())
        made.add_node(**node(num_gpus=1))
    yield made
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        made.shutdown()


@pytest.fixture(scope="module")
def address(machines: Any) -> str:
    found: str = machines.address
    return found


@pytest.fixture(scope="module")
def cluster(address: str) -> Iterator[None]:
    """This process is its driver in all tests: connecting takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", address)
        with connected(0):
            yield


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    return dict(sorted(add(folder, 100 + i) for i in range(24)))


@pytest.fixture
def run(tmp_path: Path, images: dict[str, Path]) -> Callable[..., Report]:
    def call(recipe: Recipe, engine: str = "ray", **options: Any) -> Report:
        """Into a cache and a store of the engine's own."""
        runtime = RuntimeParams(engine=engine, **{"batch_size": BATCH, "device": "cpu", **options})
        return extract(
            recipe.build("cpu"), images, RowCache(tmp_path / engine), tmp_path / f"{engine}.h5",
            root=tmp_path / "data", max_pixels=10**6, runtime=runtime, recipe=recipe,
        )  # fmt: skip

    return call


@pytest.fixture
def counting(tmp_path: Path) -> Callable[..., Recipe]:
    def made(name: str = "counting", **params: Any) -> Recipe:
        return Recipe(name, {"log": str(tmp_path / "log"), **params}, Context(), zoo="doubles")

    return made


def told(tmp_path: Path) -> list[tuple[int, int]]:
    """Process and pictures of each call of an extractor that counts."""
    if not (tmp_path / "log").exists():
        return []
    lines = (tmp_path / "log").read_text().splitlines()
    return [(int(pid), int(n)) for pid, n in map(str.split, lines)]


def n_told(tmp_path: Path) -> int:
    return sum(n for _, n in told(tmp_path))


def same_bytes(tmp_path: Path) -> bool:
    return (tmp_path / "ray.h5").read_bytes() == (tmp_path / "local.h5").read_bytes()


def test_what_cannot_be_connected_to_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for address, error, said in (
        ("ray://head:10001", UsageError, "RAY_ADDRESS=ray://head:10001: run the command on a node"),
        ("127.0.0.1:1", MissingError, "RAY_ADDRESS=127.0.0.1:1: no Ray cluster answers there; start one"),
        ("nonsense", UsageError, "RAY_ADDRESS=nonsense: .*; it is host:port"),
    ):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(error, match=said), connected(0):
            pass
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"needs ray, not installed here; .*'kyara\[ray\]'"), connected(0):
        pass


def test_two_machines_give_the_bytes_of_one(cluster: None, tmp_path: Path, run: Any) -> None:
    design = Recipe("design", {"fit": "crop"}, Context())
    run(design, "local")
    report = run(design)
    assert (report.extracted, report.from_others, report.device) == (24, 0, "cpu")
    assert "of 2 actors" in report.spent
    assert same_bytes(tmp_path)
    assert run(design).extracted == 0


def test_a_killed_actor_is_replaced_and_costs_one_batch(
    cluster: None, tmp_path: Path, run: Any, counting: Any, caplog: pytest.LogCaptureFixture
) -> None:
    killed = []

    def kill() -> None:
        """One, once both have begun."""
        while len(by := {pid for pid, _ in told(tmp_path)}) < 2:
            time.sleep(0.02)
        killed.append(min(by))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    assert run(counting(seconds=0.3)).extracted == 24
    thread.join()
    assert len({pid for pid, _ in told(tmp_path)}) == 3
    assert 24 <= n_told(tmp_path) <= 24 + BATCH
    run(counting(), "local")
    assert same_bytes(tmp_path)
    assert caplog.handler.level == logging.NOTSET  # hushing Ray hushes nobody else


DRIVER = """
    import sys
    from pathlib import Path
    from extractors.base import Context
    from extractors.recipe import Recipe
    from extractors.run import extract
    from featurestore import console
    from featurestore.cache import RowCache
    from featurestore.params import RuntimeParams

    def main(argv):
        root = Path(sys.argv[1])
        images = {line.split()[0]: Path(line.split()[1]) for line in (root / "images.txt").read_text().splitlines()}
        recipe = Recipe("counting", {"log": str(root / "log"), "seconds": 0.4}, Context(), zoo="doubles")
        extract(recipe.build(), images, RowCache(root / "ray"), root / "ray.h5", root=root / "data",
                max_pixels=10**6, runtime=RuntimeParams(engine="ray", batch_size=2), recipe=recipe)

    sys.exit(console.run(main, []))
"""


def driver(tmp_path: Path, images: dict[str, Path], **environment: str) -> subprocess.Popen[str]:
    """Another process that counts all pictures, once it has kept some."""
    (tmp_path / "images.txt").write_text("".join(f"{key} {path}\n" for key, path in images.items()))
    (tmp_path / "run.py").write_text(textwrap.dedent(DRIVER))
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}"}
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "run.py"), str(tmp_path)],
        env={**os.environ, **paths, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(RowCache(tmp_path / "ray").segments(COUNTING)) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


def left_over(cache: Path) -> list[str]:
    """Processes that this test's processes started, and that are there yet."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("KYARA_CACHE") == str(cache):
                found.append(" ".join(process.cmdline())[:80])
    return found


@pytest.mark.parametrize("how", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_killed_driver_loses_at_most_a_batch_an_actor(
    address: str,
    cluster: None,
    tmp_path: Path,
    images: dict[str, Path],
    run: Any,
    counting: Any,
    how: signal.Signals,
) -> None:
    process, cache = driver(tmp_path, images, RAY_ADDRESS=address), RowCache(tmp_path / "ray")
    process.send_signal(how)
    out, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if how == signal.SIGKILL else 143), said
    assert not (tmp_path / "ray.h5").exists()
    n_kept = len(cache.find(COUNTING, pack_keys(sorted(images))))
    assert 3 * BATCH <= n_kept < 24
    if how == signal.SIGTERM:
        assert said.splitlines() == [
            f"counting: asked to end: {n_kept} of 24 rows were computed and kept; the same command goes on",
            "kyara: terminated; what was committed is kept",
        ], "what is under way is finished and kept"
        assert out == ""
    assert run(counting()).extracted <= 24 - n_kept
    assert 24 <= n_told(tmp_path) <= 24 + (2 * BATCH if how == signal.SIGKILL else 0)
    run(counting(), "local")
    assert same_bytes(tmp_path)


def test_an_error_in_an_actor_is_the_error_here_and_what_was_under_way_is_kept(
    cluster: None, tmp_path: Path, run: Any, counting: Any, images: dict[str, Path]
) -> None:
    images.update([add(tmp_path / "data" / "images", 7)])
    with pytest.raises(NonFiniteRow, match=r"7\.png: the row of counting is not finite in red"):
        run(counting(poison="inf"))
    assert n_told(tmp_path) <= 25, "nothing is tried again"
    n_kept = len(RowCache(tmp_path / "ray").find(COUNTING, pack_keys(sorted(images))))
    assert n_kept == n_told(tmp_path) - 1
    with pytest.raises(MissingExtra, match="counting needs fingers"):
        run(counting(poison="build"))
    assert run(counting()).extracted == 25 - n_kept


@pytest.mark.slow
def test_a_picture_that_kills_whoever_looks_at_it_ends_the_run(
    cluster: None, tmp_path: Path, run: Any, counting: Any, images: dict[str, Path]
) -> None:
    images.update([add(tmp_path / "data" / "images", 7)])
    said = "png( and 1 more)?: 3 processes that were to compute this batch were killed or crashed"
    with pytest.raises(ClusterLost, match=said):
        run(counting(poison="exit"))
    assert n_told(tmp_path) <= 25 + 5 * BATCH, "three times that batch, and what was lost beside it"


def test_where_gpus_compute_cpus_decode_and_the_device_says_its_batch(
    cluster: None, tmp_path: Path, run: Any, counting: Any
) -> None:
    report = run(counting("launched"), batch_size=None, device="auto", gpus_per_actor=0.5)
    assert (report.extracted, report.batch_size, report.device) == (24, 5, "cuda")
    assert "of 2 cores; " in report.spent
    assert "of 2 actors; " in report.spent
    assert sorted(n for _, n in told(tmp_path)) == [4, 4, 4, 4, 4, 4]
    run(counting(), "local")
    assert same_bytes(tmp_path)


def test_a_network_has_the_same_rows(
    cluster: None, tmp_path: Path, run: Any, images: dict[str, Path]
) -> None:
    context, params = MADE["resnet18"](tmp_path / "weights")
    recipe = Recipe("resnet18", params, context)
    run(recipe, "local")
    run(recipe)
    with FeatureStore(tmp_path / "local.h5") as ours, FeatureStore(tmp_path / "ray.h5") as theirs:
        np.testing.assert_allclose(
            theirs.matrix(list(images)), ours.matrix(list(images)), rtol=1e-5, atol=1e-5
        )


def where(job: int) -> tuple[int, str]:
    if job == 5:
        raise DataError("job 5 is bad")
    return os.getpid(), os.environ["OMP_NUM_THREADS"]


def test_jobs_go_to_the_cluster_and_errors_come_back(cluster: None) -> None:
    with pool.on("ray"), pool.warmed(0):
        found = pool.run(where, range(5), workers=0)
        assert {threads for _, threads in found} == {"1"}
        assert os.getpid() not in {pid for pid, _ in found}
        with pytest.raises(DataError, match="job 5 is bad"):
            pool.run(where, range(6), workers=0)
        assert len(pool.run(where, range(5), workers=2)) == 5
        assert {pid for pid, _ in pool.run(where, range(5), workers=1)} == {os.getpid()}
    assert {pid for pid, _ in pool.run(where, range(5), workers=2)} == {os.getpid()}


def test_the_leaderboard_is_that_of_this_machine(cluster: None, tmp_path: Path) -> None:
    made, boards = study(n=80, n_groups=20), []
    searches = {"logreg": SearchParams({"C": [0.1, 1.0]})}
    heads = {
        name: functools.partial(
            make_head, name, {}, seed=1, n_classes=2, positive=1, search=searches.get(name)
        )
        for name in ("logreg", "hgb", "xgb", "knn")
    }
    for engine, workers in (("local", 1), ("ray", 0)):
        results = tmp_path / engine
        results.mkdir()
        how = Scoring(positive=1, folds=3, repeats=1, draws=100, seed=4, workers=workers)
        with pool.on(engine), pool.warmed(workers):
            compare(made, heads, [], how, results=results, learned=tmp_path)
        boards.append({file.name: file.read_bytes() for file in results.iterdir()})
    assert set(boards[0]) >= {"leaderboard.csv", "oof.parquet"}
    assert boards[0] == boards[1]


def test_a_cluster_of_its_own_is_started_and_nothing_of_it_stays(
    command: Callable[..., Any], workspace: Path, own_cache: Path
) -> None:
    params = workspace / "params.yaml"
    params.write_text(
        params.read_text().replace("engine: local", "engine: ray").replace("workers: 0", "workers: 1")
    )
    assert command("featurestore", "index").returncode == 0
    assert command("extractors", "prepare", "design").returncode == 0
    done = command("extractors", "run", "design", "--shard", "0/2", env={"RAY_ADDRESS": ""})
    assert (done.returncode, done.stderr) == (0, "")
    said = re.match(r"design, shard 0/2: (\d+) rows extracted, 0 reused", done.stdout)
    assert said, done.stdout
    assert " of 1 actor; bound by " in done.stdout
    assert left_over(own_cache) == []
    params.write_text(params.read_text().replace("engine: ray", "engine: local"))
    assert (
        f"{24 - int(said[1])} rows extracted, {said[1]} reused"
        in command("extractors", "run", "design").stdout
    )


@pytest.mark.slow
def test_nothing_stays_of_a_cluster_whose_driver_was_killed(
    tmp_path: Path, images: dict[str, Path], own_cache: Path
) -> None:
    process = driver(tmp_path, images, RAY_ADDRESS="")
    assert len(left_over(own_cache)) > 5
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while left := left_over(own_cache):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


@pytest.mark.slow
def test_a_lost_machine_is_done_without(
    machines: Any, cluster: None, tmp_path: Path, run: Any, counting: Any
) -> None:
    third = machines.add_node(**node())

    def lose() -> None:
        while len({pid for pid, _ in told(tmp_path)}) < 3:
            time.sleep(0.02)
        machines.remove_node(third, allow_graceful=False)

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    assert run(counting(seconds=2.0), batch_size=1).extracted == 24
    thread.join(1)
    assert not thread.is_alive(), "three machines took part"
    assert 24 <= n_told(tmp_path) <= 24 + 1
    run(counting(), "local")
    assert same_bytes(tmp_path)
