"""The page's scripts and styles, and the policy that lets them run and nothing else.

Owns their sources and digests. Refuses to know what they draw.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from featurestore.errors import MissingData, MissingExtra

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Assets", "Script", "digest", "read_assets"]

_FOLDER: Final = Path(__file__).parent / "assets"

#: Plotly appends one empty <style>, to which it adds rules by script.
_EMPTY: Final = ""


@dataclass(frozen=True)
class Script:
    """An inline script.

    Attributes
    ----------
    id : str
        Of its element; empty = none.
    source : Markup
        As it stands in the page, unescaped.
    """

    id: str
    source: Markup


@dataclass(frozen=True)
class Assets:
    """All of them.

    Attributes
    ----------
    policy : str
        Content-Security-Policy.
    css : Markup
    scripts : tuple of Script
    plotly : str
        Its version.
    """

    policy: str
    css: Markup
    scripts: tuple[Script, ...]
    plotly: str


def digest(source: str) -> str:
    """A source as a policy names it.

    Examples
    --------
    >>> digest("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _plotly() -> str:
    """Plotly's script, as the installed package has it.

    Raises
    ------
    MissingExtra
    """
    spec = importlib.util.find_spec("plotly")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        file = Path(folder) / "package_data" / "plotly.min.js"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise MissingExtra("no plotly here, whose script draws the report's figures; run: make setup")


def _inline(source: str, name: str) -> Markup:
    """A source that no letter of it can end.

    Raises
    ------
    MissingData
        If it could, or if a parser would change its line ends: its digest would not fit.
    """
    from markupsafe import Markup

    if re.search(r"</(script|style)|<!--|\r|\0", source, re.IGNORECASE):
        raise MissingData(f"{name} cannot stand inside a page; install another version of plotly")
    return Markup(source)


def _map_style(source: str) -> str:
    """Id of the element whose absence makes Plotly add the styles of its street maps.

    The page has none, and its policy would refuse them, loudly. So Plotly's own script element has that id.
    """
    found = re.search(r'getElementById\("([0-9a-f]{64})"\)', source)
    return found.group(1) if found else ""


def read_assets() -> Assets:
    """Sources, digests and the policy made of them."""
    css = (_FOLDER / "report.css").read_text(encoding="utf-8")
    own = (_FOLDER / "report.js").read_text(encoding="utf-8")
    plotly = _plotly()
    version = re.search(r"plotly\.js v([0-9.]+)", plotly)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {digest(plotly)} {digest(own)}",
            f"style-src {digest(css)} {digest(_EMPTY)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    scripts = (
        Script(_map_style(plotly), _inline(plotly, "plotly.min.js")),
        Script("", _inline(own, "report.js")),
    )
    return Assets(policy, _inline(css, "report.css"), scripts, version.group(1) if version else "")
