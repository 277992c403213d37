"""results/report.html: everything that was found, as one page that needs nothing but itself.

Owns what goes into the page and in which order, and that nothing of it can do harm: every text is escaped,
and the page's policy allows its own scripts and styles, by their digests, and nothing else. Refuses to measure.
Equal evidence and equal pictures give equal bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from classifiers.report import assets, thumbnails
from classifiers.report.evidence import Evidence
from classifiers.report.opinions import Opinions, opinions
from classifiers.report.parts import Figure, Section
from classifiers.report.sections import (
    answer,
    atlas,
    concordance,
    data,
    edits,
    errors,
    findings,
    head,
    importance,
    leaderboard,
    leakage,
    limits,
    reproduction,
)
from featurestore.files import write_text_atomic
from featurestore.images import MAX_PIXELS

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["write_report"]

_FILE: Final = "report.html"
_TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class _Pictures:
    """Thumbnails: of single images by key, and of the map's on a sheet."""

    single: Mapping[str, str]
    sheet: thumbnails.Sheet | None


def _json(figure: Figure) -> Markup:
    """A figure for the page's script: no letter of it can end the element, or be read as one of HTML's."""
    from markupsafe import Markup

    text = json.dumps(figure.spec(), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _slug(text: str) -> str:
    r"""A word as a class in CSS.

    Examples
    --------
    >>> _slug("cannot tell"), _slug("x\" onload=")
    ('cannot-tell', 'x-onload')
    """
    return re.sub(r"[^a-z]+", "-", text.lower()).strip("-")


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"json": _json, "slug": _slug}
    return made


def _open_rows(evidence: Evidence, features: pd.DataFrame | None) -> pd.DataFrame | None:
    """Features of train and val alone."""
    if features is None:
        return None
    open_keys = set(evidence.dataset[evidence.dataset["split"].isin(["train", "val"])]["key"])
    return features[[str(key) in open_keys for key in features.index]]


def _single(evidence: Evidence, said: Opinions) -> list[str]:
    """Keys of the images that are shown by themselves."""
    keys = [key for of_class in data.shown(evidence).values() for key in of_class]
    keys += [*said.wrong(errors.MOST), *said.uncertain(errors.MOST)]
    keys += [key for of_extractor in concordance.unexplained(evidence).values() for key in of_extractor]
    return list(dict.fromkeys(keys))


def _pictures(
    evidence: Evidence, root: Path, single: list[str], mapped: list[str], workers: int
) -> _Pictures:
    paths = dict(zip(evidence.dataset["key"], evidence.dataset["path"], strict=True))
    wanted = {key: paths[key] for key in dict.fromkeys([*single, *mapped])}
    max_pixels = (evidence.params.get("data") or {}).get("max_pixels", MAX_PIXELS)
    found = thumbnails.squares(wanted, root, max_pixels=max_pixels, workers=workers)
    sheet = thumbnails.sheet(found, mapped) if mapped else None
    return _Pictures(thumbnails.large(found, single), sheet)


def _sections(
    evidence: Evidence,
    said: Opinions,
    rows: pd.DataFrame | None,
    pictures: _Pictures,
) -> tuple[Section, ...]:
    strips = {path.stem: thumbnails.strip(path.read_bytes()) for path in evidence.strips}
    return (
        answer.section(evidence),
        data.section(evidence, pictures.single),
        leaderboard.section(evidence),
        head.section(evidence),
        importance.section(evidence, rows),
        findings.section(evidence),
        edits.section(evidence, strips),
        leakage.section(evidence),
        atlas.section(evidence, said, pictures.sheet),
        errors.section(evidence, said, pictures.single),
        concordance.section(evidence, pictures.single),
        limits.section(evidence),
        reproduction.section(evidence),
    )


def _page(evidence: Evidence, sections: tuple[Section, ...]) -> str:
    found = assets.read_assets()
    values: dict[str, Any] = {
        "policy": found.policy,
        "css": found.css,
        "scripts": found.scripts,
        "plotly": found.plotly,
        "title": answer.asked(evidence),
        "demo": evidence.demo.removeprefix("the demo cast: ") if evidence.demo else "",
        "sections": sections,
    }
    return _environment().get_template("report.html.j2").render(values).lstrip()


def write_report(
    evidence: Evidence,
    *,
    results: Path,
    root: Path,
    features: pd.DataFrame | None,
    workers: int = 0,
) -> Path:
    """Write ``report.html``.

    Parameters
    ----------
    results : Path
        Folder that the page is written into.
    root : Path
        The data folder; only images of train and val are read.
    features : DataFrame of float, shape (n, d), or None
        The joined store, index: keys. Rows of test are left out; None = no contributions by value.
    workers : int
        Threads that read images; 0 = one a core.

    Returns
    -------
    Path
    """
    said, rows = opinions(evidence), _open_rows(evidence, features)
    mapped = [] if evidence.atlas is None else list(evidence.atlas.keys)
    pictures = _pictures(evidence, root, _single(evidence, said), mapped, workers)
    text = _page(evidence, _sections(evidence, said, rows, pictures))
    path = results / _FILE
    write_text_atomic(path, text)
    return path
