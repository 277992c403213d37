"""Bytes of pictures, wherever they lie: below the data folder, at a URI, or inside an archive.

A `Path` is a file below the data folder. A text is a URI: ``file:///x.png`` or ``/x.png``, what fsspec opens
(``s3://bucket/x.png``), or a member of an archive in fsspec's notation, ``tar://x.png::/data/shard-00.tar``
and ``zip://x.png::s3://bucket/shard-00.zip``. Archives stay open while they are not too many. The members of
a tar are listed once a process, and again where it changed; a member is one read at its place.

Owns reading, and what tells that a file is still the one that was read. Refuses to know what a picture is.
"""

from __future__ import annotations

import abc
import array
import bisect
import functools
import os
import resource
import stat
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from featurestore.columns import Texts
from featurestore.errors import ImageRejected, MissingExtra, Reason, UsageError
from featurestore.images import MAX_BYTES, plain_bytes, read_image_file

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["Place", "Reader", "checked_uri", "is_uri"]

#: A file below the data folder, or a URI.
Place = Path | str

_ARCHIVES: Final = ("tar", "zip")
#: Whatever else fsspec has (http, ftp, ssh, a repository) is no place for pictures to be read from by name.
_STORES: Final = ("s3", "gs", "gcs", "az", "abfs", "hdfs", "memory")
#: More are closed, and opened again when they are wanted: a run draws its pictures from all of them at once.
_OPEN_ARCHIVES: Final = 512
#: Folders of which is known whether they lie below the root.
_FOLDERS: Final = 4096
_LARGEST: Final = f"at most {MAX_BYTES} bytes"


def is_uri(text: str) -> bool:
    """Whether a text names a place by itself, and not relative to a folder.

    Examples
    --------
    >>> [is_uri(text) for text in ("images/hero/a.png", "/data/a.png", "s3://b/a.png", "tar://a.png::b.tar")]
    [False, True, True, True]
    """
    return text.startswith("/") or "://" in text


def checked_uri(text: str, folder: str) -> str:
    """A URI as it is kept: paths of this machine absolute, from ``folder`` where they are relative.

    Parameters
    ----------
    text : str
    folder : str
        Absolute.

    Raises
    ------
    UsageError
        If nothing that is known here can read it; the text says what can.

    Examples
    --------
    >>> checked_uri("a.png", "/data"), checked_uri("tar://a.png::shards/0.tar", "/data")
    ('/data/a.png', 'tar://a.png::/data/shards/0.tar')
    """
    scheme, rest = _split(text)
    if scheme in _ARCHIVES:
        member, found, archive = rest.partition("::")
        if not found or not member or not archive or _split(archive)[0] in _ARCHIVES:
            raise UsageError(f"{text!r}: a member of an archive is {scheme}://MEMBER::ARCHIVE")
        return f"{scheme}://{member}::{checked_uri(archive, folder)}"
    if scheme in ("", "file"):
        return os.path.normpath(rest if rest.startswith("/") else f"{folder}/{rest}")
    if scheme not in _STORES:
        known = ", ".join(f"{one}://" for one in ("file", *_ARCHIVES, *_STORES[:-1]))
        raise UsageError(f"{text!r}: pictures are read from {known}; fetch others first (collection search)")
    return text


def _split(text: str) -> tuple[str, str]:
    scheme, found, rest = text.partition("://")
    return (scheme, rest) if found else ("", text)


def _is_inside(folder: Path, root: Path) -> bool:
    """Whether a folder lies below a root, links followed."""
    try:
        return folder.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # a circle, or no name at all
        return False


class Reader:
    """Reads pictures; in any thread. Another process makes its own from a pickle of it.

    Parameters
    ----------
    root : Path
        The data folder; a link out of it is refused.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[str, tuple[str, _Members]] = {}
        self._opened = functools.lru_cache(_n_open())(self._open)
        self._archive_stamp = functools.lru_cache(None)(_archive_stamp)
        self._is_inside = functools.lru_cache(_FOLDERS)(_is_inside)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return Reader, (self.root,)

    def read(self, place: Place) -> bytes:
        """Bytes of one picture.

        Raises
        ------
        ImageRejected
            ``not_a_file``, ``unreadable``, ``empty`` or ``too_many_bytes``.
        MissingExtra
            If a package that reads such a URI is not installed.
        """
        if isinstance(place, Path):
            return self._file(place, self.root)
        scheme, rest = _split(place)
        if scheme in ("", "file"):
            return self._file(Path(rest), Path("/"))
        if scheme in _ARCHIVES:
            member, _, archive = rest.partition("::")
            data = self._archive(scheme, archive).read(member)
        else:
            data = _remote_bytes(place)
        if not data:
            raise ImageRejected(Reason.EMPTY, "zero bytes")
        return data

    def _file(self, path: Path, root: Path) -> bytes:
        """Bytes of a file below ``root``: the short way, and where that fails the one that tells why."""
        data = plain_bytes(path) if self._is_inside(path.parent, root) else None
        return read_image_file(path, root=root) if data is None else data

    def stamp(self, place: Place) -> str:
        """What the bytes cannot change without: size, times and number of the file, or what a store says.

        Of a member that of its archive, as it was when it was first asked for. It always gives one: where
        there is no file, reading tells why.

        Raises
        ------
        MissingExtra
            As `read`.
        """
        if isinstance(place, Path):
            return _stamp(place)
        scheme, rest = _split(place)
        if scheme in ("", "file"):
            return _stamp(Path(rest))
        if scheme in _ARCHIVES:
            return self._archive_stamp(rest.partition("::")[2])
        return _remote_stamp(place)

    def _archive(self, scheme: str, where: str) -> _Archive:
        with self._lock:  # an archive that two threads want is opened once
            return self._opened(scheme, where)

    def _open(self, scheme: str, where: str) -> _Archive:
        return _open_archive(scheme, where, self._listed)


class _Told:
    """What goes wrong with a place, as the reason why its picture is not there."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise ImageRejected(Reason.NOT_A_FILE, f"nothing at {self._place}") from None
        if isinstance(error, OSError | tarfile.TarError | zipfile.BadZipFile | RuntimeError):
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise ImageRejected(Reason.UNREADABLE, f"{self._place}: {said}") from None


def _stamp(path: Path) -> str:
    try:
        return _said(path.stat())
    except OSError as error:
        return f"none: {error.errno}"  # reading it tells why


def _said(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _archive_stamp(where: str) -> str:
    scheme, rest = _split(where)
    return _stamp(Path(rest)) if scheme in ("", "file") else _remote_stamp(where)


def _remote_stamp(uri: str) -> str:
    system, path = _system(uri)
    try:
        return str(system.ukey(path))
    except OSError as error:
        return f"none: {type(error).__name__}"


def _system(uri: str) -> tuple[AbstractFileSystem, str]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(uri)
    except ImportError as error:
        package = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
        wanted = package.get(_split(uri)[0], str(error))
        raise MissingExtra(f"{uri}: reading it takes {wanted}; run: pip install {wanted}") from None
    return system, path


def _remote_bytes(uri: str) -> bytes:
    system, path = _system(uri)
    with _Told(uri):
        data = bytes(system.cat_file(path, start=0, end=MAX_BYTES + 1))
    if len(data) > MAX_BYTES:
        raise ImageRejected(Reason.TOO_MANY_BYTES, f"more than {MAX_BYTES} bytes")
    return data


def _n_open() -> int:
    """How many archives stay open: they take half of the files that this process may open, at most."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _OPEN_ARCHIVES if most == resource.RLIM_INFINITY else min(_OPEN_ARCHIVES, most // 2)


class _Members:
    """Where each member of a tar lies; names ascend, packed, for there may be millions."""

    def __init__(self, stream: IO[bytes]) -> None:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            found = {
                one.name: (one.offset_data, one.size) for one in archive if one.isreg() and not one.issparse()
            }
        names = sorted(found)
        self._names = Texts(names)
        self._starts = array.array("Q", (found[name][0] for name in names))
        self._sizes = array.array("Q", (found[name][1] for name in names))

    def find(self, member: str) -> tuple[int, int] | None:
        """Offset and size; None where no regular file has this name."""
        i = bisect.bisect_left(self._names, member)
        there = i < len(self._names) and self._names[i] == member
        return (self._starts[i], self._sizes[i]) if there else None


class _Archive(abc.ABC):
    """An open archive.

    A file of this machine is closed with the last who reads it: others may have pushed it out meanwhile.
    """

    def __init__(self, stream: IO[bytes], where: str, descriptor: int) -> None:
        self._stream, self._where, self._descriptor = stream, where, descriptor

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    @abc.abstractmethod
    def read(self, member: str) -> bytes:
        """All bytes of a member."""


class _Tar(_Archive):
    """A tar on this machine or elsewhere: one read for each member."""

    def __init__(
        self,
        stream: IO[bytes],
        where: str,
        descriptor: int,
        remote: tuple[Any, str] | None,
        members: _Members | None,
    ) -> None:
        super().__init__(stream, where, descriptor)
        self._remote = remote
        self.members = _Members(stream) if members is None else members

    def read(self, member: str) -> bytes:
        found = self.members.find(member)
        if found is None:
            raise ImageRejected(Reason.NOT_A_FILE, f"no member {member!r} in {self._where}")
        start, size = found
        if size > MAX_BYTES:
            raise ImageRejected(Reason.TOO_MANY_BYTES, f"{size} bytes; {_LARGEST}")
        with _Told(self._where):
            if self._remote is None:
                data = os.pread(self._descriptor, size, start)
            else:
                system, path = self._remote
                data = bytes(system.cat_file(path, start=start, end=start + size))
        if len(data) != size:
            raise ImageRejected(Reason.UNREADABLE, f"{self._where} ends early")
        return data


class _Zip(_Archive):
    """A zip: its members share one file, one at a time. Its list is one piece, and is read with it."""

    def __init__(self, stream: IO[bytes], where: str, descriptor: int) -> None:
        super().__init__(stream, where, descriptor)
        self._lock = threading.Lock()
        self._archive = zipfile.ZipFile(stream)

    def read(self, member: str) -> bytes:
        with self._lock, _Told(self._where):
            try:
                size = self._archive.getinfo(member).file_size
            except KeyError:
                raise ImageRejected(Reason.NOT_A_FILE, f"no member {member!r} in {self._where}") from None
            if size > MAX_BYTES:
                raise ImageRejected(Reason.TOO_MANY_BYTES, f"{size} bytes; {_LARGEST}")
            with self._archive.open(member) as stream:
                return stream.read(size)


def _open_archive(scheme: str, where: str, listed: dict[str, tuple[str, _Members]]) -> _Archive:
    """Open an archive; the members of a tar are in ``listed``, with its stamp, and are added to it."""
    local, remote, descriptor = Path(_split(where)[1]), None, -1
    with _Told(where):
        if _split(where)[0] in ("", "file"):
            if not stat.S_ISREG(local.stat().st_mode):
                raise ImageRejected(Reason.NOT_A_FILE, f"{where}: no file")
            descriptor = os.open(local, os.O_RDONLY | os.O_CLOEXEC)
            stream: IO[bytes] = os.fdopen(descriptor, "rb", closefd=False)
        else:
            system, path = _system(where)
            stream, remote = system.open(path, "rb"), (system, path)
        try:
            if scheme == "zip":
                return _Zip(stream, where, descriptor)
            stamp = _remote_stamp(where) if remote else _said(os.fstat(descriptor))
            before, members = listed.get(where, ("", None))
            tar = _Tar(stream, where, descriptor, remote, members if stamp == before else None)
            listed[where] = stamp, tar.members
            return tar
        except (tarfile.ReadError, zipfile.BadZipFile) as error:
            mend = " (a tar must not be compressed)" if scheme == "tar" else ""
            raise ImageRejected(Reason.UNREADABLE, f"{where}: no {scheme}: {error}{mend}") from None
