"""Numbers and letters as people read them. Refuses to know what they count and say."""

from __future__ import annotations

__all__ = ["WIDER_FONTS", "counted", "readable_size"]

#: Fonts to be tried, where installed, for letters that DejaVu Sans lacks.
WIDER_FONTS = (
    "Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "IPAexGothic", "Noto Sans CJK SC", "PingFang SC",
    "Noto Sans CJK KR", "Apple SD Gothic Neo", "Noto Sans", "Arial Unicode MS",
)  # fmt: skip


def counted(n: int, one: str, many: str = "") -> str:
    """A number and its noun; the plural is made by an s if it is not given.

    Examples
    --------
    >>> counted(1, "sheet"), counted(1234, "sheet"), counted(0, "series", "series")
    ('1 sheet', '1,234 sheets', '0 series')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


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
