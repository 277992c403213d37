"""Pictures that are not below the data folder: URIs, members of archives, what is refused, what is noticed."""

from __future__ import annotations

import io
import os
import pickle
import re
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from conftest import encoded, picture

from featurestore import elsewhere
from featurestore.elsewhere import Reader, checked_uri
from featurestore.errors import ImageRejected, MissingExtra, Reason, UsageError

PICTURES = {f"{name}.png": encoded(picture(i)) for i, name in enumerate(("a", "b", "deep/er/c"))}


def tar_of(members: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in members.items():
            one = tarfile.TarInfo(name)
            one.size = len(data)
            archive.addfile(one, io.BytesIO(data))
    return stream.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


ARCHIVES = {"tar": tar_of(PICTURES), "zip": zip_of(PICTURES)}


@pytest.fixture
def remote() -> str:
    """Files at a store that is not a disk."""
    system = fsspec.filesystem("memory")
    for name, data in {**PICTURES, **{f"all.{kind}": data for kind, data in ARCHIVES.items()}}.items():
        system.pipe(f"/shop/{name}", data)
    return "memory://shop"


def rejected(place: Path | str, root: Path) -> tuple[Reason, str]:
    with pytest.raises(ImageRejected) as caught:
        Reader(root).read(place)
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_members_are_read_in_any_order_from_any_thread(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"all.{kind}").write_bytes(ARCHIVES[kind])
    reader, names = Reader(tmp_path / "data"), [*PICTURES, *reversed(PICTURES)] * 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: reader.read(f"{kind}://{name}::{tmp_path}/all.{kind}"), names))
    assert found == [PICTURES[name] for name in names]


@pytest.mark.parametrize("kind", ["", "tar", "zip"])
def test_what_fsspec_opens_is_read_and_has_a_stamp(remote: str, tmp_path: Path, kind: str) -> None:
    place = f"{kind}://a.png::{remote}/all.{kind}" if kind else f"{remote}/a.png"
    reader = Reader(tmp_path)
    assert reader.read(place) == PICTURES["a.png"]
    assert reader.stamp(place) == Reader(tmp_path).stamp(place)
    assert reader.read(place.replace("a.png", "b.png", 1)) == PICTURES["b.png"]


def test_files_of_this_machine_are_read_by_path_and_by_uri(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURES["a.png"])
    reader = Reader(tmp_path / "nothing")
    for place in (f"{tmp_path}/a.png", f"file://{tmp_path}/a.png"):
        assert reader.read(place) == PICTURES["a.png"]
    assert rejected(tmp_path / "a.png", tmp_path / "nothing")[0] == Reason.NOT_A_FILE, (
        "a Path stays in the root"
    )


def test_archives_are_opened_once_a_process_and_no_more_than_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    true = elsewhere._open_archive
    monkeypatch.setattr(
        elsewhere, "_open_archive", lambda kind, at, listed: (opened.append(at), true(kind, at, listed))[1]
    )
    monkeypatch.setattr(elsewhere, "_OPEN_ARCHIVES", 2)
    files = [tmp_path / f"{i}.tar" for i in range(4)]
    for file in files:
        file.write_bytes(ARCHIVES["tar"])
    reader = Reader(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda file: [reader.read(f"tar://{name}::{file}") for name in PICTURES], files[:2] * 3)
        )
    assert sorted(opened) == [str(file) for file in files[:2]]
    for file in files * 5:
        reader.read(f"tar://a.png::{file}")
    if before:
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that a tar is listed; two archives stay open."""
    made: list[int] = []

    class Counted(elsewhere._Members):
        def __init__(self, stream: io.BufferedIOBase) -> None:
            super().__init__(stream)
            made.append(len(self._sizes))

    monkeypatch.setattr(elsewhere, "_Members", Counted)
    monkeypatch.setattr(elsewhere, "_OPEN_ARCHIVES", 2)
    return made


def test_each_tar_is_listed_once_however_many_there_are(tmp_path: Path, listings: list[int]) -> None:
    files = [tmp_path / f"{i}.tar" for i in range(7)]
    for i, file in enumerate(files):
        file.write_bytes(tar_of({f"{i}/{name}": data for name, data in PICTURES.items()}))
    reader, places = Reader(tmp_path), [(i, name) for name in PICTURES for i in range(7)] * 3
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda at: reader.read(f"tar://{at[0]}/{at[1]}::{files[at[0]]}"), places))
    assert found == [PICTURES[name] for _, name in places]
    assert listings == [len(PICTURES)] * 7


@pytest.mark.parametrize("where", ["here", "remote"])
def test_a_tar_that_changed_since_it_was_listed_is_listed_again(
    tmp_path: Path, listings: list[int], where: str
) -> None:
    def write(name: str, members: dict[str, bytes]) -> str:
        if where == "remote":
            fsspec.filesystem("memory").pipe(f"/changing/{name}", tar_of(members))
            return f"memory://changing/{name}"
        (tmp_path / "new").write_bytes(tar_of(members))
        (tmp_path / "new").replace(tmp_path / name)
        return str(tmp_path / name)

    others = [write(f"{i}.tar", PICTURES) for i in range(2)]
    at, reader = write("changing.tar", {"a.png": b"first"}), Reader(tmp_path)
    assert reader.read(f"tar://a.png::{at}") == b"first"
    write("changing.tar", {"before.png": b"before", "a.png": b"then"})
    for other in others:  # so that it is closed
        reader.read(f"tar://a.png::{other}")
    assert reader.read(f"tar://a.png::{at}") == b"then"
    assert listings == [1, 3, 3, 2]


def test_of_a_name_that_is_there_twice_the_last_member_counts(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in (("b", b"1"), ("\udcff.png", b"2"), ("a", b"3"), ("b", b"4"), ("é", b"5")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    (tmp_path / "all.tar").write_bytes(stream.getvalue())
    reader = Reader(tmp_path)
    found = {name: reader.read(f"tar://{name}::{tmp_path}/all.tar") for name in ("a", "b", "é", "\udcff.png")}
    assert found == {"a": b"3", "b": b"4", "é": b"5", "\udcff.png": b"2"}


@pytest.mark.parametrize(("may", "kept"), [(256, 128), (100_000, 512), (-1, 512)])
def test_open_archives_leave_descriptors_for_the_rest(
    may: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere.resource, "getrlimit", lambda _: (may, may))
    monkeypatch.setattr(elsewhere.resource, "RLIM_INFINITY", -1)
    assert elsewhere._n_open() == kept


@pytest.mark.parametrize(
    ("place", "reason", "said"),
    [
        ("{at}/no.png", Reason.NOT_A_FILE, "gone"),
        ("tar://no.png::{at}/all.tar", Reason.NOT_A_FILE, "no member 'no.png' in .*all.tar"),
        ("zip://no.png::{at}/all.zip", Reason.NOT_A_FILE, "no member 'no.png' in .*all.zip"),
        ("tar://a.png::{at}/no.tar", Reason.NOT_A_FILE, "nothing at .*no.tar"),
        ("tar://a.png::{at}/all.zip", Reason.UNREADABLE, r"all.zip: no tar: .*must not be compressed"),
        ("tar://a.png::{at}/packed.tar", Reason.UNREADABLE, "must not be compressed"),
        ("zip://a.png::{at}/all.tar", Reason.UNREADABLE, "all.tar: no zip"),
        ("tar://folder::{at}/folder.tar", Reason.NOT_A_FILE, "no member"),
        ("tar://a.png::{at}/short.tar", Reason.UNREADABLE, "ends early|unexpected end"),
        ("tar://empty.png::{at}/empty.tar", Reason.EMPTY, "zero bytes"),
        ("memory://shop/no.png", Reason.NOT_A_FILE, "nothing at memory://shop/no.png"),
        ("tar://a.png::{at}", Reason.NOT_A_FILE, "no file"),
    ],
)
def test_what_cannot_be_read_has_its_reason(tmp_path: Path, place: str, reason: Reason, said: str) -> None:
    for kind, data in ARCHIVES.items():
        (tmp_path / f"all.{kind}").write_bytes(data)
    (tmp_path / "packed.tar").write_bytes(tar_of(PICTURES, "w:gz"))
    (tmp_path / "empty.tar").write_bytes(tar_of({"empty.png": b""}))
    (tmp_path / "short.tar").write_bytes(ARCHIVES["tar"][:600])
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    (tmp_path / "folder.tar").write_bytes(stream.getvalue())
    found, detail = rejected(place.format(at=tmp_path), tmp_path)
    assert found == reason
    assert len(detail.splitlines()) == 1
    assert re.search(said, detail), detail


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_what_is_too_large_is_not_read(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"all.{kind}").write_bytes(ARCHIVES[kind])
    fsspec.filesystem("memory").pipe("/shop/a.png", PICTURES["a.png"])
    monkeypatch.setattr(elsewhere, "MAX_BYTES", 100)
    for place in (f"{kind}://a.png::{tmp_path}/all.{kind}", "memory://shop/a.png"):
        assert rejected(place, tmp_path)[0] == Reason.TOO_MANY_BYTES


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(uri: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtra, match="reading it takes s3fs; run: pip install s3fs"):
        Reader(tmp_path).read("s3://bucket/a.png")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a.png", "/list/a.png"),
        ("../b/a.png", "/b/a.png"),
        ("/x/a.png", "/x/a.png"),
        ("file:///x/a.png", "/x/a.png"),
        ("s3://bucket/a b.png", "s3://bucket/a b.png"),
        ("tar://m/a.png::0.tar", "tar://m/a.png::/list/0.tar"),
        ("zip://m/a.png::gs://b/0.zip", "zip://m/a.png::gs://b/0.zip"),
    ],
)
def test_a_uri_is_kept_absolute(text: str, kept: str) -> None:
    assert checked_uri(text, "/list") == kept
    assert elsewhere.is_uri(kept)


@pytest.mark.parametrize(
    "text",
    [
        "http://host/a.png",
        "github://o:r@/a.png",
        "ssh://h/a",
        "tar://a.png",
        "tar://::0.tar",
        "tar://a::tar://b::c.tar",
    ],
)
def test_a_uri_of_no_store_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"pictures are read from|MEMBER::ARCHIVE"):
        checked_uri(text, "/list")


def test_another_process_makes_its_own_reader(tmp_path: Path) -> None:
    (tmp_path / "all.tar").write_bytes(ARCHIVES["tar"])
    reader = Reader(tmp_path)
    reader.read(f"tar://a.png::{tmp_path}/all.tar")
    again = pickle.loads(pickle.dumps(reader))
    assert again.read(f"tar://a.png::{tmp_path}/all.tar") == PICTURES["a.png"]
    assert again.root == tmp_path


def test_a_stamp_moves_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"one")
    reader, before = Reader(tmp_path), Reader(tmp_path).stamp(file)
    assert reader.stamp(file) == reader.stamp(str(file)) == before
    file.write_bytes(b"two")
    os.utime(file, ns=(0, int(before.split()[1])))
    assert reader.stamp(file) != before, "the time of the change cannot be set back"
    assert reader.stamp(tmp_path / "no.png").startswith("none")
