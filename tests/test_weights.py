"""Published weights: found in order, checked at every load, fetched whole or not at all."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from extractors.download import fetch, open_url
from extractors.kept import Kept
from extractors.weights import Archive, Manifest, WeightsFile, load, locate, read_manifest, write_manifest
from featurestore.errors import MissingData, MissingWeights, StoreDamaged, WeightsDamaged

DATA = b"weights of a network " * 1000
SHA = hashlib.sha256(DATA).hexdigest()
WANTED = WeightsFile("net.pt", SHA, len(DATA), "MIT", "https://example.org/net.pt")


def put(path: Path, data: bytes = DATA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_file_is_searched_in_the_order_of_the_folders(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    assert locate(WANTED, folders) is None
    second = put(tmp_path / "b" / "net.pt")
    assert locate(WANTED, folders) == second
    first = put(tmp_path / "a" / "net.pt")
    assert locate(WANTED, folders) == first
    mine = put(tmp_path / "mine.pt")
    assert locate(WANTED.given(str(mine), None), folders) == mine


def test_a_file_of_a_package_is_found_without_importing_it() -> None:
    found = locate(WeightsFile("schema.py", package="featurestore"), [])
    assert found is not None
    assert found.name == "schema.py"
    assert locate(WeightsFile("x.pt", package="no_such_package/data"), []) is None


def test_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "net.pt")
    assert load(WANTED, [tmp_path], extractor="clip").sha256 == SHA
    data = bytearray(DATA)
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        WeightsDamaged, match=r"net\.pt: sha256 .* is not the .* that clip asks for; delete it"
    ) as error:
        load(WANTED, [tmp_path], extractor="clip")
    assert f"extractors.clip.sha256: {hashlib.sha256(data).hexdigest()}" in str(error.value)


def test_a_digest_in_params_takes_the_place_of_the_published_one(tmp_path: Path) -> None:
    other = b"other weights"
    put(tmp_path / "net.pt", other)
    digest = hashlib.sha256(other).hexdigest()
    assert load(WANTED.given(None, digest), [tmp_path], extractor="clip").sha256 == digest
    assert WANTED.given(None, None) is WANTED
    own = WANTED.given(str(tmp_path / "net.pt"), None)
    assert (own.sha256, own.url, own.source) == ("", "", "a local file, net.pt")
    assert load(own, [], extractor="clip").sha256 == digest


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (WANTED, r"clip needs net\.pt \(0 MB, https://example\.org/net\.pt\), not in .*; run: python -m extractors fetch clip$"),
        (WANTED.given("/nowhere/x.pt", None), r"/nowhere/x\.pt: no such file; mend extractors\.clip\.file"),
        (WeightsFile("a.dat", package="no_such/models"), "comes with package no_such; run: make setup-all"),
        (WeightsFile("a.dat"), r"put it there, or set extractors\.clip\.file"),
    ],
)  # fmt: skip
def test_a_missing_file_is_one_line_with_the_next_step(
    tmp_path: Path, wanted: WeightsFile, said: str
) -> None:
    with pytest.raises(MissingWeights, match=said):
        load(wanted, [tmp_path], extractor="clip")


def opener(data: bytes):  # type: ignore[no-untyped-def]
    return lambda url: (io.BytesIO(data), len(data))


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_what_is_fetched_is_checked_before_it_gets_its_name(tmp_path: Path) -> None:
    found = fetch(WANTED, tmp_path / "w", extractor="clip", opener=opener(DATA))
    assert (found.path, found.sha256) == (tmp_path / "w" / "net.pt", SHA)
    with pytest.raises(WeightsDamaged, match="nothing was kept"):
        fetch(WANTED, tmp_path / "v", extractor="clip", opener=opener(DATA[:-1]))
    assert left_in(tmp_path / "v") == []


def test_a_file_without_a_published_digest_is_taken_as_it_is(tmp_path: Path) -> None:
    wanted = WeightsFile("net.pt", url="https://example.org/net.pt")
    assert (
        fetch(wanted, tmp_path, extractor="clip", opener=opener(b"new")).sha256
        == hashlib.sha256(b"new").hexdigest()
    )


def zipped(member: str = "net.pt", data: bytes = DATA) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("other.txt", "not this one")
        archive.writestr(member, data)
    return buffer.getvalue()


def archived(data: bytes, sha256: str = SHA) -> WeightsFile:
    inside = Archive(hashlib.sha256(data).hexdigest(), len(data), "net.pt")
    return WeightsFile("net.pt", sha256, len(DATA), url="https://example.org/all.zip", archive=inside)


def test_a_file_in_an_archive_is_taken_out_and_checked(tmp_path: Path) -> None:
    whole = zipped()
    assert fetch(archived(whole), tmp_path, extractor="arcface", opener=opener(whole)).sha256 == SHA
    assert left_in(tmp_path) == ["net.pt"]


def test_an_archive_with_something_else_is_refused(tmp_path: Path) -> None:
    for whole, wanted in (
        (zipped("elsewhere.pt"), archived(zipped("elsewhere.pt"))),
        (b"no zip at all", archived(b"no zip at all")),
        (zipped(data=b"other"), archived(zipped(data=b"other"))),
    ):
        with pytest.raises(WeightsDamaged):
            fetch(wanted, tmp_path, extractor="arcface", opener=opener(whole))
        assert left_in(tmp_path) == []


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/net.pt" else 404)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


def test_a_url_is_fetched_over_http(tmp_path: Path, server: str) -> None:
    wanted = WeightsFile("net.pt", SHA, len(DATA), url=f"{server}/net.pt")
    stream, n_bytes = open_url(wanted.url)
    with stream:
        assert n_bytes == len(DATA)
    assert fetch(wanted, tmp_path, extractor="clip").path.read_bytes() == DATA


def test_what_cannot_be_reached_says_where_to_put_the_file(tmp_path: Path, server: str) -> None:
    for url in (f"{server}/gone.pt", "http://127.0.0.1:9/net.pt", "https://no-such-host.invalid/net.pt"):
        wanted = WeightsFile("net.pt", SHA, 112_000_000, url=url)
        with pytest.raises(MissingWeights) as error:
            fetch(wanted, tmp_path / "w", extractor="vggface2")
        said = str(error.value)
        for part in ("net.pt", "112 MB", url, "python -m extractors fetch vggface2", str(tmp_path / "w")):
            assert part in said
        assert left_in(tmp_path / "w") == []


def test_a_manifest_says_what_was_pinned_and_holds_no_path(tmp_path: Path) -> None:
    entry = {"sha256": SHA, "bytes": 3, "source": "a local file", "licence": "yours"}
    path = write_manifest(tmp_path, Manifest("clip", {"net.pt": entry}, fitted_on="ab"))
    assert read_manifest(tmp_path, "clip") == Manifest("clip", {"net.pt": entry}, fitted_on="ab")
    assert str(tmp_path) not in path.read_text()
    with pytest.raises(StoreDamaged, match="no manifest of dlib"):
        read_manifest(tmp_path, "dlib")
    path.unlink()
    with pytest.raises(MissingData, match=r"dvc repro prepare@clip"):
        read_manifest(tmp_path, "clip")


def too_large(path: Path) -> None:
    path.touch()
    os.truncate(path, (4 << 20) + 1)


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": Path.touch,
    "no_json": lambda path: path.write_text("{"),
    "no_utf8": lambda path: path.write_bytes(b'{"extractor": "\xff"}'),
    "nul": lambda path: path.write_bytes(b'{"extractor": "clip\x00"}'),
    "deep": lambda path: path.write_text("[" * 10**5),
    "deep_value": lambda path: path.write_text('{"extractor": "clip", "files": ' + '{"a":' * 10**5),
    "long_number": lambda path: path.write_text("9" * 10**5),
    "a_list": lambda path: path.write_text("[]"),
    "no_keys": lambda path: path.write_text("{}"),
    "another_key": lambda path: path.write_text('{"extractor": "clip", "files": {}, "path": "/"}'),
    "files_are_none": lambda path: path.write_text('{"extractor": "clip", "files": 3}'),
    "a_file_says_nothing": lambda path: path.write_text('{"extractor": "clip", "files": {"a": {}}}'),
    "of_another": lambda path: path.write_text(json.dumps({"extractor": "x" * 10**6, "files": {}})),
    "too_large": too_large,
    "fifo": os.mkfifo,
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_manifest_that_is_none_is_one_line_with_the_next_step(name: str, tmp_path: Path) -> None:
    BROKEN[name](tmp_path / "manifest.json")
    with pytest.raises(StoreDamaged, match=r"no manifest of clip .*; delete it and run: dvc repro") as error:
        read_manifest(tmp_path, "clip")
    assert error.value.exit_code == 3
    assert len(str(error.value)) < 600
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "folder"])
def test_a_broken_list_of_what_was_learned_is_learned_again(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept(tmp_path / "kept", ("model.safetensors",))
    assert kept.read() is None
    assert not caplog.records
    kept.write({"model.safetensors": b"weights"})
    assert kept.read() == {"model.safetensors": b"weights"}
    (tmp_path / "kept" / "kept.json").unlink()
    BROKEN[name](tmp_path / "kept" / "kept.json")
    assert kept.read() is None
    assert "not what was learned, bytes differ; it is learned again" in caplog.text
    kept.write({"model.safetensors": b"weights"})
    assert kept.read() is not None
