"""What a curator is shown of a picture, on the page and on sheets.

Owns the two values that pass from a session to whoever draws them. Refuses to decide what is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Card", "Hint"]


@dataclass(frozen=True)
class Hint:
    """A flag as it is shown.

    Attributes
    ----------
    name : str
        Of the flag; without ``_across`` where labels are hidden.
    value, limit : float
    other : int or None
        Number of the picture that it is like.
    detail : str
        The file that it is like, or what the decoder said; no file where labels are hidden, for paths tell.
    settled : bool
        The picture that it is like is rejected: nothing is left to do.
    """

    name: str
    value: float
    limit: float
    other: int | None
    detail: str
    settled: bool


@dataclass(frozen=True)
class Card:
    """What is shown of a picture; ``files``, ``folder``, ``label`` and ``role`` are empty for the blinded.

    Attributes
    ----------
    number : int
        From 1, as sheets and page count.
    key : str
    files : tuple of str
    character, series, role : str
    folder, label : str
        By the folder, and the label given in its place; several are joined by `` / ``.
    hints : tuple of Hint
    verdict, reason : str
    """

    number: int
    key: str
    files: tuple[str, ...]
    character: str
    series: str
    role: str
    folder: str
    label: str
    hints: tuple[Hint, ...]
    verdict: str
    reason: str
