"""Concepts in words: prompt templates, and the study's design conventions as a ready list.

Owns the texts and the rules that they obey. Refuses to know the network that compares them with a picture.
What they are good for, and what not, stands in docs/concepts.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from featurestore.errors import ParamsError

__all__ = ["CONVENTIONS", "TEMPLATES", "check", "column", "prompt"]

#: What a concept is put into. Several, because one wording is an accident; all speak of drawings.
TEMPLATES: Final[tuple[str, ...]] = (
    "a drawing of {}.",
    "an illustration of {}.",
    "anime art of {}.",
    "a portrait of {}.",
)

#: Hypothesis of the study -> the concepts that stand for it, the villain's side first.
CONVENTIONS: Final[dict[str, tuple[str, ...]]] = {
    "warm_palette": (
        "a character in cold blue and purple colours",
        "a character in warm red and orange colours",
    ),
    "edge_sharpness": (
        "a character drawn with sharp hard edges",
        "a character drawn with soft smooth edges",
    ),
    "shadow_density": (
        "a character in dark heavy shadow",
        "a character in bright even light",
    ),
    "angularity": (
        "a character with an angular pointed face",
        "a character with a round soft face",
    ),
    "aura": (
        "a character surrounded by a dark aura",
        "a character surrounded by a glowing aura",
        "a character before a plain background",
    ),
    "scars": (
        "a character with a scar on the face",
        "a character with red markings on the face",
        "a character with clear unmarked skin",
    ),
}

_BLANK: Final = "{}"


def column(concept: str) -> str:
    """The column's name.

    Examples
    --------
    >>> column("a scar")
    'concept: a scar'
    """
    return f"concept: {concept}"


def prompt(template: str, concept: str) -> str:
    """The concept in a template.

    Examples
    --------
    >>> prompt("a drawing of {}.", "a scar")
    'a drawing of a scar.'
    """
    return template.replace(_BLANK, concept)


def check(concepts: Sequence[str], templates: Sequence[str], *, key: str) -> None:
    """Refuse what would make a column twice, or one that says nothing.

    Parameters
    ----------
    key : str
        The block of params.yaml, for the error.

    Raises
    ------
    ParamsError
        If a concept is empty, or the same as another but for case and spaces, which CLIP does not see;
        if a template has not exactly one ``{}``; if there are concepts and no template.

    Examples
    --------
    >>> check(("a scar", "A  scar"), TEMPLATES, key="extractors.clip")
    Traceback (most recent call last):
    featurestore.errors.ParamsError: extractors.clip.concepts[1]: 'A  scar' stands there twice; remove one
    """
    seen: set[str] = set()
    for i, concept in enumerate(concepts):
        plain = " ".join(concept.split()).casefold()
        if not plain:
            raise ParamsError(
                f"{key}.concepts[{i}]: {concept!r} is empty; say what to look for, or remove it"
            )
        if plain in seen:
            raise ParamsError(f"{key}.concepts[{i}]: {concept!r} stands there twice; remove one")
        seen.add(plain)
    for i, template in enumerate(templates):
        if template.count(_BLANK) != 1:
            raise ParamsError(
                f"{key}.templates[{i}]: {template!r} needs one {{}} for the concept, as in {TEMPLATES[0]!r}"
            )
    if concepts and not templates:
        raise ParamsError(f"{key}.templates: empty, but there are concepts; one that adds nothing is '{{}}'")
