"""URLs in one spelling.

Owns which URLs are asked for at all. Refuses to know where their hosts are.
"""

from __future__ import annotations

from typing import Final

from collection.fetching.addresses import Refused, check_port

__all__ = ["joined", "normalised", "one_line", "origin_of"]

_PORTS: Final = {"http": 80, "https": 443}
_MAX_CHARACTERS = 8192
_MAX_SHOWN = 300


def one_line(text: str, *, limit: int = _MAX_SHOWN) -> str:
    """Text that others wrote, fit for a record: printable, on one line, cut where it is long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def normalised(url: str) -> str:
    """A URL with a lower-case host, no default port, no fragment and no trailing dot.

    Raises
    ------
    Refused
        For what is no URL, another scheme than http and https, a user or password, or a port that no
        web server has.

    Examples
    --------
    >>> normalised("HTTP://Example.org.:80/a.png#top")
    'http://example.org/a.png'
    """
    import httpx

    if len(url) > _MAX_CHARACTERS:
        raise Refused(f"no URL: {len(url)} characters; at most {_MAX_CHARACTERS}")
    try:
        parsed = httpx.URL(url.strip())
        if parsed.scheme not in _PORTS:
            raise Refused(f"only http and https, not {one_line(parsed.scheme, limit=40) or 'a relative URL'}")
        if not parsed.host.rstrip("."):
            raise Refused("no host in the URL")
        if parsed.userinfo:
            raise Refused("a user name or password in the URL")
        check_port(_PORTS[parsed.scheme] if parsed.port is None else parsed.port)
        host = parsed.raw_host.decode("ascii").rstrip(".")
        return str(parsed.copy_with(host=host, raw_path=parsed.raw_path, fragment=None))
    except (httpx.InvalidURL, ValueError) as error:
        raise Refused(f"no URL: {one_line(str(error))}") from None


def joined(url: str, location: str) -> str:
    """Where a redirect leads, normalised.

    Raises
    ------
    Refused
        As `normalised`; the text names the place.
    """
    import httpx

    try:
        place = httpx.URL(url).join(location.strip())
        target, shown = str(place), str(place.copy_with(userinfo=b""))  # nobody's password is for a record
    except (httpx.InvalidURL, ValueError) as error:
        raise Refused(f"redirect to no URL: {one_line(str(error))}") from None
    try:
        return normalised(target)
    except Refused as refused:
        raise type(refused)(f"redirect to {one_line(shown, limit=120)}: {refused}") from None


def origin_of(url: str) -> str:
    """Scheme, host and port of a normalised URL."""
    import httpx

    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
