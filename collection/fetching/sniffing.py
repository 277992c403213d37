"""What bytes are, by how they begin.

Owns the signatures of the formats that the study reads. Refuses to believe names and headers, and to decode.
"""

from __future__ import annotations

from typing import Final

__all__ = ["N_BYTES", "beginning", "kind_of"]

#: So many bytes tell a kind.
N_BYTES: Final = 12

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
)
_TEXT_MARKS: Final = (b"<!doctype html", b"<html", b"<head", b"<script", b"<body")


def kind_of(data: bytes) -> str:
    """``png``, ``jpeg``, ``webp``, ``gif`` or ``bmp``; empty for anything else.

    Examples
    --------
    >>> kind_of(b"GIF89a..."), kind_of(b"<!DOCTYPE html>")
    ('gif', '')
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((kind for mark, kind in _SIGNATURES if data.startswith(mark)), "")


def beginning(data: bytes) -> str:
    """A word for bytes that are no image: ``HTML``, ``SVG``, ``text``, ``nothing`` or ``other bytes``."""
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data:
        return "nothing"
    if head.startswith(_TEXT_MARKS):
        return "HTML"
    if head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in head):
        return "SVG"
    return "text" if head.isascii() and b"\0" not in head else "other bytes"
