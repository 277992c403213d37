"""Fetching published weights: a progress bar, the size, the sha256, and no half-written file.

Owns the download. Refuses to try twice: a machine without internet hears so at once.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, cast

from extractors.base import Loaded
from extractors.weights import WeightsFile
from featurestore.errors import MissingWeights, WeightsDamaged
from featurestore.files import publish, sync, temporary_file, write_all

__all__ = ["Opener", "fetch", "open_url"]

log = logging.getLogger(__name__)

#: From a URL to a stream of bytes and their number (0 = not said).
Opener = Callable[[str], tuple[BinaryIO, int]]

_CONNECT_S: Final = 4
_READ_S: Final = 60
_CHUNK: Final = 1 << 20


def open_url(url: str) -> tuple[BinaryIO, int]:
    """Open a URL; on a machine without internet this fails within seconds."""
    if not urllib.request.getproxies():  # a firewall that says nothing must not cost a minute
        parts = urllib.parse.urlsplit(url)
        port = parts.port or {"http": 80}.get(parts.scheme, 443)
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S).close()
    request = urllib.request.Request(url, headers={"User-Agent": "kyara"})
    response = urllib.request.urlopen(request, timeout=_READ_S)
    return response, int(response.headers.get("Content-Length") or 0)


def fetch(wanted: WeightsFile, folder: Path, *, extractor: str, opener: Opener = open_url) -> Loaded:
    """Download a weights file into a folder, checked before it gets its name.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    extractor : str
        For the progress bar and the errors.
    opener : callable
        How a URL is opened.

    Raises
    ------
    MissingWeights
        If there is no URL, or it cannot be reached: the file, the URL, the size, where to put it by hand.
    WeightsDamaged
        If what came has another sha256, or is no zip file with the member that is wanted.
    """
    if not wanted.url:
        raise MissingWeights(f"{extractor}: {wanted.name} is published nowhere; put it into {folder}")
    try:
        stream, n_bytes = opener(wanted.url)
        log.info("%s: fetching %s (%s; licence: %s)", extractor, wanted.name, wanted.size, wanted.licence)
        with stream, temporary_file(folder) as (temporary, out):
            found = _copy(stream, out, n_bytes, f"{extractor}: {wanted.url.rpartition('/')[2]}")
            _check(found, wanted.archive.sha256 if wanted.archive else wanted.sha256, wanted.url)
            sync(out)
            if not wanted.archive:
                publish(temporary, folder / wanted.name)
                return Loaded(folder / wanted.name, found)
            return _unpack(temporary, wanted, folder)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.filename and not isinstance(error, urllib.error.URLError):
            raise  # of this machine's disk
        said = getattr(error, "reason", None) or error
        raise MissingWeights(
            f"{extractor} needs {wanted.name} ({wanted.size}), which cannot be fetched from {wanted.url}"
            f" ({said}); on a machine with internet run: python -m extractors fetch {extractor}; then copy it"
            f" into {folder}"
        ) from error


def _copy(stream: BinaryIO, out: BinaryIO, n_bytes: int, title: str) -> str:
    """Copy with a progress bar; the sha256 of what was copied."""
    from tqdm import tqdm

    digest = hashlib.sha256()
    bar = tqdm(total=n_bytes or None, desc=title, unit="B", unit_scale=True, disable=not sys.stderr.isatty())
    with bar:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            write_all(out, chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def _check(found: str, wanted: str, where: str) -> None:
    if wanted and found != wanted:
        raise WeightsDamaged(
            f"{where}: what came has sha256 {found[:16]}..., not {wanted[:16]}...; nothing was kept;"
            " try again; if it stays so, the publisher changed the file"
        )


def _unpack(archive: Path, wanted: WeightsFile, folder: Path) -> Loaded:
    """The one member of a zip file that is wanted, checked."""
    assert wanted.archive is not None
    try:
        with zipfile.ZipFile(archive) as whole:
            member = whole.getinfo(wanted.archive.member)
            with whole.open(member) as stream, temporary_file(folder) as (temporary, out):
                found = _copy(cast(BinaryIO, stream), out, member.file_size, wanted.name)
                _check(found, wanted.sha256, f"{wanted.url}, {wanted.archive.member}")
                sync(out)
                publish(temporary, folder / wanted.name)
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsDamaged(f"{wanted.url}: no zip file with {wanted.archive.member} ({error})") from error
    return Loaded(folder / wanted.name, found)
