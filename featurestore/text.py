"""Numbers as people read them. Refuses to know what they count."""

from __future__ import annotations

__all__ = ["readable_size"]


def readable_size(n_bytes: float) -> str:
    """A size in the largest binary unit that leaves a number of 1 or more.

    Examples
    --------
    >>> readable_size(0), readable_size(300), readable_size(7 << 20)
    ('0 B', '300 B', '7.0 MiB')
    """
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    i = 0
    while n_bytes >= 1024 and i + 1 < len(units):
        n_bytes, i = n_bytes / 1024, i + 1
    return f"{n_bytes:.1f} {units[i]}" if i else f"{n_bytes:.0f} B"
