"""HDF5 files from elsewhere: refused with a reason, whatever hash they carry, and nothing outside is read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import ROOT
from fakes import sealed

from featurestore.cache import DAMAGED_SUFFIX, RowCache
from featurestore.errors import KyaraError, StoreError
from featurestore.rows import StoreRows
from featurestore.spec import FeatureSpec
from featurestore.store import FeatureStore, write_store

SPEC = FeatureSpec("toy", 1, {"fit": "crop"}, ("a", "b", "c"))


def made(path: Path, n: int = 3) -> Path:
    keys = np.arange(32 * n, dtype=np.uint8).reshape(n, 32)
    write_store(path, SPEC, StoreRows(keys, np.ones((n, 3), np.float32), np.zeros((n, 1), np.uint8)))
    return path


def replaced(file: h5py.File, name: str, **options: object) -> None:
    values = file[name][()]
    del file[name]
    file.create_dataset(name, **{"data": values, **options})


def external_link(file: h5py.File) -> None:
    del file["value"]
    file["value"] = h5py.ExternalLink("secret.h5", "/value")


def soft_link(file: h5py.File) -> None:
    del file["status"]
    file["status"] = h5py.SoftLink("/key")


def dangling_link(file: h5py.File) -> None:
    del file["status"]
    file["status"] = h5py.SoftLink("/nowhere")


def external_storage(file: h5py.File) -> None:
    del file["value"]
    file.create_dataset("value", (3, 3), "<f4", external=[("secret.h5", 0, 36)])


def virtual(file: h5py.File) -> None:
    del file["value"]
    layout = h5py.VirtualLayout((3, 3), "<f4")
    layout[:] = h5py.VirtualSource("secret.h5", "value", (3, 3))
    file.create_virtual_dataset("value", layout)


def unknown_filter(file: h5py.File) -> None:
    del file["value"]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, 3))
    plist.set_filter(32_700, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
    h5py.h5d.create(file.id, b"value", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((3, 3)), plist)


def a_group(file: h5py.File) -> None:
    del file["status"]
    file.create_group("status")


def huge_attribute(file: h5py.File) -> None:
    del file.attrs["digest"]
    file.attrs["digest"] = np.zeros(8000, np.uint8)


def text_of_any_length(file: h5py.File) -> None:
    file.attrs.create("digest", "a" * 64, dtype=h5py.string_dtype())


def object_reference(file: h5py.File) -> None:
    del file.attrs["digest"]
    file.attrs.create("digest", file["key"].ref, dtype=h5py.ref_dtype)


def repeated_keys(file: h5py.File) -> None:
    file["key"][1] = file["key"][0]


def unsorted_keys(file: h5py.File) -> None:
    file["key"][:] = file["key"][:][::-1]


def another_spec(file: h5py.File) -> None:
    text = file["spec"][:].tobytes().replace(b"crop", b"grap")
    file["spec"][:] = np.frombuffer(text, np.uint8)


def nested_spec(file: h5py.File) -> None:
    replaced(file, "spec", data=np.frombuffer(b"[" * 100_000, np.uint8))


#: What is wrong with a file -> what the error says.
HOSTILE: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "external_link": (external_link, "value is a link"),
    "soft_link": (soft_link, "status is a link"),
    "dangling_link": (dangling_link, "status is a link"),
    "external_storage": (external_storage, "not plain contiguous"),
    "virtual": (virtual, "not plain contiguous"),
    "unknown_filter": (unknown_filter, "not plain contiguous"),
    "gzip": (lambda f: replaced(f, "value", compression="gzip"), "not plain contiguous"),
    "chunks": (lambda f: replaced(f, "value", chunks=(1, 3)), "not plain contiguous"),
    "f8": (lambda f: replaced(f, "value", dtype="<f8"), "value is float64"),
    "big_endian": (lambda f: replaced(f, "value", dtype=">f4"), "value is >f4"),
    "text": (lambda f: replaced(f, "spec", data="x"), "spec is object"),
    "three_axes": (lambda f: replaced(f, "value", data=np.zeros((3, 3, 1), "<f4")), "3 axes"),
    "a_group": (a_group, "status is no dataset"),
    "one_more": (lambda f: f.create_dataset("more", data=[1]), "holds 6 things"),
    "one_less": (lambda f: f.__delitem__("key"), "holds 4 things"),
    "no_digest": (lambda f: f.attrs.__delitem__("digest"), "not the attributes"),
    "more_attributes": (lambda f: f.attrs.__setitem__("more", 1), "not the attributes"),
    "huge_attribute": (huge_attribute, "no short text"),
    "text_of_any_length": (text_of_any_length, "no short text"),
    "object_reference": (object_reference, "no short text"),
    "another_magic": (lambda f: f.attrs.__setitem__("magic", np.bytes_("other")), "another file than"),
    "repeated_keys": (repeated_keys, "not unique and ascending"),
    "unsorted_keys": (unsorted_keys, "not unique and ascending"),
    "longer_values": (lambda f: replaced(f, "value", data=np.zeros((4, 3), "<f4")), "disagree in length"),
    "wider_values": (lambda f: replaced(f, "value", data=np.zeros((3, 4), "<f4")), "disagree with the spec"),
    "short_keys": (lambda f: replaced(f, "key", data=np.zeros((3, 31), "u1")), "disagree in length"),
    "another_spec": (another_spec, "not that of its fingerprint"),
    "nested_spec": (nested_spec, "spec cannot be read"),
    "another_fingerprint": (
        lambda f: f.attrs.__setitem__("fingerprint", np.bytes_("0" * 64)),
        "not that of its fingerprint",
    ),
}


def spoiled(path: Path, name: str) -> Path:
    made(path)
    with h5py.File(path, "r+") as file:
        HOSTILE[name][0](file)
    sealed(path)
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "secret.h5")  # whoever opened it would wait for ever
    path = spoiled(tmp_path / "toy.h5", name)
    for check in (False, True):
        with pytest.raises(StoreError, match=HOSTILE[name][1]) as caught:
            FeatureStore(path, check=check)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_rows_that_are_not_those_of_the_digest_are_refused_by_verify(tmp_path: Path) -> None:
    path = made(tmp_path / "toy.h5")
    with h5py.File(path, "r+") as file:
        file["value"][1, 1] = 7
    sealed(path)
    with FeatureStore(path, check=True) as store, pytest.raises(StoreError, match="not those of its digest"):
        store.verify()


def test_sizes_beyond_the_file_are_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = made(tmp_path / "toy.h5", 5)
    data = path.read_bytes()
    width = (3).to_bytes(8, "little")
    extent = (5).to_bytes(8, "little") + width  # of `value`, in its header: now and at most
    assert data.count(extent) == 2
    for n in (6, 1 << 20, 1 << 40, (1 << 63) - 1):
        path.write_bytes(data.replace(extent, n.to_bytes(8, "little") + width))
        sealed(path)
        with pytest.raises(StoreError):
            FeatureStore(path)


@pytest.mark.parametrize("name", ["external_link", "unknown_filter", "repeated_keys"])
def test_a_hostile_segment_is_set_aside(tmp_path: Path, name: str) -> None:
    cache = RowCache(tmp_path)
    folder = cache.folder(SPEC)
    folder.mkdir(parents=True)
    spoiled(folder / f"{'0' * 64}.h5", name)
    assert len(cache.find(SPEC, np.zeros((1, 32), np.uint8))) == 0
    assert [file.suffix for file in folder.iterdir()] == [DAMAGED_SUFFIX]


def test_no_plugin_is_looked_for(tmp_path: Path) -> None:
    path = spoiled(tmp_path / "toy.h5", "unknown_filter")
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    os.mkfifo(plugins / "libfilter.so")  # loading it would hang
    code = (
        "import sys; from featurestore.store import FeatureStore; from featurestore.errors import StoreError\n"
        "try: FeatureStore(sys.argv[1])\n"
        "except StoreError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT, env={**os.environ, "HDF5_PLUGIN_PATH": str(plugins)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "not plain contiguous" in done.stdout, done.stderr


FUZZ = """
import os, sys, resource
from pathlib import Path
import h5py, numpy as np
sys.path.insert(0, "tests")
from test_hostile_store import made
from fakes import sealed
from featurestore.errors import KyaraError
from featurestore.store import FeatureStore

path, n = made(Path(sys.argv[1]) / "toy.h5", 7), int(sys.argv[2])
data, rng = path.read_bytes(), np.random.default_rng(8)
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
refused = 0
for trial in range(n):
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        changed[rng.integers(512, len(data))] ^= rng.integers(1, 256)
    path.write_bytes(changed)
    sealed(path)
    try:
        with FeatureStore(path) as store:
            store.verify()
    except KyaraError:
        refused += 1
print(refused)
"""


@pytest.mark.parametrize("n_trials", [500, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_file_with_random_damage_and_the_right_hash_crashes_nothing(tmp_path: Path, n_trials: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(tmp_path), str(n_trials)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    assert int(done.stdout) > n_trials * 0.8


def test_every_error_of_a_store_is_kyaras_own(tmp_path: Path) -> None:
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "text.h5").write_text("no store")
    for name in ("folder.h5", "text.h5", "gone.h5"):
        with pytest.raises(KyaraError, match=name):
            FeatureStore(tmp_path / name)
